"""A studio's run as a folder: the saved run, and beside it what only a studio needs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paoding import run_folder, strategies
from paoding.domain import Box
from paoding.errors import ModelError, PaodingError, PlanError
from paoding.plan import COLUMNS, Decisions, Plan
from paoding_widgets.settings import DEFAULTS, Settings, from_arguments

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from paoding.pruner import PruningResult
    from paoding.self_check import SelfCheck

STUDIO, DATA = "studio.json", "data.npz"
# Larger evaluation data stays where it came from.
MAX_DATA_BYTES = 200 << 20


@dataclass(frozen=True, eq=False)
class Saved:
    """What a studio needs to go on.

    Args:
        model: the original.
        data: evaluation inputs and labels, or None.
        plan: the steps so far.
        decisions: the candidates of each of them.
        settings: that they were taken with.
        eps: size of the attack.
    """

    model: keras.Model
    data: tuple[np.ndarray, np.ndarray] | None
    plan: Plan
    decisions: list[Decisions]
    settings: Settings
    eps: float


def save(
    path: str | os.PathLike[str],
    result: PruningResult,
    data: tuple[Any, Any] | None,
    eps: float,
    selfcheck: SelfCheck | None = None,
) -> Path:
    """Write a run, the original model, and the evaluation data unless they are large.

    Raises:
        OutputExistsError: the folder exists.
        ArgumentError: it cannot be written there.
    """
    written = run_folder.save(result, path, selfcheck=selfcheck, original=True)
    if data is not None:
        x, y = np.asarray(data[0]), np.asarray(data[1])
        if x.nbytes + y.nbytes <= MAX_DATA_BYTES:
            np.savez_compressed(written / DATA, x=x, y=y)
    (written / STUDIO).write_text(json.dumps({"eps": eps}), encoding="utf-8")
    return written


def load(path: str | os.PathLike[str], model: keras.Model | None = None) -> Saved:
    """Read what :func:`save` wrote; also a folder of ``result.save``, given the original model.

    Raises:
        ModelError: there is no saved run, or no original model.
        PlanError: the plan cannot be read.
    """
    run = run_folder.load(path)
    original = run.original if model is None else model
    if original is None:
        raise ModelError(
            f"The run in '{os.fspath(path)}' was saved without its original model; pass it as "
            "model=..."
        )
    folder = Path(path)
    return Saved(
        model=original,
        data=_data(folder / DATA),
        plan=run.plan,
        decisions=_by_step(run.decisions, len(run.plan.steps)),
        settings=_settings(run.plan.settings),
        eps=_eps(folder / STUDIO),
    )


def _data(file: Path) -> tuple[np.ndarray, np.ndarray] | None:
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return arrays["x"], arrays["y"]
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"The data in '{file}' cannot be read: {error}.") from None


def _eps(file: Path, default: float = 0.05) -> float:
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["eps"])
    except (OSError, ValueError, KeyError, TypeError):
        return default


def _by_step(frame: pd.DataFrame, steps: int) -> list[Decisions]:
    found = []
    for index in range(1, steps + 1):
        rows = frame[frame["step"] == index]
        found.append(
            Decisions({name: rows[name].to_numpy(dtype=kind) for name, kind in COLUMNS.items()})
        )
    return found


def _settings(values: Mapping[str, Any]) -> Settings:
    """The settings of a plan as those of a studio."""
    try:
        rest = dict(values)
        strategy = dict(rest.pop("strategy"))
        boxes = [Box.from_dict(box) for box in rest.pop("domain")]
        options = rest.pop("options")
        named = {name: rest.pop(name) for name in ("target", "step", "compensation", "seed")}
        own = {"targets": dict(rest.pop("targets")), "locked": tuple(rest.pop("locked"))}
        return from_arguments(
            strategies.get(strategy.pop("name"), **strategy),
            boxes[0] if len(boxes) == 1 else boxes or None,
            # What says nothing new would only lengthen the code that the studio shows.
            {k: v for k, v in {**rest, **options}.items() if v != DEFAULTS.get(k)},
            **named,
            **own,
        )
    except PaodingError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PlanError(f"The plan's settings are not complete ({error}); save it again.") from None
