"""Normalization layers: per-channel parameters that a unit takes with it, or channels mixed."""

from __future__ import annotations

from typing import Any

import keras

from paoding.layers.base import Call, Cut, Layout, Rule, register


@register
class BatchNormalization(Rule):
    types = (keras.layers.BatchNormalization,)

    def trace(self, call: Call) -> Layout:
        layer = call.op
        axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
        labels = call.labels(axis)
        # By attribute: `scale=False` and `center=False` shorten the list of weights.
        for variable in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance):
            if variable is not None:
                labels = call.through(variable, 0, labels)
        return call.replaced(axis, labels)


@register
class MixingNormalization(Rule):
    """Layers whose statistics run over the channels: a removal changes what is left."""

    types = (
        keras.layers.LayerNormalization,
        keras.layers.GroupNormalization,
        keras.layers.RMSNormalization,
        keras.layers.UnitNormalization,
    )

    def trace(self, call: Call) -> Layout:
        axes = getattr(call.op, "axis", -1)
        axes = [axes] if isinstance(axes, int) else list(axes)
        axes = [axis % len(call.layout) for axis in axes]
        if isinstance(call.op, keras.layers.GroupNormalization):
            axes = list(range(1, len(call.layout)))
        for axis in axes:
            self._axis(call, axis)
        return call.layout

    def _axis(self, call: Call, axis: int) -> None:
        labels = call.layout[axis]
        layer = call.op
        grouped = getattr(layer, "groups", 1) not in (1, -1)
        if not call.inexact or grouped:
            call.protect(labels, f"{call.kind} mixes the channels, so no removal is exact")
        call.keep_distinct(labels, f"{call.kind} treats each channel differently")
        for name in ("gamma", "beta", "scale"):
            variable = getattr(layer, name, None)
            if variable is not None and hasattr(variable, "shape") and len(variable.shape) == 1:
                size = call.in_shapes[0][axis]
                if variable.shape[0] == size:
                    call.through(variable, 0, labels)


@register
class Normalization(Rule):
    """Feature-wise normalization of the inputs; its statistics sit in weights and config."""

    types = (keras.layers.Normalization,)

    def trace(self, call: Call) -> Layout:
        for labels in call.layout:
            call.protect(labels, "Normalization holds statistics that are not cut")
        return call.layout


@register
class LayerScale(Rule):
    """ConvNeXt's per-channel factor."""

    names = ("LayerScale",)

    def trace(self, call: Call) -> Layout:
        return call.replaced(-1, call.through(call.op.gamma, 0, call.labels(-1)))

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        return {**config, "projection_dim": cut.size(op.gamma, 0)}
