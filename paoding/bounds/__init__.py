"""Sound bounds of networks and of what pruning does to them: certificates."""

from paoding.bounds.certificate import Certifier
from paoding.bounds.robust import certified_class, certified_share, certified_top1, certify
from paoding.bounds.scoring import Scorer

__all__ = [
    "Certifier",
    "Scorer",
    "certified_class",
    "certified_share",
    "certified_top1",
    "certify",
]
