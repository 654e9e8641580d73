"""Convolutions: units are filters, and channels are read tap by tap."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from paoding.layers.base import Call, Cut, Labels, Layout, Rule, register
from paoding.layers.common import apply_activation, channel_axis


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


@register
class ConvTranspose(Rule):
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


@register
class DepthwiseConv(Rule):
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


@register
class SeparableConv(Rule):
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
