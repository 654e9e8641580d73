"""Constraints of weights, such as NonNeg or UnitNorm: what survivors take over keeps to them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from paoding.graph import Graph, State


def constrained(graph: Graph) -> dict[str, str]:
    """Weights that a constraint holds, each with the constraint's name."""
    found = {}
    for node in graph.nodes:
        for variable in getattr(node.op, "variables", ()):
            if _rule(variable) is not None:
                found[f"{node.name}/{variable.name}"] = type(_rule(variable)).__name__
    return found


def projected(graph: Graph, state: State) -> State:
    """A state whose changed weights keep to their constraints.

    Weights that nothing changed stay as they are, even where they break theirs.
    """
    changed: dict[int, np.ndarray] = {}
    for number, variable in enumerate(graph.variables):
        rule, value = _rule(variable), state.values[number]
        if rule is None or np.array_equal(value, graph.original.values[number]):
            continue
        kept = keras.ops.convert_to_numpy(rule(keras.ops.convert_to_tensor(value)))
        if not np.array_equal(kept, value):
            changed[number] = kept.astype(value.dtype)
    return state.replace(changed, state.alive) if changed else state


def _rule(variable: Any) -> Any:
    return getattr(variable, "constraint", None)
