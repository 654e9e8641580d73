"""The inputs a network may legally see: boxes of them, and priors that draw from a box."""

from __future__ import annotations

from paoding.domain.box import Box, Domain, resolve

__all__ = ["Box", "Domain", "resolve"]
