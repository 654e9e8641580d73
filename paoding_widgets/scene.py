"""A traced model as the plain values that the structure view draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from paoding.graph import Graph
from paoding.layers import FIXED

ABSENT = -1
CANNOT_GO = -2
# Of a layer, as Keras names them; js/packages/core/src/attributes.ts puts them in words.
_ATTRIBUTES = (
    *("kernel_size", "pool_size", "strides", "padding", "dilation_rate", "groups"),
    *("depth_multiplier", "activation", "rate", "epsilon", "num_heads", "key_dim"),
    "return_sequences",
)


@dataclass(frozen=True, eq=False)
class Scene:
    """What is drawn, and where each group's units lie in the flat arrays that go with it.

    Args:
        values: nodes and groups as plain values, for JSON.
        starts: group name -> its first place in the flat arrays.
        total: units of all groups.
        fixed: (total,) whether a unit can never go.
    """

    values: dict[str, Any]
    starts: dict[str, int]
    total: int
    fixed: np.ndarray

    @classmethod
    def empty(cls, name: str) -> Scene:
        """The scene of a model that can't be read."""
        return cls({"name": name, "nodes": [], "groups": []}, {}, 0, np.zeros(0, bool))

    def flat(self, per_group: Mapping[str, np.ndarray], fill: float = np.nan) -> np.ndarray:
        """Lay per-unit values of the groups end to end, as float32; absent groups get ``fill``."""
        out = np.full(self.total, fill, dtype=np.float32)
        for name, values in per_group.items():
            if name in self.starts:
                start = self.starts[name]
                out[start : start + len(values)] = values
        return out


def make_scene(graph: Graph) -> Scene:
    """Turn a traced model into what the structure view draws.

    Args:
        graph: the traced model.

    Returns:
        The scene: model inputs and calls in the order of data flow, and groups of units.
    """
    starts: dict[str, int] = {}
    total = 0
    for group in graph.groups:
        starts[group.name] = total
        total += group.units
    fixed = np.concatenate([~g.removable for g in graph.groups] or [np.zeros(0, bool)])
    groups = [
        {
            "name": g.name,
            "units": g.units,
            "prunable": g.prunable,
            "reason": g.reason or "",
            "start": starts[g.name],
        }
        for g in graph.groups
    ]
    values = {"name": graph.model.name, "nodes": _nodes(graph), "groups": groups}
    return Scene(values, starts, total, fixed)


def _nodes(graph: Graph) -> list[dict[str, Any]]:
    made = _made_units(graph)
    unknown = graph.unknown
    source: dict[int, int] = {}
    nodes: list[dict[str, Any]] = []
    for tensor in graph.flat.inputs:
        source[tensor] = len(nodes)
        shape = _shape_text(graph.flat.shapes[tensor])
        nodes.append(_node(f"input {len(nodes) + 1}", "Input", shape, [], 0))
    counted: set[int] = set()
    for call in graph.nodes:
        inputs = list(dict.fromkeys(source[t] for t in call.inputs if t in source))
        weights = [] if id(call.op) in counted else getattr(call.op, "weights", [])
        counted.add(id(call.op))
        parameters = sum(int(np.prod(w.shape)) for w in weights)
        shape = _shape_text(call.out_shapes[0]) if call.out_shapes else ""
        node = _node(call.name, call.kind, shape, inputs, parameters)
        node["note"] = unknown.get(call.name, "")
        node["attributes"] = _attributes(call.op)
        if call.index in made:
            number, units = made[call.index]
            group = graph.groups[number]
            node |= {"units": len(units), "group": number}
            node["note"] = node["note"] or ("" if group.prunable else group.reason or "")
            if not np.array_equal(units, np.arange(group.units)):
                node["map"] = units.tolist()
        for tensor in call.outputs:
            source[tensor] = len(nodes)
        nodes.append(node)
    return nodes


def _node(name: str, op: str, detail: str, inputs: list[int], parameters: int) -> dict[str, Any]:
    return {
        "name": name,
        "op": op,
        "detail": detail,
        "inputs": inputs,
        "units": 0,
        "group": ABSENT,
        "parameters": parameters,
        "note": "",
    }


def _attributes(op: Any) -> dict[str, Any]:
    """What a layer is set to, as far as a card or a table shows it."""
    found: dict[str, Any] = {}
    for name in _ATTRIBUTES:
        value = getattr(op, name, None)
        if name == "activation" and callable(value):
            value = getattr(value, "__name__", None)
        if isinstance(value, tuple | list) and all(isinstance(one, int) for one in value):
            found[name] = [int(one) for one in value]
        elif isinstance(value, bool | int | float | str):
            found[name] = value
    return found


def _made_units(graph: Graph) -> dict[int, tuple[int, np.ndarray]]:
    """Call -> the group of which it makes most units, and which of them, in its own order."""
    found: dict[int, tuple[int, np.ndarray]] = {}
    for number, group in enumerate(graph.groups):
        for member in group.members:
            if member.role != "produce":
                continue
            units = _in_order(member.unit)
            known = found.get(member.binding.node)
            if known is None or np.sum(units >= 0) > np.sum(known[1] >= 0):
                found[member.binding.node] = (number, units)
    return found


def _in_order(units: np.ndarray) -> np.ndarray:
    """The units of an axis, each once, in the order in which they first come."""
    _, first = np.unique(units[units != FIXED], return_index=True)
    own = units[units != FIXED][np.sort(first)]
    # An axis shared with units of other groups keeps its length, so that squares stay in place.
    return units.copy() if len(own) < len(units) and FIXED in units else own


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return " × ".join("?" if size is None else str(size) for size in shape[1:])
