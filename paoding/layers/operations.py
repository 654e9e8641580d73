"""Raw ``keras.ops`` nodes whose meaning for channels is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from paoding.layers.base import Call, Cut, Layout, Rule, register
from paoding.layers.common import broadcast, reshape, resized_target
from paoding.layers.merging import concatenate


@register
class Unary(Rule):
    """One value in, one value out."""

    names = tuple(
        """Absolute Abs Negative Exp Expm1 Log Log1p Sqrt Rsqrt Square Sign Sin Cos Tanh Sinh
        Cosh Arctan Relu Relu6 Sigmoid Softplus Softsign Silu LogSigmoid LeakyRelu HardSigmoid
        HardSilu Elu Selu Gelu Celu HardTanh HardShrink SoftShrink TanhShrink Squareplus
        SparsePlus Threshold Erf Clip Round Floor Ceil Cast SaturateCast StopGradient Copy
        Reciprocal NanToNum""".split()
    )

    def trace(self, call: Call) -> Layout:
        return call.layout


@register
class Binary(Rule):
    """Two operands entry by entry; one of them may be a constant."""

    names = tuple("Add Subtract Multiply Divide TrueDivide Maximum Minimum Power".split())

    def trace(self, call: Call) -> Layout | tuple[Layout, ...]:
        shapes = list(call.in_shapes)
        layouts: list[Layout] = list(call.layouts)
        for value in (*call.args, *call.kwargs.values()):
            if hasattr(value, "shape") and not hasattr(value, "tensor") and len(value.shape):
                shapes.append(tuple(value.shape))
                layouts.append((None,) * len(value.shape))
        rank = max(map(len, shapes))
        for i, shape in enumerate(shapes):  # numpy's rule: missing axes stand in front
            missing = rank - len(shape)
            shapes[i] = (*(1,) * missing, *shape)
            layouts[i] = (*(None,) * missing, *layouts[i])
        return broadcast(call, layouts, shapes)


@register
class Reduction(Rule):
    """Mean, sum, largest or smallest along axes that hold no units."""

    names = ("Mean", "Sum", "Max", "Min", "Amax", "Amin")

    def trace(self, call: Call) -> Layout | tuple[Layout, ...]:
        axes = call.op.axis
        if axes is None:
            return call.protect_all("it is reduced away")
        axes = [axes] if isinstance(axes, int) else list(axes)
        axes = [axis % len(call.layout) for axis in axes]
        for axis in axes:
            call.protect(call.layout[axis], "it is reduced away")
        kept = [
            None if axis in axes else labels
            for axis, labels in enumerate(call.layout)
            if call.op.keepdims or axis not in axes
        ]
        return tuple(kept)


@register
class ReshapeOp(Rule):
    names = ("Reshape",)

    def trace(self, call: Call) -> Layout:
        return reshape(call, call.layout, call.in_shapes[0], call.out_shapes[0])

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        old = op.newshape
        old = [old] if isinstance(old, int) else list(old)
        return {**config, "newshape": resized_target(old, cut.out_shapes[0])}


@register
class TransposeOp(Rule):
    names = ("Transpose",)

    def trace(self, call: Call) -> Layout:
        axes = call.op.axes
        axes = tuple(reversed(range(len(call.layout)))) if axes is None else axes
        return tuple(call.layout[axis] for axis in axes)


@register
class ExpandDims(Rule):
    names = ("ExpandDims",)

    def trace(self, call: Call) -> Layout:
        axes = call.op.axis
        axes = [axes] if isinstance(axes, int) else list(axes)
        rank = len(call.out_shapes[0])
        new = {axis % rank for axis in axes}
        old = iter(call.layout)
        return tuple(None if axis in new else next(old) for axis in range(rank))


@register
class Squeeze(Rule):
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


@register
class ConcatenateOp(Rule):
    names = ("Concatenate",)

    def trace(self, call: Call) -> Layout:
        return concatenate(call, call.op.axis)


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
