"""From a graph and its weights to a program of primitives, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from paoding.bounds import activations
from paoding.bounds.compare import absolute
from paoding.bounds.curves import Activation
from paoding.bounds.intervals import UNIT, Interval
from paoding.bounds.maps import Map, MatMul, Mean, Rearrange, Scale, Transposed
from paoding.bounds.primitives import (
    Affine,
    Apply,
    Maximum,
    MaxOver,
    MaxPool,
    Primitive,
    Product,
    Program,
    Quotient,
    Softmax,
    Step,
    identity,
)
from paoding.bounds.windows import Convolution, Depthwise, Pool
from paoding.errors import BoundsError
from paoding.graph import Graph, Node, State, TensorRef
from paoding.layers import rule_for
from paoding.layers.algebra import Value
from paoding.layers.common import activation_name, is_known
from paoding.layers.windows import windows_of


class Lowering:
    """Builds a program; a layer's rule calls its methods (``paoding.layers.algebra``)."""

    def __init__(self, graph: Graph, state: State) -> None:
        self.graph, self.state = graph, state
        self.steps: list[Step] = []
        self.shapes: list[tuple[int, ...]] = []
        self.tensors: dict[int, int] = {}
        self.kernels: dict[tuple[int, int], int] = {}
        self.constants: dict[int, np.ndarray] = {}
        self.node: Node = graph.nodes[0]
        self._weight_numbers = {id(v): i for i, v in enumerate(state.values)}

    # -- what a rule reads

    @property
    def args(self) -> tuple[Any, ...]:
        """Positional arguments of the call."""
        return self.node.args

    @property
    def kwargs(self) -> dict[str, Any]:
        """Named arguments of the call."""
        return self.node.kwargs

    def weight(self, variable: Any) -> Any:
        """The value of a weight, None for None."""
        return None if variable is None else self.state.values[self.graph.number(variable)]

    def value(self, argument: Any) -> Value:
        """The value that a call's argument stands for."""
        if isinstance(argument, TensorRef):
            number = self.tensors[argument.tensor]
            return Value(number, self.shapes[number])
        return self.constant(np.asarray(keras.ops.convert_to_numpy(argument)))

    def none(self, why: str) -> BoundsError:
        """The error that names the layer and says why it has no bound."""
        return BoundsError(
            f"No certificate: bounding stops at layer '{self.node.name}' ({self.node.kind}), {why}."
        )

    # -- linear steps

    def matmul(self, x: Value, kernel: np.ndarray, bias: np.ndarray | None = None) -> Value:
        """``x @ kernel + bias`` on the last axis."""
        shape = (*x.shape[:-1], kernel.shape[1])
        return self._affine([x], [MatMul(kernel)], shape, bias, kernel)

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
        windows = windows_of(x.shape[:-1], kernel.shape[:-2], strides, padding, dilation)
        linear = Convolution(kernel, windows, groups)
        return self._affine([x], [linear], (*windows.out, kernel.shape[-1]), bias, kernel)

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
        windows = windows_of(x.shape[:-1], kernel.shape[:-2], strides, padding, dilation)
        channels = kernel.shape[-2] * kernel.shape[-1]
        return self._affine([x], [Depthwise(kernel, windows)], (*windows.out, channels), bias)

    def transposed_convolution(
        self,
        x: Value,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        strides: Sequence[int],
        out_spatial: Sequence[int],
        padding: str,
    ) -> Value:
        """The adjoint of the convolution that would lead back."""
        ones = (1,) * len(strides)
        windows = windows_of(out_spatial, kernel.shape[:-2], strides, padding, ones)
        if windows.out != tuple(x.shape[:-1]):
            raise self.none("whose output padding has no rule")
        inner = Convolution(kernel, windows)
        terms = math.prod(kernel.shape[:-2]) * kernel.shape[-1]
        linear = Transposed(inner, absolute(inner), terms)
        return self._affine([x], [linear], (*out_spatial, kernel.shape[-2]), bias)

    def scale(self, x: Value, factor: np.ndarray | float, offset: np.ndarray | float = 0) -> Value:
        """``x * factor + offset``."""
        by = np.asarray(factor, dtype=np.float64)
        shift = np.asarray(offset, dtype=np.float64)
        shape = np.broadcast_shapes(x.shape, by.shape, shift.shape)
        if shape != x.shape:
            raise self.none("which broadcasts its input")
        return self._affine([x], [Scale(by)], shape, shift if shift.any() else None)

    def normalize(
        self,
        x: Value,
        mean: np.ndarray,
        variance: np.ndarray,
        gamma: np.ndarray | None,
        beta: np.ndarray | None,
        epsilon: float,
    ) -> Value:
        """An inference BatchNorm: a factor and an offset, with their own rounding."""
        m, v = mean.astype(np.float64), variance.astype(np.float64)
        spread = np.sqrt(v + epsilon)
        factor = (1.0 if gamma is None else gamma.astype(np.float64)) / spread
        shift = 0.0 if beta is None else beta.astype(np.float64)
        offset = shift - factor * m
        error = 8 * UNIT * (np.abs(shift) + np.abs(factor * m))
        bias = Interval(offset - error, offset + error)
        # The sum under the root, the root and the quotient are rounded: a few more "terms".
        return self._affine([x], [Scale(factor, terms=6)], x.shape, bias)

    def rearrange(self, x: Value, move: Callable[[np.ndarray], np.ndarray]) -> Value:
        """Entries moved by a function, read off from where it puts their numbers."""
        return self.join([x], lambda batches: move(batches[0]))

    def join(self, xs: Sequence[Value], move: Callable[[list[np.ndarray]], np.ndarray]) -> Value:
        """Several tensors laid into one."""
        numbered, first = [], 1  # 0 is left for what the function pads with
        for x in xs:
            size = math.prod(x.shape)
            numbered.append(np.arange(first, first + size, dtype=np.float64).reshape(1, *x.shape))
            first += size
        where = np.asarray(move(numbered))[0].astype(np.int64)
        maps: list[Map] = []
        for x, numbers in zip(xs, numbered, strict=True):
            start, size = int(numbers.flat[0]), numbers.size
            mine = (where >= start) & (where < start + size)
            maps.append(Rearrange(np.where(mine, where - start, -1), x.shape))
        return self._affine(list(xs), maps, where.shape)

    def add(self, xs: Sequence[Value], factors: Sequence[float]) -> Value:
        """A weighted sum of tensors that broadcast together."""
        shape = np.broadcast_shapes(*(x.shape for x in xs))
        parts = [x if x.shape == shape else self._broadcast(x, shape) for x in xs]
        maps: list[Map] = [
            identity(shape) if f == 1 else Scale(np.asarray(f, dtype=np.float64)) for f in factors
        ]
        return self._affine(parts, maps, shape)

    def _broadcast(self, x: Value, shape: tuple[int, ...]) -> Value:
        outer = (1,) * (len(shape) - len(x.shape))
        return self.rearrange(
            x, lambda a: np.broadcast_to(a.reshape(1, *outer, *x.shape), (1, *shape))
        )

    def pool(
        self, x: Value, kind: str, size: Sequence[int], strides: Sequence[int], padding: str
    ) -> Value:
        """Average or max-pooling over the spatial axes."""
        ones = (1,) * len(size)
        windows = windows_of(x.shape[:-1], size, strides, padding, ones)
        shape = (*windows.out, x.shape[-1])
        if kind == "max":
            return self._step(MaxPool(windows), [x], shape)
        return self._affine([x], [Pool(windows)], shape)

    def reduce(self, x: Value, kind: str, axes: Sequence[int], keepdims: bool) -> Value:
        """The largest, the mean or the sum over axes."""
        where = tuple(sorted(axis % (len(x.shape) + 1) for axis in axes))
        if not where or where[0] == 0:
            raise self.none("which reduces the batch")
        shape = tuple(
            1 if axis + 1 in where else size
            for axis, size in enumerate(x.shape)
            if keepdims or axis + 1 not in where
        )
        if kind == "max":
            return self._step(MaxOver(where, keepdims), [x], shape)
        return self._affine([x], [Mean(x.shape, where, keepdims, kind == "sum")], shape)

    # -- steps that are not linear

    def activation(self, x: Value, function: Any) -> Value:
        """A Keras activation function or layer, or a name."""
        if isinstance(function, keras.layers.Layer):
            rule = rule_for(function)
            if rule is None:
                raise self.none(f"whose activation {type(function).__name__} has no rule")
            return rule.lower(function, self, [x])
        name = function if isinstance(function, str) else activation_name(function)
        if not is_known(function):
            raise self.none(f"whose activation '{name}' is not one of Keras's own")
        if name == "softmax":
            return self.softmax(x, -1)
        return self._apply(x, activations.by_name(name), name)

    def custom(self, x: Value, kind: str, **options: Any) -> Value:
        """An activation with options: ``relu``, ``leaky_relu``, ``elu``, ``gelu``."""
        return self._apply(x, activations.with_options(kind, options), kind)

    def prelu(self, x: Value, slopes: np.ndarray) -> Value:
        """A leaky ReLU whose slopes broadcast to one sample."""
        by = slopes.astype(np.float64)
        if (by < 0).any() or (by > 1).any():
            raise self.none("whose slopes leave [0, 1]")
        return self._apply(x, activations.prelu(by), "prelu")

    def _apply(self, x: Value, kind: Activation | None, name: str) -> Value:
        if kind is None:
            raise self.none(f"whose activation '{name}' has no rule")
        if kind is activations.LINEAR:
            return x
        return self._step(Apply(kind), [x], x.shape)

    def maximum(self, xs: Sequence[Value]) -> Value:
        """The larger, entry by entry."""
        shape = np.broadcast_shapes(*(x.shape for x in xs))
        parts = [x if x.shape == shape else self._broadcast(x, shape) for x in xs]
        return self._step(Maximum(), parts, shape)

    def product(self, a: Value, b: Value) -> Value:
        """Entry by entry; a constant factor is a linear step."""
        for x, other in ((a, b), (b, a)):
            known = self.constants.get(other.number)
            if known is not None and np.broadcast_shapes(x.shape, known.shape) == x.shape:
                return self.scale(x, known)
        shape = np.broadcast_shapes(a.shape, b.shape)
        parts = [x if x.shape == shape else self._broadcast(x, shape) for x in (a, b)]
        return self._step(Product(), parts, shape)

    def quotient(self, a: Value, b: Value) -> Value:
        """Entry by entry."""
        shape = np.broadcast_shapes(a.shape, b.shape)
        parts = [x if x.shape == shape else self._broadcast(x, shape) for x in (a, b)]
        return self._step(Quotient(), parts, shape)

    def softmax(self, x: Value, axis: int) -> Value:
        """A softmax over one axis of a batch."""
        last = len(x.shape)
        axis %= last + 1
        if axis == last:
            return self._step(Softmax(), [x], x.shape)
        moved = self.rearrange(x, lambda a: np.moveaxis(a, axis, -1))
        done = self._step(Softmax(), [moved], moved.shape)
        return self.rearrange(done, lambda a: np.moveaxis(a, -1, axis))

    def constant(self, value: np.ndarray) -> Value:
        """A known tensor, as a step that ignores its input."""
        exact = value.astype(np.float64)
        shape = exact.shape
        source = Value(0, self.shapes[0])
        nothing = Rearrange(np.full(shape, -1, dtype=np.int64), source.shape)
        made = self._affine([source], [nothing], shape, exact)
        self.constants[made.number] = exact
        return made

    # -- building

    def _affine(
        self,
        xs: list[Value],
        maps: list[Map],
        shape: tuple[int, ...],
        bias: np.ndarray | Interval | None = None,
        kernel: np.ndarray | None = None,
    ) -> Value:
        known = bias if bias is None or isinstance(bias, Interval) else Interval.point(bias)
        made = self._step(Affine(tuple(maps), known), xs, shape)
        number = self._weight_numbers.get(id(kernel))
        if number is not None:
            self.kernels[len(self.steps) - 1, 0] = number
        return made

    def _step(self, primitive: Primitive, xs: Sequence[Value], shape: tuple[int, ...]) -> Value:
        made = self._new(shape)
        self.steps.append(
            Step(primitive, tuple(x.number for x in xs), made.number, self.node.index)
        )
        return made

    def _new(self, shape: tuple[int, ...]) -> Value:
        self.shapes.append(tuple(int(size) for size in shape))
        return Value(len(self.shapes) - 1, self.shapes[-1])

    def run(self) -> Program:
        """Lower every call of the graph."""
        for tensor in self.graph.flat.inputs:
            self.tensors[tensor] = self._new(self._sample_shape(tensor)).number
        for node in self.graph.nodes:
            self.node = node
            self._lower(node)
        return Program(
            tuple(self.steps),
            tuple(self.tensors[t] for t in self.graph.flat.inputs),
            tuple(self.tensors[t] for t in self.graph.flat.outputs),
            tuple(self.shapes),
            self.tensors,
            tuple(node.name for node in self.graph.nodes),
            self.kernels,
        )

    def _lower(self, node: Node) -> None:
        rule = rule_for(node.op)
        if rule is None:
            raise self.none("which has no rule")
        inputs = [Value(self.tensors[t], self.shapes[self.tensors[t]]) for t in node.inputs]
        made: Any = rule.lower(node.op, self, inputs)
        if made is NotImplemented:
            raise self.none("which has no rule for bounds")
        outputs = made if isinstance(made, list | tuple) else [made]
        for tensor, value in zip(node.outputs, outputs, strict=True):
            if value.shape != self._sample_shape(tensor):
                raise self.none(f"whose rule gives shape {value.shape}: a fault in the rule")
            self.tensors[tensor] = value.number

    def _sample_shape(self, tensor: int) -> tuple[int, ...]:
        shape = self.graph.flat.shapes[tensor][1:]
        if any(size is None for size in shape):
            raise self.none("where a size is unknown (None): give the model a fixed input shape")
        return tuple(int(size) for size in shape if size is not None)


def lower(graph: Graph, state: State) -> Program:
    """Write a network as a program of primitives, under a state's weights.

    Args:
        graph: the traced model.
        state: its weights at original shapes (``graph.original``, or a pruned state).

    Raises:
        BoundsError: a layer has no rule; the message names it.
    """
    return Lowering(graph, state).run()
