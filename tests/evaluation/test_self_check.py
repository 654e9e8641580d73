"""Two networks are compared without labels by what each output is for."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import paoding
from paoding.errors import ArgumentError
from paoding.evaluation.agreement import agreement, sure
from paoding.evaluation.outputs import outputs_without_labels
from paoding.evaluation.self_check import selfcheck

X = np.random.default_rng(0).random((50, 4)).astype("float32")


def network(*ends):
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    h = layers.Dense(16, "relu")(layers.Dense(16, "relu")(x))
    return keras.Model(x, [end(h) for end in ends])


def agree(model, after, before, task=None):
    return agreement(outputs_without_labels(model, [X], task), after, before)


def test_one_score_agrees_where_both_are_on_the_same_side_of_its_threshold():
    before, after = np.array([[0.1], [0.9], [0.6]]), np.array([[0.2], [0.8], [0.4]])
    assert agree(network(layers.Dense(1, "sigmoid")), [after], [before]) == pytest.approx(2 / 3)


def test_a_number_agrees_by_the_variance_that_is_explained():
    model, numbers = network(layers.Dense(1)), np.array([[-3.0], [0.0], [3.0]])
    assert agree(model, [numbers], [numbers]) == 1.0
    assert agree(model, [numbers + 1], [numbers]) == pytest.approx(1 - 3 / 18)
    assert agree(model, [np.zeros((3, 1))], [numbers]) == 0.0


def test_labels_agree_each_by_itself_and_not_by_the_greatest():
    before, after = np.array([[0.9, 0.8, 0.1]]), np.array([[0.7, 0.95, 0.2]])
    assert agree(network(layers.Dense(3, "sigmoid")), [after], [before]) == 1.0
    assert agree(network(layers.Dense(3, "softmax")), [after], [before]) == 0.0


def test_several_numbers_are_taken_for_scores_unless_the_loss_or_task_says_otherwise():
    model = network(layers.Dense(3))
    before = np.array([[1.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    after = before / 2
    assert agree(model, [after], [before]) == 1.0
    assert agree(model, [after], [before], task="regression") < 1.0
    model.compile(loss="mse")
    assert agree(model, [after], [before]) < 1.0


def test_the_agreement_of_several_outputs_is_their_mean():
    model = network(layers.Dense(2, "softmax"), layers.Dense(1))
    classes, numbers = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[-1.0], [1.0]])
    assert agree(model, [classes[::-1], numbers], [classes, numbers]) == 0.5


@pytest.mark.parametrize(
    ("end", "answers", "expected"),
    [
        (layers.Dense(2, "softmax"), [[0.95, 0.05], [0.6, 0.4]], [True, False]),
        (layers.Dense(2), [[5.0, 0.0], [0.3, 0.0]], [True, False]),
        (layers.Dense(1, "sigmoid"), [[0.02], [0.5]], [True, False]),
        (layers.Dense(1), [[0.02], [0.5]], [True, True]),
        (layers.Dense(2, "sigmoid"), [[0.02, 0.99], [0.02, 0.6]], [True, False]),
    ],
)
def test_a_classifier_is_sure_from_nine_tenths_on_and_a_number_is_always(end, answers, expected):
    outputs = outputs_without_labels(network(end), [X])
    assert sure(outputs, [np.array(answers)]).tolist() == expected


def test_a_segmentation_counts_whole_however_unsure_it_is_of_a_pixel():
    x = keras.Input((2, 2, 1))
    model = keras.Model(x, layers.Conv2D(2, 1, activation="softmax")(x))
    outputs = outputs_without_labels(model, [np.zeros((2, 2, 2, 1), "float32")])
    assert sure(outputs, [np.full((2, 2, 2, 2), 0.5)]).all()


def test_a_task_that_does_not_exist_is_refused():
    model = network(layers.Dense(3))
    with pytest.raises(ArgumentError, match="'guessing' is no task"):
        selfcheck(model, model, task="guessing")


def test_a_model_agrees_with_itself_and_a_broken_one_is_noticed():
    model = network(layers.Dense(3))
    same = selfcheck(model, model, samples=50)
    assert same.mean == 1.0 and same.spread == 0.0 and not same.warning
    broken = keras.models.clone_model(model)
    broken.set_weights([-w for w in model.get_weights()])
    check = selfcheck(broken, model, samples=50)
    assert check.mean < 0.9 and check.warning
    assert "estimated" in str(check)


def test_the_check_is_headed_by_the_kind_of_input_that_the_model_suggests():
    model, _ = paoding.zoo.load("mnist-mlp")
    small = paoding.prune(model, target=0.5, step=0.25, distil=0, samples=500).model
    check = selfcheck(small, model, samples=200)
    assert check.likeliest == "blobs" and check.expected == check.agreement["blobs"]
    assert check.to_dict()["expected"] == check.expected
    assert f"{check.expected:.1%} on inputs like 'blobs'" in str(check)
    if check.spread > 0.1:
        assert "not like 'blobs'" in check.warning


def test_inputs_of_several_kinds_are_checked_as_the_model_suggests():
    words, image = keras.Input((5,), dtype="int32"), keras.Input((8, 8, 1))
    y = layers.GlobalAveragePooling1D()(layers.Embedding(20, 6)(words))
    z = layers.Concatenate()([y, layers.Flatten()(image)])
    model = keras.Model([words, image], layers.Dense(3, "softmax")(z))
    check = selfcheck(model, model, samples=20)
    # A named kind is taken where it fits, so that "tokens" is what the model suggests for both.
    assert check.likeliest == "tokens" and check.expected == 1.0
