"""Inputs are picked so that a classifier answers its classes evenly."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import paoding
from paoding.compensation.study import study_of
from paoding.domain import Box
from paoding.effort import LEVELS, NORMAL
from paoding.graph import trace
from paoding.graph.cost import pass_cost
from paoding.pruning.context import RunContext
from paoding.pruning.settings import Settings
from paoding.synthetic import bn_matching
from paoding.synthetic.bn_matching import matched, most_inputs
from paoding.synthetic.choice import Sampler, choose
from paoding.synthetic.drawing import sampler_of
from paoding.synthetic.priors import Blobs
from paoding.synthetic.reweighting import (
    MOST,
    ReweightedSampler,
    capped,
    even_weights,
    pick,
    tilted,
)


def run_of(model, prior=None):
    """A run, as far as a prior is chosen from it."""
    boxes = tuple(Box(0, 1).fit(tuple(x.shape[1:])) for x in model.inputs)
    return RunContext(trace(model), boxes, Settings(prior=prior))


def test_weights_of_certain_answers_share_each_class_out():
    p = np.eye(3)[[0, 0, 0, 0, 1, 1, 2]]
    assert np.allclose(even_weights(p), [1 / 12] * 4 + [1 / 6] * 2 + [1 / 3])


def test_weighted_mean_answers_are_more_even_than_before():
    logits = np.random.default_rng(0).normal([3, 0, 0, -1], 2, (4000, 4))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    weight = even_weights(p)
    assert np.isclose(weight.sum(), 1) and weight.min() >= 0
    assert np.abs(weight @ p - 0.25).max() < 0.2 * np.abs(p.mean(axis=0) - 0.25).max()


def test_a_class_that_is_never_answered_and_broken_answers_do_no_harm():
    p = np.tile([0.5, 0.5, 0.0], (6, 1))
    assert np.allclose(even_weights(p), 1 / 6)
    assert np.allclose(even_weights(np.full((3, 2), np.nan)), 1 / 3)


def test_samples_are_picked_as_often_as_their_weight_says():
    weight = np.random.default_rng(1).dirichlet(np.ones(30))
    counts = np.bincount(pick(np.random.default_rng(2), weight, 1000), minlength=30)
    assert counts.sum() == 1000 and np.abs(counts - 1000 * weight).max() <= 1 + 1e-9


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=40), st.floats(1.0, 10.0))
def test_capped_weights_stay_below_the_limit_in_order_and_sum_to_one(values, times):
    if not 0 < sum(values) < np.inf:
        return
    weight = np.array(values) / sum(values)
    most = max(times / len(weight), 1 / max((weight > 0).sum(), 1))
    found = capped(weight, most)
    assert found.max() <= most * (1 + 1e-9) and abs(found.sum() - 1) < 1e-9
    assert (np.diff(found[np.argsort(weight)]) >= -1e-12).all()


def test_no_input_is_kept_too_often_however_rare_its_class():
    rare = np.zeros((1000, 2))
    rare[:, 0], rare[:3] = 1.0, (0.0, 1.0)
    weight = capped(even_weights(rare), MOST / 500)
    assert np.bincount(pick(np.random.default_rng(0), weight, 500)).max() <= MOST


def test_a_classifier_gets_even_inputs_of_its_prior_that_repeat_with_the_seed():
    model, _ = paoding.zoo.load("mnist-mlp")
    run = run_of(model)
    chosen = sampler_of(run)
    assert isinstance(chosen, ReweightedSampler) and "evenly" in chosen.sentence
    (x,) = chosen.draw(np.random.default_rng(0), 600)
    assert x.shape == (600, 784)
    assert np.array_equal(x, chosen.draw(np.random.default_rng(0), 600)[0])
    (plain,) = choose(run.graph, run.boxes).draw(np.random.default_rng(0), 600)
    uneven = [np.abs(model.predict(v, verbose=0).mean(axis=0) - 0.1).max() for v in (x, plain)]
    assert uneven[0] < 0.4 * uneven[1]


def test_one_sigmoid_counts_as_two_classes_and_a_regression_as_none():
    def ending(activation):
        return keras.Sequential(
            [keras.Input((6,)), layers.Dense(5, "relu"), layers.Dense(1, activation)]
        )

    assert isinstance(sampler_of(run_of(ending("sigmoid"))), ReweightedSampler)
    assert type(sampler_of(run_of(ending("linear")))) is Sampler


def test_a_prior_of_the_user_is_left_alone():
    model, _ = paoding.zoo.load("breast-cancer")
    mine = sampler_of(run_of(model, lambda rng, n: rng.random((n, 30))))
    (x,) = mine.draw(np.random.default_rng(0), 5)
    assert np.array_equal(x, np.random.default_rng(0).random((5, 30)))


def test_tilted_weights_meet_the_moments_and_stay_as_even_as_they_can():
    rng = np.random.default_rng(3)
    features = rng.normal([0.5, -0.3, 0.0], 1.0, (4000, 3))
    even = np.full(4000, 1 / 4000)
    exact, lenient = tilted(even, features, 1e-6), tilted(even, features, 0.5)
    assert np.isclose(exact.sum(), 1) and exact.min() >= 0
    assert np.abs(exact @ features).max() < 1e-3
    assert np.abs(lenient @ features).max() < np.abs(even @ features).max()
    assert (lenient**2).sum() < (exact**2).sum()  # more samples count
    assert np.array_equal(tilted(even, np.full((4000, 1), np.nan)), even)


def test_batch_normalization_picks_inputs_whose_moments_it_remembers():
    keras.utils.set_random_seed(0)
    norm = layers.BatchNormalization()
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(4, 3), norm, layers.Flatten(), layers.Dense(2)]
    )
    run = run_of(model)
    (x,) = choose(run.graph, run.boxes).draw(np.random.default_rng(5), 2000)
    z = np.asarray(model.layers[0](x[x.mean(axis=(1, 2, 3)) > 0.2]))
    norm.moving_mean.assign(z.mean(axis=(0, 1, 2)))  # of bright images only
    norm.moving_variance.assign(z.var(axis=(0, 1, 2)))
    run = run_of(model)
    chosen = sampler_of(run)
    assert isinstance(chosen, ReweightedSampler) and "batch normalization" in chosen.sentence
    (picked,) = chosen.draw(np.random.default_rng(0), 1000)
    (plain,) = choose(run.graph, run.boxes).draw(np.random.default_rng(0), 1000)

    def moment_gaps(x):
        found = np.asarray(model.layers[0](x)).mean(axis=(0, 1, 2))
        return np.linalg.norm(found - norm.moving_mean)

    assert moment_gaps(picked) < 0.3 * moment_gaps(plain)
    assert picked.mean() > plain.mean()
    assert picked.min() >= 0 and picked.max() <= 1
    assert np.array_equal(picked, chosen.draw(np.random.default_rng(0), 1000)[0])


def test_a_table_is_mixed_until_its_batches_have_the_remembered_moments():
    keras.utils.set_random_seed(0)
    norm = layers.BatchNormalization()
    model = keras.Sequential([keras.Input((12,)), layers.Dense(6), norm, layers.Dense(3)])
    true = np.random.default_rng(1).beta(2, 5, (2000, 12)) * np.linspace(0.3, 1, 12)
    z = np.asarray(model.layers[0](true))
    norm.moving_mean.assign(z.mean(axis=0))
    norm.moving_variance.assign(z.var(axis=0))
    run = run_of(model)
    (x,) = sampler_of(run).draw(np.random.default_rng(0), 700)  # not a whole number of batches
    assert x.shape == (700, 12)
    found = np.asarray(model.layers[0](x))
    away = (found.mean(axis=0) - norm.moving_mean) / np.sqrt(norm.moving_variance)
    assert np.abs(away).max() < 0.1
    assert np.allclose(found.std(axis=0), np.sqrt(norm.moving_variance), rtol=0.1)


def _convolutional(*last):
    keras.utils.set_random_seed(0)
    stack = [keras.Input((12, 12, 1)), layers.Conv2D(8, 3), layers.BatchNormalization()]
    return keras.Sequential([*stack, layers.ReLU(), layers.Flatten(), *last])


def _changed(model, inputs, canvas, classes):
    (x,) = matched(run_of(model), np.random.default_rng(0), inputs, [canvas], 1e5, classes)
    return x


@pytest.mark.parametrize("canvas", [None, (12, 12, 1)], ids=["mixing", "painting"])
def test_what_inputs_are_changed_by_makes_a_classifier_surer(canvas):
    model = _convolutional(layers.Dense(5, "softmax"))
    inputs = choose(run_of(model).graph, run_of(model).boxes).draw(np.random.default_rng(0), 256)
    model.layers[-1].kernel.assign(4 * model.layers[-1].kernel)

    def doubt(classes):
        x = _changed(model, inputs, canvas, classes)
        return 1 - np.asarray(model(x)).max(axis=1).mean()

    assert doubt(True) < 0.7 * doubt(False)


def test_images_are_painted_over_smoothly_until_their_batches_have_the_remembered_moments():
    model = _convolutional(layers.Dense(3))
    (x,) = choose(run_of(model).graph, run_of(model).boxes).draw(np.random.default_rng(0), 512)
    norm = model.layers[1]
    z = np.asarray(model.layers[0](x**2 * np.linspace(0, 1, 12)[:, None]))
    norm.moving_mean.assign(z.mean(axis=(0, 1, 2)))
    norm.moving_variance.assign(z.var(axis=(0, 1, 2)))

    def moment_gaps(x):
        z = np.asarray(model.layers[0](x))
        apart = (z.mean(axis=(0, 1, 2)) - norm.moving_mean) / np.sqrt(norm.moving_variance)
        return np.abs(apart).max()

    found = _changed(model, [x], (12, 12, 1), False)
    assert moment_gaps(found) < 0.2 * moment_gaps(x)
    assert found.min() >= x.min() and found.max() <= x.max()

    grey = 0.3 + 0.4 * x
    grey[0], grey[1] = 0, 1  # black and white: the range of values
    change = (_changed(model, [grey], (12, 12, 1), False) - grey)[2:, :, :, 0]
    power = np.abs(np.fft.fft2(change)) ** 2
    coarse = np.abs(np.fft.fftfreq(12)) <= 0.25
    assert np.abs(change).mean() > 0.01
    assert power[:, coarse][:, :, coarse].sum() > 0.9 * power.sum()  # of noise 0.34


@pytest.mark.parametrize("canvas", [None, (9, 9, 1)], ids=["mixing", "painting"])
def test_of_a_larger_model_fewer_inputs_are_moved_and_none_of_one_too_large(canvas):
    sizes = [most_inputs([canvas], cost, NORMAL) for cost in np.geomspace(1e5, 1e11, 40)]
    assert sizes[0] > NORMAL.samples
    assert sizes == sorted(sizes, reverse=True)
    assert all(size >= 256 for size in sizes if size) and sizes[-1] == 0


def test_tokens_are_picked_by_remembered_moments_and_never_moved():
    keras.utils.set_random_seed(0)
    stack = [layers.Embedding(9, 4), layers.Flatten(), layers.Dense(6), layers.BatchNormalization()]
    run = run_of(keras.Sequential([keras.Input((5,), dtype="int32"), *stack, layers.Dense(3)]))
    chosen = sampler_of(run)
    assert isinstance(chosen, ReweightedSampler)
    (x,) = chosen.draw(np.random.default_rng(0), 300)
    assert x.shape == (300, 5) and x.dtype.kind in "iu" and x.min() >= 0 and x.max() < 9


def _of_its_own(study):
    """The inputs of the chosen kind, without those of other kinds that judge the fits."""
    return [x[study.kinds <= 1] for x in study.inputs]


def test_a_run_has_no_more_inputs_than_can_be_moved_in_all_steps(monkeypatch):
    model = _convolutional(layers.Dense(6, "relu"), layers.Dense(3, "softmax"))
    plain = choose(run_of(model).graph, run_of(model).boxes).draw(np.random.default_rng(0), 300)
    z = np.asarray(model.layers[0](plain[0] ** 2 * np.linspace(0, 1, 12)[:, None]))
    model.layers[1].moving_mean.assign(z.mean(axis=(0, 1, 2)))
    model.layers[1].moving_variance.assign(z.var(axis=(0, 1, 2)))
    cost = pass_cost(trace(model))

    def allow(work):
        monkeypatch.setitem(LEVELS, "normal", replace(NORMAL, painting_work=work))

    allow(300.5 * 3 * 30 * cost)
    kept = {"target": 0.5, "step": 0.5, "distil": 4}
    pruner = paoding.Pruner(model, **kept)
    list(pruner)
    study = study_of(pruner._run)
    own = _of_its_own(study)
    assert len(own[0]) == 300
    apart = bn_matching._MomentGap(study.graph).distance
    plain = [x.astype("float32") for x in plain]
    assert float(apart(own)) < 0.3 * float(apart(plain))
    more = paoding.Pruner(model, samples=400, **kept)
    list(more)
    own = _of_its_own(study_of(more._run))
    assert len(own[0]) == 400  # asked for: moved as well, however long it takes
    assert float(apart(own)) < 0.3 * float(apart(plain))
    allow(10 * 3 * 256 * cost)
    pruner = paoding.Pruner(model, seed=1, **kept)
    list(pruner)
    assert not isinstance(study_of(pruner._run).chosen, ReweightedSampler)


def test_what_a_model_reads_in_its_order_may_be_painted_over():
    def canvases(*stack):
        run = run_of(keras.Sequential(stack))
        return choose(run.graph, run.boxes).canvases

    assert canvases(keras.Input((8, 8, 3)), layers.Conv2D(2, 3)) == ((8, 8, 3),)
    assert canvases(keras.Input((30, 2)), layers.Conv1D(2, 3)) == ((30, 1, 2),)
    assert canvases(keras.Input((9,)), layers.Dense(2)) == (None,)
    tokens = layers.Embedding(9, 2)
    assert canvases(keras.Input((4,), dtype="int32"), tokens) == (None,)


def test_inputs_are_drawn_once_for_runs_on_the_same_weights_and_again_for_others(monkeypatch):
    model = _convolutional(layers.Dense(6, "relu"), layers.Dense(3, "softmax"))
    drawn = []
    draw = ReweightedSampler.draw
    monkeypatch.setattr(ReweightedSampler, "draw", lambda *args: drawn.append(1) or draw(*args))

    def weights(**settings):
        result = paoding.prune(model, step=0.5, samples=128, distil=0, **settings)
        return result.model.get_weights()

    first = weights()
    again = weights()
    assert len(drawn) == 1
    assert all(map(np.array_equal, first, again))
    weights(seed=1)
    weights(domain=paoding.Box(0, 2))
    assert len(drawn) == 3
    model.layers[0].kernel.assign(1.1 * model.layers[0].kernel)
    weights(domain=paoding.Box(0, 2))
    weights(domain=paoding.Box(0, 2), target=0.75)
    assert len(drawn) == 4


def test_where_flat_images_are_bright_is_found_from_the_remembered_moments():
    keras.utils.set_random_seed(0)
    norm = layers.BatchNormalization()
    place = np.mgrid[:16, :16] - 7.5
    bright = np.exp(-(place**2).sum(axis=0) / 2 / 4**2)  # in the middle, dark at the border
    kernel = _smooth_kernel(np.random.default_rng(3), 16, 64)
    model = keras.Sequential(
        [keras.Input((256,)), layers.Dense(64, use_bias=False), norm, layers.Dense(2)]
    )
    model.layers[0].set_weights([kernel])
    whole = Blobs(Box(0, 1), 16, 16, 1, (256,))(np.random.default_rng(1), 3000)
    z = (whole * bright.ravel()) @ kernel
    norm.moving_mean.assign(z.mean(axis=0))
    norm.moving_variance.assign(z.var(axis=0))
    run = run_of(model)
    chosen = sampler_of(run)
    assert "as bright at each place as batch normalization's statistics say" in chosen.sentence
    (found,) = chosen.draw(np.random.default_rng(0), 1000)
    (plain,) = choose(run.graph, run.boxes).draw(np.random.default_rng(0), 1000)

    def alike(x):
        return np.corrcoef(x.std(axis=0), bright.ravel())[0, 1]

    assert alike(found) > 0.9 > alike(plain)
    assert found.min() >= plain.min() - 1e-6 and found.max() <= plain.max() + 1e-6
    again = sampler_of(run_of(model)).draw(np.random.default_rng(0), 1000)[0]
    assert np.array_equal(found, again)


def test_inputs_that_are_no_flat_image_are_not_shaded():
    keras.utils.set_random_seed(0)
    norm = layers.BatchNormalization()
    model = keras.Sequential([keras.Input((12,)), layers.Dense(6), norm, layers.Dense(3)])
    assert "bright" not in sampler_of(run_of(model)).sentence


def _smooth_kernel(rng, side, units):
    """Weights whose neighbours are alike, as those of a layer that was trained on images."""
    rough = rng.standard_normal((side, side, units))
    for axis in (0, 1):
        rough = sum(np.roll(rough, k, axis) for k in (-1, 0, 1)) / 3
    return (0.3 * rough).reshape(side * side, units).astype("float32")
