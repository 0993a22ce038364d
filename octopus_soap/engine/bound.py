"""Operations bound to a client: the same row, called through a blocking or an asynchronous driver.

A blocking call gives `T`, an asynchronous one an awaitable of `T`; both take the row's own parameters. What differs is
written here and in the drivers, once, and for all operations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from octopus_soap.engine.flow import first_exchange

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator

    from octopus_soap.engine.batching import ListJob
    from octopus_soap.engine.context import Context
    from octopus_soap.engine.flow import Exchange, Flow
    from octopus_soap.engine.operation import ListOperation, SingleOperation
    from octopus_soap.results import Answer, BatchResult

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


class Surface(ABC):
    """What every client gives the operations."""

    @abstractmethod
    def _context(self) -> Context: ...


class BlockingSurface(Surface):
    """A client whose calls block."""

    @abstractmethod
    def _run(self, flow: Flow[T]) -> T: ...
    @abstractmethod
    def _run_job(self, job: ListJob[T]) -> BatchResult[T]: ...
    @abstractmethod
    def _stream_job(self, job: ListJob[T]) -> Generator[BatchResult[T]]: ...


class AsyncSurface(Surface):
    """A client whose calls are awaited."""

    @abstractmethod
    async def _run(self, flow: Flow[T]) -> T: ...
    @abstractmethod
    async def _run_job(self, job: ListJob[T]) -> BatchResult[T]: ...
    @abstractmethod
    def _stream_job(self, job: ListJob[T]) -> AsyncGenerator[BatchResult[T]]: ...


class _Bound:
    """The name, docstring and signature of a row, on a client."""

    def __init__(self, operation: Any, client: Surface) -> None:
        self.operation = operation
        self.__name__ = operation.name
        self.__qualname__ = f"{type(client).__name__}.{operation.name}"
        self.__doc__ = operation.__doc__
        self.__signature__ = operation.signature

    def __repr__(self) -> str:
        return f"<{self.operation.name}{self.__signature__}>"


class _BoundSingle(_Bound, Generic[P, T]):
    def __init__(self, operation: SingleOperation[P, T], client: Surface) -> None:
        super().__init__(operation, client)
        self._of = client

    def _flow(self, *args: P.args, **kwargs: P.kwargs) -> Flow[Answer[T]]:
        flow: Flow[Answer[T]] = self.operation.flow(self.operation.body(self._of, *args, **kwargs), self._of._context())
        return flow

    def dry_run(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[Exchange]:
        """The request a call would make, checked and encoded as the call's own; nothing is sent.

        Where `omitted_values="read_first"` reads an item first, it is that reading request: what follows depends on
        its answer. The body holds the account id, a secret: `wire.redact` shows it without.

        Raises:
            InvalidInputError: the call would be refused.
            UnverifiedContractError: so it would.
        """
        single = self.operation.body(self._of, *args, **kwargs)
        return iter([first_exchange(self.operation.flow(single, self._of._context().unwatched()))])


class BlockingCall(_BoundSingle[P, T]):
    """A single-request operation on a blocking client: call it."""

    def __init__(self, operation: SingleOperation[P, T], client: BlockingSurface) -> None:
        super().__init__(operation, client)
        self._client = client

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it."""
        return self.with_info(*args, **kwargs).value

    def with_info(self, *args: P.args, **kwargs: P.kwargs) -> Answer[T]:
        """Call it and return the value with the facts of the call (attempts, request id, sizes, drift)."""
        return self._client._run(self._flow(*args, **kwargs))


class AsyncCall(_BoundSingle[P, T]):
    """A single-request operation on an asynchronous client: await a call of it."""

    def __init__(self, operation: SingleOperation[P, T], client: AsyncSurface) -> None:
        super().__init__(operation, client)
        self._client = client

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it."""
        return (await self.with_info(*args, **kwargs)).value

    async def with_info(self, *args: P.args, **kwargs: P.kwargs) -> Answer[T]:
        """Call it and return the value with the facts of the call (attempts, request id, sizes, drift)."""
        return await self._client._run(self._flow(*args, **kwargs))


class _BoundList(_Bound, Generic[P, T, R]):
    def __init__(self, operation: ListOperation[P, T, R], client: Surface) -> None:
        super().__init__(operation, client)
        self._of = client

    def _job(self, *args: P.args, **kwargs: P.kwargs) -> ListJob[T]:
        listing = self.operation.body(self._of, *args, **kwargs)
        job: ListJob[T] = self.operation.job(listing, self._of._context(), streaming=False)
        return job

    def _streaming(self, *args: P.args, **kwargs: P.kwargs) -> ListJob[T]:
        listing = self.operation.body(self._of, *args, **kwargs)
        job: ListJob[T] = self.operation.job(listing, self._of._context(), streaming=True)
        return job

    def dry_run(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[Exchange]:
        """The requests a call would make, one per batch, checked and encoded as the call's own; nothing is sent.

        Where `omitted_values="read_first"` reads items first, a batch's request is that reading one: what follows
        depends on its answer. The bodies hold the account id, a secret: `wire.redact` shows them without.

        Raises:
            InvalidInputError: inputs would be refused; all are listed.
            UnverifiedContractError: the call would be refused.
        """
        listing = self.operation.body(self._of, *args, **kwargs)
        job = self.operation.job(listing, self._of._context().unwatched(), streaming=False)
        return map(first_exchange, job.flows())

    def _finished(self, result: BatchResult[T]) -> R:
        finished: R = self.operation.finish(result)
        return finished


class BlockingList(_BoundList[P, T, R]):
    """A list operation on a blocking client: call it, or `stream` it."""

    def __init__(self, operation: ListOperation[P, T, R], client: BlockingSurface) -> None:
        super().__init__(operation, client)
        self._client = client

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call it with any number of inputs."""
        return self._finished(self._client._run_job(self._job(*args, **kwargs)))

    def stream(self, *args: P.args, **kwargs: P.kwargs) -> Generator[BatchResult[T]]:
        """Take inputs as they come and yield each batch's result in input order, in bounded memory.

        Inputs are checked batch by batch; equal inputs are asked once within a batch. Nothing is raised for items:
        look at each result's outcomes. Refused credentials, once nothing was done, raise.
        """
        return self._client._stream_job(self._streaming(*args, **kwargs))


class AsyncList(_BoundList[P, T, R]):
    """A list operation on an asynchronous client: await a call of it, or iterate over `stream`."""

    def __init__(self, operation: ListOperation[P, T, R], client: AsyncSurface) -> None:
        super().__init__(operation, client)
        self._client = client

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call it with any number of inputs."""
        return self._finished(await self._client._run_job(self._job(*args, **kwargs)))

    def stream(self, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[BatchResult[T]]:
        """Take inputs as they come and yield each batch's result in input order, in bounded memory.

        Inputs are checked batch by batch; equal inputs are asked once within a batch. Nothing is raised for items:
        look at each result's outcomes. Refused credentials, once nothing was done, raise.
        """
        return self._client._stream_job(self._streaming(*args, **kwargs))
