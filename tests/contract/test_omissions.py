"""`wsdl pin` and `doctor` list in advance what writes must not leave out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octopus_soap.contracts.diff import omissions, recommended, refused, written_members
from octopus_soap.contracts.wsdl import Contract, load_contract
from octopus_soap.emulator import Emulator, Profile
from octopus_soap.models.declarations import OmittedValues

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINE = (
    'export OCTOPUS_OMITTED_VALUES=\'{"*": "read_first", '
    '"SubmitOrder": ["shipping_total", "sub_total", "tax_total", "item_tax", "item_discount"]}\''
)


def test_the_members_of_a_contract_of_plain_values_are_found_and_a_choice_is_recommended(tmp_path: Path) -> None:
    assert omissions(load_contract()) == []
    with Emulator(profile=Profile.strict()) as service:
        wsdl = tmp_path / "strict.wsdl"
        wsdl.write_bytes(service.wsdl_document())
    contract = Contract(wsdl, bundled=False)
    found = omissions(contract)
    assert [each.operations for each in found] == [
        ("UpdateItemQuantityAndPrice", "UpdateItemQuantityAndPriceList"),
        ("UploadItem", "UploadItemList"),
        ("SubmitOrder",),
    ]
    update, upload, order = (each.members for each in found)
    assert update[:3] == ("Cost", "Price", "Stock")
    assert "StoreStockInfoList.StoreCost" in update
    assert "SaleStartDate" not in upload
    assert "orderItems.ItemTax" in order
    assert recommended(found) == LINE
    assert recommended(found[:2]) == "export OCTOPUS_OMITTED_VALUES=read_first"
    assert refused(found, OmittedValues.REFUSE) == found
    assert refused(found, OmittedValues.READ_FIRST) == []
    assert [each.operations for each in refused(found, {"*": "read_first", "UploadItem": "refuse"})] == [
        ("UploadItem",)
    ]
    assert {"Price", "StoreCost"} < written_members(contract, "UpdateItemQuantityAndPriceList")
    assert "TaxTotal" not in written_members(contract, "UpdateItemQuantityAndPriceList")


def test_pin_and_doctor_say_it_before_the_first_refusal(
    octopus_soap: Callable[..., Any], configured: Callable[..., None], monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    with Emulator(profile=Profile.strict()) as service:
        configured(service)
        said = octopus_soap("wsdl", "pin", "--to", str(tmp_path / "pinned"))
        assert (said.code, LINE in said.out) == (0, True), said.err
        assert "one GetItemList per 100 items" in said.out
        configured(wsdl=str(next((tmp_path / "pinned").glob("*.wsdl"))))

        def omitted() -> tuple[str, str]:
            found = {each["check"]: each for each in octopus_soap("doctor", "--output", "json").data}
            return (found["omitted"]["status"], found["omitted"]["advice"]) if "omitted" in found else ("", "")

        assert omitted() == ("warn", f"choose, we recommend: {LINE}")
        configured(omitted_values="send")
        assert omitted()[0] == "warn"
        configured(omitted_values="read_first")
        assert omitted()[0] == "ok"
