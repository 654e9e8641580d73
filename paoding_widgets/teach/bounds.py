"""``BoundsFlow``: intervals that grow with depth, beside what sampling finds (lesson 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np

from paoding.errors import ArgumentError
from paoding_widgets.charts import ACCURACY, EARLIER
from paoding_widgets.teach.parts import Exercise, figure

if TYPE_CHECKING:
    import keras

_DRAWS = 2000  # samples of the box
_LEAST = 1e-6  # where the logarithmic axis ends
_TICKS = 10.0 ** np.arange(-6, 7)


class BoundsFlow(Exercise):
    """How wide each layer's values can be, certified and sampled, over a box around one input.

    Args:
        model: Dense layers one after another, with ReLU between them.
        data: with ``x`` and ``domain``.
        number: the sample in the middle of the box.

    Raises:
        ArgumentError: another kind of layer.

    >>> import paoding
    >>> model, data = paoding.zoo.load("mnist-mlp")
    >>> flow = BoundsFlow(model, data)
    >>> flow.eps.value = 0.1
    >>> certified, sampled = flow.widths()
    >>> bool((certified >= sampled).all())
    True
    """

    def __init__(self, model: keras.Model, data: Any, number: int = 0) -> None:
        self._layers = _dense_layers(model)
        self._x, self._domain = data.x, data.domain
        self.number = ipywidgets.BoundedIntText(
            number,
            0,
            len(data.x) - 1,
            description="input:",
            layout=ipywidgets.Layout(width="180px"),
        )
        self.eps = ipywidgets.FloatLogSlider(
            0.01, base=10, min=-4, max=0, step=0.1, description="ε:", continuous_update=False
        )
        super().__init__(
            "What is proved, and what is only seen",
            "ε is how far each input value may lie from the sample. The upper points are "
            "proved for every input of that box, the lower ones were found by trying "
            f"{_DRAWS:,} of them.",
            [ipywidgets.HBox([self.number, self.eps]), self._make_figure()],
        )
        for control in (self.number, self.eps):
            control.observe(lambda _: self._update(), "value")
        self._update()

    def _make_figure(self) -> bqplot.Figure:
        names = [name for name, _, _ in self._layers]
        x, y = bqplot.OrdinalScale(domain=names), bqplot.LogScale()
        scales, none = {"x": x, "y": y}, np.zeros(0)
        self._proved = bqplot.Lines(
            x=names, y=none, scales=scales, colors=[EARLIER], marker="rectangle",
            labels=["certified"], display_legend=True, line_style="dashed",
        )  # fmt: skip
        self._seen = bqplot.Lines(
            x=names, y=none, scales=scales, colors=[ACCURACY], marker="circle",
            labels=["sampled"], display_legend=True,
        )  # fmt: skip
        axes = [
            bqplot.Axis(scale=x),
            bqplot.Axis(scale=y, side="left", tick_format=".0e", tick_values=_TICKS),
        ]
        return figure(
            [self._proved, self._seen],
            axes,
            "mean width of intervals (log scale)",
            legend_location="top-left",
        )

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the largest input of the box."""
        x, eps = self._x[self.number.value].ravel().astype(float), self.eps.value
        legal = self._domain.fit(x.shape)
        return np.maximum(x - eps, legal.lo), np.minimum(x + eps, legal.hi)

    def widths(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean widths before each layer's activation: certified and sampled, (layers,) each."""
        low, high = self.box()
        rng = np.random.default_rng(0)
        points = low + (high - low) * rng.integers(0, 2, (_DRAWS, len(low)))
        proved, seen = [], []
        for at, (_, kernel, bias) in enumerate(self._layers):
            middle, radius = (low + high) / 2, (high - low) / 2
            middle, radius = middle @ kernel + bias, radius @ np.abs(kernel)
            points = points @ kernel + bias
            proved.append(2 * radius.mean())
            seen.append((points.max(axis=0) - points.min(axis=0)).mean())
            low, high = middle - radius, middle + radius
            if at < len(self._layers) - 1:
                low, high, points = (np.maximum(v, 0) for v in (low, high, points))
        return np.array(proved), np.array(seen)

    def _update(self) -> None:
        proved, seen = self.widths()
        self._proved.y, self._seen.y = np.maximum(proved, _LEAST), np.maximum(seen, _LEAST)
        times = proved / np.maximum(seen, _LEAST)
        self.say(
            f"After {self._layers[0][0]} the proved intervals are {times[0]:.1f} times as wide as "
            f"what was seen, after {self._layers[-1][0]} {times[-1]:.1f} times: each layer adds "
            "what might happen together but never does."
        )


def _dense_layers(model: keras.Model) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, kernel and bias of each layer."""
    import keras

    found = []
    dense = [one for one in model.layers if isinstance(one, keras.layers.Dense)]
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer | keras.layers.Flatten):
            continue
        inner = layer is not dense[-1]
        if layer not in dense or (inner and layer.activation.__name__ != "relu"):
            raise ArgumentError(
                f"'{layer.name}' is no Dense layer with ReLU, and this picture draws only those."
            )
        bias = np.zeros(layer.units) if layer.bias is None else np.asarray(layer.bias, float)
        found.append((layer.name, np.asarray(layer.kernel, float), bias))
    return found
