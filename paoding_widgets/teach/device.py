"""``WidthsInTime``: what a layer's width costs in operations and in milliseconds (lesson 9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import bqplot
import ipywidgets
import numpy as np

from paoding.errors import ArgumentError
from paoding_widgets.charts import ACCURACY, EARLIER
from paoding_widgets.charts.base import ROBUST
from paoding_widgets.teach.parts import Exercise, figure

if TYPE_CHECKING:
    import keras

_WIDTHS = (8, 12, 16, 17, 24, 28, 31, 32, 33, 40, 43, 48, 49, 56, 64)
_SIZE = 28  # pixels of the pictures that the two convolutions run over
_AROUND = 32  # channels that go in and come out


class WidthsInTime(Exercise):
    """Two convolutions one after the other, with any number of channels between them, measured.

    Args:
        runtime: what measures: "litert", "onnxruntime" or "keras".
        widths: numbers of channels to measure; the largest is the original.

    Raises:
        ArgumentError: fewer than two widths, or one below 1.
        RuntimeMissingError: the runtime is not installed.

    >>> widths = WidthsInTime("keras", widths=(4, 8))
    >>> round(widths.flops[4] / widths.flops[8], 2), sorted(widths.seconds)
    (0.5, [4, 8])
    """

    def __init__(self, runtime: str = "litert", widths: Sequence[int] = _WIDTHS) -> None:
        from paoding.deploy.latency import in_turns
        from paoding.evaluation import cost

        known = sorted(set(widths))
        if len(known) < 2 or known[0] < 1:
            raise ArgumentError(f"widths={tuple(widths)} must be two or more numbers from 1 on.")
        models = [_between(width) for width in known]
        found = in_turns(models, runtime)
        self.seconds = {w: one.least for w, one in zip(known, found, strict=True)}
        costs = [cost(model, latency=False).flops for model in models]
        self.flops = dict(zip(known, costs, strict=True))
        self.runtime, self.machine = runtime, found[0].machine
        self.channels = ipywidgets.SelectionSlider(
            options=known, value=known[-1], description="channels:", continuous_update=True
        )
        super().__init__(
            "Fewer operations, and less time?",
            "Move the slider through the numbers of channels. Where does the time fall, and where "
            "only the operations?",
            [self.channels, self._make_figure()],
        )
        self.channels.observe(lambda _: self._update(), "value")
        self._update()

    def worth(self) -> list[int]:
        """The widths that are worth having: no wider one is as fast."""
        found: list[int] = []
        least = np.inf
        for width in sorted(self.seconds, reverse=True):
            if self.seconds[width] < least:
                found.append(width)
                least = self.seconds[width]
        return found

    def _make_figure(self) -> bqplot.Figure:
        widths = np.array(sorted(self.seconds), float)
        top = max(1.0, max(self.seconds.values()) / self.seconds[int(widths[-1])])
        x = bqplot.LinearScale(min=0.0, max=float(widths[-1]) + 2)
        y = bqplot.LinearScale(min=0.0, max=1.05 * top)
        scales = {"x": x, "y": y}
        work = bqplot.Lines(
            x=widths, y=self._shares(self.flops), scales=scales, colors=[EARLIER],
            line_style="dashed", labels=["operations"], display_legend=True,
        )  # fmt: skip
        time = bqplot.Lines(
            x=widths, y=self._shares(self.seconds), scales=scales, colors=[ACCURACY],
            marker="circle", labels=["time"], display_legend=True,
        )  # fmt: skip
        self._here = bqplot.Scatter(
            x=[0.0], y=[0.0], scales=scales, colors=[ROBUST], default_size=140, marker="diamond"
        )
        axes = [
            bqplot.Axis(scale=x, label="channels", tick_format=".0f"),
            bqplot.Axis(scale=y, side="left", tick_format=".0%"),
        ]
        title = f"share of what {widths[-1]:.0f} channels take, in {self.runtime}"
        return figure([work, time, self._here], axes, title, 620, legend_location="top-left")

    def _shares(self, values: dict[int, float]) -> np.ndarray:
        found = np.array([values[width] for width in sorted(values)], float)
        return found / found[-1]

    def _update(self) -> None:
        width, most = self.channels.value, max(self.seconds)
        work = self.flops[width] / self.flops[most]
        time = self.seconds[width] / self.seconds[most]
        self._here.x, self._here.y = [float(width)], [time]
        wider = [w for w in self.seconds if w > width and self.seconds[w] <= self.seconds[width]]
        verdict = (
            f"{max(wider)} channels are as fast or faster: give no channel away for this."
            if wider
            else "No wider one is as fast."
        )
        self.say(
            f"{width} channels: {work:.0%} of the operations, {time:.0%} of the time "
            f"({1000 * self.seconds[width]:.3g} ms). {verdict}"
        )


def _between(width: int) -> keras.Model:
    """Return two convolutions with so many channels between them."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((_SIZE, _SIZE, _AROUND)),
            layers.Conv2D(width, 3, padding="same", activation="relu", name="makes"),
            layers.Conv2D(_AROUND, 3, padding="same", activation="relu", name="reads"),
        ],
        name=f"width_{width}",
    )
