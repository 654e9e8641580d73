"""What the survivors take over when a unit goes."""

from __future__ import annotations

from collections.abc import Callable

from paoding.compensation.base import Compensation, Merge, Plain
from paoding.compensation.least_squares import LeastSquares, Mean
from paoding.compensation.scaled_merge import ScaledMerge
from paoding.errors import ArgumentError

BY_NAME: dict[str, Callable[[], Compensation]] = {
    kind.name: kind for kind in (LeastSquares, ScaledMerge, Mean, Merge, Plain)
}


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
    if compensation not in BY_NAME:
        names = ", ".join(repr(name) for name in BY_NAME)
        raise ArgumentError(f"compensation={compensation!r} is not known; choose one of {names}.")
    return BY_NAME[compensation]()


__all__ = [
    "BY_NAME",
    "Compensation",
    "LeastSquares",
    "Mean",
    "Merge",
    "Plain",
    "ScaledMerge",
    "get",
]
