"""Layers that pass every channel on by itself: activations, dropout, pooling, padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from paoding.layers.algebra import Algebra, Value
from paoding.layers.base import Call, Layout, Rule, Shapes, register
from paoding.layers.common import (
    activation_name,
    apply_activation,
    channel_axis,
    channels_back,
    channels_last,
    mixes_channels,
    values,
)

# The layers of `Elementwise` that compute something at inference.
ACTIVATION_LAYERS = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)


@register
class Elementwise(Rule):
    """The same function of every value, at inference."""

    types = (
        keras.layers.ReLU,
        keras.layers.LeakyReLU,
        keras.layers.ELU,
        keras.layers.Identity,
        keras.layers.Dropout,
        keras.layers.AlphaDropout,
        keras.layers.GaussianDropout,
        keras.layers.GaussianNoise,
        keras.layers.SpatialDropout1D,
        keras.layers.SpatialDropout2D,
        keras.layers.SpatialDropout3D,
        keras.layers.ActivityRegularization,
    )
    names = ("StochasticDepth",)

    def trace(self, call: Call) -> Layout:
        return call.layout

    def scaling(self, op: Any) -> tuple[Any, Any] | None:
        return None if isinstance(op, ACTIVATION_LAYERS) else (1.0, 0.0)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        x = inputs[0]
        if isinstance(op, keras.layers.ReLU):
            return low.custom(
                x,
                "relu",
                max_value=op.max_value,
                negative_slope=op.negative_slope,
                threshold=op.threshold,
            )
        if isinstance(op, keras.layers.LeakyReLU):
            return low.custom(x, "leaky_relu", negative_slope=op.negative_slope)
        if isinstance(op, keras.layers.ELU):
            return low.custom(x, "elu", alpha=op.alpha)
        return x

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return values(out_shapes[0]) if isinstance(op, ACTIVATION_LAYERS) else 0


@register
class Activation(Rule):
    """An activation as a layer."""

    types = (keras.layers.Activation,)

    def trace(self, call: Call) -> Layout:
        for axis in range(1, len(call.layout)):
            # A softmax mixes the last axis only; an unknown function might mix any.
            if axis == len(call.layout) - 1 or not mixes_channels(call.op.activation):
                apply_activation(call, call.op.activation, call.labels(axis))
        return call.layout

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        return low.activation(inputs[0], op.activation)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return 0 if activation_name(op.activation) == "linear" else values(out_shapes[0])


@register
class Softmax(Rule):
    """A softmax reads its axis as a whole."""

    types = (keras.layers.Softmax,)
    names = ("Softmax",)

    def trace(self, call: Call) -> Layout:
        axes = [call.op.axis] if isinstance(call.op.axis, int) else list(call.op.axis)
        for axis in axes:
            call.protect(call.labels(axis), "a softmax mixes the channels")
        return call.layout

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        if not isinstance(op.axis, int) or len(inputs) > 1:
            return NotImplemented
        return low.softmax(inputs[0], op.axis)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return 3 * values(out_shapes[0])  # exponential, sum, division


@register
class PReLU(Rule):
    """Slopes of each channel go with it."""

    types = (keras.layers.PReLU,)

    def trace(self, call: Call) -> Layout:
        alpha = call.op.alpha
        for axis in range(1, len(call.layout)):
            if call.layout[axis] is not None and alpha.shape[axis - 1] != 1:
                call.through(alpha, axis - 1, call.layout[axis])
        return call.layout

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        return low.prelu(inputs[0], low.weight(op.alpha))

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return 2 * values(out_shapes[0])


@register
class Rescaling(Rule):
    """One factor and one offset for all channels."""

    types = (keras.layers.Rescaling,)

    def trace(self, call: Call) -> Layout:
        if not all(isinstance(x, (int, float)) for x in (call.op.scale, call.op.offset)):
            for labels in call.layout:
                call.protect(labels, "Rescaling holds one constant per channel")
        return call.layout

    def scaling(self, op: Any) -> tuple[Any, Any]:
        return op.scale, op.offset

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        return low.scale(inputs[0], np.asarray(op.scale), np.asarray(op.offset))

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return 2 * values(out_shapes[0])


@register
class Masking(Rule):
    """A step is masked where all its channels hold one value."""

    types = (keras.layers.Masking,)

    def trace(self, call: Call) -> Layout:
        for labels in call.layout:
            call.protect(labels, "Masking asks all channels at once")
        return call.layout


@register
class Spatial(Rule):
    """Pooling, padding, cropping and upsampling work on each channel's own picture."""

    types = (
        keras.layers.MaxPooling1D,
        keras.layers.MaxPooling2D,
        keras.layers.MaxPooling3D,
        keras.layers.AveragePooling1D,
        keras.layers.AveragePooling2D,
        keras.layers.AveragePooling3D,
        keras.layers.ZeroPadding1D,
        keras.layers.ZeroPadding2D,
        keras.layers.ZeroPadding3D,
        keras.layers.Cropping1D,
        keras.layers.Cropping2D,
        keras.layers.Cropping3D,
        keras.layers.UpSampling1D,
        keras.layers.UpSampling2D,
        keras.layers.UpSampling3D,
    )
    names = (
        "AdaptiveAveragePooling1D",
        "AdaptiveAveragePooling2D",
        "AdaptiveAveragePooling3D",
        "AdaptiveMaxPooling1D",
        "AdaptiveMaxPooling2D",
        "AdaptiveMaxPooling3D",
    )

    def trace(self, call: Call) -> Layout:
        data_format = getattr(call.op, "data_format", None) or "channels_last"
        axis = channel_axis(data_format, len(call.layout))
        return call.fixed_output(axis, call.only_axis(axis))

    def scaling(self, op: Any) -> tuple[Any, Any] | None:
        return (1.0, 0.0) if type(op).__name__.startswith("ZeroPadding") else None

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        kind = type(op).__name__
        if kind.startswith("Adaptive"):
            return NotImplemented
        data_format = getattr(op, "data_format", None) or "channels_last"
        x = channels_last(low, inputs[0], data_format)
        if "Pooling" in kind:
            name = "max" if kind.startswith("Max") else "average"
            y = low.pool(x, name, op.pool_size, op.strides, op.padding)
        elif kind.startswith("UpSampling"):
            if getattr(op, "interpolation", "nearest") != "nearest":
                return NotImplemented
            y = low.rearrange(x, lambda a: _repeated(a, op.size))
        else:
            y = low.rearrange(x, _framed(kind, _pairs(op)))
        return channels_back(low, y, data_format)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return values(out_shapes[0]) * math.prod(getattr(op, "pool_size", (0,)))


@register
class GlobalPooling(Rule):
    """Each channel becomes one number."""

    types = (
        keras.layers.GlobalAveragePooling1D,
        keras.layers.GlobalAveragePooling2D,
        keras.layers.GlobalAveragePooling3D,
        keras.layers.GlobalMaxPooling1D,
        keras.layers.GlobalMaxPooling2D,
        keras.layers.GlobalMaxPooling3D,
    )

    def trace(self, call: Call) -> Layout:
        axis = channel_axis(call.op.data_format, len(call.layout))
        labels = call.only_axis(axis)
        return call.fixed_output(axis if call.op.keepdims else 1, labels)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        if len(inputs) > 1:  # a mask leaves steps out of the mean
            return NotImplemented
        axis = channel_axis(op.data_format, len(inputs[0].shape) + 1)
        axes = [i for i in range(1, len(inputs[0].shape) + 1) if i != axis]
        kind = "max" if "Max" in type(op).__name__ else "mean"
        return low.reduce(inputs[0], kind, axes, op.keepdims)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return values(in_shapes[0])


def _pairs(op: Any) -> list[tuple[int, int]]:
    """Cells before and after each spatial axis that a padding or cropping layer names."""
    given = op.padding if hasattr(op, "padding") else op.cropping
    if all(isinstance(entry, int) for entry in given):  # one axis
        return [(given[0], given[1])]
    return [(before, after) for before, after in given]


def _framed(kind: str, pairs: list[tuple[int, int]]) -> Any:
    """A function that pads with zeros, or crops, the spatial axes of a batch."""
    if kind.startswith("ZeroPadding"):
        return lambda a: np.pad(a, [(0, 0), *pairs, (0, 0)])
    return lambda a: a[
        (
            slice(None),
            *(slice(b, n - e) for (b, e), n in zip(pairs, a.shape[1:-1], strict=True)),
        )
    ]


def _repeated(a: np.ndarray, size: int | Sequence[int]) -> np.ndarray:
    """Nearest upsampling of the spatial axes."""
    for axis, times in enumerate([size] if isinstance(size, int) else size, start=1):
        a = np.repeat(a, times, axis=axis)
    return a
