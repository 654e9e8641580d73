"""A model as an ONNX file, in whole numbers where they are wanted."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from paoding.errors import ExportError
from paoding.graph.keras_internals import allow_export

# ONNX's number for float64.
_FLOAT64 = 11


def write_onnx(
    model: keras.Model,
    path: Path,
    quantize: str | None = None,
    inputs: Sequence[np.ndarray] | None = None,
) -> None:
    """Write ``model`` to ``path``, or raise whatever the converter does.

    Args:
        model: What to write.
        path: Where.
        quantize: None, "dynamic" (weights in whole numbers) or "int8" (activations too).
        inputs: For "int8" what the ranges of activations are measured on.
    """
    import onnx
    import tf2onnx  # noqa: F401 (Keras imports it late, and says less well that it is missing)

    _teach_erfc()
    allow_export(model)
    model.export(path, format="onnx", verbose=False)
    # tf2onnx only warns of what ONNX does not have; no runtime reads such a file.
    onnx.checker.check_model(os.fspath(path))
    if quantize is not None:
        _quantized(model, path, quantize, inputs)


def _quantized(
    model: keras.Model, path: Path, quantize: str, inputs: Sequence[np.ndarray] | None
) -> None:
    """Replace the file by one in whole numbers, with pairs of QuantizeLinear and its inverse."""
    try:
        from onnxruntime import quantization as tools
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise ExportError(
            f"quantize={quantize!r} for ONNX needs onnxruntime; install it with "
            "pip install 'paoding-widgets[onnxruntime]'."
        ) from error
    with tempfile.TemporaryDirectory(prefix="paoding-") as folder:
        ready = os.path.join(folder, "ready.onnx")
        quant_pre_process(os.fspath(path), ready, skip_symbolic_shape=True)
        if quantize == "dynamic":
            tools.quantize_dynamic(ready, os.fspath(path), weight_type=tools.QuantType.QInt8)
            return
        assert inputs is not None
        tools.quantize_static(
            ready,
            os.fspath(path),
            _reader(tools, [x.name for x in model.inputs], inputs),
            quant_format=tools.QuantFormat.QDQ,
            per_channel=True,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
        )


def _reader(tools: Any, names: list[str], inputs: Sequence[np.ndarray]) -> Any:
    """Return the inputs one by one, as ONNX Runtime's calibration reads them."""

    class Reader(tools.CalibrationDataReader):
        def __init__(self) -> None:
            self._rest = iter(range(len(inputs[0])))

        def get_next(self) -> dict[str, np.ndarray] | None:
            k = next(self._rest, None)
            if k is None:
                return None
            return {name: x[k : k + 1] for name, x in zip(names, inputs, strict=True)}

    return Reader()


def _teach_erfc() -> None:
    """Tell tf2onnx what TensorFlow's GELU is made of: ``erfc(x) = 1 - erf(x)``."""
    from tf2onnx.handler import tf_op

    @tf_op("Erfc")
    class _Erfc:
        @classmethod
        def version_9(cls, ctx: Any, node: Any, **_: Any) -> None:
            kind, shape = ctx.get_dtype(node.output[0]), ctx.get_shape(node.output[0])
            name, given, made = node.name, list(node.input), list(node.output)
            double = ctx.get_dtype(given[0]) == _FLOAT64
            one = np.ones((), np.float64 if double else np.float32)
            ctx.remove_node(name)
            whole = ctx.make_const(f"{name}/one", one)
            erf = ctx.make_node("Erf", given, dtypes=[kind], shapes=[shape])
            left = [whole.output[0], erf.output[0]]
            ctx.make_node("Sub", left, outputs=made, dtypes=[kind], shapes=[shape])
