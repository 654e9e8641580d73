"""From labels to units: what goes together, which units form a group, and what must stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from paoding.layers import FIXED, Binding, Ties


@dataclass(frozen=True, eq=False)
class Coupling:
    """The solved labels of a graph.

    Args:
        unit: label -> unit number (all labels that go together share one).
        group: unit number -> group number.
        reason: unit number -> why it must stay (absent: it may go).
        distinct: units that may go but not be merged -> why.
    """

    unit: np.ndarray
    group: np.ndarray
    reason: dict[int, str]
    distinct: dict[int, str]

    def units_of(self, labels: np.ndarray) -> np.ndarray:
        """Unit numbers for labels, ``FIXED`` kept."""
        return np.where(labels == FIXED, FIXED, self.unit[np.maximum(labels, 0)])


def components(count: int, pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Connected components, numbered by their smallest member."""
    if not count:
        return np.zeros(0, dtype=np.int64)
    a = np.concatenate([p[0] for p in pairs]) if pairs else np.zeros(0, dtype=np.int64)
    b = np.concatenate([p[1] for p in pairs]) if pairs else np.zeros(0, dtype=np.int64)
    edges = coo_matrix((np.ones(len(a), dtype=np.int8), (a, b)), shape=(count, count))
    _, found = connected_components(edges, directed=False)
    _, first = np.unique(found, return_index=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[found]


def solve(ties: Ties, names: list[str]) -> Coupling:
    """Join tied labels into units, units that share a producer into groups.

    Args:
        ties: what the rules said.
        names: name of each node, for reasons.
    """
    pairs, fixed = [], []
    for a, b, node in ties.equal:
        both = (a != FIXED) & (b != FIXED)
        pairs.append((a[both], b[both]))
        half = (a == FIXED) != (b == FIXED)
        if half.any():
            why = f"it is joined with a tensor that has no units (at '{names[node]}')"
            fixed.append((np.where(a == FIXED, b, a)[half], why))
    unit = components(ties.count, pairs)
    count = int(unit.max()) + 1 if len(unit) else 0

    def first_reasons(entries: list[tuple[np.ndarray, str]]) -> dict[int, str]:
        reasons: dict[int, str] = {}
        for labels, why in entries:
            for u in np.unique(unit[labels[labels != FIXED]]):
                reasons.setdefault(int(u), why)
        return reasons

    through = [
        (b.labels, f"'{names[b.node]}' has parameters of its own for each channel")
        for b in ties.bindings
        if b.role == "through"
    ]
    links = []
    for binding in ties.bindings:
        if binding.role == "produce":
            mine = unit[binding.labels[binding.labels != FIXED]]
            links.append((mine[:-1], mine[1:]))
    return Coupling(
        unit=unit,
        group=components(count, links),
        reason=first_reasons([*fixed, *ties.protected]),
        distinct=first_reasons([*ties.distinct, *through]),
    )


def spread(binding: Binding, local: np.ndarray, coupling: Coupling) -> np.ndarray:
    """For each index of the bound axis: the unit's number inside its group, or ``FIXED``."""
    units = coupling.units_of(binding.labels)
    return np.where(units == FIXED, FIXED, local[np.maximum(units, 0)])
