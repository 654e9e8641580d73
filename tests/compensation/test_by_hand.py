"""Every compensation against cases small enough to solve by hand, and equalities by Hypothesis."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import paoding
from paoding.compensation import get
from paoding.compensation.consumers import consumers_of
from paoding.compensation.regression import ridge
from paoding.compensation.sensitivity import SensitivityStats, sensitivity_of
from paoding.compensation.study import study_of
from paoding.compensation.surgeon import Surgeon, SurgeonRanking, Trail
from paoding.domain import Box
from paoding.graph import trace
from paoding.layers.windows import windows_of
from paoding.plan import Removal
from paoding.pruning.context import RunContext
from paoding.pruning.settings import Settings


def positive(rng, n):
    return rng.uniform(0.1, 1.0, (n, 3)).astype("float32")


def network(second):
    """Two inputs' worth of ReLU units: unit 1 is ``second`` times unit 0; unit 2 is by itself."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(3, "relu", name="hidden"),
            layers.Dense(2, name="scores"),
        ]
    )
    kernel = np.array([[1.0, second, 0.0], [0.5, 0.5 * second, 0.0], [0.0, 0.0, 1.0]], "float32")
    out = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]], "float32")
    model.set_weights([kernel, np.zeros(3, "f4"), out, np.array([0.1, 0.2], "f4")])
    return model


def after(model, name, removals, **options):
    graph = trace(model)
    boxes = tuple(Box(0, 1).fit((3,)) for _ in range(1))
    work = RunContext(graph, boxes, Settings(prior=positive, samples=512, **options))
    state = get(name).apply(work, graph.original, removals)
    return [state.values[graph.number(v)] for v in model.weights], work


@pytest.mark.parametrize("name", ["least-squares", "scaled-merge"])
def test_a_parallel_unit_is_taken_over_to_scale(name):
    model = network(3.0)
    method = "least-squares" if name == "least-squares" else "scaled-merge"
    (_, _, out, bias), _ = after(model, name, [Removal("hidden", 1, 0, method)])
    assert np.allclose(out[0], [1 + 3 * 3.0, 2 - 3 * 1.0], rtol=5e-3)
    assert np.allclose(out[1], 0)
    assert np.allclose(out[2], [0.5, 0.5], atol=2e-2)
    assert np.allclose(bias, [0.1, 0.2], atol=2e-2)


def test_merge_adds_the_weights_as_they_are_and_none_leaves_the_rest_alone():
    model = network(3.0)
    (_, _, out, bias), _ = after(model, "merge", [Removal("hidden", 1, 0, "merge")])
    assert np.array_equal(out, np.array([[4.0, 1.0], [0, 0], [0.5, 0.5]], "f4"))
    (_, _, out, bias), _ = after(model, "none", [Removal("hidden", 1)])
    assert np.array_equal(out, np.array([[1.0, 2.0], [0, 0], [0.5, 0.5]], "f4"))
    assert np.array_equal(bias, np.array([0.1, 0.2], "f4"))


def test_mean_folds_the_mean_of_what_goes_into_the_bias():
    model = network(3.0)
    (_, _, out, bias), work = after(model, "mean", [Removal("hidden", 2, None, "mean")])
    x = study_of(work).frontier
    hidden = next(iter(x.values()))
    assert hidden.shape == (512, 3)
    expected = np.array([0.1, 0.2]) + hidden[:, 2].mean() * np.array([0.5, 0.5])
    assert np.allclose(bias, expected, atol=1e-5)
    assert np.allclose(out, [[1, 2], [3, -1], [0, 0]])


def test_the_constant_goes_into_the_next_batch_norm_where_there_is_no_bias():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(3, "relu", name="hidden"),
            layers.Dense(4, use_bias=False, name="bare"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(1, name="score"),
        ]
    )
    out = np.arange(12, dtype="f4").reshape(3, 4)
    model.get_layer("hidden").set_weights([np.eye(3, dtype="f4"), np.array([0, 0, 5.0], "f4")])
    model.get_layer("bare").set_weights([out])
    graph = trace(model)
    work = RunContext(graph, (Box(0, 1).fit((3,)),), Settings(prior=positive, samples=256))
    state = get("mean").apply(work, graph.original, [Removal("hidden", 2, None, "mean")])
    mean = state.values[graph.number(model.get_layer("norm").moving_mean)]
    hidden = positive(np.random.default_rng([0, 0x5EED]), 256)[:, 2] + 5
    assert np.allclose(mean, -hidden.mean() * out[2], rtol=1e-4)


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=20, deadline=None)
def test_ridge_solves_the_normal_equations_among_rows_or_columns(seed, centred):
    rng = np.random.default_rng(seed)
    rows, residual = rng.standard_normal((9, 4)), rng.standard_normal((9, 2))
    change, constant = ridge(rows, residual, centred, 0.1)
    level = 0.1 * ((rows - rows.mean(0) * centred) ** 2).mean(0).mean()
    # The gradient of the penalized mean square is zero.
    left = residual - rows @ change - constant
    assert np.allclose(rows.T @ left / 9, level * change, atol=1e-9) or centred
    if centred:
        assert np.allclose(left.mean(axis=0), 0, atol=1e-9)
        assert np.allclose((rows - rows.mean(0)).T @ left / 9, level * change, atol=1e-9)


def test_the_dual_solution_equals_the_primal_one(monkeypatch):
    from paoding.compensation import regression

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((20, 50)).astype("f4")
    residual = rng.standard_normal((20, 3))
    primal = ridge(rows, residual, True, 0.01)
    monkeypatch.setattr(regression, "DUAL", 10)
    dual = ridge(rows, residual, True, 0.01)
    assert np.allclose(primal[0], dual[0], atol=1e-4)
    assert np.allclose(primal[1], dual[1], atol=1e-4)


def _view(seed, n=5):
    rng = np.random.default_rng(seed)
    y, v = rng.standard_normal((40, n)) @ rng.standard_normal((n, n)), rng.standard_normal((n, 3))
    y -= y.mean(axis=0)
    return y, v, SensitivityStats(np.zeros(n), y.T @ y / 40, v @ v.T, 0, True)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_cost_of_a_unit_is_what_least_squares_cannot_restore(seed):
    y, v, view = _view(seed)
    costs = Surgeon(view, np.ones(5, bool)).costs()
    for p in range(5):
        rest = np.delete(np.arange(5), p)
        level = 1e-3 * np.trace(view.second) / 5
        square = view.second + level * np.eye(5)
        fitted = np.linalg.solve(square[np.ix_(rest, rest)], square[rest, p])
        left = np.outer(y[:, p] - y[:, rest] @ fitted, v[p])
        penalty = level * (1 + fitted @ fitted) * (v[p] @ v[p])
        assert np.isclose(costs[p], (left**2).sum() / 40 + penalty, rtol=1e-6)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_updates_after_removals_equal_a_fresh_start(seed):
    _, _, view = _view(seed)
    stepwise = Surgeon(view, np.ones(5, bool))
    stepwise.remove([3])
    stepwise.remove([0])
    fresh = Surgeon(view, np.array([False, True, True, False, True]))
    assert np.allclose(stepwise.costs(), fresh.costs(), rtol=1e-6)
    assert np.allclose(stepwise.spread(), fresh.spread(), rtol=1e-5)
    units = np.arange(5)
    assert np.array_equal(stepwise.takers(units), fresh.takers(units))
    compact = stepwise.copy()
    compact.remove([1])
    stepwise.remove([1])
    assert np.allclose(stepwise.costs(), compact.costs(), rtol=1e-9)


def test_a_copy_goes_first_and_into_its_twin():
    y, v, _ = _view(1)
    y[:, 4] = y[:, 2]
    view = SensitivityStats(np.zeros(5), y.T @ y / 40, v @ v.T, 0, True)
    ranking = SurgeonRanking.of([view], np.ones(5, bool), np.ones(5, bool))
    first = int(ranking.order()[0])
    assert first in (2, 4)
    assert ranking.take(first, once=False) == 6 - first


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (3, 1)])
def test_patches_times_kernel_are_the_convolution(padding, stride, dilation):
    model = keras.Sequential(
        [
            keras.Input((9, 8, 2)),
            layers.Conv2D(3, 1, name="makes"),
            layers.Conv2D(4, (3, 2), stride, padding, dilation_rate=dilation, name="reads"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    graph = trace(model)
    consumer = consumers_of(graph)[0]
    x = np.random.default_rng(0).standard_normal((2, 9, 8, 3)).astype("f4")
    layer = model.get_layer("reads")
    expected = np.asarray(layer(x)).reshape(-1, 4)
    kernel = consumer.matrix(np.asarray(layer.kernel))
    assert np.allclose(consumer.rows(x, None) @ kernel + layer.bias.numpy(), expected, atol=1e-5)
    some = np.array([0, 3])
    every = consumer.rows(x, None).reshape(2, -1, kernel.shape[0])
    assert np.array_equal(consumer.rows(x, some), every[:, some].reshape(4, -1))


def test_causal_padding_looks_only_back():
    windows = windows_of((6,), (3,), (1,), "causal", (2,))
    assert windows.out == (6,) and windows.pads == ((4, 0),)


def test_the_original_model_is_never_changed():
    model = network(3.0)
    before = [w.copy() for w in model.get_weights()]
    paoding.prune(model, target=0.3, step=0.3, strategy="saliency", prior=positive)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_sensitivity_of_a_linear_head_is_its_weights():
    model = network(3.0)
    graph = trace(model)
    work = RunContext(graph, (Box(0, 1).fit((3,)),), Settings(prior=positive, samples=64))
    (view,) = sensitivity_of(study_of(work), graph.by_name["hidden"])
    out = np.asarray(model.get_layer("scores").kernel)
    assert np.allclose(view.weight, out @ out.T, atol=1.0, rtol=0.2)


def test_a_covariance_that_rounding_left_indefinite_is_still_solved() -> None:
    from paoding.compensation.regression import solve_positive

    square = np.array([[1.0, 1.0], [1.0, 1.0 - 1e-6]])
    found = solve_positive(square, np.array([[1.0], [1.0]]), 1e-12)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(square @ found, [[1.0], [1.0]], atol=1e-3)


def test_units_that_hardly_vary_about_a_large_mean_keep_their_variance() -> None:
    from paoding.compensation.sensitivity import RunningSums

    y = (1e4 + np.random.default_rng(0).normal(size=(4000, 3))).astype("float32")
    total = RunningSums(3, 1.0)
    for part in np.split(y, 4):
        total.add(part, [])
    away = total.first / total.rows
    second = total.second / total.rows - np.outer(away, away)
    np.testing.assert_allclose(second, np.cov(y.astype(np.float64).T, bias=True), atol=1e-3)


def test_a_trail_of_removals_ends_as_a_factorization_anew_and_follows_one_path_only():
    rng = np.random.default_rng(5)
    y, out = rng.normal(size=(80, 12)), rng.normal(size=(12, 12))
    view = SensitivityStats(np.zeros(12), y.T @ y / 80, out @ out.T, 0, centred=False)
    path = [np.arange(12) >= gone for gone in (0, 2, 3, 5)]
    trail = Trail.along(None, [view], path[:3])
    longer = Trail.along(trail, [view], path)
    ranking = SurgeonRanking.after(longer.parts, path[-1])
    anew = SurgeonRanking.of([view], path[-1], path[-1])
    assert np.array_equal(ranking.order(), anew.order())
    assert np.allclose(ranking.importance[path[-1]], anew.importance[path[-1]], rtol=1e-2)
    assert trail.leads_to(path) and not longer.leads_to(path[:3])
    whole = Trail.along(None, [view], path)
    assert np.array_equal(whole.parts[0].costs(), longer.parts[0].costs())
    ranking.take(int(ranking.order()[0]), once=False)
    assert np.array_equal(whole.parts[0].alive, longer.parts[0].alive)
