"""The fleet's pages, in a browser without JavaScript."""

import asyncio
import re
import threading
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from sqlalchemy import insert, update

from octopus_soap.console import fleet_console
from octopus_soap.fleet.tables import RUN, SCHEDULE, TICKER
from tests.fleet.fleet_stage import CANARY, Book, enrol, fleet_of, shops

EVIL = "<script>alert(1)</script>"


class Desired(Book):
    """A source that also wants a SKU that the service does not have."""

    def desired(self, merchant):
        return [*super().desired(merchant), {"sku": EVIL, "stock": 1}]


class Browser:
    """Asks an ASGI application for pages."""

    def __init__(self, app):
        self.app = app

    def ask(self, method, path, form=None, **headers):
        address, _, query = path.partition("?")
        body = urlencode(form or {}).encode()
        given = {"host": "localhost", "content-type": "application/x-www-form-urlencoded", **headers}
        sent = []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": address,
            "query_string": query.encode(),
            "scheme": "http",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "server": ("127.0.0.1", 80),
            "root_path": "",
        }
        asyncio.run(self.app(scope, receive, send))
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode()

    def get(self, path, status=200, **headers):
        got, text = self.ask("GET", path, **headers)
        assert got == status, text
        return text

    def post(self, path, **form):
        token = re.search(r'name="csrf" value="([^"]+)"', self.get("/merchant?name=shop-000"))
        return self.ask("POST", path, {"csrf": token[1] if token else "", **form})[0]

    def rows(self, path):
        return re.findall(r'/merchant\?name=([^"]+)"', self.get(path))


@pytest.fixture
def fleet(tmp_path):
    with shops(4) as service, fleet_of(tmp_path / "fleet.db", Desired()) as made:
        enrol(made, service, every={"push": 300.0, "orders": 60.0})
        with made.ledger.transaction() as connection:  # like a tick that hands the run to an engine
            one = (SCHEDULE.c.name == "shop-000") & (SCHEDULE.c.job == "push")
            connection.execute(update(SCHEDULE).where(one).values(enqueued_at=made.ledger.now(connection)))
        assert made.deliver("shop-000", "push", threading.Event()).outcome == "held"
        with made.ledger.transaction() as connection:
            now = made.ledger.now(connection)
            connection.execute(insert(TICKER).values(worker="test", at=now, slots=1))
            late = {"next_at": now - timedelta(hours=1), "failures": 4, "message": f"down {EVIL}", "outcome": "failed"}
            one = (SCHEDULE.c.name == "shop-002") & (SCHEDULE.c.job == "orders")
            connection.execute(update(SCHEDULE).where(one).values(late))
            began = now - timedelta(seconds=4)
            for outcome in ("ok", "failed"):
                run = {"name": "shop-002", "job": "orders", "started_at": began, "ended_at": now, "outcome": outcome}
                connection.execute(insert(RUN).values(run))
        yield made


def test_merchants_come_worst_first_and_are_filtered(fleet):
    browser = Browser(fleet_console(fleet.ledger, fleet.registry))
    fleet.registry.pause("shop-003", "stock-taking")
    page = browser.get("/")
    assert browser.rows("/")[0] == "shop-002"
    assert "overdue by" in page
    assert EVIL not in page
    shown = {
        "late": ["shop-002"],
        "failing": ["shop-002"],
        "held": ["shop-000"],
        "paused": ["shop-003"],
        "refused": [],
        "nonsense": browser.rows("/"),
    }
    for show, names in shown.items():
        assert browser.rows(f"/?show={show}") == names, show
    assert browser.rows("/?q=OP-001") == ["shop-001"]
    assert "stock-taking" in browser.get("/?show=paused")
    assert "No merchant matches" in browser.get("/?q=nobody")


def test_a_merchants_page_has_its_runs_and_what_is_held_and_why_and_no_secrets(fleet):
    browser = Browser(fleet_console(fleet.ledger, fleet.registry))
    page = browser.get("/merchant?name=shop-002")
    assert re.search(r'<rect class="good".*<rect class="bad"', page)
    assert "2 runs of orders, 1 failed" in page
    held = browser.get("/merchant?name=shop-000")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in held
    for text in (page, held):
        assert EVIL not in text
        assert CANARY not in text
        assert "csrf" not in text, "a console that only shows has no forms for changes"
    browser.get("/merchant?name=nobody", status=404)


def test_it_only_shows_unless_actions_are_allowed(fleet):
    shows = Browser(fleet_console(fleet.ledger, fleet.registry))
    acts = Browser(fleet_console(fleet.ledger, fleet.registry, allow_actions=True))
    for path in ("/merchant/pause", "/merchant/resume", "/merchant/retry"):
        assert shows.post(path, name="shop-000") == 403
        assert acts.ask("POST", path, {"name": "shop-000"})[0] == 403, "without the form's token"
    assert acts.post("/merchant/pause", name="shop-000", reason=EVIL) == 303
    assert (fleet.registry.get("shop-000").state, fleet.registry.get("shop-000").reason) == ("paused", EVIL)
    assert EVIL not in acts.get("/merchant?name=shop-000")
    assert acts.post("/merchant/resume", name="shop-000") == 303
    assert fleet.registry.get("shop-000").state == "active"
    assert acts.post("/merchant/retry", name="shop-000", job="push", key=EVIL) == 303
    assert "Nothing is held." in acts.get("/merchant?name=shop-000")
    assert acts.post("/merchant/pause", name="nobody") == 404


def test_monitors_read_metrics_and_health_with_the_token(fleet):
    token = "a-token-of-enough-characters"
    browser = Browser(fleet_console(fleet.ledger, fleet.registry, token=token, hosts=["fleet.test"]))
    browser.get("/metrics", status=303)
    bearer = {"authorization": f"Bearer {token}"}
    assert 'octopus_fleet_merchants{state="active"} 4.0' in browser.get("/metrics", **bearer)
    assert "shop-002 orders" in browser.get("/healthz", status=503, **bearer)
    browser.get("/", status=200, host="fleet.test:9809", **bearer)
    browser.get("/", status=403, host="evil.example", **bearer)
