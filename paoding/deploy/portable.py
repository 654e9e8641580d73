"""A copy of a model that other runtimes can hold: in float32, of open sizes, without groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from paoding.errors import ArgumentError, ModelError
from paoding.graph.keras_internals import clone, flatten, revive

_HALVES = ("float16", "bfloat16")


def portable(
    model: keras.Model, format: str, input_size: Sequence[int] | None = None
) -> keras.Model:
    """Return the model, or a copy that computes the same where the format needs another form.

    - Half precision becomes float32: TFLite has no convolutions in float16.
    - Grouped convolutions become one convolution a group for ONNX, which Keras writes for
      TensorFlow alone.
    - Axes of unknown length take the lengths of ``input_size``.

    Raises:
        ArgumentError: ``input_size`` has other lengths than the model's open axes.
    """
    try:
        flat = flatten(model)
    except ModelError:  # no graph of layers: it is written as it is, if the converter can
        return model
    layers = [node.op for node in flat.nodes if isinstance(node.op, keras.layers.Layer)]
    half = any(layer.compute_dtype in _HALVES for layer in layers)
    split = {id(x) for x in layers if format == "onnx" and getattr(x, "groups", 1) > 1}
    if not (half or split or input_size):
        return model
    sizes = {t: _sized(flat.shapes[t], input_size) for t in flat.inputs}

    def rebuild(op: Any, config: dict[str, Any]) -> Any:
        if id(op) in split and config["padding"] in ("valid", "same"):
            return GroupedConvolution(op)
        return revive(op, _in_float32(config) if half else config)

    copy = clone(model, flat, rebuild, lambda t: sizes.get(t, flat.shapes[t]))
    copy.set_weights(model.get_weights())
    return copy


def _sized(shape: Sequence[int | None], size: Sequence[int] | None) -> tuple[int | None, ...]:
    if size is None:
        return tuple(shape)
    opened = [n for n in shape[1:] if n is None]
    good = all(isinstance(n, int) and n > 0 for n in size)
    if len(opened) != len(size) or not good:
        raise ArgumentError(
            f"input_size={tuple(size)} must hold a whole number for each of the {len(opened)} "
            f"axes of unknown length in {tuple(shape[1:])}."
        )
    rest = iter(size)
    return (shape[0], *(next(rest) if n is None else n for n in shape[1:]))


def _in_float32(config: Any) -> Any:
    """Return a layer's configuration, those of layers inside it too, with float32 throughout."""
    if isinstance(config, dict):
        return {k: "float32" if k == "dtype" else _in_float32(v) for k, v in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(map(_in_float32, config))
    return config


class GroupedConvolution(keras.layers.Layer):
    """A grouped convolution as one convolution a group, side by side."""

    def __init__(self, layer: Any) -> None:
        super().__init__(name=layer.name, dtype="float32")
        self._layer = lambda: layer  # Keras would count a layer's weights as this one's own

    def build(self, input_shape: Any) -> None:
        """Make weights of the same shapes in the same order."""
        layer = self._layer()
        self.kernel = self.add_weight(shape=layer.kernel.shape, name="kernel")
        self.bias = None
        if layer.use_bias:
            self.bias = self.add_weight(shape=layer.bias.shape, name="bias")
        self.built = True

    def call(self, x: Any) -> Any:
        """Return what the grouped convolution returns."""
        layer, ops = self._layer(), keras.ops
        axis = -1 if layer.data_format == "channels_last" else 1
        parts = zip(
            ops.split(x, layer.groups, axis),
            ops.split(self.kernel, layer.groups, -1),
            strict=True,
        )
        made = [
            ops.conv(
                part,
                kernel,
                strides=list(layer.strides),
                padding=layer.padding,
                data_format=layer.data_format,
                dilation_rate=layer.dilation_rate,
            )
            for part, kernel in parts
        ]
        y = ops.concatenate(made, axis)
        if self.bias is not None:
            shape = [1] * len(y.shape)
            shape[axis] = -1
            y = y + ops.reshape(self.bias, shape)
        return layer.activation(y)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the grouped convolution's own."""
        return self._layer().compute_output_shape(input_shape)
