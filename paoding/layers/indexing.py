"""Raw ``keras.ops`` nodes that pick, split, stack, repeat or reorder entries of axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from paoding.layers.base import Call, Cut, Labels, Layout, Rule, Shapes, register
from paoding.layers.common import channel_axis, values


@register
class GetItem(Rule):
    """Basic indexing: one of several equal parts of an axis is followed as ``split`` is.

    Axes that are kept whole keep their units; what is picked in any other way must not be cut.
    """

    names = ("GetItem",)

    def trace(self, call: Call) -> Layout | tuple[Layout, ...]:
        key = call.args[1] if len(call.args) > 1 else call.kwargs["key"]
        key = tuple(key) if isinstance(key, (list, tuple)) else (key,)
        if any(hasattr(part, "tensor") for part in key):
            return call.protect_all("its index is a tensor")
        if Ellipsis not in key:
            key = (*key, Ellipsis)
        taken = sum(part is not None and part is not Ellipsis for part in key)
        axes = iter(range(len(call.layout)))
        out: list[Any] = []
        for part in key:
            if part is None:
                out.append(None)
            elif part is Ellipsis:
                rest = len(call.layout) - taken
                out.extend(call.layout[next(axes)] for _ in range(rest))
            else:
                labels = call.layout[next(axes)]
                if isinstance(part, slice):
                    out.append(self._part(call, labels, part))
                else:
                    call.protect(labels, "a part of it is picked by number")
        return tuple(out)

    def _part(self, call: Call, labels: Labels, part: slice) -> Labels:
        if labels is None or part == slice(None):
            return labels
        start, stop, step = part.indices(len(labels))
        size = stop - start
        if step != 1 or size < 1 or len(labels) % size or start % size:
            call.protect(labels, "a part of it is picked by number")
            return None
        parts = np.split(labels, len(labels) // size)
        for other in parts[1:]:
            call.tie(parts[0], other)
        return parts[start // size]

    def rewire(self, made: Any, cut: Cut) -> Any:
        """The same entries have other numbers where some before them have gone."""

        def call(x: Any, key: Any) -> Any:
            parts = key if isinstance(key, (list, tuple)) else (key,)
            return made(x, tuple(_renumbered(parts, cut.kept[0])))

        return call


def _renumbered(key: Sequence[Any], kept: Sequence[np.ndarray | None]) -> Iterator[Any]:
    """The parts of a key, slices in the numbers of what is left: ``kept`` has a mask an axis."""
    taken = sum(part is not None and part is not Ellipsis for part in key)
    axis = 0
    for part in key:
        mask = None
        if part is Ellipsis:
            axis += len(kept) - taken
        elif part is not None:
            mask = kept[axis]
            axis += 1
        if mask is not None and isinstance(part, slice) and part != slice(None):
            start, stop, _ = part.indices(len(mask))
            part = slice(int(mask[:start].sum()), int(mask[:stop].sum()))
        yield part


@register
class Split(Rule):
    """Equal parts lose the same units; unequal parts of an axis with units keep them all."""

    names = ("Split",)

    def trace(self, call: Call) -> list[Layout]:
        axis = call.op.axis % len(call.layout)
        labels, count = call.layout[axis], len(call.out_shapes)
        if labels is not None and isinstance(call.op.indices_or_sections, int):
            parts = np.split(labels, count)
            for other in parts[1:]:
                call.tie(parts[0], other)
            return [call.replaced(axis, part) for part in parts]
        call.protect(labels, "it is split by number")
        return [call.replaced(axis, None) for _ in range(count)]


@register
class Stack(Rule):
    """Tensors side by side on a new axis; units that meet go together."""

    names = ("Stack",)

    def trace(self, call: Call) -> Layout:
        out = list(call.layout)
        for layout in call.layouts[1:]:
            out = [call.tie(a, b) for a, b in zip(out, layout, strict=True)]
        out.insert(call.op.axis % (len(out) + 1), None)
        return tuple(out)


@register
class Shuffle(Rule):
    """``flip`` and ``roll``: a flipped axis takes its units along, a rolled one keeps them."""

    names = ("Flip", "Roll")

    def trace(self, call: Call) -> Layout:
        axes = call.op.axis
        axes = range(len(call.layout)) if axes is None else np.atleast_1d(axes)
        out = list(call.layout)
        for axis in axes:
            labels = out[axis]
            if call.kind == "Flip":
                out[axis] = None if labels is None else labels[::-1].copy()
            else:
                call.protect(labels, "it is rolled by a fixed number of places")
                out[axis] = None
        return tuple(out)


@register
class Repeat(Rule):
    """Entries repeated a fixed number of times, one after the other."""

    names = ("Repeat",)

    def trace(self, call: Call) -> Layout | tuple[Layout, ...]:
        times, axis = call.op.repeats, call.op.axis
        if axis is None or not isinstance(times, int):
            return call.protect_all("it is repeated along several axes")
        labels = call.layout[axis]
        return call.replaced(axis, None if labels is None else np.repeat(labels, times))


@register
class Tile(Rule):
    """Whole axes repeated end to end."""

    names = ("Tile",)

    def trace(self, call: Call) -> Layout:
        times = np.atleast_1d(call.op.repeats).tolist()
        rank = max(len(times), len(call.layout))
        layout = (*(None,) * (rank - len(call.layout)), *call.layout)
        times = [1] * (rank - len(times)) + times
        return tuple(
            None if labels is None else np.tile(labels, n)
            for labels, n in zip(layout, times, strict=True)
        )


@register
class MoveAxes(Rule):
    """``moveaxis`` and ``swapaxes``: each axis keeps its units at its new place."""

    names = ("Moveaxis", "Swapaxes")

    def trace(self, call: Call) -> Layout:
        order = np.empty((1,) * len(call.layout))  # numpy moves the axes of a stand-in
        stand_in = np.lib.stride_tricks.as_strided(
            order, shape=tuple(range(1, len(call.layout) + 1)), strides=(0,) * len(call.layout)
        )
        op = call.op
        if call.kind == "Moveaxis":
            moved = np.moveaxis(stand_in, op.source, op.destination)
        else:
            moved = np.swapaxes(stand_in, op.axis1, op.axis2)
        return tuple(call.layout[size - 1] for size in moved.shape)


@register
class Pool(Rule):
    """Pooling as an operation: each channel's own picture."""

    names = ("MaxPool", "AveragePool", "AdaptiveMaxPool", "AdaptiveAveragePool")

    def trace(self, call: Call) -> Layout:
        data_format = call.op.data_format or keras.config.image_data_format()
        axis = channel_axis(data_format, len(call.layout))
        return call.fixed_output(axis, call.only_axis(axis))

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return values(in_shapes[0])


@register
class Matmul(Rule):
    """A product of two tensors: what is summed over stays, rows and columns keep their units."""

    names = ("Matmul",)

    def trace(self, call: Call) -> Layout | tuple[Layout, ...]:
        ranks = {len(layout) for layout in call.layouts}
        if len(call.layouts) != 2 or len(ranks) != 1 or min(ranks) < 3:
            return call.protect_all("a matrix product reads it")
        first, second = call.layouts
        for labels in (first[-1], second[-2]):
            call.protect(labels, "it is summed over in a matrix product")
        batch: Sequence[Any] = [
            call.tie(a, b) for a, b in zip(first[:-2], second[:-2], strict=True)
        ]
        return (*batch, first[-2], second[-1])

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return 2 * values(out_shapes[0]) * (in_shapes[0][-1] or 1)
