"""Biases take back what rounded kernels add to the means, where that brings answers nearer."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from paoding import zoo
from paoding.deploy import rounding
from paoding.deploy.calibration import calibration_inputs
from paoding.deploy.rounding import corrected, rounded

L = keras.layers


def networks() -> dict[str, keras.Model]:
    keras.utils.set_random_seed(0)
    picture = keras.Input((8, 8, 3))
    y = L.Conv2D(6, 3, padding="same", use_bias=False, name="conv")(picture)
    y = L.BatchNormalization(name="norm")(y)
    y = L.Dense(4, name="scores")(L.GlobalAveragePooling2D()(L.ReLU()(y)))
    layers = [keras.Input((8,)), L.Dense(16, "relu", name="conv"), L.Dense(4, name="scores")]
    return {"pictures": keras.Model(picture, y), "rows": keras.Sequential(layers)}


@pytest.mark.parametrize("name", ["pictures", "rows"])
def test_the_mean_of_what_a_rounded_layer_makes_is_the_originals(name, monkeypatch) -> None:
    model = networks()[name]
    x = np.random.default_rng(0).random((64, *model.input_shape[1:]), dtype="float32")
    before = [w.copy() for w in model.get_weights()]
    monkeypatch.setattr(rounding, "_nearer", lambda *_: True)
    copy = corrected(model, [x])
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    end = "norm" if name == "pictures" else "conv"

    def means(one: keras.Model, whole: bool) -> np.ndarray:
        layer = one.get_layer("conv")
        kernel = np.asarray(layer.kernel)
        layer.kernel.assign(rounded(kernel) if whole else kernel)
        kept, layer.activation = layer.activation, keras.activations.linear
        inner = keras.Model(one.inputs, one.get_layer(end).output)
        found = np.asarray(inner(x)).reshape(-1, kernel.shape[-1]).mean(axis=0)
        layer.kernel.assign(kernel)
        layer.activation = kept
        return found

    wanted = means(model, whole=False)
    np.testing.assert_allclose(means(copy, whole=True), wanted, atol=2e-6)
    assert np.abs(means(model, whole=True) - wanted).max() > 1e-5


def test_biases_are_left_alone_where_moving_them_brings_nothing_nearer(monkeypatch) -> None:
    model = networks()["rows"]
    monkeypatch.setattr(rounding, "_nearer", lambda *_: False)
    assert corrected(model, [np.ones((4, 8), "float32")]) is model


def test_a_rounded_kernel_has_255_values_for_each_output() -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype("float32")
    kernel[..., 2] = 0
    after = rounded(kernel)
    step = np.abs(kernel).max(axis=(0, 1, 2)) / 127
    assert (np.abs(after - kernel) <= step / 2 + 1e-7).all() and not after[..., 2].any()
    assert all(len(np.unique(after[..., k])) <= 255 for k in range(5))


def test_ranges_are_measured_on_what_survivors_are_fitted_on_if_it_meets_all_classes() -> None:
    """Inputs moved far to other classes only widen ranges, and are drawn where classes lack."""
    model, data = zoo.load("mnist-mlp")
    [drawn] = calibration_inputs(model, None, data.domain, seed=0)
    answers = np.asarray(model(drawn)).argmax(axis=1)
    assert len(drawn) == 200 and len(np.unique(answers)) == 10
    stuck = keras.Sequential([keras.Input((784,)), L.Dense(3, "softmax")])
    kernel = np.zeros((784, 3), "float32")
    kernel[:392, 1], kernel[392:, 2] = 0.01, 0.01
    stuck.set_weights([kernel, np.array([5, 0, 0], "float32")])  # nearly always the first class
    [moved] = calibration_inputs(stuck, None, data.domain, seed=0)
    before = np.asarray(stuck(moved[:100])).max(axis=0)
    assert (np.asarray(stuck(moved)).max(axis=0) > before)[1:].any()
