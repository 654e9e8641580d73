"""Makes the peer's virtual environment (``paoding-dl``, Keras 2) outside of our own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / ".peer-venv"
# TensorFlow 2.15.1, the last with Keras 2 built in, has wheels for these only.
PYTHONS = ("python3.11", "python3.10", "python3.9")
# What paoding-dl asks for is too new, too old or too much; this is what it imports.
NEEDS = (
    "tensorflow==2.15.1",
    "numpy<2",
    "importlib_metadata",
    "pandas",
    "tabulate",
    "pydot",
    "scikit-learn",
    "opencv-python-headless",
)
PEER = "paoding-dl==1.0.0.post3"


def find_python() -> str:
    """Return a Python that TensorFlow 2.15.1 supports, or exit with one sentence."""
    if sys.version_info[:2] in {(3, 9), (3, 10), (3, 11)}:
        return sys.executable
    for name in PYTHONS:
        path = shutil.which(name)
        # A version manager's shim is on the path even where that version is not installed.
        if path and subprocess.run([path, "-V"], capture_output=True).returncode == 0:
            return path
    raise SystemExit(f"The peer needs one of {', '.join(PYTHONS)} on the path; none was found.")


def ensure() -> Path:
    """Return the Python of the peer's environment, which is made first if it is missing."""
    python = FOLDER / "bin" / "python"
    ready = FOLDER / "ready"
    if not ready.exists():
        print(f"Making the peer's environment in {FOLDER} (once, a few minutes) ...", flush=True)
        subprocess.run([find_python(), "-m", "venv", "--clear", str(FOLDER)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *NEEDS], check=True)
        subprocess.run([*pip, "--no-deps", PEER], check=True)
        ready.write_text("made by benchmarks/peer/environment.py\n")
    return python


if __name__ == "__main__":
    print(ensure())
