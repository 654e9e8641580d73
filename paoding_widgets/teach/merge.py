"""``MergeExplorer``: what a survivor takes over, drawn exactly for two units (lesson 3)."""

from __future__ import annotations

from functools import cached_property

import ipywidgets
import numpy as np

from paoding_widgets.teach.parts import Exercise, PictureGrid, picture

_SIDE = 41  # points along each axis on which functions are drawn
_SPAN = np.linspace(-1.0, 1.0, _SIDE)


class MergeExplorer(Exercise):
    """Two ReLU units with two inputs: one goes, and four ways to make up for it side by side.

    The two units put out ``relu(w.x + b)`` and are read with weight 1 each. Turn, stretch and
    shift the second one, and see what is left of their sum when it is removed.

    >>> pair = MergeExplorer()
    >>> pair.angle.value, pair.length.value = 0.0, 2.0  # the second is twice the first
    >>> {way: round(error, 2) for way, error in pair.errors.items() if error < 0.01}
    {'scaled merge': 0.0, 'least squares': 0.0}
    """

    def __init__(self) -> None:
        def slider(text: str, value: float, low: float, high: float) -> ipywidgets.FloatSlider:
            return ipywidgets.FloatSlider(
                value=value, min=low, max=high, step=0.05, description=text,
                style={"description_width": "100px"},
            )  # fmt: skip

        self.angle = slider("angle (degrees)", 40.0, 0.0, 180.0)
        self.angle.step = 5.0
        self.length = slider("length", 1.0, 0.25, 3.0)
        self.shift = slider("bias", 0.0, -1.0, 1.0)
        self.grid = PictureGrid(disabled=True, caption="The sum of both units, and what is left")
        super().__init__(
            "What can the survivor take over?",
            "Move the sliders: they turn, stretch and shift the unit that goes. Each picture is "
            "a function of two inputs; under it stands how far it is from the sum.",
            [ipywidgets.HBox([self.angle, self.length, self.shift]), self.grid],
        )
        for control in (self.angle, self.length, self.shift):
            control.observe(lambda _: self._update(), "value")
        self._update()

    @cached_property
    def _points(self) -> np.ndarray:
        across, up = np.meshgrid(_SPAN, _SPAN)
        return np.stack([across.ravel(), up.ravel()], axis=1)

    def _units(self) -> tuple[np.ndarray, np.ndarray]:
        turn = np.deg2rad(self.angle.value)
        weights = self.length.value * np.array([np.cos(turn), np.sin(turn)])
        first = np.maximum(self._points @ [1.0, 0.0], 0)
        second = np.maximum(self._points @ weights + self.shift.value, 0)
        return first, second

    def ways(self) -> dict[str, np.ndarray]:
        """What is read after the removal, for each way to make up for it."""
        stays, goes = self._units()
        design = np.stack([stays, np.ones_like(stays)], axis=1)
        fitted = np.linalg.lstsq(design, goes, rcond=None)[0]
        return {
            "plain removal": stays,
            "mean folding": stays + goes.mean(),
            "merge": 2 * stays,
            "scaled merge": (1 + np.hypot(self.length.value, self.shift.value)) * stays,
            "least squares": stays + design @ fitted,
        }

    @property
    def errors(self) -> dict[str, float]:
        """Root mean squared distance from the sum of both units, for each way."""
        wanted = sum(self._units())
        return {
            way: float(np.sqrt(((value - wanted) ** 2).mean()))
            for way, value in self.ways().items()
        }

    def _update(self) -> None:
        stays, goes = self._units()
        errors = self.errors
        best = min(errors, key=lambda way: errors[way])
        shown = [picture(_image(v), n) for n, v in (("it stays", stays), ("it goes", goes))]
        shown.append(picture(_image(stays + goes), "their sum", "wanted"))
        shown += [
            picture(_image(value), way, f"off by {errors[way]:.2f}", "good" if way == best else "")
            for way, value in self.ways().items()
        ]
        self.grid.pictures = shown
        self.say(
            f"Closest is {best}, off by {errors[best]:.2f}. Merge is off by "
            f"{errors['merge']:.2f}, plain removal by {errors['plain removal']:.2f}."
        )

    def still(self) -> list[tuple[str, str]]:
        """All functions as pictures."""
        return [(shown["label"], shown["src"]) for shown in self.grid.pictures]


def _image(values: np.ndarray) -> np.ndarray:
    return values.reshape(_SIDE, _SIDE)[::-1]
