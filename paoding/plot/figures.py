"""The figures: curves over seeds, importance, structure, decisions, certificates and fronts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from paoding.errors import ArgumentError
from paoding.plot.style import REFERENCE, new_axes, series

if TYPE_CHECKING:
    import keras
    import pandas as pd
    from matplotlib.axes import Axes

    from paoding.pruning.result import PruningResult

_MOST_GROUPS = 24  # layers that one figure names


def curves(
    table: Any,
    x: str = "target",
    y: str | list[str] = "accuracy",
    by: str | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Quality against what was removed: the mean over seeds, with their spread as a band.

    Args:
        table: a ``DataFrame`` with a row for each run, or anything with one as ``.table``.
        x, y: columns; several for `y` give several lines. Rows with the same `x` are seeds.
        by: a column that tells runs apart, such as "strategy"; a line for each value.
        ax: draw here instead of into a figure of its own.

    Raises:
        ArgumentError: the table has no such column, or no rows.

    >>> import pandas as pd
    >>> runs = pd.DataFrame({"target": [0.25, 0.25, 0.5, 0.5], "accuracy": [0.9, 1.0, 0.8, 0.9]})
    >>> [float(v) for v in curves(runs).lines[0].get_ydata().round(2)]
    [0.95, 0.85]
    """
    names = [y] if isinstance(y, str) else list(y)
    rows = _rows(table, [x, *names, *([by] if by else [])])
    axes = new_axes(ax, (4.6, 3.0))
    parts = [(None, rows)] if by is None else list(rows.groupby(by, sort=False))
    for number, (label, name, part) in enumerate(
        (label, name, part) for label, part in parts for name in names
    ):
        seeds = part.groupby(x)[name]
        mean, low, high = seeds.mean(), seeds.min(), seeds.max()
        look = series(number)
        words = " ".join(str(w) for w in (label, name if len(names) > 1 else None) if w is not None)
        axes.plot(
            mean.index, mean, color=look.color, marker=look.marker, linestyle=look.dash,
            markersize=4, label=words or name,
        )  # fmt: skip
        if (high > low).any():
            axes.fill_between(mean.index, low, high, color=look.color, alpha=0.15, linewidth=0)
    axes.set(xlabel=_words(x), ylabel=_words(names[0]) if len(names) == 1 else "")
    if len(axes.lines) > 1:
        axes.legend(frameon=False, fontsize=8)
    return axes


def importance(model: keras.Model, *, ax: Axes | None = None, **settings: Any) -> Axes:
    """The importance of every unit, a row for each group, sorted from least to most.

    Args:
        model: what would be pruned.
        ax: draw here.
        settings: as for :class:`paoding.Pruner`; they decide what importance is.

    >>> import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, "relu", name="hidden"),
    ...                           keras.layers.Dense(2)])
    >>> importance(model, compensation="merge").get_yticklabels()[0].get_text()
    'hidden'
    """
    from paoding.pruning.pruner import Pruner

    found = Pruner(model, **settings).importances()
    shown = dict(list(found.items())[:_MOST_GROUPS])
    axes = new_axes(ax, (5.4, 0.6 + 0.28 * len(shown)))
    for row, values in enumerate(shown.values()):
        known = np.sort(values[np.isfinite(values)])
        largest = float(known.max()) if len(known) and known.max() > 0 else 1.0
        axes.imshow(
            (known / largest)[None, :],
            extent=(0, 1, row - 0.4, row + 0.4), aspect="auto", cmap="Greys", vmin=0, vmax=1,
        )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(len(shown) - 0.5, -0.5), xlabel="units, least important first")
    axes.set_yticks(range(len(shown)), [_safe(name) for name in shown])
    axes.grid(False)
    axes.set_title(_more("importance, as share of the layer's largest", found, shown))
    return axes


def structure(result: PruningResult, *, ax: Axes | None = None) -> Axes:
    """Units of each group before and after.

    Args:
        result: of :func:`paoding.prune`.
        ax: draw here.
    """
    groups = {group.name: group for group in result.graph.prunable}
    shown = dict(list(groups.items())[:_MOST_GROUPS])
    before = [group.units for group in shown.values()]
    left = [int(result.state.alive[group.ids].sum()) for group in shown.values()]
    axes = new_axes(ax, (5.4, 0.8 + 0.3 * len(shown)))
    at = np.arange(len(shown))
    axes.barh(at, before, color="none", edgecolor=REFERENCE, hatch="///", linewidth=0.6,
              label="original")  # fmt: skip
    axes.barh(at, left, color=series(0).color, height=0.55, label="left")
    axes.set_yticks(at, [_safe(name) for name in shown])
    axes.invert_yaxis()
    axes.set(xlabel="units", title=_more("", groups, shown))
    axes.grid(visible=False, axis="y")
    _legend_above(axes)
    return axes


def decisions(result: PruningResult, *, ax: Axes | None = None) -> Axes:
    """The energy of every candidate against the step, accepted or refused.

    Args:
        result: of :func:`paoding.prune`, with a strategy that has energies.
        ax: draw here.

    Raises:
        ArgumentError: the strategy has none.
    """
    table = result.decisions
    table = table[table.energy.notna()]
    if not len(table):
        name = result.plan.settings.get("strategy", {}).get("name", "?")
        raise ArgumentError(
            f"The strategy '{name}' has no energies to draw; prune with 'annealing' or 'impact'."
        )
    axes = new_axes(ax, (5.0, 3.0))
    taken = table.verdict == "removed"
    axes.scatter(table.step[~taken], table.energy[~taken], marker="x", s=14, color=REFERENCE,
                 linewidths=0.8, label="refused")  # fmt: skip
    axes.scatter(table.step[taken], table.energy[taken], marker="o", s=12, color=series(0).color,
                 label="removed")  # fmt: skip
    axes.set(xlabel="step", ylabel="energy")
    axes.xaxis.get_major_locator().set_params(integer=True)
    _legend_above(axes)
    return axes


def certificate(
    result: PruningResult, x: np.ndarray | None = None, *, ax: Axes | None = None
) -> Axes:
    """The certified change of each output as an outline, and what is seen on inputs inside it.

    Args:
        result: of :func:`paoding.prune`.
        x: inputs (n, ...) on which the change is looked at; none is drawn without.
        ax: draw here.

    Raises:
        ArgumentError: there is no certificate; the sentence says why.
    """
    bound = result.certificate
    if bound.lower is None or bound.upper is None:
        raise ArgumentError(f"There is no certificate to draw: {bound.reason}")
    low, high = bound.lower.ravel(), bound.upper.ravel()
    axes = new_axes(ax, (5.0, 3.0))
    at = np.arange(len(low))
    axes.bar(at, high - low, bottom=low, width=0.8, color="none", edgecolor=REFERENCE,
             label="certified")  # fmt: skip
    if x is not None:
        change = np.asarray(result.model(x)) - np.asarray(result.graph.model(x))
        change = change.reshape(len(change), -1)
        least, most = change.min(axis=0), change.max(axis=0)
        axes.bar(at, most - least, bottom=least, width=0.5, color=series(0).color,
                 label=f"seen on {len(change):,} inputs")  # fmt: skip
    reach = max(float(np.abs([low, high]).max()), 1e-12)
    axes.set_yscale("symlog", linthresh=min(reach, 1e-2))
    axes.set_ylim(1.5 * min(low.min(), 0) - reach / 10, 1.5 * max(high.max(), 0) + reach / 10)
    axes.axhline(0, color=REFERENCE, linewidth=0.6)
    axes.set(xlabel="output", ylabel="change")
    axes.xaxis.get_major_locator().set_params(integer=True)
    _legend_above(axes)
    return axes


def front(table: Any, x: str = "latency", y: str = "accuracy", *, ax: Axes | None = None) -> Axes:
    """Runs by cost and quality, and the line of those that no other run beats in both.

    Args:
        table: a ``DataFrame`` with a row for each run, or anything with one as ``.table``.
        x: a column of which less is better; y: one of which more is better.
        ax: draw here.

    >>> import pandas as pd
    >>> runs = pd.DataFrame({"latency": [1.0, 2.0, 3.0], "accuracy": [0.8, 0.7, 0.9]})
    >>> front(runs).lines[0].get_xdata().tolist()
    [1.0, 3.0]
    """
    rows = _rows(table, [x, y]).sort_values([x, y], ascending=[True, False])
    best = rows[y].cummax()
    on_front = rows[(rows[y] >= best) & (rows[y] > best.shift(fill_value=-np.inf))]
    axes = new_axes(ax, (4.6, 3.2))
    axes.scatter(rows[x], rows[y], marker="x", s=18, color=REFERENCE, linewidths=0.9)
    axes.plot(on_front[x], on_front[y], color=series(0).color, marker="o", markersize=4,
              drawstyle="steps-post")  # fmt: skip
    axes.set(xlabel=_words(x), ylabel=_words(y))
    return axes


def _legend_above(axes: Axes) -> None:
    """A legend that covers no data."""
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _rows(table: Any, columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    rows = table if isinstance(table, pd.DataFrame) else getattr(table, "table", None)
    if callable(rows):
        rows = rows()
    if not isinstance(rows, pd.DataFrame):
        raise ArgumentError(
            f"A table of runs is needed (a DataFrame, or a sweep), not a {type(table).__name__}."
        )
    missing = [name for name in columns if name not in rows]
    if missing or not len(rows):
        have = ", ".join(map(repr, rows.columns)) or "no columns"
        what = f"column {missing[0]!r}" if missing else "row"
        raise ArgumentError(f"The table of runs has no {what}; it has {have}.")
    return rows


def _words(column: str) -> str:
    known = {"target": "share of units removed", "latency": "latency (s)"}
    return known.get(column, column.replace("_", " "))


def _safe(name: str) -> str:
    """A name as matplotlib shows it unchanged: no formulas, not endless."""
    return name.replace("$", r"\$")[:24]


def _more(title: str, every: Any, shown: Any) -> str:
    rest = len(every) - len(shown)
    return f"{title} ({rest} more layers)".strip() if rest else title
