"""Check twelve promises of the Octopia client against its fake server.

    python samples/octopia_demo.py

Needs the extra `octopia`, but no account. The clock is a counter, so no pause is really waited for.
"""

import asyncio
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pydantic import SecretStr

from octopus_soap.octopia import (
    AsyncOctopiaClient,
    OctopiaClient,
    OctopiaConfigError,
    OctopiaCredentials,
    OctopiaError,
    OctopiaSettings,
    OfferUpdate,
    SellerNotLinkedError,
    TokenCache,
    plan_offer_package,
)
from octopus_soap.octopia.fake import FakeOctopia, bad_gateway, too_many, unauthorized

CHANNEL = "CDISFR"
CROWD = 200


@dataclass
class _Time:
    """A clock that moves only when something sleeps."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list[float])

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


@dataclass(frozen=True)
class _Stage:
    """The parts that every step works with."""

    fake: FakeOctopia
    time: _Time
    client: OctopiaClient
    credentials: OctopiaCredentials
    settings: OctopiaSettings


@contextmanager
def _stage() -> Generator[_Stage]:
    time = _Time()
    with FakeOctopia(clock=time) as fake:
        settings = OctopiaSettings(token_url=fake.token_url, api_url=fake.api_url, allow_writes=True)
        credentials = OctopiaCredentials(
            client_id=fake.client_id, client_secret=SecretStr(fake.client_secret), seller_id=fake.seller_id
        )
        with OctopiaClient(credentials, settings=settings, clock=time, sleep=time.sleep) as client:
            yield _Stage(fake, time, client, credentials, settings)


def run_demo() -> Iterator[tuple[str, bool, str]]:
    """Run every step; yield the promise, whether it was kept, and the evidence."""
    with _stage() as stage:
        for name, step in STEPS:
            try:
                passed, seen = step(stage)
            except OctopiaError as error:
                passed, seen = False, f"{type(error).__name__}: {error}"
            yield name, passed, seen


def _first_call(stage: _Stage) -> tuple[bool, str]:
    seller = stage.client.seller()
    return seller.seller_id == stage.fake.seller_id, f"{seller.shop_name}, {seller.seller_state}"


def _lists(stage: _Stage) -> tuple[bool, str]:
    client = stage.client
    seen = (len(client.addresses()), len(client.subscriptions()), len(client.carriers()), client.indicators().unread)
    return seen == (1, 1, 2, ()), f"{seen[0]} address, {seen[1]} subscription, {seen[2]} carriers, indicators read"


def _orders(stage: _Stage) -> tuple[bool, str]:
    orders, counted = list(stage.client.orders()), stage.client.count_orders()
    ids = {order.order_id for order in orders}
    return len(ids) == len(orders) == counted, f"{len(orders)} orders in pages of 100, counted as {counted}"


def _offers(stage: _Stage) -> tuple[bool, str]:
    offers = list(stage.client.offers(CHANNEL, page_size=100))
    return len(offers) == len(stage.fake.service.offers[stage.fake.seller_id]), f"{len(offers)} offers over three links"


def _one_token(stage: _Stage) -> tuple[bool, str]:
    issued, calls = stage.fake.service.tokens_issued, len(stage.fake.service.recorded)
    return issued == 1, f"{issued} token for the {calls - issued} calls so far"


def _crowd(stage: _Stage) -> tuple[bool, str]:
    before = stage.fake.service.tokens_issued

    async def ask() -> int:
        async with AsyncOctopiaClient(stage.credentials, settings=stage.settings, tokens=TokenCache()) as client:
            return len(await asyncio.gather(*(client.seller() for _ in range(CROWD))))

    answered, asked = asyncio.run(ask()), stage.fake.service.tokens_issued - before
    return (answered, asked) == (CROWD, 1), f"{answered} tasks at once, {asked} token request"


def _renewal(stage: _Stage) -> tuple[bool, str]:
    before = stage.fake.service.tokens_issued
    stage.fake.service.fail("GET /sellers", unauthorized())
    stage.client.seller()
    return stage.fake.service.tokens_issued == before + 1, "refused once, renewed once, answered"


def _patience(stage: _Stage) -> tuple[bool, str]:
    stage.fake.service.fail("GET /carriers", too_many("7"), bad_gateway())
    stage.time.slept.clear()
    stage.client.carriers()
    slept = stage.time.slept
    return len(slept) == 2 and slept[0] >= 7, f"slept {sum(slept):.1f} s (of a counter), then answered"  # noqa: PLR2004 - see above


def _unlinked(stage: _Stage) -> tuple[bool, str]:
    try:
        stage.client.for_seller(stage.fake.unlinked_seller_id).seller()
    except SellerNotLinkedError as error:
        return error.status == 403, f"{error.status}: seller {error.seller_id} is not linked to this client"  # noqa: PLR2004 - forbidden
    return False, "no refusal"


def _package(stage: _Stage) -> tuple[bool, str]:
    known = [OfferUpdate(seller_external_reference=f"SKU-{number}", quantity=number) for number in range(1, 121)]
    unknown = OfferUpdate(seller_external_reference="NO-SUCH-SKU", quantity=1)
    plan = plan_offer_package([*known, unknown], sales_channel_id=CHANNEL)
    report = stage.client.send_offer_package(plan)
    passed = report.finished and len(report.integrated) == len(known) and len(report.refused) == 1
    return passed, f"{plan}: {len(report.integrated)} integrated, {len(report.refused)} refused, {report.package_id}"


def _refused_setting(_: _Stage, changes: dict[str, Any], wanted: str) -> tuple[bool, str]:
    try:
        replace(OctopiaSettings(), **changes)
    except OctopiaConfigError as error:
        return wanted in str(error), str(error)[:90] + "…"
    return False, "accepted"


STEPS: tuple[tuple[str, Callable[[_Stage], tuple[bool, str]]], ...] = (
    ("the first call returns the profile", _first_call),
    ("lists are read", _lists),
    ("orders are paged by index", _orders),
    ("offers are paged by link", _offers),
    ("one token serves all calls", _one_token),
    ("200 tasks at once ask for one token", _crowd),
    ("a 401 renews the token once", _renewal),
    ("429 and 502 are retried after a pause", _patience),
    ("an unlinked seller is explained", _unlinked),
    ("stock is sent as an offer package", _package),
    (
        "the decommissioned address is refused",
        partial(
            _refused_setting, changes={"token_url": "https://oauth2.cdiscount.com/auth"}, wanted="auth.octopia-io.net"
        ),
    ),
    ("TLS verification cannot be turned off", partial(_refused_setting, changes={"verify": False}, wanted="CA bundle")),
)
"""The promises, in the order in which they are printed."""


def main() -> int:
    """Run the demo and print it. Return 0 if every promise was kept."""
    kept = True
    for name, passed, seen in run_demo():
        kept = kept and passed
        print(f"{'ok    ' if passed else 'FAILED'} {name}: {seen}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
