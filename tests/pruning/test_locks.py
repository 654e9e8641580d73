"""Units that a person keeps for good stay, whatever decides; their plan says so and replays."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import paoding
from paoding.errors import ArgumentError, PlanError
from paoding.plan import Removal


def network() -> keras.Model:
    keras.utils.set_random_seed(5)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(12, "relu", name="first"),
            layers.Dense(8, "relu", name="second"),
            layers.Dense(3, name="scores"),
        ]
    )


@pytest.mark.parametrize("allocation", ["uniform", "global"])
def test_a_kept_unit_never_goes_and_the_plan_replays(allocation: str) -> None:
    model = network()
    options = {"target": 0.5, "step": 0.25, "strategy": "saliency", "allocation": allocation}
    free = paoding.prune(model, **options)
    gone = [f"{r.group}:{r.unit}" for r in free.plan.removals][:4]
    held = paoding.prune(model, locked=gone, **options)
    assert not {f"{r.group}:{r.unit}" for r in held.plan.removals} & set(gone)
    again = paoding.replay(model, paoding.Plan.from_json(held.plan.to_json()))
    for mine, theirs in zip(held.model.weights, again.model.weights, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_a_kept_unit_is_protected_from_hands_as_well() -> None:
    pruner = paoding.Pruner(network(), target=0.5, locked=["first:3"])
    with pytest.raises(PlanError, match="unit 3 has to stay"):
        pruner.apply([Removal("first", 3)])


def test_all_other_units_of_its_layer_may_go() -> None:
    kept = [f"first:{unit}" for unit in range(8)]
    result = paoding.prune(network(), target=0.5, locked=kept, compensation="merge")
    assert result.model.get_layer("first").units == 8


def test_a_number_that_the_layer_has_not_is_told() -> None:
    with pytest.raises(ArgumentError, match="'first' has 12 units"):
        paoding.Pruner(network(), locked=["first:12"])
    with pytest.raises(ArgumentError, match="fits no layer"):
        paoding.Pruner(network(), locked=["third:1"])
