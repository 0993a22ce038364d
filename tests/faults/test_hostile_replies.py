"""Hostile XML and endless bodies: refused fast, in bounded memory, as our errors."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any

import pytest
import responses

from octopus_soap import OctopusClient, OctopusError, OctopusSettings, OutcomeUnknownError, ProtocolError
from octopus_soap.wire.decode import Reply, soap_body
from octopus_soap.wire.redact import Redactor
from tests.every import every
from tests.faults.raw_servers import CREDENTIALS, EXISTS, bomb_of, envelope, http, raw_server, read_request

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

ENDPOINT = "https://service.example/OctopusService.svc"
# A fast refusal takes milliseconds, a slow one hours: pytest's time limit distinguishes them.
pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def mocked() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def client_of(endpoint: str = ENDPOINT, **settings: Any) -> OctopusClient:
    given = {"backoff_base": 0.0, "max_attempts": 1, "accept_unverified_contract": True, **CREDENTIALS, **settings}
    return OctopusClient(settings=OctopusSettings.load(endpoint=endpoint, **given))


def refused(mocked: responses.RequestsMock, body: bytes, **settings: Any) -> OctopusError:
    mocked.post(ENDPOINT, body=body, content_type="text/xml; charset=utf-8")
    with client_of(**settings) as client, pytest.raises(OctopusError) as caught:
        client.get_item_quantity_info("A")
    assert type(caught.value).__module__ == "octopus_soap.errors"
    assert len(str(caught.value)) < 1000
    return caught.value


def bomb(levels: int = 12) -> str:
    lines = ['<!ENTITY a0 "lollollollol">']
    lines += [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, levels)]
    return f"<!DOCTYPE x [{''.join(lines)}]>"


SOAP = EXISTS.decode()
DOCTYPES = {
    "entity bomb": f"{bomb()}{SOAP.replace('true', '&a11;')}",
    "quadratic bomb": f'<!DOCTYPE x [<!ENTITY a "{"x" * 50_000}">]>{SOAP.replace("true", "&a;" * 50_000)}',
    "bomb in an attribute": f"{bomb()}{SOAP.replace('<IsSkuExistResult', '<IsSkuExistResult a=' + chr(34) + '&a11;' + chr(34))}",
    "external entity": f'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>{SOAP.replace("true", "&e;")}',
    "external entity by http": f'<!DOCTYPE x [<!ENTITY e SYSTEM "http://127.0.0.1:9/x">]>{SOAP.replace("true", "&e;")}',
    "parameter entity": f'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd">%p;]>{SOAP}',
    "external subset": f'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">{SOAP}',
    "a bare doctype": f"<!DOCTYPE x>{SOAP}",
    "a doctype after 5 kB": f"<!--{'-x' * 3000}-->{'<!DOCTYPE x>'}{SOAP}",
    "a bomb after 5 kB": f"{' ' * 5000}{bomb()}{SOAP.replace('true', '&a11;')}",
    "a doctype in UTF-16": "\ufeff" + f"<!DOCTYPE x>{SOAP}",
    "a bomb in UTF-16": "\ufeff" + f"{bomb()}{SOAP.replace('true', '&a11;')}",
}


@pytest.mark.parametrize("name", DOCTYPES)
def test_doctypes_and_entities_are_refused(mocked, name):
    encoding = "utf-16-le" if "UTF-16" in name else "utf-8"
    error = refused(mocked, DOCTYPES[name].encode(encoding))
    assert isinstance(error, ProtocolError)
    assert "root:" not in str(error)


def nested(depth: int) -> bytes:
    return envelope("<GetItemQuantityInfoResponse>" + "<a>" * depth + "</a>" * depth + "</GetItemQuantityInfoResponse>")


HOSTILE = {
    "deep nesting": nested(100_000),
    "nesting under libxml2's limit": nested(250),
    "a deeply nested unknown member": envelope(
        f"<GetItemQuantityInfoResponse><R><Status>Success</Status><ResultData>{'<x>' * 200}{'</x>' * 200}"
        "</ResultData><Status/></R></GetItemQuantityInfoResponse>"
    ),
    "a huge attribute": SOAP.replace("<IsSkuExistResult", f'<IsSkuExistResult a="{"x" * 11_000_000}"').encode(),
    "a huge text": SOAP.replace("true", "x" * 11_000_000).encode(),
    "a huge name": SOAP.replace("IsSkuExistResult>", f"{'x' * 200_000}>").encode(),
    "many attributes": SOAP.replace(
        "<IsSkuExistResult", "<IsSkuExistResult " + " ".join(f'a{n}="1"' for n in range(100_000))
    ).encode(),
    "many namespaces": SOAP.replace(
        "<IsSkuExistResult", "<IsSkuExistResult " + " ".join(f'xmlns:a{n}="u{n}"' for n in range(20_000))
    ).encode(),
    "a fault with a huge code": envelope(f"<s:Fault><faultcode>{'x' * 5_000_000}</faultcode></s:Fault>"),
    "a fault with a huge text": envelope(f"<s:Fault><faultstring>{'not ' * 2_000_000}</faultstring></s:Fault>"),
    "an envelope with a huge status": envelope(
        f"<GetItemQuantityInfoResponse><R><Status>{'x' * 5_000_000}</Status></R></GetItemQuantityInfoResponse>"
    ),
    "a page of comments": b"<!---->" * 5000 + b"<html>",
    "an unclosed title": b"<html>" + b"<title" * 100_000,
    "a billion references": SOAP.replace("true", "&#1;" * 500_000).encode(),
    "an unknown encoding": b"<?xml version='1.0' encoding='klingon'?>" + EXISTS,
    "a lying encoding": b"<?xml version='1.0' encoding='utf-16'?>" + EXISTS,
    "zero bytes": b"\0" * 100_000,
    "half a surrogate": SOAP.replace("true", "\ud800").encode("utf-8", "surrogatepass"),
    "another root": b"<Envelope/>",
    "an envelope of nothing": envelope(""),
    "a bodiless envelope": b'<s:Envelope xmlns:s="x"><s:Header/></s:Envelope>',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_replies_are_refused_fast(mocked, name):
    refused(mocked, HOSTILE[name])


@every("comments", [30, 200, 290])
def test_a_page_that_begins_with_many_comments_is_not_tried_in_every_combination(comments):
    with pytest.raises(ProtocolError):
        soap_body(Reply(200, {}, b"<!---->" * comments + b"<html>"), Redactor([]))


# -- replies without end -------------------------------------------------------------------------------------------


def test_a_reply_over_the_cap_is_not_read(mocked):
    error = refused(mocked, EXISTS + b" " * 5000, max_reply_bytes=4096)
    assert isinstance(error, ProtocolError)
    assert "max_reply_bytes (4096 bytes)" in error.message


def test_a_reply_as_large_as_the_cap_is_read(mocked):
    mocked.post(ENDPOINT, body=EXISTS + b" " * (4096 - len(EXISTS)))
    with client_of(max_reply_bytes=4096) as client:
        assert client.is_sku_exist("A")


def _peak_kilobytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_a_hundred_megabytes_are_not_held():
    """A real reply of 100 MB, sent as it is read; the limit here is 8 MiB, not 64."""
    chunk = b"<x>" + b"y" * 1_000_000 + b"</x>"
    sent = 0

    def endless(connection: socket.socket) -> None:
        nonlocal sent
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            sent += len(chunk)

    with raw_server(endless) as server, client_of(server.url, max_reply_bytes=8 * 1024 * 1024) as client:
        before = _peak_kilobytes()
        with pytest.raises(ProtocolError, match="max_reply_bytes") as caught:
            client.get_item_quantity_info("A")
        grown = _peak_kilobytes() - before
    assert grown < 60_000
    assert sent < 50_000_000
    assert caught.value.info.attempts == 1


@every("codec", ["gzip", "deflate"])
def test_a_compression_bomb_is_not_unpacked(codec):
    body = bomb_of(100, 31 if codec == "gzip" else 15)
    assert len(body) < 1_000_000

    def bombing(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(http(body, headers=f"Content-Encoding: {codec}\r\n"))

    with raw_server(bombing) as server, client_of(server.url, max_reply_bytes=4 * 1024 * 1024) as client:
        before = _peak_kilobytes()
        with pytest.raises(ProtocolError, match="max_reply_bytes"):
            client.get_item_quantity_info("A")
        assert _peak_kilobytes() - before < 60_000


def test_a_broken_compression_is_our_error():
    def broken(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(http(b"\x1f\x8b\x08 this is no gzip", headers="Content-Encoding: gzip\r\n"))

    with raw_server(broken) as server, client_of(server.url) as client, pytest.raises(OctopusError, match="broke off"):
        client.is_sku_exist("A")


def test_an_oversized_answer_to_an_order_leaves_it_open(mocked):
    from tests.catalogue import BY_NAME

    mocked.post(ENDPOINT, body=EXISTS + b" " * 5000)
    with client_of(max_reply_bytes=4096) as client, pytest.raises(OutcomeUnknownError):
        BY_NAME["SubmitOrder"](client)


def test_clients_zeep_reads_no_more_than_the_cap(mocked):
    mocked.post(ENDPOINT, body=EXISTS + b" " * 5000)
    with client_of(max_reply_bytes=4096) as client, pytest.raises(ProtocolError, match="max_reply_bytes"):
        client.zeep.service.IsSkuExist(accountID="x", sku="A")


# -- invalid HTTP ----------------------------------------------------------------------------------------------------

NO_HTTP = {
    "garbage": b"\x16\x03\x01 this is no HTTP\r\n\r\n",
    "nothing": b"",
    "half a status line": b"HTTP/1.1 20",
    "a huge header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 5000 + b"\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n<x/>",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n<x/>",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n<x/>",
    "a broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n<x/>\r\n0\r\n\r\n",
    "a chunk too long": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n<x/>",
    "endless continues": b"HTTP/1.1 100 Continue\r\n\r\n" * 5000,
    "an unknown encoding": b"HTTP/1.1 200 OK\r\nContent-Encoding: middle-out\r\nContent-Length: 4\r\n\r\n<x/>",
    "a status of another kind": b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Switching\r\n\r\n",
}


@every("name", NO_HTTP)
def test_what_is_no_http_is_our_error(name):
    def answer(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(NO_HTTP[name])

    with raw_server(answer) as server, client_of(server.url, total_timeout=2.0) as client:
        with pytest.raises(OctopusError) as caught:
            client.is_sku_exist("A")
        assert type(caught.value).__module__ == "octopus_soap.errors"
        assert len(str(caught.value)) < 1000
