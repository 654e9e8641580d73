"""What rounding weights to whole numbers does to a model's means, and biases that take it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from paoding.errors import PaodingError
from paoding.graph import Graph, trace
from paoding.graph.cost import bytes_of, chunks
from paoding.graph.flat import Node
from paoding.graph.keras_internals import clone, config_of, revive
from paoding.layers.base import linear_of, statistics_of

_LEVELS = 127  # whole numbers to either side of zero in 8 bits, as TFLite and ONNX use them


def rounded(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel as it is stored in 8 bits, with a scale for each output.

    >>> rounded(np.array([[1.0, 0.5], [0.3, -0.2]])).round(4).tolist()
    [[1.0, 0.5], [0.2992, -0.2008]]
    """
    axes = tuple(range(kernel.ndim - 1))
    scale = np.abs(kernel).max(axis=axes, keepdims=True) / _LEVELS
    scale = np.where(scale > 0, scale, 1.0)
    return np.asarray(np.round(kernel / scale) * scale, kernel.dtype)


def corrected(model: keras.Model, inputs: Sequence[np.ndarray]) -> keras.Model:
    """Return a copy whose biases take back what rounding its kernels adds to the means.

    ``b' = b - E[rows] (W_rounded - W)`` for each Dense layer and convolution, the mean over the
    inputs and all places; where a layer has no bias and a normalization follows, its moving mean
    moves instead. In closed form; every layer sees what the original makes of the inputs.

    Args:
        model: a built model; it is not changed.
        inputs: one array for each input of the model.

    Source: M. Nagel et al., Data-Free Quantization Through Weight Equalization and Bias
    Correction, ICCV 2019.
    """
    try:
        graph = trace(model)
    except PaodingError:  # no graph of layers
        return model
    changed = {}
    for node, target, sign in _correctable(graph):
        lost = _mean_change(graph, node, inputs)
        if lost is not None:
            changed[id(target)] = np.asarray(target) + sign * lost
    if not changed or not _nearer(graph, changed, inputs):
        return model
    values = [changed.get(id(w), np.asarray(w)) for w in model.weights]
    shapes = graph.flat.shapes
    copy = clone(model, graph.flat, lambda op, config: revive(op, config), shapes.__getitem__)
    copy.set_weights(values)
    return copy


def _nearer(graph: Graph, changed: dict[int, np.ndarray], inputs: Sequence[np.ndarray]) -> bool:
    """Whether rounded kernels answer more like the original with the new biases than without."""
    kernels = {id(x.kernel) for n in graph.nodes if (x := linear_of(n.op)) is not None}
    after = {
        k: rounded(value)
        for k, (weight, value) in enumerate(
            zip(graph.variables, graph.original.values, strict=True)
        )
        if id(weight) in kernels
    }
    moved = {k: changed[id(w)] for k, w in enumerate(graph.variables) if id(w) in changed}
    errors = np.zeros(2)
    for chunk in chunks(len(inputs[0]), max(map(bytes_of, graph.sample_nodes))):
        parts = [x[chunk] for x in inputs]
        wanted, plain, better = (
            graph.run(graph.original.replace(values, graph.original.alive), parts, outputs)
            for outputs in (graph.flat.outputs,)
            for values in ({}, after, after | moved)
        )
        for k, answers in enumerate((plain, better)):
            pairs = zip(answers, wanted, strict=True)
            errors[k] += sum(float(np.square(a - b).sum()) for a, b in pairs)
    return bool(errors[1] < errors[0])


def _correctable(graph: Graph) -> list[tuple[Node, Any, int]]:
    """Return calls with a kernel, what is moved for each, and whether by the change or against."""
    readers: dict[int, list[Node]] = {}
    for node in graph.nodes:
        for tensor in node.inputs:
            readers.setdefault(tensor, []).append(node)
    calls: dict[int, int] = {}
    for node in graph.nodes:
        calls[id(node.op)] = calls.get(id(node.op), 0) + 1
    found: list[tuple[Node, Any, int]] = []
    for node in graph.nodes:
        linear = linear_of(node.op)
        if linear is None or calls[id(node.op)] > 1 or len(node.inputs) != 1:
            continue
        if linear.bias is not None:
            found.append((node, linear.bias, -1))
            continue
        after = readers.get(node.outputs[0], [])
        only = after[0] if len(after) == 1 and linear.plain else None
        if only is not None and statistics_of(only.op) is not None and calls[id(only.op)] == 1:
            mean = getattr(only.op, "moving_mean", None)
            if mean is not None:
                found.append((node, mean, 1))
    return found


def _mean_change(graph: Graph, node: Node, inputs: Sequence[np.ndarray]) -> np.ndarray | None:
    """Return the mean of what rounding the kernel adds to each output: (outputs,)."""
    linear = linear_of(node.op)
    assert linear is not None
    kernel = np.asarray(linear.kernel)
    config = config_of(node.op) | {"activation": None, "use_bias": False}
    probe = revive(node.op, config)
    shape = graph.flat.shapes[node.inputs[0]]
    probe.build(shape)
    if [tuple(w.shape) for w in probe.weights] != [kernel.shape]:
        return None
    probe.set_weights([rounded(kernel) - kernel])
    axis = -1 if getattr(node.op, "data_format", "channels_last") == "channels_last" else 1
    total: Any = 0.0
    for chunk in chunks(len(inputs[0]), max(map(bytes_of, graph.sample_nodes))):
        parts = [x[chunk] for x in inputs]
        [read] = graph.run(graph.original, parts, [node.inputs[0]])
        made = np.moveaxis(np.asarray(probe(read)), axis, -1)
        total = total + made.reshape(len(read), -1, made.shape[-1]).mean(axis=1).sum(axis=0)
    return np.asarray(total / len(inputs[0]), kernel.dtype)
