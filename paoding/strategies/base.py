"""What a strategy sees when it is one group's turn to lose units, and how it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from paoding.bounds.scoring import DEFAULT_BUDGET, EVENNESS_BUDGET
from paoding.criteria import PLAIN, Ranking
from paoding.criteria.energy import Energy, amount, evenness, get
from paoding.errors import BoundsError
from paoding.graph import Group, State

if TYPE_CHECKING:
    from paoding.bounds.scoring import Deltas, Scorer

SIGMAS = 2.0  # half the width of an estimated interval, in standard deviations
POOL = 2  # candidates considered, as a multiple of those to remove (paper, section IV-C)


@dataclass(eq=False)
class SelectionContext:
    """One group's turn in one step.

    Args:
        group: the group that loses units.
        n_remove: how many.
        ranking: who may go, into whom, at what importance.
        scorer: gives the changes of the outputs, for strategies that ask.
        rng: of this turn alone.
        progress: share of the group's units already gone, 0 to 1.
        once: whether a survivor takes only one unit (non-recursive mode).
    """

    group: Group
    n_remove: int
    ranking: Ranking
    scorer: Scorer
    rng: np.random.Generator
    progress: float
    once: bool = False
    foresee: Callable[[Ranking], Ranking] = lambda ranking: ranking
    chosen: list[tuple[int, int]] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)
    blind: str = ""  # why no interval can be had, once that is known

    def take(self, unit: int) -> int:
        """Remove a unit into its present survivor; returns the survivor or ``PLAIN``."""
        into = self.ranking.take(unit, self.once)
        self.chosen.append((unit, into))
        return into

    def note(self, units: Any, verdict: str, reason: str, **columns: Any) -> None:
        """Write candidates into the log, before they are taken."""
        units = np.atleast_1d(np.asarray(units, dtype=np.int64))
        row = {
            "group": self.group.name,
            "unit": units,
            "into": self.ranking.survivors(units),
            "importance": self.ranking.shown(units),
            "verdict": verdict,
            "reason": reason,
        }
        self.log.append({**row, **columns})

    def deltas(self, units: np.ndarray, into: np.ndarray) -> Deltas:
        """What each candidate changes where the group is read.

        Certified intervals, or estimated ones (two standard deviations) where the compensation
        tells how much a unit leaves missing.

        Raises:
            BoundsError: a layer has no rule, or the work would be too much.
        """
        spread = self.ranking.spread(units)
        half = None if spread is None else SIGMAS * spread
        return self.scorer.deltas(self.group, units, into, half)


class Strategy(Protocol):
    """Who goes next: fills ``context.chosen`` and ``context.log``.

    Attributes:
        name: by which it is asked for.
        summary: what it does, in a sentence for people who choose.
        weighs: whether it has an energy with weights ``alpha`` and ``beta``.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    weighs: ClassVar[bool] = False

    def rank(self, group: Group, state: State, may_go: np.ndarray) -> Ranking | None:
        """Candidates by an importance of the strategy's own; None: by the compensation's."""
        return None

    def choose(self, context: SelectionContext) -> None:
        """Take ``context.n_remove`` units, or fewer where no more may go."""
        ...


def fill_by_importance(context: SelectionContext, reason: str) -> None:
    """Take the rest of ``n_remove`` by rising importance, and log who went."""
    ranking = context.ranking
    wanted = context.n_remove - len(context.chosen)
    if not ranking.changes:
        units = ranking.order()[:wanted]
        context.note(units, "removed", reason)
        for unit in units:
            context.take(int(unit))
        return
    while wanted and ranking.may_go.any():
        unit = int(np.where(ranking.may_go, ranking.importance, np.inf).argmin())
        context.note(unit, "removed", reason)
        context.take(unit)
        wanted -= 1


def log_runners_up(context: SelectionContext, reason: str) -> None:
    """Log the candidates that the pool held beside those that went."""
    rest = context.ranking.order()[: max(POOL * context.n_remove - len(context.chosen), 0)]
    if len(rest):
        context.note(rest, "not reached", reason)


@dataclass(frozen=True)
class ByEnergy(Strategy):
    """What strategies that look at the outputs share: the energy, and what to do without one."""

    weighs: ClassVar[bool] = True

    alpha: float = 0.75
    beta: float = 0.25
    energy: str | Energy = "estimated"

    def __post_init__(self) -> None:
        get(self.energy, self.alpha, self.beta)

    @property
    def interval_budget(self) -> float:
        """Multiply-adds that intervals of one group's candidates may take in a step."""
        return EVENNESS_BUDGET if self.energy == "estimated" else DEFAULT_BUDGET

    def choose(self, context: SelectionContext) -> None:
        """Take ``n_remove`` by energy; without intervals by importance, and say so."""
        if self.energy == "estimated":
            context.ranking = context.foresee(context.ranking)
        elif self.energy == "log":
            context.ranking = screened(context)
        try:
            self._choose(context)
        except BoundsError as error:
            fill_by_importance(context, f"least important, since no energy can be had: {error}")
            log_runners_up(context, "more important")

    def _choose(self, context: SelectionContext) -> None:
        raise NotImplementedError

    def _rises(self, context: SelectionContext, units: np.ndarray) -> np.ndarray | None:
        """What each candidate adds to the change of the scores, where that is estimated."""
        if self.energy != "estimated" or not context.ranking.estimates:
            return None
        return context.ranking.importance[units]

    def _deltas(self, context: SelectionContext, units: np.ndarray) -> Deltas | None:
        """What each candidate changes where the group is read; None: estimates must do.

        Raises:
            BoundsError: there is neither an interval nor an estimate.
        """
        if context.blind:
            return None
        try:
            return context.deltas(units, context.ranking.survivors(units))
        except BoundsError as error:
            self._give_up(context, units, error)
            return None

    def _scores(
        self, context: SelectionContext, units: np.ndarray, deltas: Deltas | None
    ) -> dict[str, np.ndarray]:
        """Amount, evenness and energy of candidates, (C,) each.

        The amount is the rise of the scores' mean squared change where that is estimated, else
        the summed width of the outputs' intervals; the evenness is that of the intervals, and 0
        where there is none.
        """
        rises = self._rises(context, units)
        even = np.zeros(len(units))
        if deltas is not None:
            try:
                lower, upper = context.scorer.propagate(context.group, deltas)
                even = evenness(lower, upper)
            except BoundsError as error:
                self._give_up(context, units, error)
            else:
                rises = amount(lower, upper) if rises is None else rises
        assert rises is not None
        return self._weighed(rises, even)

    def _renewed(
        self, context: SelectionContext, units: np.ndarray, scores: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Scores after a removal, which changes what the candidates that are left would add."""
        left = context.ranking.may_go[units]
        rises = self._rises(context, units[left])
        if rises is not None:
            for name, value in self._weighed(rises, scores["evenness"][left]).items():
                scores[name][left] = value
        return scores

    def _weighed(self, rises: np.ndarray, even: np.ndarray) -> dict[str, np.ndarray]:
        amounts = np.maximum(rises, 0.0)  # where errors cancel, a removal is free
        energies = get(self.energy, self.alpha, self.beta)(amounts, even)
        return {"amount": amounts, "evenness": even, "energy": energies}

    def _give_up(self, context: SelectionContext, units: np.ndarray, error: BoundsError) -> None:
        if self._rises(context, units) is None:
            raise error
        context.blind = str(error)


def screened(context: SelectionContext) -> Ranking:
    """The candidates by a sound bound of what each pair changes, where all pairs can be bounded.

    Source: ``docs/method.md``, section 3 (all pairs at once).
    """
    below = context.ranking
    if below.pairs is None or below.may_survive is None or below.alone is not None:
        return below
    try:
        bounds = context.scorer.screen(context.group)
    except BoundsError:
        return below
    if bounds is None:
        return below
    return Ranking.of_pairs(bounds.T, below.may_go, below.may_survive, logged=below.pairs)


__all__ = [
    "PLAIN",
    "ByEnergy",
    "Energy",
    "SelectionContext",
    "Strategy",
    "fill_by_importance",
    "log_runners_up",
]
