"""`octopus-soap login` and `octopus-soap profiles`: tables of the profile file.

The file is edited as text, so that comments and other tables do not change. The new text is parsed before it replaces
the old file, whole or not at all, readable by its owner only. Secrets are stored in the file, or with `--keyring` in
the keyring of the system, which a cron job cannot always open.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from octopus_soap.cli.application import Application
from octopus_soap.cli.calling import YesOption, confirmed
from octopus_soap.cli.output import Records, Selection, notice, selecting
from octopus_soap.cli.suggestions import profiles as known_profiles
from octopus_soap.cli.terminal import show_table
from octopus_soap.profile_file import profiles_file

if TYPE_CHECKING:
    from pathlib import Path

app = Application()

_SECRETS = ("authtoken", "accessid", "account_id")
_FIELDS = {
    "endpoint": "Address of the service (https://…/OctopusService.svc)",
    "merchantname": "Merchant name",
    "authtoken": "Auth token",
    "accessid": "Access id",
}
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ANY_TABLE = re.compile(r"\s*\[")

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the profile.", autocompletion=known_profiles)
]


def login(
    *,
    profile: Annotated[
        str,
        typer.Option("--profile", metavar="NAME", help="Name of the profile to write.", autocompletion=known_profiles),
    ] = "default",
    endpoint: Annotated[str | None, typer.Option(metavar="URL", help="Address of the service.")] = None,
    merchantname: Annotated[str | None, typer.Option(metavar="TEXT", help="The merchant's name.")] = None,
    keyring: Annotated[
        bool, typer.Option("--keyring", help="Store the secrets in the keyring of the system, not in the file.")
    ] = False,
    test: Annotated[bool, typer.Option("--test/--no-test", help="Test the credentials before they are stored.")] = True,
) -> None:
    """Ask for endpoint and credentials, test them, and store them as a profile.

    Without a terminal they come from --endpoint, --merchantname and the
    variables OCTOPUS_AUTHTOKEN and OCTOPUS_ACCESSID. The profile file can be
    read by its owner only. Exit code 2: the service does not accept them.
    """
    from octopus_soap.settings import IsolatedSettings  # noqa: PLC0415 - heavy: only inside a command

    store = _keyring() if keyring else None
    given = {"endpoint": endpoint, "merchantname": merchantname}
    values = {name: given.get(name) or os.environ.get(f"OCTOPUS_{name.upper()}") or _asked(name) for name in _FIELDS}
    settings = IsolatedSettings.load(**values)
    if test:
        from octopus_soap.client import OctopusClient  # noqa: PLC0415 - heavy: only inside a command

        with OctopusClient(settings=settings) as client:
            health = client.ping()
        if not health:
            notice(f"not stored: {health.message}. {health.advice}".rstrip(". ") + ". --no-test stores them anyway")
            raise typer.Exit(2)
        notice(f"accepted by {settings.endpoint}" if health.certain else health.message)
    table: dict[str, Any] = {name: value for name, value in values.items() if not keyring or name not in _SECRETS}
    if store is not None:
        for name in set(_SECRETS) & values.keys():
            store.set_password("octopus-soap", f"{profile}:{name}", values[name])
        table["secrets"] = "keyring"
    path = profiles_file()
    _write(path, _without(_read(path), profile).rstrip("\n"), profile, table)
    chosen = "" if profile == "default" else f" --profile {profile}"
    notice(f"stored in {path}; try: octopus-soap items list{chosen}")


def _asked(name: str) -> str:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise typer.BadParameter(f"no terminal to ask for {name}: set OCTOPUS_{name.upper()}", param_hint="login")
    return str(typer.prompt(_FIELDS[name], hide_input=name in _SECRETS, err=True))


def _keyring() -> Any:
    from octopus_soap.settings import system_keyring  # noqa: PLC0415 - heavy: only inside a command

    return system_keyring()


@app.command("list")
@selecting()
def list_profiles(*, selection: Selection) -> None:
    """List the profiles of the profile file."""
    path = profiles_file()
    rows = [
        {
            "profile": name,
            "endpoint": table.get("endpoint"),
            "merchantname": table.get("merchantname"),
            "secrets": table.get("secrets") or ("file" if set(_SECRETS) & table.keys() else None),
        }
        for name, table in _tables(path).items()
    ]

    def shown() -> None:
        if rows:
            show_table("", ["Profile", "Endpoint", "?Merchant", "?Secrets"], [tuple(row.values()) for row in rows])
        else:
            typer.echo(f"no profiles in {path}; octopus-soap login writes one")

    selection.show_whole(Records(rows), shown)


@app.command("show")
@selecting()
def show(name: NameArgument, *, selection: Selection) -> None:
    """Show a profile, without its secrets. Exit code 1: there is no such profile."""
    table = _tables_of(name)[name]
    row = {"profile": name} | {key: "***" if key in _SECRETS else value for key, value in table.items()}
    selection.show_whole(Records([row]), lambda: show_table("", ["Setting", "Value"], list(row.items())))


@app.command("remove")
def remove(name: NameArgument, *, yes: YesOption = False) -> None:
    """Remove a profile and its secrets. Exit code 1: there is no such profile."""
    table = _tables_of(name)[name]
    confirmed(f"Remove the profile {name}?", yes=yes)
    if table.get("secrets") == "keyring":
        store = _keyring()
        for secret in _SECRETS:
            with suppress(Exception):  # the backend may have no secret of that name
                store.delete_password("octopus-soap", f"{name}:{secret}")
    path = profiles_file()
    _write(path, _without(_read(path), name), name, None)
    notice(f"removed from {path}")


def _tables_of(name: str) -> dict[str, dict[str, Any]]:
    tables = _tables(profiles_file())
    if name not in tables:
        notice(f"no profile {name!r} in {profiles_file()}; profiles there: {', '.join(tables) or 'none'}")
        raise typer.Exit(1)
    return tables


# -- the file ----------------------------------------------------------------------------------------------------------


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _tables(path: Path) -> dict[str, dict[str, Any]]:
    return {name: table for name, table in _parsed(_read(path), path).items() if isinstance(table, dict)}


def _parsed(text: str, path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - only inside a command

    from octopus_soap.errors import ConfigError  # noqa: PLC0415 - heavy: only inside a command

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"cannot read the profile file {path}: {error}; correct it by hand") from None


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _without(text: str, name: str) -> str:
    """Return the text of the file without the table *name*."""
    own = re.compile(rf"\s*\[\s*(?:{re.escape(_key(name))}|{re.escape(json.dumps(name))}|'{re.escape(name)}')\s*\]")
    kept: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        if _ANY_TABLE.match(line):
            inside = own.match(line) is not None
        if not inside:
            kept.append(line)
    return "".join(kept)


def _write(path: Path, others: str, name: str, table: dict[str, Any] | None) -> None:
    """Replace the file by *others* and the table *name*; None removes it.

    Raises:
        ConfigError: the edit would change something else in the file.
    """
    from octopus_soap.contracts.compiled import replace_file  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.errors import ConfigError  # noqa: PLC0415 - heavy: only inside a command

    lines = [] if table is None else [f"[{_key(name)}]", *(f"{key} = {json.dumps(v)}" for key, v in table.items()), ""]
    own = "\n".join(lines)
    text = f"{others}\n\n{own}" if others.strip() and own else own or others
    meant = {key: value for key, value in _parsed(_read(path), path).items() if key != name}
    if _parsed(text, path) != meant | ({} if table is None else {name: table}):
        raise ConfigError(f"cannot edit {path} without changing something else; edit it by hand")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, text.encode(), mode=0o600)
