"""What the worker's events made of a studio's state, as plain values with no widget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paoding.errors import PaodingError
from paoding_widgets.now import Checked, Now, Stage
from paoding_widgets.session import Event, Snapshot
from paoding_widgets.settings import Settings
from paoding_widgets.timeline import Timeline

if TYPE_CHECKING:
    from paoding_widgets.run import PrunerRun

Key = tuple[str, int, int]


@dataclass(frozen=True)
class Controls:
    """What the reader's controls say now.

    Args:
        settings: of the run to be.
        eps: size of the attack that is charted.
    """

    settings: Settings
    eps: float


@dataclass
class Known:
    """What the worker was asked and has found out about the unit that the reader has chosen."""

    asked: Key | None = None
    told: tuple[Key, dict[str, Any]] | None = None


@dataclass
class Waits:
    """What was asked of a run that is still in its step."""

    stopping: bool = False
    pausing: bool = False

    @property
    def text(self) -> str:
        """In words, or empty."""
        return "stopping" if self.stopping else "pausing after this step" if self.pausing else ""


class Standing:
    """State, message, error and timeline of a run, as its events leave them.

    Args:
        made: the controls that the present run was made with; as a run begins, those of the next.
    """

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.run: PrunerRun | None = None
        self.state, self.message, self.error = "ready", "", ""
        self.fault: Exception | None = None
        self.stage: Stage | None = None
        self.waits, self.known = Waits(), Known()
        self.checked: Checked | None = None
        self.made = Controls(Settings(), 0.05)
        self.saved = ""
        self._told: dict[str, str] = {}
        self._number = -1

    @property
    def moving(self) -> bool:
        """Whether steps are being taken."""
        return self.state == "running"

    @property
    def at_end(self) -> bool:
        """Whether a run has ended, or was ended."""
        return self.state in ("finished", "stopped")

    def complain(self, error: Exception) -> None:
        """Something is wrong with what was given; the first mistake is told."""
        self.fault = self.fault or error
        self.state, self.error = "failed", str(self.fault)

    def begin(self, controls: Controls) -> None:
        """A run is about to be made with these controls."""
        self.made = controls
        self.fault, self.error = None, ""

    def move(self) -> None:
        """Steps are about to be taken."""
        self.waits = Waits()
        self.stage = Stage("getting ready")
        self.state, self.message = "running", ""

    def take(self, event: Event) -> None:
        """Take in what has happened in the worker."""
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
            self.stage = Stage.after(self.stage, what, share)
        elif event.kind == "failed":
            self.fault = event.value
            where = f"Step {self.timeline.applied + 1} failed. " if self.moving else ""
            self.state, self.error = "failed", where + sentence(event.value)
            self.message, self.stage = "", None
        elif event.kind == "error":
            self.error, self.message = sentence(event.value), ""
        elif event.kind == "result":
            after, value = event.value
            after(value)

    def _take_begun(self, run: PrunerRun, snapshots: list[Snapshot]) -> None:
        self.timeline.begin(snapshots, self._told)
        self.run = run
        self._told = self.made.settings.told()
        self._number += 1
        self.known, self.checked = Known(), None
        if self.moving:
            self.stage = Stage("deciding the first step")
        else:
            self.settle()

    def _take_step(self, snapshot: Snapshot) -> None:
        self.checked, self.message = None, ""
        self.stage = Stage("deciding the next step") if self.moving else None
        self.timeline.take(snapshot, self._told)

    def _take_place(self, applied: int) -> None:
        self.timeline.go_to(applied)
        self.checked = None
        self.waits.stopping = False
        self.settle()

    def _take_state(self, state: str) -> None:
        stopped = state == "paused" and self.waits.stopping
        self.state = "stopped" if stopped else state
        self.message, self.stage, self.waits.pausing = "", None, False
        if state == "paused" and not self.timeline.applied:  # before the first step: as it was
            self.waits.stopping = False
            self.settle()

    def settle(self) -> None:
        """The state of a run that does not move, from how far it is."""
        step = self.timeline.now.step
        self.state = "ready" if step is None else "paused" if step.progress < 1 else "finished"
        self.message, self.stage = "", None

    def now(self, busy: bool, misfit: str) -> Now:
        """What is the case, for everything that shows it.

        Args:
            busy: whether the worker is at work.
            misfit: what to tell of the data before a run.
        """
        return Now(
            state=self.state,
            message=self.message or (misfit if self.state == "ready" else ""),
            waits=self.waits.text if self.moving else "",
            stage=self.stage if busy else None,
            error=self.error,
            timeline=self.timeline,
            settings=self.made.settings,
            eps=self.made.eps,
            run=self._number,
            known=self.known.told,
            checked=self.checked,
            saved=self.saved,
            ending="" if self.run is None else self.run.ending,
        )


def sentence(error: BaseException) -> str:
    """What went wrong, as a reader is told it."""
    return str(error) if isinstance(error, PaodingError) else f"{type(error).__name__}: {error}"
