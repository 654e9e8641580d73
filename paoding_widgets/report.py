"""What a studio adds to the page of its run: structure, charts, runs compared, decisions."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from paoding.evaluation.page import Section, Table
from paoding.graph import Graph
from paoding_widgets import present
from paoding_widgets.charts.base import ACCURACY, EARLIER, OTHERS, ROBUST, short
from paoding_widgets.drawing import structure_svg
from paoding_widgets.scene import make_scene
from paoding_widgets.session import Snapshot, value_text
from paoding_widgets.timeline import NamedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Rows of candidates that the page holds; the log beside it has all of them.
MOST_ROWS = 300
# Stands for the page's own colour of text while a figure is drawn.
_INK = "#010203"


def sections(
    graph: Graph, snapshots: Sequence[Snapshot], runs: Sequence[NamedRun]
) -> list[Section]:
    """The parts of the page that a run's snapshots tell.

    Args:
        graph: of the original.
        snapshots: the original and every step.
        runs: that were left for this one.
    """
    found = [_structure(graph, snapshots)]
    if any(one.measured for one in snapshots):
        found.append(_quality(snapshots, runs))
    found.append(_parameters(snapshots))
    if runs:
        found.append(_compared(snapshots, runs))
    found += _decisions(snapshots)
    return found


def _structure(graph: Graph, snapshots: Sequence[Snapshot]) -> Section:
    scene = make_scene(graph)
    removed, _ = present.unit_arrays(scene, snapshots)
    colours = scene.flat(snapshots[-1].importance)
    svg = structure_svg(scene.values, removed, colours, len(snapshots) - 1)
    text = (
        "Layers that make units, in the order of data flow. Each square is a unit: the stronger "
        "its colour, the more important in its layer; struck out: removed; outline: it cannot go."
    )
    return Section("Structure", text, svg)


def _quality(snapshots: Sequence[Snapshot], runs: Sequence[NamedRun]) -> Section:
    known = [(one.share, one.measured) for one in snapshots if one.measured]
    first = known[0][1]
    name = first.metric.name

    def draw(axes: Axes) -> None:
        shares = [100 * share for share, _ in known]
        axes.plot(shares, [m.quality for _, m in known], "o-", color=ACCURACY, label=name)
        axes.axhline(first.quality, color=ACCURACY, linestyle=":", linewidth=1)
        if first.comparable:
            robust = [np.nan if m.robust is None else m.robust for _, m in known]
            axes.plot(shares, robust, "^-", color=ROBUST, label=f"robust {name}")
        for run, colour in zip(runs, OTHERS, strict=False):
            points = [(100 * p.share, p.accuracy) for p in run.points if p.accuracy is not None]
            if points:
                axes.plot(*zip(*points, strict=True), "--", color=colour, label=_plain(run.name))
        axes.set_xlabel("% of units removed")
        axes.set_ylabel(name)

    better = "" if first.metric.higher_is_better else " Lower is better."
    text = f"On {first.samples:,} samples, after each step; dotted: the original.{better}"
    return Section("What it cost, step by step", text, figure(draw, "quality"))


def _parameters(snapshots: Sequence[Snapshot]) -> Section:
    before, after = snapshots[0].parameters, snapshots[-1].parameters
    names = sorted((n for n in before if before[n]), key=lambda n: -before[n])[:16]

    def draw(axes: Axes) -> None:
        at = np.arange(len(names))
        axes.barh(at, [before[n] for n in names], color=EARLIER, alpha=0.5, label="original")
        axes.barh(at, [after.get(n, 0) for n in names], color=ACCURACY, height=0.5, label="left")
        axes.set_yticks(at, [_plain(n) for n in names])
        axes.invert_yaxis()
        axes.set_xlabel("parameters")

    height = 1.1 + 0.26 * len(names)
    text = "The layers that hold most of them."
    return Section("Parameters", text, figure(draw, "parameters", height))


def _compared(snapshots: Sequence[Snapshot], runs: Sequence[NamedRun]) -> Section:
    measured = snapshots[0].measured
    share = measured is None or measured.metric.unit == "share"
    head = ("run", "removed", measured.metric.name if measured else "accuracy", "robust")
    rows = []
    for run in (NamedRun.of("this run", snapshots, {}), *runs):
        end = run.points[-1]
        numbers = [
            "–" if value is None else f"{value:.1%}" if share else short(value)
            for value in (end.accuracy, end.robust)
        ]
        late = "–" if run.latency is None else f"{1000 * run.latency:.3g} ms"
        counts = [f"{end.parameters:,}", f"{end.flops:,}", late]
        rows.append((run.name, f"{end.share:.0%}", *numbers, *counts))
    table = Table("", (*head, "parameters", "FLOPs", "latency"), tuple(rows))
    return Section("Runs compared", "Those that were left for this one.", "", (table,))


def _decisions(snapshots: Sequence[Snapshot]) -> list[Section]:
    tables = []
    left = MOST_ROWS
    for one in snapshots[1:]:
        if one.step is None or left <= 0:
            continue
        columns = one.step.decisions.columns
        order = np.argsort(np.asarray(columns["verdict"], str) != "removed", kind="stable")
        rows = tuple(
            (
                str(columns["group"][at]),
                int(columns["unit"][at]),
                "–" if columns["into"][at] < 0 else int(columns["into"][at]),
                _number(columns["importance"][at]),
                _number(columns["energy"][at]),
                str(columns["verdict"][at]),
                str(columns["reason"][at]),
            )
            for at in order[:left]
        )
        left -= len(rows)
        told = f"Step {one.step.index}: {len(one.step.removals)} removed of {len(order)} considered"
        measured = one.measured
        if measured is not None:
            told += f", {measured.metric.name} {value_text(measured.metric, measured.quality)}"
        head = ("layer", "unit", "into", "importance", "energy", "verdict", "reason")
        tables.append(Table(told, head, rows))
    if not tables:
        return []
    text = "Every candidate of each step and why it went or stayed"
    text += "; the log decisions.parquet holds the rest." if left <= 0 else "."
    return [Section("Decisions", text, "", tuple(tables))]


def _number(value: float) -> str:
    return "–" if not np.isfinite(value) else short(float(value))


def _plain(text: str) -> str:
    """A name as matplotlib shows it unchanged: no formulas, not endless."""
    return text.replace("$", r"\$")[:28]


def figure(draw: Any, salt: str, height: float = 3.0) -> str:
    """A chart as an SVG that takes the page's colour for its text, in light and in dark."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    style: Any = {**dict.fromkeys(inked, _INK), "svg.fonttype": "none", "svg.hashsalt": salt}
    with matplotlib.rc_context({**style, "font.family": "sans-serif", "font.size": 9}):
        made = Figure(figsize=(8, height), layout="constrained")
        FigureCanvasSVG(made)
        axes = made.subplots()
        draw(axes)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linestyle=":")
        axes.legend(frameon=False, fontsize=8)
        made.patch.set_alpha(0)
        axes.patch.set_alpha(0)
        out = io.StringIO()
        made.savefig(out, format="svg", metadata={"Date": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # the page has many figures: no name twice
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return re.sub(r'(<svg[^>]*?) height="[^"]*"([^>]*?) width="[^"]*"', r"\1\2", svg, count=1)
