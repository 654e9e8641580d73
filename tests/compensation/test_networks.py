"""Compensations on whole networks: masked equals physical, replays are exact, priors fit."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import paoding
from paoding.compensation import BY_NAME
from paoding.compensation.study import study_of
from paoding.domain import Box
from paoding.errors import ArgumentError
from paoding.graph import trace
from paoding.pruning.context import RunContext
from paoding.pruning.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))
from small import dense


def residual():
    x = keras.Input((8, 8, 2))
    y = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    z = layers.Conv2D(8, 3, padding="same", use_bias=False)(y)
    z = layers.BatchNormalization()(z)
    y = layers.ReLU()(layers.Add()([y, z]))
    z = layers.MaxPooling2D()(layers.Conv2D(6, 3, activation="relu")(y))
    return keras.Model(x, layers.Dense(3)(layers.Flatten()(z)))


def concatenated():
    x = keras.Input((6,))
    a, b = layers.Dense(8, "relu")(x), layers.Dense(6, "sigmoid")(x)
    shared = layers.Dense(5, "relu")
    y = layers.Concatenate()([a, b])
    return keras.Model(x, layers.Dense(2)(layers.Add()([shared(y), shared(y)])))


def recurrent():
    x = keras.Input((7, 3))
    y = layers.Conv1D(8, 3, padding="causal", activation="relu")(x)
    return keras.Model(x, layers.Dense(2)(layers.LSTM(6)(y)))


def both_ways():
    x = keras.Input((7, 3))
    y = layers.Bidirectional(layers.SimpleRNN(5, return_sequences=True))(x)
    return keras.Model(x, layers.Dense(2)(layers.GRU(6)(y)))


def separable():
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(8, 3, activation="relu")(x)
    y = layers.SeparableConv2D(8, 3, activation="relu")(y)
    y = layers.Conv2DTranspose(6, 3, strides=2, activation="relu")(y)
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D()(y)))


def two_axes():
    x = keras.Input((3, 6))
    y = layers.EinsumDense("abc,cde->abde", (3, 4, 5), activation="relu", bias_axes="de")(x)
    y = layers.EinsumDense("abde,def->abf", (3, 6), activation="relu", bias_axes="f")(y)
    return keras.Model(x, layers.Dense(2)(layers.Flatten()(y)))


def tokens():
    x = keras.Input((5,), dtype="int32")
    y = layers.Dense(8, "relu")(layers.Embedding(20, 6)(x))
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(y)))


NETWORKS = [dense, residual, concatenated, recurrent, both_ways, separable, two_axes, tokens]


def shuffled(build, seed=0):
    keras.utils.set_random_seed(seed)
    model = build()
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name in ("bias", "beta", "moving_mean"):
            weight.assign(rng.normal(0, 0.3, weight.shape))
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


def inputs(model, n=16):
    shape = model.input_shape[1:]
    rng = np.random.default_rng(9)
    if model.inputs[0].dtype == "int32":
        return rng.integers(0, 20, (n, *shape))
    return rng.random((n, *shape)).astype("f4")


@pytest.mark.parametrize("name", sorted(BY_NAME))
@pytest.mark.parametrize("build", NETWORKS)
def test_masked_equals_physical_and_a_replay_is_bit_for_bit_the_same(build, name):
    model = shuffled(build)
    result = paoding.prune(
        model, target=0.5, step=0.25, strategy="saliency", compensation=name, samples=64
    )
    x = inputs(model)
    small, masked = np.asarray(result.model(x)), np.asarray(result.masked(x))
    assert np.abs(small - masked).max() <= 1e-5
    plan = paoding.Plan.from_json(result.plan.to_json())
    again = paoding.replay(model, plan)
    for a, b in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("build", [dense, residual, recurrent])
def test_least_squares_is_nearer_to_the_original_than_plain_removal(build):
    model = shuffled(build)
    x = inputs(model, 256)
    before = np.asarray(model(x))

    def moment_gaps(compensation):
        settings = {"target": 0.5, "step": 0.25, "strategy": "magnitude", "samples": 512}
        result = paoding.prune(
            model,
            compensation=compensation,
            prior=lambda rng, n: _uniform(model, rng, n),
            **settings,
        )
        return float(np.square(np.asarray(result.model(x)) - before).mean())

    assert moment_gaps("least-squares") < 0.6 * moment_gaps("none")


def _uniform(model, rng, n):
    return rng.random((n, *model.input_shape[1:])).astype("f4")


def test_the_way_to_a_set_of_removals_does_not_matter():
    model = shuffled(dense)
    one = paoding.prune(model, target=0.5, step=0.5, strategy="magnitude", samples=64)
    many = paoding.prune(model, target=0.5, step=0.125, strategy="magnitude", samples=64)
    gone = [{(r.group, r.unit) for r in run.plan.removals} for run in (one, many)]
    assert gone[0] == gone[1]
    for a, b in zip(one.model.get_weights(), many.model.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_another_seed_draws_other_samples_and_the_same_seed_the_same():
    graph = trace(shuffled(dense))
    box = (Box(0, 1).fit((6,)),)
    drawn = [
        next(
            iter(
                study_of(RunContext(graph, box, Settings(seed=seed, samples=64))).frontier.values()
            )
        )
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize(
    ("prior", "word"),
    [
        ("nonsense", "not known"),
        (7, "callable"),
        (lambda rng, n: np.zeros((n, 5)), "shape"),
        (lambda rng, n: np.full((n, 6), np.nan), "NaN"),
    ],
)
def test_a_prior_that_does_not_fit_is_refused_in_one_sentence(prior, word):
    with pytest.raises(ArgumentError, match=word):
        paoding.prune(shuffled(dense), target=0.5, step=0.5, prior=prior)


def test_only_what_comes_after_the_pruned_groups_is_studied_and_the_outcome_is_the_same():
    keras.utils.set_random_seed(0)
    model = residual()
    locked = list(paoding.inspect(model).by_name)[:1]
    settings = {"target": 0.5, "step": 0.25, "strategy": "saliency", "distil": 0, "samples": 64}
    pruner = paoding.Pruner(model, locked=locked, **settings)
    for _ in pruner:
        pass
    assert pruner.state is not None
    study = study_of(pruner._run)
    assert (
        study.start > study_of(RunContext(pruner.graph, pruner.boxes, Settings(samples=64))).start
    )
    # A removal in the locked group, by hand, is fitted all the same.
    group = pruner.graph.by_name[locked[0]]
    pruner.apply([paoding.Removal(group.name, 0, None, "least-squares")])
    assert study_of(pruner._run, pruner.state.alive).groups == {
        g.name for g in pruner.graph.prunable
    }
    every = paoding.Pruner(model, **settings)
    every.apply(pruner.plan.removals)
    for a, b in zip(pruner.weights(), every.weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
