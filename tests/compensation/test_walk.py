"""A network walked in pieces computes what it computes whole, masked places included."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from paoding.compensation.study import Walk, study_of
from paoding.graph import trace
from paoding.pruning.context import RunContext
from paoding.pruning.settings import Settings
from paoding.synthetic.legal import legal_inputs


def words(*between, last):
    """Padded words through a layer that masks, with a Dense layer whose units can go."""
    keras.utils.set_random_seed(0)
    x = keras.Input((9,), dtype="int32")
    h = layers.Embedding(6, 5, mask_zero=True)(x)
    for layer in between:
        h = layer(h)
    return keras.Model(x, layers.Dense(2)(last(layers.Dense(8, "relu", name="hidden")(h))))


def numbers():
    keras.utils.set_random_seed(0)
    x = keras.Input((9, 3))
    h = layers.Dense(6, "relu")(layers.Masking(0.0)(x))
    return keras.Model(x, layers.Dense(2)(layers.LSTM(4)(h)))


NETWORKS = {
    "LSTM": lambda: words(last=layers.LSTM(4)),
    "two": lambda: words(layers.GRU(6, return_sequences=True), last=layers.LSTM(4)),
    "both ways": lambda: words(last=layers.Bidirectional(layers.LSTM(4))),
    "pooling": lambda: words(layers.Dense(7, "tanh"), last=layers.GlobalAveragePooling1D()),
    "Masking": numbers,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_walk_that_stops_everywhere_makes_the_tensors_of_the_whole_network(name):
    graph = trace(NETWORKS[name]())
    boxes, _ = legal_inputs(graph, None)
    study = study_of(RunContext(graph, boxes, Settings(samples=32)))
    if name != "Masking":
        assert (study.inputs[0] == 0).any()  # so that something is masked
    walk = Walk(study, graph.original.values)
    for node in walk.stops(range(study.start, len(graph.nodes))):
        read = [t for t in node.inputs if t in walk.known]
        whole = graph.run(graph.original, study.inputs, read)
        for tensor, expected in zip(read, whole, strict=True):
            np.testing.assert_allclose(walk.known[tensor], expected, atol=1e-5)
