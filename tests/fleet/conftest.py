"""Fixtures of the fleet's tests: on SQLite and on PostgreSQL."""

from tests.jobs.conftest import database, new_ledger, place, quick_hashes  # noqa: F401 - fixtures
