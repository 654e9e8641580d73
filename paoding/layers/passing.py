"""Layers that pass every channel on by itself: activations, dropout, pooling, padding."""

from __future__ import annotations

import keras

from paoding.layers.base import Call, Layout, Rule, register
from paoding.layers.common import apply_activation, channel_axis


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


@register
class Activation(Rule):
    types = (keras.layers.Activation,)

    def trace(self, call: Call) -> Layout:
        apply_activation(call, call.op.activation, call.labels(-1))
        return call.layout


@register
class Softmax(Rule):
    types = (keras.layers.Softmax,)

    def trace(self, call: Call) -> Layout:
        axes = [call.op.axis] if isinstance(call.op.axis, int) else list(call.op.axis)
        for axis in axes:
            call.protect(call.labels(axis), "a softmax mixes the channels")
        return call.layout


@register
class PReLU(Rule):
    types = (keras.layers.PReLU,)

    def trace(self, call: Call) -> Layout:
        alpha = call.op.alpha
        for axis in range(1, len(call.layout)):
            if call.layout[axis] is not None and alpha.shape[axis - 1] != 1:
                call.through(alpha, axis - 1, call.layout[axis])
        return call.layout


@register
class Rescaling(Rule):
    types = (keras.layers.Rescaling,)

    def trace(self, call: Call) -> Layout:
        if not all(isinstance(x, (int, float)) for x in (call.op.scale, call.op.offset)):
            for labels in call.layout:
                call.protect(labels, "Rescaling holds one constant per channel")
        return call.layout


@register
class Masking(Rule):
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


@register
class GlobalPooling(Rule):
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
