"""What removals change at the scores: estimated, with the errors of what is gone counted in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paoding.compensation.sensitivity import SensitivityStats, sensitivity_of
from paoding.compensation.study import study_of
from paoding.criteria import PLAIN, Ranking, renewal
from paoding.graph import Group
from paoding.plan import Removal
from paoding.pruning.context import RunContext

FREE = -2  # stands for a survivor where a removal changes nothing


class Forecast:
    """The mean squared change of the scores that each removal from a group would add.

    Unit j stands for ``y_j`` times its outgoing weights; merged into i it stands for ``y_i``
    times them. With ``e`` the errors that all units of the group make so far, the scores change
    by ``E[e W e]`` in the mean square, ``W`` being what the outputs feel of the units. So the
    next removal counts with the errors that it cancels, and each costs one update of rank one.

    Args:
        views: how the units vary and what the outputs feel of them, one for each consumer.

    Source: ``docs/method.md``, section 3 (a Gauss-Newton estimate, as in optimal brain
    surgeon), applied to merges; estimated under the prior, never certified.

    >>> view = SensitivityStats(np.zeros(2), np.diag([1.0, 4.0]), np.eye(2), 0, centred=False)
    >>> Forecast([view]).rises(np.array([0, 1]), np.array([-1, -1]))
    array([1., 4.])
    """

    def __init__(self, views: Sequence[SensitivityStats]) -> None:
        self._views = [_View(view) for view in views]
        self.taken: tuple[tuple[int, int], ...] = ()

    def rises(self, units: np.ndarray, into: np.ndarray) -> np.ndarray:
        """Added mean squared change of each removal, (C,), negative where errors cancel.

        Args:
            units: (C,) units that may go.
            into: (C,) survivors, ``PLAIN`` for none.
        """
        return np.sum([view.rises(units, into) for view in self._views], axis=0)

    def survivors(self, units: np.ndarray, among: np.ndarray, alone: bool) -> np.ndarray:
        """The survivor with which each unit's removal adds least, (C,).

        Args:
            units: (C,) units that may go.
            among: (units,) mask of those that may survive.
            alone: whether a removal without a survivor competes.
        """
        costs = np.sum([view.table(units) for view in self._views], axis=0)
        costs[:, ~among] = np.inf
        costs[np.arange(len(units)), units] = np.inf
        best = costs.argmin(axis=1)
        found = costs[np.arange(len(units)), best]
        if alone:
            plain = self.rises(units, np.full(len(units), PLAIN))
            return np.where(plain <= found, PLAIN, best)
        return np.where(np.isfinite(found), best, PLAIN)

    def spread(self, units: np.ndarray, into: np.ndarray) -> np.ndarray:
        """Root mean square of ``y_into - y_unit``, (C,)."""
        return np.sqrt(self._views[0].apart(units, into))

    def take(self, unit: int, into: int) -> None:
        """Count a removal in."""
        for view in self._views:
            view.take(unit, into)
        self.taken += ((unit, into),)


class _View:
    """One consumer's part of a forecast."""

    def __init__(self, view: SensitivityStats) -> None:
        self._second = view.raw
        self._power = np.diag(self._second).copy()
        self._weight = view.weight.copy()  # of what each unit stands for now
        self._error = np.zeros_like(self._second)  # [j, i]: E[(what j stands for) W e y_i]

    def apart(self, units: np.ndarray, into: np.ndarray) -> np.ndarray:
        """Mean square of what changes in place of each unit."""
        kept = into != PLAIN
        other = np.where(kept, self._power[into] - 2 * self._second[units, into], 0.0)
        return np.maximum(self._power[units] + other, 0.0)

    def rises(self, units: np.ndarray, into: np.ndarray) -> np.ndarray:
        kept = np.where(into != PLAIN, self._error[units, into], 0.0)
        moved = kept - self._error[units, units]
        return 2 * moved + self.apart(units, into) * self._weight[units, units]

    def table(self, units: np.ndarray) -> np.ndarray:
        """The rise for each unit into every other: (C, units)."""
        costs = self._second[units]
        costs *= -2.0
        costs += self._power[None, :]
        costs += self._power[units, None]
        costs *= self._weight[units, units][:, None]
        costs += 2.0 * self._error[units]
        costs -= 2.0 * self._error[units, units][:, None]
        return costs

    def take(self, unit: int, into: int) -> None:
        if into != FREE:
            kept = self._second[into] if into != PLAIN else 0.0
            self._error += np.outer(self._weight[:, unit], kept - self._second[unit])
        if into >= 0:
            self._error[into] += self._error[unit]
            self._weight[into] += self._weight[unit]
            self._weight[:, into] += self._weight[:, unit]
        self._error[unit] = 0.0
        self._weight[unit] = self._weight[:, unit] = 0.0


class ForecastRanking(Ranking):
    """Candidates ranked by what their removal is estimated to change at the scores.

    The importance that is logged stays that of the ranking below; a unit's survivor is the one
    that adds least.
    """

    _below: Ranking
    _forecast: Forecast
    _since: int

    @classmethod
    def of(cls, below: Ranking, forecast: Forecast) -> ForecastRanking:
        """The candidates of another ranking, which is used up."""
        n = len(below.may_go)
        ranking = cls(
            np.full(n, np.inf),
            np.full(n, PLAIN),
            below.may_go,
            below.pairs,
            below.may_survive,
            below.alone,
            estimates=True,
        )
        ranking._below, ranking._forecast = below, forecast
        ranking._renew()
        return ranking

    @property
    def changes(self) -> bool:
        return True

    def spread(self, units: np.ndarray) -> np.ndarray:
        return self._forecast.spread(units, self.into[units])

    def shown(self, units: np.ndarray) -> np.ndarray:
        into = self.into[units]
        if self.pairs is None:
            return self._below.importance[units]
        plain = np.inf if self.alone is None else self.alone[units]
        return np.where(into == PLAIN, plain, self.pairs[into, units])

    def take(self, unit: int, once: bool) -> int:
        self._forecast.take(unit, int(self.into[unit]))
        into = super().take(unit, once)
        self._since += 1
        if self._since >= renewal(len(self.may_go)):
            self._renew()
        return into

    def _renew(self) -> None:
        self._since = 0
        self._match(np.flatnonzero(self.may_go))

    def _match(self, units: np.ndarray) -> None:
        if not len(units):
            return
        among, alone = self.may_survive, self.pairs is None or self.alone is not None
        if among is None:
            self.into[units] = PLAIN
        else:
            self.into[units] = self._forecast.survivors(units, among, alone)
        self.importance[units] = self._forecast.rises(units, self.into[units])
        if not alone:
            self.may_go[units[self.into[units] == PLAIN]] = False


def foresee(run: RunContext, group: Group, ranking: Ranking, past: Sequence[Removal]) -> Ranking:
    """The same candidates by what they change at the scores, where that can be estimated.

    Args:
        run: of the run; remembers the forecast, so that each removal is counted once.
        ranking: by importance; it is used up.
        past: the group's removals so far, in order.
    """
    views = sensitivity_of(study_of(run), group)
    if not views:
        return ranking
    taken = tuple((r.unit, _end(r)) for r in past)
    forecast = run.forecasts.get(group.name)
    if forecast is None or taken[: len(forecast.taken)] != forecast.taken:
        forecast = run.forecasts[group.name] = Forecast(views)
    for unit, into in taken[len(forecast.taken) :]:
        forecast.take(unit, into)
    return ForecastRanking.of(ranking, forecast)


def _end(removal: Removal) -> int:
    """Where a removal's weights went in a forecast's terms."""
    if removal.method == "lossless":
        return FREE
    return PLAIN if removal.into is None or removal.method == "none" else removal.into
