"""Write files and folders so that they appear whole or not at all, over nothing unasked."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paoding.errors import ArgumentError, OutputExistsError

PathLike = str | os.PathLike[str]


@contextmanager
def output_file(path: PathLike, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that becomes ``path`` when the block succeeds.

    Raises:
        OutputExistsError: ``path`` exists and ``overwrite`` is false.
        ArgumentError: The folder cannot be written to.
    """
    path = Path(path)
    refuse_existing(path, overwrite)
    with _temporary_sibling(path) as folder:
        # The temporary file has the final name, since writers look at its suffix.
        temporary = folder / path.name
        yield temporary
        if overwrite:
            refuse_existing(path, overwrite)
            os.replace(temporary, path)
            return
        try:
            os.link(temporary, path)  # which fails where the name was taken in the meantime
        except FileExistsError:
            refuse_existing(path)
            raise
        except OSError:  # a disk without links
            refuse_existing(path)
            os.replace(temporary, path)


@contextmanager
def output_folder(path: PathLike) -> Iterator[Path]:
    """Give a temporary folder beside ``path`` that becomes ``path`` when the block succeeds.

    Raises:
        OutputExistsError: ``path`` exists, as a folder or a file.
        ArgumentError: The folder around it cannot be written to.
    """
    path = Path(path)
    refuse_existing(path)
    with _temporary_sibling(path) as folder:
        temporary = folder / path.name
        temporary.mkdir()
        yield temporary
        refuse_existing(path)
        os.rename(temporary, path)


def refuse_existing(path: PathLike, overwrite: bool = False) -> None:
    """Raise unless ``path`` is free to be written, or a file that may be replaced.

    Raises:
        OutputExistsError: ``path`` exists and ``overwrite`` is false, or it is a folder.
        ArgumentError: no file can have that name.
    """
    try:
        os.lstat(path)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error
    if os.path.isdir(path) or not overwrite:
        raise OutputExistsError(f"{path} exists already; choose another name or remove it first.")


def refuse_unwritable(path: PathLike) -> None:
    """Raise unless ``path`` can be written and is free, and leave nothing: said before long work.

    Raises:
        OutputExistsError: ``path`` exists.
        ArgumentError: its folder cannot be made or written to.
    """
    path = Path(path)
    refuse_existing(path)
    around = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".paoding-", dir=around))
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: PathLike, error: Exception) -> ArgumentError:
    return ArgumentError(f"Cannot write to {path}: {getattr(error, 'strerror', None) or error}.")


@contextmanager
def _temporary_sibling(path: Path) -> Iterator[Path]:
    """Make a folder on the same disk as ``path`` and remove it at the end."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.name[:100]}-{_host()}."
        _remove_leftovers(path.parent, prefix)
        folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=path.parent))
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _host() -> str:
    return re.sub(r"\W", "", socket.gethostname())[:20]


def _remove_leftovers(around: Path, prefix: str) -> None:
    """Remove what a run left that was killed while it wrote: this machine's, no longer alive."""
    if os.name != "posix":
        return
    for folder in around.glob(f"{glob.escape(prefix)}*-*"):
        number = folder.name.removeprefix(prefix).partition("-")[0]
        with contextlib.suppress(PermissionError):
            try:
                os.kill(int(number), 0)  # asks only whether it is alive
            except ProcessLookupError:
                shutil.rmtree(folder, ignore_errors=True)
            except (ValueError, OverflowError):
                continue  # another's name that happens to look alike
