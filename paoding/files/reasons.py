"""Why a file could not be read: whatever Keras, h5py or zipfile raised, in one sentence."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path


def first_line(error: BaseException) -> str:
    """Return the reason inside an error of Keras, in one line of at most 200 characters."""
    # Around the reason Keras prints the whole config of a layer, once for each that encloses it.
    text = str(error).rpartition("Exception encountered:")[2]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text.rstrip(".") if len(text) <= 200 else text[:199] + "…"


def why_not_loaded(path: Path, error: Exception) -> str:
    """Return one sentence for whatever Keras, h5py or zipfile raised."""
    text = str(error)
    if isinstance(error, zipfile.BadZipFile | EOFError | OSError) or "truncated" in text.lower():
        return f"{path} is damaged or truncated; copy or save it again."
    if "lambda" in text.lower() and ("safe" in text or "function_type" in text):
        return (
            f"{path} holds a Lambda layer with Python code, which is never run from a file; "
            "load it yourself and pass the model."
        )
    if "TFOpLambda" in text or "SlicingOpLambda" in text:
        return (
            f"{path} was saved by Keras 2 with raw TensorFlow operations (TFOpLambda), which "
            "Keras 3 cannot load; rebuild those steps from layers and save it again."
        )
    foreign = re.search(r"Could not locate (class|function) '([^']*)'", text)
    if foreign:
        return (
            f"{path} needs the {foreign[1]} {foreign[2]!r}, which is not Keras's own: load the "
            "model in Python, where its code is at hand, and pass that."
        )
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return f"{path} has a config that cannot be read; the file is damaged."
    return f"{path} cannot be loaded by Keras: {first_line(error)}."
