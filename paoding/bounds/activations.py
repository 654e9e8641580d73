"""Bounds of activation functions: of their values, and of the change that a change makes.

Every rule is stated for real numbers in the class that it belongs to, and evaluated so that
rounding can only widen the result: arguments are moved outward by ``nextafter``, values by the
error that the library's function may have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import erf

from paoding.bounds.intervals import UNDERFLOW, Floats, Interval, Twin, down, up

Function = Callable[[Floats], Floats]

# Libraries promise a few units in the last place for exp, tanh and erf; tests against
# arbitrary precision find less than 4 for every function here.
_ULPS = 16 * 2.0**-53


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


def softmax(z: Interval) -> Interval:
    """Bounds of a softmax over the last axis."""
    if z.shape[-1] == 1:
        return Interval.point(np.ones(z.shape))
    return SIGMOID.interval(_margins(z))


def softmax_difference(twin: Twin) -> Interval:
    """The change of a softmax over the last axis.

    Each entry is a sigmoid of its margin ``z_k - LSE(z_j, j != k)``, and the change of the
    margin lies between the change of z_k and the extreme changes of the others.
    """
    twin = twin.tightened()
    change = twin.change
    if change.shape[-1] == 1:
        return Interval.point(np.zeros(change.shape))
    margin = Interval(
        down(change.lower - _others(np.maximum, change.upper)),
        up(change.upper - _others(np.minimum, change.lower)),
    )
    return SIGMOID.difference(Twin(_margins(twin.before), _margins(twin.after), margin))


def _margins(z: Interval) -> Interval:
    """Bounds of ``z_k - LSE(z_j, j != k)`` for each k on the last axis."""
    return Interval(
        down(z.lower - _lse_others(z.upper, 1.0)), up(z.upper - _lse_others(z.lower, -1.0))
    )


def _lse_others(z: Floats, side: float) -> Floats:
    """Log-sum-exp of all other entries of the last axis, moved up or down by its error."""
    peak = _others(np.maximum, z)
    total = z.max(axis=-1, keepdims=True)
    weights = np.exp(z - total)
    everything = weights.sum(axis=-1, keepdims=True)
    # Where z_k is not the peak, the rest still holds the peak's weight of 1: no cancellation.
    first = np.argmax(z, axis=-1)[..., None]
    at_peak = np.arange(z.shape[-1]) == first
    rest = np.where(at_peak, 1.0, everything - weights)
    result = total + np.log(np.maximum(rest, 1.0))
    without = np.where(at_peak, -np.inf, z)
    second = peak[at_peak].reshape(first.shape)
    own = second + np.log(np.exp(without - second).sum(axis=-1, keepdims=True))
    result = np.where(at_peak, own, result)
    error = (z.shape[-1] + 16) * 2.0**-52 * (1.0 + np.abs(total) + np.abs(second))
    return result + side * error


def _others(extreme: np.ufunc, z: Floats) -> Floats:
    """The largest (or least) of all other entries of the last axis."""
    order = z if extreme is np.maximum else -z
    first = np.argmax(order, axis=-1)[..., None]
    at_first = np.arange(z.shape[-1]) == first
    best = order.max(axis=-1, keepdims=True)
    second = np.where(at_first, -np.inf, order).max(axis=-1, keepdims=True)
    result = np.where(at_first, second, best)
    return result if extreme is np.maximum else -result


Ends = tuple[tuple[Floats, Floats], tuple[Floats, Floats], tuple[Floats, Floats]]


def _ends(twin: Twin) -> Ends:
    return (
        (twin.before.lower, twin.before.upper),
        (twin.after.lower, twin.after.upper),
        (twin.change.lower, twin.change.upper),
    )


def _sigmoid(z: Floats) -> Floats:
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def _softplus(z: Floats) -> Floats:
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def _elu(z: Floats, alpha: float = 1.0) -> Floats:
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0.0)))


def _squareplus(z: Floats) -> Floats:
    root = np.hypot(z, 2.0)  # on the left, x + root cancels: the other form does not
    return np.where(z >= 0, 0.5 * (z + root), 2.0 / (root - np.minimum(z, 0.0)))


def _silu_slope(z: Floats) -> Floats:
    s = _sigmoid(z)
    return s * (1.0 + z * (1.0 - s))


def _gelu(z: Floats) -> Floats:
    return 0.5 * z * (1.0 + erf(z * np.sqrt(0.5)))


def _gelu_slope(z: Floats) -> Floats:
    return 0.5 * (1.0 + erf(z * np.sqrt(0.5))) + z * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)


def _tanh_gelu_parts(z: Floats) -> tuple[Floats, Floats]:
    z = np.clip(z, -1e6, 1e6)  # beyond, tanh is 1 and the derivative's terms would overflow
    inner = np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)
    return np.tanh(inner), np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)


def _tanh_gelu(z: Floats) -> Floats:
    return 0.5 * z * (1.0 + _tanh_gelu_parts(z)[0])


def _tanh_gelu_slope(z: Floats) -> Floats:
    tanh, inner_slope = _tanh_gelu_parts(z)
    return 0.5 * (1.0 + tanh) + 0.5 * np.clip(z, -1e6, 1e6) * (1 - tanh * tanh) * inner_slope


def _hard_silu(z: Floats) -> Floats:
    return z * np.clip(z / 6.0 + 0.5, 0.0, 1.0)


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


def _at_least(least: float, slope: float = 0.0) -> Function:
    """A step function: ``slope`` below ``least``, 1 from there on."""
    return lambda z: np.where(z >= least, 1.0, slope)


def _between(low: float, high: float, slope: float = 1.0) -> Function:
    """``slope`` between two ends (included), 0 outside."""
    return lambda z: np.where((z >= low) & (z <= high), slope, 0.0)


LINEAR = Exact("linear", lambda z: z, derivative=np.ones_like, straight=True)
RELU = Convex(
    "relu",
    lambda z: np.maximum(z, 0.0),
    exact=True,
    derivative=_at_least(0.0),
    straight=True,
    homogeneous=True,
)
SIGMOID = SShaped("sigmoid", _sigmoid, slope=0.25, derivative=lambda z: _sigmoid(z) * _sigmoid(-z))
TANH = SShaped("tanh", np.tanh, derivative=lambda z: 1.0 - np.tanh(z) ** 2, odd=True)
SILU = Valley(
    "silu",
    lambda z: z * _sigmoid(z),
    slope=1.1,
    derivative=_silu_slope,
    minimum=-1.2784645427610738,
    turns=(-2.399357280520067, 2.399357280520067),
)
GELU = Valley(
    "gelu",
    _gelu,
    slope=1.13,
    noise=8 * 2.0**-53,  # 1 + erf cancels on the left
    derivative=_gelu_slope,
    minimum=-0.7517915246935645,
    turns=(-(2**0.5), 2**0.5),
)
TANH_GELU = Valley(
    "gelu_tanh",
    _tanh_gelu,
    slope=1.13,
    noise=8 * 2.0**-53,
    derivative=_tanh_gelu_slope,
    minimum=-0.7524614220710162,
    turns=(-1.4195234887675853, 1.4195234887675853),
)
HARD_SILU = HardSiLU("hard_silu", _hard_silu, slope=1.5, derivative=np.ones_like, minimum=-1.5)


# One function for the same numbers: what both networks apply is then known to be equal.
_same = lru_cache(maxsize=256)


@_same
def leaky_relu(slope: float) -> Activation | None:
    """ReLU with a slope of its own for negative values; None where that slope is negative."""
    if slope < 0:
        return None
    kind = Convex if slope <= 1 else Concave
    return kind(
        "leaky_relu",
        lambda z: np.where(z >= 0, z, slope * z),
        max(1.0, slope),
        derivative=_at_least(0.0, slope),
        straight=True,
        homogeneous=True,
    )


@_same
def elu(alpha: float) -> Activation | None:
    """ELU; convex while its slope does not jump down at zero."""
    if alpha < 0:
        return None
    kind = Convex if alpha <= 1 else Activation
    return kind("elu", lambda z: _elu(z, alpha), max(1.0, alpha), derivative=_elu_slope(alpha))


def _elu_slope(alpha: float) -> Function:
    return lambda z: np.where(z >= 0, 1.0, alpha * np.exp(np.minimum(z, 0.0)))


@_same
def clipped_relu(top: float) -> Activation:
    """ReLU up to a largest value, such as ReLU6; symmetric about half of it."""
    return SShaped(
        "relu6",
        lambda z: np.clip(z, 0.0, top),
        exact=True,
        derivative=_between(0.0, top),
        straight=True,
        center=0.5 * top,
    )


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805

_BY_NAME: dict[str, Activation] = {
    a.name: a
    for a in (
        LINEAR,
        RELU,
        SIGMOID,
        TANH,
        SILU,
        GELU,
        HARD_SILU,
        clipped_relu(6.0),
        Convex("softplus", _softplus, derivative=_sigmoid),
        Convex("squareplus", _squareplus, derivative=lambda z: 0.5 + 0.5 * z / np.hypot(z, 2.0)),
        Convex("exponential", np.exp, slope=np.inf, derivative=np.exp),
        Convex("celu", _elu, derivative=_elu_slope(1.0)),
        Convex("elu", _elu, derivative=_elu_slope(1.0)),
        Convex(
            "leaky_relu",
            lambda z: np.where(z >= 0, z, 0.2 * z),
            derivative=_at_least(0.0, 0.2),
            straight=True,
            homogeneous=True,
        ),
        Concave("log_sigmoid", lambda z: -_softplus(-z), derivative=lambda z: _sigmoid(-z)),
        SShaped(
            "hard_sigmoid",
            lambda z: np.clip(z / 6.0 + 0.5, 0.0, 1.0),
            slope=1 / 6 + 2**-54,
            derivative=_between(-3.0, 3.0, 1 / 6),
        ),
        SShaped(
            "hard_tanh",
            lambda z: np.clip(z, -1.0, 1.0),
            exact=True,
            derivative=_between(-1.0, 1.0),
            straight=True,
        ),
        SShaped(
            "softsign",
            lambda z: z / (1.0 + np.abs(z)),
            derivative=lambda z: 1.0 / (1.0 + np.abs(z)) ** 2,
        ),
        Activation(
            "selu", lambda z: _SELU_SCALE * _elu(z, _SELU_ALPHA), slope=_SELU_SCALE * _SELU_ALPHA
        ),
        Activation("soft_shrink", lambda z: np.sign(z) * np.maximum(np.abs(z) - 0.5, 0.0)),
        Activation("hard_shrink", lambda z: np.where(np.abs(z) > 0.5, z, 0.0), slope=np.inf),
        Activation("tanh_shrink", lambda z: z - np.tanh(z), noise=4 * 2.0**-53),
    )
}
_ALIASES = {"swish": "silu", "hard_swish": "hard_silu", "relu_6": "relu6", "exp": "exponential"}


def by_name(name: str) -> Activation | None:
    """The activation that Keras calls ``name``, None where there is no rule for it.

    >>> by_name("relu").interval(Interval.of(-1.0, 2.0)).upper >= 2.0
    np.True_
    """
    return _BY_NAME.get(_ALIASES.get(name, name))


@_same
def relu_layer(
    max_value: float | None, negative_slope: float, threshold: float
) -> Activation | None:
    """The ReLU layer with its options; None for a combination without a rule."""
    if threshold:
        return None
    if max_value is not None:
        return clipped_relu(float(max_value)) if not negative_slope else None
    if negative_slope:
        return leaky_relu(float(negative_slope))
    return replace(RELU)
