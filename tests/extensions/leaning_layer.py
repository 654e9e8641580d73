"""A layer of a user's own, and the one class that lets Paoding prune, fit and certify it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from paoding.layers import Algebra, Call, Cut, Layout, Linear, Rule, Shapes, Value, register


@keras.saving.register_keras_serializable("tests")
class Leaning(keras.layers.Layer):
    """``leaky_relu(x @ kernel + bias)``, with weights of its own."""

    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.width = width

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], self.width), name="kernel")
        self.bias = self.add_weight(shape=(self.width,), initializer="zeros", name="bias")
        self.built = True

    def call(self, x: Any) -> Any:
        return keras.ops.leaky_relu(keras.ops.matmul(x, self.kernel) + self.bias, 0.2)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*shape[:-1], self.width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width}


@register
class LeaningRule(Rule):
    """Columns of the kernel are units, rows read them."""

    types = (Leaning,)

    def trace(self, call: Call) -> Layout:
        call.consume(call.op.kernel, 0, call.labels(-1))
        units = call.produce(call.op.kernel, 1, call.new_units(call.op.width))
        call.produce(call.op.bias, 0, units)
        return call.replaced(-1, units)

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        return {**config, "width": cut.size(op.kernel, 1)}

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return 2 * op.kernel.shape[0] * op.kernel.shape[1]

    def linear(self, op: Any) -> Linear:
        return Linear(op.kernel, op.bias)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        y = low.matmul(inputs[0], low.weight(op.kernel), low.weight(op.bias))
        return low.custom(y, "relu", max_value=None, negative_slope=0.2, threshold=0.0)
