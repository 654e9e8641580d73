"""Inputs on which the ranges of whole numbers are measured: given, or drawn without data."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from paoding.compensation.study import how_many
from paoding.domain import Box, Domain
from paoding.errors import DataError, ModelError
from paoding.graph import trace
from paoding.pruning.context import RunContext
from paoding.pruning.settings import Settings
from paoding.synthetic.drawing import sampler_of
from paoding.synthetic.legal import legal_inputs

# As many inputs as settle the ranges of int8; more change nothing that could be measured.
_CALIBRATION = 200
# How far inputs are moved over to other classes, as a share of the domain's width.
_FAR = 0.5
# A class is seen from this share of its even share on; with half of all seen, none is moved to.
_SEEN = 0.25


def calibration_inputs(
    model: keras.Model, given: Any, domain: Domain | None, seed: int
) -> list[np.ndarray]:
    """Return inputs to measure ranges on, one array for each input of the model."""
    if given is None:
        drawn = _drawn(model, domain, seed)
    else:
        alone = len(model.inputs) == 1 and not isinstance(given, list | tuple)
        drawn = [np.asarray(array) for array in ([given] if alone else given)]
    _check(model, drawn)
    return [
        array[:_CALIBRATION].astype(tensor.dtype)
        for array, tensor in zip(drawn, model.inputs, strict=True)
    ]


def _drawn(model: keras.Model, domain: Domain | None, seed: int) -> list[np.ndarray]:
    """Draw inputs as a run would that fits survivors on them, and other classes where they lack."""
    graph = trace(model)
    boxes, _ = legal_inputs(graph, domain)
    run = RunContext(graph, boxes, Settings(seed=seed, effort="fast"))
    chosen = sampler_of(run)
    most = min(chosen.most or _CALIBRATION, how_many(graph, 0, run.effort))
    drawn = chosen.draw(np.random.default_rng(seed), min(_CALIBRATION, most))
    if len(drawn) == 1:
        half = len(drawn[0]) // 2
        far = _across(model, drawn[0][:half], boxes[0])
        drawn = [np.concatenate([drawn[0][: len(drawn[0]) - len(far)], far])]
    return drawn


def _across(model: keras.Model, x: np.ndarray, box: Box) -> np.ndarray:
    """Return ``x`` moved over to other classes, or nothing where no class lacks, or there are none.

    Where all that is drawn falls into few classes, scores would never be seen on the other side,
    and int8 would cut them off there. Where it does not, moving only widens ranges.
    """
    from paoding.evaluation import PGD
    from paoding.evaluation.network import network_of

    try:
        network = network_of(model)
        x = np.asarray(x, "float32")
        scores = network.predict(x, len(x))
        own = scores.argmax(1)
        seen = np.bincount(own, minlength=scores.shape[1]) / len(own)
        if (seen >= _SEEN / scores.shape[1]).mean() > 0.5:
            return x[:0]
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
