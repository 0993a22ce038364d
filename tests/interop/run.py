"""Run the toolkits against the emulator, and our clients against their services.

    python -m tests.interop.run [--require] [--folder FOLDER] [NAME ...]

Prints a table: toolkit, direction, and for each profile how many of the 20 operations came out right. The exit code is
1 if any did not, or if a toolkit is missing and ``--require`` was given.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from octopus_soap.emulator import Emulator, Profile
from tests.interop import ours, scenario
from tests.interop.toolkits import HERE, PROFILES, TOOLKITS, Published, Toolkit, ToolkitError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

_STARTS_WITHIN = 30.0  # seconds for a server to listen
_CLIENT_WITHIN = 60.0
_OPERATIONS = 20


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{text}\n")


@dataclass
class Cell:
    """One run: a toolkit, a direction, a profile."""

    problems: list[str] = field(default_factory=list[str])
    skipped: str = ""

    def __str__(self) -> str:
        """Return ``20/20``, or how many operations came out right."""
        if self.skipped:
            return "skipped"
        wrong = {problem.partition(":")[0].partition("[")[0].partition(".")[0].split()[-1] for problem in self.problems}
        return f"{max(_OPERATIONS - len(wrong), 0)}/{_OPERATIONS}"


def profile_of(name: str) -> Profile:
    """Return the emulator's profile."""
    return Profile.strict() if name == "strict" else Profile()


def script(service: Emulator, url: str, *, plain: int, split: int) -> dict[str, Any]:
    """Return the input of a client's program."""
    given = service.settings()
    return {
        "wsdl": f"{url}?wsdl",
        "endpoint": url,
        "headers": {name: given[name] for name in ("authtoken", "merchantname", "accessid")},
        "account": given["accessid"],
        "calls": scenario.requests(plain, split),
        "items": scenario.ITEMS,
        "parameters": _parameters(url),
    }


def _parameters(url: str) -> dict[str, list[str]]:
    """Return the operations and their parameters in order, from the published schema."""
    from lxml import etree

    root = etree.fromstring(requests.get(f"{url}?xsd=xsd0", timeout=10).content)
    wrappers = root.findall("{*}element")
    made = {e.get("name", ""): [inner.get("name", "") for inner in e.iter("{*}element")][1:] for e in wrappers}
    return {name: members for name, members in made.items() if not name.endswith("Response")}


def as_client(toolkit: Toolkit, folder: Path, profile: str) -> Cell:
    """Run the toolkit's client against the emulator."""
    assert toolkit.client is not None
    with Emulator(profile=profile_of(profile)) as service:
        plain, split = scenario.seed(service)
        path = folder / f"client-{profile}.json"
        path.write_text(json.dumps(script(service, service.url, plain=plain, split=split)), encoding="utf-8")
        done = subprocess.run(
            [*toolkit.client(folder, profile), str(path)],
            env={**os.environ, **toolkit.environment(folder)},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=_CLIENT_WITHIN,
        )
        try:
            answers = json.loads(done.stdout)
        except ValueError:
            answers = {}
        problems = scenario.check_answers(answers, plain, split)
        if done.returncode:
            problems = [f"the program failed: {(done.stderr or done.stdout)[-1000:].strip()}", *problems]
        return Cell(problems + scenario.check_state(service, plain, split) + scenario.check_lint(service))


def as_server(toolkit: Toolkit, folder: Path, profile: str, wsdl: Path) -> Cell:
    """Run our two clients against the toolkit's server."""
    assert toolkit.server is not None
    received = folder / f"received-{profile}.jsonl"
    received.unlink(missing_ok=True)
    path = folder / f"server-{profile}.json"
    with Emulator(profile=profile_of(profile)) as service:
        parameters = _parameters(service.url)
    told = {"wsdl": str(wsdl), "received": str(received), "parameters": parameters}
    told |= {"answers": scenario.server_answers(), "items": scenario.ITEMS, "rows": scenario.ROWS}
    path.write_text(json.dumps(told), encoding="utf-8")
    problems: list[str] = []
    with serving(toolkit, folder, profile, path) as url:
        for client, answers in ours.answers_of_both(url, wsdl).items():
            problems += [f"{client}: {problem}" for problem in ours.check(answers)]
    lines = [json.loads(line) for line in received.read_text(encoding="utf-8").splitlines()]
    for of_one_client in (lines[:_OPERATIONS], lines[_OPERATIONS:]):
        problems += scenario.check_received(of_one_client, ours.PLAIN, ours.SPLIT)
    return Cell(problems)


@contextmanager
def serving(toolkit: Toolkit, folder: Path, profile: str, path: Path) -> Generator[str]:
    """Start a server, wait until it listens, and stop it in the end."""
    assert toolkit.server is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [str(path), str(port)] if toolkit.server_takes_arguments else []
    log = folder / f"server-{profile}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*toolkit.server(folder, profile, port), *arguments],
            env={**os.environ, **toolkit.environment(folder), "OCTOPUS_SCRIPT": str(path)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(process, port, log)
        yield f"http://127.0.0.1:{port}/OctopusService.svc"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise ToolkitError(f"the server does not listen: {log.read_text()[-1000:]}")


@contextmanager
def publishing(folder: Path) -> Generator[dict[str, Published]]:
    """Publish the contract of each profile, for programs to be generated from."""
    made: dict[str, Published] = {}
    with ExitStack() as stack:
        for profile in PROFILES:
            service = stack.enter_context(Emulator(profile=profile_of(profile)))
            made[profile] = Published(f"{service.url}?wsdl", folder / f"{profile}.wsdl")
            made[profile].file.write_bytes(requests.get(f"{service.url}?singleWsdl", timeout=10).content)
        yield made


def try_toolkit(toolkit: Toolkit, root: Path, contracts: Mapping[str, Published]) -> dict[tuple[str, str], Cell]:
    """Return the toolkit's cells, by direction and profile."""
    directions = ["client"] * (toolkit.client is not None) + ["server"] * (toolkit.server is not None)
    keys = [(direction, profile) for direction in directions for profile in PROFILES]
    reason = toolkit.missing()
    if reason:
        return {key: Cell(skipped=f"{reason}; on Debian: apt-get install {toolkit.packages}") for key in keys}
    folder = root / toolkit.name.split()[0].lower()
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[tuple[str, str], Cell] = {}
    try:
        toolkit.build(folder, contracts)
    except (ToolkitError, OSError, subprocess.SubprocessError) as error:
        return {key: Cell([f"build: {error}"] * _OPERATIONS) for key in keys}
    for direction, profile in keys:
        try:
            is_client = direction == "client"
            cell = (
                as_client(toolkit, folder, profile)
                if is_client
                else as_server(toolkit, folder, profile, contracts[profile].file)
            )
        except (ToolkitError, OSError, subprocess.SubprocessError) as error:
            cell = Cell([f"{toolkit.name}: {error}"])
        made[direction, profile] = cell
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(prog="interop", description="Other SOAP toolkits against the WSDL, both ways.")
    parser.add_argument("--require", action="store_true", help="a toolkit that is not installed is a failure")
    parser.add_argument("--folder", type=Path, default=HERE.parent.parent / "build/interop", help="where to build")
    parser.add_argument("names", nargs="*", help="toolkits, by the start of their names; all by default")
    given = parser.parse_args(arguments)
    wanted = [name.lower() for name in given.names]
    chosen = [t for t in TOOLKITS if not wanted or any(t.name.lower().startswith(name) for name in wanted)]
    given.folder.mkdir(parents=True, exist_ok=True)
    with publishing(given.folder) as contracts, ThreadPoolExecutor(2) as pool:
        results = dict(zip(chosen, pool.map(lambda t: try_toolkit(t, given.folder, contracts), chosen), strict=True))
    failed = show(results, require=given.require)
    spent = os.times()
    say(f"{spent.user + spent.system + spent.children_user + spent.children_system:.0f} s of processor time")
    return 1 if failed or not chosen else 0


def show(results: Mapping[Toolkit, Mapping[tuple[str, str], Cell]], *, require: bool) -> bool:
    """Print the table, then the skipped and failed runs; return True on a failure."""
    say(f"{'toolkit':<15} {'direction':<27} " + " ".join(f"{profile:>9}" for profile in PROFILES))
    for toolkit, cells in results.items():
        for direction in dict.fromkeys(direction for direction, _ in cells):
            shown = "its client, our service" if direction == "client" else "our clients, its service"
            say(
                f"{toolkit.name:<15} {shown:<27} "
                + " ".join(f"{cells[direction, profile]!s:>9}" for profile in PROFILES)
            )
    failed = False
    for toolkit, cells in results.items():
        skipped = {cell.skipped for cell in cells.values() if cell.skipped}
        for reason in skipped:
            say(f"{'MISSING' if require else 'skipped'}: {toolkit.name}: {reason}")
        failed |= bool(skipped) and require
        for (direction, profile), cell in cells.items():
            failed |= bool(cell.problems)
            for problem in cell.problems[:20]:
                say(f"{toolkit.name}, {direction}, {profile}: {problem}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
