"""The token request: one form, one answer, read with suspicion.

Where authlib is used, and where not:

* The form and the way the client authenticates in it (``client_secret_post``) are authlib's: `prepare_token_request`
  and `ClientAuth`. Client ids hold spaces and ``@``; a form put together by hand is how clients of this API went wrong.
* Its httpx sessions are not used. They guard only the renewal and only among the tasks of one session, not the first
  request, not threads, not several clients; they take the time from the wall clock; and with authlib 1.9 importing
  them warns that the httpx they are built on is deprecated, which is an error where warnings are errors.
* Its token parser is not used: it accepts any JSON object, and its errors are not ours to raise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from authlib.oauth2.auth import ClientAuth  # type: ignore[import-untyped]  # authlib ships no types
from authlib.oauth2.rfc6749.parameters import (  # type: ignore[import-untyped]  # authlib ships no types
    prepare_token_request,
)
from pydantic import SecretBytes, SecretStr

from octopus_soap.octopia.effects import Reply, Request
from octopus_soap.octopia.errors import ProtocolError, TokenError, TokenRefusedError
from octopus_soap.octopia.replies import Scrubber, problem_of, read_json
from octopus_soap.octopia.retry import retry_after
from octopus_soap.octopia.tokens import Grant

if TYPE_CHECKING:
    from octopus_soap.octopia.credentials import ApiCredentials

CALL = "POST token"
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


def token_request(url: str, credentials: ApiCredentials) -> Request:
    """Return the request for a token (docs/sources.md, [C]: a form with the client credentials in it)."""
    return Request(method="POST", url=url, call=CALL, headers=_FORM, body=SecretBytes(_form(url, credentials)))


def _form(url: str, credentials: ApiCredentials) -> bytes:
    auth = ClientAuth(credentials.client_id, credentials.client_secret.get_secret_value(), "client_secret_post")
    form: str = auth.prepare("POST", url, {}, prepare_token_request("client_credentials"))[2]
    return form.encode("ascii")


def read_grant(reply: Reply, scrub: Scrubber) -> Grant:
    """Return the token in *reply*.

    Raises:
        TokenRefusedError: 400, 401 or 403: the credentials are not accepted.
        TokenError: Any other error status.
        ProtocolError: A success that holds no usable token.
    """
    if reply.status != 200:  # noqa: PLR2004 - the one documented success
        raise _refusal(reply, scrub)
    grant = _grant_in(reply)
    if grant is None:
        raise ProtocolError("the token service answered without a usable access_token", call=CALL, status=reply.status)
    return grant


def _refusal(reply: Reply, scrub: Scrubber) -> TokenError:
    problem = problem_of(reply, scrub)
    if reply.status in {400, 401, 403}:
        message = (
            f"the token service refused the credentials ({reply.status}): {problem.text}. Check client id and "
            "client secret; `octopus-soap octopia whoami` tells which kind of credential you hold"
        )
        return TokenRefusedError(message, status=reply.status)
    message = f"the token service failed ({reply.status}): {problem.text}"
    return TokenError(message, status=reply.status, retry_after=retry_after(reply.headers))


def _grant_in(reply: Reply) -> Grant | None:
    # This frame ends before anything is raised: its locals hold the token in the clear.
    try:
        payload: Any = read_json(reply, CALL)
    except ProtocolError:
        return None
    value: Any = payload.get("access_token") if isinstance(payload, dict) else None
    # Anything else would break the Authorization header, or be read as two headers.
    if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable() or " " in value:
        return None
    return Grant(SecretStr(value), _lifetime(payload.get("expires_in")))


def _lifetime(value: Any) -> float | None:
    """Read ``expires_in`` tolerantly: a positive number, or a text that is one."""
    if isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
