"""What an evaluation found: plain numbers that print as a table, as JSON and as HTML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from html import escape
from io import StringIO
from typing import Any

from paoding.evaluation.cost import Cost
from paoding.evaluation.measures import Measure, Metric


@dataclass(frozen=True)
class AttackResult:
    """What one attack did to the model, and to the reference where there is one.

    Attributes:
        name: The attack with its settings.
        settings: Norm, eps, steps, restarts, seed: all that the outcome depends on.
        robust_accuracy: Share of ALL samples that are classified rightly, clean and attacked.
        reference_robust_accuracy: The same of the reference, attacked on its own.
        retention: Share of the reference's robust samples at which the model is robust too.
        transfer: Of the inputs that newly fool the reference, the share that fools the model.
        seconds: How long the attack on the model took.
        measures: What is no classifier has these instead of shares of samples.
    """

    name: str
    settings: dict[str, Any]
    robust_accuracy: float | None
    reference_robust_accuracy: float | None
    retention: float | None
    transfer: float | None
    seconds: float
    measures: tuple[Measure, ...] = ()

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AttackResult:
        """Return the result that ``dataclasses.asdict`` took apart."""
        measures = tuple(map(Measure.from_dict, values.get("measures", ())))
        return cls(**{**values, "measures": measures})


@dataclass(frozen=True)
class Report:
    """The evaluation of a model on labelled data, alone or against a reference.

    Attributes:
        model: The model's name.
        samples: The number of samples, N, that every share is a share of.
        accuracy: Share of samples whose class is right; None where there are no such classes.
        loss: Mean cross-entropy, in nats; None alike.
        cost: Parameters, FLOPs, bytes and latency.
        reference: The reference's name, or None; the ``reference_`` fields go with it.
        agreement: Share of samples to which model and reference give the same class.
        attacks: One result for each attack.
        robust_accuracy: Share of all samples that withstand every attack; None without attacks.
        retention: Share of the reference's robust samples, under every attack, that stay robust.
        clip: The range into which adversarial inputs are clipped, or None without attacks.
        certified: Share of samples whose class provably stays the reference's, or None.
        measures: What was measured where ``accuracy`` is None.
        notes: What each output was taken for, and why.
    """

    model: str
    samples: int
    accuracy: float | None
    loss: float | None
    cost: Cost
    reference: str | None = None
    reference_accuracy: float | None = None
    reference_loss: float | None = None
    reference_cost: Cost | None = None
    agreement: float | None = None
    attacks: tuple[AttackResult, ...] = ()
    robust_accuracy: float | None = None
    reference_robust_accuracy: float | None = None
    retention: float | None = None
    clip: tuple[Any, Any] | None = None
    certified: float | None = None
    measures: tuple[Measure, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def quality(self) -> tuple[Measure, ...]:
        """Everything that was measured without attacks, the most telling first, with its metric."""
        if self.accuracy is None:
            return self.measures
        made = [
            Measure(Metric.share("accuracy"), self.accuracy, self.reference_accuracy),
            Measure(Metric.error("loss", "nats"), self.loss, self.reference_loss),
        ]
        if self.reference is not None:
            remark = "same class as the reference"
            made.append(Measure(Metric.share("agreement"), self.agreement, None, "", remark))
        return tuple(made)

    @property
    def robustness(self) -> tuple[Measure, ...]:
        """What is left under each attack, with its metric."""
        made: list[Measure] = []
        for attack in self.attacks:
            if attack.robust_accuracy is None:
                made += [replace(m, remark=attack.name) for m in attack.measures]
                continue
            metric = Metric.share(f"robust, {attack.name}")
            remark = _remark(attack.retention, attack.transfer)
            value, other = attack.robust_accuracy, attack.reference_robust_accuracy
            made.append(Measure(metric, value, other, "", remark))
        return tuple(made)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values only, as JSON knows them."""
        return json.loads(self.to_json())

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Report:
        """Return the report that :meth:`to_dict` was made of."""
        costs = {
            key: None if values.get(key) is None else Cost(**values[key])
            for key in ("cost", "reference_cost")
        }
        attacks = tuple(map(AttackResult.from_dict, values.get("attacks", ())))
        clip = values.get("clip")
        rest = {
            "attacks": attacks,
            "clip": None if clip is None else tuple(clip),
            "measures": tuple(map(Measure.from_dict, values.get("measures", ()))),
            "notes": tuple(values.get("notes", ())),
        }
        return cls(**{**values, **costs, **rest})

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield (what, the model's value, the reference's, remark), as text."""
        for measured in (*self.quality, *self.robustness):
            yield measured.row()
        if len(self.attacks) > 1 and self.robust_accuracy is not None:
            other = _share(self.reference_robust_accuracy)
            yield (
                "robust, every attack",
                _share(self.robust_accuracy),
                other,
                _remark(self.retention),
            )
        if self.certified is not None:
            yield "certified class", _share(self.certified), "", "provably the reference's"
        other_cost = self.reference_cost
        for key, unit in (("parameters", ""), ("flops", "a sample"), ("bytes", "")):
            before = getattr(other_cost, key) if other_cost else None
            yield key, _count(getattr(self.cost, key)), _count(before), unit
        if self.cost.latency is not None:
            before = other_cost.latency if other_cost else None
            yield (
                "latency",
                _time(self.cost.latency),
                _time(before),
                f"median, one sample, {self.cost.runtime}",
            )

    def note(self) -> str:
        """Return the sentence that states what the shares are shares of."""
        text = f"{self.samples:,} samples"
        if self.robust_accuracy is not None:
            text += "; robust: share of all samples right, clean and attacked"
        if self.clip is not None:
            text += f"; inputs clipped to [{_edge(self.clip[0])},\u00a0{_edge(self.clip[1])}]"
        return " ".join([text + ".", *self.notes])

    def __str__(self) -> str:
        from rich.console import Console
        from rich.table import Table

        table = Table(title=self._title(), caption=self.note(), title_justify="left")
        table.caption_justify = "left"
        table.add_column("")
        table.add_column("model", justify="right")
        if self.reference is not None:
            table.add_column("reference", justify="right")
        table.add_column("")
        for what, mine, other, remark in self.rows():
            cells = (
                (what, mine, other, remark) if self.reference is not None else (what, mine, remark)
            )
            table.add_row(*cells)
        out = StringIO()
        Console(file=out, width=100, color_system=None, markup=False).print(table)
        return out.getvalue().rstrip()

    def _title(self) -> str:
        against = f" against {self.reference}" if self.reference is not None else ""
        return f"{self.model}{against}"

    def _repr_html_(self) -> str:
        """Return the table for a notebook; every text is escaped."""
        heads = ("", "model", *(("reference",) if self.reference is not None else ()), "")
        head = "".join(f"<th>{escape(text)}</th>" for text in heads)
        body = ""
        for what, mine, other, remark in self.rows():
            cells = (mine, other) if self.reference is not None else (mine,)
            numbers = "".join(f"<td style='text-align:right'>{escape(c)}</td>" for c in cells)
            body += (
                f"<tr><th scope='row' style='text-align:left'>{escape(what)}</th>{numbers}"
                f"<td style='text-align:left'>{escape(remark)}</td></tr>"
            )
        return (
            f"<table><caption>{escape(self._title())}<br><small>{escape(self.note())}</small>"
            f"</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1000 * seconds:.3g} ms"


def _edge(value: Any) -> str:
    return "varying" if isinstance(value, list) else f"{value:g}"


def _remark(retention: float | None, transfer: float | None = None) -> str:
    parts = [] if retention is None else [f"retention {retention:.4f}"]
    if transfer is not None:
        parts.append(f"transfer {transfer:.4f}")
    return ", ".join(parts)
