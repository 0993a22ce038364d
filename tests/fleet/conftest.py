"""Databases of the fleet's tests: SQLite, and PostgreSQL for the long tests."""

from tests.jobs.conftest import new_ledger, place, quick_hashes  # noqa: F401 - fixtures
from tests.jobs.databases import each_database  # noqa: F401 - the fixture `database`
