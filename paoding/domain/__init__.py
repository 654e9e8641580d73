"""The inputs a network may legally see: boxes, and what the first layers tell of them."""

from __future__ import annotations

from paoding.domain.box import Box, Domain, resolve

__all__ = ["Box", "Domain", "resolve"]
