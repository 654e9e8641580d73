"""A certified class is never changed by any attack."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import paoding
from paoding.bounds import robust
from paoding.errors import ArgumentError, BoundsError
from paoding.evaluation import PGD
from paoding.evaluation.network import Network

EPS = 0.02


@pytest.fixture(scope="module")
def run() -> tuple[keras.Model, paoding.PruningResult, np.ndarray]:
    model, data = paoding.zoo.load("breast-cancer")
    result = paoding.prune(model, target=0.25, step=0.25, strategy="saliency", compensation="merge")
    return model, result, data.x[:60]


def attacked(model: keras.Model, x: np.ndarray, eps: float) -> np.ndarray:
    """Classes of many inputs in each ball: corners, and a sign-gradient ascent to both sides."""
    rng = np.random.default_rng(0)
    tensor = keras.ops.convert_to_tensor
    tries = [x]
    for _ in range(20):
        tries.append(x + eps * rng.choice([-1.0, 1.0], x.shape))
    import tensorflow as tf

    for sign in (-1.0, 1.0):
        point = tf.Variable(x.astype(np.float32))
        for _ in range(20):
            with tf.GradientTape() as tape:
                score = tf.reduce_sum(model(point))
            step = tf.sign(tape.gradient(score, point)) * eps / 5
            point.assign(tf.clip_by_value(point + sign * step, x - eps, x + eps))
        tries.append(point.numpy())
    return np.stack([np.asarray(model(tensor(t, "float32")))[:, 0] > 0.5 for t in tries])


def test_no_attack_changes_a_certified_class(
    run: tuple[keras.Model, paoding.PruningResult, np.ndarray],
) -> None:
    model, result, x = run
    kept = robust.certified_class(model, result.model, x, EPS)
    assert 0.1 < kept.mean() < 1.0  # the certificate says something, and not too much
    reference = np.asarray(model(x))[:, 0] > 0.5
    found = attacked(result.model, x, EPS)
    assert (found[:, kept] == reference[kept]).all()


@pytest.mark.slow
@pytest.mark.parametrize("compensation", ["merge", "least-squares", "none"])
@pytest.mark.parametrize(
    ("name", "count", "ladder"),
    [
        ("breast-cancer", 60, (0.0, 0.005, 0.02, 0.05)),
        ("mnist-mlp", 10, (0.002, 0.005, 0.01, 0.02)),
        ("mnist-cnn", 3, (0.0005, 0.002)),
    ],
)
def test_pgd_never_contradicts_a_certified_class(
    name: str, count: int, ladder: tuple[float, ...], compensation: str
) -> None:
    model, data = paoding.zoo.load(name)
    result = paoding.prune(
        model, target=0.25, step=0.25, strategy="saliency", compensation=compensation
    )
    x, legal = data.x[:count], paoding.Box(-1e9, 1e9)
    reference, pruned = Network(model).predict(x, 64).argmax(1), Network(result.model)
    shares = []
    for eps in ladder:
        kept = robust.certified_class(model, result.model, x, eps)
        held = np.ones(count, dtype=bool)
        for loss in ("cross-entropy", "log-odds"):
            attack = PGD(eps, steps=40, restarts=4, loss=loss)
            ends = attack.adversarial(pruned, x, reference, legal, 64)
            assert np.abs(ends - x).max() <= eps * (1 + 1e-5) + 1e-6  # in the ball that counts
            held &= pruned.predict(ends, 64).argmax(1) == reference
        assert held[kept].all()
        shares.append(kept.mean())
    assert max(shares) > 0.5  # it certifies something,
    assert min(shares) < 1.0  # and not whatever it is given


def test_at_the_inputs_alone_the_share_is_that_of_equal_predictions(
    run: tuple[keras.Model, paoding.PruningResult, np.ndarray],
) -> None:
    model, result, x = run
    kept = robust.certified_class(model, result.model, x)
    same = (np.asarray(model(x)) > 0.5) == (np.asarray(result.model(x)) > 0.5)
    np.testing.assert_array_equal(kept, same[:, 0])


def test_a_larger_ball_certifies_no_more(
    run: tuple[keras.Model, paoding.PruningResult, np.ndarray],
) -> None:
    model, result, x = run
    shares = [robust.certified_share(model, result.model, x, eps) for eps in (0.0, 0.02, 0.1)]
    assert shares[0] >= shares[1] >= shares[2]


def test_masked_weights_certify_at_least_what_the_small_model_does(
    run: tuple[keras.Model, paoding.PruningResult, np.ndarray],
) -> None:
    model, result, x = run
    alone = robust.certified_class(model, result.model, x[:20], EPS)
    both = robust.certified_top1(result.graph, result.graph.original, result.state, x[:20], EPS)
    assert (both >= alone).all()


def test_evaluate_tells_the_certified_share(
    run: tuple[keras.Model, paoding.PruningResult, np.ndarray],
) -> None:
    model, result, x = run
    labels = (np.asarray(model(x))[:, 0] > 0.5).astype(int)
    report = paoding.evaluate(
        result.model, x, labels, reference=model, latency=False, certify=robust.certify(EPS)
    )
    assert report.certified == robust.certified_share(model, result.model, x, EPS)


def test_a_ball_ends_where_the_legal_range_does() -> None:
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model.layers[0].set_weights([np.array([[1.0]]), np.array([-0.99])])
    x = np.array([[0.995]])
    assert not robust.certified_class(model, model, x, 0.1).any()
    assert robust.certified_class(model, model, x, 0.1, clip=(0.993, 1.0)).all()


def test_what_cannot_be_certified_is_told() -> None:
    keras.utils.set_random_seed(0)
    picture = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 3)])
    with pytest.raises(BoundsError, match="one row of scores"):
        robust.certified_class(picture, picture, np.zeros((1, 4, 4, 1)))
    flat = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    with pytest.raises(ArgumentError, match="eps"):
        robust.certified_class(flat, flat, np.zeros((1, 2)), -0.1)
