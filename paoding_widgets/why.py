"""What the inspector shows of a unit beside words: its rivals, and pictures of its weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from paoding.graph import Graph, Group
from paoding_widgets.session import Snapshot

MAX_RIVALS = 6
# A picture of more weights than this is not sent: nobody could see them.
MAX_WEIGHTS = 4096


def rivals(now: Snapshot, group: str, unit: int) -> list[dict[str, Any]]:
    """The units of a group that are next to go, with the chosen one among them.

    Args:
        now: the snapshot that is shown.
        group: name of the group.
        unit: the chosen one.

    Returns:
        Least important first; ``place`` is counted from 1 among all that may go.
    """
    values = now.importance.get(group)
    if values is None:
        return []
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    places = {int(one): place for place, one in enumerate(order, start=1)}
    shown = [int(one) for one in order[:MAX_RIVALS]]
    if unit in places and unit not in shown:
        shown[-1] = unit
    return [
        {"unit": one, "value": float(values[one]), "place": places[one], "of": len(order)}
        for one in shown
    ]


def survivor_of(steps: Sequence[Snapshot], group: str, unit: int) -> int | None:
    """The unit that took a removed one over, or None."""
    for snapshot in steps:
        if snapshot.step is None:
            continue
        for removal in snapshot.step.removals:
            if (removal.group, removal.unit) == (group, unit):
                return removal.into
    return None


def pictures(graph: Graph, node: str, group: Group, unit: int, other: int | None) -> list[Any]:
    """Pictures of a unit's incoming weights, of another unit's, and of their difference.

    Args:
        graph: of the original.
        node: name of the layer whose weights are shown.
        group: of the units.
        unit: the chosen one.
        other: its survivor or the unit most like it; None where there is none.

    Returns:
        Pictures as rows of numbers, in one scale; none where the layer has no such weights.
    """
    mine = _weights(graph, node, group, unit)
    if mine is None:
        return []
    found = [(f"unit {unit}", mine)]
    theirs = None if other is None else _weights(graph, node, group, other)
    if theirs is not None:
        found += [(f"unit {other}", theirs), ("difference", mine - theirs)]
    scale = max(float(np.abs(one).max(initial=0)) for _, one in found) or 1.0
    made = []
    for title, values in found:
        picture = _as_picture(values) / scale
        rows, columns = picture.shape
        flat = [None if np.isnan(v) else round(float(v), 3) for v in picture.ravel()]
        made.append({"title": title, "rows": rows, "columns": columns, "values": flat})
    return made


def _weights(graph: Graph, node: str, group: Group, unit: int) -> np.ndarray | None:
    """A unit's incoming weights in the original, without the axis of the units."""
    op = next((call.op for call in graph.nodes if call.name == node), None)
    kernel = getattr(op, "kernel", None)
    number = None if kernel is None else graph.numbers.get(id(kernel))
    if number is None:
        return None
    values = np.asarray(graph.original.values[number])
    if values.ndim < 2 or values.shape[-1] != group.units or values.size == 0:
        return None
    mine = values[..., unit]
    return mine if 1 < mine.size <= MAX_WEIGHTS else None


def _as_picture(values: np.ndarray) -> np.ndarray:
    """Weights as rows and columns: kernels by their window, vectors as near to a square as goes."""
    if values.ndim >= 3 and values.shape[:2] == (1, 1):  # a window of one point: its channels
        values = values.ravel()
    if values.ndim >= 3:  # rows, columns and channels of a kernel: channels are averaged
        return values.reshape(*values.shape[:2], -1).mean(axis=-1)
    if values.ndim == 2:
        return values
    columns = math.isqrt(values.size - 1) + 1
    rows = -(-values.size // columns)
    padded = np.full(rows * columns, np.nan)
    padded[: values.size] = values
    return padded.reshape(rows, columns)
