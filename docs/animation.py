"""Makes the README's film of a run from pictures that a browser took.

python docs/animation.py        # records a run in JupyterLab, writes docs/images/studio-run.png
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "images" / "studio-run.png"
WIDTH = 760  # pixels; a README is no wider
MOST_BYTES = 2_000_000
# Milliseconds that a picture is shown, and the last one.
EACH, LAST = 160, 2500


def record(folder: Path) -> None:
    """Have a browser take the pictures."""
    command = ["node", "../node_modules/.bin/playwright", "test", "-c", "bench.config.ts"]
    env = os.environ | {"PAODING_FRAMES": str(folder)}
    subprocess.run(
        [*command, "bench/record.spec.ts"], cwd=ROOT / "js" / "ui-tests", env=env, check=True
    )


def film(folder: Path, target: Path) -> int:
    """Write the pictures that differ as one animation; returns its bytes."""
    pictures: list[Image.Image] = []
    for file in sorted(folder.glob("*.png")):
        with Image.open(file) as found:
            whole = found.convert("RGB")
        size = (WIDTH, round(WIDTH * whole.height / whole.width))
        small = whole.resize(size, Image.Resampling.LANCZOS)
        if not pictures or small.tobytes() != pictures[-1].tobytes():
            pictures.append(small)
    every = max(1, -(-len(pictures) // 60))
    kept = [*pictures[:-1:every], pictures[-1]]
    times = [EACH * every] * (len(kept) - 1) + [LAST]
    kept[0].save(target, save_all=True, append_images=kept[1:], duration=times, optimize=True)
    return target.stat().st_size


def main() -> int:
    """Record and write; fails where the film is too large for a README."""
    with tempfile.TemporaryDirectory() as name:
        record(Path(name))
        size = film(Path(name), TARGET)
    print(f"{TARGET}: {size:,} bytes")
    return int(size > MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main())
