"""Run push and orders for 200 merchants until the service and the shops agree.

    python samples/fleet_demo.py                           200 merchants in one process
    python samples/fleet_demo.py --merchants 20            fewer
    python samples/fleet_demo.py --retail-csv FILE         a shop's sales, split among the merchants
    python samples/fleet_demo.py --engine celery           on Celery, with the broker at --broker

Needs the extras `emulator` and `fleet`. It ends with "no differences", or prints them and exits with 1.
"""

import argparse
import csv
import gzip
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from octopus_soap.emulator import Emulator, Merchant
from octopus_soap.fleet import Fleet
from octopus_soap.fleet.celery_engine import delete_queues
from octopus_soap.fleet.vault import KEYS_VARIABLE, new_key

FUNCTIONS = '''
import json
from pathlib import Path

HERE = Path(__file__).parent


def stock(merchant):
    return json.loads((HERE / "stock" / f"{merchant.name}.json").read_text())


def orders(merchant, order, delivery):
    """Store the order once: opening with "x" fails if the file exists."""
    try:
        (HERE / "orders" / f"{merchant.name}-{delivery.key}").open("x").close()
    except FileExistsError:
        if not delivery.redelivered:
            raise
'''


def sales(path: Path | None, merchants: list[str]) -> dict[str, Counter[str]]:
    """Return pieces sold by merchant and SKU, from a file or made up."""
    sold: dict[str, Counter[str]] = defaultdict(Counter)
    if path is None:
        draw = random.Random(2026)  # noqa: S311 - a demo's data
        for name in merchants:
            for _ in range(40):
                sold[name][f"SKU-{draw.randrange(25):03}"] += draw.randint(1, 5)
        return sold
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for index, row in enumerate(csv.DictReader(file)):
            cells = {key.casefold(): value for key, value in row.items() if key}
            sku = (cells.get("stockcode") or cells.get("sku") or "").strip()[:50]
            if sku:
                sold[merchants[index % len(merchants)]][sku] += 1
    return sold


def build(service: Emulator, sold: dict[str, Counter[str]], folder: Path) -> None:
    """Add items and orders to the service, and write each shop's stock into a file."""
    for kind in ("stock", "orders"):
        (folder / kind).mkdir()
    for merchant in service.merchants:
        pieces = sold[merchant.name]
        service.store.add_items(({"Sku": sku, "Stock": "0", "Price": "1.00"} for sku in pieces), merchant=merchant.name)
        wanted = [{"sku": sku, "stock": 100 + number} for sku, number in pieces.items()]
        (folder / "stock" / f"{merchant.name}.json").write_text(json.dumps(wanted))
        for number in range(3):
            service.store.add_order(merchant=merchant.name, OrderID=f"{merchant.name}-{number}")


def differences(service: Emulator, sold: dict[str, Counter[str]], folder: Path) -> list[str]:
    """Return a line for each merchant's wrong stock and wrong orders."""
    found = []
    for merchant in service.merchants:
        name = merchant.name
        items = service.store.items(merchant=name)
        wrong = [sku for sku, number in sold[name].items() if items[sku]["Stock"] != str(100 + number)]
        if wrong:
            found.append(f"{name}: {len(wrong)} of {len(items)} items have the wrong stock, first {wrong[0]}")
        for number, order in service.store.orders(merchant=name).items():
            taken = list((folder / "orders").glob(f"{name}-{number}*"))
            if not order.confirmed or len(taken) != 1:
                found.append(f"{name}: order {number} was taken {len(taken)} times, confirmed: {order.confirmed}")
    return found


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--merchants", type=int, default=200)
    parser.add_argument("--retail-csv", type=Path)
    parser.add_argument("--engine", choices=["local", "celery"], default="local")
    parser.add_argument("--broker", default="amqp://guest:guest@127.0.0.1:5672//")
    parser.add_argument("--seconds", type=float, default=120, help="stop after this time")
    given = parser.parse_args()
    names = [f"shop-{number:03}" for number in range(given.merchants)]
    merchants = [Merchant(name, f"token-of-{name}", f"id-of-{name}") for name in names]
    os.environ.setdefault(KEYS_VARIABLE, new_key())
    with (
        tempfile.TemporaryDirectory() as temporary,
        Emulator(merchants=merchants, keep_bodies=False, keep_calls=100) as service,
    ):
        folder = Path(temporary)
        sold = sales(given.retail_csv, names)
        build(service, sold, folder)
        (folder / "fleet_functions.py").write_text(FUNCTIONS)
        sys.path.insert(0, str(folder))
        place = folder / "fleet.db"
        with Fleet(place) as enrolled:
            for name in names:
                settings: dict[str, Any] = service.settings(name)
                enrolled.registry.add(name, every={"push": 20, "orders": 20}, **settings)
        print(f"{len(names)} merchants, {sum(map(len, sold.values()))} items, {3 * len(names)} orders", flush=True)
        started = time.monotonic()
        common = ["--ledger", str(place)]
        commands = [["run", "--module", "fleet_functions"]]
        fleet = f"demo-{secrets.token_hex(4)}"
        if given.engine == "celery":
            there = ["--broker", given.broker, "--fleet-name", fleet]
            worker = ["worker", "--module", "fleet_functions", *there]
            commands = [["tick", "--workers", "2", *there], worker, worker]
        environment = os.environ | {"PYTHONPATH": str(folder)}
        workers = [
            subprocess.Popen([sys.executable, "-m", "octopus_soap", "fleet", *words, *common], env=environment)  # noqa: S603 - our own commands
            for words in commands
        ]
        pause = threading.Event()
        while differences(service, sold, folder) and time.monotonic() - started < given.seconds:
            pause.wait(0.5)
        for process in workers:
            process.terminate()
        for process in workers:
            process.wait(60)
        if given.engine == "celery":
            delete_queues(given.broker, name=fleet)
        found = differences(service, sold, folder)
        print(f"{time.monotonic() - started:.0f} s with the engine {given.engine}")
    print(*(found[:20] or ["no differences"]), sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
