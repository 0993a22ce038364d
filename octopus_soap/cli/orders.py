"""`octopus-soap orders`: list, pull, show, confirm and submit orders. An order stays listed until it is confirmed."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from octopus_soap.cli.application import Application
from octopus_soap.cli.calling import (
    Connection,
    DryRunOption,
    OmittedOption,
    connected,
    exit_for,
    in_full,
    one_by_one,
    progress_bar,
    show_requests,
    show_unsent,
    show_update,
)
from octopus_soap.cli.jobs import (
    LEDGER,
    ChannelOption,
    EveryOption,
    LedgerOption,
    ReportOption,
    ReportOutput,
    run_job,
)
from octopus_soap.cli.output import Output, OutputOption, Records, as_data, as_row, notice, show_json, show_records
from octopus_soap.cli.sources import SourceArgument, lines_of, read_models, read_source
from octopus_soap.cli.tables import show_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from octopus_soap.jobs.reports import Report
    from octopus_soap.models import OrderCriteria, OrderResponseItem, OrderSubmit, SubmitOrderResponseItem
    from octopus_soap.results import BatchResult

app = Application()


_DAYS = {"today": 0, "yesterday": 1}
_AGO = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_LENGTHS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
PAYMENTS = ("NotSubmitted", "Submitted", "Deposited", "Cleared", "Failed")
SHIPMENTS = ("Unshipped", "PendingShipment", "PartiallyShipped", "Shipped")


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def payments_like(incomplete: str) -> list[str]:
    """Return the payment statuses that begin as typed."""
    return [status for status in PAYMENTS if status.casefold().startswith(incomplete.casefold())]


def shipments_like(incomplete: str) -> list[str]:
    """Return the shipping statuses that begin as typed."""
    return [status for status in SHIPMENTS if status.casefold().startswith(incomplete.casefold())]


SinceOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Created at or after: 7d, yesterday, a date (UTC), or a time with its zone."),
]
PaymentOption = Annotated[
    str | None, typer.Option(help=f"Only {_listed(PAYMENTS)}.", metavar="STATUS", autocompletion=payments_like)
]
ShippingOption = Annotated[
    str | None, typer.Option(help=f"Only {_listed(SHIPMENTS)}.", metavar="STATUS", autocompletion=shipments_like)
]


class Format(StrEnum):
    """The format of an order's file."""

    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"
    EXCEL = "excel"


class OnChange(StrEnum):
    """What happens to an order that was changed after it was written."""

    HOLD = "hold"
    DELIVER = "deliver"


@app.command("list")
@connected
def list_orders(
    connection: Connection,
    *,
    since: SinceOption = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Created at or before. Default if --since is given: now.")
    ] = None,
    store: Annotated[str | None, typer.Option(metavar="ID", help="Only orders of the store with this id.")] = None,
    payment: PaymentOption = None,
    shipping: ShippingOption = None,
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
    from octopus_soap.models import OrderCriteria  # noqa: PLC0415 - heavy: only inside a command

    given: dict[str, Any] = {}
    if until and not since:
        raise typer.BadParameter("needs --since too: the service accepts both times or neither", param_hint="--until")
    if since:
        given["order_creation_filter_begin_time_gmt"] = moment_of(since, "--since")
        given["order_creation_filter_end_time_gmt"] = moment_of(until, "--until") if until else datetime.now(UTC)
        begin, end = (given[f"order_creation_filter_{name}_time_gmt"] for name in ("begin", "end"))
        if begin > end:
            raise typer.BadParameter(f"{since!r} is later than {until or 'now'!r}", param_hint="--since")
    if payment:
        given["payment_status_filter"] = payment
    if shipping:
        given["shipping_status_filter"] = shipping
    return OrderCriteria(**given)


def moment_of(text: str, option: str) -> datetime:
    """Return the moment that an option names.

    A date, `today` and `yesterday` are its beginning in UTC; `7d`, `12h` and `30m` are that long ago; a time has its
    zone.
    """
    from octopus_soap.models.scalars import from_iso  # noqa: PLC0415 - heavy: only inside a command

    now = datetime.now(UTC)
    if text in _DAYS:
        return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=_DAYS[text])
    if ago := _AGO.fullmatch(text):
        return now - timedelta(**{_LENGTHS[ago[2]]: int(ago[1])})
    try:
        if len(text) == len("2026-03-04"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = from_iso(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a time such as 7d, yesterday, 2026-03-04 or 2026-03-04T10:00:00Z", param_hint=option
        ) from None
    if moment.utcoffset() is None:
        raise typer.BadParameter(
            f"{text!r} has no time zone; append Z for UTC, or an offset such as +01:00", param_hint=option
        )
    return moment


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


@app.command("pull")
@connected
def pull(
    connection: Connection,
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Folder for the files.", file_okay=False)],
    kind: Annotated[
        Format,
        typer.Option(
            "--format",
            help="jsonl: one line of JSON; json: a document; csv: one row per line of the order; excel: CSV for Excel.",
        ),
    ] = Format.JSONL,
    since: SinceOption = None,
    store: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this store's part of the orders. Can be repeated.")
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm/--no-confirm", help="Confirm the orders that are written.")
    ] = True,
    payment: PaymentOption = None,
    shipping: ShippingOption = None,
    on_change: Annotated[
        OnChange,
        typer.Option(
            "--on-change", help="Orders changed after they were written: hold them, or deliver the new version."
        ),
    ] = OnChange.HOLD,
    every: EveryOption = None,
    output: ReportOption = ReportOutput.TEXT,
    place: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
) -> None:
    """Download new orders, one file each, and confirm them.

    A file is complete as soon as it has its name; you can move it away then.
    If the command is interrupted, the next run continues: no order is lost, and
    no file is written twice. Orders with another status than --payment and
    --shipping stay on the service. Exit code 1: some orders cannot be read,
    written or confirmed, or were changed after they were written; they are named.
    2: it failed, such as on a full disk. 3: another run is under way.
    """
    from octopus_soap.jobs import Ledger, OrderInbox  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.jobs.order_files import OrderFiles  # noqa: PLC0415 - heavy: only inside a command

    begin = moment_of(since, "--since") if since else None
    if begin is not None and begin > datetime.now(UTC):
        raise typer.BadParameter(f"{since!r} is in the future: no order would be downloaded", param_hint="--since")
    statuses = _criteria(None, None, payment, shipping)
    files = OrderFiles(to, kind.value)
    with connection.client() as client, Ledger(place, channel=channel) as ledger:
        inbox = OrderInbox(
            client,
            ledger,
            stores=store or (),
            since=begin,
            confirm=confirm,
            on_change=on_change.value,
            payment=statuses.payment_status_filter,
            shipping=statuses.shipping_status_filter,
        )

        def once(stop: Event) -> Report:
            ledger.bind(client)
            with ledger.run_lock("orders pull"), progress_bar("writing") as progress:
                files.recover(ledger)
                return inbox.run(files, stop=stop, progress=progress)

        run_job(once, every, output)


@app.command("show")
@connected
def show(
    connection: Connection,
    *,
    order_id: Annotated[str, typer.Argument(help="The order's id.", metavar="ORDER")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Show one order that is not confirmed yet. Exit code 1: there is no such order."""
    from octopus_soap.models import OrderCriteria  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.models.scalars import is_int32  # noqa: PLC0415 - as above

    # The service filters by numeric ids only; any other id is searched for among all orders.
    criteria = OrderCriteria(order_id_list=[int(order_id)]) if is_int32(order_id) else None
    with connection.client() as client:
        found = [order for order in client.get_order_list(criteria) if order.id == order_id]
    if not found:
        notice(f"no unconfirmed order {order_id!r}; octopus-soap orders list shows those there are")
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
        list[str], typer.Argument(help="Ids of orders. - reads a pipe, one id per line.", metavar="ORDER")
    ],
    store: Annotated[
        str | None, typer.Option(metavar="ID", help="The store whose part of split orders was downloaded.")
    ] = None,
    output: OutputOption = Output.TABLE,
    dry_run: DryRunOption = False,
) -> None:
    """Mark orders as downloaded.

    A confirmed order is not listed again: confirm only orders that you have
    stored. The service does not report ids that it does not know.
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
    if result is not None:  # some failed
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
    omitted_values: OmittedOption = None,
    output: OutputOption = Output.TABLE,
    dry_run: DryRunOption = False,
) -> None:
    """Create orders from a file, one call each. Exit code 1: some were rejected.

    JSON or JSON lines: objects with order_id, order_date, order_items (sku,
    quantity, unit_price), ship, bill, total and the others of an order.
    If it is not known whether an order arrived, the command ends: look at the
    service before you run it again.
    """
    from octopus_soap.models import OrderSubmit  # noqa: PLC0415 - heavy: only inside a command

    orders = read_models(file, OrderSubmit).items
    with connection.client(omitted_values) as client:
        requests = [request for order in orders for request in client.submit_order.dry_run(order)]
        if dry_run:
            show_unsent(client, output, iter(requests), client.submit_order.operation.wire_name)
            return
        result = in_full(
            "submitting",
            lambda progress: one_by_one(orders, _order_id, client.submit_order.with_info, progress),
            lambda result: _show_submitted(result, output),
        )
    exit_for(result)


def _order_id(order: OrderSubmit) -> str:
    return order.order_id or ""


def _show_submitted(result: BatchResult[SubmitOrderResponseItem], output: Output) -> None:
    rows = [as_row(o, "order_id", id_order=o.value.id_order if o.value else None) for o in result.outcomes]
    cells = [(row["order_id"], row["status"], row["id_order"], row.get("message")) for row in rows]
    show_records(Records(rows), output, lambda: show_table("", ["Order", "Status", "Octopus id", "Message"], cells))
