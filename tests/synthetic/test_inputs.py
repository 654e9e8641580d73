"""Any input that a model takes can be drawn: open lengths, several inputs, words, categories."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import paoding
from paoding.domain.hints import hints_of
from paoding.errors import ArgumentError
from paoding.graph import trace
from paoding.synthetic.choice import choose
from paoding.synthetic.legal import legal_inputs

OPEN = {"target": 0.5, "step": 0.5, "samples": 64, "distil": 2}


def units(result):
    return result.steps[-1].remaining["hidden"]


def scored(x):
    return layers.Dense(3, "softmax")(layers.Dense(6, "relu", name="hidden")(x))


def cropped():
    read = keras.Input((None, 4))
    x = layers.Conv1D(6, 5, dilation_rate=20, activation="relu", name="hidden")(read)
    return keras.Model(read, layers.Conv1D(2, 1)(layers.Cropping1D(300)(x)))


def hourglass():
    read = keras.Input((None, None, 3))
    whole = layers.Conv2D(6, 3, padding="same", activation="relu", name="hidden")(read)
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.MaxPooling2D(20)(whole))
    x = layers.Concatenate()([layers.UpSampling2D(20)(x), whole])
    return keras.Model(read, layers.Conv2D(1, 1)(x))


def twice_as_long():
    long, short = keras.Input((None, 3), name="long"), keras.Input((None, 3), name="short")
    x = layers.Concatenate()([long, layers.UpSampling1D(2)(short)])
    x = layers.Conv1D(6, 3, activation="relu", name="hidden")(x)
    return keras.Model({"short": short, "long": long}, layers.Dense(1)(x))


@pytest.mark.parametrize(
    ("make", "shapes"),
    [
        (cropped, [(681, 4)]),
        (hourglass, [(80, 80, 3)]),
        (twice_as_long, [(32, 3), (16, 3)]),
    ],
)
def test_open_axes_are_as_long_as_the_model_needs_everywhere(make, shapes):
    model = make()
    graph = trace(model)
    assert graph.sample_shapes == shapes
    drawn = choose(graph, legal_inputs(graph, None)[0]).draw(np.random.default_rng(0), 3)
    assert [x.shape[1:] for x in drawn] == shapes
    result = paoding.prune(model, **OPEN)
    assert units(result) == 3
    assert paoding.selfcheck(result.model, model, samples=4).mean <= 1


def mixed_table():
    """A word, two categories, a number in bins, a number, a text; given by their names."""
    inputs = {
        "colour": keras.Input((1,), dtype="string", name="colour"),
        "year": keras.Input((1,), dtype="int64", name="year"),
        "kind": keras.Input((1,), dtype="int32", name="kind"),
        "age": keras.Input((1,), name="age"),
        "size": keras.Input((2,), name="size"),
        "note": keras.Input((1,), dtype="string", name="note"),
    }
    looked = layers.StringLookup(vocabulary=["red", "blue"], output_mode="one_hot")
    years = layers.IntegerLookup(vocabulary=[1999, 2004], output_mode="one_hot", num_oov_indices=0)
    text = layers.TextVectorization(vocabulary=["old", "new"], output_sequence_length=4)
    words = layers.GlobalAveragePooling1D()(layers.Embedding(4, 3)(text(inputs["note"])))
    columns = [
        looked(inputs["colour"]),
        years(inputs["year"]),
        layers.CategoryEncoding(3, "one_hot")(inputs["kind"]),
        layers.Discretization([18.0, 65.0], output_mode="one_hot")(inputs["age"]),
        inputs["size"],
        words,
    ]
    return keras.Model(inputs, scored(layers.Concatenate()(columns)))


def test_words_categories_and_bins_are_drawn_from_what_their_layers_know():
    model = mixed_table()
    graph = trace(model)
    chosen = choose(graph, legal_inputs(graph, None)[0])
    names = [x.name for x in model.inputs]
    drawn = dict(zip(names, chosen.draw(np.random.default_rng(0), 200), strict=True))
    boxes, told = legal_inputs(graph, None)
    age = boxes[names.index("age")]
    assert age.lo.min() <= drawn["age"].min() and drawn["age"].max() <= age.hi.max()
    assert "of 'age' are taken to be -29 to 112, since a Discretization reads them" in told
    assert set(drawn["colour"].ravel()) == {"red", "blue"}
    assert set(drawn["year"].ravel()) == {1999, 2004}
    assert set(drawn["kind"].ravel()) == {0, 1, 2}
    assert drawn["age"].min() < 18 < 65 < drawn["age"].max()
    assert {len(text.split()) for text in drawn["note"].ravel()} == {4}
    assert "a TextVectorization reads them" in chosen.sentence
    result = paoding.prune(model, **OPEN)
    assert units(result) == 3
    assert paoding.selfcheck(result.model, model, samples=20).mean > 0


def test_every_branch_that_reads_an_input_is_asked_what_it_knows():
    read = keras.Input((7,), dtype="int32")
    parts = [layers.Embedding(size, 4)(read) for size in (30, 20)]
    model = keras.Model(read, scored(layers.Flatten()(layers.Concatenate()(parts))))
    lead = hints_of(trace(model), trace(model).flat.inputs[0])
    assert lead.values.size == 20


def test_text_that_no_layer_looks_up_is_refused_in_a_sentence_that_says_what_to_do():
    read = keras.Input((), dtype="string", name="title")
    length = layers.Lambda(lambda t: keras.ops.zeros((keras.ops.shape(t)[0], 3)), (3,))(read)
    model = keras.Model(read, scored(length))
    with pytest.raises(ArgumentError, match=r"'title' takes text.*pass prior=.*calibration="):
        paoding.prune(model, **OPEN)


def test_a_prior_may_name_its_inputs():
    model = twice_as_long()

    def mine(rng, n):
        return {"long": rng.random((n, 20, 3)), "short": rng.random((n, 10, 3))}

    assert units(paoding.prune(model, prior=mine, **OPEN)) == 3
    with pytest.raises(ArgumentError, match="named"):
        paoding.prune(model, prior=lambda rng, n: {"long": rng.random((n, 20, 3))}, **OPEN)
    with pytest.raises(ArgumentError, match="does not run on the synthetic inputs"):
        paoding.prune(model, prior=lambda rng, n: 2 * [rng.random((n, 20, 3))], **OPEN)


def test_tokens_are_drawn_as_often_as_the_normalization_after_their_embedding_remembers():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(12, 0.5))
    x = keras.Input((6,))
    embedding = layers.Embedding(12, 16)
    norm = layers.BatchNormalization()
    y = norm(layers.SpatialDropout1D(0.1)(embedding(x)))
    model = keras.Model(x, layers.Dense(2)(layers.Flatten()(y)))
    table = rng.standard_normal((12, 16))
    embedding.embeddings.assign(table)
    mean = shares @ table
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(shares @ (table - mean) ** 2)
    graph = trace(model)
    (prior,) = choose(graph, (paoding.Box(0, 1).fit((6,)),)).priors
    drawn = np.bincount(prior(rng, 4000).ravel(), minlength=12) / 24000
    np.testing.assert_allclose(drawn, shares, atol=0.02)
    assert "batch normalization remembers" in str(prior)
    (plain,) = choose(graph, (paoding.Box(0, 1).fit((6,)),), "tokens").priors
    assert str(plain) == "uniform token numbers below 12"


def test_tokens_are_judged_on_tokens_of_other_shares():
    x = keras.Input((6,))
    y = layers.Dense(8, "relu")(layers.Flatten()(layers.Embedding(12, 4)(x)))
    model = keras.Model(x, layers.Dense(2)(y))
    result = paoding.prune(model, target=0.5, step=0.5, distil=0, samples=200)
    assert all("zipf" in fitted.why for fitted in result.fits) and result.fits
