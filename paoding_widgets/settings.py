"""The settings of a run: what the pruner gets, and the Python that does the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import numpy as np

from paoding import strategies
from paoding.domain import Box
from paoding.effort import STEP
from paoding.pruning.pruner import Pruner
from paoding.strategies import Strategy
from paoding.synthetic.calibration import Calibration, fitted_on


def known_strategies() -> dict[str, type[Strategy]]:
    """Every strategy by the name that the controls show, those that a user registered included."""
    return {kind.__name__: kind for kind in strategies.BY_NAME.values()}


# Of every further argument of the pruner.
DEFAULTS = {name: known.default for name, known in signature(Pruner).parameters.items()}
_MOST_LETTERS = 60
_MOST_NUMBERS = 64  # of a domain that are written into the code
# Written into the code only where they differ from what the pruner does anyway.
_DEFAULTS = {"seed": 0, "targets": {}, "locked": ()}


@dataclass(frozen=True)
class Settings:
    """What a studio's controls say.

    Args:
        strategy: a name out of :func:`known_strategies`, or a strategy of the user's own.
        alpha, beta: weights of amount and evenness, for the strategies that have an energy.
        domain: the box of legal inputs, or None to leave it to the pruner.
        extra: further arguments of the pruner, passed on as they are.
    """

    target: float = 0.5
    step: float = STEP
    strategy: str | Strategy = "Annealing"
    alpha: float = 0.75
    beta: float = 0.25
    compensation: Any = "least-squares"
    domain: Any = None
    seed: int = 0
    targets: Mapping[str, float] = field(default_factory=dict)
    locked: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weighs(self) -> bool:
        """Whether the strategy has an energy, so that alpha and beta count."""
        kind = known_strategies().get(self.strategy) if isinstance(self.strategy, str) else None
        return kind is not None and kind.weighs

    @property
    def measure(self) -> str:
        """By what candidates are ordered: numbers of different measures are never compared."""
        if self.weighs:
            return f"energy (α = {self.alpha:g}, β = {self.beta:g})"
        return self.strategy.lower() if isinstance(self.strategy, str) else "importance"

    def replays_like(self, other: Settings) -> bool:
        """Whether steps taken with the other settings come out the same under these."""
        return all(
            getattr(self, name) == getattr(other, name)
            for name in ("compensation", "domain", "seed", "extra")
        )

    def make_strategy(self) -> Strategy:
        """The strategy with its weights.

        Raises:
            ArgumentError: a weight lies outside of what it may be.
        """
        if not isinstance(self.strategy, str):
            return self.strategy
        if not self.weighs:
            known = known_strategies().get(self.strategy)
            return strategies.get(self.strategy if known is None else known.name)
        kind: Any = known_strategies()[self.strategy]
        options = {"energy": self.extra["energy"]} if "energy" in self.extra else {}
        return kind(alpha=self.alpha, beta=self.beta, **options)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of ``paoding.Pruner``."""
        return {
            "target": self.target,
            "step": self.step,
            "strategy": self.make_strategy(),
            "compensation": self.compensation,
            "domain": Box(*self.domain) if isinstance(self.domain, tuple) else self.domain,
            "seed": self.seed,
            "targets": dict(self.targets) or None,
            "locked": tuple(self.locked),
            **{name: value for name, value in self.extra.items() if name != "energy"},
        }

    def told(self) -> dict[str, str]:
        """The settings as texts, to tell one run from another."""
        names = (
            "target",
            "step",
            "strategy",
            "compensation",
            "domain",
            "seed",
            "targets",
            "locked",
        )
        values = {name: getattr(self, name) for name in names} | dict(self.extra)
        if self.weighs:
            values |= {"α": self.alpha, "β": self.beta}
        if self.calibration is not None:
            values["calibration"] = self.calibration.sentence
        return {name: str(value)[:_MOST_LETTERS] for name, value in values.items()}

    @property
    def calibration(self) -> Calibration | None:
        """Real inputs that survivors are fitted on, where there are any."""
        return self.extra.get("calibration")

    @property
    def fitted_on(self) -> str:
        """What survivors are fitted on, in two or three words."""
        return fitted_on(self.calibration)

    def code(self) -> str:
        """Python that does the same without the studio."""
        lines = [f"target={self.target!r}", f"step={_step_text(self.step)}"]
        if isinstance(self.strategy, str):
            weights = f"alpha={self.alpha!r}, beta={self.beta!r}" if self.weighs else ""
            if self.weighs and "energy" in self.extra:
                weights += f", energy={self.extra['energy']!r}"
            lines.append(f"strategy=paoding.{self.strategy}({weights})")
        else:
            lines.append(f"strategy={self.strategy!r}")
        lines.append(f"compensation={self.compensation!r}")
        if self.domain is not None:
            lines.append(f"domain={_domain_text(self.domain)}")
        given = {"seed": self.seed, "targets": dict(self.targets), "locked": tuple(self.locked)}
        lines += [f"{k}={v!r}" for k, v in given.items() if v != _DEFAULTS[k]]
        named = {"calibration": "calibration"}  # too long to be written out
        extra = self.extra.items()
        lines += [f"{k}={named.get(k, repr(v))}" for k, v in extra if k != "energy"]
        body = "".join(f"    {line},\n" for line in lines)
        return (
            "import paoding\n\n"
            f"result = paoding.prune(\n    model,\n{body})\n"
            'result.save("run")  # model.keras, plan.json, decisions.parquet, report.html\n\n'
            "# If settings were changed on the way, save the run: its plan repeats what was done.\n"
            '# result = paoding.replay(model, paoding.Plan.load("run/plan.json"))\n'
        )


def from_arguments(strategy: Any, domain: Any, extra: Mapping[str, Any], **rest: Any) -> Settings:
    """Settings from the arguments of a studio, which are those of the pruner."""
    weights: dict[str, Any] = {}
    if extra.get("target_latency") is not None:  # the form has one target, and what it counts
        extra = {**extra, "budget": "latency"}
        rest["target"] = 1 - extra.pop("target_latency")
    name = _strategy_name(strategy)
    kind = type(strategy).__name__
    if name is None:
        known = known_strategies().get(kind) is type(strategy)
        name = kind if known else strategy
        if known and strategy.weighs:
            weights = {"alpha": strategy.alpha, "beta": strategy.beta}
            extra = (
                {"energy": strategy.energy, **extra} if strategy.energy != "estimated" else extra
            )
    return Settings(strategy=name, domain=domain, extra=dict(extra), **weights, **rest)


def _strategy_name(strategy: Any) -> str | None:
    if strategy is None:
        return "Annealing"
    if isinstance(strategy, str):
        known = {kind.name: name for name, kind in known_strategies().items()}
        return known.get(strategy.lower(), strategy)
    return None


def _step_text(step: float) -> str:
    whole = round(1 / step) if step else 0
    return f"1 / {whole}" if whole > 1 and 1 / whole == step else repr(step)


def _domain_text(domain: Any) -> str:
    """Code for the legal inputs; a name where there are too many numbers to write down."""
    boxes = [Box(*domain)] if isinstance(domain, tuple) else domain
    boxes = [boxes] if isinstance(boxes, Box) else list(boxes)
    ends = [np.unique(end) if np.ptp(end) == 0 else end for box in boxes for end in _ends(box)]
    if sum(end.size for end in ends) > _MOST_NUMBERS:
        return "domain"
    text = [repr(end.item() if end.size == 1 else end.tolist()) for end in ends]
    made = [f"paoding.Box({lo}, {hi})" for lo, hi in zip(text[::2], text[1::2], strict=True)]
    return made[0] if len(made) == 1 else f"[{', '.join(made)}]"


def _ends(box: Box) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(box.lo), np.asarray(box.hi)
