"""Synthetic inputs that a classifier answers evenly: a prior corrected by the model's own answers.

Training data is seldom all of one class, so inputs that a network gives mostly to a few classes
are not like its data; survivors would then be fitted where the network hardly ever works.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from paoding.domain.box import Floats
from paoding.domain.choose import Chosen

SPARE = 2  # inputs drawn for each one that is kept
_ROUNDS = 20  # of reweighting; the shares of classes settle in a few
_RAREST = 1e-3  # mean probability below which a class is not favoured further

Answer = Callable[[Sequence[np.ndarray]], np.ndarray]


class Balanced(Chosen):
    """Inputs of other priors, picked so that all classes are answered about equally often.

    Args:
        chosen: the priors.
        answer: inputs of the model -> probabilities (n, classes).
    """

    answer: Answer

    def __init__(self, chosen: Chosen, answer: Answer) -> None:
        told = "Of twice as many, those are kept that the model answers evenly over its classes."
        super().__init__(chosen.priors, f"{chosen.sentence} {told}")
        object.__setattr__(self, "answer", answer)

    def draw(self, rng: np.random.Generator, n: int) -> list[np.ndarray]:
        inputs = super().draw(rng, SPARE * n)
        kept = pick(rng, even_weights(self.answer(inputs)), n)
        return [x[kept] for x in inputs]


def even_weights(probabilities: np.ndarray) -> Floats:
    """Weights of samples under which the mean answer comes close to all classes alike.

    Each round multiplies a sample's weight by how much the classes that it is given are missing.

    Args:
        probabilities: of classes, (n, classes), each row with sum 1.

    Returns:
        (n,) weights with sum 1; the same for all where the answers are no finite numbers.

    Source: the fixed point of expectation maximization for the shares of known mixtures.

    >>> even_weights(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).round(3)
    array([0.25, 0.25, 0.5 ])
    """
    p = np.asarray(probabilities, np.float64)
    n, classes = p.shape
    weight = np.full(n, 1 / n)
    if not np.isfinite(p).all():
        return weight
    for _ in range(_ROUNDS):
        weight = weight * (p @ (1 / (classes * np.maximum(weight @ p, _RAREST))))
        weight /= weight.sum()
    return weight


def pick(rng: np.random.Generator, weight: Floats, n: int) -> np.ndarray:
    """Numbers of ``n`` samples, each as often as ``n`` times its weight up to rounding.

    Source: systematic resampling, with one random offset.

    >>> pick(np.random.default_rng(0), np.array([0.25, 0.25, 0.5]), 4)
    array([0, 1, 2, 2])
    """
    marks = (rng.random() + np.arange(n)) / n
    return np.minimum(np.searchsorted(np.cumsum(weight), marks, side="right"), len(weight) - 1)
