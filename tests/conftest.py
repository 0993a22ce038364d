"""Fixtures every test may use, and the canary that watches every test for leaked credentials."""

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
"""The account of every test; its two secrets may turn up nowhere (see `no_secret_leaks`)."""

SECRETS = (SHOP.authtoken, SHOP.accessid)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Begin with the files that start processes, then those of many tests: the workers end together.

    A long file that began last would keep one worker busy alone, mostly with waiting. Which these are is seen before
    `-m "not long"` takes the long tests out; their other tests are slower than most, too.
    """
    long = {item.path for item in items if item.get_closest_marker("long")}
    yield
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in long, -tests[item.path], item.path))


gc.disable()  # until the tests are collected: what is imported until then stays


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let no collection of garbage walk what the collected tests keep, and let the others be rarer.

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
    """After each file, free what is in cycles, and let no later collection walk what is left.

    A socket or a file that nothing closed is noticed here at the latest, and counts against a test of its own file.
    """
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what is to run in the background so, and the tests of Ctrl-C would wait in vain.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples everywhere and every time; HYPOTHESIS_PROFILE=explore looks for new ones.
hypothesis_settings.register_profile("suite", max_examples=20, deadline=None, derandomize=True, database=None)
hypothesis_settings.register_profile("explore", max_examples=2000, deadline=None, print_blob=True)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


# -- the service and its client ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def running_service() -> Iterator[Emulator]:
    """One emulator per test process; use `service`, which is the same one emptied for each test."""
    with Emulator(merchants=[SHOP]) as emulator:
        yield emulator


@pytest.fixture
def service(running_service: Emulator) -> Emulator:
    """An empty emulated service: no items, no orders, no calls, no lint, no faults."""
    running_service.start()  # does nothing where it runs already
    running_service.reset()
    return running_service


@pytest.fixture
def make_client(service: Emulator) -> Iterator[Callable[..., OctopusClient]]:
    """Make clients of `service` with settings of their own; they are closed after the test.

    Pauses between attempts are off unless a test asks for them.
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
    """Tests see no OCTOPUS_ variable and no profile file of whoever runs them."""
    for name in [name for name in os.environ if name.upper().startswith("OCTOPUS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OCTOPUS_PROFILES_FILE", os.devnull)


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    """No command that runs in this process leaves handlers of its own behind: the next Ctrl-C would do nothing."""
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
    """Look at every log record at its making, whatever logger, handler or propagation it has."""

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
    """A certificate for 127.0.0.1 that is its own authority, as (certificate, key) files."""
    from tests.certificates import write_certificate

    return write_certificate(tmp_path_factory.mktemp("tls"))


class _WatchedWarning(warnings.WarningMessage):
    """What the warnings module makes of every warning that is shown or recorded (raised ones fail their test)."""

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(message, *args, **kwargs)
        _watch(str(message), "warning")


@pytest.fixture(autouse=True)
def no_secret_leaks() -> Iterator[None]:
    """The credentials of the tests' account appear in no log record at DEBUG, and in no warning.

    Each record is looked at when it is made; pytest itself formats and shows those from WARNING on. Standard output and
    error are watched by `pytest_runtest_makereport` below.
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
    """Fail a test whose standard output, standard error or captured log holds a secret of the tests' account."""
    report = yield
    leaked = [name for name, text in report.sections if any(secret in text for secret in SECRETS)]
    if leaked and report.passed:
        report.outcome = "failed"
        report.longrepr = f"credentials leaked into: {', '.join(leaked)}"
    return report
