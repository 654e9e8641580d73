"""``Impact``: of the least salient candidates, those that move the outputs least go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from paoding.bounds.scoring import Deltas
from paoding.strategies.base import POOL, ByEnergy, SelectionContext, fill_by_importance


@dataclass(frozen=True)
class Impact(ByEnergy):
    """Take a pool of twice ``n_remove`` by importance, then the least energy, one by one.

    Each candidate's change is added to what this step has already removed from the group.

    Args:
        alpha, beta: weights of amount and evenness in the energy.
        energy: "estimated" (default), "log" or "paper".

    Source: arXiv 2204.00783, section IV-C ("impact").

    >>> Impact(alpha=0.5, beta=0.5)
    Impact(alpha=0.5, beta=0.5, energy='estimated')
    """

    name: ClassVar[str] = "impact"
    summary: ClassVar[str] = "what moves the outputs least, without chance"

    def _choose(self, context: SelectionContext) -> None:
        pool = context.ranking.order()[: POOL * context.n_remove]
        into, deltas = context.ranking.survivors(pool), self._deltas(context, pool)
        base: Deltas | None = None
        scores: dict[str, np.ndarray] = {}
        while len(context.chosen) < context.n_remove:
            if not len(pool):
                fill_by_importance(context, "least important, the pool being empty")
                return
            scores = self._scores(context, pool, None if deltas is None else deltas.plus(base))
            best = int(np.argmin(scores["energy"]))
            picked = {name: value[best] for name, value in scores.items()}
            context.note(pool[best], "removed", "least energy in the pool", **picked)
            context.energies.append(float(picked["energy"]))
            context.take(int(pool[best]))
            if deltas is not None:
                base = deltas[np.array([best])].plus(base)
            keep = context.ranking.may_go[pool]
            pool, into = pool[keep], into[keep]
            deltas = None if deltas is None else deltas[keep]
            scores = {name: value[keep] for name, value in scores.items()}
            if (
                context.ranking.survivors(pool) != into
            ).any():  # somebody's survivor is another now
                into, deltas = context.ranking.survivors(pool), self._deltas(context, pool)
        if len(pool):
            context.note(pool, "rejected", "higher energy", **scores)
