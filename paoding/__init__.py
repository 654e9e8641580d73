"""Paoding makes pretrained Keras networks smaller without data, and says what it costs.

Names are imported when they are first used, so that ``import paoding`` stays quick and
TensorFlow is loaded only when a model is.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from paoding.quiet import quiet_start

__version__ = "0.2.0"

# Public name -> the module that defines it; ``zoo`` is a module itself.
_HOMES = {
    "Box": "paoding.domain",
    "load_model": "paoding.files.models",
    "prune": "paoding.pruning.prune",
    "Pruner": "paoding.pruning.pruner",
    "PruningResult": "paoding.pruning.result",
    "replay": "paoding.pruning.prune",
    "masked": "paoding.pruning.prune",
    "Plan": "paoding.plan",
    "Removal": "paoding.plan",
    "Step": "paoding.plan",
    "inspect": "paoding.graph",
    "Saliency": "paoding.strategies",
    "Impact": "paoding.strategies",
    "Annealing": "paoding.strategies",
    "Magnitude": "paoding.strategies",
    "evaluate": "paoding.evaluation",
    "export": "paoding.deploy.export",
    "latency": "paoding.deploy.latency",
    "sweep": "paoding.deploy.sweep",
    "Front": "paoding.deploy.front",
    "FGSM": "paoding.evaluation",
    "PGD": "paoding.evaluation",
    "selfcheck": "paoding.evaluation.self_check",
    "latency_table": "paoding.deploy.latency_table",
    "lossless": "paoding.pruning.prune",
}
_MODULES = {"zoo", "errors", "domain", "plot"}

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
    with quiet_start():
        return import_module(module)


def __dir__() -> list[str]:
    return __all__
