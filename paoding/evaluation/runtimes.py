"""What computes a model's answers: Keras itself, ONNX Runtime or LiteRT, behind one face."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from paoding.errors import ArgumentError, DataError, ModelError, RuntimeMissingError
from paoding.quiet import silenced

# Runtime -> the ending of the files that it reads; Keras takes models.
SUFFIXES = {"litert": ".tflite", "onnxruntime": ".onnx"}
RUNTIMES = ("keras", *SUFFIXES)


@dataclass(frozen=True)
class Slot:
    """One input of a model: its name, its shape without the batch (None: any), its type."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class Runner(Protocol):
    """A model in a runtime.

    Attributes:
        runtime: One of :data:`RUNTIMES`.
        versions: Package -> version, of what computes.
        threads: How many threads it was given; None where the runtime decides.
        inputs: What it takes.
    """

    runtime: str
    versions: dict[str, str]
    threads: int | None
    inputs: tuple[Slot, ...]

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs for a batch, inputs and outputs in the model's order."""
        ...

    def prepare(self, arrays: Sequence[np.ndarray]) -> Callable[[], Any]:
        """Return what computes the outputs for these inputs, and does nothing else."""
        ...


def runtime_of(path: str | os.PathLike[str]) -> str:
    """Return the runtime that reads a file.

    >>> runtime_of("small.tflite")
    'litert'
    """
    for runtime, suffix in SUFFIXES.items():
        if Path(path).suffix.lower() == suffix:
            return runtime
    raise ArgumentError(
        f"{os.fspath(path)} is no exported model; its name must end in "
        f"{' or '.join(SUFFIXES.values())}."
    )


def open_file(path: str | os.PathLike[str], threads: int = 1) -> Runner:
    """Open an exported model in the runtime that reads it.

    Raises:
        ModelError: The file is not there, or the runtime cannot read it.
        RuntimeMissingError: The runtime is not installed.
    """
    runtime = runtime_of(path)
    require_runtime(runtime)
    if not Path(path).is_file():
        raise ModelError(f"There is no file {os.fspath(path)}.")
    kind = LiteRT if runtime == "litert" else OnnxRuntime
    try:
        return kind(Path(path), threads)
    except Exception as error:  # runtimes raise every kind of error
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ModelError(f"{os.fspath(path)} cannot be read by {runtime}: {first}.") from error


def require_runtime(runtime: str) -> None:
    """Raise in one sentence where a runtime is unknown or not installed."""
    if runtime not in RUNTIMES:
        raise ArgumentError(
            f"runtime must be {', '.join(map(repr, RUNTIMES[:-1]))} or {RUNTIMES[-1]!r}, not "
            f"{runtime!r}."
        )
    module = {"litert": "ai_edge_litert.interpreter", "onnxruntime": "onnxruntime"}.get(runtime)
    if module is None:
        return
    try:
        import_module(module)
    except ImportError as error:
        raise RuntimeMissingError(
            f"The runtime {runtime} is not installed; install it with "
            f"pip install 'paoding-widgets[{runtime}]'."
        ) from error


class KerasRuntime:
    """A Keras model, compiled by TensorFlow."""

    runtime = "keras"
    threads: int | None = None

    def __init__(self, model: Any) -> None:
        import tensorflow as tf

        from paoding.graph.keras_internals import functional_of, pack, require_tensorflow

        require_tensorflow("Latency in Keras")
        # Its graph alone: the name of a model need not be one that TensorFlow takes for a scope.
        inner = functional_of(model) or model
        self.versions = {"keras": version("keras"), "tensorflow": tf.__version__}
        self.inputs = tuple(
            Slot(i.name, tuple(i.shape[1:]), i.dtype if isinstance(i.dtype, str) else i.dtype.name)
            for i in model.inputs
        )

        @tf.function
        def run(*tensors: Any) -> Any:
            with tf.name_scope("model"):  # in which a layer's name may begin with an underscore
                return inner.call(pack(inner, tensors), training=False)

        self._run = run

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        import keras

        return [np.asarray(y) for y in keras.tree.flatten(self.prepare(arrays)())]

    def prepare(self, arrays: Sequence[np.ndarray]) -> Callable[[], Any]:
        import tensorflow as tf

        tensors = [tf.constant(x, s.dtype) for x, s in zip(arrays, self.inputs, strict=True)]
        return lambda: self._run(*tensors)


class OnnxRuntime:
    """An ONNX file in ONNX Runtime, on the processor."""

    runtime = "onnxruntime"

    def __init__(self, path: Path, threads: int) -> None:
        onnxruntime = import_module("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        self.threads: int | None = threads
        self.versions = {"onnxruntime": onnxruntime.__version__}
        self._session = onnxruntime.InferenceSession(
            os.fspath(path), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = tuple(
            Slot(i.name, tuple(n if isinstance(n, int) else None for n in i.shape[1:]), dtype)
            for i in self._session.get_inputs()
            for dtype in (_ONNX_TYPES.get(i.type, "float32"),)
        )

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(y) for y in self.prepare(arrays)()]

    def prepare(self, arrays: Sequence[np.ndarray]) -> Callable[[], Any]:
        fed = {s.name: np.ascontiguousarray(x, s.dtype) for s, x in _pairs(self.inputs, arrays)}
        return lambda: self._session.run(None, fed)


_ONNX_TYPES = {
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


class LiteRT:
    """A TFLite file in LiteRT, which computes with XNNPACK."""

    runtime = "litert"

    def __init__(self, path: Path, threads: int) -> None:
        litert = import_module("ai_edge_litert.interpreter")
        self.threads: int | None = threads
        self.versions = {"ai-edge-litert": version("ai-edge-litert")}
        self._interpreter = litert.Interpreter(os.fspath(path), num_threads=threads)
        self._details = self._interpreter.get_input_details()
        self._outputs = sorted(self._interpreter.get_output_details(), key=_number)
        self.inputs = tuple(
            Slot(
                _bare(detail["name"]),
                tuple(None if n == -1 else int(n) for n in detail["shape_signature"][1:]),
                np.dtype(detail["dtype"]).name,
            )
            for detail in self._details
        )

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        if self._details[0]["shape_signature"][0] == 1 and len(arrays[0]) != 1:
            # A recurrent model's loop takes one sample at a time.
            parts = [self([x[k : k + 1] for x in arrays]) for k in range(len(arrays[0]))]
            return [np.concatenate(each) for each in zip(*parts, strict=True)]
        self.prepare(arrays)()
        return [np.array(self._interpreter.get_tensor(d["index"])) for d in self._outputs]

    def prepare(self, arrays: Sequence[np.ndarray]) -> Callable[[], Any]:
        for detail, (_, array) in zip(self._details, _pairs(self.inputs, arrays), strict=True):
            self._interpreter.resize_tensor_input(detail["index"], array.shape)
        with silenced():  # it tells that it found its own fast kernels
            self._interpreter.allocate_tensors()
        for detail, (slot, array) in zip(self._details, _pairs(self.inputs, arrays), strict=True):
            self._interpreter.set_tensor(detail["index"], np.ascontiguousarray(array, slot.dtype))
        return self._interpreter.invoke


def _bare(name: str) -> str:
    """Return what the model calls an input that the converter calls ``serving_default_x:0``."""
    return name.removeprefix("serving_default_").rsplit(":", 1)[0]


def _number(detail: dict[str, Any]) -> int:
    """Return which of the model's outputs ``StatefulPartitionedCall:3`` is: number 3."""
    tail = str(detail["name"]).rsplit(":", 1)[-1]
    return int(tail) if tail.isdigit() else 0


def _pairs(slots: tuple[Slot, ...], arrays: Sequence[np.ndarray]) -> list[tuple[Slot, np.ndarray]]:
    if len(slots) != len(arrays):
        raise DataError(f"{len(arrays)} arrays were given for {len(slots)} inputs.")
    return list(zip(slots, arrays, strict=True))
