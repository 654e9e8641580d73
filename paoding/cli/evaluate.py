"""``paoding evaluate``: quality, robustness under attack, and cost of a model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from paoding.cli.deploy import Runtime
from paoding.cli.models import load, load_with_data, parse_attacks
from paoding.cli.options import AttackOption, DataOption, JsonOption, ModelArgument
from paoding.cli.output import print_json, working
from paoding.errors import ArgumentError


def evaluate(
    model: ModelArgument,
    data: DataOption = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="ORIGINAL",
            help="The model before pruning, to compare with.",
            show_default=False,
        ),
    ] = None,
    attack: AttackOption = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="classification, multi-label, regression, segmentation, tagging, embedding or "
            "reconstruction; chosen for the model and the labels by default.",
            show_default=False,
        ),
    ] = None,
    domain: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LO HI",
            help="Range that attacked inputs keep to; by default the data's own.",
            show_default=False,
        ),
    ] = None,
    certify: Annotated[
        float | None,
        typer.Option(
            metavar="EPS",
            help="With --reference: the share of samples whose class provably stays the "
            "original's within EPS of them.",
            show_default=False,
        ),
    ] = None,
    runtime: Annotated[
        Runtime | None,
        typer.Option(
            help="Write the model for litert or onnxruntime, and measure that file.",
            show_default=False,
        ),
    ] = None,
    json_only: JsonOption = False,
) -> None:
    """Measure a model's accuracy, its robustness under attack, and its cost.

    MODEL may be a .tflite or .onnx file: what is measured is then that file.
    """
    import paoding

    with working(), tempfile.TemporaryDirectory(prefix="paoding-") as folder:
        clip = None if domain is None else paoding.Box(*domain)
        judged, xy = load_with_data(model, data, exported=True)
        if xy is None:
            raise ArgumentError("Evaluation needs data: give --data XY.npz with arrays x and y.")
        if certify is not None and not reference:
            raise ArgumentError("--certify compares with the original: give --reference ORIGINAL.")
        original = load(reference) if reference else None
        if runtime not in (None, Runtime.keras):
            judged, original = written(judged, runtime.value, folder), original or judged
        from paoding.bounds.robust import certify as judge  # late: it loads TensorFlow

        report = paoding.evaluate(
            judged,
            *xy,
            reference=original,
            attacks=parse_attacks(attack),
            clip=clip,
            task=task,
            certify=None if certify is None else judge(certify, clip),
        )
    if json_only:
        print_json(report.to_dict())
    else:
        print(report)


def written(model: Any, runtime: str, folder: str) -> Any:
    """Return the file that a runtime reads, of a model; a file is what it is."""
    if not hasattr(model, "weights"):
        return model
    import paoding
    from paoding.evaluation.runtimes import SUFFIXES, require_runtime

    require_runtime(runtime)
    suffix = SUFFIXES[runtime]
    path = Path(folder) / f"{model.name}{suffix}"
    return paoding.export(model, path, format=suffix.removeprefix("."))
