"""Normalization layers: per-channel parameters that a unit takes with it, or channels mixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from paoding.layers.algebra import Algebra, Value
from paoding.layers.base import Call, Cut, InputStatistics, Layout, Rule, Shapes, register
from paoding.layers.common import values


@register
class BatchNormalization(Rule):
    """Each channel has a scale, an offset and two statistics, which go with it."""

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

    def statistics(self, op: Any) -> InputStatistics:
        axis = op.axis if isinstance(op.axis, int) else op.axis[0]
        return InputStatistics(op.moving_mean, op.moving_variance, axis, op.epsilon)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        axis = op.axis if isinstance(op.axis, int) else op.axis[0]
        x = low.rearrange(inputs[0], lambda a: np.moveaxis(a, axis, -1))
        y = low.normalize(
            x,
            low.weight(op.moving_mean),
            low.weight(op.moving_variance),
            low.weight(op.gamma),
            low.weight(op.beta),
            op.epsilon,
        )
        return low.rearrange(y, lambda a: np.moveaxis(a, -1, axis))

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return 2 * values(out_shapes[0])  # at inference one factor and one offset


@register
class MixingNormalization(Rule):
    """Layers whose statistics run over the channels: a removal changes what is left."""

    types: ClassVar[tuple[type, ...]] = (
        keras.layers.LayerNormalization,
        keras.layers.RMSNormalization,
        keras.layers.UnitNormalization,
    )

    def trace(self, call: Call) -> Layout:
        axes = getattr(call.op, "axis", -1)
        axes = [axes] if isinstance(axes, int) else list(axes)
        axes = [axis % len(call.layout) for axis in axes]
        for place, axis in enumerate(axes):
            self._axis(call, axis, place)
        return call.layout

    def _axis(self, call: Call, axis: int, place: int = 0) -> None:
        labels = call.layout[axis]
        layer = call.op
        if not call.inexact:
            call.protect(labels, f"{call.kind} mixes the channels, so no removal is exact")
        call.keep_distinct(labels, f"{call.kind} treats each channel differently")
        for name in ("gamma", "beta", "scale"):
            variable = getattr(layer, name, None)
            if labels is not None and hasattr(variable, "shape"):
                call.through(variable, place, labels)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return 7 * values(out_shapes[0])  # mean, variance, subtract, divide, scale, shift


@register
class GroupNormalization(MixingNormalization):
    """Each group of channels has its own statistics, so whole groups go exactly."""

    types = (keras.layers.GroupNormalization,)

    def trace(self, call: Call) -> Layout:
        layer, rank = call.op, len(call.layout)
        axis = layer.axis % rank
        labels, size = call.layout[axis], call.in_shapes[0][axis]
        for other in range(1, rank):
            if other != axis:
                call.protect(call.layout[other], "its statistics run over this axis")
        groups = size if layer.groups == -1 else layer.groups
        if groups == 1:
            self._axis(call, axis)
        elif labels is not None and size is not None:
            one = call.new_units(groups)
            labels = call.tie(labels, np.repeat(one, size // groups))
            call.keep_distinct(labels, "every group of channels has its own statistics")
            for variable in (layer.gamma, layer.beta):
                if variable is not None:
                    call.through(variable, 0, labels)
        return call.replaced(axis, labels)

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        after = cut.in_shapes[0][op.axis]
        weights = [v for v in (op.gamma, op.beta) if v is not None]
        if op.groups in (1, -1) or not weights or after is None:
            return config
        return {**config, "groups": op.groups * after // weights[0].shape[0]}


@register
class Normalization(Rule):
    """Feature-wise normalization of the inputs; its statistics sit in weights and config."""

    types = (keras.layers.Normalization,)

    def trace(self, call: Call) -> Layout:
        for labels in call.layout:
            call.protect(labels, "Normalization holds statistics that are not cut")
        return call.layout

    def statistics(self, op: Any) -> InputStatistics:
        given = getattr(op, "input_mean", None) is not None
        mean = op.input_mean if given else op.mean
        variance = op.input_variance if given else op.variance
        return InputStatistics(mean, variance, None, 0.0)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        if op.invert:
            return NotImplemented
        mean, variance = (np.asarray(v, dtype=np.float64)[0] for v in (op.mean, op.variance))
        spread = np.maximum(np.sqrt(variance), keras.backend.epsilon())
        return low.scale(inputs[0], 1.0 / spread, -mean / spread)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return 2 * values(out_shapes[0])


@register
class LayerScale(Rule):
    """ConvNeXt's per-channel factor."""

    names = ("LayerScale",)

    def trace(self, call: Call) -> Layout:
        return call.replaced(-1, call.through(call.op.gamma, 0, call.labels(-1)))

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        return {**config, "projection_dim": cut.size(op.gamma, 0)}

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        return low.scale(inputs[0], low.weight(op.gamma))

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return values(out_shapes[0])
