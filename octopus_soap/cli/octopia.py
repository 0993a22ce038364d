"""`octopus-soap octopia`: identify credentials, run a demo, read data.

Secrets are wrapped while the command line is parsed and never printed. Prefer variables: other users of the machine can
see command-line arguments.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import BaseModel, SecretStr

from octopus_soap._http import one_line
from octopus_soap.cli.application import Application
from octopus_soap.cli.output import Records, Selection, notice, selecting
from octopus_soap.cli.terminal import show_table
from octopus_soap.octopia import (
    CredentialKind,
    Identification,
    OctopiaClient,
    OctopiaError,
    OctopiaSettings,
    OfferUpdate,
    OrderFilter,
    identify,
    plan_offer_package,
)
from octopus_soap.octopia.fake import FakeOctopia

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

app = Application(
    name="octopia", help="The Octopia (Cdiscount) seller API: another company than Octopus. Start with whoami or demo."
)

Have = Annotated[
    list[str] | None, typer.Option("--have", metavar="NAME", help="The name of a value you have, not the value.")
]
SellerOption = Annotated[str | None, typer.Option(envvar="OCTOPIA_SELLER_ID", metavar="ID", help="The seller id.")]
ClientOption = Annotated[str | None, typer.Option(envvar="OCTOPIA_CLIENT_ID", metavar="ID", help="The client id.")]
ClientSecretOption = Annotated[
    SecretStr | None,
    typer.Option(parser=SecretStr, envvar="OCTOPIA_CLIENT_SECRET", metavar="SECRET", help="The client secret."),
]
LoginOption = Annotated[str | None, typer.Option(envvar="OCTOPIA_LOGIN", metavar="TEXT", help="A value called login.")]
PasswordOption = Annotated[
    SecretStr | None,
    typer.Option(parser=SecretStr, envvar="OCTOPIA_PASSWORD", metavar="SECRET", help="A value called password."),
]
AuthTokenOption = Annotated[
    SecretStr | None, typer.Option("--authtoken", parser=SecretStr, metavar="SECRET", help="A value called authtoken.")
]
MerchantOption = Annotated[
    str | None, typer.Option("--merchantname", metavar="TEXT", help="A value called merchantname.")
]
AccessOption = Annotated[
    SecretStr | None, typer.Option("--accessid", parser=SecretStr, metavar="SECRET", help="A value called accessid.")
]
UseOption = Annotated[
    CredentialKind | None,
    typer.Option(
        "--for",
        metavar="KIND",
        help=f"What the values are for, if you know: {', '.join(CredentialKind)}.",
        case_sensitive=False,
    ),
]
Limit = Annotated[int, typer.Option(min=1, metavar="COUNT", help="Rows shown at most.")]
Status = Annotated[list[str] | None, typer.Option(metavar="STATUS", help="Only orders in this state. Can be repeated.")]
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="The sales channel.")]


@app.command()
def whoami(
    *,
    seller_id: SellerOption = None,
    client_id: ClientOption = None,
    client_secret: ClientSecretOption = None,
    login: LoginOption = None,
    password: PasswordOption = None,
    authtoken: AuthTokenOption = None,
    merchantname: MerchantOption = None,
    accessid: AccessOption = None,
    have: Have = None,
    use: UseOption = None,
) -> None:
    """Show your kind of credential, what it can do and what to do next.

    Nothing is sent. Give the values by option or environment, or only their names: --have clientId --have clientSecret.
    """
    values: dict[str, str | SecretStr | None] = dict.fromkeys(have or (), "value held")
    given: dict[str, str | SecretStr | None] = {
        "sellerId": seller_id,
        "clientId": client_id,
        "clientSecret": client_secret,
        "login": login,
        "password": password,
        "authtoken": authtoken,
        "merchantname": merchantname,
        "accessid": accessid,
    }
    values |= {name: value for name, value in given.items() if value is not None}
    with _reported():
        found = identify(values, use=use)
    _describe(found)
    if found.kind is CredentialKind.UNKNOWN:
        raise typer.Exit(1)


@app.command()
def demo() -> None:
    """Run three steps of the client against a local fake server, without an account."""
    rows: list[tuple[str, str, str]] = []
    with _reported(), FakeOctopia() as fake:
        settings = OctopiaSettings.from_env(fake.environ(), allow_writes=True)
        with OctopiaClient.from_env(fake.environ(), settings=settings) as client:
            for name, step in _STEPS:
                passed, seen = step(client)
                rows.append((name, "ok" if passed else "failed", seen))
    show_table("Octopia against the fake server", ["%Step", "Kept", "Seen"], rows)
    if any(kept == "failed" for _, kept, _ in rows):
        raise typer.Exit(1)


def _first_call(client: OctopiaClient) -> tuple[bool, str]:
    seller = client.seller()
    return seller.seller_id == client.seller_id, f"{seller.shop_name}, {seller.seller_state}"


def _all_orders(client: OctopiaClient) -> tuple[bool, str]:
    listed, counted = len(list(client.orders())), client.count_orders()
    return listed == counted, f"{listed} orders in pages of 100; the count is {counted}"


def _stock_package(client: OctopiaClient) -> tuple[bool, str]:
    references = ("SKU-1", "SKU-2", "NO-SUCH-SKU")
    updates = [OfferUpdate(seller_external_reference=reference, quantity=7) for reference in references]
    report = client.send_offer_package(plan_offer_package(updates, sales_channel_id="CDISFR"))
    seen = f"{len(report.integrated)} integrated, {len(report.refused)} refused: {report.package_id}"
    return report.integrated == references[:2] and len(report.refused) == 1, seen


_STEPS: tuple[tuple[str, Callable[[OctopiaClient], tuple[bool, str]]], ...] = (
    ("the first call gives the profile", _first_call),
    ("orders are listed page by page", _all_orders),
    ("stock goes out as an offer package", _stock_package),
)


@app.command()
@selecting()
def sellers(*, selection: Selection) -> None:
    """Make the first call: print the profile of the seller in OCTOPIA_* variables."""
    with _reported(), OctopiaClient.from_env() as client:
        profile = client.seller()
    rows = list(profile.model_dump(exclude_none=True).items())
    selection.show_whole(_records([profile]), lambda: show_table("Seller", ["Field", "Value"], rows))


@app.command()
@selecting()
def orders(status: Status = None, limit: Limit = 20, *, selection: Selection) -> None:
    """Print the first orders."""
    with _reported(), OctopiaClient.from_env() as client:
        which = OrderFilter(status=tuple(status or ()))
        found = list(islice(client.orders(which, page_size=min(limit, 100)), limit))
    rows = ((o.order_id, o.status, o.created_at, o.currency_code, len(o.lines)) for o in found)
    columns = ["Order", "Status", "Created", "Currency", "#Lines"]
    selection.show_whole(_records(found), lambda: show_table("Orders", columns, rows))


@app.command()
@selecting()
def offers(channel: Channel = "CDISFR", limit: Limit = 20, *, selection: Selection) -> None:
    """Print the first offers on a sales channel."""
    with _reported(), OctopiaClient.from_env() as client:
        found = list(islice(client.offers(channel, page_size=min(limit, 1000)), limit))
    rows = ((o.seller_external_reference, o.offer_id, o.offer_state, o.updated_at) for o in found)
    columns = ["Reference", "Offer", "State", "Updated"]
    selection.show_whole(_records(found), lambda: show_table("Offers", columns, rows))


def _records(models: Iterable[BaseModel]) -> Records:
    """Return models as records, with every member that has a value."""
    return Records([model.model_dump(exclude_none=True) for model in models])


@contextmanager
def _reported() -> Generator[None]:
    """Print an error as one line and end with exit code 2."""
    try:
        yield
    except OctopiaError as error:
        notice(f"{type(error).__name__}: {one_line(str(error))}")
        raise typer.Exit(2) from None  # the message has it all


def _describe(found: Identification) -> None:
    advice = found.guidance
    sure = "yes" if found.certain else f"no; may also be {', '.join(found.candidates[1:]) or 'something else'}"
    rows = [
        ("Kind", f"{found.kind} [facts graded {advice.grade}]"),
        ("Certain", sure),
        ("Because", found.why),
        ("What it is", advice.what),
        ("Can do", advice.can_do),
        ("Obtained", advice.obtained),
        ("Missing", ", ".join(found.missing)),
        *(("Look at", warning) for warning in found.warnings),
        ("Not known", ", ".join(found.unrecognised)),
        *((f"Next {number}", step) for number, step in enumerate(advice.next_steps, 1)),
    ]
    show_table(advice.title, ["", ""], [row for row in rows if row[1]])
