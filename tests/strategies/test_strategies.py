"""Every strategy and compensation over coupled groups: exact, replayable, and logged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import paoding
from paoding.plan import Plan

from ..graph.conftest import assert_equal, outputs, randomize, samples
from ..graph.test_models import MODELS

STRATEGIES = ["saliency", "magnitude", "impact", "annealing"]
NAMES = ["TCN", "squeeze and excite", "masked attention", "masked recurrent layers", "autoencoder"]


@pytest.mark.slow
@pytest.mark.parametrize("compensation", ["none", "merge"])
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", NAMES)
def test_a_strategy_works_over_groups(name: str, strategy: str, compensation: str) -> None:
    model = randomize(MODELS[name][0]())
    before = [np.array(w) for w in model.weights]
    settings: dict[str, Any] = {"strategy": strategy, "compensation": compensation}
    pruner = paoding.Pruner(model, target=0.5, step=0.25, seed=3, **settings)
    for _ in pruner:
        pass
    result, x = pruner.result(), samples(model)
    assert result.plan.removals
    assert_equal(outputs(result.model, x), outputs(result.masked, x), 1e-5)
    methods = {removal.method for removal in result.plan.removals}
    assert methods <= ({"none"} if compensation == "none" else {"none", "merge"})
    for removal in result.plan.removals:
        assert (removal.method == "merge") == (removal.into is not None)
        if removal.method == "merge":
            assert result.graph.by_name[removal.group].mergeable
    again = paoding.replay(model, Plan.from_json(result.plan.to_json()))
    for a, b in zip(result.state.values, again.state.values, strict=True):
        np.testing.assert_array_equal(a, b)
    weights = pruner.weights()
    pruner.undo()
    pruner.redo()
    for a, b in zip(weights, pruner.weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for old, now in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, np.array(now))
