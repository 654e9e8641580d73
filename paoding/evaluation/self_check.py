"""How far to trust a pruned network without data: agreement with the original on several priors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from paoding.domain import Domain
from paoding.errors import ArgumentError
from paoding.evaluation.agreement import agreement
from paoding.evaluation.outputs import outputs_without_labels
from paoding.graph import trace
from paoding.graph.keras_internals import ask
from paoding.synthetic.choice import Sampler, alternatives, choose
from paoding.synthetic.legal import legal_inputs

if TYPE_CHECKING:
    import keras

_APART = 0.10  # spread of agreement over priors from which the estimate is called doubtful
_QUICK_FLOPS = 2 * 10**10  # of one network on one prior: about a second on two cores
_BATCH = 64  # samples at a time: activations of a large network take room
_FEW = 100  # samples from which a share is known to a few points
_LOW = 0.80  # agreement below which the network has probably lost much


@dataclass(frozen=True)
class SelfCheck:
    """Agreement of two networks on synthetic inputs: *estimated*, never a certificate.

    Args:
        agreement: prior's name -> share of inputs on which both give the same answer (of numbers
            the share of variance explained, of embeddings the mean cosine).
        likeliest: name of the prior that the model suggests.
        warning: what to be careful of, or an empty string.
    """

    agreement: dict[str, float]
    likeliest: str
    warning: str

    @property
    def expected(self) -> float:
        """Agreement under the prior that the model suggests."""
        return self.agreement[self.likeliest]

    @property
    def estimate(self) -> str:
        """The estimate in words, other kinds of inputs included."""
        text = f"{self.expected:.1%} on inputs like '{self.likeliest}', which the model suggests"
        others = {n: v for n, v in self.agreement.items() if n != self.likeliest}
        if not others:
            return text
        each = ", ".join(f"{name} {value:.1%}" for name, value in others.items())
        return f"{text} (on other kinds: {each})"

    @property
    def mean(self) -> float:
        """Mean agreement over the priors."""
        return float(np.mean(list(self.agreement.values())))

    @property
    def spread(self) -> float:
        """Greatest less least agreement over the priors."""
        values = list(self.agreement.values())
        return max(values) - min(values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as ``report.json`` keeps them."""
        return {
            "agreement": dict(self.agreement),
            "likeliest": self.likeliest,
            "expected": self.expected,
            "mean": self.mean,
            "spread": self.spread,
            "warning": self.warning,
        }

    def __str__(self) -> str:
        text = f"estimated agreement {self.estimate}, spread {self.spread:.1%}"
        return f"{text}; {self.warning}" if self.warning else text


def selfcheck(
    model: keras.Model,
    original: keras.Model,
    *,
    domain: Domain | None = None,
    samples: int = 1000,
    seed: int = 0,
    task: Any = None,
) -> SelfCheck:
    """Estimate without data how often a pruned model still answers like the original.

    Args:
        model: the pruned model.
        original: the model before.
        domain: legal inputs; by default what the first layers tell, and else [0, 1].
        samples: inputs drawn from each prior.
        seed: of the draws.
        task: what an output is for, or one for each as a list or dictionary, as ``evaluate``
            takes it; None infers it.

    Returns:
        Agreement for each prior that fits the model, with a warning where the priors disagree.

    Raises:
        DomainError: the domain does not fit.
        ArgumentError: no samples, two models that are no pair, or an unknown task.

    >>> import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    >>> selfcheck(model, model, samples=10).mean
    1.0
    """
    if samples < 1:
        raise ArgumentError(f"samples={samples!r} must be a whole number, 1 or more.")
    if [x.shape for x in model.inputs] != [x.shape for x in original.inputs]:
        raise ArgumentError("The two models take inputs of different shapes; compare a pair.")
    graph = trace(original)
    boxes, _ = legal_inputs(graph, domain)
    suggested, kinds = choose(graph, boxes), alternatives(graph, boxes)
    alike = (n for n, kind in kinds.items() if _words(kind) == _words(suggested))
    likeliest = next(alike, "suggested")
    kinds.setdefault(likeliest, suggested)
    found = {}
    for number, (name, chosen) in enumerate(kinds.items()):
        x = chosen.draw(np.random.default_rng([seed, number]), samples)
        outputs = outputs_without_labels(original, x, task)
        found[name] = agreement(outputs, _outputs(model, x), _outputs(original, x))
    return SelfCheck(found, likeliest, _warning(found, likeliest))


def _words(chosen: Sampler) -> list[str]:
    return [str(prior) for prior in chosen.priors]


def quick_samples(flops: int, most: int = 1000) -> int:
    """How many samples of each prior a check takes in seconds; 0 where too few would be left.

    Args:
        flops: of the original, a sample.
        most: the number for a small network.

    >>> quick_samples(500_000), quick_samples(100_000_000), quick_samples(600_000_000)
    (1000, 200, 0)
    """
    found = min(most, _QUICK_FLOPS // max(flops, 1))
    return found if found >= _FEW else 0


def _outputs(model: Any, x: list[np.ndarray]) -> list[np.ndarray]:
    """Outputs of a model, in batches."""
    starts = range(0, len(x[0]), _BATCH)
    parts = [ask(model, [one[start : start + _BATCH] for one in x]) for start in starts]
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


def _warning(found: dict[str, float], likeliest: str) -> str:
    if found[likeliest] < _LOW:
        return "much of the original's behaviour is gone; prune less"
    low = min(found, key=found.__getitem__)
    if max(found.values()) - found[low] > _APART:
        return (
            f"the priors disagree ('{low}' {found[low]:.0%}): where your inputs are not like "
            f"'{likeliest}', measure it on data of your own before you rely on it"
        )
    return ""


__all__ = ["SelfCheck", "selfcheck"]
