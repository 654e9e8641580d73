"""Bounds of every value of a network over a box of inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paoding.bounds.intervals import Interval
from paoding.bounds.primitives import Program, Step
from paoding.domain import Box
from paoding.domain.box import Domain, resolve
from paoding.errors import BoundsError


def input_intervals(program: Program, domain: Domain | None) -> list[Interval]:
    """The box of each input of the model, as a batch of one.

    Raises:
        DomainError: the domain does not fit the model's inputs.
    """
    shapes = [program.shapes[value] for value in program.inputs]
    boxes: Sequence[Box] = resolve(domain, shapes)
    return [Interval.of(box.lo[None], box.hi[None]) for box in boxes]


def forward(program: Program, inputs: Sequence[Interval]) -> list[Interval]:
    """Sound bounds of every value, step by step.

    Args:
        program: the network (``lower``).
        inputs: one interval per model input, each (B, *shape): B boxes at once.

    Returns:
        One interval per value of the program, in its order.

    Raises:
        BoundsError: a layer's bounds are not finite; the message names it.
    """
    values: list[Interval | None] = [None] * len(program.shapes)
    for number, box in zip(program.inputs, inputs, strict=True):
        values[number] = box
    for step in program.steps:
        known = [value for i in step.inputs if (value := values[i]) is not None]
        values[step.output] = checked(program, step, step.primitive.interval(known))
    return [value for value in values if value is not None]


def checked(program: Program, step: Step, bounds: Interval) -> Interval:
    """The bounds, if they are finite; else the error that names the layer."""
    if np.isfinite(bounds.lower).all() and np.isfinite(bounds.upper).all():
        return bounds
    raise BoundsError(
        f"No certificate: bounds at layer '{program.names[step.node]}' are not finite over the "
        "domain; try a smaller domain."
    )
