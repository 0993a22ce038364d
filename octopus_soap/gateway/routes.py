"""One route for each row of the catalogue, and the look-ups of single SKUs.

The request body of an operation is a JSON object with the arguments of the client's method, made from the row's own
signature. A list operation answers with one outcome for every input, in input order: rejected and missing items are
in the outcomes of a 200. If an item is failed, unknown or not sent, the answer is a problem document that carries all
outcomes.

Members that hold secrets, such as a card number, are left out of answers.
"""

from __future__ import annotations

import collections.abc
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, get_type_hints

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic_core import to_jsonable_python

from octopus_soap import models, operations
from octopus_soap.errors import OctopusError
from octopus_soap.gateway.problems import PROBLEMS, of_error, problem
from octopus_soap.models.base import WireModel
from octopus_soap.operations import OPERATIONS
from octopus_soap.results import BatchResult
from octopus_soap.wire.redact import mask_cards

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap.client import AsyncOctopusClient
    from octopus_soap.results import CallInfo
    from octopus_soap.transport.lookup import AsyncLookup

_LEFT_OUT = frozenset({"progress"})
"""Arguments that have no meaning over HTTP."""
_MOST_INPUTS = 100_000

_SKU = Annotated[str, Field(min_length=1, max_length=50, description="A SKU, 1 to 50 characters.")]
Sku = Annotated[str, Path(min_length=1, max_length=50, description="The SKU, 1 to 50 characters.")]


class Call(BaseModel):
    """Facts of one SOAP request, for logs and for the vendor's support."""

    operation: str
    request_id: str
    attempts: int
    elapsed: float
    http_status: int | None


class Outcome(BaseModel):
    """The result for one input, or for one row of a page."""

    index: int
    key: str
    status: str
    value: Any = None
    message: str = ""
    error: str = ""
    filled: list[str] = Field(default_factory=list)


class Outcomes(BaseModel):
    """The answer to an operation on a list: one outcome per input, in input order."""

    counts: dict[str, int]
    outcomes: list[Outcome]
    calls: list[Call]


class Value(BaseModel):
    """The answer to an operation on one item."""

    value: Any = None
    call: Call | None = None


class Exists(BaseModel):
    """Whether the service has the SKU."""

    sku: str
    exists: bool


def as_json(value: Any) -> Any:
    """Return the JSON of a call's result.

    Models are objects by attribute, without unset and secret members. Amounts are text. Card numbers are masked in
    members that the models do not know, and in free text.
    """
    return mask_cards(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, WireModel):
        names = value.model_fields_set - value.secret_fields
        shown = {name: _plain(getattr(value, name)) for name in type(value).model_fields if name in names}
        return {**shown, **_plain(value.model_extra or {})}
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return to_jsonable_python(value, inf_nan_mode="strings")


def _call(info: CallInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in Call.model_fields}


def outcomes_of(result: BatchResult[Any]) -> dict[str, Any]:
    """Return JSON of a list call's result."""
    return {
        "counts": result.counts,
        "outcomes": [
            {
                "index": one.index,
                "key": one.key,
                "status": one.status.value,
                "value": as_json(one.value),
                "message": one.message,
                "error": "" if one.error is None else one.error.message,
                "filled": list(one.filled),
            }
            for one in result.outcomes
        ],
        "calls": [_call(info) for info in result.calls],
    }


def _argument(annotation: Any) -> Any:
    """Return the JSON type of an argument: any iterable is an array."""
    for one in (annotation, *get_args(annotation)):
        if get_origin(one) is collections.abc.Iterable:
            array = Annotated[list[get_args(one)[0]], Field(max_length=_MOST_INPUTS)]  # type: ignore[misc,valid-type] # made at run time
            return array if one is annotation else Union[array, None]  # noqa: UP007 - the operator does not take what is made here
    return annotation


def arguments_of(row: Any) -> type[BaseModel]:
    """Return the model of an operation's request body, made from its row's signature."""
    hints = get_type_hints(row.body, {**vars(models), **vars(operations)})
    fields: dict[str, Any] = {}
    for name, parameter in row.signature.parameters.items():
        if name == "self" or name in _LEFT_OUT:
            continue
        default = ... if parameter.default is Parameter.empty else parameter.default
        kind = {"sku": _SKU, "skus": collections.abc.Iterable[_SKU]}.get(name, hints[name])
        fields[name] = (_argument(kind), default)
    title = "".join(word.title() for word in row.name.split("_"))
    return create_model(f"{title}Arguments", __config__=ConfigDict(extra="forbid"), **fields)


def _operation(row: Any, client: Callable[[], AsyncOctopusClient]) -> Callable[..., Any]:
    """Return the function behind an operation's route."""
    body = arguments_of(row)
    path = f"/operations/{row.name}"

    async def call(arguments: Any) -> Any:
        given = {name: getattr(arguments, name) for name in arguments.model_fields_set}
        bound = getattr(client(), row.name)
        try:
            if row.rule is not None:
                result = await bound(**given)
                return JSONResponse(outcomes_of(result) if isinstance(result, BatchResult) else {"value": None})
            answer = await bound.with_info(**given)
        except OctopusError as error:
            return of_error(path, error, outcomes_of)
        if isinstance(answer.value, BatchResult):
            return JSONResponse(outcomes_of(answer.value))
        return JSONResponse({"value": as_json(answer.value), "call": _call(answer.info)})

    call.__name__ = row.name
    call.__annotations__ = {"arguments": body, "return": Any}
    return call


def make_router(client: Callable[[], AsyncOctopusClient], lookup: Callable[[], AsyncLookup]) -> APIRouter:
    """Return the routes of all operations and of the look-ups.

    *client* and *lookup* are called at each request.
    """
    router = APIRouter()
    for row in OPERATIONS.values():
        returns = str(row.body.__annotations__.get("return", ""))
        rows = row.rule is not None or "BatchResult" in returns
        router.add_api_route(
            f"/operations/{row.name}",
            _operation(row, client),
            methods=["POST"],
            name=row.name,
            operation_id=row.name,
            summary=row.summary,
            description=f"{row.summary}\n\nVendor's page: {row.wire_name}. Safety: {row.safety.value}.",
            response_model=None,
            responses={200: {"model": Outcomes if rows and "ListCall[None]" not in returns else Value}, **PROBLEMS},
            tags=["operations"],
        )

    async def item(sku: Sku) -> Any:
        try:
            found = await lookup().item(sku)
        except OctopusError as error:
            return of_error("/items", error)
        return _missing() if found is None else JSONResponse(as_json(found))

    async def quantity(sku: Sku) -> Any:
        try:
            found = await lookup().quantity(sku)
        except OctopusError as error:
            return of_error("/items", error)
        return _missing() if found is None else JSONResponse(as_json(found))

    async def exists(sku: Sku) -> Any:
        try:
            return JSONResponse({"sku": sku, "exists": await lookup().exists(sku)})
        except OctopusError as error:
            return of_error("/items", error)

    # A SKU may contain a slash, and `path` matches the rest of the address: so the more special addresses come first.
    for address, function, answer, summary in (
        ("/items/{sku:path}/quantity", quantity, models.QuantityInfoResponse, "Return the quantities of an item."),
        ("/items/{sku:path}/exists", exists, Exists, "Return whether a SKU exists."),
        ("/items/{sku:path}", item, models.InventoryItem, "Return an item."),
    ):
        router.add_api_route(
            address,
            function,
            methods=["GET"],
            operation_id=f"look_up_{function.__name__}",
            summary=summary,
            description=f"{summary} Look-ups that arrive together share a request to the service.",
            response_model=None,
            responses={200: {"model": answer}, **PROBLEMS},
            tags=["look-ups"],
        )
    return router


def _missing() -> JSONResponse:
    return problem(404, "missing", "The service does not have this SKU")
