"""`octopus-soap wsdl`: pin the live contract, and compare contracts."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from octopus_soap._http import one_line
from octopus_soap.cli.application import Application
from octopus_soap.cli.calling import Connection, connected
from octopus_soap.cli.output import Output, Records, Selection, selecting, show_json
from octopus_soap.cli.terminal import show_table
from octopus_soap.profile_file import profiles_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.text import Text

    from octopus_soap.contracts.diff import Difference
    from octopus_soap.contracts.wsdl import Contract
    from octopus_soap.settings import OctopusSettings
    from octopus_soap.transport.probes import FetchedContract

app = Application()

UrlOption = Annotated[
    str,
    typer.Option(
        "--url", metavar="URL", help="Address of the WSDL or service. Default: the endpoint.", show_default=False
    ),
]
_NOTHING = "(nothing)"
_TITLES = {  # by the values of `contracts.diff.Effect`, which --help does not load
    "breaks": "Breaks: cannot be called or sent",
    "care": "Needs care: works, but look at it or decide",
    "followed": "Followed: handled automatically once the contract is pinned and in use",
}
_COUNTED = {"breaks": "break", "care": "need care", "followed": "are followed"}
_SHOWN = 5  # types or members named in a row of the table; JSON has all


@app.command("pin")
@connected
def pin(
    connection: Connection,
    *,
    url: UrlOption = "",
    to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder to store it in. Default: one per host.")
    ] = None,
) -> None:
    """Fetch and store the service's contract, and compare it with the bundled one.

    It is not fetched again. To use it, set OCTOPUS_WSDL to the stored file.
    """
    from octopus_soap._http import is_loopback  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.contracts.diff import compare  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.contracts.pin import pinned_files, pinned_folder, tried_contract, write_contract  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.contracts.wsdl import load_contract  # noqa: PLC0415 - heavy: only inside a command

    source = _Source.of(connection, url)
    fetched = source.fetch(url)
    files = pinned_files(fetched.documents, f"Pinned by octopus-soap on {datetime.now(UTC):%Y-%m-%d}: {fetched.url}")
    contract = tried_contract(files)
    path = write_contract((to or pinned_folder(fetched.url)).expanduser().resolve(), files)
    notes = [*source.notes, *fetched.notes]
    if is_loopback(fetched.url):
        notes.append("Note: this contract is from this machine. It proves nothing about any other service.")
    _echo(f"Pinned {fetched.url}", f"to     {path}", *notes, "", *_usage(path), "")
    _advise(contract)
    _echo("Compared with the bundled contract:")
    _show(compare(load_contract(), contract))


@app.command("diff")
@connected
@selecting()
def diff(
    connection: Connection,
    *,
    url: UrlOption = "",
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="A WSDL file instead of the live WSDL.")] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The pinned WSDL to compare with. Default: the bundled one.", show_default=False
        ),
    ] = None,
    selection: Selection,
) -> None:
    """Compare a live or local contract with the bundled or a pinned one.

    Exit code 0: the same, 1: different, 2: cannot be compared.
    """
    from octopus_soap.contracts.diff import compare, examined  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.contracts.pin import parse_document, pinned_files, tried_contract  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.contracts.wsdl import load_contract  # noqa: PLC0415 - heavy: only inside a command

    notes: list[str] = []
    if file is not None:
        if url:
            raise typer.BadParameter("give --url or --file, not both")
        parse_document(file.read_bytes(), str(file))
        where, contract = str(file), examined(file)
    else:
        source = _Source.of(connection, url)
        fetched = source.fetch(url)
        notes += [*source.notes, *fetched.notes]
        where, contract = fetched.url, tried_contract(pinned_files(fetched.documents, ""))
    if against is None:
        base, found = "the bundled contract", compare(load_contract(), contract)
    else:
        base, found = str(against), compare(examined(against), contract, known={})
    if selection.output is Output.JSON and not selection.narrowed:
        compared = {"contract": where, "compared_with": base, "same": not found, "notes": notes}
        show_json(selection.trimmed({**compared, "differences": [asdict(d) for d in found]}))
    else:
        records = Records([asdict(difference) for difference in found])
        selection.show_whole(records, lambda: _show_diff(where, base, notes, found))
    if found:
        raise typer.Exit(1)


# -- where a contract comes from ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Source:
    """Settings to fetch with; *anonymous* if credentials are not sent, with a note."""

    settings: OctopusSettings
    anonymous: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, connection: Connection, url: str) -> _Source:
        """Return the source of *url*, or of the configured endpoint if it is empty.

        Credentials are sent to the endpoint's origin only.

        Raises:
            ConfigError: settings are not accepted, or are missing and there is no *url*.
        """
        from octopus_soap.errors import ConfigError  # noqa: PLC0415 - heavy: only inside a command

        if not url:
            return cls(connection.settings())
        try:
            settings = connection.settings()
        except ConfigError:
            return cls._without_endpoint(connection, url)
        if _origin(url) == _origin(settings.endpoint):
            return cls(settings)
        note = (
            f"Note: sent no credentials: they are for {_origin(settings.endpoint)[1]}. To send them, give --endpoint."
        )
        return cls(settings.changed(endpoint=url), anonymous=True, notes=(note,))

    @classmethod
    def _without_endpoint(cls, connection: Connection, url: str) -> _Source:
        from octopus_soap.errors import ConfigError  # noqa: PLC0415 - heavy: only inside a command

        connection = replace(connection, endpoint=url)
        try:
            return cls(connection.settings())
        except ConfigError:
            anonymous = replace(connection, authtoken="none", merchantname="none", accessid="none")
            note = "Note: sent no credentials: none are configured."
            return cls(anonymous.settings(), anonymous=True, notes=(note,))

    def fetch(self, url: str) -> FetchedContract:
        """Fetch the contract; raise `OctopusError` if that fails."""
        from octopus_soap.transport.probes import ContractFetcher  # noqa: PLC0415 - heavy: only inside a command

        return ContractFetcher(self.settings, anonymous=self.anonymous).fetch(url)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


# -- what is printed ---------------------------------------------------------------------------------------------------


def _advise(contract: Contract) -> None:
    """Show what writes may not leave out under *contract*, and a recommendation."""
    from octopus_soap.contracts.diff import COST, omissions, recommended  # noqa: PLC0415 - heavy: only inside a command

    if found := omissions(contract):
        _echo(
            "Writes under this contract: the service would read these members as 0 or false if they are left out.",
            *(f"  {each}" for each in found),
            "Until you choose, a write that leaves one out is refused. We recommend:",
            f"  {recommended(found)}",
            COST,
            "",
        )


def _usage(path: Path) -> list[str]:
    quoted = json.dumps(str(path), ensure_ascii=False)  # reads the same in Python and in TOML
    return [
        "To use it, set one of:",
        f"  export OCTOPUS_WSDL={shlex.quote(str(path))}",
        f"  OctopusClient(wsdl={quoted})",
        f"  wsdl = {quoted}",
        f"    in your table of {profiles_file()}",
    ]


def _show_diff(where: str, base: str, notes: list[str], found: list[Difference]) -> None:
    _echo(f"{where}, compared with {base}:", *notes)
    _show(found)


def _show(found: Iterable[Difference]) -> None:
    differences = list(found)
    for effect, title in _TITLES.items():
        if rows := _rows([difference for difference in differences if difference.effect == effect]):
            show_table(title, ["%Where", "There → here", "What it means"], rows)
    if not differences:
        _echo("No difference: operations, parameters, members, types, namespaces and order are the same.")
        return
    counts = {effect: sum(d.effect == effect for d in differences) for effect in _COUNTED}
    counted = ", ".join(f"{count} {_COUNTED[effect]}" for effect, count in counts.items() if count)
    _echo(f"{len(differences)} differences: {counted}.")


def _rows(found: list[Difference]) -> list[tuple[str, Text, str]]:
    """Return rows, each for equal differences of members of a type, then of types."""
    from rich.text import Text  # noqa: PLC0415 - heavy: only to print

    from octopus_soap.contracts.diff import Kind  # noqa: PLC0415 - heavy: only inside a command

    by_type: dict[tuple[str, ...], list[Difference]] = {}
    for difference in found:
        # A different order is shown for one type only, because the types that follow are alike.
        seen = ("", "") if difference.kind is Kind.ORDER else (difference.ours, difference.theirs)
        label = difference.where.partition(".")[0]
        by_type.setdefault((label, difference.kind, *seen, difference.meaning), []).append(difference)
    alike: dict[tuple[str, ...], dict[str, Difference]] = {}
    for (label, *same), group in by_type.items():
        names = [difference.where.partition(".")[2] for difference in group]
        alike.setdefault((_listed(names), *same), {})[label] = group[0]
    rows: list[tuple[str, Text, str]] = []
    for (members, *_), labels in alike.items():
        first = next(iter(labels.values()))
        glue = "." if len(labels) == 1 and "," not in members else ": "
        where = f"{_listed(list(labels))}{glue}{members}" if members else _listed(list(labels))
        both = "\n→ ".join(one_line(side or _NOTHING) for side in (first.ours, first.theirs))
        rows.append((where, Text(both), first.meaning))
    return rows


def _listed(names: list[str]) -> str:
    more = f", … ({len(names)})" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _echo(*lines: str) -> None:
    for line in lines:
        typer.echo(one_line(line))
