"""``GuessTheUnit``: which unit would you remove? Guess, then see who was right (lesson 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np

from paoding_widgets.charts import ACCURACY, html_table
from paoding_widgets.teach.parts import SAMPLES, Chain, Exercise, PictureGrid, figure, picture

if TYPE_CHECKING:
    import keras

_CANDIDATES = 8
_RANKERS = {  # what a method is called -> the compensation that ranks by it
    "magnitude": "none",
    "saliency": "merge",
    "estimated change": "mean",
}


class GuessTheUnit(Exercise):
    """Eight units, one has to go: choose it, and compare with magnitude, saliency and the truth.

    The truth is measured: how much the model's answers change on average, over inputs that it
    has never seen, when just that unit is removed.

    Args:
        model: a chain of layers.
        data: with ``x``, to measure on.
        layer: whose units are shown; the first one by default.
        seed: chooses the units.

    >>> import paoding
    >>> model, data = paoding.zoo.load("mnist-mlp")
    >>> game = GuessTheUnit(model, data)
    >>> game.grid.selected = [2]  # what a click does
    >>> sorted(game.ranks)
    ['estimated change', 'magnitude', 'saliency', 'you']
    """

    def __init__(
        self, model: keras.Model, data: Any, layer: str | None = None, seed: int = 0
    ) -> None:
        import paoding

        self.chain = Chain(model, layer)
        self._hidden = self.chain.hidden(data.x[:SAMPLES])
        self._answers = self.chain.outputs(self._hidden)
        self._scores = {
            name: paoding.Pruner(
                model, compensation=way, strategy="saliency", samples=SAMPLES
            ).importances()[self.chain.name]
            for name, way in _RANKERS.items()
        }
        self._rng = np.random.default_rng(seed)
        self.ranks: dict[str, list[int]] = {}
        self.grid = PictureGrid()
        self.next = ipywidgets.Button(description="Next eight units", icon="forward")
        self.table = ipywidgets.HTML()
        self.figure = self._make_figure()
        super().__init__(
            "Which unit would you remove?",
            "Click the unit that the network will miss least. You see its incoming weights; the "
            "number under it is their size.",
            [self.grid, self.next, ipywidgets.HBox([self.figure, self.table])],
        )
        self.grid.observe(lambda _: self._answer(), "selected")
        self.next.on_click(lambda _: self._deal())
        self._deal()

    def _make_figure(self) -> bqplot.Figure:
        x, y = bqplot.OrdinalScale(), bqplot.LinearScale(min=0.0)
        none = np.zeros(0)
        self._bars = bqplot.Bars(x=none, y=none, scales={"x": x, "y": y}, colors=[ACCURACY])
        axes = [
            bqplot.Axis(scale=x, label="unit"),
            bqplot.Axis(scale=y, side="left", tick_format=".1e", num_ticks=4),
        ]
        return figure([self._bars], axes, "measured change of the answers")

    def change(self, unit: int) -> float:
        """Mean squared change of the answers when one unit is removed, measured on the data."""
        away = self.chain.without(self._hidden, [unit]) - self._answers
        return float((away**2).mean())

    def _deal(self) -> None:
        can_go = np.flatnonzero(np.isfinite(self._scores["magnitude"]))
        few = min(_CANDIDATES, len(can_go))
        self._units = np.sort(self._rng.choice(can_go, few, replace=False))
        self._truth = np.array([self.change(int(unit)) for unit in self._units])
        self.grid.disabled = False
        self.grid.selected = []
        self._draw({})
        self._bars.x, self._bars.y = np.zeros(0), np.zeros(0)
        self.say("Choose one. The measured changes appear when you have guessed.")

    def _draw(self, marks: dict[int, str]) -> None:
        sizes = self._scores["magnitude"][self._units]
        self.grid.caption = f"Units of {self.chain.name}"
        self.grid.pictures = [
            picture(self.chain.unit_picture(int(unit)), f"unit {unit}", f"{size:.3g}",
                    marks.get(k, ""))
            for k, (unit, size) in enumerate(zip(self._units, sizes, strict=True))
        ]  # fmt: skip

    def _answer(self) -> None:
        if not self.grid.selected or self.grid.disabled:
            return
        self.grid.disabled = True
        choice = {"you": self.grid.selected[0]}
        choice |= {n: int(self._scores[n][self._units].argmin()) for n in _RANKERS}
        order = self._truth.argsort().argsort()
        for name, k in choice.items():
            self.ranks.setdefault(name, []).append(int(order[k]) + 1)
        best = int(self._truth.argmin())
        self._draw({choice["you"]: "good" if choice["you"] == best else "bad", best: "good"})
        self._bars.x = [str(unit) for unit in self._units]
        self._bars.y = self._truth
        rounds = len(self.ranks["you"])
        rows = [(name, f"{np.mean(ranks):.1f}") for name, ranks in self.ranks.items()]
        self.table.value = html_table(
            f"Mean rank of the choice over {rounds} rounds (1 is best, {len(order)} worst)",
            ("who chose", "mean rank"),
            rows,
        )
        others = ", ".join(f"{n} unit {self._units[k]}" for n, k in choice.items() if n != "you")
        self.say(
            f"Your unit {self._units[choice['you']]} is number {order[choice['you']] + 1} of "
            f"{len(order)}. Least is missed unit {self._units[best]}. Chosen by {others}."
        )

    def tournament(self, rounds: int = 50) -> dict[str, float]:
        """Mean rank of each method's choice over many rounds, without a player."""
        found: dict[str, list[int]] = {name: [] for name in _RANKERS}
        for _ in range(rounds):
            self._deal()
            order = self._truth.argsort().argsort()
            for name in _RANKERS:
                found[name].append(int(order[self._scores[name][self._units].argmin()]) + 1)
        return {name: float(np.mean(ranks)) for name, ranks in found.items()}

    def still(self) -> list[tuple[str, str]]:
        """The units' pictures."""
        return [(shown["label"], shown["src"]) for shown in self.grid.pictures]
