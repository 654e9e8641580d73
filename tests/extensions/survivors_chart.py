"""A chart of a user's own: how many units are left after each step."""

from __future__ import annotations

import bqplot
import numpy as np

from paoding_widgets.charts import Chart, Seen, register


@register
class SurvivorsChart(Chart):
    """Units left in all layers, step by step."""

    def __init__(self) -> None:
        scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale(min=0.0)}
        self.line = bqplot.Lines(x=np.zeros(0), y=np.zeros(0), scales=scales)
        axes = [
            bqplot.Axis(scale=scales["x"], label="Step"),
            bqplot.Axis(scale=scales["y"], orientation="vertical", label="Units"),
        ]
        super().__init__("Survivors", [self.line], axes)

    def draw(self, seen: Seen) -> None:
        steps = [one.step for one in seen.snapshots if one.step is not None]
        with self.line.hold_sync():
            self.line.x = np.array([float(step.index) for step in steps])
            self.line.y = np.array([float(sum(step.remaining.values())) for step in steps])
        self.show_axes(bool(steps))
        self.say(f"{int(self.line.y[-1])} left" if steps else "nothing to show yet")
