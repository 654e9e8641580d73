"""Recurrent kernels are read as states, weighed by what outputs feel of them, and refitted."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import paoding
from paoding.compensation.recurrence import as_sequence, directions, listening, recurrences_of
from paoding.graph import trace

LAYERS = {
    "LSTM": lambda: layers.LSTM(5),
    "SimpleRNN": lambda: layers.SimpleRNN(5, return_sequences=True),
    "backwards": lambda: layers.LSTM(5, go_backwards=True, return_state=True),
    "Bidirectional": lambda: layers.Bidirectional(layers.LSTM(5, return_sequences=True)),
    "summed": lambda: layers.Bidirectional(layers.SimpleRNN(5), merge_mode="sum"),
}


def inputs(n=6, steps=7, channels=3):
    return np.random.default_rng(0).normal(size=(n, steps, channels)).astype("f4")


@pytest.mark.parametrize("kind", LAYERS)
def test_columns_beside_the_input_act_just_as_the_states_do(kind):
    x = inputs()
    layer = LAYERS[kind]()
    expected = keras.tree.flatten(layer(x))
    copy = listening(layer, x.shape[-1])
    columns = [x]
    for own, made in zip(directions(layer), directions(copy), strict=True):
        states = np.asarray(as_sequence(own, x.shape[-1])(x))[:, :-1]
        late = np.pad(states, [(0, 0), (1, 0), (0, 0)])
        columns.append(late[:, ::-1] if own.go_backwards else late)
        made.cell.recurrent_kernel.assign(np.zeros_like(made.cell.recurrent_kernel))
    for a, b in zip(keras.tree.flatten(copy(np.concatenate(columns, -1))), expected, strict=True):
        assert np.allclose(a, b, atol=1e-5)


def test_rows_of_a_recurrence_are_the_states_before_each_step_but_the_first():
    keras.utils.set_random_seed(0)
    layer = layers.LSTM(5, return_sequences=True)
    model = keras.Sequential([keras.Input((7, 3)), layer, layers.LSTM(4), layers.Dense(2)])
    consumer = recurrences_of(trace(model))[0]
    assert consumer.layer is layer
    x = inputs()
    states = np.asarray(layer(x))[:, :-1]
    assert np.allclose(consumer.rows(x, None), states.reshape(-1, 5), atol=1e-6)
    some = np.array([0, 3])
    assert np.allclose(consumer.rows(x, some), states[:, some].reshape(-1, 5), atol=1e-6)


@pytest.mark.parametrize("kind", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_least_squares_lets_survivors_stand_in_for_their_doubles_in_the_recurrence(kind):
    keras.utils.set_random_seed(1)
    layer = kind(8)
    model = keras.Sequential([keras.Input((9, 3)), layer, layers.Dense(2)])
    doubled(layer)
    x = np.random.default_rng(3).random((50, 9, 3)).astype("f4")
    before = model.predict(x, verbose=0)
    gone = {
        name: np.abs(pruned(model, name).predict(x, verbose=0) - before).mean()
        for name in ("none", "least-squares")
    }
    assert gone["least-squares"] < 0.02 * before.std() < gone["none"]


def doubled(layer):
    """Unit k + 4 becomes a copy of unit k: it computes the same, and is read otherwise."""
    units, cell = layer.units, layer.cell
    for weight in (cell.kernel, cell.recurrent_kernel, cell.bias):
        value = np.array(weight).reshape(*weight.shape[:-1], -1, units)
        value[..., units // 2 :] = value[..., : units // 2]
        weight.assign(value.reshape(weight.shape))


def pruned(model, compensation):
    settings = {"target": 0.5, "step": 0.25, "compensation": compensation, "distil": 0}
    return paoding.prune(model, strategy="saliency", **settings).model


def test_a_sequence_of_one_step_has_nothing_to_remember():
    model = keras.Sequential([keras.Input((1, 4)), layers.LSTM(8), layers.Dense(3)])
    assert pruned(model, "least-squares").layers[0].units == 4


def test_a_flat_picture_that_is_reshaped_into_rows_is_pruned():
    layer = layers.LSTM(8)
    stack = [keras.Input((96,)), layers.Reshape((8, 12)), layer, layers.Dense(3)]
    model = keras.Sequential(stack)
    layer.cell.kernel.assign(np.cumsum(layer.cell.kernel, axis=0))  # neighbours are alike
    result = paoding.prune(model, target=0.5, step=0.5, distil=0)
    assert "blobs of 8 x 12" in result.prior


class Own(keras.regularizers.Regularizer):
    """Not known to Keras by name."""

    def __call__(self, x):
        return 0.0 * keras.ops.sum(x)

    def get_config(self):
        return {}


def test_own_regularizers_of_recurrent_layers_are_no_obstacle():
    layer = layers.LSTM(8, kernel_regularizer=Own())
    model = keras.Sequential([keras.Input((5, 4)), layer, layers.Dense(3)])
    assert pruned(model, "least-squares").layers[0].units == 4


def test_states_that_start_another_layer_are_pruned_with_what_outputs_feel():
    source, target = keras.Input((6, 3)), keras.Input((5, 3))
    _, h, c = layers.LSTM(6, return_state=True, name="encoder")(source)
    y = layers.LSTM(6, return_sequences=True)(layers.Dense(4)(target), initial_state=[h, c])
    model = keras.Model([source, target], layers.Dense(3, "softmax")(y))
    result = paoding.prune(model, target=0.5, step=0.5, samples=32, distil=0)
    assert result.model.get_layer("encoder").units == 3
