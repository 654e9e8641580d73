"""Activation rules hold for every triple of intervals, checked in arbitrary precision."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paoding.bounds import activations
from paoding.bounds.curves import Activation, Valley
from paoding.bounds.intervals import Interval, Twin
from paoding.bounds.softmax import softmax, softmax_difference

mpmath.mp.prec = 200


def _gelu(z: mpmath.mpf) -> mpmath.mpf:
    return z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2


def _tanh_gelu(z: mpmath.mpf) -> mpmath.mpf:
    inner = mpmath.sqrt(2 / mpmath.pi) * (z + mpmath.mpf(0.044715) * z**3)
    return z * (1 + mpmath.tanh(inner)) / 2


def _softplus(z: mpmath.mpf) -> mpmath.mpf:
    return mpmath.log1p(mpmath.exp(z)) if z < 300 else z


def _elu(z: mpmath.mpf) -> mpmath.mpf:
    return z if z > 0 else mpmath.expm1(z)


def _clip(z: mpmath.mpf, low: float, high: float) -> mpmath.mpf:
    return max(mpmath.mpf(low), min(mpmath.mpf(high), z))


EXACT: dict[str, Callable[[mpmath.mpf], mpmath.mpf]] = {
    "linear": lambda z: z,
    "relu": lambda z: max(z, mpmath.mpf(0)),
    "relu6": lambda z: _clip(z, 0, 6),
    "leaky_relu": lambda z: z if z >= 0 else mpmath.mpf(0.2) * z,
    "elu": _elu,
    "celu": _elu,
    "selu": lambda z: (
        mpmath.mpf(1.0507009873554805)
        * (z if z > 0 else mpmath.mpf(1.6732632423543772) * mpmath.expm1(z))
    ),
    "softplus": _softplus,
    "squareplus": lambda z: (z + mpmath.sqrt(z * z + 4)) / 2,
    "log_sigmoid": lambda z: -_softplus(-z),
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "hard_sigmoid": lambda z: _clip(z / 6 + mpmath.mpf(0.5), 0, 1),
    "hard_tanh": lambda z: _clip(z, -1, 1),
    "softsign": lambda z: z / (1 + abs(z)),
    "tanh": mpmath.tanh,
    "silu": lambda z: z / (1 + mpmath.exp(-z)),
    "hard_silu": lambda z: z * _clip(z / 6 + mpmath.mpf(0.5), 0, 1),
    "gelu": _gelu,
    "gelu_tanh": _tanh_gelu,
    "soft_shrink": lambda z: mpmath.sign(z) * max(abs(z) - mpmath.mpf(0.5), mpmath.mpf(0)),
    "hard_shrink": lambda z: z if abs(z) > 0.5 else mpmath.mpf(0),
    "tanh_shrink": lambda z: z - mpmath.tanh(z),
}
STEEP = {"exponential": mpmath.exp}


def rule(name: str) -> Activation:
    found = activations.TANH_GELU if name == "gelu_tanh" else activations.by_name(name)
    assert found is not None
    return found


SIZES = st.sampled_from([0.0, 1e-300, 1e-9, 1e-3, 0.3, 1.0, 3.0, 10.0, 80.0, 1e6])
SIGNED = st.builds(lambda s, f: s * f, SIZES, st.floats(-1, 1))


@st.composite
def twins(draw: st.DrawFn) -> tuple[Twin, list[tuple[float, float]]]:
    """A triple of intervals, and pairs (z, z') that it allows."""
    center, shift = draw(SIGNED), draw(SIGNED)
    before = sorted([center, center + draw(SIGNED)])
    after = sorted([center + shift, center + shift + draw(SIGNED)])
    fractions = draw(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=4))
    points = [
        (
            float(np.clip(before[0] + a * (before[1] - before[0]), *before)),
            float(np.clip(after[0] + b * (after[1] - after[0]), *after)),
        )
        for a, b in [*fractions, (0, 0), (1, 1), (0, 1), (1, 0)]
    ]
    kept = points[: draw(st.integers(1, len(points)))]
    changes = [p[1] - p[0] for p in kept]
    change = Interval.of(np.nextafter(min(changes), -np.inf), np.nextafter(max(changes), np.inf))
    if draw(st.booleans()) and all(z == z2 for z, z2 in kept):
        change = Interval.point(0.0)
    return Twin(Interval.of(*before), Interval.of(*after), change), kept


def inside(bounds: Interval, value: mpmath.mpf) -> bool:
    return bool(mpmath.mpf(float(bounds.lower)) <= value <= mpmath.mpf(float(bounds.upper)))


@pytest.mark.parametrize("name", EXACT)
@settings(deadline=None, max_examples=60)
@given(case=twins())
def test_values_and_changes_never_leave_the_bounds(
    name: str, case: tuple[Twin, list[tuple[float, float]]]
) -> None:
    twin, points = case
    kind, exact = rule(name), EXACT[name]
    values, changes = kind.interval(twin.before), kind.difference(twin)
    for z, z2 in points:
        old, new = exact(mpmath.mpf(z)), exact(mpmath.mpf(z2))
        assert inside(values, old)
        assert inside(changes, new - old)


@given(z=st.floats(-700, 700))
def test_the_exponential_holds_without_a_largest_slope(z: float) -> None:
    kind = rule("exponential")
    twin = Twin(Interval.point(z), Interval.point(z - 1.0), Interval.of(-1 - 1e-12, -1 + 1e-12))
    change = mpmath.exp(mpmath.mpf(z - 1.0)) - mpmath.exp(mpmath.mpf(z))
    assert inside(kind.difference(twin), change)


@pytest.mark.parametrize("name", EXACT)
def test_no_change_of_the_argument_is_no_change_of_the_value(name: str) -> None:
    z = Interval.of([-3.0, -0.2, 1.0], [-1.0, 0.7, 9.0])
    change = rule(name).difference(Twin.same(z))
    assert np.abs(change.lower).max() < 1e-290 and np.abs(change.upper).max() < 1e-290


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "softplus", "elu", "sigmoid", "tanh"])
def test_the_rules_of_convex_and_s_shaped_functions_are_exact(name: str) -> None:
    """A dense grid of allowed pairs comes as close to the bound as the grid is fine."""
    rng = np.random.default_rng(3)
    kind = rule(name)
    for _ in range(40):
        z = np.sort(rng.normal(0, 2, 2))
        z2 = np.sort(z + rng.normal(0, 1, 2))
        change = np.sort(rng.uniform(z2[0] - z[1], z2[1] - z[0], 2))
        first, second = np.meshgrid(np.linspace(*z, 801), np.linspace(*change, 101))
        legal = (first + second >= z2[0]) & (first + second <= z2[1])
        if legal.mean() < 0.05:
            continue
        gains = (kind.function(first + second) - kind.function(first))[legal]
        bounds = kind.difference(Twin(Interval.of(*z), Interval.of(*z2), Interval.of(*change)))
        room = 0.02 * (bounds.width + np.ptp(z) + np.ptp(change))
        assert bounds.upper - gains.max() < room
        assert gains.min() - bounds.lower < room


@pytest.mark.parametrize("name", ["silu", "gelu", "gelu_tanh", "hard_silu"])
def test_slopes_stay_in_their_range_and_reach_it(name: str) -> None:
    kind = rule(name)
    assert isinstance(kind, Valley)
    rng = np.random.default_rng(5)
    for _ in range(200):
        low, high = np.sort(rng.normal(0, 3, 2))
        grid = np.linspace(low, high, 4001)
        values = kind.function(grid)
        slopes = np.diff(values) / np.diff(grid)
        found = kind.slopes(Interval.of(low, high))
        assert found.lower - 1e-6 <= slopes.min() and slopes.max() <= found.upper + 1e-6
        assert found.upper - slopes.max() < 0.01 and slopes.min() - found.lower < 0.01


def test_a_gelu_is_least_where_the_rule_says() -> None:
    for kind in (activations.GELU, activations.TANH_GELU, activations.SILU, activations.HARD_SILU):
        near = kind.minimum + np.linspace(-1e-3, 1e-3, 2001)
        assert kind.function(near).min() >= float(kind.below(np.asarray(kind.minimum)))


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 6), scale=SIZES)
def test_a_softmax_never_leaves_its_bounds(seed: int, size: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    low = scale * rng.normal(size=size)
    high = low + scale * rng.exponential(size=size) * rng.integers(0, 2, size)
    z = [rng.uniform(low, high) for _ in range(3)] + [low, high]
    move = 0.1 * scale * rng.normal(size=(5, size)) * rng.integers(0, 2, size)
    z2 = [a + b for a, b in zip(z, move, strict=True)]
    change = np.array([b - a for a, b in zip(z, z2, strict=True)])
    before = Interval.of(low, high)
    after = Interval.of(np.min(z2, axis=0), np.max(z2, axis=0))
    moved = Interval.of(
        np.nextafter(change.min(axis=0), -np.inf), np.nextafter(change.max(axis=0), np.inf)
    )
    values = softmax(before)
    changes = softmax_difference(Twin(before, after, moved))
    for a, b in zip(z, z2, strict=True):
        old, new = _softmax(a), _softmax(b)
        for k in range(size):
            assert inside(values[k], old[k])
            assert inside(changes[k], new[k] - old[k])


def _softmax(z: np.ndarray) -> list[mpmath.mpf]:
    weights = [mpmath.exp(mpmath.mpf(float(v)) - mpmath.mpf(float(z.max()))) for v in z]
    total = mpmath.fsum(weights)
    return [w / total for w in weights]


def test_an_unknown_activation_has_no_rule() -> None:
    assert activations.by_name("sparsemax") is None
    assert activations.relu_layer(None, 0.0, 1.0) is None
    assert activations.relu_layer(6.0, 0.1, 0.0) is None
    assert activations.leaky_relu(-0.1) is None and activations.elu(-1.0) is None


@pytest.mark.parametrize("slope", [0.01, 1.0, 2.5])
def test_a_leaky_relu_of_any_slope_is_exact_on_both_sides(slope: float) -> None:
    kind = activations.leaky_relu(slope)
    assert kind is not None
    twin = Twin(Interval.of(-1.0, 2.0), Interval.of(-2.0, 2.0), Interval.of(-1.0, 1.0))
    bounds = kind.difference(twin)
    z, d = np.meshgrid(np.linspace(-1, 2, 301), np.linspace(-1, 1, 201))
    legal = np.abs(z + d) <= 2
    gains = (kind.function(z + d) - kind.function(z))[legal]
    np.testing.assert_allclose([bounds.lower, bounds.upper], [gains.min(), gains.max()], rtol=1e-9)


def test_relu_layer_options_choose_the_right_rule() -> None:
    plain = activations.relu_layer(None, 0.0, 0.0)
    capped = activations.relu_layer(2.0, 0.0, 0.0)
    assert plain is not None and capped is not None
    wide = Interval.of(-1.0, 5.0)
    assert plain.interval(wide).upper >= 5 > 3 > capped.interval(wide).upper
