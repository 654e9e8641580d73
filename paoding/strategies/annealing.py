"""``Annealing``: a walk by rising importance that sometimes accepts a worse candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from paoding.strategies.base import ByEnergy, SelectionContext, log_runners_up

HOT = 1.0001  # temperature before anything is removed (paper, section IV-D)
_WINDOW = 256  # least salient candidates that one walk looks at, scored in one batch
_MAX_WALKS = 100  # then the rest is accepted in order: the walk must end


@dataclass(frozen=True)
class Annealing(ByEnergy):
    """Walk the candidates by rising importance; accept better ones, and worse ones by chance.

    A candidate is accepted if its energy is at most that of the last accepted one, else with
    probability ``exp(-(E - E*) / T)``, ``T = 1.0001 - progress``.

    Args:
        alpha, beta: weights of amount and evenness in the energy.
        energy: "estimated" (default), "log" or "paper".

    Source: arXiv 2204.00783, section IV-D ("stochastic").

    >>> Annealing()
    Annealing(alpha=0.75, beta=0.25, energy='estimated')
    """

    name: ClassVar[str] = "annealing"
    summary: ClassVar[str] = "what moves the outputs least, searched with chance"

    def _choose(self, context: SelectionContext) -> None:
        temperature = HOT - context.progress
        last = np.inf
        estimated = self._rises(context, context.ranking.order()) is not None
        for walk in range(_MAX_WALKS):
            units = context.ranking.order()[: max(_WINDOW, 2 * context.n_remove)]
            if not len(units):
                return
            into = context.ranking.survivors(units)
            scores = self._scores(context, units, self._deltas(context, units))
            for k, unit in enumerate(units):
                if len(context.chosen) == context.n_remove:
                    log_runners_up(context, "enough others had gone by then")
                    return
                if not context.ranking.may_go[unit]:
                    continue
                if not estimated and context.ranking.survivors(units[k : k + 1]) != into[k]:
                    continue  # its own survivor went: the next walk
                energy = scores["energy"][k]
                worse = energy - last
                chance = 1.0 if worse <= 0 else float(np.exp(-worse / temperature))
                accepted = worse <= 0 or context.rng.random() < chance or walk == _MAX_WALKS - 1
                row = {name: value[k] for name, value in scores.items()}
                row |= {"temperature": temperature, "probability": chance}
                if not accepted:
                    context.note(unit, "rejected", "worse than the last accepted", **row)
                    continue
                reason = "no worse than the last accepted" if worse <= 0 else "worse, by chance"
                context.note(unit, "removed", reason, **row)
                context.energies.append(float(energy))
                context.take(int(unit))
                last = energy
                scores = self._renewed(context, units, scores)
