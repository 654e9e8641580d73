"""From a model to the device, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paoding import cli

ZOO = "zoo:breast-cancer"


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert cli.run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_model_is_exported_timed_and_measured_as_the_file_it_became(tmp_path: Path, capsys):
    file = str(tmp_path / "m.onnx")
    assert cli.run(["export", ZOO, "--out", file, "--format", "onnx", "--quantize", "int8"]) == 0
    assert "does not cover the rounding" in capsys.readouterr().out
    assert told(capsys, "latency", file)["runtime"] == "onnxruntime"
    found = told(
        capsys, "evaluate", file, "--data", ZOO, "--reference", ZOO, "--attack", "fgsm:0.02"
    )
    assert found["cost"]["bytes"] == Path(file).stat().st_size and found["agreement"] > 0.95
    assert "made for the reference" in found["attacks"][0]["name"]


def test_evaluate_writes_the_model_for_the_runtime_and_measures_that(capsys) -> None:
    found = told(capsys, "evaluate", ZOO, "--runtime", "litert")
    assert found["cost"]["runtime"] == "litert" and found["agreement"] == 1.0


def test_a_table_of_latencies_is_written_and_pruned_by(tmp_path: Path, capsys) -> None:
    table = str(tmp_path / "table.csv")
    found = told(capsys, "latency-table", ZOO, "--out", table, "--runtime", "keras")
    assert found["total"] > 0 and {row[0] for row in found["rows"]} == {"dense_1", "dense_2"}
    assert cli.run(["latency-table", ZOO, "--out", table]) == 1
    assert "exists" in capsys.readouterr().err
    what = [
        "prune",
        ZOO,
        "--out",
        str(tmp_path / "run"),
        "--compensation",
        "merge",
        "--no-self-check",
    ]
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(Path(table).read_text().replace("dense_1", "other"))
    assert cli.run([*what, "--budget", "latency", "--runtime", str(wrong)]) == 1
    assert "of another model" in capsys.readouterr().err


def test_a_sweep_is_kept_shown_and_gone_on_with(tmp_path: Path, capsys) -> None:
    what = ["sweep", ZOO, "--out", str(tmp_path / "s"), "--targets", "0.25,0.5"]
    what += ["--step", "0.25", "--compensation", "merge", "--distil", "0"]
    found = told(capsys, *what)
    assert [row["target"] for row in found["rows"]] == [0.25, 0.5] and found["machine"]
    assert cli.run(what) == 0
    shown = capsys.readouterr().out
    assert "The knee of the front is" in shown and "on this machine" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("latency", "none.tflite"), "There is no file none.tflite"),
        (("latency", ZOO, "--input-size", "ten"), "must be lengths such as 224x224"),
        (("sweep", ZOO, "--out", "s", "--targets", "half"), "'half' is no number"),
        (("prune", "m.tflite", "--out", "s"), "m.tflite"),
    ],
)
def test_a_mistake_is_one_line_with_status_1(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.run(list(arguments)) == 1
    said = capsys.readouterr().err.strip()
    assert words in said and len(said.splitlines()) == 1
    assert not list(tmp_path.iterdir())
