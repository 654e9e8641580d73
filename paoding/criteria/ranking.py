"""The candidates of one group in one step: who may go, into whom, and at what importance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paoding.criteria.importance import DistanceCache, is_dense, lengths, outgoing_norms
from paoding.graph import Graph, Group, State

PLAIN = -1  # stands for "nobody" where a survivor's number is expected


@dataclass
class Ranking:
    """The candidates of one group in one step: who may go, into whom, and at what importance.

    Args:
        importance: (units,) least importance of each unit's removal.
        into: (units,) the survivor of that removal, or ``PLAIN``; read it by ``survivors``.
        may_go: (units,) mask.
        pairs: (units, units) ``S(i, j)``, i survives and j goes; None without merging.
        may_survive: (units,) mask of survivors for pairs.
        alone: (units,) importance of a plain removal on the scale of ``pairs``; None: no choice.
        estimates: whether importance is the mean squared change of the scores that a removal is
            estimated to add.
        logged: (units, units) the importance of pairs for the log, where ``pairs`` holds another.
    """

    importance: np.ndarray
    into: np.ndarray
    may_go: np.ndarray
    pairs: np.ndarray | None = None
    may_survive: np.ndarray | None = None
    alone: np.ndarray | None = None
    estimates: bool = False
    logged: np.ndarray | None = None

    @classmethod
    def plain(cls, importance: np.ndarray, may_go: np.ndarray) -> Ranking:
        """Candidates that go without a survivor."""
        return cls(importance.astype(np.float64), np.full(len(importance), PLAIN), may_go.copy())

    @classmethod
    def of_pairs(
        cls,
        pairs: np.ndarray,
        may_go: np.ndarray,
        may_survive: np.ndarray,
        alone: np.ndarray | None = None,
        logged: np.ndarray | None = None,
    ) -> Ranking:
        """Candidates that go into the survivor at which ``pairs`` is least."""
        n = len(pairs)
        ranking = cls(
            np.full(n, np.inf),
            np.full(n, PLAIN),
            may_go.copy(),
            pairs,
            may_survive.copy(),
            alone,
            logged=logged,
        )
        ranking._match(np.flatnonzero(may_go))
        return ranking

    def _match(self, units: np.ndarray) -> None:
        """Find the best survivor of each of these units."""
        assert self.pairs is not None and self.may_survive is not None
        if not len(units):
            return
        blocked = ~self.may_survive[:, None] | (np.arange(len(self.pairs))[:, None] == units)
        costs = np.where(blocked, np.inf, self.pairs[:, units])
        best = costs.argmin(axis=0)
        found = costs[best, np.arange(len(units))]
        self.into[units] = np.where(np.isfinite(found), best, PLAIN)
        self.importance[units] = found
        if self.alone is not None:
            plain = self.alone[units] <= found
            self.into[units[plain]] = PLAIN
            self.importance[units[plain]] = self.alone[units[plain]]
        else:
            self.may_go[units[~np.isfinite(found)]] = False

    @property
    def changes(self) -> bool:
        """Whether one unit's going changes the importance of the others."""
        return self.pairs is not None

    def shown(self, units: np.ndarray) -> np.ndarray:
        """The importance of each unit as it is logged, (C,)."""
        return (
            self.importance[units] if self.logged is None else self.logged[self.into[units], units]
        )

    def survivors(self, units: np.ndarray) -> np.ndarray:
        """The present survivor of each unit, ``PLAIN`` for none."""
        return self.into[units]

    def spread(self, units: np.ndarray) -> np.ndarray | None:
        """Standard deviation of what each unit leaves missing, (C,), where it is estimated."""
        return None

    def order(self) -> np.ndarray:
        """Units that may go, by rising importance; ties by number."""
        units = np.flatnonzero(self.may_go)
        return units[np.argsort(self.importance[units], kind="stable")]

    def take(self, unit: int, once: bool) -> int:
        """Let a unit go; returns its survivor, which may follow it later.

        Units whose survivor is gone find another. ``once``: a unit takes part in one merge only.
        """
        into = int(self.into[unit])
        self.may_go[unit] = False
        if self.may_survive is None:
            return into
        self.may_survive[unit] = False
        lost = self.may_go & (self.into == unit)
        if once and into != PLAIN:
            self.may_go[into] = self.may_survive[into] = False
            lost |= self.may_go & (self.into == into)
            lost[into] = False
        self._match(np.flatnonzero(lost))
        return into


def pair_ranking(
    graph: Graph,
    group: Group,
    state: State,
    may_go: np.ndarray,
    may_survive: np.ndarray,
    cache: DistanceCache,
) -> Ranking:
    """Rank merges of a group by the paper's saliency ``S(i, j)``.

    Where filters are merged, a plain removal competes: it is taken where no survivor is nearer
    to the filter than zero is.

    Source: arXiv 2204.00783, section IV-A; the norm is that of the unit that goes.
    """
    norms = outgoing_norms(group, state)
    pairs = cache.get(group, state) * norms[None, :]
    alone = None if is_dense(group) else lengths(group, state) * norms
    return Ranking.of_pairs(pairs, may_go, may_survive, alone)
