"""A strategy of a user's own: chance alone decides."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from paoding.strategies import SelectionContext, Strategy, register


@register
class Lottery(Strategy):
    """Remove units at random: what any strategy has to beat."""

    name: ClassVar[str] = "lottery"
    summary: ClassVar[str] = "whoever is drawn"

    def choose(self, context: SelectionContext) -> None:
        units = np.flatnonzero(context.ranking.may_go)
        for unit in context.rng.permutation(units)[: context.n_remove]:
            context.note(unit, "removed", "its number was drawn")
            context.take(int(unit))
