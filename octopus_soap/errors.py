"""Every exception this library raises.

```
OctopusError
├── ConfigError (ValueError)          settings, credentials or contract cannot be used as given
│   ├── ContractError                 the WSDL in force cannot carry what was asked
│   │   └── UnverifiedContractError   a write with the bundled, reconstructed contract against a real endpoint
│   └── ClientClosedError             the client was closed
├── InvalidInputError (ValueError)    refused before the first byte was sent; .problems lists every one
├── TransportError                    no complete HTTP answer
│   ├── ConnectFailedError            nothing was sent: DNS, refused, TLS, no free connection
│   │   └── CircuitOpenError          nothing was sent: the circuit breaker is open; .retry_after
│   └── TimedOutError (TimeoutError)  connect, read or total limit passed
├── HttpStatusError                   an HTTP status that is no SOAP answer
│   └── RateLimitedError              429, or 503 with Retry-After beyond the cap; .retry_after
├── ProtocolError                     an answer that is not the SOAP reply it should be (truncated, HTML, wrong shape)
├── FaultError                        a SOAP fault; .fault_code, .detail
├── ApiStatusError                    an APIResult envelope that is not Success; .status, .message_code
│   └── RejectedError                 the service rejected this one item
├── AuthenticationError               the service did not accept the credentials; .certain
├── OutcomeUnknownError               an unsafe write may or may not have happened: look before you repeat it
├── BatchError                        some items of a list call are failed, unknown or not sent; .result has them all
├── LedgerError                       the jobs' ledger cannot be opened or used
├── JobRunningError                   another run of the job is under way; .holder, .since
└── PushRefusedError                  a push would zero or change too much at once; .zeroed, .changed, .catalogue
```

Facts are keyword attributes; every exception survives pickling and carries `.info` (operation, attempt, HTTP status,
fault code, request id, elapsed) once a call was made.

All text that a service sent passes through `safe_text` when an error is made. So no message is longer than 1 kB, and
none contains a control character, a line end or a secret of an existing client, even if the service echoed it.
"""

from __future__ import annotations

import linecache
import sys
import traceback
import warnings
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from octopus_soap import display
from octopus_soap._http import clip, one_line

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from datetime import datetime

    from octopus_soap.results import BatchResult, CallInfo

_masks: dict[int, weakref.ref[SecretMask]] = {}


class SecretMask(Protocol):
    """Masks the secrets of a client."""

    def text(self, value: str, /) -> str:
        """Return *value* with every secret masked."""
        ...


def register_mask(mask: SecretMask) -> None:
    """Mask the text of every error with *mask*, until it is garbage-collected."""
    number = id(mask)
    _masks[number] = weakref.ref(mask, lambda _: _masks.pop(number, None))


def _known_masks() -> tuple[weakref.ref[SecretMask], ...]:
    while True:
        try:
            return tuple(_masks.values())
        except RuntimeError:  # meanwhile another thread made a client, or the collector freed one
            continue


def safe_text(text: str, limit: int = 2048, *, lines: bool = False) -> str:
    """Return *text* without secrets and control characters, shortened to *limit*.

    Secrets are masked before the text is cut, so that no part of one is left.

    Args:
        text: Any text, such as one that a service sent.
        limit: Maximum length of the result, in bytes.
        lines: True to keep line ends.
    """
    text = text[: 16 * limit]
    for known in _known_masks():
        if (mask := known()) is not None:
            text = mask.text(text)
    return clip("\n".join(map(one_line, text.split("\n"))) if lines else one_line(text), limit)


class OddTextWarning(UserWarning):
    """A column of numbers has texts that are no numbers; they get their own column."""


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the line that called this package, without secrets and on one line."""
    depth, frame = 2, sys._getframe(1)  # noqa: SLF001 - what `warnings` itself counts frames with
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("octopus_soap."):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(safe_text(message, _MESSAGE_LIMIT), category, stacklevel=depth)


_MESSAGE_LIMIT = 800  # bytes; leaves room for the call's facts, so that the whole text stays under 1 kB


class OctopusError(Exception, display.Shown):
    """Base of every exception of this library.

    Attributes:
        message: what was wrong and what to do, without the call's facts.
        info: facts of the call, once one was made.
        hint: the next step, which a traceback shows as a note; empty if the message has it.
        retryable: True if the same call may succeed later, and does no harm. Immediate retries were already made.
    """

    retryable: bool = False
    hint: str = ""

    def __init__(self, message: str, *, info: CallInfo | None = None) -> None:
        self.message = safe_text(message, _MESSAGE_LIMIT)
        super().__init__(self.message)
        self.info = info
        if self.hint and self.hint not in self.message:
            self.add_note(f"Next: {self.hint}")

    def __str__(self) -> str:
        facts = self.info.brief() if self.info else ""
        return one_line(f"{self.message} [{facts}]" if facts else self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own reduce replays positional arguments only, and our facts are keywords. They are restored from
        # __dict__ after the object exists, because a batch's result may refer to the error that carries it.
        # A cause of another library is left out: it may not unpickle elsewhere.
        cause = self.__cause__ if isinstance(self.__cause__, OctopusError) else None
        return _blank, (type(self), self.message), (self.__dict__.copy(), cause)

    def __setstate__(self, state: Any) -> None:
        facts, self.__cause__ = state
        self.__dict__.update(facts)

    def _view(self) -> display.View:
        return display.view_of_error(self)

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows: the caller's lines, the error and its hint."""
        lines = _lines_of_the_caller(self)
        hints = list(getattr(self, "__notes__", ()))
        whole = "the whole traceback: import sys, traceback; traceback.print_exception(sys.last_value)"
        return [*lines, f"{type(self).__name__}: {self}", *hints, whole]

    def with_info(self, info: CallInfo) -> Self:
        """Attach the facts of the call that failed, unless the error has some."""
        if self.info is None:
            self.info = info
        return self


def _lines_of_the_caller(error: BaseException) -> list[str]:
    """Return the lines of cells and files that led to the call of this package."""
    lines: list[str] = []
    for frame, number in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("octopus_soap."):
            break
        if not module.startswith(("IPython.", "ipykernel.", "asyncio.", "concurrent.")):
            name = frame.f_code.co_filename
            where = f"line {number} of the cell" if "ipykernel" in name or name[0] == "<" else f"{name}, line {number}"
            lines.append(f"{where}: {linecache.getline(name, number).strip()}")
    return lines


def _blank(cls: type[OctopusError], message: str) -> OctopusError:
    error = cls.__new__(cls, message)
    error.args = (message,)
    return error


class ConfigError(OctopusError, ValueError):
    """Settings, credentials or contract cannot be used as given."""


class ContractError(ConfigError):
    """The WSDL in force cannot be loaded, or cannot carry what was asked."""


class UnverifiedContractError(ContractError):
    """A write would use the bundled contract against a real endpoint.

    The bundled contract is a reconstruction. A WCF server silently ignores members in a wrong order or namespace, and
    a price could become 0. Pin the live contract (`octopus-soap wsdl pin`), pass one (`wsdl=...`), or accept the risk
    (`accept_unverified_contract=True`).
    """

    hint = "pin the live contract with `octopus-soap wsdl pin`, or give yours as wsdl=..."


class ClientClosedError(ConfigError):
    """The client was closed; make a new one."""

    hint = "make a new client"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the input of a call.

    Attributes:
        message: what is wrong and what is accepted.
        index: position in the input, counted from 0; None if the call takes one value.
        key: the item's SKU or order id, if it has one.
        field: name of the argument or model field.
        value: the offending value, shortened, never a secret.
    """

    message: str
    index: int | None = None
    key: str | None = None
    field: str = ""
    value: str = ""

    def __str__(self) -> str:
        where = "".join(
            [
                "" if self.index is None else f"[{self.index}] ",
                "" if not self.key else f"{self.key!r} ",
                f"{self.field}: " if self.field else "",
            ]
        )
        return f"{where}{self.message}" + (f" (got {self.value})" if self.value else "")


class InvalidInputError(OctopusError, ValueError):
    """The input was refused before the first byte was sent.

    Attributes:
        problems: every offending index and field, not only the first.
        remedy: what to do about all of them, if there is one answer.
    """

    hint = "`.problems` lists each one with its index, key and field; correct them and call again"

    def __init__(
        self,
        problems: Sequence[Problem],
        *,
        info: CallInfo | None = None,
        sent: str = "nothing was sent",
        remedy: str = "",
    ) -> None:
        shown = "; ".join(str(problem) for problem in problems[:5])
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""  # noqa: PLR2004 - five fit a log line
        if remedy:
            self.hint = remedy
        super().__init__(f"{sent}: {shown}{more}{'. ' if remedy else ''}{remedy}", info=info)
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.remedy = remedy


class TransportError(OctopusError):
    """No complete HTTP answer arrived."""

    retryable = True


class ConnectFailedError(TransportError):
    """No connection could be made, so nothing was sent.

    DNS or TLS failed, the server refused, or no connection of the client became free in time.
    """

    hint = "is the endpoint right and the service up? `octopus-soap doctor` looks closer"


class CircuitOpenError(ConnectFailedError):
    """Nothing was sent, because the circuit breaker opened after several failures.

    Attributes:
        retry_after: seconds until the next request may be sent.
    """

    hint = "wait `.retry_after` seconds and call again; client.ping() asks the service in spite of the breaker"

    def __init__(self, message: str, *, retry_after: float = 0.0, info: CallInfo | None = None) -> None:
        super().__init__(message, info=info)
        self.retry_after = retry_after


class TimedOutError(TransportError, TimeoutError):
    """A connect, read or total limit passed before the answer was complete."""

    hint = (
        "call again; if it stays slow, raise the limits with client.with_options(read_timeout=...), or lower batch_size"
    )


class HttpStatusError(OctopusError):
    """The HTTP status is a failure and the body is no SOAP answer.

    Attributes:
        status: the HTTP status code.
        body_excerpt: the first characters of the body, redacted.
    """

    hint = (
        "`.status` and `.body_excerpt` show the answer; is the endpoint the service itself? "
        "`octopus-soap doctor` looks closer"
    )

    def __init__(self, message: str, *, status: int, body_excerpt: str = "", info: CallInfo | None = None) -> None:
        super().__init__(message, info=info)
        self.status = status
        self.body_excerpt = safe_text(body_excerpt, lines=True)
        self.retryable = status in {429, 502, 503, 504}


class RateLimitedError(HttpStatusError):
    """The service asked for a pause longer than the cap, or kept asking.

    Attributes:
        retry_after: seconds the service asked for, None if it named none.
    """

    hint = "wait (`.retry_after` seconds, if the service named them), then send less at once"

    def __init__(
        self,
        message: str,
        *,
        status: int = 429,
        retry_after: float | None = None,
        body_excerpt: str = "",
        info: CallInfo | None = None,
    ) -> None:
        super().__init__(message, status=status, body_excerpt=body_excerpt, info=info)
        self.retry_after = retry_after
        self.retryable = True


class ProtocolError(OctopusError):
    """The answer is not the SOAP reply that was expected.

    It is cut short, too large, HTML, or the reply of another operation.

    Attributes:
        body_excerpt: the first characters of the body, redacted.
    """

    hint = "is the endpoint the service itself, and not a page about it? `.body_excerpt` shows how the answer begins"

    def __init__(self, message: str, *, body_excerpt: str = "", hint: str = "", info: CallInfo | None = None) -> None:
        if hint:
            self.hint = hint
        super().__init__(message, info=info)
        self.body_excerpt = safe_text(body_excerpt, lines=True)


class FaultError(OctopusError):
    """The service answered with a SOAP fault, whatever the HTTP status.

    Attributes:
        fault_code: local name of the fault code, such as `InternalServiceFault`.
        fault_string: the service's text, redacted; it may be localized, so do not branch on it.
        detail: XML text of the detail element, redacted and shortened; empty if absent.
    """

    hint = "`.fault_code` and `.detail` are the service's words; its support finds the call by `.info.request_id`"

    def __init__(
        self, message: str, *, fault_code: str, fault_string: str = "", detail: str = "", info: CallInfo | None = None
    ) -> None:
        super().__init__(message, info=info)
        self.fault_code = safe_text(fault_code, 240)[:60]
        self.fault_string = safe_text(fault_string)
        self.detail = safe_text(detail, lines=True)


class ApiStatusError(OctopusError):
    """An APIResult envelope whose Status is not Success.

    Attributes:
        status: the Status text, such as `Failure`.
        message_code: the service's number; the vendor publishes no table of them.
        data: "operation specific data which caused the failure", if sent.
    """

    hint = "the message is the service's; `.status`, `.message_code` and `.data` have what it sent"

    def __init__(
        self,
        message: str,
        *,
        status: str,
        message_code: int | None = None,
        data: str | None = None,
        info: CallInfo | None = None,
    ) -> None:
        super().__init__(message, info=info)
        self.status = safe_text(str(status), 240)
        self.message_code = message_code
        self.data = None if data is None else safe_text(data, lines=True)


class RejectedError(ApiStatusError):
    """The service rejected this one item.

    Attributes:
        key: the item's SKU or order id.
        row: what the service answered about the item: its row of the answer, or the number of a delete; None if there
            was no row.
    """

    hint = "change what the service names; repeated unchanged, it gives the same answer"

    def __init__(
        self,
        message: str,
        *,
        key: str = "",
        status: str = "Success",
        message_code: int | None = None,
        data: str | None = None,
        row: Any = None,
        info: CallInfo | None = None,
    ) -> None:
        super().__init__(message, status=status, message_code=message_code, data=data, info=info)
        self.key = key
        self.row = row


class AuthenticationError(OctopusError):
    """The service did not accept authtoken, merchantname and accessid.

    Attributes:
        certain: False if the service only answered with its generic internal fault before any call of this client
            had succeeded: wrong credentials are the usual cause, an outage looks the same.
        nothing_done: False if only the words of a fault of the server are about credentials. They may be those of
            another system, after the request was carried out.
    """

    hint = "check authtoken, merchantname and accessid: the arguments, the OCTOPUS_ variables, the profile"

    def __init__(
        self, message: str, *, certain: bool = True, nothing_done: bool = True, info: CallInfo | None = None
    ) -> None:
        super().__init__(message, info=info)
        self.certain = certain
        self.nothing_done = nothing_done


class OutcomeUnknownError(OctopusError):
    """An unsafe write may or may not have been carried out; it was not repeated.

    The failure that left it open is the `__cause__`. Look at the service's state before you send it again.
    """

    hint = "look at the service's state before you send it again"


class BatchError(OctopusError):
    """Some items of a list call are failed, unknown or not sent.

    Attributes:
        result: the whole result, one outcome per input: finished work is not lost.
        causes: what the items failed with, each error once, in the order of the items; empty if a stop came first.
        retryable: repeating may finish some of the items and does no harm: a cause is retryable, or a stop came first.
            Of an unsafe write it is true only if nothing was done; `.result.retry_inputs()` is always safe to send.
        retry_after: seconds to wait before that, the longest that a cause names; None if none does.
    """

    hint = "`.result` has every outcome; send `.result.retry_inputs()` again, and look at `.result.unknown` first"

    def __init__(self, message: str, *, result: BatchResult[Any], info: CallInfo | None = None) -> None:
        super().__init__(message, info=info)
        self.result = result
        unfinished = result.unfinished
        self.causes: tuple[OctopusError, ...] = tuple(
            {id(o.error): o.error for o in unfinished if o.error is not None}.values()
        )
        named = [seconds for cause in self.causes if (seconds := getattr(cause, "retry_after", None)) is not None]
        self.retry_after: float | None = max(named, default=None)
        worth = any(o.status == "not_sent" if o.error is None else o.error.retryable for o in unfinished)
        harmless = result.repeatable or all(o.status in {"failed", "not_sent"} for o in result.outcomes)
        self.retryable = worth and harmless


class LedgerError(OctopusError):
    """The jobs' ledger cannot be opened or used, or belongs to another account.

    `retryable` is true if the database could not be reached, or was locked or full.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class JobRunningError(OctopusError):
    """Another run of the job is under way; nothing was done.

    Attributes:
        job: such as `push`.
        holder: the process that runs it.
        since: when it began, by the ledger's clock.
    """

    def __init__(self, job: str, holder: str, since: datetime) -> None:
        super().__init__(f"another run of {job} is under way: {holder}, since {since:%Y-%m-%d %H:%M:%S} UTC")
        self.job, self.holder, self.since = job, holder, since


class PushRefusedError(OctopusError):
    """A push would change too much, or set a price to 0; nothing was sent.

    Attributes:
        zeroed: number of SKUs whose stock would become 0.
        changed: number of SKUs that the service has acknowledged and that would change.
        catalogue: number of SKUs in the catalogue, of which the limits are shares.
        cheaper: number of SKUs whose price would become 0, or fall by more than the limit.
        reason: which limit is exceeded, without the advice.
    """

    def __init__(
        self, message: str, *, zeroed: int, changed: int, catalogue: int, cheaper: int = 0, reason: str = ""
    ) -> None:
        super().__init__(message)
        self.zeroed, self.changed, self.catalogue, self.cheaper = zeroed, changed, catalogue, cheaper
        self.reason = reason


@contextmanager
def needed(for_what: str, extra: str, module: str) -> Generator[None]:
    """Raise an error that names *extra* if *module* cannot be imported in this block.

    Args:
        for_what: what needs the module, as the message begins.
        extra: the extra of this package that installs it.
        module: its name; the error of any other missing module is not changed.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != module:
            raise
        raise ConfigError(f"{for_what} needs {module}: pip install 'octopus-soap[{extra}]'") from None
