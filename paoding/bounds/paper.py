"""The paper's own propagation, kept for comparison; it is no bound.

Source: arXiv 2204.00783, section IV-B: activations are applied to the change itself, and the first
layer's outputs are taken to lie where the inputs do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from paoding.bounds.intervals import Interval
from paoding.bounds.primitives import Affine, Apply, MaxOver, MaxPool, Primitive, Program, Step
from paoding.errors import BoundsError


def paper_values(program: Program, inputs: Sequence[Interval]) -> list[Interval]:
    """The paper's intervals of values: the first layer's outputs are taken to lie where the
    inputs do, later ones are propagated."""
    values: list[Interval | None] = [None] * len(program.shapes)
    low = min(float(box.lower.min()) for box in inputs)
    high = max(float(box.upper.max()) for box in inputs)
    for value, box in zip(program.inputs, inputs, strict=True):
        values[value] = box
    first = next(
        (k for k in range(len(program.steps)) if (k, 0) in program.kernels), len(program.steps)
    )
    for k, step in enumerate(program.steps):
        known = [v for i in step.inputs if (v := values[i]) is not None]
        after_first = k == first + 1 and step.inputs == (program.steps[first].output,)
        if k == first or (after_first and isinstance(step.primitive, Apply)):
            shape = (1, *program.shapes[step.output])
            values[step.output] = Interval(np.full(shape, low), np.full(shape, high))
        elif isinstance(step.primitive, Apply):
            values[step.output] = _on_the_change(step.primitive, known)
        else:
            values[step.output] = step.primitive.interval(known)
    return [value for value in values if value is not None]


def paper_changes(
    program: Program, downstream: Sequence[Step], starts: Mapping[int, Interval]
) -> dict[int, Interval]:
    """Changes carried on: what is done to values is done to the change itself.

    Args:
        program: the network.
        downstream: the steps on the way to the outputs, in order.
        starts: number of a reading step -> (C, *shape) change of what it computes.

    Returns:
        Value -> its change.

    Raises:
        BoundsError: the paper has no rule for a layer on the way.
    """
    changes = {program.steps[n].output: change for n, change in starts.items()}
    for step in downstream:
        primitive = step.primitive
        count = len(next(iter(changes.values())).lower)
        known = [
            changes.get(i) or Interval.point(np.zeros((count, *program.shapes[i])))
            for i in step.inputs
        ]
        if isinstance(primitive, Affine):
            change = Affine(primitive.maps).interval(known)
        else:
            change = _on_the_change(primitive, known)
        if step.output in changes:
            change = change + changes[step.output]
        changes[step.output] = change
    return changes


def _on_the_change(primitive: Primitive, known: Sequence[Interval]) -> Interval:
    """An activation applied to the change: ReLU gives (0, hi), others their own values."""
    if isinstance(primitive, Apply) and primitive.kind.name in ("relu", "relu6"):
        return Interval(np.zeros_like(known[0].upper), np.maximum(known[0].upper, 0.0))
    if isinstance(primitive, Apply | MaxPool | MaxOver):
        return primitive.interval(known)
    raise BoundsError("The paper's propagation has no rule for this layer.")
