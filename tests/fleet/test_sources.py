"""Each source of `samples/fleet_sources.py` is pushed to the emulator."""

from __future__ import annotations

import importlib.util
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text

from octopus_soap.fleet import Merchant
from tests.fleet.fleet_stage import Book, enrol, fleet_of, names, shops

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = [{"sku": f"SKU-{index}", "stock": 40 + index, "price": "1.00"} for index in range(3)]


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("FLEET_SOURCE", raising=False)
    path = Path(__file__).parents[2] / "samples" / "fleet_sources.py"
    spec = importlib.util.spec_from_file_location("fleet_sources", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def erp() -> Iterator[ThreadingHTTPServer]:
    """A service that answers with a shop's rows, or 304 if they have not changed."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(ROWS).encode()
            known = self.headers.get("If-None-Match") == '"1"'
            self.send_response(304 if known else 200 if "/shop-" in self.path else 404)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", "0" if known else str(len(body)))
            self.end_headers()
            if not known:
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in Python's class
            """Log no requests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_each_source_is_pushed_and_says_when_there_is_nothing_new(
    sources: Any, erp: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, database = tmp_path / "shops", f"sqlite:///{tmp_path / 'erp.db'}"
    folder.mkdir()
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE shop_stock (shop TEXT, sku TEXT, stock INTEGER, price TEXT)"))
        insert = text("INSERT INTO shop_stock VALUES (:shop, :sku, :stock, :price)")
        for name in names(2):
            lines = [f"{row['sku']},{row['stock']},{row['price']}" for row in ROWS]
            (folder / f"{name}.csv").write_text("\n".join(["sku,stock,price", *lines]))
            connection.execute(insert, [{"shop": name, **row} for row in ROWS])
    engine.dispose()
    places = {
        sources.from_csv_folder: str(folder),
        sources.from_table: database,
        sources.from_http: f"http://127.0.0.1:{erp.server_port}",
    }
    for source, place in places.items():
        monkeypatch.setenv("SHOPS", place)
        with shops(2, orders=0) as service, fleet_of(str(tmp_path / f"{source.__name__}.db"), Book()) as fleet:
            fleet._runner._stock = source
            enrol(fleet, service, every={"push": 3_600})
            for name in names(2):
                fleet.registry.run_now(name)
            fleet.run(stop=threading.Event(), once=True)
            for name in names(2):
                stock = [item["Stock"] for item in service.store.items(merchant=name).values()]
                assert stock == ["40", "41", "42"], source.__name__
    sources._engine(database).dispose()  # the sample keeps it for the life of the process
    known = Merchant("shop-000", "", "")
    assert sources.from_http(known) is None, "not modified"
    monkeypatch.setenv("SHOPS", str(folder))
    assert sources.from_csv_folder(Merchant("not-there-yet", "", "")) is None
    with pytest.raises(ValueError, match="name of a file"):
        sources.from_csv_folder(Merchant("../erp", "", ""))
