"""Decide what may be shown: in logs, reprs, exceptions, dry runs and recordings.

`Redactor` masks this client's secrets. `Masker` masks whole messages, for files that others get, such as a recording
attached to a bug report.

How a whole message is masked. A list of all secrets is impossible: a service may send unknown members. So text is shown
only if its element is known and harmless (items, quantities, order numbers, statuses). Everything else is masked, and
everything inside an address or a customer, whatever its name. The tags stay, because they are what a decoder fails on.
Free text, such as an error message, is shown without the secrets, without the values masked elsewhere, and without what
looks like an e-mail address, a telephone or a card number.

A message may be cut short, an HTML page, or no markup at all, so it is read tag by tag and not by an XML parser. A text
that was cut off is masked: it may be the beginning of a secret. Comments, processing instructions and the values of
attributes are left out.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from octopus_soap.errors import register_mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK = "***"

SECRET_MEMBERS = ("accountID", "CreditCard", "CreditCardLast4", "authtoken", "accessid")
"""Members whose text is masked in message bodies, by local name: any prefix, any case."""

PERSONAL_PARTS = ("Ship", "Bill", "ShippingInfo", "BillingInfo", "ShipTo", "BillTo")
"""Parts of an order that identify a person; nothing inside them is shown in a recording."""

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
"""Words, in lower case, in names of unknown members that may hold a secret or identify a person."""

# Expressions that most processes never need: each is compiled when it is first used.
_CARD_NAME = (
    r"(credit|debit|payment|bank)card|card(number|num|no|nr|holder|owner|name|code|type|brand|exp|cv|security|"
    r"verification|last|data|info|detail|token)|^(card|cvv2?|cvc2?|cvn|pan|cc(number|num|no))$"
)
_TAG_OF = r"<(/?)\s*((?:[\w.-]*:)?([\w.-]+))"
_MARKUP = r"<[^<>]*>"
_KEPT_ATTRIBUTE = r"\s(?:xmlns(?::[\w.-]+)?|(?:[\w.-]+:)?(?:nil|type))\s*=\s*(?:\"[^\"]*\"|'[^']*')"
_CARD_NUMBER = r"(?<!\d)\d(?:[ .-]?\d){12,18}(?!\d)"
_NO_CARDS_IN = r"(sku|upc|ean|gtin|isbn|id|sid|barcode|trackingnumber)$"
"""Members whose long numbers are no card numbers."""


def is_card_member(name: str) -> bool:
    """True if a member of this name holds a payment card, or a part of one."""
    return re.search(_CARD_NAME, name.replace("_", "").replace("-", "").lower()) is not None


def is_secret_member(name: str) -> bool:
    """True if a member of this name holds a credential or a payment card."""
    return name.replace("_", "").lower() in _SECRET_NAMES or is_card_member(name)


def mask_card_numbers(text: str) -> str:
    """Mask every run of 13 to 19 digits that is valid as a card number (Luhn)."""
    return re.sub(_CARD_NUMBER, lambda found: MASK if _passes_luhn(found[0]) else found[0], text)


def mask_cards(value: Any, name: str = "") -> Any:
    """Mask payment cards in a JSON value of the member *name*, by names and by digits."""
    if isinstance(value, dict):
        return {
            key: MASK if inner and is_card_member(str(key)) else mask_cards(inner, str(key))
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [mask_cards(inner, name) for inner in value]
    if isinstance(value, str) and not re.search(_NO_CARDS_IN, name.replace("_", "").lower()):
        return mask_card_numbers(value)
    return value


def _passes_luhn(text: str) -> bool:
    digits = [int(digit) for digit in reversed(text) if digit.isdigit()]
    return sum(digits[::2]) % 10 == -sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2]) % 10


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _quoted(text: str) -> str:
    """Escape *text* as `html.escape` does; that module takes too long to load."""
    return _escaped(text).replace('"', "&quot;").replace("'", "&#x27;")


def _unescaped(text: str) -> str:
    from html import unescape  # noqa: PLC0415 - as above

    return unescape(text)


_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")
"""The encodings that a reply may have."""
_RARE = (b"\0", b"&", b"!")
_SECRET_NAMES = frozenset(name.lower() for name in SECRET_MEMBERS)
_LEAST_PART = 12
"""Least number of characters that are masked of a secret whose end was cut off."""


class Redactor:
    """Masks this client's secrets in any case, escaped, quoted for a URL, or cut off.

    While it exists, it also masks the text of every `OctopusError` that is made.

    Args:
        secrets: the values. A value of less than four characters would mask ordinary words; it is masked by the names
            of members only.

    Attributes:
        encoded: the bytes with which a reply may echo a secret, each after a byte of it that few replies have, and that
            is found at once. A reply without any of them needs no masking.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        plain = {secret for secret in secrets if len(secret) >= 4}  # noqa: PLR2004 - see Args
        # A service that echoes a secret may write it as XML, HTML or a URL does.
        forms = {
            form
            for secret in plain
            for form in (secret, secret.strip(), _escaped(secret), _quoted(secret), quote(secret, safe=""))
        }
        longest_first = sorted((form for form in forms if form), key=len, reverse=True)
        self._secrets = [(form.lower(), re.compile(re.escape(form), re.IGNORECASE)) for form in longest_first]
        self._starts = [
            (lowered, lowered[: max(_LEAST_PART, len(lowered) // 2)])
            for lowered, _ in self._secrets
            if len(lowered) > _LEAST_PART
        ]
        echoes = [form.encode(encoding) for form in longest_first for encoding in _ENCODINGS]
        echoes += [b"&#", b"<![CDATA["]  # references and CDATA may spell a secret in another way
        self.encoded = [(next((rare for rare in _RARE if rare in echo), echo[:1]), echo) for echo in echoes]
        register_mask(self)

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"

    def text(self, value: str) -> str:
        """Return *value* with every secret masked."""
        lowered = value.lower()
        for secret, pattern in self._secrets:
            if secret in lowered:
                value = pattern.sub(MASK, value)
                lowered = value.lower()
        for secret, start in self._starts:
            if start in lowered:
                value = _without_beginnings(value, secret, start)
                lowered = value.lower()
        return value

    def body(self, value: bytes, limit: int | None = None) -> str:
        """Return a body as text of at most *limit* characters, with secrets masked."""
        if value[:2] in {b"\xff\xfe", b"\xfe\xff"}:
            value = value.decode("utf-16", "replace").encode()
        text = (value if limit is None else value[: limit * 4]).decode("utf-8", "replace")
        text = self.text("".join(_without_secret_members(text)))
        return text if limit is None else text[:limit]


def _without_beginnings(value: str, secret: str, start: str) -> str:
    """Mask every piece of *value* that begins like *secret*, with at least *start*."""
    lowered = value.lower()
    if len(lowered) != len(value):  # a letter whose lower case has two
        lowered = "".join(low if len(low := letter.lower()) == 1 else letter for letter in value)
    pieces, at = list[str](), 0
    while (place := lowered.find(start, at)) >= 0:
        end = place + len(start)
        while end < len(lowered) and end - place < len(secret) and lowered[end] == secret[end - place]:
            end += 1
        pieces += value[at:place], MASK
        at = end
    return "".join([*pieces, value[at:]])


def _without_secret_members(text: str) -> Iterator[str]:
    """Yield the pieces of a message without secret members and cards, in one pass.

    A secret member loses everything up to its end tag, attributes included. If that is cut off, it loses all the rest.
    """
    at, hidden, depth, name = 0, "", 0, ""
    for found in re.finditer(_MARKUP, text):
        before, markup, at = text[at : found.start()], found[0], found.end()
        tag = re.match(_TAG_OF, markup)
        if hidden:
            local = tag[3].lower() if tag else ""
            if local == hidden and not markup.endswith("/>"):
                depth += -1 if tag and tag[1] else 1
                if not depth:
                    hidden = ""
                    yield f"</{tag[2]}>" if tag else ""
            continue
        yield before if re.search(_NO_CARDS_IN, name) else mask_card_numbers(before)
        if tag is None:
            yield mask_card_numbers(markup)
            continue
        name = "" if tag[1] else tag[3].lower()
        if tag[1] or not is_secret_member(name):
            yield mask_card_numbers(markup) if "=" in markup else markup
            continue
        kept = "".join(re.findall(_KEPT_ATTRIBUTE, markup))
        if markup.endswith("/>"):
            yield f"<{tag[2]}{kept}/>"
            continue
        hidden, depth = name, 1
        yield f"<{tag[2]}{kept}>{'' if text.startswith(f'</{tag[2]}>', at) else MASK}"
    if not hidden:
        rest, opened, cut = text[at:].partition("<")
        yield rest if re.search(_NO_CARDS_IN, name) else mask_card_numbers(rest)
        tag = re.match(_TAG_OF, opened + cut)
        secret = tag is not None and is_secret_member(tag[3])
        yield opened + (MASK if secret else mask_card_numbers(cut))


FREE_TEXT = frozenset({"message", "errormessage", "faultstring", "text", "data", "resultdata"})
"""Elements with a service's own words."""

_CALL_MEMBERS = [
    "faultcode", "faultactor", "Code", "Subcode", "Status", "MessageCode", "Result", "IDOrder", "LineItemType",
    "SKU", "skuList", "StoreIDs", "SellerID", "ProductID", "string", "boolean", "byte", "short", "int", "long",
    "float", "double", "decimal", "dateTime", "guid", "unsignedByte", "Id",
]  # fmt: skip
"""Harmless elements that are members of no model: envelopes, parameters, items of arrays."""

_AMBIGUOUS = {"name": ("attributeinfo",), "value": ("attributeinfo", "customfieldmapping", "code", "subcode")}
"""Elements that are harmless only below these parents."""

_NAME = r"<\s*+(/?)\s*+([^\s/>]*)"
_ATTRIBUTE = r"(?<![^\s\"'])([^\s=\"'<>/]++)\s*+=\s*+(\"[^\"]*\"|'[^']*')"
_SAFE_ATTRIBUTE = r"xmlns(:.*)?|([\w.-]+:)?(nil|type|mustUnderstand|lang)"
_DECLARED = rb"\A\s*<\?xml\s[^>]*encoding\s*=\s*[\"']([\w.-]+)"
_EMAIL_OR_PHONE = r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+|\+\d[\d\s().-]{6,40}\d"
_CARD = r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)"
_NUMBER = r"[-+]?\d{1,12}(\.\d{1,6})?"
_DEEPEST = 32
"""Levels that are indented; each costs every line below it."""
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
    """Masks the messages of one client. Threads may share it."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._values: dict[str, re.Pattern[str]] = {}
        self._lock = threading.Lock()

    def body(self, body: bytes) -> str:
        """Return a message as masked text, one element per line."""
        return "".join(_Masking(self, _decoded(body)).pieces())

    def text(self, text: str) -> str:
        """Mask secrets, values masked elsewhere, and what looks personal in free text."""
        text = self.value(text)
        with self._lock:
            patterns = [pattern for value, pattern in self._values.items() if value in text]
        for pattern in patterns:
            text = pattern.sub(MASK, text)
        return re.sub(_CARD, MASK, text)

    def value(self, text: str) -> str:
        """Mask secrets, e-mail addresses and telephone numbers in a member's text."""
        # Not what looks like a card number, which may be an EAN.
        return re.sub(_EMAIL_OR_PHONE, MASK, self.secret(text))

    def secret(self, text: str) -> str:
        """Mask the client's secrets in *text*."""
        return self._redactor.text(text)

    def remember(self, value: str) -> None:
        """Mask *value* in free text from now on, unless that would mask ordinary words."""
        value = value.strip()
        plain = value.lower() in {"true", "false"} or (len(value) < 5 and value.isdigit())  # noqa: PLR2004 - as above
        if plain or not 3 <= len(value) <= 500:  # noqa: PLR2004 - as above
            return
        with self._lock:
            if len(self._values) < _MOST_VALUES:
                self._values[value] = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)")


def _decoded(body: bytes) -> str:
    named = re.search(_DECLARED, body[:200])
    encoding = "utf-16" if body[:2] in {b"\xff\xfe", b"\xfe\xff"} else named.group(1).decode() if named else "utf-8"
    try:
        return body.decode(encoding, "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


class _Token(NamedTuple):
    """A piece of a message: its kind, and its text (of CDATA, the text inside)."""

    kind: str
    raw: str


_QUOTED_OR_END = re.compile(r"[<>\"']")
_BRACKETS = (("<!--", "-->", "comment"), ("<![CDATA[", "]]>", "cdata"), ("<?", "?>", "instruction"))


def _tokens(text: str) -> Iterator[_Token]:
    """Yield the pieces of *text*, in linear time.

    A comment, CDATA or an instruction without an end hides the rest of the message, as it does from a parser.
    """
    at, missing = 0, set[str]()
    while at < len(text):
        if text[at] != "<":
            end = text.find("<", at)
            end = len(text) if end < 0 else end
            yield _Token("text", text[at:end])
            at = end
            continue
        bracket = next((each for each in _BRACKETS if text.startswith(each[0], at)), None)
        if bracket is not None:
            opening, closing, kind = bracket
            end = text.find(closing, at + len(opening))
            if end < 0:
                return
            raw = text[at + len(opening) : end]
            declared = kind == "instruction" and raw[:3].lower() == "xml" and raw[3:4].isspace()
            yield _Token("declared" if declared else kind, raw)
            at = end + len(closing)
        elif text[at : at + 9].upper() == "<!DOCTYPE":
            end = _end_of_doctype(text, at)
            if end < 0:
                return
            yield _Token("doctype", text[at:end])
            at = end
        else:
            end = _end_of_tag(text, at, missing)
            yield _Token("tag", text[at:end]) if end > 0 else _Token("text", "<")
            at = end if end > 0 else at + 1


def _end_of_tag(text: str, at: int, missing: set[str]) -> int:
    """Return the end of the tag at *at*, or 0; *missing* has quotes that do not recur."""
    place = at + 1
    while (found := _QUOTED_OR_END.search(text, place)) is not None:
        mark = found[0]
        if mark == ">":
            return found.end()
        if mark == "<" or mark in missing:
            return 0
        closing = text.find(mark, found.end())
        if closing < 0:
            missing.add(mark)
            return 0
        place = closing + 1
    return 0


def _end_of_doctype(text: str, at: int) -> int:
    """Return the end of the DOCTYPE at *at* with its internal subset, or -1."""
    end = text.find(">", at)
    subset = text.find("[", at, max(at, end))
    if subset >= 0:
        closing = text.find("]", subset)
        end = text.find(">", closing) if closing >= 0 else -1
    return end + 1 if end >= 0 else -1


class _Masking:
    """Masks one message, by the elements that are open."""

    def __init__(self, masker: Masker, text: str) -> None:
        self._masker = masker
        self._tokens = list(_tokens(text))
        self._open: list[tuple[str, bool]] = []
        self._names = Counter[str]()
        """Names of the open elements."""
        first = next((token.raw for token in self._tokens if token.kind == "tag"), "")
        self._message = _name_of(first) == "envelope"
        self._shown = shown_members()

    def pieces(self) -> Iterator[str]:
        """Yield the masked message piece by piece."""
        before = ""
        last = len(self._tokens) - 1
        for place, token in enumerate(self._tokens):
            if token.kind == "tag":
                piece = self._tag(token.raw)
                closes = piece.startswith("</")
                # Between two tags, but never inside an empty element: there white space would be its text.
                between = before == "close" or (before == "open" and not closes)
                if self._message and between:
                    depth = len(self._open) - (0 if closes or piece.endswith("/>") else 1)
                    yield "\n" + "  " * min(depth, _DEEPEST)
                yield piece
                before = "close" if closes or piece.endswith("/>") else "open"
                continue
            if token.kind in {"text", "cdata"}:
                before = "" if token.raw else before
                yield self._text(token.raw, cut=place == last and bool(self._open), escaped=token.kind == "text")
            elif token.kind == "declared":
                yield '<?xml version="1.0" encoding="utf-8"?>'
            elif token.kind == "doctype":
                yield f"<!DOCTYPE {'html' if token.raw[9:].strip()[:4].lower() == 'html' else 'masked'}>"

    def _tag(self, tag: str) -> str:
        found = re.match(_NAME, tag)
        if found is None:
            return ""
        closing, name = found.groups()
        inner = tag[found.end() : -1].rstrip()
        empty = "/" if inner.endswith("/") else ""
        attributes = inner.removesuffix("/")
        local = _name_of(tag)
        if closing:
            while self._names[local]:
                known = self._open.pop()[0]
                self._names[known] -= 1
                if known == local:
                    break
            return f"</{name}>"
        if not empty:
            inside = bool(self._open) and self._open[-1][1]
            self._open.append((local, inside or _hides(local)))
            self._names[local] += 1
        kept = "".join(
            f" {key}={value if re.fullmatch(_SAFE_ATTRIBUTE, key) else repr(MASK)}"
            for key, value in re.findall(_ATTRIBUTE, attributes)
        )
        return f"<{self._masker.secret(name + kept)}{empty}>"

    def _text(self, raw: str, *, cut: bool, escaped: bool) -> str:
        if not raw.strip():
            return raw
        text = _unescaped(raw) if escaped else raw
        name, hidden = self._open[-1] if self._open else ("", False)
        if cut or hidden or not self._known(name):
            self._masker.remember(text)
            return MASK
        free = (_free(name) or not self._message) and not re.fullmatch(_NUMBER, text.strip())
        clean = self._masker.text(text) if free else self._masker.value(text)
        return raw if escaped and clean == text else _escaped(clean)

    def _known(self, name: str) -> bool:
        if not self._message:  # a page: its words are free text
            return name not in _HIDDEN
        if name in _AMBIGUOUS:
            return len(self._open) > 1 and self._open[-2][0] in _AMBIGUOUS[name]
        return name in self._shown or _free(name)


def _name_of(tag: str) -> str:
    found = re.match(_NAME, tag)
    return "" if found is None else found[2].rpartition(":")[2].lower()


_HIDDEN = frozenset(name.lower() for name in (*SECRET_MEMBERS, *PERSONAL_PARTS))


def _free(name: str) -> bool:
    return name in FREE_TEXT or name.endswith("result")  # a scalar is in the call's own result


def _hides(name: str) -> bool:
    return name in _HIDDEN or is_card_member(name) or any(word in name for word in PERSONAL_WORDS)
