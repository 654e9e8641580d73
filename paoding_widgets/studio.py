"""The studio: one widget that prunes a model step by step and shows what happens and why."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets

from paoding.domain.box import compact
from paoding.errors import ArgumentError, BusyError, PaodingError, PlanError
from paoding.graph import Graph, inspect
from paoding.plan import Decisions, Plan, Removal, Step
from paoding.pruning.validity import fingerprint
from paoding.synthetic.legal import legal_inputs, misfit
from paoding_widgets import folder
from paoding_widgets.dashboard import Checked, Dashboard, Now, Stage, file_name
from paoding_widgets.mainloop import MainLoop
from paoding_widgets.run import PrunerRun, check_fits
from paoding_widgets.scene import Scene, make_scene
from paoding_widgets.session import Event, Session, Snapshot
from paoding_widgets.settings import Settings, from_arguments
from paoding_widgets.timeline import Timeline

if TYPE_CHECKING:
    import keras

    from paoding.evaluation.self_check import SelfCheck
    from paoding.pruning.result import PruningResult


_SAVING = "saving"
# The picture for a page without a kernel is drawn again no more often while a run goes.
STILL_SECONDS = 5.0
# Seconds that a step is shown at least, so that the eye can follow.
PACES = {"slow": 2.0, "normal": 0.5, "full": 0.0}


class PruningStudio(ipywidgets.VBox):
    """Prune a model in a notebook: controls, structure, inspector, charts, and the reasons.

    The cell returns at once; the run goes on in a thread of its own, and the kernel stays free.

    Args:
        model: a built functional or Sequential ``keras.Model``; it is never changed.
        data: evaluation inputs and labels ``(x, y)``, or a split of the zoo; they only measure
            accuracy and robustness, nothing is fitted to them. None: nothing is measured.
        target: share of each layer's units to remove.
        step: share removed in one step.
        strategy: a name ("annealing", "impact", "saliency", "magnitude") or an object.
        compensation: what the survivors take over.
        domain: the box of legal inputs, or ``(lo, hi)``.
        seed: of everything random.
        eps: size of the attack (FGSM) that robust accuracy is measured with, in input units.
        targets: layer name -> its own target.
        locked: layer names, types or patterns that keep their units.
        speed: ``"slow"``, ``"normal"``, or ``"full"``: how long a step is shown at least.
        autosave: keep the run as it goes, from the first step on: in a folder of that name, or
            beside the notebook in ``runs/`` once the studio is displayed. False: never.
        options: further arguments of ``paoding.Pruner``.

    A mistake in the arguments is told in the studio; what is wrong with the model is told there
    too, and raised by :attr:`result`.

    >>> import paoding
    >>> from paoding_widgets import PruningStudio
    >>> model, data = paoding.zoo.load("breast-cancer")
    >>> studio = PruningStudio(model, data=data, target=0.25, step=0.125, strategy="saliency",
    ...                        compensation="merge")
    >>> studio.start()
    >>> studio.wait()
    'finished'
    >>> len(studio.result.steps)
    2
    """

    def __init__(
        self,
        model: keras.Model,
        data: Any = None,
        target: float = 0.5,
        step: float = 1 / 32,
        strategy: Any = None,
        compensation: Any = "least-squares",
        domain: Any = None,
        seed: int = 0,
        *,
        eps: float = 0.05,
        targets: dict[str, float] | None = None,
        locked: str | Sequence[str] = (),
        speed: str = "normal",
        autosave: bool | str | os.PathLike[str] = True,
        **options: Any,
    ) -> None:
        self._model = model
        self._data, own_domain = _as_data(data)
        given = from_arguments(
            strategy,
            own_domain if domain is None else domain,
            options,
            target=target,
            step=step,
            compensation=compensation,
            seed=seed,
            targets=dict(targets or {}),
            locked=(locked,) if isinstance(locked, str) else tuple(locked),
        )
        self._begin_empty()
        scene = self._read_model(model)
        self._check_data()
        given, self._eps = self._checked(given, eps)
        given = replace(given, domain=self._legal(given.domain))
        self._settings = given
        self._told_settings = given.told()
        self._misfit = ""
        if speed not in PACES:
            self._complain(
                ArgumentError(f"speed={speed!r} is not known; choose {', '.join(PACES)}.")
            )
            speed = "normal"
        self._dashboard = Dashboard(
            scene,
            self._graph,
            given,
            self._eps,
            changed=self._main.wake,
            press=self._press,
            speed=speed,
        )
        super().__init__(self._dashboard.parts)
        self.add_class("paoding-studio")
        self._listen()
        self._may_keep = bool(autosave)
        if not isinstance(autosave, bool):
            self._keep_in(autosave)
        if self._fault is None:
            self._make()
        self._show()

    # -- set-up -----------------------------------------------------------------------------

    def _begin_empty(self) -> None:
        self._state = "ready"
        self._message = ""
        self._error = ""
        self._fault: Exception | None = None
        self._run: PrunerRun | None = None
        self._runs = itertools.count()
        self._run_number = 0
        self._timeline = Timeline()
        self._autosave: folder.Autosave | None = None
        self._saved = ""
        self._stage: Stage | None = None
        self._stopping = False
        self._pausing = False
        self._making = False
        self._known: tuple[tuple[str, int, int], dict[str, Any]] | None = None
        self._asked: tuple[str, int, int] | None = None
        self._estimate: Checked | None = None
        self._stills: list[Any] = []
        self._drawn_at = 0.0
        self._drawn: tuple[str, int, int] | None = None
        self._main = MainLoop(self._turn, self._call_failed)
        self._session = Session(self._main.wake)

    def _read_model(self, model: keras.Model) -> Scene:
        """Trace the model; one that can't be traced leaves an empty structure and its reason."""
        self._graph: Graph | None = None
        try:
            self._graph = inspect(model)
            return make_scene(self._graph)
        except PaodingError as error:
            self._complain(error)
            return Scene.empty(str(getattr(model, "name", type(model).__name__)))

    def _legal(self, domain: Any) -> Any:
        """The legal inputs as the fields show them: two numbers, a box, or one for each input."""
        if self._graph is None:
            return domain
        try:
            boxes = compact(legal_inputs(self._graph, domain)[0])
        except (PaodingError, TypeError, ValueError):  # told when the run is made
            return domain
        if len(boxes) > 1:
            return boxes
        if boxes[0].lo.ndim or boxes[0].hi.ndim:
            return boxes[0]
        ends = float(boxes[0].lo), float(boxes[0].hi)
        return None if domain is None and ends == (0, 1) else ends

    def _check_data(self) -> None:
        """Data that the model cannot take are told before anything is worked out with them."""
        if self._graph is None or self._data is None:
            return
        try:
            check_fits(self._graph, *self._data)
        except ArgumentError as error:
            self._complain(error)

    def _misfit_of(self, domain: Any) -> str:
        """What to tell where the data is not within the domain."""
        if self._graph is None or self._data is None:
            return ""
        try:
            return misfit(self._graph, legal_inputs(self._graph, domain)[0], self._data[0])
        except (PaodingError, TypeError, ValueError):  # told when the run is made
            return ""

    def _checked(self, settings: Settings, eps: float) -> tuple[Settings, float]:
        """Settings that the form can hold; what it can't is told, and replaced."""
        for name in ("target", "step", "seed"):
            value = getattr(settings, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                self._complain(ArgumentError(f"{name}={value!r} must be a number."))
                settings = replace(settings, **{name: getattr(Settings(), name)})
        for name in ("samples", "round_to", "floor"):
            value = settings.extra.get(name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                self._complain(ArgumentError(f"{name}={value!r} must be a whole number."))
                extra = {key: one for key, one in settings.extra.items() if key != name}
                settings = replace(settings, extra=extra)
        if isinstance(eps, bool) or not isinstance(eps, int | float):
            self._complain(ArgumentError(f"eps={eps!r} must be a number."))
            eps = 0.05
        return settings, float(eps)

    def _complain(self, error: Exception) -> None:
        self._fault = self._fault or error
        self._state, self._error = "failed", str(self._fault)

    def _listen(self) -> None:
        view, buttons, post = self._dashboard.view, self._dashboard.buttons, self._main.post
        view.observe(lambda change: self._seen(self._look_at, change.new), names="moment")
        view.observe(
            lambda _: self._seen(), names=["selected", "page_visible", "locked", "targets"]
        )
        view.on_msg(lambda _, content, __: post(lambda: self._message_from_view(content)))
        for button in (buttons.code, buttons.explain):
            button.observe(lambda _: post(self._dashboard.toggle_panels), names="value")
        buttons.speed.observe(lambda _: self._set_pace(), names="value")
        self._set_pace()
        buttons.more.observe(lambda _: post(self._dashboard.toggle_more), names="value")
        buttons.tables.observe(lambda _: post(self._dashboard.toggle_tables), names="value")

    # -- what a button does, a method does ------------------------------------------------------

    def start(self) -> None:
        """Prune until the target is reached; goes on after a pause."""
        if self._state == "running" or not self._ready():
            return
        self._stopping = self._pausing = False
        self._stage = Stage("getting ready")
        self._session.send("run")
        self._set_state("running")

    def pause(self) -> None:
        """Pause after the step that is running."""
        if self._state == "running":
            self._session.halt()
            self._pausing = True
            self._show()

    def step(self) -> None:
        """Take one step."""
        if self._state == "running":
            self.pause()
        if self._ready():
            self._stopping = self._pausing = False
            self._stage = Stage("getting ready")
            self._session.send("step")
            self._set_state("running")

    def stop(self) -> None:
        """End the run, giving up a step in the making; :meth:`start` goes on all the same."""
        if self._state == "running":
            self._stopping = True
            self._session.halt(at_once=True)
            self._show()
        elif self._state == "paused":
            self._state = "stopped"
            self._ended()
            self._show()

    def check(self) -> None:
        """Estimate without data how often the network still answers like the original."""
        if self._state in ("paused", "finished", "stopped") and self._timeline.applied:
            self._check()
            self._show()

    def undo(self) -> None:
        """Take the last step back."""
        self._session.halt()
        self._session.send("undo")

    def redo(self) -> None:
        """Take the step again that was taken back."""
        self._session.halt()
        self._session.send("redo")

    def branch(self, moment: int) -> None:
        """Go back to after so many steps, to go on from there; the run so far stays overlaid."""
        if not 0 <= moment <= self._timeline.applied:
            raise ArgumentError(f"moment={moment} must be from 0 to {self._timeline.applied}.")
        self._session.halt()
        self._session.send("goto", moment)

    def reset(self) -> None:
        """Go back to the original model; the run so far stays overlaid."""
        self._session.halt()
        self._stopping = self._pausing = False
        self._make()
        self._set_state("ready", self._message)

    @property
    def state(self) -> str:
        """``ready``, ``running``, ``paused``, ``finished``, ``stopped`` or ``failed``."""
        return self._state

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are applied now."""
        return self._timeline.steps

    @property
    def settings(self) -> Settings:
        """What the controls say."""
        return self._dashboard.settings()

    @property
    def result(self) -> PruningResult:
        """The pruned model with its plan, decisions and certificate, as far as the run is.

        Raises:
            BusyError: a run is going; pause it, or wait for its end.
            PaodingError: the run has failed, with the reason.
        """
        if self._fault is not None:
            raise self._fault
        if self._session.busy:
            raise BusyError(
                "The studio is still at work: pause it, or call studio.wait(), before you take "
                "the result."
            )
        self._take_in()
        if self._fault is not None or self._run is None:
            raise self._fault or BusyError("The studio has no run yet: call studio.wait() first.")
        return self._run.result()

    def wait(self, timeout: float | None = None) -> str:
        """Wait until nothing moves (the run has ended or pauses); returns the state.

        The buttons work meanwhile, other cells do not.

        Args:
            timeout: seconds after which to return all the same.
        """
        self._session.pace = 0.0  # whoever waits for the end does not want to watch
        try:
            self._main.wait(lambda: self._session.busy, timeout)
        finally:
            self._set_pace()
        return self._state

    def _set_pace(self) -> None:
        self._session.pace = PACES[self._dashboard.buttons.speed.value]

    def save(self, path: str | os.PathLike[str]) -> str:
        """Write the run into a new folder, from which :meth:`load` goes on.

        Args:
            path: a folder that does not exist yet.

        Returns:
            The folder.

        Raises:
            OutputExistsError: the folder exists.
            BusyError: a run is going.
        """
        runs = self._timeline.runs
        result, evaluation = self.result, None if self._run is None else self._run.evaluation()
        folder.save(path, result, self._data, self._eps, self._found, runs, evaluation)
        self._saved = os.fspath(path)
        self._message = f"saved to {self._saved}"
        self._show()
        return os.fspath(path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        data: Any = None,
        model: keras.Model | None = None,
    ) -> PruningStudio:
        """Open a run that was saved, ready to go on.

        Args:
            path: the folder.
            data: evaluation data, where it is not to be what was saved with the run.
            model: the original model, where it was not saved with the run.

        Raises:
            PlanError, ModelError, DataError: the folder holds no run, a broken one, or the run
                of another model.
        """
        saved = folder.load(path, model)
        settings = saved.settings
        studio = cls(
            saved.model,
            data=saved.data if data is None else data,
            target=settings.target,
            step=settings.step,
            strategy=settings.make_strategy(),
            compensation=settings.compensation,
            domain=settings.domain,
            seed=settings.seed,
            eps=saved.eps,
            targets=dict(settings.targets),
            locked=settings.locked,
            **{name: value for name, value in settings.extra.items() if name != "energy"},
        )
        graph = studio._graph
        if graph is not None and saved.plan.fingerprint not in ("", fingerprint(graph)):
            raise PlanError(
                f"The run in '{os.fspath(path)}' belongs to another model than "
                f"'{graph.model.name}' (its fingerprint differs); pass the model that was pruned."
            )
        studio._timeline.runs = saved.runs
        studio._saved = os.fspath(path)
        studio._make(resume=(saved.plan, saved.decisions))
        studio._show()
        return studio

    # -- by hand --------------------------------------------------------------------------------

    def remove(self, group: str, unit: int, into: int | None = None) -> None:
        """Remove one unit as a step of its own; the plan holds it like any other.

        Args:
            group: the layer that makes the unit.
            unit: its number in the original.
            into: the survivor that takes it over; None: as the run's compensation does.
        """
        self._session.halt()
        self._session.send(
            "hand", lambda run: run.by_hand(Removal(group, unit, into, run.method(group, into)))
        )

    def take_back(self, group: str, unit: int) -> None:
        """Bring one unit back that went in any step; the other removals are applied again.

        Raises:
            ArgumentError: the unit has not been removed.
        """
        steps = self._timeline.steps
        wanted = (group, unit)
        if not any((r.group, r.unit) == wanted for step in steps for r in step.removals):
            raise ArgumentError(f"Unit {unit} of '{group}' is here: there is nothing to take back.")
        kept = [
            (tuple(r for r in step.removals if (r.group, r.unit) != wanted), step.decisions)
            for step in steps
        ]
        kept = [(removals, decided) for removals, decided in kept if removals]
        self._session.halt()
        plan = Plan(tuple(removals for removals, _ in kept), {}, "")
        self._make(resume=(plan, [decided for _, decided in kept]))

    # -- kept as it goes ------------------------------------------------------------------------

    def _keep_in(self, path: str | os.PathLike[str]) -> None:
        self._autosave = folder.Autosave(path, self._model, self._data, self._eps)

    def _keep(self, run: PrunerRun) -> None:
        """In the worker, after each step: what cannot be written ends the keeping, not the run."""
        kept = self._autosave
        if kept is None:
            return
        try:
            kept.write(run.pruner.plan, run.log, self._timeline.runs)
            self._saved = os.fspath(kept.path)
        except (PaodingError, OSError) as error:
            self._autosave = None
            sentence = f"The run is no longer kept as it goes: {error}"
            self._session.events.put(Event("error", ArgumentError(sentence)))

    # -- to the worker --------------------------------------------------------------------------

    def _ready(self) -> bool:
        """Make sure that there is a run with the present settings; whether there can be one."""
        if self._graph is None:
            self._set_state("failed")
            return False
        self._error = ""
        changed = self.settings != self._settings or self._dashboard.form.eps.value != self._eps
        if changed or self._run is None or self._fault is not None:
            self._remake()
        return True

    def _make(self, resume: tuple[Plan, Sequence[Decisions]] | None = None) -> None:
        """Ask the worker for a fresh run, or for one that begins with a plan's steps."""
        if self._graph is None:
            return
        settings, eps = self.settings, self._dashboard.form.eps.value
        model, data = self._model, self._data
        self._begin(settings)

        def make() -> tuple[PrunerRun, list[Snapshot]]:
            run = PrunerRun(model, settings, data, eps, self._session.pulse)
            run.keep = self._keep
            snapshots = [run.first()] if resume is None else run.replay(*resume)
            return run, snapshots

        self._session.send("make", make)
        self._message = "looking at the original" if resume is None else "replaying the run"

    def _remake(self) -> None:
        """Go on from the present step with changed settings."""
        settings, eps = self.settings, self._dashboard.form.eps.value
        model, data = self._model, self._data
        kept = self._timeline.line
        same = eps == self._eps and settings.replays_like(self._settings)
        # Survivors that were tuned at the old target are not, on the way to another.
        same = same and not any(moment.distilled for moment in kept)
        self._begin(settings)

        def make() -> tuple[PrunerRun, list[Snapshot]]:
            run = PrunerRun(model, settings, data, eps, self._session.pulse)
            run.keep = self._keep
            if kept and same:
                return run, run.catch_up(kept)
            steps = [m.step for m in kept[1:] if m.step is not None]
            plan = Plan(tuple(s.removals for s in steps), {}, "")
            measures = [m.measure for m in kept[1:]]
            return run, run.replay(plan, [s.decisions for s in steps], measures)

        self._session.send("make", make)

    def _begin(self, settings: Settings) -> None:
        self._settings = settings
        self._misfit = self._misfit_of(settings.domain)
        self._eps = self._dashboard.form.eps.value
        self._fault = None
        self._error = ""
        self._making = True

    # -- from the worker ------------------------------------------------------------------------

    def _turn(self) -> None:
        """The one writer: take in what happened, and show it."""
        self._take_in()
        self._ask_about_unit()
        self._show()
        self._show_stills()

    def _take_in(self) -> None:
        while not self._session.events.empty():
            self._take(self._session.events.get())

    def _call_failed(self, error: BaseException) -> None:
        self._error = _sentence(error)

    def _take(self, event: Event) -> None:
        if event.kind == "begun":
            self._take_begun(*event.value)
        elif event.kind == "step":
            self._take_step(event.value)
        elif event.kind == "at":
            self._take_place(event.value)
        elif event.kind == "state":
            self._take_state(event.value)
        elif event.kind == "pulse":
            what, share = event.value
            self._stage = Stage.after(self._stage, what, share)
        elif event.kind == "failed":
            self._fault, self._making = event.value, False
            where = f"Step {self._timeline.applied + 1} failed. " if self._moving else ""
            self._state, self._error = "failed", where + _sentence(event.value)
            self._message, self._stage = "", None
        elif event.kind == "error":
            self._error, self._message = _sentence(event.value), ""
        elif event.kind == "result":
            after, value = event.value
            after(value)

    def _take_state(self, state: str) -> None:
        stopped = state == "paused" and self._stopping
        self._state = "stopped" if stopped else state
        self._message, self._stage, self._pausing = "", None, False
        if stopped and not self._timeline.applied:  # before the first step: nothing to undo
            self._stopping = False
            self._settle()
        self._ended()

    @property
    def _moving(self) -> bool:
        return self._state == "running"

    def _ended(self) -> None:
        """A run has ended or was stopped: tell how much of the original's behaviour is left."""
        if self._state in ("finished", "stopped") and self._run and self._run.checks_quickly:
            self._check()

    @property
    def _found(self) -> SelfCheck | None:
        return None if self._estimate is None else self._estimate.found

    def _check(self) -> None:
        """Have the worker estimate, without data, how the network agrees with the original."""
        asked = self._timeline.now
        self._message = "checking against the original on synthetic inputs"

        def told(found: Checked) -> None:
            self._message = ""
            if asked is self._timeline.now:
                self._estimate = found

        def check(run: PrunerRun) -> Checked:
            return Checked(run.selfcheck(), run.pruner.prior)

        self._session.send("do", (check, told))

    def _take_begun(self, run: PrunerRun, snapshots: list[Snapshot]) -> None:
        self._timeline.begin(snapshots, self._told_settings)
        self._run, self._making = run, False
        self._told_settings = self._settings.told()
        self._run_number = next(self._runs)
        self._known = self._asked = self._estimate = None
        if self._moving:
            self._stage = Stage("deciding the first step")
        else:
            self._settle()

    def _take_step(self, snapshot: Snapshot) -> None:
        self._estimate = None
        self._message = ""
        self._stage = Stage("deciding the next step") if self._moving else None
        self._timeline.take(snapshot, self._told_settings)

    def _take_place(self, applied: int) -> None:
        self._timeline.go_to(applied)
        self._estimate = None
        self._stopping = False
        self._settle()

    def _settle(self) -> None:
        """The state of a run that does not move, from how far it is."""
        step = self._timeline.now.step
        self._state = "ready" if step is None else "paused" if step.progress < 1 else "finished"
        self._message, self._stage = "", None

    # -- from the reader ------------------------------------------------------------------------

    def _press(self, name: str) -> None:
        acts = {
            "start": self.start,
            "pause": self.pause,
            "step": self.step,
            "stop": self.stop,
            "undo": self.undo,
            "redo": self.redo,
            "reset": self.reset,
            "check": self.check,
            "save": self._save_pressed,
        }
        self._main.post(acts[name])

    def _save_pressed(self) -> None:
        if self._message == _SAVING:  # pressed twice
            return
        path = self._dashboard.buttons.folder.value.strip()
        if not path:
            self._error = "Name the folder to save to, beside the button."
            return
        data, eps, found = self._data, self._eps, self._found
        runs = self._timeline.runs
        self._message, self._error = _SAVING, ""

        def write(run: PrunerRun) -> str:
            found_out = run.evaluation()
            return str(folder.save(path, run.result(), data, eps, found, runs, found_out))

        def done(saved: str) -> None:
            self._saved = saved
            self._message = f"saved to {saved}"
            self._dashboard.buttons.suggest_next(saved)

        self._session.send("do", (write, done))

    def _seen(self, act: Callable[..., None] | None = None, *values: Any) -> None:
        """A trait changed in the browser; what we set ourselves is not news."""
        if self._dashboard.showing:
            return
        if act is None:
            self._main.wake()
        else:
            self._main.post(lambda: act(*values))

    def _look_at(self, moment: int) -> None:
        self._timeline.look_at(moment)

    def _message_from_view(self, content: Any) -> None:
        """Do what the view asks for; whatever is not understood is left alone."""
        if not isinstance(content, dict):
            return
        action, name = content.get("action"), str(content.get("name", ""))
        if action == "branch":
            self.branch(int(content.get("moment", -1)))
        elif action == "remove-unit":
            into = content.get("into")
            self.remove(name, int(content.get("unit", -1)), None if into is None else int(into))
        elif action == "take-back":
            self.take_back(name, int(content.get("unit", -1)))
        elif action == "rename-run":
            self._timeline.rename(name, str(content.get("to", "")))
        elif action == "overlay-run":
            self._timeline.overlay(name, bool(content.get("on")))
        elif action == "delete-run":
            self._timeline.delete(name)

    # -- what is known about the chosen unit ----------------------------------------------------

    def _ask_about_unit(self) -> None:
        """Let the worker find out what only the pruner knows; not while it is at work."""
        chosen = self._dashboard.chosen()
        at = self._timeline.applied
        if chosen is None or self._session.busy or self._timeline.shown != at:
            return
        group, unit = chosen
        key = (group, unit, at)
        if self._asked == key:
            return
        self._asked = key

        def told(known: dict[str, Any]) -> None:
            self._known = (key, known)

        self._session.send("do", (lambda run: run.about(group, unit), told))

    # -- to the browser -------------------------------------------------------------------------

    def _set_state(self, state: str, message: str = "") -> None:
        self._state, self._message = state, message
        self._show()

    def _now(self) -> Now:
        waits = "stopping" if self._stopping and self._moving else ""
        if self._pausing and self._moving:
            waits = "pausing after this step"
        return Now(
            state=self._state,
            message=self._message or (self._misfit if self._state == "ready" else ""),
            waits=waits,
            stage=self._stage if self._session.busy else None,
            error=self._error,
            timeline=self._timeline,
            settings=self._settings,
            eps=self._eps,
            run=self._run_number,
            known=self._known,
            checked=self._estimate,
            saved=self._saved,
        )

    def _show(self) -> None:
        self._dashboard.show(self._now())

    def __repr__(self) -> str:
        # Cheap on purpose: the inherited one writes out every trait of every part.
        name, steps = self._dashboard.name, self._timeline.applied
        return f"PruningStudio({name!r}, {self._state}, {steps} steps)"

    def _ipython_display_(self) -> None:
        """Display the studio, and after it a picture for a page without a kernel.

        The picture is an output of its own, so that it can follow the run while the studio stays;
        where the studio lives, its style hides the picture.
        """
        from IPython.display import display

        if self._may_keep and self._autosave is None:
            path = f"runs/{file_name(self._dashboard.name)}-autosave"
            self._keep_in(path)
            earlier = folder.latest(path)
            if earlier is not None and not self._saved and not self._timeline.applied:
                line = f"PruningStudio.load({os.fspath(earlier)!r})"
                self._message = f"an earlier run is kept: {line} opens it"
                self._show()
        live = super()._repr_mimebundle_() | {
            "text/plain": f"Pruning studio: {self._dashboard.name}"
        }
        display(live, raw=True)
        self._stills.append(display(self._still(), raw=True, display_id=True))

    def _show_stills(self) -> None:
        """Draw the picture again where the run has come to rest, and now and then on the way."""
        drawn = (self._state, self._run_number, self._timeline.applied)
        late = time.monotonic() - self._drawn_at > STILL_SECONDS
        if self._stills and drawn != self._drawn and (late or not self._session.busy):
            self._drawn, self._drawn_at = drawn, time.monotonic()
            picture = self._still()
            for shown in self._stills:
                shown.update(picture, raw=True)

    def _still(self) -> dict[str, str]:
        return self._dashboard.still(self._now())


def _as_data(data: Any) -> tuple[tuple[Any, Any] | None, Any]:
    """Inputs and labels, and the domain that a split of the zoo brings along."""
    if data is None:
        return None, None
    if hasattr(data, "x") and hasattr(data, "y"):
        return (data.x, data.y), getattr(data, "domain", None)
    try:
        x, y = data
    except (TypeError, ValueError):
        raise ArgumentError("data must be a pair (x, y) of inputs and labels, or None.") from None
    return (x, y), None


def _sentence(error: BaseException) -> str:
    return str(error) if isinstance(error, PaodingError) else f"{type(error).__name__}: {error}"
