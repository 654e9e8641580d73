"""Whole models as users bring them: prunable where they should be, and equal after the cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

from paoding.graph import trace

from .conftest import randomize


def tcn() -> Any:
    x = inputs = keras.Input((12, 3))
    for rate in (1, 2, 4):
        y = L.Conv1D(6, 2, padding="causal", dilation_rate=rate, name=f"conv{rate}_a")(x)
        y = L.SpatialDropout1D(0.1)(L.ReLU()(L.BatchNormalization(scale=False)(y)))
        y = L.Conv1D(5, 2, padding="causal", dilation_rate=rate, name=f"conv{rate}_b")(y)
        x = L.Add()([L.Conv1D(5, 1, name="match")(x) if rate == 1 else x, L.ReLU()(y)])
    return keras.Model(inputs, L.Dense(2, name="out")(x[:, -1]))


def wavenet() -> Any:
    inputs = keras.Input((12, 2))
    x, skips = L.Conv1D(4, 1, name="in")(inputs), []
    for i in range(3):
        both = L.Conv1D(10, 2, padding="causal", dilation_rate=2**i, name=f"both{i}")(x)
        a, b = ops.split(both, 2, axis=-1)
        gated = ops.tanh(a) * ops.sigmoid(b)
        skips.append(L.Conv1D(6, 1, name=f"skip{i}")(gated))
        x = x + L.Conv1D(4, 1, name=f"back{i}")(gated)
    y = L.ReLU()(L.Add()(skips))
    return keras.Model(inputs, L.Conv1D(3, 1, activation="softmax", name="out")(y))


def transformer() -> Any:
    tokens = keras.Input((7,), dtype="int32")
    x = L.Embedding(9, 8, name="words")(tokens) + L.Embedding(7, 8, name="places")(ops.arange(7))
    for i in range(2):
        y = L.MultiHeadAttention(4, 3, name=f"attention{i}")(x, x, use_causal_mask=bool(i))
        x = L.LayerNormalization(name=f"norm{i}_a")(x + y)
        y = L.Dense(8, name=f"down{i}")(L.Dense(12, activation="gelu", name=f"up{i}")(x))
        x = L.LayerNormalization(name=f"norm{i}_b")(L.Add()([x, y]))
    return keras.Model(tokens, L.Dense(3, name="out")(ops.mean(x, axis=1)))


def vision_transformer() -> Any:
    x = inputs = keras.Input((8, 8, 3))
    x = L.Reshape((-1, 6))(L.Conv2D(6, 2, strides=2, name="patches")(x))
    y = L.LayerNormalization()(x)
    query, value = L.Dense(5, name="query")(y), L.Dense(7, name="value")(y)
    y = L.MultiHeadAttention(3, 4, value_dim=2, output_shape=6, name="heads")(
        query, key=L.Dense(6, name="key")(y), value=value
    )
    x = L.Add()([x, y])
    y = L.Dense(9, activation="gelu", name="up")(L.LayerNormalization()(x))
    x = L.Add()([x, L.Dense(6, name="down")(L.Dropout(0.1)(y))])
    return keras.Model(inputs, L.Dense(2, name="out")(x[:, 0, :]))


def text_cnn() -> Any:
    tokens, extra = keras.Input((12,), dtype="int32"), keras.Input((3,), name="extra")
    x = L.Embedding(20, 6, name="words")(tokens)
    x = L.SpatialDropout1D(0.2)(x)
    towers = [
        L.GlobalMaxPooling1D()(L.Conv1D(5, k, activation="relu", name=f"conv{k}")(x))
        for k in (2, 3)
    ]
    y = L.Concatenate()([*towers, L.Dense(4, activation="relu", name="side")(extra)])
    return keras.Model([tokens, extra], L.Dense(1, activation="sigmoid", name="out")(y))


def masked_lstm() -> Any:
    tokens = keras.Input((6,), dtype="int32")
    x = L.Embedding(9, 5, mask_zero=True, name="words")(tokens)
    x = L.Bidirectional(L.LSTM(4, return_sequences=True), name="both")(x)
    x = L.TimeDistributed(L.Dense(5, activation="relu"), name="each")(x)
    x = L.GRU(6, name="gru")(x)
    return keras.Model(tokens, L.Dense(2, name="out")(x))


def masked_lstms() -> Any:
    tokens = keras.Input((6,), dtype="int32")
    x = L.Embedding(9, 5, mask_zero=True, name="words")(tokens)
    a, h, c = L.LSTM(4, return_sequences=True, return_state=True, name="encoder")(x)
    b = L.LSTM(4, return_sequences=True, name="decoder")(L.Dense(3, name="mid")(a), [h, c])
    y = L.GlobalAveragePooling1D()(L.Concatenate()([a, b]))
    return keras.Model(tokens, L.Dense(2, name="out")(y))


def masking_layer() -> Any:
    x = inputs = keras.Input((6, 3))
    x = L.LSTM(5, return_sequences=True, name="a")(L.Masking(0.0)(x))
    return keras.Model(inputs, L.Dense(2, name="out")(L.SimpleRNN(4, name="b")(x)))


def masked_attention() -> Any:
    tokens = keras.Input((6,), dtype="int32")
    x = L.Embedding(9, 8, mask_zero=True, name="words")(tokens)
    y = L.MultiHeadAttention(4, 3, name="heads")(x, x)
    y = L.Dense(6, activation="relu", name="up")(L.LayerNormalization()(L.Add()([x, y])))
    return keras.Model(tokens, L.Dense(2, name="out")(L.GlobalAveragePooling1D()(y)))


def squeeze_excite() -> Any:
    x = inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(8, 3, activation="relu", name="conv")(x)
    s = L.GlobalAveragePooling2D(keepdims=True)(x)
    s = L.Conv2D(4, 1, activation="relu", name="reduce")(s)
    s = L.Conv2D(8, 1, activation="sigmoid", name="expand")(s)
    y = L.SeparableConv2D(6, 3, padding="same", name="separable")(L.Multiply()([x, s]))
    return keras.Model(inputs, L.Dense(3, name="out")(L.Flatten()(L.MaxPooling2D()(y))))


def inner_outputs() -> Any:
    inputs = keras.Input((5,))
    a = L.Dense(6, activation="relu", name="a")(inputs)
    b = L.Dense(7, activation="relu", name="b")(a)
    return keras.Model(inputs, [L.Dense(2, name="out")(b), a])


def dicts() -> Any:
    inputs = {"left": keras.Input((4,), name="left"), "right": keras.Input((3,), name="right")}
    a = L.Dense(6, activation="relu", name="a")(inputs["left"])
    b = L.Dense(6, activation="relu", name="b")(inputs["right"])
    y = L.Maximum()([a, b])
    return keras.Model(inputs, {"one": L.Dense(2, name="one")(y), "two": L.Dense(1, name="two")(a)})


def nested_twice() -> Any:
    inner = keras.Sequential(
        [keras.Input((4,)), L.Dense(6, activation="relu", name="deep"), L.Dense(5, name="code")],
        name="tower",
    )
    a, b = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    apart = ops.absolute(inner(a) - inner(b))
    return keras.Model([a, b], L.Dense(1, name="out")(apart))


def deeply_nested() -> Any:
    x = keras.Input((8, 8, 3))
    backbone = keras.Model(x, L.Conv2D(6, 3, activation="relu", name="conv")(x), name="backbone")
    inside = keras.Sequential(
        [keras.Input((8, 8, 3)), L.Rescaling(2.0), backbone, L.BatchNormalization()], name="body"
    )
    outside = keras.Input((8, 8, 3))
    y = L.Dense(5, activation="relu", name="hidden")(L.Flatten()(inside(outside)))
    return keras.Model(outside, L.Dense(2, name="out")(y))


def constants() -> Any:
    x = inputs = keras.Input((5,))
    x = L.Dense(6, activation="relu", name="a")(x) * 2.0 + 1.0
    x = L.Dense(4, name="b")(1.0 - x / 3.0)
    x = ops.clip(x, -1.0, 1.0) * np.arange(4.0, dtype="float32")
    return keras.Model(inputs, L.Dense(2, name="out")(ops.expand_dims(x, 1)[:, 0]))


def many_ops() -> Any:
    x = inputs = keras.Input((6, 6, 3))
    x = L.Conv2D(8, 3, padding="same", name="a")(x)
    x = ops.nn.max_pool(ops.relu(x), 2)
    x = ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    x = ops.transpose(x, (0, 3, 1, 2))
    x = ops.moveaxis(x, 1, -1)
    x = L.Conv2D(6, 3, name="b")(x)
    y, z = ops.split(x, [2], axis=1)
    x = ops.concatenate([ops.flip(y, axis=1), z], axis=1)
    x = ops.stack([x, x], axis=1)
    x = ops.swapaxes(ops.sum(x, axis=1), 1, 2)
    x = ops.average_pool(x, 2, strides=1)
    x = ops.reshape(x, (-1, 2, 2, 6)) if x.shape[1:] == (2, 2, 6) else x
    x = ops.squeeze(ops.mean(x, axis=(1, 2), keepdims=True), axis=(1, 2))
    x = ops.where(x > 0, x, 0.1 * x)
    return keras.Model(inputs, L.Dense(2, name="out")(x))


def shared_heads(queries: int, shared: int, gate: bool = False) -> Any:
    x = inputs = keras.Input((6, 8))
    x = x + L.GroupQueryAttention(3, queries, shared, use_gate=gate, name="heads")(x, x)
    x = x + L.Dense(8, name="down")(L.Dense(6, "relu", name="up")(x))
    return keras.Model(inputs, L.Dense(2, name="out")(x))


def two_branches() -> Any:
    inputs = keras.Input((6, 4))
    query, value = L.Dense(6, name="a")(inputs), L.Dense(6, name="b")(inputs)
    x = L.GroupQueryAttention(3, 6, 2, name="heads")(query, value)
    return keras.Model(inputs, L.Dense(2, name="out")(x))


def frames() -> Any:
    x = inputs = keras.Input((4, 6, 6, 2))
    x = L.ConvLSTM2D(5, 3, padding="same", return_sequences=True, name="a")(x)
    first = L.ConvLSTM2D(4, 2, strides=2, dropout=0.1, recurrent_activation="sigmoid", name="b")
    last, h, c = L.ConvLSTM2D(4, 2, strides=2, return_state=True, name="c")(x)
    x = L.Concatenate()([first(x), last, h, L.BatchNormalization()(c)])
    return keras.Model(inputs, L.Dense(2, name="out")(L.GlobalAveragePooling2D()(x)))


def cells_with_states() -> Any:
    a = keras.Input((5, 3))
    cells = [L.LSTMCell(4), L.GRUCell(4)]
    _, (h, c), s = L.RNN(cells, return_state=True, name="encoder")(a)
    start = L.Dense(4, "tanh", name="start")(a[:, 0])
    y = L.RNN(L.GRUCell(4), return_sequences=True, name="decoder")(a, initial_state=start)
    x = L.Concatenate()([L.GlobalMaxPooling1D()(y), h, c, s])
    return keras.Model(a, L.Dense(2, name="out")(x))


def instance_norm() -> Any:
    x = inputs = keras.Input((6, 6, 3))
    x = L.GroupNormalization(groups=-1)(L.Conv2D(6, 3, name="a")(x))
    x = L.GroupNormalization(groups=4)(L.Conv2D(8, 3, name="b")(x))
    return keras.Model(inputs, L.Dense(2, name="out")(L.GlobalAveragePooling2D()(x)))


def mean_over_merge() -> Any:
    inputs = keras.Input((5,))
    a, b, c = (L.Dense(6, name=n)(inputs) for n in "abc")
    x = L.Average()([a, L.Subtract()([b, c])])
    x = L.Minimum()([x, a])
    return keras.Model(inputs, L.Dense(2, name="out")(x))


def broadcasting() -> Any:
    inputs = keras.Input((4, 5))
    a = L.Dense(6, name="a")(inputs)
    gate = L.Dense(1, activation="sigmoid", name="gate")(inputs)
    per_channel = L.Dense(6, name="channel")(L.GlobalAveragePooling1D()(inputs))
    x = L.Multiply()([L.Multiply()([a, gate]), L.Reshape((1, 6))(per_channel)])
    return keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x)))


def einsum_heads() -> Any:
    inputs = keras.Input((5, 6))
    x = L.EinsumDense("abc,cde->abde", (5, 3, 4), bias_axes="de", name="split")(inputs)
    x = L.EinsumDense("abde,dec->abc", (5, 7), bias_axes="c", name="join")(x)
    return keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x)))


def matrix_factors() -> Any:
    user, item = (keras.Input((1,), dtype="int32", name=n) for n in ("user", "item"))
    a, b = (L.Embedding(9, 6, name=n)(x) for n, x in (("u", user), ("i", item)))
    deep = L.Dense(5, activation="relu", name="deep")(
        L.Concatenate()([L.Flatten()(a), L.Flatten()(b)])
    )
    dot = L.Flatten()(L.Dot(axes=2)([a, b]))
    return keras.Model([user, item], L.Dense(1, name="out")(L.Concatenate()([dot, deep])))


def attention_layers() -> Any:
    inputs = keras.Input((5, 6))
    q, k, v = (L.Dense(n, name=name)(inputs) for name, n in (("q", 4), ("k", 4), ("v", 7)))
    x = L.Attention(use_scale=True, name="luong")([q, v, k])
    y = L.Dense(5, name="after")(x)
    return keras.Model(inputs, L.Dense(2, name="out")(L.GlobalMaxPooling1D()(y)))


def autoencoder() -> Any:
    x = inputs = keras.Input((8, 8, 1))
    x = L.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="e1")(x)
    x = L.Dense(5, activation="relu", name="code")(L.Flatten()(x))
    x = L.Reshape((4, 4, 6))(L.Dense(96, activation="relu", name="grow")(x))
    x = L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu", name="d1")(x)
    return keras.Model(inputs, L.Conv2D(1, 3, padding="same", name="out")(x))


def permuted() -> Any:
    x = inputs = keras.Input((4, 6, 3))
    x = L.Permute((3, 1, 2))(L.Conv2D(5, 1, name="a")(x))
    return keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x)))


MODELS: dict[str, tuple[Callable[[], Any], set[str]]] = {
    "TCN": (tcn, {"conv1_a", "conv2_a", "conv1_b"}),
    "WaveNet": (wavenet, {"in", "both0", "both2", "skip0"}),
    "transformer": (transformer, {"attention0:heads", "attention1:heads", "up0", "up1"}),
    "vision transformer": (vision_transformer, {"query", "key", "value", "heads:heads", "up"}),
    "embedding and Conv1D": (text_cnn, {"words", "conv2", "conv3", "side"}),
    "masked recurrent layers": (
        masked_lstm,
        {"words", "both:forward", "both:backward", "each", "gru"},
    ),
    "encoder and decoder": (masked_lstms, {"words", "encoder", "mid"}),
    "Masking": (masking_layer, {"a", "b"}),
    "masked attention": (masked_attention, {"heads:heads", "up"}),
    "squeeze and excite": (squeeze_excite, {"conv", "reduce", "separable"}),
    "an inner tensor as output": (inner_outputs, {"b"}),
    "dict inputs and outputs": (dicts, {"a"}),
    "a nested model called twice": (nested_twice, {"tower/deep", "tower/code"}),
    "models in models": (deeply_nested, {"body/backbone/conv", "hidden"}),
    "constants": (constants, {"a"}),
    "raw operations": (many_ops, {"a", "b"}),
    "heads shared by several queries": (lambda: shared_heads(6, 2), {"heads:heads", "up"}),
    "few queries a shared head": (lambda: shared_heads(6, 3, gate=True), {"heads:heads", "up"}),
    "one head for all queries": (lambda: shared_heads(4, 1), {"heads:heads", "up"}),
    "shared heads between branches": (two_branches, {"a", "heads:heads"}),
    "ConvLSTM": (frames, {"a", "b", "c"}),
    "cells with states": (cells_with_states, {"encoder:0", "encoder:1", "start"}),
    "instance and group normalization": (instance_norm, {"a", "b"}),
    "merging layers": (mean_over_merge, {"b"}),
    "broadcasting": (broadcasting, {"channel"}),
    "EinsumDense with heads": (einsum_heads, {"split:d", "split:e", "join"}),
    "matrix factors": (matrix_factors, {"deep"}),
    "Attention": (attention_layers, {"v", "after"}),
    "autoencoder": (autoencoder, {"e1", "code", "d1"}),
    "Permute": (permuted, {"a"}),
}


@pytest.mark.parametrize("where", ["last", "several"])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_model_is_pruned_exactly(name: str, where: str, prove: Any) -> None:
    make, expected = MODELS[name]
    model = randomize(make())
    graph = trace(model)
    assert expected <= {group.name for group in graph.prunable}, str(graph)
    prove(model, where)
