"""The types a program sees: `consumer.py` under mypy --strict and under pyright in strict mode."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from octopus_soap.operations import OPERATIONS

HERE = Path(__file__).parent
CONSUMER = HERE / "consumer.py"
CACHE = HERE.parent.parent / ".mypy_cache" / "consumer"


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run in a folder of its own: there the package is an installed one, as for any program."""
    return subprocess.run(
        [sys.executable, "-m", *command], check=False, cwd=folder, capture_output=True, text=True, timeout=300
    )


@pytest.mark.timeout(320)
def test_mypy_strict_accepts_every_right_use_and_finds_every_wrong_one(tmp_path: Path) -> None:
    shutil.copy(CONSUMER, tmp_path)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    done = run("mypy", "--cache-dir", str(CACHE), CONSUMER.name, folder=tmp_path)
    assert done.stdout.strip() == "Success: no issues found in 1 source file", done.stdout + done.stderr


@pytest.mark.timeout(320)
def test_pyright_strict_accepts_every_right_use_and_finds_every_wrong_one(tmp_path: Path) -> None:
    shutil.copy(CONSUMER, tmp_path)
    settings = {"include": [CONSUMER.name], "typeCheckingMode": "strict", "reportUnnecessaryTypeIgnoreComment": "error"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = run("pyright", "--pythonpath", sys.executable, "--outputjson", folder=tmp_path)
    report = json.loads(done.stdout)
    assert report["generalDiagnostics"] == []
    assert report["summary"]["filesAnalyzed"] == 1, "a check of no file would pass for ever"


@pytest.mark.parametrize("client", ["client", "many"], ids=["blocking", "asynchronous"])
def test_the_consumer_uses_every_operation_in_each_of_its_forms(client: str) -> None:
    used: set[tuple[str, str]] = set()
    for node in ast.walk(ast.parse(CONSUMER.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(named), attr=name)) if named == client:
                used.add((name, "call"))
            case ast.Call(func=ast.Attribute(value=ast.Attribute(value=ast.Name(named), attr=name), attr=form)) if (
                named == client
            ):
                used.add((name, form))
    for row in OPERATIONS.values():
        assert (row.name, "call") in used
        assert (row.name, "with_info" if row.rule is None else "stream") in used
