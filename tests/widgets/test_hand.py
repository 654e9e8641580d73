"""Decisions changed by hand: units taken back from any step, kept for good, and released."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import paoding
from paoding.errors import ArgumentError
from paoding_widgets import PruningStudio

Unit = tuple[str, int]


def gone(studio: PruningStudio) -> set[Unit]:
    return {(r.group, r.unit) for step in studio.steps for r in step.removals}


def first_to_go(studio: PruningStudio) -> Unit:
    removal = studio.steps[0].removals[0]
    return removal.group, removal.unit


def expect_replay(model: keras.Model, studio: PruningStudio) -> None:
    """The plan is whole: the library does the same with it."""
    result = studio.result
    again = paoding.replay(model, paoding.Plan.from_json(result.plan.to_json()))
    for mine, theirs in zip(result.model.weights, again.model.weights, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_a_decision_of_any_step_is_taken_back_and_the_later_ones_stay(
    table: tuple[keras.Model, Any], studio: PruningStudio
) -> None:
    studio.start()
    studio.wait()
    before, unit = gone(studio), first_to_go(studio)
    studio.take_back(*unit)
    assert studio.wait() == "paused"
    assert gone(studio) == before - {unit}
    assert len(studio.steps) == 4
    expect_replay(table[0], studio)


def test_or_the_later_steps_are_decided_anew_around_it(
    table: tuple[keras.Model, Any], studio: PruningStudio
) -> None:
    studio.start()
    studio.wait()
    unit, old = first_to_go(studio), studio.steps
    studio.keep(*unit, later="anew")
    assert studio.wait() == "paused"
    assert len(studio.steps) == 1
    assert gone(studio) == {(r.group, r.unit) for r in old[0].removals} - {unit}
    studio.start()
    assert studio.wait() == "finished"
    assert unit not in gone(studio)
    assert studio.result.plan.settings["locked"] == [f"{unit[0]}:{unit[1]}"]
    expect_replay(table[0], studio)


def test_a_kept_unit_says_so_and_goes_again_once_it_is_released(studio: PruningStudio) -> None:
    studio.start()
    studio.wait()
    unit = first_to_go(studio)
    studio.reset()
    studio.wait()
    studio.keep(*unit)
    view = studio._dashboard.view
    node = next(
        place
        for place, one in enumerate(view.scene["nodes"])
        if one["units"] and view.scene["groups"][one["group"]]["name"] == unit[0]
    )
    view.selected = {"node": node, "unit": unit[1]}
    studio.wait()
    shown = view.inspected["unit"]
    assert shown["kept"]
    assert not shown["can_go"]
    assert shown["story"] == "It stays: it is kept for good."
    studio.start()
    studio.wait()
    assert unit not in gone(studio)
    studio.reset()
    studio.wait()
    studio.release(*unit)
    studio.start()
    studio.wait()
    assert unit in gone(studio)


def test_what_is_here_cannot_be_taken_back(studio: PruningStudio) -> None:
    with pytest.raises(ArgumentError, match="nothing to take back"):
        studio.take_back(next(iter(studio._dashboard.scene.starts)), 0)


def test_what_the_page_sends_is_granted_or_left_alone(studio: PruningStudio) -> None:
    name = next(iter(studio._dashboard.scene.starts))
    for content in ("nonsense", {"action": 3}, {"action": "fly", "name": name}):
        studio._message_from_view(content)
    studio._message_from_view({"action": "keep-unit", "name": name, "unit": 2})
    assert f"{name}:2" in studio.settings.locked
    studio._message_from_view({"action": "release-unit", "name": name, "unit": 2})
    assert studio.settings.locked == ()
