"""Metrics that the user brings: of Keras, or any function of labels and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from paoding.errors import ArgumentError
from paoding.evaluation.data import Data, each_output
from paoding.evaluation.measures import Measure, Metric

# Names that mean another metric for each kind of labels: one score, one-hot rows, class numbers.
_BY_LABELS = {
    "accuracy": ("binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"),
    "crossentropy": (
        "binary_crossentropy",
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
    ),
}
_SHORT = {"acc": "accuracy", "ce": "crossentropy"}


@dataclass
class OwnMetrics:
    """The user's metrics of one output, while batches come in.

    Args:
        given: As the user gave them.
    """

    given: list[Any]
    _pairs: list[tuple[Metric, Any, Any]] = field(default_factory=list)
    _kept: list[tuple[np.ndarray, list[np.ndarray]]] = field(default_factory=list)
    _compared: bool = False

    def add(self, y: np.ndarray | None, p: np.ndarray, q: np.ndarray | None) -> None:
        """Give a batch to each of them; plain functions need the whole at the end."""
        if not self.given:
            return
        if y is None:
            raise ArgumentError("metrics= compares with labels: pass y.")
        if not self._pairs:
            self._pairs = [_pair(metric, y, p) for metric in self.given]
        self._compared = q is not None
        for metric, *both in self._pairs:
            for one, answer in zip(both, (p, q), strict=True):
                if answer is not None and isinstance(one, keras.metrics.Metric):
                    _tried(metric.name, y, answer, one.update_state)
        if any(not isinstance(one, keras.metrics.Metric) for _, one, _ in self._pairs):
            self._kept.append((y, [p] if q is None else [p, q]))

    def measures(self, output: str) -> Iterator[Measure]:
        """Yield what they came to."""
        for metric, mine, theirs in self._pairs:
            other = self._value(metric.name, theirs, 1) if self._compared else None
            yield Measure(metric, self._value(metric.name, mine, 0), other, output)

    def _value(self, name: str, metric: Any, which: int) -> float:
        if isinstance(metric, keras.metrics.Metric):
            return float(np.mean(keras.ops.convert_to_numpy(metric.result())))
        answers = [both[which] for _, both in self._kept]
        y = [labels for labels, _ in self._kept]
        shapes = {(a.shape[1:], b.shape[1:]) for a, b in zip(y, answers, strict=True)}
        if len(shapes) > 1:
            raise ArgumentError(
                f"The metric {name!r} needs all samples at once, and these have different "
                "lengths: pass a metric of Keras, which takes them batch by batch."
            )
        return _tried(name, np.concatenate(y), np.concatenate(answers), metric)


def own_metrics(metrics: Any, data: Data) -> list[OwnMetrics]:
    """Return the metrics of each output: what is not given by output is for the first.

    Raises:
        ArgumentError: Something is no metric.
    """
    if isinstance(metrics, Mapping):
        per = each_output(metrics, data.outputs, "metrics")
    else:
        per = [metrics] + [None] * (len(data.outputs) - 1)
    lists = [[] if m is None else list(m) if isinstance(m, list | tuple) else [m] for m in per]
    for metric in (metric for each in lists for metric in each):
        if not isinstance(metric, str) and not callable(metric):
            raise ArgumentError(
                f"{metric!r} is no metric; pass one of Keras, or callable(y, prediction)."
            )
        if isinstance(metric, str) and _SHORT.get(metric, metric) not in _BY_LABELS:
            _of_keras(metric)
    return [OwnMetrics(each) for each in lists]


def _of_keras(name: str) -> Any:
    try:
        return keras.metrics.get(name)
    except ValueError:
        raise ArgumentError(f"{name!r} is no metric of Keras.") from None


def _pair(metric: Any, y: np.ndarray, p: np.ndarray) -> tuple[Metric, Any, Any]:
    """Return a metric as (what it is, of the model, of the reference)."""
    if isinstance(metric, str):
        name = _SHORT.get(metric, metric)
        if name in _BY_LABELS:
            one_hot = y.shape == p.shape and p.shape[-1] > 1
            name = _BY_LABELS[name][0 if p.shape[-1] == 1 else 1 if one_hot else 2]
        metric = _of_keras(name)
    if isinstance(metric, keras.metrics.Metric):
        twins = [type(metric).from_config(metric.get_config()) for _ in range(2)]
        return Metric.guess(metric.name), twins[0], twins[1]
    name = getattr(metric, "__name__", type(metric).__name__)
    return Metric.guess(name), metric, metric


def _tried(name: str, y: np.ndarray, p: np.ndarray, metric: Callable[..., Any]) -> float:
    """Return what a metric says; a fault of it is told with what it was given.

    Raises:
        ArgumentError: It fails, or gives no number.
    """
    try:
        value = metric(y, p)
        return 0.0 if value is None else float(np.mean(keras.ops.convert_to_numpy(value)))
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
        raise ArgumentError(
            f"The metric {name!r} fails on labels of shape {y.shape} and predictions of shape "
            f"{p.shape} ({reason.rstrip('.')})."
        ) from error
