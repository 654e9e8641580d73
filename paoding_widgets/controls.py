"""The settings form: what every run needs, and folded away what few do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ipywidgets

from paoding import compensation as compensations
from paoding_widgets.fields import (
    NARROW,
    choice,
    extra_fields,
    is_scalar,
    number,
    same,
    scalar_box,
)
from paoding_widgets.settings import DEFAULTS, Settings, known_strategies

_STEPS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4)
_INPUTS = "Least and greatest legal input: certificates hold for every input between them"
_ATTACK = "Size of the FGSM attack that robust accuracy is measured with"


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
            value=settings.target, min=-1, max=2, step=0.05, description="Target", style=NARROW
        )
        self.target.tooltip = "Share to remove of what is counted, between 0 and 1"
        steps = {f"1/{round(1 / s)} of a layer": s for s in _STEPS}
        if settings.step not in steps.values():
            steps[f"{settings.step:g} of a layer"] = settings.step
        tip = "How much goes at a time: smaller steps look at the network more often"
        self.step = choice(steps, settings.step, "Step", tip)
        kinds = known_strategies()
        tip = _tip("Who goes next", {name: kind.summary for name, kind in kinds.items()})
        self.strategy = choice(same(*kinds), settings.strategy, "Strategy", tip)
        self.alpha = number(settings.alpha, "α (amount)", "How much it counts that outputs move")
        tip = "How much it counts that they move unevenly"
        self.beta = number(settings.beta, "β (evenness)", tip)
        ways = {name: kind.summary for name, kind in compensations.BY_NAME.items()}
        tip = _tip("Who takes over from a unit that goes", ways)
        self.compensation = choice(same(*ways), settings.compensation, "Compensation", tip)
        self.seed = ipywidgets.IntText(value=settings.seed, description="Seed", style=NARROW)
        self.seed.tooltip = "The same seed gives the same result"
        lo, hi = scalar_box(settings.domain)
        self.lo, self.hi = number(lo, "Inputs from", _INPUTS), number(hi, "Inputs to", _INPUTS)
        self.eps = number(eps, "Attack ε", _ATTACK, 0.01)
        self._own_domain = settings.domain is not None and not is_scalar(settings.domain)
        self._domain_given = settings.domain is not None
        self.extra = extra_fields(settings.extra)
        few = [self.target, self.extra["budget"], self.extra["keep"], self.step, self.strategy]
        for one in few:  # in one row of the one screen
            one.style.description_width = "76px"
        self.extra["budget"].observe(lambda _: self._spread(), names="value")
        rest = [
            *(self.compensation, self.alpha, self.beta, self.seed, self.eps),
            *([] if self._own_domain else [self.lo, self.hi]),
            *(field for name, field in self.extra.items() if field not in few),
        ]
        self.fields = [*few, *rest]
        self.box, self.more = ipywidgets.Box(few), ipywidgets.Box(rest)
        for box in (self.box, self.more):
            box.add_class("paoding-settings")
        self.more.add_class("paoding-more-settings")
        self.show_more(False)
        for one in self.fields:
            one.observe(lambda _: changed(), names="value")

    def _spread(self) -> None:
        """What is not counted in units is spread over the layers by their price."""
        if self.extra["budget"].value != "units" and self.extra["allocation"].value == "uniform":
            self.extra["allocation"].value = "global"

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
            empty = field.value == "" or (name in ("samples", "keep") and not field.value)
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
