"""A model as an ONNX file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from paoding.graph.keras_internals import allow_export


def write_onnx(model: keras.Model, path: Path) -> None:
    """Write ``model`` to ``path``, or raise whatever the converter does."""
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
