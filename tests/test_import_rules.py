"""The import rules of docs/architecture.md, checked in the source of every module."""

from __future__ import annotations

import ast
import subprocess
import sys
import warnings
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import octopus_soap
from tests.every import every
from tests.inside import HOME_OF

PACKAGE = Path(octopus_soap.__file__).parent

# The allowed imports between parts of the package, at run time. A new arrow fails the test: draw it here and in
# docs/architecture.md, or do without it. Parts are the modules and packages directly under octopus_soap.
ARROWS: dict[str, set[str]] = {
    "_http": set(),  # rules of HTTP that all parts may share
    "_version": set(),
    "display": set(),  # it finds what it displays by its shape, so that all parts can display themselves
    "errors": {"_http", "display"},
    "profile_file": set(),
    "models": {"display", "errors"},
    "contracts": {"_version", "errors", "models"},
    "tables": {"_http", "display", "errors", "models"},
    "results": {"display", "errors", "tables"},
    "settings": {"_http", "_version", "contracts", "display", "errors", "models", "profile_file"},
    "engine": {"_http", "display", "errors", "models", "results", "tables"},
    "wire": {"_http", "errors", "models"},
    "operations": {"engine", "errors", "models", "results"},
    "transport": {"_http", "contracts", "engine", "errors", "results", "settings", "wire"},
    "observe": {"_version", "display", "engine", "errors", "models", "results", "settings"},
    "client": {
        "_http", "contracts", "engine", "errors", "models", "observe", "operations", "settings", "transport", "wire",
    },
    "notebook": {"models", "tables"},
    "plots": {"errors", "results", "tables"},
    "jobs": {"_http", "_version", "errors", "models", "results", "tables", "wire"},
    "emulator": {"contracts"},  # only its leaf `bundled`: see the test below
    "fleet": {"_http", "_version", "client", "errors", "jobs", "settings"},
    "gateway": {"_http", "_version", "client", "errors", "models", "operations", "results", "transport", "wire"},
    "octopia": {"_http", "errors"},  # another API: it shares leaves with this one, and no flow code
    "console": {"_version", "emulator", "errors", "fleet", "jobs", "testing", "wire"},
    "demo": {"client", "emulator", "errors", "models", "operations", "settings"},
    "testing": {"_http", "_version", "client", "emulator", "engine", "errors", "models", "settings", "wire"},
    "cli": {
        "_http", "_version", "client", "console", "contracts", "demo", "emulator", "errors", "fleet", "gateway", "jobs", "models", "octopia", "operations",
        "profile_file", "results", "settings", "tables", "transport", "wire",
    },
    "__init__": {"_version"},  # everything else is loaded when it is first used
    "__main__": {"cli"},
}  # fmt: skip

# Arrows for type checkers only: they may point upward, since nothing runs along them.
TYPING_ARROWS: dict[str, set[str]] = {
    "display": {"errors", "models", "observe", "results"},
    "errors": {"results"},
    "tables": {"results"},
    "client": {"results"},
    "cli": {"engine"},
    "engine": {"wire"},
    "demo": {"results"},
    "fleet": {"models", "observe", "settings"},
    "gateway": {"observe"},
    "jobs": {"client"},
    "transport": {"client", "models"},
    "wire": {"contracts"},
    "__init__": {"client", "errors", "models", "observe", "results", "settings", "transport"},
}

# Libraries that may be imported in one place only, with that place.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "zeep": ("contracts.zeep_document",),
    "lxml": ("contracts", "wire", "emulator"),
    "requests": ("transport",),
    "urllib3": ("transport",),
    "httpx": ("transport",),
    "httpcore": ("octopia", "transport"),
    "certifi": ("octopia",),
    "fastapi": ("gateway",),
    "prometheus_client": ("fleet", "gateway"),
    "celery": ("fleet",),
    "kombu": ("fleet",),
    "cryptography": ("fleet",),
    "jinja2": ("console",),
    "markupsafe": ("console",),
    "starlette": ("console", "emulator", "gateway"),
    "uvicorn": ("cli", "emulator"),
    "typer": ("cli",),
    "rich": ("cli", "display"),
    "pytest": ("testing",),
    "dotenv": ("settings",),
    "sniffio": ("transport",),
    "redis": ("transport",),
    "pandas": ("tables",),
    "polars": ("tables",),
    "pyarrow": ("tables",),
    "matplotlib": ("plots",),
    "openpyxl": ("tables",),
    "tqdm": ("results",),
    "psutil": ("jobs",),
    "sqlalchemy": ("fleet", "jobs"),
    "opentelemetry": ("fleet.telemetry", "observe.telemetry"),
}
FOR_TYPES = {("cli.serve", "starlette"), ("client", "requests"), ("client", "zeep")}
"""Imports outside those places that only type checkers see."""

MOST_LINES = 600
"""Lines of a module above which the test warns."""


class Import(NamedTuple):
    """One import statement's target, as found in a module."""

    module: str
    target: str
    for_types: bool


def _modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


def _targets(module: str, node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        package = ["octopus_soap", *module.split(".")] if module != "__init__" else ["octopus_soap", ""]
        if MODULES[module].name != "__init__.py" or module == "__init__":
            package = package[:-1]
        base = ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])
    if base == "octopus_soap":  # `from octopus_soap import client` names a module, or a name in a module
        return [f"octopus_soap.{alias.name}" for alias in node.names]
    if base.startswith("octopus_soap."):  # the same for a package: its modules, or its own names
        within = {f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}"[13:] in MODULES}
        own = any(f"{base}.{alias.name}" not in within for alias in node.names)
        return [*sorted(within), *([base] if own else [])]
    return [base]


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def _imports(module: str) -> list[Import]:
    found: list[Import] = []

    def visit(node: ast.AST, *, for_types: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):  # it contains no import
                continue
            typing_only = for_types or (
                isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
                and not isinstance(node.test, ast.UnaryOp) and child in node.body
            )  # fmt: skip
            if isinstance(child, ast.Import | ast.ImportFrom):
                found.extend(Import(module, target, typing_only) for target in _targets(module, child))
            visit(child, for_types=typing_only)

    visit(_tree(module), for_types=False)
    return found


@cache
def _all_imports() -> list[Import]:
    """Read the imports of every module, when a test first needs them."""
    return [found for module in MODULES for found in _imports(module)]


def _part(target: str) -> str:
    """Return the part of the package that an import reaches, or a public name's home."""
    name = target.split(".")[1] if "." in target else "__init__"
    if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists():
        return name
    if name in HOME_OF:
        return HOME_OF[name].split(".")[0]
    return {"__version__": "_version"}.get(name, "__init__")


def _arrows(*, for_types: bool) -> dict[str, set[str]]:
    arrows: dict[str, set[str]] = {}
    for found in _all_imports():
        if found.target.split(".")[0] == "octopus_soap" and found.for_types is for_types:
            origin, reached = found.module.split(".")[0], _part(found.target)
            if origin != reached:
                arrows.setdefault(origin, set()).add(reached)
    return arrows


def test_the_source_is_read_as_intended() -> None:
    """A test of imports that finds none would always pass."""
    assert Import("contracts.zeep_document", "zeep", for_types=False) in _all_imports()
    assert Import("client", "requests", for_types=True) in _all_imports()
    assert Import("errors", "octopus_soap.results", for_types=True) in _all_imports()
    assert any(
        found.module == "emulator.embedded" and found.target == "octopus_soap.emulator.state"
        for found in _all_imports()
    )
    assert len(MODULES) > 60


@every("part", sorted({module.split(".")[0] for module in MODULES}))
def test_no_part_imports_what_the_picture_does_not_let_it(part: str) -> None:
    assert part in ARROWS, "a new part: draw its arrows"
    allowed = ARROWS[part]
    assert _arrows(for_types=False).get(part, set()) - allowed == set()
    upward = TYPING_ARROWS.get(part, set())
    assert _arrows(for_types=True).get(part, set()) - allowed - upward == set()


def test_the_picture_shows_no_arrow_that_nothing_runs_along() -> None:
    for table, found in ((ARROWS, _arrows(for_types=False)), (TYPING_ARROWS, _arrows(for_types=True))):
        assert {part: idle for part, drawn in table.items() if (idle := drawn - found.get(part, set()))} == {}


def test_the_picture_has_no_cycle() -> None:
    assert list(TopologicalSorter(ARROWS).static_order())


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports inside functions count too: they only delay the cycle."""
    modules = {module for module, path in MODULES.items() if path.name != "__init__.py"}
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for found in _all_imports():
        target = found.target.removeprefix("octopus_soap.")
        if not found.for_types and {found.module, target} <= modules:
            graph[found.module].add(target)
    assert list(TopologicalSorter(graph).static_order())


def test_the_emulator_shares_only_the_shipped_contracts_place() -> None:
    """An emulator that shared the client's codec would hide its bugs."""
    targets = {
        f.target for f in _all_imports() if f.module.startswith("emulator") and f.target.startswith("octopus_soap.")
    }
    assert {t for t in targets if not t.startswith("octopus_soap.emulator")} == {"octopus_soap.contracts.bundled"}


def test_nothing_below_the_client_imports_it() -> None:
    above = {"demo", "fleet", "gateway", "testing", "cli"}
    assert {part for part, allowed in ARROWS.items() if "client" in allowed} == above
    assert "client" in TYPING_ARROWS["__init__"]


@every("library", LIBRARIES)
def test_a_library_is_imported_in_its_place_only(library: str) -> None:
    places = LIBRARIES[library]
    strays = [
        found
        for found in _all_imports()
        if found.target.split(".")[0] == library
        and not any(found.module == place or found.module.startswith(f"{place}.") for place in places)
        and not (found.for_types and (found.module, library) in FOR_TYPES)
    ]
    assert strays == []


@every("library", LIBRARIES)
def test_a_librarys_places_are_those_that_import_it(library: str) -> None:
    users = [found.module for found in _all_imports() if found.target.split(".")[0] == library]
    unused = [
        place
        for place in LIBRARIES[library]
        if not any(user == place or user.startswith(f"{place}.") for user in users)
    ]
    assert unused == []


def test_every_other_import_is_pythons_own_or_a_declared_dependency() -> None:
    known = {*LIBRARIES, *sys.stdlib_module_names, "octopus_soap", "pydantic", "pydantic_core", "platformdirs"}
    assert {found.target for found in _all_imports() if found.target.split(".")[0] not in known} == set()


def test_the_engine_sends_nothing_sleeps_never_and_reads_no_clock() -> None:
    banned = {"time", "random", "socket", "threading", "asyncio", "http", "urllib", "datetime", "uuid", "os"}
    strays = [f for f in _all_imports() if f.module.split(".")[0] == "engine" and f.target.split(".")[0] in banned]
    assert [f for f in strays if not f.for_types] == []


def test_the_wire_does_no_input_or_output() -> None:
    banned = {"socket", "http", "asyncio", "time", "subprocess", "urllib.request"}
    strays = [
        f
        for f in _all_imports()
        if f.module.split(".")[0] == "wire" and (f.target in banned or f.target.split(".")[0] in banned)
    ]
    assert [f for f in strays if not f.for_types] == []


def test_rows_are_read_from_text_behind_one_entry() -> None:
    """Only that entry decides whether a page is read from its text or from the tree."""
    entry, inside = {"wire.fast_rows", "wire.arriving_rows"}, {"wire.row_text", "wire.row_forms"}
    users = {
        target: {found.module for found in _all_imports() if found.target == f"octopus_soap.{target}"}
        for target in entry | inside
    }
    assert all(users[target] <= entry | inside for target in inside)
    assert all(users[target] <= {"wire.codec", "wire.arriving_rows"} for target in entry)


def test_no_module_is_named_for_nothing() -> None:
    nameless = {"utils", "util", "helpers", "helper", "common", "misc", "base_utils", "tools"}
    assert {module for module in MODULES if module.split(".")[-1].strip("_") in nameless} == set()


def long_modules() -> dict[str, int]:
    """Return the modules above `MOST_LINES`, with their lines."""
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    return {module: count for module, count in lines.items() if count > MOST_LINES}


@pytest.mark.filterwarnings("default:modules longer than")
def test_the_length_of_modules_is_asked_about() -> None:
    """A long module may hold more than one idea. The test warns, and does not fail."""
    if found := long_modules():
        shown = ", ".join(f"{module} ({count} lines)" for module, count in sorted(found.items()))
        warnings.warn(f"modules longer than {MOST_LINES} lines, is each of them one idea? {shown}", stacklevel=1)


@every("module", [m for m in MODULES if m != "_version"])
def test_a_module_opens_with_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(_tree(module))


HEAVY = ["zeep", "requests", "lxml", "pydantic", "pandas", "rich", "httpx", "typer", "starlette", "uvicorn", "urllib3"]
LOADS = {
    "import octopus_soap": HEAVY,
    "import octopus_soap; dir(octopus_soap); octopus_soap.__version__": HEAVY,
    "import octopus_soap.testing": ["zeep", "requests", "pydantic", "pandas", "rich", "httpx", "typer"],
    "import octopus_soap.emulator": ["zeep", "requests", "pydantic", "pandas", "rich", "httpx", "typer"],
    "from octopus_soap import OctopusError, BatchResult": HEAVY,
    "from octopus_soap import InventoryItem": [name for name in HEAVY if name != "pydantic"],
    # If httpx and rich are installed, zeep itself loads them.
    "from octopus_soap import OctopusClient": [
        "asyncio",
        "octopus_soap.models.inventory",
        "octopus_soap.models.orders",
        "pandas",
        "typer",
        "starlette",
        "uvicorn",
    ],
}


@pytest.mark.parametrize("statement", LOADS)
def test_what_is_not_asked_for_is_not_loaded(statement: str) -> None:
    """Importing the package is fast, and works without any extra."""
    code = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert set(done.stdout.split()) & set(LOADS[statement]) == set()
