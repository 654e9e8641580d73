"""The zoo holds what it promises: accurate models, their data, and how they were made."""

from __future__ import annotations

from importlib.resources import files

import keras
import numpy as np
import pytest

from paoding import zoo
from paoding.errors import ArgumentError

WANTED = {"mnist-mlp": 0.95, "mnist-cnn": 0.975, "breast-cancer": 0.97}


def accuracy(model, data) -> float:
    scores = model.predict(data.x, verbose=0)
    guess = scores[:, 0] > 0.5 if scores.shape[1] == 1 else scores.argmax(1)
    return float(np.mean(guess == data.y))


@pytest.mark.parametrize("name", zoo.names())
def test_each_model_is_accurate_on_data_held_back(name):
    model, data = zoo.load(name)
    assert accuracy(model, data) >= WANTED[name]
    assert data.domain.contains(data.x).all()
    assert data.y.max() < len(data.classes)


def test_the_models_have_the_promised_shapes():
    widths = {
        name: [x.units for x in zoo.load(name)[0].layers if isinstance(x, keras.layers.Dense)]
        for name in zoo.names()
    }
    assert widths["mnist-mlp"] == [128, 128, 64, 10]
    assert widths["breast-cancer"] == [64, 64, 1]
    kinds = {type(layer).__name__ for layer in zoo.load("mnist-cnn")[0].layers}
    assert {"Conv2D", "BatchNormalization", "Dense"} <= kinds
    assert {name: zoo.load(name)[1].x.shape for name in zoo.names()} == {
        "mnist-mlp": (2000, 784),
        "mnist-cnn": (2000, 28, 28, 1),
        "breast-cancer": (169, 30),
    }


def test_everything_in_the_package_is_under_six_megabytes():
    folder = files("paoding.zoo")
    assert sum(len(f.read_bytes()) for f in folder.iterdir() if f.is_file()) < 6_000_000


def test_held_back_digits_are_none_of_the_training_digits():
    from paoding.zoo.train import digits

    (train, _), (held, _) = digits((784,))
    seen = {row.tobytes() for row in train}
    assert len(train) == 8000
    assert not any(row.tobytes() in seen for row in held)


def test_the_table_in_the_package_is_what_the_script_makes():
    from paoding.zoo.train import table

    (train_x, _), (x, y) = table()
    _, data = zoo.load("breast-cancer")
    assert len(train_x) == 400
    np.testing.assert_array_equal(data.x, x)
    np.testing.assert_array_equal(data.y, y)


@pytest.mark.slow
def test_the_script_trains_an_accurate_model_again(tmp_path):
    from paoding.zoo.train import train

    assert train("breast-cancer", tmp_path) >= 0.95
    assert (tmp_path / "breast-cancer.keras").exists()


def test_each_load_gives_a_model_of_its_own_and_data_that_cannot_change():
    (first, data), (second, _) = zoo.load("breast-cancer"), zoo.load("breast-cancer")
    first.layers[0].set_weights([np.zeros_like(w) for w in first.layers[0].get_weights()])
    assert accuracy(second, data) >= WANTED["breast-cancer"]
    with pytest.raises(ValueError, match="read-only"):
        data.x[0] = 0


def test_an_unknown_name_is_told_which_names_there_are():
    with pytest.raises(ArgumentError, match="mnist-mlp, mnist-cnn, breast-cancer"):
        zoo.load("mnist")


def test_each_model_is_described():
    assert set(zoo.describe()) == set(zoo.names())
    assert "Data('breast-cancer'" in repr(zoo.load("breast-cancer")[1])
