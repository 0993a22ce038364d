# isort: off
"""An embedded Octopus service for development and tests, over HTTP on loopback.

    from octopus_soap.emulator import Emulator, Reset

    with Emulator() as service:
        service.store.add_item("SKU-1", Price="1.50", Stock=3)
        service.script.on("SubmitOrder", nth=1).do(Reset(when="after"))
        ...
        assert [call.operation for call in service.calls] == ["SubmitOrder"]

It is written from the vendor's page and from what is known of WCF. It shares no code with this package's client, so it
cannot hide a bug of the client's codec. Needs the ``emulator`` extra (starlette, uvicorn).
"""

from .embedded import Emulator
from .faults import (
    ApiFailure, Bom, Chunked, CloseIdle, ControlCharacters, Drip, Fault, Gzip, Hang, Html, InjectedFault, Latency,
    Reset, Rule, Script, Status, Truncate,
)  # fmt: skip # read as a list of names
from .mutations import Lie, MutateReply
from .profile import Merchant, Profile
from .records import CallRecord, LintNote
from .store import Store, StoredOrder

__all__ = [
    "ApiFailure", "Bom", "CallRecord", "Chunked", "CloseIdle", "ControlCharacters", "Drip", "Emulator", "Fault", "Gzip",
    "Hang", "Html", "InjectedFault", "Latency", "Lie", "LintNote", "Merchant", "MutateReply", "Profile", "Reset",
    "Rule", "Script", "Status", "Store", "StoredOrder", "Truncate",
]  # fmt: skip # read as a list of names
