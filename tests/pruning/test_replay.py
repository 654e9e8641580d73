"""A saved run is replayed from its folder at once: with the weights that lie there."""

import keras
import numpy as np
import pytest

import paoding
from paoding.errors import PlanError


def _model(width=12):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(width, "relu", name="hidden"),
            keras.layers.Dense(width, "relu"),
            keras.layers.Dense(3, "softmax"),
        ]
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    model = _model()
    result = paoding.prune(model, target=0.5, step=0.25, distil=5)
    result.save(folder)
    return model, result, folder


def test_a_saved_run_gives_the_same_model_bit_for_bit(saved):
    model, result, folder = saved
    again = paoding.replay(model, paoding.PruningResult.load(folder))
    for old, new in zip(result.model.weights, again.model.weights, strict=True):
        assert np.array_equal(old.numpy(), new.numpy())
    assert again.plan == result.plan and again.prior == result.prior
    x = np.random.default_rng(0).random((20, 6), dtype="float32")
    whole, cut = (np.asarray(m(x)) for m in (again.masked, again.model))
    assert np.allclose(whole, cut, atol=1e-5)


def test_its_weights_are_those_of_the_folder_and_not_worked_out(saved):
    model, _, folder = saved
    run = paoding.PruningResult.load(folder)
    last = run.model.layers[-1].bias
    last.assign(last.numpy() + 1)
    again = paoding.replay(model, run)
    assert np.array_equal(again.model.layers[-1].bias.numpy(), last.numpy())


def test_a_model_that_the_plan_does_not_lead_to_is_refused(saved):
    model, result, _ = saved
    pruner = paoding.Pruner(model, target=0.5, step=0.25)
    pruner.fast_forward(result.plan)
    with pytest.raises(PlanError, match="not what this plan leaves"):
        pruner.adopt(_model(9))
