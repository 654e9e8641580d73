"""A budget in milliseconds: fast widths, bought where the outputs feel it least."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from paoding.errors import ArgumentError
from paoding.graph import Graph

# A model is called slower than the original from this share on; less is noise.
_NOISE = 1.05


class LatencyCosts(Protocol):
    """What a budget in milliseconds asks of a measured table.

    Attributes:
        total: seconds of the original.
        reached: seconds of a smaller model that was measured before, or None.
    """

    total: float
    reached: float | None

    def widths(self, name: str) -> tuple[int, ...]:
        """Widths of a group that are worth having: every wider one is slower."""
        ...

    def predicted(self, widths: Mapping[str, int]) -> float:
        """Seconds of the model with some groups at other widths."""
        ...

    def measured(self, graph: Graph, quotas: Mapping[str, int]) -> LatencyCosts:
        """The same with the predicted and the measured seconds of a smaller model."""
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

    Greedily, by estimated change per second saved: each move takes one group to its next width.

    Args:
        costs: the measured table.
        target: share of the original's seconds to save.
        curves: group name -> estimated change of each further removal.
        units: group name -> how many it has.
        round_to: widths are multiples of this.

    Raises:
        ArgumentError: no widths reach the target; the sentence says the least there is.
    """
    now = {name: units[name] for name in curves}
    goal, took = (1 - target) * costs.total, costs.total
    sums = {name: np.concatenate([[0.0], np.cumsum(curve)]) for name, curve in curves.items()}

    def fits(name: str, width: int) -> bool:
        return width % round_to == 0 and units[name] - len(curves[name]) <= width

    while took > goal:
        best, least = None, np.inf
        for name in curves:
            lower = [w for w in costs.widths(name) if fits(name, w)]
            for width in (w for w in lower if w < now[name]):
                saved = took - costs.predicted({**now, name: width})
                gone, then = units[name] - now[name], units[name] - width
                price = (sums[name][then] - sums[name][gone]) / saved if saved > 0 else np.inf
                if price < least:
                    best, least = (name, width), price
        if best is None:
            raise ArgumentError(
                f"target={target:g} asks for {1000 * goal:.3g} ms, and no widths take less than "
                f"{1000 * took:.3g} ms ({1 - took / costs.total:.0%} saved); lower the target."
            )
        now[best[0]] = best[1]
        took = costs.predicted(now)
    return {name: units[name] - width for name, width in now.items() if width < units[name]}


def not_slower(costs: LatencyCosts, graph: Graph, quotas: Mapping[str, int]) -> LatencyCosts:
    """Measure the smaller model, and refuse one that is slower than the original.

    Raises:
        ArgumentError: it is slower.
    """
    if costs.reached is not None:  # a plan is done again
        return costs
    found = costs.measured(graph, quotas)
    if found.reached is not None and found.reached > _NOISE * found.total:
        raise ArgumentError(
            f"The smaller model takes {1000 * found.reached:.3g} ms and the original "
            f"{1000 * found.total:.3g} ms, so nothing is pruned: choose another runtime or target."
        )
    return found
