"""A model as the bytes of a TFLite file, in smaller numbers where they are wanted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from paoding.errors import ExportError
from paoding.graph.keras_internals import signature_of_one
from paoding.quiet import silenced


def to_tflite(
    model: keras.Model, quantize: str | None, inputs: Sequence[np.ndarray] | None
) -> bytes:
    """Return the file's bytes, or raise whatever the converter does."""
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
        with silenced():  # it tells every file's types
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
