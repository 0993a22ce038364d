"""The interoperability run judges rightly; the installed toolkit zeep always runs."""

import sys
from decimal import Decimal

import pytest

from octopus_soap.emulator import Emulator
from tests.every import every
from tests.interop import run, scenario
from tests.interop.toolkits import PROFILES, ZEEP, Toolkit


@pytest.mark.parametrize(
    "profile", ["strict", *(pytest.param(p, marks=pytest.mark.long) for p in PROFILES if p != "strict")]
)
def test_zeep_strict_makes_all_20_calls(tmp_path, profile):
    cell = run.as_client(ZEEP, tmp_path, profile)
    assert cell.problems == []
    assert str(cell) == "20/20"


def test_a_client_that_does_nothing_is_found_out(tmp_path):
    idle = Toolkit("idle", "", lambda: "", client=lambda _folder, _profile: [sys.executable, "-c", "pass"])
    cell = run.as_client(idle, tmp_path, "nillable")
    assert sum(problem.endswith("not called") for problem in cell.problems) == 20
    assert "A-3 was not deleted" in cell.problems
    assert str(cell) == "0/20"


@every(
    ("found", "wanted"),
    [
        ("7", 7),
        ("true", True),
        (1, True),
        (True, 1),
        (None, Decimal(1)),
        (True, Decimal(1)),
        ([{"Sku": "A"}], [{"Sku": "A"}, {"Sku": "B"}]),
        ({}, {"Sku": "A"}),
        (None, {"Sku": "A"}),
        ("2024-05-01T10:30:00+02:00", scenario.Moment("2024-05-01T10:30:00Z")),
    ],
)
def test_a_wrong_value_or_type_is_a_difference(found, wanted):
    assert scenario.differences(found, wanted, "x")


@every(
    ("found", "wanted"),
    [
        (3.39, Decimal("3.39")),
        ("3.3900", Decimal("3.39")),
        ({"Row": {"Sku": "A"}}, [{"Sku": "A"}]),
        (None, []),
        ({"Sku": "A", "More": 1}, {"Sku": "A"}),
        ("2024-05-01T10:30:00.000", scenario.Moment("2024-05-01T10:30:00Z")),
    ],
)
def test_what_toolkits_may_shape_differently_is_none(found, wanted):
    assert scenario.differences(found, wanted, "x") == []


def test_a_failure_is_not_an_answer():
    with pytest.raises(AssertionError, match="Failure"):
        scenario.answer({"Status": "Failure", "Message": "no", "ResultData": None}, "GetItemList")


def test_a_missing_toolkit_is_skipped_with_its_reason_and_a_failure_where_it_is_required(tmp_path, capsys):
    absent = Toolkit("absent", "absent-soap", lambda: "absent not installed", client=lambda _f, _p: [])
    results = {absent: run.try_toolkit(absent, tmp_path, {})}
    assert run.show(results, require=False) is False
    assert "skipped: absent: absent not installed; on Debian: apt-get install absent-soap" in capsys.readouterr().out
    assert run.show(results, require=True) is True
    assert "MISSING: absent" in capsys.readouterr().out


def test_every_operation_of_the_contract_is_in_the_scenario():
    with Emulator() as service:
        plain, split = scenario.seed(service)
        asked = [operation for operation, _ in scenario.requests(plain, split)]
        told = run.script(service, service.url, plain=plain, split=split)
    assert len(asked) == len(set(asked)) == 20
    assert sorted(told["parameters"]) == sorted(asked)
    assert set(scenario.server_answers()) | {"SetDownloadOrderConfirm", "SetDownloadSplitOrderConfirm"} == set(asked)
