"""The files and names that documents and samples mention exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from tests.every import every

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "octopus_soap"
DOCUMENTS = [
    *(path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"),  # its table of changed names has the old ones
    ROOT / "wsdl" / "README.md",
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "samples").glob("*.*"),
    *(path for path in (ROOT / "tests").rglob("*.md") if "node_modules" not in path.parts),
]
NO_MODULES = re.compile(r"octopus_soap\.(client_label|requests|retries|items|rejections|drift|events|fleet\.secrets)$")
"""Names of spans and metrics, of a logger, and of a group of entry points."""

_FOLDERS = "|".join(
    sorted(["octopus_soap", "tests", "benchmarks", "docs", "samples", "wsdl"])
    + sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists())
)
_FILE = re.compile(rf"(?<![\w/.-])((?:{_FOLDERS})/[\w/.-]*\w\.(?:py|md|json|svg|wsdl|xsd|toml|ipynb))\b")
_DOTTED = re.compile(r"(?<![\w.\"/])octopus_soap(?:\.\w+)+")


def missing_files(text: str, folder: Path) -> list[str]:
    """Return the files in *text* that are not in the project, the package or *folder*."""
    places = (ROOT, PACKAGE, folder)
    return sorted({name for name in _FILE.findall(text) if not any((place / name).exists() for place in places)})


def missing_names(text: str) -> list[str]:
    """Return the dotted names of the package in *text* that cannot be imported."""
    return sorted({name for name in _DOTTED.findall(text) if not NO_MODULES.match(name) and not _exists(name)})


def _exists(name: str) -> bool:
    parts = name.split(".")
    place, rest = ROOT, list(parts)
    while rest and ((place / rest[0]).is_dir() or (place / f"{rest[0]}.py").exists()):
        place /= rest.pop(0)
    if not rest:
        return True
    found: object = importlib.import_module(".".join(parts[: len(parts) - len(rest)]))
    for part in rest:
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


@every("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_and_names_in_a_document_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    generated = {"docs/reference/commands.md"}  # made by docs/hooks when the site is built
    assert set(missing_files(text, path.parent)) <= generated
    assert missing_names(text) == []


@every("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_that_the_code_names_exist(path: Path) -> None:
    assert missing_files(path.read_text(encoding="utf-8"), path.parent) == []


def test_a_moved_file_and_a_lost_name_are_found() -> None:
    assert missing_files("see `engine/judging.py`, octopus_soap/client.py", ROOT) == ["engine/judging.py"]
    assert missing_names("octopus_soap.jobs.Ledger, `octopus_soap.jobs.Delivery`, octopus_soap.frames") == [
        "octopus_soap.frames",
        "octopus_soap.jobs.Delivery",
    ]
