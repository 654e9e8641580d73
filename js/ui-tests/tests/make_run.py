"""Prunes a small network of the zoo and saves the run as a folder, with the original."""

from __future__ import annotations

import sys

import paoding

model, data = paoding.zoo.load("breast-cancer")
result = paoding.prune(
    model, target=0.5, step=0.25, strategy="saliency", compensation="merge", domain=data.domain
)
result.save(sys.argv[1], original=True)
