"""Parameters that are left in each layer."""

from __future__ import annotations

from collections.abc import Sequence

import bqplot
import numpy as np

from paoding_widgets.charts.base import ACCURACY, GRID, OTHERS, Chart, Seen, clear, nice_ticks

BEFORE = "#8a919980"
MAX_LAYERS = 10
LABEL_LENGTH = 14


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
            colors=[BEFORE, ACCURACY],
            padding=0.25,
        )
        self.count_axis = bqplot.Axis(scale=self.count, tick_format=".3~s", **GRID)
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

    def draw(self, seen: Seen) -> None:
        """Show the layers that hold most of the parameters."""
        original, now = seen.snapshots[0], seen.now
        self.show_axes(True)
        names = [n for n, count in original.parameters.items() if count > 0]
        kept = set(sorted(names, key=lambda n: -original.parameters[n])[:MAX_LAYERS])
        shown = [n for n in names if n in kept]
        before = [original.parameters[n] for n in shown]
        after = [now.parameters.get(n, 0) for n in shown]
        others = [run for run in seen.overlaid if run.layers][: len(OTHERS)]
        rows_of = [[run.layers.get(name, 0) for name in shown] for run in others]
        # The first layer at the top, as one reads.
        labels = _labels(shown)[::-1]
        with self.bars.hold_sync():
            self.bars.colors = [BEFORE, ACCURACY, *OTHERS[: len(others)]]
            self.bars.x = np.array(labels)
            self.bars.y = clear([counts[::-1] for counts in (before, after, *rows_of)])
        self._set_ticks(float(max(before, default=1)))
        rest = len(names) - len(shown)
        more = f"; the {len(shown)} largest of {len(names)} layers" if rest > 0 else ""
        words = ("violet", "red", "olive", "blue")
        told = "".join(f", {word}: {run.name}" for word, run in zip(words, others, strict=False))
        self.say(f"grey: original, green: left{told}{more}")
        rows = [
            [n, b, a, f"{1 - a / b:.0%}", *each]
            for n, b, a, *each in zip(shown, before, after, *rows_of, strict=True)
        ]
        names = [run.name for run in others]
        self.fill_table(["layer", "original", "left", "removed", *names], rows)


def _labels(names: Sequence[str]) -> list[str]:
    """Names cut to what fits beside an axis, each different from the others."""
    found: list[str] = []
    for name in names:
        short = name if len(name) <= LABEL_LENGTH else "…" + name[-LABEL_LENGTH + 1 :]
        while short in found:
            short += "'"
        found.append(short)
    return found
