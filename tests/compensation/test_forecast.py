"""The forecast of a removal is what the removal really adds, errors that cancel included."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import paoding
from paoding.compensation.forecast import Forecast, ForecastRanking
from paoding.compensation.sensitivity import SensitivityStats
from paoding.criteria import PLAIN, Ranking
from paoding.plan import Plan


def case(seed: int, units: int = 6) -> tuple[np.ndarray, np.ndarray, Forecast]:
    """Values of units, weights of a linear reader, and the forecast of both."""
    rng = np.random.default_rng(seed)
    y = np.maximum(rng.normal(size=(50, units)) + rng.normal(size=units), 0)
    out = rng.normal(size=(units, 3))
    mean = y.mean(axis=0)
    second = y.T @ y / len(y) - np.outer(mean, mean)
    return y, out, Forecast([SensitivityStats(mean, second, out @ out.T, 0, centred=True)])


def changed(y: np.ndarray, out: np.ndarray, ends: dict[int, int]) -> float:
    """Mean squared change of the scores when each unit's rows went to another's, or nowhere."""
    now = out.copy()
    for unit, into in ends.items():
        if into != PLAIN:
            now[into] += now[unit]
        now[unit] = 0
    return float(((y @ (now - out)) ** 2).sum(axis=1).mean())


@given(st.integers(0, 10_000), st.data())
@settings(max_examples=60, deadline=None)
def test_the_rises_of_a_chain_of_removals_add_up_to_the_change_of_a_linear_reader(
    seed: int, data: st.DataObject
) -> None:
    y, out, forecast = case(seed)
    left, ends, total = list(range(6)), {}, 0.0
    for _ in range(data.draw(st.integers(1, 5))):
        unit = data.draw(st.sampled_from(left))
        left.remove(unit)
        into = data.draw(st.sampled_from([PLAIN, *left]))
        total += float(forecast.rises(np.array([unit]), np.array([into]))[0])
        forecast.take(unit, into)
        ends[unit] = into
        assert total == pytest.approx(changed(y, out, ends), rel=1e-6, abs=1e-9)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_survivor_is_the_one_with_the_least_rise(seed: int) -> None:
    _, _, forecast = case(seed)
    forecast.take(4, 1)
    among = np.array([True, True, True, False, False, True])
    units = np.array([0, 3])
    chosen = forecast.survivors(units, among, alone=False)
    for unit, best in zip(units, chosen, strict=True):
        others = np.array([i for i in np.flatnonzero(among) if i != unit])
        rises = forecast.rises(np.full(len(others), unit), others)
        least = forecast.rises(np.array([unit]), np.array([best]))[0]
        assert best in others and least == pytest.approx(rises.min())


def test_a_merge_that_cancels_an_error_lowers_the_change() -> None:
    """Units 1 and 2 differ from unit 0 by as much in opposite directions."""
    y = np.array([[2.0, 1.0, 3.0], [4.0, 3.0, 5.0]])
    view = SensitivityStats(np.zeros(3), y.T @ y / 2, np.ones((3, 3)), 0, centred=False)
    forecast = Forecast([view])
    assert forecast.rises(np.array([1]), np.array([0])) == pytest.approx([1.0])
    forecast.take(1, 0)
    assert forecast.rises(np.array([2]), np.array([0])) == pytest.approx([-1.0])


def test_a_ranking_finds_new_survivors_and_logs_the_saliency_of_the_pair() -> None:
    _, _, forecast = case(3)
    pairs = np.arange(36.0).reshape(6, 6)
    below = Ranking.of_pairs(pairs, np.ones(6, bool), np.ones(6, bool))
    ranking = ForecastRanking.of(below, forecast)
    while ranking.may_go.any():
        unit = int(ranking.order()[0])
        into = int(ranking.into[unit])
        assert ranking.shown(np.array([unit])) == pairs[into, unit]
        assert ranking.take(unit, once=False) == into
        waiting = np.flatnonzero(ranking.may_go)
        assert not np.isin(ranking.into[waiting], np.flatnonzero(~ranking.may_survive)).any()
    assert int(ranking.may_survive.sum()) == 1


def test_an_estimate_beats_the_order_of_saliency_on_the_scores() -> None:
    model, data = paoding.zoo.load("mnist-mlp")

    def accuracy(strategy: str) -> float:
        settings = {"target": 0.5, "step": 0.25, "compensation": "merge", "strategy": strategy}
        small = paoding.prune(model, **settings).model
        return float((small.predict(data.x, verbose=0).argmax(axis=1) == data.y).mean())

    assert accuracy("impact") > accuracy("saliency") + 0.05


def test_an_undone_step_is_not_counted_and_a_branch_comes_out_as_the_first_time() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)]
    )
    pruner = paoding.Pruner(model, target=0.75, step=1 / 8, compensation="merge", strategy="impact")
    steps = [next(pruner).removals for _ in range(4)]
    for _ in range(3):
        pruner.undo()
    assert [next(pruner).removals for _ in range(3)] == steps[1:]
    whole = pruner.result()
    again = paoding.replay(model, Plan.from_json(whole.plan.to_json()))
    for a, b in zip(whole.state.values, again.state.values, strict=True):
        np.testing.assert_array_equal(a, b)
