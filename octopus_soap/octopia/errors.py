"""Errors of the Octopia client, a class for each that callers handle differently.

```
OctopiaError (OctopusError)
├── OctopiaConfigError (ConfigError)                  settings or credentials refused; nothing was sent
│   └── WritesDisabledError                           a write, and the client was built for reading
├── OctopiaInputError (ValueError)                    an argument refused; nothing was sent
├── OctopiaTransportError (TransportError)            no complete answer arrived
│   ├── OctopiaConnectError                           the request never left
│   │   └── OctopiaTlsError                           the certificate was not trusted
│   ├── OctopiaTimeoutError (TimeoutError)            a limit passed before the answer was complete
│   └── ConnectionLostError                           the connection broke after the request was sent
├── OctopiaOutcomeUnknownError (OutcomeUnknownError)  a write may or may not have been done
├── OctopiaProtocolError (ProtocolError)              an answer that cannot be read
├── TokenError                                        no access token could be had
│   ├── TokenRefusedError                             the token service refused the credentials
│   └── TokenQuotaError                               the token requests of this hour are spent
├── ApiError                                          the API answered with an error status
│   ├── ApiRejectedError                              400, 406, 409, 415, 422: the request itself was refused
│   ├── AccessRefusedError                            401 or 403 although the token is fresh
│   │   └── SellerNotLinkedError                      ... on a call for one seller: most likely the missing link
│   ├── GatewayRefusedError                           401 or 403 with a web page: a firewall, not the API
│   ├── NotFoundError                                 404
│   ├── ApiRateLimitedError                           429
│   └── ServerError                                   5xx, from the API or a gateway before it
└── OfferPackageError                                 an offer package stopped half way; carries its id
```

Classes in parentheses are bases too, so a job that uses both services can catch `ConfigError` or `OutcomeUnknownError`
once. A message is under 1 kB, facts are attributes, every error survives pickling.

No secret is in a message, an attribute or a chained exception. For this reason errors of httpcore and pydantic are not
chained with ``raise ... from``: their objects can hold a request, and a request holds the bearer token. ``reason`` has
their class and text instead.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field

from octopus_soap._http import clip
from octopus_soap.errors import ConfigError, OctopusError, OutcomeUnknownError, ProtocolError, TransportError


@dataclass(eq=False, repr=False)
class OctopiaError(OctopusError):
    """Base of everything that the Octopia client raises on purpose."""

    hint = ""  # the messages name the next step themselves
    message: str
    _: KW_ONLY
    call: str = ""  # such as ``GET /orders``; empty if nothing was sent
    status: int | None = None  # the HTTP status of the answer, or None if there was none
    reason: str = ""  # the kind and text of the underlying failure, as words
    retry_after: float | None = None  # seconds until the next try makes sense, if they are known

    def __post_init__(self) -> None:
        super().__init__(self.message)
        self.reason = clip(self.reason, 300)


class OctopiaConfigError(OctopiaError, ConfigError):
    """Settings or credentials that cannot work; nothing was sent."""


class WritesDisabledError(OctopiaConfigError):
    """A write was refused, because `OctopiaSettings.allow_writes` is off."""


@dataclass(eq=False, repr=False)
class OctopiaInputError(OctopiaError, ValueError):
    """An argument was refused before anything was sent."""

    _: KW_ONLY
    argument: str = ""  # the name of the argument at fault


class OctopiaTransportError(OctopiaError, TransportError):
    """No complete answer arrived."""


class OctopiaConnectError(OctopiaTransportError):
    """Nothing was sent, since no connection was made; even a write can be repeated."""


class OctopiaTlsError(OctopiaConnectError):
    """The server's certificate was not trusted; verification cannot be turned off."""


class OctopiaTimeoutError(OctopiaTransportError, TimeoutError):
    """The answer took longer than the settings allow."""


class ConnectionLostError(OctopiaTransportError):
    """The connection broke after the request was sent."""


class OctopiaOutcomeUnknownError(OctopiaError, OutcomeUnknownError):
    """A write was sent, and no answer proves that it was done or not done.

    It is never repeated. Read the order or the package back before you decide.
    """


class OctopiaProtocolError(OctopiaError, ProtocolError):
    """An answer came that cannot be read, or must not be followed."""


class TokenError(OctopiaError):
    """No access token could be obtained."""


class TokenRefusedError(TokenError):
    """The token service refused the client id or the client secret."""


class TokenQuotaError(TokenError):
    """This process has spent the hour's token requests (500, docs/octopia.md, [C2])."""


@dataclass(eq=False, repr=False)
class ApiError(OctopiaError):
    """The API answered with an error status."""

    _: KW_ONLY
    title: str = ""  # the short text of the problem, as the API gave it
    detail: str = ""  # the longer text of the problem
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])  # messages per field
    trace_id: str = ""  # the id to quote to Octopia's support
    seller_id: str | None = None  # the seller the call was made for, or None


class ApiRejectedError(ApiError):
    """The request itself was refused (400, 406, 409, 415, 422); nothing was changed."""


class AccessRefusedError(ApiError):
    """The token was granted, but the call was refused (401 or 403)."""


class SellerNotLinkedError(AccessRefusedError):
    """A call for one seller was refused, most likely because a link is missing."""


class GatewayRefusedError(ApiError):
    """A firewall, a bot filter or a proxy answered 401 or 403 with a web page."""


class NotFoundError(ApiError):
    """The path or the object does not exist (404)."""


class ApiRateLimitedError(ApiError):
    """Too many requests (429), and the wait would be longer than the settings allow."""


class ServerError(ApiError):
    """The API, or a gateway before it, failed (5xx) on a read."""


@dataclass(eq=False, repr=False)
class OfferPackageError(OctopiaError):
    """An offer package was opened and could not be brought to its end."""

    _: KW_ONLY
    package_id: str = ""  # the id Octopia gave the package
    stage: str = ""  # where it stopped: ``uploading``, ``settling``, ``closing``, ``integrating`` or ``results``
    uploaded: int = 0  # how many offer requests were accepted for upload before it stopped
    cause: OctopiaError | None = None  # the error that stopped it, or None if the package itself did
