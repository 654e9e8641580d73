"""The charts of a studio, each in a file of its own, and the way to add one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets

from paoding_widgets.charts.accuracy import AccuracyChart
from paoding_widgets.charts.base import (
    ACCURACY,
    EARLIER,
    REJECTED,
    ROBUST,
    Chart,
    Seen,
    html_table,
)
from paoding_widgets.charts.candidates import EnergyChart
from paoding_widgets.charts.change import ChangeChart
from paoding_widgets.charts.parameters import ParametersChart

__all__ = [
    "ACCURACY",
    "EARLIER",
    "KINDS",
    "REJECTED",
    "ROBUST",
    "Chart",
    "Charts",
    "Seen",
    "html_table",
    "register",
]

KINDS: list[Callable[[], Chart]] = [ParametersChart, EnergyChart, ChangeChart]


def register(kind: Callable[[], Chart]) -> Callable[[], Chart]:
    """Have every studio made from now on show a chart of one's own; also as a decorator.

    The class is made without arguments, and its ``draw`` is called whenever there is news.

    >>> from paoding_widgets import charts
    >>> issubclass(charts.ParametersChart, charts.Chart)
    True
    """
    if kind not in KINDS:
        KINDS.append(kind)
    return kind


class Charts:
    """The charts of a studio: accuracy beside the structure, and below it all that are known."""

    def __init__(self) -> None:
        self.accuracy = AccuracyChart()
        self.all: list[Chart] = [self.accuracy, *(kind() for kind in KINDS)]
        self.live = self.accuracy.box
        self.live.add_class("paoding-live")
        self.box = ipywidgets.Box([chart.box for chart in self.all[1:]])
        self.box.add_class("paoding-charts")

    def of(self, kind: type[Any]) -> Any:
        """The chart of a kind."""
        return next(chart for chart in self.all if type(chart) is kind)

    def show_tables(self, shown: bool) -> None:
        """Show or hide the tables behind all charts."""
        for chart in self.all:
            chart.show_table(shown)

    def draw(self, seen: Seen) -> None:
        """Show a run; a chart of the user's own that fails says so, and the others go on."""
        for chart in self.all:
            try:
                chart.draw(seen)
            except Exception as error:
                if type(chart).__module__.startswith(__name__):
                    raise  # one of ours: a mistake to be seen
                chart.say(f"this chart failed: {type(error).__name__}: {error}")
