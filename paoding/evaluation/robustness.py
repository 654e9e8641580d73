"""Robustness under attack of outputs of any task; a classifier's is in ``classifier``."""

from __future__ import annotations

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
from paoding.evaluation.data import Data
from paoding.evaluation.measures import Measure, Metric
from paoding.evaluation.network import Network
from paoding.evaluation.outputs import Output, labels_of, places_of
from paoding.evaluation.report import AttackResult

# A target so far above or below the answer that only the side of it counts.
_FAR = 1e3
_CHANGE = (Metric.error("mean change of the output"), Metric.error("greatest change of the output"))


class OutputNetwork(Network):
    """A network of one real-valued input and one output, for attacks on any task but classes."""

    label_shape = None
    most_harm = float("inf")

    def __init__(self, model: keras.Model, task: tasks.Task) -> None:
        self.task = task
        self.label_type = tf.int64 if _has_classes(task) else tf.float32
        super().__init__(model)
        self.binary = False  # the one score stays one

    def _check(self) -> None:
        name, inputs, outputs = self.model.name, len(self.model.inputs), len(self.model.outputs)
        if inputs != 1 or outputs != 1:
            raise ArgumentError(
                f"Model '{name}' has {inputs} inputs and {outputs} outputs; attacks are defined "
                "for one of each: leave attacks out, or pass keras.Model(input, output)."
            )
        if len(self.model.outputs[0].shape) < 2:
            raise ArgumentError(
                f"Model '{name}' gives a bare number for each sample; attacks need an output "
                "with an axis of its own: leave attacks out."
            )

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
        parts = [self.model(x[b], training=False) for b in self.batches(len(x), batch_size)]
        return np.concatenate([keras.ops.convert_to_numpy(part) for part in parts])


def attacked(
    attack: Attack, model: keras.Model, data: Data, output: Output, clip: Box
) -> list[Measure]:
    """Measure a model under attack, batch by batch.

    Regressions and reconstructions: how far the output can be moved, with labels or without. All
    others: the task's first metric on the attacked inputs, which needs labels.

    Raises:
        ArgumentError: Robustness is not defined for the task, or needs labels.
    """
    task = output.task
    if isinstance(task, tasks.Embedding):
        raise ArgumentError(
            "Robustness is not defined for embedding; leave attacks out, or attack the model "
            "that reads the embedding."
        )
    network = OutputNetwork(model, task)
    if not network.differentiable:
        raise ArgumentError(
            f"Model '{model.name}' takes {model.inputs[0].dtype} inputs; attacks need inputs of "
            "real numbers: leave attacks out."
        )
    if _numeric(task):
        return _moved(attack, network, data, clip)
    return _misled(attack, network, data, output, clip)


def _moved(attack: Attack, network: OutputNetwork, data: Data, clip: Box) -> list[Measure]:
    """Return how far the output moves, pushed up and pushed down."""
    change = []
    for batch in data:
        x = batch.x[0].astype("float32")
        here = network.answer(x, data.batch_size)
        far = _FAR * max(1.0, float(np.abs(here).max()))
        most = np.zeros(len(x))
        for side in (-far, far):
            inputs = attack.adversarial(network, x, here + side, clip, data.batch_size)
            there = network.answer(inputs, data.batch_size)
            most = np.maximum(most, np.abs(there - here).reshape(len(x), -1).max(axis=1))
        change.append(most)
    whole = np.concatenate(change)
    return [Measure(_CHANGE[0], float(whole.mean())), Measure(_CHANGE[1], float(whole.max()))]


def _misled(
    attack: Attack, network: OutputNetwork, data: Data, output: Output, clip: Box
) -> list[Measure]:
    """Return the task's first metric on attacked inputs."""
    task, sums = output.task, None
    for batch in data:
        if batch.y[0] is None:
            raise ArgumentError(f"Attacks on {task.name} need labels: pass y.")
        x = batch.x[0].astype("float32")
        clean = network.answer(x, data.batch_size)
        keep = places_of(batch.weight, None, clean.shape)
        y = labels_of(output, batch, 0, clean.shape, keep)
        shape = clean.shape[:-1] if _has_classes(task) else clean.shape
        inputs = attack.adversarial(network, x, y.reshape(shape), clip, data.batch_size)
        there = network.answer(inputs, data.batch_size)
        rows = task.scores(there.reshape(-1, there.shape[-1])[keep], output.head)
        sums = tasks.add(sums, task.count(y[keep], rows))
    assert sums is not None  # data holds one batch at least
    return [Measure(Metric.share(f"{task.metrics[0].name}, attacked"), task.values(sums)[0])]


def robustness(
    attack: Attack,
    model: keras.Model,
    reference: keras.Model | None,
    data: Data,
    outputs: Sequence[Output],
    clip: Box,
) -> AttackResult:
    """Return what one attack does to the model, and to the reference, each attacked on its own."""
    start = time.perf_counter()
    mine = attacked(attack, model, data, outputs[0], clip)
    seconds = time.perf_counter() - start
    if reference is not None:
        theirs = attacked(attack, reference, data, outputs[0], clip)
        mine = [replace(m, reference=t.value) for m, t in zip(mine, theirs, strict=True)]
    return AttackResult(
        attack.name, attack.settings(), None, None, None, None, seconds, tuple(mine)
    )


def _numeric(task: tasks.Task) -> bool:
    return isinstance(task, tasks.Regression | tasks.Reconstruction)


def _has_classes(task: tasks.Task) -> bool:
    return not _numeric(task) and not isinstance(task, tasks.MultiLabel)
