"""What a group and a graph tell a reader: root first, dependents with reasons, costs."""

from __future__ import annotations

import json

import keras
from keras import layers as L

import paoding
from paoding.evaluation.cost import flops

from .test_models import MODELS


def test_a_group_prints_its_root_first_and_why_each_dependent_is_tied() -> None:
    x = inputs = keras.Input((6, 6, 3))
    x = L.Conv2D(4, 3, name="conv")(x)
    x = L.ReLU(name="relu")(L.BatchNormalization(name="norm")(x))
    x = L.Flatten(name="flat")(x)
    group = paoding.inspect(keras.Model(inputs, L.Dense(2, name="out")(x))).groups[0]
    lines = str(group).splitlines()
    assert lines[0] == "conv: 4 units, 256 parameters, 3,841 FLOPs"  # 3520 + 128 + 64 + 258 / 2
    assert lines[1] == "  ├ conv: makes the units (kernel axis 3, bias axis 0)"
    assert "norm: has parameters of its own for each unit" in lines[2]
    assert lines[3:] == [
        "  ├ relu: passes the units on",
        "  ├ flat: passes the units on",
        "  └ out: reads the units (kernel axis 0)",
    ]


def test_what_is_protected_is_printed_with_its_reason() -> None:
    x = inputs = keras.Input((5,))
    x = L.LayerNormalization(name="mix")(L.Dense(4, name="a")(x))
    graph = paoding.inspect(keras.Model(inputs, L.Dense(2, name="out")(x), name="m"))
    text = str(graph)
    assert text.startswith("m: 0 of 2 groups can be pruned, 0 units in all")
    assert "4 stay: LayerNormalization mixes the channels" in text
    assert dict(graph.protected)["out"] == "it is an output of the model"


def test_the_groups_together_cost_no_more_than_the_model_and_are_json() -> None:
    for name, (make, _) in MODELS.items():
        model = make()
        graph = paoding.inspect(model)
        assert 0 < sum(group.flops for group in graph.groups) <= flops(model), name
        json.dumps(graph.to_dict())
