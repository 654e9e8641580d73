"""Priors stay in the box, repeat with the seed, and are chosen by what the model shows."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from keras import layers

import paoding
from paoding.domain import Box
from paoding.domain.hints import hints_of, known_moments, learned_span, live_map, picture_of
from paoding.domain.values import Tokens
from paoding.graph import trace
from paoding.synthetic.choice import alternatives, choose
from paoding.synthetic.legal import legal_inputs, misfit
from paoding.synthetic.priors import (
    Blobs,
    DeadLeaves,
    Mixture,
    Moved,
    Shaded,
    Signals,
    Spectra,
    Table,
    Uniform,
)

BOX = Box(-2, 3)
PRIORS = [
    Uniform(BOX, (5,)),
    Blobs(BOX, 8, 10, 3),
    Blobs(BOX, 8, 8, 1, (64,), np.linspace(0, 1, 64).reshape(8, 8)),
    Shaded(Blobs(BOX, 8, 8, 3), np.linspace(0, 2, 64).reshape(8, 8), BOX),
    DeadLeaves(BOX, 8, 10, 3),
    Spectra(BOX, 8, 9, 3),
    Signals(BOX, 20, 2),
    Table(BOX, (5,)),
    Moved(Uniform(BOX, (4,)), BOX, np.zeros(4), np.full(4, 0.5)),
    Table(BOX, (4,), np.zeros(4), np.full(4, 0.5)),
    Mixture((Uniform(BOX, (5,)), Table(BOX, (5,)))),
    Mixture((Blobs(BOX, 8, 9, 3), DeadLeaves(BOX, 8, 9, 3), Spectra(BOX, 8, 9, 3))),
]


@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__)
def test_a_prior_draws_different_finite_inputs_from_the_box_and_repeats_with_the_seed(prior):
    x = prior(np.random.default_rng(0), 40)
    assert len(x) == 40
    assert BOX.contains(x.astype("f8")).all()
    assert x.std() > 0
    assert np.array_equal(x, prior(np.random.default_rng(0), 40))
    assert not np.array_equal(x, prior(np.random.default_rng(1), 40))
    assert len(str(prior)) > 10


def test_channels_of_blobs_are_correlated_and_neighbours_alike():
    x = Blobs(Box(0, 1), 16, 16, 3)(np.random.default_rng(0), 200)
    flat = x.reshape(-1, 3)
    assert np.corrcoef(flat.T)[0, 1] > 0.5
    assert np.corrcoef(x[:, 1:].ravel(), x[:, :-1].ravel())[0, 1] > 0.6


def test_zipf_prefers_the_first_tokens():
    x = Tokens((50,), 30, zipf=True)(np.random.default_rng(0), 50)
    counts = np.bincount(x.ravel(), minlength=30)
    assert counts[0] > 3 * counts[10] and x.max() < 30


def chosen(model, box=None):
    graph = trace(model)
    return choose(graph, (box or Box(0, 1),))


def test_an_embedding_gets_tokens_of_its_vocabulary():
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            layers.Embedding(9, 4),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    prior = chosen(model).priors[0]
    assert isinstance(prior, Tokens) and prior.size == 9


def image_model(*shape):
    stack = [keras.Input(shape), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)]
    return keras.Sequential(stack)


def test_spectra_have_a_level_and_colours_of_each_image_s_own_and_are_smooth():
    x = Spectra(Box(0, 1), 16, 16, 3)(np.random.default_rng(0), 400)
    colour = x.mean(axis=(1, 2))
    assert colour.mean(axis=1).std() > 0.1
    assert (colour - colour.mean(axis=1, keepdims=True)).std() > 0.05
    assert np.corrcoef(x[:, 1:].ravel(), x[:, :-1].ravel())[0, 1] > 0.8


def test_an_image_in_colour_gets_all_kinds_of_images_in_turn():
    choice = chosen(image_model(12, 10, 3))
    (prior,) = choice.priors
    assert [type(kind) for kind in prior.priors] == [Blobs, DeadLeaves, Spectra]
    assert choice.canvases == ((12, 10, 3),)
    assert "in turn, since the input is an image in colour" in choice.sentence
    assert "mixture" in alternatives(trace(image_model(12, 10, 1)), (Box(0, 1),))


@pytest.mark.parametrize(("channels", "prior"), [(2, None), (3, None), (3, "blobs")])
def test_a_flattened_image_of_several_channels_has_no_map_and_is_pruned(channels, prior):
    stack = [keras.Input((8, 8, channels)), layers.Flatten(), layers.Dense(6, use_bias=False)]
    stack += [layers.BatchNormalization(), layers.ReLU(), layers.Dense(2, "softmax")]
    model = keras.Sequential(stack)
    (found,) = choose(trace(model), (Box(0, 1),), prior).priors
    kinds = found.priors if isinstance(found, Mixture) else [found]
    assert kinds[0].envelope is None and kinds[0].span is None
    assert paoding.prune(model, target=0.5, step=0.5, prior=prior, distil=0).model is not None


def test_an_image_gets_blobs_and_a_sequence_signals():
    prior = chosen(image_model(12, 10, 1)).priors[0]
    assert isinstance(prior, Blobs) and (prior.height, prior.width, prior.channels) == (12, 10, 1)
    sequence = keras.Sequential([keras.Input((12, 3)), layers.LSTM(4), layers.Dense(2)])
    assert isinstance(chosen(sequence).priors[0], Signals)


@pytest.mark.parametrize(
    "reader",
    [
        lambda: layers.Conv1D(32, 3),
        lambda: layers.LSTM(24),
        lambda: layers.Bidirectional(layers.GRU(24)),
        lambda: layers.Dense(64),
    ],
    ids=["Conv1D", "LSTM", "Bidirectional", "Dense"],
)
def test_a_sequence_whose_channels_are_columns_of_a_picture_gets_blobs(reader):
    layer = reader()
    stack = [keras.Input((20, 16)), layer, layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential(stack)
    assert isinstance(chosen(model).priors[0], Signals)
    inner = getattr(layer, "forward_layer", layer)
    kernel = getattr(inner, "cell", inner).kernel
    value = np.array(kernel)
    value[..., 4:, :] = np.cumsum(value[..., 4:, :], axis=-2)  # its first columns never saw data
    kernel.assign(value)
    prior = chosen(model).priors[0]
    assert isinstance(prior, Blobs) and (prior.height, prior.width) == (20, 16)
    assert prior.envelope[0, 0] < 0.2 < prior.envelope[0, 12]


def test_a_table_gets_the_moments_of_its_normalization():
    norm = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 9.0, 16.0])
    model = keras.Sequential([keras.Input((3,)), norm, layers.Dense(4, "relu"), layers.Dense(1)])
    prior = chosen(model, Box(-100, 100)).priors[0]
    assert isinstance(prior, Table)
    assert np.allclose(prior.mean, [1, 2, 3]) and np.allclose(prior.deviation, [2, 3, 4])


def test_a_flat_image_behind_a_normalization_gets_blobs_of_its_moments():
    zoo, _ = paoding.zoo.load("mnist-mlp")
    mean = np.linspace(0.2, 0.4, 784)
    norm = layers.Normalization(mean=mean, variance=np.full(784, 0.01))
    model = keras.Sequential([keras.Input((784,)), norm, *zoo.layers])
    prior = chosen(model).priors[0]
    assert isinstance(prior, Moved) and isinstance(prior.prior, Blobs)
    x = prior(np.random.default_rng(0), 500)
    assert np.corrcoef(x.mean(axis=0), mean)[0, 1] > 0.9


def test_a_sequence_behind_a_normalization_gets_signals_of_its_moments():
    norm = layers.Normalization(mean=[5.0, -5.0], variance=[1.0, 4.0])
    model = keras.Sequential([keras.Input((30, 2)), norm, layers.Conv1D(4, 3), layers.Flatten()])
    prior = chosen(model, Box(-100, 100)).priors[0]
    assert isinstance(prior, Moved) and isinstance(prior.prior, Signals)
    x = prior(np.random.default_rng(0), 500)
    assert np.allclose(x.mean(axis=(0, 1)), [5, -5], atol=0.3)
    assert np.corrcoef(x[:, 1:, 0].ravel(), x[:, :-1, 0].ravel())[0, 1] > 0.5


def test_numbers_that_a_convolution_reads_in_order_are_a_signal_also_where_they_come_flat():
    reshape = layers.Reshape((20, 2))
    model = keras.Sequential([keras.Input((40,)), reshape, layers.Conv1D(4, 3), layers.Flatten()])
    prior = chosen(model).priors[0]
    assert isinstance(prior, Signals) and (prior.length, prior.channels) == (20, 2)
    assert prior(np.random.default_rng(0), 3).shape == (3, 40)


def test_a_flat_image_is_recognised_by_its_weights_and_shuffled_pixels_are_not():
    model, _ = paoding.zoo.load("mnist-mlp")
    kernel = np.asarray(model.layers[0].kernel)
    assert picture_of(kernel) == (28, 28)
    assert picture_of(np.random.default_rng(0).permutation(kernel)) is None
    assert picture_of(np.random.default_rng(0).standard_normal((784, 64))) is None
    prior = chosen(model).priors[0]
    assert isinstance(prior, Blobs) and prior.envelope is not None
    assert prior.envelope[14, 14] > 3 * prior.envelope[0, 0]


def test_the_learned_span_finds_planted_directions_and_none_in_noise():
    rng = np.random.default_rng(0)
    noise = rng.uniform(-0.1, 0.1, (300, 80))
    planted = np.linalg.qr(rng.standard_normal((300, 3)))[0]
    found = learned_span(noise + planted @ rng.standard_normal((3, 80)))
    assert found.shape == (300, 3)
    assert np.linalg.norm(found.T @ planted) > 0.95 * np.sqrt(3)
    assert learned_span(noise) is None or learned_span(noise).shape[1] <= 2


def test_directions_of_the_span_are_half_as_strong_again():
    span = np.linalg.qr(np.random.default_rng(1).standard_normal((64, 2)))[0]
    plain, strong = (
        Blobs(Box(0, 1), 8, 8, 1, (64,), span=s)(np.random.default_rng(0), 100)
        for s in (None, span)
    )
    assert np.allclose((strong @ span).std(axis=0), 1.5 * (plain @ span).std(axis=0), rtol=1e-3)


def test_a_map_without_any_signal_is_still_a_map():
    found = live_map(np.random.default_rng(0).standard_normal((8, 8, 16)))
    assert found.shape == (8, 8) and 0 <= found.min() <= found.max() <= 1


def test_a_table_of_standardized_columns_shows_no_order():
    model, _ = paoding.zoo.load("breast-cancer")
    assert isinstance(chosen(model).priors[0], Table)
    names = alternatives(trace(model), (Box(0, 1).fit((30,)),))
    assert {"table", "uniform"} <= set(names) and "blobs" not in names


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box(-3, 3), 1.0),
        (Box(np.linspace(-6, -2.5, 8), 6.0), 1.0),  # the least and greatest of the data's own rows
        (Box(-6, 6), 2.0),
        (Box(-1, 1), None),  # scaled to the range, not standardized
        (Box(-0.42, 2.82), None),  # one mean and deviation for dark pixels and bright ones
        (Box(0, 9), None),
    ],
)
def test_legal_values_on_both_sides_of_zero_mean_standardized_columns(box, expected):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(5, "relu"), layers.Dense(2)])
    graph = trace(model)
    known = known_moments(hints_of(graph, graph.flat.inputs[0]), box)
    assert (known is None) == (expected is None)
    if expected:
        x = chosen(model, box).priors[0](np.random.default_rng(0), 4000)
        assert np.abs(x.mean(axis=0)).max() < 0.1
        assert np.allclose(x.std(axis=0), expected, atol=0.1)
        assert np.corrcoef(x.T)[0, 1] > 0.1


def stack(*first, shape=(4, 4, 1), **options):
    last = [layers.Flatten(), layers.Dense(6, "relu"), layers.Dense(2, "softmax")]
    return keras.Sequential([keras.Input(shape, **options), *first, *last])


@pytest.mark.parametrize(
    ("model", "box"),
    [
        (stack(), Box(0, 1)),
        (stack(layers.Rescaling(1 / 255)), Box(0, 255)),
        (stack(layers.Rescaling(1 / 127.5, offset=-1)), Box(0, 255)),
        (stack(layers.Rescaling(2.0)), Box(0, 1)),
        (stack(dtype="uint8"), Box(0, 255)),
        (stack(layers.Normalization(mean=0.3, variance=0.09), shape=(5,)), Box(0, 1)),
        (stack(layers.Normalization(mean=50.0, variance=4.0), shape=(5,)), Box(42, 58)),
    ],
)
def test_without_a_domain_legal_inputs_are_those_that_the_first_layers_tell(model, box):
    (found,), told = legal_inputs(trace(model), None)
    assert found == box.fit(model.input_shape[1:])
    assert ("taken to be" in told) == (box != Box(0, 1))
    assert legal_inputs(trace(model), Box(0, 2)) == ((Box(0, 2).fit(found.lo.shape),), "")


def test_what_is_assumed_of_the_inputs_is_told_and_a_replay_keeps_it():
    model = stack(layers.Rescaling(1 / 255))
    result = paoding.prune(model, target=0.5, step=0.5, distil=0)
    assert "taken to be 0 to 255, since a Rescaling comes first" in result.prior
    assert result.plan.settings["domain"] == [{"lo": 0.0, "hi": 255.0}]
    again = paoding.replay(model, result.plan)
    for a, b in zip(again.model.get_weights(), result.model.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_rescalings_one_after_another_are_looked_through_together():
    steps = [layers.Rescaling(2.0, offset=1.0), layers.Rescaling(3.0, offset=-1.0)]
    model = stack(*steps, layers.Normalization(mean=8.0, variance=36.0), shape=(5,))
    lead = hints_of(trace(model), trace(model).flat.inputs[0])
    assert np.allclose(lead.mean, 1.0) and np.allclose(lead.deviation, 1.0)  # 3 (2 x + 1) - 1


def test_standardized_images_have_mean_zero_at_each_place_that_ever_varies():
    model, _ = paoding.zoo.load("mnist-mlp")
    prior = chosen(model, Box(-3, 3)).priors[0]
    assert isinstance(prior, Moved) and isinstance(prior.prior, Blobs)
    x = prior(np.random.default_rng(1), 2000).reshape(-1, 28, 28)
    assert np.allclose(x.mean(axis=0), 0, atol=0.15)
    assert 0.8 < x.std(axis=0)[14, 14] < 1.2 and x.std(axis=0)[0, 0] < 0.7


def test_colours_of_an_image_get_the_moments_of_its_normalization():
    norm = layers.Normalization(mean=[0.2, 0.4, 0.6], variance=[0.01, 0.02, 0.03])
    stack = [keras.Input((12, 12, 3)), norm, layers.Conv2D(4, 3), layers.Flatten()]
    prior = chosen(keras.Sequential([*stack, layers.Dense(2)])).priors[0]
    x = prior(np.random.default_rng(0), 500)
    assert np.allclose(x.mean(axis=(0, 1, 2)), [0.2, 0.4, 0.6], atol=0.03)
    assert np.allclose(x.var(axis=(0, 1, 2)), [0.01, 0.02, 0.03], atol=0.01)


def test_a_rescaling_is_looked_through():
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Rescaling(0.5, offset=1.0),
            layers.Normalization(mean=[2.0, 3.0], variance=[1.0, 4.0]),
            layers.Dense(3, "relu"),
            layers.Dense(1),
        ]
    )
    graph = trace(model)
    lead = hints_of(graph, graph.flat.inputs[0])
    assert np.allclose(lead.mean, [2.0, 4.0]) and np.allclose(lead.deviation, [2.0, 4.0])


@pytest.mark.parametrize(
    ("shape", "before", "norm"),
    [
        ((3, 8, 8), [], {"axis": 1}),
        ((8, 8, 3), [layers.Flatten()], {}),
        ((8, 8, 3), [], {}),
        ((6, 4), [], {"axis": 1}),
    ],
)
def test_moments_along_any_axis_are_read_where_they_can_be_laid_over_the_input(shape, before, norm):
    stack = [keras.Input(shape), *before, layers.BatchNormalization(**norm)]
    model = keras.Sequential([*stack, layers.Flatten(), layers.Dense(8, "relu"), layers.Dense(2)])
    graph = trace(model)
    (x,) = choose(graph, (Box(0, 1),)).draw(np.random.default_rng(0), 16)
    assert x.shape == (16, *shape) and np.isfinite(x).all()


def test_few_of_large_inputs_tell_the_moments_of_a_prior():
    asked = []

    def prior(rng, n):
        asked.append(n)
        return rng.random((n, 512, 512, 3), dtype=np.float32)

    box = Box(-3, 3).fit((512, 512, 3))
    Moved(prior, box, np.zeros((1, 1, 3)), np.ones((1, 1, 3)))(np.random.default_rng(0), 1)
    assert asked == [16, 1]


def test_data_beyond_the_legal_inputs_is_told_but_not_of_tokens():
    model = stack(shape=(3,))
    boxes, _ = legal_inputs(trace(model), None)
    rows = np.array([[0.1, 0.2, 0.3], [0.1, 7.0, 0.3]])
    assert misfit(trace(model), boxes, rows[:1]) == ""
    assert "holds 7 (at index 1 of an input) where 0 to 1" in misfit(trace(model), boxes, rows)
    words = [keras.Input((3,), dtype="int32"), layers.Embedding(900, 4), layers.Flatten()]
    tokens = trace(keras.Sequential([*words, layers.Dense(2)]))
    assert misfit(tokens, legal_inputs(tokens, None)[0], np.array([[3, 890, 7]])) == ""


def test_layers_that_never_saw_data_tell_nothing_of_the_inputs():
    for layer in (layers.BatchNormalization(), layers.Normalization(mean=0.0, variance=1.0)):
        (box,), told = legal_inputs(trace(stack(layer, shape=(5,))), None)
        assert box == Box(0, 1).fit((5,)) and box.assumed and "assumed to be 0 to 1" in told


def test_units_that_never_matter_are_sought_among_the_inputs_that_the_first_layers_tell():
    first = layers.Dense(3, "relu", bias_initializer=keras.initializers.Constant(-0.5))
    model = keras.Sequential([keras.Input((2,)), layers.Rescaling(1 / 255), first, layers.Dense(1)])
    assert paoding.lossless(model).certificate.upper.max() < 1e-5


def test_inputs_of_which_nothing_tells_the_scale_are_drawn_at_both():
    graph = trace(stack(shape=(5,)))
    boxes, _ = legal_inputs(graph, None)
    (x,) = choose(graph, boxes).draw(np.random.default_rng(0), 400)
    assert x[::2].min() >= 0 and x[::2].max() <= 1  # every other one is standardized
    assert abs(x[1::2].mean()) < 0.1 and 0.9 < x[1::2].std() < 1.1
    assert "standardized" in alternatives(graph, boxes)
    said = choose(graph, legal_inputs(graph, Box(0, 1))[0])
    assert said.draw(np.random.default_rng(0), 400)[0].max() <= 1 and "assumed" not in said.sentence


@pytest.mark.parametrize(("shape", "box"), [((8,), Box(0, 1)), ((8, 8, 3), Box(0, 255))])
def test_a_first_batch_normalization_tells_the_scale(shape, box):
    norm = layers.BatchNormalization()
    first = layers.Dense(40, kernel_initializer="random_normal", use_bias=False)
    stack = [keras.Input(shape), first, norm, layers.ReLU(), layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential(stack)
    assert legal_inputs(trace(model), None)[0][0].assumed  # nothing was remembered yet
    x = box.hi * Table(Box(0, 1), shape)(np.random.default_rng(0), 500)
    z = np.asarray(first(x.astype("f4"))).reshape(-1, 40)
    norm.moving_mean.assign(z.mean(axis=0))
    norm.moving_variance.assign(z.var(axis=0))
    (found,), told = legal_inputs(trace(model), None)
    assert found == box.fit(shape) and not found.assumed
    assert "the first batch normalization" in told


def test_a_plan_remembers_that_a_domain_was_only_assumed_and_replays_bit_for_bit():
    model = stack(layers.Dense(6, "relu"), shape=(5,))
    result = paoding.prune(model, target=0.5, step=0.5, distil=2)
    assert result.plan.settings["domain"][0]["assumed"] is True
    again = paoding.replay(model, result.plan)
    for a, b in zip(again.model.get_weights(), result.model.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_a_network_of_standardized_columns_keeps_what_it_does_without_being_told():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2000, 6)).astype("f4")
    y = np.sin(1.5 * x[:, 0]) + 0.5 * x[:, 1] * x[:, 2]
    hidden = [layers.Dense(48, "relu"), layers.Dense(48, "relu"), layers.Dense(1)]
    model = keras.Sequential([keras.Input((6,)), *hidden])
    model.compile(keras.optimizers.Adam(3e-3), "mse")
    model.fit(x, y, epochs=25, verbose=0)
    small = paoding.prune(model, target=0.5, step=0.25, strategy="saliency").model
    left = np.mean((small(x).numpy()[:, 0] - model(x).numpy()[:, 0]) ** 2) / y.var()
    assert left < 0.1


def test_an_input_of_one_number_is_looked_at_without_a_warning():
    model = keras.Sequential([keras.Input((1,)), layers.Dense(4, "relu"), layers.Dense(1)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        result = paoding.prune(model, target=0.5, step=0.5, distil=0)
    assert "show no order" in (result.prior or "")
