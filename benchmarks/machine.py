"""Describe the machine and the versions behind a figure."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from benchmarks.peers import FOLDER, PYTHON


def describe() -> dict[str, str]:
    """Return processor, system and versions."""
    found = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])} {platform.machine()}",
        "load before": f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    for name in ("octopus-soap", "lxml", "pydantic", "pydantic-core", "requests", "urllib3", "zeep"):
        found[name] = metadata.version(name)
    try:  # zeep imports it if it is there, which makes its first call slower
        found["httpx"] = metadata.version("httpx")
    except metadata.PackageNotFoundError:
        found["httpx"] = "not installed"
    script = "from importlib import metadata as m; print(m.version('xsdata'), m.version('suds-community'))"
    peers = _output(str(PYTHON), "-c", script).split()
    found["xsdata"], found["suds-community"] = peers if len(peers) == 2 else ("absent", "absent")
    package = FOLDER / "node" / "node_modules" / "soap" / "package.json"
    found["node"] = _output("node", "--version").removeprefix("v")
    found["node-soap"] = json.loads(package.read_text())["version"] if package.exists() else "absent"
    found["php"] = _output("php", "-r", "echo PHP_VERSION;")
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _output(program: str, *arguments: str) -> str:
    found = shutil.which(program)
    if found is None:
        return "absent"
    done = subprocess.run([found, *arguments], capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip() or "absent"
