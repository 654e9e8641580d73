"""Which units least squares would miss least, in the manner of the Optimal Brain Surgeon."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from scipy.linalg.blas import dsyr2k

from paoding.compensation.regression import RIDGE, factor_positive
from paoding.compensation.sensitivity import SensitivityStats
from paoding.criteria import PLAIN, Ranking, renewal

FOLLOWED = 256  # units from which factorizations are followed from step to step, not made anew


class SurgeonRanking(Ranking):
    """Units ranked by what their removal costs after all survivors have been refitted.

    The cost of p alone is ``W_pp / [C^-1]_pp``: the part of p that no other unit explains, by
    what the outputs feel of it (``W``; ``|V_p|^2`` for one linear layer). After a removal
    ``C^-1`` and ``W`` of the rest follow by rank-one and rank-two updates.

    Source: ``docs/method.md``, section 4; optimal brain surgeon (Hassibi & Stork 1993).
    """

    _parts: list[Surgeon]
    _waiting: list[int]
    _block: int

    @classmethod
    def of(
        cls, views: Sequence[SensitivityStats], alive: np.ndarray, may_go: np.ndarray
    ) -> SurgeonRanking:
        """Candidates of a group in which some units may be gone already."""
        return cls._from([Surgeon(view, alive) for view in views], may_go)

    @classmethod
    def after(cls, parts: Sequence[Surgeon], may_go: np.ndarray) -> SurgeonRanking:
        """Candidates where the removals so far are counted in; the parts stay as they are."""
        return cls._from([part.copy() for part in parts], may_go)

    @classmethod
    def _from(cls, parts: list[Surgeon], may_go: np.ndarray) -> SurgeonRanking:
        alive = parts[0].alive
        n = len(alive)
        ranking = cls(np.full(n, np.inf), np.full(n, PLAIN), may_go & alive, estimates=True)
        ranking._parts = parts
        ranking._waiting = []
        ranking._block = renewal(n)
        ranking._renew()
        return ranking

    @property
    def changes(self) -> bool:
        return True

    def survivors(self, units: np.ndarray) -> np.ndarray:
        """The survivor that takes most of each unit over."""
        return self._parts[0].takers(units)

    def spread(self, units: np.ndarray) -> np.ndarray:
        return self._parts[0].spread()[units]

    def _renew(self) -> None:
        for part in self._parts:
            part.remove(self._waiting)
        self._waiting = []
        self.importance = np.sum([part.costs() for part in self._parts], axis=0)

    def take(self, unit: int, once: bool) -> int:
        """Let a unit go; returns the survivor that takes most of it over."""
        into = int(self.survivors(np.array([unit]))[0])
        self.may_go[unit] = False
        self._waiting.append(unit)
        if len(self._waiting) >= self._block:
            self._renew()
        return into


class Surgeon:
    """One consumer's inverse covariance and output weights of the units that are left.

    Both are symmetric, are changed in place, and only their lower triangles are kept. They have
    rows for the units that were left at the beginning; those of units that went since are zero.
    """

    def __init__(self, view: SensitivityStats, alive: np.ndarray) -> None:
        self.alive = alive.copy()
        second = view.second
        level = RIDGE * np.trace(second) / len(second) + 1e-30
        kept, lost = np.ix_(alive, alive), np.ix_(alive, ~alive)
        square = second[kept]
        factor = factor_positive(square, level)
        self._weight = np.ascontiguousarray(view.weight[kept])
        if not alive.all():  # survivors already stand in for those that are gone
            move = scipy.linalg.cho_solve(factor, second[lost])
            cross = view.weight[lost]
            gone_ = np.ix_(~alive, ~alive)
            _add_products(self._weight, move, cross + move @ view.weight[gone_] / 2)
        lower, _ = scipy.linalg.lapack.dpotri(factor[0], lower=1, overwrite_c=1)
        self._inverse = np.ascontiguousarray(lower)
        self._deviation = np.sqrt(np.maximum(np.diag(square), 0))
        self._number(np.flatnonzero(alive))

    def _number(self, units: np.ndarray) -> None:
        """Say which unit each row belongs to."""
        self._units = units
        self._row = np.full(len(self.alive), -1)
        self._row[units] = np.arange(len(units))

    def copy(self) -> Surgeon:
        """One that loses units of its own, with rows for those that are left now."""
        made = copy(self)
        made.alive = self.alive.copy()
        left = self.alive[self._units]
        rows = np.ix_(left, left)
        made._weight, made._inverse = self._weight[rows], self._inverse[rows]
        made._deviation = self._deviation[left]
        made._number(self._units[left])
        return made

    def spread(self) -> np.ndarray:
        """Deviation of what no other unit explains of each; infinite for one that is gone."""
        found = np.full(len(self.alive), np.inf)
        left = self.alive[self._units]
        found[self._units[left]] = 1 / np.sqrt(np.diag(self._inverse)[left])
        return found

    def costs(self) -> np.ndarray:
        """Cost of removing each unit; infinite for one that is gone."""
        found = np.full(len(self.alive), np.inf)
        left = self.alive[self._units]
        diagonals = np.diag(self._weight)[left], np.diag(self._inverse)[left]
        found[self._units[left]] = np.maximum(diagonals[0], 0) / diagonals[1]
        return found

    def takers(self, units: np.ndarray) -> np.ndarray:
        """For each of these units, who takes most of it over; PLAIN for one that is gone."""
        rows = self._row[units]
        if self.alive.sum() < 2:
            return np.full(len(units), PLAIN)
        share = np.abs(_columns(self._inverse, rows).T) * self._deviation[None, :]
        share[:, ~self.alive[self._units]] = -1.0
        share[np.arange(len(units)), rows] = -1.0
        return np.where(self.alive[units], self._units[share.argmax(axis=1)], PLAIN)

    def remove(self, units: Sequence[int] | np.ndarray) -> None:
        """Take units out, the rest taking over."""
        if not len(units):
            return
        out = self._row[np.sort(units)]
        column, cross = _columns(self._inverse, out), _columns(self._weight, out)
        block, own = column[out], cross[out]
        move = -np.linalg.solve(block, column.T).T  # how survivors stand in for what goes
        _add_products(self._weight, move, cross + move @ own / 2)
        _add_products(self._inverse, move, column / 2)
        for square in (self._weight, self._inverse):
            square[out] = square[:, out] = 0.0
        self.alive[units] = False


def _columns(lower: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Columns of a symmetric matrix of which the lower triangle is known: (n, k)."""
    below = np.arange(len(lower))[:, None] >= which
    return np.where(below, lower[:, which], lower[which].T)


def _add_products(lower: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Add ``a b' + b a'`` to the lower triangle of a symmetric matrix, in place."""
    made = dsyr2k(1.0, a, b, 1.0, lower.T, overwrite_c=1)
    assert np.shares_memory(made, lower)


@dataclass(frozen=True, eq=False)
class Trail:
    """A wide group's inverse covariances, followed from step to step.

    They are a function of the masks alone: a run that was taken back, stopped or resumed is
    followed in the same pieces as one that was not, and rounds alike.

    Args:
        path: masks of the units that were left at first and after each step so far.
        parts: each consumer's surgeon after the last of them.
    """

    path: tuple[np.ndarray, ...]
    parts: tuple[Surgeon, ...]

    @classmethod
    def along(
        cls, known: Trail | None, views: Sequence[SensitivityStats], path: Sequence[np.ndarray]
    ) -> Trail:
        """Follow a path, from where a known trail leads along it or else from its beginning."""
        if known is None or not known.leads_to(path):
            known = cls((path[0],), tuple(Surgeon(view, path[0]) for view in views))
        parts = tuple(part.copy() for part in known.parts)
        for mask in path[len(known.path) :]:
            for part in parts:
                part.remove(np.flatnonzero(part.alive & ~mask))
        return cls(tuple(path), parts)

    def leads_to(self, path: Sequence[np.ndarray]) -> bool:
        """Whether this trail is the beginning of a path."""
        return len(self.path) <= len(path) and all(map(np.array_equal, self.path, path))
