"""Errors as problem documents (RFC 9457).

One table maps each exception class to a status, a title, and whether to retry. A problem's text is the service's or
this library's own message, in which secrets are masked. Its `request_id` is the one that was sent to the service.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from octopus_soap.errors import (
    ApiStatusError,
    AuthenticationError,
    BatchError,
    ClientClosedError,
    ConfigError,
    ConnectFailedError,
    ContractError,
    FaultError,
    HttpStatusError,
    InvalidInputError,
    OctopusError,
    OutcomeUnknownError,
    ProtocolError,
    RateLimitedError,
    RejectedError,
    TimedOutError,
    TransportError,
    UnverifiedContractError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi.exceptions import RequestValidationError

log = logging.getLogger("octopus_soap.gateway")

RETRY_SECONDS = 5
"""`Retry-After` if the service named no time, in seconds."""
_SERVER_ERROR = 500


class Kind(NamedTuple):
    """How an exception class is shown as a problem."""

    status: int
    name: str
    title: str
    retry: bool = False


KINDS: dict[type[OctopusError], Kind] = {
    InvalidInputError: Kind(422, "invalid-input", "The input is refused; nothing was sent"),
    OutcomeUnknownError: Kind(
        409, "outcome-unknown", "The write may or may not have happened: look before you repeat it"
    ),
    RejectedError: Kind(422, "rejected", "The service rejected the item"),
    RateLimitedError: Kind(503, "rate-limited", "The service asks to wait", retry=True),
    TimedOutError: Kind(504, "timed-out", "The service did not answer in time", retry=True),
    ConnectFailedError: Kind(503, "not-sent", "Nothing was sent: no connection", retry=True),
    AuthenticationError: Kind(502, "authentication", "The service does not accept this gateway's credentials"),
    UnverifiedContractError: Kind(403, "unverified-contract", "Writes are refused until the contract is pinned"),
    HttpStatusError: Kind(502, "http-status", "The service answered with an HTTP error", retry=True),
    ProtocolError: Kind(502, "protocol", "The service's answer cannot be read"),
    FaultError: Kind(502, "fault", "The service answered with a SOAP fault"),
    ApiStatusError: Kind(502, "api-status", "The service answered with a Status that is not Success"),
    ClientClosedError: Kind(503, "closing", "This gateway is shutting down", retry=True),
    ContractError: Kind(500, "contract", "This gateway's contract does not take the call"),
    ConfigError: Kind(500, "configuration", "This gateway is not set up"),
    TransportError: Kind(502, "transport", "There was no complete answer", retry=True),
    OctopusError: Kind(502, "failed", "The call failed"),
}
"""The first class that fits wins, so subclasses come before their base class."""


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str = ""
    request_id: str = ""
    problems: list[dict[str, Any]] = Field(default_factory=list)


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": "; ".join(dict.fromkeys(kind.title for kind in KINDS.values() if kind.status == status))
        or title,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, title in {
        400: "The body is not JSON",
        401: "The API key is missing or wrong",
        403: "",
        404: "The service does not have this SKU",
        409: "",
        413: "The body is too large",
        422: "",
        500: "",
        502: "",
        503: "",
        504: "",
    }.items()
}
"""Answers of the routes other than 200, for OpenAPI."""


def cause_of(error: OctopusError) -> OctopusError:
    """Return the error that made a list call fail, if *error* is its `BatchError`."""
    if not isinstance(error, BatchError):
        return error
    found = [*error.causes]
    if isinstance(error.__cause__, OctopusError):
        found.append(error.__cause__)
    return next((e for kind in KINDS for e in found if isinstance(e, kind) and kind is not OctopusError), error)


def problem(status: int, name: str, title: str, detail: str = "", **more: Any) -> JSONResponse:
    """Return a problem document of the type `urn:octopus-soap:problem:<name>`.

    The title is the same for all problems of the kind; *detail* is about this one, and *more* are further members.
    """
    body = {"type": f"urn:octopus-soap:problem:{name}", "title": title, "status": status}
    if detail:
        body["detail"] = detail
    return JSONResponse({**body, **more}, status, media_type="application/problem+json")


def of_error(path: str, error: OctopusError, describe: Callable[[Any], Any] | None = None) -> JSONResponse:
    """Return the problem of an error of the client at *path*, which is logged.

    *describe* makes JSON of the result that a `BatchError` carries.
    """
    cause = cause_of(error)
    kind = next(kind for cls, kind in KINDS.items() if isinstance(cause, cls))
    log.log(logging.WARNING if kind.status >= _SERVER_ERROR else logging.INFO, "%s: %s", path, error)
    more: dict[str, Any] = {}
    info = error.info or cause.info
    if info is not None:
        more["request_id"] = info.request_id
    if isinstance(cause, InvalidInputError):
        more["problems"] = [
            {"index": p.index, "key": p.key, "field": p.field, "message": p.message, "value": p.value}
            for p in cause.problems
        ]
    if isinstance(error, BatchError) and describe is not None:
        more["result"] = describe(error.result)
    answer = problem(kind.status, kind.name, kind.title, error.message, **more)
    if kind.retry:
        answer.headers["Retry-After"] = str(round(getattr(cause, "retry_after", None) or RETRY_SECONDS))
    return answer


def of_validation(error: RequestValidationError) -> JSONResponse:
    """Return the problem of a request whose JSON does not fit the operation."""
    return problem(
        422,
        "invalid-request",
        "The request does not fit the operation; nothing was sent",
        problems=[
            {"field": ".".join(str(part) for part in one["loc"]), "message": one["msg"].removeprefix("Value error, ")}
            for one in error.errors()
        ],
    )
