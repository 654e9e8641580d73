"""The fit of a layer is chosen on inputs that it was not made from."""

from __future__ import annotations

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import paoding
from paoding.compensation.least_squares import chosen_fit
from paoding.compensation.regression import RIDGE, ridge
from paoding.synthetic.judges import verdict


def rows_of(seed, n=400, k=6, noise=0.0):
    """Rows of three kinds alike; of the second kind of judges the relation is another."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, k))
    missing = rows @ rng.standard_normal((k, 3)) + noise * rng.standard_normal((n, 3))
    kinds = np.repeat([0, 1, 2], [n // 2, n // 4, n // 4])
    return rows, missing, kinds


def left(rows, missing, kinds, change, constant):
    """What is left of the error on each kind that judges."""
    rest = np.square(missing - rows @ change - constant)
    return [
        rest[kinds == k].sum() / np.square(missing[kinds == k]).sum()
        for k in sorted({*kinds} - {0})
    ]


def test_where_all_kinds_agree_the_ridge_is_what_it_was():
    rows, missing, kinds = rows_of(0)
    name, change, constant = chosen_fit(rows, missing, True, kinds)
    own = kinds <= 1
    wanted = ridge(rows[own], missing[own], True)
    assert name == f"ridge {RIDGE:g}"
    np.testing.assert_allclose(change, wanted[0], rtol=1e-9)
    np.testing.assert_allclose(constant, wanted[1], rtol=1e-9, atol=1e-12)


def test_where_another_kind_is_harmed_more_than_its_own_gains_nothing_is_fitted():
    rows, missing, kinds = rows_of(1, noise=6.0)  # on its own kind little can be explained
    missing[kinds == 2] *= -0.5
    name, change, _ = chosen_fit(rows, missing, False, kinds)
    assert name == "plain" and not change.any()


def test_few_rows_of_many_columns_call_for_a_stronger_ridge():
    rows, missing, kinds = rows_of(2, n=240, k=100, noise=10.0)
    name, _, _ = chosen_fit(rows, missing, True, kinds)
    assert name != f"ridge {RIDGE:g}"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 5), st.floats(0.1, 2), st.sampled_from([1, -1]))
def test_on_inputs_that_judge_a_fit_is_hardly_worse_than_plain_removal(seed, noise, size, sign):
    rows, missing, kinds = rows_of(seed, n=80, noise=noise)
    missing[kinds == 2] *= size * sign
    _, change, constant = chosen_fit(rows, missing, True, kinds)
    assert verdict(left(rows, missing, kinds, change, constant)) < 0.05


def test_the_report_says_which_fits_were_chosen_and_on_what():
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(6, 3, activation="relu"), layers.Flatten()]
    )
    model.add(layers.Dense(3))
    box = paoding.Box(0, 1)
    result = paoding.prune(model, target=0.5, step=0.5, samples=200, distil=0, domain=box)
    assert "chosen layer by layer on inputs held back and on dead-leaves, spectra" in result.prior
