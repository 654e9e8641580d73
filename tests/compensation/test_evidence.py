"""The fit of a layer is chosen on inputs that it was not made from."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import paoding
from paoding.compensation.evidence import chosen_fit
from paoding.compensation.heirs import same_place
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
    fit = chosen_fit(rows, missing, True, kinds)
    name, change, constant = fit.name, fit.change, fit.constant
    own = kinds <= 1
    wanted = ridge(rows[own], missing[own], True)
    assert name == f"ridge {RIDGE:g}"
    np.testing.assert_allclose(change, wanted[0], rtol=1e-9)
    np.testing.assert_allclose(constant, wanted[1], rtol=1e-9, atol=1e-12)


def test_where_another_kind_is_harmed_more_than_its_own_gains_nothing_is_fitted():
    rows, missing, kinds = rows_of(1, noise=6.0)  # on its own kind little can be explained
    missing[kinds == 2] *= -0.5
    fit = chosen_fit(rows, missing, False, kinds)
    assert fit.name == "plain" and not fit.change.any()


def test_few_rows_of_many_columns_call_for_a_stronger_ridge():
    rows, missing, kinds = rows_of(2, n=240, k=100, noise=10.0)
    assert chosen_fit(rows, missing, True, kinds).name != f"ridge {RIDGE:g}"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 5), st.floats(0.1, 2), st.sampled_from([1, -1]))
def test_on_inputs_that_judge_a_fit_is_hardly_worse_than_plain_removal(seed, noise, size, sign):
    rows, missing, kinds = rows_of(seed, n=80, noise=noise)
    missing[kinds == 2] *= size * sign
    fit = chosen_fit(rows, missing, True, kinds)
    assert verdict(left(rows, missing, kinds, fit.change, fit.constant)) < 0.05


def test_the_report_says_which_fits_were_chosen_and_on_what():
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(6, 3, activation="relu"), layers.Flatten()]
    )
    model.add(layers.Dense(3))
    box = paoding.Box(0, 1)
    result = paoding.prune(model, target=0.5, step=0.5, samples=200, distil=0, domain=box)
    assert "chosen layer by layer on inputs held back and on dead-leaves, spectra" in result.prior
    (fitted,) = result.fits
    assert fitted.layer == model.layers[-1].name and "ridge 0.001" in fitted.why
    for kind in ("held back", "dead-leaves", "spectra"):
        assert kind in fitted.why
    told = result.summary()
    assert told["fits"] == [{"layer": fitted.layer, "fit": fitted.fit, "why": fitted.why}]
    assert told["fitted_on"] == "data-free" and told["assumed"] is None


def test_a_simpler_way_is_taken_where_it_leaves_less_on_every_kind():
    rows, missing, kinds = rows_of(3, n=240, k=100, noise=10.0)
    right = np.ones((100, 3))
    missing = rows @ right + 0.1 * missing
    fit = chosen_fit(rows, missing, False, kinds, {"merge": lambda: (right, np.zeros(3))})
    assert fit.name == "merge" and (fit.change == right).all()
    assert set(fit.left) >= {"merge", "mean"} or any("mean" in name for name in fit.left)


def test_calibration_is_told_wherever_a_run_is_told(tmp_path):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, "relu"), layers.Dense(2)])
    x = np.random.default_rng(0).standard_normal((40, 6)).astype("float32")
    result = paoding.prune(model, target=0.5, step=0.5, calibration=x, distil=0)
    result.save(tmp_path / "run")
    for name in ("report.json", "report.html"):
        told = (tmp_path / "run" / name).read_text(encoding="utf-8").lower()
        assert "calibrated on 40 inputs" in told and "data-free" not in told
    assert "assumed to be 0 to 1" in result.assumed


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 6))
def test_every_column_finds_its_heir_at_its_own_place(seed, places, units):
    rng = np.random.default_rng(seed)
    columns = np.repeat(np.arange(units), places)[rng.permutation(units * places)]
    heir = rng.integers(-1, units, units)
    out = rng.choice(len(columns), rng.integers(0, len(columns) + 1), replace=False)
    rank = [int((columns[:at] == columns[at]).sum()) for at in range(len(columns))]
    for column, to in zip(out, same_place(columns, out, heir), strict=True):
        if heir[columns[column]] < 0:
            assert to == -1
        else:
            assert columns[to] == heir[columns[column]] and rank[to] == rank[column]


@pytest.mark.parametrize("normalized", [False, True])
def test_folding_parallel_units_loses_nothing(normalized):
    x = keras.Input((5,))
    y = layers.Dense(6, use_bias=not normalized)(x)
    y = layers.BatchNormalization(epsilon=1e-9)(y) if normalized else y
    model = keras.Model(x, layers.Dense(3)(layers.ReLU()(y)))
    for variable in model.variables:
        rng = np.random.default_rng(len(variable.path))
        value = rng.uniform(0.5, 1.5, variable.shape) * rng.choice([-1, 1], variable.shape)
        value = np.abs(value) if "variance" in variable.path else value
        made = ("dense" in variable.path and variable.shape[-1] == 6) or value.shape == (6,)
        if made:
            value[..., 3:] = value[..., :3]  # three pairs of the same units
        variable.assign(value)
    small = paoding.prune(model, target=0.5, step=0.5, strategy="saliency", compensation="folding")
    met = np.random.default_rng(1).standard_normal((50, 5))
    np.testing.assert_allclose(small.model(met), model(met), atol=1e-4)
    assert small.model.layers[1].units == 3
