"""How far outputs have moved: seen on samples, within what is certified."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bqplot
import numpy as np

from paoding_widgets.charts.base import ACCURACY, EARLIER, GRID, Chart, Seen, clear, set_line, short

if TYPE_CHECKING:
    from paoding_widgets.session import Snapshot

MAX_OUTPUTS = 40
# A bound so many times what was seen tells nothing about the network.
SAYS_NOTHING = 1000


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
        self.earlier = bqplot.Lines(
            x=np.zeros(0),
            y=np.zeros(0),
            scales=scales,
            colors=[EARLIER],
            line_style="dashed",
            stroke_width=1.5,
        )
        self.axis = bqplot.Axis(scale=self.x, label="output", tick_format="d", grid_lines="none")
        self.size_axis = bqplot.Axis(scale=self.y, side="left", tick_format=".1~g", **GRID)
        super().__init__(
            "Change of the outputs",
            [self.bound, self.seen, self.earlier],
            [self.axis, self.size_axis],
        )

    def draw(self, seen: Seen) -> None:
        """Show how far each output moved at most, certified as an outline, measured as a bar."""
        now = seen.now
        if now.lower is None or now.upper is None:
            self.show_axes(False)
            nothing = (
                "nothing to show before the first step" if now.step is None else "not computed"
            )
            self.say(now.bound_note or nothing)
            self.fill_table(["output", "least", "most"], [])
            set_line(self.earlier, [], [])
            return
        self.show_axes(True)
        lower, upper = clear(now.lower).ravel(), clear(now.upper).ravel()
        bound = np.maximum(np.abs(lower), np.abs(upper))
        measured = _measured(now, len(bound))
        order = np.argsort(-bound, kind="stable")[:MAX_OUTPUTS]
        order.sort()
        self._place(bound[order], None if measured is None else measured[order])
        what = "score" if now.scores else "output"
        if self.axis.label != what:
            self.axis.label = what
        told = _told_of_change(now, bound, measured, what)
        old = self._draw_earlier(seen, len(order))
        self.say(f"{told} · dashed: seen at most in {old}" if old else told)
        rows = [
            [
                int(k),
                float(lower[k]),
                float(upper[k]),
                "–" if measured is None else float(measured[k]),
            ]
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
        # Beyond either end of the axis stands one more bar: a single one would be a hairline.
        at = np.arange(-1, len(bound) + 1, dtype=np.float64)
        self.x.min, self.x.max = -0.5, max(1.0, float(len(bound))) - 0.5
        self.axis.tick_values = np.arange(0.0, len(bound), np.ceil(max(1, len(bound)) / 12))
        self.y.min, self.y.max = float(bottom), float(top)
        self.size_axis.tick_values = 10.0 ** np.arange(np.log10(bottom), np.log10(top) + 0.5)
        for mark, heights in ((self.bound, bound), (self.seen, seen)):
            with mark.hold_sync():
                mark.base = float(bottom)
                mark.x = at
                known = clear(np.zeros(len(bound)) if heights is None else heights)
                mark.y = np.maximum(np.pad(known, 1), bottom)

    def _draw_earlier(self, seen: Seen, count: int) -> str:
        """A line at the greatest change that was seen in each overlaid run; their names."""
        ends = [(run.name, run.points[-1].moved) for run in seen.overlaid]
        known = [(name, most) for name, most in ends if most]
        x = [at for _ in known for at in (-0.5, count - 0.5, np.nan)]
        set_line(self.earlier, x, [y for _, most in known for y in (most, most, np.nan)])
        return ", ".join(f"{name} ({short(most)})" for name, most in known)


def _measured(now: Snapshot, count: int) -> np.ndarray | None:
    """The greatest change of each score on the samples, where it is of the same scores."""
    if now.measured is None or now.measured.moved is None:
        return None
    if now.measured.moved_scores != now.scores:
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
