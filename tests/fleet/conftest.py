"""Fixtures of the fleet's tests: on SQLite and on PostgreSQL."""

from tests.jobs.conftest import database, place  # noqa: F401 - fixtures
