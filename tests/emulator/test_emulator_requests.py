"""Requests that .NET refuses, what it reads, and whose requests are accepted."""

import os
import stat
import threading

import pytest
import requests
from lxml import etree

from octopus_soap.emulator import Emulator
from octopus_soap.emulator.records import Journal

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
NONE = "http://schemas.microsoft.com/ws/2005/05/addressing/none"
ASK = "<sku>A-1</sku>"


def with_header(shop, block):
    return shop.body("IsSkuExist", ASK).replace(b"<s:Body>", f"<s:Header>{block}</s:Header><s:Body>".encode(), 1)


def text_of(response):
    return "".join(etree.fromstring(response.content).itertext())


@pytest.mark.parametrize("value", ["1", "true"])
def test_an_unknown_header_that_must_be_understood_is_refused(shop, value):
    block = f'<w:Security xmlns:w="{SECURITY}" s:mustUnderstand="{value}"/>'
    response = shop.post("IsSkuExist", with_header(shop, block))
    assert response.status_code == 500
    assert "s:MustUnderstand" in response.text
    assert f"The header 'Security' from the namespace '{SECURITY}' was not understood" in text_of(response)
    assert not shop.service.calls[-1].executed


@pytest.mark.parametrize(
    "block",
    [
        f'<w:Security xmlns:w="{SECURITY}"/>',
        f'<w:Security xmlns:w="{SECURITY}" s:mustUnderstand="0"/>',
        f'<w:Security xmlns:w="{SECURITY}" s:mustUnderstand="1" s:actor="urn:somebody-else"/>',
        f'<a:Action xmlns:a="{NONE}" s:mustUnderstand="1">x</a:Action>',
    ],
)
def test_other_headers_are_passed_over(shop, block):
    assert "true" in text_of(shop.post("IsSkuExist", with_header(shop, block)))


def test_a_processing_instruction_is_refused(shop):
    for place in (b"<s:Envelope", b"<accountID>"):
        body = shop.body("IsSkuExist", ASK).replace(place, b"<?pi x?>" + place, 1)
        response = shop.post("IsSkuExist", body)
        assert response.status_code == 500
        assert "DeserializationFailed" in response.text
        assert "Processing instructions (other than the XML declaration) and DTDs are not supported" in response.text


@pytest.mark.parametrize(
    ("codec", "charset"),
    [
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16"),
        ("utf-16-le", "utf-16LE"),
        ("utf-16-be", "utf-16BE"),
        ("utf-8-sig", "utf-8"),
    ],
)
def test_utf_16_is_read(shop, codec, charset):
    text = shop.body("IsSkuExist", ASK).decode().partition("?>")[2]
    for head in ("", f'<?xml version="1.0" encoding="{charset}"?>'):
        response = shop.post("IsSkuExist", (head + text).encode(codec), Content_Type=f"text/xml; charset={charset}")
        assert "true" in text_of(response)


def test_a_declaration_of_another_encoding_is_refused(shop):
    text = shop.body("IsSkuExist", ASK).decode()
    for body, charset in (
        (text.encode("utf-16-le"), "utf-16"),
        (text.replace("utf-8", "iso-8859-1").encode(), "utf-8"),
    ):
        response = shop.post("IsSkuExist", body, Content_Type=f"text/xml; charset={charset}")
        assert response.status_code == 500
        assert "does not match the encoding of the document" in response.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "10.0.0.7", "127.0.0.1.evil.example", "[2001:db8::1]"]
)
def test_a_foreign_host_is_refused(shop, host):
    for response in (
        shop.post("IsSkuExist", shop.body("IsSkuExist", ASK), Host=host),
        requests.get(f"{shop.service.url}?wsdl", headers={"Host": host}, timeout=10),
    ):
        assert response.status_code == 400
        assert "Invalid Hostname" in response.text
    assert shop.service.calls == []


@pytest.mark.parametrize("host", ["localhost:1", "LOCALHOST", "127.0.0.9:80", "[::1]:443", "shop.test:9"])
def test_this_machine_s_names_and_those_allowed_are_taken_and_come_back_in_the_wsdl(emulate, host):
    shop = emulate(allowed_hosts=["Shop.test"])
    response = requests.get(f"{shop.service.url}?wsdl", headers={"Host": host}, timeout=10)
    assert f'location="http://{host}/OctopusService.svc"'.encode() in response.content
    assert b'schemaLocation="OctopusService.svc?xsd=xsd0"' in response.content


def test_a_state_file_is_for_its_owner_alone(tmp_path):
    if os.name == "nt":
        pytest.skip("Windows has no such modes")
    before = os.umask(0)
    try:
        with Emulator(state=tmp_path / "shop.sqlite") as service:
            service.store.add_item("A")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}, modes
    assert "shop.sqlite-wal" in modes


def call(journal, size=10, operation="IsSkuExist"):
    record = journal.open(
        operation=operation, merchant=None, keys=(), items=1, connection=1, headers={}, request=b"x" * size
    )
    journal.sending(record, 200, b"y" * size)
    return record


def test_the_journal_keeps_as_many_calls_as_it_is_told_and_counts_all(emulate):
    shop = emulate(keep_calls=3)
    for _ in range(5):
        shop.call("IsSkuExist", ASK + "<x/>")
    assert [(record.sequence, record.nth) for record in shop.service.calls] == [(3, 3), (4, 4), (5, 5)]
    assert len(shop.service.lint) == 3
    assert shop.service.bytes_received == 5 * shop.service.calls[0].request_size
    assert shop.service.bytes_sent == 5 * shop.service.calls[0].reply_size
    shop.service.reset()
    assert (shop.service.calls, shop.service.bytes_received) == ([], 0)
    shop.call("IsSkuExist", ASK)
    assert shop.service.calls[0].sequence == 1


def test_the_journal_drops_the_oldest_bodies_first_and_keeps_the_calls():
    journal = Journal(keep_bytes=50)
    records = [call(journal) for _ in range(4)]
    assert [len(record.request + record.reply) for record in records] == [0, 0, 20, 20]
    assert list(journal.calls) == records
    assert [record.reply_size for record in records] == [10] * 4
    big = call(journal, size=60)
    assert (big.request, big.reply) == (b"", b"")
    assert all(record.request == b"" for record in records)
    assert len(call(journal).reply) == 10
    journal.clear()
    assert len(call(journal).reply) == 10


def test_the_journal_may_be_read_while_calls_come_in(emulate):
    journal = Journal(keep_calls=50)
    writers = [threading.Thread(target=lambda: [call(journal) for _ in range(300)]) for _ in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert len(journal.snapshot()[0]) <= 50
    assert journal.bytes_received == 4 * 300 * 10
