"""Ledgers for tests: a new file, or a new schema on a local PostgreSQL."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = os.environ.get("OCTOPUS_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
"""A database and a user that may create schemas in it.

It is read before fixtures hide such variables.
"""

KINDS = ("sqlite", "postgresql")

LONG_ON_POSTGRES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.long))

both = pytest.mark.parametrize("database", LONG_ON_POSTGRES, indirect=True)
"""Run on PostgreSQL too, in a file with `one_database`: here the databases differ."""
both_at_once = pytest.mark.parametrize("database", KINDS, indirect=True)
"""The same, among the quick tests: for the most sensitive test of a job."""


@cache
def why_no_postgres() -> str:
    """Return why there is no PostgreSQL to test on; empty if there is one."""
    try:
        import psycopg
    except ImportError as error:
        return f"no psycopg: {error}"
    try:
        psycopg.connect(SERVER, connect_timeout=5).close()
    except psycopg.Error as error:
        return f"no PostgreSQL at {SERVER.rpartition('@')[2]}: {str(error).splitlines()[0]}"
    return ""


@pytest.fixture(name="database")
def one_database(request: pytest.FixtureRequest) -> str:
    """SQLite, unless the test is marked `both`, or names another database."""
    kind: str = getattr(request, "param", "sqlite")
    if kind == "postgresql" and (why := why_no_postgres()):
        pytest.skip(why)
    return kind


@pytest.fixture(name="database", params=LONG_ON_POSTGRES)
def each_database(request: pytest.FixtureRequest) -> str:
    """Both databases, PostgreSQL with the long tests only."""
    if request.param == "postgresql" and (why := why_no_postgres()):
        pytest.skip(why)
    return request.param


def quick_hash(account: str, salt: str) -> str:
    """Hash an account in a thousandth of the time of a ledger's slow hash."""
    return f"{salt}${hashlib.sha256(f'{salt}{account}'.encode()).hexdigest()[:32]}"


@contextmanager
def fresh_postgres() -> Iterator[str]:
    """Make an empty schema, give its URL, and drop it at the end.

    Commits do not wait for the disk: the server here does not crash, and crashed clients lose nothing by it.
    """
    import psycopg

    name = f"octopus_test_{secrets.token_hex(6)}"
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{name}"')
        try:
            options = quote(f"-csearch_path={name} -csynchronous_commit=off")
            yield f"{SERVER}{'&' if '?' in SERVER else '?'}options={options}"
        finally:
            connection.execute("SET client_min_messages = warning")
            connection.execute(f'DROP SCHEMA "{name}" CASCADE')


@cache
def new_sqlite_ledger() -> bytes:
    """Return the file of a new ledger: a copy is quicker than creating its tables."""
    from octopus_soap.jobs import Ledger

    with TemporaryDirectory() as folder:
        Ledger(Path(folder) / "ledger.db").close()
        return (Path(folder) / "ledger.db").read_bytes()


@contextmanager
def fresh(kind: str, folder: Path, file: bytes = b"") -> Iterator[str]:
    """Yield the place of an empty ledger of *kind*; on SQLite a copy of *file*."""
    if kind == "postgresql":
        with fresh_postgres() as url:
            yield url
    else:
        path = folder / f"ledger-{secrets.token_hex(4)}.db"
        if file:
            path.write_bytes(file)
        yield str(path)
