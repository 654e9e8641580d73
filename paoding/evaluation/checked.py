"""Data that fits a classifier: inputs in its type, labels as class numbers, attacks' range."""

from __future__ import annotations

from typing import Any

import numpy as np

from paoding.domain import Box
from paoding.errors import ArgumentError, DataError
from paoding.evaluation.data import NUMBERS, as_array
from paoding.evaluation.network import Network


def check_data(network: Network, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs in the model's type and labels as class numbers, or say what is wrong."""
    x = check_inputs(network, x)
    return x, class_numbers(network, y, len(x))


def check_inputs(network: Network, x: Any) -> np.ndarray:
    """Return inputs in the type that the model takes.

    Raises:
        DataError: They are no numbers, of another shape, none, NaN or infinite.
    """
    values = as_array(x, "x", NUMBERS)
    if values.ndim == 0 or len(values) == 0:
        raise DataError(f"x holds no samples (shape {values.shape}).")
    wanted, given = network.shape, values.shape[1:]
    if len(wanted) != len(given) or any(
        w not in (None, g) for w, g in zip(wanted, given, strict=True)
    ):
        raise DataError(
            f"x has samples of shape {given}, but model '{network.model.name}' takes "
            f"{wanted}; reshape x."
        )
    wrong = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if wrong.any():
        raise DataError(
            f"x holds NaN or infinite values in {wrong.sum()} of {len(x)} samples, the first at "
            f"index {wrong.argmax()}."
        )
    dtype = "float32" if network.differentiable else str(network.model.inputs[0].dtype)
    return np.ascontiguousarray(values, dtype=dtype)


def class_numbers(network: Network, y: Any, count: int) -> np.ndarray:
    """Return labels as class numbers, int64 (n,).

    Raises:
        DataError: They are not as many as the inputs, or no classes of the model.
    """
    values = as_array(y, "y", NUMBERS)
    if len(values.shape) > 1 and values.shape == (count, network.classes):
        values = _from_one_hot(values)
    if values.size != count or (values.ndim > 1 and len(values) != count):
        raise DataError(
            f"y has shape {values.shape} for {count} samples; it must hold one class number for "
            f"each, or one-hot rows of {network.classes}."
        )
    values = values.reshape(count)
    if network.binary and values.min() == -1 and np.isin(values, (-1, 1)).all():
        values = (values + 1) // 2
    numbers = np.where(np.isfinite(values), values, -1).astype("int64")
    wrong = (numbers != values) | (numbers < 0) | (numbers >= network.classes)
    if wrong.any():
        first = int(wrong.argmax())
        raise DataError(
            f"y holds {values[first].item()!r} at index {first}; model "
            f"'{network.model.name}' has the classes 0 to {network.classes - 1}."
        )
    return numbers


def _from_one_hot(rows: np.ndarray) -> np.ndarray:
    good = np.isin(rows, (0, 1)).all(axis=1) & (rows.sum(axis=1) == 1)
    if not good.all():
        raise DataError(
            f"y is not one-hot: row {int((~good).argmax())} is not a single 1 among zeros."
        )
    return rows.argmax(axis=1)


def clip_box(clip: Box | tuple[Any, Any] | None, x: np.ndarray) -> Box:
    """Return the legal range of inputs, by default [0, 1] or the range of ``x``.

    Raises:
        DataError: Samples lie outside of the range that was given.
    """
    if clip is None:
        least, most = float(x.min()), float(x.max())
        return Box(0.0, 1.0) if least >= 0 and most <= 1 else Box(least, most)
    if not isinstance(clip, Box) and (not isinstance(clip, tuple | list) or len(clip) != 2):
        raise ArgumentError(f"clip must be a box or (lo, hi), not {clip!r}.")
    box = clip if isinstance(clip, Box) else Box(*clip)
    # Compared in the type of the inputs: the float32 next to 0.1 is beyond the float64 0.1.
    lo, hi = (np.asarray(bound, dtype=x.dtype) for bound in (box.lo, box.hi))
    box.fit(x.shape[1:])
    outside = ((x < lo) | (x > hi)).reshape(len(x), -1).any(axis=1)
    if outside.any():
        raise DataError(
            f"{outside.sum()} of {len(x)} samples of x lie outside of the clip range {box}; give "
            "the range that the data really has."
        )
    return box
