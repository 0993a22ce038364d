"""Measurements that need a fresh process each: imports, first calls, peak memory.

`python -m benchmarks.fresh stream COUNT URL` is the process whose memory is measured.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import ROOT
from benchmarks.workloads import NO_HTTPX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.processes import Server

SMALL, LARGE = 20_000, 200_000
_LIMIT = 300  # seconds for one process

_IMPORTS = {
    "ours": "import octopus_soap",
    "ours: OctopusClient": "from octopus_soap import OctopusClient",
    "zeep": "import zeep",
}
_TIMED = (
    "import time; t, c = time.perf_counter(), time.process_time(); {0}; "
    "print((time.perf_counter() - t) * 1000, (time.process_time() - c) * 1000)"
)
Times = tuple[float, float]
"""Milliseconds of wall time and of processor time."""

_OURS = """
from octopus_soap import OctopusClient
client = OctopusClient("{url}", authtoken="token-1", merchantname="shop", accessid="account-1")
assert len(client.is_sku_exist_list(["SKU-000000"])) == 1
"""
_ZEEP = """
import zeep
client = zeep.Client("wsdl/OctopusService.wsdl")
service = client.create_service("{{http://tempuri.org/}}BasicHttpBinding_IOctopusService", "{url}")
reply = service.IsSkuExistList(accountID="account-1", skuList={{"string": ["SKU-000000"]}})
assert len(reply.ResultData.IsSkuExistResponse) == 1
"""
_ZEEP_ALONE = f"import sys\nsys.modules['httpx'] = None\n{_ZEEP}"
"""As if httpx were not installed: zeep imports it if it can, and works without it."""
_NODE = """
const soap = require("./benchmarks/.peers/node/node_modules/soap");
soap.createClientAsync("wsdl/OctopusService.wsdl", {{ endpoint: "{url}" }})
  .then((client) => client.IsSkuExistListAsync({{ accountID: "account-1", skuList: {{ string: ["SKU-000000"] }} }}))
  .then(([found]) => [found.IsSkuExistListResult.ResultData.IsSkuExistResponse].flat())
  .then((rows) => process.exit(rows.length === 1 ? 0 : 1));
"""
_PHP = """
$client = new SoapClient("wsdl/OctopusService.wsdl", ["location" => "{url}", "cache_wsdl" => WSDL_CACHE_NONE,
    "features" => SOAP_SINGLE_ELEMENT_ARRAYS]);
$found = $client->IsSkuExistList(["accountID" => "account-1", "skuList" => ["string" => ["SKU-000000"]]]);
exit(count($found->IsSkuExistListResult->ResultData->IsSkuExistResponse) === 1 ? 0 : 1);
"""


def _run(*command: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_LIMIT, check=False
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it failed without a word"])[-1][:160])
    return done.stdout


def compile_all() -> None:
    """Compile what the processes import, so that no figure includes a compilation."""
    places = [Path(str(metadata.distribution(name).locate_file(""))) for name in ("zeep", "octopus-soap")]
    _run(sys.executable, "-m", "compileall", "-q", *dict.fromkeys(map(str, [ROOT / "octopus_soap", *places])))


def imports(name: str) -> Times:
    """Return the times of one import in a fresh interpreter."""
    wall, processor = _run(sys.executable, "-c", _TIMED.format(_IMPORTS[name])).split()
    return float(wall), float(processor)


def first_call(name: str, url: str) -> Times:
    """Return the times of a whole process that makes one call."""
    commands = {
        "ours": (sys.executable, "-c", _OURS),
        "zeep": (sys.executable, "-c", _ZEEP),
        NO_HTTPX: (sys.executable, "-c", _ZEEP_ALONE),
        "node-soap": (shutil.which("node") or "node", "-e", _NODE),
        "ext-soap": (shutil.which("php") or "php", "-r", _PHP),
    }
    program, flag, text = commands[name]
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(program, flag, text.format(url=url))
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall * 1000, (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000


def memory(server: Server) -> tuple[float, float]:
    """Return the peak memory in MB for few and for many SKUs."""
    few, many = (
        float(_run(sys.executable, "-m", "benchmarks.fresh", "stream", str(count), server.url()))
        for count in (SMALL, LARGE)
    )
    return few, many


def measure(workload: str, server: Server) -> dict[str, Callable[[], Times]]:
    """Return a function for each participant of a cold workload that measures it once."""
    if workload == "cold-import":
        return {name: lambda name=name: imports(name) for name in _IMPORTS}  # type: ignore[misc] # bound now
    names = ("ours", "zeep", NO_HTTPX, "node-soap", "ext-soap")
    return {name: lambda name=name: first_call(name, server.url()) for name in names}  # type: ignore[misc] # bound now


def _stream(count: int, url: str) -> None:
    from octopus_soap import OctopusClient

    def skus() -> Iterator[str]:
        for number in range(count):
            yield f"SKU-{number:06d}"

    client = OctopusClient(url, authtoken="token-1", merchantname="shop", accessid="account-1")
    seen = sum(len(part) for part in client.get_item_quantity_list.stream(skus()))
    if seen != count:
        raise SystemExit(f"{seen} of {count}")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # bytes there, kilobytes elsewhere
    sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}\n")


if __name__ == "__main__":
    os.environ.pop("OCTOPUS_PROFILE", None)
    _stream(int(sys.argv[2]), sys.argv[3])
