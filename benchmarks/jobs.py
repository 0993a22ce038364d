"""Measure the plan of a push over a ledger of many SKUs: time and memory.

    python -m benchmarks.jobs --skus 1000000 --changed 0.01

The same comparison with the catalogue as a dict is measured for the ratio. Each measurement runs in a separate process.
No service is needed: a plan is made before anything is sent.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS_AT_ONCE = 10_000
SOURCES = ("dicts", "csv")


def states(count: int, changed: float) -> Iterator[dict[str, Any]]:
    """Yield a shop's desired states: every n-th SKU's stock differs from the ledger."""
    step = round(1 / changed) if changed else count + 1
    for i in range(count):
        yield {"sku": f"SKU-{i:07}", "stock": i % 500 + 1 + (i % step == 0), "price": f"{i % 9000 / 100:.2f}"}


def seed(place: str, count: int) -> None:
    """Fill a ledger with states that the service acknowledged before."""
    from sqlalchemy import insert

    from octopus_soap.jobs import Ledger
    from octopus_soap.jobs.desired import Desired, as_text, read_desired
    from octopus_soap.jobs.tables import STOCK_ITEM

    with Ledger(place) as ledger, ledger.transaction() as connection:
        now = ledger.now(connection)
        rows = []
        for wish in read_desired(states(count, 0)):
            assert isinstance(wish, Desired)
            text = as_text(wish.values)
            rows.append({"channel": "main", "sku": wish.sku, "acknowledged": text, "state": "done"})
            rows[-1] |= {"acknowledged_at": now, "observed_at": now}
            if len(rows) == ROWS_AT_ONCE:
                connection.execute(insert(STOCK_ITEM), rows)
                rows = []
        if rows:
            connection.execute(insert(STOCK_ITEM), rows)


def plan(place: str, source: str, count: int, changed: float) -> dict[str, Any]:
    """Make the plan of a push; return seconds, bytes and the counts."""
    from octopus_soap import OctopusClient, OctopusSettings
    from octopus_soap.jobs import Ledger, StockPush

    settings = {"endpoint": "http://127.0.0.1:9/", "authtoken": "a", "merchantname": "m", "accessid": "i"}
    desired: Any = states(count, changed) if source == "dicts" else source
    with OctopusClient(settings=OctopusSettings.load(**settings)) as client, Ledger(place) as ledger:
        push = StockPush(client, ledger)
        began = time.perf_counter()
        report = push.run(desired, dry_run=True)
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak": _peak(), "counts": report.counts, "error": report.error}


def in_memory(count: int, changed: float) -> dict[str, Any]:
    """Make the same comparison with both catalogues as dicts of models.

    It uses no ledger and stores nothing; it is the base of the ratio.
    """
    from octopus_soap import ItemQuantityAndPrice

    began = time.perf_counter()
    known = {row["sku"]: ItemQuantityAndPrice(**row) for row in states(count, 0)}
    wanted = {row["sku"]: ItemQuantityAndPrice(**row) for row in states(count, changed)}
    differing = [item for sku, item in wanted.items() if known[sku] != item]
    return {"seconds": time.perf_counter() - began, "peak": _peak(), "counts": {"changed": len(differing)}, "error": ""}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _apart(*words: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", "benchmarks.jobs", *words], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout or "{}")
    return found


def main() -> None:
    """Seed a ledger and measure plans over it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skus", type=int, default=1_000_000)
    parser.add_argument("--changed", type=float, default=0.01)
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "PLACE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    same = ("--skus", str(given.skus), "--changed", str(given.changed))
    if given.measure:
        what, place = given.measure
        if what == "seed":
            seed(place, given.skus)
        elif what == "memory":
            print(json.dumps(in_memory(given.skus, given.changed)))
        else:
            print(json.dumps(plan(place, what, given.skus, given.changed)))
        return
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "ledger.db")
        began = time.perf_counter()
        _apart("--measure", "seed", place, *same)
        size = Path(place).stat().st_size
        print(f"a ledger of {given.skus:,} SKUs: {size / 1e6:.0f} MB, seeded in {time.perf_counter() - began:.0f} s")
        file = Path(folder) / "stock.csv"
        with file.open("w", encoding="utf-8") as out:
            out.write("sku,stock,price\n")
            out.writelines(f"{row['sku']},{row['stock']},{row['price']}\n" for row in states(given.skus, given.changed))
        dicts = _apart("--measure", "memory", place, *same)
        for name, what in (("plan from dicts", "dicts"), ("plan from a CSV file", str(file))):
            found = _apart("--measure", what, place, *same)
            assert found["counts"]["changed"] == dicts["counts"]["changed"], found
            assert not found["error"], found
            ratio = found["seconds"] / dicts["seconds"], dicts["peak"] / found["peak"]
            print(
                f"{name:22} {found['seconds']:6.1f} s {found['peak'] / 1e6:6.0f} MB, {found['counts']['changed']:,} "
                f"changes; {ratio[0]:.1f} x the time and 1/{ratio[1]:.1f} of the memory of dicts of models"
            )
        print(f"{'dicts of models':22} {dicts['seconds']:6.1f} s {dicts['peak'] / 1e6:6.0f} MB")


if __name__ == "__main__":
    main()
