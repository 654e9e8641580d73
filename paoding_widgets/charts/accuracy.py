"""How good the network is at its task, also under attack, against the share of units removed."""

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
    clear,
    set_line,
)
from paoding_widgets.charts.keep import KeepLine
from paoding_widgets.session import ACCURACY as SHARE_RIGHT
from paoding_widgets.session import value_text

if TYPE_CHECKING:
    from paoding.evaluation.measures import Metric
    from paoding_widgets.session import Measured
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
        self.names = bqplot.Label(
            x=NOTHING,
            y=NOTHING,
            text=[],
            scales=scales,
            colors=[EARLIER],
            default_size=11,
            font_weight="normal",
            x_offset=6,
            y_offset=-6,
        )
        self.now = line(EARLIER, stroke_width=1, opacities=[0.8])
        self.tuned = bqplot.Scatter(
            x=NOTHING,
            y=NOTHING,
            scales=scales,
            colors=[ACCURACY],
            marker="diamond",
            default_size=130,
        )
        self.keep = KeepLine(scales)
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
        self.whole.observe(lambda _: self._fit_again(), names="value")
        marks = [self.original, self.original_robust, self.earlier, self.names, self.now]
        marks += [self.robust, self.accuracy, self.tuned, *self.keep.marks]
        super().__init__("Accuracy", marks, axes, left=48)
        self._values: list[float] = []
        self._seen: Seen | None = None
        self._metric = SHARE_RIGHT
        self.head.children = [self.heading, self.whole, *self.head.children[1:]]

    def _fit_again(self) -> None:
        if self._seen is None:
            self._fit()
        else:
            self.draw(self._seen)

    def _fit(self) -> None:
        """Let the axis show what the data need, or the whole range."""
        low, high, step = self._range()
        if (self.y.min, self.y.max) != (low, high):
            with self.y.hold_sync():
                self.y.min, self.y.max = float(low), float(high)
            places = 1 + round((high - low) / step)
            self.y_axis.tick_values = np.linspace(low, high, places)[:: 1 + places // 5]

    def _range(self) -> tuple[float, float, float]:
        """The ends of the axis and the distance of its ticks, in whole steps.

        So the axis stays where it is while the data move a little.
        """
        share, least = self._metric.unit == "share", min(self._values, default=0.0)
        most = max(self._values, default=1.0)
        bottom = -np.inf if self._metric.low is None else self._metric.low
        top = np.inf if self._metric.high is None else self._metric.high
        if self.whole.value or not self._values:
            least, most = (0.0, 1.0) if share else (min(0.0, least), most)
            step = 0.05 if share else _nice((most - least) / 4)
            return least, max(most, least + step), step
        room = max(0.01 if share else 1e-12, 0.1 * (most - least))
        step = 0.05 if share else _nice(max(most - least, 0.02 * abs(most), 1e-9) / 4)
        low = max(bottom, np.floor((least - room) / step + 1e-9) * step)
        high = min(top, np.ceil((most + room) / step - 1e-9) * step)
        return low, max(high, low + step), step

    def _measure_by(self, metric: Metric) -> None:
        """Title, toggle and axis say what is measured, and which way is better."""
        if metric == self._metric:
            return
        self._metric = metric
        better = "" if metric.higher_is_better else ", lower is better"
        self.title = f"{metric.name[:1].upper()}{metric.name[1:]}{better}"
        share = metric.unit == "share"
        self.y_axis.tick_format = ".0%" if share else ".3~g"
        self.whole.description = "0 to 100 %" if share else "from 0"

    def draw(self, seen: Seen) -> None:
        """Show a run up to now, and earlier ones."""
        self._seen = seen
        self.x.max = max(seen.limit, 0.01)
        known = [(m.share, m.measured) for m in seen.snapshots if m.measured]
        if not known:
            for mark in self.figure.marks:
                set_line(mark, [], [])
            self.show_axes(False)
            self.say("not measured: the studio was given no data=(x, y)")
            return
        self.show_axes(True)
        self._measure_by(known[0][1].metric)
        old = _joined(seen.overlaid)
        self._draw_lines(seen, known, old)
        self._draw_keep(seen, known[0][1])
        self._tell(seen, known[0][1], bool(len(old)))
        name = self._metric.name
        rows = [
            [
                moment.step.index if moment.step else 0,
                f"{moment.share:.1%}",
                moment.measured.text,
                value_text(moment.measured.robust_metric or self._metric, moment.measured.robust),
            ]
            for moment in seen.snapshots
            if moment.measured
        ]
        self.fill_table(["step", "share removed", name, f"robust {name}"], rows)

    def _draw_lines(
        self, seen: Seen, known: Sequence[tuple[float, Measured]], old: np.ndarray
    ) -> None:
        first, shares = known[0][1], [share for share, _ in known]
        quality = [found.quality for _, found in known]
        robust = [found.robust for _, found in known if found.robust is not None]
        both = first.comparable and len(robust) == len(known)
        set_line(self.accuracy, shares, quality)
        set_line(self.robust, *((shares, robust) if both else ([], [])))
        ends = [0, seen.limit]
        set_line(self.original, ends, [first.quality] * 2)
        set_line(self.original_robust, *((ends, [robust[0]] * 2) if both else ([], [])))
        set_line(self.earlier, old[:, 0], old[:, 1])
        ends_of = [(run.name, run.points[-1]) for run in seen.overlaid]
        ends_of = [(name, end) for name, end in ends_of if end.accuracy is not None]
        with self.names.hold_sync():
            self.names.text = [name for name, _ in ends_of]
            self.names.x = clear([end.share for _, end in ends_of])
            self.names.y = clear([end.accuracy for _, end in ends_of])
        tuned = [
            (one.share, one.measured.quality)
            for one in seen.snapshots
            if one.distilled and one.measured
        ]
        set_line(self.tuned, [share for share, _ in tuned], [value for _, value in tuned])
        self._values = [*quality, *(robust if both else [])]
        self._values += old[np.isfinite(old[:, 1]), 1].tolist()
        here, (low, high, _) = seen.now.share, self._range()
        set_line(self.now, [here, here], [min(low, 0.0), max(high, 1.0)])

    def _draw_keep(self, seen: Seen, first: Measured) -> None:
        """The line of *keep*, and the axes around everything that is shown."""
        if self._metric.unit != "share" or not self._metric.higher_is_better:
            self.keep.hide()
            self._fit()
            return
        if seen.keep:
            self._values.append(self.keep.value(first.quality, seen.keep))
        self._fit()
        axis = float(self.y.min), float(self.y.max)
        self.keep.draw(first.quality, seen.keep, axis, seen.limit, seen.editable)

    def _tell(self, seen: Seen, first: Measured, overlaid: bool) -> None:
        robust = f"  ▲ robust ({seen.attack})" if first.comparable else ""
        notes = f" · dashed: {', '.join(run.name for run in seen.overlaid)}" if overlaid else ""
        if any(one.distilled for one in seen.snapshots):
            notes += " · ◆ all survivors tuned together"
        name = self._metric.name
        self.say(f"● {name}{robust}  ··· original; {first.samples} samples{notes}")


def _nice(step: float) -> float:
    """The least of 1, 2, 5, 10, ... times a power of ten that is no smaller."""
    power = 10.0 ** np.floor(np.log10(max(step, 1e-12)))
    return next(float(m * power) for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def _joined(runs: Sequence[NamedRun]) -> np.ndarray:
    """(n, 2): share and accuracy of several runs, with a gap after each."""
    rows: list[tuple[float, float]] = []
    for run in runs:
        points = [(p.share, p.accuracy) for p in run.points if p.accuracy is not None]
        if points:
            rows += [*([(np.nan, np.nan)] if rows else []), *points]
    return np.asarray(rows, dtype=np.float64).reshape(-1, 2)
