"""Prunes all 40 networks of keras.applications and proves each pruned one equal to its masked one.

``python benchmarks/applications.py`` runs every constructor in a process of its own and writes the
table to docs/applications.md. ``--only ResNet50 VGG16`` runs some and writes no table; ``--reuse``
keeps the results of an earlier, interrupted run.

Weights are random (no file is downloaded), BatchNorm statistics and scales too, so that nothing is
zero by luck. ``Magnitude``, target 0.3 in steps of 0.1, no compensation. The masked network has the
original's shape, the removed units' outgoing weights at zero.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = Path(__file__).resolve().parent
RESULTS = HERE / "out" / "applications"
TABLE = HERE.parent / "docs" / "applications.md"
TARGET, STEP = 0.3, 0.1
TOLERANCE = 1e-5
SIZES = (32, 71, 75)  # the smallest inputs that any of the constructors accepts
EXPECTED = 40
BATCH = 2
TIMEOUT = 1800  # seconds a network


def constructors() -> list[str]:
    """Return the names of the public functions of keras.applications that build a network."""
    import keras

    names = sorted(name for name in dir(keras.applications) if name[0].isupper())
    if len(names) != EXPECTED:
        raise SystemExit(f"keras.applications has {len(names)} constructors, not {EXPECTED}.")
    return names


def build(name: str) -> Any:
    """Return the network at its smallest legal input, with logits instead of a softmax.

    A softmax over random logits is all but a constant, and would hide differences.
    """
    import keras

    constructor = getattr(keras.applications, name)
    for size in SIZES:
        try:
            return constructor(
                weights=None, input_shape=(size, size, 3), classifier_activation=None
            )
        except ValueError as error:
            if "must be at least" not in str(error):
                raise
    raise SystemExit(f"{name} accepts none of the sizes {SIZES}.")


def randomize(model: Any, seed: int = 0) -> None:
    """Give every weight a random value at which signals neither vanish nor explode."""
    import numpy as np

    rng = np.random.default_rng(seed)
    for variable in model.variables:
        shape, name = tuple(variable.shape), variable.path.rsplit("/", 1)[-1]
        if not np.issubdtype(np.dtype(variable.dtype), np.floating):
            continue
        if "kernel" in name:
            depthwise = "depthwise" in variable.path.rsplit("/", 2)[-2] or "depthwise" in name
            inputs = np.prod(shape[:2]) if depthwise else np.prod(shape[:-1])
            value = rng.standard_normal(shape, dtype=np.float32) * np.sqrt(2 / inputs)
        elif "var" in name or "gamma" in name:
            value = rng.uniform(0.5, 1.5, shape)
        else:  # biases, BatchNorm's beta and mean
            value = rng.uniform(-0.3, 0.3, shape)
        variable.assign(value)


def difference(a: Any, b: Any) -> float:
    """Return the largest difference, relative to the scale of the outputs ``b``."""
    import numpy as np

    return float(np.abs(a - b).max() / np.abs(b).max())


def measure(name: str) -> dict[str, Any]:
    """Trace, prune, compare, save and load one network; return what the table says."""
    import keras
    import numpy as np

    import paoding

    start = time.perf_counter()
    model = build(name)
    row: dict[str, Any] = {"name": name, "build_seconds": time.perf_counter() - start}
    randomize(model)
    row["input"] = model.input_shape[1]
    row["parameters_before"] = model.count_params()

    start = time.perf_counter()
    graph = paoding.inspect(model)
    row["trace_seconds"] = time.perf_counter() - start
    row["groups"], row["prunable_groups"] = len(graph.groups), len(graph.prunable)
    row["units"] = sum(group.units for group in graph.groups)
    row["removable_units"] = sum(int(group.removable.sum()) for group in graph.groups)

    start = time.perf_counter()
    result = paoding.prune(
        model, target=TARGET, step=STEP, strategy=paoding.Magnitude(), compensation="none"
    )
    pruned = result.model
    row["prune_seconds"] = time.perf_counter() - start
    row["parameters_after"] = pruned.count_params()
    row["flops_before"], row["flops_after"] = flops(model), flops(pruned)

    twin = paoding.masked(model, result.plan)
    row["only_zeros"] = only_zeros(model, twin)

    x = np.random.default_rng(1).uniform(0, 1, (BATCH, *model.input_shape[1:])).astype("float32")
    masked = np.asarray(twin(x, training=False))
    mine = np.asarray(pruned(x, training=False))
    row["scale"] = float(np.abs(masked).max())
    row["changed"] = difference(np.asarray(model(x, training=False)), masked)
    row["difference"] = difference(mine, masked)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pruned.keras"
        pruned.save(path)
        loaded = np.asarray(keras.saving.load_model(path)(x, training=False))
    row["difference_loaded"] = difference(loaded, masked)
    row["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return row


def only_zeros(model: Any, masked: Any) -> bool:
    """Whether the masked network is the original but for weights that are zero."""
    import numpy as np

    pairs = zip(map(np.asarray, masked.weights), map(np.asarray, model.weights), strict=True)
    return all(bool(((new == old) | (new == 0)).all()) for new, old in pairs)


def flops(model: Any) -> int:
    from paoding.evaluation import cost

    return int(cost(model).flops)


def faults(row: dict[str, Any]) -> list[str]:
    """Return what is wrong with a network's row, in words; nothing where all is well."""
    if "error" in row:
        return [row["error"]]
    found = []
    for key in ("difference", "difference_loaded"):
        if not row[key] <= TOLERANCE:
            found.append(f"{key} {row[key]:.1e} exceeds {TOLERANCE:g}")
    if row["flops_after"] >= row["flops_before"]:
        found.append("FLOPs did not go down")
    if not row["only_zeros"]:
        found.append("the masked network differs from the original by more than zeros")
    if not row["changed"] > 0:
        found.append("pruning changed nothing, so that equality proves nothing")
    return found


def earlier(name: str) -> dict[str, Any]:
    """Return the row of an earlier run."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {"name": name, "error": "not run"}


def run(name: str, reuse: bool) -> dict[str, Any]:
    """Run one network in a process of its own; a crash becomes a row with its message."""
    path = RESULTS / f"{name}.json"
    if reuse and not faults(row := earlier(name)):
        return row
    command = [sys.executable, __file__, "--measure", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        row = {"name": name, "error": f"took more than {TIMEOUT} seconds"}
    else:
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            row = {"name": name, "error": f"status {done.returncode}: {last}"}
            path.with_suffix(".log").write_text(done.stderr)
        else:
            row = json.loads(done.stdout.splitlines()[-1])
    path.write_text(json.dumps(row, indent=1))
    return row


COLUMNS = (
    "| network | input | parameters before → after | FLOPs before → after | FLOPs gone "
    "| groups pruned | build s | trace s | prune s | masked − pruned | after .keras |"
)


def line(row: dict[str, Any]) -> str:
    """Return the network's line of the table."""
    if "error" in row:
        return f"| {row['name']} | **failed**: {row['error']} |"
    gone = 1 - row["flops_after"] / row["flops_before"]
    fields = [
        row["name"],
        f"{row['input']}²",
        f"{row['parameters_before'] / 1e6:.2f} M → {row['parameters_after'] / 1e6:.2f} M",
        f"{row['flops_before'] / 1e6:,.0f} M → {row['flops_after'] / 1e6:,.0f} M",
        f"{gone:.0%}",
        f"{row['prunable_groups']} of {row['groups']}",
        f"{row['build_seconds']:.1f}",
        f"{row['trace_seconds']:.1f}",
        f"{row['prune_seconds']:.1f}",
        f"{row['difference']:.0e}",
        f"{row['difference_loaded']:.0e}",
    ]
    return "| " + " | ".join(fields) + " |"


def page(rows: list[dict[str, Any]]) -> str:
    """Return docs/applications.md."""
    import keras

    good = sum(not faults(row) for row in rows)
    return "\n".join(
        [
            "# All of keras.applications",
            "",
            f"{good} of {len(rows)} networks are pruned and proved equal to the original with "
            "the removed units' outgoing weights at zero, to "
            f"{TOLERANCE:g} of the output's scale, before and after a `.keras` file.",
            "",
            f"`python benchmarks/applications.py` wrote this table: `Magnitude`, target {TARGET}, "
            f"no compensation, random weights and statistics, keras {keras.__version__}, the "
            "smallest input that the constructor accepts. FLOPs are for one image. Seconds are "
            "from one run on two cores that other work shared; compare them with each other "
            "(build: the constructor alone; prune: tracing, all steps and building the smaller "
            "model).",
            "",
            COLUMNS,
            "|---" * COLUMNS.count(" | ") + "|---|",
            *map(line, rows),
            "",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these networks, and no table")
    parser.add_argument("--reuse", action="store_true", help="keep good rows of earlier runs")
    parser.add_argument("--table", action="store_true", help="run nothing, only write the table")
    parser.add_argument("--measure", metavar="NAME", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return 0
    if options.table:
        TABLE.write_text(page([earlier(name) for name in constructors()]))
        return 0
    RESULTS.mkdir(parents=True, exist_ok=True)
    names = options.only or constructors()
    rows, wrong = [], 0
    print(COLUMNS, flush=True)
    for name in names:
        row = run(name, options.reuse)
        rows.append(row)
        print(line(row), *(f"\n  FAULT: {fault}" for fault in faults(row)), flush=True)
        wrong += bool(faults(row))
    if not options.only:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(page(rows))
        print(f"{len(rows) - wrong} of {len(rows)} are equal; the table is in {TABLE}.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
