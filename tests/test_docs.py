"""The documentation site builds without a warning and needs no other host."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_site_builds_with_every_page_and_link_and_its_search_holds_the_lessons():
    script = ROOT / "docs" / "build.py"
    done = subprocess.run(
        [sys.executable, script, "--unexecuted"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    site = ROOT / "build" / "site"
    index = (site / "search" / "search_index.js").read_text("utf-8")
    assert "Which unit would you remove" in index
    for page in ("index", "lessons/9-to-the-device", "how-to/own-model", "reference/prune"):
        assert (site / f"{page}.html").is_file(), page
