"""Decisions changed by hand: the path of a run with one removal less, ready to be replayed."""

from __future__ import annotations

from collections.abc import Sequence

from paoding.errors import ArgumentError
from paoding.plan import Decisions, Plan
from paoding_widgets.session import Snapshot

# A plan, the candidates of each of its steps, and by what these were ordered.
Path = tuple[Plan, Sequence[Decisions], Sequence[str]]


def step_of(snapshots: Sequence[Snapshot], group: str, unit: int) -> int:
    """The step, counted from 1, in which a unit went; 0 where it is here."""
    for number, one in enumerate(snapshots):
        removals = () if one.step is None else one.step.removals
        if any((r.group, r.unit) == (group, unit) for r in removals):
            return number
    return 0


def without(snapshots: Sequence[Snapshot], group: str, unit: int, anew: bool = False) -> Path:
    """The path of some snapshots without the removal of one unit.

    Args:
        snapshots: of the run, the original first.
        group, unit: what comes back.
        anew: give up all later steps, so that they can be decided anew; else they are kept.

    Raises:
        ArgumentError: the unit has not been removed.
    """
    number = step_of(snapshots, group, unit)
    if not number:
        raise ArgumentError(f"Unit {unit} of '{group}' is here: there is nothing to take back.")
    plan, decisions, measures = path_of(snapshots[: number + 1] if anew else snapshots)
    steps = [
        tuple(r for r in removals if (r.group, r.unit) != (group, unit)) for removals in plan.steps
    ]
    left = [place for place, removals in enumerate(steps) if removals]
    return (
        Plan(tuple(steps[place] for place in left), {}, ""),
        [decisions[place] for place in left],
        [measures[place] for place in left],
    )


def path_of(snapshots: Sequence[Snapshot]) -> Path:
    """The steps of some snapshots (the original first), to be replayed."""
    taken = [(one.step, one.measure) for one in snapshots[1:] if one.step is not None]
    plan = Plan(tuple(step.removals for step, _ in taken), {}, "")
    return plan, [step.decisions for step, _ in taken], [measure for _, measure in taken]
