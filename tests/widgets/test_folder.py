"""A studio's run on disk: kept as it goes, whole or not at all, and never trusted when read."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import paoding
from paoding.errors import ArgumentError, PaodingError, PlanError
from paoding_widgets import PruningStudio, folder

QUICK = {"target": 0.5, "step": 0.125, "strategy": "saliency", "compensation": "merge"}


def test_a_killed_kernel_loses_the_step_in_the_making_at_most(table: Any, tmp_path: Path) -> None:
    model, data = table
    studio = PruningStudio(model, data=data, **QUICK, autosave=tmp_path / "kept")
    for _ in range(2):
        studio.step()
        studio.wait()
    # Nothing more is asked of the studio: what is on the disk now is what a dead kernel leaves.
    again = PruningStudio.load(tmp_path / "kept")
    assert again.wait() == "paused"
    assert again.result.plan.steps == studio.result.plan.steps
    for ours, theirs in zip(again.result.model.weights, studio.result.model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    for kept, step in zip(again.steps, studio.steps, strict=True):
        assert list(kept.decisions.columns["reason"]) == list(step.decisions.columns["reason"])
    assert view_of(studio).header["saved"] == str(tmp_path / "kept")


def test_an_earlier_run_that_was_kept_is_never_written_over(table: Any, tmp_path: Path) -> None:
    for _ in range(2):
        studio = PruningStudio(table[0], **QUICK, autosave=tmp_path / "kept")
        studio.step()
        studio.wait()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "kept-2"]
    assert folder.latest(tmp_path / "kept") == tmp_path / "kept-2"


def test_what_cannot_be_kept_is_told_and_the_run_goes_on(table: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    studio = PruningStudio(table[0], **QUICK, autosave=tmp_path / "file" / "kept")
    studio.start()
    assert studio.wait() == "finished"
    assert "no longer kept" in view_of(studio).header["error"]


def test_runs_that_were_left_are_kept_with_the_run(studio: PruningStudio, tmp_path: Path) -> None:
    studio.start()
    studio.wait()
    studio.branch(1)
    studio.step()
    studio.wait()
    studio.save(tmp_path / "run")
    again = PruningStudio.load(tmp_path / "run")
    again.wait()
    (left,) = again._conductor.timeline.runs
    assert left.name == "run 1" and len(left.points) == 5


def test_the_report_has_the_evaluation_of_the_studio(studio: PruningStudio, tmp_path: Path) -> None:
    studio.step()
    studio.wait()
    studio.save(tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    shown = {row["label"]: row["after"] for row in view_of(studio).header["figures"]}
    assert report["evaluation"]["accuracy"] == pytest.approx(shown["Accuracy"])


def test_the_run_of_another_model_is_refused(
    studio: PruningStudio, branched: Any, tmp_path: Path
) -> None:
    studio.step()
    studio.wait()
    studio.save(tmp_path / "run")
    with pytest.raises(PlanError, match="another model"):
        PruningStudio.load(tmp_path / "run", model=branched)


def test_a_save_that_fails_leaves_nothing(
    studio: PruningStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.step()
    studio.wait()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(ArgumentError, match="No space left"):
        studio.save(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def kept(table: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one step as it was kept on the way."""
    path = tmp_path_factory.mktemp("runs") / "kept"
    studio = PruningStudio(table[0], data=table[1], **QUICK, autosave=path)
    studio.step()
    studio.wait()
    return path


@pytest.mark.parametrize("name", ["original.keras", "data.npz", "plan.json", "studio.json"])
@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut", b"[" * 100_000, b"{}"])
def test_a_damaged_file_is_told_in_one_sentence(
    kept: Path, tmp_path: Path, name: str, damage: bytes
) -> None:
    broken = _copy(kept, tmp_path / "run")
    (broken / name).write_bytes(damage)
    with pytest.raises(PaodingError) as caught:
        folder.load(broken)
    assert "\n" not in str(caught.value) and "run" in str(caught.value)


def test_decisions_without_their_columns_are_told(kept: Path, tmp_path: Path) -> None:
    import pandas as pd

    broken = _copy(kept, tmp_path / "run")
    pd.DataFrame({"step": [1]}).to_parquet(broken / "decisions.parquet")
    with pytest.raises(PaodingError, match="damaged"):
        folder.load(broken)


def test_data_that_unpack_to_far_more_are_refused(kept: Path, tmp_path: Path) -> None:
    broken = _copy(kept, tmp_path / "run")
    with zipfile.ZipFile(broken / "data.npz", "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("x.npy", "w") as x:
            for _ in range(100):
                x.write(bytes(1 << 20))
        file.writestr("y.npy", b"")
    with pytest.raises(PaodingError, match=r"data\.npz"):
        folder.load(broken)


def test_empty_steps_cost_nothing(kept: Path, tmp_path: Path) -> None:
    many = _copy(kept, tmp_path / "run")
    plan = json.loads((many / "plan.json").read_text())
    plan["steps"] += [[]] * 300_000
    (many / "plan.json").write_text(json.dumps(plan))
    began = time.process_time()
    saved = folder.load(many)
    assert len(saved.plan.steps) == len(saved.decisions) == 1
    assert time.process_time() - began < 30


def _copy(kept: Path, to: Path) -> Path:
    to.mkdir()
    for file in kept.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def view_of(studio: PruningStudio) -> Any:
    return studio._dashboard.view


# -- by hand ------------------------------------------------------------------------------------


def test_a_unit_removed_by_hand_is_a_step_of_the_plan_that_replays(
    table: Any, studio: PruningStudio
) -> None:
    group = next(row["name"] for row in view_of(studio).layers if row["prunable"])
    studio.remove(group, 5, into=7)
    assert studio.wait() == "paused"
    plan = studio.result.plan
    (removal,) = plan.removals
    assert (removal.group, removal.unit, removal.into) == (group, 5, 7)
    replayed = paoding.replay(table[0], plan)
    for ours, theirs in zip(studio.result.model.weights, replayed.model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    studio.remove(group, 5)
    studio.wait()
    assert view_of(studio).header["error"]
    assert studio.result.plan.steps == plan.steps


def test_one_decision_of_any_step_is_taken_back_and_the_others_stay(
    table: Any, studio: PruningStudio
) -> None:
    studio.start()
    studio.wait()
    before = studio.result.plan.removals
    gone = studio.steps[1].removals[0]
    studio.take_back(gone.group, gone.unit)
    assert studio.wait() == "paused"
    assert studio.result.plan.removals == tuple(r for r in before if r != gone)
    paoding.replay(table[0], studio.result.plan)
    with pytest.raises(ArgumentError, match="nothing to take back"):
        studio.take_back(gone.group, gone.unit)


def test_the_magic_opens_a_studio_and_evaluates_nothing(table: Any) -> None:
    from IPython.core.error import UsageError
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "paoding_widgets")
    shell.user_ns["net"] = table[0]
    studio = shell.run_line_magic("prune", "net --target 0.25 --strategy saliency")
    assert isinstance(studio, PruningStudio)
    assert studio.settings.target == 0.25 and studio.settings.strategy == "Saliency"
    with pytest.raises(UsageError, match="no variable"):
        shell.run_line_magic("prune", "print(1)")


def test_a_calibrated_run_says_so_and_goes_on_from_its_folder(
    table: tuple[keras.Model, Any], tmp_path: Path
) -> None:
    model, data = table
    made = PruningStudio(
        model, data=data, calibration=data.x[:40], target=0.25, step=0.125, strategy="saliency"
    )
    assert made.wait() == "ready"
    assert made._dashboard.view.header["fitted"] == "calibrated on 40 inputs"
    assert "calibration=calibration," in made.settings.code()
    made.step()
    made.wait()
    made.save(tmp_path / "run")
    again = PruningStudio.load(tmp_path / "run")
    assert again.wait() == "paused"
    assert again._dashboard.view.header["fitted"] == "calibrated on 40 inputs"
    for one, other in zip(made.result.model.weights, again.result.model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    made.close()
    again.close()


def test_calibration_that_does_not_fit_is_told(table: tuple[keras.Model, Any]) -> None:
    model, data = table
    made = PruningStudio(model, data=data, calibration=data.x[:3])
    assert made.state == "failed"
    assert "pass 16 or more" in made._dashboard.view.header["error"]
    made.close()
