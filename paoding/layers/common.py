"""Small helpers that several layer rules share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from paoding.layers.algebra import Algebra, Value
from paoding.layers.base import Call, Labels, Layout

# Activations that treat every value alone, so that a channel stays a channel.
ELEMENTWISE = frozenset(
    [
        "linear",
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "celu",
        "gelu",
        "silu",
        "swish",
        "sigmoid",
        "log_sigmoid",
        "hard_sigmoid",
        "hard_silu",
        "hard_swish",
        "hard_tanh",
        "hard_shrink",
        "soft_shrink",
        "softplus",
        "softsign",
        "squareplus",
        "sparse_plus",
        "sparse_sigmoid",
        "tanh",
        "tanh_shrink",
        "threshold",
        "exponential",
        "mish",
        "relu_6",
    ]
)
# Activations that mix the entries of the last axis: one unit's removal changes the others.
MIXING = frozenset({"softmax", "log_softmax", "sparsemax", "glu"})


def activation_name(activation: Any) -> str:
    """The name of an activation function or layer, as Keras serializes it."""
    if activation is None:
        return "linear"
    name = getattr(activation, "__name__", None)
    return str(name if name is not None else type(activation).__name__)


def is_known(activation: Any) -> bool:
    """Whether an activation is what its name says: anybody may call a function ``relu``."""
    module = str(getattr(activation, "__module__", ""))
    ours = module.startswith(("keras.", "tensorflow."))  # tf.nn.relu is the same function
    return ours or activation is None or isinstance(activation, str)


def is_linear(layer: Any) -> bool:
    """Whether a layer has no activation."""
    return getattr(getattr(layer, "activation", None), "__name__", "linear") == "linear"


def mixes_channels(activation: Any) -> bool:
    """Whether an activation is one that is known to mix the entries of the last axis."""
    return activation_name(activation) in MIXING and is_known(activation)


def apply_activation(call: Call, activation: Any, labels: Labels, axis: int = -1) -> None:
    """Protect units whose activation does not treat every channel alone."""
    if isinstance(activation, keras.layers.Layer):
        known = isinstance(
            activation, (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)
        )
        if not known:
            call.protect(labels, f"activation layer {type(activation).__name__} is not known")
        return
    name = activation_name(activation)
    if mixes_channels(activation):
        call.protect(labels, f"activation '{name}' mixes the channels")
    elif name not in ELEMENTWISE or not is_known(activation):
        call.protect(labels, f"activation '{name}' is not known to treat each channel alone")


def channel_axis(data_format: str, rank: int) -> int:
    """Index of the channel axis of a tensor of this rank."""
    return 1 if data_format == "channels_first" else rank - 1


def channels_last(low: Algebra, x: Value, data_format: str) -> Value:
    """The value with its channels on the last axis."""
    if data_format != "channels_first":
        return x
    return low.rearrange(x, lambda a: np.moveaxis(a, 1, -1))


def channels_back(low: Algebra, x: Value, data_format: str) -> Value:
    """The value with its channels where the layer's data format has them."""
    if data_format != "channels_first":
        return x
    return low.rearrange(x, lambda a: np.moveaxis(a, -1, 1))


def broadcast(call: Call, layouts: Sequence[Layout], shapes: Sequence[tuple]) -> Layout:
    """Tie equal axes of tensors that are combined entry by entry; size-1 axes are exempt."""
    rank = len(shapes[0])
    out: list[Labels] = []
    for axis in range(rank):
        sizes = {shape[axis] for shape in shapes}
        full = [i for i, shape in enumerate(shapes) if shape[axis] != 1 or sizes == {1}]
        for i in range(len(shapes)):
            if i not in full:
                call.protect(layouts[i][axis], "its single channel is broadcast")
        labels = layouts[full[0]][axis]
        for i in full[1:]:
            labels = call.tie(labels, layouts[i][axis])
        out.append(labels)
    return tuple(out)


def reshape(call: Call, layout: Layout, source: tuple, target: tuple) -> Layout:
    """Labels of a row-major reshape, the batch axis apart.

    Axes that are merged become one axis with the labels repeated; a split finds the axis on
    which labels vary, or ties the entries that a channel of the result holds together.
    """
    if source[0] != target[0] or layout[0] is not None:
        for labels in layout:
            call.protect(labels, "the batch axis is reshaped")
        return (None,) * len(target)
    out: list[Labels] = [None]
    i, j = 1, 1
    while i < len(source) or j < len(target):
        a, b = [], []
        if i < len(source):
            a.append(i)
            i += 1
        if j < len(target):
            b.append(j)
            j += 1
        while _product(source, a) != _product(target, b):
            unknown = None in (_product(source, a), _product(target, b))
            if not unknown and _product(source, a) < _product(target, b) and i < len(source):  # type: ignore[operator]
                a.append(i)
                i += 1
            elif not unknown and j < len(target):
                b.append(j)
                j += 1
            else:  # unknown sizes: what is left is one block
                a.extend(range(i, len(source)))
                b.extend(range(j, len(target)))
                i, j = len(source), len(target)
                break
        out.extend(_reshape_block(call, layout, source, a, target, b))
    return tuple(out)


def _product(shape: tuple, axes: list[int]) -> int | None:
    sizes = [shape[axis] for axis in axes]
    return None if None in sizes else math.prod(sizes)


def _reshape_block(
    call: Call, layout: Layout, source: tuple, a: list[int], target: tuple, b: list[int]
) -> list[Labels]:
    labelled = [axis for axis in a if layout[axis] is not None]
    if not labelled:
        return [None] * len(b)
    if len(a) == len(b) == 1:
        return [layout[a[0]]]
    if len(labelled) > 1 or _product(source, a) is None or _product(target, b) is None:
        for axis in labelled:
            call.protect(layout[axis], "a reshape mixes it with another axis")
        return [None] * len(b)
    shape = [1] * len(a)
    shape[a.index(labelled[0])] = -1
    full = np.broadcast_to(layout[labelled[0]].reshape(shape), [source[x] for x in a])  # type: ignore[union-attr]
    full = full.reshape([target[x] for x in b])
    wide = [k for k, axis in enumerate(b) if target[axis] != 1] or [len(b) - 1]
    for k in wide:
        labels = np.moveaxis(full, k, 0).reshape(full.shape[k], -1)
        if (labels == labels[:, :1]).all():
            return [labels[:, 0].copy() if n == k else None for n in range(len(b))]
    k = wide[-1] if call_channels_last(call) else wide[0]
    labels = np.moveaxis(full, k, 0).reshape(full.shape[k], -1)
    call.tie(np.repeat(labels[:, 0], labels.shape[1] - 1), labels[:, 1:].reshape(-1))
    return [labels[:, 0].copy() if n == k else None for n in range(len(b))]


def call_channels_last(call: Call) -> bool:
    """Whether channels are the last axis where a reshape makes an image out of a vector."""
    return bool(keras.config.image_data_format() == "channels_last")


def resized_target(old: Sequence[int], new: Sequence[int | None]) -> tuple[int, ...]:
    """A reshape's target after a cut: open entries (-1, None) stay open, others follow."""
    return tuple(
        o if o is None or o == -1 or n is None else n for o, n in zip(old, new, strict=True)
    )


def values(shape: Sequence[int | None]) -> int:
    """How many values one sample of a tensor holds, axes of unknown length counted as one."""
    return math.prod(size or 1 for size in shape[1:])


def layer_flops(layer: Any, multiply_adds: int, out_shape: Sequence[int | None]) -> int:
    """Cost of a linear layer: its multiply-adds, and one per output for bias and activation."""
    extra = getattr(layer, "bias", None) is not None
    active = activation_name(getattr(layer, "activation", None)) != "linear"
    return 2 * multiply_adds + (extra + active) * values(out_shape)
