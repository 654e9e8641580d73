"""Models that the studio's tests share: small ones, and one of the zoo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest

import paoding
from paoding_widgets import PruningStudio


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A displayed studio keeps its run beside the notebook: not in the repository."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def table() -> tuple[keras.Model, Any]:
    """The zoo's smallest network with its evaluation data."""
    return paoding.zoo.load("breast-cancer")


@pytest.fixture(scope="session")
def branched() -> keras.Model:
    """Convolutions with a residual sum, a concatenation and a normalization."""
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(8, 3, padding="same", name="stem")(x)
    y = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="left")(x)
    x = keras.layers.Add(name="sum")([x, y])
    x = keras.layers.BatchNormalization(name="norm")(x)
    z = keras.layers.Conv2D(4, 1, name="right")(x)
    x = keras.layers.Concatenate(name="join")([x, z])
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(3, activation="softmax", name="scores")(x)
    return keras.Model(inputs, x, name="branched")


@pytest.fixture
def studio(table: tuple[keras.Model, Any]) -> Iterator[PruningStudio]:
    """A studio that takes four quick steps, ready."""
    model, data = table
    made = PruningStudio(
        model, data=data, target=0.5, step=0.125, strategy="saliency", compensation="merge"
    )
    assert made.wait() == "ready"
    yield made
    made.close()
