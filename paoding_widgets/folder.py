"""A studio's run as a folder: the saved run, and beside it what only a studio needs."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paoding import strategies
from paoding.domain import Box
from paoding.errors import ArgumentError, ModelError, PaodingError, PlanError
from paoding.evaluation.page import write_html
from paoding.files.atomic import output_file, output_folder
from paoding.files.data import load_arrays, load_data
from paoding.files.models import load_model
from paoding.plan import COLUMNS, Decisions, Plan, Step
from paoding.pruning import run_folder
from paoding.pruning.validity import fingerprint
from paoding_widgets.by_hand import Path as ToReplay
from paoding_widgets.report import sections
from paoding_widgets.settings import DEFAULTS, Settings, from_arguments
from paoding_widgets.timeline import MAX_NAME, NamedRun, Point

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from paoding.evaluation import Report
    from paoding.evaluation.self_check import SelfCheck
    from paoding.graph import Graph
    from paoding.pruning.result import PruningResult
    from paoding_widgets.session import Snapshot

STUDIO, DATA, CALIBRATION = "studio.json", "data.npz", "calibration.npz"
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
        runs: that were left for this one.
        calibration: arrays of real inputs that survivors were fitted on, or None.
    """

    model: keras.Model
    data: tuple[np.ndarray, np.ndarray] | None
    plan: Plan
    decisions: list[Decisions]
    settings: Settings
    eps: float
    runs: tuple[NamedRun, ...] = ()
    calibration: list[np.ndarray] | None = None

    @property
    def path(self) -> ToReplay:
        """The steps, to be replayed."""
        return self.plan, self.decisions, [self.settings.measure] * len(self.plan.steps)

    def arguments(self) -> dict[str, Any]:
        """Arguments of a studio that goes on from here, but the model."""
        settings = self.settings
        return {
            "data": self.data,
            "target": settings.target,
            "step": settings.step,
            "strategy": settings.make_strategy(),
            "compensation": settings.compensation,
            "domain": settings.domain,
            "seed": settings.seed,
            "eps": self.eps,
            "targets": dict(settings.targets),
            "locked": settings.locked,
            "calibration": self.calibration,
            **{name: value for name, value in settings.extra.items() if name != "energy"},
        }

    def require(self, graph: Graph, path: str | os.PathLike[str]) -> None:
        """Refuse another model than the one that was pruned.

        Raises:
            PlanError: the plan belongs to another model.
        """
        if self.plan.fingerprint not in ("", fingerprint(graph)):
            raise PlanError(
                f"The run in '{os.fspath(path)}' belongs to another model than "
                f"'{graph.model.name}' (its fingerprint differs); pass the model that was pruned."
            )


def save(
    path: str | os.PathLike[str],
    result: PruningResult,
    data: tuple[Any, Any] | None,
    eps: float,
    settings: Settings,
    selfcheck: SelfCheck | None = None,
    runs: Sequence[NamedRun] = (),
    evaluation: Report | None = None,
    snapshots: Sequence[Snapshot] = (),
) -> Path:
    """Write a run, the original model, and the evaluation data unless they are large.

    Raises:
        OutputExistsError: the folder exists.
        ArgumentError: it cannot be written there.
    """
    try:
        with output_folder(path) as folder:
            inner = folder / "run"
            result.save(inner, evaluation=evaluation, selfcheck=selfcheck, original=True)
            for file in inner.iterdir():
                file.rename(folder / file.name)
            inner.rmdir()
            _write_data(folder, data)
            _write_calibration(folder, settings)
            _write_page(folder, result.graph, snapshots, runs)
            (folder / STUDIO).write_text(_studio_text(eps, runs), encoding="utf-8")
    except PaodingError:
        raise
    except OSError as error:
        why = error.strerror or error
        raise ArgumentError(f"The run cannot be written to '{os.fspath(path)}': {why}.") from error
    return Path(path)


def _write_page(
    folder: Path, graph: Graph, snapshots: Sequence[Snapshot], runs: Sequence[NamedRun]
) -> None:
    """The page of the run with what only a studio knows."""
    if snapshots:
        told = json.loads((folder / run_folder.REPORT).read_text(encoding="utf-8"))
        write_html(folder / run_folder.PAGE, told, sections(graph, snapshots, runs))


class Autosave:
    """Keeps a run as it goes, so that a killed kernel loses the step in the making at most.

    The folder is made at the first step, with the original and the data; then each step replaces
    the small files, each of them in one rename.

    Args:
        path: the folder; where it exists, another name is taken, for it may hold a lost run.
        model: the original.
        data, eps, settings: of the studio.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        model: keras.Model,
        data: tuple[Any, Any] | None,
        eps: float,
        settings: Settings,
    ) -> None:
        self.path = Path(path)
        self._model, self._data, self._eps, self._settings = model, data, eps, settings
        self._made = False

    def write(self, plan: Plan, steps: Sequence[Step], runs: Sequence[NamedRun] = ()) -> None:
        """Keep the run as it stands.

        Raises:
            ArgumentError: it cannot be written there.
        """
        if not self._made:
            self.path = _free(self.path)
            with output_folder(self.path) as folder:
                self._model.save(folder / run_folder.ORIGINAL)
                _write_data(folder, self._data)
                _write_calibration(folder, self._settings)
                self._write_steps(folder, plan, steps, runs)
            self._made = True
            return
        self._write_steps(self.path, plan, steps, runs)

    def _write_steps(
        self, folder: Path, plan: Plan, steps: Sequence[Step], runs: Sequence[NamedRun]
    ) -> None:
        """The plan comes last: what it does not name does not count."""
        import pandas as pd

        frames = [step.decisions.frame().assign(step=n) for n, step in enumerate(steps, start=1)]
        frame = pd.concat(frames, ignore_index=True) if frames else Decisions.of([]).frame()
        with output_file(folder / run_folder.DECISIONS, overwrite=True) as file:
            frame.to_parquet(file, index=False)
        with output_file(folder / STUDIO, overwrite=True) as file:
            file.write_text(_studio_text(self._eps, runs), encoding="utf-8")
        plan.save(folder / run_folder.PLAN)


def _free(path: Path) -> Path:
    """The path, or with the next number at its end where it is taken."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def latest(path: str | os.PathLike[str]) -> Path | None:
    """The folder that was kept last under a path or its numbers; None where there is none."""
    number, found = 1, None
    one = Path(path)
    while one.exists():
        found, number = one, number + 1
        one = Path(path).with_name(f"{Path(path).name}-{number}")
    return found


def _write_data(folder: Path, data: tuple[Any, Any] | None) -> None:
    if data is None:
        return
    x, y = np.asarray(data[0]), np.asarray(data[1])
    if x.nbytes + y.nbytes <= MAX_DATA_BYTES:
        np.savez_compressed(folder / DATA, x=x, y=y)


def _write_calibration(folder: Path, settings: Settings) -> None:
    """Real inputs that survivors are fitted on: without them the steps cannot be replayed."""
    if settings.calibration is not None:
        np.savez_compressed(folder / CALIBRATION, *settings.calibration.arrays)


def _calibration(folder: Path) -> list[np.ndarray] | None:
    file = folder / CALIBRATION
    if not file.is_file():
        return None
    held = load_arrays(file)
    return [held[f"arr_{place}"] for place in range(len(held))]


def _studio_text(eps: float, runs: Sequence[NamedRun]) -> str:
    return json.dumps({"eps": eps, "runs": [asdict(run) for run in runs]}, default=str)


def load(path: str | os.PathLike[str], model: keras.Model | None = None) -> Saved:
    """Read what :func:`save` or an :class:`Autosave` wrote, or ``result.save``.

    Args:
        path: the folder.
        model: the original, where it was not saved with the run.

    Raises:
        ModelError: there is no saved run, or no original model, or it is damaged.
        DataError: the data kept with it are damaged, or unpack to more than they should.
        PlanError: the plan cannot be read.
    """
    folder = Path(path)
    try:
        return _load(folder, model)
    except PaodingError as error:
        if str(folder) in str(error):
            raise
        raise type(error)(f"The run in '{folder}' cannot be read. {error}") from None
    except _DAMAGE as error:
        why = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise ModelError(
            f"The run in '{folder}' is damaged ({why}); load another copy of it."
        ) from None


_DAMAGE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, EOFError),
    *(RecursionError, OverflowError, MemoryError, zipfile.BadZipFile, IndexError),
)


def _load(folder: Path, model: keras.Model | None) -> Saved:
    kept = folder / run_folder.ORIGINAL
    if (folder / run_folder.MODEL).is_file() or not kept.is_file():
        run = run_folder.load(folder)
        original, plan, frame = run.original, run.plan, run.decisions
    else:  # kept as it went: there is no smaller model yet
        original = load_model(kept) if model is None else None
        plan = Plan.load(folder / run_folder.PLAN)
        frame = run_folder.read_decisions(folder)
    original = original if model is None else model
    if original is None:
        raise ModelError(
            f"The run in '{folder}' was saved without its original model; pass it as model=..."
        )
    decisions = _by_step(frame)
    # A step without removals changes nothing: a plan may hold any number of them.
    taken = [number for number, removals in enumerate(plan.steps) if removals]
    eps, runs = _studio(folder / STUDIO)
    return Saved(
        model=original,
        data=load_data(folder / DATA) if (folder / DATA).is_file() else None,
        plan=replace(plan, steps=tuple(plan.steps[number] for number in taken)),
        decisions=[decisions(number + 1) for number in taken],
        settings=_settings(plan.settings),
        eps=eps,
        runs=runs,
        calibration=_calibration(folder),
    )


def _studio(file: Path, default: float = 0.05) -> tuple[float, tuple[NamedRun, ...]]:
    """Size of the attack and the runs that were left; folders of ``result.save`` have neither."""
    if not file.is_file():
        return default, ()
    kept = json.loads(file.read_text(encoding="utf-8"))
    runs = []
    for run in kept.get("runs", []):
        points = tuple(Point(**point) for point in run["points"])
        settings = {str(name): str(value) for name, value in run["settings"].items()}
        runs.append(NamedRun(str(run["name"])[:MAX_NAME], points, settings, bool(run["overlaid"])))
    return float(kept["eps"]), tuple(runs)


def _by_step(frame: pd.DataFrame) -> Callable[[int], Decisions]:
    """A function from the number of a step to its candidates; the frame is sorted only once."""
    order = frame.sort_values("step", kind="stable")
    numbers = order["step"].to_numpy()
    columns = {name: order[name].to_numpy(dtype=kind) for name, kind in COLUMNS.items()}

    def of(number: int) -> Decisions:
        start, end = np.searchsorted(numbers, [number, number + 1])
        return Decisions({name: values[start:end] for name, values in columns.items()})

    return of


def _settings(values: Mapping[str, Any]) -> Settings:
    """The settings of a plan as those of a studio."""
    try:
        rest = dict(values)
        strategy = dict(rest.pop("strategy"))
        name = strategy.pop("name")
        known = name in strategies.BY_NAME  # one of the user's own need not decide again
        boxes = [Box.from_dict(box) for box in rest.pop("domain")]
        options = rest.pop("options")
        named = {name: rest.pop(name) for name in ("target", "step", "compensation", "seed")}
        own = {"targets": dict(rest.pop("targets")), "locked": tuple(rest.pop("locked"))}
        return from_arguments(
            strategies.get(name, **strategy) if known else None,
            boxes[0] if len(boxes) == 1 else boxes or None,
            # What says nothing new would only lengthen the code that the studio shows.
            {
                k: v
                for k, v in {**rest, **options}.items()
                if v != DEFAULTS.get(k) and k != "calibration"  # its inputs are a file of their own
            },
            **named,
            **own,
        )
    except PaodingError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PlanError(f"The plan's settings are not complete ({error}); save it again.") from None
