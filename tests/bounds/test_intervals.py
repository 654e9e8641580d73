"""Interval arithmetic holds to the last bit, checked in arbitrary precision."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paoding.bounds.compare import absolute, difference
from paoding.bounds.intervals import Interval, Twin, down, up
from paoding.bounds.maps import MatMul
from paoding.bounds.primitives import affine
from paoding.bounds.windows import Convolution
from paoding.layers.windows import windows_of

mpmath.mp.prec = 4000  # wide enough for sums of doubles to be exact

FINITE = st.floats(-1e150, 1e150)


def exactly(values: np.ndarray) -> list[mpmath.mpf]:
    return [mpmath.mpf(float(v)) for v in values]


@given(x=st.floats(-1e300, 1e300))
def test_up_and_down_step_over_the_neighbours(x: float) -> None:
    assert up(x) >= np.nextafter(x, np.inf)
    assert down(x) <= np.nextafter(x, -np.inf)
    assert float(up(x)) - x <= 4 * np.spacing(abs(x)) + 1e-300


@given(a=FINITE, b=FINITE, c=FINITE, d=FINITE, s=FINITE)
def test_sums_products_and_balls_hold_the_exact_result(
    a: float, b: float, c: float, d: float, s: float
) -> None:
    x, y = Interval.of(min(a, b), max(a, b)), Interval.of(min(c, d), max(c, d))

    def inside(bound: Interval, value: mpmath.mpf) -> bool:
        return mpmath.mpf(float(bound.lower)) <= value <= mpmath.mpf(float(bound.upper))

    p, q = mpmath.mpf(a), mpmath.mpf(c)
    assert inside(x + y, p + q)
    assert inside(x - y, p - q)
    assert inside(x.times(y), p * q)
    assert inside(x.scaled(s), p * mpmath.mpf(s))
    center, radius = x.center_radius()
    ball = Interval.around(center, radius)
    assert ball.lower <= x.lower and x.upper <= ball.upper


@pytest.mark.parametrize("degenerate", [True, False])
def test_products_of_badly_scaled_numbers_never_leave_their_bounds(degenerate: bool) -> None:
    """Cancelling sums over sixteen orders of magnitude: plain float64 fails at most of these."""
    rng = np.random.default_rng(int(degenerate))
    plain_fails = 0
    for _ in range(300):
        n = int(rng.integers(2, 40))
        x = rng.standard_normal(n) * 10.0 ** rng.integers(-8, 9, n)
        m = (rng.standard_normal((n, 1)) * 10.0 ** rng.integers(-8, 9, (n, 1))).astype(np.float32)
        x[-1] = -(x[:-1] @ m[:-1, 0].astype(np.float64)) / float(m[-1, 0])
        width = np.zeros(n) if degenerate else np.abs(x) * 1e-15
        box = Interval.of((x - width)[None], (x + width)[None])
        bound = affine([box], [MatMul(m)])
        ends = [
            mpmath.fsum(
                a * b
                for a, b in zip(
                    exactly(np.where((m[:, 0] > 0) == high, box.upper[0], box.lower[0])),
                    exactly(m[:, 0]),
                    strict=True,
                )
            )
            for high in (False, True)
        ]
        assert mpmath.mpf(float(bound.lower[0, 0])) <= ends[0]
        assert ends[1] <= mpmath.mpf(float(bound.upper[0, 0]))
        plain_fails += mpmath.mpf(float((x @ m.astype(np.float64))[0])) != ends[0]
    assert plain_fails > 150


@given(seed=st.integers(0, 2**32 - 1))
def test_an_adjoint_is_the_transpose_for_every_stride_padding_and_group(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = int(rng.choice([1, 2]))
    kernel = rng.normal(size=(*rng.integers(1, 4, 2), 2, 2 * groups))
    windows = windows_of(
        rng.integers(4, 8, 2),
        kernel.shape[:2],
        rng.integers(1, 3, 2),
        str(rng.choice(["same", "valid"])),
        rng.integers(1, 3, 2),
    )
    if min(windows.out) < 1:
        return
    linear = Convolution(kernel, windows, groups)
    x = rng.normal(size=(2, *windows.spatial, 2 * groups))
    y = rng.normal(size=(2, *windows.out, 2 * groups))
    left, right = (linear.forward(x) * y).sum(), (x * linear.adjoint(y)).sum()
    assert left == pytest.approx(right, rel=1e-9, abs=1e-9)


def test_a_large_matrix_in_blocks_is_the_same_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    kernel, x = rng.normal(size=(20, 30)).astype(np.float32), rng.normal(size=(4, 20))
    whole = MatMul(kernel)
    expected = whole.forward(x), whole.forward_abs(x), whole.adjoint(whole.forward(x))
    monkeypatch.setattr("paoding.bounds.maps.BLOCK_BYTES", 1000)
    blocks = MatMul(kernel)
    found = blocks.forward(x), blocks.forward_abs(x), blocks.adjoint(blocks.forward(x))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_the_difference_of_equal_maps_is_nothing() -> None:
    kernel = np.ones((3, 2), dtype=np.float32)
    assert difference(MatMul(kernel), MatMul(kernel.copy())) is None
    moved = difference(MatMul(kernel + 1), MatMul(kernel))
    assert moved is not None and (moved.forward(np.ones((1, 3))) == 3).all()
    assert (absolute(MatMul(-kernel)).forward(np.ones((1, 3))) == 3).all()


def test_a_twin_is_tightened_by_what_its_parts_say() -> None:
    twin = Twin(Interval.of(0.0, 1.0), Interval.of(0.0, 1.0), Interval.of(0.5, 9.0)).tightened()
    assert twin.change.lower >= 0.5 and twin.change.upper <= 1.0 + 1e-12
    assert twin.before.upper <= 0.5 + 1e-12 and twin.after.lower >= 0.5 - 1e-12
