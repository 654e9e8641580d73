"""The applied steps of a run and the weights after each, within a bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from paoding.plan import Removal, Step

if TYPE_CHECKING:
    from paoding.graph import State

KEEP_BYTES = 1 << 30  # weights of earlier steps that are held; older ones are worked out again

Apply = Callable[["State", tuple[Removal, ...]], "State"]


class History:
    """Steps that can be taken back and applied again.

    Args:
        original: the state before the first step.
        apply: works out the state after some removals.
        pathless: whether weights depend on who is left only. They are then worked out when
            somebody asks for them, from the original and in one go.
    """

    def __init__(self, original: State, apply: Apply, pathless: bool) -> None:
        self.steps: list[Step] = []
        self._original = original
        self._apply = apply
        self._pathless = pathless
        self._alive = [original.alive]
        self._states: dict[int, State] = {0: original}
        self._undone: list[tuple[Step, np.ndarray]] = []

    @property
    def alive(self) -> np.ndarray:
        """Mask of the units that are left now."""
        return self._alive[-1]

    @property
    def path(self) -> tuple[np.ndarray, ...]:
        """Masks of the units that were left at first and after each step."""
        return tuple(self._alive)

    def removals(self, group: str) -> list[Removal]:
        """What a group has lost so far, in order."""
        return [r for step in self.steps for r in step.removals if r.group == group]

    def basis(self) -> State:
        """What the next step is decided on: for a pathless run the original's weights."""
        if self._pathless:
            return self._original.replace({}, self.alive)
        return self.at(len(self.steps))

    def add(self, step: Step, alive: np.ndarray, state: State | None = None) -> None:
        """Append a step; what had been taken back is dropped."""
        self._undone.clear()
        self._push(step, alive)
        if state is not None:
            self._states[len(self.steps)] = state
            self._forget()

    def undo(self) -> Step | None:
        """Take the last step back."""
        if not self.steps:
            return None
        self._states.pop(len(self.steps), None)
        self._undone.append((self.steps.pop(), self._alive.pop()))
        return self._undone[-1][0]

    def redo(self) -> Step | None:
        """Apply again what was taken back last."""
        if not self._undone:
            return None
        step, alive = self._undone.pop()
        self._push(step, alive)
        return step

    def go(self, count: int) -> None:
        """Take steps back, or apply again what was taken back, until so many are applied."""
        while len(self.steps) > count and self.undo():
            pass
        while len(self.steps) < count and self.redo():
            pass

    def drop_undone(self) -> None:
        """Forget the steps that were taken back."""
        self._undone.clear()

    def _push(self, step: Step, alive: np.ndarray) -> None:
        self.steps.append(step)
        self._alive.append(alive)

    def at(self, count: int) -> State:
        """The state after ``count`` steps."""
        state = self._states.get(count)
        if state is None:
            state = self._states[count] = self._work_out(count)
            self._forget()  # perhaps this very one
        return state

    def know(self, state: State) -> None:
        """Take a state for the present one, instead of working it out."""
        self._states[len(self.steps)] = state

    def _work_out(self, count: int) -> State:
        if self._pathless:
            before = self._original.replace({}, self._alive[count - 1])
            return self._apply(before, self.steps[count - 1].removals)
        start = max(k for k in self._states if k < count)
        return self.along(self._states[start], [s.removals for s in self.steps[start:count]])

    def along(self, state: State, path: Sequence[tuple[Removal, ...]]) -> State:
        """The state at the end of some steps from another state."""
        for removals in path:
            state = self._apply(state, removals)
        return state

    def _forget(self) -> None:
        """Drop the oldest states beyond the memory allowed; the first and last two stay."""
        own = {id(value) for value in self._original.values}
        held: dict[int, int] = {}
        for number in sorted(self._states, reverse=True):
            for value in self._states[number].values:
                if id(value) not in own:
                    held[id(value)] = value.nbytes
            if sum(held.values()) > KEEP_BYTES and 0 < number < len(self.steps) - 1:
                for older in [k for k in self._states if 0 < k <= number]:
                    del self._states[older]
                return
