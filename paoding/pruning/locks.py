"""Units that a person keeps for good: a graph in which they may not go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from paoding.errors import ArgumentError
from paoding.graph import Graph

KEPT = "kept for good"


def unit_locks(graph: Graph, patterns: Sequence[str]) -> dict[str, set[int]]:
    """Group name -> units that patterns of the form ``layer:unit`` keep.

    Raises:
        ArgumentError: the layer has no unit of that number.

    >>> import keras, paoding
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, name="hidden"),
    ...                           keras.layers.Dense(2)])
    >>> unit_locks(paoding.inspect(model), ["hidden:3", "Dense"])
    {'hidden': {3}}
    """
    found: dict[str, set[int]] = {}
    for pattern in patterns:
        name, colon, number = pattern.rpartition(":")
        group = graph.by_name.get(name)
        if not colon or group is None or not number.isdecimal():
            continue
        if int(number) >= group.units:
            raise ArgumentError(
                f"locked={pattern!r}: '{name}' has {group.units} units, numbered from 0; name one "
                "of them."
            )
        found.setdefault(name, set()).add(int(number))
    return found


def holding(graph: Graph, patterns: Sequence[str]) -> Graph:
    """The same graph with the units that patterns name protected like any that has to stay."""
    locks = unit_locks(graph, patterns)
    if not locks:
        return graph
    groups = []
    for group in graph.groups:
        kept = sorted(locks.get(group.name, ()))
        if kept:
            removable = group.removable.copy()
            removable[kept] = False
            reason = "; ".join(filter(None, (group.reason, KEPT)))
            group = replace(group, removable=removable, reason=reason)
        groups.append(group)
    return replace(graph, groups=tuple(groups))
