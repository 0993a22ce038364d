"""The public names: sorted, complete, and the same for Python and type checkers."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import octopus_soap
from octopus_soap import errors, models, results
from octopus_soap.models import declarations
from tests.every import every
from tests.inside import HOME_OF

if TYPE_CHECKING:
    from types import ModuleType

SOURCE = Path(octopus_soap.__file__)


def _names_for_type_checkers() -> dict[str, str]:
    """Return each name under `if TYPE_CHECKING:`, with its module."""
    found: dict[str, str] = {}
    for node in ast.parse(SOURCE.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom)
                found |= {alias.asname or alias.name: str(statement.module) for alias in statement.names}
    return found


def test_all_is_sorted_and_has_no_doubles() -> None:
    assert octopus_soap.__all__ == sorted(set(octopus_soap.__all__))


@every("name", octopus_soap.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(octopus_soap, name) is not None


def test_the_names_for_type_checkers_are_the_names_of_the_lazy_table() -> None:
    lazy = {name: f"octopus_soap.{home}" for name, home in HOME_OF.items()}
    assert _names_for_type_checkers() == lazy
    assert {*lazy, "__version__"} == set(octopus_soap.__all__)


@every("name", sorted(HOME_OF))
def test_a_name_is_the_same_object_as_in_its_home(name: str) -> None:
    home = importlib.import_module(f"octopus_soap.{HOME_OF[name]}")
    found = getattr(octopus_soap, name)
    assert found is getattr(home, name)
    assert found.__doc__, "what is public is documented"


def _classes_of(module: ModuleType) -> set[str]:
    return {
        n for n, v in vars(module).items() if inspect.isclass(v) and v.__module__ == module.__name__ and n[0] != "_"
    }


def test_every_exception_and_model_is_public() -> None:
    exceptions = {n for n, v in vars(errors).items() if inspect.isclass(v) and issubclass(v, errors.OctopusError)}
    assert exceptions <= set(octopus_soap.__all__)
    assert {n for n in models.__all__ if n != "WireModel"} <= set(octopus_soap.__all__)
    assert _classes_of(results) - {"Reporter"} <= set(octopus_soap.__all__), "Reporter belongs to the engine"
    results_declared = {"RowsOf", "OneOf", "ScalarOf", "Nothing"}
    assert _classes_of(declarations) - results_declared == {"Safety", "OmittedValues"}


def test_dir_shows_the_public_names_and_hides_nothing_of_them() -> None:
    assert set(dir(octopus_soap)) == set(octopus_soap.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'OctopusKlient'"):
        _ = octopus_soap.OctopusKlient
    with pytest.raises(ImportError):
        exec("from octopus_soap import OctopusKlient")


def test_a_star_import_brings_exactly_the_public_names() -> None:
    namespace: dict[str, object] = {}
    exec("from octopus_soap import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(octopus_soap.__all__)


def test_the_version_is_the_distributions() -> None:
    assert octopus_soap.__version__ == version("octopus-soap")


def test_the_package_is_typed() -> None:
    assert SOURCE.with_name("py.typed").exists()


@pytest.mark.parametrize("module", ["errors", "models", "results", "settings", "operations", "client", "emulator"])
def test_each_module_can_be_imported_first(module: str) -> None:
    """No import cycle may work in one order only."""
    subprocess.run([sys.executable, "-c", f"import octopus_soap.{module}"], check=True, timeout=60)


def test_the_exception_tree_is_drawn_as_it_is() -> None:
    drawn = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").partition("```")[2].partition("```")[0].splitlines():
        stripped = line.lstrip("│├└─ ")
        if not stripped:
            continue
        depth, name = len(line) - len(stripped), stripped.split()[0]
        while path and path[-1][0] >= depth:
            path.pop()
        drawn[name] = path[-1][1] if path else "Exception"
        path.append((depth, name))
    real = {
        name: value.__bases__[0].__name__
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.OctopusError)
    }
    assert drawn == real
