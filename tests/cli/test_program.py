"""The command line as a shell sees it: what it prints where, how it ends, and what it leaves."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import paoding
from paoding import cli
from paoding.cli.output import print_json

PROGRAM = [sys.executable, "-m", "paoding.cli"]
PLAIN = {"NO_COLOR": "1", "PYTHONPATH": str(Path(paoding.__file__).parents[1])}
ENVIRONMENT = {**os.environ, **PLAIN}
QUICK = ("--target", ".25", "--step", ".25", "--strategy", "saliency", "--compensation", "merge")


def run(*arguments: Any, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=ENVIRONMENT)


def contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of real files, good and bad."""
    import keras

    folder = tmp_path_factory.mktemp("files")
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(16, "relu", name="hidden"), layers.Dense(3, name="scores")]
    )
    model.save(folder / "good.keras")
    model.save(folder / "good.h5")
    for name in ("good.keras", "good.h5"):
        whole = (folder / name).read_bytes()
        (folder / name.replace("good", "truncated")).write_bytes(whole[: len(whole) // 2])
    (folder / "letter.keras").write_text("Dear model,\n")
    (folder / "empty.keras").touch()
    model.layers[0].kernel.assign(np.full((6, 16), np.nan))
    model.save(folder / "nan.keras")
    rng = np.random.default_rng(0)
    x, y = rng.random((20, 6)).astype("float32"), rng.integers(0, 3, 20)
    np.savez(folder / "good.npz", x=x, y=y)
    np.savez(folder / "bytes.npz", x=255 * x, y=y)
    np.savez(folder / "wide.npz", x=rng.random((20, 7)), y=y)
    np.savez(folder / "labels.npz", x=x, y=y + 1)
    np.savez(folder / "short.npz", x=x, y=y[:5])
    np.savez(folder / "no-y.npz", x=x)
    (folder / "existing").mkdir()
    settings = {"target": 0.5, "step": 0.25, "strategy": {"name": "saliency"}, "domain": []}
    settings |= {"compensation": "merge", "options": {}}
    paoding.Plan((), settings, fingerprint="0").save(folder / "other.json")
    return folder


def prune(*more: str) -> tuple[str, ...]:
    return ("prune", "good.keras", "--out", "run", *more)


MISTAKES = {
    "a missing model": (("inspect", "nowhere.keras"), "no file nowhere.keras"),
    "a truncated .keras file": (("inspect", "truncated.keras"), "truncated"),
    "a truncated .h5 file": (("inspect", "truncated.h5"), "truncated"),
    "a file that is no model": (("inspect", "letter.keras"), "no Keras model"),
    "an empty file": (("inspect", "empty.keras"), "empty"),
    "NaN weights": (("prune", "nan.keras", "--out", "run"), "NaN"),
    "an output folder that exists": (
        ("prune", "good.keras", "--out", "existing"),
        "existing exists already",
    ),
    "an output file that exists": (
        ("export", "good.keras", "--out", "good.npz"),
        "good.npz exists already",
    ),
    "a target of 0": (prune("--target", "0"), "target"),
    "a target of 1": (prune("--target", "1"), "target"),
    "a target of 1.5": (prune("--target", "1.5"), "target"),
    "a target that is NaN": (prune("--target", "nan"), "target"),
    "a step larger than the target": (prune("--target", ".2", "--step", ".3"), "step"),
    "a step of 0": (prune("--step", "0"), "step"),
    "a domain with lo > hi": (prune("--domain", "1", "0"), "lo exceeds its hi"),
    "an unknown compensation": (prune("--compensation", "prayer"), "prayer"),
    "a prior that nobody knows": (prune("--prior", "moon"), "moon"),
    "a prior that does not fit": (
        (*prune("--prior", "tokens"), "--compensation", "least-squares"),
        "does not fit",
    ),
    "no samples": (prune("--samples", "0"), "samples=0"),
    "no such real inputs": (prune("--calibration", "nowhere.npz"), "no file nowhere.npz"),
    "bounds that nobody knows": (prune("--bounds", "guess"), "bounds='guess'"),
    "an unknown allocation": (prune("--allocation", "fair"), "allocation='fair'"),
    "a budget of money": (prune("--allocation", "global", "--budget", "money"), "budget='money'"),
    "an unknown energy": (prune("--energy", "solar"), "solar"),
    "a lock that fits no layer": (prune("--lock", "attic"), "attic"),
    "a target for a layer that is not there": (prune("--layer-target", "attic=.5"), "attic"),
    "every layer locked": (prune("--lock", "hidden"), "locked"),
    "data that is missing": (prune("--data", "nowhere.npz"), "nowhere.npz"),
    "data without labels": (prune("--data", "no-y.npz"), "'y'"),
    "data of two lengths": (prune("--data", "short.npz"), "samples"),
    "data of the wrong shape": (prune("--data", "wide.npz"), "(7,)"),
    "labels that the model lacks": (prune("--data", "labels.npz"), "classes"),
    "a plan that is missing": (
        ("replay", "good.keras", "gone.json", "--out", "run"),
        "gone.json",
    ),
    "a plan of another model": (
        ("replay", "good.keras", "other.json", "--out", "run"),
        "another model",
    ),
    "an attack without data": (prune("--attack", "fgsm:0.1"), "--data"),
    "evaluation without data": (("evaluate", "good.keras"), "--data"),
    "an unknown attack": (
        ("evaluate", "good.keras", "--data", "good.npz", "--attack", "siege:0.1"),
        "siege",
    ),
    "a reference of another shape": (
        ("evaluate", "good.keras", "--data", "good.npz", "--reference", "zoo:breast-cancer"),
        "reference",
    ),
    "a certificate without a reference": (
        ("evaluate", "good.keras", "--data", "good.npz", "--certify", "0.01"),
        "--reference",
    ),
    "a model that the zoo lacks": (("inspect", "zoo:dodo"), "dodo"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_line_with_status_1_and_leaves_nothing(
    mistake: str,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # In this process, which has TensorFlow already; the next test starts the real program.
    arguments, words = MISTAKES[mistake]
    monkeypatch.chdir(files)
    before = contents(files)
    status = cli.run(list(arguments))
    captured = capsys.readouterr()
    told = [line for line in captured.err.splitlines() if not line.startswith("pruning")]
    assert (status, captured.out) == (1, "")
    assert len(told) == 1, captured.err
    assert told[0].startswith("paoding: ") and words in told[0] and "fault" not in told[0]
    assert contents(files) == before


@pytest.mark.parametrize(
    "mistake", ["a missing model", "a truncated .keras file", "an output folder that exists"]
)
def test_the_program_tells_a_mistake_like_that_too(mistake: str, files: Path) -> None:
    check_program(*MISTAKES[mistake], files)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", ["NaN weights", "a target of 1.5"])
def test_so_does_the_program_once_tensorflow_is_loaded(mistake: str, files: Path) -> None:
    check_program(*MISTAKES[mistake], files)


def check_program(arguments: tuple[str, ...], words: str, files: Path) -> None:
    before = contents(files)
    done = run(*arguments, folder=files)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("paoding: ") and words in done.stderr
    assert contents(files) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("prune", "good.keras"),
        ("prune", "good.keras", "--out", "run", "--strategy", "guess"),
        ("prune", "good.keras", "--out", "run", "--target", "half"),
        ("prune", "good.keras", "--out", "run", "--layer-target", "hidden"),
        ("export", "good.keras", "--out", "m", "--format", "gguf"),
        ("polish", "good.keras"),
        ("inspect", "good.keras", "--loudly"),
        ("zoo", "--out", "m.keras"),
    ],
    ids=" ".join,
)
def test_wrong_usage_has_status_2_and_shows_no_traceback(
    arguments: tuple[str, ...], files: Path
) -> None:
    done = run(*arguments, folder=files)
    assert done.returncode == 2 and done.stdout == ""
    assert "Error" in done.stderr and "Traceback" not in done.stderr


def test_the_module_is_the_command() -> None:
    said = [
        subprocess.run([*command, "--help"], capture_output=True, text=True, env=ENVIRONMENT)
        for command in ([sys.executable, "-m", "paoding"], [sys.executable, "-m", "paoding.cli"])
    ]
    assert said[0].returncode == 0 and said[0].stdout == said[1].stdout


def test_help_answers_in_under_a_second() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert re.search(r"inspect.*prune.*evaluate.*export.*zoo", done.stdout, re.DOTALL)
    # Seconds of work, and not by the clock: other tests may hold the processor.
    work = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert work < 1


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("prune", "--help"), ("--version",), ("zoo",), ("inspect", "gone.h5")],
)
def test_tensorflow_is_not_imported_where_no_model_is_loaded(arguments: tuple[str, ...]) -> None:
    script = (
        "import sys; from paoding.cli import run; run(sys.argv[1:]); "
        "sys.exit(9 if {'tensorflow', 'keras'} & set(sys.modules) else 0)"
    )
    command = [sys.executable, "-c", script, *arguments]
    assert subprocess.run(command, capture_output=True, env=ENVIRONMENT).returncode == 0


def test_version_is_that_of_the_package() -> None:
    assert run("--version").stdout.strip() == paoding.__version__


def test_zoo_lists_every_model() -> None:
    assert set(json.loads(run("zoo", "--json").stdout)) == set(paoding.zoo.names())
    listed = run("zoo").stdout
    assert all(f"zoo:{name}" in listed for name in paoding.zoo.names())


@pytest.mark.slow
def test_zoo_copies_a_model_and_its_data(tmp_path: Path) -> None:
    done = run("zoo", "breast-cancer", "--out", "m.keras", "--data-out", "xy.npz", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path) == {"m.keras", "xy.npz"}
    told = json.loads(
        run("evaluate", "m.keras", "--data", "xy.npz", "--json", folder=tmp_path).stdout
    )
    assert told["samples"] == 169 and told["accuracy"] > 0.95


@pytest.mark.slow
def test_inspect_tells_what_can_be_pruned_and_why_the_rest_stays(files: Path) -> None:
    told = json.loads(run("inspect", "good.h5", "--json", folder=files).stdout)
    groups = {group["name"]: group for group in told["groups"]}
    assert groups["hidden"]["prunable"] and not groups["scores"]["prunable"]
    assert "output" in groups["scores"]["reason"]
    plain = run("inspect", "good.h5", folder=files)
    assert "hidden" in plain.stdout and "output of the model" in plain.stdout
    assert plain.stderr == ""


@pytest.mark.slow
def test_prune_saves_a_run_that_evaluates_replays_and_exports(tmp_path: Path) -> None:
    name = "zoo:breast-cancer"
    attack = ("--attack", "fgsm:0.02")
    done = run("prune", name, "--out", "run", *QUICK, *attack, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["complete"] and sum(step["removed"] for step in told["steps"]) == 32
    assert told["after"]["parameters"] < told["before"]["parameters"]
    assert told["evaluation"]["attacks"][0]["retention"] is not None
    assert {"run/model.keras", "run/plan.json", "run/report.json"} <= contents(tmp_path)

    original, _ = paoding.zoo.load("breast-cancer")
    done = run("replay", name, "run/plan.json", "--out", "again", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    pruned = paoding.load_model(tmp_path / "again" / "model.keras")
    again = paoding.replay(original, paoding.Plan.load(tmp_path / "run" / "plan.json")).model
    for mine, theirs in zip(pruned.weights, again.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))

    done = run(
        *("evaluate", "run/model.keras", "--data", name, "--reference", name, *attack),
        *("--certify", "0.001", "--json"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["accuracy"] == told["evaluation"]["accuracy"]
    assert 0 < report["certified"] <= report["agreement"]

    done = run("export", "run/model.keras", "--out", "model.tflite", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model.tflite").stat().st_size > 0


@pytest.mark.slow
def test_the_command_line_and_python_make_the_same_model_from_the_same_seed(
    files: Path, tmp_path: Path
) -> None:
    arguments = ("--target", ".5", "--step", ".25", "--seed", "7", "--compensation", "merge")
    done = run("prune", files / "good.keras", "--out", tmp_path / "run", *arguments)
    assert done.returncode == 0, done.stderr
    result = paoding.prune(
        paoding.load_model(files / "good.keras"),
        target=0.5,
        step=0.25,
        seed=7,
        compensation="merge",
    )
    assert paoding.Plan.load(tmp_path / "run" / "plan.json").steps == result.plan.steps


@pytest.mark.slow
def test_data_that_is_not_within_the_domain_is_told_before_the_work(
    files: Path, tmp_path: Path
) -> None:
    arguments = ("prune", files / "good.keras", "--data", files / "bytes.npz", *QUICK)
    done = run(*arguments, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "where 0 to 1 is legal: set the domain. (--domain LO HI)" in done.stderr
    done = run(*arguments, "--domain", "0", "255", "--out", tmp_path / "other")
    assert "is legal" not in done.stderr


@pytest.mark.slow
def test_what_a_program_reads_is_on_standard_output_and_progress_is_not(tmp_path: Path) -> None:
    done = run("prune", "zoo:breast-cancer", "--out", "run", *QUICK, folder=tmp_path)
    assert "Saved in run" in done.stdout and "pruning" not in done.stdout
    assert "pruning" in done.stderr


def test_lessons_are_listed_and_copied_and_never_overwritten(tmp_path, capsys):
    assert cli.run(["lessons", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert len(listed) >= 8
    folder = tmp_path / "lessons"
    assert cli.run(["lessons", "--to", str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} == {Path(name).name for name in listed}
    assert cli.run(["lessons", "--to", str(folder)]) == 1
    assert "exists already" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_ends_the_run_within_a_step_and_keeps_what_was_done(tmp_path: Path) -> None:
    terminal, end = pty.openpty()
    small = ("--step", ".002", "--strategy", "annealing", "--compensation", "merge")
    process = subprocess.Popen(
        [*PROGRAM, "prune", "zoo:mnist-cnn", "--out", "run", *small, "--json"],
        stdout=subprocess.PIPE,
        stderr=end,
        cwd=tmp_path,
        env=ENVIRONMENT,
        text=True,
    )
    os.close(end)
    shown = read_until(terminal, "step ")
    process.send_signal(signal.SIGINT)
    shown += read_until(terminal, None)
    output, _ = process.communicate()
    assert process.returncode == 1
    assert "stopped after" in shown and "Traceback" not in shown
    told = json.loads(output)
    assert told["steps"] and not told["complete"]
    assert all(step["progress"] < 1 for step in told["steps"])
    assert paoding.load_model(tmp_path / "run" / "model.keras").count_params() > 0
    assert all(not name.startswith(".") for name in contents(tmp_path))


@pytest.mark.slow
def test_ctrl_c_before_the_first_step_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "prune", "zoo:mnist-cnn", "--out", "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=ENVIRONMENT,
        text=True,
    )
    time.sleep(1.5)  # TensorFlow is being imported, or the model loaded
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert (process.returncode, output) == (1, "")
    assert errors == "paoding: stopped; nothing was written\n"
    assert contents(tmp_path) == set()


@pytest.mark.slow
def test_ctrl_c_while_distilling_keeps_the_run_without_it_and_its_plan_replays(
    tmp_path: Path,
) -> None:
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "prune", "zoo:mnist-mlp", "--out", "run", "--step", ".5", "--distil", "100000"],
        stdout=subprocess.PIPE,
        stderr=end,
        cwd=tmp_path,
        env=ENVIRONMENT,
        text=True,
    )
    os.close(end)
    shown = read_until(terminal, "distilling")
    process.send_signal(signal.SIGINT)
    shown += read_until(terminal, None)
    process.communicate()
    assert process.returncode == 1
    assert "nothing distilled" in shown and "Traceback" not in shown
    plan = paoding.Plan.load(tmp_path / "run" / "plan.json")
    assert plan.settings["options"]["distil"] == 0
    again = paoding.replay(paoding.zoo.load("mnist-mlp")[0], plan).model
    kept = paoding.load_model(tmp_path / "run" / "model.keras")
    for a, b in zip(kept.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("loaded", ["typer._click", "paoding.cli.options", "paoding.files"])
def test_ctrl_c_while_the_program_is_loaded_prints_no_traceback(
    tmp_path: Path, loaded: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", *PROGRAM[1:], "--version"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=ENVIRONMENT,
        text=True,
    )
    assert process.stderr is not None
    # Each module tells when it is there, so the signal comes when the program has begun to load,
    # on a machine of any speed, and never while Python itself starts.
    while loaded not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert "Traceback" not in errors
    assert process.returncode in (-signal.SIGINT, 0)


def read_until(terminal: int, words: str | None) -> str:
    """Return what a pseudo-terminal shows until ``words`` appear, or until it is closed."""
    shown = ""
    while words is None or words not in shown:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux says so when the other end is closed
            piece = b""
        if not piece:
            break
        shown += piece.decode(errors="replace")
    return shown


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


@pytest.mark.slow
def test_a_terminal_without_unicode_is_no_fault(files: Path) -> None:
    command = [*PROGRAM, "inspect", "good.keras", "--groups"]
    environment = {**ENVIRONMENT, **ASCII}
    done = subprocess.run(command, capture_output=True, cwd=files, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"? hidden: makes the units" in done.stdout


def test_json_is_whole_where_there_is_no_unicode(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for encoding in ("ascii", "utf-8"):
        with (tmp_path / encoding).open("w", encoding=encoding) as file:
            monkeypatch.setattr(sys, "stdout", file)
            print_json({"größe": 1})
            monkeypatch.undo()
        assert json.loads((tmp_path / encoding).read_text(encoding)) == {"größe": 1}


@pytest.mark.parametrize("out", ["/proc/run", "good.npz/run"])
def test_a_place_that_cannot_be_written_is_told_before_any_work(out: str, files: Path) -> None:
    before = contents(files)
    done = run("prune", "good.keras", "--out", out, folder=files)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr.startswith(f"paoding: Cannot write to {out}: ") and "pruning" not in done.stderr
    )
    assert contents(files) == before


def test_output_that_nobody_takes_is_no_traceback(files: Path) -> None:
    for redirection, status in ((">&-", 0), (">/dev/full", 1)):
        command = f"{sys.executable} -m paoding.cli zoo {redirection}"
        done = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, env=ENVIRONMENT
        )
        assert done.returncode == status
        assert "Traceback" not in done.stderr and "ignored" not in done.stderr


def test_a_table_fits_a_narrow_terminal() -> None:
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 40))
    with subprocess.Popen([*PROGRAM, "zoo"], stdout=end, stdin=subprocess.PIPE, env=ENVIRONMENT):
        os.close(end)
        shown = re.sub(r"\x1b\[\d*m", "", read_until(terminal, None))
    assert max(map(len, shown.splitlines())) <= 40 and "zoo:mnist-mlp" in shown
