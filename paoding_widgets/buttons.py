"""The rows of buttons of a studio, and which of them can be pressed when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets

from paoding_widgets.fields import choice

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
        self.folder.tooltip = "A folder that does not exist yet, beside the notebook"
        self.code = _toggle("Show code", "code", "The Python that does the same")
        self.more = _toggle("More settings", "sliders", "What few runs need to change")
        self.explain = _toggle("Explain", "graduation-cap", "This step in words and formulas")
        self.tables = _toggle("Tables", "table", "The numbers behind the charts")
        names = [name for name, *_ in _BUTTONS]
        tip = "How long each step is shown at least, so that a quick run can be watched"
        self.speed = choice(dict(SPEEDS), speed, "Speed", tip)
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


def _toggle(text: str, icon: str, tip: str) -> ipywidgets.ToggleButton:
    return ipywidgets.ToggleButton(description=text, icon=icon, tooltip=tip)


def _row(widgets: list[Any]) -> ipywidgets.Box:
    row = ipywidgets.Box(widgets)
    row.add_class("paoding-row")
    return row
