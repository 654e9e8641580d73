"""Attacks climb the right loss, stay where they may be, and equal those of Foolbox."""

from __future__ import annotations

import foolbox
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from paoding import Box, zoo
from paoding.errors import ArgumentError, ModelError
from paoding.evaluation import FGSM, PGD, Attack, Foolbox, evaluate, parse
from paoding.evaluation.network import Network, network_of

UNIT = Box(0, 1)


@pytest.fixture(scope="module")
def mlp():
    model, data = zoo.load("mnist-mlp")
    return network_of(model), data.x[:400], data.y[:400]


@pytest.fixture(scope="module")
def table():
    model, data = zoo.load("breast-cancer")
    return network_of(model), data.x, data.y


def attacked(network, attack, x, y, clip=UNIT):
    return attack.adversarial(network, x, y, clip, 128)


# -- the same as Foolbox -------------------------------------------------------------------------

PAIRS = [
    (FGSM, lambda eps: foolbox.attacks.LinfFastGradientAttack()),
    (
        lambda eps: PGD(eps, steps=7, step_size=eps / 3),
        lambda eps: foolbox.attacks.LinfPGD(steps=7, abs_stepsize=eps / 3, random_start=False),
    ),
    (
        lambda eps: PGD(10 * eps, steps=7, step_size=eps, norm="l2"),
        lambda eps: foolbox.attacks.L2PGD(steps=7, abs_stepsize=eps, random_start=False),
    ),
]


@pytest.mark.parametrize("network", ["mlp", "table"])
@pytest.mark.parametrize("eps", [0.01, 0.05, 0.1])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=["fgsm", "pgd", "pgd-l2"])
def test_predictions_under_attack_are_those_under_the_same_attack_of_foolbox(
    network, eps, ours, theirs, request
):
    network, x, y = request.getfixturevalue(network)
    target = foolbox.TensorFlowModel(network.logits, bounds=(0, 1), device="/CPU:0")
    attack = ours(eps)
    _, other, _ = theirs(eps)(target, tf.constant(x), tf.constant(y), epsilons=attack.eps)
    mine = attacked(network, attack, x, y)
    np.testing.assert_array_equal(
        network.predict(mine, 128).argmax(1), network.predict(other.numpy(), 128).argmax(1)
    )
    if attack.__class__ is FGSM:
        np.testing.assert_allclose(mine, other.numpy(), atol=1e-6)


def test_foolbox_attacks_run_behind_the_same_interface(mlp):
    network, x, y = mlp
    attack = Foolbox(foolbox.attacks.LinfFastGradientAttack(), 0.05)
    assert isinstance(attack, Attack)
    report = evaluate(network.model, x, y, attacks=[attack, FGSM(0.05)], latency=False)
    assert report.attacks[0].robust_accuracy == report.attacks[1].robust_accuracy
    assert report.attacks[0].settings["attack"] == "foolbox.LinfFastGradientAttack"


def test_what_is_no_attack_of_foolbox_is_refused():
    with pytest.raises(ArgumentError, match="Foolbox attack is needed"):
        Foolbox("pgd", 0.1)


def test_foolbox_is_given_one_clip_range_or_refused(table):
    network, x, y = table
    box = Box(np.zeros(30), np.linspace(1, 2, 30))
    with pytest.raises(ArgumentError, match="one clip range"):
        attacked(network, Foolbox(foolbox.attacks.LinfPGD(), 0.1), x, y, box)


# -- where an attack may go ----------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    eps=st.floats(0, 0.5),
    steps=st.integers(1, 4),
    step_size=st.floats(0, 1),
    restarts=st.integers(1, 3),
    norm=st.sampled_from(["linf", "l2"]),
    loss=st.sampled_from(["cross-entropy", "log-odds"]),
    lo=st.floats(-0.5, 0.5),
)
def test_an_attack_stays_in_the_ball_and_in_the_clip_range(
    table, eps, steps, step_size, restarts, norm, loss, lo
):
    network, x, y = table
    lo = np.float32(lo)
    x = np.clip(x[:16], lo, 1)
    attack = PGD(eps, steps, step_size, restarts, seed=3, norm=norm, loss=loss)
    found = attacked(network, attack, x, y[:16], Box(lo, 1))
    assert found.min() >= lo
    assert found.max() <= 1
    change = (found - x).astype("float64").reshape(16, -1)
    size = np.abs(change).max(1) if norm == "linf" else np.linalg.norm(change, axis=1)
    assert (size <= eps + 1e-5).all()


def test_a_clip_range_of_its_own_for_each_input_is_kept(table):
    network, x, y = table
    box = Box(np.zeros(30), np.linspace(1, 2, 30, dtype="float32"))
    found = attacked(network, PGD(0.3, steps=3, restarts=2), x, y, box)
    assert box.contains(found).all()
    assert (found > 1).any()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_fgsm_moves_along_the_sign_of_the_gradient(seed):
    rng = np.random.default_rng(seed)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    W, b = rng.normal(size=(5, 3)), rng.normal(size=3)
    model.set_weights([W, b])
    x, y = rng.random((8, 5)).astype("float32"), rng.integers(0, 3, 8)
    z = x @ W + b
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    gradient = (p - np.eye(3)[y]) @ W.T
    found = attacked(Network(model), FGSM(0.1), x, y, Box(-1, 2))
    np.testing.assert_allclose(found, x + 0.1 * np.sign(gradient), atol=1e-6)


def test_both_losses_have_the_same_direction_where_nothing_is_lost_to_rounding():
    rng = np.random.default_rng(1)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4)])
    x, y = rng.random((50, 5)).astype("float32"), rng.integers(0, 4, 50)
    network = Network(model)
    a, b = (attacked(network, FGSM(0.1, loss), x, y) for loss in ("cross-entropy", "log-odds"))
    np.testing.assert_array_equal(a, b)


def test_the_log_odds_still_move_inputs_of_which_the_model_is_sure():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid")])
    model.set_weights([np.array([[50.0], [-50.0]]), np.array([30.0])])
    x, y = np.array([[1, 0]], "float32"), np.array([1])
    network = Network(model)
    assert (attacked(network, FGSM(0.1), x, y) == x).all()
    np.testing.assert_allclose(
        attacked(network, FGSM(0.1, "log-odds"), x, y), [[0.9, 0.1]], atol=1e-6
    )


def test_more_steps_and_restarts_never_help_the_model(mlp):
    network, x, y = mlp

    def robust(attack):
        return evaluate(network.model, x, y, attacks=[attack], latency=False).robust_accuracy

    one = robust(PGD(0.05, steps=5))
    assert robust(PGD(0.05, steps=5, restarts=3)) <= one
    assert robust(PGD(0.05, steps=40)) <= robust(FGSM(0.05))
    assert robust(PGD(0.05, steps=5, loss="log-odds")) <= one + 0.01


def test_one_seed_gives_one_result_whatever_the_batch_size(mlp):
    network, x, y = mlp
    attack = PGD(0.05, steps=3, restarts=3, seed=7)
    a = attack.adversarial(network, x, y, UNIT, 64)
    b = attack.adversarial(network, x, y, UNIT, 64)
    c = attack.adversarial(network, x, y, UNIT, 400)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(a, c, atol=0.11)  # a sign may turn on the last bit of a sum
    assert np.mean(a != c) < 0.01
    d = PGD(0.05, steps=3, restarts=3, seed=8).adversarial(network, x, y, UNIT, 64)
    assert (a != d).any()


def test_no_attack_at_eps_zero(mlp):
    network, x, y = mlp
    for attack in (FGSM(0), PGD(0, steps=2, restarts=2), PGD(0, norm="l2")):
        np.testing.assert_array_equal(attacked(network, attack, x, y), x)


# -- the network behind --------------------------------------------------------------------------


def heads(kind):
    x = keras.Input((6,))
    h = keras.layers.Dense(5, activation="tanh", name="h")(x)
    if kind == "argument":
        return keras.Model(x, keras.layers.Dense(3, activation="softmax")(h))
    z = keras.layers.Dense(3)(h)
    if kind == "layer":
        return keras.Model(x, keras.layers.Softmax()(z))
    if kind == "activation":
        return keras.Model(x, keras.layers.Activation("softmax")(z))
    if kind == "operation":
        return keras.Model(x, keras.ops.softmax(z))
    if kind == "nested":
        inner = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, activation="softmax")])
        return keras.Model(x, inner(h))
    return keras.Model(x, z)


@pytest.mark.parametrize("kind", ["argument", "layer", "activation", "operation", "nested"])
def test_a_softmax_head_is_left_out_wherever_it_stands(kind):
    model = heads(kind)
    network = Network(model)
    x = np.random.default_rng(0).random((9, 6), dtype="float32")
    assert network.head == "softmax"
    z = network.predict(x, 4)
    np.testing.assert_allclose(tf.nn.softmax(z), model(x), atol=1e-6)
    assert np.abs(z.sum(1) - 1).max() > 1e-3


def test_a_model_of_logits_is_taken_as_it_is():
    model = heads("none")
    x = np.random.default_rng(0).random((9, 6), dtype="float32")
    assert Network(model).head == "none"
    np.testing.assert_allclose(Network(model).predict(x, 9), model(x), atol=1e-6)


def test_a_single_sigmoid_becomes_two_logits(table):
    network, x, _ = table
    z = network.predict(x, 64)
    p = network.model(x).numpy()[:, 0]
    assert (network.binary, network.classes, network.head) == (True, 2, "sigmoid")
    np.testing.assert_array_equal(z[:, 0], 0)
    np.testing.assert_allclose(1 / (1 + np.exp(-z[:, 1].astype("float64"))), p, atol=1e-6)
    np.testing.assert_array_equal(z.argmax(1), p > 0.5)


def test_dropout_and_batch_statistics_are_those_of_inference():
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    x = np.random.default_rng(0).random((9, 6), dtype="float32")
    z = Network(model).predict(x, 3)
    np.testing.assert_allclose(tf.nn.softmax(z), model(x, training=False), atol=1e-6)


def test_new_weights_are_seen_without_compiling_again():
    model = heads("argument")
    x = np.random.default_rng(0).random((4, 6), dtype="float32")
    network = network_of(model)
    before = network.predict(x, 4)
    model.set_weights([2 * w for w in model.get_weights()])
    assert network_of(model) is network
    assert np.abs(network.predict(x, 4) - before).max() > 1e-3
    np.testing.assert_allclose(tf.nn.softmax(network.predict(x, 4)), model(x), atol=1e-6)


def test_the_model_is_not_changed(table):
    network, x, y = table
    before = [w.copy() for w in network.model.get_weights()]
    names = [layer.name for layer in network.model.layers]
    attacked(network, PGD(0.1, restarts=2), x, y)
    assert names == [layer.name for layer in network.model.layers]
    for was, now in zip(before, network.model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_another_eps_compiles_nothing_again(mlp):
    network, x, y = mlp
    attacked(network, FGSM(0.01), x, y)
    traced = network._ascend["linf", "cross-entropy"].experimental_get_tracing_count()
    for attack in (FGSM(0.02), PGD(0.1, steps=3), PGD(0.1, steps=9, step_size=0.01)):
        attack.adversarial(network, x[:77], y[:77], UNIT, 50)
    assert network._ascend["linf", "cross-entropy"].experimental_get_tracing_count() == traced


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: keras.Model([x, keras.Input((1,))], x), "2 inputs"),
        (lambda x: keras.Model(x, [keras.layers.Dense(2)(x), x]), "2 outputs"),
        (lambda x: keras.Model(x, keras.layers.Reshape((3, 2))(x)), r"shape \(None, 3, 2\)"),
    ],
)
def test_models_that_are_no_classifiers_are_refused(make, message):
    with pytest.raises(ModelError, match=message):
        Network(make(keras.Input((6,))))


def test_inputs_that_are_no_real_numbers_have_no_gradient():
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            keras.layers.Embedding(10, 3),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    x, y = np.arange(8).reshape(2, 4), np.array([0, 1])
    assert evaluate(model, x, y, latency=False).samples == 2
    with pytest.raises(ModelError, match="real numbers"):
        evaluate(model, x, y, attacks=[FGSM(0.1)])


def test_a_model_that_answers_nan_is_refused(table):
    model = zoo.load("breast-cancer")[0]
    # In the last layer: on some processors TensorFlow's ReLU turns NaN into 0.
    model.layers[-1].kernel.assign(np.full((64, 1), np.nan))
    with pytest.raises(ModelError, match="answers NaN for 169 of 169"):
        Network(model).predict(table[1], 64)


# -- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: FGSM(-0.1),
        lambda: FGSM(float("nan")),
        lambda: FGSM("0.1"),
        lambda: FGSM(0.1, "hinge"),
        lambda: PGD(0.1, steps=0),
        lambda: PGD(0.1, steps=1.5),
        lambda: PGD(0.1, restarts=0),
        lambda: PGD(0.1, step_size=-1),
        lambda: PGD(0.1, seed=-1),
        lambda: PGD(0.1, norm="l1"),
        lambda: parse("fgsm"),
        lambda: parse("fgsm:a"),
        lambda: parse("fgsm:-1"),
        lambda: parse("square:0.1"),
        lambda: parse("pgd:0.1:1:2:3"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make):
    with pytest.raises(ArgumentError):
        make()


def test_attacks_are_read_as_the_command_line_writes_them():
    assert parse("fgsm:0.05") == FGSM(0.05)
    assert parse("PGD:0.1") == PGD(0.1)
    assert parse("pgd:0.1:40") == PGD(0.1, steps=40)
    assert parse("pgd:0.1:40:3") == PGD(0.1, steps=40, restarts=3)


def test_a_name_tells_every_setting_that_is_not_the_usual_one():
    attack = PGD(0.1, 7, 0.02, 3, 5, "l2", "log-odds")
    assert attack.name == (
        "PGD(eps=0.1, steps=7, step_size=0.02, restarts=3, seed=5, norm=l2, loss=log-odds)"
    )
    assert FGSM(0.1).settings() == {
        "attack": "FGSM",
        "norm": "linf",
        "eps": 0.1,
        "loss": "cross-entropy",
        "steps": 1,
        "restarts": 1,
    }
