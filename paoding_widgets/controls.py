"""The settings form and the row of buttons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets

from paoding import compensation as compensations
from paoding.domain import Box
from paoding_widgets.settings import STRATEGIES, Settings

_STEPS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4)
# What each button does in which state of a run.
_ENABLED = {
    "start": {"ready", "paused", "failed"},
    "pause": {"running"},
    "step": {"ready", "paused", "failed"},
    "stop": {"running", "paused"},
    "undo": {"running", "paused", "finished", "stopped"},
    "redo": {"paused", "finished", "stopped"},
    "reset": {"running", "paused", "finished", "stopped", "failed"},
    "save": {"paused", "finished", "stopped"},
}
_BUTTONS = (
    ("start", "Start", "play", "Prune until the target is reached (goes on after a pause)"),
    ("pause", "Pause", "pause", "Pause after the step that is running"),
    ("step", "Step", "step-forward", "Take one step"),
    ("stop", "Stop", "stop", "End the run after the step that is running"),
    ("undo", "Undo", "undo", "Take the last step back"),
    ("redo", "Redo", "repeat", "Take the step again that was taken back"),
    ("reset", "Reset", "refresh", "Back to the original model"),
)
_NARROW = {"description_width": "96px"}


class Buttons:
    """Start, Pause, Step, Stop, Undo, Redo, Reset, Save and Show code."""

    def __init__(self, press: Callable[[str], None], folder: str) -> None:
        self.by_name: dict[str, ipywidgets.Button] = {}
        for name, text, icon, tip in (
            *_BUTTONS,
            ("save", "Save", "save", "Write the run into the folder beside"),
        ):
            button = ipywidgets.Button(description=text, icon=icon, tooltip=tip)
            button.on_click(lambda _, name=name: press(name))
            self.by_name[name] = button
        self.by_name["start"].button_style = "primary"
        self.folder = ipywidgets.Text(
            value=folder,
            description="to folder",
            style={"description_width": "62px"},
            layout=ipywidgets.Layout(width="210px"),
        )
        self.code = ipywidgets.ToggleButton(
            description="Show code", icon="code", tooltip="The Python that does the same"
        )
        self.explain = ipywidgets.ToggleButton(
            description="Explain", icon="graduation-cap", tooltip="This step in words and formulas"
        )
        self.tables = ipywidgets.ToggleButton(
            description="Tables", icon="table", tooltip="The numbers behind the charts"
        )
        names = [name for name, *_ in _BUTTONS]
        self.run_row = _row([self.by_name[name] for name in names])
        self.more_row = _row(
            [self.explain, self.code, self.tables, self.by_name["save"], self.folder]
        )

    def show_state(self, state: str, *, steps: int, undone: int) -> None:
        """Enable what makes sense in a state of the run."""
        for name, button in self.by_name.items():
            able = state in _ENABLED[name]
            if name in ("undo", "save"):
                able = able and steps > 0
            if name == "redo":
                able = able and undone > 0
            if button.disabled == able:
                button.disabled = not able
        text = "Go on" if state == "paused" else "Start"
        if self.by_name["start"].description != text:
            self.by_name["start"].description = text


def _row(widgets: list[Any]) -> ipywidgets.Box:
    row = ipywidgets.Box(widgets)
    row.add_class("paoding-row")
    return row


class Form:
    """Target, step, strategy, its weights, compensation, domain and seed.

    Args:
        settings: what the fields say at first.
        eps: size of the attack that is charted.
        changed: called when the reader has changed a field.
    """

    def __init__(self, settings: Settings, eps: float, changed: Callable[[], None]) -> None:
        self._base = settings
        self.target = ipywidgets.BoundedFloatText(
            value=settings.target, min=-1, max=2, step=0.05, description="Target", style=_NARROW
        )
        self.target.tooltip = "Share of each layer's units to remove, between 0 and 1"
        steps = {f"1/{round(1 / s)} of a layer": s for s in _STEPS}
        if settings.step not in steps.values():
            steps[f"{settings.step:g} of a layer"] = settings.step
        self.step = _choice(steps, settings.step, "Step")
        strategies: dict[str, Any] = {name: name for name in STRATEGIES}
        if not isinstance(settings.strategy, str) or settings.strategy not in strategies:
            strategies[f"{settings.strategy}"[:40]] = settings.strategy
        self.strategy = _choice(strategies, settings.strategy, "Strategy")
        self.alpha = ipywidgets.FloatText(
            value=settings.alpha, step=0.05, description="α (amount)", style=_NARROW
        )
        self.beta = ipywidgets.FloatText(
            value=settings.beta, step=0.05, description="β (evenness)", style=_NARROW
        )
        kinds: dict[str, Any] = {name: name for name in compensations.BY_NAME}
        if settings.compensation not in kinds.values():
            kinds[f"{settings.compensation}"[:40]] = settings.compensation
        self.compensation = _choice(kinds, settings.compensation, "Compensation")
        self.seed = ipywidgets.IntText(value=settings.seed, description="Seed", style=_NARROW)
        lo, hi = _scalar_box(settings.domain)
        self.lo = ipywidgets.FloatText(value=lo, description="Inputs from", style=_NARROW)
        self.hi = ipywidgets.FloatText(value=hi, description="to", style=_NARROW)
        self.eps = ipywidgets.FloatText(value=eps, step=0.01, description="Attack ε", style=_NARROW)
        self.eps.tooltip = "Size of the FGSM attack that robust accuracy is measured with"
        self.free = ipywidgets.Checkbox(
            value=bool(settings.extra.get("lossless_first", False)),
            description="Free units first",
            indent=False,
        )
        self.free.tooltip = "Begin with the units that provably never matter"
        self._own_domain = settings.domain is not None and not _is_scalar(settings.domain)
        self._domain_given = settings.domain is not None
        fields = [
            self.target,
            self.step,
            self.strategy,
            self.compensation,
            self.alpha,
            self.beta,
            self.seed,
            self.eps,
            *([] if self._own_domain else [self.lo, self.hi]),
            self.free,
        ]
        self.fields = fields
        self.box = ipywidgets.Box(fields)
        self.box.add_class("paoding-settings")
        for one in fields:
            one.observe(lambda _: changed(), names="value")

    def read(self, targets: dict[str, float], locked: tuple[str, ...]) -> Settings:
        """What the fields say, with the locks and targets of the table of layers."""
        base = self._base
        domain = base.domain
        said = (self.lo.value, self.hi.value)
        if not self._own_domain and (self._domain_given or said != (0, 1)):
            domain = said
        extra = {name: v for name, v in base.extra.items() if name != "lossless_first"}
        if self.free.value:
            extra["lossless_first"] = True
        return Settings(
            target=self.target.value,
            step=self.step.value,
            strategy=self.strategy.value,
            alpha=self.alpha.value,
            beta=self.beta.value,
            compensation=self.compensation.value,
            domain=domain,
            seed=self.seed.value,
            targets=targets,
            locked=locked,
            extra=extra,
        )

    def show(self, *, editable: bool) -> None:
        """Lock the fields while a run is going; grey out weights that do not count."""
        weighs = self.strategy.value in ("Annealing", "Impact")
        for one in self.fields:
            able = editable and (weighs or one not in (self.alpha, self.beta))
            if one.disabled == able:
                one.disabled = not able


def _choice(options: dict[str, Any], value: Any, description: str) -> ipywidgets.Dropdown:
    return ipywidgets.Dropdown(
        options=list(options.items()), value=value, description=description, style=_NARROW
    )


def _is_scalar(domain: Any) -> bool:
    if isinstance(domain, tuple):
        return len(domain) == 2 and all(isinstance(end, int | float) for end in domain)
    return isinstance(domain, Box) and domain.lo.ndim == 0 and domain.hi.ndim == 0


def _scalar_box(domain: Any) -> tuple[float, float]:
    if not _is_scalar(domain):
        return 0.0, 1.0
    lo, hi = domain if isinstance(domain, tuple) else (domain.lo, domain.hi)
    return float(lo), float(hi)
