"""How one declaration serves two clients.

Theory:

1. `operations.py` declares each operation once: a route, a grade, a typed signature, a docstring, and a body that
   returns a flow. There is no second copy for async.
2. The declaration becomes a descriptor. Looked up on a blocking client it is a function that returns ``T``; on an
   asyncio client it is a coroutine function that returns ``T`` when awaited. Type checkers learn this from the
   overloads of ``__get__``; ``inspect`` learns it from the signature set on the bound function.
3. A *listing* is the same for streams: an iterator on one client, an async iterator on the other.
4. The facts of a declaration (route, grade, whether it writes) stay readable on the class, for the docs and the tests
   that lint the table.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeAlias, TypeVar, overload

if TYPE_CHECKING:
    from octopus_soap.octopia.effects import Flow, Stream

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., Any])

Grade: TypeAlias = Literal["C", "C2", "1", "I"]
"""How sure the facts of a call are: official; two implementations agree; one source; inferred (docs/sources.md)."""


class BlockingRunner(Protocol):
    """What carries flows out in the calling thread."""

    def run(self, flow: Flow[T], /) -> T: ...  # noqa: D102 - see the class
    def iterate(self, stream: Stream[T], /) -> Iterator[T]: ...  # noqa: D102 - see the class


class AsyncioRunner(Protocol):
    """What carries flows out in the running task."""

    async def run(self, flow: Flow[T], /) -> T: ...  # noqa: D102 - see the class
    def iterate(self, stream: Stream[T], /) -> AsyncIterator[T]: ...  # noqa: D102 - see the class


class BlockingSide:
    """Marks a client whose operations return values."""

    @property
    def driver(self) -> BlockingRunner:
        """What carries this client's flows out."""
        raise NotImplementedError


class AsyncioSide:
    """Marks a client whose operations return awaitables."""

    @property
    def driver(self) -> AsyncioRunner:
        """What carries this client's flows out."""
        raise NotImplementedError


class Declared:
    """The facts of a declared operation, readable on the class.

    Attributes:
        route: The calls made, such as ``GET /sellers``.
        grade: How sure the facts are.
        writes: Whether it changes anything at Octopia.
        streams: Whether it is a listing.
        name: The name of the method.
    """

    streams = False

    def __init__(self, body: Callable[..., Any], *, route: str, grade: Grade, writes: bool) -> None:
        self.body, self.route, self.grade, self.writes = body, route, grade, writes
        self.name = body.__name__
        self.__doc__ = body.__doc__

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.route} [{self.grade}]>"

    def dress(self, bound: C, wrapper: str) -> C:
        """Give *bound* the name, docstring and signature of the body, with *wrapper* around its result type."""
        bound.__name__, bound.__doc__ = self.name, self.body.__doc__
        bound.__qualname__, bound.__module__ = self.body.__qualname__, self.body.__module__
        declared = inspect.signature(self.body)
        inner = re.sub(r"^(?:Flow|Stream)\[(.*)\]$", r"\1", str(declared.return_annotation))
        result = f"{wrapper}[{inner}]" if wrapper else inner
        without_self = tuple(declared.parameters.values())[1:]
        signature = declared.replace(parameters=without_self, return_annotation=result)
        bound.__signature__ = signature  # type: ignore[attr-defined]  # the documented hook of inspect.signature
        return bound


class Operation(Declared, Generic[P, T]):
    """A declared operation that gives one value."""

    body: Callable[..., Flow[T]]

    @overload
    def __get__(self, client: None, owner: type[Any], /) -> Operation[P, T]: ...
    @overload
    def __get__(self, client: BlockingSide, owner: type[Any], /) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncioSide, owner: type[Any], /) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(
        self, client: BlockingSide | AsyncioSide | None, owner: type[Any], /
    ) -> Operation[P, T] | Callable[P, T] | Callable[P, Coroutine[Any, Any, T]]:
        if client is None:
            return self
        if isinstance(client, BlockingSide):
            runner = client.driver

            def call(*args: P.args, **kwargs: P.kwargs) -> T:
                return runner.run(self.body(client, *args, **kwargs))

            return self.dress(call, "")
        async_runner = client.driver

        async def acall(*args: P.args, **kwargs: P.kwargs) -> T:
            return await async_runner.run(self.body(client, *args, **kwargs))

        return self.dress(acall, "")


class Listing(Declared, Generic[P, T]):
    """A declared operation that gives values one by one."""

    streams = True
    body: Callable[..., Stream[T]]

    @overload
    def __get__(self, client: None, owner: type[Any], /) -> Listing[P, T]: ...
    @overload
    def __get__(self, client: BlockingSide, owner: type[Any], /) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: AsyncioSide, owner: type[Any], /) -> Callable[P, AsyncIterator[T]]: ...

    def __get__(
        self, client: BlockingSide | AsyncioSide | None, owner: type[Any], /
    ) -> Listing[P, T] | Callable[P, Iterator[T]] | Callable[P, AsyncIterator[T]]:
        if client is None:
            return self
        if isinstance(client, BlockingSide):
            runner = client.driver

            def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
                return runner.iterate(self.body(client, *args, **kwargs))

            return self.dress(call, "Iterator")
        async_runner = client.driver

        def acall(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
            return async_runner.iterate(self.body(client, *args, **kwargs))

        return self.dress(acall, "AsyncIterator")


def operation(
    route: str, *, grade: Grade, writes: bool = False
) -> Callable[[Callable[Concatenate[Any, P], Flow[T]]], Operation[P, T]]:
    """Declare an operation that gives one value.

    Args:
        route: The calls it makes, such as ``GET /sellers``.
        grade: How sure the facts are.
        writes: Whether it changes anything at Octopia.
    """

    def declare(body: Callable[Concatenate[Any, P], Flow[T]]) -> Operation[P, T]:
        return Operation(body, route=route, grade=grade, writes=writes)

    return declare


def listing(route: str, *, grade: Grade) -> Callable[[Callable[Concatenate[Any, P], Stream[T]]], Listing[P, T]]:
    """Declare an operation that gives values one by one; a listing only reads.

    Args:
        route: The calls it makes, such as ``GET /orders``.
        grade: How sure the facts are.
    """

    def declare(body: Callable[Concatenate[Any, P], Stream[T]]) -> Listing[P, T]:
        return Listing(body, route=route, grade=grade, writes=False)

    return declare


__all__ = [
    "AsyncioRunner",
    "AsyncioSide",
    "BlockingRunner",
    "BlockingSide",
    "Declared",
    "Grade",
    "Listing",
    "Operation",
    "listing",
    "operation",
]
