"""The generated reference is complete and has the grade of each fact."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from octopus_soap import errors, models
from octopus_soap.operations import OPERATIONS
from octopus_soap.settings import OctopusSettings
from tests.every import every

ROOT = Path(__file__).resolve().parents[2]


def hook(name: str) -> Any:
    sys.path.insert(0, str(ROOT / "docs" / "hooks"))
    try:
        return __import__(name)
    finally:
        sys.path.pop(0)


reference = hook("reference")


def section(page: str, title: str) -> str:
    """Return the text below a second-level heading."""
    return re.split(rf"^## {re.escape(title)}\b.*$", page, maxsplit=1, flags=re.MULTILINE)[1].partition("\n## ")[0]


@every("name", OPERATIONS)
def test_an_operation_has_parameters_result_errors_limit_repeat_section_and_grade(name: str) -> None:
    row, text = OPERATIONS[name], section(reference.operations_page(), name)
    for parameter in row.signature.parameters:
        assert f"| `{parameter}` |" in text
    assert f"**Returns** `{row.signature.return_annotation}`" in text
    assert "errors.md#" in text
    assert reference.REPEATS[row.safety][0] in text
    assert f"{row.rule.limit} per request" in text if row.rule else "**Items per request**: one" in text
    assert re.search(rf"\*\*Section\*\*: {name}\b", text)
    assert re.search(r"\*\*Grade\*\*: .*\b(documented|ambiguous|reconstructed|unknown)\b", text)


def test_the_grades_name_operations_and_models_that_exist() -> None:
    assert set(reference.RESULT_GRADES) <= set(OPERATIONS)
    assert set(reference.MODEL_GRADES) <= set(models.__all__)


def test_what_the_contract_calls_ambiguous_or_reconstructed_is_not_called_documented() -> None:
    for line in (ROOT / "wsdl" / "README.md").read_text(encoding="utf-8").splitlines():
        named = re.findall(r"`(\w+)`", line.split("|")[1]) if line.startswith("|") else []
        if "**ambiguous**" in line:
            assert all("ambiguous" in reference.RESULT_GRADES[name] for name in named if name in OPERATIONS)


@every("name", [n for n in models.__all__ if n != "WireModel"])
def test_a_model_has_every_member_with_its_name_on_the_wire(name: str) -> None:
    text = section(reference.models_page(), name)
    model = getattr(models, name)
    for attribute, info in getattr(model, "model_fields", {}).items():
        assert f"| `{attribute}` | `{info.serialization_alias}` |" in text
    assert re.search(r"^(Members|Values): .*(documented|reconstructed)", text, re.MULTILINE)


def test_every_setting_has_its_variable_and_a_description() -> None:
    page = reference.settings_page()
    for name in OctopusSettings.model_fields:
        assert f"`OCTOPUS_{name.upper()}`" in page


def test_kinds_of_settings_are_written_as_a_reader_sees_them() -> None:
    page = reference.settings_page()
    assert "\\" not in page, "code shows a backslash as it is"
    assert "`SecretStr, or none`" in page
    assert "`float, from 0.001 to 10000, or none`" in page


def test_every_error_has_a_section() -> None:
    found = re.findall(r"^## (\w+)", reference.errors_page(), re.MULTILINE)
    real = {n for n, v in vars(errors).items() if isinstance(v, type) and issubclass(v, (errors.OctopusError, Warning))}
    assert set(found) == real


def test_every_error_an_operation_links_to_is_on_the_errors_page() -> None:
    linked = set(re.findall(r"errors\.md#(\w+)", reference.operations_page()))
    assert linked <= {name.lower() for name in re.findall(r"^## (\w+)", reference.errors_page(), re.MULTILINE)}


def test_a_docstring_is_taken_apart_whole() -> None:
    found = reference.parsed(
        "One.\n\nTwo\nlines.\n\nArgs:\n    a: first\n        goes on.\n    b: second.\n\nReturns:\n    It.\n\n"
        "Raises:\n    ValueError: why.\n\nVendor's page: X.\n"
    )
    assert found.text == "One.\n\nTwo lines."
    assert found.arguments == {"a": "first goes on.", "b": "second."}
    assert (found.returns, found.raises, found.closing) == ("It.", {"ValueError": "why."}, "Vendor's page: X.")


def test_the_page_on_repeats_has_the_classes_and_the_table_of_the_code() -> None:
    from octopus_soap.engine.retry import MATRIX
    from octopus_soap.models.declarations import Safety

    page = (ROOT / "docs" / "how-to" / "retries.md").read_text(encoding="utf-8")
    listed = {
        word: set(re.findall(r"`(\w+)`", page.partition(f"\n{word}\n:")[2].partition("\n\n")[0]))
        for word in ("Read", "Unsafe write")
    }
    for name, row in OPERATIONS.items():
        assert (row.safety is Safety.READ) is name.startswith(tuple(listed["Read"])), name
    assert listed["Unsafe write"] == {name for name, row in OPERATIONS.items() if row.safety is Safety.UNSAFE}
    table = page.partition("| Failure |")[2].partition("\n\n")[0].splitlines()[2:]
    shown = [[cell.strip(" *") for cell in line.split("|")[2:5]] for line in table]
    words = {"retry": "repeat", "retry_once": "repeat once", "split": "halve", "unknown": "unknown", "raise": "raise"}
    assert shown == [[words[row[safety].value] for safety in Safety] for row in MATRIX.values()]
