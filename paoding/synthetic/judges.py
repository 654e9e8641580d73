"""Synthetic inputs that nothing is fitted on: of other kinds, they tell what a fit is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from paoding.errors import ArgumentError
from paoding.synthetic.choice import Sampler, choose

if TYPE_CHECKING:
    from paoding.pruning.context import RunContext

_IMAGES = ("blobs", "dead-leaves", "spectra")
_OTHERS = ("signals", "table", "uniform", "tokens", "zipf")
OWN = "held back"  # name of the kind that is fitted on


def other_kinds(run: RunContext, chosen: Sampler) -> dict[str, Sampler]:
    """Kinds of inputs that a model may meet as well: images for images, else what is left.

    Args:
        run: the run; one with real inputs or the user's own prior has no other kinds.
        chosen: what is fitted on.
    """
    if run.settings.calibration is not None or callable(run.settings.prior):
        return {}
    fitted = " ".join(map(str, chosen.priors))
    for names in (_IMAGES, _OTHERS):
        found = {}
        for name in names:
            try:
                kind = choose(run.graph, run.boxes, name)
            except ArgumentError:
                continue
            if not all(str(prior) in fitted for prior in kind.priors):
                found[name] = kind
        if found:
            return found
    return {}


def draw_kinds(run: RunContext, chosen: Sampler, each: int) -> dict[str, list[np.ndarray]]:
    """Some inputs of every other kind."""
    return {
        name: kind.draw(np.random.default_rng([run.settings.seed, 0x0DD, place]), each)
        for place, (name, kind) in enumerate(other_kinds(run, chosen).items())
    }


def verdict(ratios: Sequence[float]) -> float:
    """How good something is, from what it leaves of an error on each kind: less is better.

    The kind that was fitted on, which comes first, weighs as much as all others together; 0
    stands for no change.

    >>> round(verdict([0.1, 2.0, 0.5]), 3), round(verdict([1.0]), 3)
    (-1.151, 0.0)
    """
    logs = np.log(np.maximum(ratios, 1e-6))
    return float(logs[0] if len(logs) == 1 else (logs[0] + logs[1:].mean()) / 2)
