"""The candidates of every step: what was removed, what was rejected, at what temperature."""

from __future__ import annotations

from typing import Any

import bqplot
import numpy as np

from paoding_widgets.charts.base import (
    ACCURACY,
    EARLIER,
    FIFTHS,
    GRID,
    NOTHING,
    REJECTED,
    ROBUST,
    Chart,
    Seen,
    set_line,
)

# What goes to the browser is bounded: a run of any length keeps the page quick.
MAX_POINTS = 2000
MAX_POINTS_PER_STEP = 120


class EnergyChart(Chart):
    """Energy of every candidate, accepted or rejected, with the temperature."""

    def __init__(self) -> None:
        self.x = bqplot.LinearScale(min=0.0, max=1.0)
        self.y = bqplot.LinearScale(min=0.0, max=1.0)
        heat = bqplot.LinearScale(min=0.0, max=1.05)
        scales = {"x": self.x, "y": self.y}
        self.accepted = bqplot.Scatter(
            x=NOTHING, y=NOTHING, scales=scales, colors=[ACCURACY], marker="circle", default_size=22
        )
        self.rejected = bqplot.Scatter(
            x=NOTHING,
            y=NOTHING,
            scales=scales,
            colors=[REJECTED],
            marker="cross",
            default_size=22,
            opacities=[0.7],
        )
        self.earlier = bqplot.Lines(
            x=NOTHING,
            y=NOTHING,
            scales=scales,
            colors=[EARLIER],
            line_style="dotted",
            stroke_width=2,
        )
        self.heat = bqplot.Lines(
            x=NOTHING,
            y=NOTHING,
            scales={"x": self.x, "y": heat},
            colors=[ROBUST],
            line_style="dashed",
            stroke_width=1.5,
        )
        self.step_axis = bqplot.Axis(scale=self.x, label="step", tick_format="d", **GRID)
        self.heat_axis = bqplot.Axis(
            scale=heat,
            side="right",
            tick_format=".1f",
            tick_values=FIFTHS,
            grid_lines="none",
            visible=False,
        )
        axes = [
            self.step_axis,
            bqplot.Axis(scale=self.y, side="left", tick_format=".3~g", **GRID),
            self.heat_axis,
        ]
        super().__init__(
            "Candidates", [self.heat, self.earlier, self.rejected, self.accepted], axes, right=40
        )
        self._set_steps(2)

    def _set_steps(self, count: int) -> None:
        """Room for a run of so many steps, with whole numbers at the axis."""
        last = max(2, count)
        if self.x.max != last + 0.5:
            self.x.max = last + 0.5
            self.step_axis.tick_values = np.arange(0.0, last + 1, np.ceil(last / 12))

    def draw(self, seen: Seen) -> None:
        """Show the candidates of all steps, at most so many of each."""
        snapshots = seen.snapshots
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
            set_line(mark, points[which, 0], points[which, 1])
        old = self._draw_earlier(seen, measure)
        heats = [(s.index, float(np.nanmean(t))) for s in steps if len(t := _temperatures(s))]
        set_line(self.heat, [h[0] for h in heats], [h[1] for h in heats])
        self.heat_axis.visible = bool(heats)
        warm = "  - - temperature (right)" if heats else ""
        others = len(taken) - len(steps)
        rest = (
            f" · {others} earlier steps went by another measure: not on this axis" if others else ""
        )
        rest += f" · dotted: mean energy of {old}" if old else ""
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

    def _draw_earlier(self, seen: Seen, measure: str) -> str:
        """Mean energies of the overlaid runs that went by the same measure; their names."""
        rows: list[tuple[float, float]] = []
        names = []
        for run in seen.overlaid:
            steps = [(float(n), p.energy) for n, p in enumerate(run.points) if p.energy is not None]
            if run.measure == measure and steps:
                names.append(run.name)
                rows += [*([(np.nan, np.nan)] if rows else []), *steps]
        values = np.asarray(rows, dtype=np.float64).reshape(-1, 2)
        set_line(self.earlier, values[:, 0], values[:, 1])
        return ", ".join(names)


def _temperatures(step: Any) -> np.ndarray:
    values = step.decisions.columns["temperature"]
    return values[np.isfinite(values)]


def _candidates(step: Any) -> np.ndarray:
    """(n, 4): place on the step axis, energy (or importance), whether removed, whether energy."""
    columns = step.decisions.columns
    verdict = np.asarray(columns["verdict"], dtype=str)
    values = columns["energy"]
    has_energy = bool(np.isfinite(values).any())
    if not has_energy:
        values = columns["importance"]
    looked_at = np.isfinite(values) & np.isin(verdict, ["removed", "rejected"])
    rows = np.flatnonzero(looked_at)
    if len(rows) > MAX_POINTS_PER_STEP:
        rows = rows[np.linspace(0, len(rows) - 1, MAX_POINTS_PER_STEP).astype(int)]
    # Spread over the step, in the order in which they were looked at.
    place = step.index - 0.35 + 0.7 * np.arange(len(rows)) / max(1, len(rows) - 1)
    return np.column_stack(
        [place, values[rows], verdict[rows] == "removed", np.full(len(rows), has_energy)]
    ).astype(np.float64)
