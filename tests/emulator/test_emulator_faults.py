"""Each injected fault: its bytes, and whether the operation was carried out."""

import contextlib
import gzip
import threading

import pytest
import requests

from octopus_soap.emulator import (
    ApiFailure,
    Bom,
    Chunked,
    CloseIdle,
    ControlCharacters,
    Drip,
    Fault,
    Gzip,
    Hang,
    Html,
    Latency,
    Profile,
    Reset,
    Status,
    Truncate,
)

UPLOAD = "<inventoryItem><d:Sku>NEW</d:Sku></inventoryItem>"


def upload(shop, **changed):
    return shop.call("UploadItem", UPLOAD, **changed)


def done(shop):
    return shop.service.store.item("NEW") is not None


def raw_reply(shop):
    """Send an upload on a new socket; return the received bytes and the final error."""
    with shop.raw("UploadItem", shop.body("UploadItem", UPLOAD)) as sock:
        received = b""
        try:
            while True:
                piece = sock.recv(65536)
                if not piece:
                    return received, None
                received += piece
        except OSError as error:
            return received, error


@pytest.mark.parametrize(("when", "executed"), [("before", False), ("after", True)])
def test_reset_without_a_byte(shop, when, executed):
    shop.service.script.on("UploadItem").do(Reset(when=when))
    received, error = raw_reply(shop)
    assert received == b""
    assert isinstance(error, ConnectionResetError)
    assert done(shop) is executed
    (call,) = shop.service.calls
    assert (call.executed, call.status, call.reply) == (executed, None, b"")
    assert call.fault.startswith("Reset(")


def test_reset_in_mid_reply(shop):
    shop.service.script.on("UploadItem").do(Reset(when="mid", at=0.5))
    received, error = raw_reply(shop)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert 0 < len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert isinstance(error, ConnectionResetError)
    assert shop.service.calls[0].reply == body
    assert done(shop)


def test_every_fault_can_be_told_whether_to_execute(shop):
    for fault, executed in (
        (Reset(when="after", execute=False), False),
        (Reset(when="before", execute=True), True),
        (Status(502, execute=True), True),
        (Fault("internal", execute=True), True),
        (Truncate(execute=False), False),
        (Html(execute=True), True),
        (ApiFailure(execute=True), True),
    ):
        shop.service.reset()
        shop.service.script.on("*").do(fault)
        raw_reply(shop)
        assert done(shop) is executed, fault
        assert shop.service.calls[0].executed is executed


def test_a_hanging_request_ends_with_the_emulator_and_holds_up_nobody(shop):
    shop.service.script.on("UploadItem").do(Hang())
    with shop.raw("UploadItem", shop.body("UploadItem", UPLOAD)) as sock:
        shop.service.wait_for_calls()
        assert shop.call("IsSkuExist", "<sku>A-1</sku>").result == "true"
        sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        assert not done(shop)
        sock.settimeout(5)
        shop.service.stop()
        with contextlib.suppress(ConnectionError):
            assert sock.recv(1) == b""


def test_a_hanging_request_can_be_given_up_by_the_caller(shop):
    shop.service.script.on("UploadItem").times(1).do(Hang(execute=True))
    with pytest.raises(requests.ReadTimeout):
        upload(shop, timeout=0.1)
    assert done(shop)
    assert upload(shop).status == 200


def test_latency_holds_up_only_its_own_connection(shop):
    shop.service.script.on("UploadItem").do(Latency(0.3))
    finished = []
    thread = threading.Thread(target=lambda: finished.append(upload(shop).status))
    thread.start()
    shop.service.wait_for_calls()
    assert requests.get(shop.service.url, timeout=10).status_code == 200
    assert finished == []
    thread.join()
    assert finished == [200]


def test_drip_in_the_body_defeats_a_read_timeout(shop):
    shop.service.script.on("UploadItem").do(Drip(200, part="body"))
    with shop.raw("UploadItem", shop.body("UploadItem", UPLOAD)) as sock:
        pieces = []
        while piece := sock.recv(65536):
            pieces.append(piece)
    assert b"".join(pieces).endswith(b"</s:Envelope>")
    assert len(pieces) > 10
    assert pieces[0].endswith(b"\r\n\r\n") or b"\r\n\r\n" in pieces[0]


def test_drip_in_the_headers(shop):
    shop.service.script.on("UploadItem").do(Drip(100, part="headers"))
    with shop.raw("UploadItem", shop.body("UploadItem", UPLOAD)) as sock:
        assert len(sock.recv(65536)) < len(b"HTTP/1.1 200 OK")


def test_close_idle_is_met_by_the_next_use_of_the_connection(shop):
    shop.service.script.on("IsSkuExist", nth=1).do(CloseIdle())
    assert shop.call("IsSkuExist", "<sku>A-1</sku>").result == "true"
    with pytest.raises(requests.ConnectionError):
        shop.call("IsSkuExist", "<sku>A-1</sku>")
    assert shop.service.stale_closes == 1
    assert len(shop.service.calls) == 1
    assert shop.call("IsSkuExist", "<sku>A-1</sku>").result == "true"
    assert [call.connection for call in shop.service.calls] == [1, 2]


def test_close_idle_now_can_be_noticed_by_the_pool(shop):
    idle = threading.Event()
    shop.service.script.on("IsSkuExist").do(CloseIdle(when="now"))
    for _ in range(3):
        assert shop.call("IsSkuExist", "<sku>A-1</sku>").result == "true"
        idle.wait(0.02)  # lets the close arrive
    assert [call.connection for call in shop.service.calls] == [1, 2, 3]


@pytest.mark.parametrize(("at", "honest"), [(0.5, False), (0.5, True), (10, False), (0, True), (0, False)])
def test_truncation_with_an_honest_and_a_dishonest_length(shop, at, honest):
    full = len(upload(shop).response.content)
    shop.service.script.on("UploadItem").do(Truncate(at, honest=honest))
    received, error = raw_reply(shop)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    kept = int(full * at) if isinstance(at, float) else at
    assert (len(body), length) == (kept, kept if honest else full)
    assert error is None
    if honest:
        assert len(upload(shop).response.content) == kept
    else:
        with pytest.raises(requests.exceptions.RequestException):
            upload(shop)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 502, 503, 504])
def test_statuses(shop, status):
    shop.service.script.on("*").do(Status(status))
    answer = upload(shop)
    assert (answer.status, "<html>" in answer.text) == (status, True)
    assert not done(shop)


@pytest.mark.parametrize(
    ("body", "content_type", "start"),
    [
        ("html", "text/html; charset=utf-8", "<!DOCTYPE html"),
        ("xhtml", "application/xhtml+xml; charset=utf-8", "<?xml"),
        ("empty", None, ""),
        ("fault", "text/xml; charset=utf-8", "<s:Envelope"),
    ],
)
def test_status_bodies_and_headers(shop, body, content_type, start):
    shop.service.script.on("*").do(Status(503, body=body, retry_after=7, location="http://elsewhere.invalid/"))
    answer = upload(shop)
    assert answer.response.headers.get("Content-Type") == content_type
    assert answer.text.startswith(start)
    assert answer.response.headers["Retry-After"] == "7"
    assert answer.response.headers["Location"] == "http://elsewhere.invalid/"


FAULTS = [
    ("internal", "a:InternalServiceFault", "IncludeExceptionDetailInFaults"),
    ("internal-with-details", "a:InternalServiceFault", "Object reference not set"),
    ("deserialization", "a:DeserializationFailed", "The formatter threw an exception"),
    ("action", "a:ActionNotSupported", "ContractFilter mismatch"),
    ("client-text", "s:Client", "could not be carried out"),
    ("typed", "s:Client", "not valid"),
]


@pytest.mark.parametrize(("kind", "code", "text"), FAULTS)
def test_soap_faults(shop, kind, code, text):
    shop.service.script.on("*").do(Fault(kind))
    answer = upload(shop)
    assert (answer.status, answer.fault["faultcode"]) == (500, code)
    assert text in answer.fault["faultstring"]
    assert ("<ExceptionDetail" in answer.text) is (kind == "internal-with-details")
    assert ("<ServiceFault" in answer.text) is (kind == "typed")
    assert not done(shop)


def test_soap_faults_localized_and_with_200(shop):
    shop.service.script.on("*").do(Fault("internal", language="tr-TR", http=200))
    answer = upload(shop)
    assert answer.status == 200
    assert 'xml:lang="tr-TR"' in answer.text
    assert "iç hata" in answer.response.content.decode()


@pytest.mark.parametrize("xhtml", [False, True])
def test_html_with_200(shop, xhtml):
    shop.service.script.on("*").do(Html(xhtml=xhtml))
    assert (upload(shop).status, "maintenance" in upload(shop).text) == (200, True)


def test_gzip_chunked_and_bom_are_the_same_reply_in_other_clothes(shop):
    honest = shop.call("IsSkuExist", "<sku>A-1</sku>").response.content
    shop.service.script.on("*").do(Gzip())
    packed = shop.call("IsSkuExist", "<sku>A-1</sku>").response
    assert (packed.headers["Content-Encoding"], packed.content) == ("gzip", honest)
    assert gzip.decompress(shop.service.calls[-1].reply) == honest
    shop.service.script.clear()
    shop.service.script.on("*").do(Chunked())
    chunked = shop.call("IsSkuExist", "<sku>A-1</sku>").response
    assert (chunked.headers["Transfer-Encoding"], chunked.content) == ("chunked", honest)
    assert "Content-Length" not in chunked.headers
    shop.service.script.clear()
    shop.service.script.on("*").do(Bom())
    assert shop.call("IsSkuExist", "<sku>A-1</sku>").response.content == b"\xef\xbb\xbf" + honest


def test_faults_can_be_combined(shop):
    shop.service.script.on("*").do(Chunked(), Truncate(0.5))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        shop.call("IsSkuExist", "<sku>A-1</sku>")
    shop.service.script.clear()
    shop.service.script.on("*").do(Gzip(), Truncate(0.5, honest=True))
    with pytest.raises((requests.exceptions.ContentDecodingError, EOFError, AssertionError)):
        assert shop.call("IsSkuExist", "<sku>A-1</sku>").text.endswith("</s:Envelope>")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (ControlCharacters(), b"<a:Category>&#x1F;Mugs"),
        (ControlCharacters(0x08, raw=True), b"<a:Category>\x08Mugs"),
        (ControlCharacters(field="Sku"), b"<a:Sku>&#x1F;C"),
        (ControlCharacters(field="Nope"), b"<a:Category>Mugs"),
    ],
)
def test_control_characters(shop, fault, expected):
    shop.service.store.add_item("C", Category="Mugs")
    shop.service.script.on("*").do(fault)
    assert expected in shop.call("GetItemList", shop.skus("C")).response.content


def test_api_failure(shop):
    shop.service.script.on("*").do(ApiFailure(12, "Extreme is not a valid value"))
    answer = shop.call("GetItemQuantity", "<sku>A-1</sku>")
    assert answer.result == {
        "Data": None,
        "Message": "Extreme is not a valid value",
        "MessageCode": "12",
        "ResultData": "0",
        "Status": "Failure",
    }


def test_did_it_then_lost_the_answer_makes_a_second_order(emulate):
    shop = emulate(profile=Profile(duplicate_orders="duplicate"))
    shop.service.script.on("SubmitOrder", nth=1).do(Reset(when="after"))
    order = "<orderSubmit><d:OrderID>W</d:OrderID><d:orderItems><d:OrderItem><d:sku>A</d:sku></d:OrderItem></d:orderItems></orderSubmit>"
    with pytest.raises(requests.ConnectionError):
        shop.call("SubmitOrder", order)
    assert shop.call("SubmitOrder", order).rows["Result"] == "true"
    assert len(shop.service.store.orders()) == 2
    assert [call.keys for call in shop.service.calls] == [("W",), ("W",)]
