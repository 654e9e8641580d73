"""Draws a still picture and a text of a studio, for a page that has no kernel."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

import numpy as np

from paoding_widgets.charts.base import ACCURACY, EARLIER, ROBUST
from paoding_widgets.session import Snapshot

_MAX_BARS = 12


def as_png(
    name: str, groups: Mapping[str, tuple[int, int]], snapshots: Sequence[Snapshot]
) -> bytes:
    """Units left of each layer, and accuracy against the share removed, as a PNG.

    Args:
        name: of the model.
        groups: group name -> (units before, units left).
        snapshots: of the run, the original first; may be empty.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.8), layout="constrained")
    FigureCanvasAgg(figure)
    measured = [m for m in snapshots if m.measured]
    axes = figure.subplots(1, 2 if measured else 1, squeeze=False)[0]
    _draw_units(axes[0], groups)
    if measured:
        _draw_accuracy(axes[1], measured)
    figure.suptitle(_plain(name), fontsize=10)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=96)
    return out.getvalue()


def _plain(text: str) -> str:
    """A name as matplotlib shows it unchanged: no formulas, not endless."""
    return text.replace("$", r"\$")[:60]


def _draw_units(axes: Any, groups: Mapping[str, tuple[int, int]]) -> None:
    shown = list(groups.items())[:_MAX_BARS]
    at = np.arange(len(shown))
    axes.barh(at, [before for _, (before, _) in shown], color=EARLIER, alpha=0.4, label="original")
    axes.barh(at, [left for _, (_, left) in shown], color=ACCURACY, height=0.5, label="left")
    axes.set_yticks(at, [_plain(name)[:20] for name, _ in shown], fontsize=7)
    axes.invert_yaxis()
    rest = len(groups) - len(shown)
    axes.set_xlabel("units" + (f" ({rest} more layers)" if rest > 0 else ""), fontsize=8)
    axes.legend(fontsize=7, frameon=False)


def _draw_accuracy(axes: Any, snapshots: Sequence[Snapshot]) -> None:
    shares = [100 * m.share for m in snapshots]
    known = [m.measured for m in snapshots if m.measured]
    first, values = known[0], [one.quality for one in known]
    axes.axhline(values[0], color=ACCURACY, linestyle=":", linewidth=1)
    axes.plot(shares, values, color=ACCURACY, marker="o", markersize=3, label=first.metric.name)
    if first.comparable:
        robust = [one.robust for one in known]
        label = f"robust {first.metric.name}"
        axes.plot(shares, robust, color=ROBUST, marker="^", markersize=3, label=label)
    if first.metric.unit == "share":
        axes.set_ylim(0, 1)
    elif not first.metric.higher_is_better:
        axes.set_ylim(bottom=0)
    axes.set_xlabel("% of units removed", fontsize=8)
    axes.legend(fontsize=7, frameon=False)


def as_text(
    name: str, state: str, message: str, figures: Sequence[Mapping[str, Any]], error: str
) -> str:
    """What the head of the studio says, as lines of text."""
    lines = [f"Pruning studio: {name}, {state}. {message}".rstrip()]
    for figure in figures:
        before, after = (_number(figure[key], figure["kind"]) for key in ("before", "after"))
        lines.append(f"  {figure['label']}: {before}" + (f" -> {after}" if after != before else ""))
    if error:
        lines.append(f"  {error}")
    return "\n".join(lines)


def told_when(saved: str) -> str:
    """When the picture was drawn, and how to go on where no kernel is left."""
    text = f"As it stood on {datetime.now():%Y-%m-%d at %H:%M}; run the cell again for the studio."
    return f"{text} Its steps are kept: PruningStudio.load({saved!r})" if saved else text


def _number(value: float, kind: str) -> str:
    if kind == "share":
        return f"{value:.1%}"
    return f"{value:.4g}" if kind == "number" else f"{int(value):,}"


# Without a kernel JupyterLab has no studio to show, and says "Error displaying widget" right above
# the picture that stands for it.
_HIDES = (
    "<style>.jp-OutputArea-child"
    ':has([data-mime-type="application/vnd.jupyter.widget-view+json"]):not(:has(.paoding-studio))'
    ":has(+ .jp-OutputArea-child .paoding-still) { display: none; }</style>"
)


def as_html(text: str, png: str) -> str:
    """Text and picture as HTML; where the notebook is trusted, in the place of a lost studio.

    Args:
        text: from :func:`as_text`.
        png: the picture, in base64.
    """
    return (
        f'{_HIDES}<div class="paoding-still"><pre>{escape(text)}</pre>'
        f'<img alt="Units left of each layer, '
        f'and accuracy against the share removed" src="data:image/png;base64,{png}"></div>'
    )
