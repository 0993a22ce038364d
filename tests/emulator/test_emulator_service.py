"""The emulator as an object: start and stop, store, records, independence."""

import ast
import pathlib
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import requests

import octopus_soap.emulator
from octopus_soap.emulator import Emulator, Profile
from octopus_soap.emulator.scalars import KINDS, LexicalError, canonical_date, canonical_decimal, written_date
from tests.every import every

PACKAGE = pathlib.Path(octopus_soap.emulator.__file__).parent


def test_it_stops_and_starts_again_on_the_same_port_with_its_state(shop):
    url = shop.service.url
    shop.service.stop()
    shop.service.stop()
    with pytest.raises(requests.ConnectionError):
        shop.call("IsSkuExist", "<sku>A-1</sku>")
    shop.service.start()
    shop.service.start()
    assert shop.service.url == url
    assert shop.call("IsSkuExist", "<sku>A-1</sku>").result == "true"


def test_it_leaves_no_thread_or_socket_behind():
    threads = threading.active_count()
    with Emulator() as service:
        port = int(service.url.split(":")[2].split("/")[0])
        idle = socket.create_connection(("127.0.0.1", port))
    assert threading.active_count() == threads
    with idle, pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port))


def test_it_listens_on_loopback_only_and_says_so_before_it_has_an_address():
    service = Emulator()
    with pytest.raises(RuntimeError, match="before it is started"):
        _ = service.url
    assert "stopped" in repr(service)
    with service:
        assert service.url.startswith("http://127.0.0.1:")
        assert service.url in repr(service)
        with pytest.raises(OSError):
            Emulator(port=int(service.url.split(":")[2].split("/")[0])).start()


def test_state_in_a_file_outlives_the_emulator(emulate, tmp_path):
    path = tmp_path / "shop.sqlite"
    with Emulator(state=path) as service:
        service.store.add_item("A", Price="1.50")
        first = service.store.add_order()
    with Emulator(state=path) as service:
        assert service.store.item("A") == {"Sku": "A", "Price": Decimal("1.5")}
        assert list(service.store.orders()) == [first]
        service.store.clear()
        assert service.store.items() == {}
        assert service.store.add_order() == first


def test_reset_wipes_state_calls_lint_and_script(shop):
    shop.service.script.on("*").do(octopus_soap.emulator.Status(503))
    shop.call("IsSkuExist", "<nope/>")
    shop.service.reset()
    service = shop.service
    assert (service.calls, service.lint, service.store.items(), service.script.rules) == ([], [], {}, ())
    assert shop.call("IsSkuExist", "<sku>A-1</sku>").result == "false"
    assert [(call.sequence, call.nth) for call in service.calls] == [(1, 1)]


def test_a_request_that_arrived_before_a_reset_is_in_no_record_after_it(shop):
    for _ in range(20):
        with shop.raw("IsSkuExist", shop.body("IsSkuExist", "<sku>A-1</sku>")) as abandoned:
            shop.service.reset()
            assert abandoned.recv(1), "it was answered"
        assert shop.service.calls == []


def test_calls_are_recorded(shop):
    shop.call("GetItemList", shop.skus("A-1", "nope"))
    shop.call("IsSkuExist", "<sku>A-1</sku>")
    shop.call("GetItemList", shop.skus("A-2"), authtoken="wrong")
    shop.call("IsSkuExist", SOAPAction='"urn:x"')
    first, second, third, fourth = shop.service.calls
    assert (first.operation, first.nth, first.sequence, first.items, first.keys) == (
        "GetItemList",
        1,
        1,
        2,
        ("A-1", "nope"),
    )
    assert (first.status, first.executed, first.fault, first.connection) == (200, True, None, 1)
    assert b"A-1" in first.request
    assert first.reply.endswith(b"</s:Envelope>")
    assert (first.request_size, first.reply_size) == (len(first.request), len(first.reply))
    assert (second.items, second.keys, second.key_set) == (1, ("A-1",), {"A-1"})
    assert (third.nth, third.sequence, third.status, third.executed, third.merchant) == (2, 3, 500, False, None)
    assert (fourth.operation, fourth.keys, fourth.executed) == ("", (), False)
    assert shop.service.bytes_received == sum(call.request_size for call in shop.service.calls)
    assert shop.service.bytes_sent > 0


def test_bodies_need_not_be_kept(emulate):
    shop = emulate(keep_bodies=False)
    shop.call("IsSkuExist", "<sku>A</sku>")
    (call,) = shop.service.calls
    assert (call.request, call.reply) == (b"", b"")
    assert call.request_size > 100
    assert call.reply_size > 100


def test_store_values_are_python_s_and_checked(shop):
    store = shop.service.store
    moment = datetime(2024, 5, 6, 7, 8, 9, 500000, tzinfo=UTC)
    store.add_item(
        "P",
        changed=True,
        Price=Decimal("1.25"),
        SaleStartDate=moment,
        FieldLocks={"LockPrice": True},
        StoreStockInfoList=[{"StoreID": "S", "StoreStock": 2.5}],
        Stock=3,
    )
    assert store.item("P") == {
        "Sku": "P",
        "Price": Decimal("1.25"),
        "SaleStartDate": moment,
        "FieldLocks": {"LockPrice": True},
        "StoreStockInfoList": [{"StoreID": "S", "StoreStock": 2.5}],
        "Stock": "3",
    }
    assert store.change_queue() == ["P"]
    with pytest.raises(ValueError, match="InventoryItem has no member Colour"):
        store.add_item("P", Colour="red")
    with pytest.raises(ValueError, match=r"InventoryItem\.Price = 'x'"):
        store.add_item("P", Price="x")
    with pytest.raises(ValueError, match=r"Locks\.LockPrice"):
        store.add_item("P", FieldLocks={"LockPrice": "perhaps"})


def test_a_seeded_shop_is_the_same_every_time(emulate):
    now = datetime(2026, 3, 4, 10, 30, tzinfo=UTC)
    one, two = emulate(profile=Profile(now=now)), emulate(profile=Profile(now=now))
    for shop in (one, two):
        shop.service.store.seed(items=30, orders=40, seed=3)
    assert one.service.store.items() == two.service.store.items()
    assert len(one.service.store.items()) == 30
    assert one.service.store.orders() == two.service.store.orders()
    orders = one.service.store.orders().values()
    assert {len(order.stores) for order in orders} == {1, 2}
    assert {order.payment_status for order in orders} >= {"Cleared", "Failed", "Submitted"}
    assert {order.shipping_status for order in orders} >= {"Unshipped", "Shipped"}
    assert max(order.placed for order in orders) <= now
    assert timedelta(days=20) < now - min(order.placed for order in orders) <= timedelta(days=31)
    customers = [order.members["Bill"]["CustomerId"] for order in orders]
    assert len(set(customers)) < len(customers), "some come back"
    items = one.service.store.items().values()
    assert any(item["Stock"] == "0" for item in items)
    margins = [Decimal(item["Price"]) - Decimal(item["Cost"]) for item in items]
    assert len({round(margin / Decimal(item["Price"]), 1) for margin, item in zip(margins, items, strict=True)}) > 3
    for item in items:
        assert sum(float(row["StoreStock"]) for row in item["StoreStockInfoList"]) == int(item["Stock"])


def test_the_clock_can_be_frozen(emulate):
    moment = datetime(2024, 2, 29, 12, tzinfo=UTC)
    shop = emulate(profile=Profile(now=moment))
    shop.call(
        "SubmitOrder",
        "<orderSubmit><d:orderItems><d:OrderItem><d:sku>A</d:sku></d:OrderItem></d:orderItems></orderSubmit>",
    )
    number = shop.service.store.add_order()
    assert {order.placed for order in shop.service.store.orders().values()} == {moment}
    assert number in shop.service.store.orders()


def test_a_bug_of_its_own_rolls_back_and_is_told_apart(shop, monkeypatch, caplog):
    from octopus_soap.emulator import service as module

    def broken(call):
        call.state.save_items(call.merchant, {"A": {"Sku": "A"}})
        raise RuntimeError("a bug")

    monkeypatch.setitem(module.HANDLERS, "IsSkuExist", broken)
    with Emulator() as service:
        answer = type(shop)(service).call("IsSkuExist", "<sku>A</sku>")
        assert answer.fault["faultcode"] == "a:InternalServiceFault"
        (call,) = service.calls
        assert (call.error, call.executed) == ("RuntimeError: a bug", False)
        assert service.store.items() == {}
    assert "the emulator failed in IsSkuExist" in caplog.text


def test_many_threads_are_served(shop):
    def ask(results):
        with requests.Session() as session:
            for _ in range(10):
                body = shop.body("IsSkuExist", "<sku>A-1</sku>")
                reply = session.post(shop.service.url, data=body, headers=shop.headers("IsSkuExist"), timeout=10)
                results.append("true" in reply.text)

    results = []
    threads = [threading.Thread(target=ask, args=(results,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 80
    assert [call.sequence for call in shop.service.calls] == list(range(1, 81))
    assert len({call.connection for call in shop.service.calls}) == 8


def test_it_shares_no_code_with_the_client():
    allowed = {"octopus_soap.contracts.bundled"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level > 1:
                pytest.fail(f"{path.name} imports from above the package")
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert {m for m in modules if m.startswith("octopus_soap")} <= allowed, path.name


def test_importing_it_loads_no_client_module():
    code = (
        "import sys, octopus_soap.emulator\n"
        "bad = [m for m in sys.modules if m.startswith('octopus_soap.') and m.split('.')[1] in "
        "{'wire', 'engine', 'operations', 'client', 'drivers'} or m in {'zeep', 'pydantic'}]\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_are_sorted_and_there():
    names = octopus_soap.emulator.__all__
    assert names == sorted(names)
    assert all(hasattr(octopus_soap.emulator, name) for name in names)


@every(
    ("kind", "text", "canonical"),
    [
        ("decimal", "44.92", "44.9200"),
        ("decimal", "-0", "0.0000"),
        ("decimal", "1.123456", "1.123456"),
        ("decimal", ".5", "0.5000"),
        ("float", "2.30", "2.3"),
        ("float", "3.40282347E+38", "3.40282347E+38"),
        ("float", "1e40", "INF"),
        ("float", "10000000", "1E+07"),
        ("float", "0.1", "0.1"),
        ("float", "NaN", "NaN"),
        ("int", " +7 ", "7"),
        ("boolean", "1", "true"),
        ("dateTime", "2013-01-02", "2013-01-02T00:00:00"),
        ("dateTime", "2013-01-02T05:30:00.500+05:30", "2013-01-02T00:00:00.5"),
        ("string", " x ", " x "),
    ],
)
def test_texts_are_made_canonical(kind, text, canonical):
    assert KINDS[kind].canonical(text) == canonical


@every(
    ("kind", "text"),
    [
        ("decimal", "."),
        ("decimal", "1 000"),
        ("decimal", "\uff11"),
        ("int", ""),
        ("int", "1" * 99),
        ("long", "9223372036854775808"),
        ("float", "1,5"),
        ("boolean", "True"),
        ("dateTime", "2013-02-30T00:00:00"),
        ("dateTime", "0001-01-01T00:00:00+01:00"),
    ],
)
def test_texts_dotnet_refuses(kind, text):
    with pytest.raises(LexicalError, match="cannot be parsed as the type"):
        KINDS[kind].canonical(text)


def test_decimals_and_dates_have_forms_of_their_own():
    assert canonical_decimal("1") == "1.0000"
    local = written_date(canonical_date("2024-01-01T00:00:00Z"), kind="local", offset=timedelta(hours=5, minutes=30))
    assert local == "2024-01-01T05:30:00+05:30"
