"""The one place that touches what Keras keeps private: its nodes, histories and containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import tree

from paoding.errors import ModelError

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
    """A model as a list of calls over numbered tensors."""

    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: tuple[Shape, ...]


def is_container(op: Any) -> bool:
    """Whether ``op`` is a nested model whose graph can be opened."""
    return functional_of(op) is not None


def functional_of(model: Any) -> Any:
    """The ``Functional`` behind a model, or None where the model has no layer graph."""
    if isinstance(model, keras.Sequential):
        return model._functional
    if isinstance(model, keras.Model) and hasattr(model, "_nodes_by_depth"):
        return model
    return None


def require_graph(model: Any) -> Any:
    """The ``Functional`` behind ``model``, or a ``ModelError`` that says what is missing."""
    if not isinstance(model, keras.Model):
        raise ModelError(
            f"A keras.Model is needed, but this is a {type(model).__module__}."
            f"{type(model).__name__}; load it with paoding.load_model(path)."
        )
    functional = functional_of(model)
    if functional is None and isinstance(model, keras.Sequential):
        raise ModelError(
            f"Model '{model.name}' has not been built, so its shapes are unknown: add an "
            "Input layer, or call model.build(input_shape)."
        )
    if functional is None:
        raise ModelError(
            f"Model '{model.name}' is a subclass of keras.Model ({type(model).__name__}) without "
            "a layer graph: rebuild it as a functional or Sequential model to prune it."
        )
    return functional


def flatten(model: Any) -> Flat:
    """Open ``model`` and the models inside it into one list of calls.

    Args:
        model: a built functional or Sequential ``keras.Model``.

    Returns:
        The calls in topological order.

    Raises:
        ModelError: the model has no layer graph.
    """
    functional = require_graph(model)
    shapes: list[Shape] = []
    nodes: list[Node] = []

    def new_tensor(symbol: Any) -> int:
        shapes.append(tuple(symbol.shape))
        return len(shapes) - 1

    def visit(inner: Any, arguments: list[int], prefix: str) -> list[int]:
        ids = {id(symbol): t for symbol, t in zip(inner.inputs, arguments, strict=True)}
        for source in calls_of(inner):
            if any(id(symbol) not in ids for symbol in source.input_tensors):
                continue  # not computable from this model's inputs
            nested = functional_of(source.operation)
            reads = [ids[id(symbol)] for symbol in source.input_tensors]
            if nested is not None:
                made = visit(nested, reads, f"{prefix}{source.operation.name}/")
            else:
                made = [new_tensor(symbol) for symbol in source.outputs]
                nodes.append(_node(len(nodes), source, prefix, reads, made, ids, shapes))
            ids.update((id(symbol), t) for symbol, t in zip(source.outputs, made, strict=True))
        return [ids[id(symbol)] for symbol in inner.outputs]

    inputs = [new_tensor(symbol) for symbol in functional.inputs]
    outputs = visit(functional, inputs, "")
    return Flat(tuple(nodes), tuple(inputs), tuple(outputs), tuple(shapes))


def _node(
    index: int,
    source: Any,
    prefix: str,
    reads: list[int],
    made: list[int],
    ids: dict[int, int],
    shapes: list[Shape],
) -> Node:
    def ref(value: Any) -> Any:
        return TensorRef(ids[id(value)]) if isinstance(value, keras.KerasTensor) else value

    return Node(
        index=index,
        op=source.operation,
        name=prefix + source.operation.name,
        inputs=tuple(reads),
        outputs=tuple(made),
        in_shapes=tuple(shapes[t] for t in reads),
        out_shapes=tuple(shapes[t] for t in made),
        args=tree.map_structure(ref, tuple(source.arguments.args)),
        kwargs=tree.map_structure(ref, dict(source.arguments.kwargs)),
        source=source,
    )


def calls_of(functional: Any) -> Iterator[Any]:
    """The calls inside one functional model, inputs first (not those of nested models)."""
    by_depth = functional._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if node.operation is not None and not node.is_input:
                yield node


def clone(model: Any, rebuild: Callable[[Any, Any], Any]) -> Any:
    """The same model out of new layers; ``rebuild(op, config)`` makes each of them once.

    Nested models are cloned from the inside; the original's layers are never called on
    symbols again, so that nothing is added to them.
    """
    made: dict[int, Any] = {}

    def new(op: Any) -> Any:
        if id(op) not in made:
            made[id(op)] = clone(op, rebuild) if is_container(op) else rebuild(op, config_of(op))
        return made[id(op)]

    cloned = keras.models.clone_model(model, clone_function=new)
    cloned.trainable = model.trainable
    return cloned


def config_of(op: Any) -> dict[str, Any]:
    """The constructor arguments of a layer or operation."""
    return dict(op.get_config())


def revive(op: Any, config: dict[str, Any]) -> Any:
    """A new layer or operation of the same class; custom classes need no registration."""
    if isinstance(op, keras.layers.InputLayer):
        return type(op).from_config(config)
    return type(op).from_config(config)


def all_weights(model: Any) -> list[Any]:
    """Every variable of a model, seed generators' state included, each once, in order."""
    seen: dict[int, Any] = {}
    for variable in model.variables:
        seen.setdefault(id(variable), variable)
    return list(seen.values())


def run(
    flat: Flat,
    inputs: list[Any],
    values: dict[int, Any],
    variables: list[Any],
    wanted: list[int],
) -> list[np.ndarray]:
    """Tensors of the graph for concrete inputs, under other weights than the model's own.

    Args:
        flat: the graph.
        inputs: one array per model input, batch first.
        values: variable number -> array to use in place of the variable's value.
        variables: the variables that the numbers mean.
        wanted: numbers of the tensors to return.
    """
    known: dict[int, Any] = dict(zip(flat.inputs, map(keras.ops.convert_to_tensor, inputs)))
    left = dict.fromkeys(wanted, True)
    last = max((n.index for n in flat.nodes if set(n.outputs) & set(left)), default=-1)
    uses: dict[int, int] = {}
    for node in flat.nodes[: last + 1]:
        for t in node.inputs:
            uses[t] = uses.get(t, 0) + 1

    mapping = [(variables[i], keras.ops.cast(v, variables[i].dtype)) for i, v in values.items()]
    with keras.StatelessScope(state_mapping=mapping):
        for node in flat.nodes[: last + 1]:
            known.update(zip(node.outputs, call(node, known), strict=True))
            for t in node.inputs:  # memory: forget what nobody reads again
                uses[t] -= 1
                if not uses[t] and t not in left and t not in flat.inputs:
                    known.pop(t, None)
    return [np.asarray(known[t]) for t in wanted]


def call(node: Node, known: Mapping[int, Any]) -> list[Any]:
    """The output tensors of one node at inference, from the tensors that it reads by number."""

    def resolve(value: Any) -> Any:
        return known[value.tensor] if isinstance(value, TensorRef) else value

    args = tree.map_structure(resolve, node.args)
    kwargs = tree.map_structure(resolve, node.kwargs)
    if isinstance(node.op, keras.layers.Layer) and node.op._call_has_training_arg:
        kwargs["training"] = False
    return list(tree.flatten(node.op(*args, **kwargs)))
