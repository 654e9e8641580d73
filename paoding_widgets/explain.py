"""One step in sentences and formulas, with this step's numbers in them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from paoding.plan import Step
from paoding_widgets.charts import short
from paoding_widgets.session import Moment
from paoding_widgets.settings import Settings

_COMPENSATION = {
    "lossless": "It provably never mattered over the legal inputs: nothing is lost, and what it "
    "contributed is folded into its neighbours exactly.",
    "none": r"Nothing takes its place: the row \(V_j\) of the next layer is set to 0.",
    "merge": r"The survivor takes its place: \(V_i \leftarrow V_i + V_j\).",
    "scaled-merge": r"The survivor takes its place, scaled and with a bias: "
    r"\(V_i \leftarrow V_i + s\,V_j,\; c \leftarrow c + t\,V_j\).",
    "mean": r"Its mean moves into the bias of the next layer: \(c \leftarrow c + \mu_j V_j\).",
    "least-squares": r"All survivors of the layer share its work, fitted by least squares on "
    r"synthetic inputs: \(V_K \leftarrow V_K + M^{\top} V_P\), "
    r"\(M = C_{PK}(C_{KK} + \lambda I)^{-1}\).",
}


def explain(moments: Sequence[Moment], shown: int, settings: Settings) -> str:
    """A moment of a run as HTML with formulas between ``\\(`` and ``\\)``.

    Args:
        moments: of the run, the original first.
        shown: the moment to explain.
        settings: those that the run was made with.

    Returns:
        HTML; every name from the model is escaped.
    """
    step = moments[shown].step if shown < len(moments) else None
    if step is None:
        return _original(settings)
    parts = [_what(step), _who(step, settings), _why(step, settings), _takes_over(step, settings)]
    parts += [_distilled(moments[shown]), _cost(moments, shown)]
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


def _first_removed(step: Step) -> dict[str, Any] | None:
    columns = step.decisions.columns
    rows = np.flatnonzero(np.asarray(columns["verdict"], dtype=str) == "removed")
    if not len(rows):
        return None
    return {name: column[rows[0]] for name, column in columns.items()}


_SALIENCY = {
    "merge": r"the saliency of the pair, \(S(i,j) = \lVert V_j\rVert\,\bigl(\lVert w_i-w_j\rVert + "
    r"\tfrac{|b_i-b_j|}{|b_i|+|b_j|}\bigr)\), is \(%s\). A small \(S\) means that the two make "
    r"nearly the same output, or that what \(j\) makes is hardly read.",
    "least-squares": r"its saliency, \(\lVert V_j\rVert^2 / [C^{-1}]_{jj} = %s\), is the error "
    r"that is left in the next layer when all survivors together take over what they can.",
    "scaled-merge": r"its saliency, \(%s\), is the error that is left in the next layer when the "
    r"best survivor takes over, scaled.",
    "mean": r"its saliency, \(\lVert V_j\rVert^2\,\mathrm{Var}(y_j) = %s\), is the error that is "
    r"left in the next layer when its mean is kept.",
}
_MAGNITUDE = r"its saliency, the mean absolute weight \(\overline{|w_j|} = %s\), is the least."


def _who(step: Step, settings: Settings) -> str:
    first = _first_removed(step)
    if first is None or not np.isfinite(first["saliency"]):
        return ""
    j, i = int(first["unit"]), int(first["into"])
    why = _SALIENCY.get(str(settings.compensation), _MAGNITUDE)
    if settings.strategy == "Magnitude":
        why = _MAGNITUDE
    why %= f"{first['saliency']:.4g}"
    alike = f" It is most like unit \\(i={i}\\);" if i >= 0 else ""
    first_to_go = f"The first to go was unit \\(j={j}\\) of {_name(str(first['group']))}"
    return f"{first_to_go}.{alike} {why}" if alike else f"{first_to_go}: {why}"


def _why(step: Step, settings: Settings) -> str:
    columns = step.decisions.columns
    verdict = np.asarray(columns["verdict"], dtype=str)
    removed, rejected = int((verdict == "removed").sum()), int((verdict == "rejected").sum())
    first = _first_removed(step)
    if first is None or not np.isfinite(first["energy"]):
        return ""
    change = (
        f"Removing it is estimated to add \\(L={first['amount']:.4g}\\) to the mean squared change "
        "of the scores"
        if settings.extra.get("energy", "estimated") == "estimated"
        else f"Removing it may change the outputs by \\(L={first['amount']:.4g}\\) in all (the "
        "widths of their intervals)"
    )
    energy = (
        f"{change}, with an unevenness of "
        f"\\(\\mathrm{{Ent}}={first['evenness']:.4g}\\). Weighed with "
        f"\\(\\alpha={settings.alpha:.4g}\\) and \\(\\beta={settings.beta:.4g}\\), its "
        f"energy is \\(E={first['energy']:.4g}\\). "
    )
    if not np.isfinite(first["temperature"]):
        return energy + f"{removed} candidates had the least energy and went."
    return (
        energy
        + "A candidate with a higher energy than the last one is still accepted with probability "
        rf"\(p = e^{{-(E-E^*)/T}}\), at the temperature \(T={first['temperature']:.4g}\): the "
        f"search can leave a dead end early on, and grows strict later. {removed} candidates were "
        f"accepted, {rejected} rejected."
    )


def _takes_over(step: Step, settings: Settings) -> str:
    method = step.removals[0].method if step.removals else ""
    known = _COMPENSATION.get(method) or _COMPENSATION.get(str(settings.compensation), "")
    return known


def _distilled(moment: Moment) -> str:
    if not moment.distilled:
        return ""
    return (
        "The target is reached. All survivors were then tuned together "
        f"(<b>distilled</b>, {moment.distilled:,} steps), so that the scores are again those of "
        r"the original on synthetic inputs \(x\), and beside them where the smaller network errs "
        r"most: \(x + \varepsilon\,\mathrm{sign}\,\nabla_x m\), \(m\) its margin for another class."
    )


def _cost(moments: Sequence[Moment], shown: int) -> str:
    now, before = moments[shown], moments[shown - 1]
    parts = [
        f"The network has {now.cost.parameters:,} parameters left of "
        f"{moments[0].cost.parameters:,}."
    ]
    if now.measured and before.measured:
        change = 100 * (now.measured.accuracy - before.measured.accuracy)
        parts.append(
            f"Accuracy went from {before.measured.accuracy:.1%} to {now.measured.accuracy:.1%} "
            f"({change:+.1f} points, {now.measured.samples} samples)."
        )
    if now.lower is not None and now.upper is not None:
        what = "no score (before the softmax or sigmoid)" if now.scores else "no output"
        parts.append(
            f"For every legal input, {what} has moved by more than "
            f"[{short(now.lower.min())}, {short(now.upper.max())}] from the original's "
            f"({'certified' if now.certified else 'estimated'})."
        )
    return " ".join(parts)


def unit_story(moments: Sequence[Moment], shown: int, group: str, unit: int) -> str:
    """When a unit went and into whom, or why it is still here, as plain text."""
    for moment in moments[1 : shown + 1]:
        assert moment.step is not None
        for removal in moment.step.removals:
            if removal.group == group and removal.unit == unit:
                heir = "without a survivor" if removal.into is None else f"into unit {removal.into}"
                return f"It went in step {moment.step.index}, {heir} ({removal.method})."
    return _still_here(moments, shown, group, unit)


def _still_here(moments: Sequence[Moment], shown: int, group: str, unit: int) -> str:
    refused = []
    for moment in moments[1 : shown + 1]:
        assert moment.step is not None
        columns = moment.step.decisions.columns
        rows = np.flatnonzero((columns["unit"] == unit) & (columns["group"] == group))
        refused += [(moment.step.index, columns, row) for row in rows]
    if refused:
        index, columns, row = refused[-1]
        verdict, reason = columns["verdict"][row], columns["reason"][row]
        return f"It is still here: in step {index} it was {verdict} ({reason})."
    if shown == 0:
        return "It is here: nothing has been removed yet."
    steps = [moment.step for moment in moments[1 : shown + 1]]
    if not any(step and (step.decisions.columns["group"] == group).any() for step in steps):
        return "It is still here: its layer is locked, or was to lose nothing so far."
    return "It is still here: others were less salient, so it was never a candidate."
