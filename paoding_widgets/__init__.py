"""Prune and look into Keras models in a notebook: the studio, and the structure alone."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from paoding.quiet import quiet_start

_HOMES = {
    "PruningStudio": "paoding_widgets.studio",
    "ModelStructure": "paoding_widgets.view",
    "ParetoView": "paoding_widgets.pareto",
}

__all__ = ["ModelStructure", "ParetoView", "PruningStudio"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        with quiet_start():
            value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'paoding_widgets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


def load_ipython_extension(ipython: Any) -> None:
    """What ``%load_ext paoding_widgets`` calls: gives the notebook ``%prune``."""
    with quiet_start():
        ipython.register_magics(import_module("paoding_widgets.magic").PruneMagic)
        first = import_module("paoding.zoo.lessons").lessons()[0]
    print(f"%prune MODEL opens a studio. Lessons stand in {first.parent};")
    print("paoding lessons --to DIR copies them.")
