"""A model as calls, weights and coupled groups of units: what every other room works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from paoding.graph import keras_internals, sizes
from paoding.graph.coupling import Coupling
from paoding.graph.flat import Flat, Node
from paoding.graph.group import Group
from paoding.layers import FIXED, Layout


@dataclass(frozen=True, eq=False)
class State:
    """Weights at their original shapes, and which units are still there.

    A step makes a new state; arrays that it does not touch are shared with the old one.
    """

    values: tuple[np.ndarray, ...]
    alive: np.ndarray

    def replace(self, changed: dict[int, np.ndarray], alive: np.ndarray | None = None) -> State:
        """A state with some weights (and masks) exchanged."""
        values = list(self.values)
        for number, value in changed.items():
            value.flags.writeable = False
            values[number] = value
        return State(tuple(values), self.alive if alive is None else alive)


@dataclass(frozen=True, eq=False)
class Graph:
    """Calls, weights and coupled groups of a model; printing it tells what can be pruned.

    Args:
        model: the user's model; it is only read.
        flat: its calls, nested models opened up.
        variables: its weights, each once.
        groups: coupled groups, in the order in which data meets them.
        layouts: labels of each tensor.
        coupling: how labels became units.
        unknown: layers without a rule -> what that protects.
        inexact: whether units that a LayerNormalization mixes are offered too.
    """

    model: Any
    flat: Flat
    variables: tuple[Any, ...]
    groups: tuple[Group, ...]
    layouts: tuple[Layout, ...]
    coupling: Coupling
    unknown: dict[str, str] = field(default_factory=dict)
    inexact: bool = False

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The calls, in topological order."""
        return self.flat.nodes

    @property
    def prunable(self) -> tuple[Group, ...]:
        """Groups of which at least one unit may go."""
        return tuple(group for group in self.groups if group.prunable)

    @property
    def protected(self) -> list[tuple[str, str]]:
        """Layers that keep all their units, each with the reason."""
        return [(g.name, g.reason or "") for g in self.groups if not g.prunable] + [
            (name, why) for name, why in self.unknown.items()
        ]

    @cached_property
    def numbers(self) -> dict[int, int]:
        """``id(variable)`` -> its number."""
        return {id(v): i for i, v in enumerate(self.variables)}

    @cached_property
    def by_name(self) -> dict[str, Group]:
        """Groups by name."""
        return {group.name: group for group in self.groups}

    @cached_property
    def axes(self) -> dict[tuple[int, int], np.ndarray]:
        """(variable number, axis) -> unit number of the whole graph for each index, or FIXED."""
        found: dict[tuple[int, int], np.ndarray] = {}
        for group in self.groups:
            for m in group.members:
                ids = np.where(m.unit == FIXED, FIXED, group.ids[np.maximum(m.unit, 0)])
                known = found.get((m.variable, m.axis))
                found[(m.variable, m.axis)] = ids if known is None else np.maximum(known, ids)
        return found

    @cached_property
    def original(self) -> State:
        """The model's own weights, every unit alive."""
        values = []
        for variable in self.variables:
            value = np.array(variable.numpy())
            value.flags.writeable = False
            values.append(value)
        return State(tuple(values), np.ones(int(self.coupling.unit.max(initial=-1)) + 1, bool))

    def number(self, variable: Any) -> int:
        """The number of a weight."""
        return self.numbers[id(variable)]

    def weights(self, state: State) -> Any:
        """``weights(variable) -> array`` for rules, under a state."""
        return lambda variable: state.values[self.number(variable)]

    def keep(self, labels: np.ndarray, alive: np.ndarray) -> np.ndarray:
        """Mask of the indices of a labelled axis that stay."""
        units = self.coupling.units_of(labels)
        return (units == FIXED) | alive[np.maximum(units, 0)]

    def shape_after(self, tensor: int, alive: np.ndarray) -> tuple[int | None, ...]:
        """A tensor's shape once the units that are not alive have gone."""
        return tuple(
            size if labels is None else int(self.keep(labels, alive).sum())
            for size, labels in zip(self.flat.shapes[tensor], self.layouts[tensor], strict=True)
        )

    @property
    def input_shapes(self) -> list[tuple[int, ...]]:
        """Shape of one sample of each input; open axes count as 1 (bounds hold per value)."""
        shapes = [self.flat.shapes[t][1:] for t in self.flat.inputs]
        return [tuple(1 if size is None else int(size) for size in shape) for shape in shapes]

    @cached_property
    def _sizes(self) -> tuple[tuple[sizes.Shape, ...], list[sizes.Shape]] | None:
        return sizes.sample_shapes(self.flat)

    @property
    def sized(self) -> bool:
        """Whether lengths of all open axes were found, if there are any."""
        return self._sizes is not None

    @cached_property
    def sample_shapes(self) -> list[tuple[int, ...]]:
        """Shape of one synthetic sample of each input: open axes are as short as will run."""
        if self._sizes is not None:
            return list(self._sizes[0])
        shapes = [self.flat.shapes[t][1:] for t in self.flat.inputs]
        return [tuple(sizes.SHORTEST if n is None else int(n) for n in s) for s in shapes]

    @cached_property
    def sample_nodes(self) -> tuple[Node, ...]:
        """The calls with their shapes on one such sample: for what a pass costs."""
        found = self._sizes
        if found is None or not any(None in s[1:] for s in self.flat.shapes):
            return self.nodes
        shapes = [(1, *shape) for shape in found[1]]
        return tuple(
            replace(
                node,
                in_shapes=tuple(shapes[t] for t in node.inputs),
                out_shapes=tuple(shapes[t] for t in node.outputs),
            )
            for node in self.nodes
        )

    def run(self, state: State, inputs: Sequence[Any], wanted: Sequence[int]) -> list[np.ndarray]:
        """Tensors of the graph for a batch of inputs, under a state's weights.

        Args:
            state: weights at original shapes.
            inputs: one array per model input, batch first.
            wanted: tensor numbers.
        """
        changed = {
            i: value for i, value in enumerate(state.values) if value is not self.original.values[i]
        }
        return keras_internals.run(
            self.flat, list(inputs), changed, list(self.variables), list(wanted)
        )

    def to_dict(self) -> dict[str, Any]:
        """What can be pruned and why the rest cannot, as plain values for JSON."""
        return {
            "model": self.model.name,
            "parameters": int(sum(int(np.prod(v.shape)) for v in self.variables)),
            "groups": [group.to_dict() for group in self.groups],
            "protected": [{"layer": n, "reason": why} for n, why in self.protected],
        }

    def __str__(self) -> str:
        units = sum(int(g.removable.sum()) for g in self.prunable)
        head = (
            f"{self.model.name}: {len(self.prunable)} of {len(self.groups)} groups can be "
            f"pruned, {units} units in all"
        )
        body = [str(group) for group in self.groups]
        body += [f"{name}: {why}" for name, why in self.unknown.items()]
        return "\n".join([head, *body])
