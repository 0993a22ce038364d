"""One call, from token to checked answer: the flow under every operation.

Rules:

1. ``Authorization`` and ``SellerId`` go on every call, to the configured API origin only (docs/octopia.md, [C]).
2. A 401 drops the token, and the call is made once more with a fresh one; a second 401 is an error. This holds for
   writes too: 401 means by its definition (RFC 9110, section 15.5.2) that the request was not applied.
3. A 403 on a read with a token older than `STALE_SECONDS` is treated alike, because a token carries the roles it was
   granted with ([I] from the recorded token): a link made since is not in it. Rate limited by the cache.
4. If a call with a fresh token is refused, the error explains the missing link between client and seller ([C] that it
   is needed), unless the answer is a web page: then a gateway answered, not the API.
5. Reads are repeated by the rules of `RetryPolicy`. A write is repeated only after 401 and 429, because then it was not
   applied. It counts as refused only if its status proves that nothing was done (`PROVES_REFUSAL`), and as done
   only on a 2xx; anything else is `OctopiaOutcomeUnknownError`.
6. The body of an error may be problem+json ([C]), Keycloak's ``error`` and ``error_description`` ([I]), a gateway's
   HTML, or empty.
"""

from __future__ import annotations

import json
import math
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from email.message import Message
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlencode

from pydantic import SecretBytes, SecretStr

from octopus_soap._http import clip, retry_after
from octopus_soap.octopia import errors
from octopus_soap.octopia.credentials import CREDENTIALS_PAGE
from octopus_soap.octopia.effects import Flow, Reply, Request, Sleep, Wait, send
from octopus_soap.octopia.settings import OctopiaSettings, checked_header
from octopus_soap.octopia.tokens import Grant, Lead, Token, TokenCache, TokenKey

if TYPE_CHECKING:
    from octopus_soap.octopia.credentials import OctopiaCredentials
    from octopus_soap.octopia.effects import Clock, Jitter

STALE_SECONDS = 300.0  # an older token is replaced once if a read is answered 403

# The documented statuses (docs/octopia.md, [C]); another 4xx is a plain `ApiError`, any 5xx a `ServerError`.
BY_STATUS: Mapping[int, type[errors.ApiError]] = {
    **dict.fromkeys((400, 406, 409, 415, 422), errors.ApiRejectedError),
    **dict.fromkeys((401, 403), errors.AccessRefusedError),
    404: errors.NotFoundError,
    429: errors.ApiRateLimitedError,
}
# By the definition of these statuses nothing was done. Others, such as a proxy's own 460 or 499, prove nothing.
PROVES_REFUSAL = frozenset(BY_STATUS) | {405, 407, 410, 411, 412, 413, 414, 417, 421, 426, 428, 431, 451}

Query = Sequence[tuple[str, str]]  # in order; the values are not encoded yet
Scrubber = Callable[[str], str]  # masks the secrets in a text that a server sent
TOKEN_CALL = "POST token"  # noqa: S105 - words for a message, not a password
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Exchange:
    """The settings and tokens of calls for one seller, or for none yet."""

    credentials: OctopiaCredentials
    seller_id: str | None
    settings: OctopiaSettings
    tokens: TokenCache
    clock: Clock
    jitter: Jitter

    def for_seller(self, seller_id: str) -> Exchange:
        """Return the same exchange for another seller; both share the token."""
        return replace(self, seller_id=checked_header(seller_id, "seller_id"))

    def read_any(self, path: str, query: Query = ()) -> Flow[Reply]:
        """GET *path* and return the final answer, whatever its status."""
        url = self.settings.api_url + path + (f"?{urlencode(query)}" if query else "")
        request = Request(method="GET", url=url, call=f"GET {path}", headers=self._headers(_NO_HEADERS))
        return (yield from self._authorised(request))

    def read_json(self, path: str, query: Query = ()) -> Flow[Any]:
        """GET *path* and return the JSON of the answer."""
        call, reply = f"GET {path}", (yield from self.read_any(path, query))
        return read_json(self.checked(call, reply), call)

    def write(self, method: str, path: str, body: object, headers: Mapping[str, str] = _NO_HEADERS) -> Flow[Reply]:
        """Send a write and return the successful answer (rule 5); None sends no body."""
        call = f"{method} {path}"
        if not self.settings.allow_writes:
            message = f"{call} is a write: build the client with OctopiaSettings(allow_writes=True)"
            raise errors.WritesDisabledError(message)
        encoded, kind = None, dict[str, str]()
        if body is not None:
            encoded = SecretBytes(json.dumps(body, ensure_ascii=False, allow_nan=False).encode())
            kind["Content-Type"] = "application/json"
        shown = self._headers({**kind, **headers})
        request = Request(method=method, url=self.settings.api_url + path, call=call, headers=shown, body=encoded)
        reply = yield from self._authorised(request)
        if 200 <= reply.status < 300 or reply.status in PROVES_REFUSAL:  # noqa: PLR2004 - the class of successes
            return self.checked(call, reply)
        raise _unknown(call, f"answered {reply.status}", status=reply.status)

    def checked(self, call: str, reply: Reply) -> Reply:
        """Return *reply* if it is a success; raise its error otherwise."""
        if 200 <= reply.status < 300:  # noqa: PLR2004 - the class of successes
            return reply
        if reply.status < 400:  # noqa: PLR2004 - redirects
            message = f"{call}: answered {reply.status}; redirects are not followed, they would take the token along"
            raise errors.OctopiaProtocolError(message, call=call, status=reply.status)
        raise refusal(call, self.seller_id, reply, self.scrubber())

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        if self.seller_id is None:
            raise errors.OctopiaConfigError("this call is made for a seller: use client.for_seller(seller_id)")
        language = {"Accept-Language": self.settings.language} if self.settings.language else {}
        return {"Accept": "application/json", "SellerId": self.seller_id, **language, **more}

    def _authorised(self, request: Request) -> Flow[Reply]:
        """Deliver *request* with a token; renew it once if it is refused (rules 2 and 3)."""
        write, token = request.method != "GET", (yield from self.token())
        reply = yield from self._delivered(self._signed(request, token), write=write)
        if self._worth_renewing(request, reply, token):
            token = yield from self.token()
            reply = yield from self._delivered(self._signed(request, token), write=write)
        return reply

    def _worth_renewing(self, request: Request, reply: Reply, token: Token) -> bool:
        ages = {401: 0.0, 403: STALE_SECONDS} if request.method == "GET" else {401: 0.0}
        age = None if is_web_page(reply) else ages.get(reply.status)
        return age is not None and self.tokens.refuse(self._key, token, minimum_age=age)

    def _signed(self, request: Request, token: Token) -> Request:
        secret = {"Authorization": SecretStr(f"Bearer {token.value.get_secret_value()}")}
        if self.settings.subscription_key is not None:
            secret["Ocp-Apim-Subscription-Key"] = self.settings.subscription_key
        return replace(request, secret_headers=secret)

    def _delivered(
        self, request: Request, *, write: bool = False, before: Callable[[], None] = lambda: None
    ) -> Flow[Reply]:
        """Send *request* and repeat it as the rules allow, then return the last answer."""
        started, attempt = self.clock(), 0
        while True:
            before()
            attempt += 1
            outcome: Reply | errors.OctopiaTransportError
            try:
                outcome = yield from send(request)
            except (errors.OctopiaTransportError, errors.OctopiaProtocolError) as error:
                if write and not isinstance(error, errors.OctopiaConnectError):  # after which nothing was sent
                    raise _unknown(request.call, str(error), reason=str(error)) from error
                if write or isinstance(error, errors.OctopiaProtocolError):
                    raise
                outcome = error
            pause = None
            if not write or (isinstance(outcome, Reply) and outcome.status == 429):  # noqa: PLR2004 - not applied
                pause = self.settings.retry.pause(attempt, self.clock() - started, outcome, self.jitter)
            if pause is not None:
                yield Sleep(pause)
            elif isinstance(outcome, Reply):
                return outcome
            else:
                raise outcome

    @property
    def _key(self) -> TokenKey:
        return TokenKey.of(self.settings.token_url, self.credentials.client_id, self.credentials.client_secret)

    def token(self) -> Flow[Token]:
        """Return a usable token: cached, from another caller's request, or new."""
        given_up = None
        while True:
            claim = self.tokens.claim(self._key, supersede=given_up)
            if isinstance(claim, Token):
                return claim
            if isinstance(claim, Lead):
                return (yield from self._lead(claim))
            landed = yield Wait(claim.done, self.settings.waits_at_most, claim.thread)
            given_up = None if landed is True else claim

    def _lead(self, claim: Lead) -> Flow[Token]:
        try:
            if (grant := self.tokens.stored(self._key, claim.fallback)) is not None:
                return self.tokens.fulfil(claim.flight, grant, share=False)
            grant = yield from self._asked(ahead=claim.fallback is not None)
        except errors.OctopiaError as error:
            self.tokens.fail(claim.flight, error)
            if claim.fallback is not None:
                return claim.fallback  # still good; the failure only postpones the next try
            raise
        except BaseException:  # cancelled, interrupted or closed: the followers must not wait any longer
            self.tokens.abandon(claim.flight)
            raise
        return self.tokens.fulfil(claim.flight, grant)

    def _asked(self, *, ahead: bool) -> Flow[Grant]:
        """Ask the token service; only once and for a short time if *ahead* of need."""
        request = token_request(self.settings.token_url, self.credentials)
        if ahead:
            self.tokens.note_request(self._key)
            reply = yield from send(replace(request, seconds=self.settings.renew_seconds))
        else:
            reply = yield from self._delivered(request, before=lambda: self.tokens.note_request(self._key))
        return read_grant(reply, self.scrubber())

    def scrubber(self) -> Scrubber:
        """Return the scrubber of this exchange's secrets."""
        known = (self.credentials.client_secret, self.settings.subscription_key)
        return scrubber(secret for secret in known if secret is not None)


def _unknown(call: str, why: str, *, status: int | None = None, reason: str = "") -> errors.OctopiaOutcomeUnknownError:
    message = f"{call}: {why}; whether it was done is unknown, and it is not repeated"
    return errors.OctopiaOutcomeUnknownError(message, call=call, status=status, reason=reason)


def token_request(url: str, credentials: OctopiaCredentials) -> Request:
    """Return the request for a token, an encoded form ([C])."""
    names = {"grant_type": "client_credentials", "client_id": credentials.client_id}
    form = urlencode({**names, "client_secret": credentials.client_secret.get_secret_value()})
    return Request(method="POST", url=url, call=TOKEN_CALL, headers=_FORM, body=SecretBytes(form.encode("ascii")))


def read_grant(reply: Reply, scrub: Scrubber) -> Grant:
    """Return the token in *reply*, or raise the error of a refusal or a failure."""
    if reply.status == 200:  # noqa: PLR2004 - the one documented success
        if (grant := _grant_in(reply)) is not None:
            return grant
        message = "the token service answered without a usable access_token"
        raise errors.OctopiaProtocolError(message, call=TOKEN_CALL, status=reply.status)
    problem, wait = problem_of(reply, scrub), retry_after(reply.headers)
    if reply.status in {400, 401, 403} and not is_web_page(reply):  # the token service itself refused
        message = (
            f"the token service refused the credentials ({reply.status}): {problem.text}. Check client id and client "
            "secret (a lost secret is recovered by mail from support only); `octopus-soap octopia whoami` shows which "
            "kind of credential you hold"
        )
        raise errors.TokenRefusedError(message, call=TOKEN_CALL, status=reply.status)
    blocked = f"; {_BLOCKED}" if reply.status in {401, 403} else ""
    message = f"the token service failed ({reply.status}): {problem.text}{blocked}"
    raise errors.TokenError(message, call=TOKEN_CALL, status=reply.status, retry_after=wait)


def _grant_in(reply: Reply) -> Grant | None:
    # This frame ends before anything is raised: its locals hold the token in the clear.
    try:
        payload: Any = read_json(reply, TOKEN_CALL)
    except errors.OctopiaProtocolError:
        return None
    value: Any = payload.get("access_token") if isinstance(payload, dict) else None
    # Any other value would break the Authorization header, or be read as two headers.
    if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable() or " " in value:
        return None
    return Grant(SecretStr(value), _lifetime(payload.get("expires_in")))


def _lifetime(value: Any) -> float | None:
    """Read ``expires_in`` tolerantly: a positive number, or a text that is one."""
    try:
        seconds = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


_BEARER = re.compile(r"(?i)bearer\s+\S+")
_JWT = re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}")
_MASK = "[hidden]"
_MANY_FIELDS = 20
_BLOCKED = (
    "a firewall, a bot filter or a proxy answered, not Octopia: ask your network's administrator, or Octopia's support "
    "with your public address"
)


def scrubber(secrets: Iterable[SecretStr]) -> Scrubber:
    """Return a function that masks *secrets*, bearer headers and JWTs.

    A server may repeat what it received, also as a URL-encoded form, so both spellings are masked.
    """
    plain = [secret.get_secret_value() for secret in secrets]
    spellings = {form for text in plain if text for form in (text, quote(text, safe=""), quote_plus(text))}
    ordered = sorted((SecretStr(text) for text in spellings), key=lambda s: -len(s.get_secret_value()))

    def scrub(text: str) -> str:
        for secret in ordered:
            text = text.replace(secret.get_secret_value(), _MASK)
        return _JWT.sub(_MASK, _BEARER.sub(_MASK, text))

    return scrub


def read_json(reply: Reply, call: str) -> Any:
    """Return the JSON in *reply*, with `Decimal` for numbers with a point."""
    try:
        return json.loads(_text_of(reply), parse_float=Decimal, parse_constant=str)
    except (ValueError, RecursionError, LookupError):  # bad JSON, bad text, very long numbers, an unknown charset
        pass
    kind = reply.headers.get("content-type", "no content type")[:60]  # the body is not shown: it may hold secrets
    message = f"{call}: the answer ({reply.status}, {kind}, {len(reply.body)} bytes) is not JSON"
    raise errors.OctopiaProtocolError(message, call=call, status=reply.status)


def _text_of(reply: Reply) -> str | bytes:
    """Return the body decoded, or as it is if `json` recognises its encoding."""
    body = reply.body
    if body.startswith((BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE)):
        return body.decode("utf-8-sig" if body.startswith(BOM_UTF8) else "utf-16")
    head = Message()
    head["Content-Type"] = reply.headers.get("content-type", "")
    charset = head.get_content_charset("utf-8")
    if charset.startswith("utf") or body.isascii():
        return body
    text = body.decode(charset)
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return text
    raise ValueError("the body may be in the charset named or in UTF-8, and the two differ")


def is_web_page(reply: Reply) -> bool:
    """True if *reply* is an HTML page, so of a gateway and not of the API."""
    kind = reply.headers.get("content-type", "").lower()
    return "html" in kind or reply.body[:200].lstrip()[:1] == b"<"


@dataclass(frozen=True, slots=True)
class Problem:
    """The text of an error answer, without secrets and cut short."""

    text: str  # in one line
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])  # attributes of `ApiError`


def problem_of(reply: Reply, scrub: Scrubber) -> Problem:
    """Return the text of the error answer *reply*, whatever its form."""
    if is_web_page(reply):
        return Problem(f"an HTML page of {len(reply.body)} bytes, so a gateway and not the API answered")
    try:
        payload: Any = read_json(reply, "")
    except errors.OctopiaProtocolError:
        return Problem("the answer is empty" if not reply.body else f"{len(reply.body)} bytes that are not JSON")
    if not isinstance(payload, dict):
        return Problem("the answer is JSON, but no problem document")

    def text(*names: str) -> str:
        found = (payload[name] for name in names if isinstance(payload.get(name), (str, int)) and payload[name])
        return _line(next(found, ""), scrub)

    title, detail = text("title", "error"), text("detail", "error_description", "message")
    fields = _fields(payload.get("errors"), scrub)
    by_field = "; ".join(f"{name}: {' '.join(messages)}" for name, messages in fields.items())
    facts = {"title": title, "detail": detail, "fields": fields, "trace_id": text("traceId", "trace_id")}
    return Problem(detail or by_field or title or "no explanation given", facts)


def _fields(given: Any, scrub: Scrubber) -> dict[str, tuple[str, ...]]:
    if isinstance(given, list):
        given = {str(index): message for index, message in enumerate(given)}
    if not isinstance(given, dict):
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for name, messages in list(given.items())[:_MANY_FIELDS]:
        several: list[Any] = messages if isinstance(messages, list) else [messages]
        found[_line(name, scrub, 80)] = tuple(_line(message, scrub) for message in several[:_MANY_FIELDS])
    return found


def _line(value: Any, scrub: Scrubber, limit: int = 300) -> str:
    # Masked before it is cut, because half a secret would not be masked. Control characters could forge log lines.
    return clip("".join(c if c.isprintable() else " " for c in scrub(str(value))).strip(), limit)


def refusal(call: str, seller_id: str | None, reply: Reply, scrub: Scrubber) -> errors.ApiError:
    """Return the error for the error answer *reply*, ready to be raised."""
    problem = problem_of(reply, scrub)
    cls = errors.ServerError if reply.status >= 500 else BY_STATUS.get(reply.status, errors.ApiError)  # noqa: PLR2004 - server errors
    message = f"{call}: answered {reply.status}: {problem.text}"
    if cls is errors.AccessRefusedError and is_web_page(reply):
        cls, message = errors.GatewayRefusedError, f"{message}; {_BLOCKED}"
    elif cls is errors.AccessRefusedError and seller_id is None:
        message += ". The token was granted; it may lack the role for this call"
    elif cls is errors.AccessRefusedError and seller_id is not None:
        cls = errors.SellerNotLinkedError
        message += (
            f". The credentials are valid, a token was granted; most likely seller {seller_id[:40]} is not "
            f"linked to this client: the seller links it at {CREDENTIALS_PAGE} (seller authentication, the last step "
            "there). Else the token lacks the role for this call"
        )
    wait = retry_after(reply.headers)
    if wait is not None:
        message += f" (the server asks to wait {wait:.0f} s)"
    return cls(message, call=call, status=reply.status, **problem.facts, retry_after=wait, seller_id=seller_id)
