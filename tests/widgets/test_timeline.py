"""The pure timeline of a run, without widgets, threads or a pruner."""

from __future__ import annotations

import pytest

from paoding.errors import ArgumentError
from paoding_widgets.insight import Cost
from paoding_widgets.session import Measured, Snapshot
from paoding_widgets.timeline import Timeline


def snapshot(share: float) -> Snapshot:
    measured = Measured(1 - share, 0.5, 10)
    return Snapshot(None, {}, {}, Cost(100, 200, 400), share=share, measured=measured)


def run_of(steps: int) -> Timeline:
    timeline = Timeline()
    timeline.begin([snapshot(0)], {})
    for number in range(1, steps + 1):
        timeline.take(snapshot(number / 10), {"strategy": "Annealing"})
    return timeline


def test_the_reader_follows_the_run_until_they_look_back() -> None:
    timeline = run_of(2)
    assert timeline.shown == timeline.applied == 2
    timeline.look_at(1)
    timeline.take(snapshot(0.3), {})
    assert (timeline.shown, timeline.applied) == (1, 3)


def test_undone_steps_stay_until_another_is_taken_and_are_then_a_named_run() -> None:
    timeline = run_of(3)
    timeline.go_to(1)
    assert len(timeline.snapshots) == 4 and timeline.runs == ()
    timeline.take(snapshot(0.2), {"strategy": "Magnitude"})
    assert len(timeline.snapshots) == 3
    (left,) = timeline.runs
    assert left.name == "run 1" and timeline.name == "run 2"
    assert [round(point.share, 1) for point in left.points] == [0.0, 0.1, 0.2, 0.3]
    assert left.overlaid


def test_only_the_latest_run_that_was_left_is_overlaid_until_others_are_chosen() -> None:
    timeline = run_of(2)
    for _ in range(2):
        timeline.go_to(0)
        timeline.take(snapshot(0.1), {})
        timeline.take(snapshot(0.2), {})
    assert [run.overlaid for run in timeline.runs] == [False, True]
    timeline.overlay("run 1", True)
    assert all(run.overlaid for run in timeline.runs)


def test_runs_are_renamed_and_deleted_and_no_two_have_the_same_name() -> None:
    timeline = run_of(2)
    timeline.begin([snapshot(0)], {})
    timeline.rename("run 1", "  the  first ")
    assert timeline.runs[0].name == "the first"
    with pytest.raises(ArgumentError, match="already"):
        timeline.rename("run 2", "the first")
    with pytest.raises(ArgumentError, match="needs a name"):
        timeline.rename("run 2", " ")
    timeline.delete("the first")
    assert timeline.runs == ()
    with pytest.raises(ArgumentError, match="no earlier run"):
        timeline.delete("the first")


def test_places_outside_of_the_run_are_the_nearest_within() -> None:
    timeline = run_of(2)
    timeline.go_to(9)
    assert timeline.applied == 2
    timeline.look_at(-3)
    assert timeline.shown == 0
