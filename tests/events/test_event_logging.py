"""`log_events`: a record per event, with a constant message and facts as fields."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import (
    BatchDone,
    BreakerClosed,
    BreakerOpened,
    CallInfo,
    DriftSeen,
    ItemRejected,
    OctopusClient,
    RateStoreBack,
    RateStoreLost,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
    log_events,
)

if TYPE_CHECKING:
    from octopus_soap.emulator import Emulator

INFO = CallInfo("GetItemList", 2, 200, None, "id-1", 0.5, 700, 9000)
CASES = [
    (RequestStarted("GetItemList", "id-1", 700, "h", 443), "GetItemList started", "DEBUG"),
    (RetryScheduled("GetItemList", "id-1", 1, "throttled", 2.0, 0.5), "GetItemList is repeated", "WARNING"),
    (RequestFinished("GetItemList", "id-1", INFO), "GetItemList finished", "INFO"),
    (RequestFinished("GetItemList", "id-1", INFO, "abandoned"), "GetItemList failed", "WARNING"),
    (BreakerOpened("GetItemList", "id-1", "TimedOutError"), "GetItemList opened the circuit breaker", "WARNING"),
    (BreakerClosed("GetItemList", "id-1"), "GetItemList closed the circuit breaker", "WARNING"),
    (RateStoreLost("TimeoutError"), "the rate limit store cannot be reached", "WARNING"),
    (RateStoreBack(), "the rate limit store answers again", "WARNING"),
    (DriftSeen("GetItemList", "id-1", {"Item.New": 3}), "GetItemList answered with unknown members", "WARNING"),
    (ItemRejected("UploadItem", None, "A-1", "no"), "UploadItem rejected an item", "WARNING"),
    (BatchDone("GetItemList", 0, {"ok": 5}, 1, 0.1), "GetItemList batch done", "DEBUG"),
    (BatchDone("GetItemList", 0, {"ok": 5, "failed": 1}, 1, 0.1), "GetItemList batch left items undone", "WARNING"),
]


@pytest.mark.parametrize(("event", "message", "level"), CASES)
def test_the_message_is_the_operation_and_what_happened(event: Any, message: str, level: str, caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        log_events()(event)
    (record,) = caplog.records
    assert (record.name, record.levelname, record.getMessage()) == ("octopus_soap.events", level, message)
    assert record.octopus_event == type(event).__name__


def test_facts_are_fields_of_the_record(caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        log_events()(RequestFinished("GetItemList", "id-1", INFO, "refused", "FaultError"))
    record = caplog.records[0]
    facts = {name: value for name, value in vars(record).items() if name.startswith("octopus_")}
    assert facts == {
        "octopus_event": "RequestFinished",
        "octopus_operation": "GetItemList",
        "octopus_request_id": "id-1",
        "octopus_failure": "refused",
        "octopus_error": "FaultError",
        "octopus_attempts": 2,
        "octopus_http_status": 200,
        "octopus_fault_code": None,
        "octopus_elapsed": 0.5,
        "octopus_sent_bytes": 700,
        "octopus_received_bytes": 9000,
    }
    json.dumps(facts)


def test_ones_own_logger_and_level_are_used(caplog) -> None:
    hook = log_events(logging.getLogger("shop.sync"), logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        hook(RequestFinished("GetItemList", "id-1", INFO))
        hook(RequestFinished("GetItemList", "id-1", INFO, "refused", "FaultError"))
    assert [(r.name, r.levelname) for r in caplog.records] == [("shop.sync", "DEBUG"), ("shop.sync", "WARNING")]


def test_many_unknown_members_make_no_endless_record(caplog) -> None:
    log_events()(DriftSeen("GetItemList", "id-1", {f"Item.M{n}": 1 for n in range(500)}))
    assert len(caplog.records[0].octopus_members) == 20


class _Json(logging.Formatter):
    """A JSON formatter: what is not a standard attribute of the record is a field."""

    def format(self, record: logging.LogRecord) -> str:
        own = vars(logging.makeLogRecord({}))
        facts = {name: value for name, value in vars(record).items() if name not in own}
        return json.dumps({"message": record.getMessage(), **facts})


def test_a_service_gets_one_line_of_json_per_request(service: Emulator) -> None:
    out = io.StringIO()
    logger = logging.Logger("service", logging.INFO)  # noqa: LOG001 - one of its own, that no other test sees
    handler = logging.StreamHandler(out)
    handler.setFormatter(_Json())
    logger.addHandler(handler)
    with OctopusClient(**service.settings(), on_event=log_events(logger)) as client:
        client.is_sku_exist("A")
        client.get_item_list([])
    (line,) = out.getvalue().splitlines()
    assert json.loads(line)["octopus_operation"] == "IsSkuExist"


def test_importing_the_package_leaves_logging_as_it_was() -> None:
    import subprocess
    import sys

    code = (
        "import logging; before = (logging.root.level, logging.root.handlers[:])\n"
        "from octopus_soap import OctopusClient, log_events; log_events()\n"
        "assert (logging.root.level, logging.root.handlers) == before\n"
        "assert logging.getLogger('octopus_soap').level == 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
