"""Quality, robustness and cost of a model of any task, alone or against a reference."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from paoding.domain import Box
from paoding.errors import ArgumentError
from paoding.evaluation import tasks
from paoding.evaluation.attacks import Attack
from paoding.evaluation.checked import check_data, clip_box
from paoding.evaluation.classifier import Side, attacked, compared, matching, mean
from paoding.evaluation.cost import Cost, cost
from paoding.evaluation.data import Data, is_stream
from paoding.evaluation.exported import Exported, exported
from paoding.evaluation.infer import infer
from paoding.evaluation.network import network_of
from paoding.evaluation.outputs import losses_of, measure
from paoding.evaluation.report import Report
from paoding.evaluation.robustness import clip_of, robustness
from paoding.graph.heads import activation_of
from paoding.graph.keras_internals import on_tensorflow, require_tensorflow

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
            default found from the loss of a compiled model, from the head and from the labels;
            the report says what was taken.
        metrics: More to measure: Keras metrics or ``callable(y, prediction)``, one, a list, or a
            dictionary by output.
        clip: The legal range of inputs, a box or ``(lo, hi)``. By default [0, 1] where all of
            ``x`` lies in it, and else the range of ``x``.
        batch_size: How many samples are computed at once.
        latency: Whether to time single samples (about a tenth of a second a model); never where
            Keras runs on another backend than TensorFlow.
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
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ArgumentError(f"batch_size must be a whole number from 1 on, not {batch_size!r}.")
    attacks = tuple(attacks) if isinstance(attacks, Iterable) else (attacks,)
    for attack in attacks:
        if not isinstance(attack, Attack):
            raise ArgumentError(f"{attack!r} is no attack; pass FGSM(eps), PGD(eps), ...")
    if attacks or isinstance(model, str | os.PathLike):
        require_tensorflow("An attack" if attacks else "An exported file")
    if isinstance(model, str | os.PathLike):
        model = _opened(model, x, reference, attacks)
    why = plain_classes(model, x, y, task) if on_tensorflow() else None
    latency = latency and on_tensorflow()
    if why is None or weight is not None or metrics is not None:
        data = Data(model, x, y, weight, batch_size)
        if certify is not None:
            raise ArgumentError("A certified class needs a classifier of one input and labels.")
        return _of_outputs(model, data, reference, attacks, clip, task, metrics, latency)
    mine = network_of(model)
    x, y = check_data(mine, x, y)
    other = None if reference is None else matching(mine, reference)
    box = clip_box(clip, x) if attacks else None
    ours = Side(mine, x, y, box, batch_size)
    theirs = None if other is None else Side(other, x, y, box, batch_size)
    file = isinstance(model, Exported)
    results = tuple(attacked(attack, ours, theirs, file) for attack in attacks)
    report = Report(
        model=model.name,
        samples=len(x),
        accuracy=mean(ours.correct),
        loss=ours.loss,
        cost=_cost(model, latency, [x[:1]]),
        attacks=results,
        robust_accuracy=mean(ours.robust) if attacks else None,
        clip=None if box is None else (_plain(box.lo), _plain(box.hi)),
        notes=_notes(model, (why,)),
    )
    if reference is None or theirs is None:
        return report
    certified = None if certify is None else mean(np.asarray(certify(reference, model, x)))
    return compared(report, reference, ours, theirs, certified, latency)


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


def _notes(model: keras.Model, why: tuple[str, ...]) -> tuple[str, ...]:
    return (*why, model.note) if isinstance(model, Exported) else why


def plain_classes(model: keras.Model, x: Any, y: Any, task: Any) -> str | None:
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
        found, why = infer(shape, activation_of(model), loss, labels, [given])
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
        box = clip_of(clip, next(iter(data)).x)
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
        notes=_notes(model, tuple(output.note for output in found.outputs)),
    )


def _plain(bound: np.ndarray) -> Any:
    return bound.tolist()
