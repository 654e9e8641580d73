"""A compensation of a user's own: the nearest survivor takes over half of a unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paoding.compensation import Merge, register
from paoding.graph import State
from paoding.plan import Removal
from paoding.pruning.context import RunContext


@register
class Fading(Merge):
    """``V_i <- V_i + V_j / 2``."""

    name = "fading"
    summary = "the most similar unit, by half"
    formula = r"The survivor takes over half: \(V_i \leftarrow V_i + V_j / 2\)."

    def apply(self, run: RunContext, state: State, removals: Sequence[Removal]) -> State:
        whole = super().apply(run, state, removals)
        alone = [Removal(r.group, r.unit, None, "none") for r in removals]
        none = super().apply(run, state, alone)
        half = {
            number: ((a.astype(np.float64) + b) / 2).astype(a.dtype)
            for number, (a, b) in enumerate(zip(whole.values, none.values, strict=True))
            if a is not b
        }
        return whole.replace(half, whole.alive)
