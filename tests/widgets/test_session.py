"""The worker thread with a run of its own kind: order of events, halts, pace and failures."""

from __future__ import annotations

import queue
import threading
from typing import Any

from paoding.plan import Decisions, Step
from paoding_widgets.insight import Cost
from paoding_widgets.session import Session, Snapshot


def snapshot(number: int, steps: int) -> Snapshot:
    progress = number / steps
    step = Step(number, (), Decisions.of([]), {}, progress, None, 0.0) if number else None
    return Snapshot(step, {}, {}, Cost(1, 1, 1))


class Counting:
    """A run that counts, and waits for the test before each step where it has a gate."""

    def __init__(self, steps: int, gate: threading.Semaphore | None = None) -> None:
        self.steps, self.at, self.gate, self.given_up = steps, 0, gate, False
        self.deciding = threading.Event()

    def first(self) -> Snapshot:
        return snapshot(0, self.steps)

    def advance(self) -> Snapshot | None:
        self.deciding.set()
        if self.gate is not None:
            self.gate.acquire()
        if self.given_up or self.at == self.steps:
            return None
        self.at += 1
        return snapshot(self.at, self.steps)

    def give_up(self) -> None:
        self.given_up = True
        if self.gate is not None:
            self.gate.release()

    def undo(self) -> bool:
        self.at -= self.at > 0
        return True

    def redo(self) -> bool:
        self.at += 1
        return True


def begun(run: Counting) -> Session:
    session = Session(lambda: None)
    session.send("make", lambda: (run, [run.first()]))
    return session


def told(session: Session, until: str) -> list[Any]:
    """Events up to one of a kind; a test that waits in vain fails after a while."""
    events = []
    while True:
        try:
            events.append(session.events.get(timeout=60))
        except queue.Empty:
            raise AssertionError(f"no event {until!r} after {events}") from None
        if events[-1].kind == until:
            return events


def test_a_run_tells_each_step_and_then_its_end() -> None:
    session = begun(Counting(3))
    session.send("run")
    events = told(session, "state")
    assert [event.kind for event in events] == ["begun", "step", "step", "step", "state"]
    assert events[-1].value == "finished"
    session.send("close")


def test_a_halt_while_a_step_is_decided_ends_the_run_after_that_step() -> None:
    gate = threading.Semaphore(0)
    run = Counting(5, gate)
    session = begun(run)
    session.send("run")
    told(session, "begun")
    run.deciding.wait(60)
    session.halt()
    gate.release()
    events = told(session, "state")
    assert [event.kind for event in events] == ["step", "state"]
    assert events[-1].value == "paused"
    session.send("close")


def test_a_halt_at_once_gives_the_step_up() -> None:
    run = Counting(5, threading.Semaphore(0))
    session = begun(run)
    session.send("run")
    told(session, "begun")
    run.deciding.wait(60)
    session.halt(at_once=True)
    assert [event.kind for event in told(session, "state")] == ["state"]
    session.send("close")


def test_a_halt_ends_the_wait_between_two_steps() -> None:
    session = begun(Counting(5))
    session.pace = 3600.0
    session.send("run")
    told(session, "step")
    session.halt()
    assert told(session, "state")[-1].value == "paused"
    session.send("close")


def test_going_back_and_forth_tells_where_the_run_is() -> None:
    session = begun(Counting(3))
    session.send("run")
    told(session, "state")
    session.send("goto", 1)
    assert told(session, "at")[-1].value == 1
    session.send("redo")
    assert told(session, "at")[-1].value == 2
    session.send("close")


def test_what_goes_wrong_is_told_and_the_worker_lives_on() -> None:
    session = begun(Counting(1))

    def fails(_: Any) -> None:
        raise ValueError("no")

    session.send("do", (fails, print))
    assert str(told(session, "error")[-1].value) == "no"
    session.send("run")
    assert told(session, "state")[-1].value == "finished"
    session.send("close")
