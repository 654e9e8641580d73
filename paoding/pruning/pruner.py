"""The one pruning loop: an iterator of steps that can be taken back, and its result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from paoding import compensation as compensations
from paoding import strategies
from paoding.bounds.certificate import Certificate, Method
from paoding.compensation import Compensation, redundant
from paoding.compensation.base import gone
from paoding.compensation.constraints import projected
from paoding.compensation.distillation import distilled
from paoding.domain import Domain
from paoding.domain.box import compact
from paoding.errors import PlanError
from paoding.graph import Graph, State, surgery
from paoding.plan import Decisions, Plan, Removal, Step
from paoding.pruning.allocation import allocate
from paoding.pruning.choosing import Chooser
from paoding.pruning.context import RunContext
from paoding.pruning.history import History
from paoding.pruning.keeping import Judge, LookAhead
from paoding.pruning.preparing import prepare
from paoding.pruning.records import certificate_of, fits_of, planned, strategy_in_plan
from paoding.pruning.result import PruningResult
from paoding.pruning.settings import Settings, as_settings
from paoding.pruning.standing import Standing
from paoding.pruning.validity import check_plan, check_removals, fingerprint
from paoding.strategies import Strategy
from paoding.synthetic.calibration import fitted_on

if TYPE_CHECKING:
    import keras


class _Abandoned(Exception):  # noqa: N818, no fault
    """A step was given up while it was being decided."""


class Pruner(Standing):
    """Prune a model step by step; iterate over it, and stop, undo or branch between steps.

    The arguments are those of :func:`prune`. Set ``watch`` to a function that is to be told what
    long work is at, and how much of it is done: ``watch("studying synthetic inputs", 0.5)``.

    >>> import keras, paoding
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu", name="hidden"),
    ...                           keras.layers.Dense(2, name="scores")])
    >>> pruner = paoding.Pruner(model, target=0.5, step=0.25, strategy="saliency",
    ...                         compensation="merge")
    >>> [step.remaining["hidden"] for step in pruner]
    [6, 4]
    >>> pruner.undo().index, pruner.remaining
    (2, {'hidden': 6})
    """

    def __init__(
        self,
        model: keras.Model | Graph,
        *,
        target: float | None = None,
        target_latency: float | None = None,
        step: float = Settings.step,
        strategy: str | Strategy | None = None,
        compensation: str | Compensation = "least-squares",
        domain: Domain | None = None,
        seed: int = Settings.seed,
        recursive: bool = Settings.recursive,
        targets: Mapping[str, float] | None = None,
        locked: str | Iterable[str] = (),
        round_to: int = Settings.round_to,
        floor: int = Settings.floor,
        inexact: bool = Settings.inexact,
        prior: Any = Settings.prior,
        calibration: Any = Settings.calibration,
        samples: int | None = Settings.samples,
        bounds: Method = Settings.bounds,
        allocation: str = Settings.allocation,
        budget: str = Settings.budget,
        lossless_first: bool = Settings.lossless_first,
        distil: int | None = Settings.distil,
        keep: float | None = Settings.keep,
        ends: int | None = Settings.ends,
        runtime: Any = Settings.runtime,
        effort: str = Settings.effort,
    ) -> None:
        settings = as_settings(
            targets,
            locked,
            target=target,
            target_latency=target_latency,
            step=step,
            seed=seed,
            recursive=recursive,
            round_to=round_to,
            floor=floor,
            inexact=inexact,
            prior=prior,
            calibration=calibration,
            samples=samples,
            bounds=bounds,
            allocation=allocation,
            budget=budget,
            lossless_first=lossless_first,
            distil=distil,
            keep=keep,
            ends=ends,
            runtime=runtime,
            effort=effort,
        )
        self.strategy = strategies.get(strategy)
        self.compensation = compensations.get(compensation)
        ready = prepare(model, domain, self.compensation, settings)
        self.graph, self.settings, self._assumed = ready.graph, ready.settings, ready.assumed
        self.watch: Callable[[str, float], None] | None = None
        self._stopped = self._deciding = self._tuning = self._untuned = False
        self._run = RunContext(
            self.graph,
            ready.boxes,
            self.settings,
            groups=frozenset(ready.n_remove),
            fits=self.compensation.pathless,
            on_progress=self._on_progress,
        )
        self.n_remove = ready.n_remove
        with self._threads():
            spent = allocate(self._run, ready.n_remove)
        self.n_remove = spent.n_remove
        if spent.costs is not None:
            self.settings = replace(self.settings, runtime=spent.costs)
        self._chooser = Chooser(self._run, self.strategy, self.compensation, spent.n_remove)
        self._ends = ends
        self._ahead = None if keep is None else LookAhead(Judge(self._run), keep)
        self._history = History(self.graph.original, self._reach, self.compensation.pathless)

    # -- what it would take to do it again ---------------------------------------------------

    @property
    def plan(self) -> Plan:
        """The removals so far, with the settings."""
        return Plan(
            tuple(step.removals for step in self._history.steps), self.described, self.fingerprint
        )

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the model that a plan belongs to."""
        return fingerprint(self.graph)

    @property
    def described(self) -> dict[str, Any]:
        """The settings as plain values."""
        known = self._described
        return {**known, "options": {**known["options"], "ends": self._ends}}

    @cached_property
    def _described(self) -> dict[str, Any]:
        return {
            **self.settings.described(),
            "strategy": strategy_in_plan(self.strategy),
            "compensation": self.compensation.name,
            "domain": [box.to_dict() for box in compact(self.boxes)],
        }

    @property
    def prior(self) -> str | None:
        """What was assumed of the inputs, and which synthetic ones were drawn; None for neither."""
        study = self._run.study
        if study is None:
            return self._assumed or None
        steps = self.settings.distil or 0
        end = f"At the target all survivors are distilled on such inputs ({steps} steps)."
        said = (self._assumed, study.chosen.sentence, study.note, end if steps else "")
        return " ".join(filter(None, said))

    # -- the loop -----------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Step]:
        return self

    def __next__(self) -> Step:
        if self._stopped:
            raise StopIteration
        self._deciding = True
        try:
            with self._threads():
                return self._next()
        except _Abandoned:
            raise StopIteration from None
        finally:
            self._deciding = False

    def _on_progress(self, what: str, share: float) -> None:
        """Between pieces of long work: tell the watcher, and give up a step after a stop."""
        if self.watch is not None:
            self.watch(what, share)
        if self._stopped and (self._deciding or (self._tuning and self._untuned)):
            raise _Abandoned

    def _advance(self) -> Step:
        started = time.perf_counter()
        if self._ends is not None and self._gone(self._history.alive) >= self._ends:
            raise StopIteration
        if self.settings.lossless_first and not self._history.steps:
            found = redundant.redundant_in(self._run, self._history.basis())
            found = [unit for unit in found if unit.group in self.n_remove]
            if found:
                removals = redundant.removals_of(found)
                log = {**planned(removals), "reason": redundant.reasons(found)}
                return self._commit(removals, [log], None, started)
        choice = self._chooser.choose(self._history)
        if not choice.removals:
            raise StopIteration
        return self._commit(choice.removals, choice.log, choice.energy, started)

    def _next(self) -> Step:
        """The next step; with ``keep``, one after which answers still agree often enough."""
        ahead = self._ahead
        if ahead is None:
            return self._advance()
        if self._ends is None and len(self._history.steps) >= ahead.good:
            end = ahead.look(self._history, self._advance, lambda: self.state)
            self._ends = None if end is None else self._gone(end)
        step = self._history.redo() if len(self._history.steps) < ahead.good else None
        return self._advance() if step is None else step

    @property
    def ending(self) -> str | None:
        """Why the run ended before its target, in a sentence; None where it did not."""
        return None if self._ahead is None else self._ahead.ending

    def _apply(self, state: State, removals: tuple[Removal, ...]) -> State:
        """The state after some removals."""
        with self._threads():
            return redundant.apply(self.compensation, self._run, state, removals)

    def _reach(self, state: State, removals: tuple[Removal, ...]) -> State:
        """The state after a step: where that was the last one, survivors are distilled."""
        after = self._apply(state, removals)
        steps = self._distilling(after.alive)
        if steps:
            after = self._distilled(after, steps)
        return projected(self.graph, after)

    def _distilled(self, state: State, steps: int) -> State:
        """The survivors tuned together; or as they are, where that is given up."""
        self._tuning = True
        try:
            with self._threads():
                return distilled(self._run, state, steps)
        except _Abandoned:
            self.settings = self._run.settings = replace(self.settings, distil=0)
            self.__dict__.pop("_described", None)
            return state
        finally:
            self._tuning = False

    def _commit(
        self,
        removals: tuple[Removal, ...],
        log: list[dict[str, Any]],
        energy: float | None,
        started: float,
    ) -> Step:
        basis = self._history.basis()
        alive = gone(self.graph, basis, removals)
        after = None
        if not self.compensation.pathless:
            after = self._reach(basis, removals)
        index = len(self._history.steps) + 1
        step = Step(
            index=index,
            removals=removals,
            decisions=Decisions.of([{"step": index, **block} for block in log]),
            remaining=self._left(alive),
            progress=self._progress(alive),
            energy=energy,
            seconds=time.perf_counter() - started,
            _bound=self._certifier((*self.plan.steps, removals)),
        )
        self._history.add(step, alive, after)
        return step

    def _certifier(self, path: tuple[tuple[Removal, ...], ...]) -> Callable[[], Certificate]:
        """Certifies what a path of steps leads to against the original, when it is asked for."""
        return partial(certificate_of, self._run, path, lambda: self._state_of(path))

    def _state_of(self, path: tuple[tuple[Removal, ...], ...]) -> State:
        """The state at the end of a path, the present one or one that was left for a branch."""
        if tuple(s.removals for s in self._history.steps[: len(path)]) == path:
            return self._history.at(len(path))
        return self._history.along(self.graph.original, path)

    # -- back, forth and away -----------------------------------------------------------------

    def undo(self) -> Step | None:
        """Take the last step back; returns it, or None where there is none."""
        return self._history.undo()

    def redo(self) -> Step | None:
        """Apply the step that was taken back last; returns it, or None."""
        return self._history.redo()

    def stop(self, *, distillation: bool = False) -> None:
        """End the iteration, from any thread; :meth:`result` still works.

        A step that is being decided is given up at the next piece of work, and nothing of it
        is left; after :meth:`resume` it is decided anew, with the same outcome.

        Args:
            distillation: whether to give that up as well, as if ``distil=0`` had been asked for;
                else it is finished first.
        """
        self._stopped = True
        self._untuned = distillation

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` was called, and :meth:`resume` not since."""
        return self._stopped

    def resume(self) -> None:
        """Let the iteration go on after :meth:`stop`."""
        self._stopped = False

    def apply(self, removals: Iterable[Removal]) -> Step:
        """Apply removals that were decided elsewhere (a plan, a person) as one step.

        Raises:
            PlanError: a removal is not possible now; nothing is changed.
        """
        removals = tuple(removals)
        started = time.perf_counter()
        index = len(self._history.steps) + 1
        check_removals(self.graph, self._history.alive, removals, index)
        log = [planned(removals)] if removals else []
        step = self._commit(removals, log, None, started)
        if self._ahead is not None:
            self._ahead.good = 0  # what had been looked at ahead is no more
        return step

    def fast_forward(self, plan: Plan) -> None:
        """Apply every step of a plan after the present one (resume a saved run).

        Raises:
            PlanError: the plan belongs to another model, or cannot be applied.
        """
        check_plan(plan)
        if plan.fingerprint != self.fingerprint:
            raise PlanError(
                f"The plan belongs to another model than '{self.graph.model.name}' (its "
                "fingerprint differs); load the model that it was made for."
            )
        for removals in plan.steps:
            self.apply(removals)

    # -- what comes out -----------------------------------------------------------------------

    def model(self) -> keras.Model:
        """The smaller model as it stands now."""
        return surgery.cut(self.graph, self.state)

    def masked(self) -> keras.Model:
        """A model of the original's shape that computes the same as :meth:`model`."""
        return surgery.mask(self.graph, self.state)

    def weights(self) -> list[np.ndarray]:
        """Weights of :meth:`masked`, in the order of ``model.weights``."""
        values = self.state.values
        return [values[self.graph.number(v)] for v in self.graph.model.weights]

    def result(self) -> PruningResult:
        """What the steps so far have led to."""
        return PruningResult(
            graph=self.graph,
            state=self.state,
            plan=self.plan,
            steps=self.steps,
            prior=self.prior,
            ending=self.ending,
            fitted_on=fitted_on(self.settings.calibration),
            assumed=self._assumed or None,
            fits=fits_of(self._run),
            domain=self.boxes,
            _certify=self._certifier(self.plan.steps),
        )
