"""What a model costs to run: parameters, floating-point operations, bytes and latency."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from paoding.graph.keras_internals import flatten, functional_of, pack
from paoding.layers.base import rule_for

# Latency is a median of this many runs, after some that warm up.
_RUNS = 30
_WARM_UP = 3


@dataclass(frozen=True)
class Cost:
    """The cost of a model.

    Attributes:
        parameters: Numbers in the weights, those that training does not change included.
        flops: Floating-point operations for one sample; a multiply-add counts as two.
        bytes: Bytes of the weights in memory.
        latency: Median time of one sample in seconds, or None where it was not measured.
    """

    parameters: int
    flops: int
    bytes: int
    latency: float | None = None

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
        Cost(parameters=8, flops=14, bytes=32, latency=None)
    """
    sizes = [(math.prod(weight.shape), _item_bytes(weight)) for weight in model.weights]
    return Cost(
        parameters=sum(count for count, _ in sizes),
        flops=flops(model),
        bytes=sum(count * item for count, item in sizes),
        latency=measure_latency(model, sample=sample) if latency else None,
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
        rule = rule_for(node.op)
        count = 0 if rule is None else rule.flops(node.op, node.in_shapes, node.out_shapes)
        found[node.name] = found.get(node.name, 0) + count
    return found


def measure_latency(
    model: keras.Model, runs: int = _RUNS, sample: np.ndarray | None = None
) -> float:
    """Return the median time, in seconds, that ``model`` takes for one sample."""
    if sample is None:
        inputs = [tf.zeros([1, *(n or 1 for n in i.shape[1:])], i.dtype) for i in model.inputs]
    else:
        inputs = [tf.constant(sample, model.inputs[0].dtype)]
    given = pack(functional_of(model) or model, inputs)
    # Its graph alone: the name of a model need not be one that TensorFlow takes for a scope.
    answer = (functional_of(model) or model).call

    @tf.function
    def run() -> tf.Tensor:
        with tf.name_scope("model"):  # within which a layer's name may begin with an underscore
            return answer(given, training=False)

    times = []
    for _ in range(_WARM_UP + runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times[_WARM_UP:]))


def _item_bytes(weight: keras.Variable) -> int:
    return tf.as_dtype(weight.dtype).size
