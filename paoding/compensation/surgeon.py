"""Which units least squares would miss least, in the manner of the Optimal Brain Surgeon."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import scipy.linalg

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
        return cls.after([Surgeon(view, alive) for view in views], may_go)

    @classmethod
    def after(cls, parts: Sequence[Surgeon], may_go: np.ndarray) -> SurgeonRanking:
        """Candidates where the removals so far are counted in; the parts stay as they are."""
        alive = parts[0].alive
        n = len(alive)
        ranking = cls(np.full(n, np.inf), np.full(n, PLAIN), may_go & alive, estimates=True)
        ranking._parts = [part.copy() for part in parts]
        ranking._waiting = []
        ranking._block = renewal(n)
        ranking._renew()
        return ranking

    @property
    def changes(self) -> bool:
        return True

    def spread(self, units: np.ndarray) -> np.ndarray:
        part = self._parts[0]
        found = np.full(len(part.alive), np.inf)
        found[part.alive] = 1 / np.sqrt(np.diag(part.inverse))
        return found[units]

    def _renew(self) -> None:
        for part in self._parts:
            part.remove(self._waiting)
        self._waiting = []
        alive = self._parts[0].alive
        cost = np.full(len(alive), np.inf)
        cost[alive] = np.sum([part.costs() for part in self._parts], axis=0)
        self.importance = cost
        best = self._parts[0].takers()
        self.into = np.full(len(alive), PLAIN)
        self.into[alive] = best

    def take(self, unit: int, once: bool) -> int:
        """Let a unit go; returns the survivor that takes most of it over."""
        into = int(self.into[unit])
        self.may_go[unit] = False
        self._waiting.append(unit)
        if len(self._waiting) >= self._block:
            self._renew()
        return into


class Surgeon:
    """One consumer's inverse covariance and output weights of the units that are left."""

    def __init__(self, view: SensitivityStats, alive: np.ndarray) -> None:
        self.alive = alive.copy()
        second = view.second
        level = RIDGE * np.trace(second) / len(second) + 1e-30
        kept, lost = np.ix_(alive, alive), np.ix_(alive, ~alive)
        square = second[kept]
        factor = factor_positive(square, level)
        self.weight = view.weight[kept].copy()
        if not alive.all():  # survivors already stand in for those that are gone
            move = scipy.linalg.cho_solve(factor, second[lost])
            cross = view.weight[lost]
            gone_ = np.ix_(~alive, ~alive)
            self.weight += cross @ move.T + move @ cross.T + move @ view.weight[gone_] @ move.T
        lower, _ = scipy.linalg.lapack.dpotri(factor[0], lower=1)
        self.inverse = np.tril(lower) + np.tril(lower, -1).T
        self.deviation = np.sqrt(np.maximum(np.diag(square), 0))

    def copy(self) -> Surgeon:
        """One that loses units of its own; arrays are shared until then."""
        made = copy(self)
        made.alive = self.alive.copy()
        return made

    def costs(self) -> np.ndarray:
        """Cost of removing each unit that is left."""
        return np.maximum(np.diag(self.weight), 0) / np.diag(self.inverse)

    def takers(self) -> np.ndarray:
        """For each unit that is left, the one that takes most of it over."""
        numbers = np.flatnonzero(self.alive)
        if len(numbers) < 2:
            return np.full(len(numbers), PLAIN)
        share = np.abs(self.inverse) * self.deviation[None, :]
        np.fill_diagonal(share, -1.0)
        return numbers[share.argmax(axis=1)]

    def remove(self, units: Sequence[int] | np.ndarray) -> None:
        """Take units out, the rest taking over."""
        if not len(units):
            return
        numbers = np.flatnonzero(self.alive)
        out = np.isin(numbers, units)
        inverse, weight = self.inverse, self.weight
        block = inverse[np.ix_(out, out)]
        column = inverse[np.ix_(~out, out)]
        move = -np.linalg.solve(block, column.T).T  # how survivors stand in for what goes
        cross = weight[np.ix_(~out, out)]
        self.weight = (
            weight[np.ix_(~out, ~out)]
            + cross @ move.T
            + move @ cross.T
            + move @ weight[np.ix_(out, out)] @ move.T
        )
        self.inverse = inverse[np.ix_(~out, ~out)] + move @ column.T
        self.deviation = self.deviation[~out]
        self.alive[units] = False


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
