"""Saves the largest networks of keras.applications, with weights that were never trained."""

from __future__ import annotations

import sys
from pathlib import Path

import keras

for name in ("EfficientNetB7", "NASNetLarge"):
    getattr(keras.applications, name)(weights=None).save(Path(sys.argv[1]) / f"{name}.keras")
