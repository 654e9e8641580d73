"""Layers around a layer: TimeDistributed and SpectralNormalization ask the inner one's rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras

from paoding.layers.algebra import Algebra, Value
from paoding.layers.base import (
    Call,
    Cut,
    InputStatistics,
    Layout,
    Linear,
    Rule,
    Shapes,
    linear_of,
    register,
    rule_for,
    statistics_of,
)


@register
class TimeDistributed(Rule):
    """The wrapped layer at every step."""

    types = (keras.layers.TimeDistributed,)

    def trace(self, call: Call) -> Layout | tuple[Layout, ...]:
        inner = call.op.layer
        rule = rule_for(inner)
        if rule is None or len(call.given(0, "inputs")) != 1 or len(call.out_shapes) != 1:
            return call.protect_all(f"TimeDistributed({type(inner).__name__}) is not known")
        seen = replace(
            call,
            op=inner,
            layouts=(without_time(call.layout),),
            in_shapes=(without_time(call.in_shapes[0]),),
            out_shapes=(without_time(call.out_shapes[0]),),
        )
        call.protect(call.layout[1], "it runs along the time axis")
        out = rule.trace(seen)
        layout: Any = out[0] if isinstance(out, list) else out
        return (layout[0], None, *layout[1:])

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        seen = replace(
            cut,
            in_shapes=tuple(without_time(shape) for shape in cut.in_shapes),
            out_shapes=tuple(without_time(shape) for shape in cut.out_shapes),
        )
        return {**config, "layer": resized(op.layer, config["layer"], seen)}

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        rule = rule_for(op.layer)
        last_axis_only = isinstance(op.layer, keras.layers.Dense | keras.layers.Activation)
        if rule is None or not last_axis_only:
            return NotImplemented
        return rule.lower(op.layer, low, inputs)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        rule = rule_for(op.layer)
        if rule is None:
            return 0
        steps = in_shapes[0][1] or 1
        inner = ((*shapes[0][:1], *shapes[0][2:]) for shapes in (in_shapes, out_shapes))
        return steps * rule.flops(op.layer, *((shape,) for shape in inner))


@register
class SpectralNormalization(Rule):
    """At inference the wrapped layer itself; a vector of the norm's search goes with its kernel."""

    types = (keras.layers.SpectralNormalization,)

    def trace(self, call: Call) -> Layout | Sequence[Layout]:
        inner = call.op.layer
        rule = rule_for(inner)
        if rule is None:
            return call.protect_all(f"SpectralNormalization({type(inner).__name__}) is not known")
        out = rule.trace(replace(call, op=inner))
        labels = call.bound(call.op.kernel, -1)
        if labels is not None:
            call.through(call.op.vector_u, 1, labels)
        return out

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        return {**config, "layer": resized(op.layer, config["layer"], cut)}

    def linear(self, op: Any) -> Linear | None:
        return linear_of(op.layer)

    def statistics(self, op: Any) -> InputStatistics | None:
        return statistics_of(op.layer)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        rule = rule_for(op.layer)
        return NotImplemented if rule is None else rule.lower(op.layer, low, inputs)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        rule = rule_for(op.layer)
        return 0 if rule is None else rule.flops(op.layer, in_shapes, out_shapes)


def resized(layer: Any, kept: dict[str, Any], cut: Cut) -> dict[str, Any]:
    """An inner layer as a wrapper's configuration holds it, after a cut."""
    rule = rule_for(layer)
    inner = {key: value for key, value in kept.items() if key != "build_config"}  # shapes of before
    if rule is not None:
        inner["config"] = rule.resize(layer, inner["config"], cut)
    return inner


def without_time(entries: tuple) -> tuple:
    """A shape or layout without its second axis."""
    return (entries[0], *entries[2:])
