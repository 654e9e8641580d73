"""A budget in milliseconds spends a measured table, says what came of it, and is never slower."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

import paoding
from paoding.deploy.latency_table import LatencyTable, latency_table
from paoding.errors import ArgumentError, DataError
from paoding.pruning.milliseconds import told, within

L = keras.layers
QUICK = {"step": 0.25, "distil": 0, "strategy": "saliency", "samples": 256}


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [L.Dense(32, "relu", name="a"), L.Dense(32, "relu", name="b"), L.Dense(3, "softmax")]
    return keras.Sequential([keras.Input((6,)), *layers])


@pytest.fixture(scope="module")
def table(model, tmp_path_factory) -> LatencyTable:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAODING_CACHE", str(tmp_path_factory.mktemp("cache")))
        found = latency_table(model, "keras")
    rows = tuple((g, n, w, 1e-3 * w / n) for g, n, w, _ in found.rows)
    rest = {"idle": 0.0, "anchors": ((0.0625, 0.0625),)}
    return replace(found, total=1e-3, rows=rows, **rest)  # times that do not depend on this machine


def taking(share: float):
    """In the place of measuring: the smaller model takes this share of the time."""

    def measured(self, graph, quotas):
        return replace(self, expected=0.4e-3, reached=share * self.total)

    return measured


def test_the_target_is_a_share_of_the_time_and_a_plan_does_it_again(model, table, monkeypatch):
    monkeypatch.setattr(LatencyTable, "measured", taking(0.4))
    result = paoding.prune(model, target_latency=0.5, runtime=table, **QUICK)
    left = {g.name: int(result.state.alive[g.ids].sum()) for g in result.graph.prunable}
    assert table.predicted(left) <= 0.5e-3 and all(n % 8 == 0 for n in left.values())
    assert "(40% of the time; predicted: 0.4 ms)." in result.summary()["latency"]
    again = paoding.replay(model, result.plan)
    assert again.latency == result.latency
    as_share = paoding.prune(model, target=0.5, budget="latency", runtime=table, **QUICK)
    for other in (again, as_share):
        pairs = zip(result.model.get_weights(), other.model.get_weights(), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)


def test_a_target_that_is_missed_is_told_and_one_that_is_reached_is_not(model, table) -> None:
    for reached, ends in ((0.6e-3, "50% was asked for and is missed."), (0.5e-3, "0.5 ms).")):
        options = {"runtime": replace(table, expected=0.5e-3, reached=reached).to_dict()}
        said = told({"budget": "latency", **options}, 0.5)
        assert said and said.endswith(ends)
        assert told({"budget": "units", **options}, 0.5) is None


def test_widths_are_bought_again_with_what_a_smaller_model_really_took(model, table, monkeypatch):
    rounds = []

    def measured(self, graph, quotas):
        widths = {name: graph.by_name[name].units - count for name, count in quotas.items()}
        real = self.total * (0.2 + 0.8 * table.work(widths) ** 0.5)  # groups alone do not tell it
        rounds.append(self.predicted(widths) / real)
        return replace(self, expected=self.predicted(widths), reached=real)

    monkeypatch.setattr(LatencyTable, "measured", measured)
    least = {"a": 8, "b": 8}
    known = replace(table, anchors=((table.work(least), 0.2 + 0.8 * table.work(least) ** 0.5),))
    result = paoding.prune(model, target_latency=0.6, runtime=known, **QUICK)
    assert abs(rounds[-1] - 1) < 0.1 and abs(rounds[-1] - 1) <= abs(rounds[0] - 1)
    assert result.latency and "missed" not in result.latency


def test_no_unit_goes_that_need_not(model, table) -> None:
    """The last move may take more than was asked for; then others come back."""
    curves = {"a": np.ones(31), "b": np.full(31, 0.01)}
    rows = (("a", 32, 32, 4e-4), ("a", 32, 8, 1e-4), ("b", 32, 32, 4e-4), ("b", 32, 24, 3.8e-4))
    plain = replace(table, rows=rows, shares=((0.5, ("a",)), (0.5, ("b",))), idle=0.0, anchors=())
    found = within(plain, 0.1, curves, {"a": 32, "b": 32})
    assert found == {"a": 8}  # b went first, for next to nothing, and then was not needed


def test_a_slower_model_and_a_target_out_of_reach_are_refused(model, table, monkeypatch) -> None:
    monkeypatch.setattr(LatencyTable, "measured", taking(2))
    with pytest.raises(ArgumentError, match="so nothing is pruned"):
        paoding.prune(model, target_latency=0.5, runtime=table, **QUICK)
    with pytest.raises(
        ArgumentError, match=r"no widths take less than 0\.\d+ ms, \d+% of the orig"
    ):
        paoding.prune(model, target_latency=0.001, runtime=table, **QUICK)
    with pytest.raises(ArgumentError, match="leave target and budget out"):
        paoding.prune(model, target_latency=0.5, target=0.5, runtime=table)
    with pytest.raises(ArgumentError, match="target_latency"):
        paoding.prune(model, target_latency=1.5, runtime=table)


def test_a_table_of_another_device_is_predicted_by_and_not_measured_here(model, table, tmp_path):
    there = latency_table(model, "keras", source=table.save(tmp_path / "t.csv"))
    assert not there.here and there.idle == table.idle
    assert there.anchors[0][1] == pytest.approx(table.anchors[0][1])
    result = paoding.prune(model, target_latency=0.5, runtime=there, **QUICK)
    assert result.latency and result.latency.startswith("Predicted for keras:")
    assert "measure the smaller model there" in result.latency


def test_the_whole_models_that_were_measured_are_predicted_as_measured(table) -> None:
    least = {"a": 8, "b": 8}
    known = replace(table, anchors=((table.work(least), 0.6),))
    assert known.predicted({}) == known.total
    assert known.predicted(least) == pytest.approx(0.6 * known.total)
    assert 0.6 * known.total < known.predicted({"a": 8}) < known.total


def test_only_times_of_a_machine_at_rest_are_kept_on_disk(model, table, tmp_path, monkeypatch):
    from paoding.deploy import surroundings

    cache = tmp_path / "other"
    monkeypatch.setenv("PAODING_CACHE", str(cache))
    quiet = paoding.latency(model)
    busy = replace(quiet, median=5e-3, least=1e-3)
    monkeypatch.setattr(surroundings, "in_turns", lambda *_, **__: [busy])
    assert surroundings.idle_seconds("keras") == 1e-3
    assert not list(cache.rglob("*.json"))
    settled = replace(quiet, median=1.1e-3, least=1e-3)
    monkeypatch.setattr(surroundings, "in_turns", lambda *_, **__: [settled])
    surroundings.idle_seconds("keras")
    assert len(list(cache.rglob("*.json"))) == 1
    monkeypatch.setattr(surroundings, "in_turns", None)  # nothing is measured a second time
    assert surroundings.idle_seconds("keras") == 1e-3


def test_a_table_is_saved_and_read_and_one_of_another_model_refused(model, table, tmp_path) -> None:
    path = table.save(tmp_path / "t.csv")
    assert latency_table(model, "keras", source=path).rows == table.rows
    other = keras.Sequential([keras.Input((6,)), L.Dense(5, "relu"), L.Dense(3)])
    with pytest.raises(DataError, match="another model"):
        latency_table(other, "keras", source=path)
