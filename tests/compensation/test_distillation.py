"""Distillation: all survivors tuned together to the original, without data."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import paoding
from paoding.compensation.distillation import REACH, Pair, affordable, distilled, scores
from paoding.domain import Box
from paoding.errors import ArgumentError
from paoding.graph import trace
from paoding.pruning.context import RunContext

sys.path.insert(0, str(Path(__file__).parent))
from small import dense


def residual():
    x = keras.Input((8, 8, 2))
    y = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    z = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", use_bias=False)(y))
    y = layers.ReLU()(layers.Add()([y, z]))
    return keras.Model(x, layers.Dense(3)(layers.Flatten()(layers.MaxPooling2D()(y))))


def two_outputs():
    x = keras.Input((6,))
    shared = layers.Dense(8, "relu")
    y = shared(x) + shared(1.0 - x)
    z = layers.Dense(6, "relu")(y)
    return keras.Model(x, [layers.Dense(1, "sigmoid")(z), layers.Dense(2)(y)])


def tokens_and_table():
    words, table = keras.Input((5,), dtype="int32"), keras.Input((4,))
    y = layers.GlobalAveragePooling1D()(layers.Embedding(20, 6)(words))
    y = layers.Dense(8, "relu")(layers.Concatenate()([y, table]))
    return keras.Model([words, table], layers.Dense(3, "softmax")(y))


def open_length():
    x = keras.Input((None, 3))
    y = layers.Conv1D(8, 3, padding="causal", activation="relu")(x)
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(y)))


def one_number():
    x = keras.Input((6,))
    return keras.Model(x, keras.ops.squeeze(layers.Dense(1)(layers.Dense(8, "relu")(x)), axis=-1))


def every_step():
    x = keras.Input((None, 3))
    y = layers.Dense(2, "softmax")(layers.GRU(6, return_sequences=True)(x))
    return keras.Model(x, y)


NETWORKS = [dense, residual, two_outputs, tokens_and_table, open_length, one_number, every_step]


def prune(model, **settings):
    return paoding.prune(model, **{"target": 0.5, "step": 0.25, "distil": 12, **settings})


def inputs_of(model, n=16):
    rng = np.random.default_rng(1)
    found = []
    for x in model.inputs:
        shape = (n, *(7 if s is None else s for s in x.shape[1:]))
        whole = np.issubdtype(np.dtype(x.dtype), np.integer)
        found.append(rng.integers(0, 20, shape) if whole else rng.random(shape).astype("float32"))
    return found if len(found) > 1 else found[0]


@pytest.mark.parametrize("build", NETWORKS)
def test_the_cut_model_equals_the_masked_one_after_distillation(build):
    keras.utils.set_random_seed(0)
    result = prune(build())
    x = inputs_of(result.model)
    small = keras.tree.flatten(result.model(x, training=False))
    masked = keras.tree.flatten(result.masked(x, training=False))
    for a, b in zip(small, masked, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    plain = prune(build(), distil=0)
    assert [w.shape for w in plain.model.weights] == [w.shape for w in result.model.weights]


def test_it_brings_back_accuracy_and_robustness_on_data_that_it_never_saw():
    model, data = paoding.zoo.load("mnist-mlp")
    settings = {"target": 0.75, "step": 0.25, "strategy": "saliency"}
    attacks = [paoding.FGSM(0.05)]

    def measured(**more):
        small = paoding.prune(model, **settings, **more).model
        return paoding.evaluate(small, data.x, data.y, model, attacks=attacks, latency=False)

    before, after = measured(distil=0), measured()
    assert after.accuracy > before.accuracy + 0.01
    assert after.retention > before.retention + 0.1


def test_a_replay_and_a_redo_give_the_same_weights_bit_for_bit(tmp_path):
    keras.utils.set_random_seed(0)
    model = dense()
    pruner = paoding.Pruner(model, target=0.5, step=0.25, distil=12)
    steps = list(pruner)
    wanted = [w.copy() for w in pruner.result().model.get_weights()]
    pruner.undo()
    assert pruner.remaining == steps[-2].remaining
    pruner.redo()
    pruner.plan.save(tmp_path / "plan.json")
    plan = paoding.Plan.load(tmp_path / "plan.json")
    for again in (pruner.model(), paoding.replay(model, plan).model):
        for a, b in zip(wanted, again.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_only_the_last_step_is_distilled():
    keras.utils.set_random_seed(0)
    model = dense()
    tuned = paoding.Pruner(model, target=0.5, step=0.25, distil=12)
    plain = paoding.Pruner(model, target=0.5, step=0.25, distil=0)
    same = []
    for a, b in zip(tuned, plain, strict=True):
        assert a.removals == b.removals
        pairs = zip(tuned.state.values, plain.state.values, strict=True)
        same.append(all(np.array_equal(x, y) for x, y in pairs))
    assert same == [True] * (len(same) - 1) + [False]


def test_a_plan_of_before_distillation_is_replayed_without_it(tmp_path):
    keras.utils.set_random_seed(0)
    model = dense()
    told = prune(model, distil=0)
    told.plan.save(tmp_path / "plan.json")
    kept = json.loads((tmp_path / "plan.json").read_text())
    del kept["settings"]["options"]["distil"]
    (tmp_path / "old.json").write_text(json.dumps(kept))
    again = paoding.replay(model, paoding.Plan.load(tmp_path / "old.json"))
    for a, b in zip(told.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_merges_are_not_distilled_unless_it_is_asked_for():
    keras.utils.set_random_seed(0)
    model = dense()
    default = prune(model, compensation="merge", distil=None)
    without = prune(model, compensation="merge", distil=0)
    asked = prune(model, compensation="merge", distil=12)
    for a, b in zip(default.model.get_weights(), without.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert asked.plan.steps == without.plan.steps
    assert not np.array_equal(asked.model.get_weights()[0], without.model.get_weights()[0])


def test_frozen_layers_and_moving_statistics_keep_their_values():
    keras.utils.set_random_seed(0)
    model = residual()
    model.layers[1].trainable = False
    one, other = prune(model).masked, prune(model, distil=0).masked
    np.testing.assert_array_equal(one.layers[1].get_weights()[0], other.layers[1].get_weights()[0])
    for a, b in zip(one.layers, other.layers, strict=True):
        if isinstance(a, layers.BatchNormalization):
            np.testing.assert_array_equal(a.moving_mean, b.moving_mean)


def test_the_users_model_is_not_touched():
    keras.utils.set_random_seed(0)
    model = residual()
    before = [w.copy() for w in model.get_weights()]
    prune(model)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("build", [dense, residual])
def test_the_certificate_holds_for_distilled_weights(build):
    keras.utils.set_random_seed(0)
    model = build()
    result = prune(model)
    rng = np.random.default_rng(0)
    shape = (400, *model.input_shape[1:])
    x = np.concatenate([rng.random(shape), rng.integers(0, 2, shape)]).astype("float32")
    change = np.asarray(result.masked(x)) - np.asarray(model(x))
    bound = result.certificate
    assert bound.lower is not None
    assert (change >= bound.lower - 1e-5).all()
    assert (change <= bound.upper + 1e-5).all()


def test_a_column_that_was_always_the_same_does_not_spoil_distillation():
    keras.utils.set_random_seed(0)
    norm = layers.Normalization(mean=[0.5, 0.5, 0.5], variance=[0.04, 0.04, 0.0])
    stack = [keras.Input((3,)), norm, layers.Dense(16, "relu"), layers.Dense(16, "relu")]
    model = keras.Sequential([*stack, layers.Dense(2)])
    x = np.random.default_rng(1).normal(0.5, 0.2, (500, 3)).clip(0, 1)
    x[:, 2] = 0.5

    def apart(distil):
        small = prune(model, distil=distil).model
        return float(np.abs(np.asarray(small(x)) - np.asarray(model(x))).mean())

    assert apart(100) < 0.8 * apart(0)


def linear(weights):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, use_bias=False)])
    model.set_weights([np.asarray(weights, "float32")])
    return model


def test_an_input_is_attacked_towards_the_rival_of_the_originals_answer():
    original, smaller = linear([[1.0, 0.0], [0.0, 0.0]]), linear([[1.0, 0.0], [0.0, 2.0]])
    pair = Pair.of(trace(original), smaller, (Box(0, 4),))
    x = tf.constant([[1.0, 0.1], [-1.0, 3.0]])
    (both,), (wanted,) = pair.attacked([x], scores(pair.original, [x]))
    far = REACH * 4
    # Margins of the rival: 2b - a where the original says the first, a - 2b where the second.
    np.testing.assert_allclose(both, [[1, 0.1], [-1, 3], [1 - far, 0.1 + far], [-1 + far, 3 - far]])
    np.testing.assert_allclose(wanted, original(both))


def test_the_distance_does_not_see_what_a_softmax_does_not_see():
    x = keras.Input((2,))
    original = keras.Model(x, layers.Dense(2, "softmax", kernel_initializer="ones")(x))
    pair = Pair.of(trace(original), original, (Box(0, 1),))
    shifted = keras.models.clone_model(original)
    shifted.set_weights([original.get_weights()[0], np.array([3.0, 3.0])])
    other = Pair.of(trace(original), shifted, (Box(0, 1),))
    at = [tf.constant([[0.5, 0.25]])]
    wanted = scores(pair.original, at)
    assert float(pair.distance(at, wanted)) == 0
    assert float(other.distance(at, wanted)) == pytest.approx(0, abs=1e-10)


def test_what_does_not_match_better_is_left_as_it_was():
    keras.utils.set_random_seed(0)
    model = dense()
    model.layers[0].set_weights([w * 1e30 for w in model.layers[0].get_weights()])
    graph = trace(model)
    work = RunContext(graph, (Box(0, 1),))
    assert distilled(work, graph.original, 3) is graph.original


def test_nothing_trainable_means_nothing_to_tune():
    model = dense()
    model.trainable = False
    graph = trace(model)
    assert distilled(RunContext(graph, (Box(0, 1),)), graph.original, 3) is graph.original


def test_a_model_of_great_cost_is_not_distilled_by_default():
    x = keras.Input((224, 224, 3))
    y = layers.Conv2D(64, 3, activation="relu")(layers.Conv2D(64, 3, activation="relu")(x))
    large = keras.Model(x, layers.Dense(10)(layers.GlobalAveragePooling2D()(y)))
    assert affordable(trace(large)) == 0
    assert affordable(trace(dense())) == 300


def test_a_residual_network_of_photographs_is_distilled_by_default():
    x = keras.Input((32, 32, 3))
    y = layers.Conv2D(16, 3, padding="same")(x)
    for _ in range(16):  # the operations of a ResNet-20
        y = layers.ReLU()(layers.Conv2D(16, 3, padding="same")(y))
    model = keras.Model(x, layers.Dense(10)(layers.GlobalAveragePooling2D()(y)))
    assert affordable(trace(model)) == 300


@pytest.mark.parametrize("steps", [-1, 2.5, "many", True])
def test_a_number_of_steps_that_is_none_is_refused_in_one_sentence(steps):
    with pytest.raises(ArgumentError, match=r"distil=.* must be a whole number of steps"):
        prune(dense(), distil=steps)


def test_the_user_is_told_that_survivors_are_distilled():
    assert "distilled on such inputs (12 steps)" in prune(dense()).prior
    assert "distilled" not in prune(dense(), distil=0).prior
