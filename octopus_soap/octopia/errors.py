"""What can go wrong, as classes a caller would handle differently.

```
OctopiaError
├── ConfigError (ValueError)      settings or credentials refused; nothing was sent
│   └── WritesDisabledError       a write was asked of a client built for reading
├── InputError (ValueError)       an argument refused; nothing was sent
├── TransportError                no usable answer came back
│   ├── ConnectFailedError        the request never left
│   │   └── TlsFailedError        the server's certificate was not trusted
│   ├── TimedOutError (TimeoutError)
│   ├── ConnectionLostError       the connection broke after the request was sent
│   └── OutcomeUnknownError       a write left and nobody can say whether it was done
├── ProtocolError                 an answer came that cannot be read
├── TokenError                    no access token could be had
│   ├── TokenRefusedError         the token service refused the credentials
│   └── TokenQuotaError           the 500 token requests of this hour are spent
├── ApiError                      the API answered with an error status
│   ├── RejectedError             400, 406, 409, 415, 422: the request itself was refused
│   ├── AccessRefusedError        401 or 403 although the token is fresh
│   │   └── SellerNotLinkedError  ... on a call for one seller: most likely the missing link
│   ├── NotFoundError             404
│   ├── RateLimitedError          429
│   └── ServerError               5xx, from the API or a gateway before it
└── OfferPackageError             an offer package stopped half way; carries its id
```

Three promises hold for all of them, and tests hold them to it:

1. The message is under 1,000 bytes, and facts are attributes: no parsing of messages is ever needed.
2. No secret is in the message, an attribute, or a chained exception. This is why errors of httpx, authlib and pydantic
   are *not* chained with ``raise ... from``: their objects hold requests, and a request holds the bearer token. Their
   kind and text are kept as words in ``reason``.
3. They survive pickling, so that a worker process can hand them back.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MESSAGE_BYTES = 900
"""The longest message kept, in UTF-8 bytes; the rest is cut and marked with an ellipsis."""


def clip(text: str, limit: int = MESSAGE_BYTES) -> str:
    """Return *text* cut to at most *limit* UTF-8 bytes."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode("utf-8")
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"


def _restore(cls: type[OctopiaError], args: tuple[Any, ...], state: dict[str, Any]) -> OctopiaError:
    """Rebuild an error from its message and facts, without running its constructor."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class OctopiaError(Exception):
    """Base of everything this package raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(clip(message))

    def __reduce__(self) -> tuple[Callable[..., OctopiaError], tuple[Any, ...]]:
        # Exception's own __reduce__ calls the constructor with the message alone, which keyword-only facts do not
        # survive.
        return _restore, (type(self), self.args, dict(self.__dict__))


class ConfigError(OctopiaError, ValueError):
    """Settings or credentials that cannot work; nothing was sent."""


class WritesDisabledError(ConfigError):
    """A write was asked of a client that was built for reading (`OctopiaSettings.allow_writes` is off)."""


class InputError(OctopiaError, ValueError):
    """An argument was refused before anything was sent.

    Attributes:
        argument: The name of the argument at fault.
    """

    def __init__(self, message: str, *, argument: str = "") -> None:
        super().__init__(message)
        self.argument = argument


class TransportError(OctopiaError):
    """No usable answer came back.

    Attributes:
        call: What was asked, such as ``GET /orders``.
        reason: The kind and text of the underlying failure, as words.
    """

    def __init__(self, message: str, *, call: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.call = call
        self.reason = clip(reason, 300)


class ConnectFailedError(TransportError):
    """No connection could be made, so the request never left: repeating it is safe, even a write."""


class TlsFailedError(ConnectFailedError):
    """The server's certificate was not trusted.

    The remedy is `OctopiaSettings.verify` set to the CA bundle of your proxy. Verification cannot be turned off.
    """


class TimedOutError(TransportError, TimeoutError):
    """The answer took longer than the settings allow."""


class ConnectionLostError(TransportError):
    """The connection broke after the request was sent."""


class OutcomeUnknownError(TransportError):
    """A write left, and no answer says whether it was done.

    Never repeated by this package. Read the order or the package back before deciding.

    Attributes:
        status: The HTTP status if an error status was the answer, else None.
    """

    def __init__(self, message: str, *, call: str = "", reason: str = "", status: int | None = None) -> None:
        super().__init__(message, call=call, reason=reason)
        self.status = status


class ProtocolError(OctopiaError):
    """An answer came that this package cannot read, or will not follow.

    Attributes:
        call: What was asked, such as ``GET /orders``.
        status: The HTTP status of the answer, if there was one.
    """

    def __init__(self, message: str, *, call: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.call = call
        self.status = status


class TokenError(OctopiaError):
    """No access token could be had.

    Attributes:
        status: The HTTP status of the token service, if it answered.
        retry_after: Seconds until this process asks again, or None.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class TokenRefusedError(TokenError):
    """The token service refused the client id or the client secret."""


class TokenQuotaError(TokenError):
    """This process has spent the hour's token requests (500, docs/sources.md, [C2])."""


class ApiError(OctopiaError):
    """The API answered with an error status.

    Attributes:
        call: What was asked, such as ``GET /orders``.
        status: The HTTP status.
        title: The short text of the problem, as the API gave it.
        detail: The longer text of the problem.
        fields: The messages per field at fault.
        trace_id: The id to quote to Octopia's support.
        retry_after: Seconds the server asked to wait, or None.
        seller_id: The seller the call was made for, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        call: str,
        status: int,
        title: str = "",
        detail: str = "",
        fields: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
        trace_id: str = "",
        retry_after: float | None = None,
        seller_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.call = call
        self.status = status
        self.title = title
        self.detail = detail
        self.fields = dict(fields)
        self.trace_id = trace_id
        self.retry_after = retry_after
        self.seller_id = seller_id


class RejectedError(ApiError):
    """The request itself was refused (400, 406, 409, 415, 422); nothing was changed."""


class AccessRefusedError(ApiError):
    """The token was granted, and the call was refused all the same (401 or 403)."""


class SellerNotLinkedError(AccessRefusedError):
    """A call for one seller was refused with a fresh token: most likely the seller is not linked to this client."""


class NotFoundError(ApiError):
    """The path or the object does not exist (404)."""


class RateLimitedError(ApiError):
    """Too many requests (429), and waiting longer than the settings allow would be needed."""


class ServerError(ApiError):
    """The API, or a gateway before it, failed (5xx) on a read."""


class OfferPackageError(OctopiaError):
    """An offer package was opened and could not be brought to its end.

    Attributes:
        package_id: The id Octopia gave the package.
        stage: Where it stopped: ``uploading``, ``settling``, ``closing``, ``integrating`` or ``results``.
        uploaded: How many offer requests were accepted for upload before it stopped.
        reason: The error that stopped it, or None if the package itself did.
    """

    def __init__(
        self, message: str, *, package_id: str, stage: str, uploaded: int, reason: OctopiaError | None = None
    ) -> None:
        super().__init__(message)
        self.package_id = package_id
        self.stage = stage
        self.uploaded = uploaded
        self.reason = reason


__all__ = [
    "AccessRefusedError",
    "ApiError",
    "ConfigError",
    "ConnectFailedError",
    "ConnectionLostError",
    "InputError",
    "NotFoundError",
    "OctopiaError",
    "OfferPackageError",
    "OutcomeUnknownError",
    "ProtocolError",
    "RateLimitedError",
    "RejectedError",
    "SellerNotLinkedError",
    "ServerError",
    "TimedOutError",
    "TlsFailedError",
    "TokenError",
    "TokenQuotaError",
    "TokenRefusedError",
    "TransportError",
    "WritesDisabledError",
]
