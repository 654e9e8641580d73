"""The JavaScript that every displayed widget carries along."""

from __future__ import annotations

import gzip
from pathlib import Path

import paoding_widgets

BUNDLE = Path(paoding_widgets.__file__).parent / "static" / "widget.js"
LIMIT = 100_000


def test_the_bundle_is_built_and_small() -> None:
    assert BUNDLE.is_file(), "run 'npm run build' in js/"
    assert len(gzip.compress(BUNDLE.read_bytes())) < LIMIT


def test_importing_the_package_loads_no_widget_and_no_keras() -> None:
    import subprocess
    import sys

    code = "import paoding_widgets, sys; print('keras' in sys.modules, 'bqplot' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]
