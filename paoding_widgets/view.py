"""The one custom widget: the structure, the inspector and the timeline, drawn in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets
import numpy as np
import traitlets as t

from paoding_widgets.filters import first_filters
from paoding_widgets.scene import CANNOT_GO, Scene, make_scene

if TYPE_CHECKING:
    import keras

_BUNDLE = Path(__file__).parent / "static" / "widget.js"
# Shown instead of a dead widget where the JavaScript build was never run.
_NOT_BUILT = """
export default {
  render({ el }) {
    el.textContent = "The studio's front end is not built: run 'npm run build' in js/, "
      + "or install the package with pip.";
  },
};
"""


def _synced(trait: Any) -> Any:
    """Sent to the browser; what the browser sends is not sent back."""
    return trait.tag(sync=True, echo_update=False)


def pack_units(
    removed_at: np.ndarray,
    into: np.ndarray,
    importance: np.ndarray,
    free: np.ndarray | None = None,
) -> dict[str, bytes]:
    """Per-unit arrays as binary buffers, in the types that the browser reads."""
    free = np.zeros(len(removed_at)) if free is None else free
    return {
        "free": np.ascontiguousarray(free, np.uint8).tobytes(),
        "removed_at": np.ascontiguousarray(removed_at, np.int32).tobytes(),
        "into": np.ascontiguousarray(into, np.int32).tobytes(),
        "importance": np.ascontiguousarray(importance, np.float32).tobytes(),
    }


def untouched(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """``removed_at`` and ``into`` of a model of which nothing has been removed."""
    removed_at = np.where(scene.fixed, CANNOT_GO, -1).astype(np.int32)
    return removed_at, np.full(scene.total, -1, dtype=np.int32)


class StudioView(anywidget.AnyWidget):
    """Structure, inspector and timeline of one studio; it only shows what the traits say."""

    _esm = _BUNDLE if _BUNDLE.exists() else _NOT_BUILT

    mode = t.Unicode("studio").tag(sync=True)
    scene = _synced(t.Dict())
    filters = _synced(t.List())
    units = _synced(t.Dict())
    header = _synced(t.Dict())
    moment = t.Int(0).tag(sync=True)
    last = t.Int(0).tag(sync=True)
    planned = t.Int(0).tag(sync=True)
    runs = _synced(t.List())
    remarks = _synced(t.List())
    branchable = t.Bool(False).tag(sync=True)
    decisions = _synced(t.Dict())
    selected = _synced(t.Dict({"node": -1, "unit": -1}))
    inspected = _synced(t.Dict({"node": -1, "layer": None, "unit": None}))
    layers = _synced(t.List())
    locked = _synced(t.List())
    targets = _synced(t.Dict())
    target = t.Float(0.5).tag(sync=True)
    editable = t.Bool(True).tag(sync=True)
    page_visible = t.Bool(True).tag(sync=True)


def no_decisions() -> dict[str, Any]:
    """The empty table of decisions."""
    return {
        "step": -1,
        "count": 0,
        "omitted": 0,
        "groups": [],
        "verdicts": [],
        "reasons": [],
        "columns": {},
    }


class ModelStructure(StudioView):
    """The structure of a model alone: layers, branches, units and how they are coupled.

    Args:
        model: a built functional or Sequential ``keras.Model``.

    Raises:
        ModelError: the model has no layer graph.

    >>> import keras
    >>> from paoding_widgets import ModelStructure
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    >>> len(ModelStructure(model).scene["nodes"])  # the input and two layers
    3
    """

    def __init__(self, model: keras.Model) -> None:
        from paoding.graph import inspect
        from paoding_widgets.insight import Insight

        graph = inspect(model)
        scene = make_scene(graph)
        removed_at, into = untouched(scene)
        colours = scene.flat(Insight(graph).magnitudes(graph.original))
        self._text = f"Structure of {graph}"
        super().__init__(
            mode="structure",
            scene=scene.values,
            filters=first_filters(graph, scene),
            units=pack_units(removed_at, into, colours),
            decisions=no_decisions(),
            layout=ipywidgets.Layout(width="100%"),
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return data | {"text/plain": self._text}, metadata
