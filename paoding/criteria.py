"""How much each unit matters: saliency of pairs and magnitude, as arrays over a whole group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from paoding.graph import Graph, Group, State

PLAIN = -1  # stands for "nobody" where a survivor's number is expected
_AT_ONCE = 256  # units up to which estimates are renewed after every single removal
WIDE = 1024  # units from which they are renewed rarely
_EXACT_LIMIT = 2e10  # multiply-adds up to which distances are worked out in double precision


def producers(group: Group, state: State) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The weights that make each unit: kernels as (units, features), biases as (units, k)."""
    kernels: list[np.ndarray] = []
    biases: list[np.ndarray] = []
    for member in group.with_role("produce"):
        value = state.values[member.variable]
        (biases if value.ndim == 1 else kernels).append(member.rows(value, group.units))
    return kernels, biases


def products(group: Group) -> float:
    """Multiply-adds of all distances between a group's units."""
    made = sum(int(np.prod(m.binding.variable.shape)) for m in group.with_role("produce"))
    return float(group.units * made)


def outgoing_norms(group: Group, state: State) -> np.ndarray:
    """``‖V_j‖`` over every layer that reads unit j: (units,)."""
    squares = np.zeros(group.units)
    for member in group.with_role("consume"):
        rows = member.rows(state.values[member.variable], group.units)
        squares += np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return np.sqrt(squares)


def distances(group: Group, state: State) -> np.ndarray:
    """``‖w_i − w_j‖ + |b_i − b_j| / (|b_i| + |b_j|)`` for all pairs: (units, units).

    The bias term is 0 where both are 0. All distances come out of one matrix product a kernel.

    Source: arXiv 2204.00783, section IV-A.
    """
    kernels, biases = producers(group, state)
    total = np.zeros((group.units, group.units))
    for kernel in kernels:
        exact = group.units**2 * kernel.shape[1] <= _EXACT_LIMIT
        rows: Any = kernel.astype(np.float64 if exact else np.float32)
        rows -= rows.mean(axis=0)  # the same differences, with less cancellation
        squares = np.einsum("ij,ij->i", rows, rows)
        square = rows @ rows.T
        square *= -2.0
        square += squares[:, None]
        square += squares[None, :]
        np.maximum(square, 0.0, out=square)
        total += np.sqrt(square, out=square)
    for bias in biases:
        for b in bias.T.astype(np.float64):
            apart = np.abs(b[:, None] - b[None, :])
            size = np.abs(b)[:, None] + np.abs(b)[None, :]
            total += np.divide(apart, size, out=np.zeros_like(apart), where=size > 0)
    return total


def lengths(group: Group, state: State) -> np.ndarray:
    """The distance of each unit from one without weights, in the units of ``distances``."""
    kernels, biases = producers(group, state)
    total = np.zeros(group.units)
    for kernel in kernels:
        total += np.sqrt(np.einsum("ij,ij->i", kernel, kernel, dtype=np.float64))
    for bias in biases:
        total += (bias != 0).sum(axis=1)
    return total


def magnitude(group: Group, state: State) -> np.ndarray:
    """Mean absolute weight of each unit, summed over the layers that make it: (units,).

    Source: arXiv 2204.00783, section IV-B (filters ranked by scale).
    """
    kernels, _ = producers(group, state)
    return np.sum([np.abs(k).mean(axis=1, dtype=np.float64) for k in kernels], axis=0)


def renewal(units: int) -> int:
    """After how many removals estimates of a group are renewed: each time touches all pairs."""
    return 1 if units <= _AT_ONCE else units // 64 if units <= WIDE else units // 16


class DistanceCache:
    """Distances of each group, worked out again only when its weights changed.

    A state shares the arrays that a step did not touch, so the arrays themselves tell.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[list[np.ndarray], np.ndarray]] = {}

    def get(self, group: Group, state: State) -> np.ndarray:
        """``distances(group, state)``, remembered."""
        made_from = [state.values[m.variable] for m in group.with_role("produce")]
        known = self._known.get(group.name)
        if known is not None and all(a is b for a, b in zip(known[0], made_from, strict=True)):
            return known[1]
        value = distances(group, state)
        self._known[group.name] = (made_from, value)
        return value


@dataclass
class Ranking:
    """The candidates of one group in one step: who may go, into whom, and at what saliency.

    Args:
        saliency: (units,) least saliency of each unit's removal.
        into: (units,) the survivor of that removal, or ``PLAIN``.
        may_go: (units,) mask.
        pairs: (units, units) ``S(i, j)``, i survives and j goes; None without merging.
        may_survive: (units,) mask of survivors for pairs.
        alone: (units,) saliency of a plain removal on the scale of ``pairs``; None: no choice.
        estimates: whether saliency is the mean squared change of the scores that a removal is
            estimated to add.
        told: (units, units) the saliency of pairs for the log, where ``pairs`` holds another.
    """

    saliency: np.ndarray
    into: np.ndarray
    may_go: np.ndarray
    pairs: np.ndarray | None = None
    may_survive: np.ndarray | None = None
    alone: np.ndarray | None = None
    estimates: bool = False
    told: np.ndarray | None = None

    @classmethod
    def plain(cls, saliency: np.ndarray, may_go: np.ndarray) -> Ranking:
        """Candidates that go without a survivor."""
        return cls(saliency.astype(np.float64), np.full(len(saliency), PLAIN), may_go.copy())

    @classmethod
    def of_pairs(
        cls,
        pairs: np.ndarray,
        may_go: np.ndarray,
        may_survive: np.ndarray,
        alone: np.ndarray | None = None,
        told: np.ndarray | None = None,
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
            told=told,
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
        self.saliency[units] = found
        if self.alone is not None:
            plain = self.alone[units] <= found
            self.into[units[plain]] = PLAIN
            self.saliency[units[plain]] = self.alone[units[plain]]
        else:
            self.may_go[units[~np.isfinite(found)]] = False

    @property
    def changes(self) -> bool:
        """Whether one unit's going changes the saliency of the others."""
        return self.pairs is not None

    def shown(self, units: np.ndarray) -> np.ndarray:
        """The saliency of each unit's removal as it is logged, (C,)."""
        return self.saliency[units] if self.told is None else self.told[self.into[units], units]

    def spread(self, units: np.ndarray) -> np.ndarray | None:
        """Standard deviation of what each unit leaves missing, (C,), where it is estimated."""
        return None

    def order(self) -> np.ndarray:
        """Units that may go, by rising saliency; ties by number."""
        units = np.flatnonzero(self.may_go)
        return units[np.argsort(self.saliency[units], kind="stable")]

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


def is_dense(group: Group) -> bool:
    """Whether every layer that makes the units is a matrix (Dense), not a convolution."""
    return all(len(m.binding.variable.shape) <= 2 for m in group.with_role("produce"))
