"""Forward bounds agree with those of decomon, a library of bounds for Keras networks.

Its convolutions do not work with Keras 3; what it does take is compared here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from paoding.bounds.forward import forward
from paoding.bounds.intervals import Interval
from paoding.bounds.lowering import lower
from paoding.graph import trace

Ibp = Callable[[Any, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def ibp() -> Iterator[Ibp]:
    """Bounds of a model's outputs over a box, as decomon's interval propagation gives them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "float_", np.float64, raising=False)  # it was written for NumPy 1
        decomon: Any = pytest.importorskip("decomon")
        from decomon.models import clone

        def bounds(model: Any, lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                twin = clone(model, method="forward-ibp")
                ends = decomon.get_lower_box(twin, lo, hi), decomon.get_upper_box(twin, lo, hi)
            return np.asarray(ends[0], np.float64), np.asarray(ends[1], np.float64)

        yield bounds


def mlp(activation: str) -> keras.Model:
    hidden = [(layers.Dense(n), layers.Activation(activation)) for n in (8, 6, 5)]
    return keras.Sequential(
        [keras.Input((4,)), *(part for pair in hidden for part in pair), layers.Dense(3)]
    )


def normalized() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dense(2),
        ]
    )


def residual() -> keras.Model:
    x = inputs = keras.Input((4,))
    y = layers.Activation("relu")(layers.Dense(4)(x))
    return keras.Model(inputs, layers.Dense(2)(layers.Add()([x, y])))


BUILDS = {
    **{name: lambda name=name: mlp(name) for name in ("linear", "relu", "sigmoid", "tanh")},
    "normalized": normalized,
    "residual": residual,
}


@pytest.mark.parametrize("size", [0.0, 0.02, 1.0, 20.0])
@pytest.mark.parametrize("name", BUILDS)
def test_forward_bounds_are_those_of_decomon_and_hold_the_truth(
    name: str, size: float, ibp: Ibp
) -> None:
    keras.utils.set_random_seed(3)
    model, rng = BUILDS[name](), np.random.default_rng(3)
    lo = rng.normal(size=(1, *model.input_shape[1:]))
    hi = lo + size * rng.random(lo.shape)
    low, high = ibp(model, lo, hi)
    graph = trace(model)
    ours = forward(lower(graph, graph.original), [Interval.of(lo, hi)])[-1]
    # They compute in float32 without outward rounding.
    room = 1e-4 * (1.0 + np.abs(low).max() + np.abs(high).max())
    assert (ours.lower >= low - room).all() and (ours.upper <= high + room).all()
    x = lo + rng.random((300, *lo.shape[1:])) * (hi - lo)
    x[::2] = np.where(rng.random(x[::2].shape) < 0.5, lo, hi)
    y = np.asarray(model(x.astype(np.float32)))
    assert (y >= ours.lower - room).all() and (y <= ours.upper + room).all()
