"""Who goes in the next step: each group's candidates ranked, and the strategy's choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from paoding.bounds.scoring import DEFAULT_BUDGET, Scorer
from paoding.compensation import Compensation
from paoding.criteria import PLAIN, Ranking
from paoding.graph import Group, State
from paoding.plan import Removal
from paoding.pruning.context import RunContext
from paoding.pruning.history import History
from paoding.strategies import SelectionContext, Strategy


@dataclass(frozen=True, eq=False)
class Choice:
    """What goes in one step, with what is logged of it.

    Args:
        removals: in the order in which they were taken.
        log: blocks of decisions, as columns.
        energy: mean energy of what goes; None where there is none.
    """

    removals: tuple[Removal, ...]
    log: list[dict[str, Any]]
    energy: float | None


class Chooser:
    """Decides one step after another for a run.

    Args:
        run: graph, boxes, settings and what the run's parts remember for each other.
        strategy: who goes.
        compensation: what survivors take over, which says what a candidate costs.
        n_remove: group name -> units that it loses in the whole run.
    """

    def __init__(
        self,
        run: RunContext,
        strategy: Strategy,
        compensation: Compensation,
        n_remove: Mapping[str, int],
    ) -> None:
        self._run = run
        self._strategy = strategy
        self._compensation = compensation
        self._n_remove = n_remove
        self._merges_once = not run.settings.recursive and compensation.merges
        self._scored: Scorer | None = None

    def choose(self, history: History) -> Choice:
        """What the next step removes; nothing where every group has lost what it is to lose."""
        selections = self._selections(history)
        for selection in selections:
            self._strategy.choose(selection)
        energies = [energy for selection in selections for energy in selection.energies]
        return Choice(
            tuple(
                self._removal(selection.group, unit, into)
                for selection in selections
                for unit, into in selection.chosen
            ),
            [block for selection in selections for block in selection.log],
            float(np.mean(energies)) if energies else None,
        )

    def ranking(self, group: Group, history: History) -> Ranking:
        """A group's candidates now, with the importance that the compensation gives them."""
        state = history.basis()
        alive = state.alive[group.ids]
        may_go, may_survive = alive & group.removable, alive.copy()
        if self._merges_once:
            taken = [r.into for r in history.removals(group.name) if r.into is not None]
            may_go[taken] = False
            may_survive[taken] = False
        own = self._own_ranking(group, state, may_go)
        if own is not None:
            return own
        self._run.path = history.path
        return self._compensation.rank(self._run, group, state, may_go, may_survive)

    def _own_ranking(self, group: Group, state: State, may_go: np.ndarray) -> Ranking | None:
        rank = getattr(self._strategy, "rank", None)  # what is passed as an object may have none
        return None if rank is None else rank(group, state, may_go)

    def _selections(self, history: History) -> list[SelectionContext]:
        settings, graph = self._run.settings, self._run.graph
        scorer = self._scorer(history.basis())
        selections = []
        for place, (name, total) in enumerate(self._n_remove.items()):
            group = graph.by_name[name]
            lost = int((~history.alive[group.ids]).sum())
            wanted = min(self._at_once(group, group.units - lost), total - lost)
            if wanted <= 0:
                continue
            selections.append(
                SelectionContext(
                    group=group,
                    n_remove=wanted,
                    ranking=self.ranking(group, history),
                    scorer=scorer,
                    rng=np.random.default_rng([settings.seed, len(history.steps), place]),
                    progress=lost / group.units,
                    once=self._merges_once,
                    foresee=partial(self._foresee, group, history.removals(name)),
                )
            )
        return selections

    def _at_once(self, group: Group, left: int) -> int:
        """Units that one step takes; with ``keep`` it may be the last, and leaves a multiple."""
        settings = self._run.settings
        count = max(1, int(np.ceil(settings.step * group.units - 1e-9)))
        return count if settings.keep is None else count + (left - count) % settings.round_to

    def _foresee(self, group: Group, past: list[Removal], ranking: Ranking) -> Ranking:
        return self._compensation.foresee(self._run, group, ranking, past)

    def _removal(self, group: Group, unit: int, into: int) -> Removal:
        survivor = None if into == PLAIN else int(into)
        return Removal(group.name, int(unit), survivor, self._compensation.method(group, survivor))

    def _scorer(self, state: State) -> Scorer:
        """Scores candidates under a state; one for the whole run where the state's weights stay."""
        pathless = self._compensation.pathless
        if self._scored is None or not pathless:
            budget = getattr(self._strategy, "interval_budget", DEFAULT_BUDGET)
            graph = self._run.graph
            state = graph.original if pathless else state
            self._scored = Scorer(graph, state, self._run.boxes, budget=budget)
        return self._scored
