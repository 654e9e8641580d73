"""One step in sentences and formulas, with this step's numbers in them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from paoding import compensation as compensations
from paoding.compensation import Plain
from paoding.criteria.energy import TRUST
from paoding.plan import Step
from paoding_widgets.charts.base import short
from paoding_widgets.present import sentence_case
from paoding_widgets.session import Snapshot
from paoding_widgets.settings import Settings

_LOSSLESS = (
    "It provably never mattered over the legal inputs: nothing is lost, and what it contributed is "
    "folded into its neighbours exactly."
)


def explain(
    snapshots: Sequence[Snapshot],
    shown: int,
    settings: Settings,
    chosen: tuple[str, int] | None = None,
) -> str:
    """A moment of a run as HTML with formulas between ``\\(`` and ``\\)``.

    Args:
        snapshots: of the run, the original first.
        shown: the moment to explain.
        settings: those that the run was made with.
        chosen: group and unit that the reader asks about; without one, the first that went.

    Returns:
        HTML; every name from the model is escaped.
    """
    step = snapshots[shown].step if shown < len(snapshots) else None
    if step is None:
        return _original(settings)
    row = _row_of(step, chosen) if chosen else None
    lead = ""
    if chosen is not None:
        name = f"<b>{_name(chosen[0])}, unit {chosen[1]}</b>: "
        lead = name + _name(unit_story(snapshots, shown, *chosen))
        if row is None:
            lead += " This step did not weigh it; what follows is of the first unit that went."
    row = row or _row_of(step)
    parts = [_what(step), lead, _who(row, settings), _why(step, row, settings)]
    parts.append(_takes_over(step, settings))
    parts += [_distilled(snapshots[shown]), _cost(snapshots, shown)]
    return "".join(f"<p>{part}</p>" for part in parts if part)


def _original(settings: Settings) -> str:
    steps = int(np.ceil(settings.target / settings.step)) if settings.step > 0 else 0
    return (
        "<p>This is the original model. A run removes units (neurons of Dense layers, filters of "
        "convolutions) little by little: each step at most "
        rf"\(\lceil {settings.step:.4g}\,n \rceil\) of the \(n\) units of a layer, until "
        rf"\({settings.target:.4g}\,n\) are gone: about {steps} steps. No training data is "
        "needed. Press <b>Step</b> to take the first one, and read here what it did and why.</p>"
    )


def _what(step: Step) -> str:
    groups: dict[str, int] = {}
    for removal in step.removals:
        groups[removal.group] = groups.get(removal.group, 0) + 1
    where = ", ".join(f"{count} of <b>{_name(name)}</b>" for name, count in groups.items())
    return (
        f"<b>Step {step.index}</b> removed {len(step.removals)} "
        f"{_units(len(step.removals))}: {where}. "
        f"{step.progress:.0%} of the target is done."
    )


def _name(text: str) -> str:
    """A name from a model: neither HTML nor a formula, whatever is in it."""
    return escape(text).replace("\\", "∖").replace("$", "＄")


def _units(count: int) -> str:
    return "unit" if count == 1 else "units"


Row = dict[str, Any]


def _row_of(step: Step, chosen: tuple[str, int] | None = None) -> Row | None:
    """The candidate that is asked about, or the first that went; None where there is none."""
    columns = step.decisions.columns
    if chosen is None:
        found = np.asarray(columns["verdict"], dtype=str) == "removed"
    else:
        found = (columns["unit"] == chosen[1]) & (columns["group"] == chosen[0])
    rows = np.flatnonzero(found)
    return {name: column[rows[0]] for name, column in columns.items()} if len(rows) else None


def _who(row: Row | None, settings: Settings) -> str:
    if row is None or not np.isfinite(row["importance"]):
        return ""
    j, i = int(row["unit"]), int(row["into"])
    way = None if settings.strategy == "Magnitude" else _way(settings.compensation)
    told = getattr(way, "importance", Plain.importance)
    why = told.replace("%s", f"{row['importance']:.4g}")
    alike = f" It is most like unit \\(i={i}\\);" if i >= 0 else ""
    who = f"Unit \\(j={j}\\) of {_name(str(row['group']))}"
    was = f"{who} was {_name(str(row['verdict']))} ({_name(str(row['reason']))})."
    return f"{was}{alike} {why}" if alike else f"{was} Here {why}"


def _why(step: Step, row: Row | None, settings: Settings) -> str:
    if row is None or not np.isfinite(row["energy"]):
        return ""
    verdict = np.asarray(step.decisions.columns["verdict"], dtype=str)
    removed, rejected = int((verdict == "removed").sum()), int((verdict == "rejected").sum())
    change = (
        f"Removing it is estimated to add \\(L={row['amount']:.4g}\\) to the mean squared change "
        "of the scores"
        if settings.extra.get("energy", "estimated") == "estimated"
        else f"Removing it may change the outputs by \\(L={row['amount']:.4g}\\) in all (the "
        "widths of their intervals)"
    )
    text = f"{change}, with an unevenness of \\(\\mathrm{{Ent}}={row['evenness']:.4g}\\). "
    text += formula(row["amount"], row["evenness"], row["energy"], settings)
    if not np.isfinite(row["temperature"]):
        return text + f" {removed} candidates had the least energy and went."
    return (
        text + " A candidate with a higher energy than the last one is still accepted with "
        rf"probability \(p = e^{{-(E-E^*)/T}}\), at the temperature \(T={row['temperature']:.4g}\)"
        f": here \\(p={row['probability']:.3g}\\). The search can leave a dead end early on, and "
        f"grows strict later. {removed} candidates were accepted, {rejected} rejected."
    )


def formula(amount: float, evenness: float, energy: float, settings: Settings) -> str:
    """The energy of one candidate, term by term, so that it can be worked out by hand.

    The median of its batch is not kept with a candidate; it follows from the energy.
    """
    alpha, beta = settings.alpha, settings.beta
    kind = settings.extra.get("energy", "estimated")
    total = rf"= {energy:.4g}\)"
    if kind == "paper":
        return (
            rf"Its energy is \(E = \alpha\,\sigma(L) + \beta\,\sigma(\mathrm{{Ent}}) = "
            rf"{alpha:g}\,\sigma({amount:.4g}) + {beta:g}\,\sigma({evenness:.4g}) {total}."
        )
    if kind not in ("estimated", "log"):
        return rf"Its energy is \(E {total}."
    weight = TRUST * alpha if kind == "estimated" else alpha
    second = beta * np.log1p(evenness)
    first = energy - second
    symbol = rf"{TRUST:g}\alpha" if kind == "estimated" else r"\alpha"
    general = rf"\(E = {symbol}\,\ln\!\bigl(1 + L/\tilde L\bigr) + \beta\,\ln(1 + \mathrm{{Ent}})\)"
    relative = np.expm1(first / weight) if weight > 0 else 0.0
    if relative <= 0 or amount <= 0:
        return rf"Its energy is {general}, here \({first:.4g} + {second:.4g} {total}."
    return (
        rf"Its energy is {general}, where \(\tilde L = {amount / relative:.4g}\) is the median "
        rf"\(L\) of the candidates that it was compared with. With \(\alpha={alpha:g}\) and "
        rf"\(\beta={beta:g}\): \(E = {weight:g}\,\ln(1 + {relative:.4g}) + "
        rf"{beta:g}\,\ln(1 + {evenness:.4g}) = {first:.4g} + {second:.4g} {total}."
    )


def _takes_over(step: Step, settings: Settings) -> str:
    method = step.removals[0].method if step.removals else ""
    if method == "lossless":
        return _LOSSLESS
    return getattr(_way(method) or _way(settings.compensation), "formula", "")


def _way(compensation: Any) -> Any:
    """A compensation by its name, or the object itself; None where it is not known."""
    if isinstance(compensation, str):
        return compensations.BY_NAME.get(compensation)
    return compensation


def _distilled(moment: Snapshot) -> str:
    if not moment.distilled:
        return ""
    return (
        "The target is reached. All survivors were then tuned together "
        f"(<b>distilled</b>, {moment.distilled:,} steps), so that the scores are again those of "
        r"the original on synthetic inputs \(x\), and beside them where the smaller network errs "
        r"most: \(x + \varepsilon\,\mathrm{sign}\,\nabla_x m\), \(m\) its margin for another class."
    )


def _cost(snapshots: Sequence[Snapshot], shown: int) -> str:
    now, before = snapshots[shown], snapshots[shown - 1]
    parts = [
        f"The network has {now.cost.parameters:,} parameters left of "
        f"{snapshots[0].cost.parameters:,}."
    ]
    if now.measured and before.measured:
        was, now_ = before.measured, now.measured
        points = f"{100 * (now_.quality - was.quality):+.1f} points, "
        change = points if now_.metric.unit == "share" else ""
        better = "" if now_.metric.higher_is_better else "lower is better, "
        parts.append(
            f"{sentence_case(now_.metric.name)} went from {was.text} to {now_.text} "
            f"({change}{better}{now_.samples} samples)."
        )
    if now.lower is not None and now.upper is not None:
        what = "no score (before the softmax or sigmoid)" if now.scores else "no output"
        parts.append(
            f"For every legal input, {what} has moved by more than "
            f"[{short(now.lower.min())}, {short(now.upper.max())}] from the original's "
            f"({'certified' if now.certified else 'estimated'})."
        )
    return " ".join(parts)


def unit_story(snapshots: Sequence[Snapshot], shown: int, group: str, unit: int) -> str:
    """When a unit went and into whom, or why it is still here, as one plain sentence."""
    for snapshot in snapshots[1 : shown + 1]:
        assert snapshot.step is not None
        for removal in snapshot.step.removals:
            if removal.group == group and removal.unit == unit:
                heir = f"; unit {removal.into} took it over"
                heir = ", and no single unit took it over" if removal.into is None else heir
                return f"It went in step {snapshot.step.index}{heir} ({removal.method})."
    if shown == 0 or not snapshots:
        return "It is here: nothing has been removed yet."
    return _still_here([one.step for one in snapshots[1 : shown + 1] if one.step], group, unit)


def _still_here(steps: Sequence[Step], group: str, unit: int) -> str:
    """Why a unit is still here, from the last step that weighed it."""
    weighed = False
    for step in reversed(steps):
        columns = step.decisions.columns
        own = columns["group"] == group
        weighed = weighed or bool(own.any())
        row = _row_of(step, (group, unit))
        if row is None:
            continue
        verdict = str(row["verdict"])
        if verdict == "rejected":
            return f"It stays: step {step.index} weighed it and kept it ({row['reason']})."
        cheaper = int((own & (columns["verdict"] == "removed")).sum())
        units = f"{cheaper} {_units(cheaper)} of {group} {'was' if cheaper == 1 else 'were'}"
        return f"It stays: {units} cheaper in step {step.index} ({verdict}: {row['reason']})."
    if not weighed:
        return "It stays: its layer is locked, or was to lose nothing so far."
    return "It stays: other units of its layer were cheaper, so it was never a candidate."
