"""What every way of compensating has in common, and the two simplest ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from paoding.compensation.forecast import foresee
from paoding.criteria import Ranking, magnitude, pair_ranking
from paoding.graph import Graph, Group, Member, State
from paoding.plan import Removal, last_survivors
from paoding.pruning.context import RunContext


class Compensation(Protocol):
    """What the survivors take over from the removed units."""

    name: str
    summary: str  # what it does, in a sentence for people who choose
    formula: str  # the same as a sentence with LaTeX, for one removal
    importance: str  # what a candidate's importance is; %s stands for its number
    merges: bool  # whether a removed unit's weights move to one survivor
    pathless: bool  # whether the weights depend on who is left only, not on the way there
    finetunes_by_default: bool  # whether survivors are distilled where nobody says otherwise

    def rank(
        self,
        run: RunContext,
        group: Group,
        state: State,
        may_go: np.ndarray,
        may_survive: np.ndarray,
    ) -> Ranking:
        """Candidates of a group with the importance that goes with this compensation."""
        ...

    def foresee(
        self, run: RunContext, group: Group, ranking: Ranking, past: Sequence[Removal]
    ) -> Ranking:
        """The same candidates by what they change at the scores, where that is estimated."""
        ...

    def method(self, group: Group, into: int | None) -> str:
        """The word for what is done with one removal, for plan and log."""
        ...

    def apply(self, run: RunContext, state: State, removals: Sequence[Removal]) -> State:
        """The state after one step's removals; a pure function of its arguments."""
        ...


def gone(graph: Graph, state: State, removals: Sequence[Removal]) -> np.ndarray:
    """Mask of alive units after some removals."""
    alive = state.alive.copy()
    for removal in removals:
        alive[graph.by_name[removal.group].ids[removal.unit]] = False
    return alive


def move_rows(graph: Graph, state: State, removals: Sequence[Removal]) -> dict[int, np.ndarray]:
    """Add each removed unit's consumer rows to its survivor's, and set them to zero.

    Returns:
        variable number -> new array, for every consumer weight that changes.
    """
    changed: dict[int, np.ndarray] = {}
    by_group: dict[str, list[Removal]] = {}
    for removal in removals:
        by_group.setdefault(removal.group, []).append(removal)
    for name, entries in by_group.items():
        group = graph.by_name[name]
        source, target = merged(entries)
        going = np.array([r.unit for r in entries])
        for member in group.with_role("consume"):
            value = changed.get(member.variable)
            if value is None:
                value = changed[member.variable] = state.values[member.variable].copy()
            front = np.moveaxis(value, member.axis, 0)
            _add_rows(front, member, source, target)
            front[np.isin(member.unit, going)] = 0
    return changed


def merged(removals: Sequence[Removal]) -> tuple[np.ndarray, np.ndarray]:
    """Merged units of one group and, for each, the unit that holds its rows in the end.

    A survivor may go later in the same step; what it had taken over goes on with it. Where it
    goes without a survivor, so does what it had taken over.
    """
    ends = last_survivors({r.unit: None if r.method == "none" else r.into for r in removals})
    pairs = [(unit, end) for unit, end in ends.items() if end is not None]
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _add_rows(front: np.ndarray, member: Member, source: np.ndarray, target: np.ndarray) -> None:
    """Add the rows of the source units to those of their targets, one by one in order."""
    held = member.indices
    if held is not None:
        present = (source < len(held)) & (target < len(held))
        np.add.at(front, held[target[present]].ravel(), front[held[source[present]].ravel()])
        return
    for unit, into in zip(source, target, strict=True):
        rows = np.flatnonzero(member.unit == into)
        np.add.at(front, rows, front[np.flatnonzero(member.unit == unit)[: len(rows)]])


class Plain:
    """``"none"``: the removed unit's outgoing weights become zero, and nothing else changes."""

    name = "none"
    summary = "nothing: what reads a unit that goes reads 0"
    formula = r"Nothing takes its place: the row \(V_j\) of the next layer is set to 0."
    importance = (
        r"its importance, the mean absolute weight \(\overline{|w_j|} = %s\), is the least."
    )
    merges = False
    pathless = False
    finetunes_by_default = False

    def rank(
        self,
        run: RunContext,
        group: Group,
        state: State,
        may_go: np.ndarray,
        may_survive: np.ndarray,
    ) -> Ranking:
        return Ranking.plain(magnitude(group, state), may_go)

    def foresee(
        self, run: RunContext, group: Group, ranking: Ranking, past: Sequence[Removal]
    ) -> Ranking:
        return foresee(run, group, ranking, past)

    def method(self, group: Group, into: int | None) -> str:
        return "none"

    def apply(self, run: RunContext, state: State, removals: Sequence[Removal]) -> State:
        alive = gone(run.graph, state, removals)
        return state.replace(move_rows(run.graph, state, removals), alive)


class Merge(Plain):
    """``"merge"``: the survivor's outgoing weights gain those of the unit that goes.

    Source: arXiv 2204.00783, section III; plain removal where units cannot be merged.
    """

    name = "merge"
    summary = "the most similar unit, as in the paper"
    formula = r"The survivor takes its place: \(V_i \leftarrow V_i + V_j\)."
    importance = (
        r"the saliency of the pair, \(S(i,j) = \lVert V_j\rVert\,\bigl(\lVert w_i-w_j\rVert + "
        r"\tfrac{|b_i-b_j|}{|b_i|+|b_j|}\bigr)\), is \(%s\). A small \(S\) means that the two "
        r"make nearly the same output, or that what \(j\) makes is hardly read."
    )
    merges = True

    def rank(
        self,
        run: RunContext,
        group: Group,
        state: State,
        may_go: np.ndarray,
        may_survive: np.ndarray,
    ) -> Ranking:
        if not group.mergeable:
            return super().rank(run, group, state, may_go, may_survive)
        return pair_ranking(run.graph, group, state, may_go, may_survive, run.distances)

    def method(self, group: Group, into: int | None) -> str:
        return "none" if into is None else self.name
