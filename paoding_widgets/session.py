"""One run in a worker thread: it prunes, measures, and only appends what happened to a queue."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from paoding.errors import PaodingError
from paoding.evaluation.measures import Metric
from paoding.plan import Step
from paoding_widgets.insight import Cost

ACCURACY = Metric.share("accuracy")


@dataclass(frozen=True)
class Measured:
    """How good a network is at its task on the evaluation data, also under attack.

    Args:
        quality: of the task's first metric.
        robust: what is left under attack, or None where the task knows no attack.
        samples: on which it was measured.
        metric, robust_metric: what the numbers are, and which way is better; None: the same.
        moved: least and greatest change of each score or output that was seen on some samples.
        moved_scores: whether these are of scores before a softmax or sigmoid.
    """

    quality: float
    robust: float | None
    samples: int
    metric: Metric = ACCURACY
    robust_metric: Metric | None = None
    moved: tuple[np.ndarray, np.ndarray] | None = None
    moved_scores: bool = True

    @property
    def text(self) -> str:
        """The quality as a reader is told it."""
        return value_text(self.metric, self.quality)

    @property
    def comparable(self) -> bool:
        """Whether both numbers belong on one axis."""
        other = self.robust_metric or self.metric
        if self.robust is None:
            return False
        return other.name == self.metric.name or other.unit == self.metric.unit == "share"


def value_text(metric: Metric, value: float | None) -> str:
    """A number as a reader is told it: shares in percent."""
    if value is None:
        return "–"
    return f"{value:.1%}" if metric.unit == "share" else f"{value:.4g}"


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything that is shown of one moment of a run; moment 0 is the original.

    Args:
        step: the step that led here, or None for the original.
        importance: group name -> importance of each unit (NaN where it is gone or can't go).
        parameters: layer name -> parameters left.
        cost: of the whole model.
        measured: on the evaluation data, or None without data.
        lower, upper: change of each output since the original over the domain, or None; of each
            score where the outputs are what a softmax or sigmoid makes of scores.
        scores: whether they are of scores.
        certified: whether ``lower`` and ``upper`` are proved.
        bound_note: why there are none.
        share: units removed so far, as a share of all that could go.
        free: group name -> units of the original that provably never matter, each with the reason.
        distilled: steps in which all survivors were tuned together; 0 before the target.
        measure: by what candidates were ordered; numbers of different measures are never compared.
        planned: steps of the whole run, as its settings foresee them.
        latency: seconds for one sample, where it was measured.
        predicted: seconds for one sample by the table that a budget in milliseconds is spent by.
    """

    step: Step | None
    importance: Mapping[str, np.ndarray]
    parameters: Mapping[str, int]
    cost: Cost
    measured: Measured | None = None
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    scores: bool = False
    certified: bool = False
    bound_note: str = ""
    share: float = 0.0
    free: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    distilled: int = 0
    measure: str = ""
    planned: int = 0
    latency: float | None = None
    predicted: float | None = None


class Run(Protocol):
    """What the worker drives: a pruner with its measurements."""

    def first(self) -> Snapshot:
        """The original."""

    def advance(self) -> Snapshot | None:
        """Take one step; None where the target is reached, or the step was given up."""

    def give_up(self) -> None:
        """Give up the step that is being decided; callable from any thread."""

    def undo(self) -> bool:
        """Take the last step back; whether there was one."""

    def redo(self) -> bool:
        """Take a step again that was taken back; whether there was one."""


@dataclass(frozen=True)
class Event:
    """What the worker tells: a kind, and what belongs to it.

    ``begun`` (run and snapshots), ``step`` (moment), ``at`` (number of steps applied), ``state``
    (text), ``failed`` and ``error`` (the exception; after ``error`` the run is as it was),
    ``result`` (function and value), ``pulse`` (what long work is at, and the share that is done).
    """

    kind: str
    value: Any = None


@dataclass(eq=False)
class _Command:
    kind: str
    value: Any
    halts: int
    replaced: bool = False


@dataclass
class Session:
    """The worker thread of a studio and the two queues between them.

    Args:
        on_event: called in the worker after each event; it must only wake the main loop.
        pace: seconds that a step of a run lasts at least, so that it can be watched.
    """

    on_event: Callable[[], None]
    events: queue.SimpleQueue[Event] = field(default_factory=queue.SimpleQueue)
    pace: float = 0.0
    _commands: queue.SimpleQueue[_Command] = field(default_factory=queue.SimpleQueue)
    _halts: int = 0
    _thread: threading.Thread | None = None
    _run: Run | None = None
    _applied: int = 0
    _waiting: list[_Command] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def busy(self) -> bool:
        """Whether a command is being carried out or waits to be."""
        return bool(self._waiting)

    def send(self, kind: str, value: Any = None) -> None:
        """Ask the worker for something; it is done after what was asked before.

        A fresh run (``make``) replaces what waits and would only change the run of before; what
        is to be done with that run, such as saving it, stays.

        ``make`` (function that makes a run), ``run``, ``step``, ``undo``, ``redo``, ``goto``
        (number of steps), ``hand`` (function of the run that takes a step),
        ``do`` (function of the run, function of its value), ``close``.
        """
        command = _Command(kind, value, self._halts)
        with self._lock:
            if kind == "make":
                for waiting in reversed(self._waiting):
                    if waiting.kind in ("do", "close"):
                        break
                    waiting.replaced = True
            self._waiting.append(command)
        self._commands.put(command)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="paoding", daemon=True)
            self._thread.start()

    def halt(self, *, at_once: bool = False) -> None:
        """End every run asked for so far after the step that it is in; later ones go on.

        Args:
            at_once: give that step up, where it is still being decided.
        """
        self._halts += 1
        run = self._run
        if at_once and run is not None:
            run.give_up()

    def pulse(self, what: str, share: float) -> None:
        """Tell what long work is at; for the pruner, which works in the worker's thread."""
        self._tell("pulse", (what, share))

    def _tell(self, kind: str, value: Any = None) -> None:
        self.events.put(Event(kind, value))
        self.on_event()

    def _work(self) -> None:
        while True:
            command = self._commands.get()
            try:
                if command.kind == "close":
                    return
                if not command.replaced:
                    self._carry_out(command)
            except Exception as error:  # whatever went wrong is shown, the studio stays alive
                self._tell("error" if command.kind == "do" else "failed", error)
            finally:
                with self._lock:
                    self._waiting.remove(command)
                self.on_event()

    def _carry_out(self, command: _Command) -> None:
        if command.kind == "make":
            self._make(command.value)
            return
        if command.kind == "do":
            act, after = command.value
            self._tell("result", (after, act(self._run)))
            return
        if self._run is None:
            return
        if command.kind == "run":
            self._advance(command.halts, None)
        elif command.kind == "step":
            self._advance(command.halts, 1)
        elif command.kind == "hand":
            self._by_hand(command.value)
        elif command.kind == "undo":
            self._go_to(self._applied - 1)
        elif command.kind == "redo":
            self._go_to(self._applied + 1)
        elif command.kind == "goto":
            self._go_to(command.value)

    def _make(self, factory: Callable[[], tuple[Run, list[Snapshot]]]) -> None:
        """Begin a run; a resumed one brings the snapshots of the steps that it replays."""
        self._run = None
        self._applied = 0
        run, snapshots = factory()
        self._run = run
        self._applied = len(snapshots) - 1
        self._tell("begun", (run, snapshots))

    def _advance(self, halts: int, most: int | None) -> None:
        """Take steps until there are enough, none is left, or a halt is called."""
        assert self._run is not None
        taken, done = 0, False
        while not done and self._halts == halts and taken != most:
            started = time.monotonic()
            snapshot = self._run.advance()
            if snapshot is None:
                done = self._halts == halts  # else the step was given up
                break
            taken += 1
            self._applied += 1
            self._tell("step", snapshot)
            done = snapshot.step is not None and snapshot.step.progress >= 1
            if not done and taken != most:
                self._linger(halts, started)
        self._tell("state", "finished" if done else "paused")

    def _by_hand(self, act: Callable[[Any], Snapshot]) -> None:
        """Take a step that a person chose; one that is not possible leaves the run as it was."""
        try:
            snapshot = act(self._run)
        except PaodingError as error:
            self._tell("error", error)
        else:
            self._applied += 1
            self._tell("step", snapshot)
        self._tell("at", self._applied)

    def _linger(self, halts: int, started: float) -> None:
        """Wait until the step has lasted as long as the pace says; a halt ends it."""
        while self._halts == halts:
            left = started + self.pace - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(left, 0.05))

    def _go_to(self, target: int) -> None:
        assert self._run is not None
        while self._applied > max(0, target) and self._run.undo():
            self._applied -= 1
        while self._applied < target and self._run.redo():
            self._applied += 1
        self._tell("at", self._applied)
