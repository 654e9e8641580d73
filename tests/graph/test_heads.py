"""One function tells an output's head, however it is spelled."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from paoding.graph import trace
from paoding.graph.heads import activation_of, head_of, logits

SPELLINGS = {
    "activation of the layer": lambda z: layers.Dense(3, "softmax", name="scores")(z),
    "Activation": lambda z: layers.Activation("softmax")(layers.Dense(3, name="scores")(z)),
    "Softmax layer": lambda z: layers.Softmax()(layers.Dense(3, name="scores")(z)),
    "keras.ops": lambda z: keras.ops.softmax(layers.Dense(3, name="scores")(z)),
}


def model_ending(spelling: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    return keras.Model(x, SPELLINGS[spelling](layers.Dense(5, "relu")(x)))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_softmax_is_found_and_looked_behind_however_it_is_spelled(spelling):
    model = model_ending(spelling)
    graph = trace(model)
    last = next(node for node in graph.nodes if graph.flat.outputs[0] in node.outputs)
    assert head_of(last.op) == activation_of(model) == "softmax"
    x = np.random.default_rng(0).random((6, 4)).astype("float32")
    source = next(arg for arg in last.args if hasattr(arg, "tensor")).tensor
    before, answers = graph.run(graph.original, [x], [source, graph.flat.outputs[0]])
    known = {source: keras.ops.convert_to_tensor(before), last.outputs[0]: answers}
    scores = np.asarray(logits(last, known))
    np.testing.assert_allclose(keras.ops.softmax(scores), answers, atol=1e-6)
    assert scores.shape == (6, 3) and not np.allclose(scores, answers)


def test_a_convolution_with_an_activation_is_not_looked_behind():
    x = keras.Input((6, 6, 1))
    model = keras.Model(x, layers.Conv2D(2, 3, activation="sigmoid")(x))
    (node,) = trace(model).nodes
    assert head_of(node.op) == ""
