"""What each candidate removal may change at the outputs, many candidates at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from paoding.bounds.difference import Readers, readers
from paoding.bounds.forward import forward, input_intervals
from paoding.bounds.intervals import UNDERFLOW, Floats, Interval, Twin, gamma, up
from paoding.bounds.lowering import lower
from paoding.bounds.maps import Convolution, Ints, MatMul, absolute
from paoding.bounds.pairs import Couple, Paired
from paoding.bounds.primitives import Affine, Apply, MaxOver, MaxPool, Program, Softmax, Step
from paoding.domain.box import Domain
from paoding.errors import ArgumentError, BoundsError
from paoding.graph import Graph, Group, State

Propagation = Literal["sound", "paper"]

_BATCH_BYTES = 256 * 2**20  # memory for the candidates that are propagated at once
_ARRAYS = 12  # arrays of a value's size that are alive while it is propagated
# Work per call, in multiply-adds, beyond which scoring would outlast the pruning itself.
DEFAULT_BUDGET = 2e11
EVENNESS_BUDGET = 1e9  # the same where intervals only tell evenness, beside an estimate


def score_values(program: Program) -> tuple[int, ...]:
    """The outputs before a final softmax or sigmoid: where changes can still be told apart."""
    made_by = {step.output: step for step in program.steps}
    found = []
    for value in program.outputs:
        step = made_by.get(value)
        squashed = step is not None and (
            isinstance(step.primitive, Softmax)
            or (isinstance(step.primitive, Apply) and step.primitive.kind.name == "sigmoid")
        )
        found.append(step.inputs[0] if squashed and step is not None else value)
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Deltas:
    """What candidates change where their group is read: an interval per candidate and reader.

    Args:
        entering: number of the reading step -> (C, *shape) change of what it computes.
        count: C, the number of candidates.
    """

    entering: dict[int, Interval]
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Any) -> Deltas:
        picked = {step: change[index] for step, change in self.entering.items()}
        return Deltas(picked, len(np.arange(self.count)[index]))

    def plus(self, base: Deltas | None) -> Deltas:
        """Each candidate's change on top of another one's (one candidate, or as many)."""
        if base is None:
            return self
        return Deltas(
            {step: change + base.entering[step] for step, change in self.entering.items()},
            max(self.count, base.count),
        )


class Scorer:
    """Scores candidate removals of one network state over one domain.

    Args:
        graph: the traced model.
        state: the weights that candidates are removed from (the state at a step's beginning).
        domain: the legal inputs.
        propagation: ``"sound"``, or ``"paper"`` for the paper's own propagation, which is no
            bound (it applies activations to the change itself) and is kept for comparison.
        budget: multiply-adds that one call of ``propagate`` may take.

    Raises:
        ArgumentError: the propagation is unknown.
        DomainError: the domain does not fit the model.

    Nothing is computed before it is asked for; every method raises ``BoundsError`` where a
    layer has no rule, and the message names it.
    """

    def __init__(
        self,
        graph: Graph,
        state: State,
        domain: Domain | None = None,
        propagation: Propagation = "sound",
        budget: float = DEFAULT_BUDGET,
    ) -> None:
        if propagation not in ("sound", "paper"):
            raise ArgumentError(f"propagation={propagation!r}: choose 'sound' or 'paper'.")
        self.graph, self.state, self.domain = graph, state, domain
        self.propagation, self.budget = propagation, budget

    # -- what is known before any candidate

    @cached_property
    def _program(self) -> Program:
        return lower(self.graph, self.state)

    @cached_property
    def _values(self) -> list[Interval]:
        inputs = input_intervals(self._program, self.domain)
        if self.propagation == "paper":
            return _paper_values(self._program, inputs)
        return forward(self._program, inputs)

    @cached_property
    def _readers(self) -> dict[str, list[Readers]]:
        return readers(self.graph, self._program)

    @cached_property
    def _targets(self) -> tuple[int, ...]:
        return score_values(self._program)

    def _reading(self, group: Group) -> list[Readers]:
        """The steps that read a group, if all of them are known."""
        bound = {(m.variable, m.axis) for m in group.with_role("consume")}
        found = self._readers.get(group.name, [])
        if len(bound) != len({self._program.kernels[r.step, 0] for r in found}):
            raise BoundsError(
                f"No interval: a layer that reads the units of '{group.name}' has no rule for "
                "single units."
            )
        return found

    def _check_budget(self, group: Group, candidates: int) -> None:
        work = candidates * self._work(group.name)
        if work > self.budget:
            raise BoundsError(
                f"No interval: {candidates} candidates of '{group.name}' would take {work:.0e} "
                f"multiply-adds to propagate, more than the budget of {self.budget:.0e}."
            )

    def _work(self, group: str) -> float:
        """Multiply-adds per candidate, roughly."""
        total = 0.0
        for step in self._downstream(group):
            if isinstance(step.primitive, Affine):
                size = math.prod(self._program.shapes[step.output])
                total += 2 * size * sum(max(m.terms, 1) for m in step.primitive.maps)
        return total + 1.0

    def _downstream(self, group: str) -> list[Step]:
        """Steps behind the group's readers that lead to the scores, in order."""
        changed = {self._program.steps[r.step].output for r in self._readers.get(group, [])}
        steps = []
        for step in self._program.steps:
            if changed & set(step.inputs):
                changed.add(step.output)
                steps.append(step)
        needed = set(self._targets)
        kept = []
        for step in reversed(steps):
            if step.output in needed:
                needed.update(step.inputs)
                kept.append(step)
        return kept[::-1]

    # -- candidates

    def deltas(self, group: Group, removed: Any, into: Any, half: Floats | None = None) -> Deltas:
        """What enters the group's readers if unit ``removed[k]`` went into ``into[k]``.

        Args:
            group: a group of the graph.
            removed: (C,) units of the group.
            into: (C,) units that take over, -1 for plain removal.
            half: (C,) half the width of what each unit leaves missing, where a compensation
                estimates it; the intervals are then estimates too, and ``into`` is not read.

        Raises:
            BoundsError: no interval can be had; the message says where and why.
        """
        gone, ends = np.atleast_1d(removed), np.atleast_1d(into)
        reading = self._reading(group)
        self._check_budget(group, len(gone))  # what cannot be propagated need not be built
        return Deltas({r.step: self._entering(r, gone, ends, half) for r in reading}, len(gone))

    def propagate(self, group: Group, deltas: Deltas) -> tuple[Floats, Floats]:
        """Carry changes from the group's readers to the outputs.

        Args:
            group: the group that the deltas are of.
            deltas: of C candidates.

        Returns:
            ``(lower, upper)``, each (C, m): the interval of the change of each of the m entries
            of all outputs, taken before a final softmax or sigmoid, where changes can still be
            told apart.

        Raises:
            BoundsError: a layer on the way has no finite bounds, or the work would be more than
                the budget.

        What earlier groups lost in the same step is not in it: it is the same for all of a
        group's candidates, and the step's certificate counts it.
        """
        self._check_budget(group, len(deltas))
        downstream = self._downstream(group.name)
        sizes = [math.prod(self._program.shapes[s.output]) for s in downstream]
        sizes += [math.prod(self._program.shapes[v]) for v in self._targets]
        chunk = max(1, _BATCH_BYTES // (8 * _ARRAYS * max(sizes)))
        go = self._paper_propagate if self.propagation == "paper" else self._propagate
        parts = [
            go(downstream, deltas[k : k + chunk].entering)
            for k in range(0, max(len(deltas), 1), chunk)
        ]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _entering(self, reader: Readers, gone: Ints, into: Ints, half: Floats | None) -> Interval:
        """``(y_into - y_gone) @ V_gone`` at a reader's output, one candidate per batch entry."""
        step = self._program.steps[reader.step]
        assert isinstance(step.primitive, Affine)
        linear = step.primitive.maps[0]
        assert isinstance(linear, MatMul | Convolution)
        value, places = step.inputs[0], reader.rows[gone]
        if half is None:
            change = self._swapped(value, places, reader.rows[into], into >= 0)
        else:
            shape = (len(gone), *self._program.shapes[value][:-1], places.shape[1])
            wide = np.broadcast_to(half.reshape(-1, *(1,) * (len(shape) - 1)), shape)
            change = Interval(-wide, wide)
        rows = np.moveaxis(linear.kernel, -2, 0)[reader.rows[gone]].astype(np.float64)
        if isinstance(linear, MatMul):
            return _times_rows(change, rows)
        return _times_taps(change, rows, linear)

    def _swapped(self, value: int, gone: Ints, into: Ints, merged: NDArray[np.bool_]) -> Interval:
        """``y_into - y_gone`` (or ``-y_gone``) for each candidate: (C, *spatial, k)."""
        known = self._values[value]
        count, width = gone.shape
        low = -known.upper[..., gone.ravel()]
        high = -known.lower[..., gone.ravel()]
        pick = np.repeat(merged, width)
        if merged.any():
            couple = Couple.of(into[merged].ravel(), gone[merged].ravel())
            paired = Paired(self._program, self._values)
            if self.propagation == "paper":
                moved = paired._subtracted(value, couple)
            else:
                moved = paired.bound(value, couple)
            low[..., pick], high[..., pick] = moved.lower, moved.upper

        def split(bound: Floats) -> Floats:
            parts = bound[0].reshape(*bound.shape[1:-1], count, width)
            return np.moveaxis(parts, -2, 0)

        return Interval(split(low), split(high))

    def _propagate(
        self, downstream: list[Step], starts: dict[int, Interval]
    ) -> tuple[Floats, Floats]:
        twins: dict[int, Twin] = {}
        for number, change in starts.items():
            value = self._program.steps[number].output
            before = self._values[value]
            twins[value] = Twin(before, before + change, change)
        for step in downstream:
            known = [twins.get(i) or Twin.same(self._values[i]) for i in step.inputs]
            change = step.primitive.difference(step.primitive, known)
            before = self._values[step.output]
            if step.output in twins:  # a reader that also gets changes through another path
                change = change + twins[step.output].change
            if not np.isfinite(change.lower).all() or not np.isfinite(change.upper).all():
                after = step.primitive.interval([t.after for t in known])
                change = change.meet(after - before)
            twins[step.output] = Twin(before, before + change, change)
        return self._collect({value: twin.change for value, twin in twins.items()}, starts)

    def _collect(
        self, changes: dict[int, Interval], starts: dict[int, Interval]
    ) -> tuple[Floats, Floats]:
        count = len(next(iter(starts.values())).lower)
        low, high = [], []
        for value in self._targets:
            shape = (count, math.prod(self._program.shapes[value]))
            change = changes.get(value)
            if change is None:  # this output does not see the group
                low.append(np.zeros(shape))
                high.append(np.zeros(shape))
                continue
            full = (count, *self._program.shapes[value])
            low.append(np.broadcast_to(change.lower, full).reshape(shape))
            high.append(np.broadcast_to(change.upper, full).reshape(shape))
        return np.concatenate(low, axis=1), np.concatenate(high, axis=1)

    def _paper_propagate(
        self, downstream: list[Step], starts: dict[int, Interval]
    ) -> tuple[Floats, Floats]:
        """The paper's way: what is done to values is done to the change itself."""
        changes = {self._program.steps[n].output: change for n, change in starts.items()}
        for step in downstream:
            primitive = step.primitive
            count = len(next(iter(changes.values())).lower)
            known = [
                changes.get(i) or Interval.point(np.zeros((count, *self._program.shapes[i])))
                for i in step.inputs
            ]
            if isinstance(primitive, Affine):
                change = Affine(primitive.maps).interval(known)
            else:
                change = _paper_step(primitive, known)
            if step.output in changes:
                change = change + changes[step.output]
            changes[step.output] = change
        return self._collect(changes, starts)

    # -- every pair of a layer at once

    def screen(self, group: Group) -> NDArray[np.float32] | None:
        """A sound upper bound of every pair's amount, from one matrix product.

        ``|y_i - y_j| <= |c (w_i - w_j) + b_i - b_j| + r |w_i - w_j|``, the second term by
        Cauchy-Schwarz from the Gram matrix of the columns weighted with the radii, times what
        unit j can do to the outputs at most (absolute weights and largest slopes).

        Returns:
            (units, units) float32, entry [j, i] for removing j into i; None where the group's
            units are not made by one matrix and passed on by functions of each value alone.

        Source: method §4, many candidates at once.
        """
        reach = self.reach(group)
        pairs = None if reach is None else self._pair_distance(group)
        if pairs is None or reach is None:
            return None
        pairs *= reach.astype(np.float32)[:, None] * np.float32(2.0 * (1 + 1e-5))
        return pairs

    def reach(self, group: Group) -> Floats | None:
        """(units,) what a change of 1 in a unit may change at the scores, in sum, at most."""
        reach: Floats = np.zeros(group.units)
        for reader in self._reading(group):
            step = self._program.steps[reader.step]
            later = self._reach_of(step.output)
            if later is None:
                return None
            assert isinstance(step.primitive, Affine)
            weight = _abs_adjoint(step.primitive.maps[0], later)
            axes = tuple(range(weight.ndim - 1))
            reach = reach + weight.sum(axis=axes)[reader.rows].sum(axis=1)
        return reach

    def _reach_of(self, value: int) -> Floats | None:
        """What a change of 1 in each entry of a value may change at the scores, in sum."""
        reach: dict[int, Floats] = {
            v: np.ones((1, *self._program.shapes[v])) for v in self._targets
        }
        for step in reversed(self._program.steps):
            if step.output == value:
                break
            out = reach.get(step.output)
            if out is None:
                continue
            parts = _reach_back(step, out)
            if parts is None:
                return None
            for i, part in zip(step.inputs, parts, strict=True):
                reach[i] = part if i not in reach else reach[i] + part
        found = reach.get(value)
        return np.zeros(self._program.shapes[value]) if found is None else found[0] * (1 + 1e-9)

    def _pair_distance(self, group: Group) -> NDArray[np.float32] | None:
        """(units, units) a bound of ``|y_i - y_j|`` at the group's reader."""
        reader = self._reading(group)[0]
        made_by = {step.output: step for step in self._program.steps}
        value, slope = self._program.steps[reader.step].inputs[0], 1.0
        step = made_by.get(value)
        while step is not None and isinstance(step.primitive, Apply):
            if not np.isfinite(step.primitive.kind.slope):
                return None
            slope *= step.primitive.kind.slope
            step = made_by.get(step.inputs[0])
        if step is None or not isinstance(step.primitive, Affine):
            return None
        linear = step.primitive.maps[0]
        if len(step.primitive.maps) > 1 or not isinstance(linear, MatMul):
            return None
        if len(self._program.shapes[step.inputs[0]]) > 1 or reader.rows.shape[1] > 1:
            return None
        bias = step.primitive.bias
        offset = np.zeros(linear.kernel.shape[1]) if bias is None else bias.lower
        order = reader.rows[:, 0]
        distance = pair_distance(linear.kernel, offset, self._values[step.inputs[0]])
        distance *= np.float32(slope)
        same = (order == np.arange(len(order))).all()
        return distance if same else distance[np.ix_(order, order)]


def pair_distance(kernel: NDArray[np.floating], bias: Floats, x: Interval) -> NDArray[np.float32]:
    """A sound bound of ``|z_i - z_j|`` for all pairs of a matrix's columns, by one product.

    Args:
        kernel: (n, units).
        bias: (units,).
        x: (1, n) the box of what enters.

    Returns:
        (units, units) float32: ``|c (w_i - w_j) + b_i - b_j| + sqrt(sum r) sqrt(sum r (w_i -
        w_j)^2)``, widened by the rounding of the float32 product.
    """
    center, radius = (v.reshape(-1) for v in x.center_radius())
    n, units = kernel.shape
    columns = np.empty((n, units), dtype=np.float32)
    np.multiply(kernel, np.sqrt(radius).astype(np.float32)[:, None], out=columns)
    gram = columns.T @ columns
    del columns
    middle = MatMul(kernel).forward(center[None])[0] + bias
    lost = gamma(n + 1) * (MatMul(kernel).forward_abs(np.abs(center)[None])[0] + np.abs(bias))
    square = np.diagonal(gram).astype(np.float64)
    # float32: n roundings in each product, 4 in each scaled column (relative to the squares).
    slack = (n + 16) * 2.0**-24 / (1 - (n + 16) * 2.0**-24)
    row = (square * (1 + slack) / (1 - slack) * (1 + 1e-6) + 1e-37).astype(np.float32)
    gram *= np.float32(-2.0)
    gram += row[:, None]
    gram += row[None, :]
    # The computed squares and product each err by slack relative to |w_i|, |w_j| in norm.
    room = (2 * slack * square * (1 + slack) / (1 - slack)).astype(np.float32)
    gram += room[:, None]
    gram += room[None, :]
    np.maximum(gram, 0.0, out=gram)
    np.sqrt(gram, out=gram)
    gram *= np.float32(up(math.sqrt(float(radius.sum()))) * (1 + 1e-6))
    middle32 = middle.astype(np.float32)
    rounding = np.abs(middle) * 2.0**-23 + lost + 1e-37
    block = max(1, 2**24 // max(units, 1))
    for start in range(0, units, block):
        part = slice(start, start + block)
        gram[part] += np.abs(middle32[part, None] - middle32[None, :])
    gram *= np.float32(1 + 1e-6)
    wide = up(rounding).astype(np.float32) * np.float32(1 + 1e-6)
    gram += wide[:, None]
    gram += wide[None, :]
    np.fill_diagonal(gram, 0.0)
    return gram


def _times_rows(change: Interval, rows: Floats) -> Interval:
    """(C, k) intervals times (C, k, m) rows of their own."""
    center, radius = change.center_radius()
    error = gamma(change.shape[-1])
    middle = np.matmul(center.reshape(len(rows), -1, rows.shape[1]), rows)
    spread = np.matmul(
        (radius + error * (np.abs(center) + radius)).reshape(len(rows), -1, rows.shape[1]),
        np.abs(rows),
    )
    shape = (*center.shape[:-1], rows.shape[-1])
    return Interval.around(
        middle.reshape(shape), spread.reshape(shape) + change.shape[-1] * UNDERFLOW
    )


def _times_taps(change: Interval, rows: Floats, linear: Convolution) -> Interval:
    """(C, *spatial, k) intervals through (C, k, *taps, m) kernels of their own."""
    windows = linear.windows
    taps = math.prod(windows.kernel)
    # (C, k, *taps, m) -> (C, taps * k, m), the order of a patch's entries
    kernels = np.moveaxis(rows, 1, -2).reshape(len(rows), -1, rows.shape[-1])
    terms = kernels.shape[1]

    def patches(x: Floats) -> Floats:
        padded = np.ascontiguousarray(windows.padded(x))
        return windows.patches(padded).reshape(len(x), -1, taps * x.shape[-1])

    center, radius = change.center_radius()
    error = gamma(terms)
    middle = patches(center) @ kernels
    spread = patches(radius + error * (np.abs(center) + radius)) @ np.abs(kernels)
    shape = (len(rows), *windows.out, rows.shape[-1])
    return Interval.around(middle.reshape(shape), spread.reshape(shape) + terms * UNDERFLOW)


def _abs_adjoint(linear: Any, later: Floats) -> Floats:
    """What a change of 1 in each input entry may change behind ``|linear|``."""
    out: Floats = absolute(linear).adjoint(later[None])[0]
    return out


def _reach_back(step: Step, out: Floats) -> list[Floats] | None:
    """The reach of a step's inputs from its output's; None for a step without a slope."""
    primitive = step.primitive
    if isinstance(primitive, Affine):
        return [_abs_adjoint(linear, out[0])[None] for linear in primitive.maps]
    if isinstance(primitive, Apply) and np.isfinite(primitive.kind.slope):
        return [out * primitive.kind.slope]
    if isinstance(primitive, MaxPool):
        windows = primitive.windows
        lead: Any = (slice(None), *(slice(None),) * len(windows.spatial))
        spread = out[(*lead, *(None,) * len(windows.kernel))]
        shape = (1, *windows.out, *windows.kernel, out.shape[-1])
        return [windows.scatter(np.broadcast_to(spread, shape))]
    return None


def _paper_step(primitive: Any, known: Sequence[Interval]) -> Interval:
    """An activation applied to the change: ReLU gives (0, hi), others their own values."""
    if isinstance(primitive, Apply) and primitive.kind.name in ("relu", "relu6"):
        return Interval(np.zeros_like(known[0].upper), np.maximum(known[0].upper, 0.0))
    if isinstance(primitive, Apply | MaxPool | MaxOver):
        return primitive.interval(known)
    raise BoundsError("The paper's propagation has no rule for this layer.")


def _paper_values(program: Program, inputs: Sequence[Interval]) -> list[Interval]:
    """The paper's intervals of values: the first layer's outputs are taken to lie where the
    inputs do, later ones are propagated."""
    values: list[Interval | None] = [None] * len(program.shapes)
    low = min(float(box.lower.min()) for box in inputs)
    high = max(float(box.upper.max()) for box in inputs)
    for value, box in zip(program.inputs, inputs, strict=True):
        values[value] = box
    first = next(
        (k for k in range(len(program.steps)) if (k, 0) in program.kernels), len(program.steps)
    )
    for k, step in enumerate(program.steps):
        known = [v for i in step.inputs if (v := values[i]) is not None]
        after_first = k == first + 1 and step.inputs == (program.steps[first].output,)
        if k == first or (after_first and isinstance(step.primitive, Apply)):
            shape = (1, *program.shapes[step.output])
            values[step.output] = Interval(np.full(shape, low), np.full(shape, high))
        elif isinstance(step.primitive, Apply):
            values[step.output] = _paper_step(step.primitive, known)
        else:
            values[step.output] = step.primitive.interval(known)
    return [value for value in values if value is not None]
