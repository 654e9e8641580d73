"""A budget in milliseconds spends a measured table, and never leaves a slower model."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

import paoding
from paoding.deploy.latency_table import LatencyTable, latency_table
from paoding.errors import ArgumentError, DataError

L = keras.layers
QUICK = {"step": 0.25, "distil": 0, "strategy": "saliency", "budget": "latency"}


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [L.Dense(32, "relu", name="a"), L.Dense(32, "relu", name="b"), L.Dense(3, "softmax")]
    return keras.Sequential([keras.Input((6,)), *layers])


@pytest.fixture
def table(model, tmp_path, monkeypatch) -> LatencyTable:
    monkeypatch.setenv("PAODING_CACHE", str(tmp_path / "cache"))
    found = latency_table(model, "keras")
    rows = tuple((g, n, w, 1e-3 * w / n) for g, n, w, _ in found.rows)
    return replace(found, total=1e-3, rows=rows)  # times that do not depend on this machine


def test_the_target_is_a_share_of_the_time_and_a_plan_does_it_again(model, table, monkeypatch):
    monkeypatch.setattr(LatencyTable, "measured", lambda self, *_: replace(self, reached=0.5e-3))
    result = paoding.prune(model, target=0.5, runtime=table, **QUICK)
    left = {g.name: int(result.state.alive[g.ids].sum()) for g in result.graph.prunable}
    assert table.predicted(left) <= 0.5e-3 and all(n % 8 == 0 for n in left.values())
    again = paoding.replay(model, result.plan)
    pairs = zip(result.model.get_weights(), again.model.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_a_slower_model_and_a_target_out_of_reach_are_refused(model, table, monkeypatch) -> None:
    monkeypatch.setattr(LatencyTable, "measured", lambda self, *_: replace(self, reached=2e-3))
    with pytest.raises(ArgumentError, match="so nothing is pruned"):
        paoding.prune(model, target=0.5, runtime=table, **QUICK)
    with pytest.raises(ArgumentError, match="no widths take less than"):
        paoding.prune(model, target=0.999, runtime=table, **QUICK)


def test_a_table_is_saved_and_read_and_one_of_another_model_refused(model, table, tmp_path) -> None:
    path = table.save(tmp_path / "t.csv")
    assert latency_table(model, "keras", source=path).rows == table.rows
    other = keras.Sequential([keras.Input((6,)), L.Dense(5, "relu"), L.Dense(3)])
    with pytest.raises(DataError, match="another model"):
        latency_table(other, "keras", source=path)
