"""Safety classes are declared and overridden; errors survive pickling and threads."""

from __future__ import annotations

import copy
import inspect
import pickle
from datetime import UTC, datetime

from stepping import context, honest, reset, run_list, statuses, step

from octopus_soap import CustomFieldMapping, ItemQuantityAndPrice, OctopusError, OrderItem, OrderSubmit, Safety, errors
from octopus_soap.errors import BatchError, OutcomeUnknownError, Problem, TransportError
from octopus_soap.operations import OPERATIONS
from octopus_soap.results import BatchResult, CallInfo, ItemOutcome, OutcomeStatus
from tests.every import every


def submit(given):
    row = OPERATIONS["SubmitOrder"]
    order = OrderSubmit(order_id="1", order_items=[OrderItem(sku="A", quantity=1)])
    return step(row.flow(None, given, order), [reset()] * 3)


def test_a_class_can_be_overridden_both_ways():
    assert len(submit(context()).sends) == 1
    bold = submit(context(safety={"SubmitOrder": Safety.IDEMPOTENT}))
    assert (len(bold.sends), type(bold.error)) == (3, TransportError)
    update = [ItemQuantityAndPrice(sku="A", stock=1)]
    name = "UpdateItemQuantityAndPriceList"
    careful, steps = run_list(name, update, lambda _: reset(), context(safety={name: Safety.UNSAFE}))
    assert (len(steps[0].sends), statuses(careful)) == (1, ["unknown"])
    assert careful.retry_inputs() == []
    assert isinstance(careful.outcomes[0].error, OutcomeUnknownError)


def test_an_override_of_a_write_to_read_still_tells_the_truth_about_it():
    mapping = [CustomFieldMapping(text="T", value="v")]
    result, _ = run_list(
        "CustomFieldMapping", mapping, lambda _: reset(), context(safety={"CustomFieldMapping": Safety.READ})
    )
    assert statuses(result) == ["unknown"], "repeats are a setting, its effect is not"
    done, _ = run_list("CustomFieldMapping", mapping, honest, context(safety={"CustomFieldMapping": Safety.READ}))
    assert statuses(done) == ["ok"]


def _made(error: type[OctopusError]) -> OctopusError:
    info = CallInfo("GetItemList", attempts=2, http_status=503, request_id="id", elapsed=1.5, drift={"A.B": 2})
    given = {
        "status": 503, "fault_code": "Server", "key": "A", "result": None, "problems": [Problem("no", index=3)],
        "zeroed": 1, "changed": 2, "catalogue": 3, "job": "push", "holder": "h" * 200, "since": datetime(2026, 1, 2, tzinfo=UTC),
    }  # fmt: skip
    if error is BatchError:
        outcomes = [ItemOutcome(0, "A", OutcomeStatus.FAILED, error=TransportError("x", info=info))]
        given["result"] = BatchResult(outcomes, [info])
    wanted = inspect.signature(error.__init__).parameters
    facts = {name: value for name, value in given.items() if name in wanted}
    if "message" in wanted:
        facts["message"] = "m" * 5000
    made = error(**facts).with_info(info)
    made.__cause__ = TransportError("the cause", info=info)
    return made


CLASSES = [found for found in vars(errors).values() if inspect.isclass(found) and issubclass(found, OctopusError)]


@every("error", CLASSES, ids=lambda found: found.__name__)
@every("journey", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy], ids=["pickle", "copy", "deep"])
def test_every_error_survives_a_journey_with_all_it_carries(error, journey):
    before = _made(error)
    after = journey(before)
    assert (type(after), str(after), repr(after)) == (type(before), str(before), repr(before))
    assert vars(after).keys() == vars(before).keys()
    assert after.info == before.info
    assert type(after.__cause__) is TransportError
    assert len(str(after)) < 1000
    assert len(repr(after)) < 1000


def test_a_foreign_cause_stays_behind():
    error = TransportError("x")
    error.__cause__ = LookupError("unpicklable elsewhere")
    assert pickle.loads(pickle.dumps(error)).__cause__ is None
    assert isinstance(error.__cause__, LookupError)


def test_an_error_may_carry_the_result_that_holds_it():
    error = TransportError("x")
    error.result = BatchResult([ItemOutcome(0, "A", OutcomeStatus.FAILED, error=error)])  # type: ignore[attr-defined]
    again = pickle.loads(pickle.dumps(error))
    assert again.result.outcomes[0].error is again
