"""``"least-squares"`` and ``"mean"``: survivors regressed on what the original layer computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from paoding.compensation.base import Plain, gone
from paoding.compensation.consumers import Consumer, constant_of, missing
from paoding.compensation.evidence import Change, Fit, Fitted, chosen_fit, mean_folding
from paoding.compensation.heirs import Heirs, simple_ways
from paoding.compensation.sensitivity import sensitivity_of
from paoding.compensation.study import ActivationStudy, Walk, study_of
from paoding.compensation.surgeon import FOLLOWED, SurgeonRanking, Trail
from paoding.criteria import Ranking
from paoding.graph import Graph, Group, State
from paoding.plan import Removal
from paoding.pruning.context import RunContext


class LeastSquares(Plain):
    """``"least-squares"``: refit each consumer's surviving rows to the original pre-activation.

    Consumers are met in the order of the data, so that each is fitted on what it reads in the
    already pruned and refitted network, and its target is what the ORIGINAL computed there:
    errors do not pile up. The new weights are a function of the units that are alive and of
    the study (model, domain, prior, seed, samples), not of the way that led there.

    Source: ``docs/method.md``, section 4; ridge regression towards the old weights.
    """

    name = "least-squares"
    summary = "all survivors together, fitted on synthetic inputs"
    formula = (
        r"All survivors of the layer share its work, fitted by least squares on synthetic inputs: "
        r"\(V_K \leftarrow V_K + M^{\top} V_P\), \(M = C_{PK}(C_{KK} + \lambda I)^{-1}\)."
    )
    importance = (
        r"its importance, \(\lVert V_j\rVert^2 / [C^{-1}]_{jj} = %s\), is the error that is left "
        r"in the next layer when all survivors together take over what they can."
    )
    pathless = True
    finetunes_by_default = True

    def rank(
        self,
        run: RunContext,
        group: Group,
        state: State,
        may_go: np.ndarray,
        may_survive: np.ndarray,
    ) -> Ranking:
        views = sensitivity_of(study_of(run), group)
        if not views:
            return super().rank(run, group, state, may_go, may_survive)
        alive = state.alive[group.ids]
        path = [mask[group.ids] for mask in run.path] or [alive]
        if group.units <= FOLLOWED or not np.array_equal(path[-1], alive):
            return SurgeonRanking.of(views, alive, may_go)
        # A factorization anew in every step would be most of the work: removals are followed.
        trail = Trail.along(run.trails.get(group.name), views, path)
        run.trails[group.name] = trail
        return SurgeonRanking.after(trail.parts, may_go)

    def foresee(
        self, run: RunContext, group: Group, ranking: Ranking, past: Sequence[Removal]
    ) -> Ranking:
        return ranking

    def method(self, group: Group, into: int | None) -> str:
        return self.name

    def apply(self, run: RunContext, state: State, removals: Sequence[Removal]) -> State:
        alive = gone(run.graph, state, removals)
        study = study_of(run, alive)
        values = plain_removal(run.graph, alive)
        self._refit(study, State(tuple(values), alive), values)
        own = run.graph.original.values
        changed = {i: v for i, v in enumerate(values) if v is not own[i]}
        return run.graph.original.replace(changed, alive)

    def _refit(self, study: ActivationStudy, state: State, values: list[np.ndarray]) -> None:
        lost = [missing(consumer, state) for consumer in study.consumers]
        if not any(mask.any() for mask in lost):
            return
        walk = Walk(study, values)
        heirs = Heirs.of(study.graph, state.alive)
        # Up to the first consumer that has lost something, all is as in the original.
        first = min(c.nodes[0].index for c, m in zip(study.consumers, lost, strict=True) if m.any())
        at = {c.nodes[0].index for c in study.consumers if c.nodes[0].index >= first}
        for node in walk.stops(at):
            for number, consumer in enumerate(study.consumers):
                if consumer.nodes[0].index == node.index:
                    x = walk.known[consumer.source[0]]
                    self._fit(study, number, x, lost, values, heirs)
                    walk.values = values

    def _fit(
        self,
        study: ActivationStudy,
        number: int,
        x: np.ndarray,
        lost: Sequence[np.ndarray],
        values: list[np.ndarray],
        heirs: Heirs,
    ) -> None:
        """Fit one consumer on what it reads now, and write its weights."""
        consumer = study.consumers[number]
        if len(consumer.nodes) > 1 and not lost[number].any():
            return
        graph = study.graph
        keep = ~np.tile(lost[number], consumer.taps)
        old = values[consumer.variable]
        matrix = consumer.matrix(old).astype(np.float64)
        record = study.records[number]
        rows = consumer.rows(x, record.where)
        residual = _residual(record.target, rows, keep, matrix, consumer)
        if not np.isfinite(residual).all():
            return  # the network overflows on these inputs: what is removed stays plainly removed
        place = constant_of(graph, consumer)
        kinds = np.repeat(study.kinds, len(rows) // len(study.kinds))
        own, centred = graph.original.values[consumer.variable], place is not None
        simple = simple_ways(consumer, keep, rows[kinds == 0], own, heirs, centred)
        fit = self._solve(rows[:, keep], residual, centred, kinds, simple)
        change, constant = fit.change, fit.constant
        study.fits[number] = Fitted(consumer.op.name, fit.name, fit.why(study.names[1:]))
        if consumer.full:
            matrix[keep] += change
        else:
            taken = graph.original.values[consumer.variable].copy()
            for other, gone_ in zip(study.consumers, lost, strict=True):
                # What another axis of the same kernel has lost does not come back.
                if other.variable == consumer.variable and other.axis != consumer.axis:
                    np.moveaxis(taken, other.axis, 0)[gone_] = 0
            matrix[keep] += change @ consumer.matrix(taken)
        values[consumer.variable] = consumer.kernel(matrix, old)
        if place is not None:
            before = graph.original.values[place.variable]
            values[place.variable] = (before + place.sign * constant).astype(before.dtype)

    def _solve(
        self,
        rows: np.ndarray,
        residual: np.ndarray,
        centred: bool,
        kinds: np.ndarray,
        simple: Mapping[str, Callable[[], Change]],
    ) -> Fit:
        """The fit of one consumer."""
        return chosen_fit(rows, residual, centred, kinds, simple)


class Mean(LeastSquares):
    """``"mean"``: the mean of what went missing is folded into the consumer's constant.

    Source: ``docs/method.md``, section 8 (mean folding); units are ranked by what
    their variation does.
    """

    name = "mean"
    summary = "the bias of the next layer, which takes the unit's mean"
    formula = r"Its mean moves into the bias of the next layer: \(c \leftarrow c + \mu_j V_j\)."
    importance = (
        r"its importance, \(\lVert V_j\rVert^2\,\mathrm{Var}(y_j) = %s\), is the error that is "
        r"left in the next layer when its mean is kept."
    )
    finetunes_by_default = False

    def rank(
        self,
        run: RunContext,
        group: Group,
        state: State,
        may_go: np.ndarray,
        may_survive: np.ndarray,
    ) -> Ranking:
        views = sensitivity_of(study_of(run), group)
        if not views:
            return super().rank(run, group, state, may_go, may_survive)
        cost = np.sum([np.diag(v.weight) * np.diag(v.second) for v in views], axis=0)
        ranking = Ranking.plain(cost, may_go)
        ranking.estimates = True
        return ranking

    def _solve(
        self,
        rows: np.ndarray,
        residual: np.ndarray,
        centred: bool,
        kinds: np.ndarray,
        simple: Mapping[str, Callable[[], Change]],
    ) -> Fit:
        return Fit("mean", *mean_folding(rows, residual[kinds <= 1], centred), {})


def plain_removal(graph: Graph, alive: np.ndarray) -> list[np.ndarray]:
    """The original weights with the outgoing weights of all removed units at zero."""
    values = list(graph.original.values)
    for group in graph.prunable:
        if alive[group.ids].all():
            continue
        for member in group.with_role("consume"):
            dead = (member.unit >= 0) & ~alive[group.ids][np.maximum(member.unit, 0)]
            value = values[member.variable].copy()
            np.moveaxis(value, member.axis, 0)[dead] = 0
            value.flags.writeable = False
            values[member.variable] = value
    return values


def _residual(
    target: np.ndarray, rows: np.ndarray, keep: np.ndarray, matrix: np.ndarray, consumer: Consumer
) -> np.ndarray:
    """What the consumer misses of the original: (rows, outputs), without constants."""
    if consumer.full:
        return target - rows @ matrix.astype(rows.dtype)
    return target - np.where(keep, rows, 0)
