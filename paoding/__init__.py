"""Paoding makes pretrained Keras networks smaller without data, and says what it costs.

Names are imported when they are first used, so that ``import paoding`` stays quick and
TensorFlow is loaded only when a model is.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

# Public name -> the module that defines it; ``zoo`` is a module itself.
_HOMES = {
    "Box": "paoding.domain",
    "load_model": "paoding.io",
    "prune": "paoding.pruner",
    "Pruner": "paoding.pruner",
    "PruningResult": "paoding.result",
    "replay": "paoding.pruner",
    "masked": "paoding.pruner",
    "Plan": "paoding.plan",
    "Removal": "paoding.plan",
    "Step": "paoding.plan",
    "inspect": "paoding.graph",
    "Saliency": "paoding.strategies",
    "Impact": "paoding.strategies",
    "Annealing": "paoding.strategies",
    "Magnitude": "paoding.strategies",
    "evaluate": "paoding.evaluation",
    "FGSM": "paoding.evaluation",
    "PGD": "paoding.evaluation",
    "lossless": "paoding.free_units",
}
_MODULES = {"zoo", "errors", "domain"}

__all__ = ["__version__", *sorted(_HOMES), *sorted(_MODULES)]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return _load(f"paoding.{name}")
    if name in _HOMES:
        value = getattr(_load(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'paoding' has no attribute {name!r}")


def _load(module: str) -> ModuleType:
    """Import a module; while that brings in TensorFlow, keep its start-up notes off stderr.

    They are written by C++ to the process's file descriptor before any log level is read, and
    would fill a notebook's first cell with red lines about graphics cards.
    """
    if "tensorflow" in sys.modules:
        return import_module(module)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        return import_module(module)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def __dir__() -> list[str]:
    return __all__
