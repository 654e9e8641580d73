"""How much the outputs feel each unit: covariances of units, and of gradients by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from paoding.compensation.consumers import constant_of
from paoding.compensation.recurrence import Listener
from paoding.compensation.study import ActivationStudy
from paoding.graph import Group
from paoding.graph.cost import bytes_of, chunks
from paoding.graph.heads import head_of, logits
from paoding.graph.keras_internals import call, on_tensorflow


def sensitivity_of(study: ActivationStudy, group: Group) -> list[SensitivityStats]:
    """How a group's units vary and how much the outputs feel them, for each consumer.

    Source: the second-order view of optimal brain surgeon (Hassibi & Stork 1993) with the
    Gauss-Newton matrix in place of the Hessian.
    """
    if not on_tensorflow():
        return []  # as where gradients are not finite: then importance alone decides
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
        and member.indices is not None
        and len(member.indices) == group.units
    ]
    numbers = sorted({number for _, number, _ in views})
    # The way back needs all that was made on the way forth.
    made = sum(map(bytes_of, graph.sample_nodes[study.start :]))
    samples, probes = study.sloped, study.probes
    backward = _OutputGradients(study, numbers, probes, np.random.default_rng([study.seed, 0xF15]))
    for chunk in chunks(samples, made // 8):
        study.on_progress("measuring what the outputs feel", chunk.start / samples)
        found = backward(chunk)
        for group, number, held in views:
            read, slopes = found[number]
            draws = samples * probes * backward.shares[number]
            total = sums.setdefault((group.name, number), RunningSums(group.units, draws))
            total.add(_by_unit(read, held), [_by_unit(g, held) for g in slopes])
    parts: dict[str, list[SensitivityStats]] = {}
    for (name, number), total in sums.items():
        moments = total.moments(study, number)
        if np.isfinite(moments.second).all() and np.isfinite(moments.weight).all():
            parts.setdefault(name, []).append(moments)
    return parts


def _some(places: int, study: ActivationStudy, number: int) -> np.ndarray | None:
    """Some places at random, where all of them would be more rows than a sum needs; None: all."""
    each = max(study.effort.slope_rows // study.sloped, 1)
    if each >= places:
        return None
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


def _by_unit(rows: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Rows of channels (n, places, channels) as rows (r, units); several for several indices."""
    if held.shape[1] == 1 and len(held) == rows.shape[-1]:
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
        numbers: of the consumers that are looked at.
        probes: random directions of the outputs for each input.
        rng: draws the directions of the outputs along which gradients are taken.

    Attributes:
        shares: for each consumer, the share of the places that are looked at.
    """

    def __init__(
        self,
        study: ActivationStudy,
        numbers: Sequence[int],
        probes: int,
        rng: np.random.Generator,
    ) -> None:
        self._study = study
        self._consumers = {number: study.consumers[number] for number in numbers}
        self._keys = sorted({consumer.key for consumer in self._consumers.values()})
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
        self._some: dict[int, np.ndarray | None] = {}
        self.shares: dict[int, float] = {}
        self._traced: Any = None
        self._size = 0  # of a chunk

    def __call__(self, chunk: slice) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """What each consumer reads, and gradients of the outputs' random directions by it.

        Returns:
            Consumer's number -> (n, places, channels) and (probes, n, places, channels).
        """
        n = chunk.stop - chunk.start
        self._size = self._size or n
        rows = np.arange(chunk.start, chunk.start + self._size)
        rows[n:] = chunk.start  # the last chunk is filled up, so that nothing is traced again
        start = [tf.convert_to_tensor(v[rows]) for v in self._study.first.values()]
        drawn = zip(*(self._directions(n) for _ in range(self._probes)), strict=True)
        directions = [tf.constant(np.stack(each)) for each in drawn]
        if self._traced is None:
            # Made ready apart from its calls: TensorFlow takes a few runs for a mistake.
            look = tf.function(self._look, autograph=False)
            self._traced = look.get_concrete_function(start, directions)
        read, heard, slopes = self._traced(start, directions)
        found = {number: x.numpy()[:n] for number, x in zip(self._read, read, strict=True)}
        for index, x in zip(self._listeners, heard, strict=True):
            for number, consumer in self._consumers.items():
                if consumer.key < 0 and consumer.nodes[0].index == index:
                    states = consumer.rows(x.numpy()[:n], self._some[number])
                    found[number] = states.reshape(n, -1, states.shape[-1])
        return {
            number: (found[number], g.numpy()[:, :n])
            for number, g in zip(self._consumers, slopes, strict=True)
        }

    @property
    def _read(self) -> list[int]:
        """Consumers that read a tensor of the graph; states are read afterwards."""
        return [number for number, consumer in self._consumers.items() if consumer.key >= 0]

    def _picked(self, number: int, x: Any) -> Any:
        """A tensor that a consumer reads at some places only: (n, places, channels)."""
        axis = self._consumers[number].tensor_axis % x.shape.rank
        order = [a for a in range(x.shape.rank) if a != axis]
        front = x if axis == x.shape.rank - 1 else tf.transpose(x, [*order, axis])
        rows = tf.reshape(front, (self._size, -1, front.shape[-1]))
        if number not in self.shares:
            places = rows.shape[1] - (self._consumers[number].key < 0)  # a start is no state
            some = self._some[number] = _some(places, self._study, number)
            self.shares[number] = 1.0 if some is None else len(some) / places
        some = self._some[number]
        return rows if some is None else tf.gather(rows, some, axis=1)

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
        known: dict[int, Any] = dict(zip(self._study.first, start, strict=True))
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
        read = [self._picked(n, known[self._consumers[n].key]) for n in self._read]
        # One direction after another in a loop, so that the way back is traced once.
        slopes = tf.map_fn(
            lambda probes: self._slopes(tape, known, outputs, probes),
            directions,
            fn_output_signature=[known[c.key].dtype for c in self._consumers.values()],
            parallel_iterations=1,
        )
        return read, [known[t] for t in self._heard], slopes

    def _slopes(
        self, tape: Any, known: dict[int, Any], outputs: dict[int, Any], probes: Any
    ) -> Any:
        ends = [outputs[t] for t in self._ends]
        found = tape.gradient(
            ends,
            [known[t] for t in self._keys],
            output_gradients=[tf.cast(p, z.dtype) for p, z in zip(probes, ends, strict=True)],
            unconnected_gradients="zero",
        )
        # A way back through two states of one layer loses the shape that the way forth has.
        by_key = {
            t: tf.ensure_shape(g, known[t].shape) for t, g in zip(self._keys, found, strict=True)
        }
        return [self._picked(number, by_key[c.key]) for number, c in self._consumers.items()]


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
