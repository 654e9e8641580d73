"""One run of pruning: what judges it, its progress bar, where it is saved, what it came to."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paoding.cli.models import load_with_data, parse_attacks
from paoding.cli.output import console, print_json, say, table
from paoding.errors import ArgumentError, OutputExistsError

if TYPE_CHECKING:
    import keras

    from paoding.evaluation import Report
    from paoding.evaluation.self_check import SelfCheck
    from paoding.pruning.pruner import Pruner
    from paoding.pruning.result import PruningResult


class Stopped(BaseException):
    """The user pressed Ctrl-C; not an Exception, so that no library swallows it."""


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
    ) -> Outcome:
        """Judge the result by what there is, save the run, and return what it came to."""
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
        return Outcome({"out": str(out), "complete": complete, **plain}, report, checked)


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
        say(f"{why}; it is kept in memory.")
        print("Another folder for --out (empty to give up): ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline().strip()
        if not answer:
            break
        out = Path(answer)
    spare = Path(tempfile.mkdtemp(prefix="paoding-")) / out.name
    save(spare)
    say(f"{why}; it was saved in {spare} instead.")
    return spare


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")


@dataclass(frozen=True)
class Outcome:
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
        say(f"the self-check failed ({type(error).__name__}: {error}); the result is saved.")
        return None


def run_with_progress(pruner: Pruner) -> bool:
    """Run every step with a bar on standard error; False when Ctrl-C ended it early."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("pruning"), BarColumn(), TextColumn("{task.description}"))
    asked, last, wanted = False, "", pruner.settings.distil

    def ask(*_: Any) -> None:
        nonlocal asked
        if asked:
            raise Stopped("stopped; nothing was written")
        asked = True
        if pruner.progress >= 1:
            say("the last fit is finished, and nothing distilled; Ctrl-C again gives it all up.")
        pruner.stop(distillation=True)

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
    return not asked or (pruner.progress >= 1 and pruner.settings.distil == wanted)


def show_result(outcome: Outcome, json_only: bool) -> None:
    """Print what a run came to: units per group, cost, and what judged it."""
    if json_only:
        print_json(outcome.plain)
        return
    plain = outcome.plain
    rows = table("group", "units before", "after", "removed")
    for layer in plain["layers"]:
        if layer["left"] < layer["units"]:
            gone = f"{1 - layer['left'] / layer['units']:.0%}"
            rows.add_row(layer["layer"], f"{layer['units']:,}", f"{layer['left']:,}", gone)
    console().print(rows)
    if outcome.report:
        print(outcome.report)
    else:
        print_costs(plain["before"], plain["after"])
    removed = sum(step["removed"] for step in plain["steps"])
    print(f"{removed:,} units removed in {len(plain['steps'])} steps. {certified(plain)}")
    for name in ("ending", "latency"):
        if plain.get(name):
            print(plain[name])
    print(f"The run is {plain['fitted_on']}.")
    if plain["prior"]:
        print(plain["prior"])
    if outcome.checked:
        print(f"Self-check without data: {outcome.checked}.")
    print(f"Saved in {plain['out']}.")


def print_costs(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Print what needs no data: parameters, FLOPs and bytes."""
    rows = table("", "before", "after", "removed")
    for key in ("parameters", "flops", "bytes"):
        if before.get(key):
            gone = f"{1 - after[key] / before[key]:.1%}"
            rows.add_row(key, f"{before[key]:,}", f"{after[key]:,}", gone)
    console().print(rows)


def certified(plain: dict[str, Any]) -> str:
    """Return the certificate in words."""
    from paoding.bounds.certificate import Certificate

    return str(Certificate.from_dict(plain["certificate"]))
