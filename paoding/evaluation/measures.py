"""What is measured: a metric with its unit, its range and which way is better, and its values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# Words in a metric's name that say that less is better.
_LESS = ("error", "loss", "entropy", "divergence", "distance", "hinge", "mse", "mae", "rmse")


@dataclass(frozen=True)
class Metric:
    """What a chart or a table has to know of a number to show it.

    Attributes:
        name: As the axis says it.
        higher_is_better: False for a loss or an error, which goes down as the better.
        unit: "share" for what lies in [0, 1], "nats", "dB", or empty.
        low, high: The ends of what it can be, None where there is none.

    Example:
        >>> Metric.guess("mean_absolute_error").higher_is_better
        False
    """

    name: str
    higher_is_better: bool = True
    unit: str = ""
    low: float | None = None
    high: float | None = None

    @classmethod
    def share(cls, name: str) -> Metric:
        """A share of something, the more the better."""
        return cls(name, True, "share", 0.0, 1.0)

    @classmethod
    def error(cls, name: str, unit: str = "") -> Metric:
        """An error or a loss, the less the better."""
        return cls(name, False, unit, 0.0, None)

    @classmethod
    def guess(cls, name: str) -> Metric:
        """A metric of the user's own: its name tells whether less is better."""
        return cls(name, not any(word in name.lower() for word in _LESS))

    def worse(self, now: float, was: float) -> bool:
        """Whether ``now`` is worse than ``was``."""
        return now < was if self.higher_is_better else now > was

    def text(self, value: float | None) -> str:
        """Return a value as a table shows it."""
        if value is None:
            return "–"
        return f"{value:.4f}" if self.unit == "share" else f"{value:.4g}"


@dataclass(frozen=True)
class Measure:
    """A metric's value for the model, and for the reference where it has one of its own.

    Attributes:
        metric: What was measured.
        value: The model's, or None where nothing could be counted.
        reference: The reference's; None where the metric compares the two.
        output: The output that it belongs to; empty where there is one.
        remark: What else to say of it.
    """

    metric: Metric
    value: float | None
    reference: float | None = None
    output: str = ""
    remark: str = ""

    def row(self) -> tuple[str, str, str, str]:
        """Return (what, the model's value, the reference's, remark), as text."""
        name = f"{self.output}: {self.metric.name}" if self.output else self.metric.name
        unit = "" if self.metric.unit == "share" else self.metric.unit
        other = "" if self.reference is None else self.metric.text(self.reference)
        return name, self.metric.text(self.value), other, self.remark or unit

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Measure:
        """Return the measure that :meth:`to_dict` was made of."""
        return cls(**{**values, "metric": Metric(**values["metric"])})
