"""Charts of the studio: one of the user's own, and what the axes of ours show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bqplot
import keras
import numpy as np
import pytest

from paoding.deploy.latency_table import LatencyTable
from paoding.evaluation.measures import Metric
from paoding_widgets import PruningStudio, charts
from paoding_widgets.charts.accuracy import AccuracyChart
from paoding_widgets.charts.base import set_line
from paoding_widgets.charts.candidates import EnergyChart
from paoding_widgets.charts.change import ChangeChart, _told_of_change
from paoding_widgets.charts.parameters import ParametersChart
from paoding_widgets.insight import Cost
from paoding_widgets.session import Measured, Snapshot


class Seconds(charts.Chart):
    """A user's own chart: how long each step took."""

    def __init__(self) -> None:
        scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale()}
        self.line = bqplot.Lines(x=np.zeros(0), y=np.zeros(0), scales=scales)
        super().__init__("Seconds", [self.line], [bqplot.Axis(scale=scales["x"])])

    def draw(self, seen: charts.Seen) -> None:
        """Show the seconds of each step."""
        if len(seen.snapshots) > 2:
            raise ValueError("too many <steps>")
        steps = [one.step for one in seen.snapshots if one.step is not None]
        set_line(self.line, [step.index for step in steps], [step.seconds for step in steps])


@pytest.fixture
def own() -> Iterator[None]:
    """The registry with the user's chart, and as it was afterwards."""
    charts.register(Seconds)
    yield
    charts.KINDS.remove(Seconds)


@pytest.mark.usefixtures("own")
def test_a_chart_of_ones_own_is_one_class_and_its_failure_harms_nothing(table: Any) -> None:
    options = {"strategy": "saliency", "compensation": "merge", "step": 0.125}
    studio = PruningStudio(table[0], data=table[1], **options)
    studio.step()
    studio.wait()
    chart = studio._dashboard.charts.of(Seconds)
    assert list(chart.line.x) == [1] and chart.line.y[0] > 0
    studio.start()
    assert studio.wait() == "finished"
    assert "this chart failed" in chart.heading.value and "<steps>" not in chart.heading.value


def snapshot(share: float, accuracy: float, **more: Any) -> Snapshot:
    measured = Measured(accuracy, accuracy / 2, 100)
    return Snapshot(None, {}, {}, Cost(1, 1, 1), share=share, measured=measured, **more)


def test_the_axis_of_accuracy_fits_the_data_or_shows_the_whole_range() -> None:
    chart = AccuracyChart()
    line = [snapshot(0, 0.97), snapshot(0.1, 0.96, distilled=5)]
    chart.draw(charts.Seen(line, 1, 0.5, [], "FGSM"))
    assert 0.3 < chart.y.min < 0.48 and chart.y.max == 1.0
    assert list(chart.tuned.y) == [0.96]
    chart.whole.value = True
    assert (chart.y.min, chart.y.max) == (0.0, 1.0)


def test_a_bound_that_says_nothing_is_said_to_say_nothing() -> None:
    loose = snapshot(0.1, 0.9, lower=np.full(2, -1e4), upper=np.full(2, 1e4), scores=True)
    told = _told_of_change(loose, np.full(2, 1e4), np.full(2, 0.5), "score")
    assert "20,000 times looser than seen: it says nothing" in told
    told = _told_of_change(loose, np.full(2, 1.0), np.full(2, 0.5), "score")
    assert "2.0 times looser than seen" in told and "nothing" not in told


def test_a_run_that_was_left_is_overlaid_in_every_chart(table: tuple[keras.Model, Any]) -> None:
    model, data = table
    options = {"strategy": "impact", "compensation": "merge", "autosave": False}
    studio = PruningStudio(model, data=data, target=0.5, step=0.25, **options)
    studio.start()
    studio.wait()
    charts = studio._dashboard.charts
    bars = np.shape(charts.of(ParametersChart).bars.y)[0]
    left = studio._conductor.timeline.line[-1]
    studio.branch(1)
    studio.wait()
    studio.start()
    studio.wait()
    (run,) = studio._conductor.timeline.runs
    assert run.name == "run 1"
    assert list(charts.accuracy.names.text) == ["run 1"]
    assert charts.accuracy.names.x[0] == left.share
    assert np.shape(charts.of(ParametersChart).bars.y)[0] == bars + 1
    assert sum(run.layers.values()) == sum(left.parameters.values())
    assert len(charts.of(EnergyChart).earlier.x) == 2
    assert np.nanmax(charts.of(ChangeChart).earlier.y) == run.points[-1].moved
    row = studio._dashboard.view.runs[1]
    assert (row["name"], row["metric"], row["shares"]) == ("run 1", "Accuracy", True)
    assert row["latency"] > 0
    studio._conductor.timeline.overlay("run 1", False)
    studio.wait()
    assert len(charts.of(EnergyChart).earlier.x) == 0
    assert np.shape(charts.of(ParametersChart).bars.y)[0] == bars
    studio.close()


def drag(chart: AccuracyChart, height: float) -> None:
    """What bqplot sends when the handle is dropped at a height of the axis."""
    content = {"event": "drag_end", "point": {"x": 0.5, "y": height}, "index": 0}
    chart.keep.handle._handle_custom_msgs(chart.keep.handle, content, [])


def test_the_line_of_keep_is_dragged_and_the_run_stops_there(
    table: tuple[keras.Model, Any],
) -> None:
    options = {"strategy": "saliency", "compensation": "merge", "autosave": False}
    studio = PruningStudio(table[0], data=table[1], target=0.75, step=0.125, **options)
    studio.wait()
    chart = studio._dashboard.charts.accuracy
    original = studio._conductor.timeline.now.measured.quality
    assert list(chart.keep.label.text) == ["keep: off, drag up"]
    assert chart.keep.handle.y[0] == chart.y.min and chart.keep.handle.enable_move
    drag(chart, original - 0.0103)
    studio.wait()
    assert studio.settings.extra["keep"] == 0.99
    assert list(chart.keep.line.y) == pytest.approx([original - 0.01] * 2)
    studio.start()
    assert studio.wait() == "finished"
    assert "It stopped at keep=0.99" in studio._dashboard.view.header["message"]
    drag(chart, chart.y.min)
    studio.wait()
    assert studio.settings.extra.get("keep") is None and len(chart.keep.line.y) == 0
    studio.close()


def test_where_no_share_is_measured_there_is_no_line_to_drag() -> None:
    chart = AccuracyChart()
    measured = Measured(0.3, None, 100, Metric("squared error", higher_is_better=False))
    one = Snapshot(None, {}, {}, Cost(1, 1, 1), measured=measured)
    chart.draw(charts.Seen([one], 0, 0.5, [], "FGSM", keep=0.98))
    assert len(chart.keep.handle.y) == 0


def test_a_target_in_milliseconds_shows_what_each_step_saves(
    table: tuple[keras.Model, Any],
) -> None:
    model = table[0]
    widths = {64: 1e-4, 48: 8e-5, 32: 6e-5, 16: 4e-5}
    rows = tuple((name, 64, w, s) for name in ("dense_1", "dense_2") for w, s in widths.items())
    shares = ((0.5, ("dense_1",)), (0.5, ("dense_1", "dense_2")))
    costs = LatencyTable(2e-4, rows, shares, "keras", "a test", expected=1e-4, reached=1e-4)
    options = {"strategy": "saliency", "compensation": "merge", "runtime": costs}
    studio = PruningStudio(model, target=0.4, step=0.25, autosave=False, **options)
    studio._dashboard.form.extra["budget"].value = "latency"
    assert studio.settings.extra["allocation"] == "global"
    studio.start()
    assert studio.wait() == "finished"
    (row,) = [f for f in studio._dashboard.view.header["figures"] if "Millis" in f["label"]]
    assert row["before"] == pytest.approx(0.2) and row["after"] <= 0.6 * row["before"]
    assert studio.settings.code().count("budget='latency'") == 1
    studio.close()
    same = PruningStudio(model, target_latency=0.6, step=0.25, autosave=False, **options)
    assert (same.settings.target, same.settings.extra["budget"]) == (0.4, "latency")
    assert same.wait() == "ready"
    same.close()
