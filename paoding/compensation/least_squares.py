"""``"least-squares"`` and ``"mean"``: survivors regressed on what the original layer computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg

from paoding.compensation.base import Plain, gone
from paoding.compensation.consumers import Consumer, constant_of, missing
from paoding.compensation.sensitivity import SensitivityStats, sensitivity_of
from paoding.compensation.study import ActivationStudy, Walk, study_of
from paoding.criteria import PLAIN, Ranking, renewal
from paoding.graph import Graph, Group, State
from paoding.plan import Removal
from paoding.pruning.context import RunContext
from paoding.synthetic.judges import verdict

RIDGE = 1e-3  # share of the mean variance that is added to each, against what the prior invents
STRENGTHS = (RIDGE, 1e-2, 1e-1, 1.0)  # candidates, see :func:`chosen_fit`
_PARTS = (1.0, 0.75, 0.5, 0.25, 0.0)  # of a fit that are tried
_FLOOR = 1e-3  # of what is missing on its own kind that is missing on every kind, at the least
_CLEARLY = 0.02  # how much better a candidate's verdict must be than one before it
_DUAL = 6144  # columns from which a fit is solved among the samples instead of the columns
_CHUNK = 4096  # rows of a product that is summed in double precision
_EXACT = 1024  # columns up to which products are taken in double precision
FOLLOWED = 256  # units from which factorizations are followed from step to step, not made anew
_TRIES = 6  # tenfold raises of a ridge until a covariance is positive


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
        # Up to the first consumer that has lost something, all is as in the original.
        first = min(c.nodes[0].index for c, m in zip(study.consumers, lost, strict=True) if m.any())
        at = {c.nodes[0].index for c in study.consumers if c.nodes[0].index >= first}
        for node in walk.stops(at):
            for number, consumer in enumerate(study.consumers):
                if consumer.nodes[0].index == node.index:
                    x = walk.known[consumer.source[0]]
                    self._fit(study, number, x, lost, values)
                    walk.values = values

    def _fit(
        self,
        study: ActivationStudy,
        number: int,
        x: np.ndarray,
        lost: Sequence[np.ndarray],
        values: list[np.ndarray],
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
        study.fits[number], change, constant = self._solve(
            rows[:, keep], residual, place is not None, kinds
        )
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
        self, rows: np.ndarray, residual: np.ndarray, centred: bool, kinds: np.ndarray
    ) -> tuple[str, np.ndarray, np.ndarray]:
        """The name of a fit, its change of weights and its constant."""
        return chosen_fit(rows, residual, centred, kinds)


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
        self, rows: np.ndarray, residual: np.ndarray, centred: bool, kinds: np.ndarray
    ) -> tuple[str, np.ndarray, np.ndarray]:
        return "mean", *mean_folding(rows, residual[kinds <= 1], centred)


def mean_folding(
    rows: np.ndarray, residual: np.ndarray, centred: bool
) -> tuple[np.ndarray, np.ndarray]:
    """No change of weights, and the mean of what is missing as the constant."""
    change = np.zeros((rows.shape[1], residual.shape[1]))
    constant = residual.mean(axis=0) if centred else np.zeros(residual.shape[1])
    return change, constant


def chosen_fit(
    rows: np.ndarray, residual: np.ndarray, centred: bool, kinds: np.ndarray
) -> tuple[str, np.ndarray, np.ndarray]:
    """The fit that leaves least on inputs that it was not made from, of several kinds.

    Candidates are ridges of several strengths, mean folding, and each of them in part, down to
    plain removal: where kinds of inputs disagree, the part that pays is small. What wins is made
    anew from all inputs of its own kind. The plain ridge keeps its place unless another is clearly
    better.

    Args:
        rows: what survivors put out (n, k).
        residual: what is missing (n, m).
        centred: whether a constant may be used.
        kinds: (n,) 0 for rows to fit on, 1 for rows held back, and 2 or more for other kinds.

    Returns:
        A name, the change (k, m) and the constant (m,).
    """
    fitted, own = kinds == 0, kinds <= 1
    judging = [kinds == kind for kind in range(1, int(kinds.max(initial=0)) + 1)]
    if not judging or not fitted.any() or len(rows) < rows.shape[1] > _DUAL:
        return f"ridge {RIDGE:g}", *ridge(rows[own], residual[own], centred)
    known = Moments.of(rows[fitted], residual[fitted])
    ways: dict[str, Fit] = {
        f"ridge {strength:g}": partial(Moments.ridge, strength=strength) for strength in STRENGTHS
    }
    ways["mean"] = Moments.mean
    judges = [(rows[mask], residual[mask].astype(np.float64)) for mask in judging]
    best, least = "", np.inf
    share = 1.0
    for name, way in ways.items():
        part, found = _best_part(*way(known, centred), judges)
        if found < least - (0.0 if not best else _CLEARLY):
            best, least, share = name, found, part
    if share == 0:
        return "plain", np.zeros_like(known.cross), np.zeros_like(known.offset)
    held = own & ~fitted
    change, constant = ways[best](known.with_more(rows[held], residual[held]), centred)
    chosen = best if share == 1 else f"{share:.0%} of {best}"
    return chosen, share * change, share * constant


def _best_part(
    change: np.ndarray, constant: np.ndarray, judges: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[float, float]:
    """Which part of a fit leaves least, and the verdict on it."""
    sums = []
    floor = 0.0
    for rows, missing_ in judges:
        found = rows @ change.astype(rows.dtype) + constant
        power = float(np.square(missing_).sum()) / len(missing_)
        # A kind on which hardly anything is missing says little.
        floor = floor or _FLOOR * power + 1e-30
        cross, own = float((missing_ * found).sum()), float(np.square(found).sum())
        sums.append((power + floor, cross / len(missing_), own / len(missing_)))
    verdicts = {
        part: verdict([(p - 2 * part * cross + part**2 * own) / p for p, cross, own in sums])
        for part in _PARTS
    }
    part = min(verdicts, key=verdicts.__getitem__)
    return part, verdicts[part]


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


Fit = Callable[[Moments, bool], tuple[np.ndarray, np.ndarray]]


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
    if k <= _DUAL or n >= k:
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
