"""How long a model takes in a runtime: a median that has become stable, with its spread."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from paoding.errors import ArgumentError
from paoding.evaluation.runtimes import Runner

# First runs set up threads, caches and memory; they are not counted.
_WARM_UP = 3
# Runs come in blocks of this many seconds; after each, the median of all runs is looked at.
_BLOCK = 0.02
# It is stable when this many blocks one after another moved it by less than this share.
_STEADY = 3
_MOVED = 0.02
# As few runs as say something of a spread, and the longest that a measurement may take.
_FEWEST = 10
_LONGEST = 10.0


@dataclass(frozen=True)
class Latency:
    """How long one call took on this machine.

    Attributes:
        median: Seconds of one call with ``batch`` samples.
        low: The lower quartile, in seconds.
        high: The upper quartile, in seconds.
        least: The least, in seconds: what else a machine does only ever adds to a time.
        runs: How many calls were timed, after those that warm up.
        stable: Whether the median had settled to 2 % when the time was up.
        runtime: What computed.
        versions: Package -> version.
        machine: The processor and its cores: numbers are of this machine.
        threads: As many threads were given; None where the runtime decides itself.
        batch: Samples in one call.
    """

    median: float
    low: float
    high: float
    least: float
    runs: int
    stable: bool
    runtime: str
    versions: dict[str, str]
    machine: str
    threads: int | None
    batch: int

    @property
    def spread(self) -> float:
        """From the lower to the upper quartile, in seconds."""
        return self.high - self.low

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def __str__(self) -> str:
        kinds = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        threads = "its own threads" if self.threads is None else f"{self.threads} thread(s)"
        settled = "" if self.stable else "; it had not settled"
        return (
            f"{_ms(self.median)} a call of {self.batch}, half of {self.runs:,} runs within "
            f"{_ms(self.low)} and {_ms(self.high)}{settled}; {kinds}, {threads}; on this machine: "
            f"{self.machine}"
        )


def timed(runner: Runner, arrays: Sequence[np.ndarray], longest: float = _LONGEST) -> Latency:
    """Run a model on ``arrays`` again and again until the median of its times is stable.

    Args:
        runner: The model in a runtime.
        arrays: One array for each input, all of one batch.
        longest: Seconds after which the measuring ends, stable or not.
    """
    run = runner.prepare(arrays)
    for _ in range(_WARM_UP):
        run()
    times: list[float] = []
    medians: list[float] = []
    began = time.perf_counter()
    while time.perf_counter() - began < longest or len(times) < _FEWEST:
        ends = time.perf_counter() + _BLOCK
        while True:
            start = time.perf_counter()
            run()
            now = time.perf_counter()
            times.append(now - start)
            if now > ends:
                break
        medians.append(float(np.median(times)))
        if len(times) >= _FEWEST and _steady(medians):
            break
    low, middle, high = np.quantile(times, [0.25, 0.5, 0.75])
    return Latency(
        float(middle),
        float(low),
        float(high),
        min(times),
        len(times),
        _steady(medians),
        runner.runtime,
        dict(runner.versions),
        machine(),
        runner.threads,
        len(arrays[0]),
    )


def _steady(medians: list[float]) -> bool:
    last = medians[-_STEADY - 1 :]
    return len(last) > _STEADY and max(last) - min(last) <= _MOVED * last[-1]


def zeros_for(
    runner: Runner, batch: int = 1, size: Sequence[int] | None = None, unknown: int | None = None
) -> list[np.ndarray]:
    """Return zeros of the shapes that a model takes.

    Args:
        runner: The model.
        batch: Samples.
        size: Lengths of the axes of unknown length, in their order, for every input alike.
        unknown: What stands for those axes where ``size`` is not given.

    Raises:
        ArgumentError: An axis has no length and none was given.
    """
    made = []
    for slot in runner.inputs:
        rest = iter(size or ())
        lengths = (n if n is not None else next(rest, unknown) for n in slot.shape)
        shape = [n for n in lengths if n is not None]
        if len(shape) < len(slot.shape):
            raise ArgumentError(
                f"Input '{slot.name}' has axes of unknown length, {slot.shape}; say how long they "
                "are with input_size=(height, width) (--input-size 224 224)."
            )
        made.append(np.zeros((batch, *shape), slot.dtype))
    return made


@cache
def machine() -> str:
    """Return the processor and its cores, in words.

    >>> machine().endswith("core(s)")
    True
    """
    name = platform.processor() or platform.machine()
    processor = Path("/proc/cpuinfo")
    if processor.is_file():
        lines = processor.read_text("utf-8", "replace").splitlines()
        models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        name = next(models, name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.system()} {platform.machine()}, {name}, {cores} core(s)"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"
