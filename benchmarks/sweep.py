"""How much sooner a sweep ends on two processes, and on Dask, than one run after another.

Run ``python benchmarks/sweep.py`` in a clone; it prints a table. 32 runs of the zoo's
breast-cancer network; the three fronts are compared bit by bit. Other work on the machine slows
all three down, not equally: say so beside the numbers.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def same(a: Any, b: Any) -> bool:
    """Whether two fronts hold the same rows and the same weights."""
    columns = [c for c in a.table if c != "seconds"]
    weights = (
        np.array_equal(x, y)
        for k in a.table.index
        for x, y in zip(
            a.point(k).model().get_weights(), b.point(k).model().get_weights(), strict=True
        )
    )
    return bool(a.table[columns].equals(b.table[columns])) and all(weights)


def main() -> None:
    import paoding

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--runs", type=int, default=32, help="a multiple of 4")
    parser.add_argument("--network", default="breast-cancer", choices=paoding.zoo.names())
    parser.add_argument("--keep", type=Path, help="a new folder for the first front")
    asked = parser.parse_args()
    model, data = paoding.zoo.load(asked.network)
    what = {
        "targets": [0.2, 0.4, 0.6, 0.8], "seeds": asked.runs // 4, "data": data, "runtime": None,
    }  # fmt: skip
    fronts, seconds = {}, {}

    def run(name: str, folder: Path, **where: Any) -> None:
        start = time.perf_counter()
        fronts[name] = paoding.sweep(model, out=folder, **what, **where)
        seconds[name] = time.perf_counter() - start

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run("one after another", asked.keep or folder / "one")
        run("two processes", folder / "two", workers=2)
        from distributed import Client, LocalCluster

        with (
            LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            run("Dask, two workers", folder / "dask", client=client)
        print(f"| {asked.runs} runs | seconds | times faster | same bits |\n|---|---|---|---|")
        for name, took in seconds.items():
            first = fronts["one after another"]
            print(
                f"| {name} | {took:.0f} | {seconds['one after another'] / took:.2f} | "
                f"{'yes' if same(first, fronts[name]) else 'NO'} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
