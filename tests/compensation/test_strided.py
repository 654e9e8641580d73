"""Convolutions of one place with strides: TensorFlow's kernel gradient may take the process down.

The smallest example known is an input of (32, 60, 60, 8) and a kernel of (1, 1, 8, 16), `same`,
stride 2: a few calls end in an abort or a segmentation fault. So it has its own process.
"""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest

from paoding.graph import trace
from paoding.graph.keras_internals import call, call_to_learn, learnable

PRUNED = """
import keras, paoding
layers = keras.layers
keras.utils.set_random_seed(0)
read = keras.Input((60, 60, 8))
x = layers.Conv2D(16, 1, strides=2, padding="same", activation="relu", name="shortcut")(read)
x = layers.Conv2D(16, 1, strides=2, padding="same", activation="relu")(x)
x = layers.GlobalAveragePooling2D()(x)
model = keras.Model(read, layers.Dense(4, activation="softmax")(x))
result = paoding.prune(model, target=0.5, step=0.25, prior="uniform", samples=128, distil=4)
print("left", result.model.get_layer("shortcut").filters)
"""


@pytest.mark.slow
def test_strided_convolutions_of_one_place_are_pruned_and_distilled_without_a_crash():
    done = subprocess.run([sys.executable, "-c", PRUNED], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "left 8"), done.stderr[-2000:]


class Shortcut(keras.layers.Conv2D):
    """A class of one's own, of which nobody knows how it calls its kernel."""


@pytest.mark.parametrize(
    ("hide", "why"),
    [
        (lambda conv: keras.layers.SpectralNormalization(conv), "inside of another layer"),
        (lambda conv: Shortcut(3, 1, strides=2, name="conv"), "of a class of one's own"),
        (lambda conv: keras.layers.Conv2DTranspose(3, 1, strides=2, name="conv"), "transposed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_kernels_with_no_other_way_than_the_broken_one_are_not_learned(hide, why):
    read = keras.Input((8, 8, 2))
    hidden = hide(keras.layers.Conv2D(3, 1, strides=2, name="conv"))
    x = keras.layers.Conv2D(4, 1, strides=2, name="plain")(hidden(read))
    model = keras.Model(read, keras.layers.Dense(2, name="end")(keras.layers.Flatten()(x)))
    names = {v.path.split("/")[-2] for v in learnable(model, trace(model).flat)}
    assert names == {"plain", "end"}, why


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_strided_convolution_of_one_place_computes_the_same_where_it_learns(rank, padding):
    kind = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}[rank]
    keras.utils.set_random_seed(0)
    layer = kind(3, 1, strides=2, padding=padding, activation="tanh", bias_initializer="normal")
    model = keras.Sequential([keras.Input((7,) * rank + (5,)), layer])
    (node,) = trace(model).nodes
    known = {node.inputs[0]: keras.random.normal((4, *(7,) * rank, 5))}
    (plain,), (safe,) = call(node, known), call_to_learn(node, known)
    np.testing.assert_allclose(safe, plain, atol=1e-6)


@pytest.mark.parametrize(("size", "padding"), [(1, "same"), (3, "same"), (3, "valid")])
@pytest.mark.parametrize("rank", [1, 2])
def test_a_convolution_in_groups_computes_the_same_one_group_after_another(rank, size, padding):
    kind = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D}[rank]
    keras.utils.set_random_seed(0)
    wide = {"strides": 2, "groups": 2, "padding": padding, "bias_initializer": "normal"}
    model = keras.Sequential(
        [keras.Input((7,) * rank + (4,)), kind(6, size, activation="tanh", **wide)]
    )
    (node,) = trace(model).nodes
    x = keras.random.normal((4, *(7,) * rank, 4))
    for way in (call, call_to_learn):
        (found,) = way(node, {node.inputs[0]: x})
        np.testing.assert_allclose(found, model(x), atol=1e-6)
