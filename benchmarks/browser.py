"""How quick the studio is in a browser: first paint, frames with 100,000 units, the page's memory.

    python -m benchmarks.browser [--minutes 10]

A real JupyterLab, a real kernel and Chromium; needs the packages of the browser tests.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent / "js" / "ui-tests"


def main() -> int:
    """Run the measurements, and print a line for each number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1, help="over which memory is watched")
    minutes = parser.parse_args().minutes
    command = ["node", "../node_modules/.bin/playwright", "test", "-c", "bench.config.ts"]
    env = os.environ | {"PAODING_BENCH_MINUTES": str(minutes)}
    run = subprocess.run(
        [*command, "bench/studio.spec.ts"], cwd=HERE, env=env, capture_output=True, text=True
    )
    lines = [line for line in run.stdout.splitlines() if line.startswith("BENCH ")]
    for line in lines:
        print(line.removeprefix("BENCH "))
    if run.returncode:
        print(run.stdout, run.stderr, file=sys.stderr)
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
