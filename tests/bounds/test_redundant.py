"""RedundantUnit units are found, go without any change, and nothing else is called free."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import paoding
from paoding.bounds.redundant import RedundantUnit, redundant_units
from paoding.errors import PlanError
from paoding.graph import trace


def network(activation: str = "relu") -> keras.Model:
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(8, activation, name="hidden"),
            layers.Dense(6, activation, name="second"),
            layers.Dense(3, name="scores"),
        ]
    )


def edit(model: keras.Model, layer: str, unit: int, weights: object, bias: float) -> None:
    kernel, offset = model.get_layer(layer).get_weights()
    kernel[:, unit], offset[unit] = weights, bias
    model.get_layer(layer).set_weights([kernel, offset])


def found(
    model: keras.Model, box: paoding.Box | None = None
) -> dict[tuple[str, int], RedundantUnit]:
    graph = trace(model)
    return {(f.group, f.unit): f for f in redundant_units(graph, graph.original, box)}


def column(model: keras.Model, layer: str, unit: int) -> tuple[np.ndarray, float]:
    kernel, offset = model.get_layer(layer).get_weights()
    return kernel[:, unit], float(offset[unit])


def unchanged(model: keras.Model, result: paoding.PruningResult, atol: float = 1e-5) -> None:
    x = np.random.default_rng(0).random((200, *model.input_shape[1:])).astype(np.float32)
    np.testing.assert_allclose(result.model(x), model(x), atol=atol)


def test_a_network_of_random_weights_with_wide_inputs_has_no_free_unit() -> None:
    assert found(network("tanh"), paoding.Box(-3, 3)) == {}


def test_a_unit_that_is_never_active_goes() -> None:
    model = network()
    edit(model, "hidden", 2, -1.0, -0.5)
    assert found(model)["hidden", 2].why == "never active"
    result = paoding.lossless(model)
    assert ("hidden", 2) in {(r.group, r.unit) for r in result.plan.removals}
    unchanged(model, result)


def test_a_constant_unit_moves_into_the_next_bias() -> None:
    model = network("tanh")
    edit(model, "hidden", 1, 0.0, 0.7)
    assert found(model)["hidden", 1].why == "constant"
    unchanged(model, paoding.lossless(model))


def test_a_unit_that_nobody_reads_goes() -> None:
    model = network("tanh")
    kernel, bias = model.get_layer("second").get_weights()
    kernel[5] = 0
    model.get_layer("second").set_weights([kernel, bias])
    assert found(model)["hidden", 5].why == "disconnected"
    unchanged(model, paoding.lossless(model))


@pytest.mark.parametrize(("activation", "factor"), [("relu", 2.5), ("tanh", -1.0), ("gelu", 1.0)])
def test_parallel_units_become_one(activation: str, factor: float) -> None:
    model = network(activation)
    weights, bias = column(model, "hidden", 0)
    edit(model, "hidden", 4, factor * weights, factor * bias)
    free = found(model)["hidden", 4]
    assert (free.why, free.into) == ("parallel", 0)
    assert free.shares[0] == pytest.approx(factor)
    unchanged(model, paoding.lossless(model))


@pytest.mark.parametrize(("activation", "factor"), [("relu", -1.0), ("tanh", 0.5), ("gelu", -1.0)])
def test_units_that_only_look_parallel_stay(activation: str, factor: float) -> None:
    model = network(activation)
    weights, bias = column(model, "hidden", 0)
    edit(model, "hidden", 4, factor * weights, factor * bias)
    assert ("hidden", 4) not in found(model, paoding.Box(-1, 1))


def test_stably_active_units_that_others_make_up_go() -> None:
    model = network()
    for unit in range(8):  # eight active units of four inputs and a bias span five dimensions
        weights, _ = column(model, "hidden", unit)
        edit(model, "hidden", unit, weights, 9.0 + unit)
    kinds = [f.why for f in found(model).values()]
    assert kinds.count("dependent") >= 3
    unchanged(model, paoding.lossless(model), atol=1e-4)


def test_a_constant_channel_is_not_folded_where_padding_would_show() -> None:
    keras.utils.set_random_seed(0)
    for padding, free in (("valid", True), ("same", False)):
        model = keras.Sequential(
            [
                keras.Input((6, 6, 1)),
                layers.Conv2D(3, 3, activation="tanh", name="one"),
                layers.Conv2D(2, 3, padding=padding, name="two"),
                layers.GlobalAveragePooling2D(),
            ]
        )
        kernel, bias = model.get_layer("one").get_weights()
        kernel[..., 1], bias[1] = 0.0, 0.4
        model.get_layer("one").set_weights([kernel, bias])
        assert (("one", 1) in found(model)) == free
        unchanged(model, paoding.lossless(model))


def test_a_flattened_map_s_free_filter_takes_all_its_rows_along() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, activation="relu", name="one"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(3, name="scores"),
        ]
    )
    kernel, bias = model.get_layer("one").get_weights()
    kernel[..., 2], bias[2] = kernel[..., 0] * 0.5, bias[0] * 0.5
    kernel[..., 3], bias[3] = 0.0, 2.0
    model.get_layer("one").set_weights([kernel, bias])
    free = found(model)
    assert (free["one", 2].why, free["one", 3].why) == ("parallel", "constant")
    unchanged(model, paoding.lossless(model))


def test_the_certificate_of_free_removals_is_zero_up_to_rounding() -> None:
    model = network()
    edit(model, "hidden", 2, -1.0, -0.5)
    weights, bias = column(model, "hidden", 0)
    edit(model, "hidden", 4, 2.0 * weights, 2.0 * bias)
    certificate = paoding.lossless(model).certificate
    assert np.abs(certificate.lower).max() < 1e-5
    assert np.abs(certificate.upper).max() < 1e-5


def test_one_unit_of_a_group_always_stays() -> None:
    model = network()
    kernel, bias = model.get_layer("scores").get_weights()
    model.get_layer("scores").set_weights([0 * kernel, bias])
    result = paoding.lossless(model)
    assert result.model.get_layer("second").units >= 1
    unchanged(model, result)


def test_a_lossless_plan_is_replayed_bit_for_bit_and_refused_on_another_domain() -> None:
    model = network()
    edit(model, "hidden", 2, -1.0, -0.5)
    result = paoding.lossless(model)
    again = paoding.replay(model, paoding.Plan.from_json(result.plan.to_json()))
    for a, b in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    pruner = paoding.Pruner(model, domain=paoding.Box(-9, 9), compensation="none")
    with pytest.raises(PlanError, match="without loss"):
        pruner.apply(result.plan.removals)


def test_a_network_without_redundant_units_comes_back_whole() -> None:
    model = network("tanh")
    result = paoding.lossless(model, paoding.Box(-3, 3))
    assert result.plan.removals == ()
    unchanged(model, result, atol=0)


def test_a_run_may_begin_with_what_is_free() -> None:
    model = network()
    edit(model, "hidden", 2, -1.0, -0.5)
    run = list(paoding.Pruner(model, step=0.25, compensation="merge", lossless_first=True))
    assert [(r.unit, r.method) for r in run[0].removals] == [(2, "lossless")]
    assert run[0].decisions.frame()["reason"].tolist() == ["goes without loss: never active"]
    assert run[-1].remaining == {"hidden": 4, "second": 3}
    result = paoding.prune(model, step=0.25, compensation="merge", lossless_first=True)
    again = paoding.replay(model, result.plan)
    for a, b in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
