"""Tables: results and models as pandas, polars or pyarrow tables, and items made from a table.

    frame = client.get_item_list(skus).to_frame()
    items = items_from_frame(frame)

A `BatchResult` has `to_frame`, `to_records` and `to_arrow` of its own; the functions here take lists of models too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from octopus_soap.tables.cells import csv_text
from octopus_soap.tables.export import Decimals, arrow_table, pandas_frame, polars_frame, with_amounts
from octopus_soap.tables.from_frame import items_from_frame
from octopus_soap.tables.table import Columns, Stores, Which, check_choice, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from octopus_soap.results import BatchResult


__all__ = [
    "Backend",
    "Columns",
    "Decimals",
    "Stores",
    "Which",
    "items_from_frame",
    "to_arrow",
    "to_csv",
    "to_frame",
    "to_records",
]

Backend = Literal["pandas", "polars"]


def __dir__() -> list[str]:
    return __all__


def to_records(
    source: BatchResult[Any] | Iterable[Any],
    *,
    which: Which = "values",
    decimals: Decimals = "decimal",
    stores: Stores = "rows",
    columns: Columns = "used",
    secrets: bool = False,
) -> list[dict[str, Any]]:
    """The rows of a table as dictionaries; None where there is no value. Needs no extra.

    Args:
        source: the result of a list call, or models of one type.
        which: `values`, or `outcomes`: one row per input with index, key, status, message and error.
        decimals: amounts as `decimal`, `float` or `text`.
        stores: the store stock of an item (or the lines of an order) as `rows`, one per store, the item's own members
            repeated; as `columns`, such as `store_stock[S1]`; or as `json` text in one column.
        columns: `used` leaves out columns without any value, `all` keeps every member of the model; or their names.
        secrets: keep secret members, such as an order's card number.

    Raises:
        InvalidInputError: a choice is none of these, or the table cannot be made as chosen; it says what to choose.
    """
    check_choice(decimals, Decimals, "decimals")
    table = with_amounts(table_of(source, which=which, stores=stores, columns=columns, secrets=secrets), decimals)
    return [dict(zip(table.data, row, strict=True)) for row in zip(*table.data.values(), strict=True)]


def to_frame(
    source: BatchResult[Any] | Iterable[Any],
    *,
    backend: Backend = "pandas",
    which: Which = "values",
    decimals: Decimals = "decimal",
    stores: Stores = "rows",
    columns: Columns = "used",
    secrets: bool = False,
) -> Any:
    """A DataFrame: ids are text, integers and flags nullable, moments UTC.

    Args:
        source: the result of a list call, or models of one type.
        backend: `pandas` or `polars`, an extra each.
        which: see `to_records`.
        decimals: see `to_records`. polars holds at most 38 digits.
        stores: see `to_records`.
        columns: see `to_records`.
        secrets: see `to_records`.

    Raises:
        ConfigError: the library is not installed.
        InvalidInputError: a choice is not known, or the table cannot be made as chosen; it says what to choose.
    """
    check_choice(backend, Backend, "backend")
    check_choice(decimals, Decimals, "decimals")
    table = with_amounts(table_of(source, which=which, stores=stores, columns=columns, secrets=secrets), decimals)
    return polars_frame(table) if backend == "polars" else pandas_frame(table)


def to_arrow(
    source: BatchResult[Any] | Iterable[Any],
    *,
    which: Which = "values",
    decimals: Decimals = "decimal",
    stores: Stores = "rows",
    columns: Columns = "used",
    secrets: bool = False,
) -> Any:
    """A pyarrow Table, for Parquet and for other tools; extra `arrow`.

    Args:
        source: the result of a list call, or models of one type.
        which: see `to_records`.
        decimals: see `to_records`. Arrow holds at most 76 digits.
        stores: see `to_records`.
        columns: see `to_records`.
        secrets: see `to_records`.

    Raises:
        ConfigError: pyarrow is not installed.
        InvalidInputError: a choice is not known, or the table cannot be made as chosen; it says what to choose.
    """
    check_choice(decimals, Decimals, "decimals")
    table = table_of(source, which=which, stores=stores, columns=columns, secrets=secrets)
    return arrow_table(with_amounts(table, decimals))


def to_csv(
    source: BatchResult[Any] | Iterable[Any],
    path: str | PathLike[str],
    *,
    excel: bool = False,
    which: Which = "values",
    stores: Stores = "rows",
    columns: Columns = "used",
    secrets: bool = False,
) -> None:
    """Write a CSV file in UTF-8; amounts are exact, times in UTC.

    Args:
        source: the result of a list call, or models of one type.
        path: the file; one that is there is overwritten.
        excel: begin with a byte order mark, and write a text such as `00123` so that Excel keeps it.
        which: see `to_records`.
        stores: see `to_records`.
        columns: see `to_records`.
        secrets: see `to_records`.

    Raises:
        InvalidInputError: a choice is not known, or the table cannot be made as chosen; it says what to choose.
        OSError: the file cannot be written.
    """
    table = table_of(source, which=which, stores=stores, columns=columns, secrets=secrets)
    text = csv_text(list(table.data), zip(*table.data.values(), strict=True), excel=excel)
    Path(path).write_text(text, encoding="utf-8", newline="")
