"""Budgets keep their total and spend it where it is cheap."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import paoding
from paoding.compensation.regression import RIDGE
from paoding.compensation.sensitivity import SensitivityStats
from paoding.errors import ArgumentError
from paoding.pruning.allocation import curve


def lopsided():
    """A first layer whose units are all alike, and a second in which each does its own work."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(16, "relu", name="alike"),
            layers.Dense(16, "relu", name="varied"),
            layers.Dense(3, name="scores"),
        ]
    )
    first = np.repeat(np.random.default_rng(0).normal(size=(4, 4)), 4, axis=1)
    model.get_layer("alike").set_weights([first.astype("f4"), np.full(16, 0.1, "f4")])
    return model


def removed(result):
    counts: dict[str, int] = {}
    for removal in result.plan.removals:
        counts[removal.group] = counts.get(removal.group, 0) + 1
    return counts


def test_the_same_total_is_spent_where_it_costs_least():
    model = lopsided()
    uniform = paoding.prune(model, target=0.5, step=0.25, strategy="saliency", samples=256)
    other = paoding.prune(
        model, target=0.5, step=0.25, strategy="saliency", samples=256, allocation="global"
    )
    assert removed(uniform) == {"alike": 8, "varied": 8}
    assert sum(removed(other).values()) == 16
    assert 8 < removed(other)["alike"] <= 12  # half of what uniform leaves always stays
    x = np.random.default_rng(1).random((200, 4)).astype("f4")
    before = np.asarray(model(x))
    away = [np.square(np.asarray(r.model(x)) - before).mean() for r in (uniform, other)]
    assert away[1] < away[0]


def test_an_unknown_allocation_is_refused():
    with pytest.raises(ArgumentError, match="allocation"):
        paoding.prune(lopsided(), allocation="fair")


def test_a_plan_with_an_allocation_replays():
    model = lopsided()
    result = paoding.prune(
        model, target=0.5, step=0.25, strategy="saliency", samples=64, allocation="global"
    )
    again = paoding.replay(model, paoding.Plan.from_json(result.plan.to_json()))
    for a, b in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        assert np.array_equal(a, b)


def view(seed, n=6):
    rng = np.random.default_rng(seed)
    y, v = rng.standard_normal((30, n)) @ rng.standard_normal((n, n)), rng.standard_normal((n, 2))
    return SensitivityStats(np.zeros(n), y.T @ y / 30, v @ v.T, 0, True)


def change(view, out):
    """tr(W_PP R_PP), with R_PP what survivors cannot explain of the removed units."""
    n = len(view.second)
    second = view.second + (RIDGE * np.trace(view.second) / n + 1e-30) * np.eye(n)
    cross = second[np.ix_(out, ~out)]
    rest = second[np.ix_(out, out)] - cross @ np.linalg.solve(second[np.ix_(~out, ~out)], cross.T)
    return float((view.weight[np.ix_(out, out)] * rest).sum())


@given(st.integers(0, 5000))
@settings(max_examples=25, deadline=None)
def test_greedy_costs_add_up_to_the_estimated_change_of_what_went(seed):
    moments = view(seed)
    costs, order = curve([moments], np.ones(6, bool), 3)
    for count in (1, 2, 3):
        out = np.isin(np.arange(6), order[:count])
        assert np.isclose(costs[:count].sum(), change(moments, out), rtol=1e-6)
