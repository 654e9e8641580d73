"""A sweep gives the same front wherever its runs are computed, and loses none that is finished."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import keras
import numpy as np
import pandas as pd
import pytest

import paoding
from paoding.deploy import sweep as module
from paoding.deploy.executors import Here, InProcesses, executor_for
from paoding.deploy.front import Front
from paoding.errors import (
    ArgumentError,
    ClusterError,
    ModelError,
    RuntimeMissingError,
    SweepError,
)

# Workers cannot import this file; what they call travels whole.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
L = keras.layers
QUICK = {"step": 0.25, "distil": 0, "strategy": "saliency", "compensation": "merge"}
WHAT = {"targets": [0.25, 0.5], "seeds": 2, "runtime": None, **QUICK}


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [L.Dense(16, "relu"), L.Dense(16, "relu"), L.Dense(3, "softmax")]
    return keras.Sequential([keras.Input((6,)), *layers])


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((60, 6), "float32"), rng.integers(0, 3, 60)


@pytest.fixture(scope="module")
def here(model, data, tmp_path_factory) -> Front:
    return paoding.sweep(model, data=data, out=tmp_path_factory.mktemp("s") / "here", **WHAT)


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def assert_same(a: Front, b: Front) -> None:
    columns = [name for name in a.table if name != "seconds"]
    pd.testing.assert_frame_equal(a.table[columns], b.table[columns])
    for index in a.table.index:
        pairs = zip(*(f.point(index).model().get_weights() for f in (a, b)), strict=True)
        assert all(np.array_equal(x, y) for x, y in pairs)


def test_every_combination_is_a_run_with_its_folder(here, model, data) -> None:
    assert here.table[["target", "seed"]].values.tolist() == [
        [0.25, 0], [0.25, 1], [0.5, 0], [0.5, 1],
    ]  # fmt: skip
    point = here.point(2)
    run = paoding.PruningResult.load(point.folder)
    assert len(run.plan.removals) == 16 and point.values["parameters"] == run.model.count_params()
    wanted = paoding.prune(model, target=0.5, seed=0, **QUICK).model
    assert np.array_equal(run.model.get_weights()[0], wanted.get_weights()[0])
    report = paoding.evaluate(wanted, *data, reference=model, latency=False)
    assert point.values["accuracy"] == report.accuracy
    assert point.values["agreement"] == report.agreement


def test_processes_give_the_same_bits(here, model, data, tmp_path) -> None:
    assert_same(here, paoding.sweep(model, data=data, out=tmp_path / "s", workers=2, **WHAT))


def other_version(number: str) -> str:
    import paoding as mine

    before, mine.__version__ = mine.__version__, number
    return before


def test_a_worker_of_another_version_is_refused_by_name(model, client) -> None:
    address = sorted(client.scheduler_info()["workers"])[0]
    own = client.run(other_version, "0.0.1", workers=[address])[address]
    with pytest.raises(ClusterError, match=rf"{address} has paoding 0.0.1 where"):
        paoding.sweep(model, client=client, **WHAT)
    client.run(other_version, own, workers=[address])


def marked(folder: Path) -> Callable[[Any, Any], Any]:
    """A run that leaves a mark when it is finished, named after the process that computed it."""
    real = module.run_job

    def run(shared: Any, job: Any) -> Any:
        files = real(shared, job)
        (folder / f"{job.name}-{os.getpid()}").touch(exist_ok=False)
        return files

    return run


def test_when_a_worker_is_killed_nothing_is_lost_and_nothing_done_twice(
    here, model, data, client, tmp_path, monkeypatch
) -> None:
    marks, told = tmp_path / "marks", []
    marks.mkdir()
    monkeypatch.setattr(module, "run_job", marked(marks))

    def kill_one(done, total, rows) -> None:
        told.append((done, total))
        if done == 1:  # its next run is under way
            os.kill(int(next(marks.iterdir()).name.rsplit("-", 1)[1]), signal.SIGKILL)

    found = paoding.sweep(
        model, data=data, out=tmp_path / "s", client=client, on_run=kill_one, **WHAT
    )
    assert_same(here, found)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)] and not found.failed
    finished = sorted(mark.name.rsplit("-", 1)[0] for mark in marks.iterdir())
    assert finished == sorted(found.table["run"])


def die_once(folder: Path, job: int) -> int:
    mark = folder / "died"
    if job == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def test_a_process_that_dies_is_replaced_and_its_jobs_are_done_by_others(tmp_path) -> None:
    found = list(InProcesses(2).run(die_once, tmp_path, range(4)))
    assert sorted(found) == [(job, job) for job in range(4)]


def test_a_cluster_that_does_not_answer_is_told_in_a_sentence(model, monkeypatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("paoding.deploy.executors._PATIENCE", 0.5)
    with pytest.raises(ClusterError, match="does not answer"):
        paoding.sweep(model, client="tcp://127.0.0.1:1", **WHAT)


def test_a_sweep_goes_on_where_it_was_killed(here, model, data, tmp_path, monkeypatch) -> None:
    shutil.copytree(here.folder, tmp_path / "s")
    shutil.rmtree(tmp_path / "s/runs/target-0.5-seed-1-uniform")
    (tmp_path / "s/front.json").unlink()
    seen = []
    real = module.run_job
    monkeypatch.setattr(module, "run_job", lambda s, job: seen.append(job.name) or real(s, job))
    assert_same(here, paoding.sweep(model, data=data, out=tmp_path / "s", **WHAT))
    assert seen == ["target-0.5-seed-1-uniform"]


def test_a_folder_of_another_sweep_or_of_anything_else_is_refused(here, model, data, tmp_path):
    other = {**WHAT, "step": 0.125}
    with pytest.raises(SweepError, match="another settings"):
        paoding.sweep(model, data=data, out=here.folder, **other)
    with pytest.raises(SweepError, match="another data"):
        paoding.sweep(model, out=here.folder, **WHAT)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(SweepError, match="something else"):
        paoding.sweep(model, out=tmp_path, **WHAT)


def test_a_full_disk_keeps_what_is_finished(model, tmp_path, monkeypatch) -> None:
    real, calls = Path.write_bytes, []

    def full(self, content):
        if "runs" in self.parts and self.name == "model.keras":
            calls.append(self)
            if len(calls) == 2:
                raise OSError(28, "No space left on device")
        return real(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SweepError, match="No space left on device"):
        paoding.sweep(model, out=tmp_path / "s", **WHAT)
    assert [p.name for p in (tmp_path / "s/runs").iterdir()] == ["target-0.25-seed-0-uniform"]


def test_a_run_that_fails_is_told_and_the_others_are_kept(model) -> None:
    what = {**WHAT, "targets": [0.1, 0.5], "seeds": 1}  # 0.1 is less than a step
    found = paoding.sweep(model, **what)
    assert (
        found.table.target.tolist() == [0.5] and "step" in found.failed["target-0.1-seed-0-uniform"]
    )
    with pytest.raises(SweepError, match=r"Every run failed; the first: .*step"):
        paoding.sweep(model, **{**what, "targets": 0.1})


def test_exported_files_are_points_of_their_own_with_latency(model, data) -> None:
    what = {**WHAT, "targets": 0.5, "seeds": 1, "runtime": "litert"}
    found = paoding.sweep(model, data=data, quantize=[None, "dynamic"], **what)
    assert found.table["quantize"].tolist() == ["float32", "dynamic"]
    assert (found.table.latency > 0).all() and found.machine and found.runtime == "litert"
    assert found.point(1).file.suffix == ".tflite" and found.point(1).file.is_file()
    assert found.table["bytes"][1] == found.point(1).file.stat().st_size


def test_a_budget_in_milliseconds_is_measured_once_for_all_runs(model, tmp_path, monkeypatch):
    real, asked = module.latency_table, []

    def table(model, runtime):
        asked.append(runtime)
        found = real(model, runtime)  # with times that do not depend on this machine:
        rows = tuple((g, n, w, w / n) for g, n, w, _ in found.rows)
        return replace(found, total=1.0, rows=rows, idle=0.0, anchors=())

    monkeypatch.setenv("PAODING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "latency_table", table)
    what = {**WHAT, "seeds": 1, "samples": 128, "effort": "fast"}
    what |= {"runtime": "keras", "budget": "latency"}
    first = paoding.sweep(model, out=tmp_path / "s", **what)
    again = paoding.sweep(model, out=tmp_path / "s", **what)
    assert asked == ["keras"] and len(first) == len(again) == 2
    for index in first.table.index:
        said = paoding.PruningResult.load(first.point(index).folder).report["latency"]
        assert said.startswith("Predicted for keras")
    with pytest.raises(ArgumentError, match="needs a runtime"):
        paoding.sweep(model, **{**what, "runtime": None})


def test_a_runtime_that_is_not_installed_is_named_before_any_run(model, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(module, "run_job", None)
    with pytest.raises(RuntimeMissingError, match=r"paoding-widgets\[onnxruntime\]"):
        paoding.sweep(model, **{**WHAT, "runtime": "onnxruntime"})


def test_a_front_is_saved_and_loaded_whole(here, tmp_path) -> None:
    here.save(tmp_path / "s")
    again = Front.load(tmp_path / "s")
    assert_same(here, again)
    assert again.table["seconds"].equals(here.table["seconds"])
    with pytest.raises(ModelError, match="no finished sweep"):
        Front.load(tmp_path)
    (tmp_path / "s/front.json").write_text(
        '{"rows": [{"run": "../x"}], "failed": {}, "machine": "", "runtime": ""}'
    )
    with pytest.raises(ModelError, match="outside"):
        Front.load(tmp_path / "s")


@pytest.fixture
def made(tmp_path) -> Front:
    table = pd.DataFrame(
        {
            "run": list("abcde"),
            "file": "model.keras",
            "latency": [1.0, 2.0, 3.0, 4.0, 2.5],
            "accuracy": [0.5, 0.9, 0.91, 0.95, 0.7],
        }
    )
    return Front(table, tmp_path)


def test_the_front_is_what_no_other_point_beats_in_both(made) -> None:
    assert made.front().run.tolist() == ["a", "b", "c", "d"]
    assert made.knee().values["run"] == "b"


def test_the_best_within_limits_is_picked_or_the_least_is_told(made) -> None:
    assert made.pick(latency=3.5).values["run"] == "c"
    with pytest.raises(ArgumentError, match="the least is 1"):
        made.pick(latency=0.5)
    with pytest.raises(ArgumentError, match="was not measured"):
        made.pick(bytes=3)
    with pytest.raises(ArgumentError, match="is not one of"):
        made.front(cost="colour")


def test_the_figure_of_a_front_takes_the_front(made) -> None:
    import matplotlib

    matplotlib.use("Agg")
    assert paoding.plot.front(made).lines[0].get_xdata().tolist() == [1.0, 2.0, 3.0, 4.0]


def test_what_makes_no_sense_is_refused_before_any_run(model) -> None:
    for wrong in (
        {"targets": 1.5},
        {"targets": []},
        {"quantize": "int3"},
        {"runtime": "tpu"},
        {"workers": 0},
        {"data": 3},
        {"client": 3},
    ):
        with pytest.raises(ArgumentError):
            paoding.sweep(model, **{**WHAT, **wrong})
    assert isinstance(executor_for(None, None), Here)
