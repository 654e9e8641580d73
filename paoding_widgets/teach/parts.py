"""What the lessons' widgets are made of: pictures to choose from, a frame, a plain network."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import bqplot
import ipywidgets
import numpy as np
import traitlets as t

from paoding.errors import ArgumentError

if TYPE_CHECKING:
    import keras

_BUNDLE = Path(__file__).parent.parent / "static" / "teach.js"
_NOT_BUILT = """
export default {
  render({ el }) {
    el.textContent = "The pictures' front end is not built: run 'npm run build' in js/, "
      + "or install the package with pip.";
  },
};
"""
MORE = (47, 143, 129)  # colour of values above zero, readable on white and on black
LESS = (217, 130, 43)  # and below
SAMPLES = 500  # inputs on which a lesson measures, so that it answers at once


class PictureGrid(anywidget.AnyWidget):
    """Pictures to choose from, by mouse or keyboard; `selected` holds their numbers."""

    _esm = _BUNDLE if _BUNDLE.exists() else _NOT_BUILT

    pictures = t.List().tag(sync=True)
    caption = t.Unicode().tag(sync=True)
    selected = t.List(t.Int()).tag(sync=True)
    multiple = t.Bool(False).tag(sync=True)
    disabled = t.Bool(False).tag(sync=True)


def picture(values: np.ndarray, label: str, note: str = "", mark: str = "") -> dict[str, str]:
    """One picture of a grid: weights (height, width), green above zero and orange below."""
    return {"src": weights_png(values), "label": label, "note": note, "mark": mark}


def weights_png(values: np.ndarray) -> str:
    """Weights as a picture: the colour tells the sign, its strength the size.

    Args:
        values: (height, width).
    """
    values = np.asarray(values, np.float64)
    largest = float(np.abs(values).max()) or 1.0
    pixels = np.zeros((*values.shape, 4), np.uint8)
    pixels[..., :3] = np.where(values[..., None] > 0, MORE, LESS)
    pixels[..., 3] = np.round(255 * np.abs(values) / largest)
    return _png(pixels)


def as_image(values: np.ndarray) -> np.ndarray:
    """One sample or one unit's weights as an image: a vector as near to a square as it divides.

    >>> as_image(np.zeros(784)).shape, as_image(np.zeros(128)).shape
    ((28, 28), (8, 16))
    """
    if values.ndim > 1:
        return values
    height = next(h for h in range(int(np.sqrt(values.size)), 0, -1) if values.size % h == 0)
    return values.reshape(height, -1)


def grey_png(values: np.ndarray) -> str:
    """An image with values from 0 (black) to 1 (white).

    Args:
        values: (height, width) or (height, width, 3).
    """
    values = np.asarray(values, np.float64)
    if values.ndim == 2 or values.shape[-1] == 1:
        values = np.repeat(values.reshape(*values.shape[:2], 1), 3, axis=2)
    return _png(np.round(255 * np.clip(values, 0, 1)).astype(np.uint8))


def _png(pixels: np.ndarray) -> str:
    from matplotlib.image import imsave

    out = io.BytesIO()
    imsave(out, np.ascontiguousarray(pixels), format="png")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


class Exercise(ipywidgets.VBox):
    """The frame of a lesson's widget: a title, what to do, the parts, and a spoken line.

    Args:
        title: what the picture is about.
        task: what the reader is to do, one sentence.
        parts: the widgets between these and the line that tells what happened.
    """

    def __init__(self, title: str, task: str, parts: Sequence[ipywidgets.Widget]) -> None:
        head = f"<b>{escape(title)}</b><br>{escape(task)}"
        self.line = ipywidgets.HTML(layout=ipywidgets.Layout(min_height="3em"))
        self._title, self._said = title, ""
        super().__init__(
            [ipywidgets.HTML(head), *parts, self.line],
            layout=ipywidgets.Layout(width="100%", max_width="900px"),
        )

    def say(self, text: str) -> None:
        """Set the line under the parts, which a screen reader speaks; plain text."""
        self._said = text
        self.line.value = f'<div role="status" aria-live="polite">{escape(text)}</div>'

    @property
    def said(self) -> str:
        """What the line says now."""
        return self._said

    def still(self) -> list[tuple[str, str]]:
        """Pictures for a page without a kernel: (label, data of a PNG) each."""
        return []

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        shown = "".join(
            f'<figure style="display:inline-block;margin:4px"><img alt="" src="{src}" '
            'style="width:96px;image-rendering:pixelated"><figcaption>'
            f"{escape(label)}</figcaption></figure>"
            for label, src in self.still()
        )
        page = f"<b>{escape(self._title)}</b><div>{shown}</div><p>{escape(self._said)}</p>"
        return data | {"text/html": page, "text/plain": f"{self._title}: {self._said}"}, metadata


def figure(
    marks: Sequence[Any], axes: Sequence[Any], title: str, width: int = 440, **options: Any
) -> bqplot.Figure:
    """A chart of a lesson, readable in light and in dark."""
    return bqplot.Figure(
        marks=list(marks),
        axes=list(axes),
        title=title,
        fig_margin={"top": 40, "bottom": 44, "left": 60, "right": 12},
        background_style={"fill": "none"},
        legend_style={"fill": "none", "stroke": "none"},
        animation_duration=0,
        layout=ipywidgets.Layout(height="270px", width=f"{width}px", min_width="0"),
        **options,
    )


class Chain:
    """A model whose layers follow one another, cut after one of them.

    Args:
        model: Sequential, or functional without branches.
        layer: name of the layer whose outputs are looked at; the first Dense or convolution
            by default.

    Raises:
        ArgumentError: the model branches, or has no such layer.
    """

    def __init__(self, model: keras.Model, layer: str | None = None) -> None:
        import paoding

        nodes = paoding.inspect(model).nodes
        layers = [node.op for node in nodes]
        follows = [b.inputs == a.outputs for a, b in pairwise(nodes)]
        if not all(follows) or len(model.inputs) > 1:
            raise ArgumentError(
                f"'{model.name}' is no chain of layers: this picture needs a Sequential model."
            )
        named = [one.name for one in layers]
        readable = [one.name for one in layers if getattr(one, "kernel", None) is not None]
        self.name = layer or readable[0]
        if self.name not in readable[:-1]:
            raise ArgumentError(
                f"layer={self.name!r} must be one of {', '.join(map(repr, readable[:-1]))}."
            )
        at = named.index(self.name) + 1
        self.model, self.layer = model, layers[at - 1]
        self._first, self._rest = layers[:at], layers[at:]

    @property
    def kernel(self) -> np.ndarray:
        """The layer's incoming weights, the units last."""
        return np.asarray(self.layer.kernel)

    @property
    def units(self) -> int:
        """How many units the layer has."""
        return int(self.kernel.shape[-1])

    def hidden(self, x: np.ndarray) -> np.ndarray:
        """What the layer's units put out for inputs (n, ...)."""
        return self._through(self._first, x)

    def outputs(self, hidden: np.ndarray) -> np.ndarray:
        """What the model answers where the units put out these values."""
        return self._through(self._rest, hidden)

    def without(self, hidden: np.ndarray, units: Sequence[int]) -> np.ndarray:
        """The answers where some units put out nothing."""
        kept = hidden.copy()
        kept[..., list(units)] = 0
        return self.outputs(kept)

    def unit_picture(self, unit: int) -> np.ndarray:
        """Incoming weights of a unit as a picture (height, width)."""
        weights = self.kernel[..., unit]
        if weights.ndim == 3:
            return np.asarray(weights.mean(axis=-1))
        return as_image(weights)

    @staticmethod
    def _through(layers: Sequence[Callable[..., Any]], x: np.ndarray) -> np.ndarray:
        value: Any = x
        for layer in layers:
            value = layer(value)
        return np.asarray(value)


def accuracy(answers: np.ndarray, y: np.ndarray) -> float:
    """Share of samples whose largest answer is their class."""
    return float((answers.argmax(axis=-1) == y).mean())


def count(number: int, thing: str) -> str:
    """A number with its noun: 1 unit, 2 units."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")
