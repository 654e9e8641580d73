"""A model as a flat list of calls over numbered tensors, with nested models opened up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class TensorRef:
    """A tensor of the flat graph, by its number."""

    tensor: int


@dataclass(frozen=True, eq=False)
class Node:
    """One call of one layer or operation, nested models opened up.

    Args:
        index: place in topological order.
        op: the ``keras.Layer`` or ``keras.Operation`` that is called.
        name: its name, after the names of the models that enclose it.
        inputs, outputs: numbers of the tensors that it reads and makes.
        in_shapes, out_shapes: their shapes, the batch axis first.
        args, kwargs: the call's arguments, with a ``TensorRef`` for each tensor.
        source: the Keras node itself (surgery looks calls up by it).
    """

    index: int
    op: Any
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    in_shapes: tuple[Shape, ...]
    out_shapes: tuple[Shape, ...]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    source: Any

    @property
    def kind(self) -> str:
        """The class name of the layer or operation."""
        return type(self.op).__name__


@dataclass(frozen=True, eq=False)
class Flat:
    """A model as a list of calls over numbered tensors.

    Args:
        nodes: the calls, in topological order.
        inputs, outputs: tensors of the model.
        shapes: of every tensor, the batch axis first.
        dtypes: of every tensor.
        entries: ``id`` of each model inside (and of the whole) -> tensors of its first call.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: tuple[Shape, ...]
    dtypes: tuple[str, ...]
    entries: dict[int, tuple[int, ...]]
