"""What is left of a model under any state of its weights, without building the smaller model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from paoding.criteria import magnitude
from paoding.graph import Graph, State
from paoding.layers.base import rule_for


@dataclass(frozen=True)
class Cost:
    """What a model costs: parameters, operations a sample, bytes of its weights."""

    parameters: int
    flops: int
    bytes: int


class Insight:
    """Costs and importances of a traced model under any state of its weights."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._layer_of = _layers_of_variables(graph)
        # The seeds of dropout are variables too, and no weights of the model.
        own = {id(weight) for weight in graph.model.weights}
        self._weights = [id(variable) in own for variable in graph.variables]

    def magnitudes(self, state: State) -> dict[str, np.ndarray]:
        """Mean absolute weight of each unit of the groups that can be pruned."""
        found = {}
        for group in self.graph.prunable:
            values = magnitude(group, state).astype(np.float64)
            values[~(state.alive[group.ids] & group.removable)] = np.nan
            found[group.name] = values
        return found

    def shapes(self, state: State) -> list[tuple[int, ...]]:
        """The shape of each of the graph's variables once removed units are cut away."""
        kept = {
            key: int(((ids < 0) | state.alive[np.maximum(ids, 0)]).sum())
            for key, ids in self.graph.axes.items()
        }
        return [
            tuple(kept.get((number, axis), size) for axis, size in enumerate(variable.shape))
            for number, variable in enumerate(self.graph.variables)
        ]

    def parameters(self, state: State) -> dict[str, int]:
        """Parameters left in each layer that has any, in the order of data flow."""
        found: dict[str, int] = {}
        for number, shape in enumerate(self.shapes(state)):
            layer = self._layer_of.get(number)
            if layer is not None:
                found[layer] = found.get(layer, 0) + math.prod(shape)
        return found

    def cost(self, state: State) -> Cost:
        """Parameters, operations and bytes of the smaller model."""
        shapes = self.shapes(state)
        counts = [math.prod(shape) * own for shape, own in zip(shapes, self._weights, strict=True)]
        sizes = [np.dtype(value.dtype).itemsize for value in state.values]
        cut = {id(v): shape for v, shape in zip(self.graph.variables, shapes, strict=True)}
        flops = 0
        for node in self.graph.nodes:
            rule = rule_for(node.op)
            if rule is not None:
                flops += rule.flops(
                    _Cut(node.op, cut),
                    tuple(self.graph.shape_after(t, state.alive) for t in node.inputs),
                    tuple(self.graph.shape_after(t, state.alive) for t in node.outputs),
                )
        total = sum(count * size for count, size in zip(counts, sizes, strict=True))
        return Cost(sum(counts), flops, total)


class _Cut:
    """A layer whose weights seem to have the shapes that they will have after the cut."""

    def __init__(self, op: Any, shapes: dict[int, tuple[int, ...]]) -> None:
        self._op = op
        self._shapes = shapes

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._op, name)
        shape = self._shapes.get(id(value))
        if shape is not None:
            return _Shaped(shape)
        return _Cut(value, self._shapes) if hasattr(value, "weights") else value


@dataclass(frozen=True)
class _Shaped:
    shape: tuple[int, ...]


def _layers_of_variables(graph: Graph) -> dict[int, str]:
    """Number of a variable -> the name of the first layer that holds it."""
    found: dict[int, str] = {}
    for node in graph.nodes:
        for variable in getattr(node.op, "weights", []):
            number = graph.numbers.get(id(variable))
            if number is not None:
                found.setdefault(number, node.name)
    return dict(sorted(found.items(), key=lambda item: item[0]))
