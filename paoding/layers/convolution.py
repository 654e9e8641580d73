"""Convolutions: units are filters, and channels are read tap by tap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from paoding.layers.algebra import Algebra, Value
from paoding.layers.base import Call, Cut, Labels, Layout, Linear, Rule, Shapes, Slides, register
from paoding.layers.common import (
    apply_activation,
    channel_axis,
    channels_back,
    channels_last,
    is_linear,
    layer_flops,
    values,
)


def _channels(call: Call) -> tuple[int, Labels]:
    axis = channel_axis(call.op.data_format, len(call.layout))
    return axis, call.only_axis(axis)


def whole_groups(kernel_shape: tuple[int, ...], groups: int) -> bool:
    """Whether a grouped convolution loses whole groups, rather than equal cuts in each.

    Either is exact; the one that leaves more units to choose from is taken, and a group that
    reads a single channel (depthwise) can only go whole.
    """
    per_in, per_out = kernel_shape[-2], kernel_shape[-1] // groups
    return per_in == 1 or groups > min(per_in, per_out)


@register
class Conv(Rule):
    """Filters are units; a grouped convolution loses equal cuts of, or whole, groups."""

    types = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)

    def trace(self, call: Call) -> Layout:
        layer = call.op
        axis, labels = _channels(call)
        if layer.groups == 1:
            call.consume(layer.kernel, -2, labels, axis)
            units = call.produce(layer.kernel, -1, call.new_units(layer.filters))
        elif whole_groups(layer.kernel.shape, layer.groups):
            units = self._whole_groups(call, labels)
        else:
            units = self._equal_cuts(call, labels, axis)
        if layer.use_bias:
            call.produce(layer.bias, 0, units)
        apply_activation(call, layer.activation, units)
        return call.fixed_output(axis, units)

    def _whole_groups(self, call: Call, labels: Labels) -> np.ndarray:
        layer = call.op
        groups = layer.groups
        per_in, per_out = layer.kernel.shape[-2], layer.filters // groups
        one = call.new_units(groups)
        call.tie(labels, np.repeat(one, per_in))
        call.keep_distinct(one, "every group has its own kernel")
        return call.through(layer.kernel, -1, np.repeat(one, per_out))

    def _equal_cuts(self, call: Call, labels: Labels, axis: int) -> np.ndarray:
        layer = call.op
        groups, per_in = layer.groups, layer.kernel.shape[-2]
        first = None
        if labels is not None:
            first = labels[:per_in]
            call.tie(np.tile(first, groups - 1), labels[per_in:])
        call.consume(layer.kernel, -2, first, axis)
        new = call.new_units(layer.filters // groups)
        return call.produce(layer.kernel, -1, np.tile(new, groups))

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        filters = cut.size(op.kernel, -1)
        groups = op.groups
        if groups > 1 and whole_groups(op.kernel.shape, groups):
            groups = groups * filters // op.filters
        return {**config, "filters": filters, "groups": groups}

    def linear(self, op: Any) -> Linear | None:
        if op.groups > 1:
            return None
        last = op.data_format == "channels_last"
        slides = Slides(op.kernel_size, op.strides, op.dilation_rate, op.padding, last)
        return Linear(op.kernel, op.bias, slides, is_linear(op))

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        x = channels_last(low, inputs[0], op.data_format)
        y = low.convolution(
            x,
            low.weight(op.kernel),
            low.weight(op.bias),
            op.strides,
            op.padding,
            op.dilation_rate,
            op.groups,
        )
        return low.activation(channels_back(low, y, op.data_format), op.activation)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        taps = math.prod(op.kernel.shape[:-1])  # of the filter's own group
        return layer_flops(op, values(out_shapes[0]) * taps, out_shapes[0])


@register
class ConvTranspose(Rule):
    """Filters are units; the kernel has them before the channels that it reads."""

    types = (
        keras.layers.Conv1DTranspose,
        keras.layers.Conv2DTranspose,
        keras.layers.Conv3DTranspose,
    )

    def trace(self, call: Call) -> Layout:
        layer = call.op
        axis, labels = _channels(call)
        call.consume(layer.kernel, -1, labels, axis)  # (taps..., out, in): the other way round
        units = call.produce(layer.kernel, -2, call.new_units(layer.filters))
        if layer.use_bias:
            call.produce(layer.bias, 0, units)
        apply_activation(call, layer.activation, units)
        return call.fixed_output(axis, units)

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        return {**config, "filters": cut.size(op.kernel, -2)}

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        if any(rate != 1 for rate in op.dilation_rate) or (
            op.padding != "valid" and op.output_padding
        ):
            return NotImplemented
        x = channels_last(low, inputs[0], op.data_format)
        sizes = op.compute_output_shape((1, *inputs[0].shape))[1:]
        spatial = sizes[1:] if op.data_format == "channels_first" else sizes[:-1]
        y = low.transposed_convolution(
            x, low.weight(op.kernel), low.weight(op.bias), op.strides, spatial, op.padding
        )
        return low.activation(channels_back(low, y, op.data_format), op.activation)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        spread = math.prod(op.kernel.shape[:-1])  # outputs that one input value reaches
        return layer_flops(op, values(in_shapes[0]) * spread, out_shapes[0])


@register
class DepthwiseConv(Rule):
    """Each channel has its own taps, which go with it."""

    types = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)

    def trace(self, call: Call) -> Layout:
        layer = call.op
        axis, labels = _channels(call)
        labels = call.through(layer.kernel, -2, labels)
        out = np.repeat(labels, layer.depth_multiplier)  # output c*m + j comes from channel c
        if layer.use_bias:
            call.through(layer.bias, 0, out)
        apply_activation(call, layer.activation, out)
        return call.fixed_output(axis, out)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        x = channels_last(low, inputs[0], op.data_format)
        y = low.depthwise(
            x,
            low.weight(op.kernel),
            low.weight(op.bias),
            op.strides,
            op.padding,
            op.dilation_rate,
        )
        return low.activation(channels_back(low, y, op.data_format), op.activation)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        taps = math.prod(op.kernel.shape[:-2])
        return layer_flops(op, values(out_shapes[0]) * taps, out_shapes[0])


@register
class SeparableConv(Rule):
    """Depthwise taps go with the channel that they read; pointwise filters are units."""

    types = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)

    def trace(self, call: Call) -> Layout:
        layer = call.op
        axis, labels = _channels(call)
        labels = call.through(layer.depthwise_kernel, -2, labels)
        inner = np.repeat(labels, layer.depth_multiplier)
        # What the pointwise part reads is inside the layer: no tensor axis of the graph.
        call.consume(layer.pointwise_kernel, -2, inner, tensor_axis=None)
        units = call.produce(layer.pointwise_kernel, -1, call.new_units(layer.filters))
        if layer.use_bias:
            call.produce(layer.bias, 0, units)
        apply_activation(call, layer.activation, units)
        return call.fixed_output(axis, units)

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        return {**config, "filters": cut.size(op.pointwise_kernel, -1)}

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        x = channels_last(low, inputs[0], op.data_format)
        kernel = low.weight(op.depthwise_kernel)
        x = low.depthwise(x, kernel, None, op.strides, op.padding, op.dilation_rate)
        ones = (1,) * len(op.strides)
        y = low.convolution(
            x, low.weight(op.pointwise_kernel), low.weight(op.bias), ones, "valid", ones
        )
        return low.activation(channels_back(low, y, op.data_format), op.activation)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        places = values(out_shapes[0]) // op.filters
        once = math.prod(op.depthwise_kernel.shape) + math.prod(op.pointwise_kernel.shape)
        return layer_flops(op, places * once, out_shapes[0])
