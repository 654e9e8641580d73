"""Small pretrained models inside the package, each with the data to evaluate it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import numpy as np

from paoding.domain import Box
from paoding.errors import ArgumentError

if TYPE_CHECKING:
    import keras

__all__ = ["Data", "Entry", "data", "describe", "load", "names"]


@dataclass(frozen=True)
class Entry:
    """One model of the zoo: its file, its data file, and what to know about them."""

    name: str
    data: str
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    description: str


@dataclass(frozen=True, eq=False)
class Data:
    """The evaluation split of a zoo model: data that the model has never seen.

    Attributes:
        name: The model's name.
        x: Inputs, float32, the first axis over samples, all within ``domain``; read-only.
        y: Labels, int64, one for each sample; read-only.
        domain: The box of legal inputs.
        classes: What each label means.
        description: What the data is.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    domain: Box
    classes: tuple[str, ...]
    description: str

    def __repr__(self) -> str:
        return f"Data({self.name!r}, x{self.x.shape}, y{self.y.shape}, {self.domain})"


_DIGITS = tuple("0123456789")
_ENTRIES = (
    Entry(
        "mnist-mlp",
        "mnist.npz",
        (784,),
        _DIGITS,
        "Handwritten digits, Dense 784-128-128-64-10; 2,000 held-back digits, pixels in [0, 1].",
    ),
    Entry(
        "mnist-cnn",
        "mnist.npz",
        (28, 28, 1),
        _DIGITS,
        "Handwritten digits, two Conv2D with BatchNormalization, then Dense 512-128-10; "
        "2,000 held-back digits, pixels in [0, 1].",
    ),
    Entry(
        "breast-cancer",
        "breast-cancer.npz",
        (30,),
        ("malignant", "benign"),
        "Wisconsin breast cancer table, Dense 30-64-64-1 with a sigmoid; 169 held-back rows, "
        "each column scaled to [0, 1] by its range in the training rows.",
    ),
)


def names() -> tuple[str, ...]:
    """Return the names of the models, as :func:`load` takes them.

    Example:
        >>> names()
        ('mnist-mlp', 'mnist-cnn', 'breast-cancer')
    """
    return tuple(entry.name for entry in _ENTRIES)


def describe() -> dict[str, str]:
    """Return one sentence for each model, by its name."""
    return {entry.name: entry.description for entry in _ENTRIES}


def load(name: str) -> tuple[keras.Model, Data]:
    """Load a pretrained model and the data to evaluate it.

    Args:
        name: One of :func:`names`.

    Returns:
        A model of its own for each call, and its evaluation split.

    Raises:
        ArgumentError: There is no such model.

    Example:
        >>> model, data = load("breast-cancer")
        >>> model.count_params(), data.x.shape, data.classes
        (6209, (169, 30), ('malignant', 'benign'))
    """
    from paoding.files.models import load_model

    split = data(name)
    with as_file(files(__name__) / f"{name}.keras") as path:
        return load_model(path), split


def data(name: str) -> Data:
    """Load what evaluates a model of the zoo, without the model.

    Raises:
        ArgumentError: There is no such model.
    """
    entry = next((entry for entry in _ENTRIES if entry.name == name), None)
    if entry is None:
        raise ArgumentError(f"The zoo has no model {name!r}; it has {', '.join(names())}.")
    return _data(entry)


@cache
def _data(entry: Entry) -> Data:
    from paoding.files.data import load_data

    with as_file(files(__name__) / entry.data) as path:
        x, y = load_data(path)
    if x.dtype == np.uint8:  # bytes of pictures
        x = x.astype("float32") / np.float32(255)
    x, y = x.reshape(-1, *entry.shape).astype("float32"), y.astype("int64")
    x.flags.writeable = y.flags.writeable = False
    return Data(entry.name, x, y, Box(0.0, 1.0), entry.classes, entry.description)
