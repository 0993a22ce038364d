"""Recordings of a client's requests and answers, to read and to replay.

    with record_traffic(client) as recording:
        client.get_order_list()
    recording.save("bug-report")

    with replay_traffic(client, Recording.load("bug-report")):
        client.get_order_list()  # answered from the files; nothing is sent

Secrets and personal data are masked before an exchange is stored, so that not even a repr or a core dump has more than
the files. A recording has no request headers and no address, and only those headers of an answer that the client uses.

Exchanges are recorded between flows and their driver, so both clients are recorded alike: every attempt, with the body
decompressed, and every failure without an answer. Calls of `client.zeep` are not recorded.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from octopus_soap._http import private_opener
from octopus_soap._version import __version__
from octopus_soap.engine.effects import FailureKind, Send, SendFailure, drive
from octopus_soap.errors import ConnectFailedError, OctopusError, ProtocolError, TimedOutError, TransportError
from octopus_soap.wire.decode import Reply
from octopus_soap.wire.redact import Masker, Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from os import PathLike

    from octopus_soap.client import AsyncOctopusClient, OctopusClient
    from octopus_soap.engine.effects import Attempt, Effect, Flow

T = TypeVar("T")
INDEX = "index.json"
FORMAT = 1
_KEPT_HEADERS = ("content-type", "date", "retry-after", "server")
_ERRORS: dict[str, type[OctopusError]] = {
    error.__name__: error for error in (ConnectFailedError, ProtocolError, TimedOutError, TransportError)
}
_BETWEEN_TAGS = re.compile(r">\s+<")


class NotRecordedError(LookupError):
    """A replay has no answer, or no answer left, for a request."""


@dataclass(frozen=True, slots=True)
class RecordedExchange:
    """One attempt: a request, and its answer or its failure.

    Attributes:
        number: position in the recording, from 1, in the order the exchanges ended.
        operation: wire name, such as `GetItemList`.
        action: the SOAPAction, unquoted.
        request_id: our id of the call; attempts of one call share it.
        attempt: 1 for the first.
        elapsed: seconds until the answer was complete, or until it failed.
        request: the envelope sent, masked.
        status: HTTP status; None if no answer came.
        headers: headers of the answer by lower-case name: content-type, date, retry-after, server.
        reply: the answer's body, masked; None if no answer came.
        failure: the kind of failure, such as `ambiguous`; empty if an answer came.
        error: class and text of the failure; empty if an answer came.
    """

    number: int
    operation: str
    action: str
    request_id: str
    attempt: int
    elapsed: float
    request: str = field(repr=False)
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    reply: str | None = field(default=None, repr=False)
    failure: str = ""
    error: str = ""

    @property
    def stem(self) -> str:
        """The name of its files: `0001-GetItemList`."""
        return f"{self.number:04}-{self.operation}"


class Recording:
    """Exchanges in the order they ended.

    Attributes:
        exchanges: what was recorded so far.
    """

    def __init__(self, exchanges: Iterable[RecordedExchange] = ()) -> None:
        self.exchanges: list[RecordedExchange] = list(exchanges)

    def __repr__(self) -> str:
        return f"<Recording of {len(self.exchanges)} exchanges>"

    def __eq__(self, other: object) -> bool:
        return self.exchanges == other.exchanges if isinstance(other, Recording) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # it grows while it records

    def save(self, folder: str | PathLike[str]) -> Path:
        """Write one XML file per request and per answer, and `index.json` with the rest.

        Args:
            folder: made if it does not exist. A recording in it is replaced, other files stay.

        Returns:
            The folder.

        Raises:
            OSError: it cannot be written.
            ValueError: the folder has an `index.json` that is not a recording's.
        """
        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        if (home / INDEX).exists():
            for row in _rows(home):
                for name in (row.get("request"), row.get("reply")):
                    if name:
                        _inside(home, name).unlink(missing_ok=True)
        rows: list[dict[str, Any]] = []
        for exchange in self.exchanges:
            row = asdict(exchange)
            for part in ("request", "reply"):
                text = row[part]
                row[part] = None if text is None else f"{exchange.stem}.{part}.xml"
                if text is not None:
                    _write(home / row[part], text)
            rows.append(row)
        index = {"format": FORMAT, "octopus_soap": __version__, "exchanges": rows}
        _write(home / INDEX, json.dumps(index, indent=2, ensure_ascii=False) + "\n")
        return home

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Recording:
        """Read a saved recording.

        Args:
            folder: the folder of `save`.

        Raises:
            FileNotFoundError: there is none, or one of its files is missing.
            ValueError: it is not a recording, or has a format that this version does not read.
        """
        home = Path(folder)
        return cls(_exchange(home, row) for row in _rows(home))


def _write(path: Path, text: str) -> None:
    with open(path, "w", encoding="utf-8", newline="", opener=private_opener) as file:
        file.write(text)


def _rows(home: Path) -> list[dict[str, Any]]:
    path = home / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        known, rows = index["format"] == FORMAT, list(index["exchanges"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is not a recording's index: {error!r}") from None
    if not known:
        raise ValueError(f"{path} is of format {index['format']!r}; this version reads {FORMAT}")
    return rows


def _exchange(home: Path, row: dict[str, Any]) -> RecordedExchange:
    known = {part.name for part in fields(RecordedExchange)}
    try:
        texts: dict[str, Any] = {
            part: None if row[part] is None else _inside(home, row[part]).read_bytes().decode()
            for part in ("request", "reply")
        }
        return RecordedExchange(**{**{name: row[name] for name in known}, **texts})
    except (KeyError, TypeError) as error:
        raise ValueError(f"{home / INDEX}: an exchange cannot be read: {error!r}") from None


def _inside(home: Path, name: str) -> Path:
    # A recording may come from a stranger, so its index may name only files next to it.
    if Path(name).name != name or not name.endswith(".xml"):
        raise ValueError(f"{home / INDEX}: {name!r} is not the name of a file of a recording")
    return home / name


# -- taking and replaying ------------------------------------------------------------------------------------------


@contextmanager
def record_traffic(client: OctopusClient | AsyncOctopusClient) -> Generator[Recording]:
    """Record the exchanges of a client and of all its views while the block runs.

    The client sends as before. Secrets are masked, and so is every text whose element is not known to be harmless:
    names, addresses, telephone numbers, e-mail addresses, comments, cards, and unknown members. SKUs, order numbers,
    prices, costs and quantities are shown: read a recording before you give it away.

    Args:
        client: blocking or asynchronous.

    Yields:
        The recording; it grows as exchanges end.
    """
    recording, masker, lock = Recording(), _masker_of(client), threading.Lock()

    def noted(effect: Effect) -> Flow[Any]:
        answer: Any = yield effect
        if isinstance(effect, Send):
            taken = _taken(masker, effect.attempt, answer)
            with lock:
                recording.exchanges.append(replace(taken, number=len(recording.exchanges) + 1))
        return answer

    with _tapped(client, lambda flow: drive(flow, noted)):
        yield recording


@contextmanager
def replay_traffic(
    client: OctopusClient | AsyncOctopusClient,
    recording: Recording,
    *,
    match: Literal["request", "operation"] = "request",
) -> Generator[None]:
    """Answer a client and its views from a recording, and send nothing.

    Args:
        client: blocking or asynchronous. Its endpoint and credentials are not used.
        recording: the answers. Each exchange is used once, in the order recorded.
        match: `request` answers a request that equals a recorded request after masking; `operation` answers any
            request with the next exchange of its operation.

    Raises:
        NotRecordedError: inside the block, if the recording has no answer to a request.
    """
    masker, lock = _masker_of(client), threading.Lock()
    left = list(recording.exchanges)

    def answered(effect: Effect) -> Flow[Any]:
        if not isinstance(effect, Send):
            return (yield effect)
        exchange = effect.attempt  # the driver does not get the effect, so nothing is sent
        asked = _BETWEEN_TAGS.sub("><", masker.body(exchange.body))
        with lock:
            for place, known in enumerate(left):
                same = match == "operation" or _BETWEEN_TAGS.sub("><", known.request) == asked
                if known.operation == exchange.operation and same:
                    return _answered(left.pop(place))
            others = sum(known.operation == exchange.operation for known in left)
        raise NotRecordedError(
            f"the recording has no answer left to this {exchange.operation}; "
            f"{others} unused exchanges of {exchange.operation} were recorded with other requests: {asked[:1000]}"
        )

    with _tapped(client, lambda flow: drive(flow, answered)):
        yield


def _masker_of(client: OctopusClient | AsyncOctopusClient) -> Masker:
    return Masker(Redactor([*client.settings.secrets(), client.settings.merchantname]))


@contextmanager
def _tapped(client: OctopusClient | AsyncOctopusClient, tap: Callable[[Flow[Any]], Flow[Any]]) -> Generator[None]:
    connections = client._driver._connections  # noqa: SLF001 - not public; all views of a client share it
    before = connections.tap
    connections.tap = tap if before is None else lambda flow: before(tap(flow))
    try:
        yield
    finally:
        connections.tap = before


def _taken(masker: Masker, exchange: Attempt, answer: Reply | SendFailure) -> RecordedExchange:
    taken = RecordedExchange(
        number=0,
        operation=exchange.operation,
        action=exchange.action,
        request_id=exchange.request_id,
        attempt=exchange.number,
        elapsed=round(answer.elapsed, 6),
        request=masker.body(exchange.body),
    )
    if isinstance(answer, SendFailure):
        error = f"{type(answer.error).__name__}: {masker.text(answer.error.message)}"
        return replace(taken, failure=answer.kind.value, error=error)
    headers = {name: masker.text(answer.headers[name]) for name in _KEPT_HEADERS if name in answer.headers}
    return replace(taken, status=answer.status, headers=headers, reply=masker.body(answer.body))


def _answered(known: RecordedExchange) -> Reply | SendFailure:
    if known.status is not None:
        return Reply(known.status, dict(known.headers), (known.reply or "").encode(), known.elapsed)
    name, _, message = known.error.partition(": ")
    return SendFailure(FailureKind(known.failure), _ERRORS.get(name, TransportError)(message), known.elapsed)
