"""Write a model for other runtimes: TFLite for phones and browsers, ONNX for everything else."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from paoding.checks import check_choice
from paoding.deploy.calibration import calibration_inputs
from paoding.deploy.portable import portable
from paoding.deploy.rounding import corrected
from paoding.deploy.to_onnx import write_onnx
from paoding.deploy.to_tflite import to_tflite
from paoding.domain import Domain
from paoding.errors import ExportError, PaodingError
from paoding.files.atomic import output_file
from paoding.graph.keras_internals import inner_layers, require_tensorflow

FORMATS = ("tflite", "onnx")
QUANTIZATIONS = {
    "tflite": ("float16", "dynamic", "int8"),
    "onnx": ("dynamic", "int8"),
}
UNCERTIFIED = (
    "A run's certificate is about its model in float32: it does not cover the rounding of weights "
    "and activations in this file."
)


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format that a file's name asks for."""
    return "onnx" if Path(path).suffix.lower() == ".onnx" else "tflite"


def check_quantize(quantize: Any, format: str) -> None:
    """Raise ``ArgumentError`` unless a format knows the quantization; None is none."""
    if quantize is not None:
        also = f", or None, for format={format!r}"
        check_choice("quantize", quantize, QUANTIZATIONS[format], also)


def export(
    model: keras.Model,
    path: str | os.PathLike[str],
    format: str | None = None,
    quantize: str | None = None,
    calibration: Any = None,
    *,
    domain: Domain | None = None,
    seed: int = 0,
    input_size: Sequence[int] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write ``model`` in the format of another runtime; the file appears whole or not at all.

    Args:
        model: A built model.
        path: The file to write.
        format: "tflite" or "onnx"; by default ONNX where the path ends so, else TFLite. A TFLite
            file of a recurrent model takes one sample at a time.
        quantize: "float16" halves the weights (TFLite only); "dynamic" stores weights in 8 bits
            and computes with real numbers where it must; "int8" computes in whole numbers, while
            inputs and outputs of the file stay float32. What a certificate says is not extended
            by this rounding: measure the file with :func:`paoding.evaluate`.
        calibration: Inputs on which the ranges of int8 are measured, (n, *input_shape), or a list
            of one array for each input of the model. Without them no data is needed: inputs are
            drawn from the domain, and as many of them moved over to other classes.
        domain: The legal inputs to draw from; by default as :func:`paoding.prune` takes them.
        seed: The seed of what is drawn.
        input_size: Lengths of the axes that the model leaves open, such as (224, 224).
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
    format = format or format_of(path)
    check_choice("format", format, FORMATS)
    check_quantize(quantize, format)
    with output_file(path, overwrite=overwrite) as temporary, _explained(model, format):
        ready = portable(model, format, input_size)
        inputs = None
        if quantize == "int8":
            inputs = calibration_inputs(ready, calibration, domain, seed)
            ready = corrected(ready, inputs)
        if format == "onnx":
            write_onnx(ready, temporary, quantize, inputs)
        else:
            temporary.write_bytes(to_tflite(ready, quantize, inputs))
    return Path(path)


@contextmanager
def _explained(model: keras.Model, format: str) -> Iterator[None]:
    """Turn whatever a converter raises into one sentence."""
    complaints = _Complaints()
    try:
        with warnings.catch_warnings(), _quiet(complaints, "tf2onnx", "tensorflow", "absl", ""):
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
        why = _reason(model, error, complaints.heard)[:300].rstrip(".") or type(error).__name__
        raise ExportError(f"Model '{model.name}' cannot be written as {format}: {why}.") from error


def _reason(model: keras.Model, error: Exception, heard: list[str]) -> str:
    """Return why a converter failed, with the layer: what it says itself is thousands long."""
    text = str(error)
    foreign = sorted(set(re.findall(r"'tf\.(\w+)' op", text)))
    if foreign:  # in the language of TFLite's compiler
        where = _layers(model, re.findall(r'fused\["\w+:", "([^"@]+)', text))
        return f"TFLite has no {', '.join(foreign[:5])} for these shapes and types{where}"
    lacking = [re.findall(r"op \[([^:]+): (\w+)\] is not supported", line) for line in heard]
    missing = [pair for found in lacking for pair in found]
    if missing:
        where = _layers(model, [path for path, _ in missing])
        return f"ONNX has no {', '.join(sorted({kind for _, kind in missing})[:5])}{where}"
    # Keras says where before it says why, in colours.
    lines = (re.sub(r"\x1b\[\d*m", "", line).strip() for line in text.splitlines())
    said = (line for line in lines if line and not line.startswith("Exception encountered when"))
    kind = re.search(r"when calling (\w+)\.call", text)
    called = [x.name for x in inner_layers(model) if kind and type(x).__name__ == kind[1]]
    where = _layers(model, called)
    if "symbolic" in text and any(None in symbol.shape[1:] for symbol in model.inputs):
        sizes = "what the model leaves open needs fixed sizes here, such as input_size=(224, 224)"
        return f"{sizes}{where}"
    return f"{next(said, '')}{where}"


def _layers(model: keras.Model, paths: list[str]) -> str:
    """Return the layers that paths such as ``model_1/conv_1/Conv2D`` lead to, in words."""
    names = {layer.name for layer in inner_layers(model)}
    found: dict[str, None] = {}
    for path in paths:
        for part in path.split("/"):  # TensorFlow numbers what it meets again
            bare = part if part in names else re.sub(r"_\d+$", "", part)
            if bare in names:
                found[bare] = None
    each = ", ".join(f"'{name}'" for name in list(found)[:3])
    return f" (layer {each})" if found else ""


class _Complaints(logging.Handler):
    """Remembers what converters complain of instead of printing it."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


@contextmanager
def _quiet(instead: logging.Handler, *names: str) -> Iterator[None]:
    """Keep converters from telling what they are doing; errors go to ``instead``."""
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.level, logger.propagate, logger.handlers) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
        logger.propagate, logger.handlers = False, [instead]
    try:
        yield
    finally:
        for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.propagate, logger.handlers = propagate, handlers
