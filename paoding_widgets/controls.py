"""The settings form and the row of buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets

from paoding import compensation as compensations
from paoding.domain import Box
from paoding.synthetic.choice import NAMES as PRIORS
from paoding_widgets.settings import DEFAULTS, Settings, known_strategies

_DISTIL = (100, 300, 1000)
_STEPS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4)
# What each button does in which state of a run.
_ENABLED = {
    "start": {"ready", "paused", "stopped", "failed"},
    "pause": {"running"},
    "step": {"ready", "paused", "stopped", "failed"},
    "stop": {"running", "paused"},
    "undo": {"running", "paused", "finished", "stopped"},
    "redo": {"paused", "finished", "stopped"},
    "reset": {"running", "paused", "finished", "stopped", "failed"},
    "check": {"paused", "finished", "stopped"},
    "save": {"paused", "finished", "stopped"},
}
_BUTTONS = (
    ("start", "Start", "play", "Prune until the target is reached (goes on after a pause)"),
    ("pause", "Pause", "pause", "Pause after the step that is running"),
    ("step", "Step", "step-forward", "Take one step"),
    ("stop", "Stop", "stop", "End the run at once, without the step that is being decided"),
    ("undo", "Undo", "undo", "Take the last step back"),
    ("redo", "Redo", "repeat", "Take the step again that was taken back"),
    ("reset", "Reset", "refresh", "Back to the original model"),
)
_CHECK = "Estimate, without data, how often the network still answers like the original"
SPEEDS = {"slow": "slow", "normal": "normal", "as fast as it goes": "full"}
_NARROW = {"description_width": "104px"}


class Buttons:
    """Start, Pause, Step, Stop, Undo, Redo, Reset, Self-check, Save and what opens panels."""

    def __init__(self, press: Callable[[str], None], folder: str, speed: str) -> None:
        self.by_name: dict[str, ipywidgets.Button] = {}
        for name, text, icon, tip in (
            *_BUTTONS,
            ("check", "Self-check", "balance-scale", _CHECK),
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
            layout=ipywidgets.Layout(flex="1 1 210px", max_width="360px"),
        )
        self.code = ipywidgets.ToggleButton(
            description="Show code", icon="code", tooltip="The Python that does the same"
        )
        self.folder.tooltip = "A folder that does not exist yet, beside the notebook"
        self.more = ipywidgets.ToggleButton(
            description="More settings", icon="sliders", tooltip="What few runs need to change"
        )
        self.explain = ipywidgets.ToggleButton(
            description="Explain", icon="graduation-cap", tooltip="This step in words and formulas"
        )
        self.tables = ipywidgets.ToggleButton(
            description="Tables", icon="table", tooltip="The numbers behind the charts"
        )
        names = [name for name, *_ in _BUTTONS]
        tip = "How long each step is shown at least, so that a quick run can be watched"
        self.speed = _choice(dict(SPEEDS), speed, "Speed", tip)
        self.speed.style = {"description_width": "44px"}
        self.speed.add_class("paoding-speed")
        self.run_row = _row([*(self.by_name[name] for name in names), self.speed, self.more])
        self.more_row = _row(
            [
                *(self.explain, self.code, self.tables),
                *(self.by_name[name] for name in ("check", "save")),
                self.folder,
            ]
        )

    def suggest_next(self, saved: str) -> None:
        """Put a new name in the place of a folder that was written."""
        if self.folder.value.strip() == saved:
            stem, dash, number = saved.rpartition("-")
            counted = dash and number.isdigit()
            self.folder.value = f"{stem}-{int(number) + 1}" if counted else f"{saved}-2"

    def show_state(self, state: str, *, steps: int, undone: int, changed: bool) -> None:
        """Enable what makes sense in a state of the run, with its settings or with changed ones."""
        for name, button in self.by_name.items():
            able = state in _ENABLED[name]
            if name in ("start", "step"):
                able = able or (state == "finished" and changed)
            if name in ("undo", "save", "check"):
                able = able and steps > 0
            if name == "redo":
                able = able and undone > 0
            if button.disabled == able:
                button.disabled = not able
        text = "Go on" if steps and state != "running" else "Start"
        if self.by_name["start"].description != text:
            self.by_name["start"].description = text


def _row(widgets: list[Any]) -> ipywidgets.Box:
    row = ipywidgets.Box(widgets)
    row.add_class("paoding-row")
    return row


def _tip(question: str, answers: Mapping[str, str]) -> str:
    return f"{question}. " + "; ".join(f"{name}: {told}" for name, told in answers.items())


class Form:
    """Fields for the settings of a run: what every run needs, and what few do.

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
        tip = "How much goes at a time: smaller steps look at the network more often"
        self.step = _choice(steps, settings.step, "Step", tip)
        kinds = known_strategies()
        names = {name: name for name in kinds}
        tip = _tip("Who goes next", {name: kind.summary for name, kind in kinds.items()})
        self.strategy = _choice(names, settings.strategy, "Strategy", tip)
        self.alpha = _number(settings.alpha, "α (amount)", "How much it counts that outputs move")
        self.beta = _number(
            settings.beta, "β (evenness)", "How much it counts that they move unevenly"
        )
        ways = {name: kind.summary for name, kind in compensations.BY_NAME.items()}
        tip = _tip("Who takes over from a unit that goes", ways)
        self.compensation = _choice(
            {name: name for name in ways}, settings.compensation, "Compensation", tip
        )
        self.seed = ipywidgets.IntText(value=settings.seed, description="Seed", style=_NARROW)
        self.seed.tooltip = "The same seed gives the same result"
        lo, hi = _scalar_box(settings.domain)
        tip = "Least and greatest legal input: certificates hold for every input between them"
        self.lo, self.hi = _number(lo, "Inputs from", tip), _number(hi, "Inputs to", tip)
        self.eps = _number(
            eps, "Attack ε", "Size of the FGSM attack that robust accuracy is measured with", 0.01
        )
        self._own_domain = settings.domain is not None and not _is_scalar(settings.domain)
        self._domain_given = settings.domain is not None
        few = [self.target, self.step, self.strategy]
        self.extra = _extra_fields(settings.extra)
        rest = [
            *(self.compensation, self.alpha, self.beta, self.seed, self.eps),
            *([] if self._own_domain else [self.lo, self.hi]),
            *self.extra.values(),
        ]
        self.fields = [*few, *rest]
        self.box, self.more = ipywidgets.Box(few), ipywidgets.Box(rest)
        for box in (self.box, self.more):
            box.add_class("paoding-settings")
        self.more.add_class("paoding-more-settings")
        self.show_more(False)
        for one in self.fields:
            one.observe(lambda _: changed(), names="value")

    def show_more(self, shown: bool) -> None:
        """Show or hide what few runs need to change."""
        self.more.layout.display = None if shown else "none"

    def read(self, targets: dict[str, float], locked: tuple[str, ...]) -> Settings:
        """What the fields say, with the locks and targets of the table of layers."""
        base = self._base
        domain = base.domain
        said = (self.lo.value, self.hi.value)
        if not self._own_domain and (self._domain_given or said != (0, 1)):
            domain = said
        extra = dict(base.extra)
        for name, field in self.extra.items():
            empty = field.value == "" or (name == "samples" and not field.value)
            value = None if empty else field.value
            if name in extra or value != DEFAULTS[name]:
                extra[name] = value
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


def _extra_fields(extra: Mapping[str, Any]) -> dict[str, Any]:
    """A field for each further argument of the pruner that a reader may want to change."""
    given = {name: extra.get(name, value) for name, value in DEFAULTS.items()}
    for name in ("prior", "distil"):  # a list cannot hold None
        given[name] = "" if given[name] is None else given[name]

    def choice(name: str, options: dict[str, Any], title: str, tip: str) -> Any:
        return _choice(options, given[name], title, tip)

    def whole(name: str, title: str, tip: str) -> Any:
        value = given[name] or 0
        made = ipywidgets.IntText(value=value, description=title, style=_NARROW)
        made.tooltip = tip
        return made

    def yes(name: str, title: str, tip: str) -> Any:
        made = ipywidgets.Checkbox(value=bool(given[name]), description=title, indent=False)
        made.tooltip = tip
        return made

    def same(*names: str) -> dict[str, Any]:
        return {name: name for name in names}

    return {
        "allocation": choice(
            "allocation",
            same("uniform", "global", "annealed"),
            "Allocation",
            "uniform: every layer to the target; global: most where the outputs feel it least; "
            "annealed: global, then searched",
        ),
        "budget": choice(
            "budget",
            same("units", "parameters", "flops"),
            "Budget",
            "What the target is a share of, with a global or annealed allocation",
        ),
        "prior": choice(
            "prior",
            {"told from the model": "", **same(*PRIORS)},
            "Inputs like",
            "What the synthetic inputs look like that survivors are fitted on",
        ),
        "samples": whole("samples", "Samples", "How many synthetic inputs; 0: as many as do"),
        "distil": choice(
            "distil",
            {"as the model allows": "", "none": 0, **{f"{n:,} steps": n for n in _DISTIL}},
            "Distillation",
            "At the target all survivors are tuned together to the original, on synthetic inputs",
        ),
        "bounds": choice(
            "bounds",
            same("interval", "linear"),
            "Certificates",
            "interval: quick; linear: tighter, and slow",
        ),
        "round_to": whole("round_to", "Multiple of", "Leave a multiple of so many units"),
        "floor": whole("floor", "At least", "Leave at least so many units in each layer"),
        "lossless_first": yes(
            "lossless_first", "Free units first", "Begin with the units that provably never matter"
        ),
        "recursive": yes(
            "recursive",
            "Touch survivors again",
            "Whether a unit that took another over may be merged into again, or go",
        ),
        "inexact": yes(
            "inexact",
            "Through LayerNormalization",
            "Also prune where no removal is exact, as in transformers",
        ),
    }


def _number(value: float, title: str, tip: str, step: float = 0.05) -> ipywidgets.FloatText:
    made = ipywidgets.FloatText(value=value, step=step, description=title, style=_NARROW)
    made.tooltip = tip
    return made


def _choice(options: dict[str, Any], value: Any, title: str, tip: str) -> ipywidgets.Dropdown:
    """A list to choose from; a value that is not in it comes last."""
    every = dict(options)
    if not any(value is one or value == one for one in options.values()):
        every[f"{value}"[:40]] = value
    made = ipywidgets.Dropdown(
        options=list(every.items()), value=value, description=title, style=_NARROW
    )
    made.tooltip = tip
    return made


def _is_scalar(domain: Any) -> bool:
    if isinstance(domain, tuple):
        return len(domain) == 2 and all(isinstance(end, int | float) for end in domain)
    return isinstance(domain, Box) and domain.lo.ndim == 0 and domain.hi.ndim == 0


def _scalar_box(domain: Any) -> tuple[float, float]:
    if not _is_scalar(domain):
        return 0.0, 1.0
    lo, hi = domain if isinstance(domain, tuple) else (domain.lo, domain.hi)
    return float(lo), float(hi)
