"""Call a model, or single calls of its graph, under its own or under other weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import tree

from paoding.graph.flat import Flat, Node, TensorRef
from paoding.graph.keras_internals.compiling import call_in_one, takes_steps
from paoding.graph.keras_internals.opening import pack, require_graph

_FEW_GROUPS = 64


def signature_of_one(model: Any) -> list[Any]:
    """The inputs of a single sample, in the structure that the model takes."""

    def spec(symbol: Any) -> Any:
        return keras.InputSpec(shape=(1, *symbol.shape[1:]), dtype=symbol.dtype, name=symbol.name)

    if isinstance(model, keras.Sequential):
        return [spec(symbol) for symbol in model.inputs]
    return [tree.map_structure(spec, require_graph(model)._inputs_struct)]


def ask(model: Any, arrays: list[Any]) -> list[np.ndarray]:
    """A model's outputs for a batch, one array for each; inputs in their order, as in ``inputs``.

    It is called as it is: ``predict`` would compile it and set up a pipeline.
    """
    return [values for values, _ in answers(model, arrays)]


def answers(model: Any, arrays: list[Any]) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """A model's outputs as ``ask`` gives them, each with the mask that the model says, or None."""
    made = model(pack(model, map(keras.ops.convert_to_tensor, arrays)), training=False)
    masks = [getattr(y, "_keras_mask", None) for y in tree.flatten(made)]
    numpy = keras.ops.convert_to_numpy
    return [
        (numpy(y), None if mask is None else numpy(mask))
        for y, mask in zip(tree.flatten(made), masks, strict=True)
    ]


def run(
    flat: Flat,
    inputs: list[Any],
    values: dict[int, Any],
    variables: list[Any],
    wanted: list[int],
) -> list[np.ndarray]:
    """Tensors of the graph for concrete inputs, under other weights than the model's own.

    Args:
        flat: the graph.
        inputs: one array per model input, batch first.
        values: variable number -> array to use in place of the variable's value.
        variables: the variables that the numbers mean.
        wanted: numbers of the tensors to return.
    """
    known: dict[int, Any] = dict(
        zip(flat.inputs, map(keras.ops.convert_to_tensor, inputs), strict=False)
    )
    left = dict.fromkeys(wanted, True)
    last = max((n.index for n in flat.nodes if set(n.outputs) & set(left)), default=-1)
    uses: dict[int, int] = {}
    for node in flat.nodes[: last + 1]:
        for t in node.inputs:
            uses[t] = uses.get(t, 0) + 1

    mapping = [(variables[i], keras.ops.cast(v, variables[i].dtype)) for i, v in values.items()]
    with keras.StatelessScope(state_mapping=mapping):
        for node in flat.nodes[: last + 1]:
            known.update(zip(node.outputs, call(node, known), strict=True))
            for t in node.inputs:  # memory: forget what nobody reads again
                uses[t] -= 1
                if not uses[t] and t not in left and t not in flat.inputs:
                    known.pop(t, None)
    return [np.asarray(known[t]) for t in wanted]


def call(node: Node, known: Mapping[int, Any]) -> list[Any]:
    """The output tensors of one node at inference, from the tensors that it reads by number."""

    def resolve(value: Any) -> Any:
        return known[value.tensor] if isinstance(value, TensorRef) else value

    if _in_few_groups(node.op):
        return [_convolved(node.op, known[node.inputs[0]], node.op.strides)]
    args = tree.map_structure(resolve, node.args)
    kwargs = tree.map_structure(resolve, node.kwargs)
    if isinstance(node.op, keras.layers.Layer) and node.op._call_has_training_arg:
        kwargs["training"] = False
    if takes_steps(node.op):
        return list(tree.flatten(call_in_one(node.op, args, kwargs)))
    with keras.name_scope("paoding"):  # inside of one, a name may begin with an underscore
        return list(tree.flatten(node.op(*args, **kwargs)))


def _in_few_groups(op: Any) -> bool:
    """Whether a layer is a convolution in groups that are best computed one by one.

    Keras has such convolutions compiled on a CPU, anew for each shape: seconds each time.
    """
    known = type(op) in (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
    plain = known and op.padding != "causal" and op.data_format == "channels_last"
    return plain and 1 < op.groups <= _FEW_GROUPS


def _convolved(op: Any, x: Any, strides: Any) -> Any:
    """What a convolution of channels that come last makes of ``x``, one group after another."""
    with keras.name_scope("paoding"):
        parts = keras.ops.split(keras.ops.cast(x, op.compute_dtype), op.groups, axis=-1)
        kernels = keras.ops.split(keras.ops.cast(op.kernel, op.compute_dtype), op.groups, axis=-1)
        made = [
            keras.ops.conv(part, kernel, strides, op.padding, op.data_format, op.dilation_rate)
            for part, kernel in zip(parts, kernels, strict=True)
        ]
        y = made[0] if len(made) == 1 else keras.ops.concatenate(made, axis=-1)
        y = y + keras.ops.cast(op.bias, op.compute_dtype) if op.use_bias else y
        return y if op.activation is None else op.activation(y)


def call_to_learn(node: Node, known: Mapping[int, Any]) -> list[Any]:
    """Like ``call``, where gradients by the layer's own weights are to be taken afterwards.

    TensorFlow's oneDNN kernel for the gradient by a convolution's kernel of one place corrupts
    memory for some shapes if it has strides. Such a layer reads single pixels only: picked out
    beforehand, they give the same with no strides.
    """
    op = node.op
    if not _picks(op):
        return call(node, known)
    picked = (slice(None), *(slice(None, None, step) for step in op.strides))
    return [_convolved(op, known[node.inputs[0]][picked], 1)]


def learnable(model: Any, flat: Flat) -> list[Any]:
    """The trainable variables by which gradients may be taken where it is called so.

    Left out are the weights of layers for which ``call_to_learn`` has no other way than the broken
    one: convolutions of one place with strides inside of another layer, transposed, or of a class
    of one's own.
    """
    safe = {id(node.op) for node in flat.nodes if _picks(node.op)}
    broken = {
        id(variable)
        for layer in model._flatten_layers()
        if _skips_places(layer) and id(layer) not in safe
        for variable in layer.trainable_variables
    }
    return [v for v in model.trainable_variables if id(v) not in broken]


def _skips_places(op: Any) -> bool:
    """Whether a layer is a convolution of one place with strides, transposed or not."""
    size, strides = getattr(op, "kernel_size", None), getattr(op, "strides", None)
    if size is None or strides is None:
        return False
    return bool(np.max(size) == 1 and np.max(strides) > 1)


def _picks(op: Any) -> bool:
    """Whether such a layer can be computed from the places that it reads."""
    plain = type(op) in (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
    return plain and _skips_places(op) and op.data_format == "channels_last"
