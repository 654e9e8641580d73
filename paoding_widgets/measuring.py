"""What is measured after each step: the task's first metric, also under attack, on a copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from paoding.errors import ArgumentError, ModelError
from paoding.evaluation import FGSM, Report, evaluate
from paoding.evaluation.network import network_of
from paoding.graph import Graph, surgery
from paoding_widgets.session import Measured

if TYPE_CHECKING:
    from collections.abc import Iterable

# More samples make a smoother curve and slower steps; the final evaluation takes all of them.
MAX_SAMPLES = 1000
# Samples on which the change of the outputs is looked at, and numbers of an output that are told.
MOVED_SAMPLES = 100
MAX_MOVED = 4096


class Meter:
    """Quality of a network of the original's shape under changing weights, whatever its task.

    One copy of the model gets each step's weights, so that nothing is compiled again.

    Args:
        graph: the traced original.
        x, y: evaluation data, as ``paoding.evaluate`` takes them.
        eps: size of the attack (FGSM), in input units.
    """

    def __init__(self, graph: Graph, x: Any, y: Any, eps: float) -> None:
        check_fits(graph, x, y)
        self._copy = surgery.mask(graph, graph.original)
        self._original = graph.model
        self._attacks: tuple[FGSM, ...] = (FGSM(eps),)
        take = np.linspace(0, count_of(x) - 1, min(count_of(x), MAX_SAMPLES)).astype(int)
        self._x, self._y = rows_of(x, take), rows_of(y, take)
        every = max(1, len(take) // MOVED_SAMPLES)
        self._few = rows_of(self._x, np.arange(len(take))[::every][:MOVED_SAMPLES])
        self._scored = False
        self._scores = self._score()

    def measure(self, weights: Sequence[np.ndarray]) -> Measured:
        """Evaluate the network with these weights, in the order of ``model.weights``."""
        self._copy.set_weights(list(weights))
        report = self._report(self._copy)
        first = next((one for one in report.quality if one.value is not None), None)
        if first is None or first.value is None:
            raise ArgumentError(
                f"Nothing could be counted of '{self._original.name}' on this data: leave data "
                "out, and it is pruned all the same."
            )
        attacked = next((one for one in report.robustness if one.value is not None), None)
        return Measured(
            quality=first.value,
            robust=None if attacked is None else attacked.value,
            samples=report.samples,
            metric=first.metric,
            robust_metric=None if attacked is None else attacked.metric,
            moved=self._moved(),
            moved_scores=self._scored,
        )

    def compare(self, model: keras.Model) -> Report:
        """Evaluate a smaller model beside the original."""
        return self._report(model, reference=self._original)

    def _report(self, model: keras.Model, **options: Any) -> Report:
        """Evaluate with the attack, and without from then on where task or backend know none."""
        given = {"latency": False, **options}
        try:
            return evaluate(model, self._x, self._y, attacks=self._attacks, **given)
        except (ArgumentError, ModelError):
            if not self._attacks:
                raise
            report = evaluate(model, self._x, self._y, **given)  # it was not the attack's fault?
            self._attacks = ()
            return report

    def _moved(self) -> tuple[np.ndarray, np.ndarray] | None:
        if self._scores is None:
            return None
        change = self._score() - self._scores
        return change.min(axis=0), change.max(axis=0)

    def _score(self) -> Any:
        """(samples, numbers): scores before a softmax or sigmoid, or else outputs; of a few.

        None where there are several outputs, or too many numbers to show.
        """
        try:
            network = network_of(self._copy)
        except (ModelError, ArgumentError):
            outputs = self._copy.outputs
            if len(outputs) != 1 or None in outputs[0].shape[1:]:
                return None
            if int(np.prod(outputs[0].shape[1:])) > MAX_MOVED:
                return None
            answer = keras.ops.convert_to_numpy(self._copy(self._few, training=False))
            return answer.reshape(len(answer), -1).astype(np.float64)
        self._scored = network.head != "none"
        scores = network.predict(self._few, MOVED_SAMPLES)
        return scores[:, 1:] if network.binary else scores


def _leaves(values: Any) -> Iterable[Any]:
    if isinstance(values, Mapping):
        return values.values()
    return values if isinstance(values, list | tuple) else [values]


def count_of(values: Any) -> int:
    """Samples in an array, or in arrays by input."""
    return min((len(one) for one in _leaves(values)), default=0)


def rows_of(values: Any, take: np.ndarray) -> Any:
    """Some samples of an array, or of arrays by input."""
    if isinstance(values, Mapping):
        return {name: np.asarray(one)[take] for name, one in values.items()}
    if isinstance(values, list | tuple):
        return [np.asarray(one)[take] for one in values]
    return np.asarray(values)[take]


def check_fits(graph: Graph, x: Any, y: Any) -> None:
    """Refuse data that the model cannot take, before anything is worked out with them.

    Raises:
        ArgumentError: the numbers of inputs and labels differ, or a sample has another shape.
    """
    if len(graph.model.inputs) != 1 or isinstance(x, dict | list | tuple):
        return
    shape = np.shape(x)
    if len(shape) == 0 or len(np.shape(y)) == 0:
        raise ArgumentError("data must be a pair (x, y) of arrays with one row for each sample.")
    if shape[0] != np.shape(y)[0]:
        raise ArgumentError(
            f"data has {shape[0]:,} inputs and {np.shape(y)[0]:,} labels: pass one label for each."
        )
    if shape[0] == 0:
        raise ArgumentError("data holds no sample: pass at least one, or leave data out.")
    wanted = tuple(graph.model.inputs[0].shape[1:])
    fits = len(shape) == len(wanted) + 1 and all(
        size is None or size == given for size, given in zip(wanted, shape[1:], strict=True)
    )
    if not fits:
        raise ArgumentError(
            f"data holds samples of shape {tuple(shape[1:])}, and '{graph.model.name}' takes "
            f"{wanted}: pass x of shape (samples, {', '.join(map(str, wanted))})."
        )
