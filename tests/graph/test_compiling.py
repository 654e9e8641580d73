"""Recurrent layers called as one graph: the same numbers, under any weights, nothing kept."""

import gc
import weakref

import keras
import numpy as np
from keras import layers

from paoding.graph import trace
from paoding.graph.keras_internals import compiling


def _tagger():
    inputs = keras.Input((9,), dtype="int32")
    x = layers.Embedding(20, 6, mask_zero=True)(inputs)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    return keras.Model(inputs, layers.Dense(3)(layers.GRU(5)(x)))


def _words(n):
    words = np.random.default_rng(0).integers(1, 20, (n, 9)).astype("int32")
    words[:, 5:] = 0  # masked
    return words


def test_masks_reach_a_layer_that_is_called_as_one_graph():
    model, words = _tagger(), _words(7)
    graph = trace(model)
    (found,) = graph.run(graph.original, [words], graph.flat.outputs)
    assert np.allclose(found, np.asarray(model(words, training=False)), atol=1e-6)


def test_other_weights_and_other_batches_need_no_other_graph():
    model = _tagger()
    graph = trace(model)
    number = next(n for n, v in enumerate(graph.variables) if "recurrent_kernel" in v.path)
    half = graph.original.values[number] / 2
    graph.run(graph.original, [_words(7)], graph.flat.outputs)
    state = graph.original.replace({number: half}, graph.original.alive)
    (found,) = graph.run(state, [_words(3)], graph.flat.outputs)
    graph.variables[number].assign(half)
    assert np.allclose(found, np.asarray(model(_words(3), training=False)), atol=1e-6)


def test_a_layer_that_nobody_holds_is_let_go():
    graph = trace(_tagger())
    graph.run(graph.original, [_words(2)], graph.flat.outputs)
    (layer,) = {n.op for n in graph.nodes if isinstance(n.op, keras.layers.GRU)}
    held = weakref.ref(layer)
    assert layer in compiling._made
    del graph, layer
    gc.collect()
    assert held() is None
