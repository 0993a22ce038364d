"""Tables of results and models, for several libraries, and items from a table.

    frame = client.get_item_list(skus).to_frame()
    items = items_from_frame(frame)

A `BatchResult` has its own `to_frame`, `to_records` and `to_arrow`; the functions here take lists of models too.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from octopus_soap._http import private_opener
from octopus_soap.tables.cells import csv_text
from octopus_soap.tables.comparison import Change, Comparison, compare
from octopus_soap.tables.export import Backend, Decimals, arrow_table, excel_file, frame, with_amounts
from octopus_soap.tables.from_frame import items_from_frame
from octopus_soap.tables.summaries import OrderGroup, low_stock, margin, orders_by, out_of_stock
from octopus_soap.tables.table import Columns, Stores, Which, check_choice, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike
    from typing import Unpack

    from octopus_soap.results import BatchResult, TableOptions
    from octopus_soap.tables.table import Table


__all__ = [
    "Backend", "Change", "Columns", "Comparison", "Decimals", "OrderGroup", "Stores", "Which", "compare",
    "items_from_frame", "low_stock", "margin", "orders_by", "out_of_stock", "to_arrow", "to_csv", "to_excel",
    "to_frame", "to_records",
]  # fmt: skip # read as a list of names


_OPTIONS = ("which", "decimals", "stores", "columns", "secrets")
_SHOWN = ", ".join(_OPTIONS)


def __dir__() -> list[str]:
    return __all__


def to_records(source: BatchResult[Any] | Iterable[Any], **options: Unpack[TableOptions]) -> list[dict[str, Any]]:
    """Return the rows of a table as dictionaries, without an extra library.

    Args:
        source: the result of a list call, or models of one type.
        options: see `TableOptions`.

    Raises:
        InvalidInputError: an option is not known, or the table cannot be made as chosen; the message names the choices.
    """
    table = _table(source, **options)
    return [dict(zip(table.data, row, strict=True)) for row in zip(*table.data.values(), strict=True)]


def to_frame(
    source: BatchResult[Any] | Iterable[Any], *, backend: Backend = "pandas", **options: Unpack[TableOptions]
) -> Any:
    """Return a DataFrame: ids are text, integers and flags nullable, moments UTC.

    Args:
        source: the result of a list call, or models of one type.
        backend: `pandas` or `polars`, an extra each. polars holds amounts of at most 38 digits.
        options: see `TableOptions`.

    Raises:
        ConfigError: the library is not installed.
        InvalidInputError: an option is not known, or the table cannot be made as chosen; the message names the choices.
    """
    return frame(_table(source, **options), backend)


def to_arrow(source: BatchResult[Any] | Iterable[Any], **options: Unpack[TableOptions]) -> Any:
    """Return a pyarrow Table, for Parquet and for other tools; extra `arrow`.

    Args:
        source: the result of a list call, or models of one type. Arrow holds amounts of at most 76 digits.
        options: see `TableOptions`.

    Raises:
        ConfigError: pyarrow is not installed.
        InvalidInputError: an option is not known, or the table cannot be made as chosen; the message names the choices.
    """
    return arrow_table(_table(source, **options))


def to_csv(
    source: BatchResult[Any] | Iterable[Any],
    path: str | PathLike[str],
    *,
    excel: bool = False,
    **options: Unpack[TableOptions],
) -> None:
    """Write a CSV file in UTF-8; times are in UTC.

    Only its owner may read a new file, because it may hold orders.

    Args:
        source: the result of a list call, or models of one type.
        path: the file; an existing one is overwritten.
        excel: begin with a byte order mark, and write a text such as `00123` so that Excel keeps it.
        options: see `TableOptions`.

    Raises:
        InvalidInputError: an option is not known, or the table cannot be made as chosen; the message names the choices.
        OSError: the file cannot be written.
    """
    table = _table(source, **options)
    text = csv_text(list(table.data), zip(*table.data.values(), strict=True), excel=excel)
    with open(path, "w", encoding="utf-8", newline="", opener=private_opener) as file:
        file.write(text)


def to_excel(
    source: BatchResult[Any] | Iterable[Any], path: str | PathLike[str], **options: Unpack[TableOptions]
) -> None:
    """Write an Excel workbook (xlsx) of one sheet; extra `excel`.

    SKUs and ids are text, whatever they look like; amounts and stock are numbers with formats; times are in UTC. The
    header stays in view, and has filters.

    Args:
        source: the result of a list call, or models of one type.
        path: the file; an existing one is overwritten.
        options: see `TableOptions`.

    Raises:
        ConfigError: openpyxl is not installed.
        InvalidInputError: an option is not known, or the table does not fit a sheet; the message names the cell.
        OSError: the file cannot be written.
    """
    excel_file(_table(source, **options), path)


def _table(
    source: BatchResult[Any] | Iterable[Any],
    *,
    which: Which = "values",
    decimals: Decimals = "decimal",
    stores: Stores = "rows",
    columns: Columns = "used",
    secrets: bool = False,
    **unknown: Any,
) -> Table:
    """Return the table of *source*, with the options of `TableOptions`."""
    for name in unknown:
        near = get_close_matches(name, _OPTIONS, n=1)
        raise TypeError(f"no option {name!r}; " + (f"did you mean {near[0]}?" if near else f"there are {_SHOWN}"))
    check_choice(decimals, Decimals, "decimals")
    return with_amounts(table_of(source, which=which, stores=stores, columns=columns, secrets=secrets), decimals)
