"""Accuracy and robust accuracy against the share of units removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np

from paoding_widgets.charts.base import (
    ACCURACY,
    EARLIER,
    FIFTHS,
    GRID,
    NOTHING,
    ROBUST,
    Chart,
    Seen,
    set_line,
)

if TYPE_CHECKING:
    from paoding_widgets.timeline import NamedRun


class AccuracyChart(Chart):
    """Accuracy and robust accuracy against the share removed, the original as a line."""

    def __init__(self) -> None:
        self.x = bqplot.LinearScale(min=0.0, max=1.0)
        self.y = bqplot.LinearScale(min=0.0, max=1.0, allow_padding=False)
        scales = {"x": self.x, "y": self.y}

        def line(colour: str, **options: Any) -> bqplot.Lines:
            return bqplot.Lines(x=NOTHING, y=NOTHING, scales=scales, colors=[colour], **options)

        self.accuracy = line(ACCURACY, marker="circle", marker_size=34, stroke_width=2.5)
        self.robust = line(ROBUST, marker="triangle-up", marker_size=40, stroke_width=2)
        self.original = line(ACCURACY, line_style="dotted", stroke_width=1.5)
        self.original_robust = line(ROBUST, line_style="dotted", stroke_width=1.5)
        self.earlier = line(EARLIER, line_style="dashed", stroke_width=1.5)
        self.now = line(EARLIER, stroke_width=1, opacities=[0.8])
        self.tuned = bqplot.Scatter(
            x=NOTHING,
            y=NOTHING,
            scales=scales,
            colors=[ACCURACY],
            marker="diamond",
            default_size=130,
        )
        self.y_axis = bqplot.Axis(
            scale=self.y, side="left", tick_format=".0%", tick_values=FIFTHS, **GRID
        )
        axes = [
            bqplot.Axis(scale=self.x, label="share of units removed", tick_format=".0%", **GRID),
            self.y_axis,
        ]
        self.whole = ipywidgets.ToggleButton(
            description="0 to 100 %", tooltip="The whole range instead of the part with the data"
        )
        self.whole.observe(lambda _: self._fit(), names="value")
        marks = [
            self.original,
            self.original_robust,
            self.earlier,
            self.now,
            self.robust,
            self.accuracy,
            self.tuned,
        ]
        super().__init__("Accuracy", marks, axes, left=48)
        self._values: list[float] = []
        self.box.children = [
            ipywidgets.HBox([self.heading, self.whole]),
            *self.box.children[1:],
        ]
        self.box.children[0].add_class("paoding-chart-head")

    def _fit(self) -> None:
        """Let the axis show what the data need, or the whole range."""
        low, high = 0.0, 1.0
        if self._values and not self.whole.value:
            least, most = min(self._values), max(self._values)
            room = max(0.01, 0.1 * (most - least))
            # In whole steps: the axis stays where it is while the data move a little.
            low = max(0.0, np.floor((least - room) * 20) / 20)
            high = min(1.0, np.ceil((most + room) * 20) / 20)
        if (self.y.min, self.y.max) != (low, high):
            with self.y.hold_sync():
                self.y.min, self.y.max = float(low), float(high)
            places = 1 + round((high - low) / 0.05)
            self.y_axis.tick_values = np.linspace(low, high, places)[:: 1 + places // 5]

    def draw(self, seen: Seen) -> None:
        """Show a run up to now, and earlier ones."""
        snapshots, limit, overlaid = seen.snapshots, seen.limit, seen.overlaid
        self.x.max = max(limit, 0.01)
        known = [(m, m.measured) for m in snapshots if m.measured]
        if not known:
            for mark in self.figure.marks:
                set_line(mark, [], [])
            self.show_axes(False)
            self.say("not measured: the studio was given no data=(x, y)")
            return
        self.show_axes(True)
        first = known[0][1]
        shares = [moment.share for moment, _ in known]
        set_line(self.accuracy, shares, [measured.accuracy for _, measured in known])
        set_line(self.robust, shares, [measured.robust for _, measured in known])
        set_line(self.original, [0, limit], [first.accuracy] * 2)
        set_line(self.original_robust, [0, limit], [first.robust] * 2)
        old = _joined(overlaid)
        set_line(self.earlier, old[:, 0], old[:, 1])
        here = seen.now.share
        set_line(self.now, [here, here], [0, 1])
        tuned = [(one.share, found.accuracy) for one, found in known if one.distilled]
        set_line(self.tuned, [share for share, _ in tuned], [value for _, value in tuned])
        self._values = [v for _, found in known for v in (found.accuracy, found.robust)]
        self._values += old[np.isfinite(old[:, 1]), 1].tolist()
        self._fit()
        notes = f" · dashed: {', '.join(run.name for run in overlaid)}" if len(old) else ""
        if tuned:
            notes += " · ◆ all survivors tuned together"
        self.say(
            f"● accuracy  ▲ robust ({seen.attack})  ··· original; {first.samples} samples{notes}"
        )
        self.fill_table(
            ["step", "share removed", "accuracy", "robust accuracy"],
            [
                [
                    moment.step.index if moment.step else 0,
                    f"{moment.share:.1%}",
                    f"{found.accuracy:.1%}",
                    f"{found.robust:.1%}",
                ]
                for moment, found in known
            ],
        )


def _joined(runs: Sequence[NamedRun]) -> np.ndarray:
    """(n, 2): share and accuracy of several runs, with a gap after each."""
    rows: list[tuple[float, float]] = []
    for run in runs:
        points = [(p.share, p.accuracy) for p in run.points if p.accuracy is not None]
        if points:
            rows += [*([(np.nan, np.nan)] if rows else []), *points]
    return np.asarray(rows, dtype=np.float64).reshape(-1, 2)
