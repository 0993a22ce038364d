"""Orders as files: one file per order, complete or not there, and there once.

Theory. A line appended to one growing file is lost or doubled by a crash, as no rename and no transaction covers it; so
every order is a file of its own, and `cat orders/*.jsonl` is the growing file. Each is written under a hidden name and
forced to the disk; then the ledger commits that the order is handled; then the file gets its name; then the order is
confirmed. So a reader may take a file away as soon as it sees it, and no crash brings it back:

* killed before the commit: the hidden file is thrown away, and the order is handed over again.
* killed between the commit and the name: the next run finds the hidden file and the order handled, and names it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote

from sqlalchemy import select

from octopus_soap.errors import ConfigError
from octopus_soap.jobs.tables import CONFIRMED, HANDLED, KEPT, ORDERS
from octopus_soap.tables.cells import as_json, csv_text

if TYPE_CHECKING:
    from os import PathLike

    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.jobs.order_delivery import OrderDelivery
    from octopus_soap.models import OrderResponseItem

_PART = ".part"
_ADDRESS = ("first_name", "last_name", "address1", "address2", "city", "state", "zip", "country", "phone", "email")
_LINE = ("sku", "quantity", "unit_price", "description", "item_tax", "item_discount")
_TOTALS = ("sub_total", "shipping_total", "tax_total", "total", "web_comment")
COLUMNS = (
    *("order_id", "store_id", "placed", "reference", "payment", "delivery"),
    *_LINE,
    *_TOTALS,
    *(f"ship.{name}" for name in _ADDRESS),
    *(f"bill.{name}" for name in _ADDRESS),
)
"""The columns of a CSV file, the same in every one; a row per line of the order."""


class OrderFiles:
    """A handler that writes each order into a file of its own, such as `100001.jsonl`.

        files = OrderFiles("orders", "jsonl")
        files.recover(ledger)  # what a crash left of the last run
        OrderInbox(client, ledger).run(files)

    Args:
        folder: where; made where it does not exist.
        kind: `jsonl`: one line of JSON with what the service sent; `csv`: a row per line of the order, and first the
            names.

    Raises:
        ConfigError: another kind.
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: str | PathLike[str], kind: Literal["jsonl", "csv"] = "jsonl") -> None:
        if kind not in {"jsonl", "csv"}:
            raise ConfigError(f"orders are written as jsonl or csv, not as {str(kind)[:40]!r}")
        self.folder, self._kind = Path(folder), kind
        self.folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, order: OrderResponseItem, delivery: OrderDelivery) -> None:
        """Write the order; it gets its name after the commit."""
        hidden = self._hidden(delivery.key)
        content = _line(order) if self._kind == "jsonl" else _table(order)
        with hidden.open("wb") as file:
            file.write(content.encode())
            file.flush()
            os.fsync(file.fileno())
        _to_disk(self.folder)
        delivery.after_commit(lambda: self._publish(hidden))

    def recover(self, ledger: Ledger) -> int:
        """Finish what a crash left: name the files of orders that are handled, throw the others away.

        Call it before a run, and never beside one.

        Returns:
            How many were named.
        """
        hidden = [path for path in self.folder.iterdir() if path.name.startswith(".") and path.suffix == _PART]
        done = _handled(ledger, [_key(path) for path in hidden])
        for path in hidden:
            if _key(path) in done:
                self._publish(path)
            else:
                path.unlink()
        return sum(_key(path) in done for path in hidden)

    def _hidden(self, key: str) -> Path:
        return self.folder / f".{quote(key, safe='@')}.{self._kind}{_PART}"

    def _publish(self, hidden: Path) -> None:
        hidden.replace(hidden.with_name(hidden.name.removeprefix(".").removesuffix(_PART)))
        _to_disk(self.folder)


def _key(hidden: Path) -> str:
    return unquote(hidden.name.removeprefix(".").removesuffix(_PART).rpartition(".")[0])


def _handled(ledger: Ledger, keys: list[str]) -> set[str]:
    done: set[str] = set()
    with ledger.reading() as connection:
        for start in range(0, len(keys), 500):  # far under what a database takes in one statement
            mine = (ORDERS.c.channel == ledger.channel, ORDERS.c.key.in_(keys[start : start + 500]))
            query = select(ORDERS.c.key).where(*mine, ORDERS.c.state.in_((HANDLED, CONFIRMED, KEPT)))
            done |= {key for (key,) in connection.execute(query)}
    return done


def _to_disk(folder: Path) -> None:
    """Force a folder's names to the disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _line(order: OrderResponseItem) -> str:
    data = order.model_dump(exclude_unset=True, exclude=set(order.secret_fields))
    return f"{as_json(data, indent=None)}\n"


def _table(order: OrderResponseItem) -> str:
    head: dict[str, Any] = {name: getattr(order, name) for name in COLUMNS[:6]}
    head |= {name: getattr(order, name) for name in _TOTALS}
    for part, address in (("ship", order.ship), ("bill", order.bill)):
        head |= {f"{part}.{name}": getattr(address, name, None) for name in _ADDRESS}
    rows = [head | {name: getattr(line, name) for name in _LINE} for line in order.lines] or [head]
    return csv_text(COLUMNS, ([row.get(name) for name in COLUMNS] for row in rows))
