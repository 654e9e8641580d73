"""``AnnealingWalk``: the optimizer's walk step by step, many seeds beside it (lesson 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np

from paoding_widgets.charts import ACCURACY, EARLIER, REJECTED, ROBUST
from paoding_widgets.teach.parts import SAMPLES, Exercise, accuracy, figure

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from paoding.plan import Step

_NONE = np.zeros(0)


class AnnealingWalk(Exercise):
    """Candidates in the order of the walk, accepted or refused, and where many walks lead.

    Left: the energy of each candidate of one step. A candidate is accepted if it is no worse
    than the last accepted one, else by chance, and the chance falls with the temperature. Right:
    accuracy on data along the walks of several seeds (thin) and along the greedy way, which
    always takes the least energy (thick).

    Args:
        model: any prunable classifier.
        data: with ``x`` and ``y``, to measure on.
        seeds: of the walks.
        target, step: as in :func:`paoding.prune`.

    >>> import paoding
    >>> model, data = paoding.zoo.load("breast-cancer")
    >>> walk = AnnealingWalk(model, data, seeds=(0,), step=1 / 4)
    >>> walk.step.value = 2  # look at the second step
    >>> walk.said.split(",")[0]
    'Step 2'
    """

    def __init__(
        self,
        model: keras.Model,
        data: Any,
        seeds: Sequence[int] = (0, 1, 2, 3),
        target: float = 0.5,
        step: float = 1 / 16,
    ) -> None:
        self._x, self._y = data.x[:SAMPLES], data.y[:SAMPLES]
        runs = [self._run(model, "annealing", seed, target, step) for seed in seeds]
        greedy = self._run(model, "impact", seeds[0], target, step)
        self.steps, self.curves, self.greedy = runs[0][0], [run[1] for run in runs], greedy[1]
        self.seeds = tuple(seeds)
        self.step = ipywidgets.IntSlider(1, 1, len(self.steps), description="step:")
        pictures = ipywidgets.HBox([self._make_energies(), self._make_fan(target)])
        super().__init__(
            "A walk that sometimes accepts the worse",
            "Drag the step and watch the temperature fall: fewer and fewer candidates that are "
            "worse than the last are accepted.",
            [self.step, pictures],
        )
        self.step.observe(lambda _: self._update(), "value")
        self._update()

    def _run(
        self, model: keras.Model, strategy: str, seed: int, target: float, step: float
    ) -> tuple[tuple[Step, ...], np.ndarray]:
        import paoding

        pruner = paoding.Pruner(
            model, strategy=strategy, compensation="merge", seed=seed, target=target, step=step
        )
        masked = pruner.masked()
        found = [self._measure(masked)]
        for _ in pruner:
            masked.set_weights(pruner.weights())
            found.append(self._measure(masked))
        return pruner.steps, np.array(found)

    def _measure(self, model: keras.Model) -> float:
        answers = np.asarray(model(self._x))
        if answers.shape[-1] == 1:
            answers = np.concatenate([1 - answers, answers], axis=-1)
        return accuracy(answers, self._y)

    def _make_energies(self) -> bqplot.Figure:
        x, y = bqplot.LinearScale(), bqplot.LinearScale(min=0.0)
        scales = {"x": x, "y": y}
        self._accepted = bqplot.Scatter(
            x=_NONE, y=_NONE, scales=scales, colors=[ACCURACY], marker="circle", default_size=40
        )
        self._refused = bqplot.Scatter(
            x=_NONE, y=_NONE, scales=scales, colors=[REJECTED], marker="cross", default_size=40
        )
        axes = [
            bqplot.Axis(scale=x, label="candidate, in the order of the walk", tick_format=".0f"),
            bqplot.Axis(scale=y, side="left", label="energy", label_offset="36px"),
        ]
        title = "● accepted   × refused"
        return figure([self._refused, self._accepted], axes, title)

    def _make_fan(self, target: float) -> bqplot.Figure:
        shares = np.linspace(0, target, max(map(len, [*self.curves, self.greedy])))
        least = min(float(np.min(curve)) for curve in [*self.curves, self.greedy])
        x = bqplot.LinearScale(min=0.0, max=target)
        y = bqplot.LinearScale(min=max(0.0, least - 0.02), max=1.0)
        scales = {"x": x, "y": y}
        lines = [
            bqplot.Lines(
                x=shares[: len(curve)], y=curve, scales=scales, colors=[ROBUST], stroke_width=1.5
            )
            for curve in self.curves
        ]
        lines.append(
            bqplot.Lines(
                x=shares[: len(self.greedy)], y=self.greedy, scales=scales, colors=[ACCURACY],
                stroke_width=4, line_style="dashed",
            )
        )  # fmt: skip
        self._here = bqplot.Lines(x=_NONE, y=_NONE, scales=scales, colors=[EARLIER], stroke_width=1)
        axes = [
            bqplot.Axis(scale=x, label="share of units removed", tick_format=".0%"),
            bqplot.Axis(scale=y, side="left", tick_format=".0%"),
        ]
        self._fan_y = y
        return figure([*lines, self._here], axes, "accuracy: — seeds   - - greedy")

    def table(self, step: int) -> pd.DataFrame:
        """The candidates of one step in the order of the walk."""
        return self.steps[step - 1].decisions.frame()

    def _update(self) -> None:
        number = self.step.value
        rows = self.table(number)
        rows = rows[rows.energy.notna()].reset_index(drop=True)
        taken = rows[rows.verdict == "removed"]
        refused = rows[rows.verdict == "rejected"]
        for mark, part in ((self._accepted, taken), (self._refused, refused)):
            with mark.hold_sync():
                mark.x = part.index.to_numpy(float)
                mark.y = part.energy.to_numpy(float)
        share = self.step.value / len(self.steps) * self._here.scales["x"].max
        self._here.x, self._here.y = [share, share], [self._fan_y.min, self._fan_y.max]
        lucky = taken[taken.probability < 1]
        warm = float(rows.temperature.max()) if len(rows) else float("nan")
        self.say(
            f"Step {number}, temperature up to {warm:.2f}: {len(taken)} accepted, of which "
            f"{len(lucky)} were worse than the last and came through by chance; "
            f"{len(refused)} refused."
        )
