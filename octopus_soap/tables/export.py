"""A table as a DataFrame of pandas or polars, a pyarrow Table or a Parquet file.

Ids are text and stay text. Integers, flags and reals are nullable types, moments are UTC in microseconds. An amount is
a `Decimal` unless a float or text is chosen.
"""

from __future__ import annotations

import io
from decimal import Context, Decimal
from typing import Any, Literal

from octopus_soap.errors import InvalidInputError, Problem, needed
from octopus_soap.tables.columns import Kind
from octopus_soap.tables.table import Table

Decimals = Literal["decimal", "float", "text"]

_PANDAS = {
    Kind.TEXT: "string",
    Kind.JSON: "string",
    Kind.INTEGER: "Int64",
    Kind.FLAG: "boolean",
    Kind.REAL: "Float64",
    Kind.MOMENT: "datetime64[us, UTC]",
    Kind.AMOUNT: "object",
}
_POLARS_DIGITS, _ARROW_DIGITS = 38, 76
_EXACT = Context(prec=_ARROW_DIGITS)


def with_amounts(table: Table, decimals: Decimals) -> Table:
    """The table with its amounts as *decimals* says."""
    if decimals == "decimal":
        return table
    made = Table({}, {})
    for name, kind in table.kinds.items():
        values = table.data[name]
        if kind is not Kind.AMOUNT:
            made.add(name, kind, values)
        elif decimals == "float":
            made.add(name, Kind.REAL, [None if value is None else float(value) for value in values])
        else:
            made.add(name, Kind.TEXT, [None if value is None else format(value, "f") for value in values])
    return made


def pandas_frame(table: Table) -> Any:
    """The table as a pandas DataFrame."""
    with needed("to_frame()", "pandas", "pandas"):
        import pandas as pd  # type: ignore[import-untyped] # noqa: PLC0415 - pandas ships no types, and is an extra
    return pd.DataFrame(
        {name: pd.Series(values, dtype=_PANDAS[table.kinds[name]]) for name, values in table.data.items()}
    )


def polars_frame(table: Table) -> Any:
    """The table as a polars DataFrame."""
    with needed("to_frame(backend='polars')", "polars", "polars"):
        import polars as pl  # noqa: PLC0415 - an extra
    types: dict[Kind, Any] = {
        Kind.TEXT: pl.String(),
        Kind.JSON: pl.String(),
        Kind.INTEGER: pl.Int64(),
        Kind.FLAG: pl.Boolean(),
        Kind.REAL: pl.Float64(),
        Kind.MOMENT: pl.Datetime("us", "UTC"),
    }
    data, schema = {}, {}
    for name, kind in table.kinds.items():
        if kind is Kind.AMOUNT:
            data[name], scale, _ = _fixed(name, table.data[name], _POLARS_DIGITS)
            schema[name] = pl.Decimal(_POLARS_DIGITS, scale)
        else:
            data[name], schema[name] = table.data[name], types[kind]
    return pl.DataFrame(data, schema=schema)


def arrow_table(table: Table) -> Any:
    """The table as a pyarrow Table."""
    with needed("to_arrow()", "arrow", "pyarrow"):
        import pyarrow as pa  # type: ignore[import-untyped] # noqa: PLC0415 - pyarrow ships no types, and is an extra
    types = {
        Kind.TEXT: pa.string(),
        Kind.JSON: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.FLAG: pa.bool_(),
        Kind.REAL: pa.float64(),
        Kind.MOMENT: pa.timestamp("us", "UTC"),
    }
    arrays = {}
    for name, kind in table.kinds.items():
        if kind is Kind.AMOUNT:
            values, scale, digits = _fixed(name, table.data[name], _ARROW_DIGITS)
            made = pa.decimal128(38, scale) if digits <= _POLARS_DIGITS else pa.decimal256(76, scale)
            arrays[name] = pa.array(values, type=made)
        else:
            arrays[name] = pa.array(table.data[name], type=types[kind])
    return pa.table(arrays)


def parquet_file(table: Table, for_what: str) -> bytes:
    """The table as a Parquet file; *for_what* begins the error where pyarrow is not installed."""
    with needed(for_what, "arrow", "pyarrow"):
        from pyarrow import parquet  # noqa: PLC0415 - an extra
    out = io.BytesIO()
    parquet.write_table(arrow_table(table), out)
    return out.getvalue()


def _fixed(name: str, values: list[Decimal | None], most: int) -> tuple[list[Decimal | None], int, int]:
    """The amounts with as many decimal places as the longest has, that number, and the digits they need.

    A column of polars or arrow has one scale, and keeps the value of a Decimal, not its trailing zeros.
    """
    parts = [value.as_tuple() for value in values if value is not None]
    scale = max([0, *(-int(part.exponent) for part in parts)])
    whole = max([1, *(len(part.digits) + int(part.exponent) for part in parts)])
    if whole + scale > most:
        message = f"needs {whole + scale} digits and the library holds {most}; choose decimals='text' or 'float'"
        raise InvalidInputError([Problem(message, field=name)], sent="no table")
    unit = Decimal(1).scaleb(-scale)
    return [None if value is None else value.quantize(unit, context=_EXACT) for value in values], scale, whole + scale
