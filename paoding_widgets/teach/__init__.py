"""Small widgets for lessons: each shows one idea on a real network, and works alone."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from paoding.quiet import quiet_start

_HOMES = {
    "RemoveUnits": "paoding_widgets.teach.remove_units",
    "GuessTheUnit": "paoding_widgets.teach.guess",
    "MergeExplorer": "paoding_widgets.teach.merge",
    "AnnealingWalk": "paoding_widgets.teach.walk",
    "PriorGallery": "paoding_widgets.teach.priors",
    "AttackPicture": "paoding_widgets.teach.attack",
    "BoundsFlow": "paoding_widgets.teach.bounds",
    "CutTogether": "paoding_widgets.teach.cut",
    "WidthsInTime": "paoding_widgets.teach.device",
}

__all__ = [  # noqa: RUF022, in the order of the lessons
    "RemoveUnits",
    "GuessTheUnit",
    "MergeExplorer",
    "AnnealingWalk",
    "PriorGallery",
    "AttackPicture",
    "BoundsFlow",
    "CutTogether",
    "WidthsInTime",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        with quiet_start():
            value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'paoding_widgets.teach' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
