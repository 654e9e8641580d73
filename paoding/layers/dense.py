"""Dense, EinsumDense and Embedding: units are the columns of one matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from paoding.layers.algebra import Algebra, Value
from paoding.layers.base import Call, Cut, Labels, Layout, Linear, Rule, Shapes, register
from paoding.layers.common import apply_activation, is_linear, layer_flops, resized_target, values


@register
class Dense(Rule):
    """Columns of the kernel are units, rows read them."""

    types = (keras.layers.Dense,)

    def trace(self, call: Call) -> Layout:
        layer = call.op
        call.consume(layer.kernel, 0, call.labels(-1))
        units = call.produce(layer.kernel, 1, call.new_units(layer.units))
        if layer.use_bias:
            call.produce(layer.bias, 0, units)
        apply_activation(call, layer.activation, units)
        return call.replaced(-1, units)

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        return {**config, "units": cut.size(op.kernel, 1)}

    def linear(self, op: Any) -> Linear:
        return Linear(op.kernel, op.bias, plain=is_linear(op))

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        y = low.matmul(inputs[0], low.weight(op.kernel), low.weight(op.bias))
        return low.activation(y, op.activation)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return layer_flops(op, values(out_shapes[0]) * op.kernel.shape[0], out_shapes[0])


@register
class EinsumDense(Rule):
    """Every axis of the kernel that only the output has makes units."""

    types = (keras.layers.EinsumDense,)

    def trace(self, call: Call) -> Layout | tuple[Layout, ...]:
        layer = call.op
        source, kernel, target = letters(layer.equation, len(call.layout), len(call.out_shapes[0]))
        out: dict[str, Labels] = {
            x: call.layout[source.index(x)] for x in target if x in source and x not in kernel
        }
        for axis, x in enumerate(kernel):
            if x not in target:
                call.consume(layer.kernel, axis, call.layout[source.index(x)], source.index(x))
            elif x in source:
                out[x] = call.through(layer.kernel, axis, call.layout[source.index(x)])
            else:
                new = call.new_units(layer.kernel.shape[axis])
                part = x if sum(y in target and y not in source for y in kernel) > 1 else ""
                out[x] = call.produce(layer.kernel, axis, new, part)
        if layer.bias is not None:
            # The bias has its axes in the order of the output, size 1 where it broadcasts.
            names = target[len(target) - len(layer.bias.shape) :]
            for axis, x in enumerate(names):
                if layer.bias.shape[axis] != 1 and out.get(x) is not None:
                    call.produce(layer.bias, axis, out[x])
        for x in source:
            if x not in kernel and x not in target:
                call.protect(call.layout[source.index(x)], "it is summed over")
        for x in target:
            apply_activation(call, layer.activation, out.get(x))
        return tuple(out.get(x) for x in target)

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        old = config["output_shape"]
        old = list(old) if isinstance(old, (list, tuple)) else [old]
        return {**config, "output_shape": resized_target(old, cut.out_shapes[0][-len(old) :])}

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        shapes = in_shapes[0], op.kernel.shape
        indices = letters(op.equation, len(in_shapes[0]), len(out_shapes[0]))
        sizes = {
            x: n
            for names, shape in zip(indices, shapes, strict=False)
            for x, n in zip(names, shape, strict=False)
        }
        return layer_flops(op, math.prod(n or 1 for n in sizes.values()), out_shapes[0])


def letters(equation: str, in_rank: int, out_rank: int) -> tuple[str, str, str]:
    """The three index strings of ``equation``, an ellipsis spelled out with capital letters."""
    left, target = equation.replace(" ", "").split("->")
    source, kernel = left.split(",")
    if "..." in source:
        extra = "".join(chr(ord("A") + i) for i in range(in_rank - len(source) + 3))
        source, target = source.replace("...", extra), target.replace("...", extra)
    return source, kernel, target


@register
class Embedding(Rule):
    """The width of the table: each number of the code is a unit."""

    types = (keras.layers.Embedding,)

    def trace(self, call: Call) -> Layout:
        table = call.op.embeddings
        units = call.produce(table, 1, call.new_units(table.shape[1]))
        return call.fixed_output(-1, units)

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        return {**config, "output_dim": cut.size(op.embeddings, 1)}
