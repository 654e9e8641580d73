"""What all charts have in common: made once, they only get new arrays, and a table beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
# Of runs that are compared with the present one, in the order of their table.
OTHERS = ("#8a63b8", "#b8636f", "#6b8e23", "#4f7fbf")
# What goes to the browser is bounded: a run of any length keeps the page quick.
MAX_TABLE_ROWS = 60
_HEIGHT = "230px"


@dataclass(frozen=True, eq=False)
class Seen:
    """What a chart may show.

    Args:
        snapshots: the original and every step that is applied.
        shown: the moment that the reader looks at.
        limit: share of the units that the axis reaches to.
        overlaid: earlier runs to compare with.
        attack: what robust accuracy is measured with, in words.
        keep: least agreement with the original at which a run stops; 0: the target alone decides.
        editable: whether settings can be changed now.
    """

    snapshots: Sequence[Snapshot]
    shown: int
    limit: float
    overlaid: Sequence[NamedRun]
    attack: str
    keep: float = 0.0
    editable: bool = True

    @property
    def now(self) -> Snapshot:
        """The snapshot that the reader looks at."""
        return self.snapshots[min(self.shown, len(self.snapshots) - 1)]


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
        # It scrolls: the keyboard has to reach it.
        hidden = ipywidgets.Layout(width="auto", display="none")
        self.table = ipywidgets.HTML(layout=hidden, tabbable=True)
        self.table.add_class("paoding-data")
        self.head = ipywidgets.HBox([self.heading, *map(self._saves, ("png", "svg"))])
        self.head.add_class("paoding-chart-head")
        self.box = ipywidgets.VBox([self.head, self.figure, self.table])
        self.show_axes(False)
        self.say("nothing to show yet")

    def _saves(self, kind: str) -> ipywidgets.Button:
        """A button that has the browser save the figure."""
        made = ipywidgets.Button(
            description=kind.upper(), tooltip=f"Save this chart as {kind.upper()}"
        )
        file = f"{self.title.lower().replace(' ', '-')}.{kind}"
        made.on_click(lambda _: getattr(self.figure, f"save_{kind}")(file))
        return made

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

    def draw(self, seen: Seen) -> None:
        """Show a run; give marks new arrays, and never make them anew."""
        raise NotImplementedError

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


def clear(values: Any) -> np.ndarray:
    """Numbers as bqplot wants them: float64 (int64 would be cut to int32)."""
    return np.asarray(values, dtype=np.float64)


GRID = {"grid_lines": "dashed", "grid_color": "#8a919944"}
NOTHING = np.zeros(0)
FIFTHS = np.linspace(0.0, 1.0, 6)


def set_line(mark: Any, x: Any, y: Any) -> None:
    """Give a mark both arrays in one message."""
    with mark.hold_sync():
        mark.x = clear(x)
        mark.y = clear(y)


def nice_ticks(largest: float) -> np.ndarray:
    """Four to six round numbers from 0 to at least ``largest``."""
    step = 10.0 ** np.floor(np.log10(largest))
    while largest / step < 4:
        step /= 2
    return np.arange(0.0, np.ceil(largest / step) + 1) * step
