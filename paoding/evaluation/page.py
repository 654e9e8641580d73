"""The report of a pruning run as one HTML page that needs nothing else to be shown."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from paoding import __version__
from paoding.evaluation.measures import Measure, Metric
from paoding.evaluation.report import Report

# An outline of many outputs is as good as a picture of all of them.
_MOST_OUTPUTS = 24
# The drawing areas inside the 760 wide pictures of the page.
_LEFT, _RIGHT = 60.0, 750.0
_TOP, _BOTTOM = 12.0, 190.0
_BAR_WIDTH = 440.0
# What spans less than this is drawn as a point.
_LEAST_SPAN = 1e-300


@dataclass(frozen=True)
class Table:
    """A table of a :class:`Section`; all its cells are shown as text."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Section:
    """A part of the page that somebody else adds.

    Attributes:
        title, text: Shown as text.
        svg: A picture, as SVG without scripts, that is put into the page as it is; or empty.
        tables: Below it; one that has a caption is folded away behind it.
    """

    title: str
    text: str
    svg: str = ""
    tables: Sequence[Table] = ()


def write_html(
    path: str | Path, report: Mapping[str, Any], sections: Sequence[Section] = ()
) -> None:
    """Write the page of a pruning run.

    Args:
        path: The file to write.
        report: Plain values: ``model``, ``settings``, ``before`` and ``after`` (parameters,
            flops, bytes), ``layers`` (layer, units, left, prunable, reason), ``steps`` (step,
            removed, progress, energy, seconds), ``fitted_on`` (two words), ``prior`` (a
            sentence), ``fits`` (layer, fit, why),
            ``selfcheck`` (agreement, warning), ``certificate`` (lower, upper, reason, scores),
            ``evaluation`` (a ``Report.to_dict()`` or None), ``fingerprint``. What is missing is
            left out of the page. Every text is shown as text, whatever it holds.
        sections: More parts, after the layers.
    """
    Path(path).write_text(render(report, sections), encoding="utf-8")


def render(report: Mapping[str, Any], sections: Sequence[Section] = ()) -> str:
    """Return the page of a pruning run as HTML; see :func:`write_html`."""
    template = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    ).get_template("page.html")
    found = report.get("evaluation")
    evaluation = None if found is None else Report.from_dict(found)
    certificate = report.get("certificate") or {}
    return template.render(
        model=report.get("model") or "Model",
        summary=_summary(report),
        cards=_cards(report, evaluation),
        bars=None if evaluation is None else _bars(evaluation),
        classes=evaluation is not None and evaluation.robust_accuracy is not None,
        note="" if evaluation is None else evaluation.note(),
        evaluation=[] if evaluation is None else list(evaluation.rows()),
        layers=[_layer(layer) for layer in report.get("layers", ())],
        sections=sections,
        energy=_energy(report.get("steps", ())),
        prior=report.get("prior"),
        fits=report.get("fits") or (),
        fitted_on=report.get("fitted_on") or "data-free",
        selfcheck=_selfcheck(report.get("selfcheck")),
        certificate=_certified(certificate),
        reason=certificate.get("reason"),
        settings=[(key, _text(value)) for key, value in report.get("settings", {}).items()],
        fingerprint=report.get("fingerprint"),
        version=__version__,
    )


def _summary(report: Mapping[str, Any]) -> str:
    layers = [layer for layer in report.get("layers", ()) if layer["prunable"]]
    units, left = sum(x["units"] for x in layers), sum(x["left"] for x in layers)
    steps = report.get("steps", ())
    seconds = sum(step.get("seconds") or 0 for step in steps)
    text = f"{units - left:,} of {units:,} prunable units removed in {len(steps):,} steps"
    return f"{text} ({seconds:.2g} s), {report.get('fitted_on') or 'data-free'}."


def _cards(report: Mapping[str, Any], evaluation: Report | None) -> list[dict[str, Any]]:
    cards = []
    before, after = report.get("before") or {}, report.get("after") or {}
    for key, title in (("parameters", "Parameters"), ("flops", "FLOPs"), ("bytes", "Bytes")):
        if key in before and key in after:
            was, now = before[key], after[key]
            change = _signed(100 * (now - was) / was, 0, "\u202f%") if was else ""
            unit = "B" if key == "bytes" else ""
            cards.append(_card(title, _short(now, unit), _short(was, unit), change, now > was))
    if evaluation is not None:
        for measured in _shown(evaluation):
            cards.append(_measured_card(measured))
    return cards


def _shown(evaluation: Report) -> list[Measure]:
    """Return what deserves a card: the first measure, and what is left under every attack."""
    shown = list(evaluation.quality[:1])
    if evaluation.robust_accuracy is not None:
        robust = evaluation.robust_accuracy, evaluation.reference_robust_accuracy
        return [*shown, Measure(Metric.share("robust accuracy"), *robust)]
    return [*shown, *evaluation.robustness[:1]]


def _measured_card(measured: Measure) -> dict[str, Any]:
    metric, now, was = measured.metric, measured.value, measured.reference
    title = measured.row()[0]
    change, worse = "", False
    if now is not None and was is not None:
        share = metric.unit == "share"
        change = _signed(100 * (now - was), 1, " points") if share else f"{now - was:+.3g}"
        worse = metric.worse(now, was)
    shown = "" if was is None else _value(metric, was)
    return _card(title[:1].upper() + title[1:], _value(metric, now), shown, change, worse)


def _value(metric: Metric, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if metric.unit == "share" else f"{value:.4g}"


def _card(title: str, now: str, was: str, change: str, worse: bool) -> dict[str, Any]:
    return {"title": title, "now": now, "was": was, "change": change, "worse": worse}


def _short(count: float, unit: str = "") -> str:
    """Return a count in three digits or four: 125,898 -> 126 k."""
    for power, letter in ((9, "G"), (6, "M"), (3, "k")):
        if count >= 10**power:
            return f"{count / 10**power:.3g} {letter}{unit}"
    return f"{count:,.0f} {unit}".rstrip()


def _signed(value: float, digits: int, unit: str) -> str:
    """Return a change with its sign, a real minus among them."""
    return f"{value:+.{digits}f}{unit}".replace("-", "−")


def _bars(evaluation: Report) -> dict[str, Any] | None:
    """Return bars of the first measure, clean and under each attack, for both models.

    Bars share a scale: measures of other units are in the table. None where none fits one.
    """
    if not evaluation.quality:
        return None
    first = evaluation.quality[0]
    alike = [m for m in evaluation.robustness if m.metric.unit == first.metric.unit == "share"]
    names = {attack.name for attack in evaluation.attacks}
    rows = [("clean", first)]
    rows += [(m.remark if m.remark in names else m.row()[0], m) for m in alike]
    values = [v for _, m in rows for v in (m.value, m.reference) if v is not None and v >= 0]
    most = 1.0 if first.metric.unit == "share" else max(values, default=0.0) or 1.0
    drawn = [
        {
            "name": name if len(name) <= 36 else name[:35] + "…",
            "y": 8 + 38 * i,
            "now": _value(m.metric, m.value),
            "was": None if m.reference is None else _value(m.metric, m.reference),
            "now_width": round(_BAR_WIDTH * max(m.value or 0, 0) / most, 1),
            "was_width": round(_BAR_WIDTH * max(m.reference or 0, 0) / most, 1),
        }
        for i, (name, m) in enumerate(rows)
    ]
    better = "higher" if first.metric.higher_is_better else "lower"
    axis = f"{first.row()[0]} ({better} is better)"
    return {"rows": drawn, "height": 8 + 38 * len(rows), "axis": axis[:1].upper() + axis[1:]}


def _layer(layer: Mapping[str, Any]) -> dict[str, Any]:
    share = layer["left"] / layer["units"] if layer["units"] else 0
    return {**layer, "percent": round(100 * share, 1)}


def _energy(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the line of the steps' energies, or None where fewer than two are known."""
    known = [(s["step"], s["energy"]) for s in steps if _finite(s.get("energy"))]
    if len(known) < 2 or not _finite(max(e for _, e in known) - min(e for _, e in known)):
        return None
    lo, hi = min(e for _, e in known), max(e for _, e in known)
    span = max(hi - lo, _LEAST_SPAN)
    first, last = known[0][0], known[-1][0]

    def place(step: float, energy: float) -> tuple[float, float]:
        x = _LEFT + (_RIGHT - _LEFT) * (step - first) / ((last - first) or 1)
        return round(x, 1), round(_BOTTOM - (_BOTTOM - _TOP) * ((energy - lo) / span), 1)

    dots = [place(*pair) for pair in known]
    ticks = [lo + span * part for part in (0, 0.5, 1)]
    return {
        "points": " ".join(f"{x},{y}" for x, y in dots),
        "dots": dots if len(dots) <= 80 else [],
        "ticks": [{"y": place(first, tick)[1], "text": f"{tick:.3g}"} for tick in ticks],
        "first": first,
        "last": last,
    }


def _selfcheck(check: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the agreement under each prior, and what to be careful of."""
    if not check or not check.get("agreement"):
        return None
    rows = [
        {"prior": name, "share": f"{value:.1%}", "percent": round(100 * value, 1)}
        for name, value in check["agreement"].items()
    ]
    shares = check["agreement"].values()
    # Reports of earlier versions name no likeliest prior.
    likeliest = check.get("likeliest") or max(check["agreement"], key=check["agreement"].get)
    warning = check.get("warning") or ""
    return {
        "expected": f"{check['agreement'][likeliest]:.1%}",
        "likeliest": likeliest,
        "spread": f"{100 * (max(shares) - min(shares)):.1f} points",
        "warning": warning[:1].upper() + warning[1:],
        "rows": rows,
    }


def _certified(bound: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the picture of the scores' intervals where there are any, or else of the outputs'.

    Behind a softmax or sigmoid the outputs' intervals are mostly the trivial -1 to 1.
    """
    outputs = _certificate(bound.get("lower"), bound.get("upper"))
    inner = bound.get("scores") or {}
    scores = _certificate(inner.get("lower"), inner.get("upper"))
    if scores is None:
        return None if outputs is None else {**outputs, "name": "output", "outputs": None}
    text = None
    if outputs is not None:
        text = f"{min(bound['lower']):.3g} to {max(bound['upper']):.3g}".replace("-", "−")
    return {**scores, "name": "score", "outputs": text}


def _certificate(lower: Any, upper: Any) -> dict[str, Any] | None:
    """Return one interval a row, on a common scale that holds zero."""
    if lower is None or upper is None or not len(lower):
        return None
    pairs = list(zip(lower, upper, strict=True))[:_MOST_OUTPUTS]
    if not all(_finite(a) and _finite(b) for a, b in pairs):
        return None
    lo, hi = min(0.0, *(a for a, _ in pairs)), max(0.0, *(b for _, b in pairs))
    if not _finite(hi - lo):
        return None
    scale = 470.0 / max(hi - lo, _LEAST_SPAN)
    rows = [
        {
            "index": k,
            "y": 20 * k,
            "x": round(90 + scale * (a - lo), 1),
            "width": round(max(scale * (b - a), 1.0), 1),
            "lower": f"{a:+.3g}".replace("-", "−"),
            "upper": f"{b:+.3g}".replace("-", "−"),
        }
        for k, (a, b) in enumerate(pairs)
    ]
    zero = round(90 - scale * lo, 1)
    more = len(lower) - len(pairs)
    return {"rows": rows, "zero": zero, "height": 20 * len(rows) + 4, "more": more}


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _text(value: Any) -> str:
    """Return a setting as people write it: ``{"alpha": 0.75}`` -> alpha 0.75."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return "; ".join(map(_text, value)) or "none"
    return "none" if value is None else json.dumps(value, default=str)
