"""What a network's output is for: one small class a task, with its labels and its numbers."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from paoding.errors import ArgumentError, DataError
from paoding.evaluation.measures import Metric

Sums = dict[str, Any]
_LEAST = 1e-7  # probabilities below it count as it, as in Keras
_SURE = 0.9  # probability from which a classifier is sure
_TASKS: dict[str, Task] = {}


def register(task: type[Task]) -> type[Task]:
    """Make a task known by its name."""
    _TASKS[task.name] = task()
    return task


def get(task: str | Task) -> Task:
    """Return the task of a name.

    Raises:
        ArgumentError: There is none.
    """
    if isinstance(task, Task):
        return task
    if not isinstance(task, str) or task not in _TASKS:
        raise ArgumentError(f"{task!r} is no task; there are {', '.join(names())}.")
    return _TASKS[task]


def names() -> list[str]:
    """Return the names of all tasks."""
    return list(_TASKS)


class Task:
    """One kind of output. Everything is counted in sums, so that data may come in batches.

    Outputs come as rows: every axis but the last is a place (a sample, a token, a pixel).

    Attributes:
        name: As ``task=`` takes it.
        metrics: What is measured with labels, the first of them before all.
        alike: What is measured against the original, without labels.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    alike: ClassVar[tuple[Metric, ...]]

    def labels(self, y: np.ndarray, shape: tuple[int, ...], where: str) -> np.ndarray:
        """Return labels as rows that go with the rows of an output of ``shape``.

        Raises:
            DataError: They do not fit; ``where`` names them.
        """
        if y.shape != shape and (y.size != np.prod(shape) or len(y) != shape[0]):
            raise DataError(
                f"{where} has shape {y.shape}; {self.name} compares it with an output of shape "
                f"{shape}."
            )
        _refuse_nan(y, where)
        return y.reshape(-1, shape[-1]).astype("float64")

    def scores(self, rows: np.ndarray, head: str) -> np.ndarray:
        """Return what the output's rows mean; ``head`` is the activation that ends the model."""
        return rows.astype("float64")

    def count(self, y: np.ndarray, p: np.ndarray) -> Sums:
        """Return sums over rows of labels and scores."""
        raise NotImplementedError

    def values(self, sums: Sums) -> list[float | None]:
        """Return the value of each of ``metrics``."""
        raise NotImplementedError

    def count_alike(self, p: np.ndarray, q: np.ndarray) -> Sums:
        """Return sums over rows of the model's scores and the original's."""
        return self.count(q, p)

    def values_alike(self, sums: Sums) -> list[float | None]:
        """Return the value of each of ``alike``."""
        raise NotImplementedError

    def agreement(self, sums: Sums) -> float:
        """Return how far two models agree, 0 to 1, of the sums of :meth:`count_alike`."""
        raise NotImplementedError

    def sure(self, q: np.ndarray) -> np.ndarray:
        """Return of which rows the original is sure, by its scores; of numbers it always is."""
        return np.ones(len(q), bool)


class _Classes(Task):
    """Rows are scores of classes, labels are class numbers."""

    alike: ClassVar[tuple[Metric, ...]] = (
        Metric.share("agreement"),
        Metric.error("KL divergence", "nats"),
    )

    def labels(self, y: np.ndarray, shape: tuple[int, ...], where: str) -> np.ndarray:
        classes, places = max(shape[-1], 2), shape[:-1]
        if shape[-1] > 1 and y.shape == shape:
            rows = y.reshape(-1, classes)
            good = np.isin(rows, (0, 1)).all(axis=1) & (rows.sum(axis=1) == 1)
            if not good.all():
                raise DataError(
                    f"{where} is not one-hot: row {int((~good).argmax())} is not a single 1 "
                    "among zeros."
                )
            return rows.argmax(axis=1)
        if y.size != np.prod(places) or len(y) != shape[0]:
            raise DataError(
                f"{where} has shape {y.shape}; {self.name} needs one class number for each of "
                f"{places}, or one-hot rows of {classes}."
            )
        values = y.reshape(-1)
        if shape[-1] == 1 and values.min() == -1 and np.isin(values, (-1, 1)).all():
            values = (values + 1) // 2
        numbers = np.where(np.isfinite(values), values, -1).astype("int64")
        wrong = (numbers != values) | (numbers < 0) | (numbers >= classes)
        if wrong.any():
            raise DataError(
                f"{where} holds {values[wrong.argmax()].item()!r} at place {int(wrong.argmax())}; "
                f"there are the classes 0 to {classes - 1}. Places without a label get the "
                "weight 0."
            )
        return numbers

    def scores(self, rows: np.ndarray, head: str) -> np.ndarray:
        z = rows.astype("float64")
        if z.shape[1] == 1:
            p = z if head == "sigmoid" else (1 + z) / 2 if head == "tanh" else _sigmoid(z)
            return np.concatenate([1 - p, p], axis=1)
        if head == "softmax":
            return z
        if head == "sigmoid":  # one score a class, each by itself
            return z / np.maximum(z.sum(axis=1, keepdims=True), _LEAST)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def count(self, y: np.ndarray, p: np.ndarray) -> Sums:
        guess, classes = p.argmax(axis=1), p.shape[1]
        nats = -np.log(np.clip(p[np.arange(len(y)), y], _LEAST, 1))
        return {
            "rows": len(y),
            "right": int((guess == y).sum()),
            "nats": float(nats.sum()),
            "both": np.bincount(y[guess == y], minlength=classes),
            "either": np.bincount(y, minlength=classes) + np.bincount(guess, minlength=classes),
        }

    def count_alike(self, p: np.ndarray, q: np.ndarray) -> Sums:
        a, b = np.clip(p, _LEAST, 1), np.clip(q, _LEAST, 1)
        return {
            **self.count(q.argmax(axis=1), p),
            "nats": float((b * (np.log(b) - np.log(a))).sum()),
        }

    def values(self, sums: Sums) -> list[float | None]:
        return [_part(sums["right"], sums["rows"]), _part(sums["nats"], sums["rows"])]

    values_alike = values

    def agreement(self, sums: Sums) -> float:
        return float(sums["right"] / sums["rows"])

    def sure(self, q: np.ndarray) -> np.ndarray:
        return q.max(axis=1) >= _SURE


@register
class Classification(_Classes):
    """One class a sample."""

    name = "classification"
    metrics = (Metric.share("accuracy"), Metric.error("loss", "nats"))


@register
class Tagging(_Classes):
    """One class a token; places without a token are masked out."""

    name = "tagging"
    metrics = (Metric.share("token accuracy"), Metric.error("loss", "nats"))


@register
class Segmentation(_Classes):
    """One class a pixel."""

    name = "segmentation"
    metrics = (Metric.share("mean IoU"), Metric.share("pixel accuracy"))
    alike: ClassVar[tuple[Metric, ...]] = (
        Metric.share("IoU with the reference"),
        *_Classes.alike,
    )

    def values(self, sums: Sums) -> list[float | None]:
        return [_iou(sums), _part(sums["right"], sums["rows"])]

    def values_alike(self, sums: Sums) -> list[float | None]:
        return [_iou(sums), *super().values_alike(sums)[:1], _part(sums["nats"], sums["rows"])]


@register
class MultiLabel(Task):
    """Each score by itself is yes or no."""

    name = "multi-label"
    metrics = (Metric.share("F1"), Metric.share("label accuracy"), Metric.share("exact match"))
    alike = (Metric.share("agreement"), Metric.share("exact agreement"))

    def labels(self, y: np.ndarray, shape: tuple[int, ...], where: str) -> np.ndarray:
        rows = super().labels(y, shape, where)
        wrong = ~np.isin(rows, (0, 1)).all(axis=1)
        if wrong.any():
            raise DataError(
                f"{where} holds {rows[wrong.argmax()].tolist()} at place {int(wrong.argmax())}; "
                "multi-label needs 0 or 1 for each score."
            )
        return rows

    def scores(self, rows: np.ndarray, head: str) -> np.ndarray:
        return rows.astype("float64") if head == "sigmoid" else _sigmoid(rows.astype("float64"))

    def count(self, y: np.ndarray, p: np.ndarray) -> Sums:
        yes, guess = y > 0.5, p > 0.5
        return {
            "rows": len(y),
            "labels": y.size,
            "right": int((yes == guess).sum()),
            "exact": int((yes == guess).all(axis=1).sum()),
            "hits": int((yes & guess).sum()),
            "named": int(yes.sum() + guess.sum()),
        }

    def values(self, sums: Sums) -> list[float | None]:
        f1 = _part(2 * sums["hits"], sums["named"])
        return [1.0 if f1 is None else f1, *self.values_alike(sums)]

    def values_alike(self, sums: Sums) -> list[float | None]:
        return [_part(sums["right"], sums["labels"]), _part(sums["exact"], sums["rows"])]

    def agreement(self, sums: Sums) -> float:
        return float(sums["right"] / sums["labels"])

    def sure(self, q: np.ndarray) -> np.ndarray:
        return np.abs(q - 0.5).min(axis=1) >= _SURE - 0.5


class _Numbers(Task):
    """Rows are numbers, compared by their distance."""

    alike = (Metric.error("relative error"), Metric.error("mean absolute change"))

    def count(self, y: np.ndarray, p: np.ndarray) -> Sums:
        off = p - y
        return {
            "numbers": y.size,
            "rows": len(y),
            "off": float(np.abs(off).sum()),
            "squares": float(np.square(off).sum()),
            "size": float(np.square(y).sum()),
            "sum": y.sum(axis=0),
            "each": np.square(y).sum(axis=0),
        }

    def values_alike(self, sums: Sums) -> list[float | None]:
        relative = _part(sums["squares"], sums["size"])
        return [
            None if relative is None else float(np.sqrt(relative)),
            _part(sums["off"], sums["numbers"]),
        ]

    def agreement(self, sums: Sums) -> float:
        """Return the share of the original's variance that is explained, at least 0."""
        left = sums["squares"] / max(_variation(sums), 1e-12 * sums["numbers"])
        return float(max(0.0, 1.0 - left))


@register
class Regression(_Numbers):
    """Numbers of any kind."""

    name = "regression"
    metrics = (
        Metric.error("mean absolute error"),
        Metric.error("root mean squared error"),
        Metric("R²", True, "", None, 1.0),
    )

    def values(self, sums: Sums) -> list[float | None]:
        mse = _part(sums["squares"], sums["numbers"])
        spread = _variation(sums)
        explained = _part(sums["squares"], spread) if spread > 0 else None
        return [
            _part(sums["off"], sums["numbers"]),
            None if mse is None else float(np.sqrt(mse)),
            None if explained is None else 1 - explained,
        ]


@register
class Reconstruction(_Numbers):
    """The input again, or what it was before it was spoilt."""

    name = "reconstruction"
    metrics = (Metric.error("mean squared error"), Metric.error("relative error"))

    def values(self, sums: Sums) -> list[float | None]:
        return [_part(sums["squares"], sums["numbers"]), self.values_alike(sums)[0]]


@register
class Embedding(Task):
    """Directions in space, compared by their angle."""

    name = "embedding"
    metrics = (Metric("cosine", True, "", -1.0, 1.0), Metric("least cosine", True, "", -1.0, 1.0))
    alike = metrics

    def count(self, y: np.ndarray, p: np.ndarray) -> Sums:
        lengths = np.linalg.norm(y, axis=1) * np.linalg.norm(p, axis=1)
        cosine = (y * p).sum(axis=1) / np.maximum(lengths, 1e-30)
        return {"rows": len(y), "cosine": float(cosine.sum()), "least": float(cosine.min())}

    def values(self, sums: Sums) -> list[float | None]:
        return [_part(sums["cosine"], sums["rows"]), sums["least"]]

    values_alike = values

    def agreement(self, sums: Sums) -> float:
        return float(max(0.0, sums["cosine"] / sums["rows"]))


def add(total: Sums | None, more: Sums) -> Sums:
    """Return the sums of two lots of rows."""
    if total is None:
        return more
    return {k: min(total[k], v) if k == "least" else total[k] + v for k, v in more.items()}


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * z))  # which overflows nowhere


def _refuse_nan(y: np.ndarray, where: str) -> None:
    wrong = ~np.isfinite(y.reshape(len(y), -1)).all(axis=1)
    if wrong.any():
        raise DataError(f"{where} holds NaN or infinite values, the first at {wrong.argmax()}.")


def _part(part: float, whole: float) -> float | None:
    return float(part) / float(whole) if whole else None


def _variation(sums: Sums) -> float:
    """Sum of squared distances of numbers from the mean of their column."""
    return float((sums["each"] - np.square(sums["sum"]) / max(sums["rows"], 1)).sum())


def _iou(sums: Sums) -> float | None:
    """Mean over the classes that occur, of intersection over union."""
    both, union = sums["both"], sums["either"] - sums["both"]
    seen = union > 0
    return float(np.mean(both[seen] / union[seen])) if seen.any() else None
