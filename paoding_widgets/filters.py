"""Weights of a model's first layers as small pictures, for the squares of the structure."""

from __future__ import annotations

from typing import Any

import numpy as np

from paoding.graph import Graph
from paoding_widgets.scene import Scene

# Of one layer: what is more is not sent.
_MOST_BYTES = 1 << 20
_LEAST_SIDE = 3
_DEEPEST = 127


def first_filters(graph: Graph, scene: Scene) -> list[dict[str, Any]]:
    """Pictures of the units of every layer that reads an input as it is, rescaled or flattened.

    Args:
        graph: the traced model.
        scene: as the structure draws it.

    Returns:
        For each such layer its node in the scene, rows and columns of a picture, and bytes from
        -127 to 127, unit after unit, in the order of its squares.
    """
    reach = {one: graph.flat.shapes[one][1:] for one in graph.flat.inputs}
    found = []
    for at, call in enumerate(graph.nodes, start=len(graph.flat.inputs)):
        if len(call.inputs) != 1 or call.inputs[0] not in reach:
            continue
        picture = reach[call.inputs[0]]
        if not getattr(call.op, "weights", []):  # it only passes on
            reach.update(dict.fromkeys(call.outputs, picture))
            continue
        values = _pictures(getattr(call.op, "kernel", None), graph, picture)
        if values is None or len(values) != scene.values["nodes"][at]["units"]:
            continue
        scale = float(np.abs(values).max(initial=0)) or 1.0
        rows, columns = values.shape[1:]
        data = np.round(_DEEPEST * values / scale).astype(np.int8).tobytes()
        found.append({"node": at, "rows": rows, "columns": columns, "values": data})
    return found


def _pictures(kernel: Any, graph: Graph, picture: tuple[Any, ...]) -> np.ndarray | None:
    """(units, rows, columns) of a kernel of windows, or of one over a flattened picture."""
    number = None if kernel is None else graph.numbers.get(id(kernel))
    if number is None:
        return None
    values = np.asarray(graph.original.values[number])
    if values.ndim == 2 and len(picture) in (2, 3) and None not in picture:
        if int(np.prod(picture)) != len(values):
            return None
        values = values.reshape(*picture, -1)
    if values.ndim == 4:  # channels of the input are averaged
        values = values.mean(axis=2)
    if values.ndim != 3 or min(values.shape[:2]) < _LEAST_SIDE or values.size > _MOST_BYTES:
        return None
    return np.moveaxis(values, -1, 0)
