"""All texts of the service are masked, cards too, in time linear in their length."""

from __future__ import annotations

import os
import sys
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from octopus_soap import ApiStatusError, FaultError, HttpStatusError, OctopusError, ProtocolError
from octopus_soap.engine.effects import Attempt
from octopus_soap.engine.inputs import ListCall, sku
from octopus_soap.engine.operation import SingleCall
from octopus_soap.engine.request import Request
from octopus_soap.models import OrderResponseItem
from octopus_soap.models.declarations import Nothing, Safety
from octopus_soap.wire.decode import Reply
from octopus_soap.wire.encode import EnvelopeParts
from octopus_soap.wire.redact import MASK, Masker, Redactor, mask_card_numbers, mask_cards
from tests.engine.stepping import context
from tests.every import every

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "Token+secret/1f9c-77aa"
CARD = "4111111111111111"

ECHOES = [
    TOKEN,
    TOKEN.upper(),
    TOKEN.lower(),
    "Token%2Bsecret%2F1f9c-77aa",
    f"x{TOKEN}y",
    f"{'a' * 780}{TOKEN}",
    TOKEN[:-3],
]


@every("echo", ECHOES)
def test_an_error_shows_no_secret_whatever_part_of_the_answer_echoed_it(echo: str) -> None:
    redactor = Redactor([TOKEN])
    errors: list[OctopusError] = [
        OctopusError(echo),
        ProtocolError(f"the reply is a <{echo}> document", body_excerpt=echo),
        FaultError("SOAP fault", fault_code=echo, fault_string=echo, detail=echo),
        ApiStatusError("the service answered", status=echo, data=echo),
        HttpStatusError("HTTP 500", status=500, body_excerpt=echo),
    ]
    for error in errors:
        shown = f"{error} {error!r} {vars(error)}".lower()
        assert TOKEN[:12].lower() not in shown
        assert MASK in shown
    del redactor


def test_a_mask_ends_with_its_client() -> None:
    redactor = Redactor(["another-secret-9"])
    assert "another" not in str(OctopusError("another-secret-9"))
    del redactor
    assert str(OctopusError("another-secret-9")) == "another-secret-9"


def test_control_characters_of_the_service_reach_no_terminal_and_no_second_line() -> None:
    error = FaultError("a\x1b[31mb\nc\x9bd\u202ee\r\n\u2028f", fault_code="x\x1b", fault_string="\x07")
    for text in (str(error), error.fault_code, error.fault_string):
        assert text.isprintable()
    assert len(str(error).splitlines()) == 1


def test_no_repr_shows_a_body_or_the_account() -> None:
    values: list[Any] = [
        Request("SubmitOrder", "action", Safety.UNSAFE, lambda reply: reply, b"account-7"),  # type: ignore[arg-type, return-value] # never decoded
        Attempt("SubmitOrder", "action", b"account-7"),
        EnvelopeParts(b"account-7", b""),
        Reply(200, {"x": "account-7"}, b"account-7"),
        SingleCall({}, Nothing(), account_id="account-7"),
        ListCall([], sku, Nothing(), account_id="account-7"),
        context(account_id=SecretStr("account-7")),
    ]
    assert not [value for value in values if "account-7" in repr(value)]


MEMBERS = [
    f"<CreditCard><Number>{CARD}</Number><Cvv>123</Cvv></CreditCard>",
    f'<CreditCard number="{CARD}"/>',
    f'<CreditCard number="{CARD}">x</CreditCard>',
    f"<CreditCardNumber>{CARD}</CreditCardNumber>",
    f"<a:Credit_Card_No>{CARD}</a:Credit_Card_No>",
    "<CardHolder>Ada</CardHolder>",
    f"<CreditCard><CreditCard>{CARD}</CreditCard>Ada</CreditCard>",
    f"<CreditCard><Number>{CARD}",
    f"<WebComment>card 4111-1111 1111.1111, Ada's: {CARD}</WebComment>".replace("Ada's", "theirs"),
    f'<Payment a="{CARD}"/>',
    f"<!-- {CARD} -->",
    f"<CreditCard number='{CARD}",
]


@every("member", MEMBERS)
def test_cards_are_masked_with_all_that_is_in_them(member: str) -> None:
    shown = Redactor([]).body(f"<Order><Sku>{CARD}</Sku>{member}<City>Oslo</City></Order>".encode())
    assert shown.count(CARD) == 1, "a SKU is no card"
    for hidden in ("4111-1111", "Ada", "123<"):
        assert hidden not in shown
    if member.endswith(">") and not member.endswith(f"{CARD}"):
        assert "Oslo" in shown


def test_json_is_masked_by_name_and_by_number() -> None:
    masked = mask_cards(
        {"credit_card_number": CARD, "Card": {"no": CARD}, "sku": CARD, "note": f"pay {CARD}", "order_id": CARD, "n": 5}
    )
    assert masked == {
        "credit_card_number": MASK,
        "Card": MASK,
        "sku": CARD,
        "note": f"pay {MASK}",
        "order_id": CARD,
        "n": 5,
    }


def test_a_number_that_is_no_card_stays() -> None:
    assert mask_card_numbers("4111111111111112 400638133393") == "4111111111111112 400638133393"


HOSTILE = [
    "<!--",
    "<a ",
    "<a" + " " * 9,
    "x",
    "x@",
    "<![CDATA[",
    "<?x ",
    "<accountID ",
    "<a b='",
    '<a b="',
    "<CreditCard>",
    "+1 ",
    "1 ",
    "<!DOCTYPE [",
    "a=",
    "&#1;",
]


LAYERS = [
    ("<a>", "</b>"),
    ("<a>", "</a>"),
    ("<!DOCTYPE>", "x"),
    (TOKEN[:-1] + "x", "y"),
    ("<?x ", "<a>"),
    ("<a '", '"'),
]
"""A piece many times, and then another as often."""


def masked_in_all_ways(text: str) -> None:
    masker = Masker(Redactor([TOKEN]))
    masker.body(b"<s:Envelope>" + text.encode())
    masker.body(text.encode())
    masker.text(text)
    Redactor([TOKEN]).body(text.encode())


def lines_run(work: Callable[[], object]) -> int:
    """Count the lines of Python that *work* runs: a measure without a clock."""
    count, before = 0, sys.gettrace()

    def trace(_: Any, event: str, __: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def test_masking_takes_steps_in_proportion_to_the_text() -> None:
    masked_in_all_ways("<a/>")  # fills caches first
    for units in [*((unit,) for unit in HOSTILE), *LAYERS]:
        short, long = ("".join(unit * (size // len(unit)) for unit in units) for size in (200, 1_600))
        grown = lines_run(partial(masked_in_all_ways, long)) / lines_run(partial(masked_in_all_ways, short))
        assert grown < 12, f"{units}: eight times the text, {grown:.0f} times the steps"


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.timeout(15)  # steps inside an expression are not counted: quadratic time would be minutes here
def test_no_expression_of_masking_grows_with_the_square_of_the_text(unit: str) -> None:
    masked_in_all_ways(unit * (60_000 // len(unit)))


def test_a_secret_cut_off_is_masked_wherever_it_stands_and_whatever_stands_before_it() -> None:
    cut = TOKEN[:-2]
    assert Redactor([TOKEN]).text(f"\u0130 {cut} {cut}x {TOKEN.upper()}") == f"\u0130 {MASK} {MASK}x {MASK}"


def test_files_that_may_hold_orders_are_their_owners_whatever_the_umask(tmp_path: Any) -> None:
    from octopus_soap._http import private_opener
    from octopus_soap.jobs import Ledger
    from octopus_soap.tables import to_csv

    before = os.umask(0)
    try:
        ledger = Ledger(tmp_path / "ledger.sqlite")
        with open(tmp_path / "order", "w", opener=private_opener) as file:
            file.write("x")
        to_csv([OrderResponseItem(order_id="1")], tmp_path / "orders.csv")
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        ledger.close()
    finally:
        os.umask(before)
    assert modes.keys() >= {"ledger.sqlite", "ledger.sqlite-wal", "order", "orders.csv"}
    assert set(modes.values()) == {0o600}, modes


def test_an_error_that_is_made_while_clients_come_and_go_is_masked_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The collector may end a client while the masks are iterated."""
    from octopus_soap import errors

    class Mask:
        def text(self, value: str) -> str:
            return value.replace("canary", "***")

    class Changing(dict[int, Any]):
        changed = 0

        def values(self) -> Any:
            if self.changed < 2:
                self.changed += 1
                raise RuntimeError("dictionary changed size during iteration")
            return super().values()

    mask = Mask()
    monkeypatch.setattr("octopus_soap.errors._masks", Changing({1: weakref.ref(mask)}))
    assert errors.safe_text("a canary") == "a ***"


def test_a_secret_that_begins_with_another_one_is_masked_whole() -> None:
    assert Redactor(["merchant", "merchant-7-token"]).text("it is merchant-7-token!") == f"it is {MASK}!"
