"""A run as a folder: the smaller model, the plan, the log and the report, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paoding.bounds.certificate import Certificate
from paoding.errors import ModelError
from paoding.evaluation.page import write_html
from paoding.files.atomic import output_folder
from paoding.files.models import load_model
from paoding.files.reasons import first_line
from paoding.graph.keras_internals import require_loadable
from paoding.plan import Plan

if TYPE_CHECKING:
    import keras
    import pandas as pd

MODEL, ORIGINAL, PLAN = "model.keras", "original.keras", "plan.json"
DECISIONS, REPORT, PAGE = "decisions.parquet", "report.json", "report.html"


@dataclass(frozen=True, eq=False)
class Run:
    """A saved run.

    Args:
        model: the pruned model.
        plan: its removals and settings.
        decisions: every candidate considered.
        report: sizes, layers, certificate, and the evaluation where there was one.
        original: the model before, if it was saved too; with it the run can go on.
    """

    model: keras.Model
    plan: Plan
    decisions: pd.DataFrame
    report: dict[str, Any]
    original: keras.Model | None

    @cached_property
    def certificate(self) -> Certificate:
        """Sound bound on each output's change over the domain, as it was saved (*certified*)."""
        return Certificate.from_dict(self.report["certificate"])


def save(
    path: str | os.PathLike[str],
    *,
    model: keras.Model,
    plan: Plan,
    decisions: pd.DataFrame,
    report: Mapping[str, Any],
    original: keras.Model | None = None,
) -> Path:
    """Write a run as a folder that appears whole or not at all.

    Args:
        path: a folder that does not exist yet.
        model: the pruned model.
        plan: its removals and settings.
        decisions: every candidate considered.
        report: the summary of a result, as plain values.
        original: the model before, so that the run can go on from the folder.

    Raises:
        OutputExistsError: the folder exists.
        ArgumentError: it cannot be written there.
    """
    with output_folder(path) as folder:
        model.save(folder / MODEL)
        require_loadable(model, folder / MODEL)
        if original is not None:
            original.save(folder / ORIGINAL)
        plan.save(folder / PLAN)
        decisions.to_parquet(folder / DECISIONS, index=False)
        (folder / REPORT).write_text(json.dumps(report, indent=1), encoding="utf-8")
        write_html(folder / PAGE, report)
    return Path(path)


def read_decisions(folder: Path) -> pd.DataFrame:
    """Read a folder's log of candidates; until 0.2 importance was called saliency there."""
    import pandas as pd

    return pd.read_parquet(folder / DECISIONS).rename(columns={"saliency": "importance"})


def load(path: str | os.PathLike[str]) -> Run:
    """Read a folder that ``save`` wrote.

    Raises:
        ModelError: it is no such folder, or its models cannot be read.
        PlanError: its plan cannot be read.
    """
    folder = Path(path)
    missing = [n for n in (MODEL, PLAN, DECISIONS, REPORT) if not (folder / n).is_file()]
    if missing:
        raise ModelError(f"'{folder}' is not a saved run: {missing[0]} is missing.")
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        Certificate.from_dict(report["certificate"])  # what a damaged report fails at
        decisions = read_decisions(folder)
    except (KeyError, TypeError, AttributeError):
        raise ModelError(f"The run in '{folder}' cannot be read: {REPORT} is damaged.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"The run in '{folder}' cannot be read: {first_line(error)}.") from None
    before = folder / ORIGINAL
    return Run(
        model=load_model(folder / MODEL),
        plan=Plan.load(folder / PLAN),
        decisions=decisions,
        report=report,
        original=load_model(before) if before.is_file() else None,
    )
