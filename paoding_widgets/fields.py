"""Input fields of the studio's form: numbers, lists to choose from, and those few runs need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets

from paoding.domain import Box
from paoding.synthetic.choice import NAMES as PRIORS
from paoding_widgets.settings import DEFAULTS

_DISTIL = (100, 300, 1000)
NARROW = {"description_width": "104px"}


def number(value: float, title: str, tip: str, step: float = 0.05) -> ipywidgets.FloatText:
    """A field for a number."""
    made = ipywidgets.FloatText(value=value, step=step, description=title, style=NARROW)
    made.tooltip = tip
    return made


def choice(options: dict[str, Any], value: Any, title: str, tip: str) -> ipywidgets.Dropdown:
    """A list to choose from; a value that is not in it comes last."""
    every = dict(options)
    if not any(value is one or value == one for one in options.values()):
        every[f"{value}"[:40]] = value
    made = ipywidgets.Dropdown(
        options=list(every.items()), value=value, description=title, style=NARROW
    )
    made.tooltip = tip
    return made


def same(*names: str) -> dict[str, Any]:
    """A list of which each choice says what it is."""
    return {name: name for name in names}


# Of every further argument that is chosen from a list: title, its choices and a tip.
_CHOICES: dict[str, tuple[str, dict[str, Any], str]] = {
    "allocation": (
        "Allocation",
        same("uniform", "global"),
        "uniform: every layer to the target; global: most where the outputs feel it least",
    ),
    "budget": (
        "Counted in",
        {"units": "units", "parameters": "parameters", "FLOPs": "flops", "milliseconds": "latency"},
        "What the target is a share of. Parameters, FLOPs and milliseconds go where the outputs "
        "feel it least (allocation: global)",
    ),
    "runtime": (
        "Measured in",
        {"LiteRT": "", "ONNX Runtime": "onnxruntime", "Keras": "keras"},
        "Where milliseconds are measured, on this machine, when the target counts them",
    ),
    "prior": (
        "Inputs like",
        {"told from the model": "", **same(*PRIORS)},
        "What the synthetic inputs look like that survivors are fitted on",
    ),
    "distil": (
        "Distillation",
        {"as the model allows": "", "none": 0, **{f"{n:,} steps": n for n in _DISTIL}},
        "At the target all survivors are tuned together to the original, on synthetic inputs",
    ),
    "effort": (
        "Effort",
        same("fast", "normal", "best"),
        "How much work there may be: inputs, painting, distillation",
    ),
    "bounds": (
        "Certificates",
        same("interval", "linear"),
        "interval: quick; linear: tighter, and slow",
    ),
}
_NUMBERS = {
    "samples": ("Samples", "How many synthetic inputs; 0: as many as do"),
    "round_to": ("Multiple of", "Leave a multiple of so many units"),
    "floor": ("At least", "Leave at least so many units in each layer"),
}
_KEEP = (
    "Stop before the estimated share of answers that agree with the original's falls below this, "
    "such as 0.98; 0: the target alone decides"
)
_TICKS = {
    "lossless_first": ("Free units first", "Begin with the units that provably never matter"),
    "recursive": (
        "Touch survivors again",
        "Whether a unit that took another over may be merged into again, or go",
    ),
    "inexact": (
        "Through LayerNormalization",
        "Also prune where no removal is exact, as in transformers",
    ),
}


def extra_fields(extra: Mapping[str, Any]) -> dict[str, Any]:
    """A field for each further argument of the pruner that a reader may want to change."""
    given = {name: extra.get(name, value) for name, value in DEFAULTS.items()}
    for name in ("prior", "distil", "runtime"):  # a list cannot hold None
        given[name] = "" if given[name] is None else given[name]
    fields: dict[str, Any] = {}
    for name, (title, options, tip) in _CHOICES.items():
        fields[name] = choice(options, given[name], title, tip)
    for name, (title, tip) in _NUMBERS.items():
        made = ipywidgets.IntText(value=given[name] or 0, description=title, style=NARROW)
        made.tooltip = tip
        fields[name] = made
    for name, (title, tip) in _TICKS.items():
        tick = ipywidgets.Checkbox(value=bool(given[name]), description=title, indent=False)
        tick.tooltip = tip
        fields[name] = tick
    fields["keep"] = ipywidgets.BoundedFloatText(
        value=given["keep"] or 0, min=0, max=0.999, step=0.01, description="Keep", style=NARROW
    )
    fields["keep"].tooltip = _KEEP
    order = ("effort", "allocation", "budget", "runtime", "prior", "samples", "distil", "bounds")
    return {name: fields[name] for name in (*order, *(n for n in fields if n not in order))}


def is_scalar(domain: Any) -> bool:
    """Whether a domain is two numbers."""
    if isinstance(domain, tuple):
        return len(domain) == 2 and all(isinstance(end, int | float) for end in domain)
    return isinstance(domain, Box) and domain.lo.ndim == 0 and domain.hi.ndim == 0


def scalar_box(domain: Any) -> tuple[float, float]:
    """The ends of a domain of two numbers; [0, 1] stands for any other."""
    if not is_scalar(domain):
        return 0.0, 1.0
    lo, hi = domain if isinstance(domain, tuple) else (domain.lo, domain.hi)
    return float(lo), float(hi)
