"""A group's layers by themselves, with what they read and what reads them: how long they take."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from paoding.deploy.latency import in_turns
from paoding.errors import PaodingError
from paoding.evaluation.timing import machine
from paoding.files.atomic import output_file
from paoding.graph import Graph, Group, State, trace
from paoding.graph.keras_internals import config_of, revive
from paoding.graph.surgery import cut

Row = tuple[str, int, int, float]  # group, its units, a width, seconds at that width

# Runtimes compute so many channels at once; widths between cost as much as the next one.
ALIGNED = 8
# As many widths are measured for each group.
_WIDTHS = 6
# A median that lies further above the least time than this share of it is not kept on disk.
_SURE = 0.2


def group_rows(graph: Graph, group: Group, runtime: str) -> list[Row]:
    """Measure a group's layers at several widths; nothing where they cannot stand alone."""
    try:
        small = trace(_surroundings(graph, group), inexact=graph.inexact)
        twin = max(small.groups, key=lambda g: len({*g.layers} & {*group.layers}))
    except (PaodingError, ValueError, TypeError):  # it stands for itself nowhere
        return []
    if twin.units != group.units:
        return []
    least = group.units - int(group.removable.sum())
    return [
        (group.name, group.units, width, _seconds(small, twin, width, runtime))
        for width in widths_of(group.units, max(least, 1))
        if width == group.units or twin.removable.sum() >= group.units - width
    ]


def widths_of(units: int, least: int) -> list[int]:
    """Return the full width, and some below that are multiples of what runtimes compute at once.

    >>> widths_of(64, 1), widths_of(6, 2)
    ([64, 56, 48, 40, 32, 24, 8], [6, 5, 4, 3, 2])
    """
    aligned = [w for w in range(units - 1, least - 1, -1) if w % ALIGNED == 0]
    if len(aligned) < 2:
        aligned = list(range(units - 1, least - 1, -1))
    places = np.unique(np.linspace(0, len(aligned) - 1, min(_WIDTHS, len(aligned))).astype(int))
    return [units, *(aligned[k] for k in places)]


def narrowed(graph: Graph, quotas: Mapping[str, int]) -> keras.Model:
    """Return the model with so many units of some groups gone, whichever."""
    return cut(graph, _without(graph, quotas))


def idle_seconds(runtime: str) -> float:
    """Return how long a call takes in which nothing is to be computed."""
    slot = keras.Input((1,))
    return _remembered(keras.Model(slot, keras.layers.Activation("relu")(slot)), runtime)


def open_axes(model: keras.Model) -> tuple[int, ...] | None:
    """Return lengths for axes of unknown length: those of a photograph."""
    opened = [n for n in model.inputs[0].shape[1:] if n is None]
    return (224,) * len(opened) if opened else None


def _surroundings(graph: Graph, group: Group) -> keras.Model:
    """Return a group's layers as a model of their own, out of new layers; weights do not matter."""
    names = set(group.layers)
    known: dict[int, Any] = {}
    fresh: dict[int, Any] = {}
    inputs, last = [], set()
    for node in (n for n in graph.nodes if n.name in names):
        for tensor in node.inputs:
            if tensor not in known:
                shape = graph.flat.shapes[tensor][1:]
                known[tensor] = keras.Input(shape, dtype=graph.flat.dtypes[tensor])
                inputs.append(known[tensor])
            last.discard(tensor)
        op = fresh.setdefault(id(node.op), revive(node.op, config_of(node.op)))

        def given(value: Any) -> Any:
            return known[value.tensor] if hasattr(value, "tensor") else value

        args = keras.tree.map_structure(given, node.args)
        kwargs = keras.tree.map_structure(given, node.kwargs)
        made = keras.tree.flatten(op(*args, **kwargs))
        known.update(zip(node.outputs, made, strict=True))
        last.update(node.outputs)
    return keras.Model(inputs, [known[t] for t in sorted(last)])


def _without(graph: Graph, quotas: Mapping[str, int]) -> State:
    alive = graph.original.alive.copy()
    for name, count in quotas.items():
        group = graph.by_name[name]
        alive[group.ids[np.flatnonzero(group.removable)[:count]]] = False
    return graph.original.replace({}, alive)


def _seconds(graph: Graph, group: Group, width: int, runtime: str) -> float:
    """Return how long a group's surroundings take at a width, from the disk if it is known."""
    if width == group.units:
        return _remembered(graph.model, runtime)
    return _remembered(narrowed(graph, {group.name: group.units - width}), runtime)


def _remembered(model: keras.Model, runtime: str) -> float:
    from paoding.deploy.executors import versions

    layers = [(type(x).__name__, _shape_of(x)) for x in model.layers]
    asked = json.dumps([layers, runtime, machine(), versions()], default=str)
    name = hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()
    folder = Path(os.environ.get("PAODING_CACHE") or Path.home() / ".cache" / "paoding")
    path = folder / "latency" / f"{name}.json"
    try:
        return float(json.loads(path.read_text("utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    [found] = in_turns([model], runtime, input_size=open_axes(model))
    if found.median - found.least > _SURE * found.median:  # of a busy machine: for now only
        return found.least
    kept = {"seconds": found.least, "median": found.median, "spread": found.spread, "of": asked}
    try:
        with output_file(path, overwrite=True) as temporary:
            temporary.write_text(json.dumps(kept), "utf-8")
    except (PaodingError, OSError):
        pass  # a home that cannot be written to only costs time
    return found.least


def _shape_of(layer: Any) -> Any:
    """Return all of a layer that its speed depends on: its settings and shapes, not its name."""
    config = {k: v for k, v in layer.get_config().items() if k not in ("name", "trainable")}
    plain = {k: v for k, v in config.items() if isinstance(v, int | float | str | list | tuple)}
    made = keras.tree.flatten(getattr(layer, "output", None))
    shapes = [(x.shape, x.dtype) for x in made if x is not None]
    return plain, [tuple(w.shape) for w in layer.weights], shapes
