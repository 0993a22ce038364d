"""Three sources of stock and prices for a fleet: CSV files, a database, HTTP.

Copy the one you need into your module of functions (`octopus-soap fleet init` writes it), or name this module:

    FLEET_SOURCE=csv SHOPS=shops/ octopus-soap fleet run --module fleet_sources
    FLEET_SOURCE=sql SHOPS=postgresql+psycopg://reader@db.example.com/erp octopus-soap fleet run --module fleet_sources
    FLEET_SOURCE=http SHOPS=https://erp.example.com/shops octopus-soap fleet run --module fleet_sources

A source returns rows (or a path, or a DataFrame) with `sku`, and `stock` or `price` or both; None if nothing is new.
If it raises, only that merchant's job fails, and it is tried again later. The log has the type of the error but not its
message, which may contain your data.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from sqlalchemy import Engine, create_engine, text

from octopus_soap.fleet import Merchant


def from_csv_folder(merchant: Merchant) -> Path | None:
    """Return SHOPS/NAME.csv, or None if there is none yet.

    Write the file under another name, and rename it when it is complete.
    """
    folder = Path(os.environ["SHOPS"]).resolve()
    file = (folder / f"{merchant.name}.csv").resolve()
    if file.parent != folder:
        raise ValueError("a merchant's name must be the name of a file")
    return file if file.exists() else None


@cache
def _engine(url: str) -> Engine:
    return create_engine(url, pool_size=2, pool_pre_ping=True)  # all threads of a process share two connections


def from_table(merchant: Merchant) -> list[dict[str, Any]]:
    """Return the merchant's rows in a table of your database."""
    query = text("SELECT sku, stock, price FROM shop_stock WHERE shop = :shop")
    with _engine(os.environ["SHOPS"]).connect() as connection:
        return [dict(row) for row in connection.execute(query, {"shop": merchant.name}).mappings()]


_seen: dict[str, str] = {}


def from_http(merchant: Merchant) -> Any:
    """Return the list of objects at SHOPS/NAME, or None if its ETag has not changed."""
    url = f"{os.environ['SHOPS']}/{quote(merchant.name, safe='')}"
    headers = {"If-None-Match": _seen[url]} if url in _seen else {}
    answer = requests.get(url, headers=headers, timeout=(5, 30))
    if answer.status_code == requests.codes.not_modified:
        return None
    answer.raise_for_status()
    rows = answer.json()
    if "ETag" in answer.headers:
        _seen[url] = answer.headers["ETag"]
    return rows


stock = {"csv": from_csv_folder, "sql": from_table, "http": from_http}[os.environ.get("FLEET_SOURCE", "csv")]
