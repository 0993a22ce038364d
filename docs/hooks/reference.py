# ruff: noqa: INP001 - mkdocs and the tests load this file by its path
"""Write the reference pages from the catalogue, the models and the settings.

Each function returns one page as Markdown. Only the two tables of grades are written by hand, and
`tests/documents/test_reference_pages.py` compares them with the catalogue and the models.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from enum import Enum
from inspect import get_annotations
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticUndefined

from octopus_soap import models
from octopus_soap.models.declarations import Safety
from octopus_soap.operations import OPERATIONS
from octopus_soap.settings import OctopusSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import BaseModel

    from octopus_soap.engine.operation import Operation

VENDOR = "https://www.24sevencommerce.com/octopus-channel-api.html"

REPEATS = {
    Safety.READ: ("read", "It changes nothing, so it is repeated after every failure that may pass."),
    Safety.IDEMPOTENT: (
        "idempotent write",
        "A repeat has the same effect, so it is repeated even if the answer was lost.",
    ),
    Safety.UNSAFE: (
        "unsafe write",
        "A repeat may do it twice. It is repeated only if nothing was done; otherwise `OutcomeUnknownError` is raised.",
    ),
}

# Open questions about results. An operation that is not here returns what the page's "Return" table defines.
_TWO_WAYS = "**ambiguous**: the page's table has a bare list, its text `Status` and `ResultData`. Both are read."
_NO_ORDER = "**reconstructed**: the page mentions `OrderResponseItem`, but never defines it."
_VOID = "documented: nothing is returned. Empty reply or HTTP 202: **unknown**; both are accepted."
_REMOVED = "documented: 1 means removed. The meaning of other numbers is **unknown**."

RESULT_GRADES = {
    "IsSkuExistList": _TWO_WAYS,
    "GetItemTblList": _TWO_WAYS,
    "GetItemList": _TWO_WAYS,
    "UpdateItemQuantityAndPriceList": (
        "**reconstructed**: the page never defines its type; `UpdateItemResponse` has the members that it describes."
    ),
    "GetOrderList": _NO_ORDER,
    "GetOrderListStore": _NO_ORDER,
    "UploadItem": "documented as a long; the meaning of the number is **unknown**.",
    "SetDownloadOrderConfirm": _VOID,
    "SetDownloadSplitOrderConfirm": _VOID,
    "DeleteItem": _REMOVED,
    "DeleteItemStore": _REMOVED,
    "DeleteTblItem": _REMOVED,
}

# Open questions about data models. The others are defined in the page's table of the same name.
MODEL_GRADES = {
    "OrderResponseItem": "**reconstructed**: mentioned on the page, but never defined.",
    "AttributeInfo": "documented; `Value` is **reconstructed** (the page says float, with at most 255 characters).",
    "AddressInfo": "documented; `Email` is **reconstructed** (the page's row has no name).",
    "InventoryItem": "documented; the page has `Weight` twice, with two types, so its type is **reconstructed**.",
    "CustomFieldMapping": "documented; the accepted texts of `IsMapping` are **unknown**.",
    "UpdateItemResponse": "documented; its use as the answer of the price update is **reconstructed**.",
}

KINDS = {
    "Text": "str",
    "Count": "str",
    "FlagText": "str",
    "Amount": "Decimal",
    "Int32": "int",
    "Int64": "int",
    "Flag": "bool",
    "Real": "float",
    "Moment": "datetime (UTC)",
}


@dataclass(slots=True)
class Docstring:
    """The parts of a Google docstring."""

    text: str
    arguments: dict[str, str] = field(default_factory=dict[str, str])
    returns: str = ""
    raises: dict[str, str] = field(default_factory=dict[str, str])
    closing: str = ""


def parsed(docstring: str) -> Docstring:
    """Split a docstring of the catalogue into its parts."""
    parts = re.split(r"^(Args|Returns|Raises):\n", inspect.cleandoc(docstring), flags=re.MULTILINE)
    found = Docstring(_unwrapped(parts[0]))
    for name, block in zip(parts[1::2], parts[2::2], strict=True):
        inside = "".join(
            line for line in block.splitlines(keepends=True) if line.startswith("    ") or not line.strip()
        )
        after = block[len(inside) :] if block.startswith(inside) else block.replace(inside, "", 1)
        found.closing = _unwrapped(after) or found.closing
        entries = re.findall(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", inside, flags=re.MULTILINE | re.DOTALL)
        if name == "Returns":
            found.returns = _unwrapped(inspect.cleandoc(inside))
        else:
            setattr(found, "arguments" if name == "Args" else "raises", {k: _unwrapped(v) for k, v in entries})
    return found


def _unwrapped(text: str) -> str:
    """Return the text with one line per paragraph."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text).strip())
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def _rows(columns: list[str], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> list[str]:
    return [
        f"| {' | '.join(columns)} |",
        f"|{'---|' * len(columns)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


# -- operations --------------------------------------------------------------------------------------------------------


def _limit(row: Operation) -> str:
    if row.rule is None:
        return "one"
    grade = "documented" if row.rule.documented else "ours; the page states none"
    return f"{row.rule.limit} per request ({grade})"


def operations_page() -> str:
    """Return the page of operations.

    Each has its name, limit, safety class, parameters, result, errors, the page's section and the grade.
    """
    lines = [
        "# Operations",
        "",
        (
            f"These are the {len(OPERATIONS)} operations of the Octopus Channel API, from the catalogue in "
            "`octopus_soap/operations.py`. Both clients have them: `OctopusClient` returns the result, "
            "`AsyncOctopusClient` an awaitable of it."
        ),
        "",
        (
            f"*Section* is the part of [the vendor's page]({VENDOR}) that describes the operation. *Grade* is the "
            "certainty of a fact: **documented** by that page, **reconstructed** from it and from the known behaviour "
            "of such services, or **unknown** ([more about grades](../explanation/reconstructed.md)). *Items* is the "
            "limit per request."
        ),
        "",
        *_rows(
            ["Operation", "Repeat", "Items"],
            [
                (f"[{name}](#{row.name})", REPEATS[row.safety][0], "one" if row.rule is None else str(row.rule.limit))
                for name, row in OPERATIONS.items()
            ],
        ),
        (
            "The setting `safety` changes the class of an operation ([settings](settings.md)). The classes are "
            "**reconstructed**, because the page does not mention repeats. See "
            "[retries and safety classes](../how-to/retries.md)."
        ),
        "",
    ]
    for name, row in OPERATIONS.items():
        lines += _operation(name, row)
    return "\n".join(lines)


def _operation(name: str, row: Operation) -> list[str]:
    doc = parsed(row.__doc__ or "")
    lines = [f"## {name} {{ #{row.name} }}", "", doc.text, "", "```python { .signature }"]
    lines += [_signature(row), "```", ""]
    parameters = row.signature.parameters
    lines += _rows(
        ["Parameter", "Type", ""],
        [(_code(k), _code(_plain(parameters[k].annotation)), _cell(text)) for k, text in doc.arguments.items()],
    )
    returns = doc.returns or "None."
    lines += [f"**Returns** `{row.signature.return_annotation}`: {returns}", ""]
    lines += ["**Raises**", "", *(f"- [`{k}`](errors.md#{k.lower()}): {text}" for k, text in doc.raises.items()), ""]
    word, meaning = REPEATS[row.safety]
    section = doc.closing.removeprefix("Vendor's page: ")
    lines += [
        f"- **Python**: `octopus.{row.name}(…)`{_forms(row)}",
        f"- **Repeat**: {word}. {meaning}",
        f"- **Items per request**: {_limit(row)}",
        f"- **Section**: {section}",
        f"- **Grade**: name and parameters documented; result {RESULT_GRADES.get(name, 'documented.')}",
        "",
    ]
    return lines


def _forms(row: Operation) -> str:
    if row.rule is None:
        return f", `octopus.{row.name}.with_info(…)`"
    return f", `octopus.{row.name}.stream(…)`"


def _signature(row: Operation) -> str:
    signature = row.signature
    shown = []
    star = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            shown.append("*")
            star = True
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        shown.append(f"{parameter.name}: {_plain(parameter.annotation)}{default}")
    inside = "".join(f"    {part},\n" for part in shown)
    return f"{row.name}(\n{inside}) -> {signature.return_annotation}"


def _plain(annotation: object) -> str:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return text.replace("ProgressCallback", "Callable[[Progress], object]")


# -- models ------------------------------------------------------------------------------------------------------------


def models_page() -> str:
    """Return the page of data contracts: attribute, wire name, type, note."""
    lines = [
        "# Models",
        "",
        (
            "These are the service's data contracts as pydantic models. Attributes are the wire names in snake_case. "
            "The constructor accepts both names. Every member is optional: an **unset** member is left out of a "
            'request, `None` is sent as `xsi:nil`, `""` as an empty element.'
        ),
        "",
        (
            "Instances are frozen. `item.replace(price=...)` returns a changed copy, `item.without('price')` a copy "
            "without that member. Unknown members of a reply are kept in `model_extra`, but an unknown argument is "
            "refused. An amount is a `Decimal`, made from an `int`, a `Decimal` or text such as `'19.99'`, or from "
            "a `float` with at most four decimals. A `datetime` needs a time zone."
        ),
        "",
    ]
    for name in models.__all__:
        found = getattr(models, name)
        lines += _enumeration(found) if issubclass(found, Enum) else _model(found)
    return "\n".join(lines)


def _model(model: type[BaseModel]) -> list[str]:
    name = model.__name__
    if not model.model_fields:
        return []
    declared = {k: v for base in reversed(model.__mro__) for k, v in get_annotations(base).items()}
    text = _unwrapped(model.__doc__ or "")
    grade = MODEL_GRADES.get(name, "documented.")
    lines = [f"## {name}", "", text, "", f"Members: {grade}", ""]
    rows = [
        (_code(k), _code(str(info.serialization_alias or k)), _kind(str(declared[k])), _cell(info.description or ""))
        for k, info in model.model_fields.items()
    ]
    noted = any(row[3] for row in rows)
    columns = ["Attribute", "On the wire", "Type", *(["Note"] if noted else [])]
    lines += _rows(columns, [row[: len(columns)] for row in rows])
    properties = [
        (_code(k), _cell(_unwrapped(inspect.getdoc(v) or "").partition("\n")[0]))
        for k, v in vars(model).items()
        if isinstance(v, property) and v.__doc__
    ]
    return lines + (_rows(["Also", ""], properties) if properties else [])


def _kind(annotation: str) -> str:
    inner = annotation.removesuffix(" | None")
    if match := re.fullmatch(r"Annotated\[(\w+), .*\]", inner):
        inner = match[1]
    listed = re.fullmatch(r"list\[(\w+)\]", inner)
    name = listed[1] if listed else inner
    shown = KINDS.get(name) or f"[{name}](#{name.lower()})"
    shown = f"`{shown}`" if name in KINDS else shown
    return f"list of {shown}" if listed else shown


def _enumeration(found: type[Enum]) -> list[str]:
    lines = [f"## {found.__name__}", "", _unwrapped(found.__doc__ or ""), "", "Values: documented.", ""]
    return lines + _rows(["Name", "On the wire"], [(_code(m.name), _code(str(m.value))) for m in found])


# -- settings ----------------------------------------------------------------------------------------------------------


def settings_page() -> str:
    """Return the page of settings: argument, variable, type, default, meaning."""
    module = inspect.getmodule(OctopusSettings)
    sources = (inspect.getdoc(module) or "").partition("\n\n")[2]
    lines = [
        "# Settings",
        "",
        "Arguments come first, then environment variables, then a `.env` file, then the profile file.",
        "",
        sources,
        "",
        "```python",
        "from octopus_soap import OctopusClient, OctopusSettings",
        "",
        "settings = OctopusSettings.load(read_timeout=20, max_connections=4)  # the rest comes from the environment",
        "octopus = OctopusClient(settings=settings)",
        "```",
        "",
        "Secrets are `SecretStr`: no repr, log or error shows them.",
        "",
    ]
    descriptions = OctopusSettings.descriptions()
    for name, info in OctopusSettings.model_fields.items():
        default = "required" if info.is_required() else f"default {_code(_default(info))}"
        annotation = str(get_annotations(OctopusSettings)[name])
        lines += [
            f"### {name}",
            "",
            _unwrapped(descriptions[name]),
            "",
            f"`OCTOPUS_{name.upper()}` · `{_setting_kind(annotation)}` · {default}",
            "",
        ]
    return "\n".join(lines)


def _default(info: Any) -> str:
    value = info.default if info.default is not PydanticUndefined else info.default_factory()
    return str(value.value) if isinstance(value, Enum) else repr(value)


def _setting_kind(annotation: str) -> str:
    if annotation.endswith(" | None"):
        return f"{_setting_kind(annotation.removesuffix(' | None'))}, or none"
    if match := re.fullmatch(r"Annotated\[(\w+), Field\((.*)\)\]", annotation):
        bounds = re.findall(r"(ge|gt|le|lt)=([\d_.]+)", match[2])
        words = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
        return f"{match[1]}, {' '.join(words[k] + ' ' + v.replace('_', ',') for k, v in bounds)}"
    return "seconds, above 0 to 86,400" if annotation == "Seconds" else annotation


# -- errors ------------------------------------------------------------------------------------------------------------


def errors_page() -> str:
    """Return the page of errors: the tree, and each error with its attributes."""
    from octopus_soap import errors  # noqa: PLC0415 - its name is this page's

    lines = ["# Errors", "", _kept(inspect.getdoc(errors) or ""), ""]
    for name, found in vars(errors).items():
        if inspect.isclass(found) and issubclass(found, (errors.OctopusError, Warning)):
            lines += _exception(name, found)
    return "\n".join(lines)


def _kept(text: str) -> str:
    """Return a module's docstring without its first line, its drawing unchanged."""
    return text.partition("\n")[2].strip().replace("```\n", "```text\n", 1)


def _exception(name: str, found: type[BaseException]) -> list[str]:
    text = inspect.cleandoc(found.__doc__ or "")
    words, _, attributes = text.partition("Attributes:\n")
    rows = re.findall(r"^    ([\w, ]+): (.*?)(?=^    [\w, ]+: |\Z)", attributes, flags=re.MULTILINE | re.DOTALL)
    parents = ", ".join(f"`{base.__name__}`" for base in found.__bases__)
    lines = [f"## {name}", "", _unwrapped(words), "", f"Is a: {parents}", ""]
    return lines + (_rows(["Attribute", ""], [(_code(k), _cell(_unwrapped(v))) for k, v in rows]) if rows else [])


PAGES: dict[str, Callable[[], str]] = {
    "reference/operations.md": operations_page,
    "reference/models.md": models_page,
    "reference/settings.md": settings_page,
    "reference/errors.md": errors_page,
}
"""The function of each generated page, by the page's place in the site."""
