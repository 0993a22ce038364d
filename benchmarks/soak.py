"""Make 10,000 batch calls over 8 threads while a fifth of all exchanges fails.

    make soak                                   # or: python benchmarks/soak.py [--calls 10000] [--threads 8] [--seed 1]

The emulator runs in a separate process and fails at random (seeded) in the ways a network can. Afterwards every outcome
is compared with the emulator's own log and state:

* a write reported as done was carried out, by one of the requests that the call names;
* a write reported as failed or not sent was not carried out by any of them;
* a value read was the service's value, and stock and prices are those of the last write that was carried out;
* no order exists twice, no order reported as created is missing, no order reported as refused exists;
* each input had exactly one outcome; no thread and no descriptor is left open.

It ends with 1 if a rule is broken, or if the calls take longer than two minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from octopus_soap import (
    BatchError,
    BatchResult,
    CustomFieldMapping,
    InventoryItem,
    ItemQuantityAndPrice,
    OctopusClient,
    OctopusError,
    OctopusSettings,
    OrderDownloadSubmitRequest,
    OrderItem,
    OrderSubmit,
    OutcomeStatus,
    OutcomeUnknownError,
)

LIMIT = 115.0  # seconds for the calls, of the two minutes
SKUS_EACH, ROWS, ORDERS = 40, 10, 6000
FIRST_ORDER = 100001
SHARE = 0.212  # of the exchanges that a rule applies to; a fifth of all exchanges


# -- the service, in a separate process ----------------------------------------------------------------------------


def faults() -> list[tuple[str, tuple[Any, ...], float]]:
    """Return operation pattern, faults and weight of each rule.

    The weights are shares of the failing calls.
    """
    from octopus_soap.emulator import (
        Bom,
        CloseIdle,
        Drip,
        Fault,
        Gzip,
        Hang,
        Html,
        Latency,
        Lie,
        Reset,
        Status,
        Truncate,
    )

    return [
        ("*", (Reset("before"),), 8),
        ("*", (Reset("mid"),), 8),
        ("*", (Reset("after"),), 10),
        ("*", (Truncate(0.6),), 6),
        ("*", (Truncate(0.6, honest=True),), 6),
        ("*", (Status(503),), 6),
        ("*", (Status(503, "xhtml", retry_after=0),), 4),
        ("*", (Status(429, retry_after=0),), 6),
        ("*", (Status(502, execute=True),), 6),
        ("*", (Status(504, "empty", execute=True),), 4),
        ("*", (Status(413, "empty"),), 4),
        ("*", (Fault("internal"),), 6),
        ("*", (Fault("internal", execute=True),), 4),
        ("*", (Html(),), 4),
        ("*", (CloseIdle(),), 8),
        ("*", (Hang(),), 1),
        ("*", (Hang(execute=True),), 1),
        ("*", (Drip(20),), 0.5),
        ("*", (Latency(0.05), Gzip(), Bom()), 4),
        ("Update*", (Lie("missing-row"),), 4),
        ("*List", (Lie("duplicate-row"), Lie("reordered-rows"), Lie("unasked-row")), 4),
    ]


def serve(report: Path, seed: int, threads: int) -> None:
    """Run the emulator until a line comes in; then write down its calls and state."""
    from octopus_soap.emulator import Emulator, Profile, Status

    with Emulator(keep_bodies=False, profile=Profile(duplicate_orders="duplicate")) as service:
        for thread in range(threads):
            service.store.add_items([{"Sku": sku, "Stock": "0", "Price": Decimal(0)} for sku in own_skus(thread)])
        for _ in range(ORDERS):
            service.store.add_order()
        script = faults()
        total = sum(weight for _, _, weight in script)
        for number, (operation, what, weight) in enumerate(script):
            # each rule draws for itself, so the chances add up to a little less than the share
            chance = SHARE * weight / total / (1 - SHARE / 2)
            when = (lambda call: call.items > ROWS // 2) if what[0] == Status(413, "empty") else None
            service.script.on(operation, probability=chance, seed=seed * 1000 + number, when=when).do(*what)
        print(json.dumps(service.settings()), flush=True)
        sys.stdin.readline()
        calls = [
            (
                call.headers.get("x-request-id", ""),
                call.operation,
                list(call.keys),
                call.executed,
                call.fault,
                call.error,
            )
            for call in service.calls
        ]
        orders = service.store.orders()
        state = {
            "calls": calls,
            "stale": service.stale_closes,
            "stock": {sku: item.get("Stock") for sku, item in service.store.items().items()},
            "orders": Counter(order.given_id for order in orders.values() if order.given_id),
            "confirmed": [number for number, order in orders.items() if order.confirmed],
            "mappings": [mapping["Text"] for mapping in service.store.mappings()],
            "lint": [note.detail for note in service.lint if note.what != "ignored-confirm"],
        }
        report.write_text(json.dumps(state), encoding="utf-8")


def own_skus(thread: int) -> list[str]:
    return [f"T{thread}-{number:03d}" for number in range(SKUS_EACH)]


# -- the callers ---------------------------------------------------------------------------------------------------


@dataclass
class Kept:
    """The claim of a write's outcome, for the check at the end."""

    operation: str
    key: str
    status: OutcomeStatus
    requests: frozenset[str]


@dataclass
class Caller:
    """One thread's calls; only it writes its SKUs, so it knows their possible values."""

    client: OctopusClient
    thread: int
    rng: random.Random
    orders: list[int]
    wrong: list[str] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    submitted: list[tuple[str, str]] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    exchanges: int = 0
    number: int = 0

    def __post_init__(self) -> None:
        self.may_be: dict[str, set[int]] = {sku: {0} for sku in own_skus(self.thread)}

    def one(self) -> None:
        """Make one call."""
        self.number += 1
        work, weight = zip(*self.mix, strict=True)
        self.rng.choices(work, weight)[0](self)

    def finish(self, method: Any, inputs: list[Any], **options: Any) -> BatchResult[Any] | None:
        """Make a list call; return its result, whole or partial.

        None if the operation returns nothing and everything succeeded.
        """
        self.calls[method.operation.wire_name] += 1
        try:
            result = method(inputs, **options)
        except BatchError as error:
            result = error.result
        except OctopusError as error:
            result = getattr(error, "result", None)
            self.errors[type(error).__name__] += 1
            if result is None:
                self.wrong.append(f"{method.operation.wire_name} ended in {error!r}")
                return None
        if result is not None:
            self.outcomes.update(outcome.status.value for outcome in result.outcomes)
            self.exchanges += sum(info.attempts for info in result.calls)
            if [outcome.index for outcome in result.outcomes] != list(range(len(inputs))):
                self.wrong.append(f"{method.operation.wire_name}: not one outcome per input")
        return result

    def keep(self, operation: str, result: BatchResult[Any]) -> None:
        requests = frozenset(info.request_id for info in result.calls)
        self.kept += [Kept(operation, outcome.key, outcome.status, requests) for outcome in result.outcomes]

    def some_skus(self) -> list[str]:
        return self.rng.sample(own_skus(self.thread), ROWS)

    def update(self) -> None:
        inputs = [
            ItemQuantityAndPrice(sku=sku, stock=self.number, price=Decimal(self.number)) for sku in self.some_skus()
        ]
        result = self.finish(
            self.client.update_item_quantity_and_price_list, inputs, batch_size=self.rng.choice([4, ROWS])
        )
        if result is None:
            return
        self.keep("UpdateItemQuantityAndPriceList", result)
        for outcome in result.outcomes:
            if outcome.ok:
                self.may_be[outcome.key] = {self.number}
            elif outcome.status is OutcomeStatus.UNKNOWN:
                self.may_be[outcome.key].add(self.number)

    def read_quantities(self) -> None:
        result = self.finish(self.client.get_item_quantity_list, self.some_skus())
        for outcome in result.outcomes if result else []:
            if outcome.ok and (outcome.value.sku, outcome.value.stock in self.may_be[outcome.key]) != (
                outcome.key,
                True,
            ):
                self.wrong.append(f"{outcome.key} was read as {outcome.value.stock}, not {self.may_be[outcome.key]}")
            elif outcome.ok:
                self.may_be[outcome.key] = {outcome.value.stock}
            elif outcome.status is not OutcomeStatus.FAILED:
                self.wrong.append(f"{outcome.key} was read as {outcome.status}")

    def read_items(self) -> None:
        skus = [*self.some_skus(), f"NONE-{self.number}"]
        result = self.finish(self.client.get_item_list, skus, batch_size=self.rng.choice([4, 20]))
        for outcome in result.outcomes if result else []:
            known = outcome.key in self.may_be
            expected = OutcomeStatus.OK if known else OutcomeStatus.MISSING
            if outcome.status not in {expected, OutcomeStatus.FAILED}:
                self.wrong.append(f"{outcome.key} was read as {outcome.status}")
            elif outcome.ok and int(outcome.value.stock) not in self.may_be[outcome.key]:
                self.wrong.append(f"{outcome.key} holds {outcome.value.stock}, not {self.may_be[outcome.key]}")

    def ask_existence(self) -> None:
        skus = [*self.some_skus(), f"NONE-{self.number}"]
        result = self.finish(self.client.is_sku_exist_list, skus)
        for outcome in result.outcomes if result else []:
            if outcome.ok and outcome.value is not (outcome.key in self.may_be):
                self.wrong.append(f"{outcome.key} exists: {outcome.value}")

    def upload(self) -> None:
        inputs = [InventoryItem(sku=f"U{self.thread}-{self.number}-{n}", description="new") for n in range(ROWS)]
        result = self.finish(self.client.upload_item_list, inputs)
        if result is not None:
            self.keep("UploadItemList", result)

    def confirm(self) -> None:
        chosen = [str(self.orders.pop()) for _ in range(min(5, len(self.orders)))]
        if not chosen:
            return self.upload()
        method = self.client.set_download_order_confirm
        result = self.finish(method, [OrderDownloadSubmitRequest(order_id=order) for order in chosen])
        if result is not None:
            self.keep("SetDownloadOrderConfirm", result)
        else:
            self.kept += [Kept("SetDownloadOrderConfirm", order, OutcomeStatus.OK, frozenset()) for order in chosen]
            self.outcomes[OutcomeStatus.OK.value] += len(chosen)
        return None

    def map_fields(self) -> None:
        inputs = [CustomFieldMapping(text=f"F{self.thread}-{self.number}-{n}", value="v") for n in range(4)]
        result = self.finish(self.client.custom_field_mapping, inputs)
        if result is not None:
            self.keep("CustomFieldMapping", result)
        else:
            self.kept += [Kept("CustomFieldMapping", m.text or "", OutcomeStatus.OK, frozenset()) for m in inputs]
            self.outcomes[OutcomeStatus.OK.value] += len(inputs)

    def submit(self) -> None:
        """Submit an order next to the batches; it is not counted as a batch call."""
        order_id = f"W{self.thread}-{self.number}"
        order = OrderSubmit(order_id=order_id, order_items=[OrderItem(sku="X", quantity=1)])
        self.calls["SubmitOrder"] += 1
        try:
            self.client.submit_order(order)
        except OutcomeUnknownError:
            self.submitted.append((order_id, "unknown"))
        except OctopusError as error:
            self.errors[type(error).__name__] += 1
            self.submitted.append((order_id, "refused"))
        else:
            self.submitted.append((order_id, "created"))

    mix = (
        (update, 30),
        (read_quantities, 20),
        (read_items, 15),
        (ask_existence, 10),
        (upload, 10),
        (confirm, 10),
        (map_fields, 5),
    )


# -- the judgement -------------------------------------------------------------------------------------------------


def judge(callers: list[Caller], state: dict[str, Any]) -> list[str]:
    """Compare every outcome with the service's log and state; return the violations."""
    wrong = [problem for caller in callers for problem in caller.wrong]
    done: dict[str, set[str]] = {}
    done_at_all: Counter[tuple[str, str]] = Counter()
    for request, operation, keys, executed, _, error in state["calls"]:
        if error:
            wrong.append(f"the emulator failed: {error}")
        if executed:
            done.setdefault(request, set()).update(keys)
            done_at_all.update((operation, key) for key in keys)
    for caller in callers:
        for claim in caller.kept:
            carried_out = any(claim.key in done.get(request, ()) for request in claim.requests)
            if not claim.requests:
                carried_out = done_at_all[claim.operation, claim.key] > 0
            if claim.status is OutcomeStatus.OK and not carried_out:
                wrong.append(f"lost: {claim.operation} of {claim.key} is reported done and was not")
            if claim.status in {OutcomeStatus.FAILED, OutcomeStatus.NOT_SENT} and carried_out:
                wrong.append(f"a lie: {claim.operation} of {claim.key} is reported {claim.status} and was carried out")
            if claim.status in {OutcomeStatus.REJECTED, OutcomeStatus.MISSING}:
                wrong.append(
                    f"{claim.operation} of {claim.key} is reported {claim.status}: the service refuses nothing here"
                )
            if claim.operation == "CustomFieldMapping" and done_at_all[claim.operation, claim.key] > 1:
                wrong.append(f"doubled: the unsafe write of {claim.key} was carried out twice")
        for sku, values in caller.may_be.items():
            if int(state["stock"][sku]) not in values:
                wrong.append(f"{sku} ended with {state['stock'][sku]}, not one of {values}")
        for order, claimed in caller.submitted:
            count = state["orders"].get(order, 0)
            if count > 1 or (claimed == "created" and count != 1) or (claimed == "refused" and count):
                wrong.append(f"order {order} was reported {claimed} and exists {count} times")
    confirmed = {str(number) for number in state["confirmed"]}
    claims = [claim for caller in callers for claim in caller.kept if claim.status is OutcomeStatus.OK]
    wrong += [
        f"order {claim.key} is reported confirmed and is not"
        for claim in claims
        if claim.operation == "SetDownloadOrderConfirm" and claim.key not in confirmed
    ]
    wrong += [f"WCF would have ignored: {note}" for note in state["lint"]]
    return wrong


def descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def soak(calls: int, threads: int, seed: int, service: dict[str, str]) -> tuple[list[Caller], float, list[str]]:
    """Make the calls; return the callers, the seconds, and what was left open."""
    threads_before, open_before = threading.active_count(), descriptors()
    settings = OctopusSettings.load(
        **service, read_timeout=1.0, total_timeout=4.0, backoff_base=0.002, backoff_cap=0.02, max_connections=threads
    )
    started = time.monotonic()
    with OctopusClient(settings=settings) as client:
        while True:  # until the service has accepted the credentials once
            try:
                client.is_sku_exist("T0-000")
                break
            except OctopusError:
                continue
        counter = iter(range(calls))
        lock = threading.Lock()
        callers = [
            Caller(
                client, n, random.Random(seed * 100 + n), list(range(FIRST_ORDER + n, FIRST_ORDER + ORDERS, threads))
            )
            for n in range(threads)
        ]

        def work(caller: Caller) -> None:
            while time.monotonic() - started < LIMIT:
                with lock:
                    number = next(counter, None)
                if number is None:
                    return
                caller.one()
                if number % 10 == 0:
                    caller.number += 1
                    caller.submit()

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, callers))
    seconds = time.monotonic() - started
    until = time.monotonic() + 5
    while (threading.active_count() > threads_before or descriptors() > open_before) and time.monotonic() < until:
        time.sleep(0.05)
    left = []
    if threading.active_count() > threads_before:
        left.append(f"{threading.active_count() - threads_before} threads are left: {threading.enumerate()}")
    if descriptors() > open_before:
        left.append(f"{descriptors() - open_before} descriptors are left")
    return callers, seconds, left


def show(callers: list[Caller], seconds: float, state: dict[str, Any], wrong: list[str]) -> None:
    """Print the figures."""
    made = sum((caller.calls for caller in callers), Counter[str]())
    batches = sum(count for name, count in made.items() if name != "SubmitOrder")
    outcomes = sum((caller.outcomes for caller in callers), Counter[str]())
    errors = sum((caller.errors for caller in callers), Counter[str]())
    orders = Counter(claimed for caller in callers for _, claimed in caller.submitted)
    injected = Counter(fault.split("(")[0] for *_, fault, _ in state["calls"] if fault)
    hit = sum(1 for *_, fault, _ in state["calls"] if fault)
    exchanges = len(state["calls"])
    print(f"{batches} batch calls and {made['SubmitOrder']} orders over {len(callers)} threads in {seconds:.1f} s")
    print(f"  {batches / seconds:.0f} batch calls a second, {exchanges / seconds:.0f} exchanges a second")
    print(
        f"  {exchanges} exchanges, {hit} of them failed on purpose ({hit / exchanges:.1%}), "
        f"{state['stale']} stale sockets met"
    )
    print(f"  injected: {', '.join(f'{name} {count}' for name, count in injected.most_common())}")
    print(f"  calls: {', '.join(f'{name} {count}' for name, count in made.most_common())}")
    print(f"  outcomes: {', '.join(f'{name} {count}' for name, count in outcomes.most_common())}")
    print(f"  orders: {', '.join(f'{name} {count}' for name, count in orders.most_common())}")
    if errors:
        print(f"  raised besides BatchError: {', '.join(f'{name} {count}' for name, count in errors.most_common())}")
    print(f"  peak memory of the client's process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    for problem in wrong[:20]:
        print(f"  WRONG: {problem}")
    if len(wrong) > 20:
        print(f"  and {len(wrong) - 20} more")
    print(
        "every outcome is true; nothing lost, doubled or left open" if not wrong else f"{len(wrong)} things are wrong"
    )


def main() -> int:
    """Run the soak and return the exit code."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, default=10_000)
    options.add_argument("--threads", type=int, default=8)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.serve:
        serve(given.serve, given.seed, given.threads)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            sys.executable,
            __file__,
            "--serve",
            str(report),
            "--seed",
            str(given.seed),
            "--threads",
            str(given.threads),
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OCTOPUS_")}
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            service = json.loads(process.stdout.readline())
            callers, seconds, left = soak(given.calls, given.threads, given.seed, service)
            process.stdin.write("\n")
            process.stdin.flush()
            process.wait(60)
        state = json.loads(report.read_text(encoding="utf-8"))
    wrong = left + judge(callers, state)
    batches = sum(count for caller in callers for name, count in caller.calls.items() if name != "SubmitOrder")
    if batches < given.calls:
        wrong.append(f"only {batches} of {given.calls} batch calls fitted into {LIMIT:.0f} s")
    show(callers, seconds, state, wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
