"""Push the stock and prices that changed since the last run, once, for cron.

    python samples/cron_job.py --demo                against the emulator, no account needed
    python samples/cron_job.py stock.csv             sends the differences

    */10 * * * *  cd /srv/shop && .venv/bin/python cron_job.py stock.csv >>push.log 2>&1

The file has the columns sku, stock and price. An empty stock or price is not sent, and keeps its value at the service.
Reads OCTOPUS_* variables; needs the extra `jobs`.

A ledger (an SQLite file next to stock.csv, or --ledger) records what the service acknowledged, so a run sends only the
differences, and the next run sends what a killed run left undone. A SKU with a problem stays in every report until you
fix it, and does not stop the others. A file that would set too many items to 0, or change too many, is refused, because
half an export looks like a sold-out shop; add --force if you mean it. SIGTERM ends a run after its current request.

Exit codes: 0 all done; 1 some SKUs were rejected or have a problem; 2 the run failed; 75 the previous run is still
going, which is harmless.
"""

import argparse
import logging
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from octopus_soap import OctopusClient, OctopusError
from octopus_soap.errors import JobRunningError
from octopus_soap.jobs import Ledger, StockPush
from octopus_soap.observe.events import log_events

FAILED, STILL_RUNNING = 2, 75

log = logging.getLogger("cron_job")


def run(client: OctopusClient, path: Path, ledger: Path, *, force: bool, stop: threading.Event) -> int:
    """Do one run and return its exit code.

    Raises:
        OctopusError: the run failed, for example because the service did not answer.
    """
    with Ledger(ledger) as book:
        report = StockPush(client, book).run(path, force=force, stop=stop)
    log.log(logging.WARNING if report.exit_code else logging.INFO, "%s", report)
    return report.exit_code


def demo_client(stack: ExitStack) -> tuple[OctopusClient, Path]:
    """Start the emulator with a few items, and write a file that changes them."""
    from octopus_soap.emulator import Emulator  # noqa: PLC0415 - only the demo needs the extra `emulator`
    from octopus_soap.settings import IsolatedSettings  # noqa: PLC0415 - ignores OCTOPUS_* variables

    service = stack.enter_context(Emulator())
    for sku in ("SKU-1", "SKU-2"):
        service.store.add_item(sku, Stock=1, Price="1.00", Cost="0.50")
    path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "stock.csv"
    path.write_text("sku,stock,price\nSKU-1,7,19.90\nSKU-2,3,\nNO-SUCH-SKU,1,1.00\n", encoding="utf-8")
    return stack.enter_context(OctopusClient(settings=IsolatedSettings.load(**service.settings()))), path


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line, do one run, return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--ledger", type=Path, help="the ledger (default: the file's name with .db)")
    parser.add_argument("--force", action="store_true", help="send even if many items would be set to 0 or change")
    parser.add_argument("--demo", action="store_true", help="run against the emulator, with a file made for it")
    given = parser.parse_args(argv)
    if bool(given.file) == given.demo:
        parser.error("name a file, or use --demo")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGTERM, before)
        try:
            client, path = demo_client(stack) if given.demo else (stack.enter_context(OctopusClient()), given.file)
            view = client.with_options(on_event=log_events())
            return run(view, path, given.ledger or path.with_suffix(".db"), force=given.force, stop=stop)
        except JobRunningError as error:
            log.warning("%s", error)
            return STILL_RUNNING
        except (OctopusError, OSError) as error:  # the service, the settings, the ledger; the file
            log.error("%s: %s", type(error).__name__, error)  # noqa: TRY400 - cron mails it; a traceback would add nothing
            return FAILED


if __name__ == "__main__":
    sys.exit(main())
