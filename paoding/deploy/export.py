"""Write a model for other runtimes: TFLite for phones and browsers, ONNX for everything else."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from paoding.deploy.calibration import calibration_inputs
from paoding.deploy.to_onnx import write_onnx
from paoding.deploy.to_tflite import to_tflite
from paoding.domain import Domain
from paoding.errors import ArgumentError, ExportError, PaodingError
from paoding.files.atomic import output_file
from paoding.graph.keras_internals import require_tensorflow

FORMATS = ("tflite", "onnx")
QUANTIZATIONS = (None, "float16", "int8")


def export(
    model: keras.Model,
    path: str | os.PathLike[str],
    format: str = "tflite",
    quantize: str | None = None,
    calibration: Any = None,
    *,
    domain: Domain | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Write ``model`` in the format of another runtime; the file appears whole or not at all.

    Args:
        model: A built model.
        path: The file to write.
        format: "tflite" or "onnx". A TFLite file of a recurrent model takes one sample at a time.
        quantize: TFLite only. "float16" halves the weights; "int8" computes in whole numbers,
            while inputs and outputs of the file stay float32.
        calibration: Inputs on which the ranges of int8 are measured, (n, *input_shape), or a list
            of one array for each input of the model. Without them no data is needed: inputs are
            drawn from the domain, and as many of them moved over to other classes.
        domain: The legal inputs to draw from; by default as :func:`paoding.prune` takes them.
        seed: The seed of what is drawn.
        overwrite: Whether a file that exists may be replaced.

    Returns:
        The path.

    Raises:
        ArgumentError: There is no such format or quantization.
        DataError: The calibration inputs do not fit the model.
        OutputExistsError: The file exists and ``overwrite`` is false.
        ExportError: The format cannot hold the model, or a package for it is missing.

    Example:
        >>> import tempfile, paoding
        >>> model, data = paoding.zoo.load("breast-cancer")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     export(model, folder + "/model.tflite", quantize="float16").stat().st_size < 20_000
        True
    """
    require_tensorflow("Export")
    if format not in FORMATS:
        raise ArgumentError(f"format must be {' or '.join(map(repr, FORMATS))}, not {format!r}.")
    if quantize not in QUANTIZATIONS:
        raise ArgumentError(f"quantize must be None, 'float16' or 'int8', not {quantize!r}.")
    if quantize is not None and format != "tflite":
        raise ArgumentError(f"quantize={quantize!r} is for format='tflite' only.")
    with output_file(path, overwrite=overwrite) as temporary, _explained(model, format):
        if format == "onnx":
            write_onnx(model, temporary)
        else:
            inputs = (
                calibration_inputs(model, calibration, domain, seed) if quantize == "int8" else None
            )
            temporary.write_bytes(to_tflite(model, quantize, inputs))
    return Path(path)


@contextmanager
def _explained(model: keras.Model, format: str) -> Iterator[None]:
    """Turn whatever a converter raises into one sentence."""
    try:
        with warnings.catch_warnings(), _quiet("tf2onnx", "tensorflow", "absl"):
            warnings.simplefilter("ignore")
            yield
    except PaodingError:
        raise
    except ImportError as error:
        raise ExportError(
            f"Writing {format} needs {error.name or error}; install it with "
            "pip install 'paoding-widgets[export]'."
        ) from error
    except Exception as error:  # converters raise every kind of error
        why = _reason(error)[:200].rstrip(".") or type(error).__name__
        raise ExportError(f"Model '{model.name}' cannot be written as {format}: {why}.") from error


def _reason(error: Exception) -> str:
    """The first line of an error that says why; Keras says before it where, in colours."""
    foreign = sorted(set(re.findall(r"'tf\.(\w+)' op", str(error))))
    if foreign:  # thousands of characters, in the language of TFLite's compiler
        return f"TFLite has no {', '.join(foreign[:5])} for these shapes and types"
    lines = (re.sub(r"\x1b\[\d*m", "", line).strip() for line in str(error).splitlines())
    said = (line for line in lines if line and not line.startswith("Exception encountered when"))
    return next(said, "")


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Keep converters from telling what they are doing."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
