"""Inputs on which the ranges of whole numbers are measured: given, or drawn without data."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from paoding.domain import Box, Domain
from paoding.errors import DataError, ModelError

# As many inputs as settle the ranges of int8; more change nothing that could be measured.
_CALIBRATION = 200
# How far inputs are moved over to other classes, as a share of the domain's width.
_FAR = 0.5


def calibration_inputs(
    model: keras.Model, given: Any, domain: Domain | None, seed: int
) -> list[np.ndarray]:
    """Return inputs to measure ranges on, one array for each input of the model."""
    if given is None:
        drawn = _drawn(model, domain, np.random.default_rng(seed))
    else:
        alone = len(model.inputs) == 1 and not isinstance(given, list | tuple)
        drawn = [np.asarray(array) for array in ([given] if alone else given)]
    _check(model, drawn)
    return [
        array[:_CALIBRATION].astype(tensor.dtype)
        for array, tensor in zip(drawn, model.inputs, strict=True)
    ]


def _drawn(model: keras.Model, domain: Domain | None, rng: np.random.Generator) -> list[np.ndarray]:
    """Draw inputs from the domain, as many that the model is made to change its mind about."""
    from paoding.graph import trace
    from paoding.synthetic.choice import choose
    from paoding.synthetic.legal import legal_inputs

    graph = trace(model)
    boxes, _ = legal_inputs(graph, domain)
    drawn = choose(graph, boxes).draw(rng, _CALIBRATION // 2)
    if len(drawn) == 1:
        drawn = [np.concatenate([drawn[0], _across(model, drawn[0], boxes[0])])]
    return drawn


def _across(model: keras.Model, x: np.ndarray, box: Box) -> np.ndarray:
    """Return ``x`` moved over to other classes, or nothing where the model has no classes.

    What is drawn may fall into one class alone; its scores would then never be seen on the other
    side, and int8 would cut them off there.
    """
    from paoding.evaluation import PGD
    from paoding.evaluation.network import network_of

    try:
        network = network_of(model)
        x = np.asarray(x, "float32")
        own = network.predict(x, len(x)).argmax(1)
        far = PGD(_FAR * float(np.mean(box.hi - box.lo)), steps=10, loss="log-odds")
        return far.adversarial(network, x, own, box, len(x))
    except ModelError:
        return x[:0]


def _check(model: keras.Model, arrays: list[np.ndarray]) -> None:
    if len(arrays) != len(model.inputs):
        raise DataError(f"calibration has {len(arrays)} arrays for {len(model.inputs)} inputs.")
    for array, tensor in zip(arrays, model.inputs, strict=True):
        wanted = tuple(tensor.shape[1:])
        fits = len(array.shape) == len(wanted) + 1 and all(
            want in (None, have) for want, have in zip(wanted, array.shape[1:], strict=True)
        )
        if not fits or len(array) == 0 or len(array) != len(arrays[0]):
            raise DataError(
                f"calibration of shape {array.shape} do not fit the input {tensor.name} of shape "
                f"{wanted}; the first axis is over samples."
            )
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise DataError("calibration holds values that are no finite numbers.")
