"""Parts of an axis that are picked by number are followed like ``split``, and renumbered."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import paoding


def gated(width: int = 16):
    keras.utils.set_random_seed(0)
    x = keras.Input((6,))
    h = layers.Dense(width, "relu", name="hidden")(x)
    gate = keras.ops.sigmoid(h[..., width // 2 :])
    y = layers.Dense(10, "relu", name="mixed")(h[:, : width // 2] * gate)
    return keras.Model(x, layers.Dense(3)(y))


def rotary():
    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 2))
    h = layers.Conv2D(12, 3, activation="relu", name="hidden")(x)
    parts = [h[..., k : k + 4] for k in (0, 4, 8)]
    y = layers.GlobalAveragePooling2D()(parts[0] - parts[2] + parts[1])
    return keras.Model(x, layers.Dense(3)(y))


@pytest.mark.parametrize("make", [gated, rotary])
@pytest.mark.parametrize("compensation", ["least-squares", "merge", "none"])
def test_equal_parts_lose_the_same_units_and_the_model_still_computes_the_same(
    make, compensation, tmp_path
):
    model = make()
    result = paoding.prune(model, target=0.5, step=0.25, compensation=compensation, distil=0)
    hidden = result.model.get_layer("hidden")
    assert hidden.kernel.shape[-1] == model.get_layer("hidden").kernel.shape[-1] // 2
    x = np.random.default_rng(0).random((9, *model.input_shape[1:])).astype("float32")
    np.testing.assert_allclose(result.model(x), result.masked(x), atol=1e-5)
    result.model.save(tmp_path / "m.keras")
    again = paoding.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again(x), result.model(x))


def test_unequal_parts_keep_their_units_and_say_why():
    x = keras.Input((6,))
    h = layers.Dense(16, "relu", name="hidden")(x)
    model = keras.Model(x, layers.Dense(3)(layers.Dense(4)(h[..., :10])))
    (group,) = [g for g in paoding.inspect(model).groups if g.name == "hidden"]
    assert not group.prunable and "picked by number" in group.reason


def test_one_of_the_equal_parts_alone_is_enough():
    x = keras.Input((6,))
    h = layers.Dense(16, "relu", name="hidden")(x)
    model = keras.Model(x, layers.Dense(3)(h[..., -8:]))
    result = paoding.prune(model, target=0.5, step=0.5, compensation="merge")
    value = np.random.default_rng(0).random((5, 6)).astype("float32")
    assert result.model.get_layer("hidden").units == 8
    np.testing.assert_allclose(result.model(value), result.masked(value), atol=1e-6)
