"""`octopus-soap version`: what is installed, for a report of a problem."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

from octopus_soap._version import __version__
from octopus_soap.cli.output import Output, OutputOption, Records, show_records
from octopus_soap.cli.tables import show_table

_PACKAGES = {
    "": ("zeep", "lxml", "pydantic", "python-dotenv", "requests", "urllib3"),
    "async": ("httpx",),
    "cli": ("typer", "rich"),
    "jobs": ("SQLAlchemy",),
    "emulator": ("starlette", "uvicorn"),
    "gateway": ("fastapi",),
    "pandas": ("pandas",),
    "polars": ("polars",),
    "arrow": ("pyarrow",),
}
"""The packages that matter, by the extra that brings them."""


def version(*, output: OutputOption = Output.TABLE) -> None:
    """Show the versions of this package, Python and the libraries in use."""
    rows: list[dict[str, object]] = [
        {"package": "octopus-soap", "version": __version__, "extra": None},
        {"package": platform.python_implementation(), "version": platform.python_version(), "extra": None},
        {"package": platform.system(), "version": platform.release(), "extra": None},
    ]
    packages: list[dict[str, object]] = [
        {"package": name, "version": _installed(name), "extra": extra or None}
        for extra, names in _PACKAGES.items()
        for name in names
    ]
    rows += packages

    def table() -> None:
        cells = [(row["package"], row["version"] or "(not installed)", row["extra"]) for row in rows]
        show_table("", ["Package", "Version", "Extra"], cells)

    show_records(Records(rows), output, table)


def _installed(name: str) -> str | None:
    try:
        return version_of(name)
    except PackageNotFoundError:
        return None
