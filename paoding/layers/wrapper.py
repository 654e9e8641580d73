"""TimeDistributed: the wrapped layer's rule, seen without the time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras

from paoding.layers.algebra import Algebra, Value
from paoding.layers.base import Call, Cut, Layout, Rule, Shapes, register, rule_for


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
        rule = rule_for(op.layer)
        inner = dict(config["layer"])
        inner.pop("build_config", None)
        if rule is not None:
            seen = replace(
                cut,
                in_shapes=tuple(without_time(shape) for shape in cut.in_shapes),
                out_shapes=tuple(without_time(shape) for shape in cut.out_shapes),
            )
            inner["config"] = rule.resize(op.layer, inner["config"], seen)
        return {**config, "layer": inner}

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


def without_time(entries: tuple) -> tuple:
    """A shape or layout without its second axis."""
    return (entries[0], *entries[2:])
