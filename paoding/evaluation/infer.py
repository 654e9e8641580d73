"""What an output is for, found from the model's loss, its head and the labels."""

from __future__ import annotations

from typing import Any

import numpy as np


def infer(
    shape: tuple[int | None, ...], head: str, loss: str, y: np.ndarray | None, inputs: Any
) -> tuple[str, str]:
    """Return the task of an output and why, in words.

    Args:
        shape: The output's, without the batch.
        head: Its activation.
        loss: The name of the loss that the model was compiled with, or "".
        y: The first labels, or None.
        inputs: The first inputs, a list of arrays.
    """
    if not shape:
        return "regression", "the output is one number"
    classes = {1: "classification", 2: "tagging"}.get(len(shape), "segmentation")
    if loss:
        reason = f"it was compiled with {loss}"
        if "cosine" in loss:
            return "embedding", reason
        if "binary" in loss and len(shape) == 1 and shape[-1] != 1:
            return "multi-label", reason
        if "entropy" in loss or "hinge" in loss or "focal" in loss:
            return classes, reason
    if y is not None and any(x.shape == y.shape and np.array_equal(x, y) for x in inputs):
        return "reconstruction", "the labels are the inputs"
    if head == "softmax":
        return classes, "it ends in a softmax"
    if head == "unit":
        return "embedding", "its rows have length 1"
    if head == "sigmoid" and len(shape) == 1 and shape[-1] != 1 and not _one_hot_or_classes(y):
        return "multi-label", "it ends in a sigmoid for each label"
    if y is None:
        return _without_labels(shape, head, loss, inputs, classes)
    return _by_labels(y, shape, head, classes)


def _without_labels(
    shape: tuple[int | None, ...], head: str, loss: str, inputs: Any, classes: str
) -> tuple[str, str]:
    if any(x.ndim > 1 and x.shape[1:] == shape for x in inputs):
        return "reconstruction", "the output has the shape of an input"
    if head == "sigmoid":
        return classes, "it ends in a sigmoid"
    if loss:
        return "regression", f"it was compiled with {loss}"
    if len(shape) == 1 and shape[-1] != 1:
        return classes, "it gives several numbers a sample, as scores of classes are"
    return "regression", "nothing says that its numbers are scores"


def _by_labels(
    y: np.ndarray, shape: tuple[int | None, ...], head: str, classes: str
) -> tuple[str, str]:
    one = shape[-1] == 1
    whole = bool(np.isin(y, (0, 1)).all() or (one and np.isin(y, (-1, 1)).all()))
    if y.ndim == len(shape) + 1 and y.shape[-1] == shape[-1] and not one:
        unit = (y >= 0).all() and bool((np.abs(y.sum(axis=-1) - 1) < 1e-3).any())
        if whole or unit:
            return classes, "the labels are rows of one-hot classes"
        return "regression", "the labels are numbers, as many as the outputs"
    if one and head != "sigmoid" and not whole:
        return "regression", "the labels are no classes"
    return classes, "the labels are class numbers"


def _one_hot_or_classes(y: np.ndarray | None) -> bool:
    if y is None:
        return False
    if y.ndim < 2 or y.shape[-1] == 1:
        return True
    return bool(np.isin(y, (0, 1)).all() and (y.sum(axis=-1) == 1).all())
