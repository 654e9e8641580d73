"""How much the outputs feel each unit: covariances of units, and of gradients by them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from paoding.compensation.consumers import constant_of
from paoding.compensation.recurrence import Listener
from paoding.compensation.study import ActivationStudy
from paoding.graph import Group
from paoding.graph.cost import bytes_of, chunks, flops_of
from paoding.graph.heads import head_of, logits
from paoding.graph.keras_internals import call

ALL = slice(None)
Places = slice | np.ndarray


def sensitivity_of(study: ActivationStudy, group: Group) -> list[SensitivityStats]:
    """How a group's units vary and how much the outputs feel them, for each consumer.

    Source: the second-order view of optimal brain surgeon (Hassibi & Stork 1993) with the
    Gauss-Newton matrix in place of the Hessian.
    """
    if not study.sensitivity:
        gradients = _gradients(study)
        for name, parts in gradients.items():
            study.sensitivity[name] = parts
    return study.sensitivity.get(group.name, [])


def _gradients(study: ActivationStudy) -> dict[str, list[SensitivityStats]]:
    """One walk with gradients: moments and sensitivities of all groups at once."""
    graph = study.graph
    sums: dict[tuple[str, int], RunningSums] = {}
    views = [
        (group, number, member.indices)
        for number, consumer in enumerate(study.consumers)
        for group in graph.prunable
        if group.name in study.groups
        for member in group.with_role("consume")
        if (member.variable, member.axis) == (consumer.variable, consumer.axis)
    ]
    keys = sorted({study.consumers[number].key for _, number, _ in views})
    # The way back needs all that was made on the way forth.
    made = sum(map(bytes_of, graph.sample_nodes[study.start :]))
    samples, probes = _spent(study)
    backward = _OutputGradients(study, keys, probes, np.random.default_rng([study.seed, 0xF15]))
    for chunk in chunks(samples, made // 8):
        study.on_progress("measuring what the outputs feel", chunk.start / samples)
        values, slopes = backward(chunk)
        for group, number, held in views:
            if held is None or len(held) != group.units:
                continue
            consumer = study.consumers[number]
            read = values[consumer.key]
            places = math.prod(read.shape[1:]) // read.shape[consumer.tensor_axis]
            some = _some(places, samples, study, number)
            y, *gs = (
                _by_unit(x, consumer.tensor_axis, held, some) for x in (read, *slopes[consumer.key])
            )
            share = 1.0 if isinstance(some, slice) else len(some) / places
            draws = samples * probes * share
            sums.setdefault((group.name, number), RunningSums(group.units, draws)).add(y, gs)
    found: dict[str, list[SensitivityStats]] = {}
    for (name, number), total in sums.items():
        moments = total.moments(study, number)
        if np.isfinite(moments.second).all() and np.isfinite(moments.weight).all():
            found.setdefault(name, []).append(moments)
    return found


def _some(places: int, samples: int, study: ActivationStudy, number: int) -> Places:
    """Some places at random, where all of them would be more rows than a sum needs."""
    each = max(study.effort.slope_rows // samples, 1)
    if each >= places:
        return ALL
    rng = np.random.default_rng([study.seed, 0xF16, number])
    return np.sort(rng.choice(places, each, replace=False))


@dataclass(eq=False)
class RunningSums:
    """Running sums of one consumer's view of a group.

    Args:
        units: of the group.
        draws: inputs times directions, by which gradients' sums are divided.
    """

    units: int
    draws: float
    rows: int = 0

    def __post_init__(self) -> None:
        self.first = np.zeros(self.units)
        self.second = np.zeros((self.units, self.units))
        self.weight = np.zeros((self.units, self.units))
        self.shift: np.ndarray | None = None

    def add(self, y: np.ndarray, slopes: list[np.ndarray]) -> None:
        """Add rows of values (r, units) and of gradients.

        Values are summed about the first rows' mean: a unit that hardly varies about a large
        mean would otherwise lose its variance to rounding.
        """
        if self.shift is None:
            self.shift = y.mean(axis=0)
        y = y - self.shift
        self.rows += len(y)
        self.first += y.sum(axis=0, dtype=np.float64)
        self.second += y.T @ y
        for g in slopes:
            self.weight += g.T @ g

    def moments(self, study: ActivationStudy, number: int) -> SensitivityStats:
        """Means of the sums; centred where the consumer can take a constant."""
        away = self.first / self.rows
        mean = away + (0.0 if self.shift is None else self.shift)
        second = self.second / self.rows - np.outer(away, away)
        centred = constant_of(study.graph, study.consumers[number]) is not None
        if not centred:
            second += np.outer(mean, mean)
        weight = self.weight / self.draws
        floor = 1e-3 * np.trace(weight) / self.units + 1e-30
        return SensitivityStats(mean, second, weight + floor * np.eye(self.units), number, centred)


def _by_unit(x: np.ndarray, axis: int, held: np.ndarray, some: Places) -> np.ndarray:
    """A tensor at some places as rows (r, units); a unit of several indices gives several rows."""
    front = np.moveaxis(x, axis, -1)
    rows = front.reshape(len(x), -1, front.shape[-1])[:, some]
    if held.shape[1] == 1 and len(held) == front.shape[-1]:
        same = (held[:, 0] == np.arange(len(held))).all()
        return (rows if same else rows[..., held[:, 0]]).reshape(-1, len(held))
    return np.moveaxis(rows[..., held], -1, -2).reshape(-1, len(held))


class _OutputGradients:
    """What consumers read, and how the outputs feel it: one traced function for all chunks.

    Eager TensorFlow would also work out the gradient by every kernel and throw it away, which
    takes as long again, and whose oneDNN code corrupts memory for some strided kernels of one
    place. A traced function leaves out what nobody asks for.

    Args:
        study: gives graph and the tensors to start from.
        keys: names of what consumers read.
        probes: random directions of the outputs for each input.
        rng: draws the directions of the outputs along which gradients are taken.
    """

    def __init__(
        self, study: ActivationStudy, keys: Sequence[int], probes: int, rng: np.random.Generator
    ) -> None:
        self._study = study
        self._keys = keys
        self._probes, self._rng = probes, rng
        nodes = study.graph.nodes[study.start :]
        ends = set(study.graph.flat.outputs)
        self._ends = [t for node in nodes for t in node.outputs if t in ends]
        # A softmax feels differences only.
        self._shifts = {
            t for n in nodes if head_of(n.op) == "softmax" for t in n.outputs if t in ends
        }
        self._listeners = Listener.of(study.consumers)
        self._heard = [listener.node.inputs[0] for listener in self._listeners.values()]
        self._traced: Any = None
        self._size = 0  # of a chunk

    def __call__(self, chunk: slice) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
        """Values of each key, and gradients of the outputs' random directions by it, in order."""
        n = chunk.stop - chunk.start
        self._size = self._size or n
        rows = np.arange(chunk.start, chunk.start + self._size)
        rows[n:] = chunk.start  # the last chunk is filled up, so that nothing is traced again
        start = [tf.convert_to_tensor(v[rows]) for v in self._study.frontier.values()]
        drawn = zip(*(self._directions(n) for _ in range(self._probes)), strict=True)
        directions = [tf.constant(np.stack(each)) for each in drawn]
        if self._traced is None:
            # Made ready apart from its calls: TensorFlow takes a few runs for a mistake.
            look = tf.function(self._look, autograph=False)
            self._traced = look.get_concrete_function(start, directions)
        values, heard, slopes = self._traced(start, directions)
        found = {t: x.numpy()[:n] for t, x in zip(self._keys, values, strict=True) if x is not None}
        for listener, x in zip(self._listeners.values(), heard, strict=True):
            found.update(listener.states(x[:n]))
        return found, {t: g.numpy()[:, :n] for t, g in zip(self._keys, slopes, strict=True)}

    def _directions(self, n: int) -> list[np.ndarray]:
        found = []
        for t in self._ends:
            probe = self._rng.choice([-1.0, 1.0], (n, *self._study.ends[t])).astype("f4")
            if t in self._shifts:
                probe -= probe.mean(axis=-1, keepdims=True)
            found.append(
                np.concatenate([probe, np.zeros((self._size - n, *probe.shape[1:]), "f4")])
            )
        return found

    def _look(self, start: list[Any], directions: list[Any]) -> Any:
        graph, keys = self._study.graph, self._keys
        known: dict[int, Any] = dict(zip(self._study.frontier, start, strict=True))
        outputs: dict[int, Any] = {}
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch([known[t] for t in keys if t in known])
            for node in graph.nodes[self._study.start :]:
                if node.index in self._listeners:
                    listener = self._listeners[node.index]
                    made, states = listener.call(known[node.inputs[0]], tape.watch)
                    known.update(states)
                else:
                    made = call(node, known)
                known.update(zip(node.outputs, made, strict=True))
                tape.watch([known[t] for t in node.outputs if t in keys])
                outputs.update((t, logits(node, known)) for t in node.outputs if t in self._ends)
        # One direction after another in a loop, so that the way back is traced once.
        slopes = tf.map_fn(
            lambda probes: self._slopes(tape, known, outputs, probes),
            directions,
            fn_output_signature=[known[t].dtype for t in keys],
            parallel_iterations=1,
        )
        values = [known[t] if t >= 0 else None for t in keys]  # states are read afterwards
        return values, [known[t] for t in self._heard], slopes

    def _slopes(
        self, tape: Any, known: dict[int, Any], outputs: dict[int, Any], probes: Any
    ) -> Any:
        ends = [outputs[t] for t in self._ends]
        return tape.gradient(
            ends,
            [known[t] for t in self._keys],
            output_gradients=[tf.cast(p, z.dtype) for p, z in zip(probes, ends, strict=True)],
            unconnected_gradients="zero",
        )


def _spent(study: ActivationStudy) -> tuple[int, int]:
    """On how many samples, and along how many directions each, sensitivity is measured.

    Each sample costs a pass forward, and two of one back a direction.
    """
    effort = study.effort
    cost = sum(map(flops_of, study.graph.sample_nodes[study.start :]))
    affordable = int(effort.slope_work / max((1 + 2 * effort.probes) * cost, 1))
    probes = effort.probes if affordable >= effort.least_samples else effort.least_probes
    return min(study.fitted, effort.slopes, max(affordable, effort.least_slopes)), probes


@dataclass(frozen=True, eq=False)
class SensitivityStats:
    """One consumer's view of a group: what its units do, and what the outputs make of them.

    Args:
        mean: (units,).
        second: (units, units) covariance, or second moment where no constant can be written.
        weight: (units, units) mean product of the outputs' gradients by the units.
        consumer: number of the consumer in the study.
        centred: whether `second` is taken about the mean.
    """

    mean: np.ndarray
    second: np.ndarray
    weight: np.ndarray
    consumer: int
    centred: bool

    @property
    def raw(self) -> np.ndarray:
        """Second moment about zero."""
        return self.second + np.outer(self.mean, self.mean) if self.centred else self.second
