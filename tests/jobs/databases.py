"""Ledgers for tests: a file of its own, or a schema of its own on a local PostgreSQL."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVER = os.environ.get("OCTOPUS_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
"""A database to make schemas in, by a user that may. Read before the tests hide such variables from each other."""

KINDS = ("sqlite", "postgresql")


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


@contextmanager
def fresh(kind: str, folder: Path) -> Iterator[str]:
    """Where an empty ledger of *kind* can be opened."""
    if kind == "postgresql":
        with fresh_postgres() as url:
            yield url
    else:
        yield str(folder / f"ledger-{secrets.token_hex(4)}.db")
