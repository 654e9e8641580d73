"""The history of a run: undo, redo, and weights that are worked out again beyond the memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paoding.graph import State
from paoding.plan import Decisions, Removal, Step
from paoding.pruning.history import History

UNITS = 8


def original() -> State:
    return State((np.arange(UNITS, dtype=np.float32) + 1,), np.ones(UNITS, bool))


def step(index: int, *units: int) -> Step:
    removals = tuple(Removal("hidden", unit) for unit in units)
    return Step(index, removals, Decisions({"unit": np.array(units)}), {}, 0.0, None, 0.0)


class Network:
    """Removes units for real, on an array: they go to zero, and the rest shares their weight."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, state: State, removals: tuple[Removal, ...]) -> State:
        self.calls += 1
        value, alive = state.values[0].copy(), state.alive.copy()
        gone = [r.unit for r in removals]
        alive[gone] = False
        value[alive] += value[gone].sum() / alive.sum()
        value[~alive] = 0
        return state.replace({0: value}, alive)


def run(*removed: int, pathless: bool = False) -> tuple[History, Network]:
    network = Network()
    history = History(original(), network, pathless)
    for index, unit in enumerate(removed, start=1):
        alive = history.alive.copy()
        alive[unit] = False
        history.add(step(index, unit), alive)
    return history, network


def test_a_step_taken_back_and_applied_again_is_the_same_step_with_the_same_weights() -> None:
    history, _ = run(2, 5, 0)
    last, weights, alive = history.steps[-1], history.at(3).values[0], history.alive
    assert history.undo() is last and history.alive[0]
    assert history.redo() is last
    np.testing.assert_array_equal(history.alive, alive)
    np.testing.assert_array_equal(history.at(3).values[0], weights)


def test_a_new_step_drops_what_had_been_taken_back() -> None:
    history, _ = run(2, 5)
    history.undo()
    alive = history.alive.copy()
    alive[7] = False
    history.add(step(2, 7), alive)
    assert history.redo() is None
    assert [r.unit for r in history.removals("hidden")] == [2, 7]


def test_at_the_ends_there_is_nothing_to_take_back_or_to_apply_again() -> None:
    history, _ = run()
    assert history.undo() is None and history.redo() is None
    np.testing.assert_array_equal(history.basis().values[0], original().values[0])


@given(st.permutations(range(UNITS - 1)), st.lists(st.integers(0, UNITS - 1), max_size=6))
def test_going_back_and_forth_ends_where_going_straight_does(
    order: list[int], wander: list[int]
) -> None:
    history, _ = run(*order)
    straight, _ = run(*order)
    for count in (*wander, len(order)):
        history.go(count)
        assert len(history.steps) == min(count, len(order))
        assert history.alive.sum() == UNITS - len(history.steps)
    np.testing.assert_array_equal(
        history.at(len(order)).values[0], straight.at(len(order)).values[0]
    )


def test_weights_are_worked_out_only_when_they_are_asked_for_and_then_kept() -> None:
    history, network = run(1, 2, 3)
    assert network.calls == 0
    first = history.at(3)
    assert network.calls == 3 and history.at(3) is first and network.calls == 3


def test_weights_dropped_for_memory_are_worked_out_again_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = [run(1, 2, 3, 4)[0].at(k).values[0] for k in range(5)]
    monkeypatch.setattr("paoding.pruning.history.KEEP_BYTES", 0)
    history, network = run(1, 2, 3, 4)
    for k in (1, 2, 3, 4):
        history.at(k)
    calls = network.calls
    for k in range(5):
        np.testing.assert_array_equal(history.at(k).values[0], wanted[k])
    assert network.calls > calls


def test_a_pathless_run_decides_on_the_original_weights_and_forgets_the_way() -> None:
    there, _ = run(1, 4, pathless=True)
    np.testing.assert_array_equal(there.basis().values[0], original().values[0])
    np.testing.assert_array_equal(there.basis().alive, there.alive)
    assert there.at(2).values[0][4] == 0 and there.path[0].all()


def test_a_run_along_its_path_builds_on_the_step_before() -> None:
    history, network = run(1, 4)
    expected = network(network(original(), step(1, 1).removals), step(2, 4).removals)
    np.testing.assert_array_equal(history.basis().values[0], expected.values[0])
