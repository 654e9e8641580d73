"""``keep=``: a run ends before the network answers otherwise too often, and says so."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import paoding
from paoding.errors import ArgumentError
from paoding.pruning.keeping import Judge


@pytest.fixture(scope="module")
def digits() -> tuple[keras.Model, np.ndarray]:
    model, data = paoding.zoo.load("mnist-mlp")
    return model, data.x


def agreement(model: keras.Model, other: keras.Model, x: np.ndarray) -> float:
    a, b = (np.asarray(one.predict(x, verbose=0)).argmax(axis=-1) for one in (model, other))
    return float((a == b).mean())


@pytest.mark.parametrize("compensation", ["merge", "least-squares"])
def test_the_run_ends_where_one_step_more_would_fall_below(digits, compensation: str) -> None:
    options = {"step": 1 / 8, "compensation": compensation, "distil": 0, "samples": 512}
    pruner = paoding.Pruner(digits[0], keep=0.95, **options)
    seen = [step.index for step in pruner]
    assert seen == list(range(1, len(seen) + 1)) and 0 < len(seen) < 8
    assert pruner.ending is not None and "keep=0.95" in pruner.ending
    judge = Judge(pruner._run)
    assert judge.agreement(pruner.state)[0] >= 0.95
    pruner._ends = None  # what would have come next
    pruner._advance()
    assert judge.agreement(pruner.state)[0] < 0.95
    strict = paoding.prune(digits[0], keep=0.99, **options)
    assert len(strict.steps) < len(seen)


def test_the_target_ends_the_run_where_it_comes_first(digits) -> None:
    result = paoding.prune(
        digits[0], target=0.25, keep=0.5, step=1 / 8, compensation="merge", distil=0
    )
    assert result.ending is None
    plain = paoding.prune(digits[0], target=0.25, step=1 / 8, compensation="merge", distil=0)
    assert result.plan.steps == plain.plan.steps


def test_its_plan_replays_to_the_same_bits_with_the_survivors_distilled(digits) -> None:
    result = paoding.prune(digits[0], keep=0.9, step=1 / 8, distil=60, samples=512, seed=2)
    assert result.ending is not None
    again = paoding.replay(digits[0], paoding.Plan.from_json(result.plan.to_json()))
    undistilled = paoding.replay(digits[0], result.plan, distil=0)
    for a, b in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    pairs = zip(result.model.get_weights(), undistilled.model.get_weights(), strict=True)
    assert any((a != b).any() for a, b in pairs)
    assert result.summary()["ending"] == result.ending


def test_steps_can_be_taken_back_and_come_again(digits) -> None:
    pruner = paoding.Pruner(digits[0], keep=0.9, step=1 / 8, compensation="merge", distil=0)
    first = [step.removals for step in pruner]
    pruner.undo()
    pruner.undo()
    assert [step.removals for step in pruner] == first[-2:]


def test_real_inputs_judge_where_they_are_given(digits) -> None:
    model, x = digits
    options = {"step": 1 / 8, "compensation": "merge", "distil": 0}
    result = paoding.prune(model, keep=0.95, calibration=x[:400], **options)
    assert "measured agreement" in result.ending and "real inputs" in result.ending
    assert agreement(result.model, model, x[:400]) >= 0.95 - 1e-9


def test_widths_are_multiples_wherever_the_run_ends(digits) -> None:
    result = paoding.prune(
        digits[0], keep=0.9, step=1 / 10, round_to=8, compensation="merge", distil=0
    )
    widths = [layer.units for layer in result.model.layers if hasattr(layer, "units")][:-1]
    assert result.ending is not None and all(width % 8 == 0 for width in widths)


@pytest.mark.parametrize("value", [0, 1, 1.5, "most"])
def test_what_is_no_share_is_refused(digits, value) -> None:
    with pytest.raises(ArgumentError, match="keep="):
        paoding.Pruner(digits[0], keep=value)
