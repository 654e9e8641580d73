"""The live charts: each is made once, and then only gets new arrays."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np

if TYPE_CHECKING:
    from paoding_widgets.session import Snapshot
    from paoding_widgets.timeline import NamedRun

# Told apart by shape and dash as well as by colour; readable on white and on black.
ACCURACY = "#2f8f81"
ROBUST = "#d9822b"
EARLIER = "#8a9199"
REJECTED = "#8a9199"
# What goes to the browser is bounded: a run of any length keeps the page quick.
MAX_POINTS = 2000
MAX_POINTS_PER_STEP = 120
MAX_LAYERS = 10
MAX_OUTPUTS = 40
MAX_TABLE_ROWS = 60
LABEL_LENGTH = 14
# A bound so many times what was seen tells nothing about the network.
SAYS_NOTHING = 1000
_HEIGHT = "230px"


class Chart:
    """A figure with a title, a line that says what is seen, and a table with the same data."""

    def __init__(self, title: str, marks: list[Any], axes: list[Any], **margin: int) -> None:
        sides = {"top": 12, "bottom": 40, "left": 52, "right": 16} | margin
        self.title = title
        self.heading = ipywidgets.HTML(layout=ipywidgets.Layout(width="auto"))
        self.heading.add_class("paoding-chart-title")
        self.figure = bqplot.Figure(
            marks=marks,
            axes=axes,
            fig_margin=sides,
            background_style={"fill": "none"},
            animation_duration=0,
            layout=ipywidgets.Layout(width="auto", height=_HEIGHT, min_width="0"),
        )
        self.table = ipywidgets.HTML(layout=ipywidgets.Layout(width="auto", display="none"))
        self.table.add_class("paoding-data")
        self.box = ipywidgets.VBox([self.heading, self.figure, self.table])
        self.show_axes(False)
        self.say("nothing to show yet")

    def show_axes(self, shown: bool) -> None:
        """Axes without data would only ask what they are for; their place is kept."""
        if shown:
            self.box.remove_class("paoding-empty")
        else:
            self.box.add_class("paoding-empty")

    def say(self, text: str) -> None:
        """Set the line under the title; ``text`` is plain text."""
        wanted = f'<b>{escape(self.title)}</b> <span class="paoding-sub">{escape(text)}</span>'
        if self.heading.value != wanted:
            self.heading.value = wanted

    @property
    def tabled(self) -> bool:
        """Whether the table is shown."""
        return self.table.layout.display != "none"

    def show_table(self, shown: bool) -> None:
        """Show or hide the table behind the chart."""
        self.table.layout.display = None if shown else "none"

    def fill_table(self, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Write the table; only while it is shown, for it costs more than the chart."""
        if not self.tabled:
            return
        self.table.value = html_table(self.title, head, rows[-MAX_TABLE_ROWS:])


def html_table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table as HTML, with every text escaped."""
    top = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_text(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _text(value: Any) -> str:
    return short(value) if isinstance(value, float) else str(value)


def short(value: float) -> str:
    """A number with four digits, or all of them before the point: 0.01235, 12,346."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def _clear(values: Any) -> np.ndarray:
    """Numbers as bqplot wants them: float64 (int64 would be cut to int32)."""
    return np.asarray(values, dtype=np.float64)


_GRID = {"grid_lines": "dashed", "grid_color": "#8a919944"}
_NONE = np.zeros(0)
_FIFTHS = np.linspace(0.0, 1.0, 6)


class AccuracyChart(Chart):
    """Accuracy and robust accuracy against the share removed, the original as a line."""

    def __init__(self) -> None:
        self.x = bqplot.LinearScale(min=0.0, max=1.0)
        self.y = bqplot.LinearScale(min=0.0, max=1.0, allow_padding=False)
        scales = {"x": self.x, "y": self.y}

        def line(colour: str, **options: Any) -> bqplot.Lines:
            return bqplot.Lines(x=_NONE, y=_NONE, scales=scales, colors=[colour], **options)

        self.accuracy = line(ACCURACY, marker="circle", marker_size=34, stroke_width=2.5)
        self.robust = line(ROBUST, marker="triangle-up", marker_size=40, stroke_width=2)
        self.original = line(ACCURACY, line_style="dotted", stroke_width=1.5)
        self.original_robust = line(ROBUST, line_style="dotted", stroke_width=1.5)
        self.earlier = line(EARLIER, line_style="dashed", stroke_width=1.5)
        self.now = line(EARLIER, stroke_width=1, opacities=[0.8])
        self.tuned = bqplot.Scatter(
            x=_NONE, y=_NONE, scales=scales, colors=[ACCURACY], marker="diamond", default_size=130
        )
        self.y_axis = bqplot.Axis(
            scale=self.y, side="left", tick_format=".0%", tick_values=_FIFTHS, **_GRID
        )
        axes = [
            bqplot.Axis(scale=self.x, label="share of units removed", tick_format=".0%", **_GRID),
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

    def draw(
        self,
        snapshots: Sequence[Snapshot],
        shown: int,
        limit: float,
        overlaid: Sequence[NamedRun],
        attack: str,
    ) -> None:
        """Show a run up to now; ``shown`` is the moment that the reader looks at."""
        self.x.max = max(limit, 0.01)
        known = [(m, m.measured) for m in snapshots if m.measured]
        if not known:
            for mark in self.figure.marks:
                _set_line(mark, [], [])
            self.show_axes(False)
            self.say("not measured: the studio was given no data=(x, y)")
            return
        self.show_axes(True)
        first = known[0][1]
        shares = [moment.share for moment, _ in known]
        _set_line(self.accuracy, shares, [measured.accuracy for _, measured in known])
        _set_line(self.robust, shares, [measured.robust for _, measured in known])
        _set_line(self.original, [0, limit], [first.accuracy] * 2)
        _set_line(self.original_robust, [0, limit], [first.robust] * 2)
        old = _joined(overlaid)
        _set_line(self.earlier, old[:, 0], old[:, 1])
        here = snapshots[min(shown, len(snapshots) - 1)].share
        _set_line(self.now, [here, here], [0, 1])
        tuned = [(one.share, found.accuracy) for one, found in known if one.distilled]
        _set_line(self.tuned, [share for share, _ in tuned], [value for _, value in tuned])
        self._values = [v for _, found in known for v in (found.accuracy, found.robust)]
        self._values += old[np.isfinite(old[:, 1]), 1].tolist()
        self._fit()
        notes = f" · dashed: {', '.join(run.name for run in overlaid)}" if len(old) else ""
        if tuned:
            notes += " · ◆ all survivors tuned together"
        self.say(f"● accuracy  ▲ robust ({attack})  ··· original; {first.samples} samples{notes}")
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


class EnergyChart(Chart):
    """Energy of every candidate, accepted or rejected, with the temperature."""

    def __init__(self) -> None:
        self.x = bqplot.LinearScale(min=0.0, max=1.0)
        self.y = bqplot.LinearScale(min=0.0, max=1.0)
        heat = bqplot.LinearScale(min=0.0, max=1.05)
        scales = {"x": self.x, "y": self.y}
        self.accepted = bqplot.Scatter(
            x=_NONE, y=_NONE, scales=scales, colors=[ACCURACY], marker="circle", default_size=22
        )
        self.rejected = bqplot.Scatter(
            x=_NONE,
            y=_NONE,
            scales=scales,
            colors=[REJECTED],
            marker="cross",
            default_size=22,
            opacities=[0.7],
        )
        self.heat = bqplot.Lines(
            x=_NONE,
            y=_NONE,
            scales={"x": self.x, "y": heat},
            colors=[ROBUST],
            line_style="dashed",
            stroke_width=1.5,
        )
        self.step_axis = bqplot.Axis(scale=self.x, label="step", tick_format="d", **_GRID)
        self.heat_axis = bqplot.Axis(
            scale=heat,
            side="right",
            tick_format=".1f",
            tick_values=_FIFTHS,
            grid_lines="none",
            visible=False,
        )
        axes = [
            self.step_axis,
            bqplot.Axis(scale=self.y, side="left", tick_format=".3~g", **_GRID),
            self.heat_axis,
        ]
        super().__init__("Candidates", [self.heat, self.rejected, self.accepted], axes, right=40)
        self._set_steps(2)

    def _set_steps(self, count: int) -> None:
        """Room for a run of so many steps, with whole numbers at the axis."""
        last = max(2, count)
        if self.x.max != last + 0.5:
            self.x.max = last + 0.5
            self.step_axis.tick_values = np.arange(0.0, last + 1, np.ceil(last / 12))

    def draw(self, snapshots: Sequence[Snapshot]) -> None:
        """Show the candidates of all steps, at most so many of each."""
        taken = [m for m in snapshots if m.step is not None]
        measure = taken[-1].measure if taken else ""
        # Numbers of different measures are not compared: the latest measure has the axis.
        steps = [m.step for m in taken if m.step is not None and m.measure == measure]
        parts = [_candidates(step) for step in steps]
        points = np.concatenate(parts) if parts else np.zeros((0, 4))
        points = points[-MAX_POINTS:]
        accepted = points[:, 2] > 0
        self._set_steps(len(taken))
        self.show_axes(bool(taken))
        if len(points):
            low, high = np.percentile(points[:, 1], [0, 98])
            room = (high - low) * 0.08 or 0.5
            self.y.min, self.y.max = float(low - room), float(high + room)
        for mark, which in ((self.accepted, accepted), (self.rejected, ~accepted)):
            _set_line(mark, points[which, 0], points[which, 1])
        heats = [(s.index, float(np.nanmean(t))) for s in steps if len(t := _temperatures(s))]
        _set_line(self.heat, [h[0] for h in heats], [h[1] for h in heats])
        self.heat_axis.visible = bool(heats)
        warm = "  - - temperature (right)" if heats else ""
        others = len(taken) - len(steps)
        rest = (
            f" · {others} earlier steps went by another measure: not on this axis" if others else ""
        )
        empty = "nothing to show before the first step"
        self.say(f"{measure}: ● removed  ✚ rejected{warm}{rest}" if taken else empty)
        self.fill_table(
            ["step", "removed", "rejected", "median energy", "temperature"],
            [
                [
                    s.index,
                    int((p[:, 2] > 0).sum()),
                    int((p[:, 2] == 0).sum()),
                    float(np.median(p[:, 1])) if len(p) else float("nan"),
                    dict(heats).get(s.index, float("nan")),
                ]
                for s, p in zip(steps, parts, strict=True)
            ],
        )


def _temperatures(step: Any) -> np.ndarray:
    values = step.decisions.columns["temperature"]
    return values[np.isfinite(values)]


def _candidates(step: Any) -> np.ndarray:
    """(n, 4): place on the step axis, energy (or saliency), whether removed, whether energy."""
    columns = step.decisions.columns
    verdict = np.asarray(columns["verdict"], dtype=str)
    values = columns["energy"]
    has_energy = bool(np.isfinite(values).any())
    if not has_energy:
        values = columns["saliency"]
    looked_at = np.isfinite(values) & np.isin(verdict, ["removed", "rejected"])
    rows = np.flatnonzero(looked_at)
    if len(rows) > MAX_POINTS_PER_STEP:
        rows = rows[np.linspace(0, len(rows) - 1, MAX_POINTS_PER_STEP).astype(int)]
    # Spread over the step, in the order in which they were looked at.
    place = step.index - 0.35 + 0.7 * np.arange(len(rows)) / max(1, len(rows) - 1)
    return np.column_stack(
        [place, values[rows], verdict[rows] == "removed", np.full(len(rows), has_energy)]
    ).astype(np.float64)


class ParametersChart(Chart):
    """Parameters of each layer, before and now."""

    def __init__(self) -> None:
        self.layers = bqplot.OrdinalScale()
        self.count = bqplot.LinearScale(min=0.0, max=1.0)
        self.bars = bqplot.Bars(
            x=np.array([""]),
            y=np.zeros((2, 1)),
            scales={"x": self.layers, "y": self.count},
            type="grouped",
            orientation="horizontal",
            colors=["#8a919980", ACCURACY],
            padding=0.25,
        )
        self.count_axis = bqplot.Axis(scale=self.count, tick_format=".3~s", **_GRID)
        axes = [
            bqplot.Axis(scale=self.layers, side="left", grid_lines="none"),
            self.count_axis,
        ]
        super().__init__("Parameters", [self.bars], axes, left=112, right=24)
        self._set_ticks(1000.0)

    def _set_ticks(self, largest: float) -> None:
        ticks = nice_ticks(largest)
        if self.count.max != ticks[-1]:
            self.count.max = float(ticks[-1])
            self.count_axis.tick_values = ticks

    def draw(self, original: Snapshot, now: Snapshot) -> None:
        """Show the layers that hold most of the parameters."""
        self.show_axes(True)
        names = [n for n, count in original.parameters.items() if count > 0]
        kept = set(sorted(names, key=lambda n: -original.parameters[n])[:MAX_LAYERS])
        shown = [n for n in names if n in kept]
        before = [original.parameters[n] for n in shown]
        after = [now.parameters.get(n, 0) for n in shown]
        # The first layer at the top, as one reads.
        labels = _labels(shown)[::-1]
        with self.bars.hold_sync():
            self.bars.x = np.array(labels)
            self.bars.y = _clear([before[::-1], after[::-1]])
        self._set_ticks(float(max(before, default=1)))
        rest = len(names) - len(shown)
        more = f"; the {len(shown)} largest of {len(names)} layers" if rest > 0 else ""
        self.say(f"grey: original, green: left{more}")
        rows = [[n, b, a, f"{1 - a / b:.0%}"] for n, b, a in zip(shown, before, after, strict=True)]
        self.fill_table(["layer", "original", "left", "removed"], rows)


def nice_ticks(largest: float) -> np.ndarray:
    """Four to six round numbers from 0 to at least ``largest``."""
    step = 10.0 ** np.floor(np.log10(largest))
    while largest / step < 4:
        step /= 2
    return np.arange(0.0, np.ceil(largest / step) + 1) * step


def _labels(names: Sequence[str]) -> list[str]:
    """Names cut to what fits beside an axis, each different from the others."""
    found: list[str] = []
    for name in names:
        short = name if len(name) <= LABEL_LENGTH else "…" + name[-LABEL_LENGTH + 1 :]
        while short in found:
            short += "'"
        found.append(short)
    return found


class ChangeChart(Chart):
    """How far each output, or its score, has moved: seen on samples, within what is certified."""

    def __init__(self) -> None:
        self.x = bqplot.LinearScale(min=-0.5, max=9.5)
        self.y = bqplot.LogScale(min=1e-3, max=1.0)
        scales = {"x": self.x, "y": self.y}
        self.bound = bqplot.Bars(
            x=np.zeros(1),
            y=np.full(1, 1e-3),
            base=1e-3,
            scales=scales,
            colors=["#8a919933"],
            stroke=EARLIER,
            padding=0.3,
        )
        self.seen = bqplot.Bars(
            x=np.zeros(1),
            y=np.full(1, 1e-3),
            base=1e-3,
            scales=scales,
            colors=[ACCURACY],
            padding=0.55,
        )
        self.axis = bqplot.Axis(scale=self.x, label="output", tick_format="d", grid_lines="none")
        self.size_axis = bqplot.Axis(scale=self.y, side="left", tick_format=".1~g", **_GRID)
        super().__init__(
            "Change of the outputs", [self.bound, self.seen], [self.axis, self.size_axis]
        )

    def draw(self, now: Snapshot) -> None:
        """Show how far each output moved at most, certified as an outline, seen as a bar."""
        if now.lower is None or now.upper is None:
            self.show_axes(False)
            nothing = (
                "nothing to show before the first step" if now.step is None else "not computed"
            )
            self.say(now.bound_note or nothing)
            self.fill_table(["output", "least", "most"], [])
            return
        self.show_axes(True)
        lower, upper = _clear(now.lower).ravel(), _clear(now.upper).ravel()
        bound = np.maximum(np.abs(lower), np.abs(upper))
        seen = _seen(now, len(bound))
        order = np.argsort(-bound, kind="stable")[:MAX_OUTPUTS]
        order.sort()
        self._place(bound[order], None if seen is None else seen[order])
        what = "score" if now.scores else "output"
        if self.axis.label != what:
            self.axis.label = what
        self.say(_told_of_change(now, bound, seen, what))
        rows = [
            [int(k), float(lower[k]), float(upper[k]), "–" if seen is None else float(seen[k])]
            for k in order
        ]
        self.fill_table([what, "certified least", "certified most", "seen at most"], rows)

    def _place(self, bound: np.ndarray, seen: np.ndarray | None) -> None:
        """Set bars and axes; on a logarithmic axis a bar begins at the bottom."""
        values = np.concatenate([bound, [] if seen is None else seen])
        positive = values[values > 0]
        top = 10.0 ** np.ceil(np.log10(positive.max(initial=1e-6)))
        bottom = max(10.0 ** np.floor(np.log10(positive.min(initial=top / 10))), top * 1e-6)
        bottom = min(bottom, top / 10)
        at = np.arange(len(bound), dtype=np.float64)
        self.x.min, self.x.max = -0.5, max(1.0, float(len(bound))) - 0.5
        self.axis.tick_values = np.arange(0.0, len(bound), np.ceil(max(1, len(bound)) / 12))
        self.y.min, self.y.max = float(bottom), float(top)
        self.size_axis.tick_values = 10.0 ** np.arange(np.log10(bottom), np.log10(top) + 0.5)
        for mark, heights in ((self.bound, bound), (self.seen, seen)):
            with mark.hold_sync():
                mark.base = float(bottom)
                mark.x = at
                mark.y = np.maximum(
                    _clear(np.zeros(len(at)) if heights is None else heights), bottom
                )


def _seen(now: Snapshot, count: int) -> np.ndarray | None:
    """The greatest change of each score on the samples, where it is of the same scores."""
    if now.measured is None or now.measured.moved is None or not now.scores:
        return None
    low, high = now.measured.moved
    most = np.maximum(np.abs(low), np.abs(high))
    return most if len(most) == count else None


def _told_of_change(now: Snapshot, bound: np.ndarray, seen: np.ndarray | None, what: str) -> str:
    """What the bound is worth, in a sentence."""
    kind = "certified" if now.certified else "estimated"
    if not now.scores and bound.min(initial=np.inf) >= 1 and bound.max(initial=0) <= 1:
        return f"the {kind} bound says nothing: a probability can never change by more than 1"
    text = f"outline: {kind} for every legal input"
    if seen is None:
        return f"{text}, at most {short(float(bound.max(initial=0)))}"
    most = float(seen.max(initial=0))
    text += f" · solid: seen on samples, at most {short(most)}"
    loose = float(bound.max(initial=0)) / most if most > 0 else np.inf
    if loose > SAYS_NOTHING:
        return f"{text} · {loose:,.0f} times looser than seen: it says nothing of this network"
    return f"{text} · {loose:,.1f} times looser than seen" if np.isfinite(loose) else text


def _set_line(mark: Any, x: Any, y: Any) -> None:
    """Give a mark both arrays in one message."""
    with mark.hold_sync():
        mark.x = _clear(x)
        mark.y = _clear(y)


class Charts:
    """The four charts of a studio, redrawn from the run's snapshots."""

    def __init__(self) -> None:
        self.accuracy = AccuracyChart()
        self.energy = EnergyChart()
        self.parameters = ParametersChart()
        self.change = ChangeChart()
        self.all = (self.accuracy, self.parameters, self.energy, self.change)
        self.live = self.accuracy.box
        self.live.add_class("paoding-live")
        self.box = ipywidgets.Box([chart.box for chart in self.all[1:]])
        self.box.add_class("paoding-charts")

    def show_tables(self, shown: bool) -> None:
        """Show or hide the tables behind all charts."""
        for chart in self.all:
            chart.show_table(shown)

    def draw(
        self,
        snapshots: Sequence[Snapshot],
        shown: int,
        limit: float,
        overlaid: Sequence[NamedRun],
        attack: str,
    ) -> None:
        """Show a run at one of its snapshots."""
        now = snapshots[min(shown, len(snapshots) - 1)]
        self.accuracy.draw(snapshots, shown, limit, overlaid, attack)
        self.energy.draw(snapshots)
        self.parameters.draw(snapshots[0], now)
        self.change.draw(now)
