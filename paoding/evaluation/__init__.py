"""What a model of any task is worth: quality, robustness under attack, retention and cost."""

from __future__ import annotations

from paoding.evaluation.attacks import FGSM, PGD, Attack, Foolbox, parse
from paoding.evaluation.cost import Cost, cost, flops
from paoding.evaluation.evaluate import evaluate
from paoding.evaluation.measures import Measure, Metric
from paoding.evaluation.outputs import Output, check
from paoding.evaluation.report import AttackResult, Report

__all__ = [
    "FGSM",
    "PGD",
    "Attack",
    "AttackResult",
    "Cost",
    "Foolbox",
    "Measure",
    "Metric",
    "Output",
    "Report",
    "check",
    "cost",
    "evaluate",
    "flops",
    "parse",
]
