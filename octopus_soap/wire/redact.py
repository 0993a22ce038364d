"""Redaction: the one place that decides what may appear in a log line, a repr, an exception or a dry run.

Masks whole messages, for files that leave the house: a recording attached to a bug report.

Theory. What must not be shown cannot be listed: a service may send members nobody has seen. So text is shown only where
its element is known and harmless (items, quantities, order numbers, statuses); everything else is masked, and
everything inside an address or a customer, whatever it is called. The tags stay: they are what a decoder trips over.
Free text, such as an error message, is shown without the secrets, without the values masked elsewhere, and without what
looks like an e-mail address, a telephone or a card number.

A message may be cut short, an HTML page, or no markup at all, so it is read tag by tag and not by an XML parser. Text
that a cut ended is masked: it may be the beginning of a secret. Comments, processing instructions and the values of
attributes are left out.
"""

from __future__ import annotations

import re
import threading
from functools import cache
from html import escape, unescape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


MASK = "***"

SECRET_MEMBERS = ("accountID", "CreditCard", "CreditCardLast4", "authtoken", "accessid")
"""Members whose text is masked in message bodies, by local name: any prefix, any case."""

PERSONAL_PARTS = ("Ship", "Bill", "ShippingInfo", "BillingInfo", "ShipTo", "BillTo")
"""Parts of an order that say who someone is; nothing inside them is shown in a recording."""

PERSONAL_WORDS = (
    "customer",
    "buyer",
    "address",
    "contact",
    "person",
    "recipient",
    "firstname",
    "lastname",
    "email",
    "phone",
    "birth",
    "password",
    "token",
    "card",
)
"""Words, in lower case, in the name of a member that nobody has seen yet and that says who someone is, or a secret."""

_MEMBER = re.compile(
    rb"(<(?:[\w.-]+:)?(%s)(?:\s[^>]*)?>)[^<]+" % b"|".join(name.encode() for name in SECRET_MEMBERS), re.IGNORECASE
)


_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")
"""What a reply may be written in: XML says of itself which it is, and lxml follows."""


class Redactor:
    """Masks this client's secrets wherever their text turns up.

    Args:
        secrets: the values; anything shorter than four characters would mask ordinary words and is left to the
            member names.

    Attributes:
        encoded: each secret in the forms it may have in a reply; a reply without any needs no masking.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        plain = {secret for secret in secrets if len(secret) >= 4}  # noqa: PLR2004 - see Args
        # A service that echoes one may write it as XML or HTML does.
        forms = {
            form for secret in plain for form in (secret, secret.strip(), escape(secret), escape(secret, quote=False))
        }
        self._secrets = sorted((form for form in forms if form), key=len, reverse=True)  # the longest first
        self.encoded = tuple(secret.encode(form) for secret in self._secrets for form in _ENCODINGS)

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"

    def text(self, value: str) -> str:
        """Return *value* with every secret masked."""
        for secret in self._secrets:
            if secret in value:
                value = value.replace(secret, MASK)
        return value

    def body(self, value: bytes, limit: int | None = None) -> str:
        """Return a message body as text with secret members and values masked, cut to *limit* characters."""
        if value[:2] in {b"\xff\xfe", b"\xfe\xff"}:
            value = value.decode("utf-16", "replace").encode()
        masked = _MEMBER.sub(rb"\1" + MASK.encode(), value if limit is None else value[: limit * 4])
        text = self.text(masked.decode("utf-8", "replace"))
        return text if limit is None else text[:limit]


FREE_TEXT = frozenset({"message", "errormessage", "faultstring", "text", "data", "resultdata"})
"""Elements a service puts words of its own into."""

_CALL_MEMBERS = [
    "faultcode", "faultactor", "Code", "Subcode", "Status", "MessageCode", "Result", "IDOrder", "LineItemType",
    "SKU", "skuList", "StoreIDs", "SellerID", "ProductID", "string", "boolean", "byte", "short", "int", "long",
    "float", "double", "decimal", "dateTime", "guid", "unsignedByte", "Id",
]  # fmt: skip
"""Harmless elements that are members of no model: envelopes, parameters, items of arrays."""

_AMBIGUOUS = {"name": ("attributeinfo",), "value": ("attributeinfo", "customfieldmapping", "code", "subcode")}
"""Elements that are harmless below these parents only."""

_TOKEN = re.compile(
    r"(?P<comment><!--.*?-->|<\?(?!xml\s).*?\?>)|(?P<declared><\?xml\s.*?\?>)|<!\[CDATA\[(?P<cdata>.*?)\]\]>"
    r"|(?P<doctype><!DOCTYPE\b[^>\[]*(?:\[.*?\]\s*)?>)|(?P<tag><(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>)|(?P<text>[^<]+|<)",
    re.DOTALL | re.IGNORECASE,
)
_TAG = re.compile(r"<\s*(/?)\s*([^\s/>]*)(.*?)(/?)\s*>\Z", re.DOTALL)
_ATTRIBUTE = re.compile(r"([^\s=]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_SAFE_ATTRIBUTE = re.compile(r"xmlns(:.*)?|([\w.-]+:)?(nil|type|mustUnderstand|lang)")
_DECLARED = re.compile(rb"\A\s*<\?xml\s[^>]*encoding\s*=\s*[\"']([\w.-]+)")
_EMAIL_OR_PHONE = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\+\d[\d\s().-]{6,}\d")
_CARD = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
_NUMBER = re.compile(r"[-+]?\d{1,12}(\.\d{1,6})?")
_MOST_VALUES = 5_000
"""Values remembered for free text; enough for the orders of a recording."""


@cache
def shown_members() -> frozenset[str]:
    """Local names, in lower case, of the elements whose text is shown."""
    from octopus_soap import models  # noqa: PLC0415 - pydantic builds them; only a recording needs them all

    names = {*_CALL_MEMBERS}
    for name in models.__all__:
        model = getattr(models, name)
        if isinstance(model, type) and issubclass(model, models.WireModel):
            hidden = {wire for wire, attribute in model.wire_names().items() if attribute in model.secret_fields}
            names |= {*model.wire_names(), *model.read_aliases} - hidden
    personal = {*models.AddressInfo.wire_names(), *models.AddressInfo.read_aliases}
    personal |= {*SECRET_MEMBERS, *PERSONAL_PARTS, "BuyerEmailAddress", "WebComment"}
    return frozenset({name.lower() for name in names} - {name.lower() for name in personal} - set(_AMBIGUOUS))


class Masker:
    """Masks the messages of one client. Threads may share it.

    Args:
        redactor: knows the client's secrets.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._values: dict[str, re.Pattern[str]] = {}
        self._lock = threading.Lock()

    def body(self, body: bytes) -> str:
        """Return a message as text with what must not be shown masked, one element per line."""
        return "".join(_Masking(self, _decoded(body)).pieces())

    def text(self, text: str) -> str:
        """Return free text without secrets, values masked elsewhere, and what looks personal."""
        text = self.value(text)
        with self._lock:
            patterns = [pattern for value, pattern in self._values.items() if value in text]
        for pattern in patterns:
            text = pattern.sub(MASK, text)
        return _CARD.sub(MASK, text)

    def value(self, text: str) -> str:
        """Return the text of a member without secrets, e-mail addresses and telephone numbers; an EAN is no card."""
        return _EMAIL_OR_PHONE.sub(MASK, self.secret(text))

    def secret(self, text: str) -> str:
        """Return *text* without the client's secrets."""
        return self._redactor.text(text)

    def remember(self, value: str) -> None:
        """Mask *value* in free text from now on; a short number or a truth value would mask ordinary words."""
        value = value.strip()
        plain = value.lower() in {"true", "false"} or (len(value) < 5 and value.isdigit())  # noqa: PLR2004 - see above
        if plain or not 3 <= len(value) <= 500:  # noqa: PLR2004 - see above
            return
        with self._lock:
            if len(self._values) < _MOST_VALUES:
                self._values[value] = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)")


def _decoded(body: bytes) -> str:
    named = _DECLARED.search(body[:200])
    encoding = "utf-16" if body[:2] in {b"\xff\xfe", b"\xfe\xff"} else named.group(1).decode() if named else "utf-8"
    try:
        return body.decode(encoding, "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


class _Masking:
    """One message under way: the open elements, and whether they hide what is in them."""

    def __init__(self, masker: Masker, text: str) -> None:
        self._masker = masker
        self._tokens = list(_TOKEN.finditer(text))
        self._open: list[tuple[str, bool]] = []
        first = next((t["tag"] for t in self._tokens if t["tag"]), "")
        self._message = _name_of(first) == "envelope"
        self._shown = shown_members()

    def pieces(self) -> Iterator[str]:
        """The masked message, piece by piece."""
        before = ""
        last = len(self._tokens) - 1
        for place, token in enumerate(self._tokens):
            kind = str(token.lastgroup)
            if kind == "tag":
                piece = self._tag(token[0])
                closes = piece.startswith("</")
                # Between two tags, but never inside an empty element: there it would be its text.
                between = before == "close" or (before == "open" and not closes)
                if self._message and between:
                    yield "\n" + "  " * len(self._open[: None if closes or piece.endswith("/>") else -1])
                yield piece
                before = "close" if closes or piece.endswith("/>") else "open"
                continue
            if kind in {"text", "cdata"}:
                before = "" if token[kind] else before
                yield self._text(token[kind], cut=place == last and bool(self._open), escaped=kind == "text")
            elif kind == "declared":
                yield '<?xml version="1.0" encoding="utf-8"?>'
            elif kind == "doctype":
                yield f"<!DOCTYPE {'html' if token[0][9:].strip()[:4].lower() == 'html' else 'masked'}>"

    def _tag(self, tag: str) -> str:
        found = _TAG.match(tag)
        if found is None:
            return ""
        closing, name, attributes, empty = found.groups()
        local = _name_of(tag)
        if closing:
            if any(local == known for known, _ in self._open):
                while self._open.pop()[0] != local:
                    pass
            return f"</{name}>"
        if not empty:
            inside = bool(self._open) and self._open[-1][1]
            self._open.append((local, inside or _hides(local)))
        kept = "".join(
            f" {key}={value if _SAFE_ATTRIBUTE.fullmatch(key) else repr(MASK)}"
            for key, value in _ATTRIBUTE.findall(attributes)
        )
        return f"<{self._masker.secret(name + kept)}{empty}>"

    def _text(self, raw: str, *, cut: bool, escaped: bool) -> str:
        if not raw.strip():
            return raw
        text = unescape(raw) if escaped else raw
        name, hidden = self._open[-1] if self._open else ("", False)
        if cut or hidden or not self._known(name):
            self._masker.remember(text)
            return MASK
        free = (_free(name) or not self._message) and not _NUMBER.fullmatch(text.strip())
        clean = self._masker.text(text) if free else self._masker.value(text)
        return raw if escaped and clean == text else escape(clean, quote=False)

    def _known(self, name: str) -> bool:
        if not self._message:  # a page: its words are free text
            return name not in _HIDDEN
        if name in _AMBIGUOUS:
            return len(self._open) > 1 and self._open[-2][0] in _AMBIGUOUS[name]
        return name in self._shown or _free(name)


def _name_of(tag: str) -> str:
    found = _TAG.match(tag)
    return "" if found is None else found.group(2).rpartition(":")[2].lower()


_HIDDEN = frozenset(name.lower() for name in (*SECRET_MEMBERS, *PERSONAL_PARTS))


def _free(name: str) -> bool:
    return name in FREE_TEXT or name.endswith("result")  # a scalar stands in the call's own result


def _hides(name: str) -> bool:
    return name in _HIDDEN or any(word in name for word in PERSONAL_WORDS)
