"""The JavaScript that every displayed widget carries along."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

import paoding_widgets

BUNDLE = Path(paoding_widgets.__file__).parent / "static" / "widget.js"
LIMIT = 100_000


def test_the_bundle_is_built_and_small() -> None:
    assert BUNDLE.is_file(), "run 'npm run build' in js/"
    assert len(gzip.compress(BUNDLE.read_bytes())) < LIMIT


def test_importing_the_package_loads_no_widget_and_no_keras() -> None:
    code = "import paoding_widgets, sys; print('keras' in sys.modules, 'bqplot' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]


@pytest.mark.slow
def test_the_first_cell_of_a_notebook_stays_free_of_red_lines() -> None:
    code = "from paoding_widgets import PruningStudio"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stderr == ""
