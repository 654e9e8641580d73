"""A few real inputs take the place of synthetic ones."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import paoding
from paoding.errors import ArgumentError, DataError, PlanError

SETTINGS = {"target": 0.5, "step": 0.25, "strategy": "saliency", "distil": 0}


def trained_on_a_line():
    """A network whose inputs lie along one line, which nobody would guess."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    direction = rng.standard_normal(12)
    x = (7 + 3 * rng.standard_normal((600, 1)) * direction).astype("f4")
    model = keras.Sequential(
        [keras.Input((12,)), layers.Dense(24, "relu"), layers.Dense(24, "relu"), layers.Dense(2)]
    )
    return model, x


def test_on_real_inputs_survivors_stand_in_for_what_is_removed_there():
    model, x = trained_on_a_line()
    answers = model(x).numpy()
    lost = {}
    for name, settings in {"synthetic": {}, "calibrated": {"calibration": x[:64]}}.items():
        result = paoding.prune(model, **SETTINGS, **settings)
        lost[name] = np.square(result.model(x[64:]).numpy() - answers[64:]).mean()
    assert "Calibrated on 64 real inputs." in result.prior
    assert lost["calibrated"] < 0.05 * lost["synthetic"]


def test_a_plan_that_was_calibrated_asks_for_the_same_inputs_and_then_replays_bit_for_bit():
    model, x = trained_on_a_line()
    result = paoding.prune(model, calibration=x[:32], **SETTINGS)
    with pytest.raises(PlanError, match="calibration"):
        paoding.replay(model, result.plan)
    again = paoding.replay(model, result.plan, calibration=x[:32])
    for a, b in zip(again.model.get_weights(), result.model.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_real_inputs_may_come_by_name():
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    hidden = layers.Dense(8, "relu")(layers.Concatenate()([left, right]))
    model = keras.Model([left, right], layers.Dense(1)(hidden))
    rng = np.random.default_rng(0)
    few = {"right": rng.random((20, 2)), "left": rng.random((20, 3))}
    one = paoding.prune(model, calibration=few, **SETTINGS).model.get_weights()
    other = paoding.prune(model, calibration=[few["left"], few["right"]], **SETTINGS).model
    assert all(map(np.array_equal, one, other.get_weights()))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((5, 12)), "holds 5 inputs; pass 16 or more"),
        (np.zeros((20, 11)), "does not fit input"),
        (np.full((20, 12), np.nan), "NaN or infinite"),
        ({"nobody": np.zeros((20, 12))}, "names"),
        ([np.zeros((20, 12)), np.zeros((20, 12))], "2 arrays for 1 input"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(given, said):
    model, _ = trained_on_a_line()
    with pytest.raises((DataError, ArgumentError), match=said):
        paoding.prune(model, calibration=given, **SETTINGS)


def test_real_inputs_may_come_from_a_folder_of_images_in_the_legal_range(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(20):
        folder = tmp_path / f"class{number % 2}"
        folder.mkdir(exist_ok=True)
        keras.utils.save_img(folder / f"{number}.png", rng.integers(0, 255, (9, 9, 3)), scale=False)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)]
    )
    asked = {"target": 0.5, "step": 0.5, "distil": 0, "domain": (-1, 1)}
    pruner = paoding.Pruner(model, calibration=str(tmp_path), **asked)
    (x,) = pruner.settings.calibration.arrays
    assert x.shape == (20, 8, 8, 3) and -1 <= x.min() < -0.5 and 0.5 < x.max() <= 1
    again = paoding.Pruner(model, calibration=tmp_path, **asked).settings.calibration
    assert np.array_equal(again.arrays[0], x)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="no images"):
        paoding.Pruner(model, calibration=empty)
