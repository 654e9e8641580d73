"""``"scaled-merge"``: one survivor takes over what it can of the unit that goes, to scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paoding.compensation.base import Plain, gone
from paoding.compensation.consumers import Constant, Consumer, constant_of
from paoding.compensation.sensitivity import SensitivityStats, sensitivity_of
from paoding.compensation.study import study_of
from paoding.criteria import Ranking
from paoding.graph import Group, State
from paoding.plan import Removal
from paoding.pruning.context import RunContext


class ScaledMerge(Plain):
    """``"scaled-merge"``: ``V_i += s V_j`` and ``c += t V_j`` with the best line through (i, j).

    ``s = Cov(y_i, y_j) / Var(y_i)`` and ``t = E y_j - s E y_i`` under the prior; without a place
    for a constant, or where a padded convolution would see it wrong at the border, the best
    line through zero.

    Source: ``docs/method.md``, section 4 (one entry a row of M).
    """

    name = "scaled-merge"
    summary = "the most similar unit, scaled and with a bias"
    formula = (
        r"The survivor takes its place, scaled and with a bias: "
        r"\(V_i \leftarrow V_i + s\,V_j,\; c \leftarrow c + t\,V_j\)."
    )
    importance = (
        r"its importance, \(%s\), is the error that is left in the next layer when the best "
        r"survivor takes over, scaled."
    )
    merges = True

    def rank(
        self,
        run: RunContext,
        group: Group,
        state: State,
        may_go: np.ndarray,
        may_survive: np.ndarray,
    ) -> Ranking:
        views = sensitivity_of(study_of(run), group)
        if not views or not group.mergeable:
            return super().rank(run, group, state, may_go, may_survive)
        pairs = np.sum([_costs(view) for view in views], axis=0)
        ranking = Ranking.of_pairs(pairs, may_go, may_survive)
        ranking.estimates = True
        return ranking

    def foresee(
        self, run: RunContext, group: Group, ranking: Ranking, past: Sequence[Removal]
    ) -> Ranking:
        return ranking

    def method(self, group: Group, into: int | None) -> str:
        return "none" if into is None else self.name

    def apply(self, run: RunContext, state: State, removals: Sequence[Removal]) -> State:
        graph = run.graph
        alive = gone(graph, state, removals)
        study = study_of(run, alive)
        values = list(state.values)
        by_group: dict[str, list[Removal]] = {}
        for removal in removals:
            by_group.setdefault(removal.group, []).append(removal)
        for name, entries in by_group.items():
            group = graph.by_name[name]
            fitted = set()
            views = sensitivity_of(study, group)
            for view in views:
                consumer = study.consumers[view.consumer]
                fitted.add((consumer.variable, consumer.axis))
                _move(values, group, consumer, constant_of(graph, consumer), view, entries)
            for member in group.with_role("consume"):
                if (member.variable, member.axis) not in fitted:
                    value = values[member.variable].copy()
                    dead = np.isin(member.unit, [r.unit for r in entries])
                    np.moveaxis(value, member.axis, 0)[dead] = 0
                    values[member.variable] = value
        changed = {i: v for i, v in enumerate(values) if v is not state.values[i]}
        return state.replace(changed, alive)


def line(view: SensitivityStats, into: int, unit: int, centred: bool) -> tuple[float, float]:
    """Slope and constant that best give one unit from another."""
    mean, second = view.mean, view.second if centred else view.raw
    if second[into, into] <= 0:
        return 0.0, float(mean[unit]) if centred else 0.0
    slope = float(second[into, unit] / second[into, into])
    return slope, float(mean[unit] - slope * mean[into]) if centred else 0.0


def _costs(view: SensitivityStats) -> np.ndarray:
    """What is left of j after the line through i, as the outputs feel it: (i, j)."""
    variance = np.maximum(np.diag(view.second), 0)
    explained = np.divide(
        view.second**2,
        variance[:, None],
        out=np.zeros_like(view.second),
        where=variance[:, None] > 0,
    )
    return np.maximum(variance[None, :] - explained, 0) * np.diag(view.weight)[None, :]


def _move(
    values: list[np.ndarray],
    group: Group,
    consumer: Consumer,
    place: Constant | None,
    view: SensitivityStats,
    entries: Sequence[Removal],
) -> None:
    """Move the rows of one consumer, one removal after the other."""
    old = values[consumer.variable]
    matrix = consumer.matrix(old).astype(np.float64)
    exact = not consumer.convolution or consumer.op.padding == "valid"
    centred = place is not None and exact
    constant = np.zeros(matrix.shape[1])
    for removal in entries:
        source = np.flatnonzero(consumer.columns == group.ids[removal.unit])
        if removal.into is not None:
            slope, rest = line(view, removal.into, removal.unit, centred)
            matrix[np.flatnonzero(consumer.columns == group.ids[removal.into])] += (
                slope * matrix[source]
            )
            constant += rest * matrix[source].sum(axis=0)
        matrix[source] = 0
    values[consumer.variable] = consumer.kernel(matrix, old)
    if place is not None and constant.any():
        before = values[place.variable]
        values[place.variable] = (before + place.sign * constant).astype(before.dtype)
