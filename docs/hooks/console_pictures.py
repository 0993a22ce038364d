# ruff: noqa: INP001 - run as a script: python docs/hooks/console_pictures.py
"""Take the pictures of `docs/console.md` from running consoles.

It needs Debian's Chromium. The last call has `Price` after `Sku`, so the service ignores it.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
import uvicorn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.console_fleet import fill  # noqa: E402 - found by the line above
from octopus_soap import OctopusClient, OctopusError  # noqa: E402 - as above
from octopus_soap.console import emulator_console, fleet_console  # noqa: E402 - as above
from octopus_soap.emulator import Emulator  # noqa: E402 - as above
from octopus_soap.fleet import Registry  # noqa: E402 - as above
from octopus_soap.jobs import Ledger  # noqa: E402 - as above
from tests.console.browser import chromium  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES = ROOT / "docs" / "img"
_BODY = (
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
    '<UpdateItemQuantityAndPrice xmlns="http://tempuri.org/"><accountID>{accessid}</accountID>'
    '<iQP xmlns:q="http://schemas.datacontract.org/2004/07/OctopusService"><q:Sku>DEMO-0001</q:Sku><q:Price>9.50</q:Price>'
    "<q:Stock>12</q:Stock></iQP></UpdateItemQuantityAndPrice></soap:Body></soap:Envelope>"
)


def calls(service: Emulator) -> None:
    """Make the calls that the first picture shows."""
    settings = service.settings()
    with OctopusClient(**settings) as client:
        client.get_item_list(["DEMO-0001", "DEMO-0002"])
        client.get_order_list()
        client.is_sku_exist("DEMO-0001")
        service.script.on("GetItemQuantity").do(*service.script.add("fault").faults)
        with suppress(OctopusError):
            client.get_item_quantity("DEMO-0007")
        service.script.clear()
    headers = {name: settings[name] for name in ("authtoken", "merchantname", "accessid")}
    headers["SOAPAction"] = '"http://tempuri.org/IOctopusService/UpdateItemQuantityAndPrice"'
    headers["Content-Type"] = "text/xml; charset=utf-8"
    requests.post(service.url, data=_BODY.format(**settings), headers=headers, timeout=10)


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application on a free port."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off")
    listener = config.bind_socket()
    listener.listen()  # connections wait until the server has started
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


def main() -> None:
    """Write the pictures."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1180, "height": 760})

        def taken(name: str) -> None:
            page.screenshot(path=IMAGES / f"{name}.png")
            print(name, (IMAGES / f"{name}.png").stat().st_size)  # noqa: T201 - a script

        with Emulator(pages=emulator_console) as service:
            base = service.url.rpartition("/")[0]
            service.store.seed(items=100, orders=10)
            calls(service)
            page.goto(f"{base}/calls/{service.calls[-1].sequence}")
            page.locator(".dot.on").wait_for()
            taken("console-calls")
            page.goto(f"{base}/faults")
            page.get_by_role("button", name="Switch on: Lost answers").click()
            page.locator(".banner").wait_for()
            taken("console-faults")
        with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "fleet.db", channel="fleet") as ledger:
            Registry(ledger)
            fill(ledger, 120)
            with served(fleet_console(ledger)) as base:
                page.goto(base)
                taken("console-fleet")


if __name__ == "__main__":
    main()
