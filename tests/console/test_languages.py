"""The PHP and Node programs of the console's page do what the page says."""

import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from octopus_soap.emulator import Emulator
from tests.interop.toolkits import NODE, PHP, ToolkitError

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/console.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.long


def program(language):
    return textwrap.dedent(re.search(rf"^    ```{language}\n(.*?)^    ```", PAGE, re.DOTALL | re.MULTILINE)[1])


def node(folder):
    if reason := NODE.missing():
        pytest.skip(reason)
    build = ROOT / "build/interop/node-soap"
    build.mkdir(parents=True, exist_ok=True)
    try:
        NODE.build(build, {})
    except ToolkitError as error:
        pytest.skip(f"npm does not bring node-soap: {str(error)[:300]}")
    (folder / "client.js").write_text(program("js"), encoding="utf-8")
    return ["node", "client.js"], NODE.environment(build)


def php(folder):
    if reason := PHP.missing():
        pytest.skip(reason)
    (folder / "client.php").write_text(program("php"), encoding="utf-8")
    return ["php", "client.php"], {}


@pytest.mark.parametrize(
    ("prepared", "price", "findings"),
    [(php, "9.50", ["may-be-zero"]), (node, "3.39", ["may-be-zero", "schema", "unknown"])],
    ids=["php", "node"],
)
def test_a_program_of_the_page_is_answered_and_found_out(tmp_path, prepared, price, findings):
    command, environment = prepared(tmp_path)
    with Emulator() as service:
        service.store.add_item("DEMO-0001", Price="3.39", Cost="1.00", Stock="6")
        variables = {f"OCTOPUS_{name.upper()}": value for name, value in service.settings().items()}
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, **environment, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert (done.stdout, done.returncode) == ("there\n", 0), done.stderr
        assert [call.operation for call in service.calls] == ["IsSkuExist", "UpdateItemQuantityAndPrice"]
        assert sorted({note.what for call in service.calls for note in call.notes}) == findings
        details = " ".join(note.detail for call in service.calls for note in call.notes)
        assert ("did you mean Price?" in details) == ("unknown" in findings)
        assert f"{service.store.item('DEMO-0001')['Price']:.2f}" == price
