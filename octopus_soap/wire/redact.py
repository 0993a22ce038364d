"""Redaction: the one place that decides what may appear in a log line, a repr, an exception or a dry run."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        plain = {secret for secret in secrets if len(secret) >= 4}  # noqa: PLR2004 - see Args
        # A service that echoes one may write it as XML or HTML does.
        forms = {
            form for secret in plain for form in (secret, secret.strip(), escape(secret), escape(secret, quote=False))
        }
        self._secrets = sorted((form for form in forms if form), key=len, reverse=True)  # the longest first
        self._bytes = [secret.encode(form) for secret in self._secrets for form in _ENCODINGS]

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"

    def concerns(self, body: bytes) -> bool:
        """True where a secret turns up in *body*."""
        return any(secret in body for secret in self._bytes)

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
