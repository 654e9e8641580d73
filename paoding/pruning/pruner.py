"""The one pruning loop: an iterator of steps that can be taken back, and its result."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import is_dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

from paoding import compensation as compensations
from paoding import strategies
from paoding.bounds.certificate import Certificate, Certifier, Method
from paoding.compensation import Compensation, redundant
from paoding.compensation.base import gone
from paoding.compensation.constraints import constrained, projected
from paoding.compensation.distillation import affordable, distilled
from paoding.criteria import PLAIN, products
from paoding.domain import Box, Domain
from paoding.domain.box import compact
from paoding.errors import ArgumentError, BoundsError, PlanError
from paoding.files.models import check_weights
from paoding.graph import Graph, State, surgery, trace
from paoding.graph.keras_internals import require_tensorflow
from paoding.plan import Decisions, Plan, Removal, Step
from paoding.pruning.allocation import allocate
from paoding.pruning.choosing import Chooser
from paoding.pruning.context import RunContext
from paoding.pruning.history import History
from paoding.pruning.keeping import Judge
from paoding.pruning.locks import holding
from paoding.pruning.result import PruningResult
from paoding.pruning.settings import (
    FURTHEST,
    OWN,
    Settings,
    as_settings,
    check_memory,
    plain,
    quotas,
)
from paoding.pruning.validity import check_plan, check_removals, fingerprint
from paoding.strategies import Strategy
from paoding.synthetic.calibration import calibration_of
from paoding.synthetic.legal import legal_inputs

if TYPE_CHECKING:
    import keras

_SMALL = 1e9  # multiply-adds of a group's distances up to which one BLAS thread is quicker


class _Abandoned(Exception):  # noqa: N818, no fault
    """A step was given up while it was being decided."""


class Pruner:
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
    ) -> None:
        require_tensorflow("Pruning")
        settings = as_settings(
            targets,
            locked,
            target=target if target is not None else FURTHEST if keep else Settings.target,
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
        )
        self.strategy = strategies.get(strategy)
        self.compensation = compensations.get(compensation)
        self.graph = holding(as_graph(model, inexact), settings.locked)
        check_weights(self.graph.model)
        check_memory(self.graph, samples)
        self._tell_constraints()
        if distil is None:
            distil = affordable(self.graph) if self.compensation.finetunes_by_default else 0
        self.settings = replace(
            settings, distil=int(distil), calibration=calibration_of(self.graph, calibration)
        )
        self.quotas = quotas(self.graph, self.settings)
        self._check_merges()
        boxes, self._assumed = legal_inputs(self.graph, domain)
        self.watch: Callable[[str, float], None] | None = None
        self._stopped = self._deciding = False
        self._run = RunContext(
            self.graph,
            boxes,
            self.settings,
            groups=frozenset(self.quotas),
            fits=self.compensation.pathless,
            on_progress=self._on_progress,
        )
        with self._threads():
            spent = allocate(self._run, self.quotas)
        self.quotas = spent.quotas
        self._chooser = Chooser(
            self._run, self.strategy, self.compensation, spent.quotas, spent.wanted
        )
        self._judge = None if keep is None else Judge(self._run)
        self._stride, self._assured = 1, 0
        self._ends = ends
        self.ending: str | None = None
        self._history = History(
            self.graph.original,
            self._reach,
            self.compensation.pathless,
        )

    def _tell_constraints(self) -> None:
        held = constrained(self.graph)
        if held:
            each = ", ".join(f"{name} ({kind})" for name, kind in held.items())
            warnings.warn(
                f"Constraints are kept to: what survivors take over is projected onto those of "
                f"{each}.",
                stacklevel=3,
            )

    def _check_merges(self) -> None:
        if self.settings.recursive or not self.compensation.merges:
            return
        for name, count in self.quotas.items():
            group = self.graph.by_name[name]
            if group.mergeable and count > group.units // 2:
                raise ArgumentError(
                    f"recursive=False lets each unit take part in one merge, so '{name}' can lose "
                    f"at most {group.units // 2} of its {group.units} units; lower the target or "
                    "leave recursive=True."
                )

    # -- where the run stands ---------------------------------------------------------------

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
        return {n: int(alive[self.graph.by_name[n].ids].sum()) for n in self.quotas}

    @property
    def progress(self) -> float:
        """Share of the whole target that is done, 0 to 1."""
        return self._progress(self._history.alive)

    def _progress(self, alive: np.ndarray) -> float:
        return min(self._gone(alive) / (self._ends or sum(self.quotas.values())), 1.0)

    def _gone(self, alive: np.ndarray) -> int:
        return sum(int((~alive[self.graph.by_name[name].ids]).sum()) for name in self.quotas)

    @property
    def distilled(self) -> int:
        """Steps in which the present weights were distilled; 0 before the target is reached."""
        return self._distilling(self._history.alive)

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
            "strategy": _as_plan_has(self.strategy),
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
        told = (self._assumed, study.chosen.sentence, study.told, end if steps else "")
        return " ".join(filter(None, told))

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
        if self._stopped and self._deciding:
            raise _Abandoned

    def _threads(self) -> AbstractContextManager[Any]:
        """One BLAS thread where products are so small that threads would mostly wait.

        Everything that a plan's weights depend on runs under it: sums are rounded otherwise
        with another number of threads, and a replay would differ in the last bit.
        """
        if max(products(self.graph.by_name[name]) for name in self.quotas) > _SMALL:
            return nullcontext()
        return _blas().limit(limits=1)

    def _advance(self) -> Step:
        started = time.perf_counter()
        if self._ends is not None and self._gone(self._history.alive) >= self._ends:
            raise StopIteration
        if self.settings.lossless_first and not self._history.steps:
            found = redundant.redundant_in(self._run, self._history.basis())
            found = [unit for unit in found if unit.group in self.quotas]
            if found:
                removals = redundant.removals_of(found)
                log = {**_as_decisions(removals), "reason": redundant.reasons(found)}
                return self._commit(removals, [log], None, started)
        choice = self._chooser.choose(self._history)
        if not choice.removals:
            raise StopIteration
        return self._commit(choice.removals, choice.log, choice.energy, started)

    def _next(self) -> Step:
        """The next step; with ``keep``, one after which answers still agree often enough."""
        history = self._history
        start = len(history.steps)
        if self._judge is not None and self._ends is None and start >= self._assured:
            try:
                self._look_ahead(self._judge, start)
            except BaseException:
                history.go(start)
                history.drop_undone()
                raise
            history.go(start)
        step = history.redo() if start < self._assured else None
        return self._advance() if step is None else step

    def _look_ahead(self, judge: Judge, start: int) -> None:
        """Decide some steps, and find how many of them are good; the run may end there.

        To judge takes longer than to decide: so twice as many steps are decided each time, and
        where the last of them goes too far, the last good one is found by halving.
        """
        history, keep = self._history, self.settings.keep or 0.0
        for _ in range(self._stride):
            try:
                self._advance()
            except StopIteration:
                break
        good, bad = start, len(history.steps) + 1
        trial = bad - 1
        low = None
        while good < trial:
            history.go(trial)
            share, kind = judge.agreement(self.state)
            if share >= keep:
                good = trial
            else:
                bad, low = trial, (share, kind)
            trial = (good + bad) // 2
        self._assured = good
        self._stride *= 2
        if low is not None:
            history.go(good)
            self._ends = self._gone(history.alive)
            how = "measured" if judge.measured else "estimated"
            self.ending = (
                f"It stopped at keep={keep:g}: after one more step the {how} agreement with the "
                f"original would have been {low[0]:.1%} on {low[1]}."
            )

    def _apply(self, state: State, removals: tuple[Removal, ...]) -> State:
        """The state after some removals."""
        with self._threads():
            return redundant.apply(self.compensation, self._run, state, removals)

    def _reach(self, state: State, removals: tuple[Removal, ...]) -> State:
        """The state after a step: where that was the last one, survivors are distilled."""
        after = self._apply(state, removals)
        steps = self._distilling(after.alive)
        if steps:
            with self._threads():
                after = distilled(self._run, after, steps)
        return projected(self.graph, after)

    def _distilling(self, alive: np.ndarray) -> int:
        return self.settings.distil or 0 if self._progress(alive) >= 1 else 0

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

        def certify() -> Certificate:
            merges = [r for removals in path for r in removals if r.method in ("merge", "lossless")]
            try:
                judge = Certifier(self.graph, self._run.boxes, self.settings.bounds)
                changes = judge.changes(self._state_of(path), merges)
            except BoundsError as error:
                return Certificate(None, None, str(error))
            scores = None if changes.scores is None else Certificate(*changes.scores)
            return Certificate(*changes.outputs, scores=scores)

        return certify

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

    def stop(self) -> None:
        """End the iteration, from any thread; :meth:`result` still works.

        A step that is being decided is given up at the next piece of work, and nothing of it
        is left; after :meth:`resume` it is decided anew, with the same outcome.
        """
        self._stopped = True

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
        log = [_as_decisions(removals)] if removals else []
        step = self._commit(removals, log, None, started)
        self._assured = 0  # what had been looked at ahead is no more
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
            domain=self.boxes,
            _certify=self._certifier(self.plan.steps),
        )

    # -- what a person may ask between steps --------------------------------------------------

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The domain of each input of the model."""
        return self._run.boxes

    def after(self, removals: Iterable[Removal]) -> State:
        """The state that some more removals would lead to; the run stays where it is."""
        return self._apply(self.state, tuple(removals))

    def saliencies(self) -> dict[str, np.ndarray]:
        """Each group's saliency now: (units,), NaN for units that are gone or stay anyway."""
        found = {}
        for name in self.quotas:
            with self._threads():
                ranking = self._chooser.ranking(self.graph.by_name[name], self._history)
            found[name] = np.where(ranking.may_go, ranking.saliency, np.nan)
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


def as_graph(model: keras.Model | Graph, inexact: bool) -> Graph:
    """The traced model; what is traced already is taken as it is.

    Raises:
        ArgumentError: the model was traced for other units than are asked for.
        ModelError: it has no layer graph.
    """
    if not isinstance(model, Graph):
        return trace(model, inexact=inexact)
    if model.inexact != inexact:
        raise ArgumentError(
            f"The model was traced with inexact={model.inexact}, and inexact={inexact} is asked "
            "for: pass the same to both."
        )
    return model


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


def _as_decisions(removals: tuple[Removal, ...]) -> dict[str, Any]:
    return {
        "group": np.array([r.group for r in removals], dtype=object),
        "unit": np.array([r.unit for r in removals]),
        "into": np.array([PLAIN if r.into is None else r.into for r in removals]),
        "verdict": "removed",
        "reason": "a plan says so",
    }


def _as_plan_has(strategy: Any) -> dict[str, Any]:
    """A strategy's name and settings; of one that is not registered, that it was the user's own."""
    name = getattr(strategy, "name", None)
    if name is None or strategies.BY_NAME.get(name) is not type(strategy):
        return {"name": OWN}
    return dict(plain(strategy)) if is_dataclass(strategy) else {"name": name}
