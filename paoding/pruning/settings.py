"""The settings of a run: checked once, in one place, and plain values for a plan."""

from __future__ import annotations

import fnmatch
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np

from paoding.bounds.certificate import Method
from paoding.checks import check_choice, check_share, is_whole
from paoding.effort import LEVELS, STEP
from paoding.errors import ArgumentError, NothingToPruneError
from paoding.graph import Graph, Group
from paoding.pruning.locks import unit_locks
from paoding.synthetic.choice import NAMES

OWN = "of the user's own"  # stands in a plan for a function or object that JSON cannot hold
CHOICES = {
    "bounds": ("interval", "linear"),
    "allocation": ("uniform", "global"),
    "budget": ("units", "parameters", "flops", "latency"),
    "effort": tuple(LEVELS),
}
# What plans keep under "options".
OPTIONS = (
    *("prior", "samples", "bounds", "allocation", "budget"),
    *("lossless_first", "distil", "calibration", "keep", "ends", "runtime"),
    "effort",
)
FURTHEST = 15 / 16  # share of each group's units that goes at the most where only keep= says when


@dataclass(frozen=True)
class Settings:
    """What to remove and how fast; see :func:`paoding.prune` for each.

    Raises:
        ArgumentError: a value lies outside of what it may be.
    """

    target: float = 0.5
    step: float = STEP
    seed: int = 0
    recursive: bool = True
    targets: Mapping[str, float] = field(default_factory=dict)
    locked: tuple[str, ...] = ()
    round_to: int = 1
    floor: int = 1
    inexact: bool = False
    prior: Any = None
    calibration: Any = None
    samples: int | None = None
    bounds: Method = "interval"
    allocation: str = "uniform"
    budget: str = "units"
    lossless_first: bool = False
    distil: int | None = None
    keep: float | None = None
    ends: int | None = None
    runtime: Any = None
    effort: str = "normal"

    def __post_init__(self) -> None:
        check_share("target", self.target)
        check_share("step", self.step)
        if self.step > self.target:
            raise ArgumentError(
                f"step={self.step:g} is larger than target={self.target:g}; choose a step of at "
                "most the target."
            )
        if self.keep is not None:
            check_share("keep", self.keep, ", and keep=0.98 goes on while 98 % of answers stay")
        if self.ends is not None and not is_whole(self.ends, 0):
            raise ArgumentError(f"ends={self.ends!r} must be a whole number of units, or None.")
        for name in ("recursive", "inexact"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise ArgumentError(f"{name}={getattr(self, name)!r} must be True or False.")
        for name, value in self.targets.items():
            if value != 0:
                check_share(f"targets[{name!r}]", value, "; 0 keeps all units")
        for name in ("round_to", "floor", "seed"):
            value = getattr(self, name)
            least = 0 if name == "seed" else 1
            if not is_whole(value, least):
                raise ArgumentError(f"{name}={value!r} must be a whole number, {least} or more.")
        _check_drawing(self.prior, self.samples, self.distil)
        for name, known in CHOICES.items():
            check_choice(name, getattr(self, name), known)

    def described(self) -> dict[str, Any]:
        """The settings as a plan holds them: plain values, and a word for what JSON cannot hold."""
        values = {f.name: plain(getattr(self, f.name)) for f in fields(self)}
        options = {name: values.pop(name) for name in OPTIONS}
        values["options"] = {k: v if _is_json(v) else OWN for k, v in options.items()}
        return values


def _check_drawing(prior: Any, samples: Any, distil: Any) -> None:
    if prior is not None and not callable(prior):
        check_choice("prior", prior, NAMES, ", or pass a callable")
    if samples is not None and not is_whole(samples, 1):
        raise ArgumentError(f"samples={samples!r} must be a whole number, 1 or more, or None.")
    if distil is not None and not is_whole(distil, 0):
        raise ArgumentError(
            f"distil={distil!r} must be a whole number of steps, 0 for none, or None for what the "
            "model's cost allows."
        )


def check_memory(graph: Graph, samples: int | None) -> None:
    """Raise ``ArgumentError`` where so many synthetic inputs alone would not fit into memory."""
    each = 4 * sum(math.prod(shape) for shape in graph.sample_shapes)
    held = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    wanted = (samples or 0) * each
    if wanted > held:
        raise ArgumentError(
            f"samples={samples:,} inputs of '{graph.model.name}' take {wanted / 2**30:,.0f} GB, "
            f"and this machine has {held / 2**30:,.0f}: choose fewer."
        )


def as_settings(
    targets: Mapping[str, float] | None,
    locked: str | Iterable[str] | None,
    target: float | None = None,
    target_latency: float | None = None,
    **values: Any,
) -> Settings:
    """Settings from what a user passes, patterns and mappings included.

    Raises:
        ArgumentError: a value is not what it must be.
    """
    if target_latency is not None:
        check_share("target_latency", target_latency, " of the original's time to be left")
        if target is not None or values.get("budget", "units") not in ("units", "latency"):
            raise ArgumentError(
                "target_latency is a target and a budget of its own: leave target and budget out."
            )
        values["budget"], target = "latency", 1 - target_latency
    if target is None:
        target = FURTHEST if values.get("keep") else Settings.target
    if not isinstance(targets or {}, Mapping):
        raise ArgumentError(f"targets={targets!r} must map names of layers to shares.")
    if locked is not None and not isinstance(locked, Iterable):
        raise ArgumentError(
            f"locked={locked!r} must be a layer's name, type or pattern, or several."
        )
    patterns = (locked,) if isinstance(locked, str) else tuple(map(str, locked or ()))
    return Settings(target=target, targets=dict(targets or {}), locked=patterns, **values)


def removal_counts(graph: Graph, settings: Settings) -> dict[str, int]:
    """How many units each group loses in the whole run (groups that lose none are absent).

    Raises:
        ArgumentError: a pattern or a target names no layer.
        NothingToPruneError: no unit may go at all.
    """
    locked = locked_groups(graph, settings.locked)
    own = own_targets(graph, settings.targets)
    found = {}
    for group in graph.prunable:
        if group.name in locked:
            continue
        total = removal_count(group, own.get(group.name, settings.target), settings)
        if total:
            found[group.name] = total
    if not found:
        raise NothingToPruneError(_why_nothing(graph, locked))
    return found


def removal_count(group: Group, target: float, settings: Settings) -> int:
    """Units that one group loses: the target's share, rounded, within floor and ``round_to``."""
    left = group.units - int(target * group.units + 0.5)
    left = max(left, settings.floor, group.units - int(group.removable.sum()))
    left = -(-left // settings.round_to) * settings.round_to
    return max(group.units - left, 0)


def locked_groups(graph: Graph, patterns: Sequence[str]) -> dict[str, str]:
    """Group name -> the pattern that locks it; a pattern is a layer's name, type or a glob.

    Raises:
        ArgumentError: a pattern fits no layer of the model.
    """
    locked: dict[str, str] = {}
    units = unit_locks(graph, patterns)
    for pattern in patterns:
        hits = [
            group
            for group in graph.groups
            if pattern == group.name
            or any(
                part.role == "produce"
                and (fnmatch.fnmatchcase(part.layer, pattern) or part.kind == pattern)
                for part in group.parts
            )
        ]
        if not hits and pattern.rpartition(":")[0] in units:
            continue
        if not hits:
            raise ArgumentError(
                f"locked={pattern!r} fits no layer name or type that makes units; "
                f"the model has {_some(g.name for g in graph.groups)}."
            )
        locked.update((group.name, pattern) for group in hits)
    return locked


def own_targets(graph: Graph, targets: Mapping[str, float]) -> dict[str, float]:
    """Group name -> its own target; a layer's name stands for the group that it makes.

    Raises:
        ArgumentError: a name fits no group.
    """
    makers = {
        part.layer: group.name
        for group in reversed(graph.groups)
        for part in group.parts
        if part.role == "produce"
    }
    found = {}
    for name, value in targets.items():
        key = name if name in graph.by_name else makers.get(name)
        if key is None:
            raise ArgumentError(
                f"targets names '{name}', which makes no units; "
                f"the model has {_some(g.name for g in graph.prunable)}."
            )
        if value and not graph.by_name[key].prunable:
            raise ArgumentError(
                f"targets asks to prune '{name}', and all its units stay: "
                f"{graph.by_name[key].reason}; leave it out, or set it to 0."
            )
        found[key] = value
    return found


def _why_nothing(graph: Graph, locked: Mapping[str, str]) -> str:
    if locked and all(group.name in locked for group in graph.prunable):
        return (
            f"Nothing is left to prune in '{graph.model.name}': every prunable group is locked; "
            "unlock at least one."
        )
    if graph.prunable:
        return (
            f"Nothing is left to prune in '{graph.model.name}': the target, floor and round_to "
            "leave every group as it is; raise the target."
        )
    why = "; ".join(f"'{name}': {reason}" for name, reason in graph.protected[:3])
    return f"Nothing in '{graph.model.name}' can be pruned ({why or 'it has no units'})."


def _some(names: Iterable[str], most: int = 8) -> str:
    every = list(names)
    shown = ", ".join(f"'{name}'" for name in every[:most])
    return shown + (f" and {len(every) - most} more" if len(every) > most else "")


def plain(value: Any) -> Any:
    """A setting as JSON holds it: dataclasses as a name with fields, arrays as lists."""
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if is_dataclass(value) and not isinstance(value, type):
        return {"name": getattr(value, "name", type(value).__name__), **plain(asdict(value))}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return value


def _is_json(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool, list, dict))
