"""Linear forms in the values and changes of a network, with what rounding may have lost."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from paoding.bounds.intervals import Floats, Interval, down, gamma
from paoding.bounds.primitives import Program


@dataclass(eq=False)
class Form:
    """Rows of linear forms ``sum y[v] * value_v + sum r[v] * change_v + constant``.

    Args:
        rows: how many.
        y: value -> coefficients (rows, *shape) on the old network's value.
        r: value -> coefficients on the change.
        constant: (rows,).
        error: (rows,) what rounding may have lost so far.
        size: (rows,) sum of the absolute values added to ``constant``.
        adds: how many arrays were added to ``constant``.
    """

    rows: int
    y: dict[int, Floats] = field(default_factory=dict)
    r: dict[int, Floats] = field(default_factory=dict)
    constant: Floats = field(default_factory=lambda: np.zeros(()))
    error: Floats = field(default_factory=lambda: np.zeros(()))
    size: Floats = field(default_factory=lambda: np.zeros(()))
    adds: int = 0

    def add_y(self, value: int, coefficients: Floats) -> None:
        """Add coefficients on a value."""
        self.y[value] = coefficients if value not in self.y else self.y[value] + coefficients

    def add_r(self, value: int, coefficients: Floats) -> None:
        """Add coefficients on a change."""
        self.r[value] = coefficients if value not in self.r else self.r[value] + coefficients

    def add_constant(self, coefficients: Floats, numbers: Floats) -> None:
        """Add ``coefficients . numbers`` per row, numbers broadcast to one sample."""
        flat, vector = _flat(coefficients, numbers)
        part = flat @ vector
        size = np.abs(flat) @ np.abs(vector)
        self.constant = self.constant + part
        self.size = self.size + np.abs(part)
        self.error = self.error + gamma(len(vector) + 2) * size
        self.adds += 1

    def add_least(self, coefficients: Floats, bounds: Interval) -> None:
        """Add the least that ``coefficients . value`` can be for a value within bounds."""
        center, radius = bounds.center_radius()
        self.add_constant(coefficients, center)
        self.add_constant(-np.abs(coefficients), radius)

    def lose(self, coefficients: Floats, sizes: Floats, relative: float) -> None:
        """Count ``relative * |coefficients| . sizes`` as lost to rounding."""
        flat, vector = _flat(coefficients, sizes)
        self.error = self.error + relative * (1 + 1e-6) * (np.abs(flat) @ np.abs(vector))

    def least(self) -> Floats:
        """The constant, less all errors: a lower bound once no coefficient is left."""
        error = self.error * (1 + 1e-6) + gamma(self.adds + 4) * self.size + 1e-290
        return down(down(self.constant - error))


def _flat(coefficients: Floats, numbers: Floats) -> tuple[Floats, Floats]:
    flat = coefficients.reshape(len(coefficients), -1)
    sample = coefficients.shape[1:]
    given = numbers[0] if numbers.ndim == len(sample) + 1 else numbers
    return flat, np.broadcast_to(given, sample).reshape(-1)


@dataclass(frozen=True, eq=False)
class Network:
    """What back-substitution reads of one network: its steps, and bounds of its values."""

    program: Program
    values: list[Interval | None]

    def bounds(self, value: int) -> Interval:
        """Bounds of a value that has been reached."""
        known = self.values[value]
        assert known is not None
        return known
