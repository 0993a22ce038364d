"""Send stock and prices from Octopus to Octopia, as one offer package.

    python samples/octopus_to_octopia.py --demo                      two fake services, no account needed
    python samples/octopus_to_octopia.py SKU-1 SKU-2                 reads Octopus, prints what it would send
    python samples/octopus_to_octopia.py --prices --tax VAT=20 SKU-1 adds prices, with every tax they include
    python samples/octopus_to_octopia.py --send SKU-1 SKU-2          sends it, prints the result of each offer

It is a dry run without --send. It reads OCTOPUS_* variables, and OCTOPIA_* variables with --send. Needs the extra
`octopia`, and `emulator` for --demo. Each SKU must be the seller reference of its offer at Octopia.

It never sends a stock that it could not read, never a price of 0, and nothing twice.
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
    """The updates to send, and the SKUs left out with the reasons."""

    updates: tuple[OfferUpdate, ...]
    left_out: tuple[tuple[str, str], ...]


def read_octopus(client: OctopusClient, skus: Sequence[str], taxes: tuple[Tax, ...] | None) -> Bridge:
    """Read the stock of each SKU once, in the order given.

    Prices are read only if `taxes` is given.

    Raises:
        OctopusError: Octopus could not be read; then nothing is planned.
    """
    wanted = list(dict.fromkeys(skus))  # Octopia rejects both of two equal references
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
                quantity=max(stock, 0),  # an oversold item has a negative stock at Octopus, and is sold out at Octopia
                price=price,
                taxes=taxes if price is not None else None,
            )
        )
    return Bridge(tuple(updates), tuple(left_out))


def show(plan: OfferPackagePlan, bridge: Bridge) -> None:
    """Print what the package contains."""
    print(plan)
    for update in bridge.updates:
        price = "" if update.price is None else f"  price {update.price.quantize(CENTS)}"
        print(f"  {update.seller_external_reference}: stock {update.quantity}{price}")
    for sku, why in bridge.left_out:
        print(f"  {sku}: {why}")


def send(client: OctopiaClient, plan: OfferPackagePlan) -> bool:
    """Send the package and print the result; True if every offer was updated."""
    report = client.send_offer_package(plan, on_package=lambda package_id: print(f"package {package_id} opened"))
    print(f"package {report.package_id}: {report.state}, {len(report.integrated)} of {len(report.sent)} integrated")
    for result in report.refused:
        reasons = "; ".join(f"{m.result_code} {m.message}" for m in result.results)
        print(f"  {result.seller_external_reference}: {result.integration_status} {reasons}")
    for reference in report.unreported:
        print(f"  {reference}: no result yet; read it within 3 days")
    return len(report.integrated) == len(report.sent)


def tax(text: str) -> Tax:
    """Parse CODE=VALUE."""
    code, _, value = text.partition("=")
    try:
        return Tax(code, Decimal(value))
    except (InvalidOperation, OctopiaError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not CODE=VALUE, such as VAT=20") from error


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("skus", nargs="*", metavar="SKU")
    parser.add_argument("--send", action="store_true", help="send the package; without it nothing is written anywhere")
    parser.add_argument(
        "--prices", action="store_true", help="send prices too; needs a --tax for each tax they include"
    )
    parser.add_argument("--tax", action="append", type=tax, default=[], metavar="CODE=VALUE")
    parser.add_argument("--channel", default="CDISFR", help="the sales channel (default: %(default)s)")
    parser.add_argument("--demo", action="store_true", help="run against two fake services on this machine")
    given = parser.parse_args(argv)
    if given.demo:
        given.skus = given.skus or ["SKU-1", "SKU-2", "SKU-3", "NO-SUCH-SKU"]
    if not given.skus:
        parser.error("name at least one SKU, or use --demo")
    if given.prices != bool(given.tax):
        parser.error("--prices and --tax go together: Octopia needs every tax with a price")
    return given


def demo_clients(stack: ExitStack) -> tuple[OctopusClient, OctopiaClient]:
    """Start both fake services with a few items, and return a client of each."""
    from octopus_soap.emulator import Emulator  # noqa: PLC0415 - only the demo needs the extra `emulator`
    from octopus_soap.octopia.fake import FakeOctopia  # noqa: PLC0415 - see above
    from octopus_soap.settings import IsolatedSettings  # noqa: PLC0415 - ignores OCTOPUS_* variables

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


def main(argv: Sequence[str] | None = None) -> int:
    """Read, plan, print and, with --send, send.

    Returns:
        0 if every SKU is in the package, 1 if some were left out or refused, 2 on a failure.
    """
    given = arguments(argv)
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
