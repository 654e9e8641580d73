"""How a run is written down: a strategy in a plan, a plan's removals in the log, a certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

import numpy as np

from paoding import strategies
from paoding.bounds.certificate import Certificate, Certifier
from paoding.compensation.evidence import Fitted
from paoding.criteria import PLAIN
from paoding.errors import BoundsError
from paoding.graph import State
from paoding.plan import Removal
from paoding.pruning.context import RunContext
from paoding.pruning.settings import OWN, plain


def strategy_in_plan(strategy: Any) -> dict[str, Any]:
    """A strategy's name and settings; of one that is not registered, that it was the user's own."""
    name = getattr(strategy, "name", None)
    if name is None or strategies.BY_NAME.get(name) is not type(strategy):
        return {"name": OWN}
    return dict(plain(strategy)) if is_dataclass(strategy) else {"name": name}


def planned(removals: tuple[Removal, ...]) -> dict[str, Any]:
    """The log of removals that were decided elsewhere, as columns."""
    return {
        "group": np.array([r.group for r in removals], dtype=object),
        "unit": np.array([r.unit for r in removals]),
        "into": np.array([PLAIN if r.into is None else r.into for r in removals]),
        "verdict": "removed",
        "reason": "a plan says so",
    }


def fits_of(run: RunContext) -> tuple[Fitted, ...]:
    """How the survivors of each layer were fitted, and whether all were distilled in the end."""
    if run.study is None:
        return ()
    layers = [run.study.fits[number] for number in sorted(run.study.fits)]
    return tuple(layers) if run.study.tuned is None else (*layers, run.study.tuned)


def certificate_of(
    run: RunContext, path: tuple[tuple[Removal, ...], ...], state: Callable[[], State]
) -> Certificate:
    """The certificate of what a path of steps leads to, against the original.

    Args:
        run: graph, legal inputs and settings.
        path: the removals of each step.
        state: gives the weights at its end.
    """
    merges = [r for removals in path for r in removals if r.method in ("merge", "lossless")]
    try:
        judge = Certifier(run.graph, run.boxes, run.settings.bounds)
        changes = judge.changes(state(), merges)
    except BoundsError as error:
        return Certificate(None, None, str(error))
    scores = None if changes.scores is None else Certificate(*changes.scores)
    return Certificate(*changes.outputs, scores=scores)
