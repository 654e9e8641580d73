"""Costs are counted exactly, by hand where that can be done."""

from __future__ import annotations

from itertools import pairwise

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paoding.evaluation import cost, evaluate, flops
from paoding.evaluation.cost import Cost, flops_by_call
from paoding.layers.base import Rule, rule_for

L = keras.layers


def model_of(shape, *layers, dtype="float32") -> keras.Model:
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers])


@pytest.mark.parametrize(
    ("shape", "layer", "count"),
    [
        ((5,), L.Dense(3), 2 * 15 + 3),
        ((5,), L.Dense(3, use_bias=False), 2 * 15),
        ((5,), L.Dense(3, activation="relu"), 2 * 15 + 3 + 3),
        ((7, 5), L.Dense(3), 7 * (2 * 15 + 3)),
        ((8, 8, 2), L.Conv2D(4, 3), 36 * 4 * (2 * 18 + 1)),
        ((8, 8, 2), L.Conv2D(4, 3, padding="same", use_bias=False), 64 * 4 * 2 * 18),
        ((8, 8, 2), L.Conv2D(4, 3, strides=2), 9 * 4 * (2 * 18 + 1)),
        ((8, 8, 4), L.Conv2D(6, 3, groups=2, use_bias=False), 36 * 6 * 2 * 18),
        ((9, 2), L.Conv1D(4, 3, use_bias=False), 7 * 4 * 2 * 6),
        ((8, 8, 2), L.DepthwiseConv2D(3, depth_multiplier=2), 36 * 4 * (2 * 9 + 1)),
        ((8, 8, 2), L.SeparableConv2D(5, 3, use_bias=False), 36 * 2 * (2 * 9 + 2 * 5)),
        ((4, 4, 3), L.Conv2DTranspose(2, 2, strides=2, use_bias=False), 16 * 3 * 2 * 4 * 2),
        ((8, 8, 2), L.BatchNormalization(), 2 * 128),
        ((8, 8, 2), L.MaxPooling2D(2), 128),
        ((8, 8, 2), L.GlobalAveragePooling2D(), 128),
        ((8, 8, 2), L.ReLU(), 128),
        ((8, 8, 2), L.Flatten(), 0),
        ((8, 8, 2), L.Dropout(0.5), 0),
        ((8, 8, 2), L.UpSampling2D(), 0),
        ((5, 3), L.LSTM(4), 5 * 2 * 4 * 4 * (3 + 4)),
        ((5, 3), L.Bidirectional(L.GRU(4)), 2 * 5 * 2 * 3 * 4 * (3 + 4)),
        ((5, 3), L.TimeDistributed(L.Dense(2)), 5 * (2 * 6 + 2)),
        ((5, 3), L.EinsumDense("abc,cd->abd", (5, 4)), 2 * 5 * 3 * 4),
    ],
)
def test_flops_of_a_layer_are_those_counted_by_hand(shape, layer, count):
    assert flops(model_of(shape, layer)) == count


def test_attention_costs_its_projections_and_its_scores():
    x = keras.Input((5, 8))
    layer = L.MultiHeadAttention(2, 4, use_bias=False)
    projections = 4 * 5 * 8 * 2 * 4
    scores = 2 * (2 * 5 * 5 * 4)
    assert flops(keras.Model(x, layer(x, x))) == 2 * (projections + scores)


def test_every_call_of_a_shared_layer_costs():
    x, layer = keras.Input((4,)), L.Dense(4, use_bias=False)
    assert flops(keras.Model(x, layer(layer(x)))) == 2 * 2 * 16


def test_nested_models_and_branches_are_counted():
    x = keras.Input((4,))
    inner = model_of((4,), L.Dense(3, use_bias=False))
    a, b = inner(x), L.Dense(3, use_bias=False)(x)
    model = keras.Model(x, L.Add()([a, b]))
    assert flops(model) == 2 * 12 + 2 * 12 + 3
    assert sum(flops_by_call(model).values()) == flops(model)


@settings(max_examples=25, deadline=None)
@given(widths=st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_parameters_and_flops_of_a_chain_are_its_products(widths):
    model = model_of((widths[0],), *(L.Dense(n) for n in widths[1:]))
    pairs = list(pairwise(widths))
    assert cost(model, latency=False) == Cost(
        parameters=sum((a + 1) * b for a, b in pairs),
        flops=sum(2 * a * b + b for a, b in pairs),
        bytes=4 * sum((a + 1) * b for a, b in pairs),
    )


def test_parameters_are_those_of_keras_also_those_not_trained():
    model = model_of((8, 8, 2), L.Conv2D(4, 3), L.BatchNormalization(), L.Flatten(), L.Dense(2))
    assert cost(model, latency=False).parameters == model.count_params()


def test_bytes_follow_the_type_of_the_weights():
    assert cost(model_of((5,), L.Dense(3, dtype="float16")), latency=False).bytes == 2 * 18


def test_latency_is_measured_also_for_several_inputs_and_open_shapes():
    a, b = keras.Input((None, 3)), keras.Input((None, 3))
    model = keras.Model([a, b], [L.Dense(2)(a), L.Dense(2)(b)])
    assert 0 < cost(model).latency < 1
    assert np.isfinite(cost(model).latency)


def test_every_rule_states_its_cost_or_only_moves_values():
    moving = {"Flatten", "Reshape", "Permute", "RepeatVector", "Concatenate", "Embedding"}
    for name in sorted(moving):
        assert type(rule_for(getattr(L, name).__new__(getattr(L, name)))).flops is Rule.flops


def test_a_model_of_any_size_and_name_is_timed_on_the_data() -> None:
    layers = [keras.Input((None, None, 1)), keras.layers.Conv2D(4, 5)]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    model = keras.Sequential(layers, name="my model")
    x = np.zeros((6, 9, 9, 1), "float32")
    assert evaluate(model, x, np.arange(6) % 3, reference=model).cost.latency > 0
