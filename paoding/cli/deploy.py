"""``paoding latency``, ``latency-table``, ``sweep``: milliseconds, and the front of many runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paoding.cli.models import load, load_with_data, parse_attacks
from paoding.cli.options import (
    AttackOption,
    DataOption,
    InputSizeOption,
    JsonOption,
    ModelArgument,
)
from paoding.cli.output import console, print_json, table, working
from paoding.effort import STEP
from paoding.errors import ArgumentError
from paoding.files.atomic import refuse_unwritable

if TYPE_CHECKING:
    from paoding.deploy.front import Front


class Runtime(StrEnum):
    """What computes."""

    keras = "keras"
    onnxruntime = "onnxruntime"
    litert = "litert"


def latency(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A model, or a .tflite or .onnx file.", show_default=False
        ),
    ],
    runtime: Annotated[
        Runtime | None,
        typer.Option(help="What computes; keras for a model.", show_default=False),
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads that the runtime may use.")] = 1,
    batch: Annotated[int, typer.Option(help="Samples in one call.")] = 1,
    input_size: InputSizeOption = None,
    json_only: JsonOption = False,
) -> None:
    """Measure how long a model takes on this machine, in the runtime that will serve it."""
    import paoding

    with working():
        found = paoding.latency(
            load(model, exported=True),
            None if runtime is None else runtime.value,
            threads,
            batch,
            input_size=numbers(input_size),
        )
    if json_only:
        print_json(found.to_dict())
    else:
        print(found)


def latency_table(
    model: ModelArgument,
    out: Annotated[Path, typer.Option(metavar="TABLE.csv", help="A new file.", show_default=False)],
    runtime: Annotated[Runtime, typer.Option(help="What computes.")] = Runtime.litert,
    json_only: JsonOption = False,
) -> None:
    """Measure each group's layers at several widths, for `paoding prune --budget latency`."""
    import paoding

    refuse_unwritable(out)
    with working():
        found = paoding.latency_table(load(model), runtime.value)
        found.save(out)
    if json_only:
        print_json(found.to_dict())
        return
    rows = table("group", "width", "milliseconds")
    for name, _, width, seconds in found.rows:
        rows.add_row(name, f"{width:,}", f"{1000 * seconds:.4g}")
    console().print(rows)
    print(f"The whole model: {1000 * found.total:.4g} ms in {runtime.value}, on {found.machine}.")
    print(f"Saved in {out}.")


def sweep(
    model: ModelArgument,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Where runs are kept; with an unfinished sweep, the rest is computed.",
            show_default=False,
        ),
    ],
    targets: Annotated[
        str, typer.Option(help="Shares of units to remove, with commas.")
    ] = "0.25,0.5,0.75",
    seeds: Annotated[int, typer.Option(help="How many seeds each.")] = 1,
    allocation: Annotated[
        str, typer.Option(help="uniform or global; several with commas.")
    ] = "uniform",
    quantize: Annotated[
        str,
        typer.Option(help="float32, float16, dynamic or int8; several with commas."),
    ] = "float32",
    data: DataOption = None,
    attack: AttackOption = None,
    runtime: Annotated[Runtime, typer.Option(help="What latency is measured in.")] = Runtime.keras,
    workers: Annotated[int, typer.Option(help="Processes on this machine.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A Dask cluster to compute on, such as tcp://10.0.0.1:8786.",
            show_default=False,
        ),
    ] = None,
    step: Annotated[float, typer.Option(help="Share to remove in one step.")] = STEP,
    compensation: Annotated[
        str, typer.Option(help="What the survivors take over.")
    ] = "least-squares",
    distil: Annotated[
        int | None,
        typer.Option(help="Steps in which all survivors are tuned at the end.", show_default=False),
    ] = None,
    round_to: Annotated[int, typer.Option(help="Leave a multiple of this many units.")] = 1,
    budget: Annotated[
        str,
        typer.Option(help="What targets are shares of: units, parameters, flops or latency."),
    ] = "units",
    effort: Annotated[
        str, typer.Option(help="How much work each run may do: fast, normal or best.")
    ] = "normal",
    json_only: JsonOption = False,
) -> None:
    """Prune in many ways at once; show what each costs and is worth, and the best of them."""
    import paoding

    shares = [share(text) for text in words(targets)]
    kinds = [None if kind == "float32" else kind for kind in words(quantize)]
    with working():
        loaded, xy = load_with_data(model, data)
        with _live(json_only) as tell:
            front = paoding.sweep(
                loaded,
                shares,
                seeds,
                words(allocation),
                kinds,
                data=xy,
                client=scheduler,
                out=out,
                attacks=parse_attacks(attack),
                runtime=runtime.value,
                workers=workers,
                on_run=tell,
                step=step,
                compensation=compensation,
                distil=distil,
                round_to=round_to,
                budget=budget,
                effort=effort,
            )
    if json_only:
        rows = [front.point(k).values for k in front.table.index]
        print_json({"rows": rows, "failed": front.failed, "machine": front.machine})
    else:
        _print_front(front)


class _live:  # noqa: N801 (used as a function is)
    """A table on standard error that grows with every run that is finished."""

    def __init__(self, quiet: bool) -> None:
        import sys

        from rich.live import Live

        terminal = console(sys.stderr)
        self._show = not quiet and terminal.is_terminal
        self._rows = table("run", "accuracy", "agreement", "robust", "seconds")
        self._live = Live(self._rows, console=terminal, transient=True)

    def __enter__(self) -> Any:
        if self._show:
            self._live.start()
        return self._tell

    def __exit__(self, *_: Any) -> None:
        if self._show:
            self._live.stop()

    def _tell(self, done: int, total: int, rows: Any) -> None:
        if isinstance(rows, str):
            self._rows.add_row(rows, "", "", "", "")
        for row in rows if isinstance(rows, list) else ():
            shown = [row[k] for k in ("accuracy", "agreement", "robust_accuracy", "seconds")]
            self._rows.add_row(f"{row['run']} {row['quantize']}", *map(_number, shown))
        self._rows.title = f"{done} of {total} runs"


def _print_front(front: Front) -> None:
    best = set(front.front().index)
    columns = ("target", "seed", "allocation", "quantize", front.quality)
    rows = table(*columns, "latency (ms)", "bytes", "parameters", "front")
    for index, row in front.table.iterrows():
        cells = [_number(row[name]) for name in columns]
        rows.add_row(
            *cells,
            _number(1000 * row.latency) if "latency" in row else "",
            f"{row['bytes']:,.0f}",
            f"{row.parameters:,.0f}",
            "*" if index in best else "",
        )
    console().print(rows)
    for name, why in front.failed.items():
        print(f"{name} failed: {why}")
    if front.machine:
        print(f"Latency: {front.runtime}, one sample, on this machine: {front.machine}.")
    knee = front.knee()
    print(f"The knee of the front is {knee.values['run']} ({knee.values['quantize']}).")
    print(f"Kept in {front.folder}; paoding.Front.load reads it.")


def _number(value: Any) -> str:
    if value is None or value != value:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def words(text: str) -> list[str]:
    """Return what stands between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def share(text: str) -> float:
    """Return a number, or say which is none."""
    try:
        return float(text)
    except ValueError:
        raise ArgumentError(f"{text!r} is no number; give shares such as 0.25,0.5.") from None


def numbers(text: str | None) -> tuple[int, ...] | None:
    """Return lengths such as ``224x224``, or say what is none."""
    if text is None:
        return None
    parts = text.replace("x", ",").split(",")
    if not all(part.strip().isdigit() for part in parts):
        raise ArgumentError(f"--input-size {text!r} must be lengths such as 224x224.")
    return tuple(int(part) for part in parts)
