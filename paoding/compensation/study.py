"""The original network on synthetic inputs: what every consumer reads and computes there.

Worked out once a run and remembered. Everything in it is a function of the model, the domain,
the prior, the seed and the number of samples, so that a plan needs to store only these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import numpy as np

from paoding.compensation.consumers import Consumer, consumers_of
from paoding.compensation.evidence import Fitted
from paoding.compensation.recurrence import recurrences_of
from paoding.effort import NORMAL, Effort
from paoding.graph import Graph
from paoding.graph.cost import bytes_of, chunks, flops_of
from paoding.graph.flat import Node
from paoding.graph.keras_internals import call
from paoding.pruning.context import OnProgress, RunContext, unheard
from paoding.synthetic.choice import Sampler
from paoding.synthetic.drawing import drawn, sampler_of
from paoding.synthetic.judges import OWN, draw_kinds

_PASSES = 16  # walks of the pruned network in a run, about
_HELD_BACK = 8  # one input of so many is not fitted on, but chooses the fits


@dataclass(frozen=True, eq=False)
class Record:
    """What one consumer is fitted to.

    Args:
        where: the places that are looked at (None: all).
        target: the original's pre-activation there (rows, outputs), or what it reads, where only
            channels are fitted.
    """

    where: np.ndarray | None
    target: np.ndarray


@dataclass(eq=False)
class ActivationStudy:
    """Synthetic inputs and what the original makes of them.

    Args:
        graph: the traced original.
        chosen: the priors.
        inputs: what was drawn, one array for each input of the model.
        groups: names of the groups whose units may go.
        start: the first node that reads units of these; what comes before never changes.
        consumers: the weights that read units, from there on.
        effort: how much work there may be.
        kinds: for each input, the kind that it is of: 0 for those that are fitted on, which come
            first, 1 for the same held back, then others.
        names: of these kinds.
        fits: consumer's number -> which fit it was given last.
        tuned: whether survivors were distilled in the end.
    """

    graph: Graph
    chosen: Sampler
    inputs: list[np.ndarray]
    seed: int
    groups: frozenset[str]
    start: int
    consumers: tuple[Consumer, ...]
    on_progress: OnProgress = unheard
    effort: Effort = NORMAL
    kinds: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    names: tuple[str, ...] = ()
    fits: dict[int, Fitted] = field(default_factory=dict)
    tuned: Fitted | None = None
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

    @cached_property
    def _sloped(self) -> int:
        """On how many inputs sensitivity could be measured, at a pass forth and some back each."""
        cost = sum(map(flops_of, self.graph.sample_nodes[self.start :]))
        return int(self.effort.slope_work / max((1 + 2 * self.effort.probes) * cost, 1))

    @property
    def sloped(self) -> int:
        """On how many inputs, the first ones, sensitivity is measured."""
        effort = self.effort
        return min(self.fitted, effort.slopes, max(self._sloped, effort.least_slopes))

    @property
    def probes(self) -> int:
        """Along how many directions of the outputs each."""
        effort = self.effort
        return effort.probes if self._sloped >= effort.least_samples else effort.least_probes

    @cached_property
    def first(self) -> dict[int, np.ndarray]:
        """The frontier on those inputs: the first step needs no more of it."""
        return _frontier(self, slice(0, self.sloped))

    @cached_property
    def frontier(self) -> dict[int, np.ndarray]:
        """Tensors that the nodes from ``start`` on read, of the original."""
        if self.sloped == self.samples:
            return self.first
        rest = _frontier(self, slice(self.sloped, self.samples))
        return {t: np.concatenate([self.first[t], x]) for t, x in rest.items()}

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """What each consumer is fitted to; worked out when the first fit asks."""
        return _recorded(self)

    @cached_property
    def ends(self) -> dict[int, tuple[int, ...]]:
        """Shape of one sample of each output."""
        wanted = self.graph.flat.outputs
        found = self.graph.run(self.graph.original, [x[:1] for x in self.inputs], wanted)
        return {t: value.shape[1:] for t, value in zip(wanted, found, strict=True)}

    @property
    def note(self) -> str:
        """Which fits were chosen, in a sentence; empty where nothing was fitted."""
        if not self.fits:
            return ""
        counts = Counter(fitted.fit for fitted in self.fits.values())
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
    effort = run.effort
    most = min(effort.samples if run.fits else effort.slopes, chosen.most or effort.samples)
    samples = run.settings.samples or min(how_many(graph, start, effort), most)
    run.on_progress("drawing synthetic inputs", 0.0)
    inputs = drawn(run, chosen, samples)
    inputs, kinds, names = _with_judges(run, chosen, inputs)
    return ActivationStudy(
        graph,
        chosen,
        inputs,
        run.settings.seed,
        groups,
        start,
        consumers,
        run.on_progress,
        effort,
        kinds,
        names,
    )


def _with_judges(
    run: RunContext, chosen: Sampler, inputs: list[np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray, tuple[str, ...]]:
    """Inputs with some of other kinds after them; the last of their own are held back."""
    count = len(inputs[0])
    held = int(np.clip(count // _HELD_BACK, 1, run.effort.judges)) if count > 1 else 0
    kinds = np.zeros(count, np.int64)
    kinds[count - held :] = 1
    if not run.fits:
        return inputs, np.zeros(count, np.int64), ()
    others = draw_kinds(run, chosen, held) if held else {}
    parts = [inputs, *others.values()]
    every = [np.concatenate(x).astype(x[0].dtype) for x in zip(*parts, strict=True)]
    labels = [kinds, *(np.full(held, 2 + place) for place in range(len(others)))]
    return every, np.concatenate(labels), (chosen.sentence, OWN, *others)


def how_many(graph: Graph, start: int, effort: Effort = NORMAL) -> int:
    """How many samples a run can afford: by cost of a forward pass, and memory from the start."""
    cost = [flops_of(node) for node in graph.sample_nodes]
    flops = sum(cost[:start]) + _PASSES * sum(cost[start:])
    held = max((bytes_of(node) for node in graph.sample_nodes[start:]), default=1)
    most = min(effort.study_work / max(flops, 1), effort.held_bytes / max(2 * held, 1))
    return int(np.clip(most, effort.least_samples, effort.samples))


def _readers(graph: Graph) -> dict[int, int]:
    """Tensor -> the last node that reads it."""
    return {t: node.index for node in graph.nodes for t in node.inputs}


def _frontier(study: ActivationStudy, which: slice) -> dict[int, np.ndarray]:
    """Tensors alive before the node ``start``, computed in chunks that are forgotten."""
    graph, start = study.graph, study.start
    last = _readers(graph)
    made = {t for node in graph.nodes[:start] for t in node.outputs} | set(graph.flat.inputs)
    wanted = sorted(t for t in made if last.get(t, -1) >= start)
    parts: dict[int, list[np.ndarray]] = {t: [] for t in wanted}
    inputs = [x[which] for x in study.inputs]
    heaviest = max(map(bytes_of, graph.sample_nodes[: start + 1]), default=1)
    for chunk in chunks(len(inputs[0]), heaviest):
        study.on_progress("running the original on synthetic inputs", chunk.start / study.samples)
        found = graph.run(graph.original, [x[chunk] for x in inputs], wanted)
        for t, value in zip(wanted, found, strict=True):
            parts[t].append(value)
    return {t: np.concatenate(value) for t, value in parts.items()}


class Walk:
    """A network walked over all samples, from one stop to the next; weights may change there.

    Args:
        study: gives graph, samples and the tensors to start from.
        values: weights; those that are not the original's own arrays replace the model's.
        why: told as progress.
    """

    def __init__(
        self,
        study: ActivationStudy,
        values: Sequence[np.ndarray],
        why: str = "walking through the layers",
    ) -> None:
        self.study = study
        self.why = why
        self.graph = study.graph
        self.values = list(values)
        self.known: dict[int, np.ndarray] = dict(study.frontier)
        self._last = _readers(self.graph)

    def stops(self, at: Iterable[int]) -> Iterator[Node]:
        """Each node of these numbers before it is run, when all that it reads is known."""
        done = self.study.start
        numbers = sorted(set(at))
        for place, number in enumerate(numbers):
            self.study.on_progress(self.why, place / len(numbers))
            self._run(self.graph.nodes[done:number])
            done = number
            yield self.graph.nodes[number]

    def _run(self, nodes: Sequence[Node]) -> None:
        """Run some nodes on a few samples at a time: what only they read is never held."""
        if not nodes:
            return
        end, samples = nodes[-1].index + 1, self.study.samples
        made = {t for node in nodes for t in node.outputs}
        kept = [t for t in made if self._last.get(t, -1) >= end]
        read = {t for node in nodes for t in node.inputs} - made
        heaviest = max(bytes_of(self.graph.sample_nodes[node.index]) for node in nodes)
        found: dict[int, np.ndarray] = {}
        with self._weights(nodes):
            for chunk in chunks(samples, heaviest):
                known: dict[int, Any] = {t: self.known[t][chunk] for t in read}
                for node in nodes:
                    known.update(zip(node.outputs, call(node, known), strict=True))
                    for t in node.inputs:
                        if self._last[t] == node.index:
                            known.pop(t, None)
                for t in kept:
                    part = np.asarray(known[t])
                    if t not in found:
                        found[t] = np.empty((samples, *part.shape[1:]), part.dtype)
                    found[t][chunk] = part
        self.known.update(found)
        for t in read:
            if self._last[t] < end:
                self.known.pop(t, None)

    def _weights(self, nodes: Sequence[Node]) -> Any:
        """A scope in which layers compute with these values."""
        own = {id(v): v for node in nodes for v in getattr(node.op, "variables", [])}
        numbers = [self.graph.number(v) for v in own.values() if id(v) in self.graph.numbers]
        changed = [i for i in numbers if self.values[i] is not self.graph.original.values[i]]
        variables = self.graph.variables
        mapping = [
            (variables[i], keras.ops.cast(self.values[i], variables[i].dtype)) for i in changed
        ]
        return keras.StatelessScope(state_mapping=mapping)


def _recorded(study: ActivationStudy) -> tuple[Record, ...]:
    """Walk through the original once, and keep what the fits need."""
    original = study.graph.original.values
    matrices = [c.matrix(original[c.variable]) for c in study.consumers]
    affordable = study.effort.target_bytes // (4 * max(sum(m.shape[1] for m in matrices), 1))
    most = min(study.effort.rows, affordable)
    found: dict[int, Record] = {}
    walk = Walk(study, original, "running the original on synthetic inputs")
    for node in walk.stops(c.nodes[0].index for c in study.consumers):
        for number, consumer in enumerate(study.consumers):
            if consumer.nodes[0].index == node.index:
                x = walk.known[consumer.source[0]]
                where = _places(study, consumer, x.shape, most)
                rows = consumer.rows(x, where)
                found[number] = Record(where, rows @ matrices[number] if consumer.full else rows)
    return tuple(found[number] for number in range(len(study.consumers)))


def _places(
    study: ActivationStudy, consumer: Consumer, shape: tuple[int, ...], most: int
) -> np.ndarray | None:
    """Some places at random, where all of them would be more rows than a fit needs."""
    every = int(np.prod(consumer.places(shape)))
    rows = max(most, 2 * len(consumer.columns))
    each = max(1, rows // study.samples)
    if each >= every:
        return None
    rng = np.random.default_rng([study.seed, consumer.variable])
    return np.sort(rng.choice(every, each, replace=False))
