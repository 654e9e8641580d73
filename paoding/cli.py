"""The command line: inspect, prune, evaluate and export models without writing Python.

Nothing here imports TensorFlow before a model has to be loaded, so that help and most mistakes
answer at once. What a program reads goes to standard output; progress and errors to standard
error.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paoding import __version__
from paoding.errors import ArgumentError, OutputExistsError, PaodingError

if TYPE_CHECKING:
    import keras
    from rich.console import Console

    from paoding.domain import Box
    from paoding.evaluation import Report
    from paoding.evaluation.self_check import SelfCheck
    from paoding.graph import Graph
    from paoding.pruning.pruner import Pruner
    from paoding.pruning.result import PruningResult

FAILED = 1  # 0 is done; 2, wrong usage, is typer's own
ZOO = "zoo:"
# Set it to see where a fault happened, and what TensorFlow says while it works.
DEBUG = "PAODING_DEBUG"
# Of a table whose reader is a file or a program, which has no width of its own.
PLAIN_WIDTH = 120

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Make pretrained Keras networks smaller without their data, and say what it costs.",
    epilog="MODEL is a .keras or .h5 file, or a model of the zoo, such as zoo:mnist-mlp.",
)


class Strategy(StrEnum):
    """The strategies of paoding.strategies, by their names in lower case."""

    annealing = "annealing"
    impact = "impact"
    saliency = "saliency"
    magnitude = "magnitude"


class Format(StrEnum):
    """What a model can be exported to."""

    tflite = "tflite"
    onnx = "onnx"


class Quantization(StrEnum):
    """Smaller numbers for an exported model."""

    float16 = "float16"
    int8 = "int8"


class Stopped(BaseException):
    """The user pressed Ctrl-C; not an Exception, so that no library swallows it."""


ModelArgument = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A .keras or .h5 file, or zoo:NAME.", show_default=False),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        metavar="XY.npz",
        help="Arrays x and y, or by the names of inputs and outputs; a folder with one folder of "
        "images for each class; or zoo:NAME. A model of the zoo brings its own.",
        show_default=False,
    ),
]
AttackOption = Annotated[
    list[str] | None,
    typer.Option(
        "--attack",
        metavar="NAME:EPS",
        help="fgsm:EPS or pgd:EPS[:STEPS[:RESTARTS]]. May be repeated.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
SelfCheckOption = Annotated[
    bool | None,
    typer.Option(
        "--self-check/--no-self-check",
        help="Estimate without data how often the result still answers like the original; by "
        "default where that takes seconds.",
        show_default=False,
    ),
]
DomainOption = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="LO HI",
        help="Least and greatest legal input; by default what the first layers tell, else 0 1.",
        show_default=False,
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_version),
    ] = False,
) -> None:
    """Hold the options that belong to no command."""


@app.command()
def inspect(
    model: ModelArgument,
    groups: Annotated[
        bool, typer.Option("--groups", help="Show what is tied to each group, and why.")
    ] = False,
    json_only: JsonOption = False,
) -> None:
    """Show which units of a model can be pruned together, and why the rest cannot."""
    import paoding

    with working():
        loaded = load(model)  # first, since reading ``paoding.inspect`` already loads TensorFlow
        graph = paoding.inspect(loaded)
    if json_only:
        print_json(graph.to_dict())
    elif groups:
        print(graph)
    else:
        print_graph(graph)


@app.command()
def prune(
    model: ModelArgument,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="A new folder for the results.", show_default=False)
    ],
    target: Annotated[float, typer.Option(help="Share of each group's units to remove.")] = 0.5,
    step: Annotated[float, typer.Option(help="Share to remove in one step.")] = 1 / 32,
    strategy: Annotated[Strategy, typer.Option(help="Who goes next.")] = Strategy.annealing,
    compensation: Annotated[
        str,
        typer.Option(
            help="What the survivors take over: least-squares, merge, scaled-merge, mean or none."
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
            help="uniform: every group to the target; global: most where the outputs feel it "
            "least; annealed: global, then searched."
        ),
    ] = "uniform",
    budget: Annotated[
        str,
        typer.Option(
            help="With global and annealed: the target is a share of units, parameters or flops."
        ),
    ] = "units",
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
            "three), signals, table, uniform, tokens or zipf; told from the model by default.",
            show_default=False,
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="An .npz file with 16 to 4096 real inputs, without labels: its array x, or one "
            "for each input. They take the place of synthetic ones.",
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
    from paoding.files.data import load_inputs
    from paoding.synthetic.legal import misfit

    with working():
        box = None if domain is None else paoding.Box(*domain)
        case = Case.of(model, data, attack)
        pruner = paoding.Pruner(
            case.original,
            target=target,
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
            calibration=None if calibration is None else load_inputs(calibration),
            samples=samples,
            bounds=bounds,
            allocation=allocation,
            budget=budget,
            lossless_first=lossless_first,
            distil=distil,
        )
        arrays = case.xy is not None and not isinstance(case.xy[0], Path)
        warning = (
            "" if not arrays or case.xy is None else misfit(pruner.graph, pruner.boxes, case.xy[0])
        )
        if warning:
            tell(f"{warning} (--domain LO HI)")
        complete = run_with_progress(pruner)
        result = pruner.result()
        told = case.finish(result, out, check, keep_original, complete)
    show_result(told, json_only)
    if not complete:
        raise Stopped(
            f"stopped after {len(result.steps)} steps, {pruner.progress:.0%} of the way; "
            f"what was done until then is in {out}"
        )


@app.command()
def replay(
    model: ModelArgument,
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan.json.", show_default=False)],
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
        steps = paoding.Plan.load(plan)
        case = Case.of(model, data, attack)
        told = case.finish(paoding.replay(case.original, steps), out, check)
    show_result(told, json_only)


@app.command()
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
            "reconstruction; told from the model and the labels by default.",
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
    json_only: JsonOption = False,
) -> None:
    """Measure a model's accuracy, its robustness under attack, and its cost."""
    import paoding

    with working():
        clip = None if domain is None else paoding.Box(*domain)
        judged, xy = load_with_data(model, data)
        if xy is None:
            raise ArgumentError("Evaluation needs data: give --data XY.npz with arrays x and y.")
        if certify is not None and not reference:
            raise ArgumentError("--certify compares with the original: give --reference ORIGINAL.")
        original = load(reference) if reference else None
        report = paoding.evaluate(
            judged,
            *xy,
            reference=original,
            attacks=parse_attacks(attack),
            clip=clip,
            task=task,
            certify=None if certify is None else certifier(certify, clip),
        )
    if json_only:
        print_json(report.to_dict())
    else:
        print(report)


@app.command()
def export(
    model: ModelArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="A new file.", show_default=False)],
    format: Annotated[Format, typer.Option(help="What to write.")] = Format.tflite,
    quantize: Annotated[
        Quantization | None, typer.Option(help="Smaller numbers (tflite).", show_default=False)
    ] = None,
    data: DataOption = None,
    domain: DomainOption = None,
    json_only: JsonOption = False,
) -> None:
    """Write a model for a phone, a browser or another framework."""
    refuse_unwritable(out)
    from paoding.domain import Box

    with working():
        box = None if domain is None else Box(*domain)
        judged, xy = load_with_data(model, data)
        from paoding.deploy.export import export as write  # late: it loads TensorFlow

        write(
            judged,
            out,
            format=format.value,
            quantize=quantize and quantize.value,
            # A zoo model's own data is for evaluation; only data that is given calibrates int8.
            calibration=None if data is None or xy is None else xy[0],
            domain=box,
        )
    size = out.stat().st_size
    if json_only:
        print_json({"out": str(out), "format": format.value, "bytes": size})
    else:
        print(f"{out}: {size:,} bytes")


@app.command()
def zoo(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One of them.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Copy the model to a .keras file.", show_default=False),
    ] = None,
    data_out: Annotated[
        Path | None,
        typer.Option(metavar="XY.npz", help="Copy its evaluation data.", show_default=False),
    ] = None,
    json_only: JsonOption = False,
) -> None:
    """List the pretrained models that come with Paoding, or copy one."""
    from paoding import zoo as shelf

    if name is None:
        if out or data_out:
            raise typer.BadParameter("say which model: paoding zoo NAME --out FILE")
        print_zoo(json_only)
        return
    for path in (out, data_out):
        if path:
            refuse_unwritable(path)
    with working():
        copied, split = shelf.load(name)
        entry = {
            "name": name,
            "parameters": copied.count_params(),
            "input": list(copied.input_shape[1:]),
            "samples": len(split.x),
            **_copied(copied, split, out, data_out),
        }
    if json_only:
        print_json(entry)
    else:
        print(*(f"{key}: {value}" for key, value in entry.items()), sep="\n")


def _copied(
    model: keras.Model, data: Any, out: Path | None, data_out: Path | None
) -> dict[str, str]:
    import numpy as np

    from paoding.files.atomic import output_file
    from paoding.files.models import save_model

    done = {}
    if out:
        done["out"] = str(save_model(model, out))
    if data_out:
        with output_file(data_out) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, x=data.x, y=data.y)
        done["data"] = str(data_out)
    return done


# -- what commands share ---------------------------------------------------------------------------


def load(reference: str) -> keras.Model:
    """Return the model that a file or ``zoo:NAME`` names."""
    import paoding

    if reference.startswith(ZOO):
        return paoding.zoo.load(reference.removeprefix(ZOO))[0]
    return paoding.load_model(reference)


def load_with_data(reference: str, data: str | None) -> tuple[keras.Model, tuple[Any, Any] | None]:
    """Return the model, and the data if it is given or if the model of the zoo brings it."""
    import paoding
    from paoding.files.data import load_arrays, load_data

    # Data first: reading it is quick, and shows at once when it is not there.
    source = data or (reference if reference.startswith(ZOO) else None)
    if source is None:
        return load(reference), None
    if source.startswith(ZOO):
        split = paoding.zoo.load(source.removeprefix(ZOO))[1]
        return load(reference), (split.x, split.y)
    path = Path(source)
    if path.is_dir():
        return load(reference), (path, None)  # images, read in the model's size
    if path.is_file() and "x" not in (held := load_arrays(path)) and "y" not in held:
        return load(reference), (path, None)  # arrays by the names of inputs and outputs
    xy = load_data(source)
    return load(reference), xy


@dataclass(frozen=True)
class Case:
    """The model to prune, with what to judge the result by: data and attacks, or neither."""

    original: keras.Model
    xy: tuple[Any, Any] | None
    attacks: list[Any]

    @classmethod
    def of(cls, model: str, data: str | None, attack: list[str] | None) -> Case:
        """Load everything, and say that data does not fit before the work, not after it."""
        from paoding.evaluation import check

        original, xy = load_with_data(model, data)
        attacks = parse_attacks(attack)
        if attacks and xy is None:
            raise ArgumentError("An attack needs data: give --data XY.npz with arrays x and y.")
        if xy is not None:
            check(original, *xy)
        return cls(original, xy, attacks)

    def finish(
        self,
        result: PruningResult,
        out: Path,
        check: bool | None,
        keep_original: bool = False,
        complete: bool = True,
    ) -> Told:
        """Judge the result by what there is, save the run, and return what to tell."""
        import paoding

        report = None
        if self.xy is not None:
            report = paoding.evaluate(
                result.model, *self.xy, reference=self.original, attacks=self.attacks
            )
        checked = self_checked(result, check)
        out = save_somewhere(
            out,
            lambda to: result.save(
                to, evaluation=report, selfcheck=checked, original=keep_original
            ),
        )
        plain = result.summary(report, checked)
        return Told({"out": str(out), "complete": complete, **plain}, report, checked)


def save_somewhere(out: Path, save: Callable[[Path], None]) -> Path:
    """Save a finished run; where that fails, ask for another place, or take a temporary one.

    Returns:
        Where it was saved.
    """
    while True:
        try:
            save(out)
            return out
        except (OSError, ArgumentError, OutputExistsError) as error:
            why = f"cannot write the finished run to {out}: {_why(error)}"
        if sys.stdin is None or not sys.stdin.isatty():
            break
        tell(f"{why}; it is kept in memory.")
        print("Another folder for --out (empty to give up): ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline().strip()
        if not answer:
            break
        out = Path(answer)
    spare = Path(tempfile.mkdtemp(prefix="paoding-")) / out.name
    save(spare)
    tell(f"{why}; it was saved in {spare} instead.")
    return spare


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")


@dataclass(frozen=True)
class Told:
    """What a run came to: plain values, and what prints itself."""

    plain: dict[str, Any]
    report: Report | None
    checked: SelfCheck | None


def self_checked(result: PruningResult, wanted: bool | None) -> SelfCheck | None:
    """Return the self-check where it is wanted, or where nobody said and it takes seconds."""
    from paoding.evaluation import cost
    from paoding.evaluation.self_check import quick_samples

    samples = quick_samples(cost(result.graph.model, latency=False).flops)
    if wanted is False or (wanted is None and not samples):
        return None
    try:
        return result.selfcheck(samples) if samples else result.selfcheck()
    except Exception as error:  # what only tells about a result may not lose it
        tell(f"the self-check failed ({type(error).__name__}: {error}); the result is saved.")
        return None


def parse_attacks(texts: list[str] | None) -> list[Any]:
    """Return the attacks that ``--attack`` names."""
    from paoding.evaluation import parse

    return [parse(text) for text in texts or ()]


def certifier(eps: float, clip: Box | None) -> Any:
    """Return what tells of each sample whether its class provably stays."""
    from paoding.bounds.robust import certify

    return certify(eps, clip)


def refuse_unwritable(path: Path) -> None:
    """Say that an output cannot be written before hours of work, not after them."""
    from paoding.files import atomic

    atomic.refuse_unwritable(path)


def run_with_progress(pruner: Pruner) -> bool:
    """Run every step with a bar on standard error; False when Ctrl-C ended it early."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("pruning"), BarColumn(), TextColumn("{task.description}"))
    asked, last = False, ""

    def ask(*_: Any) -> None:
        nonlocal asked
        if asked:
            raise Stopped("stopped; nothing was written")
        asked = True
        if pruner.progress >= 1:
            tell("the last fit is finished first; press Ctrl-C again to give everything up.")
        pruner.stop()

    before = signal.signal(signal.SIGINT, ask)
    try:
        with Progress(*columns, TimeRemainingColumn(), console=console(sys.stderr)) as bar:
            task = bar.add_task("", total=1.0)
            pruner.watch = lambda what, share: bar.update(
                task, description=f"{last}{what}, {share:.0%}"
            )
            for step in pruner:
                last = f"step {step.index}; "
                bar.update(
                    task,
                    completed=step.progress,
                    description=f"step {step.index}, {step.progress:.0%}",
                )
            if not asked:
                _ = pruner.state  # survivors are fitted and distilled when they are asked for
    finally:
        pruner.watch = None
        signal.signal(signal.SIGINT, before)
    if not pruner.steps and asked:
        raise Stopped("stopped before the first step was done; nothing was written")
    return not asked or pruner.progress >= 1


@contextlib.contextmanager
def working() -> Iterator[None]:
    """Keep the chatter of libraries off standard output, and warn in one line."""
    with contextlib.ExitStack() as stack:
        if not os.environ.get(DEBUG):
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", category=UserWarning, module=r"paoding")
            warnings.showwarning = _warn
        yield


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    tell(f"warning: {message}")


# -- what options mean -----------------------------------------------------------------------------


def _layer_target(text: str) -> tuple[str, float]:
    name, _, share = text.rpartition("=")
    with contextlib.suppress(ValueError):
        if name:
            return name, float(share)
    raise typer.BadParameter(f"{text!r} is not of the form NAME=SHARE, such as dense_1=0.3.")


def _strategy(name: Strategy, alpha: float, beta: float, energy: str) -> Any:
    from paoding import strategies

    if name in (Strategy.impact, Strategy.annealing):
        return strategies.get(name.value, alpha=alpha, beta=beta, energy=energy)
    return strategies.get(name.value)  # the others look at no energy


# -- what is printed -------------------------------------------------------------------------------


def console(file: Any = None) -> Console:
    """Return a terminal for ``file``; one that is no terminal is wide enough for every table."""
    from rich.console import Console

    file = file or sys.stdout
    width = PLAIN_WIDTH
    if file.isatty():  # asked of the stream itself, since descriptors 1 and 2 are TensorFlow's
        width = os.get_terminal_size(file.fileno()).columns
    return Console(file=file, highlight=False, width=width or None)


def table(*columns: str, title: str | None = None) -> Any:
    """Return an empty table: the first column names, the others hold numbers at the right."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left", overflow="fold")
    return made


def print_graph(graph: Graph) -> None:
    """Print one line for each group, then what cannot be pruned and why."""
    rows = table("group", "units", "may go", "parameters", "FLOPs", "layers")
    for group in graph.groups:
        rows.add_row(
            group.name,
            f"{group.units:,}",
            f"{int(group.removable.sum()):,}",
            f"{group.parameters:,}",
            f"{group.flops:,}",
            f"{len(group.layers):,}",
        )
    terminal = console()
    terminal.print(rows)
    kept = [
        f"  {group.name}: {group.units - int(group.removable.sum()):,} units stay: {group.reason}"
        for group in graph.groups
        if not group.removable.all()
    ]
    kept += [f"  {name}: {reason}" for name, reason in graph.unknown.items()]
    if kept:
        print("What stays, and why:", *kept, sep="\n")
    units = sum(int(group.removable.sum()) for group in graph.prunable)
    print(f"{len(graph.prunable)} of {len(graph.groups)} groups can be pruned, {units:,} units.")


def print_zoo(json_only: bool) -> None:
    """List the models of the zoo, which needs none of them to be loaded."""
    from paoding import zoo as shelf

    entries = shelf.describe()
    if json_only:
        print_json(entries)
        return
    rows = table("model", "")
    rows.columns[1].justify = "left"
    for name, description in entries.items():
        rows.add_row(f"{ZOO}{name}", description)
    console().print(rows)


def show_result(told: Told, json_only: bool) -> None:
    """Print what a run came to: units per group, cost, and what judged it."""
    if json_only:
        print_json(told.plain)
        return
    plain = told.plain
    rows = table("group", "units before", "after", "removed")
    for layer in plain["layers"]:
        if layer["left"] < layer["units"]:
            gone = f"{1 - layer['left'] / layer['units']:.0%}"
            rows.add_row(layer["layer"], f"{layer['units']:,}", f"{layer['left']:,}", gone)
    console().print(rows)
    if told.report:
        print(told.report)
    else:
        print_costs(plain["before"], plain["after"])
    removed = sum(step["removed"] for step in plain["steps"])
    print(f"{removed:,} units removed in {len(plain['steps'])} steps. {certified(plain)}")
    if plain["prior"]:
        print(plain["prior"])
    if told.checked:
        print(f"Self-check without data: {told.checked}.")
    print(f"Saved in {plain['out']}.")


def print_costs(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Print what needs no data: parameters, FLOPs and bytes."""
    rows = table("", "before", "after", "removed")
    for key in ("parameters", "flops", "bytes"):
        if before.get(key):
            gone = f"{1 - after[key] / before[key]:.1%}"
            rows.add_row(key, f"{before[key]:,}", f"{after[key]:,}", gone)
    console().print(rows)


def certified(told: dict[str, Any]) -> str:
    """Return the certificate in words."""
    from paoding.bounds.certificate import Certificate

    return str(Certificate.from_dict(told["certificate"]))


def print_json(value: Any) -> None:
    """Print ``value`` as JSON; arrays become lists, and NaN, which JSON lacks, null."""
    utf = str(sys.stdout.encoding).lower().startswith("utf")
    print(json.dumps(_plain(value), indent=2, ensure_ascii=not utf))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return str(value) if isinstance(value, Path) else value


def tell(sentence: str) -> None:
    """Print one line on standard error."""
    print(f"paoding: {' '.join(str(sentence).split())}", file=sys.stderr, flush=True)


# -- the program -----------------------------------------------------------------------------------


def quiet_libraries() -> None:
    """Give this program its own way to the terminal, and TensorFlow's C++ none.

    TensorFlow writes to the process's file descriptors, past everything Python can redirect.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if os.environ.get(DEBUG):
        return
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # it was closed by whoever started the program
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
            os.dup2(null, descriptor)
            continue
        stream.flush()
        # A terminal without Unicode shows "?" for what it lacks.
        errors = "replace" if descriptor == 1 else stream.errors
        copy = open(  # noqa: SIM115 (it lives as long as the program)
            os.dup(descriptor), "w", encoding=stream.encoding, errors=errors, buffering=1
        )
        setattr(sys, name, copy)
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit status."""
    try:
        app(arguments, prog_name="paoding")
    except SystemExit as end:
        return int(end.code or 0)
    except (PaodingError, Stopped) as error:
        tell(str(error))
    except MemoryError:
        tell("there is not enough memory for this model.")
    except BrokenPipeError:
        pass  # whoever reads has seen enough
    except OSError as error:
        tell(f"{error.filename or 'output'}: {error.strerror or error}.")
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        tell(
            f"this is a fault of Paoding ({type(error).__name__}: {error}); "
            f"{DEBUG}=1 shows where it happened."
        )
    return FAILED


def _stop(*_: Any) -> None:
    raise Stopped("stopped; nothing was written")


def main() -> None:
    """Enter from the command line."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    # nohup wants the program to go on; Windows has no such signal.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _stop)  # the terminal is gone: leave no half of a folder
    quiet_libraries()
    status = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:  # it was told when it was printed; what is left would be tried once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = FAILED
    sys.exit(status)


if __name__ == "__main__":
    main()
