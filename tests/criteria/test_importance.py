"""Saliency, magnitude and the ranking of candidates, against values worked out by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from paoding.criteria import (
    PLAIN,
    DistanceCache,
    Ranking,
    distances,
    magnitude,
    outgoing_norms,
    pair_ranking,
)
from paoding.graph import Graph, trace


def two_layers(kernel: np.ndarray, bias: np.ndarray, outgoing: np.ndarray) -> Graph:
    model = keras.Sequential(
        [
            keras.Input((kernel.shape[0],)),
            keras.layers.Dense(kernel.shape[1], "relu", name="hidden"),
            keras.layers.Dense(outgoing.shape[1], name="scores"),
        ]
    )
    model.set_weights([kernel, bias, outgoing, np.zeros(outgoing.shape[1])])
    return trace(model)


@pytest.fixture
def by_hand() -> Graph:
    kernel = np.array([[3.0, 0.0, 0.0], [4.0, 0.0, 0.0]])  # w = (3, 4), (0, 0), (0, 0)
    bias = np.array([0.0, 1.0, -3.0])
    outgoing = np.array([[2.0, 0.0], [0.0, 5.0], [3.0, 4.0]])  # norms 2, 5, 5
    return two_layers(kernel, bias, outgoing)


def test_distances_follow_the_paper_with_no_term_for_two_zero_biases(by_hand: Graph) -> None:
    found = distances(by_hand.groups[0], by_hand.original)
    expected = [[0, 5 + 1, 5 + 1], [6, 0, 4 / 4], [6, 1, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_saliency_of_a_pair_has_the_norm_of_the_unit_that_goes(by_hand: Graph) -> None:
    group, state = by_hand.groups[0], by_hand.original
    np.testing.assert_allclose(outgoing_norms(group, state), [2, 5, 5])
    every = np.ones(3, bool)
    ranking = pair_ranking(by_hand, group, state, every, every, DistanceCache())
    # Unit 0 into 1 or 2 costs 2 * 6; units 1 and 2 into each other cost 5 * 1.
    np.testing.assert_allclose(ranking.importance, [12, 5, 5])
    assert ranking.into.tolist() == [1, 2, 1]
    assert ranking.order().tolist() == [1, 2, 0]


def test_magnitude_is_the_mean_absolute_weight_of_each_unit(by_hand: Graph) -> None:
    np.testing.assert_allclose(magnitude(by_hand.groups[0], by_hand.original), [3.5, 0, 0])


def test_duplicates_have_distance_zero() -> None:
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(5, 4))
    kernel[:, 3] = kernel[:, 1]
    bias = np.array([0.1, -0.2, 0.3, -0.2])
    graph = two_layers(kernel, bias, rng.normal(size=(4, 2)))
    found = distances(graph.groups[0], graph.original)
    assert found[1, 3] < 1e-6
    assert (found[~np.eye(4, dtype=bool)] < 1e-6).sum() == 2


@given(arrays(np.float64, (6, 6), elements=st.floats(0, 100)), st.booleans())
def test_taking_units_one_by_one_always_picks_the_cheapest_survivor_that_is_left(
    pairs: np.ndarray, once: bool
) -> None:
    every = np.ones(6, bool)
    ranking = Ranking.of_pairs(pairs, every, every)
    gone: set[int] = set()
    used: set[int] = set()
    while ranking.may_go.any():
        unit = int(ranking.order()[0])
        into = ranking.take(unit, once)
        assert unit not in gone and unit != into and into not in gone
        free = [i for i in range(6) if i != unit and i not in gone and not (once and i in used)]
        assert pairs[into, unit] == min(pairs[i, unit] for i in free)
        if once:
            assert not {unit, into} & used
            used |= {unit, into}
        gone.add(unit)
    assert len(gone) == (3 if once else 5)


def test_a_plain_ranking_names_no_survivor() -> None:
    ranking = Ranking.plain(np.array([3.0, 1.0, 2.0]), np.array([True, True, False]))
    assert ranking.order().tolist() == [1, 0]
    assert ranking.take(1, once=False) == PLAIN
