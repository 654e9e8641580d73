"""What the survivors take over when a unit goes; add a way of your own with :func:`register`."""

from __future__ import annotations

from typing import TypeVar

from paoding.checks import check_choice, check_parts
from paoding.compensation.base import Compensation, Merge, Plain
from paoding.compensation.folding import Folding
from paoding.compensation.least_squares import LeastSquares, Mean
from paoding.compensation.scaled_merge import ScaledMerge
from paoding.errors import ArgumentError

BY_NAME: dict[str, type[Compensation]] = {}

Kind = TypeVar("Kind", bound=type)


def register(kind: Kind) -> Kind:
    """Class decorator: make a compensation known by its name, in Python and in every front end.

    Args:
        kind: a class that is made without arguments, with what :class:`Compensation` names; the
            least is to inherit from :class:`Plain` and to write ``name``, ``summary`` and
            ``apply``.

    Raises:
        ArgumentError: it lacks something.
    """
    check_parts(kind, "compensation", ("name", "summary", "rank", "method", "apply"))
    BY_NAME[kind.name] = kind  # type: ignore[attr-defined]
    return kind


for _kind in (LeastSquares, ScaledMerge, Mean, Merge, Folding, Plain):
    register(_kind)


def get(compensation: str | Compensation) -> Compensation:
    """A compensation by its name.

    Raises:
        ArgumentError: the name is not known.

    >>> get("merge").merges
    True
    """
    if not isinstance(compensation, str):
        if not hasattr(compensation, "apply") or isinstance(compensation, type):
            raise ArgumentError(
                f"compensation={compensation!r} is no compensation; pass a name, say 'merge'."
            )
        return compensation
    check_choice("compensation", compensation, BY_NAME)
    return BY_NAME[compensation]()


__all__ = [
    "BY_NAME",
    "Compensation",
    "Folding",
    "LeastSquares",
    "Mean",
    "Merge",
    "Plain",
    "ScaledMerge",
    "get",
    "register",
]
