"""Turn each row of the catalogue into a method of both clients.

A row is a method whose body checks its arguments and returns a description of the call, a `SingleCall` or a `ListCall`.
The decorators below make it a descriptor. On a client it becomes a bound operation with the row's own parameters,
docstring and types, which runs the call through that client's driver.

Invariants:

* No client contains code of an operation, and no operation code of a client: a client gives its operations a
  `Context`, and methods that run a flow and a list call.
* Every check is made before the first effect: once a flow is made, its arguments are valid.
* The four bound classes differ in their types only: blocking or awaited, one request or a list. Their body is `_Bound`
  and the methods of the operation.

On failure: a single call raises; the error of a list call carries the whole result (see `engine.batch`).
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NamedTuple, ParamSpec, Self, TypeVar, overload

from pydantic import SecretStr

from octopus_soap import models
from octopus_soap.engine.batch import BatchCall
from octopus_soap.engine.effects import FailureKind, Flow, first_attempt
from octopus_soap.engine.inputs import check_call, length_problems
from octopus_soap.engine.omitted import (
    Completed,
    OmissionGuard,
    complete,
    omission_guard,
    omission_problem,
    read_current,
)
from octopus_soap.engine.request import Request, RequestEnd, RequestFailure, RequestResult, perform, request_for
from octopus_soap.errors import (
    ApiStatusError,
    InvalidInputError,
    OctopusError,
    OutcomeUnknownError,
    Problem,
    ProtocolError,
)
from octopus_soap.models.base import WireModel, inner_type
from octopus_soap.models.declarations import OmittedValues, RowsOf, Safety
from octopus_soap.results import Answer, BatchResult

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence

    from octopus_soap.engine.dry_run import DryRun
    from octopus_soap.engine.effects import Attempt
    from octopus_soap.engine.inputs import BatchRule, ListCall
    from octopus_soap.engine.request import Context
    from octopus_soap.engine.row_stream import RowStream
    from octopus_soap.models.declarations import OmittedChoice, Reads

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S", bound="Surface")
C = TypeVar("C", bound="Flow[Any] | BatchCall[Any, Any]")
B = TypeVar("B", bound="RowStream[Any] | BatchCall[Any, Any]")


# -- what a client gives its operations --------------------------------------------------------------------------------


class Surface(ABC):
    """The part of a client that its operations use."""

    _context: Context


class BlockingSurface(Surface):
    """A client whose calls block."""

    @abstractmethod
    def _run(self, flow: Flow[T]) -> T: ...
    @abstractmethod
    def _run_batches(self, call: BatchCall[Any, R]) -> R: ...
    @abstractmethod
    def _stream_batches(self, call: BatchCall[T, Any]) -> Generator[BatchResult[T]]: ...
    @abstractmethod
    def _stream_rows(self, stream: RowStream[T]) -> Generator[BatchResult[T]]: ...


class AsyncSurface(Surface):
    """A client whose calls are awaited."""

    @abstractmethod
    async def _run(self, flow: Flow[T]) -> T: ...
    @abstractmethod
    async def _run_batches(self, call: BatchCall[Any, R]) -> R: ...
    @abstractmethod
    def _stream_batches(self, call: BatchCall[T, Any]) -> AsyncGenerator[BatchResult[T]]: ...
    @abstractmethod
    def _stream_rows(self, stream: RowStream[T]) -> AsyncGenerator[BatchResult[T]]: ...


def _veil(given: Any) -> None:
    """Hide the account in *given*, so that no traceback's variables show it."""
    if isinstance(given.get("account_id"), str):
        given["account_id"] = SecretStr(given["account_id"])


# -- operations on a client --------------------------------------------------------------------------------------------


class _Bound(Generic[P, S, C]):
    """One operation on one client, with the row's name, docstring and signature.

    *begin* checks the arguments of a call, and returns the call to run.
    """

    def __init__(self, operation: Operation, client: S, begin: Callable[Concatenate[S, Context, P], C]) -> None:
        self.operation = operation
        self._client = client
        self._begin = begin
        self.__name__ = operation.name
        self.__qualname__ = f"{type(client).__name__}.{operation.name}"
        self.__doc__ = operation.__doc__
        self.__signature__ = operation.signature

    def __repr__(self) -> str:
        return f"<{self.operation.name}{self.__signature__}>"

    def dry_run(self, *args: P.args, **kwargs: P.kwargs) -> DryRun:
        """Return the requests that a call would send, and send nothing.

        Print it to see what would be sent; `.changes(client.get_item_list(dry_run.keys))` compares that with the
        current items, and `.message(0)` shows the first request, masked. A list operation has one request per batch.
        If `omitted_values="read_first"` reads items first, only that read is returned: the write depends on its answer.

        Raises:
            InvalidInputError: the call would be refused; all its problems are listed.
            UnverifiedContractError: the call would be refused.
        """
        if kwargs:
            _veil(kwargs)
        context = self._client._context.unobserved()
        call = self._begin(self._client, context, *args, **kwargs)
        if isinstance(call, BatchCall):
            inputs = list(call.checked)
            return self._dry_run(map(first_attempt, call.flows()), [i.value for i in inputs], [i.key for i in inputs])
        arguments = self.operation.body(self._client, *args, **kwargs).arguments
        keys = [value for name, value in arguments.items() if name.casefold() == "sku"]
        return self._dry_run(map(first_attempt, (call,)), list(arguments.values()), keys)

    def _dry_run(self, requests: Iterable[Attempt], values: list[Any], keys: list[str]) -> DryRun:
        from octopus_soap.engine.dry_run import DryRun  # noqa: PLC0415 - calls do not need it

        models = [value for value in values if isinstance(value, WireModel)]
        keys = keys or [_key(model) for model in models]
        return DryRun(self.operation.wire_name, requests, models, keys, self._client._context.codec.shown)


class _Streamed(_Bound[P, S, C], Generic[P, S, C, B]):
    """An operation on a client that can be streamed too.

    *begin_stream* checks the arguments, and returns the stream to run.
    """

    def __init__(
        self,
        operation: Operation,
        client: S,
        begin: Callable[Concatenate[S, Context, P], C],
        begin_stream: Callable[Concatenate[S, Context, P], B],
    ) -> None:
        super().__init__(operation, client, begin)
        self._begin_stream = begin_stream


class BlockingCall(_Bound[P, BlockingSurface, Flow[Answer[T]]], Generic[P, T]):
    """A single-request operation on a blocking client."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Make the call, and return its value."""
        if kwargs:
            _veil(kwargs)
        return self._client._run(self._begin(self._client, self._client._context, *args, **kwargs)).value

    def with_info(self, *args: P.args, **kwargs: P.kwargs) -> Answer[T]:
        """Return the value with the facts of the call, such as attempts and request id."""
        if kwargs:
            _veil(kwargs)
        return self._client._run(self._begin(self._client, self._client._context, *args, **kwargs))


class AsyncCall(_Bound[P, AsyncSurface, Flow[Answer[T]]], Generic[P, T]):
    """A single-request operation on an asynchronous client."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Make the call, and return its value."""
        if kwargs:
            _veil(kwargs)
        return (await self.with_info(*args, **kwargs)).value

    async def with_info(self, *args: P.args, **kwargs: P.kwargs) -> Answer[T]:
        """Return the value with the facts of the call, such as attempts and request id."""
        if kwargs:
            _veil(kwargs)
        return await self._client._run(self._begin(self._client, self._client._context, *args, **kwargs))


class BlockingPage(
    BlockingCall[P, BatchResult[T]],
    _Streamed[P, BlockingSurface, Flow[Answer[BatchResult[T]]], "RowStream[T]"],
    Generic[P, T],
):
    """An operation on a blocking client whose reply lists rows without a limit."""

    def stream(self, *args: P.args, **kwargs: P.kwargs) -> Generator[BatchResult[T]]:
        """Yield any number of rows while the reply arrives, in bounded memory.

        Nothing is raised for a record that cannot be read: look at each part's outcomes. The stream raises at its end
        if the reply was cut short, was not well-formed, or ended with Failure. The message has the number of rows that
        came before: they are right as records, but the list is not complete. `max_reply_bytes` limits what is kept of
        the reply at any time, `read_timeout` each silence, and `total_timeout` the time spent on receiving.
        """
        if kwargs:
            _veil(kwargs)
        return self._client._stream_rows(self._begin_stream(self._client, self._client._context, *args, **kwargs))


class AsyncPage(
    AsyncCall[P, BatchResult[T]],
    _Streamed[P, AsyncSurface, Flow[Answer[BatchResult[T]]], "RowStream[T]"],
    Generic[P, T],
):
    """An operation on an asynchronous client whose reply lists rows without a limit."""

    def stream(self, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[BatchResult[T]]:
        """Yield any number of rows while the reply arrives, in bounded memory.

        Nothing is raised for a record that cannot be read: look at each part's outcomes. The stream raises at its end
        if the reply was cut short, was not well-formed, or ended with Failure. The message has the number of rows that
        came before: they are right as records, but the list is not complete. `max_reply_bytes` limits what is kept of
        the reply at any time, `read_timeout` each silence, and `total_timeout` the time spent on receiving.
        """
        if kwargs:
            _veil(kwargs)
        return self._client._stream_rows(self._begin_stream(self._client, self._client._context, *args, **kwargs))


class BlockingList(_Streamed[P, BlockingSurface, BatchCall[T, R], BatchCall[T, R]], Generic[P, T, R]):
    """A list operation on a blocking client."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Make the call with any number of inputs."""
        if kwargs:
            _veil(kwargs)
        return self._client._run_batches(self._begin(self._client, self._client._context, *args, **kwargs))

    def stream(self, *args: P.args, **kwargs: P.kwargs) -> Generator[BatchResult[T]]:
        """Take inputs as they come, and yield the result of each batch in input order.

        It needs the memory of a few batches. Inputs are checked batch by batch, and equal inputs of a batch are sent
        once. Nothing is raised for items: look at each result's outcomes. Refused credentials raise if nothing was done
        before.
        """
        if kwargs:
            _veil(kwargs)
        return self._client._stream_batches(self._begin_stream(self._client, self._client._context, *args, **kwargs))


class AsyncList(_Streamed[P, AsyncSurface, BatchCall[T, R], BatchCall[T, R]], Generic[P, T, R]):
    """A list operation on an asynchronous client."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Make the call with any number of inputs."""
        if kwargs:
            _veil(kwargs)
        return await self._client._run_batches(self._begin(self._client, self._client._context, *args, **kwargs))

    def stream(self, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[BatchResult[T]]:
        """Take inputs as they come, and yield the result of each batch in input order.

        It needs the memory of a few batches. Inputs are checked batch by batch, and equal inputs of a batch are sent
        once. Nothing is raised for items: look at each result's outcomes. Refused credentials raise if nothing was done
        before.
        """
        if kwargs:
            _veil(kwargs)
        return self._client._stream_batches(self._begin_stream(self._client, self._client._context, *args, **kwargs))


# -- operations as declared --------------------------------------------------------------------------------------------


OPERATIONS: dict[str, Operation] = {}
"""Every declared operation by wire name, in the order of the catalogue."""


class Operation:
    """The declaration of an operation.

    Attributes:
        wire_name: the service's name.
        name: the Python method's name.
        safety: what a repeat may do.
        body: the row's function.
        rule: how a list operation is cut into batches; None for the others.
    """

    rule: BatchRule | None = None

    def __init__(self, wire_name: str, safety: Safety, body: Callable[..., Any]) -> None:
        self.wire_name = wire_name
        self.safety = safety
        self._body = body
        self.name = body.__name__
        self.__doc__ = body.__doc__
        OPERATIONS[wire_name] = self

    @property
    def body(self) -> Callable[..., Any]:
        """The row's function, with the models loaded that its signature names."""
        self._body.__globals__.update(models.named_in(self._body.__annotations__.values()))
        return self._body

    __wrapped__ = body

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (self.__doc__ or "").partition("\n")[0]

    @cached_property
    def signature(self) -> inspect.Signature:
        """The parameters and the result of a blocking call."""
        declared = inspect.signature(self._body)
        return declared.replace(parameters=list(declared.parameters.values())[1:], return_annotation=self._returns())

    def _returns(self) -> str:
        annotation = str(self._body.__annotations__.get("return", ""))
        return annotation.removeprefix("SingleCall[").removesuffix("]")

    def explained(self, error: TypeError, given: dict[str, Any]) -> TypeError:
        """Return *error*, or one with the nearest name for an unknown argument in *given*."""
        parameters = self.signature.parameters
        unknown = next((name for name in given if name not in parameters), None)
        if unknown is None:
            return error
        from difflib import get_close_matches  # noqa: PLC0415 - only after a mistake

        near = get_close_matches(unknown, parameters, n=1)
        meant = near[0] if near else ""
        for name, parameter in inspect.signature(self.body, eval_str=True).parameters.items():
            model = inner_type(parameter.annotation)
            if isinstance(model, type) and issubclass(model, WireModel) and (field := model.nearest(unknown)):
                meant = f"{name}={model.__name__}({field}=...)"
        hint = f"did you mean {meant}?" if meant else f"it has {', '.join(parameters)}"
        return TypeError(f"{self.name}() has no argument {unknown!r}; {hint}")

    def __repr__(self) -> str:
        return f"<operation {self.wire_name}: {self.safety.value}>"


class SingleCall(NamedTuple, Generic[T]):
    """One call of a single-request operation, as its row describes it.

    Attributes:
        arguments: wire parameters, without accountID.
        reads: what the reply is decoded to.
        finish: turns the answered request into the call's result, or raises.
        account_id, omitted_values: override the client's.
        problems: what is wrong with the arguments.
        guarded: wire name of the parameter that is guarded against omitted values; empty for none.
    """

    arguments: dict[str, Any]
    reads: Reads
    finish: Callable[[RequestResult], T] = RequestResult.require_value
    account_id: str | None = None
    problems: Sequence[Problem] = ()
    guarded: str = ""
    omitted_values: OmittedChoice | None = None

    def __repr__(self) -> str:  # the account id is a secret
        return f"SingleCall({self.reads})"


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
        """Return the operation on *client*, or itself on the class."""
        if client is None:
            return self
        if isinstance(client, AsyncSurface):
            return AsyncCall(self, client, self.flow)
        return BlockingCall(self, client, self.flow)

    def flow(self, client: object, context: Context, /, *args: P.args, **kwargs: P.kwargs) -> Flow[Answer[T]]:
        """Return the flow of one call, whose arguments are checked first.

        Raises:
            InvalidInputError: an argument is refused.
            UnverifiedContractError: a write would use the bundled contract against a real endpoint.
        """
        try:
            call: SingleCall[T] = self._body(client, *args, **kwargs)
        except TypeError as error:
            raise self.explained(error, kwargs) from None
        if context.strict_lengths:
            too_long = [problem for value in call.arguments.values() for problem in length_problems(value)]
            call = call._replace(problems=[*call.problems, *too_long])
        guard = self._guard(call, context) if call.guarded else None
        account = check_call(context, self.wire_name, self.safety, call.account_id, call.problems)
        arguments = {"accountID": account, **call.arguments}
        plain = request_for(context, self.wire_name, self.safety, call.reads)
        try:
            request = plain._replace(body=context.codec.requests(self.wire_name).envelope(arguments))
        except InvalidInputError as error:
            raise self._in_python(error) from None
        return self._flow(call, arguments, request, guard, context)

    def _in_python(self, error: InvalidInputError) -> InvalidInputError:
        """Return *error* with the names of arguments in Python instead of the wire's."""
        names = {name.replace("_", ""): name for name in self.signature.parameters}
        return InvalidInputError([replace(p, field=names.get(p.field.casefold(), p.field)) for p in error.problems])

    def _failed(self, failure: RequestFailure) -> OctopusError:
        """Return the error to raise for a request that was not answered."""
        return failure.error

    def _guard(self, call: SingleCall[T], context: Context) -> OmissionGuard:
        guard = omission_guard(context, self.wire_name, call.guarded, call.omitted_values)
        value = call.arguments[call.guarded]
        if not call.problems and (names := guard.refused(value)):
            problem = omission_problem(type(value), names, _key(value))
            raise InvalidInputError([problem], remedy=guard.remedy(type(value), names))
        return guard

    def _flow(
        self,
        call: SingleCall[T],
        arguments: dict[str, Any],
        request: Request,
        guard: OmissionGuard | None,
        context: Context,
    ) -> Flow[Answer[T]]:
        filled: tuple[str, ...] = ()
        if guard is not None and guard.mode is OmittedValues.READ_FIRST:
            completed = yield from _read_first(guard, arguments, context)
            if completed is not None:
                body = context.codec.requests(self.wire_name).envelope({**arguments, call.guarded: completed.value})
                request, filled = request._replace(body=body), completed.members
                del body  # no variable of a traceback shows it

        def conclude(end: RequestEnd) -> Answer[T]:
            if isinstance(end, RequestFailure):
                failed = self._failed(end)
                try:
                    raise failed
                finally:
                    del end, failed  # the traceback holds this frame, which must not hold the error
            if end.refusal is not None:
                raise _refusal(end.refusal, end, _key(call.arguments.get(call.guarded))).with_info(end.info)
            info = end.info
            if filled:  # a single call has no outcome whose `filled` could name them
                noted = f"completed from the current item: {', '.join(filled)}"
                info = replace(info, warnings=(*info.warnings, noted))
            try:
                return Answer(call.finish(end), info)
            except ProtocolError as error:
                if request.safety is not Safety.UNSAFE:
                    raise
                raise _open_outcome(self.wire_name, error) from error

        return (yield from perform(request, context.config, conclude))


class PageOperation(SingleOperation[P, BatchResult[T]], Generic[P, T]):
    """An operation of one request whose reply lists rows without a limit."""

    @overload
    def __get__(self, client: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, client: BlockingSurface, owner: type[Any]) -> BlockingPage[P, T]: ...
    @overload
    def __get__(self, client: AsyncSurface, owner: type[Any]) -> AsyncPage[P, T]: ...
    def __get__(
        self, client: BlockingSurface | AsyncSurface | None, owner: type[Any]
    ) -> Self | BlockingPage[P, T] | AsyncPage[P, T]:
        """Return the operation on *client*, or itself on the class."""
        if client is None:
            return self
        if isinstance(client, AsyncSurface):
            return AsyncPage(self, client, self.flow, self.stream)
        return BlockingPage(self, client, self.flow, self.stream)

    def stream(self, client: object, context: Context, /, *args: P.args, **kwargs: P.kwargs) -> RowStream[T]:
        """Return the stream of one call, whose arguments are checked first.

        Raises:
            InvalidInputError: an argument is refused.
        """
        from octopus_soap.engine.row_stream import RowStream  # noqa: PLC0415 - only a stream needs it

        plain = first_attempt(self.flow(client, context.unobserved(), *args, **kwargs))
        reads = self._body(client, *args, **kwargs).reads
        assert isinstance(reads, RowsOf)  # noqa: S101 - rows of pages declare it
        return RowStream(self.wire_name, self.safety, reads, plain.body, context)

    def _failed(self, failure: RequestFailure) -> OctopusError:
        if failure.kind is not FailureKind.OVERSIZED:
            return failure.error
        stream = f"client.{self.name}.stream() reads any number of rows in bounded memory; or raise max_reply_bytes"
        return ProtocolError(failure.error.message, hint=stream, info=failure.info)


def _key(value: Any) -> str:
    """Return the SKU or order id of a call's argument; empty if it has none."""
    return str(getattr(value, value.key_field, None) or "") if isinstance(value, WireModel) and value.key_field else ""


def _refusal(refusal: ApiStatusError, result: RequestResult, key: str) -> ApiStatusError:
    """Return a rejection if the envelope's row rejects the item, else its *refusal*."""
    answer = result.decoded.value
    if getattr(answer, "result", None) is not False:
        return refusal
    message = answer.error_message or result.decoded.message or "the service gave no reason"
    return result.rejected(f"{key!r} was not accepted: {message}", key, answer)


def _open_outcome(operation: str, error: ProtocolError) -> OctopusError:
    """Return the error of an unsafe write whose answer cannot be read."""
    return OutcomeUnknownError(
        f"{operation} was answered, but the answer does not show whether it was carried out: {error.message[:400]}",
        info=error.info,
    )


def _read_first(guard: OmissionGuard, arguments: dict[str, Any], context: Context) -> Flow[Completed | None]:
    value = arguments[guard.parameter]
    if not guard.needs_current(value):
        return None
    found, _ = yield from read_current([value.sku], arguments["accountID"], context)
    completed = complete(guard, value, found[value.sku])
    if completed is None:
        raise InvalidInputError([Problem("the service has no such item to update", key=value.sku)])
    return completed


class ListOperation(Operation, Generic[P, T, R]):
    """An operation on a list, cut into batches.

    Attributes:
        finish: takes the whole result and the error that ended the call early, and returns the call's value or raises.
    """

    def __init__(
        self,
        wire_name: str,
        safety: Safety,
        body: Callable[Concatenate[Any, P], ListCall[T]],
        rule: BatchRule,
        finish: Callable[[BatchResult[T], BaseException | None], R],
    ) -> None:
        super().__init__(wire_name, safety, body)
        argument = list(inspect.signature(body).parameters)[1]
        self.rule: BatchRule = rule._replace(argument=argument)  # pyright: ignore[reportIncompatibleVariableOverride] - it never changes
        self.finish = finish

    def _returns(self) -> str:
        annotation = str(self._body.__annotations__.get("return", ""))
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
        """Return the operation on *client*, or itself on the class."""
        if client is None:
            return self
        if isinstance(client, AsyncSurface):
            return AsyncList(self, client, self.call, self.stream)
        return BlockingList(self, client, self.call, self.stream)

    def call(self, client: object, context: Context, /, *args: P.args, **kwargs: P.kwargs) -> BatchCall[T, R]:
        """Return one call, whose inputs are all checked first.

        Raises:
            InvalidInputError: inputs are refused; all of them are listed.
            UnverifiedContractError: a write would use the bundled contract against a real endpoint.
        """
        try:
            asked = self._body(client, *args, **kwargs)
        except TypeError as error:
            raise self.explained(error, kwargs) from None
        return BatchCall(self, asked, context, streaming=False)

    def stream(self, client: object, context: Context, /, *args: P.args, **kwargs: P.kwargs) -> BatchCall[T, R]:
        """Return one call, whose inputs are checked batch by batch, as they come."""
        try:
            asked = self._body(client, *args, **kwargs)
        except TypeError as error:
            raise self.explained(error, kwargs) from None
        return BatchCall(self, asked, context, streaming=True)


def single(
    wire_name: str, safety: Safety
) -> Callable[[Callable[Concatenate[Any, P], SingleCall[T]]], SingleOperation[P, T]]:
    """Declare an operation of one request."""
    return lambda body: SingleOperation(wire_name, safety, body)


def page(
    wire_name: str, safety: Safety
) -> Callable[[Callable[Concatenate[Any, P], SingleCall[BatchResult[T]]]], PageOperation[P, T]]:
    """Declare an operation of one request whose reply lists rows without a limit."""
    return lambda body: PageOperation(wire_name, safety, body)


def listing(
    wire_name: str, safety: Safety, rule: BatchRule
) -> Callable[[Callable[Concatenate[Any, P], ListCall[T]]], ListOperation[P, T, BatchResult[T]]]:
    """Declare an operation on a list, which answers for each item."""
    return lambda body: ListOperation(wire_name, safety, body, rule, BatchResult.raise_for_unfinished)


def confirming(
    wire_name: str, safety: Safety, rule: BatchRule
) -> Callable[[Callable[Concatenate[Any, P], ListCall[None]]], ListOperation[P, None, None]]:
    """Declare an operation on a list, which returns None or raises."""
    return lambda body: ListOperation(wire_name, safety, body, rule, _confirmed)


def _confirmed(result: BatchResult[None], cause: BaseException | None) -> None:
    result.raise_for_unfinished(cause).raise_for_rejected()
