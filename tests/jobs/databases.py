"""Ledgers for tests: a file of its own, or a schema of its own on a local PostgreSQL."""

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
"""A database to make schemas in, by a user that may. Read before the tests hide such variables from each other."""

KINDS = ("sqlite", "postgresql")

LONG_ON_POSTGRES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.long))

both = pytest.mark.parametrize("database", LONG_ON_POSTGRES, indirect=True)
"""Run on PostgreSQL too, in a file that takes `one_database`: for what the two databases do differently."""
both_at_once = pytest.mark.parametrize("database", KINDS, indirect=True)
"""The same, with the quick tests: for the test of a job that would notice most."""


@cache
def why_no_postgres() -> str:
    """Why there is no PostgreSQL to test on; empty where there is."""
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
    """The `database` of files that import this fixture: SQLite, unless the test is for `both`, or names another."""
    kind: str = getattr(request, "param", "sqlite")
    if kind == "postgresql" and (why := why_no_postgres()):
        pytest.skip(why)
    return kind


@pytest.fixture(name="database", params=LONG_ON_POSTGRES)
def each_database(request: pytest.FixtureRequest) -> str:
    """The `database` of files that import this fixture: both, PostgreSQL with the long tests only."""
    if request.param == "postgresql" and (why := why_no_postgres()):
        pytest.skip(why)
    return request.param


def quick_hash(account: str, salt: str) -> str:
    """What a ledger stores of an account, in a thousandth of the time that a real one takes on purpose."""
    return f"{salt}${hashlib.sha256(f'{salt}{account}'.encode()).hexdigest()[:32]}"


@contextmanager
def fresh_postgres() -> Iterator[str]:
    """The URL of an empty schema, which is dropped at the end.

    Commits do not wait for the disk: nobody pulls the plug of the server here, and its clients' deaths do not matter.
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
    """The file of a ledger that was opened once: to copy it is quicker than to make its tables anew."""
    from octopus_soap.jobs import Ledger

    with TemporaryDirectory() as folder:
        Ledger(Path(folder) / "ledger.db").close()
        return (Path(folder) / "ledger.db").read_bytes()


@contextmanager
def fresh(kind: str, folder: Path, file: bytes = b"") -> Iterator[str]:
    """Where an empty ledger of *kind* can be opened; on SQLite with what *file* holds."""
    if kind == "postgresql":
        with fresh_postgres() as url:
            yield url
    else:
        path = folder / f"ledger-{secrets.token_hex(4)}.db"
        if file:
            path.write_bytes(file)
        yield str(path)
