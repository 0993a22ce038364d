"""The options that every command shares that talks to the service: which service, and with which credentials.

```python
@app.command()
@connected
def get(connection: Connection, skus: ...) -> None:
    with connection.client() as client: ...
```
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap.client import OctopusClient
    from octopus_soap.safety import OmittedValues
    from octopus_soap.settings import OctopusSettings

P = ParamSpec("P")
R = TypeVar("R")
OmittedOption = Annotated[
    str | None,
    typer.Option(
        "--omitted-values",
        metavar="MODE|MEMBERS",
        help="What to do about values left out that the service would read as 0: refuse, send or read_first; "
        "or the members that may be left out, such as shipping_total,tax_total.",
        show_default=False,
    ),
]
_PANEL = "Connection (by default from OCTOPUS_* variables, .env or the profile file)"


@dataclass(frozen=True, slots=True)
class Connection:
    """What was given on the command line; None if it was not."""

    endpoint: str | None = None
    authtoken: str | None = None
    merchantname: str | None = None
    accessid: str | None = None
    profile: str | None = None

    def __repr__(self) -> str:
        return f"Connection({self.endpoint!r}, profile={self.profile!r})"  # the rest is secret

    def settings(self) -> OctopusSettings:
        """Return the settings, completed from the other sources.

        Raises:
            ConfigError: a setting is missing or not accepted.
        """
        from octopus_soap.settings import OctopusSettings  # noqa: PLC0415 - heavy: only inside a command

        return OctopusSettings.load(
            endpoint=self.endpoint,
            authtoken=self.authtoken,
            merchantname=self.merchantname,
            accessid=self.accessid,
            profile=self.profile,
        )

    def client(self, omitted_values: str | None = None) -> OctopusClient:
        """Return a client; close it, or use it as a context manager.

        Args:
            omitted_values: what was given for `--omitted-values`. It goes before the settings, for every operation.

        Raises:
            ConfigError: a setting is missing or not accepted.
            typer.BadParameter: *omitted_values* is neither a mode nor names.
        """
        chosen = None if omitted_values is None else _choice_of(omitted_values)
        settings = self.settings()  # first: what they refuse needs no client, which takes longer to import
        from octopus_soap.client import OctopusClient  # noqa: PLC0415 - heavy: only inside a command

        return OctopusClient(settings=settings, omitted_values=chosen)


def _choice_of(text: str) -> OmittedValues | dict[str, OmittedValues | list[str]]:
    """Return the mode, or the members, that a text names.

    Raises:
        typer.BadParameter: it names neither.
    """
    from octopus_soap.safety import OmittedValues  # noqa: PLC0415 - heavy: only inside a command

    if text in set(OmittedValues):
        return OmittedValues(text)
    names = [name.strip() for name in text.split(",")]
    known = _member_names()
    if unknown := [name for name in names if name.replace("_", "").casefold() not in known]:
        modes = ", ".join(OmittedValues)
        raise typer.BadParameter(
            f"{unknown[0]!r} is neither one of {modes}, nor a member of an item, an update or an order",
            param_hint="--omitted-values",
        )
    return {"*": list(names)}


def _member_names() -> set[str]:
    """Return the members of what the commands write, spelt without underscores and in lower case."""
    from octopus_soap import models  # noqa: PLC0415 - heavy: only inside a command

    written = (
        models.InventoryItem, models.StoreStockInfo, models.KitInfo, models.ItemQuantityAndPrice,
        models.OrderSubmit, models.OrderItem,
    )  # fmt: skip
    return {name.replace("_", "") for model in written for name in model.model_fields}


def profiles(incomplete: str) -> list[str]:
    """Return the profiles of the profile file whose names begin as typed; none if it cannot be read."""
    import tomllib  # noqa: PLC0415 - only a shell that completes needs it

    from octopus_soap.settings import profiles_file  # noqa: PLC0415 - only a shell that completes needs it

    try:
        tables = tomllib.loads(profiles_file().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return []
    return [name for name, table in tables.items() if isinstance(table, dict) and name.startswith(incomplete)]


def _option(
    name: str, about: str, metavar: str, completed: Callable[[str], list[str]] | None = None
) -> inspect.Parameter:
    option = typer.Option(
        f"--{name}", help=about, metavar=metavar, rich_help_panel=_PANEL, show_default=False, autocompletion=completed
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, option]
    )


_OPTIONS = (
    _option("endpoint", "Address of the service.", "URL"),
    _option("authtoken", "Secret. Others can see it here; prefer OCTOPUS_AUTHTOKEN.", "TEXT"),
    _option("merchantname", "The merchant's name.", "TEXT"),
    _option("accessid", "Secret. Others can see it here; prefer OCTOPUS_ACCESSID.", "TEXT"),
    _option("profile", "Table of the profile file to use.", "NAME", profiles),
)


def connected(command: Callable[Concatenate[Connection, P], R]) -> Callable[..., R]:
    """Add the shared options to *command*, and pass what was given for them as its first argument."""

    @wraps(command)
    def call(**given: Any) -> R:
        connection = Connection(**{option.name: given.pop(option.name) for option in _OPTIONS})
        own: Callable[..., R] = command
        return own(connection, **given)

    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    keyworded = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    call.__signature__ = inspect.Signature([*keyworded, *_OPTIONS])  # type: ignore[attr-defined] # what typer reads
    return call
