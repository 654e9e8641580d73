"""Redundant units: those that provably never matter over a domain, found by bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paoding.bounds.difference import Readers, differences, kernel_of, readers
from paoding.bounds.forward import input_intervals
from paoding.bounds.intervals import Floats, Interval
from paoding.bounds.linear import Linear
from paoding.bounds.lowering import lower
from paoding.bounds.pairs import Couple, Paired
from paoding.bounds.primitives import Affine, Apply, Program
from paoding.bounds.windows import Convolution
from paoding.domain import Domain
from paoding.graph import Graph, Group, State

# "Zero up to rounding": what float32 weights cannot tell apart, relative to the unit's values.
TOLERANCE = 2.0**-20
_MAX_PAIRS = 4096  # candidates for parallel units that are checked by bounds, per group


@dataclass(frozen=True, eq=False)
class RedundantUnit:
    """One unit that can go at no cost, and what the others take over.

    Args:
        group, unit: which one.
        why: "never active", "constant", "disconnected", "parallel" or "dependent".
        into: the one survivor that replaces it, None for none or several.
        shares: survivor -> the factor with which it takes over the unit's outgoing weights.
        constants: consumer weight number -> what is added to its bias (an array per filter).
    """

    group: str
    unit: int
    why: str
    into: int | None
    shares: dict[int, float]
    constants: dict[int, Floats]


def redundant_units(graph: Graph, state: State, boxes: Domain | None = None) -> list[RedundantUnit]:
    """Every redundant unit, all at once (at least one of each group stays).

    Args:
        graph: the traced model.
        state: the weights now; only units alive in it are considered.
        boxes: the legal inputs.

    Raises:
        BoundsError: a layer has no rule for bounds.
    """
    program = lower(graph, state)
    inputs = input_intervals(program, boxes)
    refiner = Linear(graph, program, program)
    twins = differences(graph, program, program, inputs, None, refiner)
    search = _Search(graph, state, program, [t.before for t in twins], readers(graph, program))
    return [free for group in graph.prunable for free in search.group(group)]


@dataclass(frozen=True, eq=False)
class _Search:
    graph: Graph
    state: State
    program: Program
    values: list[Interval]
    where: dict[str, list[Readers]]

    def group(self, group: Group) -> list[RedundantUnit]:
        """The redundant units of one group."""
        reading = self.where.get(group.name, [])
        wanted = {m.variable for m in group.with_role("consume")}
        if {self.program.kernels[r.step, 0] for r in reading} != wanted:
            return []
        alive = self.state.alive[group.ids]
        may_go = alive & group.removable
        found: list[RedundantUnit] = []
        for unit in np.flatnonzero(may_go):
            free = self._alone(group, int(unit), reading)
            if free is not None:
                found.append(free)
        gone = {free.unit for free in found}
        left = np.array([u for u in np.flatnonzero(alive) if u not in gone], dtype=np.int64)
        if group.mergeable:
            found += self._parallel(group, left, may_go, reading)
            gone = {free.unit for free in found}
            left = np.array([u for u in left if u not in gone], dtype=np.int64)
            found += self._dependent(group, left, may_go, reading)
        if len(found) >= int(alive.sum()):
            # One unit must stay; one that nothing else takes over its place for.
            found = found[:-1] if found else found
        return found

    # -- units that need nobody: disconnected, never active, constant

    def _alone(self, group: Group, unit: int, reading: list[Readers]) -> RedundantUnit | None:
        constants: dict[int, Floats] = {}
        silent = disconnected = True
        for reader in reading:
            rows = reader.rows[unit]
            step = self.program.steps[reader.step]
            weights = kernel_of(self.program, reader.step)[..., rows, :].astype(np.float64)
            if not weights.any():
                continue
            disconnected = False
            y = self.values[step.inputs[0]][..., rows]
            if y.magnitude.max() < 1e-290:
                continue
            silent = False
            level = self._level(y)
            bias = self._bias(reader)
            if level is None or bias is None or not self._folds(reader, level):
                return None
            added = np.tensordot(level, weights.sum(axis=tuple(range(weights.ndim - 2))), axes=1)
            constants[bias] = constants.get(bias, 0.0) + added
        why = "disconnected" if disconnected else "never active" if silent else "constant"
        return RedundantUnit(group.name, unit, why, None, {}, constants)

    @staticmethod
    def _level(y: Interval) -> Floats | None:
        """The constant value of each row of a unit, the same at every place; None if not."""
        low, high = y.lower.min(axis=tuple(range(y.lower.ndim - 1))), y.upper
        high = high.max(axis=tuple(range(high.ndim - 1)))
        if (high - low > TOLERANCE * np.maximum(np.abs(low), np.abs(high))).any():
            return None
        level: Floats = 0.5 * (low + high)
        return level

    def _folds(self, reader: Readers, level: Floats) -> bool:
        """Whether a constant may move into the bias: not where padding makes borders differ."""
        primitive = self.program.steps[reader.step].primitive
        assert isinstance(primitive, Affine)
        linear = primitive.maps[0]
        padded = isinstance(linear, Convolution) and any(map(any, linear.windows.pads))
        return not padded

    def _bias(self, reader: Readers) -> int | None:
        """The number of the bias that the reading layer adds."""
        node = self.graph.nodes[self.program.steps[reader.step].node]
        bias = getattr(node.op, "bias", None)
        kernel = self.program.kernels[reader.step, 0]
        owned = getattr(node.op, "kernel", None)
        if bias is None or owned is None or self.graph.number(owned) != kernel:
            return None
        return self.graph.number(bias)

    # -- units that another one replaces

    def _parallel(
        self, group: Group, left: np.ndarray, may_go: np.ndarray, reading: list[Readers]
    ) -> list[RedundantUnit]:
        features = self._features(group)
        if features is None or len(left) < 2:
            return []
        norms = np.linalg.norm(features, axis=1)
        usable = left[norms[left] > 0]
        direction = features[usable] / norms[usable, None]
        cosine = direction @ direction.T
        first, second = np.nonzero(np.triu(np.abs(cosine) > 1 - 1e-6, k=1))
        found: list[RedundantUnit] = []
        gone: set[int] = set()
        for a, b in zip(first[:_MAX_PAIRS], second[:_MAX_PAIRS], strict=True):
            stays, goes = int(usable[a]), int(usable[b])
            if not may_go[goes]:
                stays, goes = goes, stays
            if not may_go[goes] or goes in gone or stays in gone:
                continue
            factor = float(np.sign(cosine[a, b]) * norms[goes] / norms[stays])
            factor = float(np.sign(factor)) if abs(abs(factor) - 1) < 1e-6 else factor
            if self._same(reading, stays, goes, factor):
                gone.add(goes)
                found.append(
                    RedundantUnit(group.name, goes, "parallel", stays, {stays: factor}, {})
                )
        return found

    def _same(self, reading: list[Readers], stays: int, goes: int, factor: float) -> bool:
        """Whether ``factor * y_stays = y_goes`` at every reader, certified."""
        paired = Paired(self.program, self.values)
        for reader in reading:
            value = self.program.steps[reader.step].inputs[0]
            first, second = reader.rows[stays], reader.rows[goes]
            couple = Couple(first, second, np.full(len(first), factor), np.ones(len(first)))
            gap = paired.bound(value, couple).magnitude.max()
            if gap > TOLERANCE * self.values[value][..., second].magnitude.max():
                return False
        return True

    def _features(self, group: Group) -> Floats | None:
        """(units, features) what makes each unit: its weights and bias, end to end."""
        parts = [
            m.rows(self.state.values[m.variable], group.units).astype(np.float64)
            for m in group.with_role("produce")
        ]
        return np.concatenate(parts, axis=1) if parts else None

    # -- stably active units that others make up together

    def _dependent(
        self, group: Group, left: np.ndarray, may_go: np.ndarray, reading: list[Readers]
    ) -> list[RedundantUnit]:
        if len(reading) != 1 or reading[0].rows.shape[1] != 1:
            return []
        value = self.program.steps[reading[0].step].inputs[0]
        z = self._argument(value)
        features = self._features(group)
        if z is None or features is None or len(self.program.shapes[value]) != 1:
            return []
        order = reading[0].rows[:, 0]
        active = left[self.values[z].lower[0, order[left]] >= 0]
        if len(active) < 2:
            return []
        # Greedy: units that may not go first, then those that add most to the span.
        kept: list[int] = [int(u) for u in active if not may_go[u]]
        found = []
        for unit in sorted(
            (int(u) for u in active if may_go[u]), key=lambda u: -_norm(features[u])
        ):
            if not kept:
                kept.append(unit)
                continue
            basis = features[kept]
            shares, *_ = np.linalg.lstsq(basis.T, features[unit], rcond=1e-9)
            rest = features[unit] - shares @ basis
            x = self._entering_size(z)
            if x is None:
                return []
            lost = np.abs(rest) @ x
            if lost > TOLERANCE * self.values[value].upper[0, order[unit]] or _wild(shares):
                kept.append(unit)
                continue
            takes = {k: float(s) for k, s in zip(kept, shares, strict=True) if s}
            found.append(RedundantUnit(group.name, unit, "dependent", None, takes, {}))
        return found

    def _argument(self, value: int) -> int | None:
        """What a ReLU-like function was applied to, if that made the value."""
        for step in self.program.steps:
            if step.output == value and isinstance(step.primitive, Apply):
                return step.inputs[0] if step.primitive.kind.name == "relu" else None
        return None

    def _entering_size(self, z: int) -> Floats | None:
        """Sizes of the inputs of the layer that makes the units, and 1 for its bias."""
        for step in self.program.steps:
            if step.output == z and isinstance(step.primitive, Affine) and len(step.inputs) == 1:
                size = self.values[step.inputs[0]].magnitude.reshape(-1)
                return size if step.primitive.bias is None else np.append(size, 1.0)
        return None


def _norm(row: Floats) -> float:
    return float(np.linalg.norm(row))


def _wild(shares: Floats) -> bool:
    """Whether the combination is so large that rounding would be felt."""
    return bool(np.abs(shares).sum() > 1e3)
