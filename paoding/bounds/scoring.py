"""What each candidate removal may change at the outputs, many candidates at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from paoding.bounds.difference import Readers, readers
from paoding.bounds.forward import forward, input_intervals
from paoding.bounds.intervals import UNDERFLOW, Floats, Interval, Twin, gamma
from paoding.bounds.lowering import lower
from paoding.bounds.maps import Ints, MatMul
from paoding.bounds.pairs import Couple, Paired
from paoding.bounds.paper import paper_changes, paper_values
from paoding.bounds.primitives import Affine, Program, Step, score_values
from paoding.bounds.screening import Screen
from paoding.bounds.windows import Convolution
from paoding.checks import check_choice
from paoding.domain.box import Domain
from paoding.errors import BoundsError
from paoding.graph import Graph, Group, State

Propagation = Literal["sound", "paper"]

_BATCH_BYTES = 256 * 2**20  # memory for the candidates that are propagated at once
_ARRAYS = 12  # arrays of a value's size that are alive while it is propagated
# Work per call, in multiply-adds, beyond which scoring would outlast the pruning itself.
DEFAULT_BUDGET = 2e11
_ENTRY = 50  # multiply-adds in the time that one entry's interval, or one pair, takes
EVENNESS_BUDGET = 1e9  # the same where intervals only tell evenness, beside an estimate


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
        check_choice("propagation", propagation, get_args(Propagation))
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
            return paper_values(self._program, inputs)
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
            size = math.prod(self._program.shapes[step.output])
            total += _ENTRY * size
            if isinstance(step.primitive, Affine):
                total += 2 * size * sum(max(m.terms, 1) for m in step.primitive.maps)
        entries = sum(math.prod(self._program.shapes[v]) for v in self._targets)
        return (
            total + _ENTRY * entries**2 + 1.0
        )  # how even outputs are is told from all pairs of them

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
        go = self._paper if self.propagation == "paper" else self._sound
        starts = [deltas[k : k + chunk].entering for k in range(0, max(len(deltas), 1), chunk)]
        parts = [self._collect(go(downstream, start), start) for start in starts]
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

    def _paper(self, downstream: list[Step], starts: dict[int, Interval]) -> dict[int, Interval]:
        return paper_changes(self._program, downstream, starts)

    def _sound(self, downstream: list[Step], starts: dict[int, Interval]) -> dict[int, Interval]:
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
        return {value: twin.change for value, twin in twins.items()}

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

    # -- every pair of a layer at once

    def screen(self, group: Group) -> NDArray[np.float32] | None:
        """A sound upper bound of every pair's amount, see :meth:`Screen.pairs`."""
        return self._screen.pairs(self._reading(group), group.units)

    def reach(self, group: Group) -> Floats | None:
        """(units,) what a change of 1 in a unit may change at the scores, in sum, at most."""
        return self._screen.reach(self._reading(group), group.units)

    @cached_property
    def _screen(self) -> Screen:
        return Screen(self._program, self._values, self._targets)


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
