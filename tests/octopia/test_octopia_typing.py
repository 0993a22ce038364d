"""The types both clients promise, checked by both type checkers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

CLAIMS = Path(__file__).with_name("octopia_types.py")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_the_type_checkers_agree_with_every_claim(checker, tmp_path):
    pytest.importorskip(checker)
    options = ["--cache-dir", str(tmp_path)] if checker == "mypy" else []
    ran = subprocess.run(
        [sys.executable, "-m", checker, *options, str(CLAIMS)],
        cwd=ROOT,
        env=os.environ | {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
