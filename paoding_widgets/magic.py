"""``%load_ext paoding_widgets``, then ``%prune model --target 0.5``: a studio in one line."""

from __future__ import annotations

from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from paoding.effort import STEP
from paoding_widgets.studio import PruningStudio


@magics_class
class PruneMagic(Magics):
    """The magic of the studio; names are looked up, nothing is evaluated."""

    @magic_arguments()
    @argument("model", help="name of the variable that holds the model")
    @argument("--data", help="name of the variable that holds evaluation data (x, y)")
    @argument("--target", type=float, default=0.5, help="share of each layer's units to remove")
    @argument("--step", type=float, default=STEP, help="share removed in one step")
    @argument("--strategy", help="annealing, impact, saliency or magnitude")
    @argument("--seed", type=int, default=0, help="of everything random")
    @line_magic
    def prune(self, line: str) -> PruningStudio:
        """Open a studio for a model of the notebook."""
        given = parse_argstring(self.prune, line)
        return PruningStudio(
            self._named(given.model),
            data=None if given.data is None else self._named(given.data),
            target=given.target,
            step=given.step,
            strategy=given.strategy,
            seed=given.seed,
        )

    def _named(self, name: str) -> Any:
        space = self.shell.user_ns if self.shell is not None else {}
        if name not in space:
            raise UsageError(f"There is no variable '{name}' in this notebook; run its cell first.")
        return space[name]
