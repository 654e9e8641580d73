"""What each group of units costs in milliseconds at several widths, in its surroundings."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from paoding.deploy.latency import in_turns
from paoding.deploy.surroundings import ALIGNED, Row, group_rows, idle_seconds, narrowed, open_axes
from paoding.errors import DataError
from paoding.evaluation.runtimes import require_runtime
from paoding.evaluation.timing import machine
from paoding.files.atomic import output_file
from paoding.graph import Graph, trace
from paoding.graph.cost import bytes_of, flops_of
from paoding.graph.flat import Node

_PER_BYTE = 6  # operations in the time that a byte takes to be moved, about
_STRETCHES = 30  # after which shares of calls and measured groups agree, or never do
_COLUMNS = ("group", "units", "width", "seconds")
# Rows of a CSV that are of no group: the whole model, the model with every group at its least
# width, and a call that computes nothing.
_WHOLE, _LEAST, _IDLE = "*", "*least", "*idle"


Shares = tuple[tuple[float, tuple[str, ...]], ...]


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds by group and width: a budget for :func:`paoding.prune`.

    Attributes:
        total: Seconds of the whole model; like all times here the least of many, which what else
            the machine does moves least.
        rows: (group, its units, width, seconds of its layers at that width), for each group
            from its full width down.
        shares: (share of the model's work, the groups that it shrinks with), for each call.
        runtime: What was measured in.
        machine: What it was measured on.
        idle: Seconds of a call that computes nothing: no width saves them.
        anchors: (share of the work, share of the seconds) of whole models that were measured,
            between which others are predicted.
        here: Whether smaller models can be measured where the table was.
        expected: Seconds that were predicted of the smaller model, once there is one.
        reached: Seconds that it was measured to take, by the original's in the same turns.
    """

    total: float
    rows: tuple[Row, ...]
    shares: Shares
    runtime: str
    machine: str
    idle: float = 0.0
    anchors: tuple[tuple[float, float], ...] = ()
    here: bool = True
    expected: float | None = None
    reached: float | None = None

    @cached_property
    def _curves(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Group -> widths from 0 on, and what its layers compute there as a share of all."""
        points: dict[str, list[tuple[int, float]]] = {}
        for name, _, width, seconds in self.rows:
            points.setdefault(name, []).append((width, seconds))
        found = {}
        for name, known in points.items():
            table = np.array(sorted(known))
            busy = table[:, 1] - min(self.idle, 0.9 * table[:, 1].min())
            found[name] = (np.append(0.0, table[:, 0]), np.append(0.0, busy) / busy[-1])
        return found

    def ratio(self, name: str, width: int) -> float:
        """Return what a group's layers compute at a width, as a share of their time in full."""
        if name not in self._curves:
            return 1.0
        return float(np.interp(width, *self._curves[name]))

    def widths(self, name: str) -> tuple[int, ...]:
        """Return widths below which no wider one is as fast, from the widest on.

        Measured ones, and between them those that are as round.
        """
        if name not in self._curves:
            return ()
        measured = self._curves[name][0][1:]
        between = range(-(-int(measured[0]) // ALIGNED) * ALIGNED, int(measured[-1]), ALIGNED)
        found: list[int] = []
        least = np.inf
        for width in sorted({*map(int, measured), *between}, reverse=True):
            ratio = self.ratio(name, width)
            if ratio < least:
                found.append(width)
                least = ratio
        return tuple(found)

    def work(self, widths: Mapping[str, int]) -> float:
        """Return what is left to compute with some groups at other widths, as a share.

        A call shrinks with each group that it reads or makes.
        """
        ratios = {name: self.ratio(name, width) for name, width in widths.items()}
        return sum(
            share * math.prod(ratios.get(name, 1.0) for name in names)
            for share, names in self.shares
        )

    def predicted(self, widths: Mapping[str, int]) -> float:
        """Return the seconds of the model with some groups at other widths.

        Between whole models that were measured; groups alone do not add up to the model.
        """
        known = dict(self.anchors) | {1.0: 1.0}
        known.setdefault(0.0, min(self.idle / self.total, *known.values()))
        works = sorted(known)
        shares = np.maximum.accumulate([known[work] for work in works])
        return self.total * float(np.interp(self.work(widths), works, shares))

    def measured(self, graph: Graph, quotas: Mapping[str, int]) -> LatencyTable:
        """Return the table with what the model without so many units is predicted, and takes."""
        expected = self.predicted(_widths(graph, quotas))
        if not self.here:
            return replace(self, expected=expected)
        took = self.total * _share(graph, quotas, self.runtime)[1]
        return replace(self, expected=expected, reached=took)

    def learnt(self, graph: Graph, quotas: Mapping[str, int]) -> LatencyTable:
        """Return the table that predicts what was measured last; nothing is reached with it yet."""
        if self.reached is None:
            return self
        here = (self.work(_widths(graph, quotas)), self.reached / self.total)
        return replace(self, anchors=(*self.anchors, here), expected=None, reached=None)

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
            anchors = tuple((float(x), float(y)) for x, y in values.get("anchors", ()))
            rest |= {"idle": float(values.get("idle", 0)), "here": bool(values.get("here", True))}
            return cls(float(values["total"]), rows, shares, anchors=anchors, **rest)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"This is no table of latencies: {error}.") from None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the rows as CSV; ``*`` is the whole model, ``*least`` it at the least widths."""
        with output_file(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerow((_WHOLE, 0, 0, self.total))
            if self.anchors:
                writer.writerow((_LEAST, 0, 0, self.total * self.anchors[0][1]))
            writer.writerow((_IDLE, 0, 0, self.idle))
            writer.writerows(self.rows)
        return Path(path)


def latency_table(
    model: keras.Model | Graph,
    runtime: Any = None,
    *,
    source: Any = None,
    groups: Collection[str] | None = None,
) -> LatencyTable:
    """Measure each group's layers at several widths, or take a table measured elsewhere.

    Each group's layers are run by themselves, with what they read and what reads them; times
    are kept on disk by shape and runtime (``PAODING_CACHE``, by default ``~/.cache/paoding``),
    but for those of a busy machine. The whole model is measured too, as it is and with every group
    at its least width: predictions lie between these two.

    Args:
        model: A built model, or what :func:`paoding.inspect` made of one.
        runtime: "litert" (the default), "onnxruntime" or "keras"; a table is returned as it is,
            or made again from what a plan keeps of it.
        source: The path of a CSV with the columns group, units, width and seconds, such as
            :meth:`LatencyTable.save` writes, measured on the device that it is for.
        groups: Names of the groups to measure; by default all.

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
    rows: list[Row] = []
    for group in graph.prunable:
        if groups is None or group.name in groups:
            rows += group_rows(graph, group, runtime)
    least = {name: units - _least(rows)[name] for name, units, _, _ in rows}
    total, share = _share(graph, least, runtime)
    idle = min(idle_seconds(runtime), 0.9 * share * total)
    shares = _shares(graph, rows, total - idle, idle)
    table = LatencyTable(total, tuple(rows), shares, runtime, machine(), idle)
    return _anchored(table, share)


def _least(rows: Collection[Row]) -> dict[str, int]:
    """Return the least width of each group."""
    ordered = sorted(rows, key=lambda row: -row[2])
    return {name: width for name, _, width, _ in ordered}


def _anchored(table: LatencyTable, share: float) -> LatencyTable:
    """Return the table that knows what the model takes with every group at its least width."""
    work = table.work(_least(table.rows))
    return replace(table, anchors=((work, min(share, 1.0)),) if work < 1 else ())


def _widths(graph: Graph, quotas: Mapping[str, int]) -> dict[str, int]:
    return {name: graph.by_name[name].units - count for name, count in quotas.items()}


def _share(graph: Graph, quotas: Mapping[str, int], runtime: str) -> tuple[float, float]:
    """Return the original's seconds, and a smaller model's as a share of them."""
    pair = [graph.model, narrowed(graph, quotas)]
    before, after = in_turns(pair, runtime, input_size=open_axes(graph.model))
    return before.least, after.least / before.least


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
    marks = {name: seconds for name, _, _, seconds in found if name in (_WHOLE, _LEAST, _IDLE)}
    rows = tuple(row for row in found if row[0] not in marks)
    for name, units, _, seconds in rows:
        if name not in graph.by_name or graph.by_name[name].units != units or seconds <= 0:
            raise DataError(f"'{path}' is of another model: its group '{name}' does not fit.")
    total = marks.get(_WHOLE, 0.0)
    if total <= 0:
        raise DataError(f"'{path}' has no row for the whole model (group *).")
    where = f"as {path.name} says"
    idle = min(max(marks.get(_IDLE, 0.0), 0.0), 0.9 * total)
    shares = _shares(graph, rows, total - idle, idle)
    table = LatencyTable(total, rows, shares, runtime, where, idle, here=False)
    return _anchored(table, marks[_LEAST] / total) if _LEAST in marks else table


def _shares(graph: Graph, rows: Collection[Row], busy: float, idle: float) -> Shares:
    """Return each call's share of the model's work, with the groups that it touches.

    What operations and bytes tell of a call is stretched until the calls of each group together
    take what was measured of them, and all calls what the whole model takes.
    """
    touching: dict[str, list[str]] = {}
    for group in graph.prunable:
        for name in group.layers:
            touching.setdefault(name, []).append(group.name)
    groups = [tuple(touching.get(node.name, ())) for node in graph.nodes]
    work = np.array([_guess(node) for node in graph.nodes], float)
    full = {name: max(s - idle, 0.0) for name, units, width, s in rows if width == units}
    for _ in range(_STRETCHES):
        work *= busy / work.sum()
        for name, seconds in full.items():
            mine = [k for k, names in enumerate(groups) if name in names]
            if mine and seconds > 0:
                work[mine] *= np.sqrt(seconds / work[mine].sum())
    shares = work / work.sum()
    return tuple((float(share), names) for share, names in zip(shares, groups, strict=True))


def _guess(node: Node) -> float:
    """Return a call's work by its operations, or by the bytes that it moves."""
    weights = sum(math.prod(w.shape) for w in getattr(node.op, "weights", ()))
    return max(flops_of(node), _PER_BYTE * (bytes_of(node) + 4 * weights), 1)
