"""Keeps a studio's still ``picture`` beside it in the notebook that is saved."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from paoding_widgets.now import Now

# A picture is drawn again no more often while a run goes.
STILL_SECONDS = 5.0


class Stills:
    """The pictures of one studio that were displayed; they follow the run.

    Args:
        draw: makes a picture as a MIME bundle.
    """

    def __init__(self, draw: Callable[[Now], dict[str, str]]) -> None:
        self._draw = draw
        self._shown: list[Any] = []
        self._drawn_at = 0.0
        self._drawn: tuple[str, int, int] | None = None

    def show(self, now: Now) -> None:
        """Display one more picture, as an output of its own."""
        from IPython.display import display

        self._shown.append(display(self._draw(now), raw=True, display_id=True))

    def follow(self, now: Now, busy: bool) -> None:
        """Draw again where the run has come to rest, and now and then on the way."""
        drawn = (now.state, now.run, now.applied)
        late = time.monotonic() - self._drawn_at > STILL_SECONDS
        if not self._shown or drawn == self._drawn or (busy and not late):
            return
        self._drawn, self._drawn_at = drawn, time.monotonic()
        picture = self._draw(now)
        for one in self._shown:
            one.update(picture, raw=True)
