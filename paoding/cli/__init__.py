"""The command line: inspect, prune, evaluate and export models without writing Python."""

from paoding.cli.program import main, run

__all__ = ["main", "run"]
