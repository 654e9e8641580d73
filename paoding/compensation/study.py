"""The original network on synthetic inputs: what every consumer reads and computes there.

Worked out once a run and remembered. Everything in it is a function of the model, the domain,
the prior, the seed and the number of samples, so that a plan needs to store only these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from paoding.compensation.consumers import Consumer, consumers_of
from paoding.compensation.recurrence import recurrences_of
from paoding.graph import Graph
from paoding.graph.cost import bytes_of, chunks, flops_of
from paoding.graph.flat import Node
from paoding.graph.keras_internals import call
from paoding.pruning.context import OnProgress, RunContext, unheard
from paoding.synthetic.choice import Sampler
from paoding.synthetic.drawing import MOST_SAMPLES, drawn, sampler_of
from paoding.synthetic.judges import OWN, draw_kinds

LEAST_SAMPLES = 64
SLOPES = 1024  # samples on which sensitivity is measured, at the most
_WORK = 3e12  # floating-point operations that the whole run may spend on samples
_PASSES = 16  # walks of the pruned network in a run, about
_HELD_BYTES = 1 << 30  # activations of all samples that are held at once
_HELD_BACK = 8  # one input of so many is not fitted on, but chooses the fits ...
_MOST_JUDGES = 128  # ... up to this many, and as many of each other kind
_MOST_ROWS = 16384  # rows from which a layer is fitted, if its columns are fewer


@dataclass(eq=False)
class ActivationStudy:
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
        kinds: for each input, the kind that it is of: 0 for those that are fitted on, which come
            first, 1 for the same held back, then others.
        names: of these kinds.
        fits: consumer's number -> which fit it was given last.
    """

    graph: Graph
    chosen: Sampler
    inputs: list[np.ndarray]
    seed: int
    groups: frozenset[str]
    start: int
    frontier: dict[int, np.ndarray]
    consumers: tuple[Consumer, ...]
    on_progress: OnProgress = unheard
    where: list[np.ndarray | None] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)
    ends: dict[int, tuple[int, ...]] = field(default_factory=dict)
    kinds: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    names: tuple[str, ...] = ()
    fits: dict[int, str] = field(default_factory=dict)
    sensitivity: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """How many inputs were drawn."""
        return len(self.inputs[0])

    @property
    def own(self) -> int:
        """How many of them are of the kind that is fitted on."""
        return int((self.kinds <= 1).sum())

    @property
    def fitted(self) -> int:
        """How many of them are fitted on."""
        return int((self.kinds == 0).sum())

    @property
    def note(self) -> str:
        """Which fits were chosen, in a sentence; empty where nothing was fitted."""
        if not self.fits:
            return ""
        counts = Counter(self.fits.values())
        each = ", ".join(f"{name} for {n}" for name, n in sorted(counts.items()))
        kinds = f" and on {', '.join(self.names[2:])}" if self.names[2:] else ""
        return f"Fits were chosen layer by layer on inputs held back{kinds}: {each}."


def study_of(run: RunContext, alive: np.ndarray | None = None) -> ActivationStudy:
    """The study of a run, made at the first call, for the groups that the run prunes.

    Args:
        run: the run.
        alive: mask of units; a group that has lost some by other ways is studied as well.
    """
    prunable = run.graph.prunable
    wanted = frozenset(g.name for g in prunable) if run.groups is None else run.groups
    if alive is not None:
        wanted |= {group.name for group in prunable if not alive[group.ids].all()}
    if run.study is None or not wanted <= run.study.groups:
        run.study = _make(run, wanted)
    return run.study


def _make(run: RunContext, groups: frozenset[str]) -> ActivationStudy:
    graph: Graph = run.graph
    read = (*consumers_of(graph), *recurrences_of(graph))
    every = sorted((c for c in read if c.whole(graph)), key=lambda c: c.nodes[0].index)
    ids = np.concatenate([graph.by_name[name].ids for name in groups] or [np.zeros(0, int)])
    reading = [c.nodes[0].index for c in every if np.isin(c.units, ids).any()]
    start = min(reading, default=len(graph.nodes))
    consumers = tuple(c for c in every if c.nodes[0].index >= start)
    chosen = sampler_of(run)
    most = min(MOST_SAMPLES if run.fits else SLOPES, chosen.most or MOST_SAMPLES)
    samples = run.settings.samples or min(how_many(graph, start), most)
    run.on_progress("drawing synthetic inputs", 0.0)
    inputs = drawn(run, chosen, samples)
    inputs, kinds, names = _with_judges(run, chosen, inputs)
    frontier = _frontier(graph, inputs, start, run.on_progress)
    study = ActivationStudy(
        graph,
        chosen,
        inputs,
        run.settings.seed,
        groups,
        start,
        frontier,
        consumers,
        run.on_progress,
    )
    study.kinds, study.names = kinds, names
    _record(study)
    return study


def _with_judges(
    run: RunContext, chosen: Sampler, inputs: list[np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray, tuple[str, ...]]:
    """Inputs with some of other kinds after them; the last of their own are held back."""
    count = len(inputs[0])
    held = int(np.clip(count // _HELD_BACK, 1, _MOST_JUDGES)) if count > 1 else 0
    kinds = np.zeros(count, np.int64)
    kinds[count - held :] = 1
    if not run.fits:
        return inputs, np.zeros(count, np.int64), ()
    others = draw_kinds(run, chosen, held) if held else {}
    parts = [inputs, *others.values()]
    every = [np.concatenate(x).astype(x[0].dtype) for x in zip(*parts, strict=True)]
    labels = [kinds, *(np.full(held, 2 + place) for place in range(len(others)))]
    return every, np.concatenate(labels), (chosen.sentence, OWN, *others)


def how_many(graph: Graph, start: int) -> int:
    """How many samples a run can afford: by cost of a forward pass, and memory from the start."""
    cost = [flops_of(node) for node in graph.sample_nodes]
    flops = sum(cost[:start]) + _PASSES * sum(cost[start:])
    held = max((bytes_of(node) for node in graph.sample_nodes[start:]), default=1)
    most = min(_WORK / max(flops, 1), _HELD_BYTES / max(2 * held, 1), MOST_SAMPLES)
    return int(max(most, LEAST_SAMPLES))


def _readers(graph: Graph) -> dict[int, int]:
    """Tensor -> the last node that reads it."""
    return {t: node.index for node in graph.nodes for t in node.inputs}


def _frontier(
    graph: Graph, inputs: Sequence[np.ndarray], start: int, on_progress: OnProgress
) -> dict[int, np.ndarray]:
    """Tensors alive before the node ``start``, computed in chunks that are forgotten."""
    last = _readers(graph)
    made = {t for node in graph.nodes[:start] for t in node.outputs} | set(graph.flat.inputs)
    wanted = sorted(t for t in made if last.get(t, -1) >= start)
    parts: dict[int, list[np.ndarray]] = {t: [] for t in wanted}
    for chunk in chunks(
        len(inputs[0]), max(map(bytes_of, graph.sample_nodes[: start + 1]), default=1)
    ):
        on_progress("running the original on synthetic inputs", chunk.start / len(inputs[0]))
        found = graph.run(graph.original, [x[chunk] for x in inputs], wanted)
        for t, value in zip(wanted, found, strict=True):
            parts[t].append(value)
    return {t: np.concatenate(value) for t, value in parts.items()}


class Walk:
    """A network walked node by node over all samples, so that weights may change on the way.

    Args:
        study: gives graph, samples and the tensors to start from.
        state: weights; those that are not the original's own arrays replace the model's.
    """

    def __init__(self, study: ActivationStudy, values: Sequence[np.ndarray]) -> None:
        self.study = study
        self.graph = study.graph
        self.values = list(values)
        self.known: dict[int, np.ndarray] = dict(study.frontier)
        self._last = _readers(self.graph)

    def nodes(self) -> Iterator[Node]:
        """Each node before it is run; it is run when the next one is asked for."""
        nodes = self.graph.nodes[self.study.start :]
        for place, node in enumerate(nodes):
            self.study.on_progress("walking through the layers", place / len(nodes))
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
            for chunk in chunks(self.study.samples, bytes_of(self.graph.sample_nodes[node.index])):
                known = {t: self.known[t][chunk] for t in node.inputs}
                parts.append([np.asarray(out) for out in call(node, known)])
        for t, pieces in zip(node.outputs, zip(*parts, strict=True), strict=True):
            if t in self._last or t in self.graph.flat.outputs:
                self.known[t] = np.concatenate(pieces)


def _record(study: ActivationStudy) -> None:
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


def _places(
    study: ActivationStudy, consumer: Consumer, shape: tuple[int, ...]
) -> np.ndarray | None:
    """Some places at random, where all of them would be more rows than a fit needs."""
    every = int(np.prod(consumer.places(shape)))
    rows = max(_MOST_ROWS, 2 * len(consumer.columns))
    each = max(1, rows // study.samples)
    if each >= every:
        return None
    rng = np.random.default_rng([study.seed, consumer.variable])
    return np.sort(rng.choice(every, each, replace=False))
