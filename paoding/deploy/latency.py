"""How long a model takes where it will run: in Keras, ONNX Runtime or LiteRT."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paoding.deploy.export import export
from paoding.errors import ArgumentError
from paoding.evaluation.runtimes import (
    SUFFIXES,
    KerasRuntime,
    Runner,
    open_file,
    require_runtime,
    runtime_of,
)
from paoding.evaluation.timing import Latency, timed, zeros_for

# As often models that are compared are measured, and the seconds of one measurement at most.
_TURNS = 3
_LONGEST = 2.0


def latency(
    model: Any,
    runtime: str | None = None,
    threads: int = 1,
    batch: int = 1,
    *,
    input_size: Sequence[int] | None = None,
) -> Latency:
    """Measure how long ``model`` takes in a runtime, on this machine.

    It is warmed up, then run until the median of its times is stable (at most ten seconds).

    Args:
        model: A built model, or the path of a ``.tflite`` or ``.onnx`` file.
        runtime: "keras" (the default for a model), "onnxruntime" or "litert"; a model is
            written in the runtime's format first. A file brings its own.
        threads: How many threads the runtime may use. Keras is run as TensorFlow was set up.
        batch: Samples in one call.
        input_size: Lengths of the axes whose length the model leaves open, such as (224, 224).

    Raises:
        ArgumentError: No such runtime, or an axis of unknown length.
        RuntimeMissingError: The runtime is not installed.
        ExportError: The runtime's format cannot hold the model.

    Example:
        >>> import paoding
        >>> model, _ = paoding.zoo.load("breast-cancer")
        >>> 0 < paoding.latency(model).median < 1
        True
    """
    for name, value in (("threads", threads), ("batch", batch)):
        if not isinstance(value, int) or value < 1:
            raise ArgumentError(f"{name} must be a whole number, 1 or more, not {value!r}.")
    with tempfile.TemporaryDirectory(prefix="paoding-") as folder:
        runner = open_runtime(model, runtime, threads, Path(folder), input_size)
        return timed(runner, zeros_for(runner, batch, input_size))


def in_turns(
    models: Sequence[Any],
    runtime: str,
    threads: int = 1,
    *,
    input_size: Sequence[int] | None = None,
    turns: int = _TURNS,
) -> list[Latency]:
    """Measure several models in turns, so that what else the machine does meets all alike.

    Returns:
        For each model the turn with the least median; compare its ``least``.
    """
    with tempfile.TemporaryDirectory(prefix="paoding-") as name:
        runners = []
        for k, model in enumerate(models):
            folder = Path(name) / str(k)
            folder.mkdir()
            runners.append(open_runtime(model, runtime, threads, folder, input_size))
        arrays = [zeros_for(runner, 1, input_size) for runner in runners]
        best: list[Latency] = []
        for turn in range(turns):
            found = [timed(*pair, longest=_LONGEST) for pair in zip(runners, arrays, strict=True)]
            pairs = zip(best, found, strict=True) if turn else zip(found, found, strict=True)
            best = [min(pair, key=lambda one: one.median) for pair in pairs]
        return best


def open_runtime(
    model: Any,
    runtime: str | None,
    threads: int,
    folder: Path,
    input_size: Sequence[int] | None = None,
) -> Runner:
    """Return a model, or an exported file, in its runtime; what is written goes to ``folder``."""
    if isinstance(model, str | os.PathLike):
        own = runtime_of(model)
        if runtime not in (None, own):
            raise ArgumentError(f"{os.fspath(model)} is run by {own}, not by {runtime!r}.")
        return open_file(model, threads)
    runtime = runtime or "keras"
    require_runtime(runtime)
    if runtime == "keras":
        return KerasRuntime(model)
    suffix = SUFFIXES[runtime]
    path = folder / f"model{suffix}"
    export(model, path, format=suffix.removeprefix("."), input_size=input_size)
    return open_file(path, threads)
