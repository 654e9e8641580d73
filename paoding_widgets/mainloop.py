"""The way back into the kernel's main thread, where alone widgets may be touched."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable

# The browser is told no more often than this; a person sees no difference.
PERIOD = 1 / 8


class MainLoop:
    """Collects what is to be done in the main thread, and has it done soon, at most at 8 Hz.

    The loop is captured where the object is made: with ipykernel 7 the callbacks of buttons come
    in on a thread of their own, with an event loop that is not the kernel's.

    Args:
        turn: called in the main thread, after the collected calls have been made.
        failed: called there with the exception of a call that failed.
    """

    def __init__(self, turn: Callable[[], None], failed: Callable[[BaseException], None]) -> None:
        self._turn = turn
        self._failed = failed
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._loop = _main_loop()
        self._scheduled = False
        self._last = 0.0

    def post(self, act: Callable[[], None]) -> None:
        """Have something done in the main thread; callable from any thread."""
        self._calls.put(act)
        self.wake()

    def wake(self) -> None:
        """Have a turn taken soon; callable from any thread."""
        if self._loop is not None:
            # A closed loop means that the kernel is going down: nobody is left to be told.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._schedule)

    def turn(self) -> None:
        """Make the collected calls and take a turn now; in the main thread only."""
        self._scheduled = False
        self._last = time.monotonic()
        while not self._calls.empty():
            act = self._calls.get()
            try:
                act()
            except Exception as error:  # told to the reader: nothing else would
                self._failed(error)
        self._turn()

    def wait(self, busy: Callable[[], bool], timeout: float | None) -> None:
        """Take turns in the main thread until nothing is busy, or time is up."""
        end = None if timeout is None else time.monotonic() + timeout
        # A turn can ask the worker for more, and the worker can tell more while a turn is taken:
        # only a turn that begins and ends with an idle worker is the last.
        while True:
            was_busy = busy()
            self.turn()
            if (not was_busy and not busy()) or (end is not None and time.monotonic() > end):
                break
            while busy() and time.monotonic() < self._last + PERIOD:
                time.sleep(0.01)

    def _schedule(self) -> None:
        if not self._scheduled and self._loop is not None:
            self._scheduled = True
            delay = max(0.0, self._last + PERIOD - time.monotonic())
            self._loop.call_later(delay, self.turn)


def _main_loop() -> asyncio.AbstractEventLoop | None:
    """The kernel's main loop, also where a subshell's thread (a button) makes the studio."""
    if threading.current_thread() is threading.main_thread():
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            return None  # a plain script: nothing happens but in wait()
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    kernel = getattr(get_ipython(), "kernel", None)
    loop = getattr(getattr(kernel, "io_loop", None), "asyncio_loop", None)
    return loop if isinstance(loop, asyncio.AbstractEventLoop) else None
