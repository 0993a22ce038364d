"""Set up the other SOAP clients in `benchmarks/.peers/`.

A client that cannot be installed is reported as absent, with the reason. Everything is installed through the ordinary
clients (pip, npm, apt-get) as this machine is configured.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
FOLDER = HERE / ".peers"
WSDL = HERE.parent / "wsdl" / "OctopusService.wsdl"
GENERATED = FOLDER / "generated"
PYTHON = FOLDER / "venv" / "bin" / "python"
PINS = ["suds-community==1.2.0", "xsdata[cli,lxml,soap]==26.10"]
NODE_PIN = "soap@1.13.0"
_LIMIT = 600  # seconds for one installation


@dataclass(frozen=True)
class Peer:
    """A participant that runs in a separate process.

    Attributes:
        name: as the table shows it.
        command: starts its worker; empty if it is absent.
        absent: the reason why it is absent.
    """

    name: str
    command: tuple[str, ...] = ()
    absent: str = ""


class _CannotBeHad(Exception):  # noqa: N818 - it is a reason, shown in the table
    pass


def _run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=_LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _CannotBeHad(f"{command[0]}: {error}") from None
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise _CannotBeHad(f"{Path(command[0]).name} {command[1] if command[1:] else ''}: {words[:120]}")
    return done.stdout


def _python() -> None:
    """Create the Python peers' own virtual environment, once."""
    stamp = FOLDER / "venv" / ".installed"
    if stamp.exists() and stamp.read_text() == "\n".join(PINS):
        return
    if not PYTHON.exists():
        _run(sys.executable, "-m", "venv", str(FOLDER / "venv"))
    _run(str(PYTHON), "-m", "pip", "install", "--quiet", *PINS)
    stamp.write_text("\n".join(PINS))


def _suds() -> tuple[str, ...]:
    _python()
    return str(PYTHON), "-m", "benchmarks.worker", "suds"


def _xsdata() -> tuple[str, ...]:
    _python()
    if not (GENERATED / "octopus_wsdl.py").exists():
        GENERATED.mkdir(parents=True, exist_ok=True)
        tool = str(PYTHON.parent / "xsdata")
        path = f"{PYTHON.parent}{os.pathsep}{os.environ.get('PATH', '')}"  # it calls ruff, which is in the same folder
        _run(
            tool, "generate", str(WSDL), "--package", "octopus_wsdl", "--structure-style", "single-package",
            cwd=GENERATED, env={**os.environ, "PATH": path},
        )  # fmt: skip
    return str(PYTHON), "-m", "benchmarks.worker", "xsdata"


def _node() -> tuple[str, ...]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise _CannotBeHad("node and npm are not installed")
    folder = FOLDER / "node"
    package = folder / "node_modules" / "soap" / "package.json"
    if not package.exists() or json.loads(package.read_text())["version"] != NODE_PIN.partition("@")[2]:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n')
        _run(npm, "install", "--no-audit", "--no-fund", "--silent", NODE_PIN, cwd=folder)
    return node, str(HERE / "participants" / "node_soap.js")


def _php() -> tuple[str, ...]:
    php = shutil.which("php")
    if php is None or "soap" not in _run(php, "-m").split():
        apt = shutil.which("apt-get")
        if apt is None or os.geteuid() != 0:
            raise _CannotBeHad("php with its soap extension is not installed, and apt-get as root is not available")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _run(apt, "update", "-q", env=quiet)
        _run(apt, "install", "-y", "-q", "--no-install-recommends", "php-cli", "php-soap", env=quiet)
        php = shutil.which("php")
    if php is None or "soap" not in _run(php, "-m").split():
        raise _CannotBeHad("php was installed, but without its soap extension")
    return php, "-d", "memory_limit=2G", str(HERE / "participants" / "ext_soap.php")


def _here(name: str) -> Callable[[], tuple[str, ...]]:
    return lambda: (sys.executable, "-m", "benchmarks.worker", name)


_SET_UPS: dict[str, Callable[[], tuple[str, ...]]] = {
    "ours": _here("ours"),
    "zeep": _here("zeep"),
    "floor": _here("floor"),
    "xsdata": _xsdata,
    "node-soap": _node,
    "ext-soap": _php,
    "suds": _suds,
}
NAMES = tuple(_SET_UPS)


def set_up(name: str) -> Peer:
    """Install what *name* needs; if that fails, the peer has the reason in `absent`."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / ".gitignore").write_text("*\n")
    try:
        return Peer(name, _SET_UPS[name]())
    except _CannotBeHad as reason:
        return Peer(name, absent=str(reason))
