"""An exported file as the evaluation sees it: a model whose one layer runs the file itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from paoding.errors import DataError
from paoding.evaluation.cost import Cost
from paoding.evaluation.runtimes import Runner, open_file
from paoding.evaluation.timing import timed, zeros_for
from paoding.graph.heads import HEADS, activation_of
from paoding.graph.keras_internals import names_of

# Scores in whole numbers may be exactly 0 or 1, whose logits are infinite.
_LEAST = 1e-7
# Rows of probabilities in 8 bits add up to 1 only so nearly.
_NEARLY = 0.05


class Exported(keras.Model):
    """A model that answers with an exported file, and has no gradients.

    Attributes:
        file: The file.
        runner: The file in its runtime.
    """

    file: Path
    runner: Runner

    def measured(self, sample: Sequence[np.ndarray] | None, latency: bool) -> Cost:
        """Return what the file costs: its bytes, and its latency in its own runtime."""
        found = None
        if latency:
            found = timed(self.runner, sample or zeros_for(self.runner, unknown=1), longest=1.0)
        return Cost(
            None, None, self.file.stat().st_size, None if found is None else found.median,
            self.runner.runtime,
        )  # fmt: skip

    @property
    def note(self) -> str:
        """What the numbers are of."""
        versions = ", ".join(f"{name} {number}" for name, number in self.runner.versions.items())
        return (
            f"Measured by running {self.file.name} in {versions}. A certificate does not cover "
            "what a file rounds."
        )


def exported(
    path: str | os.PathLike[str], x: Any, reference: keras.Model | None, threads: int = 1
) -> Exported:
    """Return an exported file as a model, with the reference's names, shapes and final activations.

    Without a reference the file's own names hold, and what ends it is found from its answers to a
    few of ``x``.

    Raises:
        ModelError: The file cannot be read.
        RuntimeMissingError: Its runtime is not installed.
        DataError: It takes other inputs than the reference.
    """
    runner = open_file(path, threads)
    order = list(range(len(runner.inputs)))
    if reference is None:
        inputs = [keras.Input(s.shape, name=s.name, dtype=s.dtype) for s in runner.inputs]
        few = _few(x, [s.name for s in runner.inputs])
        made = runner([np.asarray(v, s.dtype) for v, s in zip(few, runner.inputs, strict=True)])
        shapes = [(None, *y.shape[1:]) for y in made]
        heads, names = [_head(y) for y in made], [f"output_{k}" for k in range(len(made))]
    else:
        inputs = [keras.Input(i.shape[1:], name=i.name, dtype=i.dtype) for i in reference.inputs]
        order = _order(path, runner, reference)
        shapes = [tuple(y.shape) for y in reference.outputs]
        heads = [activation_of(reference, k) for k in range(len(shapes))]
        names = names_of(reference)[1]
    scores = _File(runner, order, shapes)(*inputs)
    outputs = [_scored(y, head, name) for y, head, name in zip(scores, heads, names, strict=True)]
    given = inputs[0] if len(inputs) == 1 else inputs
    model = Exported(given, outputs[0] if len(outputs) == 1 else outputs)
    model.name = Path(path).name.replace("/", "_")
    model.file, model.runner = Path(path), runner
    return model


class _File(keras.layers.Layer):
    """Runs the file; TensorFlow hands it arrays and asks for no gradient."""

    def __init__(self, runner: Runner, order: list[int], shapes: list[tuple[int | None, ...]]):
        super().__init__(name="file")
        self._run = lambda: (runner, order, shapes)

    def call(self, *inputs: Any) -> list[Any]:
        runner, order, shapes = self._run()

        def answer(*arrays: np.ndarray) -> list[np.ndarray]:
            return [np.asarray(y, "float32") for y in runner([arrays[k] for k in order])]

        made = tf.numpy_function(answer, inputs, [tf.float32] * len(shapes))
        made = made if isinstance(made, list | tuple) else [made]
        return [tf.ensure_shape(y, shape) for y, shape in zip(made, shapes, strict=True)]

    def compute_output_spec(self, *inputs: Any) -> list[Any]:
        return [keras.KerasTensor(shape, "float32") for shape in self._run()[2]]


def _scored(y: Any, head: str, name: str) -> Any:
    """Return scores again from their logits: so attacks and losses find logits behind a head."""
    if head not in HEADS:
        return keras.layers.Activation("linear", name=name)(y)
    ops = keras.ops
    if head == "softmax":
        z = ops.log(ops.maximum(y, _LEAST))
    elif head == "sigmoid":
        p = ops.clip(y, _LEAST, 1 - _LEAST)
        z = ops.log(p) - ops.log1p(-p)
    else:
        p = ops.clip(y, -1 + _LEAST, 1 - _LEAST)
        z = 0.5 * (ops.log1p(p) - ops.log1p(-p))
    return keras.layers.Activation(head, name=name)(z)


def _head(y: np.ndarray) -> str:
    """Return what a file's answers look like: a softmax, a sigmoid, or numbers."""
    if y.min() < 0 or y.max() > 1 or y.ndim < 2:
        return "none"
    if y.shape[-1] == 1:
        return "sigmoid"
    return "softmax" if np.abs(y.sum(axis=-1) - 1).max() < _NEARLY else "none"


def _few(x: Any, names: list[str]) -> list[np.ndarray]:
    if isinstance(x, dict):
        missing = [name for name in names if name not in x]
        if missing:
            raise DataError(f"x has no '{missing[0]}', which the file takes.")
        return [np.asarray(x[name])[:8] for name in names]
    if len(names) == 1 and not isinstance(x, str | os.PathLike) and hasattr(x, "__len__"):
        return [np.asarray(x)[:8]]
    raise DataError(
        "A file of several inputs, or data that is no array, needs the model that it was "
        "exported from: give reference=."
    )


def _order(path: Any, runner: Runner, reference: keras.Model) -> list[int]:
    """Return, for each input of the file, which of the reference's it is."""
    mine, theirs = [s.name for s in runner.inputs], [i.name for i in reference.inputs]
    shapes = [s.shape for s in runner.inputs]
    if len(mine) == len(theirs) == 1:
        order = [0]
    elif sorted(mine) == sorted(theirs):
        order = [theirs.index(name) for name in mine]
    else:
        order = []
    wanted = [tuple(reference.inputs[k].shape[1:]) for k in order]
    alike = all(map(_fit, shapes, wanted))
    if not order or not alike:
        raise DataError(
            f"{os.fspath(path)} takes {', '.join(map(str, shapes))} and '{reference.name}' "
            f"{', '.join(str(tuple(i.shape[1:])) for i in reference.inputs)}: give the model that "
            "it was exported from as the reference."
        )
    return order


def _fit(mine: tuple[int | None, ...], theirs: tuple[int | None, ...]) -> bool:
    same = len(mine) == len(theirs)
    return same and all(m is None or n is None or m == n for m, n in zip(mine, theirs, strict=True))
