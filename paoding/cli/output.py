"""What a command prints: tables, JSON, and one-line messages on standard error."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Set it to see where a fault happened, and what TensorFlow says while it works.
DEBUG = "PAODING_DEBUG"
# Of a table whose reader is a file or a program, which has no width of its own.
PLAIN_WIDTH = 120


def console(file: TextIO | None = None) -> Console:
    """Return a terminal for ``file``; one that is no terminal is wide enough for every table."""
    from rich.console import Console

    file = file or sys.stdout
    width = PLAIN_WIDTH
    if file.isatty():  # asked of the stream itself, since descriptors 1 and 2 are TensorFlow's
        width = os.get_terminal_size(file.fileno()).columns
    return Console(file=file, highlight=False, width=width or None)


def table(*columns: str, title: str | None = None) -> Table:
    """Return an empty table: the first column names, the others hold numbers at the right."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left", overflow="fold")
    return made


def print_json(value: Any) -> None:
    """Print ``value`` as JSON; arrays become lists, and NaN, which JSON lacks, null."""
    utf = str(sys.stdout.encoding).lower().startswith("utf")
    print(json.dumps(_plain(value), indent=2, ensure_ascii=not utf))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return str(value) if isinstance(value, Path) else value


def say(sentence: str) -> None:
    """Print one line on standard error."""
    print(f"paoding: {' '.join(str(sentence).split())}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def working() -> Iterator[None]:
    """Keep the chatter of libraries off standard output, and warn in one line."""
    with contextlib.ExitStack() as stack:
        if not os.environ.get(DEBUG):
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", category=UserWarning, module=r"paoding")
            warnings.showwarning = _warn
        yield


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    say(f"warning: {message}")
