"""A traced model as the structure view draws it."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from paoding.evaluation import cost
from paoding.graph import inspect, surgery
from paoding.pruning.pruner import Pruner
from paoding_widgets.filters import first_filters
from paoding_widgets.insight import Insight
from paoding_widgets.present import layer_rows
from paoding_widgets.scene import make_scene
from paoding_widgets.why import pictures


def test_nodes_follow_the_data_and_know_what_feeds_them(branched: keras.Model) -> None:
    nodes = make_scene(inspect(branched)).values["nodes"]
    names = [node["name"] for node in nodes]
    assert names[0].startswith("input")
    for place, node in enumerate(nodes):
        assert all(source < place for source in node["inputs"])
    total = nodes[names.index("sum")]
    assert {names[i] for i in total["inputs"]} == {"stem", "left"}


def test_coupled_layers_share_one_group(branched: keras.Model) -> None:
    scene = make_scene(inspect(branched)).values
    by_name = {node["name"]: node for node in scene["nodes"]}
    assert by_name["stem"]["group"] == by_name["left"]["group"] >= 0
    assert by_name["right"]["group"] != by_name["left"]["group"]
    assert by_name["norm"]["units"] == 0  # it passes units on and makes none


def test_a_protected_layer_says_why(branched: keras.Model) -> None:
    graph = inspect(branched)
    scene = make_scene(graph)
    scores = next(node for node in scene.values["nodes"] if node["name"] == "scores")
    assert "output" in scores["note"]
    rows = {row["name"]: row for row in layer_rows(graph, scene, None, ())}
    assert not rows["scores"]["prunable"]
    assert rows["scores"]["reason"]


def test_flat_arrays_hold_each_group_where_the_scene_says(branched: keras.Model) -> None:
    graph = inspect(branched)
    scene = make_scene(graph)
    values = {g.name: np.arange(g.units, dtype=float) for g in graph.groups}
    flat = scene.flat(values)
    for group in scene.values["groups"]:
        part = flat[group["start"] : group["start"] + group["units"]]
        np.testing.assert_array_equal(part, np.arange(group["units"]))


def test_a_layer_whose_units_are_part_of_a_group_says_which() -> None:
    inputs = keras.Input((6,))
    a = keras.layers.Dense(3, name="a")(inputs)
    b = keras.layers.Dense(2, name="b")(inputs)
    both = keras.layers.Concatenate()([a, b])
    whole = keras.layers.Dense(5, name="whole")(inputs)
    total = keras.layers.Add()([both, whole])
    model = keras.Model(inputs, keras.layers.Dense(2, name="scores")(total))
    scene = make_scene(inspect(model)).values
    maps = {n["name"]: (n["group"], n["units"], n.get("map")) for n in scene["nodes"]}
    for name, units in (("a", 3), ("b", 2), ("whole", 5)):
        group, count, own = maps[name]
        assert count == units
        size = scene["groups"][group]["units"]
        assert own is None or all(-1 <= unit < size for unit in own)


@pytest.mark.parametrize("strategy", ["magnitude"])
def test_costs_without_building_are_those_of_the_smaller_model(
    branched: keras.Model, strategy: str
) -> None:
    pruner = Pruner(branched, target=0.5, step=0.25, strategy=strategy, compensation="none")
    for _ in pruner:
        pass
    smaller = surgery.cut(pruner.graph, pruner.state)
    insight = Insight(pruner.graph)
    found, wanted = insight.cost(pruner.state), cost(smaller, latency=False)
    assert (found.parameters, found.flops, found.bytes) == (
        wanted.parameters,
        wanted.flops,
        wanted.bytes,
    )
    assert sum(insight.parameters(pruner.state).values()) == wanted.parameters


def test_units_of_first_layers_are_sent_as_pictures_also_behind_rescaling_and_flatten() -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 5, 3))
    small = keras.layers.Rescaling(1 / 255)(image)
    a = keras.layers.Conv2D(4, 3, name="windows")(small)
    a = keras.layers.Conv2D(4, 3, name="second")(a)
    b = keras.layers.Dense(7, name="whole")(keras.layers.Flatten()(small))
    join = keras.layers.Concatenate()([keras.layers.Flatten()(a), b])
    model = keras.Model(image, keras.layers.Dense(2)(join))
    graph = inspect(model)
    scene = make_scene(graph)
    found = {scene.values["nodes"][one["node"]]["name"]: one for one in first_filters(graph, scene)}
    assert set(found) == {"windows", "whole"}
    kernel = model.get_layer("windows").kernel.numpy().mean(axis=2)
    sent = np.frombuffer(found["windows"]["values"], np.int8).reshape(4, 3, 3)
    assert np.allclose(sent / 127, np.moveaxis(kernel, -1, 0) / np.abs(kernel).max(), atol=0.005)
    assert (found["whole"]["rows"], found["whole"]["columns"]) == (6, 5)
    assert len(found["whole"]["values"]) == 7 * 6 * 5


def test_a_layer_tells_its_kernel_stride_and_activation(branched: keras.Model) -> None:
    nodes = make_scene(inspect(branched)).values["nodes"]
    left = next(node for node in nodes if node["name"] == "left")
    assert left["attributes"]["kernel_size"] == [3, 3]
    assert left["attributes"]["activation"] == "relu" and left["attributes"]["padding"] == "same"
    json.dumps(nodes)


def test_weights_of_a_window_of_one_point_are_shown_by_channel() -> None:
    model = keras.Sequential(
        [keras.Input((4, 4, 9)), keras.layers.Conv2D(5, 1, name="point"), keras.layers.Flatten()]
    )
    graph = inspect(model)
    (picture,) = pictures(graph, "point", graph.by_name["point"], 2, None)
    assert (picture["rows"], picture["columns"]) == (3, 3)
    mine = model.get_layer("point").kernel.numpy()[0, 0, :, 2]
    assert np.allclose(picture["values"], mine / np.abs(mine).max(), atol=1e-3)
