"""``ParetoView``: the runs of a sweep as points; a click opens one in a studio."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np

from paoding.deploy.front import COSTS, ORIGINAL, QUALITIES
from paoding.errors import PaodingError
from paoding_widgets.charts.base import ACCURACY, EARLIER, GRID, NOTHING, ROBUST, clear, html_table

if TYPE_CHECKING:
    from paoding.deploy.front import Front
    from paoding_widgets.studio import PruningStudio

_HEIGHT = "300px"
_WORDS = {
    "latency": "latency (ms)",
    "flops": "FLOPs",
    "estimated_agreement": "agreement (estimated)",
    "robust_accuracy": "robust accuracy",
}


class ParetoView(ipywidgets.VBox):
    """What each run costs and is worth, and the front of those that no other beats in both.

    A click on a point, or a choice in the list, opens its run in a studio below, ready to go on
    with another target.

    Args:
        front: what :func:`paoding.sweep` returned.
        data: evaluation data for the studio, ``(x, y)`` or something with ``x`` and ``y``.
        cost: the column to begin with on the horizontal axis, such as "latency" or "bytes".
        quality: the column to begin with on the vertical axis, such as "robust_accuracy".

    Raises:
        ArgumentError: nothing was measured in such a column.

    >>> import paoding
    >>> model, data = paoding.zoo.load("breast-cancer")
    >>> front = paoding.sweep(model, [0.25, 0.5], runtime=None, step=0.25, distil=0)
    >>> view = ParetoView(front)
    >>> view.open_run(0)
    >>> view.studio.wait()
    'finished'
    >>> view.studio.close()
    """

    def __init__(
        self, front: Front, data: Any = None, cost: str | None = None, quality: str | None = None
    ) -> None:
        front.front(cost, quality)  # says what was not measured
        self.front, self.data = front, data
        self.studio: PruningStudio | None = None
        self._cost = _choice(front, COSTS, cost or front.cost, "Cost")
        self._quality = _choice(front, QUALITIES, quality or front.quality, "Quality")
        self._runs = ipywidgets.Dropdown(
            options=[("choose a run", None), *((self._name(k), k) for k in front.table.index)],
            description="Run",
            value=None,
        )
        self._line = ipywidgets.HTML()
        self._line.add_class("paoding-pareto-line")
        self._table = ipywidgets.HTML()
        self._place = ipywidgets.VBox()
        self._figure = self._make_figure()
        choices = ipywidgets.HBox(
            [self._cost, self._quality, self._runs],
            layout=ipywidgets.Layout(flex_flow="row wrap"),
        )
        details = ipywidgets.Accordion([self._table], titles=["All runs as a table"])
        super().__init__([choices, self._figure, self._line, details, self._place])
        self.add_class("paoding-pareto")
        for choice in (self._cost, self._quality):
            choice.observe(lambda _: self.draw(), names="value")
        self._runs.observe(lambda change: self.open_run(change.new), names="value")
        self._points.on_element_click(lambda _, event: self._clicked(event))
        self.draw()

    def _make_figure(self) -> bqplot.Figure:
        scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale()}
        self._points = bqplot.Scatter(
            x=NOTHING, y=NOTHING, scales=scales, colors=[EARLIER], default_size=90,
            hovered_style={"opacity": 0.6}, interactions={"click": "select", "hover": "tooltip"},
            tooltip=bqplot.Tooltip(fields=["name"], labels=["run"]), names=[], display_names=False,
            selected_style={"stroke": ROBUST, "stroke-width": "4"},
        )  # fmt: skip
        self._best = bqplot.Lines(
            x=NOTHING, y=NOTHING, scales=scales, colors=[ACCURACY], interpolation="step-after",
            stroke_width=2,
        )  # fmt: skip
        self._x = bqplot.Axis(scale=scales["x"], **GRID)
        self._y = bqplot.Axis(scale=scales["y"], side="left", label_offset="4em", **GRID)
        return bqplot.Figure(
            marks=[self._best, self._points], axes=[self._x, self._y],
            fig_margin={"top": 12, "bottom": 48, "left": 80, "right": 24},
            background_style={"fill": "none"}, animation_duration=0,
            layout=ipywidgets.Layout(width="auto", height=_HEIGHT, min_width="0"),
        )  # fmt: skip

    # -- what is shown --------------------------------------------------------------------------

    def draw(self) -> None:
        """Show the chosen columns."""
        x, y = self._cost.value, self._quality.value
        rows = self.front.table.dropna(subset=[x, y])
        best = self.front.front(x, y)
        scale = 1000 if x == "latency" else 1
        self._shown = list(rows.index)
        on_front = set(best.index)
        with self._points.hold_sync():
            self._points.x, self._points.y = clear(rows[x] * scale), clear(rows[y])
            self._points.names = np.array([self._name(k) for k in self._shown])
            self._points.colors = [ACCURACY if k in on_front else EARLIER for k in self._shown]
            self._points.selected = None
        with self._best.hold_sync():
            self._best.x, self._best.y = clear(best[x] * scale), clear(best[y])
        self._x.label, self._y.label = _WORDS.get(x, x), _WORDS.get(y, y)
        where = f" Latencies are of this machine: {self.front.machine}." if x == "latency" else ""
        self._say(
            f"{len(best)} of {len(rows)} points are on the front (green). Click one to open its "
            f"run.{where}"
        )
        self._table.value = html_table(
            "Runs of the sweep",
            [_WORDS.get(n, n) for n in ("run", "quantize", x, y)],
            [
                (row.run, row["quantize"], float(row[x] * scale), float(row[y]))
                for _, row in rows.iterrows()
            ],
        )

    def _name(self, index: Any) -> str:
        row = self.front.table.loc[index]
        kind = row.get("quantize", "float32")
        return str(row.run) + ("" if kind == "float32" else f" {kind}")

    def _say(self, text: str) -> None:
        self._line.value = f'<div role="status">{escape(text)}</div>'

    # -- what a click does ----------------------------------------------------------------------

    def _clicked(self, event: dict[str, Any]) -> None:
        index = event["data"]["index"]
        if 0 <= index < len(self._shown):
            self._runs.value = self._shown[index]

    def open_run(self, index: Any) -> None:
        """Open one run in a studio below; None closes it.

        Args:
            index: of the row in ``front.table``.
        """
        if self.studio is not None:
            self.studio.close()
            self.studio, self._place.children = None, ()
        if index is None:
            return
        from paoding.files.models import load_model
        from paoding_widgets.studio import PruningStudio

        try:
            point = self.front.point(index)
            original = load_model(self.front.folder / ORIGINAL)
            self.studio = PruningStudio.load(point.folder, data=self.data, model=original)
        except PaodingError as error:
            self._say(str(error))
            return
        self._place.children = (self.studio,)
        self._say(
            f"Opened {self._name(index)}: {point}. Change the target below and press Go on to "
            "prune further."
        )


def _choice(front: Front, names: tuple[str, ...], value: str, label: str) -> Any:
    """Return a list of the columns in which something was measured."""
    known = [n for n in names if n in front.table and front.table[n].notna().any()]
    options = [(_WORDS.get(name, name), name) for name in known]
    return ipywidgets.Dropdown(options=options, value=value, description=label)
