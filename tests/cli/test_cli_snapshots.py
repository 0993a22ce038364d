"""The output of the main commands, at both widths, compared with `snapshots/`.

Renew them, and look at the difference, with: SNAPSHOTS=renew pytest -n 0 tests/cli/test_cli_snapshots.py
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import typer

TYPER = "0.29."
FOLDER = Path(__file__).parent / "snapshots"
COMMANDS = {
    "help": ["--help"],
    "items-help": ["items", "--help"],
    "items-get-help": ["items", "get", "--help"],
    "items-get": ["items", "get", "00123", "A-LONG-SKU-THAT-IS-NEVER-CUT-0123456789", "nope"],
    "items-list": ["items", "list"],
    "stock-help": ["stock", "--help"],
    "stock-get": ["stock", "get", "00123", "nope"],
    "stock-push-help": ["stock", "push", "--help"],
    "orders-help": ["orders", "--help"],
    "orders-list": ["orders", "list"],
    "orders-show": ["orders", "show", "100001"],
    "call-get-item-list-help": ["call", "GetItemList", "--help"],
    "call-get-order-list-help": ["call", "GetOrderList", "--help"],
    "call-get-item-list": ["call", "GetItemList", "--sku", "00123", "--sku", "nope"],
    "dry-run": ["stock", "set", "00123", "--price", "19.90", "--dry-run"],
    "excel": ["items", "get", "00123", "nope", "--output", "excel"],
}


@pytest.fixture
def shop(service):
    service.store.add_item(
        "00123",
        Description="A mug, hand-painted, with a description long enough to be cut short in a narrow terminal",
        Category="Kitchen and table",
        Price=Decimal("4.50"),
        Stock=7,
        changed=True,
    )
    service.store.add_item("A-LONG-SKU-THAT-IS-NEVER-CUT-0123456789", Price=Decimal("1234567.89"), Stock=1200)
    service.store.add_order(
        OrderID="WEB-1",
        OrderDate=datetime(2024, 3, 1, 12, tzinfo=UTC),
        orderItems=[{"sku": "00123", "Quantity": 2, "UnitPrice": Decimal("4.50"), "Description": "A mug"}],
        Ship={"FirstName": "Ada", "City": "Springfield"},
        Total=Decimal("9.00"),
    )
    return service


def shown(ran, service):
    """Return the output without what changes from run to run."""
    text = f"exit code {ran.code}\n--- stdout\n{ran.out}--- stderr\n{ran.err}"
    text = text.replace(service.url, "http://127.0.0.1:8765/OctopusService.svc")
    return re.sub(r"[ \t\r]+$", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("name", COMMANDS)
def test_output_is_as_it_was_looked_at(shell, shop, monkeypatch, name, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for forcing in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "NO_COLOR"):
        monkeypatch.delenv(forcing, raising=False)
    if "--help" in COMMANDS[name] and not typer.__version__.startswith(TYPER):
        pytest.skip(f"typer's layout of help differs by version; the snapshots are of {TYPER}")
    path = FOLDER / f"{name}-{width}.txt"
    text = shown(shell(*COMMANDS[name]), shop)
    if os.environ.get("SNAPSHOTS") == "renew":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"SNAPSHOTS=renew writes {path.name} again"


def test_no_snapshot_is_left_behind():
    assert {path.name for path in FOLDER.iterdir()} == {
        f"{name}-{width}.txt" for name in COMMANDS for width in (80, 200)
    }
