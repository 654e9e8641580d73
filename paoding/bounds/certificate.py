"""Certificates, where they are made: sound bounds of what pruning changes over a domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from paoding.bounds.difference import Gone, differences, resolved
from paoding.bounds.forward import input_intervals
from paoding.bounds.intervals import Floats, Interval, Twin
from paoding.bounds.linear import Linear
from paoding.bounds.lowering import lower
from paoding.bounds.primitives import Program, score_values
from paoding.checks import check_choice
from paoding.domain.box import Domain
from paoding.graph import Graph, State

Method = Literal["interval", "linear"]


@dataclass(frozen=True)
class Certificate:
    """A sound bound on each output's change over the domain; None, with a reason, if none.

    Args:
        lower, upper: one entry per output, in the units of the outputs.
        reason: why there is no bound.
        scores: the same bound before a final softmax or sigmoid, which says something where
            the outputs may change by anything up to 1; None where the outputs are the scores.

    >>> print(Certificate(np.array([-0.5]), np.array([0.25])))
    Certified: over the whole domain each output changes by -0.5 to 0.25.
    """

    lower: np.ndarray | None
    upper: np.ndarray | None
    reason: str | None = None
    scores: Certificate | None = None

    @property
    def within(self) -> str:
        """The range that holds every output's change, and every score's, in words."""
        assert self.lower is not None and self.upper is not None
        text = f"{self.lower.min():.4g} to {self.upper.max():.4g}"
        if self.scores is None:
            return text
        return f"{text}, each score before the final softmax or sigmoid by {self.scores.within}"

    def __str__(self) -> str:
        if self.lower is None:
            return f"No certificate: {self.reason}"
        return f"Certified: over the whole domain each output changes by {self.within}."

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as ``report.json`` keeps them."""
        return {
            "lower": None if self.lower is None else self.lower.ravel().tolist(),
            "upper": None if self.upper is None else self.upper.ravel().tolist(),
            "reason": self.reason,
            "scores": None if self.scores is None else self.scores.to_dict(),
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Certificate:
        """What ``to_dict`` gave; reports of earlier versions have no scores."""
        lower, upper, scores = (kept.get(name) for name in ("lower", "upper", "scores"))
        return cls(
            None if lower is None else np.asarray(lower, dtype=np.float64),
            None if upper is None else np.asarray(upper, dtype=np.float64),
            kept.get("reason"),
            None if scores is None else cls.from_dict(scores),
        )


@dataclass(frozen=True, eq=False)
class Changes:
    """What a pruned network may change, at most, each as ``(lower, upper)``.

    Args:
        outputs: least and largest change of each output entry; several outputs end to end.
        scores: the same before a final softmax or sigmoid, where changes can still be told
            apart when the outputs' are no more than [-1, 1]; None where there is none.
    """

    outputs: tuple[Floats, Floats]
    scores: tuple[Floats, Floats] | None


class Certifier:
    """Certificates for the pruned versions of one network over one domain.

    Args:
        graph: the traced model; its original weights are the reference.
        domain: the legal inputs (``paoding.Box``), one box or one per model input.
        method: ``"interval"``, or ``"linear"`` for tighter bounds that take longer.
        reference: other weights to compare with than the model's own.

    Raises:
        ArgumentError: the method is unknown.
        BoundsError: a layer has no rule; the message names it.
        DomainError: the domain does not fit the model.

    The bounds hold for the network in exact arithmetic with the stored weights; what the
    float32 kernels of a backend add to that is rounding of their own, not of the pruning.
    """

    def __init__(
        self,
        graph: Graph,
        domain: Domain | None = None,
        method: Method = "interval",
        reference: State | None = None,
    ) -> None:
        check_choice("bounds", method, get_args(Method))
        self.graph, self.method = graph, method
        self.reference = graph.original if reference is None else reference
        self.inputs: Sequence[Interval] = input_intervals(self.program, domain)

    @cached_property
    def program(self) -> Program:
        """The reference network as primitives."""
        return lower(self.graph, self.reference)

    def twins(self, state: State, removals: Iterable[Gone] = ()) -> list[Twin]:
        """Bounds of every value in both networks, and of its change."""
        after, merges = lower(self.graph, state), resolved(removals)
        refiner = None
        if self.method == "linear":
            refiner = Linear(self.graph, self.program, after, merges)
        return differences(self.graph, self.program, after, self.inputs, merges, refiner)

    def changes(self, state: State, removals: Iterable[Gone] = ()) -> Changes:
        """Least and largest change of each output and of each score, over the whole domain.

        Args:
            state: the pruned network's weights at original shapes (masked).
            removals: the plan's removals; merges among them are bounded as pairs, which makes
                the certificate tighter but is never needed for it to hold.

        Returns:
            Both, from one propagation.

        Source: ``docs/method.md``, section 12.
        """
        twins, scores = self.twins(state, removals), score_values(self.program)
        squashed = scores != self.program.outputs
        return Changes(
            self._ends(twins, self.program.outputs),
            self._ends(twins, scores) if squashed else None,
        )

    def certificate(self, state: State, removals: Iterable[Gone] = ()) -> tuple[Floats, Floats]:
        """``changes(...).outputs``: ``(lower, upper)``, float64, one entry per output entry."""
        return self.changes(state, removals).outputs

    def _ends(self, twins: list[Twin], values: tuple[int, ...]) -> tuple[Floats, Floats]:
        """The ends of the changes of some values, one after another."""
        changes = [(twins[value].change, self.program.shapes[value]) for value in values]
        lower_ends = [_flat(change.lower, shape) for change, shape in changes]
        upper_ends = [_flat(change.upper, shape) for change, shape in changes]
        return np.concatenate(lower_ends), np.concatenate(upper_ends)


def _flat(bound: Floats, shape: tuple[int, ...]) -> Floats:
    return np.broadcast_to(bound, (1, *shape)).reshape(-1)


def certificate(
    graph: Graph,
    before: State,
    after: State,
    domain: Domain | None = None,
    method: Method = "interval",
    removals: Iterable[Gone] = (),
) -> tuple[Floats, Floats]:
    """Least and largest change of each output between two weightings of one graph.

    Args:
        graph: the traced model.
        before, after: weights at original shapes; ``after`` is masked, not cut.
        domain: the legal inputs; ``Box(0, 1)`` when not given.
        method: ``"interval"`` or ``"linear"``.
        removals: merges to bound as pairs.

    Returns:
        ``(lower, upper)``, one entry per output entry.

    Raises:
        BoundsError: no certificate can be given; the message names the layer.

    >>> import keras, paoding
    >>> from paoding.graph import trace
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> graph = trace(model)
    >>> lower, upper = certificate(graph, graph.original, graph.original)
    >>> bool(abs(lower).max() < 1e-290)
    True
    """
    return Certifier(graph, domain, method, before).certificate(after, removals)
