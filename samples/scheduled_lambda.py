"""List the SKUs that run low, in a scheduled serverless function (AWS Lambda).

    python samples/scheduled_lambda.py --demo        against the emulator, no account needed

Handler: `scheduled_lambda.handler`. Event: `{"skus": ["A", "B"], "at_most": 5}`. Reads OCTOPUS_* variables; let the
platform fill OCTOPUS_AUTHTOKEN and OCTOPUS_ACCESSID from its secret store. Package: `pip install octopus-soap --target
package`, no extra.

There is one client per container. It is built while the container starts, and stays open between invocations. If the
service closed its connections while the container was frozen, reads are repeated on a new connection. The cost of a
cold start, as the median of 9 fresh processes with CPython 3.11 on two shared virtual cores: 0.30 s to import the
client and 0.16 s to build it (most of both is zeep and the contract), 9 ms for the first call of a service on the same
machine, 2 ms for each further call. On a fraction of a core it takes proportionally longer.

No request may take longer than the time that is left, so the function answers before the platform kills it. SKUs that
it had no time for are returned as `left`, for the next invocation.
"""

import argparse
import json
import logging
import os
import sys
from functools import cache
from typing import Any, Protocol

from octopus_soap import OctopusClient

MARGIN = 2.0
"""Seconds reserved for returning the answer."""
CHUNK = 1_000
"""SKUs between two checks of the time that is left: ten requests of 100, in parallel."""

log = logging.getLogger("stock_watch")


class LambdaContext(Protocol):
    """The part of the platform's context object that is used here."""

    def get_remaining_time_in_millis(self) -> int: ...


@cache
def shop() -> OctopusClient:
    """Return the container's client."""
    return OctopusClient()


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    shop()  # built at start, so that a wrong setting fails the deployment, not the first invocation


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the SKUs that run low, are unknown, or are left for the next invocation.

    Args:
        event: `skus`, and `at_most`: the highest stock that counts as low (default 0).
        context: the platform's; its remaining time limits every request.

    Raises:
        OctopusError: the service failed; the platform counts the invocation as failed, and the schedule repeats it.
    """
    skus: list[str] = list(dict.fromkeys(event["skus"]))
    low: dict[str, int] = {}
    unknown: list[str] = []
    for start in range(0, len(skus), CHUNK):
        seconds = context.get_remaining_time_in_millis() / 1000 - MARGIN
        if seconds <= 0:
            log.warning("no time for %d of %d SKUs", len(skus) - start, len(skus))
            return {"low": low, "unknown": unknown, "left": skus[start:]}
        limit = min(seconds, shop().settings.total_timeout)
        result = shop().with_options(total_timeout=limit).get_item_quantity_list(skus[start : start + CHUNK])
        for outcome in result.outcomes:
            stock = outcome.value.stock if outcome.value is not None else None
            if stock is None:  # unknown is not zero
                unknown.append(outcome.key)
            elif stock <= event.get("at_most", 0):
                low[outcome.key] = stock
    return {"low": low, "unknown": unknown, "left": []}


class _DemoContext:
    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def demo() -> dict[str, Any]:
    """Invoke the handler twice in one container, against the emulator."""
    from octopus_soap.emulator import Emulator  # noqa: PLC0415 - only the demo needs the extra `emulator`

    with Emulator() as service:
        for number, stock in enumerate([12, 3, 0, 40]):
            service.store.add_item(f"SKU-{number}", Stock=stock)
        os.environ.update({f"OCTOPUS_{name.upper()}": value for name, value in service.settings().items()})
        event = {"skus": ["SKU-0", "SKU-1", "SKU-2", "SKU-3", "NO-SUCH-SKU"], "at_most": 5}
        handler(event, _DemoContext())
        answer = handler(event, _DemoContext())  # warm: the same client, the same connection
        shop().close()
    return answer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", action="store_true", required=True, help="invoke it against the emulator")
    parser.parse_args()
    json.dump(demo(), sys.stdout, indent=2)
    print()
