"""The studio without a browser: driven by its methods, its buttons and its event loop."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import ipywidgets
import keras
import nbclient
import nbformat
import numpy as np
import pytest

import paoding
from paoding.errors import ArgumentError, BusyError, ModelError, OutputExistsError, PlanError
from paoding_widgets import ModelStructure, PruningStudio
from paoding_widgets.charts.candidates import EnergyChart
from paoding_widgets.charts.change import ChangeChart
from paoding_widgets.explain import explain
from paoding_widgets.session import Session
from paoding_widgets.view import StudioView

Table = tuple[keras.Model, Any]
QUICK = {"target": 0.5, "step": 0.125, "strategy": "saliency", "compensation": "merge"}


def view_of(studio: PruningStudio) -> StudioView:
    return next(part for part in studio.children if isinstance(part, StudioView))


def still_of(studio: PruningStudio) -> dict[str, str]:
    return studio._dashboard.still(studio._conductor.now())


def press(studio: PruningStudio, name: str) -> None:
    button = next(b for b in buttons_of(studio) if b.description == name)
    button.click()


def buttons_of(studio: PruningStudio) -> list[Any]:
    return [
        child
        for row in studio.children
        for child in getattr(row, "children", ())
        if hasattr(child, "click")
    ]


def removed_units(studio: PruningStudio) -> int:
    removed_at = np.frombuffer(view_of(studio).units["removed_at"], np.int32)
    return int((removed_at >= 0).sum())


def test_a_run_is_the_one_of_the_library_bit_for_bit(table: Table, studio: PruningStudio) -> None:
    studio.start()
    assert studio.wait() == "finished"
    model, data = table
    wanted = paoding.prune(model, domain=data.domain, **QUICK)
    assert studio.result.plan.steps == wanted.plan.steps
    for ours, theirs in zip(studio.result.model.weights, wanted.model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_the_original_is_never_changed(table: Table, studio: PruningStudio) -> None:
    model, _ = table
    before = [np.array(weight) for weight in model.weights]
    studio.start()
    studio.wait()
    for old, weight in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())


def test_what_is_shown_is_what_was_done(studio: PruningStudio) -> None:
    view = view_of(studio)
    assert view.header["state"] == "ready"
    assert removed_units(studio) == 0
    studio.start()
    studio.wait()
    assert view.header["state"] == "finished"
    assert view.last == view.moment == len(studio.steps) == 4
    assert removed_units(studio) == sum(len(step.removals) for step in studio.steps)
    figures = {row["label"]: row for row in view.header["figures"]}
    smaller = studio.result.model
    assert figures["Parameters"]["after"] == smaller.count_params()
    assert figures["Parameters"]["after"] < figures["Parameters"]["before"]
    assert len(view.remarks) == 5


def test_decisions_travel_as_columns(studio: PruningStudio) -> None:
    studio.step()
    studio.wait()
    sent, step = view_of(studio).decisions, studio.steps[0]
    assert sent["count"] == len(step.decisions)
    units = np.frombuffer(sent["columns"]["unit"], np.int32)
    np.testing.assert_array_equal(units, step.decisions.columns["unit"])
    verdicts = [sent["verdicts"][i] for i in np.frombuffer(sent["columns"]["verdict"], np.int32)]
    assert verdicts == list(step.decisions.columns["verdict"])
    importance = np.frombuffer(sent["columns"]["importance"], np.float64)
    np.testing.assert_array_equal(importance, step.decisions.columns["importance"])


def test_undo_then_redo_is_the_identity(studio: PruningStudio) -> None:
    studio.start()
    studio.wait()
    before = [weight.numpy() for weight in studio.result.model.weights]
    studio.undo()
    assert studio.wait() == "paused"
    assert len(studio.steps) == 3
    studio.redo()
    assert studio.wait() == "finished"
    for old, weight in zip(before, studio.result.model.weights, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())


def test_going_back_and_on_is_a_branch_with_the_old_run_overlaid(studio: PruningStudio) -> None:
    studio.start()
    studio.wait()
    old = studio.result.plan.steps
    studio.branch(2)
    assert studio.wait() == "paused"
    assert len(studio.steps) == 2
    chosen = next(c for c in form_of(studio) if c.description == "Strategy")
    chosen.value = "Magnitude"
    studio.start()
    assert studio.wait() == "finished"
    new = studio.result.plan.steps
    assert new[:2] == old[:2]
    assert new[2:] != old[2:]
    assert len(accuracy_chart(studio).earlier.x) == 5


def form_of(studio: PruningStudio) -> list[Any]:
    return [
        child
        for row in studio.children
        for child in getattr(row, "children", ())
        if hasattr(child, "description")
        and not hasattr(child, "click")
        and not isinstance(child, ipywidgets.HTML)
    ]


def accuracy_chart(studio: PruningStudio) -> Any:
    return studio._dashboard.charts.accuracy


def test_a_moment_of_the_past_shows_everywhere(studio: PruningStudio) -> None:
    studio.start()
    studio.wait()
    view = view_of(studio)
    view.moment = 1
    studio.wait()
    assert view.decisions["step"] == 0
    after = {row["label"]: row["after"] for row in view.header["figures"]}
    assert after["Parameters"] > studio.result.model.count_params()
    assert accuracy_chart(studio).now.x[0] == pytest.approx(1 / 8)
    assert studio.state == "finished"  # looking back takes nothing back


def test_charts_get_new_arrays_of_doubles(studio: PruningStudio) -> None:
    chart = accuracy_chart(studio)
    before = chart.accuracy.y
    studio.step()
    studio.wait()
    assert chart.accuracy.y is not before
    assert len(chart.accuracy.y) == 2
    for mark in (chart.accuracy, chart.robust, studio._dashboard.charts.of(EnergyChart).accepted):
        assert np.asarray(mark.y).dtype == np.float64


def test_a_hidden_page_gets_no_charts_until_it_is_seen_again(studio: PruningStudio) -> None:
    view, chart = view_of(studio), accuracy_chart(studio)
    view.page_visible = False
    studio.start()
    studio.wait()
    assert len(chart.accuracy.x) == 1
    view.page_visible = True
    studio.wait()
    assert len(chart.accuracy.x) == 5


def test_reset_goes_back_to_the_original(studio: PruningStudio) -> None:
    studio.start()
    studio.wait()
    studio.reset()
    assert studio.wait() == "ready"
    assert studio.steps == ()
    assert removed_units(studio) == 0
    assert len(accuracy_chart(studio).earlier.x) == 5


def test_a_reset_replaces_those_that_wait_before_it() -> None:
    made, begun = [], threading.Event()
    session = Session(lambda: None)

    def run(number: int) -> Any:
        begun.wait(60)
        made.append(number)
        return None, [None]

    session.send("make", lambda: run(0))  # is being made, while the others come in
    while session._commands.qsize():
        time.sleep(0.01)
    for number in range(1, 20):
        session.send("make", lambda number=number: run(number))
        session.send("step")
    session.send("do", (lambda _: made.append("saved"), lambda _: None))
    session.send("make", lambda: run(20))
    begun.set()
    while session.busy:
        time.sleep(0.01)
    assert made == [0, 19, "saved", 20]


def test_buttons_do_what_methods_do(studio: PruningStudio) -> None:
    press(studio, "Step")
    assert studio.wait() == "paused"
    assert len(studio.steps) == 1
    press(studio, "Go on")
    assert studio.wait() == "finished"
    press(studio, "Undo")
    assert studio.wait() == "paused"
    press(studio, "Stop")
    assert studio.wait() == "stopped"
    press(studio, "Step")
    assert studio.wait() == "finished"


def test_only_buttons_that_make_sense_can_be_pressed(studio: PruningStudio) -> None:
    able = {b.description for b in buttons_of(studio) if not b.disabled}
    assert {"Start", "Step"} <= able
    assert not able & {"Pause", "Stop", "Undo", "Redo", "Reset", "Save"}
    studio.start()
    studio.wait()
    able = {b.description for b in buttons_of(studio) if not b.disabled}
    assert {"Undo", "Reset", "Save"} <= able
    assert not able & {"Start", "Go on", "Step", "Pause", "Stop"}


def test_a_finished_run_goes_on_to_a_higher_target(table: Table) -> None:
    model, data = table
    studio = PruningStudio(
        model, data=data, target=0.25, step=0.125, strategy="saliency", distil=10
    )
    studio.start()
    assert studio.wait() == "finished"
    assert studio._conductor.timeline.now.distilled
    studio._dashboard.form.target.value = 0.5
    studio.wait()
    press(studio, "Go on")
    assert studio.wait() == "finished"
    assert len(studio.steps) == 4
    # What was tuned at the old target is shown as it is on the way to the new one.
    assert [moment.distilled > 0 for moment in studio._conductor.timeline.snapshots] == [
        False
    ] * 4 + [True]
    studio.close()


# -- in a running event loop, as in a kernel ---------------------------------------------------


async def until(studio: PruningStudio, *states: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while studio.state not in states:
        assert time.monotonic() < end, f"{studio.state}: {view_of(studio).header}"
        await asyncio.sleep(0.02)


def test_the_loop_stays_free_and_the_view_follows(table: Table) -> None:
    model, data = table

    async def cell() -> tuple[list[int], float]:
        studio = PruningStudio(model, data=data, **QUICK)
        began = time.monotonic()
        studio.start()
        returned = time.monotonic() - began
        seen: list[int] = []
        view_of(studio).observe(lambda change: seen.append(change.new), names="last")
        await until(studio, "finished")
        studio.close()
        return seen, returned

    seen, returned = asyncio.run(cell())
    assert returned < 1.0
    assert seen[-1] == 4
    assert seen == sorted(seen)


def test_pause_and_stop_act_within_one_step(table: Table) -> None:
    model, data = table

    async def cell() -> tuple[int, int]:
        studio = PruningStudio(model, data=data, **{**QUICK, "step": 1 / 64})
        studio.start()
        while len(studio.steps) < 2:
            await asyncio.sleep(0.01)
        at_pause = len(studio.steps)
        studio.pause()
        await until(studio, "paused")
        paused = len(studio.steps) - at_pause
        studio.start()
        await asyncio.sleep(0.1)
        studio.stop()
        await until(studio, "stopped")
        stopped = len(studio.steps)
        await asyncio.sleep(0.3)
        assert len(studio.steps) == stopped
        studio.close()
        return paused, stopped

    paused, stopped = asyncio.run(cell())
    # Steps that were done before the pause was pressed may still be on their way to the view.
    assert paused <= 8
    assert stopped < 32


def test_a_button_on_a_thread_of_its_own_is_carried_out_in_the_main_thread(table: Table) -> None:
    model, data = table
    threads: set[str] = set()

    async def cell() -> None:
        studio = PruningStudio(model, data=data, **QUICK)
        view_of(studio).observe(
            lambda _: threads.add(threading.current_thread().name), names=["header", "last"]
        )
        await until(studio, "ready")
        subshell = threading.Thread(target=lambda: press(studio, "Start"))
        subshell.start()
        subshell.join()
        await until(studio, "finished")
        studio.close()

    asyncio.run(cell())
    assert threads == {threading.main_thread().name}


def test_what_the_page_sends_while_we_show_something_is_not_lost(studio: PruningStudio) -> None:
    studio.start()
    studio.wait()
    view, seen = view_of(studio), []

    def look_back(_: Any) -> None:  # on the browser's thread, in the middle of a turn
        if not seen:
            seen.append(1)
            sent = threading.Thread(target=lambda: setattr(view, "moment", 1))
            sent.start()
            sent.join()

    view.observe(look_back, names="header")
    studio._conductor.standing.message = "news"
    studio.wait()
    assert seen
    studio.wait()  # the turn after
    assert view.moment == 1
    assert studio._conductor.timeline.shown == 1


# -- what a person can get wrong ---------------------------------------------------------------


def error_of(studio: PruningStudio) -> str:
    return str(view_of(studio).header["error"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"target": 1.5}, "target"),
        ({"target": 0.0}, "target"),
        ({"target": "half"}, "target"),
        ({"target": 0.1, "step": 0.25}, "step"),
        ({"seed": -1}, "seed"),
        ({"compensation": "glue"}, "glue"),
        ({"strategy": "luck"}, "luck"),
        ({"domain": (1, 0)}, "lo exceeds its hi"),
        ({"locked": "nowhere"}, "nowhere"),
        ({"targets": {"nowhere": 0.5}}, "nowhere"),
        ({"eps": -1.0}, "eps"),
    ],
)
def test_a_wrong_setting_is_told_in_one_sentence(
    table: Table, wrong: dict[str, Any], said: str
) -> None:
    model, data = table
    studio = PruningStudio(model, data=data, **{**QUICK, **wrong})
    assert studio.wait() == "failed"
    assert said in error_of(studio)
    assert "Traceback" not in error_of(studio)
    assert "\n" not in error_of(studio)
    with pytest.raises(paoding.errors.PaodingError, match=None):
        _ = studio.result
    studio.close()


def test_a_setting_put_right_lets_the_run_begin(table: Table) -> None:
    model, data = table
    studio = PruningStudio(model, data=data, **{**QUICK, "target": 1.5})
    assert studio.wait() == "failed"
    next(c for c in form_of(studio) if c.description == "Target").value = 0.25
    studio.start()
    assert studio.wait() == "finished"
    assert error_of(studio) == ""
    studio.close()


def test_data_that_do_not_fit_are_told(table: Table) -> None:
    model, data = table
    for x, y in ((data.x[:, :5], data.y), (data.x, data.y[:3]), (data.x, data.y + 7)):
        studio = PruningStudio(model, data=(x, y), **QUICK)
        assert studio.wait() == "failed"
        assert error_of(studio)
        studio.close()
    with pytest.raises(ArgumentError, match="pair"):
        PruningStudio(model, data=3)


def test_a_folder_that_was_saved_to_makes_way_for_the_next(
    studio: PruningStudio, tmp_path: Path
) -> None:
    field = studio._dashboard.buttons.folder
    for name, following in (("", ""), ("run", "run-2"), ("run-2", "run-3")):
        studio.step()
        studio.wait()
        field.value = name and str(tmp_path / name)
        press(studio, "Save")
        studio.wait()
        assert field.value == (following and str(tmp_path / following))
        assert ("Name the folder" in error_of(studio)) == (not name)


def test_a_model_without_a_graph_is_told_and_leaves_no_dead_widget() -> None:
    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    studio = PruningStudio(Own(name="own"))
    assert studio.state == "failed"
    assert error_of(studio)
    studio.start()
    assert studio.state == "failed"
    with pytest.raises(ModelError):
        _ = studio.result
    assert "own" in still_of(studio)["text/plain"]
    studio.close()


def test_weights_that_are_no_numbers_are_told(table: Table) -> None:
    model = keras.models.clone_model(table[0])
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    studio = PruningStudio(model, **QUICK)
    assert studio.wait() == "failed"
    assert error_of(studio)
    studio.close()


def test_the_result_is_not_given_while_the_run_goes_on(table: Table) -> None:
    model, data = table
    studio = PruningStudio(model, data=data, **QUICK)
    studio.start()
    with pytest.raises(BusyError, match="wait"):
        _ = studio.result
    studio.wait()
    studio.close()


def test_without_data_nothing_is_measured_and_it_is_said(table: Table) -> None:
    studio = PruningStudio(table[0], **QUICK)
    studio.start()
    assert studio.wait() == "finished"
    labels = [row["label"] for row in view_of(studio).header["figures"]]
    assert "Accuracy" not in labels
    assert "no data" in accuracy_chart(studio).heading.value
    studio.close()


def test_names_from_a_model_are_text_never_html() -> None:
    bad = "<img src=x onerror=alert(1)>"
    inputs = keras.Input((4,))
    x = keras.layers.Dense(6, activation="relu", name="evil$x$")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(x), name="m")
    model.layers[1].name = bad
    studio = PruningStudio(model, target=0.5, step=0.25, strategy="saliency", compensation="merge")
    for button in (studio._dashboard.buttons.explain, studio._dashboard.buttons.code):
        button.value = True
    studio._dashboard.buttons.tables.value = True
    studio.start()
    studio.wait()
    html = [studio._dashboard.explanation.value, studio._dashboard.code.value]
    html += [c.heading.value + c.table.value for c in studio._dashboard.charts.all]
    html.append(still_of(studio)["text/html"])
    assert all("<img src=x" not in text for text in html)
    assert any("&lt;img" in text for text in html)
    studio.close()


# -- saving and loading ------------------------------------------------------------------------


def test_a_saved_run_is_opened_and_goes_on(studio: PruningStudio, tmp_path: Path) -> None:
    studio.step()
    studio.wait()
    studio.save(tmp_path / "run")
    again = PruningStudio.load(tmp_path / "run")
    assert again.wait() == "paused"
    assert again.result.plan.steps == studio.result.plan.steps
    columns = again.steps[0].decisions.columns
    np.testing.assert_array_equal(
        columns["importance"], studio.steps[0].decisions.columns["importance"]
    )
    for one in (studio, again):
        one.start()
        assert one.wait() == "finished"
    assert again.result.plan.steps == studio.result.plan.steps
    again.close()


def test_an_existing_folder_is_left_alone(studio: PruningStudio, tmp_path: Path) -> None:
    studio.step()
    studio.wait()
    (tmp_path / "run").mkdir()
    with pytest.raises(OutputExistsError):
        studio.save(tmp_path / "run")
    folder = next(c for c in form_of(studio) if c.description == "to folder")
    folder.value = str(tmp_path / "run")
    press(studio, "Save")
    assert studio.wait() == "paused"
    assert "run" in error_of(studio)
    assert list((tmp_path / "run").iterdir()) == []
    folder.value = str(tmp_path / "other")
    press(studio, "Save")
    studio.wait()
    assert (tmp_path / "other" / "model.keras").is_file()
    assert "saved" in view_of(studio).header["message"]


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        PruningStudio.load(tmp_path)


def test_a_run_without_its_original_asks_for_it(
    table: Table, studio: PruningStudio, tmp_path: Path
) -> None:
    studio.step()
    studio.wait()
    studio.result.save(tmp_path / "run")
    with pytest.raises(ModelError, match="model="):
        PruningStudio.load(tmp_path / "run")
    again = PruningStudio.load(tmp_path / "run", model=table[0], data=table[1])
    assert again.wait() == "paused"
    again.close()


def test_a_broken_plan_is_refused(studio: PruningStudio, tmp_path: Path) -> None:
    studio.step()
    studio.wait()
    studio.save(tmp_path / "run")
    plan = tmp_path / "run" / "plan.json"
    values = json.loads(plan.read_text())
    del values["settings"]["strategy"]
    plan.write_text(json.dumps(values))
    with pytest.raises(PlanError):
        PruningStudio.load(tmp_path / "run")


# -- what the reader asks ----------------------------------------------------------------------


def test_a_chosen_unit_tells_its_story(studio: PruningStudio) -> None:
    view = view_of(studio)
    studio.step()
    studio.wait()
    removal = studio.steps[0].removals[0]
    names = [node["name"] for node in view.scene["nodes"]]
    view.selected = {"node": names.index(removal.group), "unit": removal.unit}
    studio.wait()
    story = view.inspected["unit"]["story"]
    assert f"step 1; unit {removal.into} took it over" in story
    alive = next(u for u in range(64) if u not in {r.unit for r in studio.steps[0].removals})
    view.selected = {"node": names.index(removal.group), "unit": alive}
    studio.wait()
    unit = view.inspected["unit"]
    assert unit["story"].startswith("It stays: ")
    assert unit["alike"]
    assert {fact.get("tag") for fact in unit["facts"]} >= {"certified", "estimated"}


def test_a_chosen_layer_tells_what_goes_with_it(studio: PruningStudio) -> None:
    view = view_of(studio)
    view.selected = {"node": 1, "unit": -1}
    studio.wait()
    layer = view.inspected["layer"]
    assert layer["title"] == view.scene["nodes"][1]["name"]
    assert any("reads the units" in member for member in layer["members"])


def test_locks_and_targets_of_the_table_reach_the_pruner(studio: PruningStudio) -> None:
    view = view_of(studio)
    first, second = (row["name"] for row in view.layers if row["prunable"])
    view.locked = [first]
    view.targets = {second: 0.25}
    studio.start()
    assert studio.wait() == "finished"
    counts = dict.fromkeys((first, second), 0)
    for removal in studio.result.plan.removals:
        counts[removal.group] += 1
    assert counts == {first: 0, second: 16}


def test_the_code_shown_does_the_same(table: Table, studio: PruningStudio, tmp_path: Path) -> None:
    studio.start()
    studio.wait()
    code = studio.settings.code().replace('result.save("run")', "pass")
    space: dict[str, Any] = {"model": table[0]}
    exec(code, space)
    assert space["result"].plan.steps == studio.result.plan.steps


@pytest.mark.parametrize("changed", [{"seed": 3}, {"compensation": "least-squares"}])
def test_where_settings_changed_on_the_way_the_plan_named_beside_the_code_repeats_the_network(
    table: Table, studio: PruningStudio, tmp_path: Path, changed: dict[str, Any]
) -> None:
    studio.step()
    studio.wait()
    for name, value in changed.items():
        getattr(studio._dashboard.form, name).value = value
    studio.start()
    assert studio.wait() == "finished"
    studio.save(tmp_path / "run")
    said = studio.settings.code().splitlines()[-1].removeprefix("# ")
    space: dict[str, Any] = {"model": table[0]}
    exec("import paoding\n" + said.replace('"run/', f'"{tmp_path.as_posix()}/run/'), space)
    kept = studio.result.model.get_weights()
    for ours, theirs in zip(kept, space["result"].model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_cell_means_something_without_a_kernel(studio: PruningStudio) -> None:
    studio.start()
    studio.wait()
    data = still_of(studio)
    assert "finished" in data["text/plain"]
    assert "Parameters" in data["text/plain"]
    assert data["image/png"].startswith("iVBOR")
    assert "<img" in data["text/html"]
    assert repr(studio).startswith("PruningStudio(")


@pytest.mark.slow
def test_the_picture_in_a_saved_notebook_follows_the_run() -> None:
    cells = [
        "import paoding\nfrom paoding_widgets import PruningStudio\n"
        "model, data = paoding.zoo.load('breast-cancer')\n"
        "studio = PruningStudio(model, data=data, step=0.25, strategy='saliency', distil=0)\n"
        "studio",
        "studio.start()\nstudio.wait()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    live, still = notebook.cells[0].outputs
    assert "application/vnd.jupyter.widget-view+json" in live.data
    assert "breast_cancer, finished" in still.data["text/plain"]
    assert still.data["image/png"].startswith("iVBOR")


def test_the_structure_alone_needs_no_run(branched: keras.Model) -> None:
    widget = ModelStructure(branched)
    assert widget.mode == "structure"
    importance = np.frombuffer(widget.units["importance"], np.float32)
    assert np.isfinite(importance).any()
    assert "branched" in widget._repr_mimebundle_()[0]["text/plain"]


def test_a_unit_that_never_matters_is_shown_as_free_and_can_go_first() -> None:
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")
    model = keras.Model(inputs, keras.layers.Dense(2, name="scores")(hidden(inputs)), name="m")
    kernel, bias = (np.array(weight) for weight in hidden.get_weights())
    bias[3] = -np.abs(kernel[:, 3]).sum() - 1  # never active on [0, 1]
    hidden.set_weights([kernel, bias])
    studio = PruningStudio(model, target=0.5, step=0.25, strategy="saliency", compensation="merge")
    assert studio.wait() == "ready"
    view = view_of(studio)
    free = np.frombuffer(view.units["free"], np.uint8)
    assert free[3] == 1
    view.selected = {"node": 1, "unit": 3}
    studio.wait()
    assert any(fact["label"] == "Free" for fact in view.inspected["unit"]["facts"])
    next(c for c in form_of(studio) if c.description == "Free units first").value = True
    studio.step()
    assert studio.wait() == "paused"
    assert 3 in {removal.unit for removal in studio.steps[0].removals}
    assert studio.steps[0].removals[0].method == "lossless"
    studio.close()


def field_of(studio: PruningStudio, title: str) -> Any:
    return next(c for c in form_of(studio) if c.description == title)


def test_the_end_of_a_run_tells_what_is_left_estimated_without_data(
    studio: PruningStudio, tmp_path: Path
) -> None:
    view = view_of(studio)
    assert view.header["estimate"] == ""
    studio.start()
    assert studio.wait() == "finished"
    assert "same answer as the original on" in view.header["estimate"]
    studio.save(tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert set(report["selfcheck"]["agreement"]) >= {"table", "uniform"}
    studio.undo()
    studio.wait()
    assert view.header["estimate"] == ""  # another network: what was found does not hold for it
    press(studio, "Self-check")
    studio.wait()
    assert view.header["estimate"] != ""


def test_a_large_network_is_checked_only_when_asked(
    studio: PruningStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paoding_widgets.run.quick_samples", lambda flops, most: 0)
    studio.start()
    studio.wait()
    assert view_of(studio).header["estimate"] == ""
    studio.check()
    studio.wait()
    assert view_of(studio).header["estimate"] != ""


def test_behind_a_sigmoid_the_scores_are_certified(studio: PruningStudio) -> None:
    studio.step()
    studio.wait()
    chart = studio._dashboard.charts.of(ChangeChart)
    assert chart.axis.label == "score" and "certified" in chart.heading.value
    scores = studio.result.certificate.scores
    assert scores is not None and scores.lower is not None and scores.upper is not None
    most = np.maximum(np.abs(scores.lower), np.abs(scores.upper))
    np.testing.assert_allclose(np.ravel(chart.bound.y)[1:-1], most)
    assert 0 < chart.seen.y[1] <= chart.bound.y[1]


def test_a_run_ends_where_answers_would_no_longer_be_kept(table: Table) -> None:
    model, data = table
    studio = PruningStudio(model, data=data, target=0.9, step=0.125, compensation="none")
    field_of(studio, "Keep").value = 0.95
    studio.wait()
    studio.start()
    assert studio.wait() == "finished"
    wanted = paoding.prune(
        model, domain=data.domain, target=0.9, step=0.125, compensation="none", keep=0.95
    )
    assert studio.result.plan.steps == wanted.plan.steps
    assert wanted.ending and studio._conductor.now().says == wanted.ending
    assert "keep=0.95" in studio.settings.code()
    studio.close()


def test_further_settings_reach_the_pruner_and_the_code(studio: PruningStudio) -> None:
    field_of(studio, "Allocation").value = "global"
    field_of(studio, "Counted in").value = "parameters"
    field_of(studio, "At least").value = 3
    studio.start()
    assert studio.wait() == "finished"
    settings = studio.result.plan.settings
    assert settings["floor"] == 3
    assert settings["options"]["allocation"] == "global"
    assert settings["options"]["budget"] == "parameters"
    assert "budget='parameters'" in studio.settings.code()


@pytest.mark.parametrize(
    "option", [{"samples": -1}, {"floor": "two"}, {"bounds": "guess"}, {"prior": "moon"}], ids=str
)
def test_a_wrong_further_setting_is_told_in_one_sentence(
    table: Table, option: dict[str, Any]
) -> None:
    model, data = table
    studio = PruningStudio(model, data=data, **QUICK, **option)
    assert studio.wait() == "failed"
    (name,) = option
    assert f"{name}=" in view_of(studio).header["error"]


def test_every_field_says_what_it_is_for(studio: PruningStudio) -> None:
    told = [*form_of(studio), *buttons_of(studio)]
    assert [one.description for one in told if not one.tooltip] == []


def test_stop_gives_up_a_step_in_the_making_and_the_run_can_begin_again(
    branched: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paoding_widgets.run.MAX_FIRST_STUDY", 0)  # the first step has to study
    studio = PruningStudio(branched, target=0.5, step=0.25)
    assert studio.wait() == "ready"
    begun, stopped = threading.Event(), threading.Event()
    run = studio._conductor.standing.run
    assert run is not None

    def slow(what: str, share: float) -> None:
        studio._conductor.session.pulse(what, share)
        begun.set()
        assert stopped.wait(30)

    run.pruner.watch = slow
    studio.start()
    assert begun.wait(30)
    studio._turn()
    assert "drawing synthetic inputs, 0%" in str(view_of(studio).header)
    studio.stop()
    stopped.set()
    assert studio.wait() == "ready"
    assert studio.steps == ()
    studio.start()
    assert studio.wait() == "finished"
    wanted = paoding.prune(branched, target=0.5, step=0.25).plan.steps
    assert tuple(step.removals for step in studio.steps) == wanted
    studio.close()


def test_the_last_step_explains_that_survivors_were_distilled(table: Table) -> None:
    model, data = table
    studio = PruningStudio(model, data=data, target=0.5, step=0.25, distil=5)
    studio.wait()
    studio.step()
    studio.wait()
    assert "distilled" not in explain(
        studio._conductor.timeline.snapshots, studio._conductor.timeline.shown, studio.settings
    )
    studio.start()
    assert studio.wait() == "finished"
    told = explain(
        studio._conductor.timeline.snapshots, studio._conductor.timeline.shown, studio.settings
    )
    assert "(<b>distilled</b>, 5 steps)" in told and r"\nabla_x m\)" in told
    assert "distil=5" in studio.settings.code()
    studio.close()


def test_asking_about_a_unit_leaves_no_message_of_work_behind(table: Table) -> None:
    model, data = table
    studio = PruningStudio(model, data=data, target=0.5, step=0.25, distil=0)
    studio.wait()
    studio.step()
    assert studio.wait() == "paused"
    before = view_of(studio).header["message"]
    group = (
        next(iter(studio._conductor.standing.run.pruner.n_remove))
        if studio._conductor.standing.run
        else ""
    )
    studio._conductor.session.send("do", (lambda run: run.about(group, 0), lambda value: None))
    studio._conductor.session.send("do", (lambda run: run.about(group, 1), lambda value: None))
    studio.wait()
    assert view_of(studio).header["message"] == before
    studio.close()


@pytest.mark.parametrize(
    ("first", "shown", "code"),
    [
        (keras.layers.Rescaling(1 / 255), (0, 255), "domain=paoding.Box(0.0, 255.0)"),
        (keras.layers.Rescaling(0.5), (0, 1), None),
        (
            keras.layers.Normalization(mean=[9.0, 5.0], variance=[4.0, 1.0]),
            None,
            "domain=paoding.Box(1.0, [17.0, 9.0])",
        ),
    ],
)
def test_legal_inputs_that_the_first_layer_tells_are_shown(first, shown, code) -> None:
    stack = [keras.Input((2,)), first, keras.layers.Dense(6, "relu"), keras.layers.Dense(2)]
    made = PruningStudio(keras.Sequential(stack), distil=0)
    assert made.wait() == "ready"
    form = made._dashboard.form
    assert ((form.lo.value, form.hi.value) == shown) == (form.lo in form.fields)
    text = made.settings.code()
    assert code in text if code else "domain" not in text
    made.close()


def test_data_that_is_not_within_the_domain_is_told(table: Table) -> None:
    model, data = table
    made = PruningStudio(model, data=(255 * data.x, data.y), compensation="merge")
    assert made.wait() == "ready"
    assert "where 0 to 1 is legal: set the domain" in made._conductor.now().says
    made._dashboard.form.hi.value = 255.0
    made.reset()
    assert made.wait() == "ready" and "legal" not in made._conductor.now().says
    made.close()


def test_a_domain_in_any_form_is_written_into_the_code() -> None:
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    join = keras.layers.Dense(4, "relu")(keras.layers.Concatenate()([a, b]))
    model = keras.Model([a, b], keras.layers.Dense(2)(join))
    one, other = paoding.Box(0, 1), paoding.Box(0, 2)
    for domain in ({"b": other, "a": one}, [one, other], (one, other)):
        made = PruningStudio(model, domain=domain, compensation="merge")
        assert made.wait() == "ready"
        told = "domain=[paoding.Box(0.0, 1.0), paoding.Box(0.0, 2.0)]"
        assert told in made.settings.code()
        made.close()
