"""The files that a wheel and a source distribution must have, and must not have."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = sorted(path.name for path in (ROOT / "wsdl").iterdir() if path.is_file())
SOURCE_ONLY = {"tests", "samples", "docs", "benchmarks", "wsdl", ".ci", "site"}
LITTER = {"__pycache__", ".venv", "node_modules", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
IN_SOURCE = {
    "octopus_soap",
    "wsdl",
    "tests",
    "samples",
    "benchmarks",
    "docs",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE",
    "Makefile",
    "mkdocs.yml",
    "pyproject.toml",
}


def modules() -> set[str]:
    """Return the package's own files, as the repository has them."""
    found = (ROOT / "octopus_soap").rglob("*")
    return {p.relative_to(ROOT).as_posix() for p in found if p.is_file() and p.suffix in {".py", ".typed"}}


def wheel_problems(path: Path, expected: set[str] | None = None) -> list[str]:
    """Return what is wrong with the wheel at *path*.

    Args:
        path: the file.
        expected: modules it must have; those of the repository by default.
    """
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        texts = {n: wheel.read(n).decode() for n in names if n.endswith(("METADATA", "entry_points.txt"))}
    problems = [f"lacks octopus_soap/wsdl/{name}" for name in CONTRACT if f"octopus_soap/wsdl/{name}" not in names]
    wanted = modules() if expected is None else expected
    problems += [f"lacks {name}" for name in sorted({*wanted, "octopus_soap/py.typed"} - names)]
    tops = {PurePosixPath(name).parts[0] for name in names}
    extra = {top for top in tops if top != "octopus_soap" and not top.endswith(".dist-info")}
    problems += [f"installs {top}/ next to the package" for top in sorted(extra)]
    problems += _litter(names)
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        problems.append("lacks the LICENSE")
    metadata = next((text for name, text in texts.items() if name.endswith("METADATA")), "")
    problems += [
        f"metadata lacks {field}"
        for field in ("Requires-Python: >=3.11", "License-Expression: MIT")
        if field not in metadata
    ]
    if "octopus-soap = octopus_soap.cli:main" not in "".join(texts.values()):
        problems.append("lacks the command octopus-soap")
    return problems


def source_problems(path: Path) -> list[str]:
    """Return what is wrong with the source distribution at *path*."""
    with tarfile.open(path) as archive:
        names = {PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix() for name in archive.getnames()}
    tops = {PurePosixPath(name).parts[0] for name in names if name != "."}
    return [f"lacks {name}" for name in sorted(IN_SOURCE - tops)] + _litter(names)


def _litter(names: set[str]) -> list[str]:
    found = {n for n in names if LITTER.intersection(PurePosixPath(n).parts) or n.endswith((".pyc", ".db", ".orig"))}
    return [f"holds litter: {name}" for name in sorted(found)[:5]]
