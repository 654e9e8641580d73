"""Removes what ``bounds.redundant`` found: rows move to survivors, constants are folded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from paoding.bounds.redundant import RedundantUnit, redundant_units
from paoding.compensation.base import Compensation
from paoding.errors import BoundsError, PlanError
from paoding.graph import Graph, State
from paoding.plan import Removal

if TYPE_CHECKING:
    from paoding.pruning.context import RunContext

METHOD = "lossless"  # what a plan says of a unit that went without loss


def removals_of(found: Sequence[RedundantUnit]) -> tuple[Removal, ...]:
    """The plan's entries for redundant units."""
    return tuple(Removal(u.group, u.unit, u.into, METHOD) for u in found)


def reasons(found: Sequence[RedundantUnit]) -> np.ndarray:
    """Why each redundant unit goes, for the log."""
    return np.array([f"goes without loss: {u.why}" for u in found], dtype=object)


def apply(
    compensation: Compensation, run: RunContext, state: State, removals: Sequence[Removal]
) -> State:
    """A step's removals: redundant units first, in their own way, the rest by the compensation.

    Raises:
        PlanError: a removal is said to be lossless and is not, for this model and domain.
    """
    lossless = [r for r in removals if r.method == METHOD]
    if not lossless:
        return compensation.apply(run, state, removals)
    known = {(u.group, u.unit): u for u in redundant_in(run, state)}
    missing = [r for r in lossless if (r.group, r.unit) not in known]
    if missing:
        raise PlanError(
            f"Unit {missing[0].unit} of '{missing[0].group}' is said to go without loss, but over "
            "this domain it matters; replay the plan with the domain that it was made for."
        )
    after = remove(run.graph, state, [known[r.group, r.unit] for r in lossless])
    rest = [r for r in removals if r.method != METHOD]
    return compensation.apply(run, after, rest) if rest else after


def redundant_in(run: RunContext, state: State) -> list[RedundantUnit]:
    """The redundant units of a state, searched for once."""
    key = tuple(map(id, state.values))
    if key not in run.redundant:
        try:
            run.redundant[key] = (state, redundant_units(run.graph, state, run.boxes))
        except BoundsError:
            run.redundant[key] = (state, [])
    return run.redundant[key][1]


def remove(graph: Graph, state: State, found: Sequence[RedundantUnit]) -> State:
    """The state after redundant units have gone: their rows moved, their constants folded."""
    changed: dict[int, np.ndarray] = {}
    alive = state.alive.copy()

    def own(number: int) -> np.ndarray:
        if number not in changed:
            changed[number] = state.values[number].astype(np.float64)
        return changed[number]

    for unit in found:
        group = graph.by_name[unit.group]
        alive[group.ids[unit.unit]] = False
        for member in group.with_role("consume"):
            front = np.moveaxis(own(member.variable), member.axis, 0)
            held = member.indices
            assert held is not None
            for survivor, share in unit.shares.items():
                front[held[survivor]] += share * front[held[unit.unit]]
            front[held[unit.unit]] = 0
        for number, constant in unit.constants.items():
            own(number)[...] += constant
    dtypes = {number: state.values[number].dtype for number in changed}
    return state.replace({n: v.astype(dtypes[n]) for n, v in changed.items()}, alive)
