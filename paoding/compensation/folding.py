"""``"folding"``: parallel units become one, their mean, with the variance that it has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paoding.compensation.base import Merge, Plain, gone
from paoding.compensation.heirs import Heirs, cosines
from paoding.criteria import Ranking, pair_ranking
from paoding.graph import Graph, Group, Member, State
from paoding.layers import statistics_of
from paoding.plan import Removal
from paoding.pruning.context import RunContext


class Folding(Merge):
    """``"folding"``: each unit that goes joins the survivor of the most parallel weights.

    The survivor computes the mean of its cluster, and what reads it adds the rows of all. A mean
    of N channels of mean correlation r varies ``(1 + (N - 1) r) / N`` times as much as they do:
    the variance that a normalization after it remembers is set so, from weights alone. Units are
    the paper's choice, by saliency; new weights are a function of who is left.

    Source: model folding (arXiv 2502.10216), with survivors in the place of k-means' centres.
    """

    name = "folding"
    summary = "the most parallel units, of which it becomes the mean"
    formula = (
        r"Parallel units become one: \(w_i \leftarrow \tfrac1N\sum_j w_j\), "
        r"\(V_i \leftarrow \sum_j V_j\) over its cluster."
    )
    pathless = True

    def rank(
        self,
        run: RunContext,
        group: Group,
        state: State,
        may_go: np.ndarray,
        may_survive: np.ndarray,
    ) -> Ranking:
        if not foldable(run.graph, group):
            return Plain().rank(run, group, state, may_go, may_survive)
        return pair_ranking(run.graph, group, state, may_go, may_survive, run.distances)

    def apply(self, run: RunContext, state: State, removals: Sequence[Removal]) -> State:
        graph = run.graph
        alive = gone(graph, state, removals)
        values = [np.asarray(value) for value in graph.original.values]
        parallel = Heirs.of(graph, alive).parallel
        for group in graph.prunable:
            if not alive[group.ids].all():
                heirs = parallel if foldable(graph, group) else np.full(len(alive), -1)
                _fold(graph, group, alive, heirs, values)
        own = graph.original.values
        return graph.original.replace(
            {n: v for n, v in enumerate(values) if v is not own[n]}, alive
        )


def foldable(graph: Graph, group: Group) -> bool:
    """Whether units may be averaged: those that only batch normalization tells apart may."""
    through = [graph.nodes[part.binding.node].op for part in group.with_role("through")]
    made = [graph.nodes[part.binding.node].op for part in group.with_role("produce")]
    normalized = all(statistics_of(op) is not None for op in through)
    return group.mergeable or (normalized and all(getattr(op, "groups", 1) == 1 for op in made))


def _fold(
    graph: Graph, group: Group, alive: np.ndarray, parallel: np.ndarray, values: list[np.ndarray]
) -> None:
    """Fold one group: write the means of its clusters, and the sums of their rows."""
    number = np.full(len(alive), -1)
    number[group.ids] = np.arange(group.units)
    head = np.where(alive[group.ids], np.arange(group.units), -1)
    joined = ~alive[group.ids] & (parallel[group.ids] >= 0)
    head[joined] = number[parallel[group.ids[joined]]]
    member = (head[:, None] == np.arange(group.units)).astype(np.float64)  # (units, survivors)
    count = np.maximum(member.sum(axis=0), 1)
    alike = np.einsum("ui,uv,vi->i", member, cosines(group, graph), member) / count**2
    mean = member / count
    for part in (*group.with_role("produce"), *group.with_role("through")):
        kept = statistics_of(graph.nodes[part.binding.node].op)
        shrunk = kept is not None and kept.axis is not None and kept.variance is not None
        if kept is not None and shrunk:
            shrunk = part.variable == graph.number(kept.variance)
        _mixed(part, values, mean * np.maximum(alike, 0) if shrunk else mean, alive[group.ids])
    for part in group.with_role("consume"):
        _mixed(part, values, member, np.ones(group.units, bool))


def _mixed(part: Member, values: list[np.ndarray], share: np.ndarray, where: np.ndarray) -> None:
    """Give units sums of one another's slices: unit i the sum over u of ``share[u, i]`` times u."""
    old = values[part.variable]
    value = old.astype(np.float64)
    front = np.moveaxis(value, part.axis, 0)
    held = part.indices
    if held is None:  # units of several sizes: those that go leave nothing behind
        gone_ = np.flatnonzero(share.sum(axis=0) == 0)
        front[np.isin(part.unit, gone_)] = 0
    else:
        slices = front[held]
        front[held[where]] = np.einsum("u...,ui->i...", slices, share)[where]
    values[part.variable] = value.astype(old.dtype)
