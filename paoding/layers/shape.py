"""Layers that move axes: Flatten, Reshape, Permute, RepeatVector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from paoding.layers.algebra import Algebra, Value
from paoding.layers.base import Call, Cut, Layout, Rule, register
from paoding.layers.common import reshape, resized_target


@register
class Flatten(Rule):
    """Every place of a channel becomes an entry, and all of them go with the channel."""

    types = (keras.layers.Flatten,)

    def trace(self, call: Call) -> Layout:
        layout, shape = call.layout, call.in_shapes[0]
        if call.op.data_format == "channels_first" and len(shape) > 2:
            # Keras moves the channels last before it flattens: index (h*W + w)*C + c.
            layout = (layout[0], *layout[2:], layout[1])
            shape = (shape[0], *shape[2:], shape[1])
        return reshape(call, layout, shape, call.out_shapes[0])

    def scaling(self, op: Any) -> tuple[Any, Any]:
        return 1.0, 0.0

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        first = op.data_format == "channels_first" and len(inputs[0].shape) > 1
        return low.rearrange(
            inputs[0], lambda a: (np.moveaxis(a, 1, -1) if first else a).reshape(1, -1)
        )


@register
class Reshape(Rule):
    """Entries in row-major order, dealt out anew."""

    types = (keras.layers.Reshape,)

    def trace(self, call: Call) -> Layout:
        return reshape(call, call.layout, call.in_shapes[0], call.out_shapes[0])

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        target = resized_target(config["target_shape"], cut.out_shapes[0][1:])
        return {**config, "target_shape": target}

    def scaling(self, op: Any) -> tuple[Any, Any]:
        return 1.0, 0.0

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        target = op.compute_output_shape((1, *inputs[0].shape))[1:]
        return low.rearrange(inputs[0], lambda a: a.reshape(1, *target))


@register
class Permute(Rule):
    """Each axis takes its units along."""

    types = (keras.layers.Permute,)

    def trace(self, call: Call) -> Layout:
        return (call.layout[0], *(call.layout[axis] for axis in call.op.dims))

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        return low.rearrange(inputs[0], lambda a: a.transpose(0, *op.dims))


@register
class RepeatVector(Rule):
    """A new axis in front of the units."""

    types = (keras.layers.RepeatVector,)

    def trace(self, call: Call) -> Layout:
        return (call.layout[0], None, call.layout[1])

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        return low.rearrange(inputs[0], lambda a: np.repeat(a[:, None], op.n, axis=1))


def stacked(parts: list[np.ndarray | None], sizes: list[int]) -> np.ndarray | None:
    """Labels of axes laid end to end; parts without labels are fixed."""
    if all(part is None for part in parts):
        return None
    filled = [
        np.full(size, -1, dtype=np.int64) if part is None else part
        for part, size in zip(parts, sizes, strict=True)
    ]
    return np.concatenate(filled)
