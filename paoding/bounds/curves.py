"""Bounds of a function of one value from its shape: convex, concave, S-shaped, a valley.

Every rule is stated for real numbers in the class that it belongs to, and evaluated so that
rounding can only widen the result: arguments are moved outward by ``nextafter``, values by the
error that the library's function may have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from paoding.bounds.intervals import UNDERFLOW, Floats, Interval, Twin, down, up

# Libraries promise a few units in the last place for exp, tanh and erf; tests against
# arbitrary precision find less than 4 for every function here.
_ULPS = 16 * 2.0**-53
Function = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Activation:
    """A function of each value by itself, with what the rules need to know about it.

    This base class knows only that the function never decreases: its bounds are the values at
    the ends, and the change is bounded by subtraction and by the largest slope.

    Args:
        name: the field's word for it.
        function: float64 array to float64 array.
        slope: the largest slope anywhere, infinite where there is none.
        noise: absolute error of ``function`` per unit of the argument's size, beside the
            relative error of a few units in the last place.
        exact: whether ``function`` never rounds (it only chooses, like ReLU).
        derivative: its slope, None where that is not known.
        straight: whether it is made of straight lines, so that the slope has no error.
        odd: whether ``f(-z) = -f(z)``.
        homogeneous: whether ``f(s z) = s f(z)`` for every s > 0.
    """

    name: str
    function: Function
    slope: float = 1.0
    noise: float = 0.0
    exact: bool = False
    derivative: Function | None = None
    straight: bool = False
    odd: bool = False
    homogeneous: bool = False

    def below(self, z: Floats) -> Floats:
        """A value that is surely not above the function at ``z``."""
        value = self._value(z)
        with np.errstate(invalid="ignore"):  # what has overflowed is told by whoever asked
            return value if self.exact else down(value - self._error(z, value))

    def above(self, z: Floats) -> Floats:
        """A value that is surely not below the function at ``z``."""
        value = self._value(z)
        return value if self.exact else up(value + self._error(z, value))

    def _value(self, z: Floats) -> Floats:
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(self.function(z), dtype=np.float64)

    def _error(self, z: Floats, value: Floats) -> Floats:
        return np.abs(value) * _ULPS + np.abs(z) * self.noise + UNDERFLOW

    def interval(self, z: Interval) -> Interval:
        """The values over an interval of arguments."""
        return Interval(self.below(z.lower), self.above(z.upper))

    def difference(self, twin: Twin) -> Interval:
        """The change of the value when the argument goes from ``before`` to ``after``."""
        twin = twin.tightened()
        return self._by_slope(twin.change).meet(self._rule(twin))

    def _rule(self, twin: Twin) -> Interval:
        """What the shape of the function says; of one that only rises, the subtraction."""
        return self._subtracted(twin)

    def _subtracted(self, twin: Twin) -> Interval:
        return self.interval(twin.after) - self.interval(twin.before)

    def _by_slope(self, change: Interval) -> Interval:
        """Mean value theorem for a function with slopes in [0, slope]; keeps zero at zero."""
        low, high = np.minimum(change.lower, 0.0), np.maximum(change.upper, 0.0)
        if not np.isfinite(self.slope):  # a jump: only no change at all is no change
            return Interval(np.where(low < 0, -np.inf, 0.0), np.where(high > 0, np.inf, 0.0))
        if self.slope == 1.0:
            return Interval(low, high)
        return Interval(down(low * self.slope), up(high * self.slope))

    def slopes(self, z: Interval) -> Interval:
        """The range of the slope of any chord over an interval."""
        if self.derivative is None:
            shape = z.shape
            return Interval(np.zeros(shape), np.full(shape, self.slope))
        low, high = self._slope_range(z)
        if self.straight:
            return Interval(low, high)
        # A slope's error is absolute: 1 - tanh ** 2 and the like.
        margin = 64 * 2.0**-53 * (1.0 + np.abs(high))
        return Interval(low - margin, high + margin)

    def _slope_range(self, z: Interval) -> tuple[Floats, Floats]:
        """Least and largest slope; of a function without known shape, anything it may be."""
        return np.zeros(z.shape), np.full(z.shape, self.slope)

    def _slope_at(self, z: Floats) -> Floats:
        assert self.derivative is not None
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(self.derivative(z), dtype=np.float64)

    def _gain_above(self, z: Floats, change: Floats) -> Floats:
        """Surely not below ``f(z + change) - f(z)``, for a function that never decreases."""
        return up(self.above(up(up(z + change))) - self.below(down(z)))

    def _gain_below(self, z: Floats, change: Floats) -> Floats:
        """Surely not above ``f(z) - f(z - change)``."""
        return down(self.below(down(z)) - self.above(up(up(z - change))))


@dataclass(frozen=True)
class Exact(Activation):
    """The identity, or a constant slope: changes pass through."""

    def interval(self, z: Interval) -> Interval:
        return z

    def difference(self, twin: Twin) -> Interval:
        return twin.tightened().change

    def _slope_range(self, z: Interval) -> tuple[Floats, Floats]:
        return np.ones(z.shape), np.ones(z.shape)


@dataclass(frozen=True)
class Convex(Activation):
    """Convex and never decreasing: ReLU, leaky ReLU, softplus, ELU.

    For a fixed change the gain grows with the argument, so its largest value is at one end of
    what the three intervals leave for the argument. Exact for these intervals.
    """

    def _rule(self, twin: Twin) -> Interval:
        (a, b), (a2, b2), (least, most) = _ends(twin)
        rising = np.minimum(b, up(b2 - most))
        falling = np.maximum(a, down(a2 - most))
        high = self._gain_above(np.where(most >= 0, rising, falling), most)
        rising = np.minimum(b2, up(b + least))
        falling = np.maximum(a2, down(a + least))
        low = self._gain_below(np.where(least <= 0, rising, falling), least)
        return Interval(low, high)

    def _slope_range(self, z: Interval) -> tuple[Floats, Floats]:
        return self._slope_at(z.lower), self._slope_at(z.upper)


@dataclass(frozen=True)
class Concave(Activation):
    """Concave and never decreasing, such as log-sigmoid: a convex function turned round."""

    def _rule(self, twin: Twin) -> Interval:
        turned = Convex(self.name, lambda z: -self.function(-z), self.slope, self.noise, self.exact)
        # g(z) = -f(-z) is convex, and f(z') - f(z) = g(-z) - g(-z').
        swapped = Twin(-twin.after, -twin.before, twin.change)
        return turned._rule(swapped)

    def _slope_range(self, z: Interval) -> tuple[Floats, Floats]:
        return self._slope_at(z.upper), self._slope_at(z.lower)


@dataclass(frozen=True)
class SShaped(Activation):
    """Never decreasing and symmetric about ``center``: sigmoid, tanh, ReLU6.

    The gain of a fixed change is largest where its two ends lie evenly about the center.
    """

    center: float = 0.0

    def _rule(self, twin: Twin) -> Interval:
        (a, b), (a2, b2), (least, most) = _ends(twin)
        high = self._highest(a, b, a2, b2, most)
        # The least change is minus the largest change with the two networks swapped.
        low = -self._highest(a2, b2, a, b, -least)
        return Interval(low, high)

    def _highest(self, a: Floats, b: Floats, a2: Floats, b2: Floats, most: Floats) -> Floats:
        first = np.maximum(a, down(a2 - most))
        last = np.maximum(first, np.minimum(b, up(b2 - most)))
        best = np.clip(self.center - 0.5 * most, first, last)
        at_best = self._gain_above(best, most)
        at_ends = np.maximum(self._gain_above(first, most), self._gain_above(last, most))
        return np.where(most >= 0, at_best, at_ends)

    def _slope_range(self, z: Interval) -> tuple[Floats, Floats]:
        left, right = self._slope_at(z.lower), self._slope_at(z.upper)
        inside = (z.lower <= self.center) & (z.upper >= self.center)
        peak = self._slope_at(np.asarray(self.center))
        high = np.where(inside, np.maximum(peak, np.maximum(left, right)), np.maximum(left, right))
        return np.minimum(left, right), high


@dataclass(frozen=True)
class Valley(Activation):
    """Falls to one minimum and then rises, with a slope of known shape: SiLU, GELU.

    Args:
        minimum: where the function is least, to double precision.
        turns: where the slope has its extremes; between them it is monotone.
    """

    minimum: float = 0.0
    turns: tuple[float, ...] = ()

    def interval(self, z: Interval) -> Interval:
        left, right = self._value(z.lower), self._value(z.upper)
        low = np.minimum(left - self._error(z.lower, left), right - self._error(z.upper, right))
        high = np.maximum(left + self._error(z.lower, left), right + self._error(z.upper, right))
        inside = (z.lower <= self.minimum) & (z.upper >= self.minimum)
        floor = float(self.below(np.asarray(self.minimum)))
        return Interval(down(np.where(inside, floor, low)), up(high))

    def difference(self, twin: Twin) -> Interval:
        twin = twin.tightened()
        hull = twin.before.hull(twin.after)
        return twin.change.times(self.slopes(hull)).meet(self._subtracted(twin))

    def _slope_range(self, z: Interval) -> tuple[Floats, Floats]:
        low, high = self._slope_at(z.lower), self._slope_at(z.upper)
        low, high = np.minimum(low, high), np.maximum(low, high)
        for turn in self.turns:
            inside = (z.lower <= turn) & (z.upper >= turn)
            extreme = self._slope_at(np.asarray(turn))
            low = np.where(inside, np.minimum(low, extreme), low)
            high = np.where(inside, np.maximum(high, extreme), high)
        return low, high


Ends = tuple[tuple[Floats, Floats], tuple[Floats, Floats], tuple[Floats, Floats]]


def _ends(twin: Twin) -> Ends:
    return (
        (twin.before.lower, twin.before.upper),
        (twin.after.lower, twin.after.upper),
        (twin.change.lower, twin.change.upper),
    )


@dataclass(frozen=True)
class HardSiLU(Valley):
    """``x * relu6(x + 3) / 6``: its slope jumps at -3 and 3 and is a straight line between."""

    def _slope_range(self, z: Interval) -> tuple[Floats, Floats]:
        low = np.where(z.upper >= 3, 1.0, np.inf)
        low = np.where(z.lower <= -3, 0.0, low)
        high = np.where(z.lower <= -3, 0.0, -np.inf)
        high = np.where(z.upper >= 3, 1.0, high)
        middle = (z.lower <= 3) & (z.upper >= -3)
        at_low = np.clip(z.lower, -3.0, 3.0) / 3.0 + 0.5
        at_high = np.clip(z.upper, -3.0, 3.0) / 3.0 + 0.5
        low = np.where(middle, np.minimum(low, at_low), low)
        high = np.where(middle, np.maximum(high, at_high), high)
        return low, high
