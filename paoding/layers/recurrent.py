"""Units of LSTM, GRU and SimpleRNN: a column in every gate, a row of the recurrence."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import keras
import numpy as np

from paoding.layers.base import Call, Cut, Labels, Layout, Rule, Shapes, register, rule_for
from paoding.layers.common import apply_activation


def trace_cell(call: Call, layer: Any, gates: int, labels: Labels, part: str = "") -> np.ndarray:
    """Bind one recurrent layer's weights; returns the labels of its units."""
    cell = layer.cell
    call.consume(cell.kernel, 0, labels)
    units = call.new_units(cell.units)
    units = call.produce(cell.kernel, 1, np.tile(units, gates), part)[: cell.units]
    columns = np.tile(units, gates)
    call.produce(cell.recurrent_kernel, 1, columns, part)
    call.consume(cell.recurrent_kernel, 0, units, tensor_axis=None)
    if cell.use_bias:
        call.produce(cell.bias, -1, columns, part)  # GRU's reset_after has two rows of biases
    for name in ("activation", "recurrent_activation"):
        apply_activation(call, getattr(cell, name, None), units)
    return units


def outputs(layer: Any, call: Call, units: np.ndarray) -> list[Layout]:
    """Layouts of the sequence or last output, then of the states where they are returned."""
    return [call.fixed_output(-1, units, k) for k in range(len(call.out_shapes))]


@register
class Recurrent(Rule):
    """SimpleRNN, LSTM and GRU: a unit is a column of every gate and a row of the recurrence."""

    types = (keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU)
    gates: ClassVar[dict[type, int]] = {
        keras.layers.SimpleRNN: 1,
        keras.layers.LSTM: 4,
        keras.layers.GRU: 3,
    }

    def trace(self, call: Call) -> list[Layout]:
        units = trace_cell(call, call.op, self.gate_count(call.op), call.labels(-1))
        for which in call.given(1, "initial_state"):
            call.tie(units, call.labels(-1, which))
        return outputs(call.op, call, units)

    def recurrences(self, op: Any) -> tuple[Any, ...]:
        return (op,)

    def gate_count(self, layer: Any) -> int:
        return next(n for kind, n in self.gates.items() if isinstance(layer, kind))

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        return {**config, "units": cut.size(op.cell.recurrent_kernel, 0)}

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        steps = in_shapes[0][1] or 1
        cell = op.cell
        return 2 * steps * (math.prod(cell.kernel.shape) + math.prod(cell.recurrent_kernel.shape))


@register
class Bidirectional(Rule):
    """Two recurrent layers, whose units lie end to end or are joined."""

    types = (keras.layers.Bidirectional,)

    def trace(self, call: Call) -> list[Layout] | tuple[Layout, ...]:
        layer = call.op
        rule = rule_for(layer.forward_layer)
        if not isinstance(rule, Recurrent) or len(call.out_shapes) > 1:
            return call.protect_all(f"a {call.kind} of this kind is not known")
        if call.given(1, "initial_state"):
            return call.protect_all("its two directions start from states that are given")
        gates = rule.gate_count(layer.forward_layer)
        ahead = trace_cell(call, layer.forward_layer, gates, call.labels(-1), "forward")
        back = trace_cell(call, layer.backward_layer, gates, call.labels(-1), "backward")
        if layer.merge_mode == "concat":
            units: Labels = np.concatenate([ahead, back])
        else:
            units = call.tie(ahead, back)
        return [call.fixed_output(-1, units)]

    def recurrences(self, op: Any) -> tuple[Any, ...]:
        return op.forward_layer, op.backward_layer

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        new = dict(config)
        for key, layer in (("layer", op.forward_layer), ("backward_layer", op.backward_layer)):
            inner = dict(config[key])
            inner["config"] = {
                **inner["config"],
                "units": cut.size(layer.cell.recurrent_kernel, 0),
            }
            inner.pop("build_config", None)  # it holds the shapes of before
            new[key] = inner
        return new

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        layers = (op.forward_layer, op.backward_layer)
        rules = [rule_for(layer) for layer in layers]
        return sum(
            rule.flops(layer, in_shapes, out_shapes)
            for rule, layer in zip(rules, layers, strict=True)
            if rule is not None
        )
