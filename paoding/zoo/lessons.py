"""Where the lessons are, and how they get into a folder of the reader's own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from paoding.errors import OutputExistsError

_PACKAGED = Path(__file__).parent / "lessons"  # in a wheel
_SOURCES = Path(__file__).parents[2] / "notebooks" / "lessons"  # in a checkout


def lessons() -> tuple[Path, ...]:
    """The notebooks of all lessons, in order.

    >>> lessons()[0].name
    '1-what-is-a-unit.ipynb'
    """
    folder = _PACKAGED if _PACKAGED.is_dir() else _SOURCES
    return tuple(sorted(folder.glob("*.ipynb")))


def copy_lessons(to: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Copy all lessons into a folder, which is made where it is missing.

    Args:
        to: the folder. What a reader has written into an earlier copy is never lost.

    Returns:
        The copies.

    Raises:
        OutputExistsError: a lesson of that name is there already; nothing is copied.
    """
    folder = Path(to)
    copies = tuple(folder / lesson.name for lesson in lessons())
    for copy in copies:
        if copy.exists():
            raise OutputExistsError(
                f"'{copy}' exists already, perhaps with answers in it; choose another folder."
            )
    folder.mkdir(parents=True, exist_ok=True)
    for lesson, copy in zip(lessons(), copies, strict=True):
        shutil.copyfile(lesson, copy)
    return copies
