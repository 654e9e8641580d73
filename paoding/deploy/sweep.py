"""Many runs of one model at once: shared out to workers, kept one by one, measured at the end."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np

from paoding.checks import check_share
from paoding.deploy.executors import executor_for
from paoding.deploy.export import check_quantize
from paoding.deploy.front import FRONT, ORIGINAL, RUNS, Front, typed
from paoding.deploy.job import ROW, Job, Shipment, run_job, shipped
from paoding.deploy.latency import latency
from paoding.deploy.latency_table import latency_table
from paoding.errors import ArgumentError, PaodingError, SweepError
from paoding.evaluation.runtimes import SUFFIXES, require_runtime, runtime_of
from paoding.evaluation.timing import machine
from paoding.files.atomic import output_file, output_folder
from paoding.graph import trace
from paoding.pruning.validity import fingerprint

SWEEP, TABLE = "sweep.json", "latency-table.json"

# Told after each run: how many are finished, of how many, and the run's rows (or why it failed).
OnRun = Callable[[int, int, "list[dict[str, Any]] | str"], None]


def sweep(
    model: keras.Model,
    targets: float | Iterable[float] = (0.25, 0.5, 0.75),
    seeds: int | Iterable[int] = 1,
    allocation: str | Iterable[str] = "uniform",
    quantize: str | Iterable[str | None] | None = None,
    data: Any = None,
    client: Any = None,
    out: str | os.PathLike[str] | None = None,
    *,
    attacks: Iterable[Any] = (),
    runtime: str | None = "keras",
    workers: int | None = None,
    on_run: OnRun | None = None,
    **settings: Any,
) -> Front:
    """Prune a model in many ways, and return the front of quality and cost.

    Every combination of ``targets``, ``seeds`` and ``allocation`` is one run; every quantization
    of it one point. A run that is finished is kept in ``out`` at once: after a kill or a full
    disk, call again with the same arguments and only the rest is computed. Where a run is
    computed changes nothing of its weights.

    Args:
        model: A built model; it is never changed.
        targets: Shares of units to remove.
        seeds: How many, or which.
        allocation: As for :func:`paoding.prune`, one or several.
        quantize: Beside the float model, which files to export and to measure: None (the float
            model itself), "float16", "dynamic", "int8"; one or several.
        data: ``(x, y)``, or anything with ``x`` and ``y``, to measure on; without, agreement with
            the original is estimated.
        client: A ``dask.distributed.Client`` or a scheduler's address, for a cluster.
        out: A folder to keep the runs in; by default one that is gone with the front.
        attacks: What robust accuracy is measured with.
        runtime: What latency is measured in, in this process, one point after another when all
            runs are done: "keras", "onnxruntime" or "litert"; None for no latency. Exported
            files are run by their own. With ``budget="latency"``, where targets are shares of
            the time to save, its table is measured once, before the runs.
        workers: Processes on this machine; 1, the default, computes in this one.
        on_run: Called after each run: ``on_run(finished, of_all, rows_or_reason)``.
        settings: All else for :func:`paoding.prune`, the same in every run.

    Raises:
        ArgumentError: A setting lies outside of what it may be.
        SweepError: Every run failed, ``out`` holds another sweep, or the disk is full.
        ClusterError: The cluster does not answer, or its workers have other versions.

    Example:
        >>> import paoding
        >>> model, data = paoding.zoo.load("breast-cancer")
        >>> found = paoding.sweep(model, targets=[0.25, 0.5], data=data, step=0.25, distil=0)
        >>> found.table.target.tolist(), found.pick(parameters=10_000).values["seed"]
        ([0.25, 0.5], 0)
    """
    jobs = _jobs(targets, seeds, allocation)
    format = "onnx" if runtime == "onnxruntime" else "tflite"
    kinds = _several(quantize)
    for kind in kinds:
        check_quantize(kind, format)
    if runtime is not None:
        require_runtime(runtime)
    require_files(kinds, format)
    x, y = _data(data)
    engine = executor_for(workers, client)
    shared = Shipment(shipped(model), x, y, settings, tuple(attacks), kinds, format)
    in_time = settings.get("budget") == "latency"
    if in_time and runtime is None:
        raise ArgumentError('budget="latency" needs a runtime to measure in, such as "litert".')
    keep = None
    if out is None:
        keep = tempfile.TemporaryDirectory(prefix="paoding-sweep-")
        out = keep.name
    place = _Place(Path(out), model, shared)
    if in_time:
        table = place.table(model, runtime)
        shared = replace(shared, settings={**settings, "runtime": table})
    failed = _computed(place, engine, shared, jobs, on_run)
    rows = place.rows(jobs)
    if not rows:
        raise SweepError(f"Every run failed; the first: {next(iter(failed.values()))}")
    front = _measured(place, rows, failed, runtime, keep)
    with place.failing_in_words():
        front.write(place.folder)
    return front


def _computed(
    place: _Place, engine: Any, shared: Shipment, jobs: list[Job], on_run: OnRun | None
) -> dict[str, str]:
    """Compute what is not there yet, keep each run as it comes, and return why some failed."""
    left = [job for job in jobs if not place.has(job)]
    done = len(jobs) - len(left)
    failed: dict[str, str] = {}
    for job, answer in engine.run(run_job, shared, left):
        done += 1
        if isinstance(answer, Exception):
            failed[job.name] = _sentence(answer)
        else:
            place.keep(job, answer)
        if on_run is not None:
            on_run(done, len(jobs), failed.get(job.name) or place.rows([job]))
    return failed


class _Place:
    """The folder of a sweep: the original, what was asked for, and a folder for each run."""

    def __init__(self, folder: Path, model: keras.Model, shared: Shipment) -> None:
        self.folder = folder
        asked = {
            "model": fingerprint(trace(model)),
            "data": _digest(shared.x, shared.y),
            "settings": {k: repr(v) for k, v in sorted(shared.settings.items())},
            "quantize": list(shared.quantize),
            "format": shared.format,
            "attacks": [repr(attack) for attack in shared.attacks],
        }
        with self.failing_in_words():
            if (folder / SWEEP).is_file():
                self._require_same(asked)
                return
            if folder.is_dir() and any(folder.iterdir()):
                raise SweepError(
                    f"'{folder}' holds something else than a sweep; name a new folder."
                )
            (folder / RUNS).mkdir(parents=True, exist_ok=True)
            with output_file(folder / ORIGINAL, overwrite=True) as temporary:
                temporary.write_bytes(shared.model.tobytes())
            with output_file(folder / SWEEP) as temporary:
                temporary.write_text(json.dumps(asked, indent=1), "utf-8")

    def _require_same(self, asked: dict[str, Any]) -> None:
        before = json.loads((self.folder / SWEEP).read_text("utf-8"))
        other = [name for name, value in asked.items() if before.get(name) != value]
        if other:
            raise SweepError(
                f"'{self.folder}' holds a sweep with another {', '.join(other)}; name a new folder."
            )

    def table(self, model: keras.Model, runtime: str | None) -> dict[str, Any]:
        """Return what groups take at several widths, measured once for all runs of the sweep.

        Workers only predict by it: they run beside each other, and may be other machines.
        """
        path = self.folder / TABLE
        with self.failing_in_words():
            if not path.is_file():
                found = replace(latency_table(model, runtime), here=False).to_dict()
                with output_file(path) as temporary:
                    temporary.write_text(json.dumps(found, indent=1), "utf-8")
            return dict(json.loads(path.read_text("utf-8")))

    def has(self, job: Job) -> bool:
        """Whether a run is finished."""
        return (self.folder / RUNS / job.name / ROW).is_file()

    def keep(self, job: Job, files: dict[str, bytes]) -> None:
        """Write a finished run, whole or not at all."""
        with self.failing_in_words(), output_folder(self.folder / RUNS / job.name) as folder:
            for name, content in files.items():
                (folder / name).write_bytes(content)

    def rows(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """Return the rows of finished runs, in the order of the jobs."""
        texts = [(self.folder / RUNS / job.name / ROW) for job in jobs if self.has(job)]
        return [row for text in texts for row in json.loads(text.read_text("utf-8"))]

    def failing_in_words(self) -> Any:
        """Turn what goes wrong with the disk into one sentence."""
        return _DiskTrouble(self.folder)


class _DiskTrouble:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, PaodingError) or not isinstance(error, OSError | ValueError):
            return
        raise SweepError(
            f"The sweep cannot be kept in '{self.folder}': "
            f"{getattr(error, 'strerror', None) or error}. Finished runs are kept; make room and "
            "call again, and only the rest is computed."
        ) from error


def _measured(
    place: _Place,
    rows: list[dict[str, Any]],
    failed: dict[str, str],
    runtime: str | None,
    keep: Any,
) -> Front:
    """Return the front with latencies, those that are known from before taken over."""
    import pandas as pd

    if runtime is not None:
        known = _known(place.folder, runtime)
        for row in rows:
            key = (row["run"], row["file"])
            if key not in known:
                file = place.folder / RUNS / row["run"] / row["file"]
                found = _latency_of(file, runtime)
                known[key] = {
                    "latency": found.median,
                    "latency_low": found.low,
                    "latency_high": found.high,
                    "runtime": found.runtime,
                }
            row.update(known[key])
    table = typed(pd.DataFrame(rows))
    on = "" if runtime is None else machine()
    return Front(table, place.folder, failed, on, runtime or "", keep)


def _latency_of(file: Path, runtime: str) -> Any:
    from paoding.files.models import load_model

    if file.suffix in SUFFIXES.values():
        return latency(file, runtime_of(file))
    return latency(load_model(file), runtime)


def _known(folder: Path, runtime: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return latencies that were measured here before, on this machine."""
    if not (folder / FRONT).is_file():
        return {}
    before = Front.load(folder)
    if before.machine != machine() or before.runtime != runtime or "latency" not in before.table:
        return {}
    names = ["latency", "latency_low", "latency_high", "runtime"]
    rows = before.table.dropna(subset=["latency"]).to_dict("records")
    return {(str(r["run"]), str(r["file"])): {n: r[n] for n in names} for r in rows}


def require_files(kinds: tuple[str | None, ...], format: str) -> None:
    """Raise where exported files could not be run here."""
    if any(kind is not None for kind in kinds):
        require_runtime("onnxruntime" if format == "onnx" else "litert")


def _jobs(targets: Any, seeds: Any, allocation: Any) -> list[Job]:
    shares = [targets] if isinstance(targets, int | float) else list(targets)
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    ways = [allocation] if isinstance(allocation, str) else list(allocation)
    for share in shares:
        check_share("targets", share)
    if not (shares and numbers and ways):
        raise ArgumentError("A sweep needs at least one target, one seed and one allocation.")
    every = product(shares, numbers, ways)
    return list(dict.fromkeys(Job(float(t), int(s), str(a)) for t, s, a in every))


def _several(quantize: Any) -> tuple[str | None, ...]:
    one = quantize is None or isinstance(quantize, str)
    return (quantize,) if one else tuple(dict.fromkeys(quantize))


def _digest(*arrays: Any) -> str:
    """Return what tells evaluation data apart; of streams only that they are some."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        plain = isinstance(array, np.ndarray)
        key = (array.shape, str(array.dtype)) if plain else type(array).__name__
        digest.update(repr(key).encode())
        if plain:
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


def _data(data: Any) -> tuple[Any, Any]:
    if data is None:
        return None, None
    if hasattr(data, "x") and hasattr(data, "y"):
        return data.x, data.y
    if isinstance(data, tuple | list) and len(data) == 2:
        return data[0], data[1]
    raise ArgumentError("data must be (x, y), or something with x and y.")


def _sentence(error: Exception) -> str:
    if isinstance(error, PaodingError):
        return str(error)
    return f"{type(error).__name__}: {error}"
