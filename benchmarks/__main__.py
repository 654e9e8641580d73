"""``python -m benchmarks``: Paoding and its peer side by side; the others run by their files."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

sys.argv[0] = str(Path(__file__).with_name("speed.py"))
runpy.run_path(sys.argv[0], run_name="__main__")
