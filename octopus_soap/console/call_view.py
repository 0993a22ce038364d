"""A call of the emulator as pages show it: masked, indented, with notes."""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from octopus_soap.wire.redact import MASK, Masker, Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from octopus_soap.emulator import CallRecord, Emulator, LintNote, Merchant
    from octopus_soap.testing.recording import RecordedExchange

MOST_SHOWN = 262_144
"""A page shows this many bytes of a message; the rest can be downloaded."""
_MOST_CURL = 100_000
_BAD_REQUEST = 400
_TOKENS = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<[^<>]*>|[^<]+|<", re.DOTALL)
_NAME = re.compile(r"</?\s*([^\s/>]+)")
_TAG = re.compile(r"(</?)([^\s/>]+)(.*?)(/?>)$", re.DOTALL)
_STEP = re.compile(r"([^\[\]]+)(?:\[(\d+)\])?$")
_ACCOUNT = re.compile(rf"(<(?:\w+:)?accountID(?:\s[^>]*)?>){re.escape(MASK)}(?=<)")
_NAMESPACE = re.compile(r"\{[^{}]*\}")
_DEEPEST = 24

OUTCOMES = {
    "ok": "answered",
    "failure": "the service answered Failure",
    "fault": "a SOAP fault",
    "http": "an HTTP error",
    "cut": "the connection was cut: no answer",
    "open": "under way",
}


def outcome_of(call: CallRecord) -> str:
    """Return what became of a call, as a key of `OUTCOMES`."""
    if call.status is None:
        return "open" if call.seconds is None else "cut"
    head, tail = call.reply[:2000], call.reply[-400:]
    if b"Fault>" in head or b":Fault " in head:
        return "fault"
    if call.status >= _BAD_REQUEST:
        return "http"
    return "failure" if b"Status>Failure<" in tail else "ok"


@dataclass(slots=True)
class Line:
    """One line of a message: its depth, its text as HTML, and the notes about it."""

    depth: int
    html: Markup
    notes: list[LintNote] = field(default_factory=list["LintNote"])


def lines_of(text: str, notes: Sequence[LintNote] = ()) -> list[Line]:
    """Return a message as indented lines, with each note at its element."""
    if not text.lstrip("\ufeff \t\r\n").startswith("<"):
        return [Line(0, escape(line)) for line in text.splitlines()]
    indenter = _Indenter(notes)
    for token in _TOKENS.findall(text):
        indenter.take(token)
    return indenter.lines


class _Indenter:
    """Makes indented lines of a message, which need not be well-formed."""

    def __init__(self, notes: Sequence[LintNote]) -> None:
        self.lines: list[Line] = []
        self._notes = [(note, _steps(note.path)) for note in notes]
        self._path: list[tuple[str, int]] = []
        self._counts: list[dict[str, int]] = [{}]
        self._open = ""  # the element that the last line began, if only text followed

    def take(self, token: str) -> None:
        """Add a tag, a text, a comment or another token."""
        if not token.startswith("<"):
            self._text(token)
        elif token.startswith(("<!", "<?")) or len(token) == 1:
            self._add(Markup('<span class="x-mark">{}</span>').format(token))
        elif token.startswith("</"):
            self._end(token)
        else:
            self._begin(token)

    def _add(self, html: Markup) -> None:
        self.lines.append(Line(min(len(self._path), _DEEPEST), html))

    def _text(self, token: str) -> None:
        if not token.strip():
            return
        html = Markup('<span class="x-text">{}</span>')
        if self._open:
            self.lines[-1].html += html.format(token)
        else:
            self._add(html.format(token.strip()))

    def _end(self, token: str) -> None:
        if self._path:
            self._path.pop()
            self._counts.pop()
        if self._open == _local(token):
            self.lines[-1].html += _shown_tag(token)
        else:
            self._add(_shown_tag(token))
        self._open = ""

    def _begin(self, token: str) -> None:
        name = _local(token)
        counts = self._counts[-1]
        counts[name] = counts.get(name, 0) + 1
        here = (name, counts[name])
        self._add(_shown_tag(token))
        if self._notes and len(self._path) > 1:  # below Envelope and Body
            own = [*self._path[2:], here]
            self.lines[-1].notes = [note for note, steps in self._notes if _is_at(own, steps)]
        self._open = ""
        if not token.endswith("/>"):
            self._path.append(here)
            self._counts.append({})
            self._open = name


def _local(tag: str) -> str:
    found = _NAME.match(tag)
    return found[1].rpartition(":")[2] if found else ""


def _shown_tag(token: str) -> Markup:
    found = _TAG.match(token)
    if found is None:
        return escape(token)
    form = Markup('<span class="x-mark">{}</span><span class="x-name">{}</span><span class="x-mark">{}{}</span>')
    return form.format(*found.groups())


def _steps(path: str) -> list[tuple[str, int]]:
    steps = [_STEP.match(part) for part in path.split("/")]
    return [(step[1], int(step[2] or 0)) for step in steps if step is not None]


def _is_at(own: list[tuple[str, int]], steps: list[tuple[str, int]]) -> bool:
    return len(own) == len(steps) and all(
        name == wanted and number in {0, nth} for (name, nth), (wanted, number) in zip(own, steps, strict=True)
    )


@dataclass(slots=True)
class Finding:
    """Equal notes of a call, with the paths of their elements."""

    what: str
    detail: str
    paths: list[str]


def findings(notes: Iterable[LintNote]) -> list[Finding]:
    """Return the notes of a call, equal ones merged, schema errors last."""
    found: dict[tuple[str, str], Finding] = {}
    for note in notes:
        detail = _NAMESPACE.sub("", note.detail)
        found.setdefault((note.what, detail), Finding(note.what, detail, [])).paths.append(note.path)
    return sorted(found.values(), key=lambda finding: finding.what == "schema")


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a reply, ready to be shown."""

    lines: list[Line]
    size: int
    kept: bool
    cut: bool


class CallView:
    """Shows the calls of one emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._redactor = Redactor(_credentials(emulator.merchants))

    def masked(self, body: bytes) -> str:
        """Return a message as text without secrets."""
        return self._redactor.body(body)

    def request(self, call: CallRecord) -> Message:
        """Return the request."""
        return self._message(call.request, call.request_size, call.notes)

    def reply(self, call: CallRecord) -> Message:
        """Return the reply."""
        return self._message(plain(call), call.reply_size)

    def _message(self, body: bytes, size: int, notes: Sequence[LintNote] = ()) -> Message:
        text = self.masked(body[:MOST_SHOWN])
        return Message(lines_of(text, notes), size, kept=bool(body) or not size, cut=len(body) > MOST_SHOWN)

    def curl(self, call: CallRecord, url: str) -> str:
        """Return a curl command that repeats the call with the variables of `serve`."""
        if len(call.request) > _MOST_CURL:
            return ""
        body = self.masked(call.request)
        for sign in ("\\", "$", "`"):  # the here-document is not quoted, because it has the account's variable
            body = body.replace(sign, f"\\{sign}")
        body = _ACCOUNT.sub(r"\1$OCTOPUS_ACCESSID", body)
        end = "XML"
        while end in body.splitlines():
            end += "_"
        action = call.headers.get("soapaction", "").replace("'", "")
        kind = call.headers.get("content-type", "text/xml; charset=utf-8").replace("'", "")
        return "\n".join(
            [
                f"curl -sS '{url}' -H 'Content-Type: {kind}' -H 'SOAPAction: {action}' \\",
                '  -H "authtoken: $OCTOPUS_AUTHTOKEN" -H "merchantname: $OCTOPUS_MERCHANTNAME" \\',
                f'  -H "accessid: $OCTOPUS_ACCESSID" --data-binary @- <<{end}',
                body,
                end,
            ]
        )

    def recording(self, calls: Sequence[CallRecord]) -> bytes:
        """Return calls as a zipped recording, for `octopus_soap.testing.Recording.load`.

        Calls whose bodies are no longer stored, or that are still under way, are left out.
        """
        from octopus_soap.testing.recording import Recording  # noqa: PLC0415 - loads the client; only an export needs it

        names = [merchant.name for merchant in self._emulator.merchants]
        masker = Masker(Redactor([*_credentials(self._emulator.merchants), *names]))
        exchanges = [
            _exchange(number, call, masker) for number, call in enumerate((c for c in calls if is_recordable(c)), 1)
        ]
        packed = io.BytesIO()
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(Recording(exchanges).save(Path(folder) / "recording").iterdir()):
                archive.write(path, f"recording/{path.name}")
        return packed.getvalue()


def plain(call: CallRecord) -> bytes:
    """Return a reply's body, decompressed if a fault compressed it."""
    if call.reply_headers.get("content-encoding") != "gzip":
        return call.reply
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(call.reply, 16 * MOST_SHOWN)
    except zlib.error:
        return call.reply


def is_recordable(call: CallRecord) -> bool:
    """True if a recording can have the call: it has ended, and its bodies are stored."""
    return call.seconds is not None and bool(call.operation) and bool(call.request)


def _credentials(merchants: Iterable[Merchant]) -> Iterator[str]:
    for merchant in merchants:
        yield merchant.authtoken
        yield merchant.accessid


def _exchange(number: int, call: CallRecord, masker: Masker) -> RecordedExchange:
    from octopus_soap.testing.recording import RecordedExchange  # noqa: PLC0415 - as in `CallView.recording`

    common: dict[str, Any] = {
        "number": number,
        "operation": call.operation,
        "action": call.headers.get("soapaction", "").strip('"'),
        "request_id": f"call-{call.sequence}",
        "attempt": 1,
        "elapsed": round(call.seconds or 0.0, 6),
        "request": masker.body(call.request),
    }
    if call.status is None:
        error = "TransportError: the connection was closed without an answer"
        return RecordedExchange(**common, failure="ambiguous", error=error)
    headers = {name: call.reply_headers[name] for name in ("content-type", "retry-after") if name in call.reply_headers}
    return RecordedExchange(**common, status=call.status, headers=headers, reply=masker.body(plain(call)))
