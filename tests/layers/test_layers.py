"""Layer type × data format × position × topology: what is cut equals what is zeroed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers as L

from paoding.graph import trace

from ..graph.conftest import randomize

FIRST, LAST = "channels_first", "channels_last"
CONV = {1: L.Conv1D, 2: L.Conv2D, 3: L.Conv3D}
UNITS = 6

# name -> (spatial rank, function of the data format that makes the layer).
# A rank of 0 is a vector; the layer reads UNITS channels.
PASSING: dict[str, tuple[int, Callable[[str], Any]]] = {
    # makers of units
    "Dense": (0, lambda f: L.Dense(5, activation="relu")),
    "Dense without bias": (0, lambda f: L.Dense(5, use_bias=False)),
    "Dense on a sequence": (1, lambda f: L.Dense(5, activation="gelu")),
    "Conv1D": (1, lambda f: L.Conv1D(5, 3, padding="same", activation="tanh", data_format=f)),
    "Conv1D dilated": (1, lambda f: L.Conv1D(5, 2, dilation_rate=2, data_format=f)),
    "Conv2D": (2, lambda f: L.Conv2D(5, 3, strides=2, activation="silu", data_format=f)),
    "Conv2D grouped": (2, lambda f: L.Conv2D(6, 2, groups=2, data_format=f)),
    "Conv2D many groups": (2, lambda f: L.Conv2D(12, 2, groups=6, data_format=f)),
    "Conv1D grouped": (1, lambda f: L.Conv1D(9, 2, groups=3, data_format=f)),
    "Conv3D": (3, lambda f: L.Conv3D(5, 2, activation="elu", data_format=f)),
    "Conv1DTranspose": (1, lambda f: L.Conv1DTranspose(5, 3, strides=2, data_format=f)),
    "Conv2DTranspose": (2, lambda f: L.Conv2DTranspose(5, 3, padding="same", data_format=f)),
    "Conv3DTranspose": (3, lambda f: L.Conv3DTranspose(5, 2, data_format=f)),
    "DepthwiseConv1D": (1, lambda f: L.DepthwiseConv1D(3, depth_multiplier=2, data_format=f)),
    "DepthwiseConv2D": (2, lambda f: L.DepthwiseConv2D(3, use_bias=False, data_format=f)),
    "DepthwiseConv2D multiplier": (
        2,
        lambda f: L.DepthwiseConv2D(2, depth_multiplier=3, activation="relu", data_format=f),
    ),
    "SeparableConv1D": (1, lambda f: L.SeparableConv1D(5, 3, padding="same", data_format=f)),
    "SeparableConv2D": (
        2,
        lambda f: L.SeparableConv2D(5, 3, depth_multiplier=2, activation="relu", data_format=f),
    ),
    "EinsumDense": (1, lambda f: L.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d")),
    "EinsumDense ellipsis": (1, lambda f: L.EinsumDense("...c,cd->...d", 5, activation="relu")),
    "SimpleRNN": (1, lambda f: L.SimpleRNN(5, return_sequences=True)),
    "LSTM": (1, lambda f: L.LSTM(5, return_sequences=True)),
    "LSTM without bias": (1, lambda f: L.LSTM(5, use_bias=False, return_sequences=True)),
    "GRU": (1, lambda f: L.GRU(5, return_sequences=True)),
    "GRU reset before": (1, lambda f: L.GRU(5, return_sequences=True, reset_after=False)),
    "Bidirectional LSTM": (1, lambda f: L.Bidirectional(L.LSTM(3, return_sequences=True))),
    "Bidirectional GRU sum": (
        1,
        lambda f: L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode="sum"),
    ),
    "TimeDistributed Dense": (1, lambda f: L.TimeDistributed(L.Dense(5))),
    "RNN of an LSTM cell": (1, lambda f: L.RNN(L.LSTMCell(5), return_sequences=True)),
    "RNN of a GRU cell": (1, lambda f: L.RNN(L.GRUCell(5, reset_after=False))),
    "RNN of three cells": (
        1,
        lambda f: L.RNN([L.SimpleRNNCell(4), L.LSTMCell(3), L.GRUCell(5)], return_sequences=True),
    ),
    "SpectralNormalization Dense": (0, lambda f: L.SpectralNormalization(L.Dense(5))),
    "SpectralNormalization Conv2D": (
        2,
        lambda f: L.SpectralNormalization(L.Conv2D(5, 2, activation="relu", data_format=f)),
    ),
    "SpectralNormalization Conv2DTranspose": (
        2,
        lambda f: L.SpectralNormalization(L.Conv2DTranspose(5, 3, data_format=f)),
    ),
    "SpectralNormalization DepthwiseConv2D": (
        2,
        lambda f: L.SpectralNormalization(L.DepthwiseConv2D(2, data_format=f)),
    ),
    "GroupNormalization of single channels": (2, lambda f: L.GroupNormalization(-1)),
    "LayerNormalization of places": (2, lambda f: L.LayerNormalization(axis=(1, 2))),
    # layers with something of their own for each channel
    "BatchNormalization": (2, lambda f: L.BatchNormalization(axis=1 if f == FIRST else -1)),
    "BatchNormalization without scale": (0, lambda f: L.BatchNormalization(scale=False)),
    "BatchNormalization without center": (0, lambda f: L.BatchNormalization(center=False)),
    "PReLU": (2, lambda f: L.PReLU(shared_axes=[2, 3] if f == FIRST else [1, 2])),
    "PReLU for every place": (0, lambda f: L.PReLU()),
    "Rescaling": (2, lambda f: L.Rescaling(0.5, 0.1)),
    # layers that pass channels on
    "ReLU": (0, lambda f: L.ReLU(max_value=6, negative_slope=0.1)),
    "LeakyReLU": (0, lambda f: L.LeakyReLU()),
    "ELU": (0, lambda f: L.ELU()),
    "Activation": (2, lambda f: L.Activation("hard_swish")),
    "Dropout": (0, lambda f: L.Dropout(0.5)),
    "AlphaDropout": (0, lambda f: L.AlphaDropout(0.5)),
    "GaussianNoise": (0, lambda f: L.GaussianNoise(0.5)),
    "GaussianDropout": (0, lambda f: L.GaussianDropout(0.5)),
    "SpatialDropout1D": (1, lambda f: L.SpatialDropout1D(0.5)),
    "SpatialDropout2D": (2, lambda f: L.SpatialDropout2D(0.5, data_format=f)),
    "ActivityRegularization": (0, lambda f: L.ActivityRegularization(0.1)),
    "MaxPooling1D": (1, lambda f: L.MaxPooling1D(2, data_format=f)),
    "MaxPooling2D": (2, lambda f: L.MaxPooling2D(2, data_format=f)),
    "MaxPooling3D": (3, lambda f: L.MaxPooling3D(2, data_format=f)),
    "AveragePooling1D": (1, lambda f: L.AveragePooling1D(2, data_format=f)),
    "AveragePooling2D": (2, lambda f: L.AveragePooling2D(2, padding="same", data_format=f)),
    "AveragePooling3D": (3, lambda f: L.AveragePooling3D(2, data_format=f)),
    "ZeroPadding1D": (1, lambda f: L.ZeroPadding1D(1, data_format=f)),
    "ZeroPadding2D": (2, lambda f: L.ZeroPadding2D(((1, 0), (2, 1)), data_format=f)),
    "ZeroPadding3D": (3, lambda f: L.ZeroPadding3D(1, data_format=f)),
    "Cropping1D": (1, lambda f: L.Cropping1D(1)),
    "Cropping2D": (2, lambda f: L.Cropping2D(1, data_format=f)),
    "Cropping3D": (3, lambda f: L.Cropping3D(1, data_format=f)),
    "UpSampling1D": (1, lambda f: L.UpSampling1D(2)),
    "UpSampling2D": (2, lambda f: L.UpSampling2D(2, interpolation="bilinear", data_format=f)),
    "UpSampling3D": (3, lambda f: L.UpSampling3D(2, data_format=f)),
    "GlobalAveragePooling1D": (1, lambda f: L.GlobalAveragePooling1D(data_format=f)),
    "GlobalAveragePooling2D": (2, lambda f: L.GlobalAveragePooling2D(data_format=f)),
    "GlobalMaxPooling2D": (2, lambda f: L.GlobalMaxPooling2D(keepdims=True, data_format=f)),
    "GlobalMaxPooling3D": (3, lambda f: L.GlobalMaxPooling3D(data_format=f)),
    "Flatten": (2, lambda f: L.Flatten(data_format=f)),
    "Flatten of a vector": (0, lambda f: L.Flatten()),
    "Reshape that keeps channels": (2, lambda f: L.Reshape((-1, UNITS))),
    "Reshape that splits a vector": (0, lambda f: L.Reshape((1, UNITS))),
    "RepeatVector": (0, lambda f: L.RepeatVector(3)),
}
WITH_FORMAT = [
    *sorted(
        name
        for name, (rank, make) in PASSING.items()
        if hasattr(make(LAST), "data_format") and rank
    ),
    "BatchNormalization",
    "PReLU",
]
NO_FIRST = {"Cropping1D", "UpSampling1D", "SpatialDropout1D"}


def source(rank: int, data_format: str, name: str) -> Any:
    """An input of 3 channels (5 numbers for a vector)."""
    if rank == 0:
        return keras.Input((5,), name=name)
    if data_format == FIRST:
        # Keras on TensorFlow takes a bias for channels_last where the last spatial size happens
        # to be the number of channels: stay away from such sizes.
        return keras.Input((3, *(23,) * rank), name=name)
    return keras.Input((8, 3) if rank == 1 else (*(6,) * rank, 3), name=name)


def stem(rank: int, data_format: str, name: str) -> Any:
    """The layer that makes UNITS channels for the layer under test."""
    if rank == 0:
        return L.Dense(UNITS, activation="tanh", name=name)
    return CONV[rank](UNITS, 1, activation="tanh", data_format=data_format, name=name)


def read(x: Any, data_format: str, name: str, units: int = 4) -> Any:
    """A layer that reads every channel of x."""
    rank = len(x.shape) - 2
    if rank == 0:
        return L.Dense(units, name=name)(x)
    return CONV[rank](units, 1, data_format=data_format, name=name)(x)


def chain(make: Callable[[], Any], rank: int, f: str) -> Any:
    x = source(rank, f, "input")
    return keras.Model(x, read(make()(stem(rank, f, "stem")(x)), f, "read"))


def residual(make: Callable[[], Any], rank: int, f: str) -> Any:
    x = source(rank, f, "input")
    inner = make()(stem(rank, f, "stem")(x))
    y = L.Add()([read(inner, f, "left"), read(inner, f, "right")])
    return keras.Model(x, read(y, f, "read", 3))


def concat_twice(make: Callable[[], Any], rank: int, f: str) -> Any:
    x = source(rank, f, "input")
    y = make()(stem(rank, f, "stem")(x))
    axis = 1 if f == FIRST else -1
    return keras.Model(x, read(L.Concatenate(axis=axis)([y, y]), f, "read"))


def shared(make: Callable[[], Any], rank: int, f: str) -> Any:
    x, layer = source(rank, f, "input"), make()
    a, b = (layer(stem(rank, f, name)(x)) for name in ("stem_a", "stem_b"))
    return keras.Model(x, L.Add()([read(a, f, "read_a"), read(b, f, "read_b")]))


def nested(make: Callable[[], Any], rank: int, f: str) -> Any:
    x = source(rank, f, "input")
    y = stem(rank, f, "stem")(x)
    inside = keras.Input(y.shape[1:], name="inside")
    inner = keras.Model(inside, read(make()(inside), f, "inner_read", UNITS), name="inner")
    return keras.Model(x, read(inner(y), f, "read"))


def two_outputs(make: Callable[[], Any], rank: int, f: str) -> Any:
    x = source(rank, f, "input")
    y = make()(stem(rank, f, "stem")(x))
    return keras.Model(x, {"a": read(y, f, "read_a"), "b": read(y, f, "read_b", 2)})


def two_inputs(make: Callable[[], Any], rank: int, f: str) -> Any:
    xs = [source(rank, f, "left"), source(rank, f, "right")]
    y = L.Add()([stem(rank, f, f"stem_{i}")(x) for i, x in enumerate(xs)])
    return keras.Model(xs, read(make()(y), f, "read"))


TOPOLOGIES = [residual, concat_twice, shared, nested, two_outputs, two_inputs]


def built(name: str, topology: Callable[..., Any], data_format: str = LAST) -> Any:
    rank, make = PASSING[name]
    return randomize(topology(lambda: make(data_format), rank, data_format))


@pytest.mark.parametrize("where", ["first", "middle", "last", "several"])
@pytest.mark.parametrize("name", sorted(PASSING))
def test_a_chain_loses_its_channels_exactly(name: str, where: str, prove: Any) -> None:
    model = built(name, chain)
    graph = trace(model)
    assert "stem" in [group.name for group in graph.prunable], str(graph)
    assert not graph.unknown
    prove(model, where, save=where == "several")


@pytest.mark.slow
@pytest.mark.parametrize("topology", TOPOLOGIES, ids=lambda t: t.__name__)
@pytest.mark.parametrize("name", sorted(PASSING))
def test_channels_go_exactly_wherever_the_layer_stands(
    name: str, topology: Callable[..., Any], prove: Any
) -> None:
    prove(built(name, topology))


@pytest.mark.slow
@pytest.mark.parametrize("where", ["last", "several"])
@pytest.mark.parametrize("name", [n for n in WITH_FORMAT if n not in NO_FIRST])
def test_channels_may_come_first(name: str, where: str, prove: Any) -> None:
    prove(built(name, chain, FIRST), where, xla=True, save=where == "several")
