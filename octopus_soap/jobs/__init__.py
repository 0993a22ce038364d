"""Jobs that survive crashes, because a database records their progress.

    with OctopusClient() as client, Ledger("shop.db") as ledger:
        report = StockPush(client, ledger).run("stock.csv")

Extra `jobs`; a ledger on PostgreSQL needs the extra `postgres` too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octopus_soap.jobs.changes import Change, ChangeFeed
    from octopus_soap.jobs.handlers import DestinationError
    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.jobs.order_delivery import OrderDelivery
    from octopus_soap.jobs.orders import OrderInbox
    from octopus_soap.jobs.push import StockPush
    from octopus_soap.jobs.reports import Report, every

_HOMES = {
    "changes": ["Change", "ChangeFeed"],
    "handlers": ["DestinationError"],
    "ledger": ["Ledger"],
    "order_delivery": ["OrderDelivery"],
    "orders": ["OrderInbox"],
    "push": ["StockPush"],
    "reports": ["Report", "every"],
}
_HOME_OF = {name: f"octopus_soap.jobs.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "Change", "ChangeFeed", "DestinationError", "Ledger", "OrderDelivery", "OrderInbox", "Report", "StockPush", "every",
]  # fmt: skip # read as a list of names


def __getattr__(name: str) -> object:
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
