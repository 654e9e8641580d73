"""The command line; each command is a module of its own, listed in ``program``."""

import signal


def main() -> None:
    """Enter from the command line; until the program is loaded, Ctrl-C ends it without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from paoding.cli import program

    program.main()


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit status."""
    from paoding.cli import program

    return program.run(arguments)


__all__ = ["main", "run"]
