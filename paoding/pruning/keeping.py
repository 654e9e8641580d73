"""Stop by quality: how often the smaller network still answers as the original, estimated."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property

import numpy as np

from paoding.evaluation.agreement import agreement, sure
from paoding.evaluation.outputs import Output, outputs_without_labels
from paoding.graph import State
from paoding.graph.cost import bytes_of, chunks, pass_cost
from paoding.plan import Step
from paoding.pruning.context import RunContext
from paoding.pruning.history import History
from paoding.synthetic.drawing import sampler_of
from paoding.synthetic.judges import draw_kinds

_WORK = 4e11  # floating-point operations that one judgement takes, about: a minute at the most
_FEWEST, _MOST = 64, 1024  # inputs of all kinds together
_SEED = 0x6EE9
_ENOUGH = 32  # inputs of a kind of which it is sure, from which the kind counts


class Judge:
    """Compares states of a run with the original on inputs that nothing is fitted on.

    Synthetic inputs of the kind that the run fits on, and of other kinds that the model may meet
    as well; with ``calibration=`` the real inputs alone. A classifier is asked only about synthetic
    inputs that it is sure of, as it is of most real ones: the others lie where two classes meet,
    and any change at all turns their answers (docs/quality.md, "keep").

    Args:
        run: graph, boxes and settings.
    """

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self.measured = run.settings.calibration is not None

    @cached_property
    def _inputs(self) -> dict[str, list[np.ndarray]]:
        run = self._run
        chosen = sampler_of(run)
        count = int(np.clip(_WORK / max(pass_cost(run.graph), 1), _FEWEST, _MOST))
        if self.measured:
            return {"real inputs": chosen.draw(np.random.default_rng(run.settings.seed), count)}
        run.on_progress("drawing inputs to judge by", 0.0)
        rng = np.random.default_rng([run.settings.seed, _SEED])
        others = draw_kinds(run, chosen, max(count // 3, _FEWEST // 2))
        return {"the run's own kind": chosen.draw(rng, count), **others}

    @cached_property
    def _answers(self) -> dict[str, list[np.ndarray]]:
        return {name: self._of(self._run.graph.original, x) for name, x in self._inputs.items()}

    @cached_property
    def _outputs(self) -> tuple[Output, ...]:
        return outputs_without_labels(self._run.graph.model, next(iter(self._inputs.values())))

    @cached_property
    def _sure(self) -> dict[str, np.ndarray]:
        """For each kind that counts, a mask of its inputs that count."""
        if self.measured:
            return {name: np.ones(len(x[0]), bool) for name, x in self._inputs.items()}
        masks = {name: sure(self._outputs, answers) for name, answers in self._answers.items()}
        counting = {name: mask for name, mask in masks.items() if mask.sum() >= _ENOUGH}
        return counting or {name: np.ones(len(mask), bool) for name, mask in masks.items()}

    def _of(self, state: State, inputs: list[np.ndarray]) -> list[np.ndarray]:
        graph = self._run.graph
        parts = []
        for chunk in chunks(len(inputs[0]), max(map(bytes_of, graph.sample_nodes))):
            self._run.on_progress("judging by agreement", chunk.start / len(inputs[0]))
            parts.append(graph.run(state, [x[chunk] for x in inputs], graph.flat.outputs))
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    def agreement(self, state: State) -> tuple[float, str]:
        """The least agreement over the kinds of inputs, and which kind that is."""
        found = {}
        for name, mask in self._sure.items():
            after = [a[mask] for a in self._of(state, self._inputs[name])]
            before = [b[mask] for b in self._answers[name]]
            found[name] = agreement(self._outputs, after, before)
        least = min(found, key=found.__getitem__)
        return found[least], least


class LookAhead:
    """Finds how far a run may go before answers change too often.

    To judge takes longer than to decide: so twice as many steps are decided each time, and where
    the last of them goes too far, the last good one is found by halving.

    Args:
        judge: compares a state with the original.
        keep: the least agreement.

    Attributes:
        good: steps after which the network is known to be good.
        ending: why the run ends there, in a sentence; None while it may go on.
    """

    def __init__(self, judge: Judge, keep: float) -> None:
        self._judge = judge
        self._keep = keep
        self._stride = 1
        self.good = 0
        self.ending: str | None = None

    def look(
        self, history: History, decide: Callable[[], Step], state: Callable[[], State]
    ) -> np.ndarray | None:
        """Decide some steps, judge them, and take them back: they are applied again one by one.

        Args:
            history: of the run; afterwards it stands where it stood.
            decide: decides one step and applies it; ``StopIteration`` where there is none.
            state: gives the weights where the history stands.

        Returns:
            Mask of the units that are left where the run ends; None where it may go on.
        """
        start = len(history.steps)
        try:
            end = self._search(history, decide, state, start)
        except BaseException:
            history.go(start)
            history.drop_undone()
            raise
        history.go(start)
        return end

    def _search(
        self,
        history: History,
        decide: Callable[[], Step],
        state: Callable[[], State],
        start: int,
    ) -> np.ndarray | None:
        with suppress(StopIteration):
            for _ in range(self._stride):
                decide()
        good, bad = start, len(history.steps) + 1
        trial = bad - 1
        low = None
        while good < trial:
            history.go(trial)
            share, kind = self._judge.agreement(state())
            if share >= self._keep:
                good = trial
            else:
                bad, low = trial, (share, kind)
            trial = (good + bad) // 2
        self.good = good
        self._stride *= 2
        if low is None:
            return None
        how = "measured" if self._judge.measured else "estimated"
        self.ending = (
            f"It stopped at keep={self._keep:g}: after one more step the {how} agreement with the "
            f"original would have been {low[0]:.1%} on {low[1]}."
        )
        history.go(good)
        return history.alive
