"""Who goes next: strategies, one module each; register one of your own with :func:`register`."""

from __future__ import annotations

from typing import Any, TypeVar

from paoding.checks import check_choice, check_parts
from paoding.errors import ArgumentError
from paoding.strategies.annealing import Annealing
from paoding.strategies.base import SelectionContext, Strategy
from paoding.strategies.impact import Impact
from paoding.strategies.magnitude import Magnitude
from paoding.strategies.saliency import Saliency

BY_NAME: dict[str, type[Strategy]] = {}

Kind = TypeVar("Kind", bound=type)


def register(kind: Kind) -> Kind:
    """Class decorator: make a strategy known by its name, in Python and in every front end.

    Args:
        kind: a class with ``name``, ``summary`` (a sentence for people who choose) and
            ``choose(context)``; see :class:`Strategy`.

    Raises:
        ArgumentError: it lacks one of these.
    """
    check_parts(kind, "strategy", ("name", "summary", "choose"))
    BY_NAME[kind.name] = kind  # type: ignore[attr-defined]
    return kind


for _kind in (Annealing, Impact, Saliency, Magnitude):
    register(_kind)


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
    check_choice("strategy", strategy, BY_NAME)
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
    "register",
]
