"""``AttackPicture``: attack the original and the pruned network, and look at it (lesson 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np

from paoding_widgets.charts import ACCURACY, ROBUST
from paoding_widgets.teach.parts import (
    Exercise,
    PictureGrid,
    as_image,
    figure,
    grey_png,
    weights_png,
)

if TYPE_CHECKING:
    import keras

_SAMPLES = 200
_EPSILONS = np.linspace(0.0, 0.15, 7)


class AttackPicture(Exercise):
    """A picture, a change that one hardly sees, and what both networks answer then.

    The change is one step of the fast gradient sign method against each network; the curves are
    the share of inputs that stay right, over 200 that neither has seen.

    Args:
        model: the original classifier.
        pruned: the smaller one.
        data: with ``x``, ``y`` and ``domain``.
        number: which sample is shown first.

    >>> import paoding
    >>> model, data = paoding.zoo.load("mnist-mlp")
    >>> shown = AttackPicture(model, model, data)
    >>> shown.eps.value = 0.1
    >>> shown.said.split(":")[0]
    'At ε = 0.10'
    """

    def __init__(self, model: keras.Model, pruned: keras.Model, data: Any, number: int = 0) -> None:
        from paoding.evaluation.network import network_of

        self._networks = {"original": network_of(model), "pruned": network_of(pruned)}
        self._x, self._y, self._clip = data.x[:_SAMPLES], data.y[:_SAMPLES], data.domain
        self.curves = {
            name: np.array([self._right(network, float(eps)) for eps in _EPSILONS])
            for name, network in self._networks.items()
        }
        self.number = ipywidgets.BoundedIntText(
            number, 0, _SAMPLES - 1, description="picture:", layout=ipywidgets.Layout(width="180px")
        )
        self.eps = ipywidgets.FloatSlider(
            0.05, min=0.0, max=0.15, step=0.01, description="ε:", continuous_update=False
        )
        self.grid = PictureGrid(disabled=True, caption="The attack")
        super().__init__(
            "A small change that fools the network",
            "ε is the most that any pixel may change (black is 0, white is 1). Move it, and "
            "find the least ε at which the answer is wrong.",
            [ipywidgets.HBox([self.number, self.eps]), self.grid, self._make_figure()],
        )
        for control in (self.number, self.eps):
            control.observe(lambda _: self._update(), "value")
        self._update()

    def _attacked(self, network: Any, eps: float, part: slice) -> np.ndarray:
        from paoding import FGSM

        x, y = self._x[part], self._y[part]
        return FGSM(eps, loss="log-odds").adversarial(network, x, y, self._clip, len(x))

    def _right(self, network: Any, eps: float) -> float:
        x = self._attacked(network, eps, slice(None)) if eps else self._x
        answers = np.asarray(network.predict(x, len(x)))
        return float((answers.argmax(axis=-1) == self._y).mean())

    def _make_figure(self) -> bqplot.Figure:
        x, y = bqplot.LinearScale(min=0.0, max=0.15), bqplot.LinearScale(min=0.0, max=1.0)
        scales = {"x": x, "y": y}
        lines = [
            bqplot.Lines(
                x=_EPSILONS, y=self.curves[name], scales=scales, colors=[colour], marker=marker,
                labels=[name], display_legend=True, line_style=style,
            )
            for name, colour, marker, style in (
                ("original", ACCURACY, "circle", "solid"),
                ("pruned", ROBUST, "triangle-up", "dashed"),
            )
        ]  # fmt: skip
        axes = [
            bqplot.Axis(scale=x, label="ε"),
            bqplot.Axis(scale=y, side="left", tick_format=".0%"),
        ]
        return figure(
            lines, axes, "share of inputs that stay right under attack", legend_location="top-right"
        )

    def _update(self) -> None:
        at, eps = self.number.value, self.eps.value
        part = slice(at, at + 1)
        clean = as_image(self._x[at])
        shape = clean.shape
        shown = [{"src": grey_png(clean), "label": "clean", "note": f"a {self._y[at]}", "mark": ""}]
        told = []
        for name, network in self._networks.items():
            x = self._attacked(network, eps, part)
            answer = np.asarray(network.predict(x, 1))[0]
            guess, right = int(answer.argmax()), int(answer.argmax()) == int(self._y[at])
            change = (x[0].reshape(shape) - clean).reshape(*shape[:2], -1).mean(axis=2)
            shown.append(
                {"src": weights_png(change), "label": "change", "note": f"for {name}", "mark": ""}
            )
            mark = "good" if right else "bad"
            shown.append(
                {"src": grey_png(x[0].reshape(shape)), "label": name, "note": f"says {guess}",
                 "mark": mark}
            )  # fmt: skip
            told.append(f"the {name} network says {guess}, {'right' if right else 'wrong'}")
        self.grid.pictures = shown
        self.say(f"At ε = {eps:.2f}: {'; '.join(told)}.")

    def still(self) -> list[tuple[str, str]]:
        """The pictures of the attack."""
        return [(f"{p['label']}: {p['note']}", p["src"]) for p in self.grid.pictures]
