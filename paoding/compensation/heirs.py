"""Who takes over from each unit that is gone, by weights alone: for merges and folding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from paoding.compensation.consumers import Consumer
from paoding.compensation.evidence import Change
from paoding.criteria.importance import distances, producers
from paoding.graph import Graph, Group

_ROWS = 2048  # of which slopes between channels are worked out
_ALIKE = 1e-12


@dataclass(frozen=True, eq=False)
class Heirs:
    """For each unit of the whole graph, who takes over when it is gone.

    Args:
        nearest: the survivor of the nearest weights, as the paper merges; -1 for none.
        parallel: the survivor of the most parallel weights, as model folding clusters; -1.
        scale: how large the unit is beside that one, times how parallel they are.
    """

    nearest: np.ndarray
    parallel: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, graph: Graph, alive: np.ndarray) -> Heirs:
        """Heirs of all units that are gone, by the original's weights."""
        nearest, parallel = np.full((2, len(alive)), -1)
        scale = np.zeros(len(alive))
        for group in graph.prunable:
            stays = alive[group.ids]
            if stays.all() or not stays.any():
                continue
            out, own = group.ids[~stays], group.ids[stays]
            pairs = distances(group, graph.original)[np.ix_(stays, ~stays)]
            nearest[out] = own[pairs.argmin(axis=0)]
            cosine = cosines(group, graph)[np.ix_(stays, ~stays)]
            best = cosine.argmax(axis=0)
            parallel[out] = own[best]
            size = sizes(group, graph)
            ratio = size[~stays] / np.maximum(size[stays][best], _ALIKE)
            scale[out] = np.maximum(cosine[best, np.arange(len(out))], 0) * ratio
        return cls(nearest, parallel, scale)


def cosines(group: Group, graph: Graph) -> np.ndarray:
    """How parallel the weights are that make each two units: (units, units), -1 to 1."""
    kernels, biases = producers(group, graph.original)
    rows = np.concatenate([x.astype(np.float64) for x in (*kernels, *biases)], axis=1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True) + _ALIKE
    return np.clip(rows @ rows.T, -1, 1)


def sizes(group: Group, graph: Graph) -> np.ndarray:
    """How large each unit's values are: its normalization's gain, or else its weights' length."""
    for member in group.with_role("through"):
        gain = getattr(graph.nodes[member.binding.node].op, "gamma", None)
        if gain is not None and graph.number(gain) == member.variable:
            return np.abs(member.rows(graph.original.values[member.variable], group.units)[:, 0])
    kernels, _ = producers(group, graph.original)
    return np.linalg.norm(np.concatenate(kernels, axis=1), axis=1)


def simple_ways(
    consumer: Consumer,
    keep: np.ndarray,
    rows: np.ndarray,
    value: np.ndarray,
    heirs: Heirs,
    centred: bool,
) -> dict[str, Callable[[], Change]]:
    """What simpler ways would change of a consumer: name -> a change and a constant.

    Args:
        consumer: whose surviving rows may change.
        keep: (columns,) of ``rows`` whose unit survives.
        rows: what the consumer reads, of inputs that are fitted on.
        value: the consumer's original weight.
        heirs: who takes over from whom.
        centred: whether a constant may be used.
    """
    columns = consumer.columns
    # What a column is worth to the consumer: for channels that are fitted alone, themselves.
    worth = consumer.matrix(value) if consumer.full else np.eye(len(columns))
    worth = worth.astype(np.float64)
    out = np.flatnonzero(~keep & (columns >= 0))
    place = np.cumsum(keep) - 1  # of a column among those that survive

    def moved(to: np.ndarray, scale: np.ndarray) -> np.ndarray:
        change = np.zeros((int(keep.sum()), worth.shape[1]))
        known = to >= 0
        add = scale[known, None] * worth[out[known]]
        np.add.at(change, place[to[known]], add)
        return change

    def scaled() -> Change:
        some = rows[:: max(1, len(rows) // _ROWS)].astype(np.float64)
        middle = some.mean(axis=0) if centred else np.zeros(some.shape[1])
        some = some - middle
        cross = some[:, out].T @ some[:, keep]
        power = np.square(some[:, keep]).sum(axis=0) + _ALIKE
        best = (cross**2 / power).argmax(axis=1)
        slope = cross[np.arange(len(out)), best] / power[best]
        to = np.flatnonzero(keep)[best]
        constant = (middle[out] - slope * middle[to]) @ worth[out]
        return moved(to, slope), constant if centred else np.zeros_like(constant)

    def merged() -> Change:
        to = same_place(columns, out, heirs.nearest)
        return moved(to, np.ones(len(out))), np.zeros(worth.shape[1])

    def folded() -> Change:
        to = same_place(columns, out, heirs.parallel)
        return moved(to, heirs.scale[columns[out]]), np.zeros(worth.shape[1])

    if not len(out) or not keep.any():
        return {}
    return {"scaled merge": scaled, "merge": merged, "folding": folded}


def same_place(columns: np.ndarray, out: np.ndarray, heir: np.ndarray) -> np.ndarray:
    """For each column that is gone, that of its heir at the same tap and place; -1 for none.

    Args:
        columns: the unit of each column.
        out: the columns that are gone.
        heir: unit -> unit.

    >>> same_place(np.array([0, 1, 0, 1]), np.array([1, 3]), np.array([-1, 0])).tolist()
    [0, 2]
    """
    order = np.argsort(columns, kind="stable")
    first = np.searchsorted(columns[order], np.arange(len(heir) + 1))
    rank = np.empty(len(columns), np.int64)
    rank[order] = np.arange(len(columns)) - first[np.maximum(columns[order], 0)]
    to = heir[columns[out]]
    at = first[to] + rank[out]
    known = (to >= 0) & (at < first[to + 1])
    return np.where(known, order[np.where(known, at, 0)], -1)
