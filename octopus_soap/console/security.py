"""Access to a console: which requests may read it and which may change something.

* A request must name this machine in its Host header. Otherwise a page of another site could reach a console under a
  name that resolves to 127.0.0.1 (DNS rebinding). Other names need a token.
* With a token, a browser signs in once. Its cookie is made from the token, so it is valid after a restart, until
  the token changes. A monitor sends the token as `Authorization: Bearer`.
* A change is a POST with a token of this process in its form, and with the Origin of this console. No GET changes
  anything.
* Every answer forbids scripts and styles of other origins and inline ones, framing, and caching.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.responses import PlainTextResponse, RedirectResponse, Response

from octopus_soap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SIGN_IN = "/sign-in"
OPEN_PATHS = ("/static/",)
_LEAST_TOKEN = 16
_MOST_FORM = 65_536
_FORM = "octopus_soap.form"
_CSRF = "octopus_soap.csrf"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # no-referrer would make browsers send "Origin: null" with forms
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def is_loopback_name(name: str) -> bool:
    """True if a host name or address is this machine's own."""
    if name == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return False


def host_name(host: str) -> str:
    """Return the name in a Host header, without its port, in lower case."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    return name.strip("[]").lower()


def form_of(scope: Scope) -> dict[str, str]:
    """Return the fields of a POST that passed the guard; the last of equal names."""
    form: dict[str, str] = scope.get(_FORM, {})
    return form


def csrf_of(scope: Scope) -> str:
    """Return the token that forms of this console must have."""
    return str(scope.get(_CSRF, ""))


class Guard:
    """An ASGI application in front of a console's pages.

    Args:
        app: The pages.
        token: The token that a browser signs in with. None: only this machine has access, without signing in.
        hosts: Further names that a Host header may have, next to this machine's own; only with a token.
        refusal: Makes the page of a refused request, from its status and the reason.

    Raises:
        ConfigError: The token is too short.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str | None = None,
        hosts: Collection[str] = (),
        refusal: Callable[[int, str], Response] | None = None,
    ) -> None:
        if token is not None and len(token) < _LEAST_TOKEN:
            raise ConfigError(
                f"the console's token has {len(token)} characters, and needs {_LEAST_TOKEN}: "
                "export OCTOPUS_CONSOLE_TOKEN=$(openssl rand -hex 24)"
            )
        self._app = app
        self._token = token
        self._hosts = frozenset(name.lower() for name in hosts)
        self._csrf = secrets.token_urlsafe(24)
        self._refusal = refusal or (lambda status, why: PlainTextResponse(why, status))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        scope[_CSRF] = self._csrf

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                extra = {**HEADERS, "Cache-Control": "no-store"}
                message["headers"] = [
                    *message["headers"],
                    *((n.encode(), v.encode()) for n, v in extra.items() if n.lower().encode() not in given),
                ]
            await send(message)

        response = await self._answer(scope, headers, receive)
        await (response or self._app)(scope, receive, send_guarded)

    async def _answer(self, scope: Scope, headers: dict[str, str], receive: Receive) -> Response | None:
        """Return the answer to a request that is refused; None if it may pass."""
        name = host_name(headers.get("host", ""))
        if not is_loopback_name(name) and not (self._token is not None and ("*" in self._hosts or name in self._hosts)):
            return self._refusal(
                403,
                f"This console answers to localhost and loopback addresses, not to {name[:80]!r}. "
                "Other names need a token: set OCTOPUS_CONSOLE_TOKEN, and name the host with --allow-host.",
            )
        method, path = scope["method"], str(scope["path"])
        if method == "POST":
            refused = await self._take_form(scope, headers, receive)
            if refused is not None:
                return refused
        elif method not in {"GET", "HEAD"}:
            return self._refusal(405, "A console takes GET and POST.")
        if self._token is None or path.startswith(OPEN_PATHS):
            return None
        return self._signed_in(scope, headers, method, path)

    async def _take_form(self, scope: Scope, headers: dict[str, str], receive: Receive) -> Response | None:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        own = f"{scope['scheme']}://{headers.get('host', '')}"
        if (origin is not None and origin != own) or site != "same-origin":
            return self._refusal(403, f"This change came from {origin or 'another site'}, not from a page of {own}.")
        if headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
            return self._refusal(415, "A console takes forms only. Its SOAP service is at /OctopusService.svc.")
        body = await _body(receive)
        if body is None:
            return self._refusal(413, f"A form may have {_MOST_FORM:,} bytes.")
        try:
            form = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1000))
        except ValueError:
            return self._refusal(400, "The form cannot be read.")
        if not hmac.compare_digest(form.pop("csrf", "").encode(), self._csrf.encode()):
            return self._refusal(403, "This form is of an earlier run of the console. Load its page again.")
        scope[_FORM] = form
        return None

    def _cookie(self, scope: Scope) -> tuple[str, str]:
        """Return the cookie's name and value."""
        server: Any = scope.get("server") or ("", 0)
        value = hmac.new((self._token or "").encode(), b"octopus-soap console", hashlib.sha256).hexdigest()
        return f"octopus_console_{server[1]}", value  # all ports of a host share their cookies

    def _signed_in(self, scope: Scope, headers: dict[str, str], method: str, path: str) -> Response | None:
        name, value = self._cookie(scope)
        jar: SimpleCookie = SimpleCookie()
        with suppress(CookieError):
            jar.load(headers.get("cookie", ""))
        given = jar[name].value if name in jar else ""
        if hmac.compare_digest(given.encode(), value.encode()):
            return None
        bearer = headers.get("authorization", "")
        if method != "POST" and hmac.compare_digest(bearer.encode(), f"Bearer {self._token}".encode()):
            return None  # for monitors, which read /metrics and /healthz
        if path != SIGN_IN:
            return RedirectResponse(SIGN_IN, 303) if method == "GET" else self._refusal(403, "Sign in first.")
        if method != "POST":
            return None
        if not hmac.compare_digest(form_of(scope).get("token", "").encode(), (self._token or "").encode()):
            return self._refusal(403, "This is not the token. It is in OCTOPUS_CONSOLE_TOKEN of the console's process.")
        answer = RedirectResponse("/", 303)
        answer.set_cookie(name, value, httponly=True, samesite="strict", secure=scope["scheme"] == "https")
        return answer


async def _body(receive: Receive) -> bytes | None:
    """Return the body of a request; None if it is too long, or was cut off."""
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= _MOST_FORM:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size, more = size + len(parts[-1]), message.get("more_body", False)
    return b"".join(parts) if size <= _MOST_FORM else None
