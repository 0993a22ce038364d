"""Step flows by hand: answers from a list or function, pauses into a list."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from pydantic import SecretStr

from octopus_soap._http import retry_after
from octopus_soap.contracts.wsdl import load_contract
from octopus_soap.engine.effects import Attempt, Compute, FailureKind, Send, SendFailure, Sleep
from octopus_soap.engine.request import CallConfig, Context, CredentialState, Request, SizeMemory, perform
from octopus_soap.engine.retry import RetryPolicy
from octopus_soap.errors import ConnectFailedError, OctopusError, TransportError
from octopus_soap.operations import OPERATIONS
from octopus_soap.wire.codec import Codec
from octopus_soap.wire.decode import Reply
from octopus_soap.wire.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from octopus_soap.models.declarations import Safety
    from octopus_soap.results import BatchResult

TEMPURI = "http://tempuri.org/"
DATA = "http://schemas.datacontract.org/2004/07/OctopusService"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_SKU = re.compile(rb"<(?:\w+:)?(?:string|Sku|OrderId|Text)>([^<]*)<")


@dataclass
class Steps:
    """The exchanges and pauses of a flow, and how it ended."""

    sends: list[Attempt] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)
    sleeps: list[float] = field(default_factory=list)
    result: Any = None
    error: OctopusError | None = None


def step(flow: Any, answers: Iterable[Any] | Callable[[Attempt], Any]) -> Steps:
    """Run *flow* to its end; every `Send` takes the next answer."""
    steps = Steps()
    if callable(answers):
        answer_of = answers
    else:
        waiting = iter(answers)
        answer_of = lambda _: next(waiting)  # noqa: E731 - one line says it
    reply: Any = None
    raised: OctopusError | None = None
    while True:
        try:
            effect = flow.send(reply) if raised is None else flow.throw(raised)
        except StopIteration as end:
            steps.result = end.value
            return steps
        except OctopusError as error:
            steps.error = error
            return steps
        reply, raised = None, None
        if isinstance(effect, Send):
            steps.sends.append(effect.attempt)
            steps.limits.append(effect.limit)
            reply = answer_of(effect.attempt)
        elif isinstance(effect, Sleep):
            steps.sleeps.append(effect.seconds)
        elif isinstance(effect, Compute):
            try:
                reply = effect.work()
            except OctopusError as error:
                raised = error


def config(*, chance: float = 1.0, stopped: Callable[[], bool] = lambda: False, **policy: Any) -> CallConfig:
    """Make a configuration without randomness, with the longest pauses of the jitter."""
    numbers = itertools.count(1)
    return CallConfig(
        RetryPolicy(**policy),
        lambda: chance,
        lambda: f"id-{next(numbers)}",
        CredentialState(),
        lambda reply: retry_after(reply.headers),
        stopped,
    )


def codec(wsdl: Path | None = None) -> Codec:
    return Codec(load_contract(wsdl), Redactor([]), UTC)


def context(*, wsdl: Path | None = None, **given: Any) -> Context:
    """Make the shared context of a client's calls."""
    policy = {name: given.pop(name) for name in list(given) if name in RetryPolicy._fields}
    stopped = given.pop("stopped", lambda: False)
    shared: dict[str, Any] = {
        "account_id": SecretStr("account"),
        "memory": SizeMemory(),
        "batch_sizes": {},
        "safety": {},
    }
    return Context(codec=codec(wsdl), config=config(stopped=stopped, **policy), **{**shared, **given})


def request(safety: Safety, decode: Callable[[Any], Any] | None = None) -> Request:
    """Make a request whose decoder is the real one of IsSkuExist, or *decode*."""
    from octopus_soap.models.declarations import ScalarOf

    real = codec()
    reads = ScalarOf(bool)
    return Request(
        "IsSkuExist",
        real.requests("IsSkuExist").action,
        safety,
        decode or (lambda reply: real.decode("IsSkuExist", reply, reads)),
        real.requests("IsSkuExist").envelope({"accountID": "a", "sku": "S"}),
    )


def sending(asked_for: Request, under: CallConfig) -> Any:
    """Return the flow of a request."""
    return perform(asked_for, under)


def run_list(
    operation: str, inputs: Iterable[Any], answers: Any, given: Context | None = None, **arguments: Any
) -> tuple[BatchResult[Any], list[Steps]]:
    """Run a list call batch after batch, like a driver with one thread."""
    row = OPERATIONS[operation]
    call = row.call(None, given or context(), inputs, **arguments)
    all_steps, parts = [], []
    for flow in call.flows():
        steps = step(flow, answers)
        assert steps.error is None, "a flow never raises for its items"
        all_steps.append(steps)
        call.absorb(steps.result, parts)
    return call.merged(parts), all_steps


# -- answers -------------------------------------------------------------------------------------------------------


def envelope(inner: str) -> bytes:
    return f'<s:Envelope xmlns:s="{SOAP}"><s:Body>{inner}</s:Body></s:Envelope>'.encode()


def exists(answer: str = "true") -> Reply:
    return ok(
        f'<IsSkuExistResponse xmlns="{TEMPURI}"><IsSkuExistResult>{answer}</IsSkuExistResult></IsSkuExistResponse>'
    )


def ok(inner: str, *, elapsed: float = 0.1) -> Reply:
    return Reply(200, {"content-type": "text/xml"}, envelope(inner), elapsed)


def status(
    code: int, body: bytes = b"<html><title>No</title></html>", *, elapsed: float = 0.1, **headers: str
) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(code, named, body, elapsed)


def fault(code: str = "s:Server", text: str = "It broke.", *, http: int = 500, elapsed: float = 0.1) -> Reply:
    inner = f"<s:Fault><faultcode>{code}</faultcode><faultstring>{text}</faultstring></s:Fault>"
    return Reply(http, {}, envelope(inner), elapsed)


def refused(elapsed: float = 0.01) -> SendFailure:
    return SendFailure(FailureKind.NOT_SENT, ConnectFailedError("refused"), elapsed)


def reset(elapsed: float = 0.01) -> SendFailure:
    return SendFailure(FailureKind.AMBIGUOUS, TransportError("reset"), elapsed)


def asked(exchange: Attempt) -> list[str]:
    """Return the keys in a request."""
    return [found.decode() for found in _SKU.findall(exchange.body)]


def rows_reply(operation: str, rows: Iterable[str], status_text: str = "Success", message: str = "") -> Reply:
    """Make an APIResult with *rows* (XML) in its ResultData."""
    return ok(
        f'<{operation}Response xmlns="{TEMPURI}"><{operation}Result xmlns:a="{DATA}">'
        f"<a:Message>{message}</a:Message><a:ResultData>{''.join(rows)}</a:ResultData><a:Status>{status_text}</a:Status>"
        f"</{operation}Result></{operation}Response>"
    )


def item_row(sku: str, price: str = "1.00") -> str:
    return f"<a:InventoryItem><a:Price>{price}</a:Price><a:Sku>{escape(sku)}</a:Sku></a:InventoryItem>"


def update_row(sku: str, result: str = "true", message: str = "") -> str:
    return (
        f"<a:UpdateItemResponse><a:ErrorMessage>{message}</a:ErrorMessage><a:Result>{result}</a:Result>"
        f"<a:Sku>{escape(sku)}</a:Sku></a:UpdateItemResponse>"
    )


def honest(exchange: Attempt) -> Reply:
    """Answer a list operation for every key it names."""
    make = item_row if exchange.operation == "GetItemList" else update_row
    if exchange.operation.startswith("SetDownload"):
        return ok(f'<{exchange.operation}Response xmlns="{TEMPURI}"/>')
    if exchange.operation == "CustomFieldMapping":
        return ok(
            f'<CustomFieldMappingResponse xmlns="{TEMPURI}"><CustomFieldMappingResult>true</CustomFieldMappingResult>'
            "</CustomFieldMappingResponse>"
        )
    return rows_reply(exchange.operation, [make(key) for key in asked(exchange)])


def later(answer: Reply, seconds: float) -> Reply:
    return answer._replace(elapsed=seconds)


def statuses(result: BatchResult[Any]) -> list[str]:
    return [outcome.status.value for outcome in result.outcomes]


def keys_of(steps: Iterator[Steps] | list[Steps]) -> list[list[str]]:
    return [asked(exchange) for one in steps for exchange in one.sends]
