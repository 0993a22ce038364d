"""Stock and prices from Octopus to Octopia, as one offer package. A dry run unless --send is given.

    python samples/octopus_to_octopia.py --demo                      both services faked on this machine, no account
    python samples/octopus_to_octopia.py SKU-1 SKU-2                 reads Octopus, prints what would be sent
    python samples/octopus_to_octopia.py --prices --tax VAT=20 SKU-1 with prices: Octopia wants the full tax list
    python samples/octopus_to_octopia.py --send SKU-1 SKU-2          sends it and reports per offer

Octopus is configured by OCTOPUS_* variables, Octopia by OCTOPIA_*; only --send needs the latter. Needs the extra
`octopia`, and `emulator` for --demo. An item is matched to an offer by its SKU, which must be the offer's seller
reference.

What it never does: send a stock it could not read, send a price of 0, send anything twice.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from pydantic import SecretStr

from octopus_soap import OctopusClient, OctopusError
from octopus_soap.octopia import (
    OctopiaClient,
    OctopiaCredentials,
    OctopiaError,
    OctopiaSettings,
    OfferPackagePlan,
    OfferUpdate,
    Tax,
    plan_offer_package,
)

CENTS = Decimal("0.01")


@dataclass(frozen=True)
class Bridge:
    """What was read, and what was left out with the reason."""

    updates: tuple[OfferUpdate, ...]
    left_out: tuple[tuple[str, str], ...]


def read_octopus(client: OctopusClient, skus: Sequence[str], taxes: tuple[Tax, ...] | None) -> Bridge:
    """Read stock (and prices, if `taxes` is given) of each SKU once, in the order given.

    Raises:
        OctopusError: Octopus could not be read; then nothing is planned at all.
    """
    wanted = list(dict.fromkeys(skus))  # a reference that stands twice would be rejected twice by Octopia
    quantities = client.get_item_quantity_list(wanted)
    prices: dict[str, Decimal | None] = {}
    if taxes is not None:
        prices = {item.sku: item.price for item in client.get_item_list(wanted) if item.sku is not None}
    updates: list[OfferUpdate] = []
    left_out: list[tuple[str, str]] = []
    for outcome in quantities.outcomes:
        stock = outcome.value.stock if outcome.value is not None else None
        if stock is None:  # unknown is not zero
            left_out.append((outcome.key, f"not sent: {outcome.message or outcome.status.value}"))
            continue
        price = prices.get(outcome.key)
        if taxes is not None and (price is None or price <= 0 or price != price.quantize(CENTS)):
            left_out.append((outcome.key, f"price is {price}, so only its stock is sent"))
            price = None
        updates.append(
            OfferUpdate(
                seller_external_reference=outcome.key,
                quantity=max(stock, 0),  # an oversold item is negative in the shop and sold out in a marketplace
                price=price,
                taxes=taxes if price is not None else None,
            )
        )
    return Bridge(tuple(updates), tuple(left_out))


def show(plan: OfferPackagePlan, bridge: Bridge) -> None:
    """Print what a package would hold."""
    print(plan)
    for update in plan.requests:
        price = "" if update.price is None else f"  price {update.price.quantize(CENTS)}"
        print(f"  {update.seller_external_reference}: stock {update.quantity}{price}")
    for sku, why in bridge.left_out:
        print(f"  {sku}: {why}")


def send(client: OctopiaClient, plan: OfferPackagePlan) -> bool:
    """Send the package, print the outcome per offer, and return whether every offer took it."""
    report = client.send_offer_package(plan, on_package=lambda package_id: print(f"package {package_id} opened"))
    print(f"package {report.package_id}: {report.state}, {len(report.integrated)} of {len(report.sent)} integrated")
    for result in report.refused:
        reasons = "; ".join(f"{m.result_code} {m.message}" for m in result.results)
        print(f"  {result.seller_external_reference}: {result.integration_status} {reasons}")
    for reference in report.unreported:
        print(f"  {reference}: no result yet; read it within 3 days")
    return len(report.integrated) == len(report.sent)


def tax(text: str) -> Tax:
    """Read CODE=VALUE."""
    code, _, value = text.partition("=")
    try:
        return Tax(code, Decimal(value))
    except (InvalidOperation, OctopiaError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not CODE=VALUE, such as VAT=20") from error


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("skus", nargs="*", metavar="SKU")
    parser.add_argument("--send", action="store_true", help="really send; without it nothing is written anywhere")
    parser.add_argument("--prices", action="store_true", help="prices too; needs every --tax they carry")
    parser.add_argument("--tax", action="append", type=tax, default=[], metavar="CODE=VALUE")
    parser.add_argument("--channel", default="CDISFR", help="the sales channel (default: %(default)s)")
    parser.add_argument("--demo", action="store_true", help="against both fakes on this machine")
    given = parser.parse_args(words)
    if given.demo:
        given.skus = given.skus or ["SKU-1", "SKU-2", "SKU-3", "NO-SUCH-SKU"]
    if not given.skus:
        parser.error("name at least one SKU, or use --demo")
    if given.prices != bool(given.tax):
        parser.error("--prices and --tax go together: Octopia wants the full tax list with a price")
    return given


def demo_clients(stack: ExitStack) -> tuple[OctopusClient, OctopiaClient]:
    """Start both fakes with a few items and return a client of each."""
    from octopus_soap.emulator import Emulator  # noqa: PLC0415 - only the demo needs the extra `emulator`
    from octopus_soap.octopia.fake import FakeOctopia  # noqa: PLC0415 - see above
    from octopus_soap.settings import IsolatedSettings  # noqa: PLC0415 - see below

    octopus, octopia = stack.enter_context(Emulator()), stack.enter_context(FakeOctopia())
    octopus.store.add_item("SKU-1", Stock=7, Price=Decimal("19.90"))
    octopus.store.add_item("SKU-2", Stock=-2, Price=Decimal("5.00"))
    octopus.store.add_item("SKU-3", Stock=4)
    reader = stack.enter_context(OctopusClient(settings=IsolatedSettings.load(**octopus.settings())))
    settings = OctopiaSettings(token_url=octopia.token_url, api_url=octopia.api_url, allow_writes=True)
    credentials = OctopiaCredentials(
        client_id=octopia.client_id, client_secret=SecretStr(octopia.client_secret), seller_id=octopia.seller_id
    )
    return reader, stack.enter_context(OctopiaClient(credentials, settings=settings))


def main(words: Sequence[str] | None = None) -> int:
    """Read, plan, show; send only if asked. Return 0 if all is well, 1 if something was left out, 2 on failure."""
    given = arguments(words)
    with ExitStack() as stack:
        try:
            writer: OctopiaClient | None = None
            if given.demo:
                reader, writer = demo_clients(stack)
            else:
                reader = stack.enter_context(OctopusClient())
            bridge = read_octopus(reader, given.skus, tuple(given.tax) if given.prices else None)
            if not bridge.updates:
                print("nothing to send:", *(f"{sku} ({why})" for sku, why in bridge.left_out))
                return 1
            plan = plan_offer_package(bridge.updates, sales_channel_id=given.channel)
            show(plan, bridge)
            if not given.send:
                print("dry run: nothing was sent; add --send to send it")
                return 1 if bridge.left_out else 0
            if writer is None:
                settings = OctopiaSettings.from_env(allow_writes=True)
                writer = stack.enter_context(OctopiaClient.from_env(settings=settings))
            return 0 if send(writer, plan) and not bridge.left_out else 1
        except (OctopusError, OctopiaError) as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
