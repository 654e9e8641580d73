"""What a ``Pruner`` tells between its steps: who is left, how far it is, what is alike."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

from paoding.compensation.least_squares import plain_removal
from paoding.domain import Box
from paoding.errors import PlanError
from paoding.graph import Graph, State, surgery
from paoding.plan import Removal, Step
from paoding.pruning.choosing import Chooser
from paoding.pruning.context import RunContext
from paoding.pruning.history import History
from paoding.pruning.settings import Settings

if TYPE_CHECKING:
    import keras


class Standing:
    """What a run can be asked between its steps; :class:`Pruner` makes the steps.

    Attributes:
        graph: the traced original.
        settings: what was asked for, with what the model decided filled in.
        n_remove: group name -> units that it loses in the whole run.
    """

    graph: Graph
    settings: Settings
    n_remove: dict[str, int]
    _run: RunContext
    _history: History
    _chooser: Chooser
    _ends: int | None

    def _apply(self, state: State, removals: tuple[Removal, ...]) -> State:
        raise NotImplementedError

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are applied now."""
        return tuple(self._history.steps)

    @property
    def state(self) -> State:
        """Weights at original shapes and the units that are alive now."""
        return self._history.at(len(self._history.steps))

    @property
    def remaining(self) -> dict[str, int]:
        """Units left in each group that this run prunes."""
        return self._left(self._history.alive)

    def _left(self, alive: np.ndarray) -> dict[str, int]:
        return {n: int(alive[self.graph.by_name[n].ids].sum()) for n in self.n_remove}

    @property
    def progress(self) -> float:
        """Share of the whole target that is done, 0 to 1."""
        return self._progress(self._history.alive)

    def _progress(self, alive: np.ndarray) -> float:
        return min(self._gone(alive) / (self._ends or sum(self.n_remove.values())), 1.0)

    def _gone(self, alive: np.ndarray) -> int:
        return sum(int((~alive[self.graph.by_name[name].ids]).sum()) for name in self.n_remove)

    @property
    def distilled(self) -> int:
        """Steps in which the present weights were distilled; 0 before the target is reached."""
        return self._distilling(self._history.alive)

    def _distilling(self, alive: np.ndarray) -> int:
        return self.settings.distil or 0 if self._progress(alive) >= 1 else 0

    def _threads(self) -> AbstractContextManager[Any]:
        """One BLAS thread: a factorization shared by several waits for most of its time.

        Beside other work OpenBLAS's threads wait for each other a hundred times longer than one
        alone would take. And sums are rounded otherwise with another number of threads: a replay
        on another machine would differ in the last bit.
        """
        return _blas().limit(limits=1)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The domain of each input of the model."""
        return self._run.boxes

    def adopt(self, smaller: keras.Model) -> None:
        """Take over the weights that these steps once led to, instead of working them out.

        Args:
            smaller: the model that was saved after the same steps.

        Raises:
            PlanError: it is not what is left after these steps.
        """
        alive = self._history.alive
        plain = State(tuple(plain_removal(self.graph, alive)), alive)
        try:
            state = surgery.read_back(self.graph, plain, smaller)
        except ValueError:
            raise PlanError(
                f"Model '{smaller.name}' is not what this plan leaves of "
                f"'{self.graph.model.name}': replay the plan alone."
            ) from None
        self._history.know(state)

    def after(self, removals: Iterable[Removal]) -> State:
        """The state that some more removals would lead to; the run stays where it is."""
        return self._apply(self.state, tuple(removals))

    def importances(self) -> dict[str, np.ndarray]:
        """Each group's importance now: (units,), NaN for units that are gone or stay anyway."""
        found = {}
        for name in self.n_remove:
            with self._threads():
                ranking = self._chooser.ranking(self.graph.by_name[name], self._history)
            found[name] = np.where(ranking.may_go, ranking.importance, np.nan)
        return found

    def alike(self, name: str, unit: int, count: int = 5) -> list[tuple[int, float]]:
        """Units most like this one: pairs (survivor, distance), nearest first."""
        group = self.graph.by_name[name]
        state = self._history.basis()
        distance = self._run.distances.get(group, state)[:, unit].copy()
        distance[~state.alive[group.ids]] = np.inf
        distance[unit] = np.inf
        order = np.argsort(distance, kind="stable")[:count]
        return [(int(u), float(distance[u])) for u in order if np.isfinite(distance[u])]


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()
