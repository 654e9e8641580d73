"""Quality, robustness and cost of a model of any task, alone or against a reference."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from paoding.domain import Box
from paoding.errors import ArgumentError, DataError
from paoding.evaluation import tasks
from paoding.evaluation.attacks import Attack
from paoding.evaluation.cost import Cost, cost
from paoding.evaluation.data import Data, is_stream
from paoding.evaluation.exported import Exported, exported
from paoding.evaluation.network import Network, network_of
from paoding.evaluation.outputs import losses_of, measure
from paoding.evaluation.report import AttackResult, Report
from paoding.graph.heads import activation_of
from paoding.graph.keras_internals import require_tensorflow

Certify = Callable[[keras.Model, keras.Model, np.ndarray], np.ndarray]


def evaluate(
    model: keras.Model | str | os.PathLike[str],
    x: Any,
    y: Any = None,
    reference: keras.Model | None = None,
    attacks: Iterable[Attack] | Attack = (),
    clip: Box | tuple[Any, Any] | None = None,
    *,
    weight: Any = None,
    task: Any = None,
    metrics: Any = None,
    batch_size: int = 256,
    latency: bool = True,
    certify: Certify | None = None,
) -> Report:
    """Measure quality, robustness and cost of a model, whatever it is for.

    Args:
        model: Any model with a layer graph, of any inputs and outputs; or the path of a
            ``.tflite`` or ``.onnx`` file, which is then itself run. A file has no gradients:
            attacks on it are made for the reference and transferred, and the report says so.
        x: Inputs, (n, *input_shape); for several a list or a dictionary of arrays. Or a
            ``tf.data.Dataset`` or ``keras.utils.PyDataset`` of ``(x, y)`` or ``(x, y, weight)``,
            read batch by batch; or the path of an ``.npz`` file, or of a folder of images that
            holds one folder for each class.
        y: Labels, for several outputs a list or a dictionary; None compares with the reference
            alone. Class numbers or one-hot rows; for one score 0 or 1, or -1 or 1; numbers in
            the output's shape for what is no classifier.
        reference: The model to compare with, such as the one before pruning.
        attacks: Attacks to withstand; each is run on the model and on the reference.
        weight: Which samples or places count: those of weight 0 do not, such as padding. Masks
            that the model makes itself are kept to as well.
        task: "classification", "multi-label", "regression", "segmentation", "tagging",
            "embedding" or "reconstruction", for several outputs a list or a dictionary. By
            default told from the loss of a compiled model, from the head and from the labels;
            the report says what was taken.
        metrics: More to measure: Keras metrics or ``callable(y, prediction)``, one, a list, or a
            dictionary by output.
        clip: The legal range of inputs, a box or ``(lo, hi)``. By default [0, 1] where all of
            ``x`` lies in it, and else the range of ``x``.
        batch_size: How many samples are computed at once.
        latency: Whether to time single samples (about a tenth of a second a model).
        certify: ``(reference, model, x) -> n booleans``: whether the class provably stays.

    Returns:
        The report. Robust accuracy is the share of ALL samples that the model gets right both
        clean and attacked; retention is the share of the reference's robust samples at which
        the model is robust too.

    Raises:
        ModelError: A model answers NaN.
        DataError: ``x`` or ``y`` does not fit the model, holds NaN, or leaves ``clip``.
        ArgumentError: A setting lies outside of what it may be, or robustness is not defined for
            the task.

    Example:
        >>> import paoding
        >>> model, data = paoding.zoo.load("breast-cancer")
        >>> report = evaluate(model, data.x, data.y, attacks=[paoding.FGSM(0.02)])
        >>> report.accuracy > 0.95 and report.robust_accuracy <= report.accuracy
        True
    """
    require_tensorflow("Evaluation")
    if batch_size < 1:
        raise ArgumentError(f"batch_size must be at least 1, not {batch_size}.")
    attacks = tuple(attacks) if isinstance(attacks, Iterable) else (attacks,)
    for attack in attacks:
        if not isinstance(attack, Attack):
            raise ArgumentError(f"{attack!r} is no attack; pass FGSM(eps), PGD(eps), ...")
    if isinstance(model, str | os.PathLike):
        model = _opened(model, x, reference, attacks)
    why = _plain_classes(model, x, y, task)
    if why is None or weight is not None or metrics is not None:
        data = Data(model, x, y, weight, batch_size)
        if certify is not None:
            raise ArgumentError("A certified class needs a classifier of one input and labels.")
        return _of_outputs(model, data, reference, attacks, clip, task, metrics, latency)
    mine = network_of(model)
    x, y = check_data(mine, x, y)
    other = None if reference is None else _reference(mine, reference)
    box = _clip_box(clip, x) if attacks else None
    ours = _Side(mine, x, y, box, batch_size)
    theirs = None if other is None else _Side(other, x, y, box, batch_size)
    file = isinstance(model, Exported)
    results = tuple(_attacked(attack, ours, theirs, file) for attack in attacks)
    report = Report(
        model=model.name,
        samples=len(x),
        accuracy=_mean(ours.correct),
        loss=ours.loss,
        cost=_cost(model, latency, [x[:1]]),
        attacks=results,
        robust_accuracy=_mean(ours.robust) if attacks else None,
        clip=None if box is None else (_plain(box.lo), _plain(box.hi)),
        told=_told(model, (why,)),
    )
    if reference is None or theirs is None:
        return report
    certified = None if certify is None else _mean(np.asarray(certify(reference, model, x)))
    return _compared(report, reference, ours, theirs, certified, latency)


def _opened(
    path: str | os.PathLike[str], x: Any, reference: keras.Model | None, attacks: tuple[Any, ...]
) -> Exported:
    if attacks and reference is None:
        raise ArgumentError(
            f"{os.fspath(path)} has no gradients to attack along; give the model that it was "
            "exported from as the reference, and attacks on that are transferred."
        )
    return exported(path, x, reference)


def _cost(model: keras.Model, latency: bool, sample: list[np.ndarray] | None) -> Cost:
    if isinstance(model, Exported):
        return model.measured(sample, latency)
    return cost(model, latency=latency, sample=None if sample is None else sample[0])


def _told(model: keras.Model, why: tuple[str, ...]) -> tuple[str, ...]:
    return (*why, model.told) if isinstance(model, Exported) else why


def _plain_classes(model: keras.Model, x: Any, y: Any, task: Any) -> str | None:
    """Return why the model is a classifier of one input with labels, or None where it is not.

    What is measured of one goes further: its attacks share samples, so that retention and
    transfer can be counted.
    """
    inputs, outputs = list(model.inputs or ()), list(model.outputs or ())
    if len(inputs) != 1 or len(outputs) != 1 or y is None:
        return None
    if not isinstance(task, str | None):
        return None
    shape: tuple[int | None, ...] = tuple(outputs[0].shape[1:])
    if len(shape) != 1 or None in shape or isinstance(x, dict | str | Path) or is_stream(x):
        return None
    if task is not None:
        return "as task= says" if tasks.get(task).name == "classification" else None
    try:
        labels, given = np.asarray(y), np.asarray(x)
        loss = losses_of(model, [""])[0]
        found, why = tasks.infer(shape, activation_of(model), loss, labels, [given])
    except (ValueError, TypeError, IndexError):
        return "the labels cannot be read"  # which is said when they are checked
    return f"Taken for classification: {why}." if found == "classification" else None


def _of_outputs(
    model: keras.Model,
    data: Data,
    reference: keras.Model | None,
    attacks: tuple[Attack, ...],
    clip: Box | tuple[Any, Any] | None,
    task: Any,
    metrics: Any,
    latency: bool,
) -> Report:
    """Return the report of a model of any task."""
    if reference is not None and len(reference.outputs) != len(model.outputs):
        raise ArgumentError(
            f"The reference '{reference.name}' has {len(reference.outputs)} outputs and "
            f"'{model.name}' {len(model.outputs)}; they cannot be compared."
        )
    found = measure(model, data, reference, task, metrics)
    results, box = [], None
    if attacks and isinstance(model, Exported):
        raise ArgumentError("Attacks on a file need a classifier of one input, with labels.")
    if attacks:
        from paoding.evaluation.astray import robustness

        first = next(iter(data)).x[0]
        box = _clip_box(clip, first.astype("float32"))
        results = [robustness(a, model, reference, data, found.outputs, box) for a in attacks]
    return Report(
        model=model.name,
        samples=found.samples,
        accuracy=None,
        loss=None,
        cost=_cost(model, latency, None),
        reference=None if reference is None else reference.name,
        reference_cost=None if reference is None else cost(reference, latency=latency),
        attacks=tuple(results),
        clip=None if box is None else (_plain(box.lo), _plain(box.hi)),
        measures=found.measures,
        told=_told(model, tuple(output.told for output in found.outputs)),
    )


class _Side:
    """One of the two models while it is attacked: what it gets right, and what survives."""

    def __init__(
        self, network: Network, x: np.ndarray, y: np.ndarray, clip: Box | None, batch_size: int
    ) -> None:
        self.network, self.x, self.y, self.clip, self.batch_size = network, x, y, clip, batch_size
        z = network.predict(x, batch_size)
        self.guess = z.argmax(1)
        self.correct = self.guess == y
        self.loss = _cross_entropy(z, y)
        self.robust = self.correct.copy()

    def attack(self, attack: Attack) -> tuple[np.ndarray, np.ndarray]:
        """Return the adversarial inputs, and which samples are right clean and attacked."""
        assert self.clip is not None
        inputs = attack.adversarial(self.network, self.x, self.y, self.clip, self.batch_size)
        return inputs, self.withstands(inputs)

    def withstands(self, inputs: np.ndarray) -> np.ndarray:
        """Return which samples are right clean and as ``inputs``, and remember it."""
        withstood = self.correct & self.right(inputs)
        self.robust &= withstood
        return withstood

    def right(self, inputs: np.ndarray) -> np.ndarray:
        """Return which of the inputs are given their true class."""
        return self.network.predict(inputs, self.batch_size).argmax(1) == self.y


def _attacked(
    attack: Attack, ours: _Side, theirs: _Side | None, transferred: bool = False
) -> AttackResult:
    start = time.perf_counter()
    before = retention = transfer = None
    if theirs is None or not transferred:
        _, robust = ours.attack(attack)
        seconds = time.perf_counter() - start
    if theirs is not None:
        inputs, withstood = theirs.attack(attack)
        if transferred:
            robust = ours.withstands(inputs)
            seconds = time.perf_counter() - start
        before, retention = _mean(withstood), _share(robust, withstood)
        # Samples that both get right clean, and that the attack takes from the reference.
        fell = theirs.correct & ~withstood & ours.correct
        transfer = _share(~ours.right(inputs), fell)
    name, settings = attack.name, attack.settings()
    if transferred and theirs is not None:
        name += ", made for the reference"
        settings = {**settings, "made_for": theirs.network.model.name}
    return AttackResult(name, settings, _mean(robust), before, retention, transfer, seconds)


def _compared(
    report: Report,
    reference: keras.Model,
    ours: _Side,
    theirs: _Side,
    certified: float | None,
    latency: bool,
) -> Report:
    from dataclasses import replace

    return replace(
        report,
        reference=reference.name,
        reference_accuracy=_mean(theirs.correct),
        reference_loss=theirs.loss,
        reference_cost=cost(reference, latency=latency, sample=ours.x[:1]),
        agreement=_mean(ours.guess == theirs.guess),
        reference_robust_accuracy=_mean(theirs.robust) if report.attacks else None,
        retention=_share(ours.robust, theirs.robust) if report.attacks else None,
        certified=certified,
    )


def _mean(mask: np.ndarray) -> float:
    return float(np.mean(mask))


def _share(part: np.ndarray, whole: np.ndarray) -> float | None:
    """Return |part and whole| / |whole|, or None where the whole is empty."""
    return float(np.mean(part[whole])) if whole.any() else None


def _plain(bound: np.ndarray) -> Any:
    return bound.tolist()


def _cross_entropy(z: np.ndarray, y: np.ndarray) -> float:
    z = z.astype("float64")
    z -= z.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), y]))


# -- data that fits ------------------------------------------------------------------------------


def check_data(network: Network, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs in the model's type and labels as class numbers, or say what is wrong."""
    x = check_inputs(network, x)
    return x, class_numbers(network, y, len(x))


def check_inputs(network: Network, x: Any) -> np.ndarray:
    """Return inputs in the type that the model takes.

    Raises:
        DataError: They are no numbers, of another shape, none, NaN or infinite.
    """
    values = _array(x, "x")
    if values.ndim == 0 or len(values) == 0:
        raise DataError(f"x holds no samples (shape {values.shape}).")
    wanted, given = network.shape, values.shape[1:]
    if len(wanted) != len(given) or any(
        w not in (None, g) for w, g in zip(wanted, given, strict=True)
    ):
        raise DataError(
            f"x has samples of shape {given}, but model '{network.model.name}' takes "
            f"{wanted}; reshape x."
        )
    wrong = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if wrong.any():
        raise DataError(
            f"x holds NaN or infinite values in {wrong.sum()} of {len(x)} samples, the first at "
            f"index {wrong.argmax()}."
        )
    dtype = "float32" if network.differentiable else str(network.model.inputs[0].dtype)
    return np.ascontiguousarray(values, dtype=dtype)


def class_numbers(network: Network, y: Any, count: int) -> np.ndarray:
    """Return labels as class numbers, int64 (n,).

    Raises:
        DataError: They are not as many as the inputs, or no classes of the model.
    """
    values = _array(y, "y")
    if len(values.shape) > 1 and values.shape == (count, network.classes):
        values = _from_one_hot(values)
    if values.size != count or (values.ndim > 1 and len(values) != count):
        raise DataError(
            f"y has shape {values.shape} for {count} samples; it must hold one class number for "
            f"each, or one-hot rows of {network.classes}."
        )
    values = values.reshape(count)
    if network.binary and values.min() == -1 and np.isin(values, (-1, 1)).all():
        values = (values + 1) // 2
    numbers = np.where(np.isfinite(values), values, -1).astype("int64")
    wrong = (numbers != values) | (numbers < 0) | (numbers >= network.classes)
    if wrong.any():
        first = int(wrong.argmax())
        raise DataError(
            f"y holds {values[first].item()!r} at index {first}; model "
            f"'{network.model.name}' has the classes 0 to {network.classes - 1}."
        )
    return numbers


def _from_one_hot(rows: np.ndarray) -> np.ndarray:
    good = np.isin(rows, (0, 1)).all(axis=1) & (rows.sum(axis=1) == 1)
    if not good.all():
        raise DataError(
            f"y is not one-hot: row {int((~good).argmax())} is not a single 1 among zeros."
        )
    return rows.argmax(axis=1)


def _array(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except Exception as error:
        raise DataError(f"{name} is no array: {error}.") from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} holds {array.dtype} values; numbers are needed.")
    return array


def _reference(mine: Network, reference: keras.Model) -> Network:
    other = network_of(reference)
    if other.classes != mine.classes or other.shape != mine.shape:
        raise ArgumentError(
            f"The reference '{reference.name}' maps {other.shape} to {other.classes} classes, but "
            f"'{mine.model.name}' maps {mine.shape} to {mine.classes}; they cannot be compared."
        )
    return other


def _clip_box(clip: Box | tuple[Any, Any] | None, x: np.ndarray) -> Box:
    if clip is None:
        least, most = float(x.min()), float(x.max())
        return Box(0.0, 1.0) if least >= 0 and most <= 1 else Box(least, most)
    box = clip if isinstance(clip, Box) else Box(*clip)
    # Compared in the type of the inputs: the float32 next to 0.1 is beyond the float64 0.1.
    lo, hi = (np.asarray(bound, dtype=x.dtype) for bound in (box.lo, box.hi))
    box.fit(x.shape[1:])
    outside = ((x < lo) | (x > hi)).reshape(len(x), -1).any(axis=1)
    if outside.any():
        raise DataError(
            f"{outside.sum()} of {len(x)} samples of x lie outside of the clip range {box}; give "
            "the range that the data really has."
        )
    return box
