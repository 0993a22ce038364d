"""Decode an HTTP answer to an error or to the values of a SOAP reply.

The table has every error that an HTTP answer can mean. How the service refuses credentials is not documented, so every
form that a WCF service is known to use is recognised.

| answer | error |
|---|---|
| SOAP fault, any other HTTP status | `FaultError`, or `AuthenticationError` if it refuses the credentials |
| APIResult whose message refuses the credentials | `AuthenticationError` |
| 401, 403 | `AuthenticationError` |
| 429 | `RateLimitedError` |
| a status outside 2xx, no SOAP | `HttpStatusError` |
| a status below 500 outside 2xx, with an envelope that is no fault | `ProtocolError`: the two contradict each other |
| 2xx with HTML, nothing, or half an envelope | `ProtocolError` |

Invariants:

* Every 2xx with an envelope is read.
* Words alone never prove that nothing was done. A fault of the server that names credentials may be about those of
  another system, after the request was carried out. Then `AuthenticationError.nothing_done` is False, or it is a plain
  `FaultError` if the text names such a system. Proofs are the names of our own credentials, a fault code of the client
  or of WS-Security, and the status.

How a SOAP reply is decoded. Each rule has a test:

1. The parser does not recover, resolves no entity, loads nothing, and refuses a DOCTYPE. A reply cut short raises.
2. The result is the only child of `<Op>Response`, whatever its name. With `Status`, `ResultData` or `MessageCode`
   among its members it is an APIResult envelope; otherwise it is the bare value.
3. Members are matched by local name, then ignoring case, then without .NET's `<Name>k__BackingField` wrapping; unknown
   members are kept in `model_extra` and counted as drift. `i:type` is ignored.
4. A list is the children of its container, whatever their names; `i:nil` rows are dropped and counted.
5. A scalar that cannot be read fails its record, with item, field and text; the other records of the page are returned.
6. References to characters that XML forbids, which WCF writes all the same, are read as U+FFFD.

Record readers are compiled once per model; each hands pydantic a dict of Python values, and pydantic validates it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from lxml import etree
from pydantic import ValidationError

from octopus_soap._http import retry_after
from octopus_soap.errors import (
    AuthenticationError,
    FaultError,
    HttpStatusError,
    OctopusError,
    Problem,
    ProtocolError,
    RateLimitedError,
)
from octopus_soap.models.base import problems_of
from octopus_soap.models.declarations import Nothing, OneOf, Reads, RowsOf
from octopus_soap.models.scalars import FORBIDDEN
from octopus_soap.wire.plain import BROKEN, as_utf8, has_references, resolve_references
from octopus_soap.wire.readers import (
    Element,
    Findings,
    Reader,
    RecordReader,
    RecordReaders,
    Row,
    is_nil,
    local_name,
    yield_point,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octopus_soap.errors import ApiStatusError
    from octopus_soap.wire.redact import Redactor

    ReadList = Callable[[Element, "Decoded"], None]
    """Reads the rows of a list, the children of an element, into what was decoded."""

# -- what an HTTP answer means -----------------------------------------------------------------------------------------

_EXCERPT = 500
_AUTH_WORDS = (
    r"authenticat|unauthori[sz]ed|authori[sz]ation\s+(failed|denied|required)|access\s+(is\s+)?denied|credential|"
    r"(invalid|wrong|expired|missing|bad)\s+(auth\s*)?(token|access\s*id|merchant)|"
    r"(token|access\s*id|merchant(\s*name)?)\s+(is\s+)?(not\s+valid|invalid|expired|missing|not\s+found|required)"
)
"""How services word a refusal of credentials. "Payment not authorized" is none: it refuses a row, not the caller.
Localized texts may not match, so status and fault code come first."""

_OUR_NAMES = r"\b(auth[\s_-]?token|access[\s_-]?id|merchant[\s_-]?name)\b"
"""Names of the credentials that this client sends; hardly another system of the service uses them."""

_ANOTHER_SYSTEM = (
    r"\b(remote|smtp|e?mail|ftp|sql|database|upstream|backend|gateway|proxy|payment|card|bank|paypal|stripe|carrier|"
    r"shipping|marketplace|amazon|ebay|shopify|walmart|magento|woocommerce|bigcommerce|quickbooks|file|path|folder|"
    r"directory|registry|share|drive)\b"
)
"""Words of a text that is about a system behind the service."""


def _has(words: str, text: str) -> bool:
    """True if *text* has one of *words*, an expression."""
    return re.search(words, text, re.IGNORECASE) is not None  # compiled at the first fault: most processes see none


_CLIENT_SIDE = frozenset({"client", "sender"})
_CREDENTIAL_CODES = frozenset({"failedauthentication", "invalidsecurity", "invalidsecuritytoken", "accessdenied"})
"""Codes of WS-Security and WCF for a caller that was refused before its request was read."""

_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,120})", re.IGNORECASE)


class Reply(NamedTuple):
    """An HTTP answer as it came.

    Attributes:
        status: HTTP status code.
        headers: header values by lower-case name.
        body: the body, decompressed; its first part if more is to come.
        elapsed: seconds from sending to the last byte of `body`.
        more: the driver's handle of the rest of the body; None if there is none.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    elapsed: float = 0.0
    more: Any = None

    def __repr__(self) -> str:  # without the body, in which the service may echo the account id
        return f"Reply({self.status}, {len(self.body)} bytes)"


PLAIN_TYPES = frozenset({"text/xml; charset=utf-8", "text/xml;charset=utf-8"})
"""How nearly every service spells the type of a UTF-8 body. The body is not looked at if it begins as markup does."""
ANSWERED = range(200, 300)
"""Statuses of a request that was carried out, whatever its answer."""


def readable(reply: Reply, redactor: Redactor) -> Reply:
    """Return *reply* with its body in UTF-8; a second call changes nothing.

    Raises:
        OctopusError: The charset cannot be decided.
    """
    if not reply.body:
        return reply
    try:
        body = as_utf8(reply.body, reply.headers.get("content-type", ""))
    except ProtocolError as error:
        if reply.status not in ANSWERED:
            raise http_error(reply, redactor) from None
        error.body_excerpt = redactor.body(reply.body, _EXCERPT)
        raise
    if body is reply.body:
        return reply
    return reply._replace(body=body, headers={**reply.headers, "content-type": "text/xml; charset=utf-8"})


def soap_body(reply: Reply, redactor: Redactor) -> tuple[Any, bool]:
    """Return the element in the SOAP body, and if characters were replaced.

    The element is None if the body is empty.

    Raises:
        OctopusError: the answer is an error, by the table above.
    """
    if reply.headers.get("content-type", "") not in PLAIN_TYPES or reply.body[:1] != b"<" or reply.body[:2] == b"<\0":
        reply = readable(reply, redactor)
    text = reply.body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text:
        if reply.status in ANSWERED:
            return None, False
        raise http_error(reply, redactor)
    if _looks_like_soap(text):
        return _soap(reply, text, redactor)
    if reply.status not in ANSWERED:
        raise http_error(reply, redactor)
    what = "HTML page" if re.match(rb"<!doctype\s+html|<html", text, re.IGNORECASE) else "answer"
    raise ProtocolError(
        f"HTTP {reply.status} with an {what} that is no SOAP reply{_headline(text, redactor)}",
        body_excerpt=redactor.body(text, _EXCERPT),
    )


_OF_THE_REQUEST = frozenset({401, 403, 407, 413, 429})
"""Statuses that refuse a request before it is read, whatever a filter in between put into the body."""


def _looks_like_soap(text: bytes) -> bool:
    return re.match(
        # possessive, so that a page full of comments is not tried in every combination
        rb"(?:<\?xml[^>]*+>|(?><\?.*?\?>)|(?><!--.*?-->)|<!DOCTYPE|\s)*+<(?:[\w.-]+:)?Envelope[\s/>]",
        text,
        re.DOTALL,
    ) is not None or (b"<!DOCTYPE" in text[:2048] and b"Envelope" in text[:4096])


def _soap(reply: Reply, text: bytes, redactor: Redactor) -> tuple[Any, bool]:
    try:
        root, replaced = parse(text)
        element = body_of(root)
    except ProtocolError as error:
        if reply.status not in ANSWERED:
            raise http_error(reply, redactor) from None
        error.body_excerpt = redactor.body(text, _EXCERPT)
        raise
    if element is not None and local_name(element.tag) == "Fault":
        raise _faulted(element, reply, redactor)
    if reply.status not in ANSWERED:
        if element is not None and reply.status < 500 and reply.status not in _OF_THE_REQUEST:  # noqa: PLR2004 - server errors
            raise ProtocolError(
                f"HTTP {reply.status} with a SOAP reply that is no fault: they contradict each other",
                body_excerpt=redactor.body(text, _EXCERPT),
            )
        raise http_error(reply, redactor)
    return element, replaced


def _faulted(element: Any, reply: Reply, redactor: Redactor) -> OctopusError:
    """Return the error of a fault; some HTTP statuses prove more than its words."""
    error = fault_error(element, redactor)
    if reply.status in {401, 403} and not isinstance(error, AuthenticationError):
        return AuthenticationError(f"HTTP {reply.status}: the service refused the credentials: {error.message[:300]}")
    return http_error(reply, redactor) if reply.status in {413, 429} else error


def fault_error(fault: Any, redactor: Redactor) -> OctopusError:
    """Return the error of a `<Fault>` of SOAP 1.1 or 1.2, in any namespace."""
    code = text = detail = ""
    for child in fault:
        name = local_name(child.tag).casefold()
        if name in {"faultcode", "code"}:
            code = (child.text or "").strip() or next((t.strip() for t in child.itertext() if t.strip()), "")
        elif name in {"faultstring", "reason"}:
            text = (child.text or "").strip() or " ".join(t.strip() for t in child.itertext() if t.strip())
        elif name == "detail" and (len(child) or child.text):
            detail = redactor.body(etree.tostring(child, with_tail=False), 2048)
    code, text = code.rpartition(":")[2][:60], redactor.text(text[:4096])  # a hostile service may send more
    family = code.partition(".")[0].casefold()
    if family in _CREDENTIAL_CODES:
        return AuthenticationError(f"the service refused the credentials: {code}: {text}")
    if refuses_credentials(text) and code != "DeserializationFailed":
        proven = family in _CLIENT_SIDE or _has(_OUR_NAMES, text)
        return AuthenticationError(f"the service refused the credentials: {text}", nothing_done=proven)
    return FaultError(f"SOAP fault {code}: {text}", fault_code=code, fault_string=text, detail=detail)


def refuses_credentials(text: str) -> bool:
    """True if *text* refuses the caller's credentials, and not another system's."""
    return _has(_AUTH_WORDS, text) and not _has(_ANOTHER_SYSTEM, text)


def http_error(reply: Reply, redactor: Redactor) -> OctopusError:
    """Return the error of an HTTP status if the body is no SOAP answer."""
    status, excerpt = reply.status, redactor.body(reply.body, _EXCERPT)
    headline = _headline(reply.body, redactor)
    if status in {401, 403}:
        return AuthenticationError(f"HTTP {status}: the service refused the credentials{headline}")
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        pause = retry_after(reply.headers)
        asked = "" if pause is None else f"; it asks for {pause:.0f} s"
        return RateLimitedError(f"HTTP 429: too many requests{asked}", retry_after=pause, body_excerpt=excerpt)
    hint = ""
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        where = redactor.text(reply.headers.get("location", "")).partition("?")[0][:200]
        hint = f"; it redirects to {where!r}, which is never followed: set endpoint to the final address"
    elif status == 404:  # noqa: PLR2004 - Not Found
        hint = "; check the endpoint's path"
    elif status == 413:  # noqa: PLR2004 - Content Too Large
        hint = "; the request is larger than the service accepts"
    elif status == 415:  # noqa: PLR2004 - Unsupported Media Type
        hint = "; the endpoint may not be a SOAP 1.1 service"
    return HttpStatusError(f"HTTP {status}{headline}{hint}", status=status, body_excerpt=excerpt)


def _headline(body: bytes, redactor: Redactor) -> str:
    found = _TITLE.search(body[:8192])
    return f" ({redactor.text(found[1].decode('utf-8', 'replace').strip())})" if found else ""


# -- the element in the SOAP body --------------------------------------------------------------------------------------

_REFERENCE = re.compile(rb"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")
_FORBIDDEN_BYTES = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
"""Characters that XML forbids, in UTF-8."""
_ROOT = "{http://schemas.xmlsoap.org/soap/encoding/}root"
DOCTYPE = "the reply carries a DOCTYPE, which SOAP forbids; it was not read"
_WITH_DOCTYPE = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s++|<\?(?>.*?\?>)|<!--(?>.*?-->))*+<!DOCTYPE", re.DOTALL)
"""A document with a DOCTYPE, which comes before the root: an HTML description in a text may have one, too."""


def not_well_formed(error: Exception) -> ProtocolError:
    """Return the error of a reply that lxml refuses."""
    return ProtocolError(f"the reply is not complete, well-formed XML: {str(getattr(error, 'msg', error))[:200]}")


def parse(body: bytes) -> tuple[Element, bool]:
    """Parse a reply strictly; the flag is True if forbidden characters were replaced.

    Raises:
        ProtocolError: not well-formed, truncated, or with a DOCTYPE.
    """
    try:
        return _parse(body), False
    except etree.XMLSyntaxError as error:
        refused = not_well_formed(error)
    cleaned = replaced_forbidden(body)
    if cleaned is not None:
        try:
            return _parse(cleaned), True
        except etree.XMLSyntaxError as error:
            refused = not_well_formed(error)
    raise refused


def has_forbidden(body: bytes) -> bool:
    """True if *body*, in UTF-8, has bytes of characters that XML forbids."""
    return _FORBIDDEN_BYTES.search(body) is not None


def replaced_forbidden(body: bytes) -> bytes | None:
    """Return *body* with U+FFFD for characters that XML forbids; None if it has none."""
    if body[:2] in {b"\xff\xfe", b"\xfe\xff"}:  # UTF-16 is full of zero bytes
        return None
    cleaned = _FORBIDDEN_BYTES.sub(b"\xef\xbf\xbd", _REFERENCE.sub(_allowed, body))
    return None if cleaned == body else cleaned


def _allowed(reference: re.Match[bytes]) -> bytes:
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    forbidden = number > 0x10FFFF or FORBIDDEN.match(chr(number)) is not None  # noqa: PLR2004 - the last code point
    return b"&#xFFFD;" if forbidden else reference[0]


def without_forbidden(text: str) -> str:
    """Return *text* with U+FFFD for characters that XML forbids, as `parse` does."""
    cleaned = replaced_forbidden(text.encode())
    return text if cleaned is None else cleaned.decode()


def strict_parser(*, recover: bool = False) -> etree.XMLParser:
    """Return a parser for a reply or a part of it, which loads nothing.

    Args:
        recover: make the best of what is not well-formed; never for what is decoded.
    """
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=recover,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )


def _parse(body: bytes) -> Element:
    if b"<!DOCTYPE" in body[:4096] and _WITH_DOCTYPE.match(body):
        raise ProtocolError(DOCTYPE)
    root = etree.fromstring(body, strict_parser())
    if root.getroottree().docinfo.internalDTD is not None:
        raise ProtocolError(DOCTYPE)
    if (b"ref" in body or b"Ref" in body) and has_references(body):
        resolve_references(root)
    return root


def body_of(root: Element) -> Element | None:
    """Return the element in the SOAP body; None if the body is empty.

    Raises:
        ProtocolError: *root* is no SOAP envelope, or has several answers.
    """
    if local_name(root.tag) != "Envelope":
        raise ProtocolError(f"the reply is a <{local_name(root.tag)[:40]}> document, not a SOAP envelope")
    bodies = list(root.iterchildren("{*}Body"))
    if len(bodies) != 1:
        raise ProtocolError(f"the SOAP envelope has {len(bodies) or 'no'} {'bodies' if bodies else 'Body'}")
    parts = list(bodies[0])
    if len(parts) == 1 and parts[0].get(_ROOT) != "0":
        return parts[0]
    # A value that others refer to may be written next to the answer: it is marked as no root, or has an id.
    parts = [part for part in parts if part.get(_ROOT) != "0"]
    answers = [part for part in parts if part.get("id") is None] if len(parts) > 1 else parts
    if len(answers) > 1:
        names = " and ".join(f"<{local_name(part.tag)[:40]}>" for part in answers[:2])
        raise ProtocolError(f"the SOAP body has {len(answers)} answers, such as {names}; it is unclear which counts")
    return (answers or parts or [None])[0]


# -- the result in it --------------------------------------------------------------------------------------------------

_MOST_ELEMENTS = 8_000_000
_MOST_OF_ONE = 100_000
"""Tags for each row that was asked for: an item of 2,000 stores has half as many."""
_SHORTEST_TAG = 3
"""Bytes: `<a>`."""
_MOST_ROWS = 200_000
"""Rows of a list that is not asked for by key; the largest reply that is read has room for as many items."""
_ENVELOPE_MEMBERS = frozenset({"status", "resultdata", "messagecode"})


@dataclass(eq=False, repr=False)
class Decoded:
    """A reply that is no fault.

    Attributes:
        enveloped: the result came in an APIResult.
        status: Status text of the envelope; None if it had none or came bare.
        code, message, data: the envelope's other members.
        value: the result: a model, a scalar, None, or (for lists) see `rows`.
        present: a result element with content came; False if it was nil or absent.
        rows: the records of a list.
        problems: why a single value could not be read.
        drift: unknown members as `Type.Member`, with how often each came.
        warnings: oddities that were tolerated.
        refusal: the error of an envelope that is not Success; None if it is, or the value came bare.
        nil_rows: rows of a list that were nil, and dropped.
        replaced: characters that XML forbids were replaced by U+FFFD.
    """

    enveloped: bool = False
    status: str | None = None
    code: int | None = None
    message: str = ""
    data: str | None = None
    value: Any = None
    present: bool = False
    rows: list[Row] = field(default_factory=list)
    problems: tuple[Problem, ...] = ()
    drift: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    refusal: ApiStatusError | None = None
    nil_rows: int = 0
    replaced: bool = False


class Decoder:
    """Decodes replies.

    Args:
        readers: reader of a scalar's text, by Python type.
    """

    def __init__(self, readers: Mapping[Any, Reader]) -> None:
        self.readers = RecordReaders(readers)

    def response(self, response: Element | None, name: str, reads: Reads, read_list: ReadList | None = None) -> Decoded:
        """Decode the `<Op>Response` element.

        Args:
            response: the element; None for an empty body, which only an operation without a result may send.
            name: the expected local name.
            reads: what the result is.
            read_list: reads the rows of a list; without it they are read from the tree.

        Raises:
            ProtocolError: the element belongs to another operation, or the result is missing or of another shape.
        """
        decoded = Decoded()
        if response is None:
            if isinstance(reads, Nothing):
                return decoded
            raise ProtocolError("the SOAP body is empty")
        if local_name(response.tag).casefold() != name.casefold():
            raise ProtocolError(f"the reply answers another operation: <{local_name(response.tag)[:60]}>, not <{name}>")
        result = _result_of(response)
        if isinstance(reads, Nothing):
            if result is not None:  # a service may answer a void operation with an envelope that has Failure in it
                self._envelope(result, decoded)
            return decoded
        if result is None:
            raise ProtocolError("the reply has no result element")
        content = self._envelope(result, decoded)
        if content is not None and (len(content) or not is_nil(content)):  # nil with something in it is not nil
            _whole(content)
            decoded.present = True
            if isinstance(reads, RowsOf):
                self._rows(content, reads, decoded, read_list)
            elif isinstance(reads, OneOf):
                row = _record(content, self.readers[reads.model], decoded)
                decoded.value, decoded.problems = row.value, row.problems
            else:
                decoded.value, decoded.problems = self._scalar(content, self.readers.scalars[reads.type])
        return decoded

    def _envelope(self, result: Element, decoded: Decoded) -> Element | None:
        """Return the element that has the value, and note the members of an APIResult."""
        _whole(result)
        members: dict[str, Element] = {}
        for child in result:
            members.setdefault(local_name(child.tag).casefold(), child)
        if not _ENVELOPE_MEMBERS & members.keys():
            return result
        for child in result:
            first = members[local_name(child.tag).casefold()]
            if first is not child:
                _refuse_another(first, child)
        decoded.enveloped = True
        decoded.status = _leaf(members.get("status"))
        decoded.message = _leaf(members.get("message")) or ""
        decoded.data = _leaf(members.get("data"))
        code = (_leaf(members.get("messagecode")) or "").strip()
        decoded.code = int(code) if re.fullmatch(r"-?\d{1,10}", code, re.ASCII) else None
        for name, child in members.items():
            if name not in {"status", "message", "data", "messagecode", "resultdata"}:
                decoded.drift[f"APIResult.{local_name(child.tag)}"] += 1
        return members.get("resultdata")

    @staticmethod
    def _scalar(content: Element, reader: Reader) -> tuple[Any, tuple[Problem, ...]]:
        field_name, text = local_name(content.tag), content.text or ""
        if len(content):
            return None, (Problem("a structure where a single value belongs", field=field_name),)
        try:
            return reader(text), ()
        except ValueError as error:
            return None, (Problem(str(error), field=field_name, value=repr(text[:60])),)

    def _rows(self, container: Element, reads: RowsOf, decoded: Decoded, read_list: ReadList | None) -> None:
        reader = self.readers[reads.model]
        if (container.text or "").strip():
            raise ProtocolError(f"text where a list of {reader.name} belongs: {container.text.strip()[:60]!r}")
        if read_list is None:
            if len(container) > most_rows(reads):
                raise _too_many(len(container), reads)
            for element in container:
                row = read_element(element, reader, decoded, raw=reads.raw)
                yield_point()
                if row is not None:
                    decoded.rows.append(row)
        else:
            read_list(container, decoded)
        if decoded.nil_rows:
            decoded.warnings.append(f"{decoded.nil_rows} nil rows dropped")


def refuse_too_many_tags(body: bytes, reads: RowsOf) -> None:
    """Refuse a reply with far too many tags before anything is made of it.

    Raises:
        ProtocolError: The request can need far fewer.
    """
    most = _MOST_ELEMENTS if reads.asked is None else min(_MOST_ELEMENTS, 20_000 + _MOST_OF_ONE * reads.asked)
    if len(body) > _SHORTEST_TAG * most and (elements := body.count(b"<")) > most:
        raise ProtocolError(f"the reply has {elements} tags, far more than the request can need; it was not read")


def refuse_too_many_rows(body: bytes, reads: RowsOf) -> None:
    """Refuse a reply with far too many rows before a tree is made of it.

    It counts the names of rows, which is quick; rows of another name are counted in the tree.

    Raises:
        ProtocolError: Far fewer were asked for.
    """
    named = body.count(reads.model.__name__.encode())  # twice for a row with members
    if named > 2 * most_rows(reads) + 50:
        raise _too_many(named // 2, reads)


def most_rows(reads: RowsOf) -> int:
    """Return the most rows that are read; more would only fill the memory."""
    return _MOST_ROWS if reads.asked is None else 10 * reads.asked + 100


def _too_many(rows: int, reads: RowsOf) -> ProtocolError:
    asked = "" if reads.asked is None else f", and {reads.asked} were asked for"
    return ProtocolError(f"the reply has {rows} rows or more{asked}; it was not read")


def read_element(element: Element, reader: RecordReader, decoded: Decoded, *, raw: bool = False) -> Row | None:
    """Read one row of a list from the tree, with its XML if *raw*; None if it is nil."""
    if len(element) or not is_nil(element):
        row = _record(element, reader, decoded)
        return row._replace(raw=etree.tostring(element, with_tail=False)) if raw else row
    decoded.nil_rows += 1
    return None


def _record(element: Element, reader: RecordReader, decoded: Decoded) -> Row:
    """Read one record from the tree."""
    problems: list[Problem] = []
    data = reader.read(element, Findings(problems, decoded.drift))
    if not problems:
        try:
            return reader.record(data)
        except ValidationError as error:
            problems = problems_of(reader.model, error, data)
    key = reader.key(data)
    named = tuple(Problem(p.message, key=key or None, field=p.field, value=p.value) for p in problems)
    return Row(key, None, named, etree.tostring(element, with_tail=False))


def _result_of(response: Element) -> Element | None:
    if len(response) == 1:
        return response[0]
    if _ENVELOPE_MEMBERS & {local_name(child.tag).casefold() for child in response}:
        return response  # the envelope's members are directly in the response
    results = [child for child in response if local_name(child.tag).endswith("Result")] or list(response)
    for child in results[1:]:
        if child.tag == results[0].tag:
            _refuse_another(results[0], child)
    return next(iter(results), None)


def _refuse_another(first: Element, child: Element) -> None:
    """Refuse a member that comes twice, unless both are the same single value."""
    if len(first) or len(child) or first.text != child.text:
        raise ProtocolError(f"<{local_name(child.tag)[:60]}> comes twice in the reply; it is unclear which counts")


def _whole(element: Element) -> None:
    """Refuse an element that refers to a value which is not in the reply."""
    if element.get(BROKEN) is not None:
        raise ProtocolError(
            f"<{local_name(element.tag)[:60]}> refers to {element.get(BROKEN)!r}, which is not in the reply"
        )


def _leaf(element: Element | None) -> str | None:
    if element is not None:
        _whole(element)
    return None if element is None or is_nil(element) else (element.text or "")
