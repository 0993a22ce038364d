"""Measure how our cost grows with items, stores, batches and connections.

    python -m benchmarks.scaling [--json FILE]

It writes the figures as JSON and draws them into `docs/img/scaling.svg`. Every series goes through all its points in
each round, so that a busy moment of the machine slows all of them. Items and stores are processor time of this process;
batches and connections are wall time, with the canned server in a separate process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import machine, payloads
from benchmarks.participants import ours
from benchmarks.processes import ROOT, Server
from benchmarks.workloads import BATCH, LATENCY

if TYPE_CHECKING:
    from collections.abc import Callable

ITEMS = (10, 100, 250, 500, 750, 1000)
STORES = (0, 5, 10, 20, 35, 50)
ITEMS_WITH_STORES = 100
BATCHES = (1, 10, 25, 50, 100, 150, 200)
CONNECTIONS = (1, 2, 4, 8, 16)
BATCHES_WITH_LATENCY = 48
ROUNDS = {"items": 9, "stores": 9, "batches": 5, "connections": 3}
PLOT = ROOT / "docs" / "img" / "scaling.svg"
RESULT = ROOT / "benchmarks" / "results" / "scaling.json"

Taken = dict[str, float]
"""Milliseconds by series, of one point in one round."""


def _in_turn(points: tuple[int, ...], rounds: int, once: Callable[[int], Taken]) -> dict[str, Any]:
    """Measure every point in each round; return median and quartiles of each."""
    taken: dict[str, dict[int, list[float]]] = {}
    for turn in range(rounds + 1):
        for point in points:
            for series, value in once(point).items():
                if turn:  # the first round warms up
                    taken.setdefault(series, {}).setdefault(point, []).append(value)
    return {
        "points": list(points),
        "rounds": rounds,
        "series": {series: [_spread(values[point]) for point in points] for series, values in taken.items()},
    }


def _spread(values: list[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"p25": low, "median": middle, "p75": high}


def _processor_time(work: Callable[[], Any]) -> float:
    work()  # not measured: the previous point left memory and caches in another state
    started = time.process_time()
    result = work()
    taken = (time.process_time() - started) * 1000
    del result  # frees its memory outside the measured time
    return taken


def _reading_and_writing(
    points: tuple[int, ...], rounds: int, shape: Callable[[int], tuple[int, int | None]], folder: Path
) -> dict[str, Any]:
    """Measure decoding, the parser alone and encoding.

    *shape* returns how many items and stores a point has.
    """
    works: dict[int, dict[str, Callable[[], Any]]] = {}
    for point in points:
        count, stores = shape(point)
        reply = f"items-{count}-{stores}.xml"
        (folder / reply).write_bytes(payloads.item_reply(count, stores))
        asked = {"files": str(folder), "reply": reply, "count": count}
        works[point] = {
            "decode": ours.decode(asked),
            "parse": ours.parse(asked),
            "encode": ours.encode({"count": count, "stores": 2 if stores is None else stores}),
        }
    return _in_turn(
        points, rounds, lambda point: {series: _processor_time(work) for series, work in works[point].items()}
    )


def _batches(server: Server) -> dict[str, Any]:
    """Measure a streamed call of many batches: until the first and the last results."""
    client = ours.client(server.url())

    def once(count: int) -> Taken:
        skus, seen, first = payloads.skus(count * BATCH), 0, 0.0
        started = time.perf_counter()
        for part in client.get_item_quantity_list.stream(skus):
            first = first or time.perf_counter() - started
            seen += len(part)
        last = time.perf_counter() - started
        assert seen == len(skus)
        return {"last": last * 1000, "first": first * 1000}

    return _in_turn(BATCHES, ROUNDS["batches"], once)


def _connections(server: Server) -> dict[str, Any]:
    """Measure a call that mostly waits, over more and more connections."""
    skus = payloads.skus(BATCHES_WITH_LATENCY * BATCH)
    clients = {count: ours.client(server.url(LATENCY), max_connections=count) for count in CONNECTIONS}

    def once(count: int) -> Taken:
        started = time.perf_counter()
        assert len(clients[count].get_item_quantity_list(skus)) == len(skus)
        return {"call": (time.perf_counter() - started) * 1000}

    found = _in_turn(CONNECTIONS, ROUNDS["connections"], once)
    found["ideal"] = [-(-BATCHES_WITH_LATENCY // count) * float(LATENCY) for count in CONNECTIONS]
    return found


def measure() -> dict[str, Any]:
    """Measure all four series once."""
    described = machine.describe()
    with tempfile.TemporaryDirectory() as folder, Server() as server:
        growth = {
            "items": _reading_and_writing(ITEMS, ROUNDS["items"], lambda items: (items, None), Path(folder)),
            "stores": _reading_and_writing(
                STORES, ROUNDS["stores"], lambda stores: (ITEMS_WITH_STORES, stores), Path(folder)
            ),
            "batches": _batches(server),
            "connections": _connections(server),
        }
    return {"when": datetime.now(UTC).isoformat(timespec="seconds"), "machine": described, "growth": growth}


_STYLES = {
    "decode": {"label": "decode, bytes to models", "marker": "o", "color": "#000000"},
    "parse": {"label": "lxml.etree.fromstring alone", "marker": "s", "color": "#707070", "linestyle": "--"},
    "encode": {"label": "encode, models to bytes", "marker": "^", "color": "#707070", "linestyle": ":"},
    "last": {"label": "until the last result", "marker": "o", "color": "#000000"},
    "first": {"label": "until the first results", "marker": "s", "color": "#707070", "linestyle": "--"},
    "call": {"label": "whole call", "marker": "o", "color": "#000000"},
}
_PANELS = {
    "items": ("Items per message", "items", "processor time (ms)"),
    "stores": (f"Stores per item, {ITEMS_WITH_STORES} items", "stores per item", "processor time (ms)"),
    "batches": (f"Batches of {BATCH} SKUs, no latency", "batches", "wall time (ms)"),
    "connections": (
        f"Connections, {BATCHES_WITH_LATENCY} batches at {LATENCY} ms latency",
        "connections (log scale)",
        "wall time (ms, log scale)",
    ),
}


def draw(growth: dict[str, Any], *files: Path) -> None:
    """Draw the four plots in one figure.

    It can be read in grey and on any page, because its background is white.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullLocator, ScalarFormatter

    mpl.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "scaling", "font.size": 9, "font.family": "sans-serif"}
    )
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.6), facecolor="white", layout="constrained")
    for (name, (title, across, up)), panel in zip(_PANELS.items(), axes.flat, strict=True):
        found = growth[name]
        for series, values in found["series"].items():
            middle = [value["median"] for value in values]
            spread = (
                [value["median"] - value["p25"] for value in values],
                [value["p75"] - value["median"] for value in values],
            )
            panel.errorbar(
                found["points"], middle, yerr=spread, markersize=4, linewidth=1.3, capsize=2, **_STYLES[series]
            )
        panel.set(title=title, xlabel=across, ylabel=up, facecolor="white")
        panel.grid(visible=True, color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        if name == "connections":
            panel.plot(found["points"], found["ideal"], "--", color="#707070", label="ideal: waiting alone")
            panel.set_xscale("log", base=2)
            panel.set_yscale("log")
            panel.set_xticks(found["points"])
            panel.set_yticks([200, 400, 800, 1600, 3200])
            for axis in (panel.xaxis, panel.yaxis):
                axis.set_major_formatter(ScalarFormatter())
                axis.set_minor_locator(NullLocator())
        else:
            panel.set_ylim(bottom=0)
            panel.set_xlim(left=0)
        panel.legend(frameon=False, fontsize=8)
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=110, metadata={"Date": None, "Creator": None} if file.suffix == ".svg" else None)
    plt.close(figure)


def sentences(growth: dict[str, Any]) -> list[str]:
    """Return a sentence with the figures of each plot."""

    def median(name: str, series: str, place: int) -> float:
        return float(growth[name]["series"][series][place]["median"])

    def each(series: str, place: int) -> float:
        return median("items", series, place) / ITEMS[place] * 1000

    def per_store(series: str) -> float:
        more = median("stores", series, -1) - median("stores", series, 0)
        return more / ((STORES[-1] - STORES[0]) * ITEMS_WITH_STORES) * 1000

    def over_parser(place: int) -> float:
        return median("items", "decode", place) / median("items", "parse", place)

    def over_ideal(place: int) -> float:
        return median("connections", "call", place) / float(growth["connections"]["ideal"][place])

    hundred = ITEMS.index(100)
    items = (
        f"**Items.** Decoding took {each('decode', hundred):.0f} µs per item at {ITEMS[hundred]} items and "
        f"{each('decode', -1):.0f} µs at {ITEMS[-1]}, which is {over_parser(hundred):.1f} and {over_parser(-1):.1f} "
        f"times the parser alone; encoding took {each('encode', hundred):.1f} and {each('encode', -1):.1f} µs per "
        "update."
    )
    stores = (
        f"**Stores.** Each store added {per_store('decode'):.1f} µs to decoding and {per_store('encode'):.1f} µs to "
        f"encoding, from {STORES[0]} to {STORES[-1]} stores in each of {ITEMS_WITH_STORES} items."
    )
    last, first = median("batches", "last", -1), median("batches", "first", -1)
    batches = (
        f"**Batches.** {BATCHES[-1]} batches took {last:.0f} ms, {last / BATCHES[-1]:.1f} ms each, and "
        f"{BATCHES[1]} took {median('batches', 'last', 1):.0f} ms; the first results of {BATCHES[-1]} batches came "
        f"after {first:.0f} ms, those of {BATCHES[1]} after {median('batches', 'first', 1):.0f} ms."
    )
    connections = (
        f"**Connections.** {BATCHES_WITH_LATENCY} batches took {median('connections', 'call', 0):.0f} ms over "
        f"{CONNECTIONS[0]} connection, {over_ideal(0):.2f} times what waiting alone takes, and "
        f"{median('connections', 'call', -1):.0f} ms over {CONNECTIONS[-1]}, {over_ideal(-1):.2f} times."
    )
    return [items, stores, batches, connections]


def main() -> int:
    """Measure, write the JSON, draw."""
    parser = argparse.ArgumentParser(prog="benchmarks.scaling", description="Measure how our cost grows.")
    parser.add_argument("--json", type=Path, default=RESULT, help="the file to write the figures to")
    parser.add_argument(
        "--plot", type=Path, action="append", help="the file to draw into: .svg or .png, may be repeated"
    )
    parser.add_argument("--redraw", action="store_true", help="measure nothing: draw the JSON file")
    options = parser.parse_args()
    if not options.redraw:
        report = measure()
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    growth = json.loads(options.json.read_text(encoding="utf-8"))["growth"]
    print("\n".join(sentences(growth)))
    try:
        draw(growth, *(options.plot or [PLOT]))
    except ModuleNotFoundError as error:
        print(f"not drawn, {error}: install the extra `notebook`, then run it with --redraw", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
