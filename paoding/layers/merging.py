"""Layers that join branches: entry by entry, end to end, or by a product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from paoding.layers.algebra import Algebra, Value
from paoding.layers.base import Call, Layout, Rule, Shapes, register
from paoding.layers.common import broadcast, values
from paoding.layers.shape import stacked


@register
class EntryByEntry(Rule):
    """Tensors joined entry by entry: the same unit in every branch goes."""

    types = (
        keras.layers.Add,
        keras.layers.Subtract,
        keras.layers.Average,
        keras.layers.Maximum,
        keras.layers.Minimum,
        keras.layers.Multiply,
    )
    names = ("CustomScaleLayer",)  # InceptionResNetV2's `x + scale * branch`

    def trace(self, call: Call) -> Layout:
        rank = max(map(len, call.in_shapes))
        layouts, shapes = [], []
        for layout, shape in zip(call.layouts, call.in_shapes, strict=True):
            missing = rank - len(shape)  # Keras puts missing axes behind the batch
            layouts.append((layout[0], *(None,) * missing, *layout[1:]))
            shapes.append((shape[0], *(1,) * missing, *shape[1:]))
        return broadcast(call, layouts, shapes)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        kind = type(op).__name__
        first, *rest = inputs
        if kind == "Add":
            return low.add(inputs, [1.0] * len(inputs))
        if kind == "Subtract":
            return low.add(inputs, [1.0, -1.0])
        if kind == "Average":
            return low.add(inputs, [1.0 / len(inputs)] * len(inputs))
        if kind == "CustomScaleLayer":
            return low.add(inputs, [1.0, float(op.scale)])
        if kind == "Maximum":
            return low.maximum(inputs)
        if kind == "Minimum":
            return low.scale(low.maximum([low.scale(x, -1.0) for x in inputs]), -1.0)
        for other in rest:
            first = low.product(first, other)
        return first

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return (len(in_shapes) - 1) * values(out_shapes[0])


@register
class Concatenate(Rule):
    """Branches end to end: each keeps its own units."""

    types = (keras.layers.Concatenate,)

    def trace(self, call: Call) -> Layout:
        return concatenate(call, call.op.axis)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        axis = op.axis % (len(inputs[0].shape) + 1)
        return low.join(inputs, lambda parts: np.concatenate(parts, axis=axis))


def concatenate(call: Call, axis: int) -> Layout:
    """Labels end to end on ``axis``; on the other axes the branches are tied."""
    rank = len(call.in_shapes[0])
    axis %= rank
    out = list(call.layout)
    for other in range(rank):
        if other != axis:
            for layout in call.layouts[1:]:
                out[other] = call.tie(out[other], layout[other])
    sizes = [shape[axis] for shape in call.in_shapes]
    parts = [layout[axis] for layout in call.layouts]
    if None in sizes:
        for part in parts:
            call.protect(part, "it is concatenated along an axis of unknown length")
        out[axis] = None
    else:
        out[axis] = stacked(parts, [int(size) for size in sizes if size is not None])
    return tuple(out)


@register
class Dot(Rule):
    """A product of two branches, along axes that are then gone."""

    types = (keras.layers.Dot,)

    def trace(self, call: Call) -> Layout | tuple[Layout, ...]:
        """Contracted axes are tied; the axes that stay keep their units."""
        axes = call.op.axes
        a, b = (axes, axes) if isinstance(axes, int) else axes
        if call.op.normalize:
            return call.protect_all("a normalized dot product mixes the channels")
        first, second = call.layouts
        a, b = a % len(first), b % len(second)
        call.tie(first[a], second[b])
        # A contracted unit has no weights of its own that read it: it stays.
        call.protect(first[a], "it is contracted in a dot product")
        kept = [x for i, x in enumerate(first) if i != a]
        kept += [x for i, x in enumerate(second) if i not in (0, b)]
        return tuple(kept) if len(kept) > 1 else (kept[0], None)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        axis = op.axes if isinstance(op.axes, int) else op.axes[0]
        return 2 * values(out_shapes[0]) * (in_shapes[0][axis] or 1)
