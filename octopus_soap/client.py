"""`OctopusClient` and `AsyncOctopusClient`; the catalogue has their operations."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 # pyright: ignore[reportUnusedImport] - it cannot be imported once the main thread has returned
import os
import random
import secrets
import threading
import time
from abc import abstractmethod
from contextlib import aclosing, closing
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakSet

from pydantic import SecretStr

from octopus_soap._http import is_loopback, retry_after
from octopus_soap.engine.effects import Deadline, each_within
from octopus_soap.engine.inputs import unverified
from octopus_soap.engine.operation import AsyncSurface, BlockingSurface, Surface
from octopus_soap.engine.request import CallConfig, Context, CredentialState, SizeMemory
from octopus_soap.engine.retry import Breaker, RetryPolicy
from octopus_soap.errors import ClientClosedError, needed
from octopus_soap.models.declarations import Safety
from octopus_soap.observe.observer import Tally
from octopus_soap.operations import OPERATIONS, Operations
from octopus_soap.settings import OctopusSettings
from octopus_soap.wire.codec import Codec
from octopus_soap.wire.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
    from os import PathLike

    import requests
    import zeep

    from octopus_soap.engine.batch import BatchCall
    from octopus_soap.engine.catalogue import Catalogue
    from octopus_soap.engine.effects import Flow
    from octopus_soap.engine.row_stream import RowStream
    from octopus_soap.models.declarations import OmittedChoice
    from octopus_soap.observe.events import Event, EventObserver
    from octopus_soap.observe.health import Health
    from octopus_soap.observe.observer import Counters
    from octopus_soap.results import BatchResult
    from octopus_soap.transport.asynchronous import AsyncDriver

    OmittedSetting = OmittedChoice | Mapping[str, OmittedChoice]

T = TypeVar("T")
R = TypeVar("R")


_breakers: WeakSet[Breaker] = WeakSet()


def _breaker_of(settings: OctopusSettings) -> Breaker | None:
    if settings.breaker_failures is None:
        return None
    breaker = Breaker(settings.breaker_failures, settings.breaker_seconds, time.monotonic, threading.Lock)
    _breakers.add(breaker)
    return breaker


def _after_fork() -> None:
    for breaker in _breakers:  # another thread of the parent may have its lock, or the request that tries
        breaker.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Client(Operations, Surface):
    """The part that both clients share: settings, contract and state."""

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        authtoken: str | None = None,
        merchantname: str | None = None,
        accessid: str | None = None,
        account_id: str | None = None,
        wsdl: str | PathLike[str] | None = None,
        profile: str | None = None,
        settings: OctopusSettings | None = None,
        omitted_values: OmittedSetting | None = None,
        on_event: Callable[[Event], object] | None = None,
        client_label: str | None = None,
    ) -> None:
        from octopus_soap.contracts.wsdl import load_contract  # noqa: PLC0415 - lxml is loaded with the first client

        self.settings = settings or OctopusSettings.load(
            endpoint=endpoint,
            authtoken=authtoken,
            merchantname=merchantname,
            accessid=accessid,
            account_id=account_id,
            wsdl=wsdl,
            profile=profile,
        )
        changed = {"omitted_values": omitted_values, "client_label": client_label}
        if given := {name: value for name, value in changed.items() if value is not None}:
            self.settings = self.settings.changed(**given)
        self._stop: threading.Event | None = None
        self._memory = SizeMemory()
        self._credentials = CredentialState()
        self._breaker = _breaker_of(self.settings)
        redactor = Redactor(self.settings.secrets())
        utc_suffix = "Z" if self.settings.utc_suffix else ""
        contract = load_contract(self.settings.wsdl)
        self._codec = Codec(contract, redactor, self.settings.server_zone, utc_suffix)
        self._redact = redactor.text
        self._tally = Tally(partial(datetime.now, UTC), self._redact)
        self._observer: Tally | EventObserver = self._tally
        self._report_to(on_event)
        self._context = self._make_context()
        self._connect()

    def _report_to(self, hook: Callable[[Event], object] | None) -> None:
        """Report the calls to *hook*; None keeps the hook so far."""
        if hook is not None:
            from octopus_soap.observe.events import EventObserver, Hook  # noqa: PLC0415 - only a hook needs events

            settings = self.settings
            self._observer = EventObserver(
                self._tally, settings.endpoint, self._redact, Hook(hook), settings.client_label
            )

    @abstractmethod
    def _connect(self) -> None:
        """Make the driver; it opens nothing yet."""

    def _make_context(self) -> Context:
        settings = self.settings
        policy = RetryPolicy(
            settings.max_attempts,
            settings.total_timeout,
            settings.backoff_base,
            settings.backoff_cap,
            settings.retry_after_cap,
        )
        unverified = (
            self._codec.bundled and not settings.accept_unverified_contract and not is_loopback(settings.endpoint)
        )
        return Context(
            codec=self._codec,
            config=CallConfig(
                policy,
                random.random,
                partial(secrets.token_hex, 8),
                self._credentials,
                lambda reply: retry_after(reply.headers),
                (self._stop or threading.Event()).is_set,  # without a stop, an event that is never set
                self._observer,
                self._breaker,
            ),
            account_id=SecretStr(settings.sent_account_id),
            batch_sizes=settings.batch_sizes,
            max_request_bytes=settings.max_request_bytes,
            max_reply_bytes=settings.max_reply_bytes,
            parallel_reads=settings.max_connections,
            parallel_writes=settings.parallel_writes,
            safety=settings.safety,
            omitted_values=settings.omitted_values,
            strict_lengths=settings.strict_lengths,
            unverified=unverified,
            memory=self._memory,
        )

    def with_options(
        self,
        *,
        connect_timeout: float | None = None,
        read_timeout: float | None = None,
        total_timeout: float | None = None,
        deadline: float | None = None,
        max_attempts: int | None = None,
        omitted_values: OmittedSetting | None = None,
        stop: threading.Event | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> Self:
        """Return a view of this client with other limits.

        Both share connections, learned sizes and counters, and nothing else. Closing one closes both.

        Args:
            connect_timeout: seconds to connect.
            read_timeout: seconds the service may stay silent.
            total_timeout: seconds for one request with its retries and pauses.
            deadline: seconds for a whole call: all its batches, retries, pauses and waits. Inputs that are not sent by
                then are `not_sent`. Of a stream it includes the time its caller takes.
            max_attempts: attempts per request.
            omitted_values: what to do about values a write leaves out; see `OctopusSettings.omitted_values`.
            stop: once set, no further batch or attempt is begun, and pauses end. The remaining inputs of a list call
                are `not_sent`; a call with a single answer raises `ConnectFailedError`.
            on_event: called with the events of the view's calls, instead of this client's own hook.

        Raises:
            ConfigError: a value is out of range, or *on_event* cannot be called.
        """
        given: dict[str, Any] = {
            "connect_timeout": connect_timeout,
            "read_timeout": read_timeout,
            "total_timeout": total_timeout,
            "deadline": deadline,
            "max_attempts": max_attempts,
            "omitted_values": omitted_values,
        }
        view = object.__new__(type(self))
        vars(view).update(vars(self))
        view.settings = self.settings.changed(**{name: value for name, value in given.items() if value is not None})
        view._stop = stop or self._stop
        view._report_to(on_event)
        view._context = view._make_context()
        view._use_own_limits()
        return view

    def _in_time(self, flows: Iterator[Flow[T]]) -> Iterator[Flow[T]]:
        """Keep the flows of one call, which begins now, within the deadline."""
        seconds = self.settings.deadline
        return flows if seconds is None else each_within(flows, Deadline(seconds, time.monotonic))

    @abstractmethod
    def _use_own_limits(self) -> None:
        """Give a view a driver that keeps its own limits, over the same connections."""

    def _pinging(self, timeout: float | None) -> Flow[Health]:
        from octopus_soap.observe.health import ping  # noqa: PLC0415 - calls do not need it

        settings = self.settings if timeout is None else self.settings.changed(ping_timeout=timeout)
        context = self._context
        once = context.config.policy._replace(max_attempts=1, total=settings.ping_timeout)
        # A ping asks the service even after a stop and while the breaker is open, and does not change the breaker.
        config = context.config._replace(policy=once, breaker=None, stopped=lambda: False)
        return ping(context._replace(config=config))

    @property
    def learned_batch_sizes(self) -> dict[str, tuple[int, int]]:
        """Rows and bytes per request that worked after a refusal, by operation."""
        return self._memory.learned()

    @property
    def counters(self) -> Counters:
        """Counts of the work of this client and its views so far."""
        return self._tally.snapshot()

    @property
    def last_success_at(self) -> datetime | None:
        """When the service last answered successfully, in UTC; None if it has not yet."""
        return self._tally.last_success_at

    @property
    def operations(self) -> Catalogue:
        """The operations of this client, with rows per request and safety class."""
        from octopus_soap.engine.catalogue import Catalogue  # noqa: PLC0415 - calls do not need it

        return Catalogue(self._context)

    if not TYPE_CHECKING:  # a type checker finds every operation, and reports a misspelt one

        def __getattr__(self, name: str) -> Any:
            if name == "zeep":
                raise AttributeError(
                    f"{type(self).__name__} has no zeep client, which would block the event loop; for what the "
                    "catalogue does not have, use OctopusClient(settings=client.settings).zeep in a thread"
                )
            from octopus_soap.engine.catalogue import NoSuchOperationError  # noqa: PLC0415 - only after a mistake

            raise NoSuchOperationError(type(self).__name__, name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings.endpoint!r}, merchantname={self.settings.merchantname!r})"

    def __reduce__(self) -> Any:
        raise ClientClosedError(
            "a client has connections and secrets, and cannot be pickled; pickle the source of its settings (a profile "
            "name, environment variables) and build one client per process"
        )


class OctopusClient(_Client, BlockingSurface):
    """A client of the Octopus Channel API, whose calls block.

    Threads may share it, and it works inside a running event loop, such as a notebook's.

    Args:
        endpoint: URL of the service, such as `https://host/OctopusService.svc`.
        authtoken: HTTP header `authtoken`.
        merchantname: HTTP header `merchantname`.
        accessid: HTTP header `accessid`.
        account_id: sent as accountID; the access id by default.
        wsdl: path of a contract; the bundled one by default.
        profile: table of the profile file, for what is not given here.
        settings: ready-made settings, instead of the arguments above.
        omitted_values: what to do about values a write leaves out and the service would read as 0: a choice for all
            operations, or a mapping by wire name. See `OctopusSettings.omitted_values`.
        session: a requests session to send through. It is not changed and not closed.
        on_event: called with each `Event`; from worker threads too, and several at once, if a call has several
            batches. It must not block; what it raises is logged once and breaks no call.
        client_label: names this client in events, log records and spans; it is never sent to the service.

    Raises:
        ConfigError: something is missing or not accepted.
        ContractError: the contract cannot be loaded.

    Vendor's page: Authorization.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        authtoken: str | None = None,
        merchantname: str | None = None,
        accessid: str | None = None,
        account_id: str | None = None,
        wsdl: str | PathLike[str] | None = None,
        profile: str | None = None,
        settings: OctopusSettings | None = None,
        omitted_values: OmittedSetting | None = None,
        session: requests.Session | None = None,
        on_event: Callable[[Event], object] | None = None,
        client_label: str | None = None,
    ) -> None:
        self._session = session
        super().__init__(
            endpoint,
            authtoken=authtoken,
            merchantname=merchantname,
            accessid=accessid,
            account_id=account_id,
            wsdl=wsdl,
            profile=profile,
            settings=settings,
            omitted_values=omitted_values,
            on_event=on_event,
            client_label=client_label,
        )

    def _connect(self) -> None:
        # requests is loaded with the first client, so that importing the class is quick
        from octopus_soap.transport.blocking import BlockingDriver  # noqa: PLC0415 - see above
        from octopus_soap.transport.connections import Connections  # noqa: PLC0415 - see above

        self._driver = BlockingDriver(
            self.settings, Connections(self.settings, self._session, self._observer.rate_store)
        )
        self._zeep: zeep.Client | None = None

    def _run(self, flow: Flow[T]) -> T:
        return self._driver.run(next(self._in_time(iter((flow,)))))

    def _run_batches(self, call: BatchCall[T, R]) -> R:
        parts: list[BatchResult[T]] = []
        # Closed at once, and not by the garbage collector later, so that no request goes on after the call.
        with (
            call.running(parts),
            closing(self._driver.side_by_side(self._in_time(call.flows()), call.parallel, call.ahead)) as ended,
        ):
            for part in ended:
                call.absorb(part, parts)
        return call.finish(parts)

    def _stream_batches(self, call: BatchCall[T, Any]) -> Generator[BatchResult[T]]:
        held: list[BatchResult[T]] = []
        with (
            call.running(held),
            closing(self._driver.side_by_side(self._in_time(call.flows()), call.parallel, call.ahead)) as ended,
        ):
            for part in ended:
                yield call.next_chunk(part, held)
                held.clear()

    def _stream_rows(self, stream: RowStream[T]) -> Generator[BatchResult[T]]:
        with closing(self._driver.one_by_one(self._in_time(stream.flows()))) as parts:
            for part in parts:
                if part.outcomes:
                    yield part

    def _use_own_limits(self) -> None:
        self._driver = self._driver.view(self.settings, self._stop)
        self._zeep = None

    @property
    def zeep(self) -> zeep.Client:
        """A zeep client on the contract in force, for what the catalogue does not have.

        It sends through this client's connections and to its endpoint, with the three headers. Replies are parsed by
        zeep: read them with care. Writes with the bundled contract are refused here too, against a real endpoint.
        """
        from octopus_soap.contracts.zeep_document import zeep_client  # noqa: PLC0415 - zeep is slow to import

        if self._zeep is None:
            self._zeep = zeep_client(self._codec.contract.zeep_document, self.settings.endpoint, self._send_for_zeep)
        return self._zeep

    def _send_for_zeep(self, url: str, body: bytes, headers: Mapping[str, str]) -> requests.Response:
        """Send a message of zeep, unless it is a write that this client would refuse."""
        if self._context.unverified:
            action = next((value for name, value in headers.items() if name.lower() == "soapaction"), "").strip('"')
            reads = {
                self._codec.requests(row.wire_name).action for row in OPERATIONS.values() if row.safety is Safety.READ
            }
            if action not in reads:
                raise unverified(f"the action {action!r}")
        return self._driver.raw(url, body, headers)

    def ping(self, *, timeout: float | None = None) -> Health:
        """Send one cheap request, once, to check the service and the credentials.

        Args:
            timeout: seconds in all; `ping_timeout` of the settings by default.

        Returns:
            What is wrong and where, if anything is; `bool(health)` is True if all is well.

        Raises:
            ClientClosedError: after `close`.
            ConfigError: the timeout is out of range.
        """
        return self._run(self._pinging(timeout))

    def close(self) -> None:
        """Close the connections, if they are open; a session you passed stays open."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncOctopusClient(_Client, AsyncSurface):
    """A client of the Octopus Channel API for asyncio; it needs the extra `async`.

    It is `OctopusClient` with calls that are awaited, and a `stream` that is iterated with `async for`.

    Args:
        endpoint: URL of the service, such as `https://host/OctopusService.svc`.
        authtoken: HTTP header `authtoken`.
        merchantname: HTTP header `merchantname`.
        accessid: HTTP header `accessid`.
        account_id: sent as accountID; the access id by default.
        wsdl: path of a contract; the bundled one by default.
        profile: table of the profile file, for what is not given here.
        settings: ready-made settings, instead of the arguments above.
        omitted_values: what to do about values a write leaves out and the service would read as 0: a choice for all
            operations, or a mapping by wire name. See `OctopusSettings.omitted_values`.
        on_event: called with each `Event`, on the event loop. It must not block; what it raises is logged once and
            breaks no call.
        client_label: names this client in events, log records and spans; it is never sent to the service.

    Raises:
        ConfigError: something is missing or not accepted, or httpx is not installed.
        ContractError: the contract cannot be loaded.

    Vendor's page: Authorization.
    """

    def _connect(self) -> None:
        self._driver = _async_driver(self.settings, self._observer.rate_store)

    async def _run(self, flow: Flow[T]) -> T:
        return await self._driver.run(next(self._in_time(iter((flow,)))))

    async def _run_batches(self, call: BatchCall[T, R]) -> R:
        parts: list[BatchResult[T]] = []
        with call.running(parts):
            async with aclosing(
                self._driver.side_by_side(self._in_time(call.flows()), call.parallel, call.ahead)
            ) as ended:
                async for part in ended:
                    call.absorb(part, parts)
        return call.finish(parts)

    async def _stream_batches(self, call: BatchCall[T, Any]) -> AsyncGenerator[BatchResult[T]]:
        held: list[BatchResult[T]] = []
        with call.running(held):
            async with aclosing(
                self._driver.side_by_side(self._in_time(call.flows()), call.parallel, call.ahead)
            ) as ended:
                async for part in ended:
                    yield call.next_chunk(part, held)
                    held.clear()

    async def _stream_rows(self, stream: RowStream[T]) -> AsyncGenerator[BatchResult[T]]:
        async with aclosing(self._driver.one_by_one(self._in_time(stream.flows()))) as parts:
            async for part in parts:
                if part.outcomes:
                    yield part

    def _use_own_limits(self) -> None:
        self._driver = self._driver.view(self.settings, self._stop)

    async def ping(self, *, timeout: float | None = None) -> Health:  # noqa: ASYNC109 - the whole ping's, kept by the driver
        """Send one cheap request, once, to check the service and the credentials.

        Args:
            timeout: seconds in all; `ping_timeout` of the settings by default.

        Returns:
            What is wrong and where, if anything is; `bool(health)` is True if all is well.

        Raises:
            ClientClosedError: after `aclose`.
            ConfigError: the timeout is out of range.
        """
        return await self._run(self._pinging(timeout))

    async def aclose(self) -> None:
        """Close the connections, if they are open."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


def _async_driver(settings: OctopusSettings, report: Callable[[Exception | None], object]) -> AsyncDriver:
    with needed("AsyncOctopusClient", "async", "httpx"):
        from octopus_soap.transport.async_connections import AsyncConnections  # noqa: PLC0415 - needs the extra
        from octopus_soap.transport.asynchronous import AsyncDriver  # noqa: PLC0415 - needs the extra
    return AsyncDriver(settings, AsyncConnections(settings, report))
