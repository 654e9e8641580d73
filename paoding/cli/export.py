"""``paoding export``: a model for a phone, a browser or another framework."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from paoding.cli.deploy import numbers
from paoding.cli.models import load_with_data
from paoding.cli.options import (
    DataOption,
    DomainOption,
    InputSizeOption,
    JsonOption,
    ModelArgument,
)
from paoding.cli.output import print_json, working
from paoding.files.atomic import refuse_unwritable


class Format(StrEnum):
    """What a model can be exported to."""

    tflite = "tflite"
    onnx = "onnx"


class Quantization(StrEnum):
    """Smaller numbers for an exported model."""

    float16 = "float16"
    dynamic = "dynamic"
    int8 = "int8"


def export(
    model: ModelArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="A new file.", show_default=False)],
    format: Annotated[
        Format | None,
        typer.Option(help="What to write; by default as FILE ends.", show_default=False),
    ] = None,
    quantize: Annotated[
        Quantization | None,
        typer.Option(
            help="Smaller numbers: float16 (tflite), dynamic (weights in 8 bits) or int8.",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
    domain: DomainOption = None,
    input_size: InputSizeOption = None,
    json_only: JsonOption = False,
) -> None:
    """Write a model for a phone, a browser or another framework."""
    refuse_unwritable(out)
    from paoding.domain import Box

    with working():
        box = None if domain is None else Box(*domain)
        judged, xy = load_with_data(model, data)
        from paoding.deploy.export import UNCERTIFIED, format_of  # late: it loads TensorFlow
        from paoding.deploy.export import export as write

        write(
            judged,
            out,
            format=format and format.value,
            quantize=quantize and quantize.value,
            # A zoo model's own data is for evaluation; only data that is given calibrates int8.
            calibration=None if data is None or xy is None else xy[0],
            domain=box,
            input_size=numbers(input_size),
        )
    size = out.stat().st_size
    if json_only:
        written = format.value if format else format_of(out)
        print_json({"out": str(out), "format": written, "bytes": size})
    else:
        print(f"{out}: {size:,} bytes")
        if quantize:
            print(UNCERTIFIED)
