"""What surgery keeps beside the numbers, and what it refuses, before anything is changed."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L

import paoding
from paoding.errors import (
    ArgumentError,
    ModelError,
    NothingToPruneError,
    PaodingError,
    PlanError,
    WeightsError,
)
from paoding.plan import Plan, Removal

X = np.random.default_rng(0).normal(0, 1, (4, 5)).astype("float32")


def mlp(**options: Any) -> Any:
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((5,)),
            L.Dense(16, activation="relu", name="a", **options),
            L.Dense(12, activation="relu", name="b", **options),
            L.Dense(3, name="out", **options),
        ],
        name="mlp",
    )


def plain(model: Any, **settings: Any) -> Any:
    settings = {"target": 0.5, "step": 0.25, **settings}
    return paoding.prune(model, strategy="magnitude", compensation="none", **settings)


def agrees(result: Any, x: Any = X, tolerance: float = 1e-5) -> None:
    ours, theirs = (
        np.asarray(keras.ops.cast(m(x, training=False), "float32"))
        for m in (result.model, result.masked)
    )
    assert np.abs(ours - theirs).max() <= tolerance * max(np.abs(theirs).max(), 1e-6)


# -- what is kept ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [("mixed_float16", 2e-2), ("float16", 2e-2), ("bfloat16", 1e-1), ("float64", 1e-5)],
)
def test_dtype_policies_survive(policy: str, tolerance: float, tmp_path: Path) -> None:
    model = mlp(dtype=policy)
    result = plain(model)
    for old, new in zip(model.layers, result.model.layers, strict=True):
        assert old.dtype_policy.name == new.dtype_policy.name
        assert [str(w.dtype) for w in old.weights] == [str(w.dtype) for w in new.weights]
    agrees(result, tolerance=tolerance)
    result.model.save(tmp_path / "m.keras")
    assert keras.models.load_model(tmp_path / "m.keras").layers[0].units == 8


@pytest.mark.parametrize("policy", ["float16", "bfloat16"])
def test_half_precision_can_be_merged(policy: str) -> None:
    result = paoding.prune(
        mlp(dtype=policy), target=0.5, step=0.25, strategy="saliency", compensation="merge"
    )
    assert result.model.get_layer("a").units == 8
    agrees(result, tolerance=1e-1)


def test_trainable_flags_survive() -> None:
    model = mlp()
    model.get_layer("a").trainable = False
    smaller = plain(model).model
    assert [layer.trainable for layer in smaller.layers] == [False, True, True]
    assert len(smaller.trainable_weights) == len(model.trainable_weights)
    model.trainable = False
    model.get_layer("b").trainable = True
    smaller = plain(model).model
    assert not smaller.trainable and smaller.get_layer("b").trainable


def test_a_compiled_model_stays_compiled_and_can_be_trained_on() -> None:
    model = mlp()
    model.compile(keras.optimizers.SGD(0.125), "mse", metrics=["mae"])
    model.fit(X, np.zeros((4, 3)), verbose=0)
    smaller = plain(model).model
    assert smaller.compiled and float(smaller.optimizer.learning_rate) == 0.125
    before = np.array(model.get_layer("a").kernel)
    smaller.fit(X, np.zeros((4, 3)), verbose=0)
    assert "mae" in str(smaller.get_metrics_result().keys())
    np.testing.assert_array_equal(before, np.array(model.get_layer("a").kernel))


def test_a_loss_of_ones_own_is_kept() -> None:
    def my_loss(y: Any, prediction: Any) -> Any:
        return keras.ops.mean(keras.ops.abs(y - prediction))

    model = mlp()
    model.compile("adam", my_loss)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plain(model).model.compiled


class Shift(keras.layers.Layer):
    """A layer that Keras does not know and that nobody registered."""

    def __init__(self, by: float = 0.5, **options: Any) -> None:
        super().__init__(**options)
        self.by = by

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, x: Any) -> Any:
        return x * self.scale + self.by

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "by": self.by}


@keras.saving.register_keras_serializable("paoding_tests")
class Registered(Shift):
    """The same layer, registered."""


class Wide(L.Dense):
    """A subclass that computes what its parent does."""


class Silent(keras.layers.Layer):
    """A layer that does not tell its arguments."""

    def __init__(self, function: Any, **options: Any) -> None:
        super().__init__(**options)
        self.function = function

    def call(self, x: Any) -> Any:
        return self.function(x)


def around(layer: Any) -> Any:
    x = inputs = keras.Input((5,))
    x = layer(L.Dense(8, activation="relu", name="before")(x))
    x = L.Dense(6, activation="relu", name="after")(x)
    return keras.Model(inputs, L.Dense(2, name="out")(x))


@pytest.mark.parametrize("kind", [Shift, Registered])
def test_custom_layers_survive_and_protect_only_what_they_read(kind: Any, tmp_path: Path) -> None:
    model = around(kind(0.25, name="custom"))
    graph = paoding.inspect(model)
    assert [g.name for g in graph.prunable] == ["after"]
    assert "not known" in dict(graph.protected)["before"]
    assert kind.__name__ in dict(graph.protected)["custom"]
    result = plain(model)
    assert result.model.get_layer("custom").by == 0.25
    agrees(result)
    result.model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras", custom_objects={"Shift": Shift})
    np.testing.assert_allclose(loaded(X), result.model(X), rtol=1e-6)


def test_a_subclass_with_its_parents_call_is_cut_like_its_parent() -> None:
    result = plain(around(Wide(10, name="wide")))
    assert type(result.model.get_layer("wide")) is Wide
    assert result.model.get_layer("wide").units == 5
    agrees(result)


def test_a_lambda_protects_what_it_reads_and_keeps_its_function() -> None:
    factor = 3.0
    result = plain(around(L.Lambda(lambda x: x * factor, name="custom")))
    assert result.model.get_layer("before").units == 8
    assert result.model.get_layer("after").units == 3
    agrees(result)


def test_a_layer_that_does_not_tell_its_arguments_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"'quiet' \(Silent\).*get_config"):
        plain(around(Silent(keras.ops.tanh, name="quiet"))).model  # noqa: B018


def halved(x: Any) -> Any:
    return x / 2


class Squares(keras.regularizers.Regularizer):
    def __call__(self, x: Any) -> Any:
        return keras.ops.sum(x * x)

    def get_config(self) -> dict[str, Any]:
        return {}


class Anything(keras.constraints.Constraint):
    def __call__(self, w: Any) -> Any:
        return w


def attention(**options: Any) -> Any:
    heads = L.MultiHeadAttention(2, 3, **options)
    return lambda x: heads(x, x)


OWN = {
    "a function": lambda: L.Dense(8, activation=halved),
    "a lambda": lambda: L.Dense(8, activation=lambda x: x * x),
    "a lambda in a wrapper": lambda: L.TimeDistributed(L.Dense(8, activation=lambda x: x * x)),
    "a regularizer": lambda: L.Dense(8, activation="relu", kernel_regularizer=Squares()),
    "a constraint": lambda: L.Dense(8, activation="relu", bias_constraint=Anything()),
    "a regularizer of heads": lambda: attention(bias_regularizer=Squares()),
}


@pytest.mark.parametrize("own", OWN)
def test_functions_and_regularizers_need_no_registration(own: str) -> None:
    x = keras.Input((3, 5))
    y = OWN[own]()(L.Dense(6, activation="relu", name="before")(x))
    model = keras.Model(x, L.Dense(2)(L.Flatten()(y)))
    agrees(plain(model), np.stack([X] * 3, axis=1))


def test_no_warning_tells_of_a_lambda_that_is_not_written() -> None:
    x = keras.Input((5,))
    hidden = L.Dense(8, activation="relu")(L.Dense(8, activation=lambda x: x * x)(x))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        plain(keras.Model(x, L.Dense(2)(hidden))).model  # noqa: B018


def test_a_name_may_begin_with_an_underscore() -> None:
    x = keras.Input((5,))
    model = keras.Model(x, L.Dense(3, name="-out")(L.Dense(8, activation="relu", name="_a")(x)))
    result = paoding.prune(model, target=0.5, step=0.5, distil=2, samples=50)
    agrees(result, np.abs(X))
    x, y = np.abs(X), np.arange(4) % 3
    assert paoding.evaluate(result.model, x, y, attacks=[paoding.FGSM(0.1)]).samples == 4


def test_adapted_layers_keep_what_they_learnt() -> None:
    scale = L.Normalization()
    scale.adapt(np.random.default_rng(1).normal(3, 2, (50, 5)))
    x = keras.Input((5,))
    model = keras.Model(x, L.Dense(2)(L.Dense(8, activation="relu", name="a")(scale(x))))
    result = plain(model)
    agrees(result)
    masked = result.model(X)
    np.testing.assert_allclose(result.model.layers[1].mean, scale.mean, rtol=1e-6)
    assert np.isfinite(masked).all()


def test_vocabularies_survive() -> None:
    words = L.StringLookup()
    words.adapt([["red", "green", "blue"]])
    x = keras.Input((2,), dtype="string")
    y = L.Flatten()(L.Embedding(5, 6, name="table")(words(x)))
    result = plain(keras.Model(x, L.Dense(2)(y)))
    import tensorflow as tf

    agrees(result, tf.constant([["red", "blue"], ["green", "pink"]]))
    assert result.model.get_layer("table").output_dim == 3


def test_an_array_as_initializer_does_not_come_in_the_way() -> None:
    table = keras.initializers.Constant(np.random.default_rng(0).normal(0, 1, (9, 6)))
    x = keras.Input((3,), dtype="int32")
    y = L.Flatten()(L.Embedding(9, 6, embeddings_initializer=table, name="table")(x))
    result = plain(keras.Model(x, L.Dense(2)(y)))
    agrees(result, np.array([[0, 1, 2]]))


def test_initializers_regularizers_and_names_are_kept() -> None:
    model = mlp(kernel_regularizer="l2", kernel_initializer="he_normal")
    smaller = plain(model).model
    config = smaller.get_layer("a").get_config()
    assert config["kernel_initializer"]["class_name"] == "HeNormal"
    assert config["kernel_regularizer"]["class_name"] == "L2"
    assert [layer.name for layer in smaller.layers] == [layer.name for layer in model.layers]
    assert smaller.name == model.name and type(smaller) is type(model)


class Own(keras.Model):
    """A functional model of its own class."""


class Doubled(keras.Model):
    """A functional model that changes what its graph computes."""

    def call(self, x: Any, training: bool = False, mask: Any = None) -> Any:
        return 2 * super().call(x, training=training)


class Plainly(keras.Model):
    """A subclassed model without a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = L.Dense(3)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def functional(kind: Any) -> Any:
    x = keras.Input((5,))
    return kind(inputs=x, outputs=L.Dense(2)(L.Dense(8, activation="relu", name="a")(x)))


def test_a_subclass_of_functional_keeps_its_class() -> None:
    result = plain(functional(Own))
    assert type(result.model) is Own
    agrees(result)


def test_models_whose_graph_is_not_what_they_compute_are_refused() -> None:
    with pytest.raises(ModelError, match="call method of its own"):
        paoding.inspect(functional(Doubled))
    with pytest.raises(ModelError, match="without a layer graph"):
        paoding.inspect(Plainly())
    with pytest.raises(ModelError, match="not been built"):
        paoding.inspect(keras.Sequential([L.Dense(3)]))
    with pytest.raises(ModelError, match=r"keras\.Model"):
        paoding.inspect(L.Dense(3))


def test_a_subclassed_model_inside_is_protected_and_the_rest_pruned() -> None:
    inner = Plainly()
    inner.get_config = lambda: {}  # type: ignore[method-assign]
    result = plain(around(inner))
    assert [layer.units for layer in result.model.layers if isinstance(layer, L.Dense)] == [8, 3, 2]
    agrees(result)


def test_the_original_and_its_nodes_are_left_as_they_were() -> None:
    inner = mlp()
    x = keras.Input((5,))
    model = keras.Model(x, L.Dense(2)(inner(x)))
    weights = [np.array(w) for w in model.weights]
    layers = list(model._flatten_layers())
    nodes = [(len(y._inbound_nodes), len(y._outbound_nodes)) for y in layers]
    result = plain(model)
    assert result.model.count_params() < model.count_params()
    assert [(len(y._inbound_nodes), len(y._outbound_nodes)) for y in layers] == nodes
    for old, now in zip(weights, model.weights, strict=True):
        np.testing.assert_array_equal(old, np.array(now))


def test_dropout_and_its_seeds_change_no_plan() -> None:
    x = keras.Input((5,))
    y = L.Dropout(0.5, seed=3)(L.Dense(8, activation="relu", name="a")(x))
    model = keras.Model(x, L.Dense(2)(y))
    result = plain(model)
    model(X, training=True)  # moves the seed on
    again = paoding.replay(model, result.plan)
    for a, b in zip(result.model.weights, again.model.weights, strict=True):
        np.testing.assert_array_equal(np.array(a), np.array(b))
    agrees(result)


# -- what may be asked for ------------------------------------------------------------------


def test_round_to_floor_targets_and_locks() -> None:
    pruner = paoding.Pruner(mlp(), target=0.6, step=0.2, round_to=8, compensation="none")
    assert pruner.n_remove == {"a": 8, "b": 4}
    pruner = paoding.Pruner(mlp(), target=0.9, step=0.3, floor=10, compensation="none")
    assert pruner.n_remove == {"a": 6, "b": 2}
    pruner = paoding.Pruner(mlp(), targets={"a": 0.25, "b": 0}, compensation="none")
    assert pruner.n_remove == {"a": 4}
    for lock in ("a", "a*", "[!b]"):
        assert set(paoding.Pruner(mlp(), locked=[lock]).n_remove) == {"b"}


def test_round_to_counts_the_units_that_are_left() -> None:
    result = plain(mlp(), target=0.6, step=0.3, round_to=8)
    assert result.model.get_layer("a").units % 8 == 0
    assert result.model.get_layer("b").units % 8 == 0


def test_a_type_of_layer_can_be_locked() -> None:
    x = keras.Input((6, 6, 1))
    y = L.Flatten()(L.Conv2D(8, 3, name="conv")(x))
    model = keras.Model(x, L.Dense(2)(L.Dense(8, name="hidden")(y)))
    assert set(paoding.Pruner(model, locked=["Conv2D"]).n_remove) == {"hidden"}


# -- what is refused ------------------------------------------------------------------------


def test_every_group_locked_is_a_clear_error() -> None:
    with pytest.raises(NothingToPruneError, match="every prunable group is locked"):
        paoding.Pruner(mlp(), locked=["Dense"])


def test_a_name_that_fits_nothing_is_a_clear_error() -> None:
    with pytest.raises(ArgumentError, match="'ghost'"):
        paoding.Pruner(mlp(), locked=["ghost"])
    with pytest.raises(ArgumentError, match="'ghost'"):
        paoding.Pruner(mlp(), targets={"ghost": 0.5})


def test_nan_weights_are_refused_by_name() -> None:
    model = mlp()
    kernel = np.array(model.get_layer("b").kernel)
    kernel[0, 0] = np.nan
    model.get_layer("b").kernel.assign(kernel)
    with pytest.raises(WeightsError, match="b"):
        paoding.Pruner(model)


def lora() -> Any:
    model = mlp()
    model.get_layer("a").enable_lora(2)
    return model


def quantized() -> Any:
    model = mlp()
    model.quantize("int8")
    return model


def chain(*layers: Any, batch: int | None = None) -> Any:
    return keras.Sequential([keras.Input(batch_shape=(batch, 5, 4)), *layers, L.Dense(2)])


def in_fours() -> Any:
    x = keras.Input(batch_shape=(4, 6))
    halves = keras.ops.reshape(L.Dense(8, activation="relu")(x), (4, 2, 4))
    return keras.Model(x, L.Dense(2)(L.Flatten()(halves)))


HIDDEN = {
    "a batch size in a reshape": (in_fours, "exactly 4"),
    "state": (lambda: chain(L.LSTM(6, stateful=True), batch=4), "stateful=False"),
    "weights of an activation": (lambda: chain(L.Dense(6, activation=L.PReLU())), "PReLU"),
    "LoRA weights": (lora, "'a'.*LoRA"),
    "scales of quantization": (quantized, r"quantized \(int8\)"),
    "a name that TensorFlow refuses": (lambda: chain(L.Dense(6, name="größe 1")), "rename it"),
}


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_layer_that_hides_something_is_refused_at_once(hidden: str) -> None:
    make, why = HIDDEN[hidden]
    with pytest.raises(ModelError, match=why):
        paoding.inspect(make())


def test_a_batch_size_that_is_fixed_at_the_input_alone_does_no_harm() -> None:
    model = chain(L.Dense(8, activation="relu"), L.Flatten(), batch=4)
    agrees(plain(model), np.stack([X] * 5, axis=1)[..., :4])


def test_a_layer_without_a_rule_is_told_of_even_where_it_reads_no_units() -> None:
    with pytest.raises(
        NothingToPruneError, match="'cells': a Bidirectional of this kind is not known"
    ):
        plain(chain(L.GaussianNoise(0.1), L.Bidirectional(L.RNN(L.LSTMCell(6)), name="cells")))


def test_a_layer_of_a_kind_without_a_rule_is_told_of_too() -> None:
    x = keras.Input((5, 4))
    states = L.Bidirectional(L.LSTM(6, return_state=True), name="both")(x)
    graph = paoding.inspect(keras.Model(x, L.Dense(2)(L.Concatenate()(states))))
    assert graph.unknown == {
        "both": "a Bidirectional of this kind is not known, so it stays as it is"
    }


def test_a_normalization_of_another_axis_ties_nothing() -> None:
    layers = [L.Dense(8, name="a"), L.BatchNormalization(axis=1), L.Flatten()]
    result = plain(chain(*layers))
    assert result.model.get_layer("a").units == 4


def test_a_model_without_layers_is_refused() -> None:
    x = keras.Input((5,))
    with pytest.raises(ModelError, match="no layers"):
        paoding.inspect(keras.Model(x, x))


def test_a_model_whose_only_layer_is_its_output_has_nothing_to_prune() -> None:
    x = keras.Input((5,))
    with pytest.raises(NothingToPruneError, match="output of the model"):
        paoding.Pruner(keras.Model(x, L.Dense(3)(x)))


def test_a_layer_without_units_is_harmless() -> None:
    x = keras.Input((3,), dtype="int32")
    some = L.Flatten()(L.Embedding(5, 6, name="some")(x))
    nothing = L.EinsumDense("ab,bc->ac", 0, name="nothing")(some)
    model = keras.Model(x, L.Dense(2)(L.Concatenate()([nothing, some])))
    graph = paoding.inspect(model)
    assert [group.name for group in graph.prunable] == ["some"]
    agrees(plain(model), np.array([[0, 1, 2]]))


def edited(plan: Plan, **changes: Any) -> Plan:
    data = json.loads(plan.to_json())
    data["steps"][0][0].update(changes)
    return Plan.from_json(json.dumps(data))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"unit": 99}, "not one of its 16 units"),
        ({"unit": -1}, "not one of its 16 units"),
        ({"group": "ghost"}, "no such group"),
        ({"group": "out", "unit": 0}, "has to stay"),
        ({"into": 99, "method": "merge"}, "not one of its 16 units"),
    ],
)
def test_a_plan_with_an_impossible_index_is_refused_before_anything_changes(
    changes: dict[str, Any], why: str
) -> None:
    model = mlp()
    plan = edited(plain(model).plan, **changes)
    before = [np.array(w) for w in model.weights]
    with pytest.raises(PlanError, match=why):
        paoding.replay(model, plan)
    for old, now in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, np.array(now))


def test_a_unit_that_goes_twice_or_a_group_that_goes_whole_is_refused() -> None:
    model = mlp()
    plan = plain(model).plan
    twice = replace(plan, steps=(*plan.steps, (plan.removals[0],)))
    with pytest.raises(PlanError, match="has gone already"):
        paoding.replay(model, twice)
    whole = replace(plan, steps=(tuple(Removal("a", u) for u in range(16)),))
    with pytest.raises(PlanError, match="no unit would be left"):
        paoding.replay(model, whole)


def test_a_plan_of_another_model_is_refused() -> None:
    plan = plain(mlp()).plan
    other = mlp()
    other.get_layer("a").bias.assign(np.ones(16))
    with pytest.raises(PlanError, match="another model"):
        paoding.replay(other, plan)


def test_every_refusal_is_one_of_our_errors() -> None:
    for kind in (ModelError, NothingToPruneError, ArgumentError, PlanError, WeightsError):
        assert issubclass(kind, PaodingError)
