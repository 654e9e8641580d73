"""What a run came to: the smaller model, the plan, the log and the certificate."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from paoding.bounds.certificate import Certificate
from paoding.evaluation.cost import cost
from paoding.evaluation.self_check import SelfCheck, selfcheck
from paoding.graph import Graph, State, surgery
from paoding.plan import Decisions, Plan, Step
from paoding.pruning import run_folder
from paoding.pruning.milliseconds import told

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from paoding.compensation.evidence import Fitted
    from paoding.domain import Box
    from paoding.evaluation import Report


@dataclass(frozen=True, eq=False)
class PruningResult:
    """A pruned model with the plan, the log and the certificate that go with it.

    Attributes:
        graph: the traced original.
        plan: every removal, with the settings.
        steps: the steps.
        prior: what synthetic inputs the survivors were fitted on, in a sentence; None if none.
        domain: legal inputs, one box for each input of the model.
        ending: why the run ended before its target, in a sentence; None where it did not.
        fitted_on: "data-free", or on how many real inputs survivors were fitted.
        assumed: what was assumed of the legal inputs, in a sentence; None where nothing was.
        fits: for each layer whose survivors were fitted, how, and why so; and whether they were
            distilled in the end.
    """

    graph: Graph
    state: State
    plan: Plan
    steps: tuple[Step, ...]
    prior: str | None
    domain: tuple[Box, ...]
    _certify: Callable[[], Certificate] = field(repr=False)
    ending: str | None = None
    fitted_on: str = "data-free"
    assumed: str | None = None
    fits: tuple[Fitted, ...] = ()

    @cached_property
    def model(self) -> keras.Model:
        """The physically smaller model."""
        return surgery.cut(self.graph, self.state)

    @cached_property
    def masked(self) -> keras.Model:
        """The original's shape, removed units' outgoing weights at zero, survivors compensated."""
        return surgery.mask(self.graph, self.state)

    @property
    def latency(self) -> str | None:
        """What a budget in milliseconds came to, in a sentence; None without one."""
        settings = self.plan.settings
        return told(settings["options"], settings["target"])

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
        return selfcheck(self.model, self.graph.model, domain=self.domain, samples=samples)

    def summary(
        self, evaluation: Report | None = None, selfcheck: SelfCheck | None = None
    ) -> dict[str, Any]:
        """What the run came to, as plain values: sizes, layers, steps, certificate, evaluation.

        Args:
            evaluation: a report of ``paoding.evaluate`` to tell with it.
            selfcheck: what :meth:`selfcheck` found.
        """
        alive, graph = self.state.alive, self.graph
        return {
            "model": graph.model.name,
            "fingerprint": self.plan.fingerprint,
            "settings": dict(self.plan.settings),
            "fitted_on": self.fitted_on,
            "assumed": self.assumed,
            "prior": self.prior,
            "fits": [asdict(fitted) for fitted in self.fits],
            "ending": self.ending,
            "latency": self.latency,
            "before": cost(graph.model, latency=False).to_dict(),
            "after": cost(self.model, latency=False).to_dict(),
            "layers": [
                {
                    "layer": group.name,
                    "units": group.units,
                    "left": int(alive[group.ids].sum()),
                    "prunable": group.prunable,
                    "reason": group.reason,
                }
                for group in graph.groups
            ],
            "steps": [
                {
                    "step": step.index,
                    "removed": len(step.removals),
                    "progress": step.progress,
                    "energy": step.energy,
                    "seconds": step.seconds,
                }
                for step in self.steps
            ],
            "certificate": self.certificate.to_dict(),
            "selfcheck": None if selfcheck is None else selfcheck.to_dict(),
            "evaluation": None if evaluation is None else evaluation.to_dict(),
        }

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
        run_folder.save(
            path,
            model=self.model,
            plan=self.plan,
            decisions=self.decisions,
            report=self.summary(evaluation, selfcheck),
            original=self.graph.model if original else None,
        )

    @staticmethod
    def load(path: str | os.PathLike[str]) -> run_folder.Run:
        """Read a folder that :meth:`save` wrote.

        Raises:
            ModelError, PlanError: it is no such folder, or cannot be read.
        """
        return run_folder.load(path)
