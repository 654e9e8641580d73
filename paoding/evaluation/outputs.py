"""A network of any task on data of any kind: each output by its task, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from paoding.errors import ArgumentError, DataError, ModelError
from paoding.evaluation import tasks
from paoding.evaluation.data import Batch, Data, each_output
from paoding.evaluation.infer import infer
from paoding.evaluation.measures import Measure
from paoding.evaluation.own_metrics import OwnMetrics, own_metrics
from paoding.graph.heads import activation_of
from paoding.graph.keras_internals import answers, names_of


@dataclass(frozen=True)
class Output:
    """One output with its task.

    Attributes:
        name: The output's; empty where the model has one.
        task: What it is for.
        head: The activation that ends it.
        note: What was taken for its task, and why.
    """

    name: str
    task: tasks.Task
    head: str
    note: str


def outputs_of(model: keras.Model, data: Data, task: Any = None) -> tuple[Output, ...]:
    """Return the outputs with their tasks: as ``task`` says, or else inferred.

    Raises:
        ArgumentError: ``task`` names no task or no output.
        DataError: The first batch does not fit.
    """
    first = next(iter(data))
    wanted = each_output(task, data.outputs, "task")
    return _outputs(model, data.outputs, first.x, first.y, wanted)


def outputs_without_labels(
    model: keras.Model, x: list[np.ndarray], task: Any = None
) -> tuple[Output, ...]:
    """Return the outputs with their tasks, where there are only inputs: one array each."""
    names = names_of(model)[1]
    return _outputs(model, names, x, [None] * len(names), each_output(task, names, "task"))


def _outputs(
    model: keras.Model,
    names: list[str],
    x: list[np.ndarray],
    y: Sequence[np.ndarray | None],
    wanted: list[Any],
) -> tuple[Output, ...]:
    losses = losses_of(model, names)
    made = []
    for k, (name, symbol) in enumerate(zip(names, model.outputs, strict=True)):
        head = activation_of(model, k)
        if wanted[k] is not None:
            chosen, why = tasks.get(wanted[k]), "as task= says"
        else:
            found, why = infer(symbol.shape[1:], head, losses[k], y[k], x)
            chosen, why = tasks.get(found), f"{why}; task= says another"
        shown = name if len(names) > 1 else ""
        note = f"Output '{name}' is taken for {chosen.name}: {why}."
        made.append(Output(shown, chosen, head, note))
    return tuple(made)


def check(
    model: keras.Model, x: Any, y: Any = None, *, weight: Any = None, task: Any = None
) -> tuple[Output, ...]:
    """Say that data does not fit a model before any work: names, shapes, lengths, ranges, labels.

    Arrays are checked whole, a stream by its first batch. The model answers two samples, or all
    where it masks some of their places.

    Returns:
        The outputs with their tasks.

    Raises:
        DataError: The data does not fit.
        ArgumentError: ``task`` names no task or no output.

    Example:
        >>> last = keras.layers.Dense(3, "softmax", name="dense")
        >>> model = keras.Sequential([keras.Input((4,)), last])
        >>> check(model, np.zeros((2, 4)), [0, 1])[0].note
        "Output 'dense' is taken for classification: it ends in a softmax; task= says another."
    """
    data = Data(model, x, y, weight)
    found = outputs_of(model, data, task)
    for batch in data:
        few = ask(model, Batch([v[:2] for v in batch.x], [], None))
        for k, output in enumerate(found):
            shape = (len(batch.x[0]), *(few[k][0].shape[1:] or (1,)))
            # A mask is the model's answer: what it says of all labels takes all samples.
            mask = None if few[k][1] is None else ask(model, batch)[k][1]
            labels_of(output, batch, k, shape, places_of(batch.weight, mask, shape))
        if data.streamed:
            break
    return found


def ask(model: keras.Model, batch: Batch) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Return each output with the mask that the model gives it, or None.

    Raises:
        ModelError: An output holds NaN.
    """
    made = answers(model, batch.x)
    for values, _ in made:
        if np.isnan(values).any():
            bad = np.isnan(values.reshape(len(values), -1)).any(axis=1)
            raise ModelError(
                f"Model '{model.name}' answers NaN for {bad.sum()} of {len(bad)} samples, the "
                f"first at index {bad.argmax()}."
            )
    return made


@dataclass
class _Tally:
    """The sums of one output, while batches come in."""

    output: Output
    own: OwnMetrics
    mine: tasks.Sums | None = None
    theirs: tasks.Sums | None = None
    alike: tasks.Sums | None = None

    def add(self, y: Any, keep: np.ndarray, p: np.ndarray, q: np.ndarray | None) -> None:
        """Add a batch: label rows or None, the rows that count, predictions of both models."""
        task, head = self.output.task, self.output.head
        rows = task.scores(p.reshape(-1, p.shape[-1])[keep], head)
        others = None if q is None else task.scores(q.reshape(-1, q.shape[-1])[keep], head)
        if not len(rows):
            return
        if y is not None:
            self.mine = tasks.add(self.mine, task.count(y[keep], rows))
            if others is not None:
                self.theirs = tasks.add(self.theirs, task.count(y[keep], others))
        if others is not None:
            self.alike = tasks.add(self.alike, task.count_alike(rows, others))

    def measures(self) -> Iterator[Measure]:
        """Yield what the sums come to."""
        task, name = self.output.task, self.output.name
        if self.mine is not None:
            other = None if self.theirs is None else task.values(self.theirs)
            for k, value in enumerate(task.values(self.mine)):
                yield Measure(task.metrics[k], value, None if other is None else other[k], name)
        if self.alike is not None:
            for metric, value in zip(task.alike, task.values_alike(self.alike), strict=True):
                yield Measure(metric, value, None, name, "to the reference, without labels")


@dataclass(frozen=True)
class Measured:
    """What was measured of every output, and how many samples it took."""

    samples: int
    outputs: tuple[Output, ...]
    measures: tuple[Measure, ...]


def measure(
    model: keras.Model,
    data: Data,
    reference: keras.Model | None = None,
    task: Any = None,
    metrics: Any = None,
) -> Measured:
    """Measure every output, with labels where there are some, against the reference if given.

    Args:
        model: The model.
        data: Samples that fit it.
        reference: The model before pruning.
        task: A task's name, or one for each output as a list or dictionary; None infers them.
        metrics: Keras metrics or ``callable(y, prediction)``: one, a list of them, or a
            dictionary of these by output.

    Raises:
        ArgumentError: There are neither labels nor a reference.
    """
    found = outputs_of(model, data, task)
    own = own_metrics(metrics, data)
    tallies = [_Tally(o, each) for o, each in zip(found, own, strict=True)]
    samples = 0
    for batch in data:
        mine = ask(model, batch)
        theirs = None if reference is None else ask(reference, batch)
        for k, tally in enumerate(tallies):
            p, mask = _whole(mine[k])
            q = None if theirs is None else _whole(theirs[k])[0]
            if q is not None and q.shape != p.shape:
                raise ArgumentError(
                    f"Output {k} has shape {p.shape} in '{model.name}' and {q.shape} in the "
                    "reference; they cannot be compared."
                )
            keep = places_of(batch.weight, mask, p.shape)
            labels = labels_of(tally.output, batch, k, p.shape, keep)
            tally.add(labels, keep, p, q)
            tally.own.add(batch.y[k], p, q)
        samples += len(batch.x[0])
    measures = [
        m for tally in tallies for m in (*tally.own.measures(tally.output.name), *tally.measures())
    ]
    if not measures:
        raise ArgumentError(
            "There are neither labels nor a reference to measure against: pass y or reference=."
        )
    return Measured(samples, found, tuple(measures))


def _whole(answer: tuple[np.ndarray, np.ndarray | None]) -> tuple[np.ndarray, np.ndarray | None]:
    """An output of one number a sample gets the last axis that all others have."""
    values, mask = answer
    return (values[:, None] if values.ndim == 1 else values), mask


def places_of(
    weight: np.ndarray | None, mask: np.ndarray | None, shape: tuple[int, ...]
) -> np.ndarray:
    """Return which rows count, one boolean a row."""
    places = shape[:-1]
    keep = np.ones(places, bool)
    for given in (weight, mask):
        if given is None:
            continue
        given = given[..., 0] if given.ndim > len(places) and given.shape[-1] == 1 else given
        if given.shape != places[: given.ndim]:
            raise DataError(
                f"weight has shape {given.shape}; it must be the first axes of {places}."
            )
        keep &= (given != 0).reshape(*given.shape, *[1] * (len(places) - given.ndim))
    return keep.reshape(-1)


def labels_of(
    output: Output, batch: Batch, k: int, shape: tuple[int, ...], keep: np.ndarray
) -> Any:
    """Return the labels of one output as rows; what does not count may hold anything."""
    y = batch.y[k]
    if y is None:
        return None
    if y.dtype.kind not in "biuf":
        raise DataError(f"y holds {y.dtype} values; numbers are needed.")
    where = f"y['{output.name}']" if output.name else "y"
    if y.shape[: len(shape) - 1] == shape[:-1] and not keep.all():
        places = keep.reshape(shape[:-1])
        y = np.array(y)
        # What counts stands where nothing counts: that is surely legal.
        y[~places] = y[places][0] if keep.any() else np.eye(1, *y[~places].shape[1:])[0]
    return output.task.labels(y, shape, where)


def losses_of(model: keras.Model, names: list[str]) -> list[str]:
    """Return the name of the loss of each output of a compiled model, "" where there is none."""
    losses = getattr(model, "loss", None)
    if losses is None:
        return [""] * len(names)
    if isinstance(losses, Mapping):
        found = [losses.get(name) for name in names]
    elif isinstance(losses, list | tuple):
        found = list(losses) if len(losses) == len(names) else [None] * len(names)
    else:
        found = [losses] * len(names)
    named = [
        x if isinstance(x, str) else getattr(x, "name", getattr(x, "__name__", "")) for x in found
    ]
    return [str(name or "").lower() for name in named]
