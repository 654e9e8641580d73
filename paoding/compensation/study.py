"""The original network on synthetic inputs: what every consumer reads and computes there.

Worked out once a run and remembered. Everything in it is a function of the model, the domain,
the prior, the seed and the number of samples, so that a plan needs to store only these.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from paoding.compensation.consumers import Consumer, constant_of, consumers_of
from paoding.compensation.recurrence import Listener, recurrences_of
from paoding.compensation.remembered import away, blended, most_inputs, normalizing, shaded
from paoding.domain.balance import SPARE, Balanced
from paoding.domain.choose import Chosen, choose
from paoding.errors import ArgumentError
from paoding.graph import Graph, Group
from paoding.graph.keras_internals import Node, TensorRef, call
from paoding.layers import rule_for

MOST_SAMPLES = 4096
LEAST_SAMPLES = 64
_WORK = 3e12  # floating-point operations that the whole run may spend on samples
_PASSES = 16  # walks of the pruned network in a run, about
_CHUNK_BYTES = 1 << 26  # activations of one chunk
_HELD_BYTES = 1 << 30  # activations of all samples that are held at once
_KEPT_BYTES = 1 << 26  # inputs that stay known after a run
_MOST_ROWS = 16384  # rows from which a layer is fitted, if its columns are fewer
_PROBES = 4  # random output directions a sample along which sensitivity is measured
_SLOPES = 1024  # samples on which sensitivity is measured, at the most
_PER_BYTE = 16  # operations in the time that a byte takes to be read or written, about
_SLOPE_WORK = 3e11  # floating-point operations that measuring it may take, or so
STUDY = "study"  # where a run remembers it


@dataclass(eq=False)
class Study:
    """Synthetic inputs and what the original makes of them.

    Args:
        graph: the traced original.
        chosen: the priors.
        inputs: what was drawn, one array for each input of the model.
        groups: names of the groups whose units may go.
        start: the first node that reads units of these; what comes before never changes.
        frontier: tensors that the nodes from ``start`` on read, of the original.
        consumers: the weights that read units, from there on.
        where: for each consumer, the places that are looked at (None: all).
        targets: for each consumer, the original's pre-activation at these places (rows,
            outputs), or what it reads, where only channels are fitted.
        ends: shape of one sample of each output, in numbers.
    """

    graph: Graph
    chosen: Chosen
    inputs: list[np.ndarray]
    seed: int
    groups: frozenset[str]
    start: int
    frontier: dict[int, np.ndarray]
    consumers: tuple[Consumer, ...]
    pulse: Callable[[str, float], None] = lambda what, share: None
    where: list[np.ndarray | None] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)
    ends: dict[int, tuple[int, ...]] = field(default_factory=dict)
    moments: dict[str, list[Moments]] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """How many inputs were drawn."""
        return len(self.inputs[0])


@dataclass(frozen=True, eq=False)
class Moments:
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


def study_of(work: Any, alive: np.ndarray | None = None) -> Study:
    """The study of a run, made at the first call, for the groups that the run prunes.

    Args:
        work: the run.
        alive: mask of units; a group that has lost some by other ways is studied as well.
    """
    prunable = work.graph.prunable
    wanted = frozenset(g.name for g in prunable) if work.groups is None else work.groups
    if alive is not None:
        wanted |= {group.name for group in prunable if not alive[group.ids].all()}
    known: Study | None = work.memory.get(STUDY)
    if known is None or not wanted <= known.groups:
        known = work.memory[STUDY] = _make(work, wanted)
    return known


def prior_of(work: Any) -> Chosen:
    """The priors of a run: the user's callable, the named one, or the one that fits the model.

    Raises:
        ArgumentError: no such prior.
    """
    prior = work.options.get("prior")
    if prior is None or isinstance(prior, str):
        return _evened(work, choose(work.graph, work.boxes, prior))
    if not callable(prior):
        raise ArgumentError(
            f"prior={prior!r} must be a name or a callable(rng, n) -> array of n inputs."
        )
    return Given(prior, tuple(x.name for x in work.graph.model.inputs))


def _evened(run: Any, chosen: Chosen) -> Chosen:
    """The priors, with inputs picked by answers and moments where a model tells them cheaply."""
    graph: Graph = run.graph
    effort = effort_of(graph)
    classes = _tells_classes(graph)
    norms = normalizing(graph)
    affordable = most_inputs(chosen.canvases, effort) if norms else MOST_SAMPLES
    most = min(affordable, MOST_SAMPLES)
    if not most or SPARE * most * effort > _SLOPE_WORK or not (classes or norms):
        return chosen
    if norms and len(chosen.priors) == 1:
        chosen = chosen.of(shaded(run, chosen.priors[0], effort))
    outputs = graph.flat.outputs[:1] if classes else []
    wanted = [*outputs, *(node.inputs[0] for node in norms)]

    def look(inputs: Sequence[np.ndarray]) -> tuple[np.ndarray | None, np.ndarray | None]:
        answers: list[np.ndarray] = []
        moments: list[np.ndarray] = []
        for chunk in chunks(len(inputs[0]), max(map(_bytes, graph.sample_nodes))):
            found = graph.run(graph.original, [x[chunk] for x in inputs], wanted)
            answers += found[: len(outputs)]
            apart = [away(n.op, z) for n, z in zip(norms, found[len(outputs) :], strict=True)]
            moments += [np.concatenate(apart, axis=1)] if apart else []
        p = np.concatenate(answers) if answers else None
        if p is not None and p.shape[1] == 1:
            p = np.concatenate([1 - p, p], axis=1)
        return p, np.concatenate(moments) if moments else None

    told = ["that the model answers evenly over its classes"] if classes else []
    told += ["whose moments its batch normalization remembers"] if norms else []
    if not norms:
        return Balanced(chosen, look, " and ".join(told))

    def blend(rng: np.random.Generator, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return blended(run, rng, inputs, chosen.canvases, effort, classes)

    surer = " and so that the model is surer of them" if classes else ""
    then = f"They are changed a little to fit these moments{surer}."
    return Balanced(chosen, look, " and ".join(told), blend, then, most)


def _tells_classes(graph: Graph) -> bool:
    """Whether a model's one output is a row of probabilities."""
    made = [node for node in graph.nodes if graph.flat.outputs[0] in node.outputs]
    head = head_of(made[0].op) if made else ""
    shape = graph.flat.shapes[graph.flat.outputs[0]]
    told = head == "softmax" or (head == "sigmoid" and shape[-1] == 1)
    return told and len(graph.flat.outputs) == 1 and len(shape) == 2


class Given(Chosen):
    """A user's own prior; several inputs come as a sequence of arrays, or by their names."""

    names: tuple[str, ...]

    def __init__(self, prior: Any, names: tuple[str, ...]) -> None:
        super().__init__((prior,), "Synthetic inputs: from the prior that was passed.")
        object.__setattr__(self, "names", names)

    def draw(self, rng: np.random.Generator, n: int) -> list[np.ndarray]:
        made: Any = self.priors[0](rng, n)
        if isinstance(made, Mapping):
            if set(made) != set(self.names):
                raise ArgumentError(
                    f"The prior returned arrays named {sorted(made)}; the model's inputs are "
                    f"{sorted(self.names)}."
                )
            made = [made[name] for name in self.names]
        elif len(self.names) == 1:
            made = [made]
        arrays = [np.asarray(a) for a in made]
        if len(arrays) != len(self.names) or any(len(a) != n for a in arrays):
            raise ArgumentError(
                f"The prior must return {n} samples for each of {len(self.names)} inputs; it "
                f"returned shapes {[a.shape for a in arrays]}."
            )
        return arrays


def _make(work: Any, groups: frozenset[str]) -> Study:
    graph: Graph = work.graph
    read = (*consumers_of(graph), *recurrences_of(graph))
    every = sorted((c for c in read if c.whole(graph)), key=lambda c: c.nodes[0].index)
    ids = np.concatenate([graph.by_name[name].ids for name in groups] or [np.zeros(0, int)])
    reading = [c.nodes[0].index for c in every if np.isin(c.units, ids).any()]
    start = min(reading, default=len(graph.nodes))
    consumers = tuple(c for c in every if c.nodes[0].index >= start)
    chosen = prior_of(work)
    most = min(MOST_SAMPLES if work.fits else _SLOPES, chosen.most or MOST_SAMPLES)
    samples = work.options.get("samples") or min(how_many(graph, start), most)
    work.pulse("drawing synthetic inputs", 0.0)
    inputs = _drawn(work, chosen, samples)
    frontier = _frontier(graph, inputs, start, work.pulse)
    study = Study(graph, chosen, inputs, work.seed, groups, start, frontier, consumers, work.pulse)
    _record(study)
    return study


@dataclass(frozen=True, eq=False)
class _Drawing:
    """The inputs that were drawn last: a second run on the same model often asks for them again."""

    model: weakref.ref[Any]
    key: tuple[Any, ...]
    inputs: list[np.ndarray]

    last: ClassVar[_Drawing | None] = None


def _drawn(work: Any, chosen: Chosen, samples: int) -> list[np.ndarray]:
    """The inputs of a run: the last run's, if its model, weights and settings were the same."""
    graph: Graph = work.graph
    corrected = isinstance(chosen, Balanced)  # others cost little
    key = _key(work, chosen, samples) if corrected else ()
    last = _Drawing.last
    if corrected and last is not None and last.model() is graph.model and last.key == key:
        return last.inputs
    inputs = chosen.draw(np.random.default_rng([work.seed, 0x5EED]), samples)
    _check(graph, inputs)
    if corrected and sum(x.nbytes for x in inputs) <= _KEPT_BYTES:
        _Drawing.last = _Drawing(weakref.ref(graph.model), key, inputs)
    return inputs


def _key(work: Any, chosen: Chosen, samples: int) -> tuple[Any, ...]:
    """All that inputs depend on but the model's layers, which a model never changes."""
    digest = hashlib.blake2b()
    for value in (*work.graph.original.values, *(end for b in work.boxes for end in (b.lo, b.hi))):
        digest.update(value.tobytes())
    activations = tuple(str(getattr(node.op, "activation", "")) for node in work.graph.nodes)
    # The groups decide how many threads sum up, and so how sums are rounded.
    return samples, work.seed, work.groups, chosen.sentence, activations, digest.digest()


def _check(graph: Graph, inputs: Sequence[np.ndarray]) -> None:
    for tensor, x in zip(graph.flat.inputs, inputs, strict=True):
        wanted = graph.flat.shapes[tensor][1:]
        if len(wanted) != x.ndim - 1 or any(
            w is not None and w != s for w, s in zip(wanted, x.shape[1:], strict=True)
        ):
            raise ArgumentError(
                f"The prior makes inputs of shape {x.shape[1:]} but the model takes {wanted}."
            )
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise ArgumentError("The prior makes inputs that are NaN or infinite.")
    try:
        graph.run(graph.original, [x[:1] for x in inputs], graph.flat.outputs)
    except Exception as error:  # layers raise every kind of error
        shapes = ", ".join(str(x.shape[1:]) for x in inputs)
        raise ArgumentError(
            f"The model does not run on the synthetic inputs of shape {shapes} "
            f"({str(error).strip().splitlines()[-1][:200]}): pass prior=callable(rng, n) -> array, "
            "or calibration= with a few real inputs."
        ) from error


def how_many(graph: Graph, start: int) -> int:
    """How many samples a run can afford: by cost of a forward pass, and memory from the start."""
    cost = [flops_of(node) for node in graph.sample_nodes]
    flops = sum(cost[:start]) + _PASSES * sum(cost[start:])
    held = max((_bytes(node) for node in graph.sample_nodes[start:]), default=1)
    most = min(_WORK / max(flops, 1), _HELD_BYTES / max(2 * held, 1), MOST_SAMPLES)
    return int(max(most, LEAST_SAMPLES))


def _slope_samples(study: Study) -> int:
    """On how many samples sensitivity is measured: a pass forward, and one back a probe."""
    passes = 1 + 2 * _PROBES
    cost = passes * sum(map(flops_of, study.graph.sample_nodes[study.start :]))
    affordable = max(int(_SLOPE_WORK / max(cost, 1)), LEAST_SAMPLES)
    return min(study.samples, _SLOPES, affordable)


def flops_of(node: Node) -> int:
    """Floating-point operations of one call on one sample; 0 where a layer has no rule."""
    rule = rule_for(node.op)
    return 0 if rule is None else rule.flops(node.op, node.in_shapes, node.out_shapes)


def effort_of(graph: Graph) -> int:
    """What a pass of one sample costs, in operations: many small layers cost what they move."""
    return max(
        sum(map(flops_of, graph.sample_nodes)), _PER_BYTE * sum(map(_bytes, graph.sample_nodes))
    )


def _bytes(node: Node) -> int:
    shapes = (*node.in_shapes, *node.out_shapes)
    return 4 * sum(int(np.prod([s or 1 for s in shape[1:]])) for shape in shapes)


def _readers(graph: Graph) -> dict[int, int]:
    """Tensor -> the last node that reads it."""
    return {t: node.index for node in graph.nodes for t in node.inputs}


def _frontier(
    graph: Graph, inputs: Sequence[np.ndarray], start: int, pulse: Callable[[str, float], None]
) -> dict[int, np.ndarray]:
    """Tensors alive before the node ``start``, computed in chunks that are forgotten."""
    last = _readers(graph)
    made = {t for node in graph.nodes[:start] for t in node.outputs} | set(graph.flat.inputs)
    wanted = sorted(t for t in made if last.get(t, -1) >= start)
    parts: dict[int, list[np.ndarray]] = {t: [] for t in wanted}
    for chunk in chunks(
        len(inputs[0]), max(map(_bytes, graph.sample_nodes[: start + 1]), default=1)
    ):
        pulse("running the original on synthetic inputs", chunk.start / len(inputs[0]))
        found = graph.run(graph.original, [x[chunk] for x in inputs], wanted)
        for t, value in zip(wanted, found, strict=True):
            parts[t].append(value)
    return {t: np.concatenate(value) for t, value in parts.items()}


def chunks(n: int, each: int) -> Iterator[slice]:
    """Slices of ``n`` samples of ``each`` bytes that fit in memory one by one."""
    size = max(1, min(n, _CHUNK_BYTES // max(each, 1)))
    return (slice(i, min(i + size, n)) for i in range(0, n, size))


class Walk:
    """A network walked node by node over all samples, so that weights may change on the way.

    Args:
        study: gives graph, samples and the tensors to start from.
        state: weights; those that are not the original's own arrays replace the model's.
    """

    def __init__(self, study: Study, values: Sequence[np.ndarray]) -> None:
        self.study = study
        self.graph = study.graph
        self.values = list(values)
        self.known: dict[int, np.ndarray] = dict(study.frontier)
        self._last = _readers(self.graph)

    def nodes(self) -> Iterator[Node]:
        """Each node before it is run; it is run when the next one is asked for."""
        nodes = self.graph.nodes[self.study.start :]
        for place, node in enumerate(nodes):
            self.study.pulse("walking through the layers", place / len(nodes))
            yield node
            self._run(node)
            for t in node.inputs:
                if self._last[t] == node.index:
                    self.known.pop(t, None)

    def _run(self, node: Node) -> None:
        own = getattr(node.op, "variables", [])
        numbers = [self.graph.number(v) for v in own if id(v) in self.graph.numbers]
        changed = [i for i in numbers if self.values[i] is not self.graph.original.values[i]]
        variables = self.graph.variables
        mapping = [
            (variables[i], keras.ops.cast(self.values[i], variables[i].dtype)) for i in changed
        ]
        parts = []
        with keras.StatelessScope(state_mapping=mapping):
            for chunk in chunks(self.study.samples, _bytes(self.graph.sample_nodes[node.index])):
                known = {t: self.known[t][chunk] for t in node.inputs}
                parts.append([np.asarray(out) for out in call(node, known)])
        for t, pieces in zip(node.outputs, zip(*parts, strict=True), strict=True):
            if t in self._last or t in self.graph.flat.outputs:
                self.known[t] = np.concatenate(pieces)


def _record(study: Study) -> None:
    """Walk the original once and keep what the fits need."""
    graph = study.graph
    at: dict[int, list[int]] = {c.nodes[0].index: [] for c in study.consumers}
    for number, consumer in enumerate(study.consumers):
        at[consumer.nodes[0].index].append(number)
    study.where = [None] * len(study.consumers)
    found: dict[int, np.ndarray] = {}
    walk = Walk(study, graph.original.values)
    for node in walk.nodes():
        for number in at.get(node.index, []):
            consumer = study.consumers[number]
            x = walk.known[consumer.source[0]]
            study.where[number] = _places(study, consumer, x.shape)
            rows = consumer.rows(x, study.where[number])
            value = graph.original.values[consumer.variable]
            found[number] = rows @ consumer.matrix(value) if consumer.full else rows
    study.targets = [found[number] for number in range(len(study.consumers))]
    study.ends = {t: walk.known[t].shape[1:] for t in graph.flat.outputs if t in walk.known}


def _places(study: Study, consumer: Consumer, shape: tuple[int, ...]) -> np.ndarray | None:
    """Some places at random, where all of them would be more rows than a fit needs."""
    every = int(np.prod(consumer.places(shape)))
    rows = max(_MOST_ROWS, 2 * len(consumer.columns))
    each = max(1, rows // study.samples)
    if each >= every:
        return None
    rng = np.random.default_rng([study.seed, consumer.variable])
    return np.sort(rng.choice(every, each, replace=False))


def moments_of(study: Study, group: Group) -> list[Moments]:
    """How a group's units vary and how much the outputs feel them, for each consumer.

    Source: the second-order view of optimal brain surgeon (Hassibi & Stork 1993) with the
    Gauss-Newton matrix in place of the Hessian.
    """
    if not study.moments:
        gradients = _gradients(study)
        for name, parts in gradients.items():
            study.moments[name] = parts
    return study.moments.get(group.name, [])


def _gradients(study: Study) -> dict[str, list[Moments]]:
    """One walk with gradients: moments and sensitivities of all groups at once."""
    graph = study.graph
    sums: dict[tuple[str, int], Sums] = {}
    views = [
        (group, number, member.indices)
        for number, consumer in enumerate(study.consumers)
        for group in graph.prunable
        if group.name in study.groups
        for member in group.with_role("consume")
        if (member.variable, member.axis) == (consumer.variable, consumer.axis)
    ]
    keys = sorted({study.consumers[number].key for _, number, _ in views})
    backward = _Backward(study, keys, np.random.default_rng([study.seed, 0xF15]))
    heaviest = max(map(_bytes, graph.sample_nodes[study.start :]), default=1)
    samples = _slope_samples(study)
    for chunk in chunks(samples, 4 * heaviest):
        study.pulse("measuring what the outputs feel", chunk.start / samples)
        values, slopes = backward(chunk)
        for group, number, held in views:
            if held is None or len(held) != group.units:
                continue
            consumer = study.consumers[number]
            y = _by_unit(values[consumer.key], consumer.tensor_axis, held)
            gs = [_by_unit(s, consumer.tensor_axis, held) for s in slopes[consumer.key]]
            sums.setdefault((group.name, number), Sums(group.units)).add(y, gs)
    found: dict[str, list[Moments]] = {}
    for (name, number), total in sums.items():
        moments = total.moments(study, number)
        if np.isfinite(moments.second).all() and np.isfinite(moments.weight).all():
            found.setdefault(name, []).append(moments)
    return found


@dataclass(eq=False)
class Sums:
    """Running sums of one consumer's view of a group."""

    units: int
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

    def moments(self, study: Study, number: int) -> Moments:
        """Means of the sums; centred where the consumer can take a constant."""
        away = self.first / self.rows
        mean = away + (0.0 if self.shift is None else self.shift)
        second = self.second / self.rows - np.outer(away, away)
        centred = constant_of(study.graph, study.consumers[number]) is not None
        if not centred:
            second += np.outer(mean, mean)
        weight = self.weight / (_slope_samples(study) * _PROBES)
        floor = 1e-3 * np.trace(weight) / self.units + 1e-30
        return Moments(mean, second, weight + floor * np.eye(self.units), number, centred)


def _by_unit(x: np.ndarray, axis: int, held: np.ndarray) -> np.ndarray:
    """A tensor as rows (r, units); a unit that holds several indices gives several rows."""
    front = np.moveaxis(x, axis, -1)
    if held.shape[1] == 1 and len(held) == front.shape[-1]:
        return front.reshape(-1, front.shape[-1])[:, held[:, 0]]
    return np.moveaxis(front[..., held], -1, -2).reshape(-1, len(held))


class _Backward:
    """What consumers read, and how the outputs feel it: one traced function for all chunks.

    Eager TensorFlow would also work out the gradient by every kernel and throw it away, which
    takes as long again, and whose oneDNN code corrupts memory for some strided kernels of one
    place. A traced function leaves out what nobody asks for.

    Args:
        study: gives graph and the tensors to start from.
        keys: names of what consumers read.
        rng: draws the directions of the outputs along which gradients are taken.
    """

    def __init__(self, study: Study, keys: Sequence[int], rng: np.random.Generator) -> None:
        self._study = study
        self._keys = keys
        self._rng = rng
        nodes = study.graph.nodes[study.start :]
        ends = set(study.graph.flat.outputs)
        self._ends = [t for node in nodes for t in node.outputs if t in ends]
        # A softmax feels differences only.
        self._shifts = {
            t for n in nodes if head_of(n.op) == "softmax" for t in n.outputs if t in ends
        }
        self._listeners = Listener.of(study.consumers)
        self._heard = [listener.node.inputs[0] for listener in self._listeners.values()]
        self._traced = tf.function(self._look, autograph=False)
        self._size = 0  # of a chunk

    def __call__(self, chunk: slice) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
        """Values of each key, and gradients of the outputs' random directions by it, in order."""
        n = chunk.stop - chunk.start
        self._size = self._size or n
        rows = np.arange(chunk.start, chunk.start + self._size)
        rows[n:] = chunk.start  # the last chunk is filled up, so that nothing is traced again
        start = [tf.convert_to_tensor(v[rows]) for v in self._study.frontier.values()]
        directions = zip(*(self._directions(n) for _ in range(_PROBES)), strict=True)
        values, heard, slopes = self._traced(start, [np.stack(each) for each in directions])
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


def logits(node: Node, known: dict[int, Any]) -> Any:
    """An output before its softmax or sigmoid, which would hide what a change does."""
    op = node.op
    source = node.args[0] if node.args else None
    if not head_of(op) or not isinstance(source, TensorRef):
        return known[node.outputs[0]]
    if not isinstance(op, keras.layers.Dense):
        return known[source.tensor]
    z = keras.ops.matmul(known[source.tensor], op.kernel)
    return z if op.bias is None else z + op.bias


def head_of(op: Any) -> str:
    """The final activation of an output layer that hides differences, or an empty string."""
    if isinstance(op, keras.layers.Softmax):
        return "softmax"
    if isinstance(op, keras.layers.Dense | keras.layers.Activation):
        name = getattr(op.activation, "__name__", "")
        return name if name in ("softmax", "sigmoid") else ""
    return ""
