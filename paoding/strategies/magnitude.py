"""``Magnitude``: the smallest filters or units go (the paper's "scale")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from paoding.criteria import Ranking, magnitude
from paoding.graph import Group, State
from paoding.strategies.base import SelectionContext, Strategy, fill_by_importance, log_runners_up


@dataclass(frozen=True)
class Magnitude(Strategy):
    """Remove the units with the smallest mean absolute weight, without a survivor.

    Source: arXiv 2204.00783, section IV-B ("scale").

    >>> Magnitude()
    Magnitude()
    """

    name: ClassVar[str] = "magnitude"
    summary: ClassVar[str] = "the smallest weights"

    def rank(self, group: Group, state: State, may_go: np.ndarray) -> Ranking:
        return Ranking.plain(magnitude(group, state), may_go)

    def choose(self, context: SelectionContext) -> None:
        """Take ``n_remove`` by rising magnitude."""
        fill_by_importance(context, "smallest mean absolute weight")
        log_runners_up(context, "larger weights")
