"""``paoding lessons``: the notebooks that teach pruning, listed or copied."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paoding.cli.options import JsonOption
from paoding.cli.output import print_json


def lessons(
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Copy them into this folder.", show_default=False),
    ] = None,
    json_only: JsonOption = False,
) -> None:
    """List the lessons, notebooks of 10 to 20 minutes each, or copy them into a folder."""
    from paoding.zoo import lessons as shelf

    found = shelf.lessons() if to is None else shelf.copy_lessons(to)
    if json_only:
        print_json([str(path) for path in found])
    else:
        print(*found, sep="\n")
