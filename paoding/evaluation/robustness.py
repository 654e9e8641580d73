"""Robustness under attack of outputs of any task; a classifier's is in ``classifier``."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from paoding.domain import Box
from paoding.errors import ArgumentError
from paoding.evaluation import tasks
from paoding.evaluation.attacks import Attack
from paoding.evaluation.checked import clip_box
from paoding.evaluation.data import Data
from paoding.evaluation.measures import Measure, Metric
from paoding.evaluation.network import Network
from paoding.evaluation.outputs import Output, labels_of, places_of
from paoding.evaluation.report import AttackResult
from paoding.graph.keras_internals import answers, ask

# A target so far above or below the answer that only the side of it counts.
_FAR = 1e3
_CHANGE = (Metric.error("mean change of the output"), Metric.error("greatest change of the output"))


class OutputNetwork(Network):
    """A network of real-valued inputs and one output, for attacks on any task but plain classes.

    Several inputs are attacked together, as one vector that holds them one after another.

    Args:
        model: The model.
        output: The output that is attacked, with its task.
        number: Its place among the model's outputs.
    """

    label_shape = None
    most_harm = float("inf")

    def __init__(self, model: keras.Model, output: Output, number: int) -> None:
        self.task, self.output, self.number = output.task, output, number
        self.label_type = tf.int64 if _has_classes(self.task) else tf.float32
        one = len(model.outputs) == 1
        super().__init__(model if one else keras.Model(model.inputs, model.outputs[number]))
        self.binary = False  # the one score stays one

    def _check(self) -> None:
        several = len(self.model.inputs) > 1
        for symbol in self.model.inputs:
            if not tf.as_dtype(symbol.dtype).is_floating:
                raise ArgumentError(
                    f"Input '{symbol.name}' takes {symbol.dtype} values; attacks need inputs of "
                    "real numbers: leave attacks out."
                )
            if several and None in symbol.shape[1:]:
                raise ArgumentError(
                    f"Input '{symbol.name}' has an open length; several inputs are attacked "
                    "together only where their sizes are fixed: leave attacks out."
                )
        if len(self.model.outputs[0].shape) < 2:
            raise ArgumentError(
                f"Model '{self.model.name}' gives a bare number for each sample; attacks need an "
                "output with an axis of its own: leave attacks out."
            )

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape of what is attacked: the one input's, or the length of all together."""
        if len(self.model.inputs) == 1:
            return tuple(self.model.inputs[0].shape[1:])
        return (sum(math.prod(symbol.shape[1:]) for symbol in self.model.inputs),)

    def joined(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Return one batch of inputs as it is attacked."""
        if len(arrays) == 1:
            return np.asarray(arrays[0], "float32")
        flat = [x.reshape(len(x), -1) for x in arrays]
        return np.concatenate(flat, axis=1, dtype="float32", casting="unsafe")

    def inputs_of(self, x: Any) -> list[Any]:
        shapes = [symbol.shape[1:] for symbol in self.model.inputs]
        if len(shapes) == 1:
            return [x]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        parts = [x[:, end - math.prod(s) : end] for end, s in zip(ends, shapes, strict=True)]
        return [tf.reshape(part, (-1, *s)) for part, s in zip(parts, shapes, strict=True)]

    def _without_head(self) -> Any:
        if _numeric(self.task):
            return "none", tuple(node.op for node in self._flat.nodes), self._flat.outputs[0]
        return super()._without_head()

    def loss(self, z: tf.Tensor, y: tf.Tensor, loss: str) -> tf.Tensor:
        if loss != "cross-entropy":
            raise ArgumentError(f"loss={loss!r} is for classifiers; leave it out.")
        y = tf.reshape(y, tf.shape(z)[:-1] if self.label_type == tf.int64 else tf.shape(z))
        if self.label_type == tf.int64 and z.shape[-1] != 1:
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(y, z)
        elif _numeric(self.task):
            each = tf.square(z - y)
        else:
            labels = tf.reshape(tf.cast(y, z.dtype), tf.shape(z))
            each = tf.nn.sigmoid_cross_entropy_with_logits(labels, z)
        return tf.reduce_sum(tf.reshape(each, [tf.shape(z)[0], -1]), axis=1)

    def harm(self, x: np.ndarray, y: np.ndarray, batch_size: int) -> np.ndarray:
        z = self.predict(x, batch_size)
        parts = [
            self.loss(tf.constant(z[b]), tf.constant(y[b], self.label_type), "cross-entropy")
            for b in self.batches(len(x), batch_size)
        ]
        return np.concatenate([part.numpy() for part in parts])

    def answer(self, x: np.ndarray, batch_size: int) -> np.ndarray:
        """Return the output itself, its head included."""
        parts = [ask(self.model, self.inputs_of(x[b]))[0] for b in self.batches(len(x), batch_size)]
        return np.concatenate(parts)


def clip_of(clip: Box | tuple[Any, Any] | None, inputs: Sequence[np.ndarray]) -> Box:
    """Return the range into which attacked inputs are clipped, of several one after another."""
    if len(inputs) == 1:
        return clip_box(clip, inputs[0].astype("float32"))
    boxes = [clip_box(clip, x.astype("float32")).fit(x.shape[1:]) for x in inputs]
    return Box(
        np.concatenate([box.lo.ravel() for box in boxes]),
        np.concatenate([box.hi.ravel() for box in boxes]),
    )


def attacked(
    attack: Attack, model: keras.Model, data: Data, output: Output, number: int, clip: Box
) -> list[Measure]:
    """Measure one output of a model under attack, batch by batch.

    Regressions and reconstructions: how far the output can be moved, with labels or without. All
    others: the task's first metric on the attacked inputs, which needs labels.

    Raises:
        ArgumentError: Robustness is not defined for the task, or needs labels.
    """
    task = output.task
    if isinstance(task, tasks.Embedding):
        where = f" (output '{output.name}')" if output.name else ""
        raise ArgumentError(
            f"Robustness is not defined for embedding{where}; leave attacks out, or attack the "
            "model that reads the embedding."
        )
    network = OutputNetwork(model, output, number)
    if _numeric(task):
        return _moved(attack, network, data, clip)
    return _misled(attack, network, data, clip)


def _moved(attack: Attack, network: OutputNetwork, data: Data, clip: Box) -> list[Measure]:
    """Return how far the output moves, pushed up and pushed down."""
    change = []
    for batch in data:
        x = network.joined(batch.x)
        here = network.answer(x, data.batch_size)
        far = _FAR * max(1.0, float(np.abs(here).max()))
        most = np.zeros(len(x))
        for side in (-far, far):
            inputs = attack.adversarial(network, x, here + side, clip, data.batch_size)
            there = network.answer(inputs, data.batch_size)
            most = np.maximum(most, np.abs(there - here).reshape(len(x), -1).max(axis=1))
        change.append(most)
    whole = np.concatenate(change)
    values, name = (float(whole.mean()), float(whole.max())), network.output.name
    return [Measure(m, value, None, name) for m, value in zip(_CHANGE, values, strict=True)]


def _misled(attack: Attack, network: OutputNetwork, data: Data, clip: Box) -> list[Measure]:
    """Return the task's first metric on attacked inputs."""
    output, task, sums = network.output, network.output.task, None
    for batch in data:
        if batch.y[network.number] is None:
            raise ArgumentError(f"Attacks on {task.name} need labels: pass y.")
        x = network.joined(batch.x)
        ((clean, mask),) = answers(network.model, network.inputs_of(x))
        keep = places_of(batch.weight, mask, clean.shape)
        y = labels_of(output, batch, network.number, clean.shape, keep)
        shape = clean.shape[:-1] if _has_classes(task) else clean.shape
        inputs = attack.adversarial(network, x, y.reshape(shape), clip, data.batch_size)
        there = network.answer(inputs, data.batch_size)
        rows = task.scores(there.reshape(-1, there.shape[-1])[keep], output.head)
        sums = tasks.add(sums, task.count(y[keep], rows))
    assert sums is not None  # data holds one batch at least
    metric = Metric.share(f"{task.metrics[0].name}, attacked")
    return [Measure(metric, task.values(sums)[0], None, output.name)]


def robustness(
    attack: Attack,
    model: keras.Model,
    reference: keras.Model | None,
    data: Data,
    outputs: Sequence[Output],
    clip: Box,
) -> AttackResult:
    """Return what one attack does to the model, and to the reference, each attacked on its own.

    Of several outputs each is attacked by itself: what it is left with is its own worst case.
    """

    def every(attacked_model: keras.Model) -> list[Measure]:
        return [
            measured
            for number, output in enumerate(outputs)
            for measured in attacked(attack, attacked_model, data, output, number, clip)
        ]

    start = time.perf_counter()
    mine = every(model)
    seconds = time.perf_counter() - start
    if reference is not None:
        theirs = every(reference)
        mine = [replace(m, reference=t.value) for m, t in zip(mine, theirs, strict=True)]
    return AttackResult(
        attack.name, attack.settings(), None, None, None, None, seconds, tuple(mine)
    )


def _numeric(task: tasks.Task) -> bool:
    return isinstance(task, tasks.Regression | tasks.Reconstruction)


def _has_classes(task: tasks.Task) -> bool:
    return not _numeric(task) and not isinstance(task, tasks.MultiLabel)
