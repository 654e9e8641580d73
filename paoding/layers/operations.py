"""Raw ``keras.ops`` nodes whose meaning for channels is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from paoding.layers.algebra import Algebra, Value
from paoding.layers.base import Call, Cut, Layout, Rule, Shapes, register
from paoding.layers.common import broadcast, reshape, resized_target, values
from paoding.layers.merging import concatenate

# Operations that are an activation without options.
UNARY_ACTIVATIONS = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Silu": "silu",
    "LogSigmoid": "log_sigmoid",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "HardTanh": "hard_tanh",
    "Selu": "selu",
    "Exp": "exponential",
}


@register
class Unary(Rule):
    """One value in, one value out."""

    names = (
        "Absolute",
        "Abs",
        "Negative",
        "Exp",
        "Expm1",
        "Log",
        "Log1p",
        "Sqrt",
        "Rsqrt",
        "Square",
        "Sign",
        "Sin",
        "Cos",
        "Tanh",
        "Sinh",
        "Cosh",
        "Arctan",
        "Relu",
        "Relu6",
        "Sigmoid",
        "Softplus",
        "Softsign",
        "Silu",
        "LogSigmoid",
        "LeakyRelu",
        "HardSigmoid",
        "HardSilu",
        "Elu",
        "Selu",
        "Gelu",
        "Celu",
        "HardTanh",
        "HardShrink",
        "SoftShrink",
        "TanhShrink",
        "Squareplus",
        "SparsePlus",
        "Threshold",
        "Erf",
        "Clip",
        "Round",
        "Floor",
        "Ceil",
        "Cast",
        "SaturateCast",
        "StopGradient",
        "Copy",
        "Reciprocal",
        "NanToNum",
        "Cbrt",
        "Exp2",
        "Log2",
        "Log10",
        "Erfc",
        "Tan",
        "Arcsin",
        "Arccos",
        "Arcsinh",
        "Arccosh",
        "Arctanh",
        "SparseSigmoid",
        "LogicalNot",
        "Isnan",
        "Isfinite",
        "OnesLike",
        "ZerosLike",
    )

    def trace(self, call: Call) -> Layout:
        return call.layout

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        x, kind = inputs[0], type(op).__name__
        if kind in ("StopGradient", "Copy") or (kind == "Cast" and "float" in str(op.dtype)):
            return x
        if kind == "Negative":
            return low.scale(x, -1.0)
        if kind in ("Absolute", "Abs"):
            return low.maximum([x, low.scale(x, -1.0)])
        if kind == "LeakyRelu":
            return low.custom(x, "leaky_relu", negative_slope=op.negative_slope)
        if kind == "Elu":
            return low.custom(x, "elu", alpha=op.alpha)
        if kind == "Gelu":
            return low.custom(x, "gelu", approximate=op.approximate)
        name = UNARY_ACTIVATIONS.get(kind)
        return NotImplemented if name is None else low.activation(x, name)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return values(out_shapes[0])


@register
class Binary(Rule):
    """Two operands entry by entry; one of them may be a constant."""

    names = (
        "Add",
        "Subtract",
        "Multiply",
        "Divide",
        "TrueDivide",
        "DivideNoNan",
        "FloorDivide",
        "Mod",
        "Maximum",
        "Minimum",
        "Power",
        "Arctan2",
        "Logaddexp",
        "Equal",
        "NotEqual",
        "Greater",
        "GreaterEqual",
        "Less",
        "LessEqual",
        "LogicalAnd",
        "LogicalOr",
        "LogicalXor",
        "Where",
    )

    def trace(self, call: Call) -> Layout | tuple[Layout, ...]:
        shapes = list(call.in_shapes)
        layouts: list[Layout] = list(call.layouts)
        for value in (*call.args, *call.kwargs.values()):
            if isinstance(value, (list, tuple)):
                value = np.asarray(value)
            if hasattr(value, "shape") and not hasattr(value, "tensor") and len(value.shape):
                shapes.append(tuple(value.shape))
                layouts.append((None,) * len(value.shape))
        rank = max(map(len, shapes))
        for i, shape in enumerate(shapes):  # numpy's rule: missing axes stand in front
            missing = rank - len(shape)
            shapes[i] = (*(1,) * missing, *shape)
            layouts[i] = (*(None,) * missing, *layouts[i])
        return broadcast(call, layouts, shapes)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        kind = type(op).__name__
        given = [
            low.kwargs.get(n, v)
            for n, v in zip(("x1", "x2"), (*low.args, None, None), strict=False)
        ]
        if any(v is None for v in given):
            return NotImplemented
        rank = max(len(x.shape) for x in inputs) + 1
        a, b = (low.value(without_batch(v, rank)) for v in given)
        if kind == "Add":
            return low.add([a, b], [1.0, 1.0])
        if kind == "Subtract":
            return low.add([a, b], [1.0, -1.0])
        if kind == "Multiply":
            return low.product(a, b)
        if kind in ("Divide", "TrueDivide"):
            return low.quotient(a, b)
        if kind == "Maximum":
            return low.maximum([a, b])
        if kind == "Minimum":
            return low.scale(low.maximum([low.scale(a, -1.0), low.scale(b, -1.0)]), -1.0)
        return NotImplemented

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return values(out_shapes[0])


@register
class Reduction(Rule):
    """Mean, sum, largest or smallest along axes that hold no units."""

    names = (
        "Mean",
        "Sum",
        "Max",
        "Min",
        "Amax",
        "Amin",
        "Prod",
        "Std",
        "Var",
        "Logsumexp",
        "Any",
        "All",
    )

    def trace(self, call: Call) -> Layout | tuple[Layout, ...]:
        axes = call.op.axis
        if axes is None:
            return call.protect_all("it is reduced away")
        axes = [axes] if isinstance(axes, int) else list(axes)
        axes = [axis % len(call.layout) for axis in axes]
        for axis in axes:
            if not (call.uniform and call.kind in ("Any", "All")):
                call.protect(call.layout[axis], "it is reduced away")
        kept = [
            None if axis in axes else labels
            for axis, labels in enumerate(call.layout)
            if call.op.keepdims or axis not in axes
        ]
        return tuple(kept)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        kind = {"Mean": "mean", "Sum": "sum", "Max": "max", "Amax": "max"}.get(type(op).__name__)
        if kind is None or op.axis is None:
            return NotImplemented
        axes = [op.axis] if isinstance(op.axis, int) else list(op.axis)
        return low.reduce(inputs[0], kind, axes, op.keepdims)

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        return values(in_shapes[0])


@register
class ReshapeOp(Rule):
    """``ops.reshape``, like the layer."""

    names = ("Reshape",)

    def trace(self, call: Call) -> Layout:
        return reshape(call, call.layout, call.in_shapes[0], call.out_shapes[0])

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        old = op.newshape
        old = [old] if isinstance(old, int) else list(old)
        return {**config, "newshape": resized_target(old, cut.out_shapes[0])}

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        sizes = op.compute_output_spec(keras.KerasTensor((1, *inputs[0].shape))).shape
        if sizes[0] != 1:
            return NotImplemented
        return low.rearrange(inputs[0], lambda a: a.reshape(sizes))


@register
class TransposeOp(Rule):
    """``ops.transpose``: each axis takes its units along."""

    names = ("Transpose",)

    def trace(self, call: Call) -> Layout:
        axes = call.op.axes
        axes = tuple(reversed(range(len(call.layout)))) if axes is None else axes
        return tuple(call.layout[axis] for axis in axes)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        if op.axes is None or op.axes[0] != 0:
            return NotImplemented
        return low.rearrange(inputs[0], lambda a: a.transpose(op.axes))


@register
class ExpandDims(Rule):
    """A new axis of size 1 carries no units."""

    names = ("ExpandDims",)

    def trace(self, call: Call) -> Layout:
        axes = call.op.axis
        axes = [axes] if isinstance(axes, int) else list(axes)
        rank = len(call.out_shapes[0])
        new = {axis % rank for axis in axes}
        old = iter(call.layout)
        return tuple(None if axis in new else next(old) for axis in range(rank))

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        return low.rearrange(inputs[0], lambda a: np.expand_dims(a, op.axis))


@register
class Squeeze(Rule):
    """An axis of size 1 goes; a unit on it has to stay."""

    names = ("Squeeze",)

    def trace(self, call: Call) -> Layout:
        rank, axes = len(call.layout), call.op.axis
        if axes is None:
            axes = [i for i, size in enumerate(call.in_shapes[0]) if size == 1]
        axes = [axes] if isinstance(axes, int) else list(axes)
        gone = {axis % rank for axis in axes}
        for axis in gone:
            call.protect(call.layout[axis], "its single channel is squeezed away")
        return tuple(labels for axis, labels in enumerate(call.layout) if axis not in gone)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        if op.axis is None:
            return NotImplemented
        return low.rearrange(inputs[0], lambda a: np.squeeze(a, op.axis))


@register
class ConcatenateOp(Rule):
    """``ops.concatenate``, like the layer."""

    names = ("Concatenate",)

    def trace(self, call: Call) -> Layout:
        return concatenate(call, call.op.axis)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        axis = op.axis % (len(inputs[0].shape) + 1)
        return low.join(inputs, lambda parts: np.concatenate(parts, axis=axis))


@register
class PadOp(Rule):
    """Padding of axes that hold no units."""

    names = ("Pad",)

    def trace(self, call: Call) -> Layout:
        width = np.broadcast_to(np.asarray(call.op.pad_width), (len(call.layout), 2))
        out = list(call.layout)
        for axis, (before, after) in enumerate(width):
            if before or after:
                call.protect(out[axis], "it is padded along the channels")
                out[axis] = None
        return tuple(out)

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        if op.mode != "constant" or low.kwargs.get("constant_values"):
            return NotImplemented
        width = np.broadcast_to(np.asarray(op.pad_width), (len(inputs[0].shape) + 1, 2))
        return low.rearrange(inputs[0], lambda a: np.pad(a, width))


def without_batch(argument: Any, rank: int) -> Any:
    """A constant operand as one sample's, where it was written with a batch axis of 1."""
    shape: tuple[Any, ...] = getattr(argument, "shape", ())
    if not hasattr(argument, "tensor") and len(shape) == rank and shape[0] == 1:
        return argument[0]
    return argument
