"""The line of *keep* in the chart of accuracy: where a run stops, set by dragging it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bqplot
import numpy as np

from paoding_widgets.charts.base import NOTHING, set_line

KEEP = "#c2407a"
_STEP = 0.005  # a drag sets keep in steps of half a percent
_LEAST, _MOST = 0.5, 0.995
_OFF = 0.03  # of the axis, from its lower end: dropped there, the line is off


class KeepLine:
    """A line with a handle that stands where the accuracy would be if every change were for worse.

    Of 100 answers ``keep=0.98`` lets two change, so no more than two points of accuracy go, as far
    as the estimate holds.

    Attributes:
        dragged: called with the new ``keep`` once the handle was dropped; 0: off.
    """

    def __init__(self, scales: dict[str, Any]) -> None:
        self.dragged: Callable[[float], None] = lambda keep: None
        self.line = bqplot.Lines(
            x=NOTHING, y=NOTHING, scales=scales, colors=[KEEP], line_style="dash_dotted"
        )
        self.handle = bqplot.Scatter(
            x=NOTHING,
            y=NOTHING,
            scales=scales,
            colors=[KEEP],
            marker="rectangle",
            default_size=150,
            restrict_y=True,
            tooltip=None,
        )
        self.label = bqplot.Label(
            x=NOTHING,
            y=NOTHING,
            text=[],
            scales=scales,
            colors=[KEEP],
            default_size=12,
            align="end",
            x_offset=-14,
            y_offset=-6,
        )
        self.marks = [self.line, self.label, self.handle]
        self._original, self._low, self._span, self._end = 1.0, 0.0, 1.0, 1.0
        self.handle.on_drag(lambda _, content: self._follow(content))
        self.handle.on_drag_end(lambda _, content: self._drop(content))

    def hide(self) -> None:
        """Show nothing: what is measured is no share of right answers."""
        for mark in (self.line, self.handle, self.label):
            set_line(mark, [], [])

    def value(self, original: float, keep: float) -> float:
        """Where the line stands on the axis of accuracy."""
        return original - (1 - keep)

    def draw(
        self, original: float, keep: float, axis: tuple[float, float], end: float, able: bool
    ) -> None:
        """Show it where ``keep`` says, or parked at the axis's lower end.

        Args:
            original: accuracy of the original.
            keep: least agreement; 0: off.
            axis: both ends of the axis of accuracy.
            end: of the axis of shares.
            able: whether it can be dragged now.
        """
        self._original, self._end = original, end
        self._low, self._span = axis[0], axis[1] - axis[0]
        if self.handle.enable_move != able:
            self.handle.enable_move = able
        at = self.value(original, keep) if keep else self._low
        set_line(self.handle, [end], [at])
        self._show(keep, at)

    def _show(self, keep: float, at: float) -> None:
        set_line(self.line, *(([0, self._end], [at, at]) if keep else ([], [])))
        with self.label.hold_sync():
            self.label.text = [f"keep {keep:.1%}" if keep else "keep: off, drag up"]
            self.label.x, self.label.y = np.array([self._end]), np.array([at])

    def _read(self, content: Any) -> tuple[float, float]:
        """``keep`` and the height that the message of a drag tells."""
        at = float(content["point"]["y"])
        if at <= self._low + _OFF * self._span:
            return 0.0, at
        keep = round((1 - (self._original - at)) / _STEP) * _STEP
        return float(np.clip(keep, _LEAST, _MOST)), at

    def _follow(self, content: Any) -> None:
        self._show(*self._read(content))

    def _drop(self, content: Any) -> None:
        keep, _ = self._read(content)
        self.dragged(round(keep, 3))
