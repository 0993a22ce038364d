"""Events: what a client reports to its `on_event` while it works.

```python
def hook(event: Event) -> None:
    if isinstance(event, RetryScheduled):
        print(event.operation, event.failure, event.pause)

client = OctopusClient(on_event=hook)
```

A hook runs on the thread that makes the request, so it must not block: the caller's thread, the worker threads of a
call of several batches (so several at once), or the event loop. What it raises is logged once and breaks no call.

For one request, `RequestStarted` comes first, then a `RetryScheduled` per repeat, then `RequestFinished`, and
`DriftSeen` if its answer had members the models do not have. `BreakerOpened` or `BreakerClosed` comes between them if
an attempt changed the circuit breaker. `RequestFinished` comes however the request ends, also by a cancelled task or
Ctrl-C. For one batch of a list call, an `ItemRejected` comes per item the service rejected, then `BatchDone`. No event
holds a secret; `ItemRejected` alone names an item. Every event is a small frozen record, and has the `client_label` of
the settings, which distinguishes the clients of a process, such as those of a fleet's merchants.
"""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

from octopus_soap.errors import ConfigError
from octopus_soap.observe.observer import counted
from octopus_soap.results import OutcomeStatus
from octopus_soap.settings import server_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octopus_soap.engine.effects import FailureKind
    from octopus_soap.engine.request import RequestTrace
    from octopus_soap.errors import OctopusError, RejectedError
    from octopus_soap.observe.observer import Tally
    from octopus_soap.results import CallInfo, ItemOutcome

_logger = logging.getLogger("octopus_soap")


@dataclass(frozen=True, slots=True)
class RequestStarted:
    """A SOAP request begins: its first attempt is next.

    Attributes:
        operation: wire name, such as `GetItemList`.
        request_id: our id of the request, sent with each of its attempts as `X-Request-ID`.
        sent_bytes: size of its body.
        server_address: host of the endpoint.
        server_port: port of the endpoint.
        client_label: the label of the client; empty if it has none.
    """

    operation: str
    request_id: str
    sent_bytes: int
    server_address: str
    server_port: int
    client_label: str = ""


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """An attempt failed, and the request is sent again after a pause.

    Attributes:
        operation: wire name.
        request_id: our id of the request.
        attempt: the attempt that failed, counted from 1.
        failure: the kind of failure, such as `ambiguous` or `throttled`.
        pause: seconds until the next attempt.
        elapsed: seconds spent on the request so far.
        client_label: the label of the client; empty if it has none.
    """

    operation: str
    request_id: str
    attempt: int
    failure: str
    pause: float
    elapsed: float
    client_label: str = ""


@dataclass(frozen=True, slots=True)
class BreakerOpened:
    """The circuit breaker opened: nothing is sent for `breaker_seconds`.

    It opens again if the request that then tries the service fails.

    Attributes:
        operation: wire name of the request whose failure opened it.
        request_id: our id of that request.
        error: class name of its failure, such as `TimedOutError`.
        client_label: the label of the client; empty if it has none.
    """

    operation: str
    request_id: str
    error: str
    client_label: str = ""


@dataclass(frozen=True, slots=True)
class BreakerClosed:
    """The circuit breaker closed, because the service answered a request.

    Attributes:
        operation: wire name of the request that was answered.
        request_id: our id of that request.
        client_label: the label of the client; empty if it has none.
    """

    operation: str
    request_id: str
    client_label: str = ""


@dataclass(frozen=True, slots=True)
class RateStoreLost:
    """The rate limit store is lost, so this process keeps the rate by itself.

    Attributes:
        error: class name of the reason, such as `ConnectionError`.
        operation: empty, because the event belongs to no request.
        request_id: empty.
        client_label: the label of the client; empty if it has none.
    """

    error: str
    operation: str = ""
    request_id: str = ""
    client_label: str = ""


@dataclass(frozen=True, slots=True)
class RateStoreBack:
    """The rate limit store answers again.

    Attributes:
        operation: empty, because the event belongs to no request.
        request_id: empty.
        client_label: the label of the client; empty if it has none.
    """

    operation: str = ""
    request_id: str = ""
    client_label: str = ""


@dataclass(frozen=True, slots=True)
class RequestFinished:
    """A SOAP request ended, with all its attempts.

    It is `ok` if the service answered what was asked. An item that was rejected is no failure of the
    request: see `ItemRejected` and `BatchDone`.

    Attributes:
        operation: wire name.
        request_id: our id of the request.
        info: its facts, as on results and exceptions.
        failure: why it is not ok: the kind of its last failure, such as `ambiguous` or `refused`, or `abandoned` if
            the caller ended it (a cancelled task, Ctrl-C, a stream closed under way); None if it is ok.
        error: class name of the exception it raised; None if it is ok or abandoned.
        client_label: the label of the client; empty if it has none.
    """

    operation: str
    request_id: str
    info: CallInfo
    failure: str | None = None
    error: str | None = None
    client_label: str = ""

    @property
    def ok(self) -> bool:
        """True if the service answered what was asked."""
        return self.failure is None


@dataclass(frozen=True, slots=True)
class DriftSeen:
    """An answer had members that the models do not have: the service has changed.

    Attributes:
        operation: wire name.
        request_id: our id of the request.
        members: how often each came, by `Type.Member`.
        client_label: the label of the client; empty if it has none.
    """

    operation: str
    request_id: str
    members: dict[str, int]
    client_label: str = ""


@dataclass(frozen=True, slots=True)
class ItemRejected:
    """The service rejected an item.

    Attributes:
        operation: wire name.
        index: position in the inputs of a list call, counted from 0; None for a call of one item.
        key: SKU or order id.
        message: the service's words.
        client_label: the label of the client; empty if it has none.
    """

    operation: str
    index: int | None
    key: str
    message: str
    client_label: str = ""


@dataclass(frozen=True, slots=True)
class BatchDone:
    """A batch of a list call ended: every input of it has an outcome.

    Attributes:
        operation: wire name.
        batch: which one, counted from 0 in input order; batches of a read end in any order.
        counts: inputs by outcome, such as `{"ok": 98, "rejected": 2}`.
        requests: requests it took, those of its halves and of `read_first` included.
        elapsed: seconds these took in all.
        client_label: the label of the client; empty if it has none.
    """

    operation: str
    batch: int
    counts: dict[str, int]
    requests: int
    elapsed: float
    client_label: str = ""


Event: TypeAlias = (
    RequestStarted
    | RetryScheduled
    | BreakerOpened
    | BreakerClosed
    | RateStoreLost
    | RateStoreBack
    | RequestFinished
    | DriftSeen
    | ItemRejected
    | BatchDone
)
"""The argument of a hook."""

_UNFINISHED = frozenset({"failed", "unknown", "not_sent"})
_SHOWN_MEMBERS = 20


def combine(*hooks: Callable[[Event], object]) -> Callable[[Event], None]:
    """Return a hook that calls several in their order, even if one of them raises.

    Args:
        hooks: such as `log_events()` and an `OpenTelemetryEvents`.
    """

    def hook(event: Event) -> None:
        raised: Exception | None = None
        for each in hooks:
            try:
                each(event)
            except Exception as error:  # noqa: BLE001 - raised below, after the others were called
                raised = raised or error
        if raised is not None:
            raise raised

    return hook


def log_events(logger: logging.Logger | None = None, level: int = logging.INFO) -> Callable[[Event], None]:
    """Return a hook that writes one log record per event.

    The message has the client's label if it has one, the operation and what happened, and no other facts. Those are
    fields of the record (`extra`), each named `octopus_...`: a JSON formatter, or structlog's, writes them out.
    `octopus_event` is the event's class name.

    A request that ended well is logged at *level*, its start and a batch that ended well at DEBUG. Everything else is a
    WARNING, such as a failed request, a repeat, a rejected item, or a circuit breaker that opens or closes.

    Args:
        logger: writes the records; `octopus_soap.events` by default.
        level: of a request that ended well.
    """
    to = logger or logging.getLogger("octopus_soap.events")

    def hook(event: Event) -> None:
        text, wanted = _worded(event, level)
        if to.isEnabledFor(wanted):
            facts = {f"octopus_{name}": value for name, value in _facts(event).items()}
            extra = {"octopus_event": type(event).__name__, **facts}
            words = f"{event.operation} {text}" if event.operation else text
            if event.client_label:
                to.log(wanted, "%s: %s", event.client_label, words, extra=extra)
            else:
                to.log(wanted, "%s", words, extra=extra)

    return hook


_WARNINGS: dict[type, str] = {
    RetryScheduled: "is repeated",
    BreakerOpened: "opened the circuit breaker",
    BreakerClosed: "closed the circuit breaker",
    RateStoreLost: "the rate limit store cannot be reached",
    RateStoreBack: "the rate limit store answers again",
    DriftSeen: "answered with unknown members",
    ItemRejected: "rejected an item",
}


def _worded(event: Event, level: int) -> tuple[str, int]:
    match event:
        case RequestStarted():
            return "started", logging.DEBUG
        case RequestFinished():
            return ("finished", level) if event.ok else ("failed", logging.WARNING)
        case BatchDone():
            whole = _UNFINISHED.isdisjoint(event.counts)
            return ("batch done", logging.DEBUG) if whole else ("batch left items undone", logging.WARNING)
        case _:
            return _WARNINGS[type(event)], logging.WARNING


def _facts(event: Event) -> dict[str, Any]:
    found = {field.name: getattr(event, field.name) for field in fields(event)}
    if not event.client_label:
        del found["client_label"]
    if isinstance(event, RequestFinished):
        info = found.pop("info")
        for name in ("attempts", "http_status", "fault_code", "elapsed", "sent_bytes", "received_bytes"):
            found[name] = getattr(info, name)
    if isinstance(event, DriftSeen):
        found["members"] = dict(list(event.members.items())[:_SHOWN_MEMBERS])
    return found


# -- events of a client ------------------------------------------------------------------------------------------------


class Hook:
    """Calls a user's hook, and logs what it raises once instead of raising it.

    Raises:
        ConfigError: it cannot be called, or would have to be awaited.
    """

    def __init__(self, call: Callable[[Event], object]) -> None:
        if not callable(call):
            raise ConfigError(f"on_event must be something to call, not a {type(call).__name__}")
        if inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None)):  # noqa: B004 - an object's own method, to see whether it is asynchronous
            raise ConfigError("on_event is called and not awaited: pass a plain function, and create tasks in it")
        self._call = call
        self._reported = False

    def __call__(self, event: Event) -> None:
        """Pass *event* on."""
        try:
            self._call(event)
        except Exception as error:
            if not self._reported:
                self._reported = True
                name = getattr(self._call, "__qualname__", type(self._call).__qualname__)
                _logger.error(  # noqa: TRY400 - the traceback may show what the hook was given: at DEBUG only
                    "the on_event hook %s raised %s; calls go on, and it is not reported again",
                    name,
                    type(error).__name__,
                )
                _logger.debug("what the on_event hook raised", exc_info=True)


class EventObserver:
    """The `Observer` of a client with a hook: counts, then passes an event to it.

    Args:
        tally: counts, shared by a client and its views.
        endpoint: URL of the service.
        redact: masks the client's secrets in a text.
        hook: gets the events.
        label: the client's label, which every event has.
    """

    __slots__ = ("_hook", "_label", "_redact", "_server", "_tally")

    def __init__(self, tally: Tally, endpoint: str, redact: Callable[[str], str], hook: Hook, label: str = "") -> None:
        self._tally = tally
        self._server = server_of(endpoint)
        self._redact = redact
        self._hook = hook
        self._label = label

    def started(self, info: CallInfo, /) -> None:
        """Report a request that begins."""
        self._tally.started(info)
        self._hook(RequestStarted(info.operation, info.request_id, info.sent_bytes, *self._server, self._label))

    def retrying(self, info: CallInfo, kind: FailureKind, pause: float, /) -> None:
        """Report that a request will be repeated."""
        self._tally.retrying(info, kind, pause)
        facts = (info.operation, info.request_id, info.attempts, kind.value, pause, info.elapsed)
        self._hook(RetryScheduled(*facts, self._label))

    def breaker(self, info: CallInfo, error: OctopusError | None, /) -> None:
        """Report that the circuit breaker opened because of *error*, or closed."""
        self._tally.breaker(info, error)
        if error is None:
            self._hook(BreakerClosed(info.operation, info.request_id, self._label))
        else:
            self._hook(BreakerOpened(info.operation, info.request_id, type(error).__name__, self._label))

    def rate_store(self, error: Exception | None) -> None:
        """Report that the rate limit store is lost because of *error*, or is back."""
        self._tally.rate_store(error)
        if error is None:
            self._hook(RateStoreBack(client_label=self._label))
        else:
            self._hook(RateStoreLost(type(error).__name__, client_label=self._label))

    def finished(self, trace: RequestTrace, /) -> None:
        """Report a request that ended."""
        self._tally.finished(trace)
        info = trace.info
        error = None if trace.error is None or trace.abandoned else type(trace.error).__name__
        self._hook(RequestFinished(info.operation, info.request_id, info, trace.failure, error, self._label))
        if info.drift:
            members = {self._redact(name): times for name, times in info.drift.items()}
            self._hook(DriftSeen(info.operation, info.request_id, members, self._label))

    def rejected(self, info: CallInfo, error: RejectedError, /) -> None:
        """Report a rejection of the item of a single call."""
        self._tally.rejected(info, error)
        self._hook(ItemRejected(info.operation, None, error.key, self._redact(error.message), self._label))

    def batch(
        self, operation: str, index: int, outcomes: Sequence[ItemOutcome[Any]], calls: Sequence[CallInfo], /
    ) -> None:
        """Report a batch that ended, after the items of it that the service rejected."""
        self._tally.batch(operation, index, outcomes, calls)
        counts = counted(outcomes)
        if "rejected" in counts:
            for outcome in outcomes:
                if outcome.status is OutcomeStatus.REJECTED:
                    message = self._redact(outcome.message)
                    self._hook(ItemRejected(operation, outcome.index, outcome.key, message, self._label))
        elapsed = sum(call.elapsed for call in calls)
        self._hook(BatchDone(operation, index, counts, len(calls), elapsed, self._label))
