"""What a removal costs in one number: how much the outputs may move, and how unevenly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paoding.checks import check_choice
from paoding.errors import ArgumentError

Floats = NDArray[np.float64]

SIMILAR = 0.9  # outputs at least this alike count as moved evenly (paper, section IV)
TRUST = 4.0  # weight of an estimated amount against a width's
_CHUNK_ENTRIES = 1 << 15  # candidates x outputs x outputs compared at once: what a cache holds


def amount(lower: ArrayLike, upper: ArrayLike) -> Floats:
    """How much the outputs may move: the summed widths of their intervals.

    Args:
        lower: (C, m), the least change of each of m outputs, one row per candidate.
        upper: (C, m), the largest change, in the units of the outputs.

    Returns:
        (C,) amounts, never negative.

    Source: arXiv 2204.00783, section IV.

    >>> amount([[-1.0, 0.0]], [[1.0, 0.5]])
    array([2.5])
    """
    low, high = _rows(lower, upper)
    return (high - low).sum(axis=1)


def evenness(lower: ArrayLike, upper: ArrayLike) -> Floats:
    """How unevenly the outputs may move: 0 when all intervals are alike, more when they differ.

    Args:
        lower: (C, m), the least change of each of m outputs, one row per candidate.
        upper: (C, m), the largest change.

    Returns:
        (C,) entropies in nats, ``-sum(p_u ln p_u)``, where ``p_u`` is the share of outputs whose
        interval is at least 90 % similar to that of output u.

    Source: arXiv 2204.00783, section IV.

    >>> evenness([[-1.0, -1.0]], [[1.0, 1.0]])
    array([0.])
    """
    low, high = _rows(lower, upper)
    candidates, outputs = low.shape
    result = np.zeros(candidates)
    chunk = max(1, _CHUNK_ENTRIES // max(1, outputs * outputs))
    for start in range(0, candidates, chunk):
        part = slice(start, start + chunk)
        share = _similar_share(low[part], high[part])
        result[part] = -(share * np.log(share)).sum(axis=1)
    return np.maximum(result, 0.0)  # the shares are 1 at most; this only drops a negative zero


class Energy(Protocol):
    """Turns amounts and evennesses of a batch of candidates into energies; less is better."""

    def __call__(self, amounts: Floats, evennesses: Floats) -> Floats:
        """Give one energy per candidate, all arrays of shape (C,)."""
        ...


@dataclass(frozen=True)
class PaperEnergy:
    """``alpha * sigmoid(L) + beta * sigmoid(Ent)``, as in the paper.

    ``sigmoid(L)`` is exactly 1 in double precision from L of about 37 on, so in deep networks
    all candidates tie. Kept for comparison.

    Source: arXiv 2204.00783, section IV.

    >>> PaperEnergy()(np.array([0.0, 50.0, 60.0]), np.zeros(3))
    array([0.5  , 0.875, 0.875])
    """

    alpha: float = 0.75
    beta: float = 0.25

    def __call__(self, amounts: Floats, evennesses: Floats) -> Floats:
        return self.alpha * _sigmoid(amounts) + self.beta * _sigmoid(evennesses)


@dataclass(frozen=True)
class LogEnergy:
    """``alpha * ln(1 + L / median L) + beta * ln(1 + Ent)``: it never saturates.

    The amount is taken relative to the batch's median candidate, so the weights alpha and beta
    mean the same at every depth and width, and a candidate that changes nothing has amount 0.

    >>> LogEnergy()(np.array([50.0, 60.0, 7e9]), np.zeros(3)).argsort()
    array([0, 1, 2])
    """

    alpha: float = 0.75
    beta: float = 0.25

    def __call__(self, amounts: Floats, evennesses: Floats) -> Floats:
        relative = np.asarray(amounts, dtype=np.float64) / _typical(amounts)
        return self.alpha * np.log1p(relative) + self.beta * np.log1p(evennesses)


@dataclass(frozen=True)
class EstimatedEnergy(LogEnergy):
    """The logarithmic energy of estimated amounts, the default.

    The amount of a candidate is then not the width of certified intervals, which depth widens,
    but what its removal is estimated to add to the mean squared change of the scores, the errors
    of what is already gone counted in; where a compensation has no such estimate, it is the
    width after all.

    ``4 alpha * ln(1 + L / median L) + beta * ln(1 + Ent)``: an estimate can be trusted further
    than a width, so it weighs more against evenness, and annealing refuses what is far worse.

    >>> EstimatedEnergy()(np.array([1.0, 3.0]), np.zeros(2)).round(3)
    array([1.216, 2.749])
    """

    def __call__(self, amounts: Floats, evennesses: Floats) -> Floats:
        return LogEnergy(TRUST * self.alpha, self.beta)(amounts, evennesses)


_ENERGIES: dict[str, Callable[[float, float], Energy]] = {
    "estimated": EstimatedEnergy,
    "log": LogEnergy,
    "paper": PaperEnergy,
}


def get(energy: str | Energy, alpha: float = 0.75, beta: float = 0.25) -> Energy:
    """Look an energy up by its name: ``"estimated"`` (the default), ``"log"`` or ``"paper"``.

    Args:
        energy: a name, or an energy of one's own, which is returned unchanged.
        alpha: the weight of the amount, not negative.
        beta: the weight of the evenness, not negative.

    Raises:
        ArgumentError: the name is unknown, or a weight is negative or not finite.

    >>> get("paper", alpha=0.5, beta=0.5)
    PaperEnergy(alpha=0.5, beta=0.5)
    """
    if not isinstance(energy, str):
        return energy
    check_choice("energy", energy, _ENERGIES)
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not (np.isfinite(value) and value >= 0):
            raise ArgumentError(f"{name}={value} must be a finite number, 0 or more.")
    return _ENERGIES[energy](float(alpha), float(beta))


def _rows(lower: ArrayLike, upper: ArrayLike) -> tuple[Floats, Floats]:
    """Both bounds as float64 (C, m): whatever the outputs' own shape, they are a flat list."""
    low = np.asarray(lower, dtype=np.float64)
    high = np.asarray(upper, dtype=np.float64)
    if low.shape != high.shape or low.ndim < 1:
        raise ArgumentError(
            f"lower has shape {low.shape} and upper {high.shape}; both must be (candidates, m)."
        )
    return low.reshape(len(low), -1), high.reshape(len(high), -1)


def _similar_share(low: Floats, high: Floats) -> Floats:
    """For each output, the share of all outputs (itself included) with a similar interval."""
    union = np.maximum(high.max(axis=1), 0.0) - np.minimum(low.min(axis=1), 0.0)
    # sim = 1 - distance / 2 / union >= 0.9, without the division: a zero union is all alike.
    limit = 2.0 * (1.0 - SIMILAR) * union * (1.0 + 1e-12)
    count = np.empty(low.shape)
    rows = max(1, _CHUNK_ENTRIES // max(low.size, 1))
    for start in range(0, low.shape[1], rows):
        part = np.s_[:, start : start + rows]
        distance = np.abs(low[part][:, :, None] - low[:, None, :])
        distance += np.abs(high[part][:, :, None] - high[:, None, :])
        count[part] = np.count_nonzero(distance <= limit[:, None, None], axis=2)
    return count / low.shape[1]


def _typical(amounts: Floats) -> float:
    """The median amount; where most candidates are free, the mean of those that are not."""
    median = float(np.median(amounts)) if np.size(amounts) else 1.0
    if median > 0:
        return median
    positive = np.asarray(amounts)[np.asarray(amounts) > 0]
    return float(positive.mean()) if positive.size else 1.0


def _sigmoid(x: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-np.asarray(x, dtype=np.float64)))  # x >= 0: exp cannot overflow
