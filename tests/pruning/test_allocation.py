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
from paoding.evaluation.self_check import agreement, selfcheck
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


def test_a_model_agrees_with_itself_and_a_broken_one_is_noticed():
    model = lopsided()
    same = selfcheck(model, model, samples=50)
    assert same.mean == 1.0 and same.spread == 0.0 and not same.warning
    broken = keras.models.clone_model(model)
    broken.set_weights([-w for w in model.get_weights()])
    check = selfcheck(broken, model, samples=50)
    assert check.mean < 0.9 and check.warning
    assert "estimated" in str(check)


def test_agreement_of_one_score_is_about_its_threshold_and_of_a_number_about_its_variance():
    before = np.array([[0.1], [0.9], [0.6]])
    assert agreement([np.array([[0.2], [0.8], [0.4]])], [before]) == pytest.approx(2 / 3)
    numbers = np.array([[-3.0], [0.0], [3.0]])
    assert agreement([numbers], [numbers]) == 1.0
    assert agreement([np.zeros((3, 1))], [numbers]) == 0.0


def test_the_check_is_headed_by_the_kind_of_input_that_the_model_suggests():
    model, _ = paoding.zoo.load("mnist-mlp")
    small = paoding.prune(model, target=0.5, step=0.25, distil=0, samples=500).model
    check = selfcheck(small, model, samples=200)
    assert check.likeliest == "blobs" and check.expected == check.agreement["blobs"]
    assert check.to_dict()["expected"] == check.expected
    assert f"{check.expected:.1%} on inputs like 'blobs'" in str(check)
    if check.spread > 0.1:
        assert "not like 'blobs'" in check.warning


def test_inputs_of_several_kinds_are_checked_as_the_model_suggests():
    words, image = keras.Input((5,), dtype="int32"), keras.Input((8, 8, 1))
    y = layers.GlobalAveragePooling1D()(layers.Embedding(20, 6)(words))
    z = layers.Concatenate()([y, layers.Flatten()(image)])
    model = keras.Model([words, image], layers.Dense(3, "softmax")(z))
    check = selfcheck(model, model, samples=20)
    # A named kind is taken where it fits, so that "tokens" is what the model suggests for both.
    assert check.likeliest == "tokens" and check.expected == 1.0
