"""A studio's arguments, looked at before anything is worked out with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from paoding.domain.box import compact
from paoding.errors import ArgumentError, PaodingError
from paoding.graph import Graph, inspect
from paoding.synthetic.calibration import calibration_of
from paoding.synthetic.legal import legal_inputs, misfit
from paoding_widgets.measuring import check_fits
from paoding_widgets.scene import Scene, make_scene
from paoding_widgets.settings import Settings

if TYPE_CHECKING:
    import keras

Complain = Callable[[Exception], None]


def as_data(data: Any) -> tuple[tuple[Any, Any] | None, Any]:
    """Inputs and labels, and the domain that a split of the zoo brings along."""
    if data is None:
        return None, None
    if hasattr(data, "x") and hasattr(data, "y"):
        return (data.x, data.y), getattr(data, "domain", None)
    try:
        x, y = data
    except (TypeError, ValueError):
        raise ArgumentError("data must be a pair (x, y) of inputs and labels, or None.") from None
    return (x, y), None


def checked(settings: Settings, eps: Any, complain: Complain) -> tuple[Settings, float]:
    """Settings that the form can hold; what it can't is told, and replaced."""
    for name in ("target", "step", "seed"):
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            complain(ArgumentError(f"{name}={value!r} must be a number."))
            settings = replace(settings, **{name: getattr(Settings(), name)})
    for name in ("samples", "round_to", "floor"):
        value = settings.extra.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            complain(ArgumentError(f"{name}={value!r} must be a whole number."))
            extra = {key: one for key, one in settings.extra.items() if key != name}
            settings = replace(settings, extra=extra)
    if isinstance(eps, bool) or not isinstance(eps, int | float):
        complain(ArgumentError(f"eps={eps!r} must be a number."))
        eps = 0.05
    return settings, float(eps)


def calibrated(settings: Settings, graph: Graph | None, given: Any, complain: Complain) -> Settings:
    """Settings with the real inputs that are to be fitted on; what does not fit is told."""
    if graph is None or given is None:
        return settings
    try:
        boxes, _ = legal_inputs(graph, settings.domain)
        inputs = calibration_of(graph, given, boxes)
    except PaodingError as error:
        complain(error)
        return settings
    return replace(settings, extra={**settings.extra, "calibration": inputs})


def legal_domain(graph: Graph | None, domain: Any) -> Any:
    """The legal inputs as the fields show them: two numbers, a box, or one for each input."""
    if graph is None:
        return domain
    try:
        boxes = compact(legal_inputs(graph, domain)[0])
    except (PaodingError, TypeError, ValueError):  # told when the run is made
        return domain
    if len(boxes) > 1:
        return boxes
    if boxes[0].lo.ndim or boxes[0].hi.ndim:
        return boxes[0]
    ends = float(boxes[0].lo), float(boxes[0].hi)
    return None if domain is None and ends == (0, 1) else ends


def misfit_of(graph: Graph | None, data: tuple[Any, Any] | None, domain: Any) -> str:
    """What to tell where the data is not within the domain."""
    if graph is None or data is None:
        return ""
    try:
        return misfit(graph, legal_inputs(graph, domain)[0], data[0])
    except (PaodingError, TypeError, ValueError):  # told when the run is made
        return ""


def read(
    model: keras.Model, data: tuple[Any, Any] | None
) -> tuple[Graph | None, Scene, list[PaodingError]]:
    """Trace the model and look at the data; what can't be read leaves its reason."""
    try:
        graph = inspect(model)
        scene = make_scene(graph)
    except PaodingError as error:
        return None, Scene.empty(str(getattr(model, "name", type(model).__name__))), [error]
    try:
        if data is not None:
            check_fits(graph, *data)
    except ArgumentError as error:
        return graph, scene, [error]
    return graph, scene, []
