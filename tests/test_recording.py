"""Recordings have what a bug report needs, nothing private, and can be replayed."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from html import escape

import httpx
import pytest
import responses
import respx
from awaited import AwaitedClient

from octopus_soap import (
    AsyncOctopusClient,
    FaultError,
    HttpStatusError,
    OctopusClient,
    OctopusError,
    OctopusSettings,
    OutcomeUnknownError,
    ProtocolError,
)
from octopus_soap.testing import (
    ApiFailure,
    Fault,
    Html,
    Latency,
    Lie,
    NotRecordedError,
    Recording,
    Reset,
    Status,
    Truncate,
    make_address,
    make_item,
    make_order,
    record_traffic,
    replay_traffic,
)
from octopus_soap.wire.redact import Masker, Redactor
from tests.every import every

SECRETS = ("canary-authtoken-5f2c81", "0badc0de-0000-4000-8000-canary7d31aa")
"""Of the tests' account; checked below to be so."""
PERSON = {
    "first_name": "Canarina",
    "last_name": "Birdsdottir",
    "address1": "7 Canary Wharf",
    "address2": "c/o Nest & Sons",
    "city": "Canaryville",
    "state": "Featherland",
    "country": "Birdland",
    "zip": "CAN 4R7",
    "phone": "+47 555 01 234",
    "email": "canarina@nest.example",
    "customer_id": "bird-998877",
}
CARD, COMMENT = "4111 1111 1111 4444", "ring twice at Birdsdottir"
CANARIES = (*SECRETS, *PERSON.values(), CARD, COMMENT, CARD[-9:], "canary-shop")


def leaked(text: str) -> list[str]:
    plain = re.sub(r'"(request_id|elapsed)": [^\n]*', "", text)
    return [canary for canary in CANARIES if canary in plain or escape(canary) in plain]


@pytest.fixture(params=["blocking", "asynchronous"])
def both(request, service, make_client):
    """Yield each client; its account is the tests' canary."""
    if request.param == "blocking":
        yield make_client()
        return
    client = AwaitedClient(OctopusSettings.load(**service.settings(), backoff_base=0.0))
    yield client
    client.close()


def order_of_a_person():
    person = make_address(**PERSON)
    return make_order("WEB-1", ship=person, bill=person, credit_card=CARD, web_comment=COMMENT)


def everything_in(folder):
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()))


# -- what is in it -------------------------------------------------------------------------------------------------


def test_a_recording_has_every_attempt_with_what_came_of_it(both, service, tmp_path):
    service.store.add_item("A", Stock=3)
    service.script.on("GetItemQuantity", nth=1).do(Reset("after"))
    service.script.on("GetItemQuantity", nth=2).do(Status(503, body="html"))
    both.is_sku_exist("B")
    with record_traffic(both) as recording:
        assert both.get_item_quantity("A") == 3
        both.with_options(max_attempts=1).get_item_list(["A"])  # a view shares the recording
    both.is_sku_exist("B")
    seen = [(e.number, e.operation, e.attempt, e.status) for e in recording.exchanges]
    assert seen == [
        (1, "GetItemQuantity", 1, None),
        (2, "GetItemQuantity", 2, 503),
        (3, "GetItemQuantity", 3, 200),
        (4, "GetItemList", 1, 200),
    ]
    lost, refused, done, _ = recording.exchanges
    assert lost.failure
    assert lost.reply is None
    assert lost.error.startswith("TransportError: ")
    assert lost.request_id == done.request_id
    assert "<sku>A</sku>" in done.request
    assert refused.headers["content-type"].startswith("text/html")
    assert all(exchange.elapsed > 0 for exchange in recording.exchanges)
    assert recording.save(tmp_path / "new" / "folder").is_dir()
    assert Recording.load(tmp_path / "new" / "folder") == recording


def test_batches_side_by_side_are_all_recorded(both, service):
    for number in range(40):
        service.store.add_item(f"A{number}")
    with record_traffic(both) as recording:
        both.get_item_list([f"A{number}" for number in range(40)], batch_size=2)
    assert [exchange.number for exchange in recording.exchanges] == list(range(1, 21))


def test_a_saved_recording_is_a_pair_of_readable_files_per_exchange(both, tmp_path):
    with record_traffic(both) as recording:
        both.upload_item(make_item("A"))
    recording.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "0001-UploadItem.reply.xml",
        "0001-UploadItem.request.xml",
        "index.json",
    ]
    assert "\n        <Sku>A</Sku>\n" in (tmp_path / "0001-UploadItem.request.xml").read_text()
    assert json.loads((tmp_path / "index.json").read_text())["exchanges"][0]["status"] == 200


def test_saving_again_replaces_the_recording_and_nothing_else(client, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with record_traffic(client) as recording:
        client.is_sku_exist("A")
        client.is_sku_exist("B")
    recording.save(tmp_path)
    Recording(recording.exchanges[:1]).save(tmp_path)
    assert len(Recording.load(tmp_path).exchanges) == 1
    assert sorted(path.name for path in tmp_path.iterdir() if "0002" in path.name) == []
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_fixture_records_until_the_test_ends(octopus_recorder, octopus_client):
    recording = octopus_recorder(octopus_client)
    octopus_client.is_sku_exist("A")
    assert [exchange.operation for exchange in recording.exchanges] == ["IsSkuExist"]


# -- what is not in it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        None,
        Fault("internal"),
        Fault("internal-with-details"),
        Status(401),
        Status(500, body="html"),
        Html(),
        ApiFailure(1, f"{PERSON['first_name']} {PERSON['last_name']} ({PERSON['email']}) has no card {CARD}"),
        Truncate(0.3),
        Truncate(0.55),
        Truncate(0.8),
        Lie("renamed-member", field="FirstName"),
        Lie("extra-member"),
        Lie("other-prefix"),
        Lie("other-namespace"),
        Lie("bad-scalar", field="Total", value=PERSON["email"]),
        Reset("mid"),
        Latency(0.01),
    ],
    ids=str,
)
def test_a_recording_holds_no_secret_and_no_person(both, service, tmp_path, fault):
    if fault is not None:
        service.script.on("GetOrderList").do(fault)
        service.script.on("SubmitOrder", nth=2).do(fault)
    with record_traffic(both) as recording:
        both.submit_order(order_of_a_person())
        for call in (both.get_order_list, lambda: both.submit_order(order_of_a_person())):
            with suppress(OctopusError):
                call()
    recording.save(tmp_path)
    assert leaked(everything_in(tmp_path)) == []
    assert leaked(repr(recording.exchanges)) == []
    assert len(recording.exchanges) >= 3


def test_the_canaries_were_really_on_the_wire(client, service):
    """A test of leaks with nothing to leak would always pass."""
    assert (service.settings()["authtoken"], service.settings()["accessid"]) == SECRETS
    client.submit_order(order_of_a_person())
    client.get_order_list()
    sent = service.calls[0].request + service.calls[1].reply
    assert len(leaked(sent.decode())) >= len(CANARIES) - 4


def masker() -> Masker:
    return Masker(Redactor([*SECRETS, "canary<account>&3"]))


def envelope(inner: str) -> bytes:
    return f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{inner}</s:Body></s:Envelope>'.encode()


@every(
    "inner",
    [
        "<CustomerTelephone>Canarina</CustomerTelephone>",  # an unknown member
        "<Order><Deliver><Who>Canarina</Who></Deliver></Order>",
        "<Customer><Sku>Canarina</Sku></Customer>",  # a known name within a person
        "<ShippingInfo><x><Description>Canarina</Description></x></ShippingInfo>",
        "<Name>Canarina</Name>",
        "<b:FirstName xmlns:b='x'><![CDATA[Canarina]]></b:FirstName>",
        "<FIRSTNAME>Canarina</FIRSTNAME>",
        "<FirstName>&#67;anarina</FirstName><Message>Canarina is unknown</Message>",
        "<FirstName>Canarina</FirstName><Message>&#67;anarina is unknown</Message>",
        "<x><!-- Canarina --></x><?note Canarina?>",
        "<Sku who='Canarina'>A</Sku>",
        '<Sku a=">" who="Canarina">A</Sku>',
        "<FirstName>Canarina",
        "<FirstName><b>x</b>Canarina</FirstName>",
        "<Message>Canarina@nest.example asked</Message>",
        "<accountID>Canarina</accountID>",
        "<Ship><Sku>A</Sku></Sku>Canarina</Ship>",  # one end tag too many
    ],
)
def test_a_person_is_masked_wherever_one_stands(inner):
    assert "anarina" not in masker().body(envelope(inner)).replace("***", "")


@every(
    "inner",
    [
        f"<Message>{SECRETS[0]} is odd</Message>",
        f"<Description>x {SECRETS[1]}</Description>",
        "<Message>canary&lt;account&gt;&amp;3</Message>",
        "<Message>canary&lt;account>&#38;3</Message>",
        f"<{SECRETS[0]}/>",
        f"<Message>{SECRETS[0][:-3]}",  # cut in the middle
        f"<Message><![CDATA[{SECRETS[0]}]]></Message>",
    ],
)
def test_a_secret_is_masked_wherever_a_service_puts_it(inner):
    shown = masker().body(envelope(inner) if inner.endswith(">") else envelope(inner).partition(b"</s:Body")[0])
    assert not any(secret[:-4] in shown for secret in SECRETS)
    assert "account>" not in shown
    assert "account&gt;" not in shown


def test_a_page_that_repeats_what_it_was_sent_shows_none_of_it():
    mask = masker()
    mask.body(envelope("<FirstName>Canarina</FirstName><Phone>555 01 234</Phone>"))
    page = f"""<!DOCTYPE html [<!ENTITY x "Canarina">]><html><title>Oops, Canarina</title><script>var t = "{SECRETS[0]}"</script>
      <p>&lt;FirstName&gt;Canarina&lt;/FirstName&gt; called from 555 01 234</p><FirstName>Canary</FirstName>
      <input value="Canarina"></html>"""
    shown = mask.body(page.encode())
    assert "anar" not in shown.replace("canary-", "canary-"), shown
    assert SECRETS[0] not in shown
    assert "<title>Oops, ***</title>" in shown


def test_what_a_decoder_needs_stays():
    body = envelope(
        '<R xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><Status>Success</Status><Sku>0012</Sku><Price i:nil="true"/>'
        "<Description></Description><Stock>-3</Stock><UnknownOne>7</UnknownOne>"
        "<AttributeInfo><Name>Colour</Name><Value>red &amp; blue</Value></AttributeInfo></R>"
    )
    shown = masker().body(b'<?xml version="1.0" encoding="utf-8"?>' + body)
    for part in (
        '<?xml version="1.0" encoding="utf-8"?>',
        "<Status>Success</Status>",
        "<Sku>0012</Sku>",
        '<Price i:nil="true"/>',
        "<Description></Description>",
        "<Stock>-3</Stock>",
        "<UnknownOne>***</UnknownOne>",
        "<Name>Colour</Name>",
        "<Value>red &amp; blue</Value>",
    ):
        assert part in shown


def test_a_message_in_another_encoding_is_masked_too():
    text = envelope("<FirstName>Canarina</FirstName><Sku>Å</Sku>").decode()
    for encoding in ("utf-16", "latin-1"):
        declared = f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding)
        shown = masker().body(declared)
        assert "anarina" not in shown
        assert "<Sku>Å</Sku>" in shown


# -- replaying -----------------------------------------------------------------------------------------------------


def test_a_replay_answers_as_the_service_did_and_sends_nothing(both, service, tmp_path):
    service.store.add_item("A", Stock=3)
    service.script.on("GetItemQuantity", nth=1).do(Reset("after"))
    with record_traffic(both) as recording:
        quantity, info = _answer(both, "A")
        stocks = both.get_item_list([f"X{n}" for n in range(30)], batch_size=10)
        both.submit_order(order_of_a_person())
        orders = both.get_order_list()
    recording.save(tmp_path)
    sent = len(service.calls)
    with replay_traffic(both, Recording.load(tmp_path)):
        assert _answer(both, "A") == (quantity, info)
        assert both.get_item_list([f"X{n}" for n in range(30)], batch_size=10) == stocks
        both.submit_order(order_of_a_person())
        (replayed,) = both.get_order_list()
        with pytest.raises(NotRecordedError, match="no answer left to this GetItemQuantity"):
            both.get_item_quantity("A")
    assert len(service.calls) == sent
    assert (replayed.id, replayed.total) == (orders[0].id, orders[0].total)
    assert replayed.ship.first_name == "***"
    assert both.get_item_quantity("A") == 3
    assert len(service.calls) == sent + 1


def _answer(client, sku):
    answer = client.get_item_quantity.with_info(sku)
    return answer.value, (answer.info.attempts, answer.info.http_status)


def test_a_replay_fails_as_the_service_did(both, service):
    both = both.with_options(max_attempts=1)
    both.is_sku_exist("A")
    service.script.on("GetItemTblList").do(Fault("internal"))
    service.script.on("GetItemQuantity").do(Html())
    service.script.on("GetOrderList").do(Status(404))
    service.script.on("SubmitOrder").do(Reset("after"))
    calls = [
        (FaultError, both.get_item_tbl_list),
        (ProtocolError, lambda: both.get_item_quantity("A")),
        (HttpStatusError, both.get_order_list),
        (OutcomeUnknownError, lambda: both.submit_order(make_order())),
    ]
    with record_traffic(both) as recording:
        first = [_failure(kind, call) for kind, call in calls]
    with replay_traffic(both, recording):
        assert [_failure(kind, call) for kind, call in calls] == first


def _failure(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return type(caught.value), caught.value.message


def test_by_operation_a_replay_answers_whatever_was_asked(client):
    with record_traffic(client) as recording:
        client.is_sku_exist("A")
    with replay_traffic(client, recording), pytest.raises(NotRecordedError, match="1 unused"):
        client.is_sku_exist("B")
    with replay_traffic(client, recording, match="operation"):
        assert client.is_sku_exist("B") is False


def test_a_replay_can_be_recorded(client):
    with record_traffic(client) as recording:
        client.is_sku_exist("A")
    with replay_traffic(client, recording), pytest.raises(NotRecordedError):
        client.is_sku_exist("C")
    with record_traffic(client) as outer, record_traffic(client) as inner:
        client.is_sku_exist("A")
    assert len(outer.exchanges) == len(inner.exchanges) == 1


def test_a_recording_answers_through_responses(client, make_client):
    with record_traffic(client) as recording:
        client.is_sku_exist("A")
        client.get_item_list(["A"])
    url = "https://octopus.example/OctopusService.svc"
    with responses.RequestsMock() as mock:
        for exchange in recording.exchanges:
            action = {"SOAPAction": f'"{exchange.action}"'}
            mock.post(
                url,
                body=exchange.reply,
                status=exchange.status,
                headers=exchange.headers,
                match=[responses.matchers.header_matcher(action)],
            )
        other = OctopusClient(settings=client.settings.changed(endpoint=url))
        assert other.is_sku_exist("A") is False
        assert [outcome.key for outcome in other.get_item_list(["A"]).missing] == ["A"]
        other.close()


def test_a_recording_answers_through_respx(client):
    with record_traffic(client) as recording:
        client.is_sku_exist("A")
    url = "https://octopus.example/OctopusService.svc"

    async def ask():
        async with AsyncOctopusClient(settings=client.settings.changed(endpoint=url)) as other:
            return await other.is_sku_exist("A")

    with respx.mock() as mock:
        mock.post(url).mock(
            side_effect=[httpx.Response(e.status, text=e.reply, headers=e.headers) for e in recording.exchanges]
        )
        assert asyncio.run(ask()) is False


# -- files from strangers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "complaint"),
    [
        ("no json", "not a recording's index"),
        ("[]", "not a recording's index"),
        ('{"exchanges": []}', "not a recording's index"),
        ('{"format": 99, "exchanges": []}', "format 99"),
        ('{"format": 1, "exchanges": [{"number": 1}]}', "cannot be read"),
        ('{"format": 1, "exchanges": [{"request": "../../secret.xml", "reply": null}]}', "not the name of a file"),
        ('{"format": 1, "exchanges": [{"request": "/etc/passwd", "reply": null}]}', "not the name of a file"),
    ],
)
def test_an_index_that_is_none_is_refused_by_name(tmp_path, index, complaint):
    (tmp_path / "index.json").write_text(index)
    with pytest.raises(ValueError, match=complaint):
        Recording.load(tmp_path)
    if "cannot be read" not in complaint:
        with pytest.raises(ValueError, match=complaint):
            Recording().save(tmp_path)


def test_a_missing_recording_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Recording.load(tmp_path)
