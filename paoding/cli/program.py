"""The program ``paoding``: its commands, its exit status, and what it does when it is stopped.

Nothing in this room imports TensorFlow before a model has to be loaded, so that help and most
mistakes answer at once. What a program reads goes to standard output; progress and errors to
standard error.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, Any

import typer

from paoding import __version__
from paoding.cli.deploy import latency, latency_table, sweep
from paoding.cli.evaluate import evaluate
from paoding.cli.export import export
from paoding.cli.inspect import inspect
from paoding.cli.job import Stopped
from paoding.cli.lessons import lessons
from paoding.cli.output import DEBUG, say
from paoding.cli.prune import prune, replay
from paoding.cli.zoo import zoo
from paoding.errors import PaodingError
from paoding.quiet import mute

FAILED = 1  # 0 is done; 2, wrong usage, is typer's own

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Make pretrained Keras networks smaller without their data, and say what it costs.",
    epilog="MODEL is a .keras or .h5 file, or a model of the zoo, such as zoo:mnist-mlp.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_version),
    ] = False,
) -> None:
    """Hold the options that belong to no command."""


for _command in (
    inspect,
    prune,
    replay,
    evaluate,
    export,
    latency,
    latency_table,
    sweep,
    zoo,
    lessons,
):
    app.command()(_command)


def quiet_libraries() -> None:
    """Give this program its own way to the terminal, and TensorFlow's C++ none.

    TensorFlow writes to the process's file descriptors, past everything Python can redirect.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if os.environ.get(DEBUG):
        return
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is not None:
            stream.flush()
        kept = mute(descriptor)
        if stream is None or kept is None:  # it was closed by whoever started the program
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
            continue
        # A terminal without Unicode shows "?" for what it lacks.
        errors = "replace" if descriptor == 1 else stream.errors
        copy = open(  # noqa: SIM115 (it lives as long as the program)
            kept, "w", encoding=stream.encoding, errors=errors, buffering=1
        )
        setattr(sys, name, copy)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit status."""
    try:
        app(arguments, prog_name="paoding")
    except SystemExit as end:
        return int(end.code or 0)
    except (PaodingError, Stopped) as error:
        say(str(error))
    except MemoryError:
        say("there is not enough memory for this model.")
    except BrokenPipeError:
        pass  # whoever reads has seen enough
    except OSError as error:
        say(f"{error.filename or 'output'}: {error.strerror or error}.")
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        say(
            f"this is a fault of Paoding ({type(error).__name__}: {error}); "
            f"{DEBUG}=1 shows where it happened."
        )
    return FAILED


def _stop(*_: Any) -> None:
    raise Stopped("stopped; nothing was written")


def main() -> None:
    """Enter from the command line."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    # nohup wants the program to go on; Windows has no such signal.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _stop)  # the terminal is gone: leave no half of a folder
    quiet_libraries()
    status = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:  # it was said when it was printed; what is left would be tried once more
        mute(sys.stdout.fileno())
        status = FAILED
    sys.exit(status)
