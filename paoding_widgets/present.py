"""Moments of a run as the plain values and buffers that the browser shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from paoding.evaluation.self_check import SelfCheck
from paoding.graph import Graph, Group
from paoding.plan import Step
from paoding_widgets.scene import Scene
from paoding_widgets.session import Measured, Snapshot
from paoding_widgets.timeline import NamedRun, Timeline
from paoding_widgets.view import no_decisions, untouched

# One step of a wide network can look at more candidates than anyone reads.
MAX_DECISIONS = 4000
_NUMBERS = ("importance", "amount", "evenness", "energy", "temperature", "probability")
_VERDICTS = ("removed", "rejected", "not reached")


def unit_arrays(scene: Scene, snapshots: Sequence[Snapshot]) -> tuple[np.ndarray, np.ndarray]:
    """For every unit the step (from 0) that removed it, and who took it over."""
    removed_at, into = untouched(scene)
    for number, moment in enumerate(snapshots[1:]):
        assert moment.step is not None
        for removal in moment.step.removals:
            at = scene.starts[removal.group] + removal.unit
            removed_at[at] = number
            into[at] = -1 if removal.into is None else removal.into
    return removed_at, into


def figures(original: Snapshot, now: Snapshot) -> list[dict[str, Any]]:
    """The numbers in the head of the studio, before and now."""
    rows: list[tuple[str, float, float, str]] = [
        ("Parameters", original.cost.parameters, now.cost.parameters, "count"),
        ("FLOPs", original.cost.flops, now.cost.flops, "count"),
        ("Size", original.cost.bytes, now.cost.bytes, "bytes"),
    ]
    if original.predicted is not None and now.predicted is not None:
        before, after = 1000 * original.predicted, 1000 * now.predicted
        rows.append(("Milliseconds, predicted", before, after, "number"))
    if original.measured and now.measured:
        rows += _measured_rows(original.measured, now.measured)
    return [
        {"label": label, "before": before, "after": after, "kind": kind}
        for label, before, after, kind in rows
    ]


def _measured_rows(first: Measured, now: Measured) -> list[tuple[str, float, float, str]]:
    kind = "share" if first.metric.unit == "share" else "number"
    rows = [(sentence_case(first.metric.name), first.quality, now.quality, kind)]
    if first.robust is not None and now.robust is not None and first.robust_metric:
        share = first.robust_metric.unit == "share"
        name = "Robust" if share else "Moved by attack"
        rows.append((name, first.robust, now.robust, "share" if share else "number"))
    return rows


def sentence_case(text: str) -> str:
    """A text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]


def sentence(check: SelfCheck) -> str:
    """A self-check in a sentence."""
    text = (
        f"same answer as the original on {check.expected:.0%} of synthetic inputs like "
        f"'{check.likeliest}', which the model suggests"
    )
    others = [value for name, value in check.agreement.items() if name != check.likeliest]
    if others:
        least, most = f"{min(others):.0%}", f"{max(others):.0%}"
        text += f" ({least if least == most else f'{least} to {most}'} on other kinds)"
    return f"{text}; {check.warning}" if check.warning else text


def remark(moment: Snapshot) -> str:
    """What the timeline says of a moment."""
    parts = [f"{moment.share:.0%} of the units removed"]
    if moment.measured:
        parts.append(f"{moment.measured.metric.name} {moment.measured.text}")
    if moment.distilled:
        parts.append("then all survivors were tuned together")
    return ", ".join(parts)


def decisions(step: Step | None, graph: Graph) -> dict[str, Any]:
    """The candidates of a step, in columns of binary buffers."""
    if step is None:
        return no_decisions()
    columns = step.decisions.columns
    count = min(len(step.decisions), MAX_DECISIONS)
    groups = [group.name for group in graph.groups]
    verdict, verdicts = _coded(columns["verdict"][:count], _VERDICTS)
    reason, reasons = _coded(columns["reason"][:count], ())
    group, names = _coded(columns["group"][:count], groups)
    whole = {"group": group, "verdict": verdict, "reason": reason}
    whole |= {name: columns[name][:count] for name in ("unit", "into")}
    packed = {n: np.ascontiguousarray(v, np.int32).tobytes() for n, v in whole.items()}
    for name in _NUMBERS:
        packed[name] = np.ascontiguousarray(columns[name][:count], np.float64).tobytes()
    return {
        "step": step.index - 1,
        "count": count,
        "omitted": len(step.decisions) - count,
        "groups": names,
        "verdicts": verdicts,
        "reasons": reasons,
        "columns": packed,
    }


def _coded(values: np.ndarray, known: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Texts as numbers into a list that begins with the known ones."""
    texts = list(known)
    number = {text: place for place, text in enumerate(texts)}
    codes = np.empty(len(values), np.int32)
    for row, value in enumerate(values):
        text = str(value)
        if text not in number:
            number[text] = len(texts)
            texts.append(text)
        codes[row] = number[text]
    return codes, texts


def layer_details(
    scene: Scene, graph: Graph, snapshots: Sequence[Snapshot], shown: int, node: int
) -> dict[str, Any]:
    """What the inspector says of a layer."""
    values = scene.values["nodes"][node]
    now = snapshots[shown] if snapshots else None
    facts = [{"label": "Type", "value": values["op"]}]
    if values["detail"]:
        facts.append({"label": "Output", "value": values["detail"]})
    group = graph.groups[values["group"]] if values["group"] >= 0 else None
    if group is not None:
        left = units_left(group, snapshots[1 : shown + 1])
        text = str(group.units) if left == group.units else f"{left} of {group.units} left"
        facts.append({"label": "Units", "value": text})
    before = values["parameters"]
    after = before if now is None else now.parameters.get(values["name"], before)
    text = f"{before:,}"
    if after != before:
        text += f" → {after:,} (−{1 - after / before:.0%})"
    facts.append({"label": "Parameters", "value": text})
    members: list[str] = []
    if group is not None:
        members = [f"{part.layer}: {part.reason}" for part in group.parts]
        if group.prunable and not group.mergeable:
            facts.append({"label": "Merging", "value": f"no: {group.distinct}"})
    note = f"Its units stay: {values['note']}." if values["note"] else ""
    if group is not None and group.prunable and group.reason:
        note = f"Some of its units stay: {group.reason}."
    return {
        "title": values["name"],
        "facts": facts,
        "note": note,
        "group": values["group"],
        "members": members,
    }


def layer_rows(
    graph: Graph, scene: Scene, now: Snapshot | None, steps: Sequence[Snapshot]
) -> list[dict[str, Any]]:
    """The table of layers: each that has weights or units of its own, with what is left of it.

    Args:
        graph, scene: of the model.
        now: the snapshot that is shown, or None while nothing is known but the model.
        steps: those up to it, without the original.
    """
    groups = {group.name: number for number, group in enumerate(graph.groups)}
    rows = []
    for place, node in enumerate(scene.values["nodes"]):
        name, before = node["name"], node["parameters"]
        if not before and not node["units"]:
            continue
        group = graph.groups[node["group"]] if node["group"] >= 0 else None
        own = group is not None and groups.get(name) == node["group"]
        reason = node["note"] or ("" if group is None else group.reason or "")
        if group is None:
            reason = reason or "it makes no units of its own"
        elif not own:
            reason = f"its units go with those of {group.name}"
        rows.append(
            {
                "node": place,
                "group": node["group"],
                "name": name,
                "op": node["op"],
                "units": node["units"],
                "left": node["units"] - _gone(node, group, steps),
                "parameters": before,
                "parameters_left": now.parameters.get(name, before) if now else before,
                "prunable": own and group is not None and group.prunable,
                "reason": reason,
            }
        )
    return rows


def _gone(node: Mapping[str, Any], group: Group | None, steps: Sequence[Snapshot]) -> int:
    """How many of the units that a layer makes are gone."""
    if group is None:
        return 0
    made = set(node["map"]) if "map" in node else None
    return sum(
        removal.group == group.name and (made is None or removal.unit in made)
        for snapshot in steps
        if snapshot.step is not None
        for removal in snapshot.step.removals
    )


def run_rows(timeline: Timeline, settings: Mapping[str, str]) -> list[dict[str, Any]]:
    """The table of runs: the present one first, each with its end and what was set otherwise."""
    present = NamedRun.of(timeline.name, timeline.line, settings)
    measured = timeline.line[0].measured
    metric = "" if measured is None else sentence_case(measured.metric.name)
    share = measured is None or measured.metric.unit == "share"
    rows = []
    for run in (present, *reversed(timeline.runs)):
        end = run.points[-1]
        differ = [
            f"{name} {value}"
            for name, value in run.settings.items()
            if any(other.settings.get(name) != value for other in (*timeline.runs, present))
        ]
        rows.append(
            {
                "name": run.name,
                "present": run is present,
                "overlaid": run.overlaid,
                "steps": len(run.points) - 1,
                "share": end.share,
                "accuracy": end.accuracy,
                "robust": end.robust,
                "parameters": end.parameters,
                "flops": end.flops,
                "latency": run.latency,
                "metric": metric or "Accuracy",
                "shares": share,
                "differs": ", ".join(differ),
            }
        )
    return rows


def units_left(group: Group, snapshots: Sequence[Snapshot]) -> int:
    """How many units of a group are left after some snapshots of a run (without the original)."""
    gone = sum(
        removal.group == group.name
        for moment in snapshots
        if moment.step is not None
        for removal in moment.step.removals
    )
    return group.units - gone


def unit_details(
    scene: Scene,
    snapshots: Sequence[Snapshot],
    shown: int,
    node: int,
    unit: int,
    story: str,
    known: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What the inspector says of a unit; ``known`` is what the worker found out about it."""
    values = scene.values["nodes"][node]
    group = scene.values["groups"][values["group"]]
    facts: list[dict[str, str]] = []
    if snapshots and group["name"] in snapshots[shown].importance:
        importance = float(snapshots[shown].importance[group["name"]][unit])
        if np.isfinite(importance):
            facts.append({"label": "Importance", "value": f"{importance:.4g}"})
    free = snapshots[0].free.get(group["name"], {}).get(unit) if snapshots else None
    if free:
        facts.append(
            {"label": "Free", "value": f"it can go at no cost: {free}", "tag": "certified"}
        )
    facts += known["facts"] if known else []
    return {
        "title": f"{group['name']}, unit {unit} of {group['units']}",
        "facts": facts,
        "story": story,
        "group": values["group"],
        "alike": known["alike"] if known else [],
    }
