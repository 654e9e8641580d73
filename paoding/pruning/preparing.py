"""What a run starts from: traced model, checked settings, legal inputs, how many units go."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import keras

from paoding.compensation import Compensation
from paoding.compensation.constraints import constrained
from paoding.compensation.distillation import affordable
from paoding.domain import Box, Domain
from paoding.effort import LEVELS
from paoding.errors import ArgumentError
from paoding.files.models import check_weights
from paoding.graph import Graph, trace
from paoding.graph.keras_internals import on_tensorflow, require_tensorflow
from paoding.pruning.locks import holding
from paoding.pruning.settings import Settings, check_memory, removal_counts
from paoding.synthetic.calibration import calibration_of
from paoding.synthetic.legal import legal_inputs


@dataclass(frozen=True, eq=False)
class Prepared:
    """A run before its first step.

    Args:
        graph: the traced model, in which units that are locked may not go.
        settings: with what the model decides filled in.
        boxes: the legal inputs, one box for each input of the model.
        assumed: what was assumed of these, in a sentence.
        n_remove: group name -> units that it loses, every group to its target.
    """

    graph: Graph
    settings: Settings
    boxes: tuple[Box, ...]
    assumed: str
    n_remove: dict[str, int]


def prepare(
    model: keras.Model | Graph,
    domain: Domain | None,
    compensation: Compensation,
    settings: Settings,
) -> Prepared:
    """Trace a model, and resolve what is asked for against it.

    Raises:
        ModelError: it has no layer graph, or NaN weights (``WeightsError``).
        NothingToPruneError: no unit may go.
        ArgumentError, DataError, DomainError: something does not fit the model.
    """
    settings = _within_backend(settings)
    graph = holding(as_graph(model, settings.inexact), settings.locked)
    check_weights(graph.model)
    check_memory(graph, settings.samples)
    _tell_constraints(graph)
    distil = settings.distil
    if distil is None:
        allowed = LEVELS[settings.effort]
        distil = affordable(graph, allowed) if compensation.finetunes_by_default else 0
    boxes, assumed = legal_inputs(graph, domain)
    calibration = calibration_of(graph, settings.calibration, boxes)
    settings = replace(settings, distil=int(distil), calibration=calibration)
    found = removal_counts(graph, settings)
    if compensation.merges and not settings.recursive:
        _check_single_merges(graph, found)
    return Prepared(graph, settings, boxes, assumed, found)


def _within_backend(settings: Settings) -> Settings:
    """Settings without what takes gradients, where Keras runs on another backend than TensorFlow.

    Raises:
        ModelError: that is asked for by name.
    """
    if on_tensorflow():
        return settings
    for what, asked in (
        ("Distillation (distil=)", settings.distil),
        (f"allocation={settings.allocation!r}", settings.allocation != "uniform"),
        ("budget='latency'", settings.budget == "latency"),
        ("keep=", settings.keep is not None),
    ):
        if asked:
            require_tensorflow(what)
    warnings.warn(
        f"Keras runs on {keras.backend.backend()}: survivors are not distilled and importance is "
        "not weighed by what outputs feel, since Paoding takes gradients with TensorFlow alone.",
        stacklevel=5,
    )
    return replace(settings, distil=0)


def as_graph(model: keras.Model | Graph, inexact: bool) -> Graph:
    """The traced model; what is traced already is taken as it is.

    Raises:
        ArgumentError: the model was traced for other units than are asked for.
        ModelError: it has no layer graph.
    """
    if not isinstance(model, Graph):
        return trace(model, inexact=inexact)
    if model.inexact != inexact:
        raise ArgumentError(
            f"The model was traced with inexact={model.inexact}, and inexact={inexact} is asked "
            "for: pass the same to both."
        )
    return model


def _tell_constraints(graph: Graph) -> None:
    held = constrained(graph)
    if held:
        each = ", ".join(f"{name} ({kind})" for name, kind in held.items())
        warnings.warn(
            f"Constraints are kept to: what survivors take over is projected onto those of {each}.",
            stacklevel=4,
        )


def _check_single_merges(graph: Graph, found: dict[str, int]) -> None:
    for name, count in found.items():
        group = graph.by_name[name]
        if group.mergeable and count > group.units // 2:
            raise ArgumentError(
                f"recursive=False lets each unit take part in one merge, so '{name}' can lose "
                f"at most {group.units // 2} of its {group.units} units; lower the target or "
                "leave recursive=True."
            )
