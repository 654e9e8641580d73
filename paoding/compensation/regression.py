"""Ridge regression of what is missing on what is left, from rows or from their sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg

RIDGE = 1e-3  # share of the mean variance that is added to each, against what the prior invents
DUAL = 6144  # columns from which a fit is solved among the samples instead of the columns
_CHUNK = 4096  # rows of a product that is summed in double precision
_EXACT = 1024  # columns up to which products are taken in double precision
_TRIES = 6  # tenfold raises of a ridge until a covariance is positive


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over rows, about a shift, from which every ridge and the mean follow.

    Args:
        n: rows.
        shift, offset: of rows (k,) and of what is missing (m,), near their means.
        first, missing: sums of what is left after them.
        square, cross: sums of products, (k, k) and (k, m).
    """

    n: int
    shift: np.ndarray
    offset: np.ndarray
    first: np.ndarray
    missing: np.ndarray
    square: np.ndarray
    cross: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, residual: np.ndarray, like: Moments | None = None) -> Moments:
        """Sum up rows (n, k) and what is missing (n, m), about the shifts of others if given."""
        k, m = rows.shape[1], residual.shape[1]
        shift = rows.mean(axis=0, dtype=np.float64) if like is None else like.shift
        offset = residual.mean(axis=0, dtype=np.float64) if like is None else like.offset
        kind = np.float64 if k <= _EXACT else np.float32
        first, missing_ = np.zeros(k), np.zeros(m)
        square, cross = np.zeros((k, k)), np.zeros((k, m))
        for start in range(0, len(rows), _CHUNK):
            block: Any = (rows[start : start + _CHUNK] - shift).astype(kind)
            left = (residual[start : start + _CHUNK] - offset).astype(kind)
            square += block.T @ block
            cross += block.T @ left
            first += block.sum(axis=0, dtype=np.float64)
            missing_ += left.sum(axis=0, dtype=np.float64)
        return cls(len(rows), shift, offset, first, missing_, square, cross)

    def with_more(self, rows: np.ndarray, residual: np.ndarray) -> Moments:
        """The sums over further rows as well."""
        more = Moments.of(rows, residual, self)
        sums = ("n", "first", "missing", "square", "cross")
        return replace(self, **{name: getattr(self, name) + getattr(more, name) for name in sums})

    def ridge(self, centred: bool, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """The change of weights and the constant that explain best what is missing."""
        k = len(self.shift)
        if k == 0:
            return self.mean(centred)
        first, missing_ = self.first / self.n, self.missing / self.n
        square, cross = self.square / self.n, self.cross / self.n
        if centred:
            square = square - np.outer(first, first)
            cross = cross - np.outer(first, missing_)
        else:
            square = square + np.outer(first, self.shift) + np.outer(self.shift, first + self.shift)
            cross = cross + np.outer(self.shift, missing_) + np.outer(first, self.offset)
            cross = cross + np.outer(self.shift, self.offset)
        change = solve_positive(square, cross, strength * np.trace(square) / k + 1e-12)
        constant = self.offset + missing_ - (self.shift + first) @ change
        return change, constant if centred else np.zeros_like(constant)

    def mean(self, centred: bool) -> tuple[np.ndarray, np.ndarray]:
        """No change of weights, and the mean of what is missing as the constant."""
        constant = self.offset + self.missing / self.n
        return np.zeros_like(self.cross), constant if centred else np.zeros_like(constant)


def ridge(
    rows: np.ndarray, residual: np.ndarray, centred: bool, strength: float = RIDGE
) -> tuple[np.ndarray, np.ndarray]:
    """The change of weights and the constant that explain a residual best.

    Minimizes ``|residual - rows @ change - constant|^2 / n + l |change|^2`` with ``l`` the
    given share of the mean variance of a column; solved by Cholesky, never inverted, among the
    rows where those are fewer than a very wide layer's columns.

    Args:
        rows: what survivors put out (n, k).
        residual: what is missing (n, m).
        centred: whether a constant may be used.

    Returns:
        change (k, m) and constant (m,), in double precision.

    >>> change, constant = ridge(np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [5.0]]),
    ...                          centred=True, strength=0.0)
    >>> float(change[0, 0].round(6)), float(constant[0].round(6))
    (2.0, 1.0)
    """
    n, k = rows.shape
    if k <= DUAL or n >= k:
        return Moments.of(rows, residual).ridge(centred, strength)
    mean = rows.mean(axis=0, dtype=np.float64) if centred else np.zeros(k)
    offset = residual.mean(axis=0, dtype=np.float64) if centred else np.zeros(residual.shape[1])
    change = _among_rows(rows, residual, mean, offset, strength)
    return change, offset - mean @ change


def _among_rows(
    rows: np.ndarray, residual: np.ndarray, mean: np.ndarray, offset: np.ndarray, strength: float
) -> np.ndarray:
    """The same solution from the (n, n) products of rows."""
    n, k = rows.shape
    block = (rows - mean).astype(np.float32)
    square = (block @ block.T).astype(np.float64) / n
    dual = solve_positive(square, (residual - offset) / n, strength * np.trace(square) / k + 1e-12)
    return np.asarray(block.T @ dual.astype(np.float32), dtype=np.float64)


def factor_positive(square: np.ndarray, level: float) -> tuple[np.ndarray, bool]:
    """Cholesky factor of ``square + level I``; the level grows where rounding left it indefinite.

    Args:
        square: (k, k) covariance, symmetric; not changed.
        level: what is added to each variance.
    """
    for _ in range(_TRIES):
        try:
            raised = square.copy()
            raised[np.diag_indices(len(square))] += level
            return scipy.linalg.cho_factor(raised, lower=True, overwrite_a=True)
        except np.linalg.LinAlgError:
            level *= 10
    return np.eye(len(square)) * np.sqrt(max(np.abs(square).max(), 1e-30) * len(square)), True


def solve_positive(square: np.ndarray, right: np.ndarray, level: float) -> np.ndarray:
    """Solve ``(square + level I) x = right`` by :func:`factor_positive`."""
    return np.asarray(scipy.linalg.cho_solve(factor_positive(square, level), right))
