"""The small algebra in which a layer's rule says what the layer computes at inference.

Bounds know only these operations, so a new layer type that is written in them has forward
bounds, difference bounds and linear relaxations at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class Value:
    """A tensor inside the algebra: its number and one sample's shape, without the batch axis."""

    number: int
    shape: tuple[int, ...]


class Algebra(Protocol):
    """What a rule's ``lower`` may use; channels are last everywhere."""

    @property
    def args(self) -> tuple[Any, ...]:
        """Positional arguments of the call."""
        ...

    @property
    def kwargs(self) -> dict[str, Any]:
        """Named arguments of the call."""
        ...

    def weight(self, variable: Any) -> Any:
        """The value of a weight in the network that is bounded, None for None."""
        ...

    def matmul(self, x: Value, kernel: np.ndarray, bias: np.ndarray | None = None) -> Value:
        """``x @ kernel + bias`` on the last axis."""
        ...

    def convolution(
        self,
        x: Value,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        strides: Sequence[int],
        padding: str,
        dilation: Sequence[int],
        groups: int = 1,
    ) -> Value:
        """A convolution with kernel (*taps, channels per group, filters)."""
        ...

    def depthwise(
        self,
        x: Value,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        strides: Sequence[int],
        padding: str,
        dilation: Sequence[int],
    ) -> Value:
        """A depthwise convolution with kernel (*taps, channels, multiplier)."""
        ...

    def transposed_convolution(
        self,
        x: Value,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        strides: Sequence[int],
        out_spatial: Sequence[int],
        padding: str,
    ) -> Value:
        """A transposed convolution with kernel (*taps, filters, channels)."""
        ...

    def scale(self, x: Value, factor: np.ndarray | float, offset: np.ndarray | float = 0) -> Value:
        """``x * factor + offset``, both broadcast to one sample."""
        ...

    def normalize(
        self,
        x: Value,
        mean: np.ndarray,
        variance: np.ndarray,
        gamma: np.ndarray | None,
        beta: np.ndarray | None,
        epsilon: float,
    ) -> Value:
        """``gamma (x - mean) / sqrt(variance + epsilon) + beta`` on the last axis."""
        ...

    def activation(self, x: Value, function: Any) -> Value:
        """A Keras activation function or activation layer, or its name."""
        ...

    def custom(self, x: Value, kind: str, **options: Any) -> Value:
        """An activation with options: ``relu``, ``leaky_relu``, ``elu``, ``gelu``."""
        ...

    def prelu(self, x: Value, slopes: np.ndarray) -> Value:
        """A leaky ReLU whose slopes broadcast to one sample."""
        ...

    def rearrange(self, x: Value, move: Callable[[np.ndarray], np.ndarray]) -> Value:
        """Entries moved, repeated, dropped or padded with zeros by a function of a batch."""
        ...

    def join(self, xs: Sequence[Value], move: Callable[[list[np.ndarray]], np.ndarray]) -> Value:
        """Several tensors laid into one by a function of their batches."""
        ...

    def pool(
        self,
        x: Value,
        kind: str,
        size: Sequence[int],
        strides: Sequence[int],
        padding: str,
    ) -> Value:
        """``max`` or ``average`` pooling over the spatial axes."""
        ...

    def reduce(self, x: Value, kind: str, axes: Sequence[int], keepdims: bool) -> Value:
        """``max``, ``mean`` or ``sum`` over axes of a batch (1 is the first of a sample)."""
        ...

    def add(self, xs: Sequence[Value], factors: Sequence[float]) -> Value:
        """A weighted sum of tensors that broadcast together."""
        ...

    def maximum(self, xs: Sequence[Value]) -> Value:
        """The larger, entry by entry."""
        ...

    def product(self, a: Value, b: Value) -> Value:
        """Entry by entry."""
        ...

    def quotient(self, a: Value, b: Value) -> Value:
        """Entry by entry."""
        ...

    def softmax(self, x: Value, axis: int) -> Value:
        """A softmax over one axis of a batch."""
        ...

    def constant(self, value: np.ndarray) -> Value:
        """A known tensor, one sample's."""
        ...

    def value(self, argument: Any) -> Value:
        """The value that a call's argument stands for: a tensor of the graph or a constant."""
        ...

    def none(self, why: str) -> Exception:
        """The error to raise where no bound can be given, and why."""
        ...
