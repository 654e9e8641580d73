"""What cannot be pruned or saved, refused in one sentence before anything is changed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from paoding.errors import ModelError
from paoding.graph.flat import Flat, Node
from paoding.graph.keras_internals.calling import run
from paoding.graph.keras_internals.cloning import clone, custom_classes, revive
from paoding.graph.keras_internals.opening import all_weights


def require_kept_ties(model: Any, flat: Flat) -> None:
    """Raise ``ModelError`` where two layers hold the same weight and copies of them would not.

    Keras makes a layer anew from its configuration, which does not say so; a layer that keeps
    the other as an attribute is given that one's copy, and takes its weight again.
    """
    owners: dict[int, Node] = {}
    tied: list[tuple[Node, Node, Any]] = []
    for node in flat.nodes:
        for variable in node.op.variables if isinstance(node.op, keras.layers.Layer) else ():
            first = owners.setdefault(id(variable), node)
            if first.op is not node.op:
                tied.append((first, node, variable))
    if not tied:
        return
    try:
        copy = clone(model, flat, revive, lambda tensor: flat.shapes[tensor])
        shapes = [[v.shape for v in all_weights(each)] for each in (model, copy)]
    except Exception:  # whatever a layer of the user's own raises while it is made anew
        shapes = [[], [()]]
    if shapes[0] != shapes[1]:
        first, second, variable = tied[0]
        raise ModelError(
            f"Layers '{first.name}' and '{second.name}' hold the same weight "
            f"('{variable.name}'), a tie that a smaller copy would lose: keep the one as an "
            "attribute of the other, whose build takes the weight, or call one layer twice."
        )


def on_tensorflow() -> bool:
    """Whether Keras runs on TensorFlow, with which gradients are taken and models exported."""
    return bool(keras.backend.backend() == "tensorflow")


def require_tensorflow(what: str) -> None:
    """Raise ``ModelError`` where Keras runs on another backend than TensorFlow."""
    if not on_tensorflow():
        raise ModelError(
            f"{what} needs TensorFlow, and Keras runs on {keras.backend.backend()}: set "
            "KERAS_BACKEND=tensorflow before Python starts."
        )


def require_loadable(model: Any, path: Any) -> None:
    """Raise ``ModelError`` where Keras cannot read a model again that it has just written."""
    try:
        # The file was made here, from objects that are here already: nothing foreign is read.
        keras.saving.load_model(
            path, custom_objects=custom_classes(model), compile=False, safe_mode=False
        )
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"Keras writes model '{model.name}' in a form that it cannot read again ({reason}), so "
            "nothing is saved: a layer that a model shares with a model inside it has this "
            "effect; call it in one of them."
        ) from error


def require_free_batch(model: Any, flat: Flat) -> None:
    """Raise ``ModelError`` where a fixed batch size is written into the graph, as a reshape may."""
    shapes = [flat.shapes[t] for t in flat.inputs]
    if shapes[0][0] is None or any(None in shape for shape in shapes):
        return
    one = (np.zeros([int(n or 0) for n in x.shape], x.dtype) for x in model.inputs)
    more = [np.concatenate([batch, batch[:1]]) for batch in one]
    try:
        found = run(flat, more, {}, [], list(flat.outputs))
    except Exception:  # whatever an operation says of shapes that do not fit
        found = []
    if not found or any(len(y) != len(more[0]) for y in found):
        raise ModelError(
            f"Model '{model.name}' works on batches of exactly {shapes[0][0]}: rebuild it for "
            "batches of any size to prune it."
        )


def require_plain(node: Node) -> None:
    """Raise ``ModelError`` for a layer that answers from more than its inputs and its weights."""
    op, name = node.op, f"Layer '{node.name}' ({node.kind})"
    if getattr(op, "stateful", False):
        raise ModelError(
            f"{name} is stateful, so what it answers depends on what it was asked before: "
            "rebuild the model with stateful=False to prune it."
        )
    inside = getattr(op, "activation", None)
    # Keras makes such weights at the first real call only, behind the back of a traced graph.
    if isinstance(inside, keras.layers.Layer) and (inside.weights or not inside.built):
        raise ModelError(
            f"{name} has an activation with weights of its own ({type(inside).__name__}): "
            "make that a layer after it."
        )
    for layer in op._flatten_layers() if isinstance(op, keras.layers.Layer) else ():
        if getattr(layer, "quantization_mode", None):
            raise ModelError(
                f"{name} is quantized ({layer.quantization_mode}): prune the model as it was "
                "before, and quantize what comes out."
            )
        if getattr(layer, "lora_enabled", False):
            raise ModelError(
                f"{name} has LoRA weights: put its kernel, in which they are merged, into a model "
                "without them to prune it."
            )
