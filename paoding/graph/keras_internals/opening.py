"""Open a model: the layer graph behind it as a flat list of calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import keras
from keras import tree
from keras.src.models.functional import Functional

from paoding.errors import ModelError
from paoding.graph.flat import Flat, Node, Shape, TensorRef

# What TensorFlow takes for a name inside a graph; a model may come from another backend.
_SCOPE_NAME = re.compile(r"[A-Za-z0-9_.\\/>-]*")


def is_container(op: Any) -> bool:
    """Whether ``op`` is a nested model whose graph can be opened."""
    return functional_of(op) is not None


def functional_of(model: Any) -> Any:
    """The ``Functional`` behind a model, or None where the model has no layer graph."""
    if isinstance(model, keras.Sequential):
        return model._functional if type(model).call is keras.Sequential.call else None
    if isinstance(model, Functional) and type(model).call is Functional.call:
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
    if functional is None and isinstance(model, keras.Sequential | Functional) and model.built:
        raise ModelError(
            f"Model '{model.name}' ({type(model).__name__}) has a call method of its own, so its "
            "layer graph does not say what it computes: rebuild it without one to prune it."
        )
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
    _require_model_name(functional.name)
    shapes: list[Shape] = []
    dtypes: list[str] = []
    nodes: list[Node] = []
    entries: dict[int, tuple[int, ...]] = {}

    def new_tensor(symbol: Any) -> int:
        shapes.append(tuple(symbol.shape))
        dtypes.append(str(symbol.dtype))
        return len(shapes) - 1

    def visit(inner: Any, arguments: list[int], prefix: str) -> list[int]:
        entries.setdefault(id(inner), tuple(arguments))
        ids = {id(symbol): t for symbol, t in zip(inner.inputs, arguments, strict=True)}
        for source in calls_of(inner):
            if any(id(symbol) not in ids for symbol in source.input_tensors):
                continue  # not computable from this model's inputs
            _require_name(source.operation, prefix)
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
    kinds = tuple(dtypes)
    return Flat(tuple(nodes), tuple(inputs), tuple(outputs), tuple(shapes), kinds, entries)


def _require_model_name(name: str) -> None:
    if "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise ModelError(
            f"Model {name!a} has a name that no file can hold: rename it, with whole letters only."
        )


def _require_name(op: Any, prefix: str) -> None:
    if not _SCOPE_NAME.fullmatch(op.name):
        raise ModelError(
            f"Layer '{prefix}{op.name}' has a name with which TensorFlow cannot run it: rename it, "
            "with letters from a to z, digits, and . _ - only."
        )


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


def pack(model: Any, inputs: Iterable[Any]) -> Any:
    """Inputs in their order, as in ``inputs``, in the form in which the model takes them."""
    given = list(inputs)
    if isinstance(model, keras.Sequential):
        return given[0]
    return tree.pack_sequence_as(require_graph(model)._inputs_struct, given)


def names_of(model: Any) -> tuple[list[str], list[str]]:
    """The names of a model's inputs and outputs in their order: those of its dictionaries first."""
    functional = require_graph(model)

    def keys(struct: Any, otherwise: list[str]) -> list[str]:
        plain = isinstance(struct, dict) and len(struct) == len(otherwise)
        return sorted(map(str, struct)) if plain else otherwise

    inputs = keys(functional._inputs_struct, [x.name for x in functional.inputs])
    return inputs, keys(functional._outputs_struct, list(functional.output_names))


def inner_layers(op: Any) -> list[Any]:
    """Every layer inside of a layer or model, at any depth; of an operation none."""
    is_layer = isinstance(op, keras.layers.Layer)
    return list(op._flatten_layers(include_self=False)) if is_layer else []


def all_weights(model: Any) -> list[Any]:
    """Every variable of a model, seed generators' state included, each once, in order."""
    seen: dict[int, Any] = {}
    for variable in model.variables:
        seen.setdefault(id(variable), variable)
    return list(seen.values())
