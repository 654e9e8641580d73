"""Intervals in double precision that are rounded outward, so that they hold to the last bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[Any]  # always float64; any shape

UNIT = 2.0**-53  # the unit roundoff of float64
_ULP = 2.0**-52  # at least one unit in the last place, relative to the number
_TINY = np.finfo(np.float64).tiny
# Products below the smallest normal number lose more than a relative error. One such loss per
# term, generously: libraries may also flush what is subnormal to zero.
UNDERFLOW = 1e-300


def up(x: ArrayLike) -> Floats:
    """A number above: covers one operation rounded to nearest.

    At least one unit in the last place away, at most two; several times quicker than
    ``nextafter``. Infinite arguments are not allowed.
    """
    exact = np.asarray(x, dtype=np.float64)
    step = np.abs(exact)
    step *= _ULP
    step += _TINY
    step += exact
    return step


def down(x: ArrayLike) -> Floats:
    """A number below: covers one operation rounded to nearest (see ``up``)."""
    exact = np.asarray(x, dtype=np.float64)
    step = np.abs(exact)
    step *= -_ULP
    step -= _TINY
    step += exact
    return step


def gamma(terms: int) -> float:
    """The relative error of a sum of products of ``terms`` terms, in any order of summation.

    Four roundings more than the terms themselves are allowed for: those of the radius, of a
    difference of weights and of the bias. Source: Higham, Accuracy and Stability of Numerical
    Algorithms, section 3.1.
    """
    n = terms + 4
    return n * UNIT / (1.0 - n * UNIT)


@dataclass(frozen=True)
class Interval:
    """An array of closed intervals: ``lower <= value <= upper``, entry by entry.

    The leading axis is the batch (boxes or candidates); two intervals broadcast like arrays.

    >>> Interval.of([0.0], [1.0]) - Interval.of([0.0], [2.0])
    Interval(lower=array([-2.]), upper=array([1.]))
    """

    lower: Floats
    upper: Floats

    @classmethod
    def of(cls, lower: ArrayLike, upper: ArrayLike) -> Interval:
        """An interval from anything that converts to float64 exactly."""
        return cls(np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64))

    @classmethod
    def point(cls, value: ArrayLike) -> Interval:
        """The interval that holds one known value."""
        exact = np.asarray(value, dtype=np.float64)
        return cls(exact, exact)

    @classmethod
    def around(cls, center: Floats, radius: Floats) -> Interval:
        """``center`` plus or minus ``radius``, rounded outward."""
        return cls(down(center - radius), up(center + radius))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array of intervals, batch axis first."""
        return np.broadcast_shapes(self.lower.shape, self.upper.shape)

    @property
    def width(self) -> Floats:
        """Upper minus lower."""
        return self.upper - self.lower

    @property
    def magnitude(self) -> Floats:
        """The largest absolute value inside."""
        return np.maximum(np.abs(self.lower), np.abs(self.upper))

    @property
    def is_zero(self) -> bool:
        """Whether every entry is exactly [0, 0]."""
        return not (self.lower.any() or self.upper.any())

    def center_radius(self) -> tuple[Floats, Floats]:
        """A center, and a radius rounded up so that the ball holds the interval."""
        center = 0.5 * self.lower + 0.5 * self.upper
        radius = np.maximum(center - self.lower, self.upper - center)
        # The center is rounded, so a point may miss it: nextafter alone would widen exact points.
        return center, np.where(radius > 0, up(radius), radius)

    def __add__(self, other: Interval) -> Interval:
        return Interval(down(self.lower + other.lower), up(self.upper + other.upper))

    def __sub__(self, other: Interval) -> Interval:
        return Interval(down(self.lower - other.upper), up(self.upper - other.lower))

    def __neg__(self) -> Interval:
        return Interval(-self.upper, -self.lower)

    def __getitem__(self, index: Any) -> Interval:
        return Interval(np.asarray(self.lower[index]), np.asarray(self.upper[index]))

    def scaled(self, factor: ArrayLike) -> Interval:
        """Every entry times a known factor of either sign."""
        by = np.asarray(factor, dtype=np.float64)
        one, two = self.lower * by, self.upper * by
        low, high = np.minimum(one, two), np.maximum(one, two)
        return Interval(down(low - UNDERFLOW), up(high + UNDERFLOW))

    def times(self, other: Interval) -> Interval:
        """The product of two intervals, entry by entry."""
        products = [
            self.lower * other.lower,
            self.lower * other.upper,
            self.upper * other.lower,
            self.upper * other.upper,
        ]
        low, high = np.minimum.reduce(products), np.maximum.reduce(products)
        return Interval(down(low - UNDERFLOW), up(high + UNDERFLOW))

    def meet(self, other: Interval) -> Interval:
        """Values inside both. Both hold the truth, so what is left does too."""
        return Interval(np.maximum(self.lower, other.lower), np.minimum(self.upper, other.upper))

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        return Interval(np.minimum(self.lower, other.lower), np.maximum(self.upper, other.upper))

    def reshape(self, *shape: int) -> Interval:
        """Both bounds in another shape."""
        full = np.broadcast_shapes(self.lower.shape, self.upper.shape)
        return Interval(
            np.broadcast_to(self.lower, full).reshape(*shape),
            np.broadcast_to(self.upper, full).reshape(*shape),
        )

    def holds(self, value: ArrayLike) -> bool:
        """Whether every value lies inside; for tests."""
        exact = np.asarray(value, dtype=np.float64)
        return bool(((self.lower <= exact) & (exact <= self.upper)).all())


@dataclass(frozen=True)
class Twin:
    """The same tensor in two networks: its values before and after, and the change between.

    The change is carried by itself, because subtracting ``after - before`` forgets that both
    networks saw the same input.
    """

    before: Interval
    after: Interval
    change: Interval

    @classmethod
    def same(cls, value: Interval) -> Twin:
        """A tensor that has not changed, such as the input."""
        return cls(value, value, Interval.point(np.zeros((1, *value.shape[1:]))))

    def tightened(self) -> Twin:
        """The change met with the plain subtraction, and each side with the other plus change."""
        change = self.change.meet(self.after - self.before)
        return Twin(
            self.before.meet(self.after - change), self.after.meet(self.before + change), change
        )
