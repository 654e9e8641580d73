"""TensorFlow starts without writing to the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def mute(descriptor: int) -> int | None:
    """Send a file descriptor to nowhere; a copy of where it led, or None where it was closed."""
    try:
        kept = os.dup(descriptor)
    except OSError:
        kept = None
    null = os.open(os.devnull, os.O_WRONLY)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
    return kept


@contextmanager
def silenced() -> Iterator[None]:
    """Keep what C++ writes to the process's stderr off it, whatever level it was told to log at."""
    sys.stderr.flush()
    kept = mute(2)
    try:
        yield
    finally:
        if kept is not None:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def quiet_start() -> Iterator[None]:
    """Keep TensorFlow's start-up notes off stderr while a block imports it for the first time.

    They are written by C++ to the process's file descriptor before any log level is read, and
    would fill a notebook's first cell with red lines about graphics cards.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with silenced():
        yield
        if "tensorflow" in sys.modules:  # the search for graphics cards writes too
            sys.modules["tensorflow"].config.list_physical_devices()
