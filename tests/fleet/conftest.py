"""Fixtures of the fleet's tests: on SQLite, and with the long tests on PostgreSQL."""

from tests.jobs.conftest import new_ledger, place, quick_hashes  # noqa: F401 - fixtures
from tests.jobs.databases import each_database  # noqa: F401 - the fixture `database`
