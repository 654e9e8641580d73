"""Energies: the paper's formulas by the letter, and a default that never ties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from paoding.criteria import energy
from paoding.errors import ArgumentError


def slow_evenness(lower: np.ndarray, upper: np.ndarray) -> list[float]:
    """The paper's formula, written as loops."""
    result = []
    for low, high in zip(lower, upper, strict=True):
        union = max(*high, 0.0) - min(*low, 0.0)
        entropy = 0.0
        for u in range(len(low)):
            similar = 0
            for v in range(len(low)):
                distance = abs(low[u] - low[v]) + abs(high[u] - high[v])
                sim = 1.0 if union == 0 else 1 - distance / 2 / union
                similar += sim >= 0.9
            entropy -= similar / len(low) * math.log(similar / len(low))
        result.append(entropy)
    return result


def test_amount_is_the_sum_of_the_widths() -> None:
    np.testing.assert_array_equal(energy.amount([[-1, 2], [0, 0]], [[1, 5], [0, 0]]), [5, 0])


def test_evenness_equals_the_formula_written_as_loops() -> None:
    rng = np.random.default_rng(0)
    lower = rng.normal(size=(40, 7))
    upper = lower + rng.uniform(0, 2, size=(40, 7))
    upper[0] = lower[0] = 0.0
    upper[1], lower[1] = 1.0, -1.0
    np.testing.assert_allclose(
        energy.evenness(lower, upper), slow_evenness(lower, upper), rtol=0, atol=1e-12
    )


def test_evenness_in_chunks_equals_evenness_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    lower = rng.normal(size=(23, 9))
    upper = lower + rng.uniform(size=(23, 9))
    whole = energy.evenness(lower, upper)
    monkeypatch.setattr(energy, "_CHUNK_ENTRIES", 200)
    np.testing.assert_array_equal(energy.evenness(lower, upper), whole)


def test_alike_intervals_are_even_and_a_single_output_always_is() -> None:
    assert energy.evenness([[-3.0] * 5], [[2.0] * 5]) == 0
    assert energy.evenness([[-3.0]], [[2.0]]) == 0


def test_outputs_of_any_shape_are_a_flat_list() -> None:
    lower = np.zeros((2, 3, 4))
    upper = np.arange(24.0).reshape(2, 3, 4)
    flat = energy.evenness(lower.reshape(2, 12), upper.reshape(2, 12))
    np.testing.assert_array_equal(energy.evenness(lower, upper), flat)


def test_the_papers_energy_is_the_formula_and_ties_beyond_an_amount_of_37() -> None:
    paper = energy.get("paper")
    amounts, evennesses = np.array([1.0, 40.0, 5e6]), np.array([0.5, 1.0, 1.0])
    values = paper(amounts, evennesses)
    expected = 0.75 / (1 + math.exp(-1)) + 0.25 / (1 + math.exp(-0.5))
    assert values[0] == pytest.approx(expected, rel=1e-15)
    assert values[1] == values[2]


@given(arrays(np.float64, 12, elements=st.floats(1e-9, 1e12), unique=True))
def test_the_default_ranks_by_amount_where_the_evenness_is_the_same(amounts: np.ndarray) -> None:
    ordered = np.sort(amounts)
    distinct = np.concatenate([[True], np.diff(ordered) > 1e-9 * ordered[1:]])
    ordered = ordered[distinct]
    ordered = ordered[ordered > 1e-6 * np.median(ordered)]
    values = energy.get("log")(ordered, np.ones(len(ordered)))
    assert (np.diff(values) > 0).all()


def test_the_default_prefers_the_more_even_of_two_equal_amounts() -> None:
    values = energy.get("log")(np.array([9.0, 9.0]), np.array([0.2, 1.9]))
    assert values[0] < values[1]


def test_the_default_weighs_amount_against_evenness() -> None:
    amounts, evennesses = np.array([1.0, 2.0]), np.array([2.0, 0.0])
    by_amount = energy.get("log", alpha=1.0, beta=0.0)(amounts, evennesses)
    by_evenness = energy.get("log", alpha=0.0, beta=1.0)(amounts, evennesses)
    assert by_amount[0] < by_amount[1]
    assert by_evenness[0] > by_evenness[1]


def test_the_default_does_not_depend_on_the_unit_of_the_outputs() -> None:
    amounts, evennesses = np.array([1.0, 2.0, 7.0]), np.array([0.1, 0.0, 0.4])
    log = energy.get("log")
    np.testing.assert_allclose(log(amounts, evennesses), log(1e8 * amounts, evennesses))


@pytest.mark.parametrize("amounts", [[0.0, 0.0, 0.0], [0.0, 0.0, 3.0], []])
def test_candidates_that_change_nothing_have_a_finite_energy(amounts: list[float]) -> None:
    for name in ("log", "paper"):
        values = energy.get(name)(np.array(amounts), np.zeros(len(amounts)))
        assert np.isfinite(values).all() and (np.diff(values) >= 0).all()


def test_an_energy_of_ones_own_is_kept() -> None:
    own = energy.LogEnergy(alpha=2.0)
    assert energy.get(own) is own


@pytest.mark.parametrize("bad", [{"energy": "Log"}, {"alpha": -1.0}, {"beta": math.nan}])
def test_an_unknown_energy_or_a_bad_weight_is_told(bad: dict[str, float | str]) -> None:
    with pytest.raises(ArgumentError, match=r"\.$"):
        energy.get(**{"energy": "log", **bad})  # type: ignore[arg-type]


def test_bounds_of_different_shapes_are_told() -> None:
    with pytest.raises(ArgumentError, match="shape"):
        energy.amount(np.zeros((2, 3)), np.zeros((3, 2)))
