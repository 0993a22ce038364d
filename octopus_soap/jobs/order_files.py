"""Writes each order to a file, which appears once and complete.

Purpose. A crash loses or duplicates a line that is appended to a growing file, because no rename and no transaction
covers it. So every order is a file of its own, and `cat orders/*.jsonl` is the growing file.

Invariants:

* An order is written under a hidden name and forced to the disk. Then the ledger commits that it is handled, and the
  path of the hidden file. Then the file is renamed, and the ledger deletes that path. Then the order is confirmed.
* A reader may take a file away as soon as it sees it, and no crash brings it back.
* A file's name matches `*.jsonl`, whatever the order's id is.
* No other file is overwritten, such as that of another shop with the same folder and order id. The order stays in every
  report, and is not confirmed, until that file was taken away. Hidden names differ by channel.
* A folder that orders were written to has a mark, an empty hidden folder, and the ledger has its path. If the mark is
  missing, such as at a mount point whose share is not mounted, nothing is written or confirmed. (The mark is a folder,
  because programs that move files away leave folders.)

On failure:

* Killed before the commit: the order is handed over again, and its file is written again.
* Killed between the commit and the rename: the next run renames the hidden file, even if that run writes to another
  folder. If the folder is gone, or has no mark, the order is written again.
* A disk that is full or read-only ends the run (`DestinationError`); no order goes into quarantine because of it.
"""

from __future__ import annotations

import errno
import filecmp
import hashlib
import os
import re
import shlex
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote

from sqlalchemy import insert, select, update

from octopus_soap._http import private_opener
from octopus_soap.errors import ConfigError
from octopus_soap.jobs.handlers import DestinationError
from octopus_soap.jobs.tables import CHANGED, CHANNEL, CONFIRMED, HANDLED, KEPT, ORDER_FOLDERS, ORDERS, WAITING, chunks
from octopus_soap.models import OrderResponseItem
from octopus_soap.tables.cells import as_json, csv_text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from os import PathLike

    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.jobs.order_delivery import OrderDelivery

Kind = Literal["jsonl", "json", "csv", "excel"]
KINDS: tuple[Kind, ...] = ("jsonl", "json", "csv", "excel")

MARK = ".octopus-orders"
"""The empty folder that marks a folder to which orders were written."""
_PART = ".part"
_TAG = re.compile(r"\.[0-9a-f]{8}$")
_LONGEST = 150
"""Characters of a key in a file's name, well below the limit of most file systems."""
_NOT_THE_ORDERS_FAULT = frozenset(
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EROFS", "EDQUOT", "EACCES", "EPERM", "EIO", "ENOENT", "ENOTDIR", "ENODEV", "ENXIO", "ESTALE"),
        *("EMFILE", "ENFILE", "EHOSTDOWN", "ENOTCONN", "ETIMEDOUT", "EFBIG"),
    )
    if hasattr(errno, name)
)
"""Errors of the disk or the process, not of one file."""
_RUN_BY_A_SPREADSHEET = re.compile(r"[=@\t\r]|[+-](?![\d\s()./-]*$)")
_ADDRESS = (
    *("first_name", "last_name", "address1", "address2", "city", "state", "zip", "country", "phone", "email"),
    "customer_id",
)
_LINE = ("sku", "quantity", "unit_price", "description", "item_tax", "item_discount")
_HEAD = ("order_id", "store_id", "placed", "reference", "payment", "delivery")
_TOTALS = ("sub_total", "shipping_total", "tax_total", "total", "web_comment")
_PARTS = frozenset({"ship", "bill", "order_items"})
_OTHERS = tuple(
    name
    for name in OrderResponseItem.model_fields
    if name not in {*_HEAD, *_TOTALS, *_PARTS, *OrderResponseItem.secret_fields}
)
COLUMNS = (
    *_HEAD,
    *_LINE,
    *_TOTALS,
    *(f"ship.{name}" for name in _ADDRESS),
    *(f"bill.{name}" for name in _ADDRESS),
    *_OTHERS,
    *("others", "notice"),
)
"""The columns of every CSV file, which has a row per line of the order. `others` is JSON of members that this version
does not know; `notice` is that of `OrderDelivery`."""


class OrderFiles:
    """A handler that writes each order into a file of its own, such as `100001.jsonl`.

        files = OrderFiles("orders", "jsonl")
        files.recover(ledger)  # finish what a crash left
        OrderInbox(client, ledger).run(files)

    Args:
        folder: created if it does not exist.
        kind: `jsonl`: one line of JSON with what the service sent; `json`: the same on many lines; `csv`: column names
            and a row per line of the order; `excel`: a CSV file that Excel shows without changing it.

    If an order was changed after it was handled, the new version is a file of its own: `100001.r2.jsonl`. In `csv`, an
    apostrophe is put before a text that a spreadsheet would run as a formula.

    Raises:
        ConfigError: *kind* is not one of these.
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: str | PathLike[str], kind: Kind = "jsonl") -> None:
        if kind not in KINDS:
            raise ConfigError(f"orders are written as {', '.join(KINDS)}, not as {str(kind)[:40]!r}")
        self.folder, self._kind, self._tag = Path(folder), kind, ""
        self._marked = False
        self.folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, order: OrderResponseItem, delivery: OrderDelivery) -> None:
        """Write the order to a hidden file, which is renamed after the commit."""
        hidden = self._hidden(delivery)
        if self._marked:
            self._check_mark()
        try:
            with open(hidden, "wb", opener=private_opener) as file:
                file.write(self._content(order, delivery).encode())
                file.flush()
                os.fsync(file.fileno())
            with _folder(self.folder) as to_disk:
                to_disk()
        except OSError as error:
            if error.errno in _NOT_THE_ORDERS_FAULT:
                raise DestinationError(f"cannot write {hidden}: {error.strerror or error}") from error
            raise
        delivery.remember(str(hidden.absolute()))
        delivery.after_commit(lambda: _publish(hidden))

    def recover(self, ledger: Ledger) -> int:
        """Rename the hidden files of handled orders, and delete those of others.

        They are left by a crash. Call it before a run, and never while one is under way.

        Returns:
            How many files were renamed.

        Raises:
            DestinationError: orders were written to the folder before, but its mark is missing: a share is not mounted.
        """
        self._tag = self._begin(ledger)
        named = 0
        for key, path, marked in _unfinished(ledger):
            there = path.exists()
            if there and not _named(path):
                continue
            named += there
            lost = not there and not (path.parent / MARK if marked else path.parent).is_dir()
            _finish(ledger, key, again=lost)
        hidden = [path for path in self.folder.iterdir() if path.name.startswith(".") and path.suffix == _PART]
        mine = [path for path in hidden if _tagged(path) in {"", self._tag}]
        states = _states(ledger, [_key(path) for path in mine])
        for path in mine:
            state = states.get(_key(path))
            if state in {HANDLED, CONFIRMED, KEPT, CHANGED}:
                named += _named(path)
            elif state is not None:  # otherwise it is another channel's
                path.unlink()
        return named

    def _begin(self, ledger: Ledger) -> str:
        """Check or mark the folder, and return the tag of the channel's hidden names.

        The tag distinguishes them from those of other channels.
        """
        folder, channel = str(self.folder.resolve()), ledger.channel
        written = (ORDER_FOLDERS.c.channel == channel, ORDER_FOLDERS.c.folder == folder)
        known = select(ORDER_FOLDERS.c.folder).where(*written).scalar_subquery()
        salt = select(CHANNEL.c.account_hash).where(CHANNEL.c.channel == channel).scalar_subquery()
        with ledger.reading() as connection:
            salted, known_folder = connection.execute(select(salt, known)).one()
        if known_folder is not None:
            self._check_mark()
        else:
            try:
                (self.folder / MARK).mkdir(exist_ok=True)
            except OSError as error:
                raise DestinationError(f"cannot write in {self.folder}: {error.strerror or error}") from error
            with ledger.transaction() as connection:
                connection.execute(insert(ORDER_FOLDERS).values(channel=channel, folder=folder))
        self._marked = True
        return "" if salted is None else f".{hashlib.sha256(salted.encode()).hexdigest()[:8]}"

    def _check_mark(self) -> None:
        if not (self.folder / MARK).is_dir():
            raise DestinationError(
                f"{self.folder} is not the folder that orders were written to before: {MARK} is missing in it. Is a "
                "share not mounted there? Nothing was written or confirmed. If the folder was made anew on purpose: "
                f"mkdir {shlex.quote(str(self.folder / MARK))}"
            )

    def _content(self, order: OrderResponseItem, delivery: OrderDelivery) -> str:
        if self._kind in {"csv", "excel"}:
            return _table(order, delivery.notice, excel=self._kind == "excel")
        data = order.model_dump(exclude_unset=True, exclude=set(order.secret_fields))
        if delivery.notice:
            data["notice"] = delivery.notice
        return f"{as_json(data, indent=None if self._kind == 'jsonl' else 2)}\n"

    def _hidden(self, delivery: OrderDelivery) -> Path:
        ending = "csv" if self._kind == "excel" else self._kind
        version = f".r{delivery.revision}" if delivery.revision > 1 else ""
        return self.folder / f".{_stem(delivery.key)}{version}.{ending}{self._tag}{_PART}"


def _stem(key: str) -> str:
    """Return a file name for a key, which is in the folder, not hidden, and no option."""
    stem = quote(key, safe="@")
    if stem[:1] in {".", "-"}:
        stem = f"%{ord(stem[0]):02X}{stem[1:]}"
    if len(stem) > _LONGEST:
        stem = f"{stem[:_LONGEST]}~{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    return stem


def _publish(hidden: Path) -> None:
    """Rename a hidden file to its final name.

    Raises:
        FileExistsError: another file has this name.
    """
    final = hidden.with_name(_without_tag(hidden))
    with _folder(hidden.parent) as to_disk:
        if os.path.lexists(final) and not _equal(hidden, final):
            message = "another file has this name; take it away, and the next run names this one"
            raise FileExistsError(errno.EEXIST, message, str(final))
        hidden.replace(final)
        to_disk()


def _named(hidden: Path) -> bool:
    """Rename a hidden file; False if another file has its final name."""
    try:
        _publish(hidden)
    except FileExistsError:  # the order stays in the reports with the reason
        return False
    return True


def _equal(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


def _tagged(hidden: Path) -> str:
    found = _TAG.search(hidden.name.removesuffix(_PART))
    return found[0] if found is not None else ""


def _without_tag(hidden: Path) -> str:
    return _TAG.sub("", hidden.name.removeprefix(".").removesuffix(_PART))


def _key(hidden: Path) -> str:
    stem = _without_tag(hidden).rpartition(".")[0]
    return unquote(re.sub(r"\.r\d+$", "", stem))


def _unfinished(ledger: Ledger) -> list[tuple[str, Path, bool]]:
    """Return key, hidden file, and whether its folder is marked, of unfinished orders."""
    mine = (ORDERS.c.channel == ledger.channel, ORDERS.c.unfinished.is_not(None), ORDERS.c.unfinished != "")
    with ledger.reading() as connection:
        rows = connection.execute(select(ORDERS.c.key, ORDERS.c.unfinished).where(*mine)).all()
        if not rows:
            return []
        written = select(ORDER_FOLDERS.c.folder).where(ORDER_FOLDERS.c.channel == ledger.channel)
        marked = set(connection.execute(written).scalars())
    files = [(row.key, Path(row.unfinished)) for row in rows]
    return [(key, file, str(file.parent.resolve()) in marked) for key, file in files]


def _finish(ledger: Ledger, key: str, *, again: bool) -> None:
    """Record that an order is finished, or with *again*, hand it over once more."""
    values: dict[str, Any] = {"unfinished": None, "attempts": 0, "message": ""}
    with ledger.transaction() as connection:
        if again:
            values |= {"state": WAITING, "due_at": ledger.now(connection), "delivering": 1}
        this = (ORDERS.c.channel == ledger.channel, ORDERS.c.key == key)
        connection.execute(update(ORDERS).where(*this).values(values))


def _states(ledger: Ledger, keys: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    with ledger.reading() as connection:
        for some in chunks(keys):
            mine = (ORDERS.c.channel == ledger.channel, ORDERS.c.key.in_(some))
            rows = connection.execute(select(ORDERS.c.key, ORDERS.c.state).where(*mine))
            found |= {row.key: row.state for row in rows}
    return found


@contextmanager
def _folder(folder: Path) -> Generator[Callable[[], None]]:
    """Lock a folder against other renames; yield what forces its names to the disk."""
    if os.name != "posix":
        yield lambda: None
        return
    import fcntl  # noqa: PLC0415 - not on every system

    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network share may have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield lambda: os.fsync(handle)
    finally:
        os.close(handle)


def _table(order: OrderResponseItem, notice: str, *, excel: bool) -> str:
    head: dict[str, Any] = {name: getattr(order, name) for name in (*_HEAD, *_TOTALS, *_OTHERS)}
    head |= {"others": as_json(order.model_extra, indent=None) if order.model_extra else None, "notice": notice}
    for part, address in (("ship", order.ship), ("bill", order.bill)):
        head |= {f"{part}.{name}": getattr(address, name, None) for name in _ADDRESS}
    rows = [head | {name: getattr(line, name) for name in _LINE} for line in order.lines] or [head]
    cells = [[row.get(name) for name in COLUMNS] for row in rows]
    if not excel:
        cells = [[_inert(cell) for cell in row] for row in cells]
    return csv_text(COLUMNS, cells, excel=excel)


def _inert(cell: Any) -> Any:
    """Return a cell that a spreadsheet shows and does not run as a formula."""
    # Customers write some of these texts.
    return f"'{cell}" if isinstance(cell, str) and _RUN_BY_A_SPREADSHEET.match(cell) else cell
