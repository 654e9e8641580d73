"""What is bounded is the network that Keras computes, and what cannot be is told."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

sys.path.insert(0, str(Path(__file__).parent))
import networks

from paoding.bounds.certificate import Certifier, certificate
from paoding.bounds.forward import forward
from paoding.bounds.intervals import Interval
from paoding.bounds.lowering import lower
from paoding.domain import Box
from paoding.errors import ArgumentError, BoundsError, DomainError
from paoding.graph import trace


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_the_program_computes_what_keras_does_at_every_layer(name: str) -> None:
    graph = networks.graph_of(name)
    rng = np.random.default_rng(11)
    state = networks.random_state(graph, rng)
    case = networks.Case(graph, state, state, [Box(-1, 1) for _ in graph.flat.inputs], [])
    points = [p.astype(np.float32) for p in case.points(rng, 5)]
    program = lower(graph, state)
    values = forward(program, [Interval.point(p) for p in points])
    tensors = [t for node in graph.nodes for t in node.outputs]
    for tensor, theirs in zip(tensors, graph.run(state, points, tensors), strict=True):
        ours = values[program.tensors[tensor]]
        room = 1e-5 * (1.0 + np.abs(theirs).max())
        np.testing.assert_allclose(ours.lower + np.zeros(theirs.shape), theirs, atol=room)


def test_channels_first_is_the_same_network() -> None:
    keras.utils.set_random_seed(0)
    last = keras.Sequential(
        [
            keras.Input((5, 4, 2)),
            layers.Conv2D(3, 2, strides=2, padding="same", activation="relu"),
            layers.MaxPooling2D(2, padding="same"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    first = keras.Sequential(
        [
            keras.Input((2, 5, 4)),
            layers.Conv2D(
                3, 2, strides=2, padding="same", activation="relu", data_format="channels_first"
            ),
            layers.MaxPooling2D(2, padding="same", data_format="channels_first"),
            layers.Flatten(data_format="channels_first"),
            layers.Dense(2),
        ]
    )
    first.set_weights(last.get_weights())
    x = np.random.default_rng(0).random((3, 5, 4, 2))
    ends = []
    for model, points in ((last, x), (first, np.moveaxis(x, -1, 1))):
        graph = trace(model)
        ends.append(forward(lower(graph, graph.original), [Interval.point(points)])[-1].lower)
    np.testing.assert_allclose(ends[0], ends[1])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.LSTM(3, name="odd"), (4, 2)),
        (layers.LayerNormalization(name="odd"), (4,)),
        (layers.Lambda(lambda x: x * x, name="odd"), (4,)),
        (layers.Activation("glu", name="odd"), (4,)),
        (layers.UpSampling2D(2, interpolation="bilinear", name="odd"), (2, 2, 1)),
    ],
)
def test_a_layer_without_a_rule_is_named(layer: keras.Layer, shape: tuple[int, ...]) -> None:
    graph = trace(keras.Sequential([keras.Input(shape), layer]))
    with pytest.raises(BoundsError, match="'odd'"):
        certificate(graph, graph.original, graph.original)


def test_an_input_of_unknown_size_is_told() -> None:
    graph = trace(keras.Sequential([keras.Input((None, 3)), layers.Conv1D(2, 1)]))
    with pytest.raises(BoundsError, match="fixed input shape"):
        certificate(graph, graph.original, graph.original)


def test_a_domain_of_another_shape_and_an_unknown_method_are_told() -> None:
    graph = networks.graph_of("deep")
    with pytest.raises(DomainError):
        Certifier(graph, Box(np.zeros(7), np.ones(7)))
    with pytest.raises(ArgumentError, match="'linear'"):
        Certifier(graph, method="exact")  # type: ignore[arg-type]


def test_bounds_that_overflow_are_told_and_not_given() -> None:
    graph = trace(
        keras.Sequential(
            [
                keras.Input((1,)),
                *[layers.Activation("exponential")] * 1,
                *[
                    layers.Dense(1, "exponential", kernel_initializer="ones", name=f"e{k}")
                    for k in range(4)
                ],
            ]
        )
    )
    with pytest.raises(BoundsError, match="not finite"):
        certificate(graph, graph.original, graph.original, Box(0, 9))


def test_several_outputs_are_certified_end_to_end() -> None:
    case = networks.random_case("shared", 5)
    lower_end, upper_end = certificate(case.graph, case.before, case.after, case.boxes)
    assert lower_end.shape == upper_end.shape == (3,)
    assert (lower_end <= upper_end).all()


def test_linear_bounds_are_never_looser_and_much_tighter_on_small_boxes() -> None:
    gains = []
    for seed in range(6):
        case = networks.random_case("deep", seed)
        boxes = [Box(box.lo, box.lo + 0.02) for box in case.boxes]
        widths = []
        for method in ("interval", "linear"):
            judge = Certifier(case.graph, boxes, method, case.before)  # type: ignore[arg-type]
            low, high = judge.certificate(case.after, case.removals)
            widths.append(high - low)
        assert (widths[1] <= widths[0] * (1 + 1e-9) + 1e-12).all()
        gains.append(widths[0].sum() / max(widths[1].sum(), 1e-12))
    assert np.median(gains) > 3
