"""Messages of the browser: read with care, and answered by a studio's own methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paoding_widgets.studio import PruningStudio
    from paoding_widgets.timeline import Timeline


@dataclass(frozen=True)
class Message:
    """A message of the view.

    Args:
        action: what is asked for.
        name: of a group or of a run.
        unit: of the group.
        into: its survivor, or None.
        moment: of the run.
        later: what becomes of later steps, ``kept`` or ``anew``.
        to: another name.
        on: yes or no.
    """

    action: str
    name: str = ""
    unit: int = -1
    into: int | None = None
    moment: int = -1
    later: str = "kept"
    to: str = ""
    on: bool = False

    @classmethod
    def of(cls, content: Any) -> Message | None:
        """Read a message; None where it is not understood."""
        if not isinstance(content, Mapping) or not isinstance(content.get("action"), str):
            return None
        kinds = {"unit": int, "into": int, "moment": int, "on": bool}
        given = {
            name: kinds.get(name, str)(content[name])
            for name in cls.__dataclass_fields__
            if content.get(name) is not None
        }
        return cls(**given)

    def answer(self, studio: PruningStudio, timeline: Timeline) -> None:
        """Do what is asked for; an action that is not known is left alone."""
        if self.action == "branch":
            studio.branch(self.moment)
        elif self.action == "remove-unit":
            studio.remove(self.name, self.unit, self.into)
        elif self.action == "take-back":
            studio.take_back(self.name, self.unit, self.later)
        elif self.action == "keep-unit":
            studio.keep(self.name, self.unit, self.later)
        elif self.action == "release-unit":
            studio.release(self.name, self.unit)
        elif self.action == "rename-run":
            timeline.rename(self.name, self.to)
        elif self.action == "overlay-run":
            timeline.overlay(self.name, self.on)
        elif self.action == "delete-run":
            timeline.delete(self.name)
        elif self.action in ("start", "pause", "stop"):  # JupyterLab's status bar
            getattr(studio, self.action)()
