"""`Health`: what one ping found, by the layer that failed.

The ping asks `IsSkuExistList` about one SKU that no shop has. It is the cheapest read whose answer proves something: it
needs the credentials, changes nothing, and its answer, of a few hundred bytes, has a row about the SKU that was asked.
`IsSkuExist` would answer with a bare false, which a service may also answer to credentials it refuses.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from octopus_soap import display
from octopus_soap.engine.effects import FailureKind
from octopus_soap.engine.request import RequestFailure, RequestResult, perform, request_for
from octopus_soap.engine.retry import classify
from octopus_soap.errors import (
    ApiStatusError,
    AuthenticationError,
    ContractError,
    HttpStatusError,
    OctopusError,
    ProtocolError,
    RateLimitedError,
    TransportError,
)
from octopus_soap.models.answers import IsSkuExistResponse
from octopus_soap.models.declarations import RowsOf, Safety
from octopus_soap.results import CallInfo

if TYPE_CHECKING:
    from octopus_soap.engine.effects import Flow
    from octopus_soap.engine.request import Context


OPERATION = "IsSkuExistList"
PROBE_SKU = "octopus-soap-ping-no-such-sku"


class HealthStage(StrEnum):
    """The first layer that failed; `OK` if none did."""

    CLIENT = "client"
    """The client is busy: because of its limits, nothing was sent."""
    NETWORK = "network"
    """No complete HTTP answer: DNS, TCP, TLS, a proxy, a time limit."""
    CONTRACT = "contract"
    """An answer that is not this contract's: a web page, a redirect, an unknown action, another shape."""
    AUTHENTICATION = "authentication"
    """The credentials were refused."""
    SERVICE = "service"
    """The service is reached and answers that it cannot: an internal fault, 5xx, throttling, `Failure`."""
    OK = "ok"


_ADVICE = {
    HealthStage.CLIENT: "the client is busy: raise max_connections or max_requests_per_second, or ping_timeout",
    HealthStage.NETWORK: "check endpoint, network and proxy; octopus-soap doctor looks at name, port and TLS",
    HealthStage.CONTRACT: "is the endpoint the service itself? octopus-soap wsdl diff compares the contracts",
    HealthStage.AUTHENTICATION: "check authtoken, merchantname and accessid with your reseller; tokens expire",
    HealthStage.SERVICE: "wait and ping again; if it lasts, give the request id to the service's support",
    HealthStage.OK: "",
}
_UNPROVEN = "look up a SKU that exists: octopus-soap items exists SKU"


@dataclass(frozen=True, slots=True)
class Health(display.Shown):
    """The finding of a ping, true if all is well.

    Attributes:
        stage: the layer that failed, or `ok`.
        message: one line on what was seen, without secrets.
        advice: what to do about it; empty if there is nothing to do.
        certain: False if something else may look the same: an internal fault before any call of the client had
            succeeded (wrong credentials, or an outage), or an answer without a row for the SKU asked for.
        info: facts of the call: HTTP status, request id, sizes.
        error: what a call would have raised; None if all is well.
    """

    stage: HealthStage
    message: str
    advice: str = ""
    certain: bool = True
    info: CallInfo = field(default_factory=lambda: CallInfo(OPERATION))
    error: OctopusError | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """True if the service answered this account's read as the contract defines."""
        return self.stage is HealthStage.OK

    @property
    def elapsed(self) -> float:
        """Seconds the ping took."""
        return self.info.elapsed

    def __bool__(self) -> bool:
        return self.ok

    def _view(self) -> display.View:
        return display.view_of_health(self)

    def __str__(self) -> str:
        return f"{self.stage.value}: {self.message}" + (f" ({self.advice})" if self.advice else "")


def ping(context: Context) -> Flow[Health]:
    """Ping the service within the limits of *context*; the flow returns the finding."""
    try:
        body = context.codec.requests(OPERATION).envelope({"accountID": context.account_id, "skuList": [PROBE_SKU]})
        request = request_for(context, OPERATION, Safety.READ, RowsOf(IsSkuExistResponse, asked=1))
    except ContractError as unfit:
        return _unwell(HealthStage.CONTRACT, unfit)
    end = yield from perform(request._replace(body=body), context.config)
    if isinstance(end, RequestFailure):
        return replace(_unwell(_stage(end.error, end.kind), end.error), info=end.info)
    if end.refusal is not None:
        return replace(_unwell(_stage(end.refusal, None), end.refusal), info=end.info)
    return _answered(end)


def _answered(result: RequestResult) -> Health:
    rows = result.decoded.rows
    seconds = f"{result.info.elapsed * 1000:.0f} ms"
    problem = next((problem for row in rows for problem in row.problems), None)
    if problem is not None:
        error = ProtocolError(f"the answer's row cannot be read: {problem}").with_info(result.info)
        return replace(_unwell(HealthStage.CONTRACT, error), info=result.info)
    if rows:
        return Health(HealthStage.OK, f"a read was answered in {seconds}", info=result.info)
    words = f"a read was answered in {seconds}, and nothing in it shows that the credentials were accepted"
    return Health(HealthStage.OK, words, _UNPROVEN, certain=False, info=result.info)


def _unwell(stage: HealthStage, error: OctopusError) -> Health:
    certain = error.certain if isinstance(error, AuthenticationError) else True
    message = " ".join(error.message.split())
    return Health(stage, message, _ADVICE[stage], certain, error=error)


_PROXY_REFUSES = 407
_BY_ERROR = (
    (TransportError, HealthStage.NETWORK),
    (AuthenticationError, HealthStage.AUTHENTICATION),
    (RateLimitedError, HealthStage.SERVICE),
    (ProtocolError, HealthStage.CONTRACT),
    (ApiStatusError, HealthStage.SERVICE),
)


def _stage(error: OctopusError, kind: FailureKind | None) -> HealthStage:
    if kind is FailureKind.BUSY:
        return HealthStage.CLIENT
    if isinstance(error, HttpStatusError) and error.status == _PROXY_REFUSES:
        return HealthStage.NETWORK
    for family, stage in _BY_ERROR:
        if isinstance(error, family):
            return stage
    # A fault or an HTTP status: a request that the service refuses does not fit its contract.
    asked_wrong = classify(error) in {FailureKind.REFUSED, FailureKind.UNPROVEN, FailureKind.TOO_LARGE}
    return HealthStage.CONTRACT if asked_wrong else HealthStage.SERVICE
