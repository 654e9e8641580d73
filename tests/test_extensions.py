"""What a user adds in one file of their own works everywhere, and no line of Paoding changes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import paoding
from paoding import compensation, strategies
from paoding.errors import ArgumentError
from paoding.layers import base
from paoding_widgets import PruningStudio, charts
from paoding_widgets.explain import explain


@pytest.fixture
def add() -> Iterator[Any]:
    """Import an extension; what it registered is forgotten afterwards."""
    tables: list[Any] = [strategies.BY_NAME, compensation.BY_NAME, charts.KINDS, base._BY_TYPE]
    before = [table.copy() for table in tables]
    folder = str(Path(__file__).parent / "extensions")
    sys.path.insert(0, folder)
    names: list[str] = []

    def load(name: str) -> Any:
        names.append(name)
        return import_module(name)

    yield load
    sys.path.remove(folder)
    for name in names:
        del sys.modules[name]
    for table, old in zip(tables, before, strict=True):
        table.clear()
        table.extend(old) if isinstance(table, list) else table.update(old)


def small(*hidden: Any) -> keras.Model:
    keras.utils.set_random_seed(5)
    hidden = hidden or (keras.layers.Dense(12, "relu", name="hidden"),)
    return keras.Sequential([keras.Input((6,)), *hidden, keras.layers.Dense(3, name="scores")])


def test_a_layer_of_ones_own_is_pruned_fitted_counted_and_certified(add: Any) -> None:
    own = add("leaning_layer")
    model = small(own.Leaning(16, name="first"), own.Leaning(12, name="second"))
    assert {g.name for g in paoding.inspect(model).prunable} == {"first", "second"}
    result = paoding.prune(model, target=0.5, step=0.25, distil=0)
    assert (result.model.get_layer("first").width, result.model.get_layer("second").width) == (8, 6)
    x = np.random.default_rng(0).random((64, 6)).astype(np.float32)
    np.testing.assert_allclose(result.model(x), result.masked(x), atol=1e-5)
    # The survivors were fitted as those of a Dense layer are: bias included.
    assert np.any(np.asarray(result.masked.get_layer("second").bias) != model.layers[1].bias)
    assert result.certificate.lower is not None
    change = np.asarray(result.model(x)) - np.asarray(model(x))
    assert (change >= result.certificate.lower - 1e-4).all()
    assert (change <= result.certificate.upper + 1e-4).all()
    summary = result.summary()
    assert summary["after"]["flops"] < summary["before"]["flops"] / 2


def test_a_strategy_of_ones_own_is_known_by_its_name_everywhere(add: Any) -> None:
    add("lottery")
    result = paoding.prune(small(), target=0.5, step=0.25, strategy="lottery", seed=3)
    assert set(result.decisions["reason"]) == {"its number was drawn"}
    again = paoding.replay(small(), result.plan)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(again.model.get_weights(), result.model.get_weights(), strict=True)
    )
    studio = PruningStudio(small(), strategy="lottery", step=0.25)
    field = studio._dashboard.form.strategy
    assert field.value == "Lottery" and "whoever is drawn" in field.tooltip


def test_a_compensation_of_ones_own_is_known_by_its_name_everywhere(add: Any) -> None:
    add("fading")
    result = paoding.prune(small(), target=0.5, step=0.25, compensation="fading")
    x = np.random.default_rng(0).random((64, 6)).astype(np.float32)
    np.testing.assert_allclose(result.model(x), result.masked(x), atol=1e-5)
    whole = paoding.prune(small(), target=0.5, step=0.25, compensation="merge")
    assert not np.array_equal(result.masked.get_weights()[2], whole.masked.get_weights()[2])
    studio = PruningStudio(small(), compensation="fading", step=0.25)
    studio.step()
    studio.wait()
    told = explain(studio._conductor.standing.timeline.snapshots, 1, studio.settings)
    assert "takes over half" in told


def test_a_chart_of_ones_own_moves_with_the_run(add: Any) -> None:
    own = add("survivors_chart")
    studio = PruningStudio(small(), step=0.25, target=0.5)
    studio.start()
    assert studio.wait() == "finished"
    chart = studio._dashboard.charts.of(own.SurvivorsChart)
    assert list(chart.line.y) == [9.0, 6.0]


@pytest.mark.parametrize("room", [strategies, compensation])
def test_what_lacks_a_part_is_not_registered_and_the_part_is_named(room: Any) -> None:
    before = dict(room.BY_NAME)

    class Half:
        name = "half"

    with pytest.raises(ArgumentError, match="has no summary and no"):
        room.register(Half)
    assert before == room.BY_NAME
