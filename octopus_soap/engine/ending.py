"""How a list call ends: in its result, or in an error that carries what was finished."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from octopus_soap.errors import AuthenticationError

if TYPE_CHECKING:
    from collections.abc import Generator

    from octopus_soap.engine.batching import ListJob
    from octopus_soap.engine.entries import Part
    from octopus_soap.results import BatchResult

T = TypeVar("T")


@contextmanager
def kept(job: ListJob[T], parts: list[BatchResult[T]]) -> Generator[None]:
    """Keep finished work reachable whatever ends the call: Ctrl-C, a cancelled task, a callback's exception.

    It is the exception's `result`: *parts*, and what ended or was under way behind them. Of a stream that is what its
    caller was not given yet.
    """
    try:
        yield
    except GeneratorExit:  # the caller wants no more of a stream
        raise
    except BaseException as error:
        error.result = job.merged(parts, complete=False)  # type: ignore[attr-defined] # documented on the clients
        raise


def concluded(job: ListJob[T], parts: list[BatchResult[T]]) -> BatchResult[T]:
    """The result of a call whose batches all ended, or what it raises."""
    result = job.merged(parts)
    _raise_refused(job, result)
    return result.raise_for_unfinished(job.fatal)


def streamed(job: ListJob[T], part: Part, held: list[BatchResult[T]], *, done: bool) -> BatchResult[T]:
    """The next part of a stream; in *held* until its caller has it."""
    held.append(job.absorb(part))
    job.report(held[-1])
    if not done:
        _raise_refused(job, held[-1])
    return held[-1]


def _raise_refused(job: ListJob[T], result: BatchResult[T]) -> None:
    """Refused credentials are raised as such where nothing was done; otherwise the result comes first."""
    fatal = job.fatal
    if isinstance(fatal, AuthenticationError) and len(result.unfinished) == len(result.outcomes):
        fatal.result = result  # type: ignore[attr-defined] # as on every exception that ends a list call
        raise fatal
