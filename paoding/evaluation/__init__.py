"""What a model is worth: accuracy, robustness under attack, retention and cost."""

from __future__ import annotations

from paoding.evaluation.attacks import FGSM, PGD, Attack, Foolbox, parse
from paoding.evaluation.cost import Cost, cost, flops
from paoding.evaluation.evaluate import evaluate
from paoding.evaluation.report import AttackResult, Report

__all__ = [
    "FGSM",
    "PGD",
    "Attack",
    "AttackResult",
    "Cost",
    "Foolbox",
    "Report",
    "cost",
    "evaluate",
    "flops",
    "parse",
]
