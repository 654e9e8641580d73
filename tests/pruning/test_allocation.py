"""Budgets keep their total, spend it where it is cheap, and annealing never ends worse."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import paoding
from paoding.compensation.sensitivity import SensitivityStats
from paoding.errors import ArgumentError
from paoding.graph import trace
from paoding.pruning.allocation import anneal, curve, energy


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


@pytest.mark.parametrize("kind", ["global", "annealed"])
def test_the_same_total_is_spent_where_it_costs_least(kind):
    model = lopsided()
    uniform = paoding.prune(model, target=0.5, step=0.25, strategy="saliency", samples=256)
    other = paoding.prune(
        model, target=0.5, step=0.25, strategy="saliency", samples=256, allocation=kind
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
        model, target=0.5, step=0.25, strategy="saliency", samples=64, allocation="annealed"
    )
    again = paoding.replay(model, paoding.Plan.from_json(result.plan.to_json()))
    for a, b in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        assert np.array_equal(a, b)


def view(seed, n=6):
    rng = np.random.default_rng(seed)
    y, v = rng.standard_normal((30, n)) @ rng.standard_normal((n, n)), rng.standard_normal((n, 2))
    return SensitivityStats(np.zeros(n), y.T @ y / 30, v @ v.T, 0, True)


@given(st.integers(0, 5000))
@settings(max_examples=25, deadline=None)
def test_greedy_costs_add_up_to_the_energy_of_what_went(seed):
    moments = view(seed)
    costs, order = curve([moments], np.ones(6, bool), 3)
    for count in (1, 2, 3):
        out = np.isin(np.arange(6), order[:count])
        assert np.isclose(costs[:count].sum(), energy([moments], out), rtol=1e-6)


def test_annealing_is_never_worse_than_greedy_and_mostly_finds_the_best_of_a_few():
    from itertools import combinations

    graph = trace(lopsided())
    group = graph.by_name["varied"]
    near = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = rng.standard_normal((40, 16)) @ rng.standard_normal((16, 16))
        v = rng.standard_normal((16, 2))
        moments = SensitivityStats(np.zeros(16), y.T @ y / 40, v @ v.T, 0, True)
        _, order = curve([moments], group.removable, 2)
        greedy = np.isin(np.arange(16), order)
        found = anneal(graph, {"varied": 2}, {"varied": [moments]}, seed).wanted["varied"]
        best = min(
            energy([moments], np.isin(np.arange(16), pair)) for pair in combinations(range(16), 2)
        )
        assert found.sum() == 2
        assert energy([moments], found) <= energy([moments], greedy) * (1 + 1e-12)
        near += energy([moments], found) <= best * 1.2
    assert near >= 18
