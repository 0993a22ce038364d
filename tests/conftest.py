"""Shared fixtures, and the check of every test for leaked credentials."""

from __future__ import annotations

import gc
import logging
import os
import signal
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings as hypothesis_settings

from octopus_soap import OctopusClient, OctopusSettings
from octopus_soap.emulator import Emulator, Merchant

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

SHOP = Merchant("canary-shop", authtoken="canary-authtoken-5f2c81", accessid="0badc0de-0000-4000-8000-canary7d31aa")
"""The account of every test; its two secrets must not appear anywhere (`no_secret_leaks`)."""

SECRETS = (SHOP.authtoken, SHOP.accessid)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Run files with long tests first, so that the workers end together.

    A long file that began last would keep one worker busy alone, mostly with waiting. Long files are found before
    `-m "not long"` removes their long tests: their other tests are slower than most, too.
    """
    long = {item.path for item in items if item.get_closest_marker("long")}
    yield
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in long, -tests[item.path], item.path))


gc.disable()  # until the tests are collected: imported objects stay in memory anyway


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Exclude what collection made from garbage collection, and run it less often.

    The tests make and drop trees of many small objects, most of them free of cycles. With Python's own threshold of 700
    new objects, a fifth of all processor time goes into looking for cycles. A test that counts what is left collects
    first, at any threshold.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Free cycles after each file, and exclude what is left from later collections.

    A socket or a file that was not closed warns here at the latest, so the warning belongs to a test of its own file.
    """
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background commands like this, and the tests of Ctrl-C would wait in vain.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run; HYPOTHESIS_PROFILE=explore looks for new ones.
hypothesis_settings.register_profile("suite", max_examples=20, deadline=None, derandomize=True, database=None)
hypothesis_settings.register_profile("explore", max_examples=2000, deadline=None, print_blob=True)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


# -- the service and its client ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def running_service() -> Iterator[Emulator]:
    """One emulator per test process; tests use `service`, which empties it."""
    with Emulator(merchants=[SHOP]) as emulator:
        yield emulator


@pytest.fixture
def service(running_service: Emulator) -> Emulator:
    """An empty emulated service: no items, no orders, no calls, no lint, no faults."""
    running_service.start()  # does nothing if it already runs
    running_service.reset()
    return running_service


@pytest.fixture
def make_client(service: Emulator) -> Iterator[Callable[..., OctopusClient]]:
    """Make clients of `service` with given settings, and close them after the test.

    Pauses between attempts are off unless a test sets them.
    """
    made: list[OctopusClient] = []

    def make(**settings: Any) -> OctopusClient:
        given = {**service.settings(), "backoff_base": 0.0, **settings}
        client = OctopusClient(settings=OctopusSettings.load(**given))
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., OctopusClient]) -> OctopusClient:
    """A client of `service`."""
    return make_client()


# -- isolation -----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_settings_from_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide OCTOPUS_ variables and profile files of this machine from the tests."""
    for name in [name for name in os.environ if name.upper().startswith("OCTOPUS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OCTOPUS_PROFILES_FILE", os.devnull)


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    """Check that the test left no signal handlers: the next Ctrl-C would do nothing."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


# -- the canary ----------------------------------------------------------------------------------------------------

_leaks: list[str] = []


def _watch(text: str, where: str) -> None:
    if any(secret in text for secret in SECRETS):
        shown = text
        for secret in SECRETS:
            shown = shown.replace(secret, "<SECRET>")
        _leaks.append(f"{where}: {shown[:500]}")


def _watching_records(make: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
    """Check every log record when it is made, for all loggers and handlers."""

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a broken log call is not this canary's matter
            text = f"{record.msg} {record.args}"
        _watch(text, f"log record of {record.name}")
        if record.exc_info:
            _watch(logging.Formatter().formatException(record.exc_info), f"traceback in the log of {record.name}")
        return record

    return factory


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, as (certificate, key) files."""
    from tests.certificates import write_certificate

    return write_certificate(tmp_path_factory.mktemp("tls"))


class _WatchedWarning(warnings.WarningMessage):
    """A warning that is checked when it is shown or recorded."""

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(message, *args, **kwargs)
        _watch(str(message), "warning")


@pytest.fixture(autouse=True)
def no_secret_leaks() -> Iterator[None]:
    """Check that credentials appear in no log record at DEBUG, and in no warning.

    Each record is checked when it is made; pytest itself shows only those from WARNING on. Standard output and error
    are checked by `pytest_runtest_makereport` below.
    """
    _leaks.clear()
    root, made, warned = logging.getLogger(), logging.getLogRecordFactory(), warnings.WarningMessage
    level = root.level
    root.setLevel(logging.DEBUG)
    logging.setLogRecordFactory(_watching_records(made))
    warnings.WarningMessage = _WatchedWarning  # type: ignore[misc] # looked up by name when a warning is shown
    try:
        yield
    finally:
        root.setLevel(level)
        logging.setLogRecordFactory(made)
        warnings.WarningMessage = warned  # type: ignore[misc] # put back
    assert not _leaks, f"credentials leaked: {_leaks}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[Any]:
    """Fail a test whose standard output, standard error or log has credentials."""
    report = yield
    leaked = [name for name, text in report.sections if any(secret in text for secret in SECRETS)]
    if leaked and report.passed:
        report.outcome = "failed"
        report.longrepr = f"credentials leaked into: {', '.join(leaked)}"
    return report
