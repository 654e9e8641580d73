"""The lessons' widgets: what a click does, what is said, and what a page without kernel shows."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from keras import layers

import paoding
from paoding.errors import ArgumentError, OutputExistsError
from paoding.zoo.lessons import copy_lessons, lessons
from paoding_widgets import teach
from paoding_widgets.teach.parts import Chain, weights_png


@pytest.fixture(scope="module")
def zoo():
    return paoding.zoo.load("mnist-mlp")


def residual() -> keras.Model:
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, padding="same", name="stem")(x)
    z = layers.Conv2D(4, 3, padding="same", name="branch")(y)
    y = layers.BatchNormalization(name="norm")(layers.Add(name="add")([y, z]))
    return keras.Model(x, layers.Dense(2, name="scores")(layers.GlobalAveragePooling2D()(y)))


def test_a_chain_cut_after_a_layer_answers_like_the_model(zoo):
    model, data = zoo
    chain = Chain(model, "dense_2")
    answers = chain.outputs(chain.hidden(data.x[:20]))
    np.testing.assert_allclose(answers, np.asarray(model(data.x[:20])), atol=1e-5)


def test_a_model_with_branches_is_refused_in_one_sentence():
    with pytest.raises(ArgumentError, match="is no chain of layers"):
        Chain(residual())


def test_a_layer_that_the_chain_does_not_have_is_named(zoo):
    with pytest.raises(ArgumentError, match=r"layer='digit' must be one of 'dense_1'"):
        Chain(zoo[0], "digit")


def test_clicked_units_are_removed_and_come_back(zoo):
    task = teach.RemoveUnits(*zoo)
    at_first = task.said
    task.grid.selected = [0, 3]
    assert len(task.removed) == 2 and task.said.startswith("2 of 128 units")
    assert [shown["mark"] for shown in task.grid.pictures].count("gone") == 2
    task.grid.selected = []
    assert task.said == at_first


def test_a_guess_is_ranked_by_the_measured_change_and_counts_once(zoo):
    game = teach.GuessTheUnit(*zoo)
    changes = [game.change(int(unit)) for unit in game._units]
    game.grid.selected = [int(np.argmin(changes))]
    assert game.ranks["you"] == [1]
    game.grid.selected = [0]  # a late second click
    assert game.ranks["you"] == [1]
    game.next.click()
    assert not game.grid.disabled and game.grid.selected == []


@pytest.mark.parametrize("angle", [0.0, 35.0, 120.0, 180.0])
def test_least_squares_is_never_further_off_than_the_other_ways(angle):
    pair = teach.MergeExplorer()
    pair.angle.value, pair.shift.value = angle, 0.3
    assert min(pair.errors.values()) >= pair.errors["least squares"] - 1e-9


def test_every_sampled_width_lies_within_the_certified_one(zoo):
    flow = teach.BoundsFlow(*zoo)
    for eps in (1e-4, 1e-2, 1.0):
        flow.eps.value = eps
        certified, sampled = flow.widths()
        assert (certified >= sampled * (1 - 1e-9)).all()


@pytest.mark.parametrize("ticked", [("stem",), ("stem", "branch"), ("scores",), ()])
def test_a_cut_that_leaves_a_part_out_does_not_hold_and_says_why(ticked):
    puzzle = teach.CutTogether(residual(), group="stem")
    puzzle.tick(*ticked)
    assert not puzzle.cut()
    assert "not hold" in puzzle.said or "Tick" in puzzle.said


def test_only_parts_with_weights_are_offered_and_all_of_them_hold():
    puzzle = teach.CutTogether(residual(), group="stem")
    assert puzzle.names == ("stem", "branch", "norm", "scores")
    puzzle.tick(*puzzle.names)
    assert puzzle.cut() and "silenced" in puzzle.said


def test_an_unknown_group_is_named():
    with pytest.raises(ArgumentError, match=r"group='nope' must be one of"):
        teach.CutTogether(residual(), group="nope")


def test_a_width_is_worth_having_where_no_wider_one_is_as_fast():
    picture = teach.WidthsInTime("keras", widths=(2, 3, 4, 8))
    picture.flops = {2: 1, 3: 3, 4: 4, 8: 8}
    picture.seconds = {2: 1e-3, 3: 3e-3, 4: 2e-3, 8: 4e-3}
    assert picture.worth() == [8, 4, 2]
    picture.channels.value = 3
    assert "38% of the operations, 75% of the time (3 ms)" in picture.said
    assert "4 channels are as fast or faster" in picture.said
    picture.channels.value = 2
    assert picture.said.endswith("No wider one is as fast.")


@pytest.mark.parametrize("widths", [(), (8,), (0, 8)])
def test_widths_that_compare_nothing_are_refused(widths):
    with pytest.raises(ArgumentError, match="two or more numbers"):
        teach.WidthsInTime("keras", widths=widths)


def test_a_page_without_kernel_shows_pictures_and_the_spoken_line(zoo):
    data, _ = teach.RemoveUnits(*zoo)._repr_mimebundle_()
    assert "data:image/png;base64," in data["text/html"]
    assert "0 of 128 units are removed" in data["text/plain"]


def test_what_is_said_is_text_and_never_html():
    pair = teach.MergeExplorer()
    pair.say("<img src=x onerror=alert(1)>")
    assert "<img" not in pair.line.value


def test_zero_weights_give_a_clear_picture():
    assert weights_png(np.zeros((3, 3))).startswith("data:image/png;base64,")


def test_lessons_are_copied_once_and_never_over_an_earlier_copy(tmp_path):
    copies = copy_lessons(tmp_path / "class")
    assert [copy.name for copy in copies] == [lesson.name for lesson in lessons()]
    copies[0].write_text("my answers")
    with pytest.raises(OutputExistsError, match=r"1-what-is-a-unit\.ipynb' exists already"):
        copy_lessons(tmp_path / "class")
    assert copies[0].read_text() == "my answers"


def test_every_lesson_asks_a_question_first_and_folds_its_answer_away():
    for lesson in lessons():
        cells = json.loads(lesson.read_text())["cells"]
        first, last = ("".join(cells[at]["source"]) for at in (0, -1))
        assert "?" in first.split("\n\n")[0] + first.split("\n\n")[1], lesson.name
        assert last.startswith("<details><summary><b>Answer"), lesson.name
        assert not any(cell.get("outputs") for cell in cells), lesson.name
