"""The jobs of many merchants: a registry, a schedule, and workers.

Extra `fleet`.

    fleet = Fleet("postgresql://jobs@db.example.com/shops", stock=my_source, orders=my_handler)
    fleet.registry.add("berlin", endpoint=..., merchantname=..., authtoken="env:BERLIN_TOKEN", accessid="env:BERLIN_ID")
    fleet.registry.schedule("berlin", "orders", every=60)
    fleet.run(stop=threading.Event())  # in this process; `octopus-soap fleet worker` runs it on Celery

Purpose. Cron is enough for one merchant's jobs. Hundreds or thousands of merchants need a table of the due runs, and
workers that a slow or broken merchant does not hold up. Registry, schedule and fairness are here. An engine delivers
runs: to threads of one process, or by Celery. The jobs themselves are those of `octopus_soap.jobs`. Because of the
ledger's run lock, a run that is delivered twice ends as `busy`.
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
