"""Every cell of the table of tasks in the documentation holds: yes works, no is refused by name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import paoding
from paoding.deploy.export import export
from paoding.errors import BoundsError, PaodingError

PAGE = Path(__file__).parents[1] / "docs" / "tasks.md"
COLUMNS = ("pruned", "evaluated", "attacked", "certified", "exported")
N = 8


def cells():
    table = PAGE.read_text("utf-8").split("| inputs |")[1]
    for row in re.findall(r"^\| ([a-z -]+) \| ([a-z]+) \| (.*) \|$", table, re.MULTILINE):
        for column, word in zip(COLUMNS, row[2].split(" | "), strict=True):
            yield pytest.param(row[0], row[1], column, word, id=f"{row[0]}-{row[1]}-{column}")


def body(task, h):
    dense = layers.Dense(8, "relu")
    match task:
        case "classification":
            return layers.Dense(3, "softmax")(dense(h))
        case "multi-label":
            return layers.Dense(3, "sigmoid")(dense(h))
        case "regression":
            return layers.Dense(1)(dense(h))
        case "embedding":
            return layers.Dense(4)(dense(h))
        case "reconstruction":
            return layers.Dense(6)(dense(h))
        case "segmentation":
            h = layers.Conv2D(8, 3, padding="same", activation="relu")(h)
            return layers.Conv2D(3, 1, activation="softmax")(h)
        case "tagging":
            h = layers.Conv1D(8, 3, padding="same", activation="relu")(h)
            return layers.Dense(3, "softmax")(h)
    raise AssertionError(task)


@cache
def case(task, kind):
    """The model, its pruned copy, inputs and labels."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    if kind == "dictionary":
        a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
        h = layers.Dense(8, "relu")(layers.Concatenate()([a, b]))
        made = {"kind": layers.Dense(3, "softmax")(h), "size": layers.Dense(1)(h)}
        model = keras.Model({"a": a, "b": b}, made)
        x = {"a": rng.random((N, 4), "float32"), "b": rng.random((N, 2), "float32")}
        y = {"kind": np.arange(N) % 3, "size": rng.random(N)}
        return model, paoding.prune(model, compensation="none", step=0.5), x, y
    if kind == "tokens":
        inputs, x = keras.Input((5,), dtype="int32"), rng.integers(0, 9, (N, 5))
        h = layers.Embedding(9, 6)(inputs)
        h = h if task == "tagging" else layers.GlobalAveragePooling1D()(h)
    elif kind == "series":
        inputs, x = keras.Input((9, 2)), rng.random((N, 9, 2), "float32")
        h = layers.Flatten()(layers.Conv1D(4, 3, activation="relu")(inputs))
    elif kind == "image":
        inputs, x = keras.Input((6, 6, 1)), rng.random((N, 6, 6, 1), "float32")
        h = inputs if task == "segmentation" else layers.Flatten()(layers.Conv2D(4, 3)(inputs))
    else:
        inputs, x = h, _ = keras.Input((6,)), rng.random((N, 6), "float32")
    model = keras.Model(inputs, body(task, h))
    y = {
        "multi-label": rng.integers(0, 2, (N, 3)), "regression": rng.random(N),
        "segmentation": rng.integers(0, 3, (N, 6, 6)), "tagging": rng.integers(0, 3, (N, 5)),
        "embedding": rng.random((N, 4)), "reconstruction": x,
    }.get(task, np.arange(N) % 3)  # fmt: skip
    return model, paoding.prune(model, compensation="none", step=0.5), x, y


def does(column, task, kind, folder):
    model, result, x, y = case(task, kind)
    named = None if kind == "dictionary" else task
    if column == "pruned":
        return result.model.count_params() < model.count_params()
    if column == "certified":
        if result.certificate.lower is None:
            raise BoundsError(result.certificate.reason)
        return True
    if column == "exported":
        return export(result.model, folder / "model.tflite").stat().st_size > 0
    attacks = paoding.FGSM(0.05) if column == "attacked" else ()
    report = paoding.evaluate(
        result.model, x, y, reference=model, task=named, attacks=attacks, latency=False
    )
    measured = report.robustness if attacks else report.quality
    return bool(measured) and all(np.isfinite(m.value) for m in measured)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "kind", "column", "word"), list(cells()))
def test_the_table_of_tasks_says_what_is_so(task, kind, column, word, tmp_path):
    if word == "yes":
        assert does(column, task, kind, tmp_path)
        return
    assert word == "no"
    with pytest.raises(PaodingError) as caught:
        does(column, task, kind, tmp_path)
    assert "\n" not in str(caught.value)
