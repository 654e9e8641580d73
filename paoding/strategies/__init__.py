"""Who goes next: four strategies, one module each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from paoding.errors import ArgumentError
from paoding.strategies.annealing import Annealing
from paoding.strategies.base import SelectionContext, Strategy
from paoding.strategies.impact import Impact
from paoding.strategies.magnitude import Magnitude
from paoding.strategies.saliency import Saliency

BY_NAME: dict[str, Callable[..., Strategy]] = {
    "saliency": Saliency,
    "impact": Impact,
    "annealing": Annealing,
    "magnitude": Magnitude,
}


def get(strategy: str | Strategy | None, **settings: Any) -> Strategy:
    """A strategy by its name; None is ``Annealing``.

    Raises:
        ArgumentError: the name is not known.

    >>> get("saliency")
    Saliency()
    """
    if strategy is None:
        strategy = Annealing.name
    if not isinstance(strategy, str):
        if isinstance(strategy, type) or not hasattr(strategy, "choose"):
            raise ArgumentError(
                f"strategy={strategy!r} is no strategy; pass a name or, say, paoding.Annealing()."
            )
        return strategy
    if strategy not in BY_NAME:
        names = ", ".join(repr(name) for name in BY_NAME)
        raise ArgumentError(f"strategy={strategy!r} is not known; choose one of {names}.")
    return BY_NAME[strategy](**settings)


__all__ = [
    "BY_NAME",
    "Annealing",
    "Impact",
    "Magnitude",
    "Saliency",
    "SelectionContext",
    "Strategy",
    "get",
]
