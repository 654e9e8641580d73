"""``RemoveUnits``: take units out of a layer by hand and watch the answers move (lesson 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np

from paoding_widgets.charts import ACCURACY, EARLIER
from paoding_widgets.teach.parts import (
    SAMPLES,
    Chain,
    Exercise,
    PictureGrid,
    accuracy,
    as_image,
    count,
    figure,
    grey_png,
    picture,
)

if TYPE_CHECKING:
    import keras

_SHOWN = 16  # units that fit on a screen
_INPUTS = 20  # inputs to choose from


class RemoveUnits(Exercise):
    """Click units away, and see what the network then answers for one input and for many.

    Args:
        model: a chain of layers that ends in one probability for each class.
        data: with ``x`` and ``y``, to measure on.
        layer: whose units go; the first one by default.
        seed: chooses the units that are shown.

    >>> import paoding
    >>> model, data = paoding.zoo.load("mnist-mlp")
    >>> task = RemoveUnits(model, data)
    >>> task.grid.selected = [0, 1, 2]  # what three clicks do
    >>> task.said.split(":")[0]
    '3 of 128 units are removed'
    """

    def __init__(
        self, model: keras.Model, data: Any, layer: str | None = None, seed: int = 0
    ) -> None:
        self.chain = Chain(model, layer)
        self._x, self._y = data.x[:SAMPLES], data.y[:SAMPLES]
        self._hidden = self.chain.hidden(self._x)
        self._before = self.chain.outputs(self._hidden)
        order = np.random.default_rng(seed).permutation(self.chain.units)
        self._shown, self._others = order[:_SHOWN], order[_SHOWN:]
        self.grid = PictureGrid(multiple=True, caption=f"Units of {self.chain.name}")
        self.more = ipywidgets.IntSlider(
            0, 0, len(self._others), description="and others:", continuous_update=False
        )
        self.which = ipywidgets.IntSlider(0, 0, _INPUTS - 1, description="input:")
        self.input = ipywidgets.HTML()
        self.figure = self._make_figure()
        side = ipywidgets.VBox([self.which, self.input, self.more])
        below = ipywidgets.HBox([side, self.figure])
        super().__init__(
            "What happens when a unit goes?",
            "Each picture is one unit: its incoming weights, green above zero and orange below. "
            "Click units to remove them, and click again to put them back.",
            [self.grid, below],
        )
        for widget, trait in ((self.grid, "selected"), (self.more, "value"), (self.which, "value")):
            widget.observe(lambda _: self._update(), trait)
        self._update()

    def _make_figure(self) -> bqplot.Figure:
        classes = np.arange(self._before.shape[-1], dtype=float)
        x = bqplot.OrdinalScale(domain=list(classes))
        scales = {"x": x, "y": bqplot.LinearScale(min=0.0, max=1.0)}
        self._after = bqplot.Bars(x=classes, y=0 * classes, scales=scales, colors=[ACCURACY])
        self._was = bqplot.Scatter(
            x=classes, y=0 * classes, scales=scales, colors=[EARLIER], marker="rectangle",
            default_size=60,
        )  # fmt: skip
        axes = [
            bqplot.Axis(scale=x, label="class", tick_format=".0f"),
            bqplot.Axis(scale=scales["y"], side="left", tick_format=".0%"),
        ]
        return figure([self._after, self._was], axes, "answer now (bars) and before (marks)")

    @property
    def removed(self) -> list[int]:
        """Numbers of the units that are gone."""
        by_hand = [int(self._shown[k]) for k in self.grid.selected]
        return [*by_hand, *map(int, self._others[: self.more.value])]

    def _update(self) -> None:
        gone = self.removed
        after = self.chain.without(self._hidden, gone)
        one = self.which.value
        self._after.y, self._was.y = after[one].astype(float), self._before[one].astype(float)
        self.grid.pictures = [
            picture(self.chain.unit_picture(unit), f"unit {unit}", "", "gone" if k else "")
            for unit, k in ((int(u), int(u) in gone) for u in self._shown)
        ]
        image = grey_png(as_image(self._x[one]))
        self.input.value = f'<img alt="the input" style="width:96px" src="{image}">'
        was, now = accuracy(self._before, self._y), accuracy(after, self._y)
        self.say(
            f"{len(gone)} of {count(self.chain.units, 'unit')} are removed: of {len(self._y)} "
            f"inputs that the network has never seen it gets {now:.1%} right, {was:.1%} before. "
            f"For this one it answers {after[one].argmax()} (it is a {self._y[one]})."
        )

    def still(self) -> list[tuple[str, str]]:
        """The units' pictures."""
        return [(shown["label"], shown["src"]) for shown in self.grid.pictures]
