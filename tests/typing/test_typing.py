"""`consumer.py` and `octopia_types.py` pass mypy --strict and pyright strict."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import octopus_soap
from octopus_soap.operations import OPERATIONS
from tests.catalogue import ROWS

pytestmark = pytest.mark.long

HERE = Path(__file__).parent
PROGRAMS = ["consumer.py", "octopia_types.py", "every_operation.py"]
CACHE = HERE.parent.parent / ".mypy_cache" / "consumer"


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run in another folder, in which the package is an installed one."""
    return subprocess.run(
        [sys.executable, "-m", *command], check=False, cwd=folder, capture_output=True, text=True, timeout=300
    )


def every_operation() -> str:
    """Write a program that makes every call of both clients, with its result types."""
    lines: list[str] = []
    for row in ROWS:
        parameters = list(inspect.signature(OPERATIONS[row.operation].body).parameters.values())[1:]
        declared = ", ".join(f"{parameter.name}: {parameter.annotation}" for parameter in parameters)
        given = ", ".join(
            f"{parameter.name}={parameter.name}" if parameter.kind is parameter.KEYWORD_ONLY else parameter.name
            for parameter in parameters
        )
        inner = row.returns if row.is_list and row.returns != "None" else "BatchResult[None]"
        for client, opening, wait, generator in (
            ("OctopusClient", "def", "", "Generator[{}, None, None]"),
            ("AsyncOctopusClient", "async def", "await ", "AsyncGenerator[{}, None]"),
        ):
            call, name = f"client.{row.name}({given})", f"{row.name}_of_{client}"
            lines += ["", "", f"{opening} {name}(client: {client}, {declared}) -> None:"]
            lines.append(
                f"    {wait}{call}" if row.returns == "None" else f"    assert_type({wait}{call}, {row.returns})"
            )
            if row.is_list:
                lines.append(f"    assert_type(client.{row.name}.stream({given}), {generator.format(inner)})")
            else:
                lines.append(f"    assert_type({wait}client.{row.name}.with_info({given}), Answer[{row.returns}])")
    body = "\n".join(lines)
    used = sorted(set(re.findall(r"\w+", body)) & set(octopus_soap.__all__))
    decimal = "from decimal import Decimal\n" if "Decimal" in body else ""
    return (
        "from collections.abc import AsyncGenerator, Generator, Iterable\n"
        f"{decimal}from typing import assert_type\n\n"
        f"from octopus_soap import {', '.join(used)}\nfrom octopus_soap.operations import ShowProgress\n{body}\n"
    )


def program(folder: Path) -> None:
    """Write the files for the type checkers."""
    for name in PROGRAMS[:2]:
        shutil.copy(HERE / name, folder)
    (folder / "every_operation.py").write_text(every_operation(), encoding="utf-8")


@pytest.mark.timeout(320)
def test_mypy_strict_accepts_every_right_use_and_finds_every_wrong_one(tmp_path: Path) -> None:
    program(tmp_path)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    done = run("mypy", "--cache-dir", str(CACHE), *PROGRAMS, folder=tmp_path)
    assert done.stdout.strip() == "Success: no issues found in 3 source files", done.stdout + done.stderr


@pytest.mark.timeout(320)
def test_pyright_strict_accepts_every_right_use_and_finds_every_wrong_one(tmp_path: Path) -> None:
    program(tmp_path)
    settings = {
        "include": PROGRAMS,
        "typeCheckingMode": "strict",
        "reportUnnecessaryTypeIgnoreComment": "error",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = run("pyright", "--pythonpath", sys.executable, "--outputjson", folder=tmp_path)
    report = json.loads(done.stdout)
    assert report["generalDiagnostics"] == []
    assert report["summary"]["filesAnalyzed"] == 3, "a check of no file would pass for ever"
