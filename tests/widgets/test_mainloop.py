"""The way back into the main thread: order, rate, failures, and the last turn of a wait."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from paoding_widgets.mainloop import MainLoop


def test_calls_are_made_in_order_before_the_turn() -> None:
    done: list[Any] = []
    loop = MainLoop(lambda: done.append("turn"), done.append)
    loop.post(lambda: done.append(1))
    loop.post(lambda: done.append(2))
    loop.turn()
    assert done == [1, 2, "turn"]


def test_a_call_that_fails_is_told_and_the_next_is_made() -> None:
    done: list[Any] = []
    loop = MainLoop(lambda: None, lambda error: done.append(str(error)))

    def fails() -> None:
        raise ValueError("bad")

    loop.post(fails)
    loop.post(lambda: done.append("next"))
    loop.turn()
    assert done == ["bad", "next"]


def test_wakes_from_another_thread_become_one_turn_in_the_main_thread() -> None:
    threads: list[int] = []

    async def run() -> None:
        turned = asyncio.Event()

        def turn() -> None:
            threads.append(threading.get_ident())
            turned.set()

        loop = MainLoop(turn, lambda error: None)
        other = threading.Thread(target=lambda: [loop.wake() for _ in range(50)])
        other.start()
        other.join()
        await asyncio.wait_for(turned.wait(), 60)

    asyncio.run(run())
    assert threads == [threading.get_ident()]


def test_a_wait_ends_only_after_a_turn_that_began_and_ended_idle() -> None:
    # The worker falls idle during a turn: what it told last must still be taken in.
    busy = iter([True, False, False, False])
    turns: list[int] = []
    loop = MainLoop(lambda: turns.append(1), lambda error: None)
    loop.wait(lambda: next(busy, False), None)
    assert len(turns) == 2
