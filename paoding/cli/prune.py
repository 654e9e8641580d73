"""``paoding prune`` and ``paoding replay``: from a model to the folder of a finished run."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paoding.cli.job import Case, Stopped, run_with_progress, show_result
from paoding.cli.options import (
    AttackOption,
    DataOption,
    DomainOption,
    JsonOption,
    ModelArgument,
    SelfCheckOption,
)
from paoding.cli.output import say, working
from paoding.effort import STEP
from paoding.files.atomic import refuse_unwritable

if TYPE_CHECKING:
    import keras

    from paoding.strategies import Strategy


class StrategyName(StrEnum):
    """The strategies of paoding.strategies, by their names in lower case."""

    annealing = "annealing"
    impact = "impact"
    saliency = "saliency"
    magnitude = "magnitude"


def prune(
    model: ModelArgument,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="A new folder for the results.", show_default=False)
    ],
    target: Annotated[
        float | None,
        typer.Option(
            help="Share of each group's units to remove: by default 0.5, or as far as --keep "
            "allows.",
            show_default=False,
        ),
    ] = None,
    target_latency: Annotated[
        float | None,
        typer.Option(
            help="Instead of --target: the share of the time in --runtime that may be left.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        float | None,
        typer.Option(
            help="Stop before the estimated share of answers like the original's falls below this, "
            "say 0.98.",
            show_default=False,
        ),
    ] = None,
    step: Annotated[float, typer.Option(help="Share to remove in one step.")] = STEP,
    strategy: Annotated[StrategyName, typer.Option(help="Who goes next.")] = StrategyName.annealing,
    compensation: Annotated[
        str,
        typer.Option(
            help="What the survivors take over: least-squares, merge, scaled-merge, folding, mean "
            "or none."
        ),
    ] = "least-squares",
    domain: DomainOption = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.")] = 0,
    data: DataOption = None,
    attack: AttackOption = None,
    alpha: Annotated[float, typer.Option(help="Weight of how much the outputs move.")] = 0.75,
    beta: Annotated[float, typer.Option(help="Weight of how unevenly they move.")] = 0.25,
    energy: Annotated[
        str, typer.Option(help="estimated, log (certified) or paper (it saturates).")
    ] = "estimated",
    allocation: Annotated[
        str,
        typer.Option(
            help="uniform: every group to the target; global: most where the outputs feel it least."
        ),
    ] = "uniform",
    budget: Annotated[
        str,
        typer.Option(
            help="What the target is a share of: units, parameters or flops (with "
            "global), or latency."
        ),
    ] = "units",
    runtime: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|TABLE.csv",
            help="With --target-latency: litert, onnxruntime or keras on this machine, or what "
            "`paoding latency-table` wrote on the device.",
            show_default=False,
        ),
    ] = None,
    lossless_first: Annotated[
        bool,
        typer.Option("--lossless-first", help="Begin with the units that provably never matter."),
    ] = False,
    lock: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAYER",
            help="Leave it alone: a name, type or pattern. May be repeated.",
            show_default=False,
        ),
    ] = None,
    layer_target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SHARE",
            help="Another target for one group. May be repeated.",
            show_default=False,
        ),
    ] = None,
    round_to: Annotated[int, typer.Option(help="Leave a multiple of this many units.")] = 1,
    floor: Annotated[int, typer.Option(help="Leave at least this many units.")] = 1,
    recursive: Annotated[
        bool, typer.Option(help="Whether a unit that took another over may be touched again.")
    ] = True,
    inexact: Annotated[
        bool,
        typer.Option("--inexact", help="Also prune through LayerNormalization and its kin."),
    ] = False,
    prior: Annotated[
        str | None,
        typer.Option(
            help="What synthetic inputs look like: blobs, dead-leaves, spectra, mixture (of these "
            "three), signals, table, uniform, tokens or zipf; chosen for the model by default.",
            show_default=False,
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="An .npz file with 16 to 4096 real inputs, without labels (its array x, or one "
            "for each input), or a folder of images. They take the place of synthetic ones.",
            show_default=False,
        ),
    ] = None,
    distil: Annotated[
        int | None,
        typer.Option(
            help="Steps in which all survivors are tuned together at the end; 0: none. By default "
            "what the model's cost allows, after least squares.",
            show_default=False,
        ),
    ] = None,
    effort: Annotated[
        str, typer.Option(help="How much work there may be: fast, normal or best.")
    ] = "normal",
    samples: Annotated[
        int | None,
        typer.Option(help="How many synthetic inputs compensation draws.", show_default=False),
    ] = None,
    bounds: Annotated[
        str,
        typer.Option(
            help="How the certificate is worked out: interval, or linear (tighter, slow)."
        ),
    ] = "interval",
    check: SelfCheckOption = None,
    keep_original: Annotated[
        bool,
        typer.Option("--keep-original", help="Save the model before, too: the run can go on."),
    ] = False,
    json_only: JsonOption = False,
) -> None:
    """Remove units of a model step by step, and save it with its plan and its report."""
    targets = dict(_layer_target(text) for text in layer_target or ())
    refuse_unwritable(out)
    import paoding
    from paoding.synthetic.legal import misfit

    with working():
        box = None if domain is None else paoding.Box(*domain)
        case = Case.of(model, data, attack)
        pruner = paoding.Pruner(
            case.original,
            target=target,
            target_latency=target_latency,
            step=step,
            strategy=_strategy(strategy, alpha, beta, energy),
            compensation=compensation,
            domain=box,
            seed=seed,
            recursive=recursive,
            targets=targets,
            locked=lock or (),
            round_to=round_to,
            floor=floor,
            inexact=inexact,
            prior=prior,
            calibration=calibration,
            samples=samples,
            bounds=bounds,
            allocation=allocation,
            budget=budget,
            lossless_first=lossless_first,
            distil=distil,
            keep=keep,
            runtime=_runtime(case.original, runtime),
            effort=effort,
        )
        arrays = case.xy is not None and not isinstance(case.xy[0], Path)
        warning = (
            "" if not arrays or case.xy is None else misfit(pruner.graph, pruner.boxes, case.xy[0])
        )
        if warning:
            say(f"{warning} (--domain LO HI)")
        complete = run_with_progress(pruner)
        result = pruner.result()
        outcome = case.finish(result, out, check, keep_original, complete)
    show_result(outcome, json_only)
    if not complete:
        raise Stopped(
            f"stopped after {len(result.steps)} steps, {pruner.progress:.0%} of the way; "
            f"what was done until then is in {out}"
        )


def replay(
    model: ModelArgument,
    plan: Annotated[
        Path,
        typer.Argument(
            metavar="PLAN",
            help="A plan.json; or the folder of a run, whose weights are taken over at once.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="A new folder for the results.", show_default=False)
    ],
    data: DataOption = None,
    attack: AttackOption = None,
    check: SelfCheckOption = None,
    json_only: JsonOption = False,
) -> None:
    """Do a saved plan again on the model that it was made for, bit for bit."""
    refuse_unwritable(out)
    import paoding

    with working():
        steps = paoding.PruningResult.load(plan) if plan.is_dir() else paoding.Plan.load(plan)
        case = Case.of(model, data, attack)
        outcome = case.finish(paoding.replay(case.original, steps), out, check)
    show_result(outcome, json_only)


def _layer_target(text: str) -> tuple[str, float]:
    name, _, share = text.rpartition("=")
    with contextlib.suppress(ValueError):
        if name:
            return name, float(share)
    raise typer.BadParameter(f"{text!r} is not of the form NAME=SHARE, such as dense_1=0.3.")


def _runtime(model: keras.Model, text: str | None) -> Any:
    """The runtime's name, or the table that a file holds."""
    if text is None or not text.endswith(".csv"):
        return text
    import paoding

    return paoding.latency_table(model, source=text)


def _strategy(name: StrategyName, alpha: float, beta: float, energy: str) -> Strategy:
    from paoding import strategies

    if name in (StrategyName.impact, StrategyName.annealing):
        return strategies.get(name.value, alpha=alpha, beta=beta, energy=energy)
    return strategies.get(name.value)  # the others look at no energy
