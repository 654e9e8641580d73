"""Output heads: a final softmax or sigmoid hides what a change does, so it is looked behind."""

from __future__ import annotations

from typing import Any

import keras

from paoding.graph.flat import Node, TensorRef
from paoding.graph.keras_internals import flatten
from paoding.layers import linear_of
from paoding.layers.common import is_known

# What makes scores of numbers.
HEADS = ("softmax", "sigmoid", "tanh")


def logits(node: Node, known: dict[int, Any]) -> Any:
    """An output before its softmax or sigmoid, which would hide what a change does."""
    op = node.op
    source = node.args[0] if node.args else None
    if not head_of(op) or not isinstance(source, TensorRef):
        return known[node.outputs[0]]
    form = linear_of(op)
    if form is None:
        return known[source.tensor]
    z = keras.ops.matmul(known[source.tensor], form.kernel)
    return z if form.bias is None else z + form.bias


def head_of(op: Any) -> str:
    """The final activation of an output layer that hides differences, or an empty string."""
    form = linear_of(op)
    if getattr(op, "weights", None) and (form is None or form.slides is not None):
        return ""  # what stands before a convolution's own activation is not looked at
    name = activation_at(op, type(op).__name__)
    return name if name in ("softmax", "sigmoid") else ""


def activation_of(model: keras.Model, output: int = 0) -> str:
    """How an output ends: "softmax", "sigmoid", "tanh", "unit" (rows of length 1) or "none"."""
    flat = flatten(model)
    last = next((node for node in flat.nodes if flat.outputs[output] in node.outputs), None)
    return "none" if last is None else activation_at(last.op, last.kind)


def activation_at(op: Any, kind: str) -> str:
    """The same of an operation, whose kind is the name of its class."""
    if isinstance(op, keras.layers.UnitNormalization) or kind == "Normalize":
        return "unit"
    activation = getattr(op, "activation", None)
    if activation is not None:
        name = getattr(activation, "__name__", "").lower() if is_known(activation) else "none"
    else:
        name = kind.lower()  # the Softmax layer, keras.ops.softmax, keras.ops.sigmoid
        if name == "softmax" and getattr(op, "axis", -1) not in (-1, 1):
            return "none"
    return name if name in HEADS else "none"
