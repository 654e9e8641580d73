"""Surgery: from masked weights to a new, physically smaller model; the original is only read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from paoding.graph import keras_internals
from paoding.graph.flat import Node
from paoding.graph.graph import Graph, State
from paoding.layers import Cut, rule_for


def cut(graph: Graph, state: State) -> Any:
    """Build the smaller model that a state describes.

    Args:
        graph: the traced original.
        state: weights at original shapes, with the removed units' consumers at zero.

    Returns:
        A new ``keras.Model`` with the same names, dtypes and trainable flags; compiled like
        the original where that can be kept.
    """
    return _rebuild(graph, state, state.alive)


def mask(graph: Graph, state: State) -> Any:
    """Build a model of the original's shape with a state's weights."""
    return _rebuild(graph, state, np.ones_like(state.alive))


def _rebuild(graph: Graph, state: State, alive: np.ndarray) -> Any:
    kept = _kept(graph, alive)
    calls: dict[int, Node] = {}
    for node in graph.nodes:
        calls.setdefault(id(node.op), node)

    def size(variable: Any, axis: int) -> int:
        axis %= len(variable.shape)
        mask_of = kept.get((graph.number(variable), axis))
        return int(variable.shape[axis]) if mask_of is None else int(mask_of.sum())

    def rebuild(op: Any, config: dict[str, Any]) -> Any:
        rule = rule_for(op)
        if rule is None or id(op) not in calls:
            return keras_internals.revive(op, config)
        cut_of = _cut_of(graph, calls[id(op)], alive, size)
        made = keras_internals.revive(op, rule.resize(op, config, cut_of))
        return rule.rewire(made, cut_of)

    smaller = keras_internals.clone(
        graph.model, graph.flat, rebuild, lambda tensor: graph.shape_after(tensor, alive)
    )
    _fill(graph, state, kept, smaller)
    keras_internals.copy_own_state(graph.model, smaller)
    keras_internals.copy_compilation(graph.model, smaller)
    return smaller


def _cut_of(graph: Graph, node: Node, alive: np.ndarray, size: Callable[[Any, int], int]) -> Cut:
    """What a cut does to one call."""

    def keep(labels: np.ndarray) -> np.ndarray:
        return graph.keep(labels, alive)

    before, after = (
        tuple(graph.shape_after(t, alive) for t in tensors)
        for tensors in (node.inputs, node.outputs)
    )
    kept = tuple(
        tuple(None if labels is None else keep(labels) for labels in graph.layouts[t])
        for t in node.inputs
    )
    return Cut(size, keep, before, after, kept)


def _kept(graph: Graph, alive: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """Mask of the indices that stay along every weight axis that holds units."""
    return {key: (ids < 0) | alive[np.maximum(ids, 0)] for key, ids in graph.axes.items()}


def sliced(
    graph: Graph, state: State, kept: dict[tuple[int, int], np.ndarray], number: int
) -> np.ndarray:
    """One weight of a state, cut along every axis that holds units."""
    value = state.values[number]
    for axis in range(value.ndim):
        mask_of = kept.get((number, axis))
        if mask_of is not None and not mask_of.all():
            value = np.compress(mask_of, value, axis=axis)
    return value


def _fill(
    graph: Graph, state: State, kept: dict[tuple[int, int], np.ndarray], smaller: Any
) -> None:
    pairs = zip(
        keras_internals.all_weights(graph.model), keras_internals.all_weights(smaller), strict=True
    )
    for old, new in pairs:
        value = sliced(graph, state, kept, graph.number(old))
        if tuple(new.shape) != value.shape:
            raise RuntimeError(
                f"weight '{old.path}' has shape {value.shape} after the cut, but its new layer "
                f"wants {tuple(new.shape)}; this is a fault in the layer's rule"
            )
        new.assign(value)
        new.trainable = old.trainable


def read_back(graph: Graph, state: State, smaller: Any) -> State:
    """The state that a smaller model's weights stand for: :func:`cut` of it gives that model.

    Args:
        graph: the traced original.
        state: the state that the smaller model was cut from; what it lacks stays as it is here.
        smaller: a model that :func:`cut` made, with other weights by now.
    """
    kept = _kept(graph, state.alive)
    changed: dict[int, np.ndarray] = {}
    pairs = zip(
        keras_internals.all_weights(graph.model), keras_internals.all_weights(smaller), strict=True
    )
    for old, new in pairs:
        number, found = graph.number(old), np.asarray(new)
        if np.array_equal(found, sliced(graph, state, kept, number)):
            continue
        value = state.values[number].copy()
        masks = [kept.get((number, axis)) for axis in range(value.ndim)]
        every = [np.arange(n) if m is None else m for m, n in zip(masks, value.shape, strict=True)]
        value[np.ix_(*every)] = found
        changed[number] = value
    return state.replace(changed, state.alive)
