"""The run behind a studio: what is asked of its worker, and what becomes of the answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paoding.errors import ArgumentError, BusyError, PaodingError
from paoding.graph import Graph
from paoding.plan import Removal
from paoding_widgets import by_hand, folder
from paoding_widgets.arguments import misfit_of
from paoding_widgets.now import Checked, Now
from paoding_widgets.run import PrunerRun
from paoding_widgets.session import Event, Session, Snapshot
from paoding_widgets.standing import Controls, Standing

if TYPE_CHECKING:
    import keras

    from paoding.pruning.result import PruningResult

_SAVING = "saving"
# Seconds that a step is shown at least, so that the eye can follow.
PACES = {"slow": 2.0, "normal": 0.5, "full": 0.0}


class Conductor:
    """A run with its worker; it touches no widget.

    Everything here happens in the main thread but ``_keep``, which the worker calls.

    Args:
        model, graph, data: what is pruned, as it was traced, and what it is measured on.
        controls: asks what the controls say now.
        wake: called from the worker when there is news.
    """

    def __init__(
        self,
        model: keras.Model,
        graph: Graph | None,
        data: tuple[Any, Any] | None,
        controls: Callable[[], Controls],
        wake: Callable[[], None],
    ) -> None:
        self.model, self.graph, self.data = model, graph, data
        self.session = Session(wake)
        self.standing = Standing()
        self.timeline = self.standing.timeline
        self.autosave: folder.Autosave | None = None
        self._controls = controls
        self._misfit = ""

    def keep_in(self, path: str | os.PathLike[str]) -> None:
        """Keep the run as it goes, in a folder of that name."""
        made = self.standing.made
        self.autosave = folder.Autosave(path, self.model, self.data, made.eps, made.settings)

    def now(self) -> Now:
        """What is the case, for everything that shows it."""
        return self.standing.now(self.session.busy, self._misfit)

    # -- what a reader may ask ------------------------------------------------------------------

    def start(self) -> None:
        """Prune until the target is reached; goes on after a pause."""
        if not self.standing.moving and self._ready():
            self._move("run")

    def step(self) -> None:
        """Take one step."""
        self.pause()
        if self._ready():
            self._move("step")

    def _move(self, kind: str) -> None:
        self.standing.move()
        self.session.send(kind)

    def pause(self) -> None:
        """Pause after the step that is running."""
        if self.standing.moving:
            self.session.halt()
            self.standing.waits.pausing = True

    def stop(self) -> None:
        """End the run, giving up a step in the making."""
        if self.standing.moving:
            self.standing.waits.stopping = True
            self.session.halt(at_once=True)
        elif self.standing.state == "paused":
            self.standing.state = "stopped"
            self._ended()

    def check(self) -> None:
        """Estimate without data how often the network still answers like the original."""
        rests = self.standing.state in ("paused", "finished", "stopped")
        if rests and self.timeline.applied:
            self._check()

    def go_to(self, moment: int) -> None:
        """Go back to after so many steps, or forth among those that were taken back."""
        self.session.halt()
        self.session.send("goto", moment)

    def turn_back(self, kind: str) -> None:
        """``undo`` the last step, or ``redo`` it."""
        self.session.halt()
        self.session.send(kind)

    def reset(self) -> None:
        """Go back to the original model; the run so far stays overlaid."""
        self.session.halt()
        self.standing.waits.stopping = self.standing.waits.pausing = False
        self.make()
        self.standing.state = "ready"

    def remove(self, group: str, unit: int, into: int | None = None) -> None:
        """Remove one unit as a step of its own."""
        self.session.halt()
        self.session.send(
            "hand", lambda run: run.by_hand(Removal(group, unit, into, run.method(group, into)))
        )

    def gone(self, group: str, unit: int) -> bool:
        """Whether a unit has been removed, as the run stands."""
        return by_hand.step_of(self.timeline.line, group, unit) > 0

    def take_back(self, group: str, unit: int, later: str) -> None:
        """Bring one unit back; the steps after it are applied again, or given up."""
        kept = by_hand.without(self.timeline.line, group, unit, anew=later == "anew")
        self.session.halt()
        self.make(resume=kept)

    def save_to(self, path: str, done: Callable[[str], None]) -> None:
        """Have the worker write the run into a new folder; ``done`` is told where it is."""
        standing = self.standing
        if standing.message == _SAVING:  # pressed twice
            return
        if not path:
            standing.error = "Name the folder to save to, beside the button."
            return
        write = self._writer(path)
        standing.message, standing.error = _SAVING, ""

        def after(saved: str) -> None:
            self._saved_to(saved)
            done(saved)

        self.session.send("do", (write, after))

    def save(self, path: str | os.PathLike[str]) -> str:
        """Write the run into a new folder now."""
        self.result()  # raises where there is none to be had
        if self.standing.run is not None:
            self._writer(path)(self.standing.run)
        self._saved_to(os.fspath(path))
        return os.fspath(path)

    def _writer(self, path: str | os.PathLike[str]) -> Callable[[PrunerRun], str]:
        data, made, runs = self.data, self.standing.made, self.timeline.runs
        line = self.timeline.line
        found = None if self.standing.checked is None else self.standing.checked.found

        def write(run: PrunerRun) -> str:
            kept = folder.save(
                path,
                run.result(),
                data,
                made.eps,
                made.settings,
                selfcheck=found,
                runs=runs,
                evaluation=run.evaluation(),
                snapshots=line,
            )
            return str(kept)

        return write

    def _saved_to(self, path: str) -> None:
        self.standing.saved, self.standing.message = path, f"saved to {path}"

    def result(self) -> PruningResult:
        """What the run has led to so far.

        Raises:
            BusyError: a run is going.
            PaodingError: it has failed, with the reason.
        """
        if self.standing.fault is not None:
            raise self.standing.fault
        if self.session.busy:
            raise BusyError(
                "The studio is still at work: pause it, or call studio.wait(), before you take "
                "the result."
            )
        self.take_in()
        fault, run = self.standing.fault, self.standing.run
        if fault is not None or run is None:
            raise fault or BusyError("The studio has no run yet: call studio.wait() first.")
        return run.result()

    # -- to the worker --------------------------------------------------------------------------

    def _ready(self) -> bool:
        """Make sure that there is a run with the present settings; whether there can be one."""
        standing = self.standing
        if self.graph is None:
            standing.state, standing.message = "failed", ""
            return False
        standing.error = ""
        changed = self._controls() != standing.made
        if changed or standing.run is None or standing.fault is not None:
            self._remake()
        return True

    def make(self, resume: by_hand.Path | None = None) -> None:
        """Ask the worker for a fresh run, or for one that begins with a plan's steps."""
        if self.graph is None:
            return
        self._send_make(lambda run: [run.first()] if resume is None else run.replay(*resume))
        looks = "looking at the original" if resume is None else "replaying the run"
        self.standing.message = looks

    def _remake(self) -> None:
        """Go on from the present step with changed settings."""
        controls, made, kept = self._controls(), self.standing.made, self.timeline.line
        same = controls.eps == made.eps and controls.settings.replays_like(made.settings)
        # Survivors that were tuned at the old target are not, on the way to another.
        same = same and not any(moment.distilled for moment in kept)

        def begin(run: PrunerRun) -> list[Snapshot]:
            return run.catch_up(kept) if kept and same else run.replay(*by_hand.path_of(kept))

        self._send_make(begin)

    def _send_make(self, begin: Callable[[PrunerRun], list[Snapshot]]) -> None:
        controls = self._controls()
        self.standing.begin(controls)
        self._misfit = misfit_of(self.graph, self.data, controls.settings.domain)
        model, data = self.model, self.data

        def make() -> tuple[PrunerRun, list[Snapshot]]:
            run = PrunerRun(model, controls.settings, data, controls.eps, self.session.pulse)
            run.keep = self._keep
            return run, begin(run)

        self.session.send("make", make)

    def _keep(self, run: PrunerRun) -> None:
        """In the worker, after each step: what cannot be written ends the keeping, not the run."""
        kept = self.autosave
        if kept is None:
            return
        try:
            kept.write(run.pruner.plan, run.log, self.timeline.runs)
            self.standing.saved = os.fspath(kept.path)
        except (PaodingError, OSError) as error:
            self.autosave = None
            told = f"The run is no longer kept as it goes: {error}"
            self.session.events.put(Event("error", ArgumentError(told)))

    def ask_about(self, chosen: tuple[str, int] | None) -> None:
        """Let the worker find out what only the pruner knows; not while it is at work."""
        at, known = self.timeline.applied, self.standing.known
        if chosen is None or self.session.busy or self.timeline.shown != at:
            return
        group, unit = chosen
        key = (group, unit, at)
        if known.asked == key:
            return
        known.asked = key

        def told(found: dict[str, Any]) -> None:
            known.told = (key, found)

        self.session.send("do", (lambda run: run.about(group, unit), told))

    def _check(self) -> None:
        """Have the worker estimate, without data, how the network agrees with the original."""
        asked, standing = self.timeline.now, self.standing
        standing.message = "checking against the original on synthetic inputs"

        def told(found: Checked) -> None:
            standing.message = ""
            if asked is self.timeline.now:
                standing.checked = found

        def check(run: PrunerRun) -> Checked:
            return Checked(run.selfcheck(), run.pruner.prior)

        self.session.send("do", (check, told))

    # -- from the worker ------------------------------------------------------------------------

    def take_in(self) -> None:
        """Take in everything that has happened."""
        while not self.session.events.empty():
            event = self.session.events.get()
            self.standing.take(event)
            if event.kind == "state":
                self._ended()

    def _ended(self) -> None:
        """A run has ended or was stopped: tell how much of the original's behaviour is left."""
        run = self.standing.run
        if self.standing.at_end and run is not None and run.checks_quickly:
            self._check()
            asked = self.timeline.now

            def told(seconds: float | None) -> None:
                self.timeline.time(asked, seconds)

            self.session.send("do", (lambda run: run.latency(), told))
