"""Random graphs of random layers, random removals: cut equals zeroed, also after a file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers as L

from paoding.graph import surgery, trace

from .conftest import TOLERANCE, assert_equal, outputs, pick, randomize, samples, without

GROW = [
    lambda n: L.Conv2D(n, 3, padding="same", activation="relu"),
    lambda n: L.Conv2D(n, 1, use_bias=False),
    lambda n: L.Conv2D(2 * n, 3, padding="same", groups=2),
    lambda n: L.SeparableConv2D(n, 3, padding="same", activation="tanh"),
    lambda n: L.Conv2DTranspose(n, 3, padding="same"),
    lambda n: L.Dense(n, activation="gelu"),
]
KEEP = [
    lambda: L.BatchNormalization(),
    lambda: L.BatchNormalization(scale=False, center=False),
    lambda: L.DepthwiseConv2D(3, padding="same"),
    lambda: L.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
    lambda: L.PReLU(shared_axes=[1, 2]),
    lambda: L.Activation("silu"),
    lambda: L.MaxPooling2D(3, strides=1, padding="same"),
    lambda: L.LeakyReLU(),
    lambda: L.SpatialDropout2D(0.2),
    lambda: L.GroupNormalization(groups=-1),
    lambda: L.LayerNormalization(),
]
JOIN = [L.Add, L.Multiply, L.Maximum, L.Subtract, L.Average]
WIDTH = 4  # even, for the grouped convolution


@st.composite
def graphs(draw: st.DrawFn) -> Any:
    """A functional model of 3 to 9 calls on 4 × 4 images, shared layers and joins included."""
    x = keras.Input((4, 4, 3))
    tensors = [L.Conv2D(WIDTH, 1)(x)]
    used: list[Any] = []

    def some() -> Any:
        return tensors[draw(st.integers(0, len(tensors) - 1))]

    for _ in range(draw(st.integers(3, 9))):
        kind = draw(st.sampled_from(["grow", "grow", "keep", "join", "concat", "shared", "gate"]))
        a = some()
        if kind == "grow":
            layer = draw(st.sampled_from(GROW))(draw(st.integers(2, 5)))
            a = a if getattr(layer, "groups", 1) == 1 or a.shape[-1] % 2 == 0 else L.Conv2D(4, 1)(a)
            used.append((layer, a.shape[-1]))
            y = layer(a)
        elif kind == "keep":
            y = draw(st.sampled_from(KEEP))()(a)
        elif kind == "join":
            b = some()
            b = b if b.shape == a.shape else L.Conv2D(a.shape[-1], 1)(b)
            y = draw(st.sampled_from(JOIN))()([a, b])
        elif kind == "concat":
            y = L.Concatenate()([a, some()])
        elif kind == "gate":
            gate = L.Dense(a.shape[-1], activation="sigmoid")(L.GlobalAveragePooling2D()(a))
            y = a * L.Reshape((1, 1, a.shape[-1]))(gate)
        else:
            fitting = [layer for layer, width in used if width == a.shape[-1]]
            y = fitting[0](a) if fitting else L.ReLU()(a)
        tensors.append(y)
    ends = [L.Flatten()(tensors[-1]), L.GlobalMaxPooling2D()(some())]
    outs = [L.Dense(3)(end) for end in ends[: draw(st.integers(1, 2))]]
    return randomize(keras.Model(x, outs), draw(st.integers(0, 99)))


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(model=graphs(), seed=st.integers(0, 99))
def test_a_random_plan_on_a_random_graph_is_exact(model: Any, seed: int) -> None:
    graph = trace(model)
    removed = pick(graph, "several", seed)
    if not removed:
        return
    state = without(graph, removed)
    x = samples(model)
    wanted = outputs(surgery.mask(graph, state), x)
    smaller = surgery.cut(graph, state)
    assert smaller.count_params() < model.count_params()
    assert_equal(outputs(smaller, x), wanted, TOLERANCE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.keras"
        smaller.save(path)
        assert_equal(outputs(keras.models.load_model(path), x), wanted, TOLERANCE)
    assert np.isfinite(wanted[0]).all()
