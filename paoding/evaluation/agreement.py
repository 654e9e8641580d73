"""Agreement of a small network with its original: one number, each output by its task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paoding.evaluation.outputs import Output


def agreement(
    outputs: Sequence[Output], after: Sequence[np.ndarray], before: Sequence[np.ndarray]
) -> float:
    """Return how far two networks agree, 0 to 1, the mean over outputs.

    The share of rows of the same class (of yes and no, for several labels), the share of
    variance explained of numbers, the mean cosine of embeddings.

    Args:
        outputs: What each output is for.
        after, before: One array (n, ...) for each output of the two networks.
    """
    shares = []
    for output, a, b in zip(outputs, after, before, strict=True):
        sums = output.task.count_alike(_scores(output, a), _scores(output, b))
        shares.append(output.task.agreement(sums))
    return float(np.mean(shares))


def sure(outputs: Sequence[Output], before: Sequence[np.ndarray]) -> np.ndarray:
    """Return of which samples the original is sure: (n,); of pixels and tokens it need not be.

    Args:
        outputs: What each output is for.
        before: One array (n, ...) for each output of the original.
    """
    mask = np.ones(len(before[0]), bool)
    for output, b in zip(outputs, before, strict=True):
        if b.ndim < 3:  # edges run through every segmentation, and none would be left
            mask &= output.task.sure(_scores(output, b))
    return mask


def _scores(output: Output, values: np.ndarray) -> np.ndarray:
    last = values.shape[-1] if values.ndim > 1 else 1
    return output.task.scores(values.reshape(-1, last), output.head)
