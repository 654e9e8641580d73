"""Checks of arguments: one sentence that says what is wrong and what would do."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from paoding.errors import ArgumentError


def check_choice(name: str, value: Any, known: Iterable[str], also: str = "") -> None:
    """Raise ``ArgumentError`` unless ``value`` is one of the words that are known.

    Args:
        also: what else would do, as the end of the sentence.
    """
    known = tuple(known)
    if not isinstance(value, str) or value not in known:
        names = ", ".join(map(repr, known))
        raise ArgumentError(f"{name}={value!r} is not known; choose one of {names}{also}.")


def check_share(name: str, value: Any, also: str = "") -> None:
    """Raise ``ArgumentError`` unless ``value`` is a number strictly between 0 and 1.

    Args:
        also: what else would do, as the end of the sentence.
    """
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    good = number and 0 < value < 1
    if not good:
        raise ArgumentError(
            f"{name}={value!r} must be a number between 0 and 1, both excluded (0.5 removes half"
            f"{also})."
        )


def is_whole(value: Any, least: int) -> bool:
    """Whether ``value`` is a whole number of at least so much; True and False are none."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return whole and int(value) >= least


def check_parts(kind: Any, role: str, parts: Iterable[str]) -> None:
    """Raise ``ArgumentError`` where a class lacks what its role needs.

    Args:
        kind: the class.
        role: the word for what it is to be.
        parts: names of what it must have.
    """
    lacks = [name for name in parts if getattr(kind, name, None) is None]
    if lacks:
        raise ArgumentError(f"{kind!r} is no {role}: it has no {' and no '.join(lacks)}.")
