"""Budgets: how many units each group loses, and which, for the same total.

``"uniform"`` takes the target's share of every group (the paper's way). ``"global"`` spends the
same total where the outputs feel it least. ``"annealed"`` goes on from there: a walk over whole
plans that exchanges removals and keeps the best plan seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from paoding.compensation.regression import RIDGE
from paoding.compensation.sensitivity import SensitivityStats, sensitivity_of
from paoding.compensation.study import study_of
from paoding.compensation.surgeon import SurgeonRanking
from paoding.graph import Graph, Group
from paoding.graph.cost import flops_of
from paoding.pruning.context import RunContext
from paoding.pruning.milliseconds import LatencyCosts, not_slower, within
from paoding.pruning.settings import Settings

_MOVES = 1500  # exchanges that one annealing tries
_RESTARTS = 2
_HOT, _COLD = 0.02, 1e-4  # temperatures, as shares of the first plan's energy
_LARGEST = 512  # units of a group up to which plans are annealed (energies cost a cube)


@dataclass(frozen=True, eq=False)
class Budget:
    """How many units each group loses, and which, where that is settled beforehand.

    Args:
        n_remove: group name -> units to remove.
        wanted: group name -> mask of the units that go; absent where the strategy decides.
        costs: the table of a budget in milliseconds, with what it came to.
    """

    n_remove: dict[str, int]
    wanted: dict[str, np.ndarray]
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
        return Budget(dict(n_remove), {})
    study = study_of(run)
    views = {name: sensitivity_of(study, run.graph.by_name[name]) for name in n_remove}
    seen = {name: parts for name, parts in views.items() if parts}
    if settings.budget == "latency":
        return _in_milliseconds(run, n_remove, seen)
    spread = global_counts(run.graph, n_remove, seen, settings, settings.budget)
    if settings.allocation == "global":
        return Budget(spread, {})
    return anneal(run.graph, spread, seen, settings.seed)


def _in_milliseconds(
    run: RunContext, n_remove: Mapping[str, int], views: Mapping[str, list[SensitivityStats]]
) -> Budget:
    """The cheapest removals that save the target's share of the time in a runtime."""
    import paoding  # its front door: who measures stands on a higher floor

    graph, settings = run.graph, run.settings
    costs: LatencyCosts = paoding.latency_table(graph, settings.runtime)
    curves = {}
    for name, parts in views.items():
        group = graph.by_name[name]
        most = min(group.units - settings.floor, int(group.removable.sum()))
        curves[name] = np.maximum.accumulate(curve(parts, group.removable, most)[0])
    units = {name: graph.by_name[name].units for name in curves}
    found = within(costs, settings.target, curves, units, settings.round_to)
    spent = {name: found[name] for name in n_remove if found.get(name)}
    costs = not_slower(costs, graph, spent)
    if settings.allocation == "annealed":
        return replace(anneal(graph, spent, views, settings.seed), costs=costs)
    return Budget(spent, {}, costs)


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


def energy(views: list[SensitivityStats], out: np.ndarray) -> float:
    """Estimated mean squared change of the outputs when the units in ``out`` have gone.

    ``tr(W_PP R_PP)``, with ``R_PP`` what survivors cannot explain of the removed units.

    Args:
        views: each consumer's view of the group.
        out: mask of the removed units.
    """
    total = 0.0
    for view in views:
        n = len(view.second)
        level = RIDGE * np.trace(view.second) / n + 1e-30
        second = view.second + level * np.eye(n)
        cross = second[np.ix_(out, ~out)]
        known = np.linalg.solve(second[np.ix_(~out, ~out)], cross.T)
        rest = second[np.ix_(out, out)] - cross @ known
        total += float((view.weight[np.ix_(out, out)] * rest).sum())
    return total


def anneal(
    graph: Graph,
    n_remove: Mapping[str, int],
    views: Mapping[str, list[SensitivityStats]],
    seed: int,
) -> Budget:
    """Walk over whole plans: a move exchanges a removed unit for one that stays.

    The energy is the estimated change of the outputs; the temperature falls geometrically, each
    restart begins from the best plan so far, and the best plan seen is returned.

    Args:
        graph: the traced original.
        n_remove: units that each group loses.
        views: the groups' moments.
        seed: of the walk.
    """
    wanted: dict[str, np.ndarray] = {}
    for name, count in n_remove.items():
        group = graph.by_name[name]
        if name not in views or group.units > _LARGEST or not count:
            continue
        _, order = curve(views[name], group.removable, count)
        out = np.zeros(group.units, bool)
        out[order] = True
        rng = np.random.default_rng([seed, len(wanted)])
        wanted[name] = _annealed(views[name], out, group.removable, rng)
    return Budget(dict(n_remove), wanted)


def _annealed(
    views: list[SensitivityStats],
    start: np.ndarray,
    removable: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    best, least = start.copy(), energy(views, start)
    first = least
    for _ in range(_RESTARTS):
        out, current = best.copy(), least
        for move in range(_MOVES):
            goes, stays = np.flatnonzero(~out & removable), np.flatnonzero(out)
            if not len(goes) or not len(stays):
                return best
            trial = out.copy()
            trial[rng.choice(goes)], trial[rng.choice(stays)] = True, False
            value = energy(views, trial)
            warmth = first * _HOT * (_COLD / _HOT) ** (move / _MOVES)
            if value <= current or rng.random() < np.exp(-(value - current) / max(warmth, 1e-300)):
                out, current = trial, value
            if current < least:
                best, least = out.copy(), current
    return best
