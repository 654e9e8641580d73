"""``Saliency``: the pairs of least saliency go (the paper's baseline)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paoding.strategies.base import SelectionContext, Strategy, fill_by_importance, log_runners_up


@dataclass(frozen=True)
class Saliency(Strategy):
    """Remove the units of least saliency, without looking at the outputs.

    Source: arXiv 2204.00783, section IV-A ("baseline").

    >>> Saliency()
    Saliency()
    """

    name: ClassVar[str] = "saliency"
    summary: ClassVar[str] = "what the survivors can replace best, whatever it does to the outputs"

    def choose(self, context: SelectionContext) -> None:
        """Take ``n_remove`` by rising importance."""
        fill_by_importance(context, "least important")
        log_runners_up(context, "more important")
