"""What one run's parts share: the graph, the legal inputs, the settings, and what is costly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from paoding.criteria import DistanceCache
from paoding.domain import Box
from paoding.effort import LEVELS, Effort
from paoding.graph import Graph, State
from paoding.pruning.settings import Settings

if TYPE_CHECKING:
    from paoding.bounds.redundant import RedundantUnit
    from paoding.compensation.forecast import Forecast
    from paoding.compensation.study import ActivationStudy
    from paoding.compensation.surgeon import Trail

OnProgress = Callable[[str, float], None]


def unheard(what: str, share: float) -> None:
    """Tell nobody how far long work is."""


@dataclass(eq=False)
class RunContext:
    """What a run's parts read, and what they remember for each other.

    Args:
        graph: the traced original.
        boxes: the legal inputs, one box per model input.
        settings: what was asked for.
        groups: names of the groups that the run prunes; None for all.
        fits: whether weights are fitted on samples; else they only say who goes, and few will do.
        on_progress: told what is being worked out and how much of it is done, between pieces of
            long work; it may raise, to give the work up.
        path: masks of the units that were left before the first step and after each one so far.
        distances: distances between units.
        study: the original on synthetic inputs, once somebody has asked for it.
        forecasts: group name -> what its removals so far change at the scores.
        trails: group name -> factorizations that follow its removals.
        redundant: a state's arrays by identity -> the state, and its units that never matter.
    """

    graph: Graph
    boxes: tuple[Box, ...]
    settings: Settings = field(default_factory=Settings)
    groups: frozenset[str] | None = None
    fits: bool = True
    on_progress: OnProgress = unheard
    path: Sequence[np.ndarray] = ()
    distances: DistanceCache = field(default_factory=DistanceCache)
    study: ActivationStudy | None = None
    forecasts: dict[str, Forecast] = field(default_factory=dict)
    trails: dict[str, Trail] = field(default_factory=dict)
    redundant: dict[tuple[int, ...], tuple[State, list[RedundantUnit]]] = field(
        default_factory=dict
    )

    @property
    def effort(self) -> Effort:
        """How much work the run may do."""
        return LEVELS[self.settings.effort]
