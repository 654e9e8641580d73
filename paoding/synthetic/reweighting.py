"""Synthetic inputs corrected by the model: by its answers, and by statistics that it carries.

Training data is seldom all of one class, so inputs that a network gives mostly to a few classes
are not like its data; survivors would then be fitted where the network hardly ever works. And
where a network normalizes batches, it has kept the mean and variance of its data there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize

from paoding.domain.box import Floats
from paoding.synthetic.choice import Sampler

SPARE = 2  # inputs drawn for each one that is kept
MOST = 4  # times that one input is kept
_ROUNDS = 20  # of reweighting; the shares of classes settle in a few
_RAREST = 1e-3  # mean probability below which a class is not favoured further
_LENIENCE = 1.0  # how little weights bend for moments: 0 for exact ones, however uneven
_ITERATIONS = 100

Blend = Callable[[np.random.Generator, Sequence[np.ndarray]], list[np.ndarray]]
Look = Callable[[Sequence[np.ndarray]], tuple[np.ndarray | None, np.ndarray | None]]


class ReweightedSampler(Sampler):
    """Inputs of other priors, picked so that the model's answers and moments are as they should.

    Args:
        chosen: the priors.
        look: inputs of the model -> probabilities of classes (n, classes), and what ought to be
            zero in the mean (n, features); None for what the model does not tell.
        why: what the picked inputs are like, for the user.
        blend: what the picked inputs become at the end.
        then: the sentence that tells the user so.
        most: how many inputs there should be at the most.
    """

    look: Look
    blend: Blend | None

    def __init__(
        self,
        chosen: Sampler,
        look: Look,
        why: str,
        blend: Blend | None = None,
        then: str = "",
        most: int | None = None,
    ) -> None:
        sentence = f"Of twice as many, those are kept {why}. {then}".rstrip()
        super().__init__(chosen.priors, f"{chosen.sentence} {sentence}", most=most)
        object.__setattr__(self, "look", look)
        object.__setattr__(self, "blend", blend)

    def draw(self, rng: np.random.Generator, n: int) -> list[np.ndarray]:
        inputs = super().draw(rng, SPARE * n)
        probabilities, moments = self.look(inputs)
        weight = np.full(len(inputs[0]), 1 / len(inputs[0]))
        if probabilities is not None:
            weight = even_weights(probabilities)
        if moments is not None:
            weight = tilted(weight, moments)
        kept = pick(rng, capped(weight, MOST / n), n)
        picked = [x[kept] for x in inputs]
        return picked if self.blend is None else self.blend(rng, picked)


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


def tilted(weight: Floats, moments: np.ndarray, lenience: float = _LENIENCE) -> Floats:
    """The weights nearest to given ones under which some features are about zero in the mean.

    They are ``weight * exp(moments @ theta)``, normalized; theta minimizes the logarithm of
    their sum plus ``lenience |theta|^2``, which is the dual of: relative entropy to `weight` plus
    the squared means over ``4 lenience``.

    Args:
        weight: of samples, (n,) with sum 1.
        moments: features of samples (n, features), of the order of one.
        lenience: how far means may stay from zero so that weights stay even.

    Returns:
        (n,) weights with sum 1; the given ones where a feature is no finite number.

    Source: maximum-entropy reweighting (Csiszar 1975), with a quadratic penalty.

    >>> even = np.full(4, 0.25)
    >>> tilted(even, np.array([[-1.0], [-1.0], [-1.0], [1.0]]), 0.0).round(2)
    array([0.17, 0.17, 0.17, 0.5 ])
    """
    features = np.asarray(moments, np.float64)
    if not np.isfinite(features).all():
        return weight
    start = np.log(np.maximum(weight, 1e-300))

    def raised(theta: Floats) -> tuple[Floats, float]:
        power = start + features @ theta
        shares = np.exp(power - power.max())
        return shares / shares.sum(), float(power.max() + np.log(shares.sum()))

    def dual(theta: Floats) -> tuple[float, Floats]:
        found, total = raised(theta)
        value = float(total + lenience * theta @ theta)
        return value, features.T @ found + 2 * lenience * theta

    options = {"maxiter": _ITERATIONS}
    origin = np.zeros(features.shape[1])
    best = minimize(dual, origin, jac=True, method="L-BFGS-B", options=options)
    return raised(best.x)[0]


def capped(weight: Floats, most: float) -> Floats:
    """The weights with none above a limit; what is cut off is dealt out to the rest in proportion.

    Without a limit a fit could rest on a handful of inputs: some classes are rare among them.

    Args:
        weight: of samples, (n,) with sum 1.
        most: the limit, at least 1 / n.

    >>> capped(np.array([0.7, 0.2, 0.1]), 0.5).round(2)
    array([0.5 , 0.33, 0.17])
    """
    found = weight
    over = np.zeros(len(weight), bool)
    while ((found > most * (1 + 1e-12)) & ~over).any():
        over |= found > most
        rest = weight[~over].sum()
        share = (1 - most * over.sum()) / rest if rest > 0 else 0.0
        found = np.where(over, most, weight * share)
    return found + (1 - found.sum()) / len(found)  # all alike where the others weigh nothing


def pick(rng: np.random.Generator, weight: Floats, n: int) -> np.ndarray:
    """Numbers of ``n`` samples, each as often as ``n`` times its weight up to rounding.

    Source: systematic resampling, with one random offset.

    >>> pick(np.random.default_rng(0), np.array([0.25, 0.25, 0.5]), 4)
    array([0, 1, 2, 2])
    """
    marks = (rng.random() + np.arange(n)) / n
    return np.minimum(np.searchsorted(np.cumsum(weight), marks, side="right"), len(weight) - 1)
