"""Operations as descriptors: one declaration for both clients.

1. `operations.py` declares each operation once: a route, a grade, a typed signature, a docstring, and a body that
   returns a flow. There is no second copy for async.
2. The declaration becomes a descriptor. On a blocking client it is a function that returns ``T``; on an asyncio client
   it is a coroutine function that returns ``T`` when awaited. Type checkers use the overloads of ``__get__`` for this,
   and ``inspect`` uses the signature set on the bound function.
3. A *listing* is the same for streams: a `Listed` on the blocking client, an `AsyncListed` on the other.
4. The facts of a declaration are attributes on the class, for the docs and the tests that check the table.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, TypeAlias, TypeVar, overload

from octopus_soap.octopia.effects import next_page

if TYPE_CHECKING:
    from octopus_soap.octopia.effects import Flow, Stream
    from octopus_soap.octopia.http import AsyncioDriver, BlockingDriver

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., Any])

# The evidence for a call: official; two implementations agree; one source; inferred (docs/octopia.md).
Grade: TypeAlias = Literal["C", "C2", "1", "I"]


class BlockingSide:
    """Marks a client whose operations return values."""

    driver: BlockingDriver


class AsyncioSide:
    """Marks a client whose operations return awaitables."""

    driver: AsyncioDriver


class Listed(Iterator[T]):
    """The values of a listing, requested page by page as they are used.

    Attributes:
        position: The start of the page of the last value. Give it as ``start=`` to resume there, also in another
            process; the values of that page then come again.
    """

    def __init__(self, driver: BlockingDriver, stream: Stream[T]) -> None:
        self.position = ""
        self._values = self._walk(driver, stream)

    def _walk(self, driver: BlockingDriver, stream: Stream[T]) -> Iterator[T]:
        while (page := driver.run(next_page(stream))) is not None:
            self.position = page.position
            yield from page.values

    def __next__(self) -> T:
        return next(self._values)


class AsyncListed(AsyncIterator[T]):
    """The same as `Listed`, for ``async for``."""

    def __init__(self, driver: AsyncioDriver, stream: Stream[T]) -> None:
        self.position = ""
        self._driver, self._stream = driver, stream
        self._values: Iterator[T] = iter(())

    async def __anext__(self) -> T:
        while True:
            for value in self._values:
                return value
            page = await self._driver.run(next_page(self._stream))
            if page is None:
                raise StopAsyncIteration
            self.position, self._values = page.position, iter(page.values)


class Declared:
    """The facts of a declared operation.

    Attributes:
        route: The calls made, such as ``GET /sellers``.
        grade: The evidence for the facts.
        writes: Whether it changes anything at Octopia.
        streams: Whether it is a listing.
        name: The name of the method.
    """

    streams = False

    def __init__(self, body: Callable[..., Any], *, route: str, grade: Grade, writes: bool) -> None:
        self.body, self.route, self.grade, self.writes = body, route, grade, writes
        self.name, self.__doc__ = body.__name__, body.__doc__

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.route} [{self.grade}]>"

    def dress(self, bound: C, wrapper: str) -> C:
        """Give *bound* the name, docstring and signature of the body."""
        bound.__name__, bound.__doc__ = self.name, self.body.__doc__
        bound.__qualname__, bound.__module__ = self.body.__qualname__, self.body.__module__
        declared = inspect.signature(self.body)
        inner = re.sub(r"^(?:Flow|Stream)\[(.*)\]$", r"\1", str(declared.return_annotation))
        result = f"{wrapper}[{inner}]" if wrapper else inner
        signature = declared.replace(parameters=[*declared.parameters.values()][1:], return_annotation=result)
        bound.__signature__ = signature  # type: ignore[attr-defined]  # the documented hook of inspect.signature
        return bound


class Operation(Declared, Generic[P, T]):
    """A declared operation that returns one value."""

    body: Callable[..., Flow[T]]

    @overload
    def __get__(self, client: None, owner: type[Any], /) -> Operation[P, T]: ...
    @overload
    def __get__(self, client: BlockingSide, owner: type[Any], /) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncioSide, owner: type[Any], /) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: BlockingSide | AsyncioSide | None, owner: type[Any], /) -> Any:
        if client is None:
            return self
        if isinstance(client, BlockingSide):
            driver = client.driver

            def call(*args: P.args, **kwargs: P.kwargs) -> T:
                return driver.run(self.body(client, *args, **kwargs))

            return self.dress(call, "")
        async_driver = client.driver

        async def acall(*args: P.args, **kwargs: P.kwargs) -> T:
            return await async_driver.run(self.body(client, *args, **kwargs))

        return self.dress(acall, "")


class Listing(Declared, Generic[P, T]):
    """A declared operation that returns values one by one."""

    streams = True
    body: Callable[..., Stream[T]]

    @overload
    def __get__(self, client: None, owner: type[Any], /) -> Listing[P, T]: ...
    @overload
    def __get__(self, client: BlockingSide, owner: type[Any], /) -> Callable[P, Listed[T]]: ...
    @overload
    def __get__(self, client: AsyncioSide, owner: type[Any], /) -> Callable[P, AsyncListed[T]]: ...
    def __get__(self, client: BlockingSide | AsyncioSide | None, owner: type[Any], /) -> Any:
        if client is None:
            return self

        def call(*args: P.args, **kwargs: P.kwargs) -> Listed[T] | AsyncListed[T]:
            stream = self.body(client, *args, **kwargs)
            if isinstance(client, BlockingSide):
                return Listed(client.driver, stream)
            return AsyncListed(client.driver, stream)

        return self.dress(call, "Listed" if isinstance(client, BlockingSide) else "AsyncListed")


def operation(
    route: str, *, grade: Grade, writes: bool = False
) -> Callable[[Callable[Concatenate[Any, P], Flow[T]]], Operation[P, T]]:
    """Declare an operation that returns one value; see `Declared` for the arguments."""
    return lambda body: Operation(body, route=route, grade=grade, writes=writes)


def listing(route: str, *, grade: Grade) -> Callable[[Callable[Concatenate[Any, P], Stream[T]]], Listing[P, T]]:
    """Declare an operation that returns values one by one; a listing only reads."""
    return lambda body: Listing(body, route=route, grade=grade, writes=False)
