"""What a run came to: the smaller model, the plan, the log and the certificate."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from paoding import surgery
from paoding.graph import Graph, State
from paoding.plan import Decisions, Plan, Step

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from paoding.domain import Box
    from paoding.evaluation import Report
    from paoding.run_folder import Run
    from paoding.self_check import SelfCheck


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
class PruningResult:
    """A pruned model with the plan, the log and the certificate that go with it.

    Attributes:
        graph: the traced original.
        plan: every removal, with the settings.
        steps: the steps.
        prior: what synthetic inputs the survivors were fitted on, in a sentence; None if none.
        domain: legal inputs, one box for each input of the model.
    """

    graph: Graph
    state: State
    plan: Plan
    steps: tuple[Step, ...]
    prior: str | None
    domain: tuple[Box, ...]
    _certify: Callable[[], Certificate] = field(repr=False)

    @cached_property
    def model(self) -> keras.Model:
        """The physically smaller model."""
        return surgery.cut(self.graph, self.state)

    @cached_property
    def masked(self) -> keras.Model:
        """The original's shape, removed units' outgoing weights at zero, survivors compensated."""
        return surgery.mask(self.graph, self.state)

    @cached_property
    def decisions(self) -> pd.DataFrame:
        """Every candidate considered, with verdict and reason."""
        import pandas as pd

        frames = [step.decisions.frame() for step in self.steps]
        empty = Decisions.of([]).frame()
        return pd.concat(frames, ignore_index=True) if frames else empty

    @cached_property
    def certificate(self) -> Certificate:
        """Sound bound on each output's change over the domain (*certified*)."""
        return self._certify()

    def selfcheck(self, samples: int = 1000) -> SelfCheck:
        """How often the model still answers like the original, without data (*estimated*).

        Args:
            samples: synthetic inputs drawn from each prior.

        Returns:
            What :func:`paoding.selfcheck` finds over the run's domain.
        """
        from paoding.self_check import selfcheck

        return selfcheck(self.model, self.graph.model, domain=self.domain, samples=samples)

    def __repr__(self) -> str:
        gone = len(self.plan.removals)
        return (
            f"PruningResult('{self.graph.model.name}', {len(self.steps)} steps, {gone} units "
            f"removed, {self.graph.model.count_params():,} -> {self.model.count_params():,} "
            "parameters)"
        )

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        evaluation: Report | None = None,
        selfcheck: SelfCheck | None = None,
        original: bool = False,
    ) -> None:
        """Write model.keras, plan.json, decisions.parquet, report.json and report.html.

        Args:
            path: a folder that does not exist yet; it appears whole or not at all.
            evaluation: a report of ``paoding.evaluate`` to keep with it.
            selfcheck: what :meth:`selfcheck` found, to keep with it.
            original: keep the model before as well, so that the run can go on from the folder.

        Raises:
            OutputExistsError: the folder exists.
        """
        from paoding import run_folder

        run_folder.save(self, path, evaluation=evaluation, selfcheck=selfcheck, original=original)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Run:
        """Read a folder that :meth:`save` wrote.

        Raises:
            ModelError, PlanError: it is no such folder, or cannot be read.
        """
        from paoding import run_folder

        return run_folder.load(path)
