"""A ``Pruner`` as the studio's worker drives it, and what is measured after each step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from paoding.bounds.certificate import Certifier
from paoding.bounds.redundant import redundant_units
from paoding.errors import BoundsError
from paoding.evaluation.cost import cost
from paoding.evaluation.self_check import SelfCheck, quick_samples
from paoding.graph import State
from paoding.plan import Decisions, Plan, Removal, Step
from paoding.pruning.pruner import Pruner
from paoding.pruning.result import PruningResult
from paoding_widgets.charts.base import short
from paoding_widgets.insight import Insight
from paoding_widgets.measuring import Meter
from paoding_widgets.session import Snapshot
from paoding_widgets.settings import Settings

if TYPE_CHECKING:
    import keras

    from paoding.evaluation import Report

# What takes longer than this is not worked out after each step: bounds wait for the end, and
# importances stay those of the step before.
SLOW_SECONDS = 2.0
# Samples of each prior in a self-check: a share is known to about four points.
CHECK_SAMPLES = 250

# FLOPs of a sample up to which a network is studied before the first step, so that the studio is
# ready within seconds: larger ones show magnitudes until then, and no search for free units.
MAX_FIRST_STUDY = 2_000_000


class PrunerRun:
    """A pruner with its measurements.

    Args:
        model: the user's model; it is only read.
        settings: of the run.
        data: evaluation inputs and labels, or None.
        eps: size of the attack.
        pulse: told what long work is at, and how much of it is done.

    Raises:
        PaodingError: the model, the settings or the data do not do.
    """

    def __init__(
        self,
        model: keras.Model,
        settings: Settings,
        data: tuple[Any, Any] | None,
        eps: float,
        pulse: Callable[[str, float], None] | None = None,
    ) -> None:
        self.pruner = Pruner(model, **settings.arguments())
        self.pruner.watch = pulse
        self.settings = settings
        self.insight = Insight(self.pruner.graph)
        self.total = sum(self.pruner.n_remove.values())
        self._units = sum(int(g.removable.sum()) for g in self.pruner.graph.prunable)
        self._slow: set[str] = set()
        self._meter = None if data is None else Meter(self.pruner.graph, *data, eps)
        self._background = self.insight.magnitudes(self.pruner.state)
        self.keep: Callable[[PrunerRun], None] = lambda run: None
        self._log: list[Step] = []
        self._planned = planned_steps(self.pruner)
        self._quick = self.insight.cost(self.pruner.state).flops <= MAX_FIRST_STUDY

    def first(self) -> Snapshot:
        """The original."""
        return replace(self._snapshot(None), free=self._free())

    def _free(self) -> dict[str, dict[int, str]]:
        """Units that provably never matter over the domain, by group."""
        pruner = self.pruner
        found: dict[str, dict[int, str]] = {}
        if not self._quick:
            return found
        # A layer without a rule for bounds: then nothing is known to be free.
        with suppress(BoundsError):
            for unit in redundant_units(pruner.graph, pruner.state, pruner.boxes):
                found.setdefault(unit.group, {})[unit.unit] = unit.why
        return found

    def advance(self) -> Snapshot | None:
        """Take one step and measure; None where the target is reached, or it was given up."""
        self.pruner.resume()
        step = next(self.pruner, None)
        return None if step is None else self._taken(step)

    def by_hand(self, removal: Removal) -> Snapshot:
        """Remove one unit that a person chose, as a step of its own.

        Raises:
            PlanError: the unit cannot go now; nothing is changed.
        """
        return self._taken(self.pruner.apply([removal]))

    def method(self, group: str, into: int | None) -> str:
        """How the compensation of this run treats a unit that goes into another, or into none."""
        return self.pruner.compensation.method(self.pruner.graph.by_name[group], into)

    def _taken(self, step: Step) -> Snapshot:
        self._log = [*self._log[: len(self.pruner.steps) - 1], step]
        self.keep(self)
        return self._snapshot(step)

    @property
    def log(self) -> list[Step]:
        """The steps that are applied, with the candidates that led to them."""
        return self._log[: len(self.pruner.steps)]

    def give_up(self) -> None:
        """Give up the step that is being decided; callable from any thread."""
        self.pruner.stop()

    def undo(self) -> bool:
        """Take the last step back."""
        undone = self.pruner.undo() is not None
        self.keep(self)
        return undone

    def redo(self) -> bool:
        """Take a step again that was taken back."""
        redone = self.pruner.redo() is not None
        self.keep(self)
        return redone

    def replay(
        self, plan: Plan, decisions: Sequence[Decisions], measures: Sequence[str]
    ) -> list[Snapshot]:
        """Apply a plan's steps, and measure each; the decisions that led to them come along.

        Args:
            plan: the steps.
            decisions: of each step.
            measures: by what the candidates of each step were ordered.
        """
        snapshots = [self.first()]
        for removals, decided, measure in zip(plan.steps, decisions, measures, strict=True):
            step = self.pruner.apply(removals)
            step = replace(step, decisions=decided)
            self._log.append(step)
            snapshots.append(replace(self._snapshot(step), measure=measure))
        return snapshots

    def catch_up(self, snapshots: Sequence[Snapshot]) -> list[Snapshot]:
        """Apply the steps of another run's snapshots; what was measured there still holds."""
        for moment in snapshots[1:]:
            assert moment.step is not None
            self.pruner.apply(moment.step.removals)
            self._log.append(moment.step)
        return list(snapshots)

    def evaluation(self) -> Report | None:
        """The smaller model against the original on the data of the studio; None without."""
        return None if self._meter is None else self._meter.compare(self.pruner.model())

    @property
    def ending(self) -> str:
        """Why the run ended before its target, or an empty text."""
        return self.pruner.ending or ""

    def result(self) -> PruningResult:
        """What the steps so far have led to."""
        return self.pruner.result()

    @property
    def checks_quickly(self) -> bool:
        """Whether a self-check takes no more than seconds."""
        cost = self.insight.cost(self.pruner.graph.original)
        return quick_samples(cost.flops, CHECK_SAMPLES) > 0

    def selfcheck(self) -> SelfCheck:
        """How often the network still answers like the original, estimated without data."""
        return self.result().selfcheck(CHECK_SAMPLES)

    def latency(self) -> float | None:
        """Seconds that the smaller model takes for one sample, on this machine as it is now."""
        return cost(self.pruner.model()).latency

    def about(self, group: str, unit: int) -> dict[str, Any]:
        """What the inspector can tell of a living unit: its neighbours, what its going would do."""
        state = self.pruner.state
        of = self.pruner.graph.by_name[group]
        if not state.alive[of.ids[unit]]:
            return {"facts": [], "alike": []}
        alike = self.pruner.alike(group, unit)
        facts = [] if not of.removable[unit] else self._consequences(group, unit, alike)
        return {
            "facts": facts,
            "alike": [{"unit": other, "distance": distance} for other, distance in alike],
        }

    def _consequences(
        self, group: str, unit: int, alike: Sequence[tuple[int, float]]
    ) -> list[dict[str, str]]:
        """What removing one more unit would change: proved over the domain, and measured."""
        pruner = self.pruner
        into = alike[0][0] if alike and pruner.compensation.merges else None
        method = pruner.compensation.method(pruner.graph.by_name[group], into)
        removal = Removal(group, unit, into, method)
        before = pruner.state
        after = pruner.after([removal])
        facts = [_certified(pruner, before, after)]
        if self._meter is not None:
            weights = [after.values[pruner.graph.number(v)] for v in pruner.graph.model.weights]
            now, then = self._meter.measure(pruner.weights()), self._meter.measure(weights)
            value = f"{now.metric.name} {now.text} → {then.text}"
            facts.append({"label": "If it went", "value": value, "tag": "estimated"})
        return facts

    def _snapshot(self, step: Step | None) -> Snapshot:
        state = self.pruner.state
        gone = sum(int((~state.alive[g.ids]).sum()) for g in self.pruner.graph.prunable)
        moment = Snapshot(
            step=step,
            importance=self._importances(study=self._quick or step is not None),
            parameters=self.insight.parameters(state),
            cost=self.insight.cost(state),
            measured=None if self._meter is None else self._meter.measure(self.pruner.weights()),
            share=gone / max(1, self._units),
            distilled=self.pruner.distilled,
            measure=self.settings.measure,
            planned=self._planned,
            predicted=self._predicted(state),
        )
        if step is None:
            return moment
        if "bounds" in self._slow and step.progress < 1:
            return replace(moment, bound_note="slow for this model: worked out at the end")
        return self._bounded(moment, step)

    def _predicted(self, state: State) -> float | None:
        """Seconds by the table of a budget in milliseconds; None for any other budget."""
        pruner = self.pruner
        if pruner.settings.budget != "latency":
            return None
        left = {g.name: int(state.alive[g.ids].sum()) for g in pruner.graph.prunable}
        return float(pruner.settings.runtime.predicted(left))

    def _importances(self, study: bool) -> dict[str, np.ndarray]:
        """The pruner's importances; groups that it does not prune show their magnitudes."""
        if study and "importance" not in self._slow:
            started = time.perf_counter()
            self._background = {**self._background, **self.pruner.importances()}
            if time.perf_counter() - started > SLOW_SECONDS:
                self._slow.add("importance")
        alive = self.pruner.state.alive
        by_name = self.pruner.graph.by_name
        return {
            name: np.where(alive[by_name[name].ids], values, np.nan)
            for name, values in self._background.items()
        }

    def _bounded(self, moment: Snapshot, step: Step) -> Snapshot:
        started = time.perf_counter()
        bound = step.certificate
        if time.perf_counter() - started > SLOW_SECONDS:
            self._slow.add("bounds")
        if bound is None or bound.lower is None:
            why = "" if bound is None else bound.reason or ""
            return replace(moment, bound_note=f"no certificate: {why}")
        told = bound.scores or bound
        return replace(
            moment,
            lower=told.lower,
            upper=told.upper,
            scores=bound.scores is not None,
            certified=True,
            bound_note="",
        )


def planned_steps(pruner: Pruner) -> int:
    """Steps that the whole run takes: those of the layer that needs most of them."""
    most = 1
    for name, count in pruner.n_remove.items():
        at_once = math.ceil(pruner.settings.step * pruner.graph.by_name[name].units)
        most = max(most, math.ceil(count / max(1, at_once)))
    return most


def _certified(pruner: Pruner, before: State, after: State) -> dict[str, str]:
    """The widest change of a score, or of an output, from one state to another."""
    try:
        changes = Certifier(pruner.graph, pruner.boxes, reference=before).changes(after)
    except BoundsError as error:
        return {"label": "Outputs move", "value": f"not known: {error}"}
    what = "Outputs move" if changes.scores is None else "Scores move"
    lower, upper = changes.scores or changes.outputs
    value = f"within [{short(float(np.min(lower)))}, {short(float(np.max(upper)))}]"
    return {"label": what, "value": value, "tag": "certified"}
