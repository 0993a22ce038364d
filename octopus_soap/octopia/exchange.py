"""One call, from token to checked answer: the flow under every operation.

Rules:

1. ``Authorization`` and ``SellerId`` go on every call, to the configured API origin only (docs/sources.md, [C]).
2. A 401 drops the token, and the call is made once more with a fresh one; a second 401 is an error. This holds for
   writes too: 401 means by its definition (RFC 9110, section 15.5.2) that the request was not applied. It is the only
   case in which a write is sent again.
3. A 403 on a read with a token older than `STALE_SECONDS` is treated alike, because a token carries the roles it was
   granted with ([I] from the recorded token): a link made since is not in it. Rate limited by the cache.
4. Refused with a fresh token, the error explains the missing link between client and seller ([C] that it is needed).
5. Reads are repeated as `RetryPolicy` says. Writes never are: a failure after the request left is
   `OutcomeUnknownError`.
6. Redirects are not followed: they would carry the token to wherever they point.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pydantic import SecretBytes, SecretStr

from octopus_soap.octopia.effects import Flow, Reply, Request, send, sleep, wait
from octopus_soap.octopia.errors import (
    ConfigError,
    ConnectFailedError,
    OctopiaError,
    OutcomeUnknownError,
    ProtocolError,
    TransportError,
    WritesDisabledError,
)
from octopus_soap.octopia.grant import read_grant, token_request
from octopus_soap.octopia.refusals import refusal
from octopus_soap.octopia.replies import Scrubber, read_json, scrubber
from octopus_soap.octopia.settings import OctopiaSettings, checked_header
from octopus_soap.octopia.tokens import Clock, Follow, Grant, Lead, Token, TokenCache, TokenKey

if TYPE_CHECKING:
    from octopus_soap.octopia.credentials import ApiCredentials
    from octopus_soap.octopia.retry import Jitter

STALE_SECONDS = 300.0
"""A token older than this is worth replacing once when a read is answered 403."""

Query = Sequence[tuple[str, str]]
"""Query parameters in order; the values are not encoded yet."""

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_REQUEST_TIMEOUT = 408


def _nothing() -> None:
    """Do nothing before an attempt."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a call needs to be made for one seller.

    Attributes:
        credentials: Who asks for tokens.
        seller_id: Whom calls are made for, or None if not chosen yet.
        settings: Addresses and limits.
        tokens: Where tokens are kept.
        clock: Seconds that only grow.
        jitter: Draws the pauses.
    """

    credentials: ApiCredentials
    seller_id: str | None
    settings: OctopiaSettings
    tokens: TokenCache
    clock: Clock
    jitter: Jitter

    def for_seller(self, seller_id: str) -> Exchange:
        """Return the same exchange for another seller; the token stays shared."""
        return replace(self, seller_id=checked_header(seller_id, "seller_id"))

    def read(self, path: str, query: Query = ()) -> Flow[Reply]:
        """GET *path* and return the successful answer."""
        url = self.settings.api_url + path + (f"?{urlencode(query)}" if query else "")
        request = Request(method="GET", url=url, call=f"GET {path}", headers=self._headers(_NO_HEADERS))
        reply = yield from self._authorised(request, self._patiently)
        return self._checked(request, reply)

    def read_json(self, path: str, query: Query = ()) -> Flow[Any]:
        """GET *path* and return the JSON of the answer."""
        reply = yield from self.read(path, query)
        return read_json(reply, f"GET {path}")

    def write(self, method: str, path: str, body: object, headers: Mapping[str, str] = _NO_HEADERS) -> Flow[Reply]:
        """Send a write once and return the successful answer.

        Raises:
            WritesDisabledError: The settings do not allow writes.
            OutcomeUnknownError: The request left, and nobody can say whether it was done.
            ApiError: It was refused.
        """
        call = f"{method} {path}"
        if not self.settings.allow_writes:
            raise WritesDisabledError(f"{call} is a write: build the client with OctopiaSettings(allow_writes=True)")
        encoded = SecretBytes(json.dumps(body, ensure_ascii=False, allow_nan=False).encode())
        shown = self._headers({"Content-Type": "application/json", **headers})
        request = Request(method=method, url=self.settings.api_url + path, call=call, headers=shown, body=encoded)
        reply = yield from self._authorised(request, _once)
        if reply.status >= 500 or reply.status == _REQUEST_TIMEOUT:  # noqa: PLR2004 - the class of server errors
            raise OutcomeUnknownError(
                f"{call}: answered {reply.status}; whether it was done is unknown, and it is not repeated",
                call=call,
                status=reply.status,
            )
        return self._checked(request, reply)

    # -- the parts -------------------------------------------------------------------------------------------------

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        if self.seller_id is None:
            raise ConfigError("this call is made for a seller: use client.for_seller(seller_id)")
        language = {"Accept-Language": self.settings.language} if self.settings.language else {}
        return {"Accept": "application/json", "SellerId": self.seller_id, **language, **more}

    def _authorised(self, request: Request, deliver: Callable[[Request], Flow[Reply]]) -> Flow[Reply]:
        """Deliver *request* with a token; renew it once if it is refused (rules 2 and 3)."""
        token = yield from self.token()
        reply = yield from deliver(self._signed(request, token))
        if self._worth_renewing(request, reply, token):
            token = yield from self.token()
            reply = yield from deliver(self._signed(request, token))
        return reply

    def _worth_renewing(self, request: Request, reply: Reply, token: Token) -> bool:
        if reply.status == 401:  # noqa: PLR2004 - unauthorized
            return self.tokens.refuse(self._key, token)
        if reply.status == 403 and request.method == "GET":  # noqa: PLR2004 - forbidden
            return self.tokens.refuse(self._key, token, minimum_age=STALE_SECONDS)
        return False

    def _signed(self, request: Request, token: Token) -> Request:
        secret = {"Authorization": SecretStr(f"Bearer {token.value.get_secret_value()}")}
        if self.settings.subscription_key is not None:
            secret["Ocp-Apim-Subscription-Key"] = self.settings.subscription_key
        return replace(request, secret_headers=secret)

    def _patiently(self, request: Request, before: Callable[[], None] = _nothing) -> Flow[Reply]:
        """Send *request* until it is answered for good, as the retry policy allows."""
        policy, started, attempt = self.settings.retry, self.clock(), 0
        while True:
            before()
            attempt += 1
            try:
                reply = yield from send(request)
            except TransportError as error:
                pause = policy.pause(attempt, self.clock() - started, error, self.jitter)
                if pause is None:
                    raise
            else:
                pause = policy.pause(attempt, self.clock() - started, reply, self.jitter)
                if pause is None:
                    return reply
            yield from sleep(pause)

    # -- the token -------------------------------------------------------------------------------------------------

    @property
    def _key(self) -> TokenKey:
        return TokenKey.of(self.settings.token_url, self.credentials.client_id, self.credentials.client_secret)

    def token(self) -> Flow[Token]:
        """Return a usable token: cached, awaited from whoever is asking, or new (tokens.py, rule 2)."""
        given_up = None
        while True:
            claim = self.tokens.claim(self._key, supersede=given_up)
            if isinstance(claim, Token):
                return claim
            if isinstance(claim, Lead):
                return (yield from self._lead(claim))
            landed = yield from self._follow(claim)
            given_up = None if landed else claim.flight

    def _follow(self, claim: Follow) -> Flow[bool]:
        return wait(claim.flight.done, self.settings.waits_at_most, claim.flight.thread)

    def _lead(self, claim: Lead) -> Flow[Token]:
        try:
            grant = yield from self._ask_for_token()
        except OctopiaError as error:
            self.tokens.fail(claim.flight, error)
            if claim.fallback is not None:
                return claim.fallback  # still good; the failure only postpones the next try
            raise
        except BaseException:  # cancelled, interrupted or closed: the followers must not wait for us
            self.tokens.abandon(claim.flight)
            raise
        return self.tokens.fulfil(claim.flight, grant)

    def _ask_for_token(self) -> Flow[Grant]:
        request = token_request(self.settings.token_url, self.credentials)
        reply = yield from self._patiently(request, before=lambda: self.tokens.note_request(self._key))
        return read_grant(reply, self.scrubber())

    # -- the answer ------------------------------------------------------------------------------------------------

    def scrubber(self, token: Token | None = None) -> Scrubber:
        """Return what masks this exchange's secrets in a server's words."""
        known = (self.credentials.client_secret, self.settings.subscription_key, token.value if token else None)
        return scrubber(secret for secret in known if secret is not None)

    def _checked(self, request: Request, reply: Reply) -> Reply:
        if 200 <= reply.status < 300:  # noqa: PLR2004 - the class of successes
            return reply
        if reply.status < 400:  # noqa: PLR2004 - redirects, and the odd 1xx
            raise ProtocolError(
                f"{request.call}: answered {reply.status}; redirects are not followed, they would take the token along",
                call=request.call,
                status=reply.status,
            )
        raise refusal(request.call, self.seller_id, reply, self.scrubber())


def _once(request: Request) -> Flow[Reply]:
    """Send a write; say so if its outcome cannot be known."""
    try:
        return (yield from send(request))
    except ConnectFailedError:
        raise  # it never left
    except (TransportError, ProtocolError) as error:
        unknown = OutcomeUnknownError(
            f"{request.call}: {error}; whether it was done is unknown, and it is not repeated",
            call=request.call,
            reason=str(error),
        )
        raise unknown from error
