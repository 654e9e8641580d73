"""Scores of candidates: bounds when sound, and the paper's own numbers when asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

sys.path.insert(0, str(Path(__file__).parent))
import networks

from paoding.bounds.forward import forward
from paoding.bounds.intervals import Interval
from paoding.bounds.lowering import lower
from paoding.bounds.primitives import score_values
from paoding.bounds.scoring import Scorer
from paoding.bounds.screening import pair_distance
from paoding.domain import Box
from paoding.errors import ArgumentError, BoundsError
from paoding.graph import Graph, State, trace


def removed(graph: Graph, state: State, name: str, unit: int, into: int) -> State:
    """Masked weights after one removal."""
    values = {i: np.array(v, dtype=np.float64) for i, v in enumerate(state.values)}
    for member in graph.by_name[name].with_role("consume"):
        front = np.moveaxis(values[member.variable], member.axis, 0)
        if into >= 0:
            front[member.indices[into]] += front[member.indices[unit]]
        front[member.indices[unit]] = 0
    return state.replace(values)


SCORED = [
    name
    for name in networks.NETWORKS
    if name not in ("dense_exponential",)  # it overflows
]


@pytest.mark.parametrize("name", SCORED)
def test_no_candidate_changes_the_scores_beyond_its_bounds(name: str) -> None:
    rng = np.random.default_rng(7)
    graph = networks.graph_of(name)
    state = networks.random_state(graph, rng)
    boxes = [Box(-0.5, 0.5) for _ in graph.flat.inputs]
    case = networks.Case(graph, state, state, boxes, [])
    points = case.points(rng, 200)
    program = lower(graph, state)
    targets = score_values(program)
    old = forward(program, [Interval.point(p) for p in points])
    scorer = Scorer(graph, state, boxes)
    for group in graph.prunable:
        gone = rng.integers(0, group.units, 4)
        into = np.where(rng.random(4) < 0.7, (gone + 1) % group.units, -1)
        if not group.mergeable or group.units < 2:
            into[:] = -1
        low, high = scorer.propagate(group, scorer.deltas(group, gone, into))
        for k in range(4):
            after = removed(graph, state, group.name, int(gone[k]), int(into[k]))
            new = forward(lower(graph, after), [Interval.point(p) for p in points])
            change = [(new[v] - old[v]).reshape(len(points[0]), -1) for v in targets]
            least = np.concatenate([c.lower for c in change], axis=1)
            most = np.concatenate([c.upper for c in change], axis=1)
            assert (least <= high[k]).all() and (most >= low[k]).all(), (name, group.name, k)


def test_a_step_s_removals_add_up() -> None:
    rng = np.random.default_rng(1)
    graph = networks.graph_of("dense_relu")
    state = networks.random_state(graph, rng)
    group = graph.groups[0]
    box = Box(-0.5, 0.5)
    scorer = Scorer(graph, state, box)
    deltas = scorer.deltas(group, np.array([0, 3]), np.array([1, 2]))
    low, high = scorer.propagate(group, deltas[np.array([1])].plus(deltas[np.array([0])]))
    after = removed(graph, removed(graph, state, group.name, 0, 1), group.name, 3, 2)
    x = box.sample(rng, 500, (3,))
    old, new = (forward(lower(graph, s), [Interval.point(x)])[-1].lower for s in (state, after))
    assert (new - old <= high + 1e-9).all() and (new - old >= low - 1e-9).all()


def test_duplicates_change_nothing() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(6, "tanh", name="h"), layers.Dense(3)]
    )
    kernel, bias = model.layers[0].get_weights()
    kernel[:, 5], bias[5] = kernel[:, 2], bias[2]
    model.layers[0].set_weights([kernel, bias])
    graph = trace(model)
    scorer = Scorer(graph, graph.original, Box(-5, 5))
    group = graph.by_name["h"]
    low, high = scorer.propagate(group, scorer.deltas(group, [5], [2]))
    assert np.abs(low).max() < 1e-280 and np.abs(high).max() < 1e-280


def test_chunks_do_not_change_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = networks.graph_of("convolutions")
    scorer = Scorer(graph, graph.original, Box(0, 1))
    group = graph.prunable[0]
    deltas = scorer.deltas(group, np.arange(4), np.full(4, -1))
    whole = scorer.propagate(group, deltas)
    monkeypatch.setattr("paoding.bounds.scoring._BATCH_BYTES", 1)
    parts = scorer.propagate(group, deltas)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-12)
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-12)


def test_the_screen_is_above_every_exact_amount() -> None:
    rng = np.random.default_rng(2)
    for name in ("dense_relu", "dense_tanh", "dense_gelu", "deep", "classifier"):
        graph = networks.graph_of(name)
        state = networks.random_state(graph, rng)
        scorer = Scorer(graph, state, Box(-1, 1))
        for group in graph.prunable:
            screen = scorer.screen(group)
            assert screen is not None
            gone, into = (a.ravel() for a in np.indices((group.units, group.units)))
            low, high = scorer.propagate(group, scorer.deltas(group, gone, into))
            amounts = (high - low).sum(axis=1).reshape(group.units, -1)
            pairs = ~np.eye(group.units, dtype=bool)
            assert (amounts[pairs] <= screen[pairs] * (1 + 1e-6) + 1e-12).all(), name


def test_pair_distances_hold_for_every_input() -> None:
    rng = np.random.default_rng(3)
    kernel = rng.normal(size=(30, 12)).astype(np.float32)
    kernel[:, 4] = kernel[:, 3]
    bias = rng.normal(size=12)
    bias[4] = bias[3]
    low = rng.normal(size=30)
    box = Interval.of(low[None], (low + rng.random(30))[None])
    bound = pair_distance(kernel, bias, box)
    x = rng.uniform(box.lower, box.upper, (2000, 30))
    x[:1000] = np.where(rng.random((1000, 30)) < 0.5, box.lower, box.upper)
    z = x @ kernel.astype(np.float64) + bias
    apart = np.abs(z[:, :, None] - z[:, None, :]).max(axis=0)
    assert (apart <= bound + 1e-12).all()
    assert bound[3, 4] < 0.02 * np.median(bound)  # only the float32 product's rounding is left


def by_hand() -> tuple[Graph, Scorer]:
    """Two inputs, two hidden layers of two ReLU units each, one output; weights of one digit."""
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(2, "relu", name="one"),
            layers.Dense(2, "relu", name="two"),
            layers.Dense(1, name="out"),
        ]
    )
    model.set_weights(
        [
            np.array([[1.0, 2.0], [3.0, -1.0]]),
            np.array([0.0, 0.0]),
            np.array([[1.0, -1.0], [2.0, 1.0]]),
            np.array([0.0, 1.0]),
            np.array([[3.0], [-2.0]]),
            np.array([0.5]),
        ]
    )
    graph = trace(model)
    return graph, Scorer(graph, graph.original, Box(0, 1), propagation="paper")


def test_the_paper_s_propagation_is_what_one_computes_by_hand() -> None:
    graph, scorer = by_hand()
    # Unit 1 of the first layer into unit 0. The paper takes the first layer's outputs to lie in
    # the inputs' [0, 1], so y_0 - y_1 is in [-1, 1], and times unit 1's row (2, 1) it is
    # ([-2, 2], [-1, 1]). ReLU's range is (0, hi): ([0, 2], [0, 1]). Times (3, -2): [-2, 6].
    group = graph.by_name["one"]
    low, high = scorer.propagate(group, scorer.deltas(group, [1], [0]))
    np.testing.assert_allclose([low[0, 0], high[0, 0]], [-2.0, 6.0])
    # Unit 0 of the second layer into unit 1. z = (a + 2b, -a + b + 1) with a, b in [0, 1]:
    # ([0, 3], [0, 2]), after ReLU (0, hi) the same. y_1 - y_0 is in [-3, 2]; times 3: [-9, 6].
    group = graph.by_name["two"]
    low, high = scorer.propagate(group, scorer.deltas(group, [0], [1]))
    np.testing.assert_allclose([low[0, 0], high[0, 0]], [-9.0, 6.0])


def test_the_paper_s_propagation_is_no_bound_and_the_sound_one_is() -> None:
    graph, paper = by_hand()
    group = graph.by_name["one"]
    sound = Scorer(graph, graph.original, Box(0, 1))
    x = np.random.default_rng(0).random((4000, 2))
    x[:4] = [[0, 0], [0, 1], [1, 0], [1, 1]]
    after = removed(graph, graph.original, "one", 1, 0)
    old, new = (
        forward(lower(graph, s), [Interval.point(x)])[-1].lower for s in (graph.original, after)
    )
    change = new - old
    low, high = paper.propagate(group, paper.deltas(group, [1], [0]))
    assert change.max() > high[0, 0] + 1 or change.min() < low[0, 0] - 1
    low, high = sound.propagate(group, sound.deltas(group, [1], [0]))
    assert change.max() <= high[0, 0] and change.min() >= low[0, 0]


def test_work_beyond_the_budget_is_refused_with_the_reason() -> None:
    graph = networks.graph_of("convolutions")
    scorer = Scorer(graph, graph.original, Box(0, 1), budget=10)
    group = graph.prunable[0]
    with pytest.raises(BoundsError, match="budget"):
        scorer.propagate(group, scorer.deltas(group, [0], [-1]))
    with pytest.raises(BoundsError, match="budget"):  # before any interval is worked out
        scorer.deltas(group, [0], [-1])
    assert "_values" not in vars(scorer)


def test_a_layer_without_a_rule_is_named() -> None:
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            layers.Dense(5, "relu", name="hidden"),
            layers.LSTM(3, name="memory"),
            layers.Dense(2),
        ]
    )
    graph = trace(model)
    scorer = Scorer(graph, graph.original, Box(0, 1))
    with pytest.raises(BoundsError, match="memory"):
        scorer.deltas(graph.by_name["hidden"], [0], [-1])


def test_an_unknown_propagation_is_told() -> None:
    graph = networks.graph_of("deep")
    with pytest.raises(ArgumentError, match="sound"):
        Scorer(graph, graph.original, Box(0, 1), propagation="exact")  # type: ignore[arg-type]


def test_chains_of_merges_end_in_their_last_survivor() -> None:
    from paoding.bounds.difference import resolved

    plan = [("a", 3, 2), ("a", 2, 0), ("b", 1, None), ("a", 5, 4), ("a", 4, None)]
    merges = resolved([SimpleNamespace(group=g, unit=u, into=i) for g, u, i in plan])
    assert merges["a"][0].tolist() == [2, 3, 4, 5]
    assert merges["a"][1].tolist() == [0, 0, -1, -1]
    assert merges["b"][1].tolist() == [-1]
