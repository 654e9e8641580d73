"""The few kinds of steps that every network is made of, and how each moves intervals.

A layer is lowered to a chain of these (``paoding.layers.algebra``); whatever bounds a network
does it for these steps only. Arrays have the batch (boxes or candidates) as leading axis and
broadcast over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from paoding.bounds.compare import difference
from paoding.bounds.curves import Activation
from paoding.bounds.intervals import UNDERFLOW, Floats, Interval, Twin, down, gamma, up
from paoding.bounds.maps import Map, Rearrange
from paoding.bounds.softmax import softmax, softmax_difference
from paoding.layers.windows import Windows

EVERYTHING = Interval.of(-np.inf, np.inf)


class Primitive:
    """One step of a network."""

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        """Bounds of the output for bounds of the inputs."""
        raise NotImplementedError

    def difference(self, after: Primitive, twins: Sequence[Twin]) -> Interval:
        """The change of the output; ``after`` is the same step with the new network's weights.

        The caller meets the result with the plain subtraction, so that a step without a rule
        of its own may say ``EVERYTHING``.
        """
        return EVERYTHING


def affine(
    inputs: Sequence[Interval], maps: Sequence[Map], bias: Interval | None = None
) -> Interval:
    """``sum of x @ M, plus bias``, rounded outward.

    The radius is ``(r + g (|c| + r)) @ |M| + g |b|`` with g the relative error of a sum as long
    as this one: one product more than plain center-radius arithmetic, and sound.
    """
    if len(maps) == 1 and not maps[0].terms and bias is None:  # only moves entries
        return Interval(maps[0].forward(inputs[0].lower), maps[0].forward(inputs[0].upper))
    terms = sum(max(m.terms, 1) for m in maps) + 1
    error = gamma(terms)
    center: Floats = np.zeros(())
    radius: Floats = np.full((), terms * UNDERFLOW)
    for x, linear in zip(inputs, maps, strict=True):
        c, r = x.center_radius()
        center = center + linear.forward(c)
        radius = radius + linear.forward_abs(r + error * (np.abs(c) + r))
    if bias is not None:
        c, r = bias.center_radius()
        center = center + c
        radius = radius + (r + error * (np.abs(c) + r))
    return Interval.around(center, radius)


@dataclass(frozen=True, eq=False)
class Correction:
    """What is known of ``y @ (V' - V)`` beyond the two weights, for one input of an affine step.

    Args:
        known: bounds of a part of it, per batch entry, in the shape of the output.
        rest: the map that is left, None for nothing.
        slack: a map with non-negative weights that bounds the rounding errors of ``rest``.
    """

    known: Interval | None
    rest: Map | None
    slack: Map | None = None

    def bound(self, y: Interval) -> Interval:
        """Bounds of the whole, for bounds of y."""
        total = Interval.point(np.zeros(())) if self.known is None else self.known
        if self.rest is not None:
            total = total + affine([y], [self.rest])
        if self.slack is not None:
            error = affine([Interval.point(y.magnitude)], [self.slack]).upper
            total = total + Interval(-error, error)
        return total


@dataclass(frozen=True, eq=False)
class Affine(Primitive):
    """A linear map of each input, summed, plus a bias.

    Args:
        maps: one per input.
        bias: broadcasts to one output sample; an interval, since some are computed; or None.
    """

    maps: tuple[Map, ...]
    bias: Interval | None = None

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return affine(inputs, self.maps, self.bias)

    def difference(
        self,
        after: Primitive,
        twins: Sequence[Twin],
        corrections: tuple[Sequence[Correction], Sequence[Correction]] | None = None,
    ) -> Interval:
        """``rho @ V' + y @ dV + dc`` met with ``rho @ V + y' @ dV + dc`` where dV is not zero.

        Args:
            after: the step of the new network.
            twins: the inputs in both networks.
            corrections: better knowledge of ``dV`` at the old and at the new inputs.
        """
        assert isinstance(after, Affine)
        changes = [t.change for t in twins]
        if corrections is None:
            try:
                rests = [difference(b, a) for a, b in zip(self.maps, after.maps, strict=True)]
            except NotImplementedError:
                return EVERYTHING
            plain = [Correction(None, rest) for rest in rests]
            corrections = (plain, plain)
        offset = self._offset(after)
        first = _total(corrections[0], [t.before for t in twins], offset)
        if all(change.is_zero for change in changes) and first is not None:
            return first  # the other form is the same sum
        moved = affine(changes, after.maps)
        if first is None:
            return moved
        result = moved + first
        second = _total(corrections[1], [t.after for t in twins], offset)
        assert second is not None
        return result.meet(affine(changes, self.maps) + second)

    def _offset(self, after: Affine) -> Interval | None:
        """The change of the bias, None for none."""
        if self.bias is None or after.bias is None:
            return None
        same = np.array_equal(self.bias.lower, after.bias.lower)
        if same and np.array_equal(self.bias.upper, after.bias.upper):
            return None
        return after.bias - self.bias


def _total(
    corrections: Sequence[Correction], inputs: Sequence[Interval], offset: Interval | None
) -> Interval | None:
    """The corrections of all inputs and the bias added up; None where nothing changes."""
    total = offset
    for correction, y in zip(corrections, inputs, strict=True):
        if correction.known is None and correction.rest is None and correction.slack is None:
            continue
        bound = correction.bound(y)
        total = bound if total is None else total + bound
    return total


@dataclass(frozen=True)
class Apply(Primitive):
    """A function of each entry by itself; equal where it is the same function."""

    kind: Activation

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return self.kind.interval(inputs[0])

    def difference(self, after: Primitive, twins: Sequence[Twin]) -> Interval:
        assert isinstance(after, Apply)
        return self.kind.difference(twins[0]) if after == self else EVERYTHING


@dataclass(frozen=True, eq=False)
class Softmax(Primitive):
    """A softmax over the last axis."""

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return softmax(inputs[0])

    def difference(self, after: Primitive, twins: Sequence[Twin]) -> Interval:
        return softmax_difference(twins[0])


@dataclass(frozen=True, eq=False)
class Largest(Primitive):
    """The largest of several entries, each given by a way to read it from the inputs."""

    def readings(self, arrays: Sequence[Floats], missing: float) -> list[Floats]:
        """The competing entries as arrays of the output's shape."""
        raise NotImplementedError

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        lows = self.readings([x.lower for x in inputs], -np.inf)
        highs = self.readings([x.upper for x in inputs], -np.inf)
        return Interval(np.maximum.reduce(lows), np.maximum.reduce(highs))

    def difference(self, after: Primitive, twins: Sequence[Twin]) -> Interval:
        """Only an entry that can win in the new network can raise the largest, and so on."""
        twins = [t.tightened() for t in twins]
        floor = np.maximum.reduce(self.readings([t.after.lower for t in twins], -np.inf))
        floor_before = np.maximum.reduce(self.readings([t.before.lower for t in twins], -np.inf))
        high: Floats = np.full((), -np.inf)
        low: Floats = np.full((), np.inf)
        every = zip(
            self.readings([t.after.upper for t in twins], -np.inf),
            self.readings([t.before.upper for t in twins], -np.inf),
            self.readings([_full(t.change.upper, t) for t in twins], -np.inf),
            self.readings([_full(t.change.lower, t) for t in twins], np.inf),
            strict=True,
        )
        for top, top_before, rise, fall in every:
            high = np.maximum(high, np.where(top >= floor, rise, -np.inf))
            low = np.minimum(low, np.where(top_before >= floor_before, fall, np.inf))
        return Interval(low, high)


def _full(values: Floats, twin: Twin) -> Floats:
    """Values at the shape of one sample (a zero change may be held as one number)."""
    shape = np.broadcast_shapes(values.shape[1:], twin.before.shape[1:])
    return np.broadcast_to(values, (len(values), *shape))


@dataclass(frozen=True, eq=False)
class MaxPool(Largest):
    """Max-pooling; padding never wins."""

    windows: Windows

    def readings(self, arrays: Sequence[Floats], missing: float) -> list[Floats]:
        padded = self.windows.padded(arrays[0], missing)
        return [padded[where] for _, where in self.windows.taps()]


@dataclass(frozen=True, eq=False)
class MaxOver(Largest):
    """The largest along axes (of a batch, so 1 is the first of a sample)."""

    axes: tuple[int, ...]
    keepdims: bool

    def readings(self, arrays: Sequence[Floats], missing: float) -> list[Floats]:
        moved = np.moveaxis(arrays[0], self.axes, range(len(self.axes)))
        flat = moved.reshape(-1, *moved.shape[len(self.axes) :])
        return [np.expand_dims(entry, self.axes) if self.keepdims else entry for entry in flat]


@dataclass(frozen=True, eq=False)
class Maximum(Largest):
    """The larger of several tensors, entry by entry."""

    def readings(self, arrays: Sequence[Floats], missing: float) -> list[Floats]:
        return list(arrays)


@dataclass(frozen=True, eq=False)
class Product(Primitive):
    """Two tensors multiplied entry by entry."""

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return inputs[0].times(inputs[1])

    def difference(self, after: Primitive, twins: Sequence[Twin]) -> Interval:
        """``a'b' - ab = a' db + b da``, and the other way round."""
        a, b = twins
        one = a.after.times(b.change) + b.before.times(a.change)
        two = b.after.times(a.change) + a.before.times(b.change)
        return one.meet(two)


@dataclass(frozen=True, eq=False)
class Quotient(Primitive):
    """A tensor divided by another one; no bound where that may be zero."""

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        top, bottom = inputs
        if not ((bottom.lower > 0) | (bottom.upper < 0)).all():
            return EVERYTHING
        ends = Interval(down(1.0 / bottom.upper), up(1.0 / bottom.lower))
        return top.times(ends)


@dataclass(frozen=True, eq=False)
class Step:
    """A primitive in its place: which values it reads and which one it makes.

    Args:
        primitive: what is done.
        inputs: numbers of the values that are read.
        output: number of the value that is made.
        node: the call in the graph that it belongs to.
    """

    primitive: Primitive
    inputs: tuple[int, ...]
    output: int
    node: int


@dataclass(frozen=True, eq=False)
class Program:
    """A network as steps over numbered values, in topological order.

    Args:
        steps: what is done.
        inputs, outputs: numbers of the values that are the model's.
        shapes: one sample's shape of each value.
        tensors: tensor of the graph -> value.
        names: name of each call in the graph, for messages.
        kernels: (step, input) -> number of the weight that the step's map is made of.
    """

    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    tensors: dict[int, int]
    names: tuple[str, ...]
    kernels: dict[tuple[int, int], int] = field(default_factory=dict)


def identity(shape: tuple[int, ...]) -> Rearrange:
    """The map that changes nothing."""
    return Rearrange(np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape), shape)


def score_values(program: Program) -> tuple[int, ...]:
    """The outputs before a final softmax or sigmoid: where changes can still be told apart."""
    made_by = {step.output: step for step in program.steps}
    found = []
    for value in program.outputs:
        step = made_by.get(value)
        squashed = step is not None and (
            isinstance(step.primitive, Softmax)
            or (isinstance(step.primitive, Apply) and step.primitive.kind.name == "sigmoid")
        )
        found.append(step.inputs[0] if squashed and step is not None else value)
    return tuple(found)
