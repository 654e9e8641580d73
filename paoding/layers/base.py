"""What a layer type must tell: where its units are, and how channels pass through it.

The units of a network are found with *labels*. A tensor has, for each of its axes, either
``None`` (nothing on this axis can be removed) or an integer array with one label per index:
indices with the same label go together, ``FIXED`` never goes. A rule reads the labels of a
call's inputs, ties and binds them to the axes of the layer's weights, and returns the labels
of the outputs. Everything else (groups, masks, slices) follows from these labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from keras import tree

from paoding.layers.algebra import Algebra, Value

FIXED = -1

Labels = np.ndarray | None  # one int64 label per index of an axis; None: the whole axis is fixed
Layout = tuple[Labels, ...]  # one entry per axis of a tensor, the batch axis included
Shapes = tuple[tuple[int | None, ...], ...]  # with the batch axis; None: any length
Role = Literal["produce", "through", "consume"]


@dataclass(frozen=True, eq=False)
class Binding:
    """The tie of labels to one axis of one weight.

    ``produce``: slices along the axis make the unit; ``through``: the unit's own parameters in
    a layer that it passes; ``consume``: rows that read the unit, linearly.
    """

    node: int
    variable: Any  # keras.Variable
    axis: int
    labels: np.ndarray
    role: Role
    part: str
    tensor_axis: int | None = None  # consume: the axis of the node's input that is read
    input: int = 0  # consume: which of the node's inputs is read


@dataclass
class Ties:
    """Everything that the rules say about labels while a graph is traced."""

    count: int = 0
    bindings: list[Binding] = field(default_factory=list)
    equal: list[tuple[np.ndarray, np.ndarray, int]] = field(default_factory=list)
    protected: list[tuple[np.ndarray, str]] = field(default_factory=list)
    distinct: list[tuple[np.ndarray, str]] = field(default_factory=list)
    bound: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    silent: dict[int, str] = field(default_factory=dict)  # node -> why, where no label could tell


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer or operation, as its rule sees it while the graph is traced.

    Args:
        index: the node's place in the flat graph.
        op: the ``keras.Layer`` or ``keras.Operation``.
        name: its name, with the names of enclosing models before it.
        layouts: labels of each input tensor.
        in_shapes, out_shapes: shapes with the batch axis (``None`` where unknown).
        args, kwargs: the call's arguments; tensors stand as ``graph.TensorRef``.
        ties: where what is learnt is kept.
        inexact: whether layers that mix channels may be cut although the rest then changes.
        inputs: numbers of the input tensors, as ``TensorRef`` has them.
        uniform: whether all units of each input hold the same value (masks made of zeros).
    """

    index: int
    op: Any
    name: str
    layouts: tuple[Layout, ...]
    in_shapes: tuple[tuple[int | None, ...], ...]
    out_shapes: tuple[tuple[int | None, ...], ...]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    ties: Ties
    inexact: bool = False
    inputs: tuple[int, ...] = ()
    uniform: bool = False

    @property
    def layout(self) -> Layout:
        """Labels of the first input."""
        return self.layouts[0]

    @property
    def kind(self) -> str:
        """The class name of the layer or operation."""
        return type(self.op).__name__

    def given(self, position: int, name: str) -> list[int]:
        """Which inputs an argument of the call holds (masks and the like are inputs, too)."""
        value = self.args[position] if len(self.args) > position else self.kwargs.get(name)
        refs = [leaf for leaf in tree.flatten(value) if hasattr(leaf, "tensor")]
        return [self.inputs.index(ref.tensor) for ref in refs]

    def labels(self, axis: int, which: int = 0) -> Labels:
        """Labels of one axis of one input."""
        return self.layouts[which][axis]

    def new_units(self, count: int) -> np.ndarray:
        """Fresh labels for ``count`` units that this call makes (or made in an earlier call)."""
        first = self.ties.count
        self.ties.count += count
        return np.arange(first, first + count, dtype=np.int64)

    def produce(self, variable: Any, axis: int, labels: Labels, part: str = "") -> np.ndarray:
        """Bind units to the weight axis that makes them; returns the labels on that axis."""
        return self._bind(variable, axis, labels, "produce", part)

    def through(self, variable: Any, axis: int, labels: Labels) -> np.ndarray:
        """Bind units to per-unit parameters that they pass."""
        return self._bind(variable, axis, labels, "through", "")

    def consume(
        self,
        variable: Any,
        axis: int,
        labels: Labels,
        tensor_axis: int | None = -1,
        which: int = 0,
        part: str = "",
    ) -> np.ndarray:
        """Bind units to the weight rows that read them."""
        return self._bind(variable, axis, labels, "consume", part, tensor_axis, which)

    def _bind(
        self,
        variable: Any,
        axis: int,
        labels: Labels,
        role: Role,
        part: str,
        tensor_axis: int | None = None,
        which: int = 0,
    ) -> np.ndarray:
        axis %= len(variable.shape)
        if labels is None:
            labels = np.full(variable.shape[axis], FIXED, dtype=np.int64)
        known = self.ties.bound.get((id(variable), axis))
        if known is None:
            self.ties.bound[(id(variable), axis)] = labels
        else:  # a shared layer, called again: both calls read and make the same units
            self.tie(known, labels)
        self.ties.bindings.append(
            Binding(self.index, variable, axis, labels, role, part, tensor_axis, which)
        )
        return labels if known is None else known

    def bound(self, variable: Any, axis: int) -> Labels:
        """Labels that an earlier call of a shared layer bound to this weight axis."""
        return self.ties.bound.get((id(variable), axis % len(variable.shape)))

    def tie(self, a: Labels, b: Labels) -> Labels:
        """Index by index, what is labelled in ``a`` goes together with what is in ``b``."""
        if a is None and b is None:
            return None
        if a is None or b is None:
            self.protect(a if b is None else b, "joined with a tensor that has no units")
            return None
        self.ties.equal.append((a, b, self.index))
        return a

    def protect(self, labels: Labels, why: str) -> None:
        """These units stay, and ``why`` is told to the user."""
        if labels is not None:
            self.ties.protected.append((labels, f"{why} (at '{self.name}', {self.kind})"))

    def protect_all(self, why: str) -> tuple[Layout, ...]:
        """Every unit that reaches this call stays; the outputs carry no units."""
        self.ties.silent[self.index] = why
        for layout in self.layouts:
            for labels in layout:
                self.protect(labels, why)
        return tuple((None,) * len(shape) for shape in self.out_shapes)

    def keep_distinct(self, labels: Labels, why: str) -> None:
        """These units may go but not be merged: the call treats each differently."""
        if labels is not None:
            self.ties.distinct.append((labels, why))

    def only_axis(self, axis: int, why: str = "its spatial axes are read together") -> Labels:
        """Labels of ``axis``, after protecting labels on every other axis of the first input."""
        axis %= len(self.layout)
        for i, labels in enumerate(self.layout):
            if i != axis:
                self.protect(labels, why)
        return self.layout[axis]

    def replaced(self, axis: int, labels: Labels, rank: int | None = None) -> Layout:
        """The first input's layout with other labels on one axis (the rest as in the input)."""
        rank = len(self.layout) if rank is None else rank
        axis %= rank
        return tuple(labels if i == axis else self.layout[i] for i in range(rank))

    def fixed_output(self, axis: int, labels: Labels, which: int = 0) -> Layout:
        """An output layout with labels on one axis and nothing on the others."""
        rank = len(self.out_shapes[which])
        axis %= rank
        return tuple(labels if i == axis else None for i in range(rank))


@dataclass(frozen=True)
class Cut:
    """What surgery tells a rule that must change its layer's configuration.

    Args:
        size: ``(variable, axis) -> number of indices that stay``.
        keep: ``(labels) -> boolean mask of what stays``.
        in_shapes, out_shapes: the node's shapes after the cut (``None`` where unknown).
        kept: for each axis of each input, a mask of what stays; None where there are no units.
    """

    size: Callable[[Any, int], int]
    keep: Callable[[np.ndarray], np.ndarray]
    in_shapes: tuple[tuple[int | None, ...], ...]
    out_shapes: tuple[tuple[int | None, ...], ...]
    kept: tuple[tuple[np.ndarray | None, ...], ...] = ()


@dataclass(frozen=True)
class Slides:
    """How a kernel slides over the axes between batch and channels.

    Args:
        size, strides, dilation: one number for each of these axes.
        padding: "valid", "same" or "causal", as Keras has them.
        channels_last: whether the channels are the last axis, or the one after the batch.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str
    channels_last: bool


@dataclass(frozen=True)
class Linear:
    """What a layer adds up before its activation: ``rows @ kernel + bias``.

    Args:
        kernel: the weight, (..., columns of a row, outputs).
        bias: the weight that is added, or None.
        slides: where rows are patches of the input, how they are taken; None where they are the
            vectors along its last axis.
        plain: whether nothing follows, no activation.
    """

    kernel: Any
    bias: Any
    slides: Slides | None = None
    plain: bool = False


@dataclass(frozen=True)
class InputStatistics:
    """Mean and variance that a layer keeps of what it reads, and takes away from it.

    Args:
        mean, variance: weights or arrays.
        axis: of the input on which they lie; None where they are laid over it from its last axis.
        epsilon: what is added to the variance.
    """

    mean: Any
    variance: Any
    axis: int | None
    epsilon: float


class Rule:
    """Base of the rules: one subclass per layer type. A new layer type is a new subclass.

    Only ``trace`` must be written. The rest is what the layer is for fitting, for what is known
    of the inputs, for its cost and for bounds; what is not told is not used.
    """

    types: ClassVar[tuple[type, ...]] = ()
    names: ClassVar[tuple[str, ...]] = ()  # class names inside Keras that have no public path

    def trace(self, call: Call) -> Layout | Sequence[Layout]:
        """Read the inputs' labels, tie and bind them, and return the outputs' labels."""
        raise NotImplementedError

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        """The layer's configuration after a cut (most layers' does not change)."""
        return config

    def rewire(self, made: Any, cut: Cut) -> Any:
        """What stands for the new operation, where its call names entries by their numbers."""
        return made

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        """Floating-point operations of one call on one sample; a multiply-add counts as two.

        Axes of unknown length count as one. Layers that only move values cost nothing.
        """
        return 0

    def linear(self, op: Any) -> Linear | None:
        """What least squares may fit as a whole; None: only the rows that read units alike."""
        return None

    def statistics(self, op: Any) -> InputStatistics | None:
        """What the layer remembers of the values that it reads; None for nothing."""
        return None

    def scaling(self, op: Any) -> tuple[Any, Any] | None:
        """Factor and offset, where outputs are ``factor * input + offset`` at the same or other
        places, or padding; None where they are anything else."""
        return None

    def recurrences(self, op: Any) -> tuple[Any, ...]:
        """The recurrent layers that a call runs: one, or one for each direction.

        Each has a ``cell`` with ``units``, ``kernel``, ``recurrent_kernel`` and ``bias``.
        """
        return ()

    def lower(self, op: Any, low: Algebra, inputs: Sequence[Value]) -> Any:
        """What the layer computes at inference, in the algebra that bounds understand.

        Returns the output value (or one per output); ``NotImplemented`` where there is no rule,
        and then a network with this layer has no certificate.
        """
        return NotImplemented


_BY_TYPE: dict[type, Rule] = {}
_BY_NAME: dict[str, Rule] = {}


def register(rule: type[Rule]) -> type[Rule]:
    """Class decorator: make a rule known for the layer types that it names."""
    instance = rule()
    for kind in rule.types:
        _BY_TYPE[kind] = instance
    for name in rule.names:
        _BY_NAME[name] = instance
    return rule


def linear_of(op: Any) -> Linear | None:
    """What a layer adds up before its activation, where its rule tells."""
    rule = rule_for(op)
    return None if rule is None else rule.linear(op)


def statistics_of(op: Any) -> InputStatistics | None:
    """What a layer remembers of the values that it reads, where its rule tells."""
    rule = rule_for(op)
    return None if rule is None else rule.statistics(op)


def rule_for(op: Any) -> Rule | None:
    """The rule for a layer or operation, or None where its meaning for channels is not known.

    A subclass is served by its parent's rule as long as it does not change ``call``.
    """
    for kind in type(op).__mro__:
        found = _BY_TYPE.get(kind)
        if found is not None:
            return found if getattr(type(op), "call", None) is kind.call else None  # type: ignore[attr-defined]
    if type(op).__module__.startswith("keras.src."):
        return _BY_NAME.get(type(op).__name__)
    return None
