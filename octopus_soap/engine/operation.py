"""Operations bound to a client: the same row, called through a blocking or an asynchronous driver.

A blocking call gives `T`, an asynchronous one an awaitable of `T`; both take the row's own parameters. What differs is
written here and in the drivers, once, and for all operations.

The operation descriptor: one declared row serves every client.

A row of the catalogue is a method whose body checks its arguments and returns a description of the call (`SingleCall`
or `ListCall`). The decorators below turn it into a descriptor. Looked up on a client, it becomes a callable with the
row's own parameters that runs the call through that client's driver, so no client contains operation code.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from octopus_soap.engine.batch import BatchCall
from octopus_soap.engine.effects import Flow, first_attempt
from octopus_soap.engine.inputs import account_problems, omission_problem
from octopus_soap.engine.read_first import FILLABLE, complete, read_current
from octopus_soap.engine.request import Request, RequestResult, RequestTrace, attempt_all
from octopus_soap.errors import (
    ApiStatusError,
    InvalidInputError,
    OctopusError,
    OutcomeUnknownError,
    Problem,
    ProtocolError,
    RejectedError,
)
from octopus_soap.models.base import WireModel
from octopus_soap.results import Answer, BatchResult
from octopus_soap.safety import OmittedValues, Safety

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator

    from octopus_soap.engine.context import Context
    from octopus_soap.engine.effects import Attempt
    from octopus_soap.engine.inputs import BatchRule, ListCall
    from octopus_soap.engine.read_first import Completed
    from octopus_soap.results import CallInfo


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
    def _run_job(self, job: BatchCall[T]) -> BatchResult[T]: ...
    @abstractmethod
    def _stream_job(self, job: BatchCall[T]) -> Generator[BatchResult[T]]: ...


class AsyncSurface(Surface):
    """A client whose calls are awaited."""

    @abstractmethod
    async def _run(self, flow: Flow[T]) -> T: ...
    @abstractmethod
    async def _run_job(self, job: BatchCall[T]) -> BatchResult[T]: ...
    @abstractmethod
    def _stream_job(self, job: BatchCall[T]) -> AsyncGenerator[BatchResult[T]]: ...


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

    def dry_run(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[Attempt]:
        """The request a call would make, checked and encoded as the call's own; nothing is sent.

        Where `omitted_values="read_first"` reads an item first, it is that reading request: what follows depends on
        its answer. The body holds the account id, a secret: `wire.redact` shows it without.

        Raises:
            InvalidInputError: the call would be refused.
            UnverifiedContractError: so it would.
        """
        single = self.operation.body(self._of, *args, **kwargs)
        return iter([first_attempt(self.operation.flow(single, self._of._context().unobserved()))])


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

    def _job(self, *args: P.args, **kwargs: P.kwargs) -> BatchCall[T]:
        listing = self.operation.body(self._of, *args, **kwargs)
        job: BatchCall[T] = self.operation.job(listing, self._of._context(), streaming=False)
        return job

    def _streaming(self, *args: P.args, **kwargs: P.kwargs) -> BatchCall[T]:
        listing = self.operation.body(self._of, *args, **kwargs)
        job: BatchCall[T] = self.operation.job(listing, self._of._context(), streaming=True)
        return job

    def dry_run(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[Attempt]:
        """The requests a call would make, one per batch, checked and encoded as the call's own; nothing is sent.

        Where `omitted_values="read_first"` reads items first, a batch's request is that reading one: what follows
        depends on its answer. The bodies hold the account id, a secret: `wire.redact` shows them without.

        Raises:
            InvalidInputError: inputs would be refused; all are listed.
            UnverifiedContractError: the call would be refused.
        """
        listing = self.operation.body(self._of, *args, **kwargs)
        job = self.operation.job(listing, self._of._context().unobserved(), streaming=False)
        return map(first_attempt, job.flows())

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


OPERATIONS: dict[str, Operation] = {}
"""Every declared operation by wire name, in the order of the catalogue."""


@dataclass(frozen=True, slots=True)
class SingleCall(Generic[T]):
    """A call of one request, as its row describes it.

    Attributes:
        arguments: wire parameters besides accountID.
        reads: what the reply is, for the codec.
        finish: turns the settled request into the call's result, or raises.
        account_id: overrides the client's.
        problems: what is wrong with the arguments.
        guarded: name of the parameter whose omitted value types are watched.
    """

    arguments: dict[str, Any]
    reads: Any
    finish: Callable[[RequestResult], T]
    account_id: str | None = None
    problems: list[Problem] = field(default_factory=list)
    guarded: str = ""


class Operation:
    """What is declared of an operation.

    Attributes:
        wire_name: the service's name.
        name: the Python method's name.
        safety: what a repeat may do.
        rule: how a list operation is cut; None for the others.
        body: the row's function.
    """

    rule: BatchRule | None = None

    def __init__(self, wire_name: str, safety: Safety, body: Callable[..., Any]) -> None:
        self.wire_name = wire_name
        self.safety = safety
        self.body = body
        self.name = body.__name__
        self.__doc__ = body.__doc__
        self.__wrapped__ = body
        OPERATIONS[wire_name] = self

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (self.__doc__ or "").partition("\n")[0]

    @cached_property
    def signature(self) -> inspect.Signature:
        """Parameters and result of a blocking call."""
        declared = inspect.signature(self.body)
        return declared.replace(parameters=list(declared.parameters.values())[1:], return_annotation=self._returns())

    def _returns(self) -> str:
        annotation = str(self.body.__annotations__.get("return", ""))
        return annotation.removeprefix("SingleCall[").removesuffix("]")

    def __repr__(self) -> str:
        return f"<operation {self.wire_name}: {self.safety.value}>"


class SingleOperation(Operation, Generic[P, T]):
    """An operation of one request."""

    @overload
    def __get__(self, client: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, client: BlockingSurface, owner: type[Any]) -> BlockingCall[P, T]: ...
    @overload
    def __get__(self, client: AsyncSurface, owner: type[Any]) -> AsyncCall[P, T]: ...
    def __get__(
        self, client: BlockingSurface | AsyncSurface | None, owner: type[Any]
    ) -> Self | BlockingCall[P, T] | AsyncCall[P, T]:
        """The operation on *client*, or itself on the class."""
        if client is None:
            return self
        return AsyncCall(self, client) if isinstance(client, AsyncSurface) else BlockingCall(self, client)

    def flow(self, single: SingleCall[T], context: Context) -> Flow[Answer[T]]:
        """The flow of one call; every check is made before it is returned."""
        problems = list(single.problems)
        if single.guarded and not problems:
            value = single.arguments[single.guarded]
            found = omission_problem(self.wire_name, single.guarded, _key(value), value, context)
            problems += [found] if found is not None else []
        account = context.account_id if single.account_id is None else single.account_id
        problems += account_problems(account)
        if problems:
            raise InvalidInputError(problems)
        context.guard_contract(self.wire_name, self.safety)
        arguments = {"accountID": account, **single.arguments}
        return self._flow(single, arguments, self._request(arguments, single, context), context)

    def _request(self, arguments: dict[str, Any], single: SingleCall[T], context: Context) -> Request:
        codec = context.codec
        return Request(
            self.wire_name,
            codec.action(self.wire_name),
            codec.encode(self.wire_name, arguments),
            context.safety.get(self.wire_name, self.safety),
            lambda reply: codec.decode(self.wire_name, reply, single.reads),
        )

    def _flow(
        self, single: SingleCall[T], arguments: dict[str, Any], request: Request, context: Context
    ) -> Flow[Answer[T]]:
        filled: tuple[str, ...] = ()
        if single.guarded:
            filling = yield from _read_first(self.wire_name, single.guarded, arguments, context)
            if filling is not None:
                request = self._request({**arguments, single.guarded: filling.value}, single, context)
                filled = filling.members
        with RequestTrace(request, context.rules) as trace:
            settled = yield from attempt_all(trace)
            return Answer(self._value(single, settled, request, context), _noting(settled.info, filled))

    def _value(self, single: SingleCall[T], settled: RequestResult, request: Request, context: Context) -> T:
        """What the answer says, or an error."""
        if settled.error is not None:
            raise settled.error
        if (failure := context.codec.failure(settled.decoded)) is not None:
            raise _refusal(failure, settled, _key(single.arguments.get(single.guarded))).with_info(settled.info)
        if settled.decoded.problems:
            shown = "; ".join(str(problem) for problem in settled.decoded.problems[:3])
            raise _unreadable(ProtocolError(f"cannot read the result: {shown}", info=settled.info), request)
        try:
            return single.finish(settled)
        except ProtocolError as error:
            raise _unreadable(error, request)  # noqa: B904 - it sets its own cause, or is the same error


def _key(value: Any) -> str:
    """The SKU or order id of a call's argument; empty where it has none."""
    return str(getattr(value, value.key_field, None) or "") if isinstance(value, WireModel) and value.key_field else ""


def _refusal(failure: ApiStatusError, settled: RequestResult, key: str) -> ApiStatusError:
    """A Failure whose row says no to this one item is a rejection; any other is as the envelope says."""
    answer = settled.decoded.value
    if getattr(answer, "result", None) is not False:
        return failure
    message = answer.error_message or settled.decoded.message or "the service gave no reason"
    return RejectedError(
        f"{key!r} was not accepted: {message}", key=key, status=failure.status, message_code=failure.message_code
    )


def _unreadable(error: ProtocolError, request: Request) -> OctopusError:
    """An answer that came and cannot be read leaves an unsafe write's outcome open."""
    if request.safety is not Safety.UNSAFE:
        return error
    unknown = OutcomeUnknownError(
        f"{request.operation} was answered, but the answer does not tell whether it was carried out: "
        f"{error.message[:400]}",
        info=error.info,
    )
    unknown.__cause__ = error
    return unknown


def _noting(info: CallInfo, filled: tuple[str, ...]) -> CallInfo:
    """A list's outcomes say what was completed in each; a single call's facts say it here."""
    if not filled:
        return info
    return replace(info, warnings=(*info.warnings, f"completed from the current item: {', '.join(filled)}"))


def _read_first(operation: str, parameter: str, arguments: dict[str, Any], context: Context) -> Flow[Completed | None]:
    value = arguments[parameter]
    if context.omitted_values is not OmittedValues.READ_FIRST or not isinstance(value, FILLABLE):
        return None
    if not context.codec.omitted_value_members(operation, parameter, value):
        return None
    found, _ = yield from read_current([value.sku or ""], arguments["accountID"], context)
    return complete(operation, parameter, value, found[value.sku or ""], context)


class ListOperation(Operation, Generic[P, T, R]):
    """An operation on a list, cut into batches."""

    def __init__(
        self,
        wire_name: str,
        safety: Safety,
        body: Callable[Concatenate[Any, P], ListCall[T]],
        rule: BatchRule,
        finish: Callable[[BatchResult[T]], R],
    ) -> None:
        super().__init__(wire_name, safety, body)
        self.rule = rule
        self.finish = finish

    def _returns(self) -> str:
        annotation = str(self.body.__annotations__.get("return", ""))
        inner = annotation.removeprefix("ListCall[").removesuffix("]")
        return "None" if inner == "None" else f"BatchResult[{inner}]"

    @overload
    def __get__(self, client: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, client: BlockingSurface, owner: type[Any]) -> BlockingList[P, T, R]: ...
    @overload
    def __get__(self, client: AsyncSurface, owner: type[Any]) -> AsyncList[P, T, R]: ...
    def __get__(
        self, client: BlockingSurface | AsyncSurface | None, owner: type[Any]
    ) -> Self | BlockingList[P, T, R] | AsyncList[P, T, R]:
        """The operation on *client*, or itself on the class."""
        if client is None:
            return self
        return AsyncList(self, client) if isinstance(client, AsyncSurface) else BlockingList(self, client)

    def job(self, listing: ListCall[T], context: Context, *, streaming: bool) -> BatchCall[T]:
        """The job of one call; without streaming every input is checked before it is returned."""
        assert self.rule is not None  # noqa: S101 - the constructor sets it
        return BatchCall(self.wire_name, self.safety, self.rule, listing, context, streaming=streaming)


def single(
    wire_name: str, safety: Safety
) -> Callable[[Callable[Concatenate[Any, P], SingleCall[T]]], SingleOperation[P, T]]:
    """Declare an operation of one request."""

    def declare(body: Callable[Concatenate[Any, P], SingleCall[T]]) -> SingleOperation[P, T]:
        return SingleOperation[P, T](wire_name, safety, body)

    return declare


def listing(
    wire_name: str, safety: Safety, rule: BatchRule
) -> Callable[[Callable[Concatenate[Any, P], ListCall[T]]], ListOperation[P, T, BatchResult[T]]]:
    """Declare an operation on a list that answers for each item."""

    def declare(body: Callable[Concatenate[Any, P], ListCall[T]]) -> ListOperation[P, T, BatchResult[T]]:
        return ListOperation[P, T, BatchResult[T]](wire_name, safety, body, rule, lambda result: result)

    return declare


def confirming(
    wire_name: str, safety: Safety, rule: BatchRule
) -> Callable[[Callable[Concatenate[Any, P], ListCall[None]]], ListOperation[P, None, None]]:
    """Declare an operation on a list that answers nothing: it returns None or raises."""

    def declare(body: Callable[Concatenate[Any, P], ListCall[None]]) -> ListOperation[P, None, None]:
        return ListOperation[P, None, None](wire_name, safety, body, rule, _nothing)

    return declare


def _nothing(result: BatchResult[None]) -> None:
    result.raise_for_rejected()
