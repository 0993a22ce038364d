"""The fleet's commands: enrol, schedule, run, look, rotate."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen
from wsgiref.simple_server import make_server

import pytest

from octopus_soap.cli.commands import run
from octopus_soap.fleet.pages import _Quiet, pages
from octopus_soap.fleet.vault import new_key
from octopus_soap.jobs import Ledger
from tests.fleet.fleet_stage import CANARY, FUNCTIONS, finished, merchants_csv, shops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from octopus_soap.emulator import Emulator


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Run `octopus-soap fleet WORDS...` in an empty folder, and return its output."""
    monkeypatch.chdir(tmp_path)

    def ran(*words: str, code: int | None = 0, **variables: str) -> str:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        found = run(["fleet", *words])
        captured = capsys.readouterr()
        printed = captured.out + captured.err
        assert code is None or found == code, printed
        assert CANARY not in printed
        return printed

    return ran


@pytest.mark.long
def test_a_fleet_from_the_shell(tmp_path: Path, shell: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"OCTOPUS_FLEET_KEYS": shell("new-key").strip()}
    shell("init", ".")
    assert "no merchants" in shell("status"), "what init writes can be read"
    (tmp_path / "fleet_functions.py").write_text(FUNCTIONS)
    (tmp_path / "fleet.toml").write_text('ledger = "shops.db"\nmodule = "fleet_functions"\ntick_seconds = 0.2\n')
    with shops(3) as service:
        merchants_csv(tmp_path, service)
        assert "3 merchants" in shell("import", "merchants.csv", **keys)
        assert "no tick ever" in shell("status", code=1)
        time_up = threading.Event()
        config = str(tmp_path / "fleet.toml")
        command = [sys.executable, "-m", "octopus_soap", "fleet", "--config", config, "run"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=os.environ | keys, stderr=subprocess.PIPE, text=True
        ) as worker:
            for _ in range(1_200):
                if finished(service):
                    break
                time_up.wait(0.05)
            worker.terminate()
            _, errors = worker.communicate(timeout=60)
        assert worker.returncode == 0, errors
        assert CANARY not in errors
        assert finished(service)
        assert len(set((tmp_path / "journal").read_text().splitlines())) == 6
    shown = json.loads(shell("status", "-o", "json", code=None))
    assert {job["outcome"] for job in shown["jobs"]} <= {"ok", "interrupted", "failed"}
    assert "active" in shell("list")
    assert shell("list", "-o", "csv").startswith("name,state,")
    assert len(shell("status", "-o", "jsonl", code=None).splitlines()) == len(shown["jobs"])
    assert json.loads(shell("show", "shop-001"))["secrets"] == {
        "authtoken": "encrypted",
        "accessid": "encrypted",
    }
    shell("pause", "shop-001", "--reason", "stocktaking")
    assert "paused" in shell("list")
    shell("resume", "shop-001")
    both = {"OCTOPUS_FLEET_KEYS": f"{new_key()},{keys['OCTOPUS_FLEET_KEYS']}"}
    assert "3 merchants" in shell("rotate-keys", **both)
    shell("schedule", "shop-001", "changes", "5m")
    shell("remove", "shop-001", "--purge", "--yes")
    assert "shop-001" not in shell("list")
    assert "'shop-001'" in shell("pause", "shop-001", code=2)
    (tmp_path / "fleet.toml").write_text("slot = 3")
    assert "did you mean slots?" in shell("status", code=2)
    monkeypatch.setattr(sys, "argv", ["octopus-soap", "fleet", "status", "--help"])
    assert "Usage" in shell("status", "--help")


SHRINKING = """
from pathlib import Path

def stock(merchant):
    number = Path("stock").read_text()
    return None if number == "nothing new" else [{"sku": f"SKU-{index}", "stock": int(number)} for index in range(3)]
"""


@pytest.fixture
def shop(tmp_path: Path, shell: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """A fleet of one merchant, whose stock comes from a file, and which has pushed 7."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "shrinking", raising=False)
    monkeypatch.setenv("OCTOPUS_FLEET_KEYS", new_key())
    (tmp_path / "shrinking.py").write_text(SHRINKING)
    (tmp_path / "fleet.toml").write_text('ledger = "shops.db"\nmodule = "shrinking"\n')
    (tmp_path / "stock").write_text("7")
    with shops(1, orders=0) as service:
        given = service.settings("shop-000")
        words = [
            word
            for name in ("endpoint", "merchantname", "authtoken", "accessid")
            for word in (f"--{name}", given[name])
        ]
        shell("add", "the shop", *words, "--push", "1h")
        shell("run-now", "the shop")
        shell("run", "--once")
        yield service


def stock_of(service: Emulator) -> set[str]:
    return {item["Stock"] for item in service.store.items(merchant="shop-000").values()}


def test_a_push_that_the_guard_refuses_names_the_lines_that_show_it_and_let_it_pass(
    tmp_path: Path, shell: Callable[..., str], shop: Emulator
) -> None:
    (tmp_path / "stock").write_text("0")
    shell("run-now", "the shop")
    shell("run", "--once")
    (job,) = json.loads(shell("status", "-o", "json", code=None))["jobs"]
    assert (job["outcome"], job["failures"], stock_of(shop)) == ("failed", 1, {"7"})
    assert "3 (100%) would become 0" in job["message"]
    found = re.search(
        r"octopus-soap fleet (push [^.]* --dry-run)\. .*octopus-soap fleet (push [^.]* --force)\.", job["message"]
    )
    assert found is not None
    dry = shlex.split(found[1])
    shown = shell(*dry, code=2)
    assert "stock=7" in shown
    assert "stock=0" in shown
    assert "3 (100%) would become 0" in shown
    shell(*dry[:-1], code=2)
    assert stock_of(shop) == {"7"}
    assert "acknowledged 3" in shell(*shlex.split(found[2]))
    assert stock_of(shop) == {"0"}
    (job,) = json.loads(shell("status", "-o", "json", code=None))["jobs"]
    assert (job["outcome"], job["failures"], job["message"]) == ("ok", 0, "pushed by hand, with --force")
    assert [run["outcome"] for run in json.loads(shell("show", "the shop"))["runs"]] == ["ok", "failed", "ok"]


def test_a_push_by_hand_is_refused_where_a_run_would_be(
    tmp_path: Path, shell: Callable[..., str], shop: Emulator
) -> None:
    (tmp_path / "stock").write_text("nothing new")
    assert "nothing to do" in shell("push", "the shop")
    assert "nothing to do" in shell("push", "the shop", "--dry-run")
    (tmp_path / "stock").write_text("canary-broken")
    raised = shell("push", "the shop", code=2)
    assert "ValueError in the stock source" in raised
    assert "canary-broken" not in raised
    (tmp_path / "stock").write_text("7")
    with Ledger(tmp_path / "shops.db", channel="the shop") as ledger, ledger.run_lock("push"):
        assert "another run of push" in shell("push", "the shop", code=3)
    shell("pause", "the shop", "--reason", "stocktaking")
    assert "paused: stocktaking; first: octopus-soap fleet resume 'the shop'" in shell("push", "the shop", code=2)
    assert "dry run" in shell("push", "the shop", "--dry-run")
    assert "no merchant 'no shop'" in shell("push", "no shop", code=2)
    (tmp_path / "shrinking.py").write_text("def orders(merchant, order, delivery): ...\n")
    sys.modules.pop("shrinking")
    assert "no stock source" in shell("push", "the shop", code=2)


def test_an_unknown_merchant_is_named_before_anything_is_asked_for(shell: Callable[..., str]) -> None:
    assert shell("remove", "nobody", "--purge", code=2).startswith("octopus-soap: there is no merchant 'nobody'")
    for given in ((), ("--module", "no_such_module")):
        printed = shell("push", "nobody", *given, code=2)
        assert "no merchant 'nobody'" in printed
        assert "module" not in printed
    shell(
        "add",
        "shop",
        "--endpoint",
        "http://127.0.0.1:9/x.svc",
        "--merchantname",
        "m",
        "--authtoken",
        "env:A",
        "--accessid",
        "env:B",
    )
    assert "add --module NAME" in shell("push", "shop", code=2)


def test_metrics_and_health_have_no_series_per_merchant(tmp_path: Path, shell: Callable[..., str]) -> None:
    keys = {"OCTOPUS_FLEET_KEYS": new_key()}
    with shops(2) as service:
        merchants_csv(tmp_path, service)
        shell("import", "merchants.csv", **keys)
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(tmp_path / "octopus-fleet.db", channel="fleet"))
        server = stack.enter_context(make_server("127.0.0.1", 0, pages(ledger), handler_class=_Quiet))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        base = f"http://127.0.0.1:{server.server_port}"
        text = urlopen(f"{base}/metrics", timeout=30).read().decode()
        assert 'octopus_fleet_merchants{state="active"} 2.0' in text
        assert "shop-000" not in text
        with pytest.raises(HTTPError, match="503") as refused:
            urlopen(f"{base}/healthz", timeout=30)
        refused.value.close()
        server.shutdown()
        thread.join()
