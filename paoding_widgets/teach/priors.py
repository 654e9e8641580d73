"""``PriorGallery``: what the network is shown instead of its data, and what follows (lesson 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np

from paoding_widgets.charts import ACCURACY, EARLIER
from paoding_widgets.teach.parts import SAMPLES, Exercise, PictureGrid, as_image, figure, grey_png

if TYPE_CHECKING:
    import keras

_PICTURES = 8
_DRAWN = 512
_PRIORS = ("uniform", "dead-leaves", "spectra", "blobs")


class PriorGallery(Exercise):
    """Synthetic inputs of several kinds, what the network believes of them, and what they buy.

    Args:
        model: a classifier of images with values in one range.
        data: with ``x``, ``y`` and ``domain``, to measure on; the real inputs are shown last.
        priors: names, as ``prior=`` of :func:`paoding.prune` takes them.
        target: share of units removed to see what each kind is worth.

    >>> import paoding
    >>> model, data = paoding.zoo.load("mnist-mlp")
    >>> gallery = PriorGallery(model, data, priors=("uniform",))
    >>> gallery.choice.value = "real inputs"
    >>> list(gallery.kept)
    ['uniform', 'real inputs']
    """

    def __init__(
        self,
        model: keras.Model,
        data: Any,
        priors: tuple[str, ...] = _PRIORS,
        target: float = 0.5,
    ) -> None:
        import paoding

        self._y = data.y[-SAMPLES:]
        x = data.x[-SAMPLES:]
        self._real = data.x[: len(data.x) - SAMPLES][:_DRAWN]
        self.draws: dict[str, np.ndarray] = {}
        self.kept: dict[str, float] = {}
        for name in (*priors, "real inputs"):
            prior = self._real_inputs if name == "real inputs" else name
            result = paoding.prune(
                model, target=target, step=target, strategy="saliency", prior=prior, distil=0,
                domain=data.domain, samples=_DRAWN,
            )  # fmt: skip
            answers = np.asarray(result.model(x))
            self.kept[name] = float((answers.argmax(axis=-1) == self._y).mean())
            self.draws[name] = self._sample(model, data, name)
        self.beliefs = {n: np.asarray(model(d)).mean(axis=0) for n, d in self.draws.items()}
        self.choice = ipywidgets.ToggleButtons(options=list(self.draws), description="inputs:")
        self.grid = PictureGrid(disabled=True, caption="Synthetic inputs")
        figures = ipywidgets.HBox([self._make_beliefs(), self._make_kept()])
        super().__init__(
            "What do you show a network whose data you do not have?",
            "Choose a kind of input. Compare what the network believes of it with the real "
            "inputs, and what is left of its accuracy when survivors are fitted on that kind.",
            [self.choice, self.grid, figures],
        )
        self.choice.observe(lambda _: self._update(), "value")
        self._update()

    def _real_inputs(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return self._real[rng.integers(0, len(self._real), n)]

    def _sample(self, model: keras.Model, data: Any, name: str) -> np.ndarray:
        from paoding.graph import trace
        from paoding.synthetic.choice import choose

        rng = np.random.default_rng(0)
        if name == "real inputs":
            return self._real_inputs(rng, _DRAWN)
        box = data.domain.fit(data.x.shape[1:])
        return choose(trace(model), (box,), name).draw(rng, _DRAWN)[0]

    def _make_beliefs(self) -> bqplot.Figure:
        classes = np.arange(len(next(iter(self.beliefs.values()))), dtype=float)
        x, y = bqplot.OrdinalScale(domain=list(classes)), bqplot.LinearScale(min=0.0, max=1.0)
        self._bars = bqplot.Bars(
            x=classes, y=0 * classes, scales={"x": x, "y": y}, colors=[ACCURACY]
        )
        axes = [
            bqplot.Axis(scale=x, label="class", tick_format=".0f"),
            bqplot.Axis(scale=y, side="left", tick_format=".0%"),
        ]
        return figure([self._bars], axes, "mean answer to these inputs")

    def _make_kept(self) -> bqplot.Figure:
        x, y = bqplot.OrdinalScale(), bqplot.LinearScale(min=0.0, max=1.0)
        bars = bqplot.Bars(
            x=list(self.kept), y=list(self.kept.values()), scales={"x": x, "y": y},
            colors=[EARLIER],
        )  # fmt: skip
        axes = [
            bqplot.Axis(scale=x),
            bqplot.Axis(scale=y, side="left", tick_format=".0%"),
        ]
        return figure([bars], axes, "accuracy left, fitted on these inputs")

    def _update(self) -> None:
        name = self.choice.value
        shown = self.draws[name][:_PICTURES]
        self.grid.pictures = [
            {"src": grey_png(as_image(image)), "label": name, "note": "", "mark": ""}
            for image in shown
        ]
        belief = self.beliefs[name]
        self._bars.y = belief.astype(float)
        self.say(
            f"{name}: the network takes {belief.max():.0%} of its belief to class "
            f"{belief.argmax()}. Fitted on such inputs, {self.kept[name]:.1%} of {len(self._y)} "
            f"real ones are still answered rightly; on real inputs {self.kept['real inputs']:.1%}."
        )

    def still(self) -> list[tuple[str, str]]:
        """One picture of each kind."""
        return [(name, grey_png(as_image(drawn[0]))) for name, drawn in self.draws.items()]
