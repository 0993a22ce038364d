"""`octopus-soap orders`: list orders. Nothing is confirmed here: a listed order stays on the list."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from octopus_soap.cli.connection import Connection, connected
from octopus_soap.cli.output import Output, OutputOption, as_data, as_row, in_full, show_json, show_table

if TYPE_CHECKING:
    from octopus_soap.models import OrderCriteria, OrderResponseItem
    from octopus_soap.results import BatchResult

app = typer.Typer(no_args_is_help=True)


@app.callback()
def orders() -> None:
    """List orders."""  # a callback keeps `list` a sub-command while it is the only one


@app.command("list")
@connected
def list_orders(
    connection: Connection,
    *,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Created at or after: a date (UTC) or a time with its zone, 2026-03-04T10:00:00Z."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Created at or before; now by default, where --since is set.")
    ] = None,
    store: Annotated[str | None, typer.Option(metavar="ID", help="Id of one store.")] = None,
    payment: Annotated[
        str | None, typer.Option(help="NotSubmitted, Submitted, Deposited, Cleared or Failed.", metavar="STATUS")
    ] = None,
    shipping: Annotated[
        str | None, typer.Option(help="Unshipped, PendingShipment, PartiallyShipped or Shipped.", metavar="STATUS")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the orders that are not confirmed yet."""
    criteria = _criteria(since, until, payment, shipping)
    with connection.client() as client:
        in_full(
            "reading",
            lambda _: (
                client.get_order_list(criteria) if store is None else client.get_order_list_store(store, criteria)
            ),
            lambda result: _show(result, output),
        )


def _criteria(since: str | None, until: str | None, payment: str | None, shipping: str | None) -> OrderCriteria:
    from octopus_soap.models import OrderCriteria, PaymentStatusCode, ShippingStatusCode  # noqa: PLC0415 - heavy

    given: dict[str, Any] = {}
    if until and not since:
        raise typer.BadParameter("needs --since: the service takes both times or neither", param_hint="--until")
    if since:
        given["order_creation_filter_begin_time_gmt"] = _moment(since, "--since")
        given["order_creation_filter_end_time_gmt"] = _moment(until, "--until") if until else datetime.now(UTC)
    if payment:
        given["payment_status_filter"] = _status(payment, PaymentStatusCode)
    if shipping:
        given["shipping_status_filter"] = _status(shipping, ShippingStatusCode)
    return OrderCriteria(**given)


def _moment(text: str, option: str) -> datetime:
    try:
        if len(text) == len("2026-03-04"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no date or time such as 2026-03-04T10:00:00Z", param_hint=option
        ) from None
    if moment.utcoffset() is None:
        raise typer.BadParameter(f"{text!r} names no zone; append Z for UTC, or an offset", param_hint=option)
    return moment


def _status(text: str, codes: Any) -> str:
    """The status as the service spells it; the model refuses one it does not know."""
    spelled: str = next((code.value for code in codes if code.value.casefold() == text.casefold()), text)
    return spelled


def _show(result: BatchResult[OrderResponseItem], output: Output) -> None:
    if output is Output.JSON:
        show_json([as_row(o, "order_id", order=as_data(o.value) if o.value else None) for o in result.outcomes])
        return
    rows = [_row(o.value) if o.value else (o.key, f"({o.status.value})") for o in result.outcomes]
    show_table("", ["Order", "Placed, UTC", "Reference", "#Lines", "#Total", "Payment", "Shipping"], rows)


def _row(order: OrderResponseItem) -> tuple[object, ...]:
    placed = f"{order.placed:%Y-%m-%d %H:%M}" if order.placed else ""
    return order.id, placed, order.reference, len(order.lines), order.total, order.payment, order.delivery
