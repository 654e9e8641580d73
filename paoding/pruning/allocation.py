"""Budgets: how many units each group loses; in milliseconds with ``pruning.milliseconds``.

``"uniform"`` takes the target's share of every group (the paper's way). ``"global"`` spends the
same total where the outputs feel it least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from paoding.compensation.sensitivity import SensitivityStats, sensitivity_of
from paoding.compensation.study import study_of
from paoding.compensation.surgeon import SurgeonRanking
from paoding.graph import Graph, Group
from paoding.graph.cost import flops_of
from paoding.pruning.context import RunContext
from paoding.pruning.milliseconds import LatencyCosts, bought, within
from paoding.pruning.settings import Settings


@dataclass(frozen=True, eq=False)
class Budget:
    """How many units each group loses.

    Args:
        n_remove: group name -> units to remove.
        costs: the table of a budget in milliseconds, with what it came to.
    """

    n_remove: dict[str, int]
    costs: LatencyCosts | None = None


def allocate(run: RunContext, n_remove: Mapping[str, int]) -> Budget:
    """Spend the total of uniform counts on groups in the way that the settings ask for.

    Args:
        run: graph, boxes and settings.
        n_remove: group name -> units that it loses under the uniform rule; this sets the total.

    Returns:
        The counts to use.
    """
    settings = run.settings
    if settings.allocation == "uniform" and settings.budget != "latency":
        return Budget(dict(n_remove))
    study = study_of(run)
    views = {name: sensitivity_of(study, run.graph.by_name[name]) for name in n_remove}
    seen = {name: parts for name, parts in views.items() if parts}
    if settings.budget == "latency":
        return _in_milliseconds(run, n_remove, seen)
    return Budget(global_counts(run.graph, n_remove, seen, settings, settings.budget))


def _in_milliseconds(
    run: RunContext, n_remove: Mapping[str, int], views: Mapping[str, list[SensitivityStats]]
) -> Budget:
    """The cheapest removals that save the target's share of the time in a runtime."""
    import paoding  # its front door: who measures stands on a higher floor

    graph, settings = run.graph, run.settings
    curves = {}
    for name, parts in views.items():
        group = graph.by_name[name]
        most = min(group.units - settings.floor, int(group.removable.sum()))
        curves[name] = np.maximum.accumulate(curve(parts, group.removable, most)[0])
    units = {name: graph.by_name[name].units for name in curves}
    table: LatencyCosts = paoding.latency_table(graph, settings.runtime, groups=n_remove)

    def spend(costs: LatencyCosts) -> dict[str, int]:
        found = within(costs, settings.target, curves, units, settings.round_to)
        return {name: found[name] for name in n_remove if found.get(name)}

    spent, costs = bought(table, settings.target, graph, spend)
    return Budget(spent, costs)


def prices(graph: Graph, group: Group, budget: str) -> float:
    """What one unit of a group counts in a budget."""
    if budget == "units":
        return 1.0
    if budget == "parameters":
        return group.parameters / group.units
    touched = {m.binding.node for m in group.members}
    cost = sum(flops_of(graph.nodes[index]) for index in touched)
    return max(cost / group.units, 1.0)


def curve(
    views: list[SensitivityStats], removable: np.ndarray, most: int
) -> tuple[np.ndarray, list[int]]:
    """Cost of each further removal from a group, and who goes, taken greedily.

    Returns:
        cost (most,) in squared units of the outputs, and the units in order.
    """
    ranking = SurgeonRanking.of(views, np.ones(len(removable), bool), removable)
    costs, order = [], []
    for _ in range(most):
        unit = int(ranking.order()[0])
        costs.append(float(ranking.importance[unit]))
        order.append(unit)
        ranking.take(unit, once=False)
    return np.array(costs), order


def global_counts(
    graph: Graph,
    n_remove: Mapping[str, int],
    views: Mapping[str, list[SensitivityStats]],
    settings: Settings,
    budget: str,
) -> dict[str, int]:
    """The cheapest removals over all groups until the total is spent.

    No group keeps less than half of what the uniform rule would leave it: costs are estimated
    one group at a time, and a group cut to the bone spoils what all others were fitted for.
    """
    price = {name: prices(graph, graph.by_name[name], budget) for name in views}
    left = sum(n_remove[name] * price[name] for name in views)
    offers: list[tuple[float, str]] = []
    for name, parts in views.items():
        group = graph.by_name[name]
        keep = max(settings.floor, -(-(group.units - n_remove[name]) // 2))
        most = min(group.units - keep, int(group.removable.sum()))
        costs, _ = curve(parts, group.removable, most)
        # A unit can only go after those before it, so it is as dear as the dearest of them.
        offers += [(cost / price[name], name) for cost in np.maximum.accumulate(costs)]
    found = dict.fromkeys(views, 0)
    for _, name in sorted(offers):
        if price[name] <= left + 1e-9:
            found[name] += 1
            left -= price[name]
    for name, count in found.items():
        units = graph.by_name[name].units
        rest = -(-(units - count) // settings.round_to) * settings.round_to
        found[name] = max(units - rest, 0)
    return {name: count for name in n_remove if (count := found.get(name, n_remove[name]))}
