"""How quick studio and viewer are in a browser: first paint, frames, memory, cost over a bare run.

    python -m benchmarks.browser [--minutes 10] [--only viewer]

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
    parser.add_argument("--only", choices=("studio", "viewer"), nargs="*", help="what is measured")
    given = parser.parse_args()
    command = ["node", "../node_modules/.bin/playwright", "test", "-c", "bench.config.ts"]
    env = os.environ | {"PAODING_BENCH_MINUTES": str(given.minutes)}
    command += [f"bench/{name}.spec.ts" for name in given.only or ("studio", "viewer")]
    run = subprocess.run(command, cwd=HERE, env=env, capture_output=True, text=True)
    lines = [line for line in run.stdout.splitlines() if line.startswith("BENCH ")]
    for line in lines:
        print(line.removeprefix("BENCH "))
    if run.returncode:
        print(run.stdout, run.stderr, file=sys.stderr)
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
