"""`octopus-soap orders`: list, pull, show, confirm and submit orders. An order is listed until it is confirmed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from octopus_soap.cli.connection import Connection, connected
from octopus_soap.cli.dryrun import DryRunOption, show_exchanges, show_requests
from octopus_soap.cli.output import (
    Output,
    OutputOption,
    as_data,
    as_row,
    exit_for,
    in_full,
    notice,
    show_json,
    show_records,
    show_update,
)
from octopus_soap.cli.pull import pull
from octopus_soap.cli.records import Records
from octopus_soap.cli.sources import SourceArgument, lines_of, read_models, read_source
from octopus_soap.cli.tables import show_table

if TYPE_CHECKING:
    from octopus_soap.models import OrderCriteria, OrderResponseItem, OrderSubmit, SubmitOrderResponseItem
    from octopus_soap.results import BatchResult

app = typer.Typer(no_args_is_help=True)


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
        given["order_creation_filter_begin_time_gmt"] = moment_of(since, "--since")
        given["order_creation_filter_end_time_gmt"] = moment_of(until, "--until") if until else datetime.now(UTC)
    if payment:
        given["payment_status_filter"] = _status(payment, PaymentStatusCode)
    if shipping:
        given["shipping_status_filter"] = _status(shipping, ShippingStatusCode)
    return OrderCriteria(**given)


def moment_of(text: str, option: str) -> datetime:
    """The moment an option names: a date is its beginning in UTC, a time has its zone."""
    from octopus_soap.models.scalars import from_iso  # noqa: PLC0415 - heavy: only inside a command

    try:
        if len(text) == len("2026-03-04"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = from_iso(text)
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
    from octopus_soap.models import OrderResponseItem  # noqa: PLC0415 - heavy: only inside a command

    def table() -> None:
        rows = [_row(o.value) if o.value else (o.key, f"({o.status.value})") for o in result.outcomes]
        show_table("", ["Order", "Placed, UTC", "?~Reference", "?#Lines", "#Total", "Payment", "Shipping"], rows)

    rows = [as_row(o, "order_id", order=as_data(o.value) if o.value else None) for o in result.outcomes]
    show_records(Records(rows, "order", OrderResponseItem), output, table)


def _row(order: OrderResponseItem) -> tuple[object, ...]:
    placed = f"{order.placed:%Y-%m-%d %H:%M}" if order.placed else ""
    return order.id, placed, order.reference, len(order.lines), order.total, order.payment, order.delivery


app.command("pull")(pull)


@app.command("show")
@connected
def show(
    connection: Connection,
    *,
    order_id: Annotated[str, typer.Argument(help="The order's id.", metavar="ORDER")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Show one order that is not confirmed yet. Exit code 1: there is none of that id."""
    from octopus_soap.models import OrderCriteria  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.models.scalars import is_int32  # noqa: PLC0415 - as above

    # The service filters by ids that are numbers only; any other is looked for among all.
    criteria = OrderCriteria(order_id_list=[int(order_id)]) if is_int32(order_id) else None
    with connection.client() as client:
        found = [order for order in client.get_order_list(criteria) if order.id == order_id]
    if not found:
        notice(f"no order {order_id!r} that is not confirmed yet")
        raise typer.Exit(1)
    for order in found:
        if output is Output.JSON:
            show_json(as_data(order))
        else:
            records = Records([{"order": as_data(order)}], "order", type(order))
            show_records(records, output, lambda order=order: _show_order(order))  # type: ignore[misc] # bound now


def _show_order(order: OrderResponseItem) -> None:
    facts = [
        ("Order", order.id),
        ("Placed, UTC", f"{order.placed:%Y-%m-%d %H:%M:%S}" if order.placed else None),
        ("Reference", order.reference),
        ("Store", order.store_id),
        ("Payment", order.payment),
        ("Shipping", order.delivery),
        ("Ships to", _address(order.ship)),
        ("Billed to", _address(order.bill)),
        ("Subtotal", order.sub_total),
        ("Shipping fee", order.shipping_total),
        ("Tax", order.tax),
        ("Total", order.total),
        ("Comment", order.web_comment),
    ]
    show_table("", ["", ""], [(name, value) for name, value in facts if value is not None and value != ""])
    lines = [(line.sku, line.description, line.quantity, line.unit_price, line.item_tax, line.item_discount)
             for line in order.lines]  # fmt: skip
    show_table("", ["SKU", "~Description", "#Quantity", "#Unit price", "?#Tax", "?#Discount"], lines)


def _address(address: Any) -> str:
    if address is None:
        return ""
    name = " ".join(part for part in (address.first_name, address.last_name) if part)
    place = " ".join(part for part in (address.zip, address.city) if part)
    parts = (name, address.address1, address.address2, place, address.state, address.country)
    return ", ".join(part for part in parts if part)


@app.command("confirm")
@connected
def confirm(
    connection: Connection,
    *,
    order_ids: Annotated[
        list[str], typer.Argument(help="Ids of orders; - reads them from a pipe, one per line.", metavar="ORDER")
    ],
    store: Annotated[
        str | None, typer.Option(metavar="ID", help="The store that downloaded its part of split orders.")
    ] = None,
    output: OutputOption = Output.TABLE,
    dry_run: DryRunOption = False,
) -> None:
    """Mark orders as downloaded. They do not come back: confirm only what is stored safely.

    The service answers nothing, so an id it does not know is not reported.
    """
    from octopus_soap.models import OrderDownloadSubmitRequest  # noqa: PLC0415 - heavy: only inside a command

    wanted = [line for word in order_ids for line in (lines_of(read_source("-")[0]) if word == "-" else [word])]
    given = {} if store is None else {"store_id": store}
    orders = [OrderDownloadSubmitRequest(order_id=order_id, **given) for order_id in wanted]
    with connection.client() as client:
        call = client.set_download_order_confirm if store is None else client.set_download_split_order_confirm
        if dry_run:
            show_requests(client, output, call, orders)
            return
        in_full(
            "confirming",
            lambda progress: call(orders, progress=progress),
            lambda result: _show_confirmed(result, wanted, output),
        )


def _show_confirmed(result: BatchResult[None] | None, wanted: list[str], output: Output) -> None:
    if result is not None:  # part of it, where the rest failed
        show_update(result, output, "confirmed", key="order_id")
        return
    rows = [{"order_id": order_id, "status": "ok"} for order_id in wanted]
    show_records(Records(rows), output, lambda: typer.echo(f"confirmed: {len(wanted)}"))


@app.command("submit")
@connected
def submit(
    connection: Connection,
    *,
    file: SourceArgument,
    output: OutputOption = Output.TABLE,
    dry_run: DryRunOption = False,
) -> None:
    """Create orders from a file, one call each. Exit code 1: some were rejected.

    JSON or JSON lines: objects with order_id, order_date, order_items (sku,
    quantity, unit_price), ship, bill, total and the others of an order.
    An order whose outcome stays open is not repeated, and ends the command.
    """
    from octopus_soap.cli.in_turn import in_turn  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.models import OrderSubmit  # noqa: PLC0415 - heavy: only inside a command

    orders = read_models(file, OrderSubmit).items
    with connection.client() as client:
        requests = [exchange for order in orders for exchange in client.submit_order.dry_run(order)]
        if dry_run:
            show_exchanges(client, output, iter(requests), client.submit_order.operation.wire_name)
            return
        result = in_full(
            "submitting",
            lambda progress: in_turn(orders, _order_id, client.submit_order.with_info, progress),
            lambda result: _show_submitted(result, output),
        )
    exit_for(result)


def _order_id(order: OrderSubmit) -> str:
    return order.order_id or ""


def _show_submitted(result: BatchResult[SubmitOrderResponseItem], output: Output) -> None:
    rows = [as_row(o, "order_id", id_order=o.value.id_order if o.value else None) for o in result.outcomes]
    cells = [(row["order_id"], row["status"], row["id_order"], row.get("message")) for row in rows]
    show_records(Records(rows), output, lambda: show_table("", ["Order", "Status", "Octopus id", "Message"], cells))
