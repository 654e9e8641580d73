"""Everything of a studio that is seen: told what is the case, it sends what has changed."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from contextlib import suppress
from html import escape
from threading import get_ident
from typing import Any

import ipywidgets
import numpy as np

from paoding.errors import ArgumentError
from paoding.graph import Graph
from paoding.pruning.locks import unit_locks
from paoding_widgets import by_hand, picture, present, why
from paoding_widgets.buttons import Buttons
from paoding_widgets.charts import Charts, Seen
from paoding_widgets.controls import Form
from paoding_widgets.explain import explain, unit_story
from paoding_widgets.filters import first_filters
from paoding_widgets.insight import Insight
from paoding_widgets.now import Now
from paoding_widgets.scene import CANNOT_GO, Scene
from paoding_widgets.settings import Settings
from paoding_widgets.view import StudioView, no_decisions, pack_units, untouched


class Dashboard:
    """Controls, structure, inspector, timeline, charts and explanations of one studio.

    Args:
        scene, graph: of the model; without a graph nothing but a message can be shown.
        settings, eps: what the controls say at first.
        changed: called when the reader has changed a setting.
        press: called with the name of a button that was pressed.
        speed: of the run at first.
    """

    def __init__(
        self,
        scene: Scene,
        graph: Graph | None,
        settings: Settings,
        eps: float,
        *,
        changed: Callable[[], None],
        press: Callable[[str], None],
        speed: str = "normal",
    ) -> None:
        self.scene, self.graph = scene, graph
        self._showing: int | None = None
        self._sent: dict[str, Any] = {}
        self._changed = changed
        self.form = Form(settings, eps, changed)
        self.buttons = Buttons(press, f"runs/{file_name(self.name)}", speed)
        self.charts = Charts()
        self.charts.accuracy.keep.dragged = self._keep_dragged
        self.code = ipywidgets.HTML(tabbable=True)  # both scroll: the keyboard reaches them
        self.explanation = ipywidgets.HTMLMath(tabbable=True)
        for panel, name in ((self.code, "paoding-code-box"), (self.explanation, "paoding-explain")):
            panel.add_class(name)
            panel.layout.display = "none"
        removed_at, into = untouched(scene)
        colours = {} if graph is None else Insight(graph).magnitudes(graph.original)
        self.view = StudioView(
            scene=scene.values,
            filters=[] if graph is None else first_filters(graph, scene),
            units=pack_units(removed_at, into, scene.flat(colours)),
            decisions=no_decisions(),
            layers=[] if graph is None else present.layer_rows(graph, scene, None, ()),
            locked=list(settings.locked),
            targets=dict(settings.targets),
            target=settings.target,
        )

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.scene.values["name"])

    @property
    def parts(self) -> list[ipywidgets.Widget]:
        """The widgets, from top to bottom."""
        return [
            self.buttons.run_row,
            self.form.box,
            self.form.more,
            self.view,
            self.charts.live,
            self.buttons.more_row,
            self.explanation,
            self.code,
            self.charts.box,
        ]

    def settings(self) -> Settings:
        """What the controls say."""
        return self.form.read(dict(self.view.targets), tuple(self.view.locked))

    def chosen(self) -> tuple[str, int] | None:
        """Group and unit that the reader has chosen, or None."""
        selected = self.view.selected
        node, unit = int(selected.get("node", -1)), int(selected.get("unit", -1))
        nodes = self.scene.values["nodes"]
        if not 0 <= node < len(nodes) or nodes[node]["group"] < 0:
            return None
        group = self.scene.values["groups"][nodes[node]["group"]]
        return (group["name"], unit) if 0 <= unit < group["units"] else None

    def _keep_dragged(self, keep: float) -> None:
        field = self.form.extra["keep"]
        if field.value == keep:  # dropped where it was: the line goes back to its place
            self._sent.pop("charts", None)
            self._changed()
        field.value = keep

    def toggle_panels(self) -> None:
        """Show or hide code and explanation, as their buttons say."""
        for button, panel in (
            (self.buttons.code, self.code),
            (self.buttons.explain, self.explanation),
        ):
            panel.layout.display = None if button.value else "none"

    def toggle_more(self) -> None:
        """Show or hide what few runs need to change."""
        self.form.show_more(self.buttons.more.value)

    def toggle_tables(self) -> None:
        """Show or hide the tables behind the charts."""
        self.charts.show_tables(self.buttons.tables.value)
        self._sent.pop("charts", None)

    @property
    def showing(self) -> bool:
        """Whether a trait that changes now was set by us: what the page sends comes in elsewhere.

        With ipykernel 7 a message of the browser is taken in on a thread of its own, perhaps
        while we show something in the main thread.
        """
        return self._showing == get_ident()

    def show(self, now: Now) -> None:
        """Send what has changed since the last time, each widget in one message."""
        self._showing = get_ident()
        try:
            with self.view.hold_sync():
                self._show_view(now)
            self._show_controls(now)
            self._show_charts(now)
        finally:
            self._showing = None

    def _show_view(self, now: Now) -> None:
        view = self.view
        header = now.header(self.name)
        self._put("header", header, lambda: header)
        view.last = now.applied
        view.moment = now.shown
        view.editable = view.branchable = not now.moving
        view.target = float(self.form.target.value)
        view.planned = now.planned
        graph = self.graph
        if graph is None:
            return
        run = (now.run, now.applied)
        known, chosen = now.known and now.known[0], dict(view.selected)
        key = (run, now.shown, chosen, known, now.moving, tuple(view.locked))
        self._put("inspected", key, lambda: self._inspected(now, graph))
        if not now.snapshots:
            return
        self._put("remarks", run, lambda: [present.remark(m) for m in now.applied_snapshots])
        self._put("units", (run, now.shown, tuple(view.locked)), lambda: self._units(now))
        step = now.snapshots[now.shown].step
        self._put("decisions", (run, id(step)), lambda: present.decisions(step, graph))
        self._put("layers", (run, now.shown), lambda: self._layers(now, graph))
        named = (run, now.timeline.name, now.timeline.runs, now.timeline.now.latency)
        self._put("runs", named, lambda: present.run_rows(now.timeline, now.settings.told()))

    def _layers(self, now: Now, graph: Graph) -> list[dict[str, Any]]:
        shown = now.snapshots[now.shown]
        return present.layer_rows(graph, self.scene, shown, now.snapshots[1 : now.shown + 1])

    def _put(self, trait: str, key: Any, make: Callable[[], Any]) -> None:
        """Set a trait where what it depends on has changed."""
        if trait not in self._sent or self._sent[trait] != key:
            self._sent[trait] = key
            setattr(self.view, trait, make())

    def _units(self, now: Now) -> dict[str, bytes]:
        removed_at, into = present.unit_arrays(self.scene, now.applied_snapshots)
        for name, unit in self._kept():
            at = self.scene.starts[name] + unit
            removed_at[at] = CANNOT_GO if removed_at[at] < 0 else removed_at[at]
        colours = self.scene.flat(now.snapshots[now.shown].importance)
        free = np.zeros(self.scene.total, bool)
        for name, units in now.snapshots[0].free.items():
            free[self.scene.starts[name] + np.array(list(units), int)] = True
        return pack_units(removed_at, into, colours, free)

    def _kept(self) -> set[tuple[str, int]]:
        """Units that the reader keeps for good."""
        if self.graph is None:
            return set()
        with suppress(ArgumentError):  # told when the run is made
            locks = unit_locks(self.graph, self.view.locked)
            return {(name, unit) for name, units in locks.items() for unit in units}
        return set()

    def _inspected(self, now: Now, graph: Graph) -> dict[str, Any]:
        node = int(self.view.selected.get("node", -1))
        if not 0 <= node < len(self.scene.values["nodes"]):
            return {"node": -1, "layer": None, "unit": None}
        layer = present.layer_details(self.scene, graph, now.snapshots, now.shown, node)
        chosen = self.chosen()
        if chosen is None:
            return {"node": node, "layer": layer, "unit": None}
        group, unit = chosen
        known = None
        if now.known and now.known[0] == (group, unit, now.applied) and now.shown == now.applied:
            known = now.known[1]
        story = unit_story(now.snapshots, now.shown, group, unit)
        if chosen in self._kept() and not by_hand.step_of(now.snapshots, group, unit):
            story = "It stays: it is kept for good."
        details = present.unit_details(
            self.scene, now.snapshots, now.shown, node, unit, story, known
        )
        details |= self._why(now, graph, node, unit, known)
        return {"node": node, "layer": layer, "unit": details}

    def _why(
        self, now: Now, graph: Graph, node: int, unit: int, known: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Rivals, pictures and what can be done, beside the words about a unit."""
        values = self.scene.values["nodes"][node]
        group = graph.groups[values["group"]]
        steps = now.snapshots[1 : now.shown + 1]
        at = by_hand.step_of(now.snapshots[: now.shown + 1], group.name, unit)
        gone, kept = at > 0, (group.name, unit) in self._kept()
        other = why.survivor_of(steps, group.name, unit)
        if not gone and known and known["alike"]:
            other = int(known["alike"][0]["unit"])
        shown = now.snapshots[now.shown] if now.snapshots else None
        able = bool(shown) and now.shown == now.applied and not now.moving
        return {
            "name": group.name,
            "unit": unit,
            "rivals": why.rivals(shown, group.name, unit) if shown and not gone else [],
            "pictures": why.pictures(graph, values["name"], group, unit, other),
            "gone": gone,
            "can_go": able and not gone and not kept and bool(group.removable[unit]),
            "can_return": able and gone,
            "kept": kept,
            "can_keep": not now.moving and bool(group.removable[unit]),
            "later": now.shown - at if gone else 0,
            "late": not known and not gone and now.moving,
        }

    def _show_controls(self, now: Now) -> None:
        undone = len(now.snapshots) - 1 - now.applied
        changed = self.settings() != now.settings or self.form.eps.value != now.eps
        self.buttons.show_state(now.state, steps=now.applied, undone=undone, changed=changed)
        self.form.show(editable=not now.moving)
        if self.buttons.code.value:
            code = f'<pre class="paoding-code">{escape(self.settings().code())}</pre>'
            if self.code.value != code:
                self.code.value = code
        if self.buttons.explain.value and now.snapshots:
            text = explain(now.snapshots, now.shown, now.settings, self.chosen())
            if self.explanation.value != text:
                self.explanation.value = text

    def _show_charts(self, now: Now) -> None:
        # A hidden page keeps every update in memory until it is seen: it gets none.
        if not now.snapshots or not self.view.page_visible:
            return
        keep = float(self.form.extra["keep"].value)
        key = (now.run, now.applied, now.shown, now.timeline.runs, now.eps, keep, now.moving)
        if self._sent.get("charts") == key:
            return
        self._sent["charts"] = key
        attack = f"FGSM, ε = {now.eps:g}"
        applied = now.applied_snapshots
        limit = min(1.0, max(now.settings.target, applied[-1].share) + 0.02)
        overlaid = [one for one in now.timeline.runs if one.overlaid]
        seen = Seen(applied, now.shown, limit, overlaid, attack, keep, not now.moving)
        self.charts.draw(seen)

    def still(self, now: Now) -> dict[str, str]:
        """The studio as text, HTML and a picture, for a page without a kernel."""
        header = now.header(self.name)
        text = picture.as_text(self.name, now.state, now.says, header["figures"], now.error)
        groups = {}
        for group in () if self.graph is None else self.graph.prunable:
            left = present.units_left(group, now.applied_snapshots[1:])
            groups[group.name] = (group.units, left)
        png = base64.b64encode(picture.as_png(self.name, groups, now.applied_snapshots)).decode()
        text += "\n  " + picture.told_when(now.saved)
        return {"text/plain": text, "text/html": picture.as_html(text, png), "image/png": png}


def file_name(name: str) -> str:
    """A model's name as the name of a folder."""
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    return kept.strip(".-")[:60] or "model"
