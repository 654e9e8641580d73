"""Units of LSTM, GRU and SimpleRNN: a column in every gate, a row of the recurrence."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from paoding.layers.base import Call, Cut, Labels, Layout, Rule, Shapes, register, rule_for
from paoding.layers.common import apply_activation, values

GATES: dict[type, int] = {
    keras.layers.SimpleRNNCell: 1,
    keras.layers.LSTMCell: 4,
    keras.layers.GRUCell: 3,
}


def gates_of(cell: Any) -> int:
    """How many gates a cell has; 0 where what it computes is not known."""
    for kind, gates in GATES.items():
        if isinstance(cell, kind):
            return gates if type(cell).call is kind.call else 0  # type: ignore[attr-defined]
    return 0


def trace_cell(
    call: Call, cell: Any, labels: Labels, part: str = "", tensor_axis: int | None = -1
) -> np.ndarray:
    """Bind one cell's weights; returns the labels of its units."""
    gates = gates_of(cell)
    call.consume(cell.kernel, 0, labels, tensor_axis)
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

    def trace(self, call: Call) -> list[Layout]:
        units = trace_cell(call, call.op.cell, call.labels(-1))
        for which in call.given(1, "initial_state"):
            call.tie(units, call.labels(-1, which))
        return outputs(call.op, call, units)

    def recurrences(self, op: Any) -> tuple[Any, ...]:
        return (op,)

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        return {**config, "units": cut.size(op.cell.recurrent_kernel, 0)}

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        steps = in_shapes[0][1] or 1
        return 2 * steps * cell_values(op.cell)


def cell_values(cell: Any) -> int:
    """How many weights a cell multiplies with in a step."""
    return math.prod(cell.kernel.shape) + math.prod(cell.recurrent_kernel.shape)


@register
class Cells(Rule):
    """RNN around one cell of Keras or a stack of them: each cell has units of its own."""

    types = (keras.layers.RNN,)

    def trace(self, call: Call) -> list[Layout] | tuple[Layout, ...]:
        layer = call.op
        cells = cells_of(layer.cell)
        for cell in cells:
            if not gates_of(cell):
                return call.protect_all(
                    f"what its {type(cell).__name__} computes is not known: an LSTMCell, a GRUCell "
                    "or a SimpleRNNCell in its place would let units go"
                )
        states: list[np.ndarray] = []
        units: Labels = call.labels(-1)
        for number, cell in enumerate(cells):
            # What the cells after the first read is inside the layer: no tensor of the graph.
            part = str(number) if len(cells) > 1 else ""
            units = trace_cell(call, cell, units, part, None if number else -1)
            states += [units] * (2 if isinstance(cell, keras.layers.LSTMCell) else 1)
        for labels, which in zip(states, call.given(1, "initial_state"), strict=False):
            call.tie(labels, call.labels(-1, which))
        made = [units, *states][: len(call.out_shapes)]
        return [call.fixed_output(-1, labels, k) for k, labels in enumerate(made)]

    def recurrences(self, op: Any) -> tuple[Any, ...]:
        return (op,) if len(cells_of(op.cell)) == 1 and gates_of(op.cell) else ()

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        kept = dict(config["cell"])
        kept.pop("build_config", None)  # it holds the shapes of before
        if isinstance(op.cell, keras.layers.StackedRNNCells):
            inner = [dict(each) for each in kept["config"]["cells"]]
            kept["config"] = {**kept["config"], "cells": inner}
        else:
            inner = [kept]
        for each, cell in zip(inner, cells_of(op.cell), strict=True):
            each.pop("build_config", None)
            if gates_of(cell):
                each["config"] = {**each["config"], "units": cut.size(cell.recurrent_kernel, 0)}
        return {**config, "cell": kept}

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        known = [cell for cell in cells_of(op.cell) if gates_of(cell)]
        return 2 * (in_shapes[0][1] or 1) * sum(map(cell_values, known))


def cells_of(cell: Any) -> list[Any]:
    """The cells of a stack in their order, or the one cell."""
    return list(cell.cells) if isinstance(cell, keras.layers.StackedRNNCells) else [cell]


@register
class ConvLSTM(Rule):
    """A unit is a filter of every gate, and a channel of the recurrent kernel."""

    types = (keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D)

    def trace(self, call: Call) -> list[Layout]:
        cell, rank = call.op.cell, len(call.op.kernel_size)
        axis = -1 if call.op.data_format == "channels_last" else -1 - rank
        call.consume(cell.kernel, -2, call.only_axis(axis, "it runs along this axis"), axis)
        units = call.new_units(cell.filters)
        columns = np.tile(units, 4)
        units = call.produce(cell.kernel, -1, columns)[: cell.filters]
        call.produce(cell.recurrent_kernel, -1, columns)
        call.consume(cell.recurrent_kernel, -2, units, tensor_axis=None)
        if cell.use_bias:
            call.produce(cell.bias, 0, columns)
        for activation in (cell.activation, cell.recurrent_activation):
            apply_activation(call, activation, units)
        for which in call.given(1, "initial_state"):
            call.tie(units, call.labels(axis, which))
        return [call.fixed_output(axis, units, k) for k in range(len(call.out_shapes))]

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        return {**config, "filters": cut.size(op.cell.recurrent_kernel, -2)}

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        places = values(out_shapes[0]) // op.filters
        if op.return_sequences:
            places //= out_shapes[0][1] or 1
        return 2 * (in_shapes[0][1] or 1) * places * cell_values(op.cell)


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
        ahead = trace_cell(call, layer.forward_layer.cell, call.labels(-1), "forward")
        back = trace_cell(call, layer.backward_layer.cell, call.labels(-1), "backward")
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
