"""Files that Keras 2 wrote load in Keras 3, and answer as they did."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from paoding.errors import ModelError
from paoding.files.models import load_model

k2 = pytest.importorskip("tf_keras", reason="writes files as Keras 2 did")
L = k2.layers


def sequential(*layers):
    return k2.Sequential(list(layers))


def pictures():
    return sequential(
        L.InputLayer(input_shape=(8, 8, 2)),
        L.Conv2D(4, 3, padding="same"),
        L.BatchNormalization(),
        L.LeakyReLU(0.2),
        L.DepthwiseConv2D(3),
        L.SeparableConv2D(4, 2),
        L.ThresholdedReLU(0.1),
        L.Conv2DTranspose(4, 2),
        L.MaxPooling2D(),
        L.Flatten(),
        L.Dense(3, activation="softmax"),
    )


def recurrent():
    return sequential(
        L.InputLayer(input_shape=(5, 2)),
        L.Bidirectional(L.LSTM(3, return_sequences=True)),
        L.GRU(3),
        L.Dense(1),
    )


def two_inputs():
    a, b = k2.Input((4,), name="a"), k2.Input((4,), name="b")
    h = L.Concatenate()([L.Dense(3)(a), L.Dense(2)(b)])
    return k2.Model([a, b], [L.Dense(2)(h), L.Dense(1, activation="sigmoid")(h)])


def nested():
    x = k2.Input((4,))
    inner = sequential(L.Dense(4, input_shape=(4,)), L.Dense(4))
    other = sequential(L.Dense(4, input_shape=(4,)))
    return k2.Model(x, L.Dense(2)(other(inner(x))))


def nested_functional():
    x = k2.Input((8, 8, 2))
    y = L.BatchNormalization()(L.Conv2D(4, 3, activation="relu")(x))
    inner = k2.Model(x, L.GlobalAveragePooling2D()(y))
    outer = k2.Input((8, 8, 2))
    return k2.Model(outer, L.Dense(2)(inner(outer)))


def words():
    return sequential(L.Embedding(20, 4, input_length=6), L.LSTM(3), L.Dense(2))


def half():
    k2.mixed_precision.set_global_policy("mixed_float16")
    try:
        return sequential(L.InputLayer(input_shape=(4,)), L.Dense(3), L.Dense(2, dtype="float32"))
    finally:
        k2.mixed_precision.set_global_policy("float32")


def augmented():
    return sequential(L.InputLayer(input_shape=(6, 6, 1)), L.RandomFlip(), L.Conv2D(2, 3))


def shared():
    layer, x = L.Dense(4, activation="tanh"), k2.Input((4,))
    return k2.Model(x, L.Dense(2)(layer(layer(x))))


def attention():
    x = k2.Input((5, 8))
    return k2.Model(x, L.MultiHeadAttention(2, 4)(x, x))


def mobile():
    return k2.applications.MobileNetV2((32, 32, 3), weights=None, classes=3, alpha=0.35)


def without_input_layer():
    return sequential(L.Reshape((4, 4, 1), input_shape=(4, 4)), L.Conv2D(2, 2), L.Flatten())


MODELS = [pictures, recurrent, two_inputs, nested, nested_functional, words, half, augmented]
MODELS += [shared, attention, mobile, without_input_layer]


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("make", MODELS)
def test_a_model_of_keras_2_answers_as_it_did(make, suffix, tmp_path):
    rng = np.random.default_rng(0)
    old = make()
    path = tmp_path / f"old{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras 2 warns of HDF5
        old.save(path)
    new = load_model(path)
    assert [i.shape for i in new.inputs] == [tuple(i.shape) for i in old.inputs]
    inputs = [rng.random((2, *i.shape[1:]), dtype="float32") for i in old.inputs]
    given = inputs if len(inputs) > 1 else inputs[0]
    before, after = old(given, training=False), new(given, training=False)
    for was, now in zip(_list(before), _list(after), strict=True):
        np.testing.assert_allclose(np.asarray(was), np.asarray(now), atol=1e-6)


def _list(value):
    return list(value) if isinstance(value, list | tuple) else [value]


def test_operations_of_keras_2_that_keras_3_lacks_are_named(tmp_path):
    x = k2.Input((4,))
    with pytest.warns(UserWarning, match="HDF5"):
        k2.Model(x, L.Dense(2)(x) * 2 + 1).save(tmp_path / "old.h5")
    with pytest.raises(ModelError, match="TFOpLambda"):
        load_model(tmp_path / "old.h5")


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_hard_sigmoid_of_keras_2_is_refused_since_keras_3_computes_another(suffix, tmp_path):
    layers = [L.InputLayer(input_shape=(5, 2)), L.LSTM(3, recurrent_activation="hard_sigmoid")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sequential(*layers).save(tmp_path / f"old{suffix}")
    with pytest.raises(ModelError, match="hard_sigmoid"):
        load_model(tmp_path / f"old{suffix}")


def test_a_lambda_of_keras_2_is_not_run_either(tmp_path):
    layers = [L.InputLayer(input_shape=(4,)), L.Lambda(lambda x: x * 2), L.Dense(2)]
    sequential(*layers).save(tmp_path / "old.keras")
    with pytest.raises(ModelError, match="Python code"):
        load_model(tmp_path / "old.keras")
