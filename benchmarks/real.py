"""Networks that others trained, on real inputs: what pruning leaves of what they do.

    python benchmarks/real.py [--only cifar words] [--targets 0.2] [--methods default magnitude]

For each network, share of units and method: agreement with the original and Kullback-Leibler
divergence from it on real inputs that no run sees, retention under PGD, size, time and memory.
``--rows FILE`` keeps each measurement and goes on from those that it holds; ``--out`` writes them
as a page. The networks and their inputs stand in ``benchmarks/networks.py``.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from networks import COUNT, NETWORKS, Real
from rich.console import Console
from rich.table import Table

import paoding
from paoding.errors import PaodingError
from paoding.evaluation.cost import cost
from paoding.evaluation.network import network_of
from paoding.graph.heads import head_of

TARGETS = (0.1, 0.2, 0.3, 0.5)
STEPS = 4  # of a run
ATTACKED = 64  # held inputs that PGD attacks, within REACH of the width, in PGD_STEPS
REACH, PGD_STEPS = 0.01, 10
METHODS: dict[str, dict[str, Any]] = {
    "default": {},
    "magnitude": {"strategy": "magnitude", "compensation": "none"},
    "merge": {"strategy": "saliency", "compensation": "merge"},
    "mean": {"strategy": "saliency", "compensation": "mean"},
    "folding": {"strategy": "saliency", "compensation": "folding"},
    "least squares": {"strategy": "saliency", "distil": 0},
    "calibration=64": {"calibration": 64},
    "ceiling": {"calibration": COUNT},
}
SIMPLE = ("magnitude", "merge", "mean", "folding")


@dataclass(frozen=True)
class Row:
    """One measurement."""

    network: str
    method: str
    target: float
    effort: str
    agreement: float
    kl: float  # nats an input
    retention: float  # nan where nothing is attacked
    parameters: float  # shares of the original's
    flops: float
    latency: float
    cpu: float  # seconds
    memory: float  # GB, the most that the process held
    version: str


def measured(real: Real, name: str, method: str, target: float, common: dict[str, Any]) -> Row:
    """Prune once and look at what is left."""
    settings = {**common, **METHODS[method]}
    if "calibration" in settings:
        few = [x[: settings["calibration"]] for x in real.fit]
        settings["calibration"] = few if len(few) > 1 else few[0]
    reset_peak()
    started = time.process_time()
    small = paoding.prune(real.model, target=target, step=target / STEPS, **settings).model
    cpu, memory = time.process_time() - started, peak()
    was, now = answers(real, real.model), answers(real, small)
    before, after = cost(real.model), cost(small)
    return Row(
        name,
        method,
        target,
        common["effort"],
        float((classes(now) == classes(was)).mean()),
        divergence(was, now),
        retention(real, small),
        after.parameters / before.parameters,
        (after.flops or 0) / (before.flops or 1),
        (after.latency or 0) / (before.latency or 1),
        cpu,
        memory,
        version_of(),
    )


def answers(real: Real, model: Any) -> np.ndarray:
    """What a model says of the held inputs: probabilities (n, classes)."""
    met = real.held if len(real.held) > 1 else real.held[0]
    p = np.asarray(model.predict(met, verbose=0, batch_size=32), np.float64)
    if head_of(model.layers[-1]) == "":  # scores
        p = np.exp(p - p.max(axis=-1, keepdims=True))
        p /= p.sum(axis=-1, keepdims=True)
    return p


def classes(p: np.ndarray) -> np.ndarray:
    """The class of each input; yes or no where there is one number."""
    return p[:, 0] > 0.5 if p.shape[1] == 1 else p.argmax(axis=1)


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    """Mean Kullback-Leibler divergence in nats; of each yes or no where they do not sum up to 1."""
    p, q = (np.clip(x, 1e-7, 1 - 1e-7) for x in (p, q))
    found = p * np.log(p / q)
    if p.shape[1] == 1 or abs(float(p.sum(axis=1).mean()) - 1) > 1e-3:
        found = found + (1 - p) * np.log((1 - p) / (1 - q))
    return float(found.sum(axis=1).mean())


def retention(real: Real, small: Any) -> float:
    """Of the inputs whose class stands under PGD on the original, the share that stands after."""
    if not real.width:
        return float("nan")
    x = real.held[0][:ATTACKED]
    wanted = network_of(real.model).predict(x, 32).argmax(1)
    box = paoding.Box(float(x.min()), float(x.max()))
    attack = paoding.PGD(REACH * real.width, steps=PGD_STEPS)
    stands = []
    for model in (real.model, small):
        network = network_of(model)
        moved = attack.adversarial(network, x, wanted, box, 32)
        stands.append(network.predict(moved, 32).argmax(1) == wanted)
    return float(stands[1][stands[0]].mean()) if stands[0].any() else float("nan")


def reset_peak() -> None:
    """Count the most memory from here on, where Linux can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak() -> float:
    """The most memory that this process held, in GB; nan where nobody counts it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e6


def version_of() -> str:
    """The commit of this clone, marked where files were changed since."""
    told = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    here = Path(__file__).parent
    return subprocess.run(told, cwd=here, capture_output=True, text=True).stdout.strip()


def read(path: Path | None) -> list[Row]:
    """Measurements of earlier runs."""
    if path is None or not path.exists():
        return []
    kinds = {
        f.name: (str if f.name in ("network", "method", "version") else float) for f in fields(Row)
    }
    with path.open(encoding="utf-8", newline="") as lines:
        return [Row(**{k: kinds[k](v) for k, v in row.items()}) for row in csv.DictReader(lines)]


def keep(path: Path | None, row: Row) -> None:
    """Append one measurement."""
    if path is None:
        return
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, [f.name for f in fields(Row)], lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(
            {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in asdict(row).items()}
        )


HEAD = ("method", "agreement", "KL", "retention", "parameters", "FLOPs", "latency", "CPU", "memory")


def cells(row: Row) -> tuple[str, ...]:
    kept = "–" if np.isnan(row.retention) else f"{row.retention:.2f}"
    shares = (f"{share:.0%}" for share in (row.parameters, row.flops, row.latency))
    told = (f"{row.agreement:.3f}", f"{row.kl:.3f}", kept)
    return (row.method, *told, *shares, f"{row.cpu:.0f} s", f"{row.memory:.1f} GB")


def page(rows: list[Row]) -> str:
    """All measurements as Markdown."""
    versions = ", ".join(dict.fromkeys(r.version for r in rows))
    lines = [
        "# Networks that others trained",
        "",
        f"Made by `benchmarks/real.py` at {versions}.",
        "",
    ]
    lines += [
        f"Agreement with the original and KL (nats) on {COUNT} real inputs that no run saw;",
        f"retention under PGD within {REACH:.0%} of the width on {ATTACKED} of them; sizes and",
        "latency as shares of the original's; CPU and the most memory of the run, with other work",
        "beside it.",
        "",
        *summary(rows),
    ]
    for network in dict.fromkeys(r.network for r in rows):
        says = (NETWORKS[network].__doc__ or "").splitlines()[0]
        lines += [f"## {network}", "", says, ""]
        for target in sorted({r.target for r in rows if r.network == network}):
            lines += [f"{target:.0%} of units", "", "| " + " | ".join(HEAD) + " |"]
            lines += ["|" + "---|" * len(HEAD)]
            some = [r for r in rows if (r.network, r.target) == (network, target)]
            lines += ["| " + " | ".join(cells(r)) + " |" for r in sorted_rows(some)] + [""]
    return "\n".join(lines).rstrip() + "\n"


def summary(rows: list[Row]) -> list[str]:
    """Mean agreement of each method over the networks that have them all, for each share."""
    lines = ["| method | " + " | ".join(f"{t:.0%}" for t in TARGETS) + " |"]
    lines += ["|---|" + "---|" * len(TARGETS)]
    for method in METHODS:
        told = []
        for target in TARGETS:
            some = [r for r in rows if (r.method, r.target) == (method, target)]
            mean = f"{statistics.fmean(r.agreement for r in some):.3f}" if some else "–"
            told.append(f"{mean} ({len(some)})")
        lines.append(f"| {method} | " + " | ".join(told) + " |")
    return [*lines, "", "In brackets the number of networks that were measured.", ""]


def sorted_rows(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda r: list(METHODS).index(r.method))


def main() -> None:
    """Measure what is asked for and not yet known, and tell it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--targets", type=float, nargs="+", default=list(TARGETS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--effort", default="normal", choices=["fast", "normal", "best"])
    parser.add_argument("--rows", type=Path, help="go on from the measurements in this CSV file")
    parser.add_argument("--out", type=Path, help="write all of them there as Markdown")
    given = parser.parse_args()
    common = {"seed": given.seed, "effort": given.effort}
    rows = read(given.rows)
    console = Console(width=110)
    for name in given.only:
        known = {(r.method, r.target) for r in rows if r.network == name}
        cases = [(m, t) for t in given.targets for m in given.methods if (m, t) not in known]
        if not cases:
            continue
        real = NETWORKS[name]()
        console.print(f"[bold]{name}[/bold]: {real.model.count_params():,} parameters")
        for target in given.targets:
            table = Table(*HEAD, title=f"{name}, {target:.0%} of units")
            for method, _ in (case for case in cases if case[1] == target):
                try:
                    row = measured(real, name, method, target, common)
                except PaodingError as error:
                    console.print(f"{method}: {error}")
                    continue
                keep(given.rows, row)
                rows.append(row)
                table.add_row(*cells(row))
            console.print(table)
    if given.out:
        given.out.write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
