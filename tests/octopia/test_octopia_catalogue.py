"""The table of operations, the public names, and the layers of the package."""

import ast
import inspect
import re
from pathlib import Path

from pydantic import SecretStr

import octopus_soap.octopia as package
from octopus_soap.octopia import AsyncOctopiaClient, OctopiaClient, OctopiaCredentials, fake
from octopus_soap.octopia.operation import Declared
from octopus_soap.octopia.operations import Operations
from tests.every import every

HOME = Path(package.__file__).parent
MODULES = sorted(HOME.glob("*.py"))
ROWS = [row for row in vars(Operations).values() if isinstance(row, Declared)]
WRITES = {
    "approve_order",
    "ship_order",
    "open_offer_package",
    "upload_offer_requests",
    "close_offer_package",
    "send_offer_package",
    "send",
}


def by_name(row: object) -> str:
    return getattr(row, "name", str(row))


# -- the table ------------------------------------------------------------------------------------------------------------


def test_the_table_holds_every_call_of_the_issue():
    reads = {
        "seller",
        "addresses",
        "indicators",
        "subscriptions",
        "carriers",
        "orders",
        "order",
        "count_orders",
        "offers",
        "offer_package",
        "offer_package_results",
        "get",
    }
    assert {row.name for row in ROWS} == reads | WRITES
    assert {row.name for row in ROWS if row.writes} == WRITES


@every("row", ROWS, ids=by_name)
def test_a_row_carries_its_grade_and_says_what_it_does(row):
    first = row.__doc__.splitlines()[0]
    assert f"[{row.grade}]" in row.__doc__
    assert first[0].isupper()
    assert re.search(r"[.:]", first)
    assert first.startswith("WRITES: ") == row.writes
    assert row.writes == (not row.route.startswith("GET"))
    if row.writes:
        assert row.grade in {"C2", "1", "I"}  # no write's body is officially documented


@every("row", ROWS, ids=by_name)
def test_every_argument_of_a_row_is_documented_and_typed(row):
    parameters = list(inspect.signature(row.body).parameters.values())[1:]
    for parameter in parameters:
        assert f"{parameter.name}:" in row.__doc__ + Operations.__doc__
        assert parameter.annotation is not parameter.empty
        assert parameter.kind not in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}


@every("row", [r for r in ROWS if "+" not in r.route and "{path}" not in r.route], ids=by_name)
def test_the_fake_knows_every_route(row):
    method, path = row.route.split(" ")
    path = re.sub(r"\{\w+\}", "x", path)
    assert any(m == method and re.fullmatch(pattern, path) for m, pattern, _ in fake._ROUTES)


@every("row", ROWS, ids=by_name)
@every("client", [OctopiaClient, AsyncOctopiaClient])
def test_inspection_shows_the_name_the_doc_and_the_right_result(row, client):
    made = client(OctopiaCredentials(client_id="a", client_secret=SecretStr("b"), seller_id="1"))
    method = getattr(made, row.name)
    signature = inspect.signature(method)
    assert method.__doc__ == row.__doc__
    assert method.__name__ == row.name
    assert "self" not in signature.parameters
    assert "Flow" not in str(signature.return_annotation)
    assert "Stream" not in str(signature.return_annotation)
    is_async = client is AsyncOctopiaClient
    assert inspect.iscoroutinefunction(method) == (is_async and not row.streams)
    if row.streams:
        assert str(signature.return_annotation).startswith("AsyncListed[" if is_async else "Listed[")


def test_a_row_looked_up_on_the_class_shows_its_facts():
    assert repr(OctopiaClient.seller) == "<Operation seller: GET /sellers [C]>"
    assert repr(AsyncOctopiaClient.orders) == "<Listing orders: GET /orders [C]>"


# -- the public names -----------------------------------------------------------------------------------------------------


def test_the_public_names_are_sorted_and_complete():
    names = package.__all__
    constants = sorted(n for n in names if n.isupper())
    classes = sorted(n for n in names if not n.isupper() and n[0].isupper())
    functions = sorted(n for n in names if n[0].islower())
    assert names == [*constants, *classes, *functions]
    assert all(hasattr(package, name) for name in names)
    from octopus_soap.octopia import errors

    classes_of_errors = {
        n for n, v in vars(errors).items() if inspect.isclass(v) and issubclass(v, errors.OctopiaError)
    }
    assert classes_of_errors <= set(names)


# -- the layers -----------------------------------------------------------------------------------------------------------


def imports_of(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@every("module", MODULES, ids=lambda m: m.stem)
def test_a_module_imports_nothing_of_the_rest_and_each_library_has_its_place(module):
    imported = imports_of(module)
    own = {name for name in imported if name.split(".")[0] == "octopus_soap"}
    shared = {"octopus_soap._http", "octopus_soap.errors"}
    assert all(name.startswith("octopus_soap.octopia") or name in shared for name in own)
    roots = {name.split(".")[0] for name in imported}
    assert not roots & {"typer", "rich", "requests", "zeep", "lxml", "starlette", "uvicorn", "httpx", "authlib"}
    assert "httpcore" not in roots or module.stem == "http"
    if module.stem.startswith("fake"):
        assert all(name.startswith("octopus_soap.octopia.fake") for name in own)
    else:
        assert not any(".fake" in name for name in own)


ORDER = [
    "errors", "effects", "settings", "credentials", "http", "tokens", "exchange", "models", "paging", "packages",
    "operation", "operations", "client", "fake", "__init__",
]  # fmt: skip


def _code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of lines of a function without its docstring."""
    doc = node.body[0] if ast.get_docstring(node) else None
    return node.end_lineno - node.lineno - (doc.end_lineno - doc.lineno + 1 if doc else 0)


def test_the_package_is_small() -> None:
    lines = sum(len(module.read_text().splitlines()) for module in MODULES)
    assert len(MODULES) <= 15
    assert lines <= 4200  # let it grow only for a reason


@every("module", MODULES, ids=lambda m: m.stem)
def test_imports_run_downward_only(module):
    own = {name.split(".")[2] for name in imports_of(module) if name.startswith("octopus_soap.octopia.")}
    assert all(ORDER.index(name) < ORDER.index(module.stem) for name in own)


@every("module", MODULES, ids=lambda m: m.stem)
def test_modules_and_functions_stay_short_and_have_no_open_keywords(module):
    text = module.read_text()
    assert len(text.splitlines()) <= 620
    assert module.stem not in {"utils", "util", "helpers", "common"}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert _code_lines(node) <= 40, node.name
            typed_through = node.args.kwarg and ast.unparse(node.args.kwarg.annotation or ast.Name("")) == "P.kwargs"
            assert node.args.kwarg is None or typed_through or node.name in {"from_env", "connect_tcp"}, node.name


@every("module", MODULES, ids=lambda m: m.stem)
def test_every_exception_to_a_rule_carries_its_reason(module):
    for line in module.read_text().splitlines():
        found = re.search(r"#\s*(?:noqa: [A-Z0-9, ]+|type: ignore\[[\w-]+\]|pragma: no cover|fmt: \w+)(.*)", line)
        assert found is None or len(found[1].strip(" #-")) > 5, line
