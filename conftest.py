"""What every test and doctest shares: a quiet TensorFlow on few threads, and steady properties."""

from __future__ import annotations

import os

# Before anything imports TensorFlow: two test processes share two cores.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

from hypothesis import HealthCheck, settings

# The first call of a layer compiles; a deadline would measure that. On a server the examples are
# always the same ones, so that a change is judged by itself.
settings.register_profile(
    "paoding",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("paoding")
