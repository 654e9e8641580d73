"""What the worker drives: the one pruning loop, and what is measured after each of its steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from paoding import surgery
from paoding.bounds.certificate import Certifier
from paoding.errors import ArgumentError, BoundsError
from paoding.evaluation import FGSM, evaluate
from paoding.free_units import free_units
from paoding.graph import Graph, State
from paoding.plan import Decisions, Plan, Removal, Step
from paoding.pruner import Pruner, PruningResult
from paoding.self_check import SelfCheck, quick_samples
from paoding_widgets.charts import short
from paoding_widgets.insight import Insight
from paoding_widgets.session import Measured, Moment
from paoding_widgets.settings import Settings

if TYPE_CHECKING:
    import keras

# More samples make a smoother curve and slower steps; the final evaluation takes all of them.
MAX_SAMPLES = 1000
# What takes longer than this is not worked out after each step: bounds wait for the end, and
# saliencies stay those of the step before.
SLOW_SECONDS = 2.0
# Samples of each prior in a self-check: a share is known to about four points.
CHECK_SAMPLES = 250

# FLOPs of a sample up to which a network is studied before the first step, so that the studio is
# ready within seconds: larger ones show magnitudes until then, and no search for free units.
MAX_FIRST_STUDY = 2_000_000


class Meter:
    """Accuracy and robust accuracy of a network of the original's shape under changing weights.

    One copy of the model gets each step's weights, so that nothing is compiled again.

    Args:
        graph: the traced original.
        x, y: evaluation data, as ``paoding.evaluate`` takes them.
        eps: size of the attack (FGSM), in input units.
    """

    def __init__(self, graph: Graph, x: Any, y: Any, eps: float) -> None:
        _check_measurable(graph.model, y)
        self._copy = surgery.mask(graph, graph.original)
        self._attack = FGSM(eps)
        take = np.linspace(0, len(x) - 1, min(len(x), MAX_SAMPLES)).astype(int)
        self._x, self._y = np.asarray(x)[take], np.asarray(y)[take]

    def measure(self, weights: Sequence[np.ndarray]) -> Measured:
        """Evaluate the network with these weights, in the order of ``model.weights``."""
        self._copy.set_weights(list(weights))
        report = evaluate(self._copy, self._x, self._y, attacks=[self._attack], latency=False)
        return Measured(report.accuracy, float(report.robust_accuracy or 0.0), report.samples)


def _check_measurable(model: keras.Model, y: Any) -> None:
    """Accuracy is for classifiers of one input and one output; others are pruned without data."""
    without = "leave data out, and it is pruned all the same."
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ArgumentError(
            f"Accuracy is measured of one output for one input, and '{model.name}' has "
            f"{len(model.outputs)} for {len(model.inputs)}: {without}"
        )
    labels = np.asarray(y)
    if labels.dtype.kind == "f" and labels.size == len(labels) and (labels % 1 != 0).any():
        raise ArgumentError(
            f"The labels y hold fractions, as for a regression, and accuracy is measured of "
            f"classifiers only: {without}"
        )


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
        self.total = sum(self.pruner.quotas.values())
        self._units = sum(int(g.removable.sum()) for g in self.pruner.graph.prunable)
        self._slow: set[str] = set()
        self._meter = None if data is None else Meter(self.pruner.graph, *data, eps)
        self._background = self.insight.magnitudes(self.pruner.state)
        self._quick = self.insight.cost(self.pruner.state).flops <= MAX_FIRST_STUDY

    def first(self) -> Moment:
        """The original."""
        return replace(self._moment(None), free=self._free())

    def _free(self) -> dict[str, dict[int, str]]:
        """Units that provably never matter over the domain, by group."""
        pruner = self.pruner
        found: dict[str, dict[int, str]] = {}
        if not self._quick:
            return found
        # A layer without a rule for bounds: then nothing is known to be free.
        with suppress(BoundsError):
            for unit in free_units(pruner.graph, pruner.state, pruner.boxes):
                found.setdefault(unit.group, {})[unit.unit] = unit.why
        return found

    def advance(self) -> Moment | None:
        """Take one step and measure; None where the target is reached, or it was given up."""
        self.pruner.resume()
        step = next(self.pruner, None)
        return None if step is None else self._moment(step)

    def give_up(self) -> None:
        """Give up the step that is being decided; callable from any thread."""
        self.pruner.stop()

    def undo(self) -> bool:
        """Take the last step back."""
        return self.pruner.undo() is not None

    def redo(self) -> bool:
        """Take a step again that was taken back."""
        return self.pruner.redo() is not None

    def replay(self, plan: Plan, decisions: Sequence[Decisions]) -> list[Moment]:
        """Apply a plan's steps, and measure each; the decisions that led to them come along."""
        moments = [self.first()]
        for removals, decided in zip(plan.steps, decisions, strict=True):
            step = self.pruner.apply(removals)
            moments.append(self._moment(replace(step, decisions=decided)))
        return moments

    def catch_up(self, moments: Sequence[Moment]) -> list[Moment]:
        """Apply the steps of another run's moments; what was measured there still holds."""
        for moment in moments[1:]:
            assert moment.step is not None
            self.pruner.apply(moment.step.removals)
        return list(moments)

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
            "alike": [{"unit": other, "saliency": distance} for other, distance in alike],
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
            value = f"accuracy {now.accuracy:.1%} → {then.accuracy:.1%}"
            facts.append({"label": "If it went", "value": value, "tag": "estimated"})
        return facts

    def _moment(self, step: Step | None) -> Moment:
        state = self.pruner.state
        gone = sum(int((~state.alive[g.ids]).sum()) for g in self.pruner.graph.prunable)
        moment = Moment(
            step=step,
            saliency=self._saliencies(study=self._quick or step is not None),
            parameters=self.insight.parameters(state),
            cost=self.insight.cost(state),
            measured=None if self._meter is None else self._meter.measure(self.pruner.weights()),
            share=gone / max(1, self._units),
            distilled=self.pruner.distilled,
        )
        if step is None:
            return moment
        if "bounds" in self._slow and step.progress < 1:
            return replace(moment, bound_note="slow for this model: worked out at the end")
        return self._bounded(moment, step)

    def _saliencies(self, study: bool) -> dict[str, np.ndarray]:
        """The pruner's saliencies; groups that it does not prune show their magnitudes."""
        if study and "saliency" not in self._slow:
            started = time.perf_counter()
            self._background = {**self._background, **self.pruner.saliencies()}
            if time.perf_counter() - started > SLOW_SECONDS:
                self._slow.add("saliency")
        alive = self.pruner.state.alive
        by_name = self.pruner.graph.by_name
        return {
            name: np.where(alive[by_name[name].ids], values, np.nan)
            for name, values in self._background.items()
        }

    def _bounded(self, moment: Moment, step: Step) -> Moment:
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
