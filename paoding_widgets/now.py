"""What is the case in a studio, as plain values: state, stage of long work, and the timeline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from paoding.evaluation.self_check import SelfCheck
from paoding_widgets import present
from paoding_widgets.session import Snapshot
from paoding_widgets.settings import Settings
from paoding_widgets.timeline import Timeline


@dataclass(frozen=True, eq=False)
class Checked:
    """What was estimated without data, and on what synthetic inputs survivors were fitted."""

    found: SelfCheck
    prior: str | None


@dataclass(frozen=True)
class Stage:
    """A piece of long work, so that the reader sees that it goes on, and how long it will.

    Args:
        what: it is, in a few words.
        share: of it that is done; negative where that is not known.
        began: when, on the monotonic clock.
    """

    what: str
    share: float = -1.0
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def after(cls, before: Stage | None, what: str, share: float) -> Stage:
        """The stage after a message of the pruner; the same work goes on with its clock."""
        same = before is not None and before.what == what and before.share <= share
        return cls(what, share, before.began) if same and before else cls(what, share)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until it is done, at the pace so far; None while nothing can be told."""
        gone = time.monotonic() - self.began
        if self.share < 0.02 or gone < 1:
            return None
        return gone * (1 - self.share) / self.share

    @property
    def text(self) -> str:
        """Work, share and seconds left in a few words."""
        parts = [self.what]
        if self.share >= 0:
            parts.append(f"{self.share:.0%}")
        left = self.seconds_left
        if left is not None and left >= 1:
            parts.append(f"about {left:.0f} s left")
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class Now:
    """What is the case in a studio, as far as it can be seen.

    Args:
        state, message, error: for the head.
        waits: what was asked of a run that is still in its step, or an empty text.
        stage: what the worker is at, or None.
        timeline: the steps of the run, where it stands and where the reader looks.
        settings, eps: those that the run was made with.
        run: tells one run from another.
        known: (group, unit, steps applied) and what the worker found out about that unit.
        checked: what the worker estimated without data of the network as it stands, or None.
        saved: where the run is kept as it goes, or an empty text.
        ending: why the run ended before its target, or an empty text.
    """

    state: str
    message: str
    error: str
    timeline: Timeline
    settings: Settings
    eps: float
    run: int
    waits: str = ""
    stage: Stage | None = None
    known: tuple[tuple[str, int, int], dict[str, Any]] | None = field(default=None)
    checked: Checked | None = field(default=None)
    saved: str = ""
    ending: str = ""

    @property
    def snapshots(self) -> Sequence[Snapshot]:
        """The original and every step, also those that were taken back."""
        return self.timeline.snapshots

    @property
    def applied(self) -> int:
        """How many steps are applied."""
        return self.timeline.applied

    @property
    def shown(self) -> int:
        """The moment that the reader looks at."""
        return self.timeline.shown

    @property
    def applied_snapshots(self) -> Sequence[Snapshot]:
        """The original and the steps that are applied."""
        return self.timeline.line

    @property
    def moving(self) -> bool:
        """Whether steps are being taken."""
        return self.state == "running"

    @property
    def planned(self) -> int:
        """Steps of the whole run, as far as that is known."""
        return max((one.planned for one in self.snapshots[:1]), default=0)

    @property
    def says(self) -> str:
        """The message, or what goes without saying."""
        work = self.stage.text if self.stage else ""
        told = self.waits or self.message
        if told or work:
            return " · ".join(filter(None, (told, work)))
        if self.state == "failed":
            return self.error
        if self.state == "ready" and self.snapshots:
            return "press Start to prune, or Step to go one step at a time"
        if self.state == "finished":
            return (
                self.ending
                or "the target is reached: raise it to go on, or press Reset to begin again"
            )
        step = self.timeline.now.step if self.snapshots else None
        if step is None:
            return ""
        of = f" of {self.planned}" if self.planned >= self.applied else ""
        return f"step {self.applied}{of}, {step.progress:.0%} of the target"

    def header(self, name: str) -> dict[str, Any]:
        """What the head of the studio shows."""
        step = self.timeline.now.step if self.snapshots else None
        figures = []
        if self.snapshots:
            figures = present.figures(self.snapshots[0], self.snapshots[self.shown])
        return {
            "name": name,
            "state": self.state,
            "message": self.says,
            "error": self.error,
            "figures": figures,
            "progress": 0.0 if step is None else step.progress,
            "working": None if self.stage is None else round(self.stage.share, 3),
            "estimate": self._estimate,
            "prior": (self.checked and self.checked.prior) or "",
            "saved": self.saved,
            "fitted": self.settings.fitted_on,
        }

    @property
    def _estimate(self) -> str:
        """The self-check, while the reader looks at the network that was checked."""
        if self.checked is None or self.shown != self.applied:
            return ""
        return present.sentence(self.checked.found)
