"""What a model costs its user: parameters, floating-point operations, bytes and latency."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from paoding.evaluation.runtimes import KerasRuntime
from paoding.evaluation.timing import timed, zeros_for
from paoding.graph.cost import flops_of
from paoding.graph.keras_internals import flatten

# Seconds that the timing of a large model may take beside everything else that is evaluated.
_LONGEST = 1.0


@dataclass(frozen=True)
class Cost:
    """The cost of a model.

    Attributes:
        parameters: Numbers in the weights, those that training does not change included; None
            of an exported file.
        flops: Floating-point operations for one sample; a multiply-add counts as two; None alike.
        bytes: Bytes of the weights in memory.
        latency: Median time of one sample in seconds, or None where it was not measured.
        runtime: What computed while it was measured.
    """

    parameters: Any  # an int, or None
    flops: Any
    bytes: int
    latency: float | None = None
    runtime: str = "keras"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def cost(model: keras.Model, *, latency: bool = True, sample: np.ndarray | None = None) -> Cost:
    """Return what ``model`` costs.

    Args:
        model: A built functional or Sequential model.
        latency: Whether to time it too (about a tenth of a second).
        sample: What it is timed on, (1, *input_shape), for a model of one input; without it
            zeros, one along axes of unknown length.

    Raises:
        ModelError: The model has no layer graph.

    Example:
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> cost(model, latency=False)
        Cost(parameters=8, flops=14, bytes=32, latency=None, runtime='keras')
    """
    sizes = [(math.prod(weight.shape), _item_bytes(weight)) for weight in model.weights]
    return Cost(
        parameters=sum(count for count, _ in sizes),
        flops=flops(model),
        bytes=sum(count * item for count, item in sizes),
        latency=_latency(model, sample) if latency else None,
    )


def flops(model: keras.Model) -> int:
    """Return the floating-point operations for one sample; a multiply-add counts as two.

    Every call of a shared layer counts, axes of unknown length count as one, and layers that
    Paoding does not know count nothing.
    """
    return sum(flops_by_call(model).values())


def flops_by_call(model: keras.Model) -> dict[str, int]:
    """Return the operations of each layer's calls, by the layer's name in the flat graph."""
    found: dict[str, int] = {}
    for node in flatten(model).nodes:
        found[node.name] = found.get(node.name, 0) + flops_of(node)
    return found


def _latency(model: keras.Model, sample: np.ndarray | None) -> float:
    """Return the median time, in seconds, that ``model`` takes for one sample."""
    runner = KerasRuntime(model)
    given = zeros_for(runner, unknown=1) if sample is None else [sample]
    return timed(runner, given, _LONGEST).median


def _item_bytes(weight: keras.Variable) -> int:
    return tf.as_dtype(weight.dtype).size
