"""The decoder: right replies give all values in any shape, wrong ones never fewer."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from model_strategies import MODELS, TEXT, bare, instances, values

from octopus_soap import (
    InvalidInputError,
    InventoryItem,
    OctopusError,
    OrderResponseItem,
    PaymentStatusCode,
    ProtocolError,
)
from octopus_soap.contracts.wsdl import load_contract
from octopus_soap.models import OrderCriteria, WireModel
from octopus_soap.models.declarations import Nothing, OneOf, RowsOf, ScalarOf
from octopus_soap.wire.codec import Codec
from octopus_soap.wire.decode import Reply, parse
from octopus_soap.wire.readers import scalar_readers
from octopus_soap.wire.redact import Redactor
from tests.every import every

if TYPE_CHECKING:
    import random

    from octopus_soap.wire.decode import Decoded

CONTRACT = load_contract()
CODEC = Codec(CONTRACT, Redactor([]), UTC)
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TEMPURI = "http://tempuri.org/"
DATA = "http://schemas.datacontract.org/2004/07/OctopusService"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
NIL = f"{{{XSI}}}nil"
EVERY_MODEL = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
FEWER_EXAMPLES = settings(max_examples=settings().max_examples // 3)
"""For tests of every model: the same reader reads all 18 models, so their examples add up."""
LAST = 120
"""A reply is cut at each of its last bytes, the end tags, and a large record at every few."""


# -- a renderer for the tests ------------------------------------------------------------------------------------------


def text_of(value: Any) -> str:
    """Return a scalar as WCF writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "")
    return str(value.value) if isinstance(value, Enum) else str(value)


def rendered(value: Any, name: str, space: str = DATA) -> Any:
    """Return a value as an element, with members in the model's order."""
    element = etree.Element(f"{{{space}}}{name}")
    if value is None:
        element.set(NIL, "true")
    elif isinstance(value, WireModel):
        names = {attribute: wire for wire, attribute in type(value).wire_names().items()}
        for attribute in type(value).model_fields:
            if attribute in value.model_fields_set:
                element.append(rendered(getattr(value, attribute), names[attribute], space))
    elif isinstance(value, list):
        for row in value:
            element.append(rendered(row, type(row).__name__, space))
    else:
        element.text = text_of(value)
    return element


def reply(content: Any, *, status: str | None = "Success", operation: str = "GetItemTblList") -> bytes:
    """Make a SOAP reply with *content* as ResultData, or bare without *status*."""
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"s": SOAP})
    response = etree.SubElement(etree.SubElement(envelope, f"{{{SOAP}}}Body"), f"{{{TEMPURI}}}{operation}Response")
    result = etree.SubElement(response, f"{{{TEMPURI}}}{operation}Result", nsmap={"a": DATA, "i": XSI})
    holder = result if status is None else etree.SubElement(result, f"{{{DATA}}}ResultData")
    holder.extend(content)
    if status is not None:
        etree.SubElement(result, f"{{{DATA}}}Status").text = status
    return bytes(etree.tostring(envelope))


def decode(body: bytes, reads: Any, operation: str = "GetItemTblList") -> Decoded:
    return CODEC.decode(operation, Reply(200, {}, body), reads)


def without_extra(value: Any) -> Any:
    """Return the value without unknown members at any depth."""
    if isinstance(value, list):
        return [without_extra(row) for row in value]
    if not isinstance(value, WireModel):
        return value
    fields = type(value).model_fields
    return type(value)(**{n: without_extra(getattr(value, n)) for n in value.model_fields_set if n in fields})


def shuffled(element: Any, order: random.Random) -> None:
    """Shuffle the members of every record, but not the rows of lists."""
    if len({child.tag for child in element}) > 1:
        children = list(element)
        order.shuffle(children)
        element[:] = children
    for child in element:
        shuffled(child, order)


# -- right replies -------------------------------------------------------------------------------------------------


@EVERY_MODEL
@FEWER_EXAMPLES
@given(data=st.data(), order=st.randoms(use_true_random=False))
def test_any_shape_of_a_reply_reads_as_the_same_models(
    model: type[WireModel], data: st.DataObject, order: random.Random
) -> None:
    rows = data.draw(st.lists(instances(model), max_size=3))
    space = data.draw(st.sampled_from([DATA, "", "urn:other", "http://schemas.datacontract.org/2004/07/Elsewhere"]))
    status = data.draw(st.sampled_from(["Success", None]))
    content = [rendered(row, data.draw(st.sampled_from([model.__name__, "anyType"])), space) for row in rows]
    for element in content:
        shuffled(element, order)
    decoded = decode(reply(content, status=status), RowsOf(model))
    assert [row.value for row in decoded.rows] == rows
    assert [row.value.model_fields_set for row in decoded.rows] == [row.model_fields_set for row in rows]
    assert decoded.drift == {}
    assert decoded.warnings == []


def written(value: Any, name: str, how: random.Random, prefix: str) -> str:
    """Return a value as text XML, in a random form for each member: mostly WCF's."""
    if value is None:
        return f'<{prefix}:{name} i:nil="true"/>'
    if isinstance(value, WireModel):
        names = {attribute: wire for wire, attribute in type(value).wire_names().items()}
        inner = "".join(
            written(getattr(value, attribute), names[attribute], how, prefix)
            for attribute in type(value).model_fields
            if attribute in value.model_fields_set
        )
    elif isinstance(value, list):
        inner = "".join(written(row, type(row).__name__, how, prefix) for row in value)
    else:
        inner = _escaped(text_of(value), how)
    if not inner and how.random() < 0.7:
        return f"<{prefix}:{name}/>"
    comment = f"<!-- </{prefix}:{name}> -->" if how.random() < 0.02 else ""
    return f"<{prefix}:{name}>{comment}{inner}</{prefix}:{name}>"


def _escaped(text: str, how: random.Random) -> str:
    if "]]>" not in text and "\r" not in text and how.random() < 0.03:
        return f"<![CDATA[{text}]]>"
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")
    return f"&#{ord(text[0])};{plain[1:]}" if text and text[0] not in "&<>\r" and how.random() < 0.1 else plain


@EVERY_MODEL
@FEWER_EXAMPLES
@given(data=st.data(), how=st.randoms(use_true_random=False))
def test_pages_of_rows_alike_read_as_their_models(
    model: type[WireModel], data: st.DataObject, how: random.Random
) -> None:
    """Rows alike may be read by a shortcut, with the same values."""
    first = data.draw(instances(model))
    fields = {name: st.none() | values(model.model_fields[name].annotation) for name in sorted(first.model_fields_set)}
    alike = st.fixed_dictionaries(fields).filter(lambda given: _makes(model, given)).map(lambda given: model(**given))
    rows = [
        first,
        *data.draw(st.lists(alike, min_size=3, max_size=7)),
        *data.draw(st.lists(instances(model), max_size=1)),
    ]
    codec = Codec(CONTRACT, Redactor([]), UTC)
    for prefix in ("a", "ns0"):  # a second reply with another prefix meets what was learned from the first
        how.shuffle(rows)
        content = "".join(written(row, model.__name__, how, prefix) for row in rows)
        body = (
            f'<s:Envelope xmlns:s="{SOAP}"><s:Body><GetItemTblListResponse xmlns="{TEMPURI}"><GetItemTblListResult '
            f'xmlns:{prefix}="{DATA}" xmlns:i="{XSI}"><{prefix}:ResultData>{content}</{prefix}:ResultData>'
            f"<{prefix}:Status>Success</{prefix}:Status></GetItemTblListResult></GetItemTblListResponse></s:Body></s:Envelope>"
        )
        decoded = codec.decode("GetItemTblList", Reply(200, {}, body.encode()), RowsOf(model))
        assert [row.value for row in decoded.rows] == rows
        assert [row.value.model_fields_set for row in decoded.rows] == [row.model_fields_set for row in rows]
        assert decoded.drift == {}


def _makes(model: type[WireModel], given: dict[str, Any]) -> bool:
    try:
        model(**given)
    except InvalidInputError:
        return False
    return True


KNOWN = {name.casefold() for model in MODELS for name in {**model.wire_names(), **model.read_aliases}}
UNKNOWN_NAMES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_.-]{0,8}\Z").filter(lambda name: name.casefold() not in KNOWN)


@EVERY_MODEL
@FEWER_EXAMPLES
@given(data=st.data(), order=st.randoms(use_true_random=False))
def test_unknown_members_anywhere_change_nothing_and_are_kept_and_counted(
    model: type[WireModel], data: st.DataObject, order: random.Random
) -> None:
    value = data.draw(instances(model))
    element = rendered(value, model.__name__)
    added = data.draw(st.dictionaries(UNKNOWN_NAMES, st.none() | TEXT, min_size=1, max_size=4))
    for name, text in added.items():
        element.append(rendered(text, name, order.choice([DATA, "", "urn:x"])))
    shuffled(element, order)
    decoded = decode(reply([element]), RowsOf(model))
    found = decoded.rows[0].value
    assert found.model_extra == added
    assert without_extra(found) == value
    assert decoded.drift == {f"{model.__name__}.{name}": 1 for name in added}


def _parameter_of(model: type[WireModel]) -> Any:
    """Return the operation and parameter whose request has *model*, or None."""
    for operation in CONTRACT.operations.values():
        for member in operation.request.shape.members:
            if (member.shape.items or member).shape.name == model.__name__:
                return operation.name, member
    return None


REQUESTED = [model for model in MODELS if _parameter_of(model) is not None]


@pytest.mark.parametrize("model", REQUESTED, ids=lambda model: model.__name__)
@given(data=st.data())
def test_what_the_encoder_writes_the_decoder_reads(model: type[WireModel], data: st.DataObject) -> None:
    operation, member = _parameter_of(model)
    value = data.draw(instances(model))
    many = member.shape.items is not None
    body = CODEC.requests(operation).envelope({member.name: [value] if many else value})
    request = etree.fromstring(body)[0][0]
    rows = list(request[0]) if many else [request[0]]
    assert decode(reply(rows), RowsOf(model)).rows[0].value == value


@given(text=TEXT)
def test_text_reads_back_equal_whatever_it_holds(text: str) -> None:
    decoded = decode(reply([rendered(InventoryItem(sku=text), "InventoryItem")]), RowsOf(InventoryItem))
    assert decoded.rows[0].value.sku == text
    assert decoded.rows[0].key == text


def test_an_unknown_enumeration_text_survives() -> None:
    row = rendered(OrderResponseItem(payment_status=PaymentStatusCode("Mislaid")), "OrderResponseItem")
    found = decode(reply([row]), RowsOf(OrderResponseItem)).rows[0].value
    assert found.payment_status == "Mislaid"
    assert not found.payment_status.known


# -- unset, nil, empty ---------------------------------------------------------------------------------------------

# The two times of OrderCriteria are a pair, and no reply has them.
FIELDS = [(m, name) for m in MODELS for name in m.model_fields if not (m is OrderCriteria and "time" in name)]
EVERY_FIELD = every(("model", "name"), FIELDS, ids=[f"{m.__name__}.{n}" for m, n in FIELDS])


def wire_name(model: type[WireModel], attribute: str) -> str:
    return next(wire for wire, known in model.wire_names().items() if known == attribute)


@EVERY_FIELD
def test_unset_nil_and_empty_are_three_different_things_when_read(model: type[WireModel], name: str) -> None:
    unset, nil, empty = (etree.Element(f"{{{DATA}}}{model.__name__}") for _ in range(3))
    etree.SubElement(nil, f"{{{DATA}}}{wire_name(model, name)}", {NIL: "true"})
    etree.SubElement(empty, f"{{{DATA}}}{wire_name(model, name)}")

    body = reply([unset, nil, empty])
    read = [row.value for row in decode(body, RowsOf(model)).rows]

    assert [row.model_fields_set for row in read] == [set(), {name}, {name}]
    assert getattr(read[0], name) is None
    assert getattr(read[1], name) is None
    inner = bare(model.model_fields[name].annotation)
    if get_origin(inner) is list:
        assert getattr(read[2], name) == []
    elif issubclass(inner, WireModel):
        assert getattr(read[2], name) == inner()
    elif inner is str:
        assert getattr(read[2], name) == ""
    else:  # an empty element for a value type, on which WCF's own clients fail
        assert getattr(read[2], name) is None


SENT = [(model, name) for model, name in FIELDS if model in REQUESTED]


@every(("model", "name"), SENT, ids=[f"{m.__name__}.{n}" for m, n in SENT])
def test_unset_nil_and_empty_are_three_different_things_when_written(model: type[WireModel], name: str) -> None:
    operation, member = _parameter_of(model)
    inner = bare(model.model_fields[name].annotation)
    given = [model(), model(**{name: None})]
    if get_origin(inner) is list:
        given.append(model(**{name: []}))
    elif issubclass(inner, WireModel):
        given.append(model(**{name: inner()}))
    elif inner is str:
        given.append(model(**{name: ""}))
    written = []
    for value in given:
        many = member.shape.items is not None
        request = etree.fromstring(CODEC.requests(operation).envelope({member.name: [value] if many else value}))[0][0]
        written.append(request[0][0] if many else request[0])
    tag = f"{{{DATA}}}{wire_name(model, name)}"
    assert len(written[0]) == 0
    assert [(child.tag, dict(child.attrib), child.text) for child in written[1]] == [(tag, {NIL: "true"}, None)]
    for element in written[2:]:
        assert [(child.tag, dict(child.attrib), child.text, len(child)) for child in element] == [(tag, {}, None, 0)]


@every("nil", ["true", "1"])
def test_a_nil_row_is_dropped_and_counted_in_either_spelling(nil: str) -> None:
    element = etree.Element(f"{{{DATA}}}InventoryItem", {NIL: nil})
    decoded = decode(reply([element, rendered(InventoryItem(sku="A"), "InventoryItem")]), RowsOf(InventoryItem))
    assert [row.value.sku for row in decoded.rows] == ["A"]
    assert decoded.nil_rows == 1


# -- broken replies ------------------------------------------------------------------------------------------------


def full(model: type[WireModel]) -> WireModel:
    """Return an instance with every member set."""
    samples: dict[Any, Any] = {
        str: "té<xt>",
        Decimal: Decimal("1.50"),
        int: 7,
        bool: True,
        float: 2.5,
        datetime: datetime(2026, 3, 4, tzinfo=UTC),
    }
    made = {}
    for name, field in model.model_fields.items():
        inner = bare(field.annotation)
        if get_origin(inner) is list:
            item = get_args(inner)[0]
            made[name] = [full(bare(item)) if bare(item) not in samples else samples[bare(item)]]
        elif issubclass(inner, Enum):
            made[name] = next(iter(inner))
        else:
            made[name] = full(inner) if issubclass(inner, WireModel) else samples[inner]
    return model(**made)


@EVERY_MODEL
def test_a_reply_cut_at_any_byte_raises(model: type[WireModel]) -> None:
    """Zeep reads such a reply as a shorter list, without an error."""
    body = reply([rendered(full(model), model.__name__)])
    assert decode(body, RowsOf(model)).rows[0].value == full(model)
    assert len(body) > LAST
    step = len(body) // 300 * 2 + 1
    ends = (*range(0, len(body) - LAST, step), *range(len(body) - LAST, len(body)))
    for reads, cuts in ((RowsOf(model), ends), (OneOf(model), ends[::7])):
        for end in cuts:
            with pytest.raises(ProtocolError):
                decode(body[:end], reads)


@every("operation", ["SetDownloadOrderConfirm", "SetDownloadSplitOrderConfirm"])
def test_a_void_reply_cut_at_any_byte_but_the_first_raises(operation: str) -> None:
    body = (
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body><{operation}Response xmlns="{TEMPURI}"/></s:Body></s:Envelope>'.encode()
    )
    decode(body, Nothing(), operation)
    for end in range(1, len(body)):
        with pytest.raises(ProtocolError):
            decode(body[:end], Nothing(), operation)


def test_a_large_reply_cut_at_any_percent_raises() -> None:
    body = reply([rendered(full(InventoryItem), "InventoryItem") for _ in range(200)])
    assert len(body) > 500_000
    for percent in range(0, 100, 12):
        with pytest.raises(ProtocolError):
            decode(body[: len(body) * percent // 100], RowsOf(InventoryItem))


@every("encoding", ["utf-16", "iso-8859-1"])
def test_a_reply_in_another_encoding_cut_anywhere_raises(encoding: str) -> None:
    text = reply([rendered(InventoryItem(sku="é"), "InventoryItem")]).decode()
    body = f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding)
    assert decode(body, RowsOf(InventoryItem)).rows[0].value.sku == "é"
    for end in range(len(body)):
        with pytest.raises(ProtocolError):
            decode(body[:end], RowsOf(InventoryItem))


FORBIDDEN_REFERENCES = [
    "&#x1F;",
    "&#31;",
    "&#0;",
    "&#x0;",
    "&#x8;",
    "&#xB;",
    "&#xFFFE;",
    "&#65535;",
    "&#xD800;",
    "&#xdfff;",
    "&#x110000;",
    "\x1f",
    "\x00",
    "\x0b",
]


@every("reference", FORBIDDEN_REFERENCES, ids=ascii)
def test_a_forbidden_character_reads_as_the_replacement_character_and_nothing_else_changes(reference: str) -> None:
    """WCF writes such references; the record with one must not be lost."""
    body = reply([rendered(InventoryItem(sku="a@b", details="c&#9;d"), "InventoryItem")])
    decoded = decode(body.replace(b"@", reference.encode()), RowsOf(InventoryItem))
    assert decoded.rows[0].value == InventoryItem(sku="a\ufffdb", details="c&#9;d")
    assert any("U+FFFD" in warning for warning in decoded.warnings)


@every("reference", ["&#9;", "&#xA;", "&#13;", "&#x20;", "&#xFFFD;", "&#x1F600;", "&#1114111;"])
def test_an_allowed_reference_reads_as_its_character_even_beside_a_forbidden_one(reference: str) -> None:
    number = int(reference[3:-1], 16) if reference[2] == "x" else int(reference[2:-1])
    body = reply([rendered(InventoryItem(sku="@", details="%"), "InventoryItem")])
    body = body.replace(b"@", reference.encode())
    assert decode(body, RowsOf(InventoryItem)).rows[0].value.sku == chr(number)
    found = decode(body.replace(b"%", b"&#x1F;"), RowsOf(InventoryItem)).rows[0].value
    assert (found.sku, found.details) == (chr(number), "\ufffd")


def test_rows_in_a_declared_encoding_are_read_in_it_however_many_there_are() -> None:
    """These bytes are valid UTF-8 too, with another meaning."""
    text = "\u00c3\u00a9"
    rows = "".join(f"<Item><Sku>{text}{n}</Sku></Item>" for n in range(10))
    body = (
        '<?xml version="1.0" encoding="iso-8859-1"?><Envelope><Body><GetItemTblListResponse><R>'
        f"{rows}</R></GetItemTblListResponse></Body></Envelope>"
    ).encode("latin-1")
    assert [row.value.sku for row in decode(body, RowsOf(InventoryItem)).rows] == [f"{text}{n}" for n in range(10)]


DOCTYPES = {
    "plain": "<!DOCTYPE s:Envelope>",
    "internal": '<!DOCTYPE s:Envelope [<!ENTITY x "y">]>',
    "billion laughs": '<!DOCTYPE e [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
    "external": '<!DOCTYPE e SYSTEM "file:///etc/passwd">',
    "external entity": '<!DOCTYPE e [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "after a long comment": f"<!-- {'x' * 5000} --><!DOCTYPE s:Envelope [<!ENTITY x 'y'>]>",
}


@every("doctype", DOCTYPES)
def test_a_doctype_is_refused(doctype: str) -> None:
    body = DOCTYPES[doctype].encode() + reply([rendered(InventoryItem(sku="A"), "InventoryItem")])
    with pytest.raises(ProtocolError):
        decode(body, RowsOf(InventoryItem))
    with pytest.raises(ProtocolError, match="DOCTYPE"):
        parse(body)  # however far in: the reason is not that it is no SOAP reply


@every(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"{}",
        b"<html><body>Service</body></html>",
        b"<!DOCTYPE html><html></html>",
        b"<Envelope/>",
        b"<Envelope><Body/></Envelope>",
        b"<Envelope><Header/></Envelope>",
        b"<Envelope><Body><GetItemTblListResponse/></Body></Envelope>",
        b"<Envelope><Body><GetItemListResponse><R/></GetItemListResponse></Body></Envelope>",
        b"<Envelope><Body><GetItemTblListResponse><R>text</R></GetItemTblListResponse></Body></Envelope>",
        b"<Envelope><Body><GetItemTblListResponse><R><Status>  </Status></R></GetItemTblListResponse></Body></Envelope>",
        b"\xff\xfe\x00",
        b"\x1f\x8b\x08\x00 half a gzip",
        b"<Envelope><Body>" + b"<x>" * 300 + b"</x>" * 300 + b"</Body></Envelope>",
    ],
    ids=lambda body: body[:40].decode("latin-1"),
)
def test_what_is_no_reply_raises(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(body, RowsOf(InventoryItem))


def test_a_reply_nested_without_end_is_refused_by_the_parser() -> None:
    body = reply([rendered(InventoryItem(sku="A"), "InventoryItem")])
    deep = body.replace(b"</a:InventoryItem>", b"<d>" * 300 + b"</d>" * 300 + b"</a:InventoryItem>")
    with pytest.raises(ProtocolError, match="depth"):
        decode(deep, RowsOf(InventoryItem))


@given(body=st.binary(max_size=60) | TEXT.map(str.encode))
def test_any_bytes_raise_a_protocol_error_and_nothing_else(body: bytes) -> None:
    for reads in (RowsOf(InventoryItem), OneOf(InventoryItem), ScalarOf(int)):
        with pytest.raises(ProtocolError):
            decode(body, reads)


@given(data=st.data())
def test_a_reply_with_any_bytes_replaced_never_reads_as_something_else_than_models_or_an_error(
    data: st.DataObject,
) -> None:
    body = bytearray(reply([rendered(full(OrderResponseItem), "OrderResponseItem")]))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at : at + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))
    try:
        decoded = decode(bytes(body), RowsOf(OrderResponseItem))
    except OctopusError:
        return
    for row in decoded.rows:
        assert isinstance(row.value, OrderResponseItem) or row.problems


# -- bad scalars ---------------------------------------------------------------------------------------------------

BAD: dict[Any, list[str]] = {
    Decimal: ["x", "1,99", "1.234,56", "1 000", "0x10", "NaN", "INF", "--1", "1e", "1_0", "\u0661", "1E4000", "$5"],
    int: ["x", "1.5", "1e2", "2147483648", "-2147483649", "0x10", "1,000", "1_000", "\u0661\u0662", "9" * 5000, "true", "NaN"],
    bool: ["yes", "no", "2", "TRUE!", "tru", "-1", "0.0", "on"],
    float: ["x", "NaN", "INF", "-INF", "1,5", "1E999", "0x1p3", "1_0"],
    datetime: ["x", "20260304", "2026-03-04", "04/03/2026", "2026-13-01T00:00:00", "2026-02-30T00:00:00", "2026-03-04 10:00:00", "2026-03-04T24:00:00", "2026-03-04T24:00:00Z", "2026-03-04T24:00:00.0000000-05:00", "2026-03-04T25:00:00", "2026-03-04T10:00", "1709546400", "/Date(x)/", "/Date(99999999999999999999)/", "/Date(-99999999999999999999)/", "0000-00-00T00:00:00", "2026-03-04T10:00:00+99:99"],
}  # fmt: skip
PLACES: dict[Any, tuple[str, str]] = {
    Decimal: ("InventoryItem", "price"),
    int: ("QuantityInfoResponse", "stock"),
    bool: ("IsSkuExistResponse", "result"),
    float: ("KitInfo", "quantity"),
    datetime: ("InventoryItem", "sale_start_date"),
}
BAD_CASES = [(kind, text) for kind, texts in BAD.items() for text in texts]


@every(("kind", "text"), BAD_CASES, ids=[f"{k.__name__} {t[:24]}" for k, t in BAD_CASES])
def test_a_bad_scalar_is_named_with_item_field_and_text_and_the_other_99_records_stand(kind: Any, text: str) -> None:
    name, attribute = PLACES[kind]
    model = next(model for model in MODELS if model.__name__ == name)
    rows = [model(**{model.key_field: f"KEY-{n}"}) for n in range(100)]
    content = [rendered(row, name) for row in rows]
    etree.SubElement(content[37], f"{{{DATA}}}{wire_name(model, attribute)}").text = text

    decoded = decode(reply(content), RowsOf(model))

    assert [row.value for n, row in enumerate(decoded.rows) if n != 37] == rows[:37] + rows[38:]
    bad = decoded.rows[37]
    assert bad.value is None
    (problem,) = bad.problems
    assert problem.key == "KEY-37"
    assert problem.field == f"{name}.{attribute}"
    assert problem.value.startswith((repr(text)[:50], text[:50])) or text[:20] in problem.value
    assert bad.raw is not None
    assert b"KEY-37" in bad.raw


def test_a_bad_scalar_deep_inside_is_named_too() -> None:
    item = full(InventoryItem)
    element = rendered(item, "InventoryItem")
    next(element.iter(f"{{{DATA}}}StorePrice")).text = "1,99"
    (row,) = decode(reply([element]), RowsOf(InventoryItem)).rows
    assert [(p.key, p.field, p.value) for p in row.problems] == [("té<xt>", "StoreStockInfo.store_price", "'1,99'")]


def test_every_bad_member_of_a_record_is_named_not_only_the_first() -> None:
    element = rendered(InventoryItem(sku="A"), "InventoryItem")
    for name in ("Price", "Cost", "SaleStartDate"):
        etree.SubElement(element, f"{{{DATA}}}{name}").text = "bad"
    (row,) = decode(reply([element]), RowsOf(InventoryItem)).rows
    assert [p.field for p in row.problems] == [
        "InventoryItem.price",
        "InventoryItem.cost",
        "InventoryItem.sale_start_date",
    ]


@every("wrong", ["<a:Price><a:X>1</a:X></a:Price>", "<a:FieldLocks>text</a:FieldLocks>"])
def test_structure_and_text_in_each_others_place_fail_the_record(wrong: str) -> None:
    body = reply([rendered(InventoryItem(sku="A"), "InventoryItem")]).decode()
    (row,) = decode(
        body.replace("</a:InventoryItem>", f"{wrong}</a:InventoryItem>").encode(), RowsOf(InventoryItem)
    ).rows
    assert row.value is None
    assert row.problems


@pytest.mark.parametrize("kind", list(scalar_readers()), ids=lambda kind: kind.__name__)
@given(text=TEXT | st.from_regex(r"\A[-+0-9.eE:TZ/Dat()]{1,30}\Z") | st.text(max_size=30))
def test_a_reader_gives_a_value_or_says_what_is_wrong(kind: Any, text: str) -> None:
    """Any other exception than a ValueError would lose the whole reply."""
    try:
        value = scalar_readers()[kind](text)
    except ValueError:
        return
    assert value is None or isinstance(value, kind)
