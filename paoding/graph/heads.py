"""Output heads: a final softmax or sigmoid hides what a change does, so it is looked behind."""

from __future__ import annotations

from typing import Any

import keras

from paoding.graph.keras_internals import Node, TensorRef


def logits(node: Node, known: dict[int, Any]) -> Any:
    """An output before its softmax or sigmoid, which would hide what a change does."""
    op = node.op
    source = node.args[0] if node.args else None
    if not head_of(op) or not isinstance(source, TensorRef):
        return known[node.outputs[0]]
    if not isinstance(op, keras.layers.Dense):
        return known[source.tensor]
    z = keras.ops.matmul(known[source.tensor], op.kernel)
    return z if op.bias is None else z + op.bias


def head_of(op: Any) -> str:
    """The final activation of an output layer that hides differences, or an empty string."""
    if isinstance(op, keras.layers.Softmax):
        return "softmax"
    if isinstance(op, keras.layers.Dense | keras.layers.Activation):
        name = getattr(op.activation, "__name__", "")
        return name if name in ("softmax", "sigmoid") else ""
    return ""
