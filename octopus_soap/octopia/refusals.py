"""From an error answer to the error raised: one table by status, and the explanation for the commonest refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octopus_soap.octopia.errors import (
    AccessRefusedError,
    ApiError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    SellerNotLinkedError,
    ServerError,
)
from octopus_soap.octopia.guidance import CREDENTIALS_PAGE
from octopus_soap.octopia.replies import Scrubber, problem_of
from octopus_soap.octopia.retry import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octopus_soap.octopia.effects import Reply

BY_STATUS: Mapping[int, type[ApiError]] = {
    400: RejectedError,
    401: AccessRefusedError,
    403: AccessRefusedError,
    404: NotFoundError,
    406: RejectedError,
    409: RejectedError,
    415: RejectedError,
    422: RejectedError,
    429: RateLimitedError,
}
"""The documented statuses (docs/sources.md, [C]); another 4xx is a plain `ApiError`, any 5xx a `ServerError`."""


def refusal(call: str, seller_id: str | None, reply: Reply, scrub: Scrubber) -> ApiError:
    """Return the error for the error answer *reply*, ready to be raised."""
    problem = problem_of(reply, scrub)
    cls = ServerError if reply.status >= 500 else BY_STATUS.get(reply.status, ApiError)  # noqa: PLR2004 - server errors
    message = f"{call}: answered {reply.status}: {problem.text}"
    if cls is AccessRefusedError:
        message += _why_refused(seller_id)
        cls = SellerNotLinkedError if seller_id is not None else cls
    wait = retry_after(reply.headers)
    if wait is not None:
        message += f" (the server asks to wait {wait:.0f} s)"
    return cls(
        message,
        call=call,
        status=reply.status,
        title=problem.title,
        detail=problem.detail,
        fields=problem.fields,
        trace_id=problem.trace_id,
        retry_after=wait,
        seller_id=seller_id,
    )


def _why_refused(seller_id: str | None) -> str:
    if seller_id is None:
        return ". The token was granted; it may lack the role for this call"
    return (
        f". The credentials are valid, a token was granted; most likely seller {seller_id[:40]} is not linked to this "
        f"client: the seller links it at {CREDENTIALS_PAGE} (seller authentication, the last step there). "
        "Else the token lacks the role for this call"
    )
