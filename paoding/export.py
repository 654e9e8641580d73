"""Write a model for other runtimes: TFLite for phones and browsers, ONNX for everything else."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from paoding.domain import Box, Domain
from paoding.errors import ArgumentError, DataError, ExportError, ModelError, PaodingError
from paoding.files.atomic import output_file
from paoding.graph.keras_internals import allow_export, require_tensorflow, signature_of_one

FORMATS = ("tflite", "onnx")
QUANTIZATIONS = (None, "float16", "int8")
# As many inputs as settle the ranges of int8; more change nothing that could be measured.
_CALIBRATION = 200
# How far inputs are moved over to other classes, as a share of the domain's width.
_FAR = 0.5


def export(
    model: keras.Model,
    path: str | os.PathLike[str],
    format: str = "tflite",
    quantize: str | None = None,
    samples: Any = None,
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
        samples: Inputs on which the ranges of int8 are measured, (n, *input_shape), or a list
            of one array for each input of the model. Without them no data is needed: inputs are
            drawn from the domain, and as many of them moved over to other classes.
        domain: The legal inputs to draw from; by default as :func:`paoding.prune` takes them.
        seed: The seed of what is drawn.
        overwrite: Whether a file that exists may be replaced.

    Returns:
        The path.

    Raises:
        ArgumentError: There is no such format or quantization.
        DataError: The samples do not fit the model.
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
            _to_onnx(model, temporary)
        else:
            inputs = _calibration(model, samples, domain, seed) if quantize == "int8" else None
            temporary.write_bytes(_to_tflite(model, quantize, inputs))
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


def _to_onnx(model: keras.Model, path: Path) -> None:
    import onnx
    import tf2onnx  # noqa: F401 (Keras imports it late, and says less well that it is missing)

    _teach_erfc()
    allow_export(model)
    model.export(path, format="onnx", verbose=False)
    # tf2onnx only warns of what ONNX does not have; no runtime reads such a file.
    onnx.checker.check_model(os.fspath(path))


def _teach_erfc() -> None:
    """Tell tf2onnx what TensorFlow's GELU is made of: ``erfc(x) = 1 - erf(x)``."""
    from tf2onnx.handler import tf_op

    @tf_op("Erfc")
    class _Erfc:
        @classmethod
        def version_9(cls, ctx: Any, node: Any, **_: Any) -> None:
            kind, shape = ctx.get_dtype(node.output[0]), ctx.get_shape(node.output[0])
            name, given, made = node.name, list(node.input), list(node.output)
            one = np.ones((), np.float64 if ctx.get_dtype(given[0]) == 11 else np.float32)
            ctx.remove_node(name)
            whole = ctx.make_const(f"{name}/one", one)
            erf = ctx.make_node("Erf", given, dtypes=[kind], shapes=[shape])
            left = [whole.output[0], erf.output[0]]
            ctx.make_node("Sub", left, outputs=made, dtypes=[kind], shapes=[shape])


def _to_tflite(
    model: keras.Model, quantize: str | None, inputs: Sequence[np.ndarray] | None
) -> bytes:
    try:
        return _converted(model, quantize, inputs, None)
    except Exception as error:  # the converter's own class has no public name
        if "TensorList" not in str(error):
            raise
    if quantize == "int8":  # the calibrator would take the whole process down
        raise ExportError(
            f"Model '{model.name}' is recurrent, and TFLite does not measure the ranges inside "
            "of its loops: write it with quantize='float16', or as it is."
        )
    # TFLite runs the loop of a recurrent layer only where it knows the batch beforehand.
    return _converted(model, quantize, inputs, signature_of_one(model))


def _converted(
    model: keras.Model,
    quantize: str | None,
    inputs: Sequence[np.ndarray] | None,
    signature: Any,
) -> bytes:
    import tensorflow as tf

    with tempfile.TemporaryDirectory(prefix="paoding-") as folder:
        options = {} if signature is None else {"input_signature": signature}
        model.export(folder, format="tf_saved_model", verbose=False, **options)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if quantize is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if inputs is not None:
            names = _input_names(folder, model)
            converter.representative_dataset = lambda: _one_by_one(names, inputs)
            # Whole numbers wherever TFLite has them, float32 for what it has not.
            converter.target_spec.supported_ops = [
                tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
                tf.lite.OpsSet.TFLITE_BUILTINS,
            ]
        return bytes(converter.convert())


def _input_names(folder: str, model: keras.Model) -> list[str]:
    """Return the names of the saved model's inputs, in the order of the model's."""
    import tensorflow as tf

    saved = tf.saved_model.load(folder)
    known = saved.signatures["serving_default"].structured_input_signature[1]
    if len(known) == 1:
        return list(known)
    return [tensor.name for tensor in model.inputs]


def _one_by_one(names: list[str], inputs: Sequence[np.ndarray]) -> Iterator[dict[str, Any]]:
    for k in range(len(inputs[0])):
        yield {name: array[k : k + 1] for name, array in zip(names, inputs, strict=True)}


def _calibration(
    model: keras.Model, samples: Any, domain: Domain | None, seed: int
) -> list[np.ndarray]:
    """Return inputs to measure ranges on, one array for each input of the model."""
    if samples is None:
        drawn = _drawn(model, domain, np.random.default_rng(seed))
    else:
        alone = len(model.inputs) == 1 and not isinstance(samples, list | tuple)
        drawn = [np.asarray(array) for array in ([samples] if alone else samples)]
    _check(model, drawn)
    return [
        array[:_CALIBRATION].astype(tensor.dtype)
        for array, tensor in zip(drawn, model.inputs, strict=True)
    ]


def _drawn(model: keras.Model, domain: Domain | None, rng: np.random.Generator) -> list[np.ndarray]:
    """Draw inputs from the domain, as many that the model is made to change its mind about."""
    from paoding.graph import trace
    from paoding.synthetic.choice import choose
    from paoding.synthetic.legal import legal_inputs

    graph = trace(model)
    boxes, _ = legal_inputs(graph, domain)
    drawn = choose(graph, boxes).draw(rng, _CALIBRATION // 2)
    if len(drawn) == 1:
        drawn = [np.concatenate([drawn[0], _across(model, drawn[0], boxes[0])])]
    return drawn


def _across(model: keras.Model, x: np.ndarray, box: Box) -> np.ndarray:
    """Return ``x`` moved over to other classes, or nothing where the model has no classes.

    What is drawn may fall into one class alone; its scores would then never be seen on the other
    side, and int8 would cut them off there.
    """
    from paoding.evaluation import PGD
    from paoding.evaluation.network import network_of

    try:
        network = network_of(model)
        x = np.asarray(x, "float32")
        own = network.predict(x, len(x)).argmax(1)
        far = PGD(_FAR * float(np.mean(box.hi - box.lo)), steps=10, loss="log-odds")
        return far.adversarial(network, x, own, box, len(x))
    except ModelError:
        return x[:0]


def _check(model: keras.Model, arrays: list[np.ndarray]) -> None:
    if len(arrays) != len(model.inputs):
        raise DataError(f"samples has {len(arrays)} arrays for {len(model.inputs)} inputs.")
    for array, tensor in zip(arrays, model.inputs, strict=True):
        wanted = tuple(tensor.shape[1:])
        fits = len(array.shape) == len(wanted) + 1 and all(
            want in (None, have) for want, have in zip(wanted, array.shape[1:], strict=True)
        )
        if not fits or len(array) == 0 or len(array) != len(arrays[0]):
            raise DataError(
                f"samples of shape {array.shape} do not fit the input {tensor.name} of shape "
                f"{wanted}; the first axis is over samples."
            )
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise DataError("samples hold values that are no finite numbers.")
