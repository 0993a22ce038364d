"""Test support: pytest fixtures, fault scripts, factories and recordings.

If the package is installed, pytest has the fixtures of `fixtures.py`; nothing needs to be imported or registered. They
need the extra `emulator`, and `octopus_async_client` the extra `async` too.

    from octopus_soap.testing import Reset, make_order

    def test_my_sync_repeats_no_order(octopus_emulator, octopus_client):
        octopus_emulator.script.on("SubmitOrder", nth=1).do(Reset(when="after"))
        my_sync.submit(octopus_client, make_order())
        assert len(octopus_emulator.store.orders()) == 1

The classes of `octopus_soap.emulator` (`Emulator`, `Profile`, `Merchant`, and the faults a script injects) can be
imported from here too. Names are loaded when they are first used: recording needs neither pytest nor the emulator, so
`record_traffic` works in production.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # isort: off
    from octopus_soap.emulator import (
        ApiFailure, Bom, CallRecord, Chunked, CloseIdle, ControlCharacters, Drip, Emulator, Fault, Gzip, Hang, Html,
        InjectedFault, Latency, Lie, LintNote, Merchant, MutateReply, Profile, Reset, Status, StoredOrder, Truncate,
    )  # fmt: skip # read as a list of names
    from octopus_soap.testing.factories import (
        make_address, make_confirmation, make_downloaded_order, make_item, make_mapping, make_order, make_order_line,
        make_stock_update, make_store_stock,
    )  # fmt: skip # read as a list of names
    from octopus_soap.testing.fixtures import octopus_async_client, octopus_client, octopus_emulator, octopus_recorder
    from octopus_soap.testing.recording import (
        NotRecordedError, RecordedExchange, Recording, record_traffic, replay_traffic,
    )  # fmt: skip # read as a list of names

__all__ = [
    "ApiFailure", "Bom", "CallRecord", "Chunked", "CloseIdle", "ControlCharacters", "Drip", "Emulator", "Fault", "Gzip",
    "Hang", "Html", "InjectedFault", "Latency", "Lie", "LintNote", "Merchant", "MutateReply", "NotRecordedError",
    "Profile", "RecordedExchange", "Recording", "Reset", "Status", "StoredOrder", "Truncate", "make_address",
    "make_confirmation", "make_downloaded_order", "make_item", "make_mapping", "make_order", "make_order_line",
    "make_stock_update", "make_store_stock", "octopus_async_client", "octopus_client", "octopus_emulator",
    "octopus_recorder", "record_traffic", "replay_traffic",
]  # fmt: skip # read as a list of names
_RECORDING = {"NotRecordedError", "RecordedExchange", "Recording", "record_traffic", "replay_traffic"}


def _home_of(name: str) -> str:
    if name in _RECORDING:
        return f"{__name__}.recording"
    part = {"make": "factories", "octopus": "fixtures"}.get(name.partition("_")[0])
    return f"{__name__}.{part}" if part else "octopus_soap.emulator"


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_home_of(name)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
