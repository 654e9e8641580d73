"""Bounds of the difference of two channels of one tensor: what a merge really changes.

Merging unit j into unit i replaces ``y_j`` by ``y_i``. Subtracting the two units' intervals
would forget that both see the same input; here the difference itself is followed back to the
layer that makes the units, where it is ``x @ (w_i - w_j) + (b_i - b_j)``. Duplicates give 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from paoding.bounds.intervals import UNIT, Floats, Interval, Twin
from paoding.bounds.maps import Ints, Map, MatMul, Mean, Rearrange, Scale
from paoding.bounds.primitives import Affine, Apply, MaxOver, MaxPool, Program, affine
from paoding.bounds.windows import Convolution, Pool

_DEPTH = 32  # how far back a difference is followed; beyond, plain subtraction


@dataclass(frozen=True, eq=False)
class Couple:
    """Channels ``first`` and ``second`` of a tensor's last axis, each times a scale.

    Stands for ``scale_first * y[..., first] - scale_second * y[..., second]``.
    """

    first: Ints
    second: Ints
    scale_first: Floats
    scale_second: Floats

    @classmethod
    def of(cls, first: Ints, second: Ints) -> Couple:
        """Channels as they are."""
        ones = np.ones(len(first))
        return cls(np.asarray(first), np.asarray(second), ones, ones)

    @property
    def plain(self) -> bool:
        """Whether no scale is in play."""
        return bool((self.scale_first == 1).all() and (self.scale_second == 1).all())

    def take(self, values: Floats) -> Floats:
        """The scaled difference of exact values on the last axis."""
        return (
            self.scale_first * values[..., self.first]
            - self.scale_second * values[..., self.second]
        )

    def sizes(self, values: Floats) -> Floats:
        """The sum of the absolute values of what ``take`` subtracts."""
        a, b = np.abs(values[..., self.first]), np.abs(values[..., self.second])
        return np.abs(self.scale_first) * a + np.abs(self.scale_second) * b


@dataclass(frozen=True, eq=False)
class Paired:
    """Differences of channels in one network, for known bounds of all its values.

    Args:
        program: the network.
        values: bounds of each value (None where it is not known and not needed).
    """

    program: Program
    values: Sequence[Interval | None]

    @cached_property
    def _made_by(self) -> dict[int, int]:
        return {step.output: k for k, step in enumerate(self.program.steps)}

    def bound(self, value: int, couple: Couple, depth: int = 0) -> Interval:
        """Bounds of a couple's difference: the value's shape, its last axis now the couples."""
        plain = self._subtracted(value, couple)
        number = self._made_by.get(value)
        if number is None or depth > _DEPTH:
            return plain
        step = self.program.steps[number]
        better: Interval | None = None
        if isinstance(step.primitive, Affine):
            better = self._affine(step.primitive, step.inputs, couple, depth)
        elif isinstance(step.primitive, Apply):
            better = self._apply(step.primitive, step.inputs[0], couple, depth)
        elif isinstance(step.primitive, MaxPool | MaxOver):
            better = self._largest(step.primitive, step.inputs[0], couple, depth)
        return plain if better is None else plain.meet(better)

    def _known(self, value: int) -> Interval:
        known = self.values[value]
        assert known is not None, "bounds of this value were dropped too early"
        return known

    def _subtracted(self, value: int, couple: Couple) -> Interval:
        known = self._known(value)
        one, two = known[..., couple.first], known[..., couple.second]
        if not couple.plain:
            one, two = one.scaled(couple.scale_first), two.scaled(couple.scale_second)
        return one - two

    def _affine(
        self, step: Affine, inputs: tuple[int, ...], couple: Couple, depth: int
    ) -> Interval | None:
        parts = []
        for linear, x in zip(step.maps, inputs, strict=True):
            part = self._through(linear, x, couple, depth)
            if part is None:
                return None
            parts.append(part)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        offset = None if step.bias is None else self._bias(step.bias, couple)
        return total if offset is None else total + offset

    def _bias(self, bias: Interval, couple: Couple) -> Interval | None:
        if bias.shape and bias.shape[-1] > 1:
            one = bias[..., couple.first].scaled(couple.scale_first)
            two = bias[..., couple.second].scaled(couple.scale_second)
            return one - two
        one = bias.scaled(couple.scale_first)
        return one - bias.scaled(couple.scale_second)

    def _through(self, linear: Map, x: int, couple: Couple, depth: int) -> Interval | None:
        """The couple's difference behind one linear map."""
        if isinstance(linear, MatMul) or (isinstance(linear, Convolution) and linear.groups == 1):
            return self._columns(linear, x, couple)
        if isinstance(linear, Pool):
            return affine([self.bound(x, couple, depth + 1)], [linear])
        if isinstance(linear, Mean) and len(linear.in_shape) not in linear.axes:
            inner = self.bound(x, couple, depth + 1)
            return affine([inner], [replace(linear, in_shape=inner.shape[1:])])
        if isinstance(linear, Scale):
            return self._scaled(linear, x, couple, depth)
        if isinstance(linear, Rearrange):
            return self._rearranged(linear, x, couple, depth)
        return None

    def _columns(self, linear: MatMul | Convolution, x: int, couple: Couple) -> Interval:
        """One product with the differences of the weights' columns."""
        kernel: Floats = linear.kernel if couple.plain else linear.kernel.astype(np.float64)
        if couple.plain:
            columns = np.subtract(
                kernel[..., couple.first], kernel[..., couple.second], dtype=np.float64
            )
            return affine([self._known(x)], [replace(linear, kernel=columns)])
        moved = affine([self._known(x)], [replace(linear, kernel=couple.take(kernel))])
        # The scaled columns are rounded before they are subtracted.
        lost = replace(linear, kernel=4 * UNIT * couple.sizes(kernel))
        error = affine([Interval.point(self._known(x).magnitude)], [lost]).upper
        return moved + Interval(-error, error)

    def _scaled(self, linear: Scale, x: int, couple: Couple, depth: int) -> Interval | None:
        """Behind a factor per channel, the factors join the scales."""
        if linear.factor.ndim > 1:
            return None
        factor = np.broadcast_to(linear.factor, (self.program.shapes[x][-1],))
        new = replace(
            couple,
            scale_first=couple.scale_first * factor[couple.first],
            scale_second=couple.scale_second * factor[couple.second],
        )
        inner = self.bound(x, new, depth + 1)
        size = self._known(x).magnitude
        error = 4 * (linear.terms + 2) * UNIT * new.sizes(size)
        return inner + Interval(-error, error)

    def _rearranged(self, linear: Rearrange, x: int, couple: Couple, depth: int) -> Interval | None:
        """Behind moved entries: the same two channels of the input, at the same places."""
        channels = linear.in_shape[-1] if linear.in_shape else 1
        index = linear.index
        one, two = index[..., couple.first], index[..., couple.second]
        place = np.where(one >= 0, one // channels, -1)
        if (place != np.where(two >= 0, two // channels, -1)).any():
            return None
        first, second = one % channels, two % channels
        inside = place >= 0
        if not inside.any():
            return Interval.point(np.zeros((1, *one.shape)))
        # Each last-axis entry must be one couple of channels, wherever it lies.
        codes = np.where(inside, first * channels + second, -1)
        scales = np.broadcast_to(np.arange(len(couple.first)), one.shape)
        keys = np.stack([codes.ravel(), self._scale_codes(couple)[scales].ravel()], axis=1)
        unique, which = np.unique(keys[inside.ravel()], axis=0, return_inverse=True)
        example = np.zeros(len(unique), dtype=np.int64)
        example[which] = scales.ravel()[inside.ravel()]
        new = Couple(
            unique[:, 0] // channels,
            unique[:, 0] % channels,
            couple.scale_first[example],
            couple.scale_second[example],
        )
        inner = self.bound(x, new, depth + 1)
        count = len(unique)
        moved = np.full(one.size, -1, dtype=np.int64)
        moved[inside.ravel()] = place.ravel()[inside.ravel()] * count + which.ravel()
        gather = Rearrange(moved.reshape(one.shape), inner.shape[1:])
        return affine([inner], [gather])

    @staticmethod
    def _scale_codes(couple: Couple) -> Ints:
        """A number for each distinct pair of scales."""
        both = np.stack([couple.scale_first, couple.scale_second], axis=1)
        return np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)

    def _twin(self, x: int, couple: Couple, depth: int) -> Twin:
        """The two channels as before and after, where one function can be applied to both."""
        before = self._known(x)[..., couple.second]
        after = self._known(x)[..., couple.first]
        if not couple.plain:
            before = before.scaled(couple.scale_second)
            after = after.scaled(couple.scale_first)
        return Twin(before, after, self.bound(x, couple, depth + 1))

    def _apply(self, step: Apply, x: int, couple: Couple, depth: int) -> Interval | None:
        if step.kind.name == "prelu":
            return None  # each channel has a slope of its own
        if couple.plain:
            return step.kind.difference(self._twin(x, couple, depth))
        # s f(z) = f(s z) for s > 0 (ReLU), or for s of size 1 (tanh).
        moves_in = (step.kind.homogeneous and _positive(couple)) or (
            step.kind.odd and _unit(couple)
        )
        if moves_in:
            return step.kind.difference(self._twin(x, couple, depth))
        if (couple.scale_first == couple.scale_second).all():
            bare = Couple.of(couple.first, couple.second)
            return step.kind.difference(self._twin(x, bare, depth)).scaled(couple.scale_first)
        return None

    def _largest(
        self, step: MaxPool | MaxOver, x: int, couple: Couple, depth: int
    ) -> Interval | None:
        if isinstance(step, MaxOver) and len(self.program.shapes[x]) in step.axes:
            return None
        if not _positive(couple):
            return None
        return step.difference(step, [self._twin(x, couple, depth)])


def _positive(couple: Couple) -> bool:
    return bool((couple.scale_first > 0).all() and (couple.scale_second > 0).all())


def _unit(couple: Couple) -> bool:
    sizes = np.abs(couple.scale_first), np.abs(couple.scale_second)
    return bool((sizes[0] == 1).all() and (sizes[1] == 1).all())
