"""`octopus-soap orders`: list, pull, show, confirm and submit orders."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from itertools import compress
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from threading import Event
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
)
from octopus_soap.cli.failures import in_words
from octopus_soap.cli.jobs import (
    PAUSES,
    ChannelOption,
    EveryOption,
    LedgerOption,
    ReportOption,
    ReportOutput,
    run_job,
    seconds_of,
)
from octopus_soap.cli.output import (
    Output,
    Records,
    Selection,
    as_data,
    as_row,
    notice,
    selecting,
    show_json,
    show_line,
    with_options,
)
from octopus_soap.cli.sources import SourceArgument, lines_of, read_models, read_source
from octopus_soap.cli.suggestions import LEDGER, Words
from octopus_soap.cli.terminal import show_table, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from octopus_soap.client import OctopusClient
    from octopus_soap.jobs.reports import Report
    from octopus_soap.models import OrderCriteria, OrderResponseItem, SubmitOrderResponseItem
    from octopus_soap.results import BatchResult, ItemOutcome

app = Application()


PAYMENTS = ("NotSubmitted", "Submitted", "Deposited", "Cleared", "Failed")
SHIPMENTS = ("Unshipped", "PendingShipment", "PartiallyShipped", "Shipped")
_PAYMENTS, _SHIPMENTS = Words(PAYMENTS, folded=True), Words(SHIPMENTS, folded=True)
_STATUSES = Words((*PAYMENTS, *SHIPMENTS), folded=True)
_TIMES = Words(("today", "yesterday", "1h", "24h", "7d", "4w"))
"""Examples of times."""


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


SinceOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Created at or after: 7d, yesterday, a date (UTC), or a time with its zone.",
        autocompletion=_TIMES.like,
    ),
]
StoreOption = Annotated[str | None, typer.Option(metavar="ID", help="Only orders of the store with this id.")]
StatusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="Only orders with this payment or shipping status, such as cleared or unshipped. One of each.",
        autocompletion=_STATUSES.like,
    ),
]
PaymentOption = Annotated[
    str | None, typer.Option(help=f"Only {_listed(PAYMENTS)}.", metavar="STATUS", autocompletion=_PAYMENTS.like)
]
ShippingOption = Annotated[
    str | None, typer.Option(help=f"Only {_listed(SHIPMENTS)}.", metavar="STATUS", autocompletion=_SHIPMENTS.like)
]


@dataclass(frozen=True, slots=True)
class _Filter:
    """The options of `list` and `tail` that choose orders."""

    store: StoreOption = None
    status: StatusOption = None
    payment: PaymentOption = None
    shipping: ShippingOption = None

    def listed(self, client: OctopusClient, criteria: OrderCriteria) -> BatchResult[OrderResponseItem]:
        """Return the listed orders."""
        store = self.store
        return client.get_order_list(criteria) if store is None else client.get_order_list_store(store, criteria)

    def criteria(self, since: str | None, until: str | None) -> OrderCriteria:
        """Return the filter for the service.

        Raises:
            typer.BadParameter: a status or time is unknown, or there are two statuses of one kind.
        """
        payment, shipping = self.payment, self.shipping
        for word in self.status or ():
            if word.casefold() in {name.casefold() for name in PAYMENTS}:
                if payment is not None:
                    raise typer.BadParameter(f"there is a payment status already: {payment}", param_hint="--status")
                payment = word
            elif word.casefold() in {name.casefold() for name in SHIPMENTS}:
                if shipping is not None:
                    raise typer.BadParameter(f"there is a shipping status already: {shipping}", param_hint="--status")
                shipping = word
            else:
                known = ", ".join((*PAYMENTS, *SHIPMENTS))
                raise typer.BadParameter(f"{word!r} is none of {known}", param_hint="--status")
        return _criteria(since, until, payment, shipping)


class Format(StrEnum):
    """The format of an order's file."""

    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"
    EXCEL = "excel"


class OnChange(StrEnum):
    """How an order that was changed after it was written is handled."""

    HOLD = "hold"
    DELIVER = "deliver"


@app.command("list")
@connected
@selecting("OrderResponseItem")
@with_options("chosen", _Filter)
def list_orders(
    connection: Connection,
    *,
    since: SinceOption = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Created at or before. Default if --since is given: now.", autocompletion=_TIMES.like
        ),
    ] = None,
    chosen: _Filter,
    selection: Selection,
) -> None:
    """List unconfirmed orders. Exit code 1: no order of the --store is listed."""
    criteria = chosen.criteria(since, until)
    with connection.client() as client:
        result = in_full(
            "reading", lambda **_: chosen.listed(client, criteria), lambda result: _show(result, selection)
        )
    if chosen.store is not None and not result.outcomes:
        notice(_no_order_of(chosen.store))
        raise typer.Exit(1)


def _no_order_of(store: str) -> str:
    return f"no order of store {store!r} is listed; the service does not report unknown stores: check the id"


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

    A date, `today` and `yesterday` mean the start of that day in UTC; `7d`, `12h` and `30m` are that long ago; a time
    has its zone.
    """
    from octopus_soap.models import scalars  # noqa: PLC0415 - heavy: only inside a command

    try:
        return scalars.moment_of(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _records(outcomes: Iterable[ItemOutcome[OrderResponseItem]]) -> Records:
    from octopus_soap.models import OrderResponseItem  # noqa: PLC0415 - heavy: only inside a command

    rows = [as_row(o, "order_id", order=as_data(o.value) if o.value else None) for o in outcomes]
    return Records(rows, "order", OrderResponseItem)


def _show(result: BatchResult[OrderResponseItem], selection: Selection) -> None:
    def table(kept: list[bool]) -> None:
        rows = [_row(o.value) if o.value else (o.key, f"({o.status.value})") for o in compress(result.outcomes, kept)]
        show_table("", ["Order", "Placed, UTC", "#Total", "?Payment", "?Shipping", "?#Lines", "?~Reference"], rows)

    selection.show(_records(result.outcomes), table, empty="no unconfirmed orders")


def _row(order: OrderResponseItem) -> tuple[object, ...]:
    placed = f"{order.placed:%Y-%m-%d %H:%M}" if order.placed else ""
    return order.id, placed, order.total, order.payment, order.delivery, len(order.lines), order.reference


@app.command("tail")
@connected
@selecting("OrderResponseItem")
@with_options("chosen", _Filter)
def tail(
    connection: Connection,
    *,
    every: Annotated[
        str,
        typer.Option(
            "--every", metavar="TIME", help="Pause between two reads, such as 10s or 5m.", autocompletion=PAUSES.like
        ),
    ] = "30s",
    last: Annotated[int, typer.Option(min=0, metavar="COUNT", help="Number of present orders to print first.")] = 10,
    chosen: _Filter,
    selection: Selection,
) -> None:
    """Print orders as they come, a line each, until Ctrl-C; confirm nothing.

    A line on stderr reports that the service cannot be reached, and another that
    it is back; orders placed in between are printed then. Wrong credentials end
    the command. With -o jsonl a line is JSON.
    """
    if selection.output not in {Output.TABLE, Output.JSON, Output.JSONL}:
        raise typer.BadParameter(
            f"{selection.output.value} needs an end, and this has none: use table or jsonl", param_hint="-o"
        )
    pause, criteria = seconds_of(every), chosen.criteria(None, None)
    _lines_of(selection, [])  # refuses an unknown column now, not at the first order
    with connection.client() as client:
        _follow(lambda: chosen.listed(client, criteria), pause, last, selection, chosen.store)


def _follow(
    look: Callable[[], BatchResult[OrderResponseItem]],
    pause: float,
    last: int,
    selection: Selection,
    store: str | None = None,
) -> None:
    """Print new orders until the process ends."""
    from octopus_soap.errors import AuthenticationError, BatchError, ConfigError, OctopusError  # noqa: PLC0415 - heavy

    seen: set[str] | None = None  # only the listed orders, so memory stays bounded
    lost: datetime | None = None
    while True:
        wait, result = pause, None
        try:
            result = look()
        except (ConfigError, AuthenticationError):
            raise
        except BatchError as error:  # some rows cannot be read; the others are shown
            result = error.result
        except OctopusError as error:
            wait = max(pause, getattr(error, "retry_after", None) or 0)
            if lost is None:
                lost = datetime.now(UTC)
                notice(f"{lost:%H:%M:%S} UTC: {in_words(error)}. Retrying until it is back")
        if result is not None:
            if lost is not None:
                now, lost = datetime.now(UTC), None
                notice(f"{now:%H:%M:%S} UTC: the service answers again")
            if seen is None and store is not None and not result.outcomes:
                notice(_no_order_of(store))
            new = [outcome for outcome in result.outcomes if outcome.key not in (seen or ())]
            for line in _lines_of(selection, new if seen is not None else new[len(new) - min(last, len(new)) :]):
                show_line(line)
            seen = {outcome.key for outcome in result.outcomes}
        Event().wait(wait)


def _lines_of(selection: Selection, outcomes: Sequence[ItemOutcome[OrderResponseItem]]) -> Iterator[object]:
    """Return a line per order that meets the conditions: a text, or a record."""
    records = _records(outcomes)
    kept, records = selection.kept(records), selection.shown(records)
    if selection.output is not Output.TABLE:
        return compress(records.rows, kept)
    if selection.fields is not None:
        return compress(("  ".join(map(shown, row.values())) for row in records.rows), kept)
    return compress(map(_line, outcomes), kept)


def _line(outcome: ItemOutcome[OrderResponseItem]) -> str:
    order = outcome.value
    if order is None:
        return f"{outcome.key or '(no id)'} cannot be read: {outcome.error or outcome.message}"
    count = f"{len(order.lines)} {'line' if len(order.lines) == 1 else 'lines'}"
    facts = (order.id, order.total, count, order.payment, order.delivery, _address(order.ship))
    placed = f"{order.placed:%Y-%m-%d %H:%M}" if order.placed else " " * 16
    return "  ".join([placed, *(shown(fact) for fact in facts if fact)])


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

    A file is complete as soon as it has its name, and can be moved away then.
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
@selecting()
def show(
    connection: Connection,
    *,
    order_id: Annotated[str, typer.Argument(help="The order's id.", metavar="ORDER")],
    selection: Selection,
) -> None:
    """Show one unconfirmed order. Exit code 1: there is no such order."""
    from octopus_soap.models import OrderCriteria  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.models.scalars import is_int32  # noqa: PLC0415 - as above

    # The service filters by numeric ids only; any other id is searched for among all orders.
    criteria = OrderCriteria(order_id_list=[int(order_id)]) if is_int32(order_id) else None
    with connection.client() as client:
        found = [order for order in client.get_order_list(criteria) if order.id == order_id]
    if not found:
        notice(f"no unconfirmed order {order_id!r}; octopus-soap orders list shows all")
        raise typer.Exit(1)
    for order in found:
        if selection.output is Output.JSON and not selection.narrowed:
            show_json(selection.trimmed(as_data(order)))
        else:
            records = Records([{"order": as_data(order)}], "order", type(order))
            selection.show_whole(records, lambda order=order: _show_order(order))  # type: ignore[misc] # a default, to bind it now


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
    show_table("", ["SKU", "?~Description", "#Quantity", "#Unit price", "?#Tax", "?#Discount"], lines)


def _address(address: Any) -> str:
    if address is None:
        return ""
    name = " ".join(part for part in (address.first_name, address.last_name) if part)
    place = " ".join(part for part in (address.zip, address.city) if part)
    parts = (name, address.address1, address.address2, place, address.state, address.country)
    return ", ".join(part for part in parts if part)


@app.command("confirm")
@connected
@selecting()
def confirm(
    connection: Connection,
    *,
    order_ids: Annotated[
        list[str], typer.Argument(help="Ids of orders. - reads a pipe, one id per line.", metavar="ORDER")
    ],
    store: Annotated[
        str | None, typer.Option(metavar="ID", help="The store whose part of split orders was downloaded.")
    ] = None,
    dry_run: DryRunOption = False,
    selection: Selection,
) -> None:
    """Mark orders as downloaded.

    A confirmed order is not listed again: confirm only orders that you have
    stored. The service does not report unknown ids, so the orders are listed
    before and afterwards. Exit code 1: some were not listed, or still are.
    """
    from octopus_soap.models import OrderDownloadSubmitRequest  # noqa: PLC0415 - heavy: only inside a command

    wanted = [line for word in order_ids for line in (lines_of(read_source("-")[0]) if word == "-" else [word])]
    if not wanted:
        raise typer.BadParameter("standard input has no id of an order", param_hint="ORDER")
    given = {} if store is None else {"store_id": store}
    orders = {order_id: OrderDownloadSubmitRequest(order_id=order_id, **given) for order_id in wanted}
    with connection.client() as client:
        call = client.set_download_order_confirm if store is None else client.set_download_split_order_confirm
        if dry_run:
            show_requests(client, selection, call, list(orders.values()))
            return
        selection.check("order_id", "status", "message")
        before = _still_listed(client, wanted, store)
        # The service could read an id that is not listed, such as ` 0123`, as that of another order.
        listed = [order for order_id, order in orders.items() if order_id in before]

        def show(result: BatchResult[Any] | None) -> None:  # a result is shown only if the call failed
            if result is not None:
                found = {outcome.key: as_row(outcome, "order_id") for outcome in result.outcomes}
                rows = [found.get(order_id) or _confirmed_row(order_id, before, {}, store) for order_id in wanted]
                _show_confirmed(rows, selection)

        if listed:
            in_full("confirming", partial(call, listed), show)
        after = _still_listed(client, wanted, store)
    rows = [_confirmed_row(order_id, before, after, store) for order_id in wanted]
    _show_confirmed(rows, selection)
    if any(row["status"] != "ok" for row in rows):
        raise typer.Exit(1)


def _still_listed(client: OctopusClient, order_ids: list[str], store: str | None) -> dict[str, str]:
    """Return the stores of listed orders by id, filtered by *order_ids* if possible."""
    from octopus_soap.models import OrderCriteria  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.models.scalars import is_int32  # noqa: PLC0415 - as above

    numbers = [int(order_id) for order_id in order_ids if is_int32(order_id)]
    criteria = OrderCriteria(order_id_list=numbers) if len(numbers) == len(order_ids) else OrderCriteria()
    if store is None:
        parts = client.get_order_list.stream(criteria)
    else:
        parts = client.get_order_list_store.stream(store, criteria)
    outcomes = (outcome for part in parts for outcome in part.outcomes)
    return {outcome.key: (outcome.value.store_id if outcome.value else None) or "" for outcome in outcomes}


def _confirmed_row(order_id: str, before: dict[str, str], after: dict[str, str], store: str | None) -> dict[str, Any]:
    if order_id not in before:
        message = "it was not listed, so nothing was sent: there is no such order, or it was confirmed before"
        return {"order_id": order_id, "status": "missing", "message": message}
    if order_id not in after:
        return {"order_id": order_id, "status": "ok"}
    message = "it is still listed"
    if store is None and (part := after[order_id]):
        line = shlex.join(["octopus-soap", "orders", "confirm", order_id, "--store", part])
        message = f"{message} with store {part}; a split order is confirmed per store: {line}"
    return {"order_id": order_id, "status": "listed", "message": message}


def _show_confirmed(rows: list[dict[str, Any]], selection: Selection) -> None:
    def table() -> None:
        bad = [(row["order_id"], row["status"], row.get("message")) for row in rows if row["status"] != "ok"]
        if bad:
            show_table("not confirmed", ["Order", "Status", "Message"], bad)
        typer.echo(f"confirmed: {len(rows) - len(bad)}")

    selection.show_whole(Records(rows), table)


@app.command("submit")
@connected
@selecting()
def submit(
    connection: Connection,
    *,
    file: SourceArgument,
    omitted_values: OmittedOption = None,
    dry_run: DryRunOption = False,
    selection: Selection,
) -> None:
    """Create orders from a file, one call each. Exit code 1: some were rejected.

    JSON or JSON lines: objects with order_id, order_date, order_items (sku,
    quantity, unit_price), ship, bill, total and the others of an order.
    If it is unknown whether an order arrived, the command ends: check the
    service before you run it again.
    """
    from octopus_soap.models import OrderSubmit  # noqa: PLC0415 - heavy: only inside a command

    orders = read_models(file, OrderSubmit).items
    with connection.client(omitted_values, "SubmitOrder") as client:
        requests = [request for order in orders for request in client.submit_order.dry_run(order)]
        if dry_run:
            show_unsent(client, selection, iter(requests), client.submit_order.operation.wire_name)
            return
        selection.check("order_id", "status", "id_order", "message")
        result = in_full(
            "submitting",
            partial(one_by_one, orders, lambda order: order.order_id or "", client.submit_order.with_info),
            lambda result: _show_submitted(result, selection),
        )
    exit_for(result)


def _show_submitted(result: BatchResult[SubmitOrderResponseItem], selection: Selection) -> None:
    rows = [as_row(o, "order_id", id_order=o.value.id_order if o.value else None) for o in result.outcomes]
    cells = [(row["order_id"], row["status"], row["id_order"], row.get("message")) for row in rows]
    selection.show_whole(Records(rows), lambda: show_table("", ["Order", "Status", "Octopus id", "Message"], cells))
