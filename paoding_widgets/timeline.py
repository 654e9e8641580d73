"""The steps of a run as pure values: where it stands, what is shown, and the runs before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from paoding.errors import ArgumentError
from paoding.plan import Step
from paoding_widgets.session import Snapshot

MAX_NAME = 60


@dataclass(frozen=True)
class Point:
    """What a chart and a table need of one moment of a run that was left.

    Args:
        share: of the units that were removed.
        parameters, flops: that were left.
        accuracy, robust: of the task's first metric, whatever it is.
        energy: mean of what went in the step, where its strategy has one.
        moved: the greatest change of an output that was seen on samples.
    """

    share: float
    parameters: int
    flops: int
    accuracy: float | None = None
    robust: float | None = None
    energy: float | None = None
    moved: float | None = None


@dataclass(frozen=True)
class NamedRun:
    """A run that was left for a branch.

    Args:
        name: unique among the runs of a studio.
        points: the original and every step.
        settings: the settings that tell it from others, as plain values.
        overlaid: whether the charts show it.
        layers: parameters that it left in each layer.
        latency: seconds for one sample at its end, or None where that was not measured.
        measure: by what its last candidates were ordered.
    """

    name: str
    points: tuple[Point, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    overlaid: bool = True
    layers: Mapping[str, int] = field(default_factory=dict)
    latency: float | None = None
    measure: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        snapshots: Sequence[Snapshot],
        settings: Mapping[str, Any],
    ) -> NamedRun:
        """A run as it stands after its snapshots."""
        end = snapshots[-1]
        return cls(
            name,
            points_of(snapshots),
            dict(settings),
            layers=dict(end.parameters),
            latency=end.latency,
            measure=end.measure,
        )


def points_of(snapshots: Sequence[Snapshot]) -> tuple[Point, ...]:
    """A run reduced to what is compared."""
    return tuple(
        Point(
            one.share,
            one.cost.parameters,
            one.cost.flops,
            one.measured.quality if one.measured else None,
            one.measured.robust if one.measured else None,
            one.step.energy if one.step else None,
            _moved(one),
        )
        for one in snapshots
    )


def _moved(one: Snapshot) -> float | None:
    if one.measured is None or one.measured.moved is None:
        return None
    low, high = one.measured.moved
    return float(max(np.abs(low).max(initial=0), np.abs(high).max(initial=0)))


class Timeline:
    """The original and every step of the present run, and the runs that were left for it.

    Nothing here knows of widgets, threads or the pruner: events come in, values are read.
    """

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.applied = 0
        self.shown = 0
        self.runs: tuple[NamedRun, ...] = ()
        self.name = "run 1"
        self._made = 1

    @property
    def now(self) -> Snapshot:
        """The snapshot that the run stands at."""
        return self.snapshots[self.applied]

    @property
    def line(self) -> list[Snapshot]:
        """The original and the steps that are applied."""
        return self.snapshots[: self.applied + 1]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are applied."""
        return tuple(one.step for one in self.line[1:] if one.step is not None)

    def begin(self, snapshots: Sequence[Snapshot], settings: Mapping[str, Any]) -> None:
        """A run has begun, perhaps with steps; a longer one that it replaces is kept by name."""
        if len(self.snapshots) > len(snapshots):
            self._leave(settings)
        self.snapshots = list(snapshots)
        self.applied = self.shown = max(0, len(self.snapshots) - 1)

    def take(self, snapshot: Snapshot, settings: Mapping[str, Any]) -> None:
        """A step was taken; steps that had been taken back become a run of their own."""
        follows = self.shown == self.applied
        if len(self.snapshots) > self.applied + 1:
            self._leave(settings)
        self.snapshots = [*self.line, snapshot]
        self.applied += 1
        if follows:
            self.shown = self.applied

    def go_to(self, applied: int) -> None:
        """So many steps are applied now."""
        self.applied = self.shown = min(max(0, applied), len(self.snapshots) - 1)

    def look_at(self, moment: int) -> None:
        """The reader looks at the moment after so many steps."""
        self.shown = min(max(0, moment), self.applied)

    def time(self, moment: Snapshot, seconds: float | None) -> None:
        """A moment's network was timed; one that is no longer here is forgotten."""
        self.snapshots = [
            replace(one, latency=seconds) if one is moment else one for one in self.snapshots
        ]

    # -- named runs -------------------------------------------------------------------------

    def _leave(self, settings: Mapping[str, Any]) -> None:
        """Keep the present run, and go on under a new name; only the latest stays overlaid."""
        others = tuple(replace(run, overlaid=False) for run in self.runs)
        left = NamedRun.of(self.name, self.snapshots, settings)
        self.runs = (*others, left)
        taken = {run.name for run in self.runs}
        while True:
            self._made += 1
            if f"run {self._made}" not in taken:
                break
        self.name = f"run {self._made}"

    def rename(self, name: str, to: str) -> None:
        """Give a run, also the present one, another name.

        Raises:
            ArgumentError: the name is empty or taken, or there is no such run.
        """
        to = " ".join(to.split())[:MAX_NAME]
        if not to:
            raise ArgumentError("A run needs a name: write at least one letter.")
        if to != name and to in {self.name, *(run.name for run in self.runs)}:
            raise ArgumentError(f"There is a run named '{to}' already; choose another name.")
        if name == self.name:
            self.name = to
            return
        self._find(name)
        self.runs = tuple(replace(r, name=to) if r.name == name else r for r in self.runs)

    def delete(self, name: str) -> None:
        """Forget a run that was left."""
        self._find(name)
        self.runs = tuple(run for run in self.runs if run.name != name)

    def overlay(self, name: str, on: bool) -> None:
        """Show a run that was left in the charts, or show it no longer."""
        self._find(name)
        self.runs = tuple(replace(r, overlaid=on) if r.name == name else r for r in self.runs)

    def _find(self, name: str) -> NamedRun:
        for run in self.runs:
            if run.name == name:
                return run
        raise ArgumentError(f"There is no earlier run named '{name}'.")
