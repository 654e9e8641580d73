"""``Magnitude``: the smallest filters or units go (the paper's "scale")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paoding.strategies.base import SelectionContext, fill_by_saliency, log_runners_up


@dataclass(frozen=True)
class Magnitude:
    """Remove the units with the smallest mean absolute weight, without a survivor.

    Source: arXiv 2204.00783, section IV-B ("scale").

    >>> Magnitude()
    Magnitude()
    """

    name: ClassVar[str] = "magnitude"

    def choose(self, context: SelectionContext) -> None:
        """Take the quota by rising magnitude (the pruner ranks by it for this strategy)."""
        fill_by_saliency(context, "smallest mean absolute weight")
        log_runners_up(context, "larger weights")
