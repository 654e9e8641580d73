"""A whole run in one call: prune a model, or do a plan again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from paoding import strategies
from paoding.bounds.certificate import Method
from paoding.bounds.redundant import redundant_units
from paoding.compensation import Compensation
from paoding.compensation.evidence import Fitted
from paoding.compensation.redundant import removals_of
from paoding.domain import Box, Domain
from paoding.errors import ArgumentError, PlanError
from paoding.graph import Graph
from paoding.plan import Plan, Step
from paoding.pruning.pruner import Pruner
from paoding.pruning.result import PruningResult
from paoding.pruning.run_folder import Run
from paoding.pruning.settings import OWN, Settings
from paoding.pruning.validity import check_plan
from paoding.strategies import Saliency, Strategy

if TYPE_CHECKING:
    import keras

# What need not be worked out again where a saved run says who went, and with which weights.
_SETTLED = {"distil": 0, "allocation": "uniform", "budget": "units"}


def prune(
    model: keras.Model | Graph,
    *,
    progress: Callable[[Step, Pruner], Any] | None = None,
    target: float | None = None,
    target_latency: float | None = None,
    step: float = Settings.step,
    strategy: str | Strategy | None = None,
    compensation: str | Compensation = "least-squares",
    domain: Domain | None = None,
    seed: int = Settings.seed,
    recursive: bool = Settings.recursive,
    targets: Mapping[str, float] | None = None,
    locked: str | Iterable[str] = (),
    round_to: int = Settings.round_to,
    floor: int = Settings.floor,
    inexact: bool = Settings.inexact,
    prior: Any = Settings.prior,
    calibration: Any = Settings.calibration,
    samples: int | None = Settings.samples,
    bounds: Method = Settings.bounds,
    allocation: str = Settings.allocation,
    budget: str = Settings.budget,
    lossless_first: bool = Settings.lossless_first,
    distil: int | None = Settings.distil,
    keep: float | None = Settings.keep,
    ends: int | None = Settings.ends,
    runtime: Any = Settings.runtime,
    effort: str = Settings.effort,
) -> PruningResult:
    """Make a model smaller without data, step by step.

    Args:
        model: a built functional or Sequential ``keras.Model``, or what :func:`inspect` made of
            one; it is never changed.
        progress: called after each step with the step and the pruner.
        target: share of each group's units to remove, between 0 and 1; by default 0.5, or with
            ``keep`` as far as that allows.
        target_latency: in the place of ``target``, the share of the original's time in
            ``runtime`` that may be left, such as 0.5; the budget is "latency" then, and
            ``result.latency`` says what came of it.
        step: share removed in one step, at most the target.
        strategy: "annealing" (default), "impact", "saliency", "magnitude" or an object.
        compensation: what survivors take over: "least-squares" (default), "merge" (the
            paper's), "scaled-merge", "folding", "mean" or "none".
        domain: ``Box(lo, hi)`` of legal inputs in input units; by default what the first layers
            tell (bytes, a Rescaling, a Normalization), and else [0, 1].
        seed: of everything random; one seed, one result.
        recursive: whether a survivor may be merged into again, or removed, later.
        targets: layer name -> its own target (0 keeps it whole).
        locked: layer names, types or patterns that keep their units, and ``"layer:unit"`` for
            one unit.
        round_to: units left in a group are a multiple of this.
        floor: the least number of units left in a group.
        inexact: also prune through LayerNormalization, where no removal is exact.
        prior: what synthetic inputs look like: a name, or ``callable(rng, n) -> array``; chosen
            from the model by default.
        calibration: 16 to 4096 real inputs without labels, if there are any: an array, a list of
            one for each input of the model, a mapping from their names, or the path of an
            ``.npz`` file or of a folder of images. They take the place of synthetic inputs.
        samples: how many synthetic inputs a compensation draws.
        bounds: "interval" (default) or "linear" for the certificate.
        allocation: "uniform" (default: every group to the target) or "global" (the same total of
            units where the outputs feel it least).
        budget: what that total is counted in: "units", "parameters" or "flops"; or "latency":
            the target is a share of the time in ``runtime`` to save, widths are those at which it
            is fast, and a result that is slower than the original is refused.
        lossless_first: whether the first step takes every unit that provably never matters over
            the domain (:func:`paoding.lossless`).
        distil: steps in which all survivors are tuned together to the original once the target
            is reached, on synthetic inputs and beside them, where the smaller network errs most;
            0 for none. By default least squares is followed by as many as the model's cost
            allows: 300 to 700, fewer or none where that would take minutes.
        keep: stop before the estimated share of answers that agree with the original's falls
            below this, say 0.98: the least over several kinds of synthetic inputs, or measured on
            ``calibration``. What comes first, the target or this, ends the run
            (``result.ending`` says which).
        ends: how many units the run removes in all before it is over; what the plan of a run
            with ``keep`` says, so that it can be done again.
        runtime: with budget="latency", "litert" (default), "onnxruntime" or "keras", or a table
            of :func:`paoding.latency_table`.
        effort: "fast", "normal" or "best": how much work the run may do, in all its stages
            (``paoding.effort``).

    Returns:
        A ``PruningResult``.

    Raises:
        ModelError: no layer graph, or NaN weights (``WeightsError``).
        NothingToPruneError: no unit may go.
        ArgumentError, DomainError: a setting lies outside of what it may be.

    Source: arXiv 2204.00783.

    >>> import keras, paoding
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu", name="hidden"),
    ...                           keras.layers.Dense(2, name="scores")])
    >>> result = paoding.prune(model, target=0.5, step=0.25, compensation="merge")
    >>> result.model.get_layer("hidden").units
    4
    """
    pruner = Pruner(
        model,
        target=target,
        target_latency=target_latency,
        step=step,
        strategy=strategy,
        compensation=compensation,
        domain=domain,
        seed=seed,
        recursive=recursive,
        targets=targets,
        locked=locked,
        round_to=round_to,
        floor=floor,
        inexact=inexact,
        prior=prior,
        calibration=calibration,
        samples=samples,
        bounds=bounds,
        allocation=allocation,
        budget=budget,
        lossless_first=lossless_first,
        distil=distil,
        keep=keep,
        ends=ends,
        runtime=runtime,
        effort=effort,
    )
    for done in pruner:
        if progress is not None:
            progress(done, pruner)
    return pruner.result()


def replay(model: keras.Model, plan: Plan | Run, **options: Any) -> PruningResult:
    """Do a plan again on the model that it was made for; bit for bit the same weights.

    Args:
        model: the original model.
        plan: what to remove: weights are worked out anew, which takes about as long as the run
            did. Or a saved run (``PruningResult.load``), whose weights are taken over at once.
        options: what a plan cannot hold, such as a prior of one's own.

    Raises:
        PlanError: the plan belongs to another model, or names a removal that is not possible.
    """
    if isinstance(plan, Run):
        pruner = pruner_for(model, plan.plan, **{**_SETTLED, **options})
        pruner.fast_forward(plan.plan)
        pruner.adopt(plan.model)
        return replace(pruner.result(), plan=plan.plan, **_told(plan.report))
    pruner = pruner_for(model, plan, **options)
    pruner.fast_forward(plan)
    return pruner.result()


def _told(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a saved report tells of how its weights were found."""
    try:
        fits = tuple(Fitted(f["layer"], f["fit"], f["why"]) for f in report.get("fits", ()))
    except (KeyError, TypeError):
        raise PlanError("The run's report is damaged: replay its plan alone.") from None
    known = {"fitted_on": "data-free", **report}
    return {"fits": fits, **{name: known.get(name) for name in ("prior", "fitted_on", "assumed")}}


def masked(model: keras.Model, plan: Plan, **options: Any) -> keras.Model:
    """The original's shape after a plan: removed units' outgoing weights at zero.

    What the physically pruned model must equal. Arguments and errors as for :func:`replay`.
    """
    return replay(model, plan, **options).masked


def pruner_for(model: keras.Model, plan: Plan, **options: Any) -> Pruner:
    """A pruner with a plan's settings, before its first step.

    Raises:
        PlanError: the settings are not those of a plan.
    """
    check_plan(plan)
    settings = dict(plan.settings)
    try:
        strategy = dict(settings.pop("strategy"))
        boxes = [Box.from_dict(box) for box in settings.pop("domain")]
        own = {
            "distil": 0,
            **settings.pop("options"),
            **options,
        }  # older plans have no distillation
        name = strategy.pop("name")
        # A strategy of one's own is not needed to do again what it once decided.
        known = name in strategies.BY_NAME
        chosen = strategies.get(name, **strategy) if known else Saliency()
        missing = [key for key, value in own.items() if isinstance(value, str) and value == OWN]
        if missing:
            raise PlanError(
                f"The plan was made with a {missing[0]} of the user's own: pass it again, "
                f"{missing[0]}=..."
            )
        domain: Domain | None = boxes[0] if len(boxes) == 1 else boxes or None
        return Pruner(model, strategy=chosen, domain=domain, **settings, **own)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise PlanError(f"The plan's settings cannot be used ({error}); save it again.") from None


def lossless(model: keras.Model, domain: Domain | None = None) -> PruningResult:
    """Remove every unit that provably never matters over the domain.

    Never active, constant, disconnected and parallel units, and stably active units that are
    linear combinations of others. The certified change is zero up to rounding.

    Args:
        model: a built functional or Sequential ``keras.Model``; it is not changed.
        domain: the legal inputs (``paoding.Box``); by default as :func:`paoding.prune` takes them.

    Returns:
        A ``PruningResult``; ``result.plan.removals`` names the units, and has none where no
        unit is redundant.

    Raises:
        ModelError: the model has no layer graph.
        BoundsError: a layer has no rule for bounds; the message names it.
        DomainError: the domain does not fit the model.

    Source: ``docs/method.md``, section 11.

    >>> import keras, paoding
    >>> hidden = keras.layers.Dense(3, "relu", bias_initializer=keras.initializers.Constant(-9))
    >>> model = keras.Sequential([keras.Input((2,)), hidden, keras.layers.Dense(1)])
    >>> [(r.unit, r.method) for r in paoding.lossless(model, paoding.Box(0, 1)).plan.removals]
    [(0, 'lossless'), (1, 'lossless')]
    """
    pruner = Pruner(model, compensation="none", domain=domain, bounds="linear")
    found = redundant_units(pruner.graph, pruner.state, pruner.boxes)
    if found:
        pruner.apply(removals_of(found))
    return pruner.result()
