"""The pruning loop: counts, undo and branches, determinism, plans, and kind refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import paoding
from paoding import errors
from paoding.bounds.scoring import Scorer
from paoding.criteria import distances, outgoing_norms
from paoding.graph import trace
from paoding.pruning.pruner import Pruner
from paoding.pruning.settings import Settings
from paoding.strategies import BY_NAME

STRATEGIES = sorted(BY_NAME)


def network(*widths: int, activation: str = "relu", seed: int = 0) -> keras.Model:
    rng = np.random.default_rng(seed)
    layers = [keras.Input((widths[0],))]
    layers += [
        keras.layers.Dense(w, activation, name=f"dense_{i}") for i, w in enumerate(widths[1:-1])
    ]
    model = keras.Sequential([*layers, keras.layers.Dense(widths[-1], name="scores")])
    model.set_weights([rng.normal(size=w.shape) / 3 for w in model.get_weights()])
    return model


def convolutional(seed: int = 0) -> keras.Model:
    rng = np.random.default_rng(seed)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(0.5),
            keras.layers.Conv2D(6, 3, padding="same", name="conv_a"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(8, 3, activation="relu", name="conv_b"),
            keras.layers.AveragePooling2D(2),
            keras.layers.Dropout(0.2),
            keras.layers.Flatten(),
            keras.layers.Dense(10, "relu", name="dense"),
            keras.layers.Dense(1, "sigmoid", name="score"),
        ]
    )
    model.set_weights(
        [rng.uniform(0.2, 1.5, w.shape) * rng.choice([-1, 1], w.shape) for w in model.get_weights()]
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_variance.assign(rng.uniform(0.5, 2, layer.moving_variance.shape))
    return model


def difference(a: keras.Model, b: keras.Model) -> float:
    """Largest difference of two models' outputs on random inputs, relative to their scale."""
    x = np.random.default_rng(1).uniform(size=(16, *a.input_shape[1:])).astype("float32")
    one, two = np.asarray(a(x)), np.asarray(b(x))
    return float(np.abs(one - two).max() / max(np.abs(one).max(), 1e-12))


def same_weights(a: keras.Model, b: keras.Model) -> bool:
    pairs = zip(a.get_weights(), b.get_weights(), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("compensation", ["none", "merge"])
@pytest.mark.parametrize("make", [lambda: network(12, 16, 8, 3), convolutional])
def test_the_smaller_model_equals_the_masked_one(
    strategy: str, compensation: str, make: Callable[[], keras.Model]
) -> None:
    model = make()
    before = model.get_weights()
    result = paoding.prune(
        model, target=0.5, step=0.25, strategy=strategy, compensation=compensation
    )
    assert difference(result.masked, result.model) < 1e-5
    assert result.model.count_params() < model.count_params()
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@settings(max_examples=25, deadline=None)
@given(
    widths=st.lists(st.integers(2, 9), min_size=3, max_size=5),
    target=st.floats(0.05, 0.95),
    share=st.floats(0.05, 1.0),
    strategy=st.sampled_from(STRATEGIES),
    compensation=st.sampled_from(["none", "merge"]),
    seed=st.integers(0, 9),
)
def test_plans_replay_undo_and_redo_are_identities_on_random_networks(
    widths: list[int], target: float, share: float, strategy: str, compensation: str, seed: int
) -> None:
    model = network(*widths, activation="tanh", seed=seed)
    try:
        pruner = Pruner(
            model,
            target=target,
            step=target * share,
            strategy=strategy,
            compensation=compensation,
            seed=seed,
        )
    except errors.NothingToPruneError:
        return  # so small a share of so few units rounds to none
    steps = list(pruner)
    result = pruner.result()
    assert difference(result.masked, result.model) < 1e-5
    again = paoding.replay(model, paoding.Plan.from_json(result.plan.to_json()))
    assert same_weights(result.model, again.model)
    assert again.plan.steps == result.plan.steps
    while pruner.undo():
        pass
    assert pruner.progress == 0 and same_weights(pruner.masked(), model)
    while pruner.redo():
        pass
    assert pruner.steps == tuple(steps) and same_weights(pruner.model(), result.model)


def test_each_step_takes_at_most_its_share_until_the_target_is_reached() -> None:
    pruner = Pruner(
        network(6, 30, 10, 2), target=0.5, step=0.2, strategy="saliency", compensation="merge"
    )
    left = [step.remaining for step in pruner]
    assert left == [
        {"dense_0": 24, "dense_1": 8},
        {"dense_0": 18, "dense_1": 6},
        {"dense_0": 15, "dense_1": 5},
    ]
    assert pruner.progress == 1


def test_one_seed_gives_one_result_and_another_seed_may_give_another() -> None:
    def plan(seed: int) -> Any:
        settings = {"target": 0.5, "step": 1 / 8, "compensation": "merge", "seed": seed}
        return paoding.prune(network(8, 40, 40, 4), strategy="annealing", **settings).plan.steps

    assert plan(0) == plan(0)
    assert any(plan(0) != plan(seed) for seed in range(1, 6))


def test_a_step_after_an_undo_begins_a_branch_and_repeats_what_was_decided() -> None:
    pruner = Pruner(network(8, 16, 4), target=0.5, step=1 / 8, compensation="merge")
    first, second = next(pruner), next(pruner)
    assert pruner.undo() is second
    again = next(pruner)
    assert again.removals == second.removals and again is not second
    assert pruner.redo() is None
    assert [step.index for step in pruner.steps] == [first.index, 2]


def test_stop_ends_the_iteration_and_keeps_what_was_done() -> None:
    pruner = Pruner(network(8, 16, 4), target=0.5, step=1 / 16, compensation="merge")
    for step in pruner:
        if step.index == 3:
            pruner.stop()
    assert len(pruner.steps) == 3
    assert pruner.result().model.get_layer("dense_0").units == 13
    pruner.resume()
    assert len(list(pruner)) == 5


def test_states_that_were_dropped_to_save_memory_are_worked_out_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = network(8, 32, 16, 4)
    settings = {"target": 0.5, "step": 1 / 16, "compensation": "merge"}
    expected = [step.remaining for step in Pruner(model, **settings)]
    monkeypatch.setattr("paoding.pruning.history.KEEP_BYTES", 0)
    pruner = Pruner(model, **settings)
    steps = list(pruner)
    assert len(pruner._history._states) < len(steps)
    whole = pruner.model()
    for _ in range(5):
        pruner.undo()
    assert pruner.remaining == expected[-6]
    for _ in range(5):
        pruner.redo()
    assert same_weights(pruner.model(), whole)


def test_without_recursion_no_unit_takes_part_in_two_merges() -> None:
    result = paoding.prune(
        network(8, 20, 4),
        target=0.5,
        step=0.1,
        strategy="saliency",
        compensation="merge",
        recursive=False,
    )
    touched = [u for r in result.plan.removals for u in (r.unit, r.into)]
    assert len(touched) == len(set(touched)) == 20


def test_every_removal_is_in_the_log_with_a_reason() -> None:
    result = paoding.prune(network(8, 24, 12, 4), target=0.5, step=1 / 4, compensation="merge")
    log = result.decisions
    removed = log[log.verdict == "removed"]
    found = set(zip(removed.step, removed.group, removed.unit, removed["into"], strict=True))
    expected = {
        (k, r.group, r.unit, -1 if r.into is None else r.into)
        for k, step in enumerate(result.plan.steps, 1)
        for r in step
    }
    assert found == expected
    assert (log.reason.str.len() > 0).all()
    assert removed.energy.notna().all()


@pytest.mark.parametrize("strategy", [paoding.Impact, paoding.Annealing])
def test_certified_energies_pick_from_a_bound_of_all_pairs(strategy: Any) -> None:
    model = network(8, 24, 4)
    pruner = Pruner(
        model,
        target=0.5,
        step=1 / 4,
        strategy=strategy(energy="log"),
        compensation="merge",
        samples=64,
    )
    graph = trace(model)
    group = graph.by_name["dense_0"]
    bounds = Scorer(graph, graph.original).screen(group)
    assert bounds is not None
    np.fill_diagonal(bounds, np.inf)
    saliencies = distances(group, graph.original) * outgoing_norms(group, graph.original)
    next(pruner)
    first = pruner.result().decisions.iloc[0]
    assert first["into"] == bounds[first.unit].argmin()
    if strategy is paoding.Annealing:  # takes candidates in order
        assert first.unit == bounds.min(axis=1).argmin()
    assert first.importance == pytest.approx(saliencies[first["into"], first.unit])


def test_a_step_prints_what_went_into_whom_and_what_is_certified() -> None:
    step = next(Pruner(network(8, 16, 4), target=0.5, step=1 / 8, compensation="merge"))
    text = str(step)
    assert "dense_0" in text and "into" in text and "certified: each output changes by" in text


def test_the_certificate_holds_the_change_of_sampled_inputs() -> None:
    model = network(8, 16, 12, 4)
    result = paoding.prune(model, target=0.25, step=1 / 8, compensation="merge")
    x = np.random.default_rng(0).uniform(size=(500, 8)).astype("float32")
    change = np.asarray(result.model(x)) - np.asarray(model(x))
    assert (change >= result.certificate.lower - 1e-5).all()
    assert (change <= result.certificate.upper + 1e-5).all()


def test_locks_own_targets_floor_and_multiples_are_kept() -> None:
    model = network(8, 32, 24, 20, 4)
    result = paoding.prune(
        model,
        target=0.5,
        step=0.25,
        strategy="saliency",
        compensation="merge",
        locked=["dense_0"],
        targets={"dense_1": 0.25},
        round_to=8,
    )
    assert [layer.units for layer in result.model.layers] == [32, 24, 16, 4]
    floor = paoding.prune(model, target=0.9, step=0.9, strategy="magnitude", floor=10)
    assert [layer.units for layer in floor.model.layers][:3] == [10, 10, 10]


def test_a_run_folder_holds_what_is_needed_to_go_on(tmp_path: Path) -> None:
    model = network(8, 16, 4)
    pruner = Pruner(model, target=0.5, step=1 / 8, compensation="merge", seed=3)
    next(pruner)
    next(pruner)
    pruner.result().save(tmp_path / "run", original=True)
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert {"model.keras", "plan.json", "decisions.parquet", "report.json", "report.html"} < names
    run = paoding.PruningResult.load(tmp_path / "run")
    assert same_weights(run.model, pruner.model())
    from paoding.pruning.prune import pruner_for

    resumed = pruner_for(run.original, run.plan)
    resumed.fast_forward(run.plan)
    rest, expected = list(resumed), list(pruner)
    assert [s.removals for s in rest] == [s.removals for s in expected]
    with pytest.raises(errors.OutputExistsError, match="exists"):
        pruner.result().save(tmp_path / "run")
    assert {p.name for p in tmp_path.iterdir()} == {"run"}


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"target": 0.0}, errors.ArgumentError, "target=0.0"),
        ({"target": 1.0}, errors.ArgumentError, "between 0 and 1"),
        ({"target": float("nan")}, errors.ArgumentError, "target=nan"),
        ({"target": "half"}, errors.ArgumentError, "target='half'"),
        ({"target": 0.25, "step": 0.5}, errors.ArgumentError, "step=0.5 is larger"),
        ({"strategy": "luck"}, errors.ArgumentError, "strategy='luck'"),
        ({"compensation": "hope"}, errors.ArgumentError, "compensation='hope'"),
        ({"locked": ["nowhere"]}, errors.ArgumentError, "'nowhere' fits no layer"),
        ({"targets": {"nowhere": 0.5}}, errors.ArgumentError, "'nowhere'"),
        ({"locked": ["dense_*"]}, errors.NothingToPruneError, "locked"),
        ({"round_to": 0}, errors.ArgumentError, "round_to=0"),
        ({"recursive": False, "target": 0.75}, errors.ArgumentError, "one merge"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(
    settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=None) as caught:
        Pruner(network(4, 8, 2), **{"compensation": "merge", "step": 1 / 16, **settings})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_refused_with_their_place() -> None:
    model = network(4, 8, 2)
    weights = model.get_weights()
    weights[0][1, 2] = np.nan
    model.set_weights(weights)
    with pytest.raises(errors.WeightsError, match="kernel"):
        Pruner(model)


def test_a_plan_of_another_model_or_with_an_impossible_unit_changes_nothing() -> None:
    model = network(4, 8, 2)
    plan = paoding.prune(model, target=0.5, step=0.5, compensation="merge").plan
    with pytest.raises(errors.PlanError, match="another model"):
        paoding.replay(network(4, 8, 2, seed=1), plan)
    for removal, words in [
        (paoding.Removal("dense_0", 99), "unit 99"),
        (paoding.Removal("nowhere", 0), "no such group"),
        (paoding.Removal("scores", 0), "has to stay"),
        (paoding.Removal("dense_0", 1, 1), "itself"),
    ]:
        edited = paoding.Plan(((removal,),), plan.settings, plan.fingerprint)
        with pytest.raises(errors.PlanError, match=words):
            paoding.replay(model, edited)
    twice = (paoding.Removal("dense_0", 0), paoding.Removal("dense_0", 0))
    with pytest.raises(errors.PlanError, match="gone already"):
        paoding.replay(model, paoding.Plan((twice,), plan.settings, plan.fingerprint))


NO_PLANS = {
    "nothing": "",
    "no keys": "{}",
    "a list": "[1, 2]",
    "no steps": '{"format": 1}',
    "steps that are a number": '{"format": 1, "steps": 3}',
    "steps that are an object": '{"format": 1, "steps": {}, "settings": {}, "fingerprint": ""}',
    "a step that is text": '{"format": 1, "steps": ["a"], "settings": {}, "fingerprint": ""}',
    "a removal that is a list": '{"format": 1, "steps": [[[]]], "settings": {}, "fingerprint": ""}',
    "no end": "[" * 100_000,
}


@pytest.mark.parametrize("text", NO_PLANS.values(), ids=NO_PLANS)
def test_text_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(errors.PlanError):
        paoding.Plan.from_json(text)


def test_a_plan_may_come_from_an_editor_that_marks_the_byte_order(tmp_path: Path) -> None:
    model = network(4, 8, 2)
    plan = paoding.prune(model, target=0.5, step=0.5, compensation="merge").plan
    (tmp_path / "plan.json").write_text(plan.to_json(), encoding="utf-8-sig")
    assert paoding.Plan.load(tmp_path / "plan.json") == plan


@pytest.mark.parametrize("form", ["pair", "list", "names"])
def test_a_domain_of_any_form_is_replayed_input_by_input(form: str) -> None:
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    hidden = [keras.layers.Dense(8, "relu")(x) for x in (a, b)]
    model = keras.Model([a, b], keras.layers.Dense(2)(keras.layers.Concatenate()(hidden)))
    left, right = paoding.Box(0, 1), paoding.Box(-2, 3)
    domain = {"pair": (0, 1), "list": [left, right], "names": {"b": right, "a": left}}[form]
    result = paoding.prune(
        model, target=0.5, step=0.25, compensation="none", strategy="saliency", domain=domain
    )
    again = paoding.replay(model, paoding.Plan.from_json(result.plan.to_json()))
    assert [box.to_dict() for box in again.domain] == [box.to_dict() for box in result.domain]
    assert again.certificate.to_dict() == result.certificate.to_dict()


def test_removals_may_count_units_as_numpy_does_but_not_in_halves() -> None:
    pruner = Pruner(network(4, 8, 2), target=0.5, step=0.25, compensation="merge")
    pruner.apply([paoding.Removal("dense_0", np.int64(1), np.uint8(2), "merge")])
    assert paoding.Plan.from_json(pruner.plan.to_json()) == pruner.plan
    for unit in (1.5, True, "1"):
        with pytest.raises(errors.PlanError, match="not a whole number"):
            paoding.Removal("dense_0", unit)  # type: ignore[arg-type]
    with pytest.raises(errors.PlanError, match="no Removal"):
        pruner.apply(["dense_0"])  # type: ignore[list-item]
    with pytest.raises(errors.PlanError, match=r"Plan\.load"):
        pruner.fast_forward("plan.json")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"targets": ["dense_0"]}, "targets="),
        ({"locked": 3}, "locked=3"),
        ({"locked": keras.layers.Dense}, "locked="),
        ({"strategy": paoding.Annealing}, "strategy="),
    ],
    ids=str,
)
def test_a_setting_of_another_type_is_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.ArgumentError, match=words):
        Pruner(network(4, 8, 2), **settings)


def test_what_is_no_plan_is_not_replayed() -> None:
    with pytest.raises(errors.PlanError, match=r"Plan\.load"):
        paoding.replay(network(4, 8, 2), "plan.json")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["recursive", "inexact"])
def test_a_switch_is_on_or_off(name: str) -> None:
    with pytest.raises(errors.ArgumentError, match="True or False"):
        Pruner(network(4, 8, 2), **{name: "no"})


@pytest.mark.parametrize("report", ["[]", "{}", '{"certificate": {"lower": "a"}}', "{"])
def test_a_run_with_a_damaged_report_is_refused_when_it_is_read(
    report: str, tmp_path: Path
) -> None:
    result = paoding.prune(network(4, 8, 2), target=0.5, step=0.5, compensation="merge")
    result.save(tmp_path / "run")
    (tmp_path / "run" / "report.json").write_text(report)
    with pytest.raises(errors.ModelError, match="cannot be read"):
        paoding.PruningResult.load(tmp_path / "run")


def test_a_plan_made_with_a_prior_of_ones_own_asks_for_it_again() -> None:
    model = network(6, 12, 3)

    def corner(rng: np.random.Generator, n: int) -> np.ndarray:
        return rng.uniform(0, 0.5, size=(n, 6)).astype("float32")

    result = paoding.prune(model, target=0.5, step=0.25, prior=corner, samples=256)
    plan = paoding.Plan.from_json(result.plan.to_json())
    with pytest.raises(errors.PlanError, match="prior of the user's own"):
        paoding.replay(model, plan)
    assert same_weights(paoding.replay(model, plan, prior=corner).model, result.model)


def test_a_traced_model_is_pruned_as_the_model_itself() -> None:
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(2)]
    )
    one = paoding.prune(model, step=0.25, compensation="merge")
    other = paoding.prune(paoding.inspect(model), step=0.25, compensation="merge")
    assert one.plan == other.plan
    with pytest.raises(errors.ArgumentError, match="inexact=False, and inexact=True"):
        paoding.prune(paoding.inspect(model), inexact=True)


def test_prune_pruner_and_settings_have_the_same_arguments_and_defaults() -> None:
    told = {n: p.default for n, p in signature(paoding.prune).parameters.items()}
    del told["progress"]
    assert told == {n: p.default for n, p in signature(paoding.Pruner).parameters.items()}
    other = ("target", "targets", "locked")  # the target depends on keep; the rest on the model
    own = {f.name: f.default for f in fields(Settings) if f.name not in other}
    assert own == {name: told[name] for name in own}
