"""Whether a plan belongs to a model, and whether its removals are possible now."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from paoding.errors import PlanError
from paoding.graph import Graph
from paoding.plan import Plan, Removal


def check_plan(plan: Any) -> None:
    """Raise ``PlanError`` unless it is a plan at all."""
    if not isinstance(plan, Plan):
        raise PlanError(
            f"A Plan is needed, not a {type(plan).__name__}; load it with paoding.Plan.load(path)."
        )


def check_removals(graph: Graph, alive: np.ndarray, removals: Iterable[Removal], step: int) -> None:
    """Raise ``PlanError`` where a removal is not possible, before anything is changed."""
    alive = alive.copy()
    for removal in removals:
        if not isinstance(removal, Removal):
            raise PlanError(f"Step {step} of the plan holds {removal!r:.40}, which is no Removal.")
        group = graph.by_name.get(removal.group)
        where = f"Step {step} of the plan, group '{removal.group}'"
        if group is None:
            raise PlanError(f"{where}: the model has no such group.")
        for unit in (removal.unit, removal.into):
            if unit is not None and not 0 <= unit < group.units:
                raise PlanError(f"{where}: unit {unit} is not one of its {group.units} units.")
        if not group.removable[removal.unit]:
            raise PlanError(f"{where}: unit {removal.unit} has to stay ({group.reason}).")
        if removal.into == removal.unit:
            raise PlanError(f"{where}: unit {removal.unit} cannot be merged into itself.")
        for unit in (removal.unit, removal.into):
            if unit is not None and not alive[group.ids[unit]]:
                raise PlanError(f"{where}: unit {unit} has gone already.")
        alive[group.ids[removal.unit]] = False
        if not alive[group.ids].any():
            raise PlanError(f"{where}: no unit would be left.")


def fingerprint(graph: Graph) -> str:
    """A digest of a model's groups and weights."""
    digest = hashlib.sha256()
    for group in graph.groups:
        digest.update(f"{group.name}:{group.units};".encode())
    for weight in graph.model.weights:  # not the seeds of dropout, which move on by themselves
        value = graph.original.values[graph.number(weight)]
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(value.tobytes())  # bfloat16 has no buffer
    return digest.hexdigest()
