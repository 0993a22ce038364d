"""The jobs of many merchants: a registry, a schedule, and workers that run what is due. Extra `fleet`.

    fleet = Fleet("postgresql://jobs@db.example.com/shops", stock=my_source, orders=my_handler)
    fleet.registry.add("berlin", endpoint=..., merchantname=..., authtoken="env:BERLIN_TOKEN", accessid="env:BERLIN_ID")
    fleet.registry.schedule("berlin", "orders", every=60)
    fleet.run(stop=threading.Event())  # in this process; `octopus-soap fleet worker` runs it on Celery

Purpose. One merchant's jobs run well from cron. Hundreds to thousands of them need a table of who is due, and workers
that no slow or broken merchant holds up. Registry, schedule and fairness are here. Delivery to processes is an
engine's: threads of one process, or Celery. The jobs themselves are those of `octopus_soap.jobs`, and the ledger's
run lock is the fence: a run that is delivered twice ends as `busy`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octopus_soap.fleet.engines import LocalEngine
    from octopus_soap.fleet.fleet import Fleet
    from octopus_soap.fleet.registry import Merchant, Registry

_HOME_OF = {
    "Fleet": "octopus_soap.fleet.fleet",
    "LocalEngine": "octopus_soap.fleet.engines",
    "Merchant": "octopus_soap.fleet.registry",
    "Registry": "octopus_soap.fleet.registry",
}

__all__ = ["Fleet", "LocalEngine", "Merchant", "Registry"]


def __getattr__(name: str) -> object:
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
