"""`login`, `profiles` and `init`: what they store, for whom, and what they keep."""

from __future__ import annotations

import io
import shlex
import stat
import sys
import tomllib
from types import SimpleNamespace

import pytest

from octopus_soap import OctopusSettings
from octopus_soap.emulator import faults

OTHERS = '# my shops\n[shop]  # the first\nendpoint = "https://shop.example/x.svc"\nauthtoken = "other-secret"\n\n[third]\nmax_attempts = 2\n'


@pytest.fixture
def file(shell, monkeypatch, tmp_path):
    path = tmp_path / "folder" / "profiles.toml"
    monkeypatch.setenv("OCTOPUS_PROFILES_FILE", str(path))
    return path


def test_login_tries_the_credentials_and_stores_them_for_the_owner_only(shell, service, file, monkeypatch):
    settings = service.settings()
    ran = shell("login", "--profile", "my shop")
    assert (ran.code, ran.out) == (0, "")
    assert "accepted by" in ran.err
    assert tomllib.loads(file.read_text()) == {"my shop": settings}
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(service.calls) == 1
    for name in settings:
        monkeypatch.delenv(f"OCTOPUS_{name.upper()}")
    assert shell("items", "exists", "A", "--profile", "my shop", "-o", "json").data == [
        {"sku": "A", "status": "ok", "exists": False}
    ]


def test_login_keeps_everything_else_of_the_file(shell, file):
    file.parent.mkdir()
    file.write_text(OTHERS)
    assert shell("login", "--profile", "new").code == 0
    assert file.read_text().startswith(OTHERS.rstrip())
    assert shell("login", "--profile", "shop").code == 0
    tables = tomllib.loads(file.read_text())
    assert list(tables) == ["third", "new", "shop"]
    assert tables["shop"] == tables["new"]
    assert "other-secret" not in file.read_text()
    assert file.read_text().startswith("# my shops\n")


def test_credentials_the_service_refuses_are_not_stored(shell, service, file, monkeypatch):
    monkeypatch.setenv("OCTOPUS_AUTHTOKEN", "wrong-token-1")
    ran = shell("login")
    assert (ran.code, "not stored" in ran.err, "wrong-token-1" in ran.err) == (2, True, False)
    assert not file.exists()
    service.script.on("*").do(faults.Status(503))
    assert shell("login").code == 2
    assert shell("login", "--no-test").code == 0
    assert tomllib.loads(file.read_text())["default"]["authtoken"] == "wrong-token-1"


def test_a_terminal_is_asked_for_what_is_missing(shell, service, file, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    asked = []
    settings = service.settings()
    for name in settings:
        monkeypatch.delenv(f"OCTOPUS_{name.upper()}")
    monkeypatch.setattr("typer.prompt", lambda text, *, hide_input, err: asked.append((text, hide_input)) or list(settings.values())[
        list(settings).index({"Merchant name": "merchantname", "Auth token": "authtoken", "Access id": "accessid"}.get(text, "endpoint"))])  # fmt: skip
    assert shell("login").code == 2, "there is no terminal"
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("sys.stderr", Terminal())
    assert shell("login").code == 0
    assert [hidden for _, hidden in asked] == [False, False, True, True]
    assert tomllib.loads(file.read_text())["default"] == settings


def test_secrets_in_a_keyring_are_not_in_the_file(shell, service, file, monkeypatch):
    kept: dict[tuple[str, str], str] = {}
    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(
        set_password=lambda service, name, value: kept.__setitem__((service, name), value),
        get_password=lambda service, name: kept.get((service, name)),
        delete_password=lambda service, name: kept.pop((service, name)),
    ))  # fmt: skip
    settings = service.settings()
    assert shell("login", "--profile", "shop", "--keyring").code == 0
    assert settings["authtoken"] not in file.read_text()
    for name in settings:
        monkeypatch.delenv(f"OCTOPUS_{name.upper()}")
    loaded = OctopusSettings.load(profile="shop")
    assert loaded.credentials() == {name: settings[name] for name in ("authtoken", "merchantname", "accessid")}
    assert shell("profiles", "list", "-o", "json").data[0]["secrets"] == "keyring"
    assert shell("profiles", "remove", "shop", "--yes").code == 0
    assert kept == {}
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert "pip install keyring" in shell("login", "--keyring").err


def test_profiles_are_listed_shown_and_removed_without_secrets(shell, file):
    assert "octopus-soap login writes one" in shell("profiles", "list").out
    file.parent.mkdir()
    file.write_text(OTHERS)
    assert [row["profile"] for row in shell("profiles", "list", "-o", "json").data] == ["shop", "third"]
    shown = shell("profiles", "show", "shop")
    assert ("https://shop.example/x.svc" in shown.out, "other-secret" in shown.out) == (True, False)
    assert shell("profiles", "show", "nope").code == 1
    assert shell("profiles", "remove", "shop").code == 2, "there is no terminal to ask"
    assert shell("profiles", "remove", "shop", "--yes").code == 0
    assert file.read_text() == "# my shops\n[third]\nmax_attempts = 2\n"


@pytest.mark.parametrize(
    "text",
    [
        '[shop]\nendpoint = "x"\n[shop.more]\na = 1\n',
        "shop = {endpoint = 'x'}\n",
        "not toml",
        '[shop]\nx = """\n[third]\n"""\n',
    ],
)
def test_a_file_that_cannot_be_edited_safely_stays_as_it_is(shell, file, text):
    file.parent.mkdir()
    file.write_text(text)
    assert shell("profiles", "remove", "shop", "--yes").code == 2
    assert shell("login", "--profile", "shop").code in {0, 2}
    assert file.read_text() == text or tomllib.loads(file.read_text())["shop"]["endpoint"] != "x"


# -- init ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "times"),
    [("1m", "* * * * *"), ("15m", "*/15 * * * *"), ("1h", "0 * * * *"), ("60m", "0 * * * *"), ("6h", "0 */6 * * *"), ("1d", "0 3 * * *")],
)  # fmt: skip
def test_a_line_for_cron_runs_the_job_in_this_folder(shell, tmp_path, every, times):
    line = shell("init", "cron", "--every", every, "--", "push", "stock 100%.csv", "--profile", "shop").out
    assert line.startswith(f"{times} cd {shlex.quote(str(tmp_path))} && ")
    assert line.endswith(r"push 'stock 100\%.csv' --profile shop" + "\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cron", "--every", "7m", "--", "push", "x.csv"], "init systemd takes any"),
        (["cron", "--", "items", "get", "A"], "is not a job: push, orders pull, changes follow"),
        (["cron", "--", "push", "x.csv", "--every", "5m"], "give --every to init"),
        (["systemd", "--name", "a/b", "--", "push", "x.csv"], "cannot be the name of a unit"),
    ],
)
def test_what_cannot_be_run_so_is_refused(shell, words, said):
    ran = shell("init", *words)
    assert (ran.code, said in ran.err) == (2, True), ran.err


def test_units_for_systemd_are_written_once(shell, tmp_path):
    words = ["init", "systemd", "--every", "7m", "--to", "units", "--", "changes", "follow"]
    ran = shell(*words)
    assert ran.code == 0
    unit = (tmp_path / "units" / "octopus-soap-changes-follow.service").read_text()
    assert f"WorkingDirectory={tmp_path}\n" in unit
    assert unit.count(" changes follow --once\n") == 1
    assert "OnUnitActiveSec=420s" in (tmp_path / "units" / "octopus-soap-changes-follow.timer").read_text()
    assert "enable --now octopus-soap-changes-follow.timer" in ran.err
    assert "exists; give another --name" in shell(*words).err
