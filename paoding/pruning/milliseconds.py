"""A budget in milliseconds: fast widths, bought where the outputs feel it least."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from paoding.errors import ArgumentError
from paoding.graph import Graph

# A model is called slower than the original from this share on; less is noise.
_NOISE = 1.05
# Widths are bought again with what was measured, so often, until a prediction comes so near.
_ROUNDS = 3
_NEAR = 0.1


class LatencyCosts(Protocol):
    """What a budget in milliseconds asks of a measured table.

    Attributes:
        total: seconds of the original.
        expected: seconds that were predicted of a smaller model, or None.
        reached: seconds of a smaller model that was measured before, or None.
    """

    total: float
    expected: float | None
    reached: float | None

    def widths(self, name: str) -> tuple[int, ...]:
        """Widths of a group that are worth having: every wider one is slower."""
        ...

    def ratio(self, name: str, width: int) -> float:
        """What a group's layers compute at a width, as a share of their time in full."""
        ...

    def work(self, widths: Mapping[str, int]) -> float:
        """What is left to compute with some groups at other widths, as a share."""
        ...

    def predicted(self, widths: Mapping[str, int]) -> float:
        """Seconds of the model with some groups at other widths."""
        ...

    def measured(self, graph: Graph, quotas: Mapping[str, int]) -> LatencyCosts:
        """The same with the predicted seconds of a smaller model, and the measured, if it can."""
        ...

    def learnt(self, graph: Graph, quotas: Mapping[str, int]) -> LatencyCosts:
        """The same, predicting what was measured of a smaller model."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain values, from which a plan makes it again."""
        ...


def within(
    costs: LatencyCosts,
    target: float,
    curves: Mapping[str, np.ndarray],
    units: Mapping[str, int],
    round_to: int = 1,
) -> dict[str, int]:
    """Units that each group loses until the target's share of the time is gone.

    Args:
        costs: the measured table.
        target: share of the original's seconds to save.
        curves: group name -> estimated change of each further removal.
        units: group name -> how many it has.
        round_to: widths are multiples of this.

    Raises:
        ArgumentError: no widths reach the target; the sentence says the least there is.
    """
    goal, took = (1 - target) * costs.total, costs.total
    known = _changes(costs, curves, units, round_to)
    now = {name: units[name] for name in curves}
    for now in moves(costs, curves, units, round_to):
        took = costs.predicted(now)
        if took <= goal:
            break
    if took > goal:
        raise ArgumentError(
            f"{1 - target:.0%} of the time is asked for ({1000 * goal:.3g} ms), and no widths "
            f"take less than {1000 * took:.3g} ms, {took / costs.total:.0%} of the original's; "
            "ask for more."
        )
    now = _given_back(costs, goal, now, known)
    return {name: units[name] - width for name, width in now.items() if width < units[name]}


def moves(
    costs: LatencyCosts,
    curves: Mapping[str, np.ndarray],
    units: Mapping[str, int],
    round_to: int = 1,
    allowed: float = np.inf,
) -> Iterator[dict[str, int]]:
    """Widths after each move, greedily by estimated change for the work that is saved.

    A move takes one group to a narrower width that is fast, and leaves the estimated change of all
    at no more than is allowed. The other arguments are those of :func:`within`.
    """
    known = _changes(costs, curves, units, round_to)
    now = {name: units[name] for name in curves}
    while True:
        work = costs.work(now)
        left = allowed - sum(known[name].get(width, 0.0) for name, width in now.items())
        best, least = None, np.inf
        for name, changes in known.items():
            # All that reads or makes the group shrinks with it in the same measure.
            held = (work - costs.work({**now, name: 0})) / costs.ratio(name, now[name])
            for width in (w for w in changes if w < now[name]):
                saved = held * (costs.ratio(name, now[name]) - costs.ratio(name, width))
                change = changes[width] - changes.get(now[name], 0.0)
                if saved > 0 and change <= left and change / saved < least:
                    best, least = (name, width), change / saved
        if best is None:
            return
        now = {**now, best[0]: best[1]}
        yield now


def _changes(
    costs: LatencyCosts,
    curves: Mapping[str, np.ndarray],
    units: Mapping[str, int],
    round_to: int,
) -> dict[str, dict[int, float]]:
    """Estimated change of each group at each width that it may have."""
    found = {}
    for name, curve in curves.items():
        sums = np.concatenate([[0.0], np.cumsum(curve)])
        lost = {w: units[name] - w for w in costs.widths(name) if w % round_to == 0}
        found[name] = {w: float(sums[n]) for w, n in lost.items() if n <= len(curve)}
    return found


def _given_back(
    costs: LatencyCosts,
    goal: float,
    now: dict[str, int],
    changes: Mapping[str, Mapping[int, float]],
) -> dict[str, int]:
    """Widen again what the last moves took too much of, where the outputs feel it most."""
    while True:
        gains = {
            (name, width): changes[name].get(now[name], 0.0) - change
            for name, known in changes.items()
            for width, change in known.items()
            if width > now[name] and costs.predicted({**now, name: width}) <= goal
        }
        if not gains:
            return now
        name, width = max(gains, key=gains.__getitem__)
        now = {**now, name: width}


def bought(
    costs: LatencyCosts,
    target: float,
    graph: Graph,
    spend: Callable[[LatencyCosts], dict[str, int]],
) -> tuple[dict[str, int], LatencyCosts]:
    """Spend, measure the smaller model, and spend again with what was learnt of it.

    Args:
        costs: the measured table.
        target: share of the original's seconds to save.
        graph: the traced original.
        spend: units that each group loses by a table.

    Returns:
        The units that each group loses, and the table with what was predicted and reached.

    Raises:
        ArgumentError: the smaller model is slower than the original, or no widths reach the target.
    """
    goal = (1 - target) * costs.total
    for again in reversed(range(_ROUNDS)):
        spent = spend(costs)
        if costs.reached is not None:  # a plan is done again
            return spent, costs
        found = costs.measured(graph, spent)
        if found.reached is None or found.expected is None:
            break
        if found.reached > _NOISE * found.total:
            raise ArgumentError(
                f"The smaller model takes {1000 * found.reached:.3g} ms and the original "
                f"{1000 * found.total:.3g} ms, so nothing is pruned: choose another runtime or "
                "target."
            )
        if not again:
            break
        if abs(found.expected / found.reached - 1) <= _NEAR and found.reached <= goal * _NOISE:
            break
        costs = found.learnt(graph, spent)
    return spent, found


def told(options: Mapping[str, Any], target: float) -> str | None:
    """What a budget in milliseconds came to, in a sentence or two; None without one.

    Args:
        options: those of a plan.
        target: share of the original's seconds to save.

    >>> table = {"total": 4e-3, "expected": 2.1e-3, "reached": 2.5e-3, "runtime": "litert"}
    >>> told({"budget": "latency", "runtime": table}, 0.5)
    'In litert 4 ms before and 2.5 ms after (62% of the time; predicted: 2.1 ms). 50% was asked ...'
    """
    table = options.get("runtime")
    if options.get("budget") != "latency" or not isinstance(table, Mapping):
        return None
    total, expected, reached = (table.get(k) for k in ("total", "expected", "reached"))
    if not total or not expected:
        return None
    if reached is None:
        return (
            f"Predicted for {table['runtime']}: {1000 * expected:.3g} ms of "
            f"{1000 * total:.3g} ms ({expected / total:.0%}), by a table that was measured "
            "elsewhere; measure the smaller model there."
        )
    said = (
        f"In {table['runtime']} {1000 * total:.3g} ms before and {1000 * reached:.3g} ms after "
        f"({reached / total:.0%} of the time; predicted: {1000 * expected:.3g} ms)."
    )
    if reached > _NOISE * (1 - target) * total:
        said += f" {1 - target:.0%} was asked for and is missed."
    return said
