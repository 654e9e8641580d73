"""One run of a sweep, wherever it is computed: pruned, quantized, measured, and as files."""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from paoding.evaluation import Report
    from paoding.evaluation.self_check import SelfCheck
    from paoding.pruning.result import PruningResult

ROW = "rows.json"
# Models are used by one thread at a time: Keras keeps what it is at in globals.
_ONE = threading.Lock()
_OPENED: dict[str, Any] = {}  # what was shipped -> its traced model, the last one


@dataclass(frozen=True)
class Job:
    """What tells the runs of one sweep apart.

    >>> Job(0.5, 0, "uniform").name
    'target-0.5-seed-0-uniform'
    """

    target: float
    seed: int
    allocation: str

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"target-{self.target:g}-seed-{self.seed}-{self.allocation}"


@dataclass(frozen=True, eq=False)
class Shipment:
    """All that the runs of a sweep share; it travels once to each worker.

    Args:
        model: the bytes of a ``.keras`` file, as an array.
        x, y: evaluation data, or None.
        settings: what is passed to :func:`paoding.prune`, the same for every run.
        attacks: what robust accuracy is measured with.
        quantize: what is exported beside the float model: "float16", "dynamic", "int8".
        format: of these files.
    """

    model: np.ndarray
    x: Any = None
    y: Any = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    attacks: tuple[Any, ...] = ()
    quantize: tuple[str | None, ...] = (None,)
    format: str = "tflite"

    @property
    def digest(self) -> str:
        """What tells its model apart."""
        return hashlib.blake2b(np.asarray(self.model).tobytes()).hexdigest()


def shipped(model: Any) -> np.ndarray:
    """Return a model as the bytes of its file."""
    with tempfile.TemporaryDirectory(prefix="paoding-") as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return np.frombuffer(path.read_bytes(), np.uint8)


def run_job(shared: Shipment, job: Job) -> dict[str, bytes]:
    """Prune, quantize and measure; return the files of the run's folder by their names."""
    with _ONE, tempfile.TemporaryDirectory(prefix="paoding-") as folder:
        out = Path(folder) / "run"
        _run(shared, job, out)
        return {file.name: file.read_bytes() for file in sorted(out.iterdir())}


def _run(shared: Shipment, job: Job, out: Path) -> None:
    import paoding
    from paoding.evaluation import cost

    graph = _graph(shared)
    started = time.perf_counter()
    result = paoding.prune(graph, **{**shared.settings, **asdict(job)})
    seconds = time.perf_counter() - started
    report = _measured(shared, graph.model, result.model)
    check = _estimate(result) if report is None else None  # what is measured need not be guessed
    result.save(out, evaluation=report, selfcheck=check)
    small = cost(result.model, latency=False)
    common = {
        **asdict(job),
        "parameters": small.parameters,
        "flops": small.flops,
        "estimated_agreement": None if check is None else check.expected,
        "seconds": seconds,
        "run": job.name,
    }
    rows = []
    for kind in shared.quantize:
        if kind is None:
            file, judged, size = "model.keras", report, small.bytes
        else:
            file = f"model-{kind}.{shared.format}"
            paoding.export(
                result.model,
                out / file,
                format=shared.format,
                quantize=kind,
                calibration=shared.settings.get("calibration"),
                domain=shared.settings.get("domain"),
                seed=job.seed,
            )
            judged, size = _measured(shared, graph.model, out / file), (out / file).stat().st_size
        rows.append(
            {
                **common,
                "quantize": kind or "float32",
                "bytes": size,
                "file": file,
                **_quality(judged),
            }
        )
    (out / ROW).write_text(json.dumps(rows, indent=1), "utf-8")


def _graph(shared: Shipment) -> Any:
    """Return the traced model; a worker reads and traces it once for all its runs."""
    import paoding
    from paoding.graph import trace

    key = shared.digest
    if key not in _OPENED:
        _OPENED.clear()
        with tempfile.TemporaryDirectory(prefix="paoding-") as folder:
            path = Path(folder) / "model.keras"
            path.write_bytes(np.asarray(shared.model).tobytes())
            model = paoding.load_model(path)
        _OPENED[key] = trace(model, inexact=bool(shared.settings.get("inexact", False)))
    return _OPENED[key]


def _measured(shared: Shipment, original: Any, judged: Any) -> Report | None:
    import paoding

    if shared.x is None:
        return None
    return paoding.evaluate(
        judged, shared.x, shared.y, reference=original, attacks=shared.attacks, latency=False
    )


def _estimate(result: PruningResult) -> SelfCheck | None:
    from paoding.evaluation import cost
    from paoding.evaluation.self_check import quick_samples

    samples = quick_samples(cost(result.graph.model, latency=False).flops)
    return result.selfcheck(samples) if samples else None


def _quality(report: Report | None) -> dict[str, float | None]:
    names = ("accuracy", "agreement", "robust_accuracy", "retention")
    if report is None:
        return dict.fromkeys(names)
    found = {name: getattr(report, name) for name in names}
    if report.accuracy is None:  # of a model of any task, the share that tells most
        alike = (m.value for m in report.measures if m.metric.name == "agreement")
        found["agreement"] = next(alike, None)
    return found
