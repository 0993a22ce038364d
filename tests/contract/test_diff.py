"""`octopus-soap wsdl diff`: exit codes, the table and the JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from contract_variants import VARIANTS, everything, members_added, values_not_nillable, variant

from octopus_soap.contracts.bundled import contract_path
from octopus_soap.emulator import Emulator, Profile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Command = "Callable[..., Any]"


def test_the_same_contract_is_exit_code_0_live_and_as_a_file(
    octopus_soap: Callable[..., Any], configured: Callable[..., None], service: Emulator
) -> None:
    configured(service)
    for words in ([], ["--file", str(contract_path())], ["--url", service.url], ["--url", f"{service.url}?wsdl"]):
        said = octopus_soap("wsdl", "diff", *words)
        assert said.code == 0, said.err
        assert "No difference" in said.out


@pytest.mark.parametrize("name", VARIANTS)
def test_another_contract_is_exit_code_1_live_and_as_a_file_alike(
    name: str,
    octopus_soap: Callable[..., Any],
    configured: Callable[..., None],
    running_service: Emulator,
    tmp_path: Path,
) -> None:
    wsdl = VARIANTS[name](tmp_path / "v")
    with Emulator(wsdl=wsdl, merchants=running_service.merchants) as service:
        configured(service)
        live = octopus_soap("wsdl", "diff", "--output", "json")
    local = octopus_soap("wsdl", "diff", "--file", str(wsdl), "-o", "json")
    expected = 0 if name == "inlined" else 1
    assert (live.code, local.code) == (expected, expected), live.err + local.err
    assert live.data["differences"] == local.data["differences"]
    assert live.data["same"] is local.data["same"] is (expected == 0)
    assert local.data["contract"] == str(wsdl)


def test_against_a_pinned_contract_it_tells_what_changed_since(
    octopus_soap: Callable[..., Any],
    configured: Callable[..., None],
    running_service: Emulator,
    tmp_path: Path,
) -> None:
    pinned = variant(tmp_path / "pinned", values_not_nillable)
    changed = variant(tmp_path / "changed", values_not_nillable, members_added)
    with Emulator(wsdl=pinned, merchants=running_service.merchants) as service:
        configured(service)
        said = octopus_soap("wsdl", "diff", "--against", str(pinned), "-o", "json")
    assert (said.code, said.data["same"], said.data["compared_with"]) == (0, True, str(pinned))
    later = octopus_soap("wsdl", "diff", "--file", str(changed), "--against", str(pinned), "-o", "json")
    assert later.code == 1
    assert {found["kind"] for found in later.data["differences"]} == {"member", "parameter"}
    assert "compared with" in octopus_soap("wsdl", "diff", "--file", str(changed), "--against", str(pinned)).out


def test_json_has_every_difference_with_its_meaning(octopus_soap: Callable[..., Any], tmp_path: Path) -> None:
    wsdl = variant(tmp_path, values_not_nillable)
    said = octopus_soap("wsdl", "diff", "--file", str(wsdl), "--output", "json")
    by_place = {found["where"]: found for found in said.data["differences"]}
    assert by_place["ItemQuantityAndPrice.Price"] == {
        "kind": "nillable",
        "effect": "care",
        "where": "ItemQuantityAndPrice.Price",
        "ours": "nillable",
        "theirs": "not nillable",
        "meaning": "not nillable value type: omitted it would be read as 0: such writes are refused, see omitted_values",
    }
    assert len(by_place) > 60


def test_the_table_fits_80_columns_and_groups_what_differs_alike(
    octopus_soap: Callable[..., Any], tmp_path: Path
) -> None:
    wsdl = variant(tmp_path / "v", values_not_nillable, members_added)
    said = octopus_soap("wsdl", "diff", "--file", str(wsdl))
    _, _, tables = said.out.partition("\n")  # the first line has the file's full name
    assert max(len(line) for line in tables.splitlines()) <= 80
    assert "Needs care" in said.out
    assert "Locks: LockCategory" in said.out
    assert len(said.out.splitlines()) < 120


@pytest.mark.parametrize(
    "content", [b"", b"<html/>", b"not xml", b"<a/>", None], ids=["empty", "html", "text", "xml", "none"]
)
def test_what_is_no_wsdl_is_exit_code_2_and_one_line(
    content: bytes | None, octopus_soap: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "x.wsdl"
    if content is not None:
        path.write_bytes(content)
    said = octopus_soap("wsdl", "diff", "--file", str(path))
    assert (said.code, said.out) == (2, "")
    assert len(said.err.splitlines()) == 1
    assert "x.wsdl" in said.err


def test_a_contract_off_the_net_is_exit_code_2_and_says_what_to_ask_for(
    octopus_soap: Callable[..., Any], configured: Callable[..., None], running_service: Emulator
) -> None:
    with Emulator(profile=Profile(metadata="off"), merchants=running_service.merchants) as service:
        configured(service)
        said = octopus_soap("wsdl", "diff")
    assert said.code == 2
    assert "Ask the vendor for the WSDL as a file" in said.err


def test_url_and_file_together_are_refused(octopus_soap: Callable[..., Any]) -> None:
    said = octopus_soap("wsdl", "diff", "--file", str(contract_path()), "--url", "http://127.0.0.1:9/")
    assert said.code == 2
    assert "not both" in said.err


def test_without_settings_a_file_can_be_compared_and_the_live_one_says_what_is_missing(
    octopus_soap: Callable[..., Any], tmp_path: Path
) -> None:
    assert octopus_soap("wsdl", "diff", "--file", str(everything(tmp_path))).code == 1
    said = octopus_soap("wsdl", "diff")
    assert said.code == 2
    assert "missing: endpoint" in said.err


def test_url_over_plain_http_to_another_machine_is_refused(octopus_soap: Callable[..., Any]) -> None:
    said = octopus_soap("wsdl", "diff", "--url", "http://example.invalid/x.svc")
    assert said.code == 2
    assert "plain http" in said.err
