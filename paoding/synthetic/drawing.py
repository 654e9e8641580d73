"""The synthetic inputs of a run: priors chosen, corrected by what the model carries, and drawn."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from paoding.errors import ArgumentError
from paoding.graph import Graph
from paoding.graph.cost import bytes_of, chunks, pass_cost
from paoding.graph.heads import head_of
from paoding.graph.keras_internals import on_tensorflow
from paoding.synthetic.bn_matching import batch_norms, matched, moment_gaps, most_inputs, shaded
from paoding.synthetic.choice import Sampler, choose
from paoding.synthetic.reweighting import SPARE, ReweightedSampler

if TYPE_CHECKING:
    from paoding.pruning.context import RunContext

_KEPT_BYTES = 1 << 26  # inputs that stay known after a run


def sampler_of(run: RunContext) -> Sampler:
    """The inputs of a run: real ones, the user's prior, the named one, or what fits the model.

    Raises:
        ArgumentError: no such prior.
    """
    prior, real = run.settings.prior, run.settings.calibration
    if real is not None:
        return real
    if prior is None or isinstance(prior, str):
        return _evened(run, choose(run.graph, run.boxes, prior))
    if not callable(prior):
        raise ArgumentError(
            f"prior={prior!r} must be a name or a callable(rng, n) -> array of n inputs."
        )
    return CallableSampler(prior, tuple(x.name for x in run.graph.model.inputs))


def _evened(run: RunContext, chosen: Sampler) -> Sampler:
    """The priors, with inputs picked by answers and moments where a model tells them cheaply."""
    graph: Graph = run.graph
    cost, effort = pass_cost(graph), run.effort
    classes = _tells_classes(graph)
    norms = batch_norms(graph)
    affordable = most_inputs(chosen.canvases, cost, effort) if norms else effort.samples
    most = min(affordable, effort.samples)
    if not most or SPARE * most * cost > effort.looking_work or not (classes or norms):
        return chosen
    gradients = on_tensorflow()
    if norms and gradients and len(chosen.priors) == 1:
        chosen = chosen.of(shaded(run, chosen.priors[0], cost))
    outputs = graph.flat.outputs[:1] if classes else []
    wanted = [*outputs, *(node.inputs[0] for node in norms)]

    def look(inputs: Sequence[np.ndarray]) -> tuple[np.ndarray | None, np.ndarray | None]:
        answers: list[np.ndarray] = []
        moments: list[np.ndarray] = []
        for chunk in chunks(len(inputs[0]), max(map(bytes_of, graph.sample_nodes))):
            found = graph.run(graph.original, [x[chunk] for x in inputs], wanted)
            answers += found[: len(outputs)]
            apart = [
                moment_gaps(n.op, z) for n, z in zip(norms, found[len(outputs) :], strict=True)
            ]
            moments += [np.concatenate(apart, axis=1)] if apart else []
        p = np.concatenate(answers) if answers else None
        if p is not None and p.shape[1] == 1:
            p = np.concatenate([1 - p, p], axis=1)
        return p, np.concatenate(moments) if moments else None

    why = ["that the model answers evenly over its classes"] if classes else []
    if norms:
        why.append("whose mean and variance come near to batch normalization's moving statistics")
    if not norms or not gradients:
        return ReweightedSampler(chosen, look, " and ".join(why))

    def blend(rng: np.random.Generator, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return matched(run, rng, inputs, chosen.canvases, cost, classes)

    surer = " and so that the model is surer of them" if classes else ""
    then = f"They are changed a little to fit these moments{surer}."
    return ReweightedSampler(chosen, look, " and ".join(why), blend, then, most)


def _tells_classes(graph: Graph) -> bool:
    """Whether a model's one output is a row of probabilities."""
    made = [node for node in graph.nodes if graph.flat.outputs[0] in node.outputs]
    head = head_of(made[0].op) if made else ""
    shape = graph.flat.shapes[graph.flat.outputs[0]]
    classifies = head == "softmax" or (head == "sigmoid" and shape[-1] == 1)
    return classifies and len(graph.flat.outputs) == 1 and len(shape) == 2


class CallableSampler(Sampler):
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


@dataclass(frozen=True, eq=False)
class _Drawing:
    """The inputs that were drawn last: a second run on the same model often asks for them again."""

    model: weakref.ref[Any]
    key: tuple[Any, ...]
    inputs: list[np.ndarray]

    last: ClassVar[_Drawing | None] = None


def drawn(run: RunContext, chosen: Sampler, samples: int) -> list[np.ndarray]:
    """The inputs of a run: the last run's, if its model, weights and settings were the same."""
    graph: Graph = run.graph
    corrected = isinstance(chosen, ReweightedSampler)  # others cost little
    key = _key(run, chosen, samples) if corrected else ()
    last = _Drawing.last
    if corrected and last is not None and last.model() is graph.model and last.key == key:
        return last.inputs
    inputs = chosen.draw(np.random.default_rng([run.settings.seed, 0x5EED]), samples)
    _check(graph, inputs)
    if corrected and sum(x.nbytes for x in inputs) <= _KEPT_BYTES:
        _Drawing.last = _Drawing(weakref.ref(graph.model), key, inputs)
    return inputs


def _key(run: RunContext, chosen: Sampler, samples: int) -> tuple[Any, ...]:
    """All that inputs depend on but the model's layers, which a model never changes."""
    digest = hashlib.blake2b()
    for value in (*run.graph.original.values, *(end for b in run.boxes for end in (b.lo, b.hi))):
        digest.update(value.tobytes())
    activations = tuple(str(getattr(node.op, "activation", "")) for node in run.graph.nodes)
    # The groups decide how many threads sum up, and so how sums are rounded.
    return samples, run.settings.seed, run.groups, chosen.sentence, activations, digest.digest()


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
