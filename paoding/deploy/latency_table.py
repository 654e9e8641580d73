"""What each group of units costs in milliseconds at several widths, in its surroundings."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from paoding.deploy.latency import latency
from paoding.errors import DataError, PaodingError
from paoding.evaluation.runtimes import require_runtime
from paoding.evaluation.timing import machine
from paoding.files.atomic import output_file
from paoding.graph import Graph, Group, State, trace
from paoding.graph.cost import bytes_of, flops_of
from paoding.graph.keras_internals import config_of, revive
from paoding.graph.surgery import cut

# Runtimes compute so many channels at once; widths between cost as much as the next one.
_ALIGNED = 8
# As many widths are measured for each group.
_WIDTHS = 6
_PER_BYTE = 16  # operations in the time that a byte takes to be moved, about
_COLUMNS = ("group", "units", "width", "seconds")


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds by group and width: a budget for :func:`paoding.prune`.

    Attributes:
        total: Seconds of the whole model.
        rows: (group, its units, width, seconds of its layers at that width), for each group
            from its full width down.
        shares: (share of the model's work, the groups that it shrinks with), for each call.
        runtime: What was measured in.
        machine: What it was measured on.
        expected: Seconds that were predicted of the smaller model, once there is one.
        reached: Seconds that it was measured to take.
    """

    total: float
    rows: tuple[tuple[str, int, int, float], ...]
    shares: tuple[tuple[float, tuple[str, ...]], ...]
    runtime: str
    machine: str
    expected: float | None = None
    reached: float | None = None

    def ratio(self, name: str, width: int) -> float:
        """Return what a group's layers take at a width, as a share of what they take in full."""
        points = sorted((w, s) for g, _, w, s in self.rows if g == name)
        if not points:
            return 1.0
        widths, seconds = zip(*points, strict=True)
        return float(np.interp(width, (0, *widths), (0.0, *seconds)) / seconds[-1])

    def widths(self, name: str) -> tuple[int, ...]:
        """Return measured widths below which no wider one is as fast, from the widest on."""
        found: list[int] = []
        least = np.inf
        for _, _, width, seconds in sorted(
            (row for row in self.rows if row[0] == name), key=lambda row: -row[2]
        ):
            if seconds < least:
                found.append(width)
                least = seconds
        return tuple(found)

    def predicted(self, widths: Mapping[str, int]) -> float:
        """Return the seconds of the model with some groups at other widths.

        A call's time shrinks with each group that it reads or makes.
        """
        ratios = {name: self.ratio(name, width) for name, width in widths.items()}
        work = sum(
            share * float(np.prod([ratios.get(name, 1.0) for name in names]))
            for share, names in self.shares
        )
        return self.total * work

    def measured(self, graph: Graph, quotas: Mapping[str, int]) -> LatencyTable:
        """Return the table with what the model without so many units is predicted, and takes."""
        widths = {name: graph.by_name[name].units - count for name, count in quotas.items()}
        smaller = cut(graph, _without(graph, quotas))
        took = latency(smaller, self.runtime).median
        return replace(self, expected=self.predicted(widths), reached=took)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LatencyTable:
        """Return the table that :meth:`to_dict` took apart.

        Raises:
            DataError: It is none.
        """
        try:
            rows = tuple((str(g), int(n), int(w), float(s)) for g, n, w, s in values["rows"])
            shares = tuple((float(x), tuple(map(str, g))) for x, g in values["shares"])
            rest = {k: values[k] for k in ("runtime", "machine", "expected", "reached")}
            return cls(float(values["total"]), rows, shares, **rest)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"This is no table of latencies: {error}.") from None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the rows as CSV, the whole model's seconds as the group ``*``."""
        with output_file(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerow(("*", 0, 0, self.total))
            writer.writerows(self.rows)
        return Path(path)


def latency_table(
    model: keras.Model | Graph, runtime: Any = None, *, source: Any = None
) -> LatencyTable:
    """Measure each group's layers at several widths, or take a table measured elsewhere.

    Each group's layers are run by themselves, with what they read and what reads them; times
    are kept on disk by shape and runtime (``PAODING_CACHE``, by default ``~/.cache/paoding``).

    Args:
        model: A built model, or what :func:`paoding.inspect` made of one.
        runtime: "litert" (the default), "onnxruntime" or "keras"; a table is returned as it is,
            or made again from what a plan keeps of it.
        source: The path of a CSV with the columns group, units, width and seconds, such as
            :meth:`LatencyTable.save` writes, measured on the device that it is for.

    Raises:
        RuntimeMissingError: The runtime is not installed.
        DataError: The CSV is none, or of another model.

    Example:
        >>> import paoding
        >>> model, _ = paoding.zoo.load("breast-cancer")
        >>> table = latency_table(model, "keras")
        >>> table.predicted({}) == table.total, len(table.rows) > 4
        (True, True)
    """
    if isinstance(runtime, LatencyTable):
        return runtime
    if isinstance(runtime, Mapping):
        return LatencyTable.from_dict(runtime)
    runtime = runtime or "litert"
    require_runtime(runtime)
    graph = model if isinstance(model, Graph) else trace(model)
    if source is not None:
        return _read(graph, Path(source), runtime)
    rows: list[tuple[str, int, int, float]] = []
    for group in graph.prunable:
        rows += _group_rows(graph, group, runtime)
    total = latency(graph.model, runtime).median
    return LatencyTable(total, tuple(rows), _shares(graph), runtime, machine())


def _read(graph: Graph, path: Path, runtime: str) -> LatencyTable:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            found = [
                (row["group"], int(row["units"]), int(row["width"]), float(row["seconds"]))
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"'{path}' is no table of latencies with the columns {', '.join(_COLUMNS)}: {error}."
        ) from None
    totals = [seconds for name, _, _, seconds in found if name == "*"]
    rows = tuple(row for row in found if row[0] != "*")
    for name, units, _, seconds in rows:
        if name not in graph.by_name or graph.by_name[name].units != units or seconds <= 0:
            raise DataError(f"'{path}' is of another model: its group '{name}' does not fit.")
    if not totals:
        raise DataError(f"'{path}' has no row for the whole model (group *).")
    return LatencyTable(totals[0], rows, _shares(graph), runtime, f"as {path.name} says")


def _shares(graph: Graph) -> tuple[tuple[float, tuple[str, ...]], ...]:
    """Return each call's share of the model's work, with the groups that it touches."""
    touching: dict[str, list[str]] = {}
    for group in graph.prunable:
        for name in group.layers:
            touching.setdefault(name, []).append(group.name)
    work = [max(flops_of(n), _PER_BYTE * bytes_of(n), 1) for n in graph.nodes]
    whole = sum(work)
    return tuple(
        (each / whole, tuple(touching.get(node.name, ())))
        for node, each in zip(graph.nodes, work, strict=True)
    )


def _group_rows(graph: Graph, group: Group, runtime: str) -> list[tuple[str, int, int, float]]:
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
        for width in _widths(group.units, max(least, 1))
        if width == group.units or twin.removable.sum() >= group.units - width
    ]


def _widths(units: int, least: int) -> list[int]:
    """Return the full width, and some below that are multiples of what runtimes compute at once.

    >>> _widths(64, 1), _widths(6, 2)
    ([64, 56, 48, 40, 32, 24, 8], [6, 5, 4, 3, 2])
    """
    aligned = [w for w in range(units - 1, least - 1, -1) if w % _ALIGNED == 0]
    if len(aligned) < 2:
        aligned = list(range(units - 1, least - 1, -1))
    places = np.unique(np.linspace(0, len(aligned) - 1, min(_WIDTHS, len(aligned))).astype(int))
    return [units, *(aligned[k] for k in places)]


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
    """Return the original's state with so many units of some groups gone, whichever."""
    alive = graph.original.alive.copy()
    for name, count in quotas.items():
        group = graph.by_name[name]
        alive[group.ids[np.flatnonzero(group.removable)[:count]]] = False
    return graph.original.replace({}, alive)


def _seconds(graph: Graph, group: Group, width: int, runtime: str) -> float:
    """Return how long a group's surroundings take at a width, from the disk if it is known."""
    model = graph.model
    if width < group.units:
        model = cut(graph, _without(graph, {group.name: group.units - width}))
    return _remembered(model, runtime)


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
    seconds = latency(model, runtime, input_size=_open_axes(model)).median
    try:
        with output_file(path, overwrite=True) as temporary:
            temporary.write_text(json.dumps({"seconds": seconds, "of": asked}), "utf-8")
    except (PaodingError, OSError):
        pass  # a home that cannot be written to only costs time
    return seconds


def _shape_of(layer: Any) -> Any:
    """Return all of a layer that its speed depends on: its settings and shapes, not its name."""
    config = {k: v for k, v in layer.get_config().items() if k not in ("name", "trainable")}
    plain = {k: v for k, v in config.items() if isinstance(v, int | float | str | list | tuple)}
    return plain, [tuple(w.shape) for w in layer.weights], str(getattr(layer, "output", None))


def _open_axes(model: keras.Model) -> tuple[int, ...] | None:
    opened = [n for n in model.inputs[0].shape[1:] if n is None]
    return (224,) * len(opened) if opened else None
