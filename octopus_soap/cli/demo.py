"""`octopus-soap demo`: run a shop's whole sync against a local fake server."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from octopus_soap.cli.terminal import show_table, terminal

if TYPE_CHECKING:
    from collections.abc import Generator

    from octopus_soap.demo.compare import Difference
    from octopus_soap.demo.retail import Reading, Shop
    from octopus_soap.demo.run import Outcome, Watch

_FIRST = 3  # line numbers shown per reason
_WIDE = 110  # a terminal with this many columns shows the operations too
_DIFFERENCES = 50  # shown at most; more probably have the same cause


def demo(
    *,
    retail_csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Order lines in the format of the UCI 'Online Retail' data set, plain or gzip."
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Against a service whose value types cannot be null, and are 0 if they are left out."
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV file to write every skipped line to, with its number and reason."),
    ] = None,
) -> None:
    """Run a shop's whole sync against a local fake server.

    It uploads the catalogue, pushes stock and prices, checks them, reads and
    clears the change list, submits the invoices as orders, downloads and confirms
    them, and compares the result with the input. Without a file it uses a small
    invented shop. Exit code 1: there are differences.
    """
    from octopus_soap.demo.retail import (  # noqa: PLC0415 - heavy
        as_lines,
        build_shop,
        read_retail,
        small_shop,
        sort_lines,
    )
    from octopus_soap.demo.run import run_demo  # noqa: PLC0415 - heavy: only inside a command

    reading = read_retail(retail_csv) if retail_csv else sort_lines(as_lines(small_shop()))
    reading.check()
    shop = build_shop(reading.sold, (line.code for line in reading.dirty))
    name = str(retail_csv) if retail_csv else "a small invented shop (--retail-csv FILE uses your own)"
    typer.echo(f"{name}: {reading.total:,} lines")
    if report is not None:  # before the run, so that it exists if the run fails
        _write_report(report, reading)
    with _progress() as watch:
        outcome = run_demo(shop, watch, strict=strict)
    _show_steps(outcome)
    _show_lines(reading, shop, report)
    _show_differences(outcome.differences)
    if outcome.differences:
        raise typer.Exit(1)


@contextmanager
def _progress() -> Generator[Watch]:
    """Show a progress bar on stderr, in a terminal only."""
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415 - costs as much as all of --help

    console = terminal(errors=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda name, done, total: bar.update(task, description=name, completed=done, total=total or None)


def _show_steps(outcome: Outcome) -> None:
    wide = terminal().width >= _WIDE
    columns = ["Step", *(["Operation"] if wide else []), "#Calls", "#Items", "#Batches", "#Rejected", "#Seconds"]
    rows: list[tuple[object, ...]] = [
        (
            s.name,
            *([s.operation] if wide else []),
            f"{s.calls:,}",
            f"{s.items:,}",
            s.batches or "",
            s.rejected,
            f"{s.seconds:.2f}",
        )
        for s in outcome.steps
    ]
    calls, seconds = sum(s.calls for s in outcome.steps), sum(s.seconds for s in outcome.steps)
    rows.append(("all", *([""] if wide else []), f"{calls:,}", "", "", "", f"{seconds:.2f}"))
    show_table("", columns, rows)


def _show_lines(reading: Reading, shop: Shop, report: Path | None) -> None:
    rows: list[tuple[str, str, str]] = [("sold", f"{len(reading.sold):,}", "")]
    for reason, lines in reading.buckets.items():
        more = ", …" if len(lines) > _FIRST else ""
        numbers = ", ".join(str(line.number) for line in lines[:_FIRST])
        rows.append((reason.value, f"{len(lines):,}", f"{numbers}{more}"))
    rows.append(("all", f"{len(reading.sold) + len(reading.dirty):,}", f"{reading.total:,} lines read"))
    show_table("", ["Lines", "#Count", "First at line"], rows)
    where = f"; all of them in {report}" if report is not None else "; --report FILE lists all of them"
    typer.echo(f"{len(reading.dirty):,} lines are skipped, by number and reason{where if reading.dirty else ''}.")
    if shop.case_twins:
        typer.echo(f"{shop.case_twins} codes differ from another code only by case; they are separate items.")


def _show_differences(differences: list[Difference]) -> None:
    console = terminal()
    for difference in differences[:_DIFFERENCES]:
        console.print(f"different: {difference}", soft_wrap=True)
    if len(differences) > _DIFFERENCES:
        console.print(f"… and {len(differences) - _DIFFERENCES:,} more")
    typer.echo(f"{len(differences):,} differences" if differences else "no differences")


def _write_report(path: Path, reading: Reading) -> None:
    with path.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        rows = csv.writer(file)
        rows.writerow(["line", "reason", "also", "detail", "in the file"])
        for line in reading.dirty:
            first, *others = line.reasons
            rows.writerow([line.number, first.value, "; ".join(others), line.detail, " | ".join(line.cells)])
