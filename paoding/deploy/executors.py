"""Where many runs are computed: in this process, in processes here, or on a Dask cluster."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any, Protocol, TypeVar

from paoding.errors import ArgumentError, ClusterError, RuntimeMissingError

Job = TypeVar("Job")
Answer = TypeVar("Answer")
# As often a job is tried again after the process or the machine that computed it has died.
_AGAIN = 3
_PATIENCE = 30.0  # seconds in which a cluster has to answer


class Executor(Protocol):
    """Computes jobs that share what is large; it gives answers as they come, failures too."""

    def run(
        self, task: Callable[[Any, Any], Any], shared: Any, jobs: Sequence[Any]
    ) -> Iterator[tuple[Any, Any]]:
        """Yield ``(job, task(shared, job))`` once for each job, or the exception instead."""
        ...


def executor_for(workers: int | None, client: Any) -> Executor:
    """Return where to compute: on ``client``, else in so many processes here (1: in this one).

    Raises:
        ArgumentError: ``workers`` is no such number.
        RuntimeMissingError: Dask is not installed.
        ClusterError: The cluster does not answer, or a worker has other versions.
    """
    if client is not None:
        return OnDask(client)
    if workers is None:
        workers = 1
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise ArgumentError(f"workers={workers!r} must be a whole number, 1 or more.")
    return Here() if workers == 1 else InProcesses(workers)


def versions() -> dict[str, str]:
    """Return what results depend on, and its version."""
    from paoding import __version__

    packages = ("keras", "tensorflow", "numpy")
    found = {name: version(name) for name in packages}
    return {"paoding": __version__, **found, "python": platform.python_version()}


def require_versions(mine: dict[str, str], theirs: dict[str, str], where: str) -> None:
    """Raise ``ClusterError`` where a worker would compute with something else.

    >>> require_versions({"keras": "3.15.1"}, {"keras": "3.12.0"}, "Worker a")
    Traceback (most recent call last):
    ...
    paoding.errors.ClusterError: Worker a has keras 3.12.0 where 3.15.1 is needed; install ...
    """
    for name, number in mine.items():
        if theirs.get(name) != number:
            raise ClusterError(
                f"{where} has {name} {theirs.get(name, 'not at all')} where {number} is needed; "
                "install the same there: another version gives other weights."
            )


class Here:
    """One job after another, in this process."""

    def run(
        self, task: Callable[[Any, Any], Any], shared: Any, jobs: Sequence[Any]
    ) -> Iterator[tuple[Any, Any]]:
        for job in jobs:
            yield _tried(task, shared, job)


class InProcesses:
    """Processes on this machine, by joblib's loky; what is large is mapped, not copied."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(
        self, task: Callable[[Any, Any], Any], shared: Any, jobs: Sequence[Any]
    ) -> Iterator[tuple[Any, Any]]:
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        left = dict(enumerate(jobs))
        for attempt in range(_AGAIN + 1):
            pool = Parallel(
                n_jobs=self.workers, return_as="generator_unordered", pre_dispatch="all"
            )
            calls = [delayed(_numbered)(task, shared, k, job) for k, job in left.items()]
            try:
                for k, job, answer in pool(calls):
                    del left[k]
                    yield job, answer
            except TerminatedWorkerError as error:  # all that was under way is lost
                if attempt == _AGAIN:
                    why = ClusterError(
                        f"Processes died {_AGAIN + 1} times, probably for want of memory; take "
                        "fewer workers."
                    )
                    why.__cause__ = error
                    for job in left.values():
                        yield job, why
                    return
                continue
            return


class OnDask:
    """A Dask cluster; the scheduler gives the jobs of a worker that dies to another one."""

    def __init__(self, client: Any) -> None:
        self._client = _connected(client)
        self._require_same()

    def _require_same(self) -> None:
        """Refuse workers of other versions by name."""
        found = self._client.run(versions)
        if not found:
            raise ClusterError("The cluster has no workers; start some and try again.")
        for address, theirs in found.items():
            require_versions(versions(), theirs, f"Worker {address}")

    def run(
        self, task: Callable[[Any, Any], Any], shared: Any, jobs: Sequence[Any]
    ) -> Iterator[tuple[Any, Any]]:
        from dask.distributed import as_completed

        mine, left = versions(), dict(enumerate(jobs))
        for _ in range(_AGAIN + 1):
            # Every worker gets what is shared once; what joins later fetches it from these.
            everywhere = self._client.scatter(shared, broadcast=True)
            futures = {
                self._client.submit(_checked, task, everywhere, job, mine, pure=False): k
                for k, job in left.items()
            }
            for future in as_completed(list(futures)):
                k = futures[future]
                if future.status == "finished":
                    yield left.pop(k), future.result()
                elif future.status == "error":
                    yield left.pop(k), _died(future.exception())
                future.release()
            if not left:  # else what was shared went with the last worker that held it
                return
        for job in left.values():
            yield job, ClusterError("The cluster lost its workers again and again.")


def _connected(client: Any) -> Any:
    """Return a Dask client, made of an address where one is given."""
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise RuntimeMissingError(
            "client= needs Dask; install it with pip install 'paoding-widgets[dask]'."
        ) from error
    if isinstance(client, str):
        try:
            return Client(client, timeout=_PATIENCE)
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(
                f"The cluster at {client} does not answer; start it, or look at the address."
            ) from error
    if not isinstance(client, Client):
        raise ArgumentError(
            f"client={type(client).__name__} must be a dask.distributed.Client, or the address of "
            "a scheduler."
        )
    return client


def _tried(task: Callable[[Any, Any], Any], shared: Any, job: Any) -> tuple[Any, Any]:
    try:
        return job, task(shared, job)
    except Exception as error:
        return job, error


def _numbered(
    task: Callable[[Any, Any], Any], shared: Any, k: int, job: Any
) -> tuple[int, Any, Any]:
    return k, *_tried(task, shared, job)


def _checked(task: Callable[[Any, Any], Any], shared: Any, job: Any, wanted: dict[str, str]) -> Any:
    """Compute on a worker, which may have joined after the others were looked at."""
    require_versions(wanted, versions(), "A worker that joined later")
    return _tried(task, shared, job)[1]


def _died(error: Any) -> Exception:
    from dask.distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return ClusterError(
            "Workers died again and again at this run, probably for want of memory; the others "
            "are kept."
        )
    return error if isinstance(error, Exception) else ClusterError(str(error))
