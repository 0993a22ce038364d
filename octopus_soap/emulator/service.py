"""The service without its HTTP: request in, reply out.

A request is handled in two steps, so that a scripted fault can come between them: :meth:`Service.receive` reads and
records it, :meth:`Exchange.execute` carries it out. The order of the checks is WCF's: message size, content type,
envelope, action, authorisation (in a message inspector), the SOAP headers that must be understood, the body's
deserialization, the operation.
"""

from __future__ import annotations

import hmac
import itertools
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from . import item_operations as items
from . import order_operations as orders
from .calls import NO_ACCOUNT, Call, RefusedError, answered_by_contract
from .contract import ListOf, Scalar
from .documents import compile_validator
from .messages import Outcome, ReplyWriter, RequestReader, count_elements, find_wrapper
from .records import LintNote
from .replies import (
    ADDRESSING_NONE,
    Reply,
    Request,
    SoapFaultError,
    action_fault,
    empty_reply,
    fault_reply,
    html_reply,
    not_understood_fault,
)
from .xmltree import CHARSETS, SOAP_ENVELOPE, Element, MalformedXmlError, local, namespace, parse_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .contract import Contract, Operation
    from .profile import Merchant, Profile
    from .records import CallRecord, Journal
    from .state import State

    Handler: TypeAlias = Callable[[Call], Outcome]

logger = logging.getLogger("octopus_soap.emulator")

HANDLERS: dict[str, Handler] = {
    "DeleteItemStore": items.delete_item_store,
    "DeleteItem": items.delete_item,
    "DeleteTblItem": items.delete_tbl_item,
    "IsSkuExist": items.is_sku_exist,
    "IsSkuExistList": items.is_sku_exist_list,
    "GetItemTblList": items.get_item_tbl_list,
    "GetItemList": items.get_item_list,
    "GetItemQuantity": items.get_item_quantity,
    "GetItemQuantityInfo": items.get_item_quantity_info,
    "GetItemQuantityList": items.get_item_quantity_list,
    "UpdateItemQuantityAndPrice": items.update_item_quantity_and_price,
    "UpdateItemQuantityAndPriceList": items.update_item_quantity_and_price_list,
    "UploadItemList": items.upload_item_list,
    "UploadItem": items.upload_item,
    "SetDownloadOrderConfirm": orders.set_download_order_confirm,
    "SetDownloadSplitOrderConfirm": orders.set_download_split_order_confirm,
    "GetOrderList": orders.get_order_list,
    "GetOrderListStore": orders.get_order_list_store,
    "SubmitOrder": orders.submit_order,
    "CustomFieldMapping": orders.custom_field_mapping,
}

_HEADER, _MUST_UNDERSTAND, _ACTOR = (f"{{{SOAP_ENVELOPE}}}{name}" for name in ("Header", "mustUnderstand", "actor"))
_NEXT_ACTOR = "http://schemas.xmlsoap.org/soap/actor/next"
_UNDERSTOOD = frozenset({(ADDRESSING_NONE, "Action"), (ADDRESSING_NONE, "To")})
_ENVELOPE, _BODY = f"{{{SOAP_ENVELOPE}}}Envelope", f"{{{SOAP_ENVELOPE}}}Body"
_KEY_NAMES = frozenset({"sku", "Sku", "SKU", "OrderId", "OrderID", "Text"})
# lxml looks for these without making Python objects; the last is a list of ids.
_KEY_TAGS = tuple(f"{{*}}{name}" for name in (*sorted(_KEY_NAMES), "OrderIDList"))
_SCHEMA_NOTES = 20  # per request: the validator may repeat itself for each of a thousand rows
_AUTH_TEXT = "Authentication failed."


class Service:
    """The service of all merchants under one contract and one profile."""

    def __init__(
        self, contract: Contract, profile: Profile, merchants: Sequence[Merchant], state: State, journal: Journal
    ) -> None:
        self.contract = contract
        self.profile = profile
        self.state = state
        self.journal = journal
        self.writer = ReplyWriter(profile)
        self.validator = compile_validator(contract.documents)
        self._merchants = {merchant.name: merchant for merchant in merchants}
        self._actions = {operation.action: operation for operation in contract.operations.values()}

    def authorised(self, request: Request) -> Merchant | None:
        """Return the merchant whose three header values the request carries."""
        merchant = self._merchants.get(request.headers.get("merchantname", ""))
        if merchant is None:
            return None
        token, access = (request.headers.get(name, "").encode() for name in ("authtoken", "accessid"))
        same_token = hmac.compare_digest(token, merchant.authtoken.encode())
        same_access = hmac.compare_digest(access, merchant.accessid.encode())
        return merchant if same_token and same_access else None

    def receive(self, request: Request) -> Exchange:
        """Read a POST, and record it."""
        action = request.headers.get("soapaction", "").strip().strip('"')
        operation = self._actions.get(action)
        merchant = self.authorised(request)
        envelope: Element | None = None
        problem = ""
        try:
            envelope = parse_request(request.body, _charset(request)[1])
        except MalformedXmlError as error:
            problem = str(error)
        keys, count = asked_keys(envelope, operation)
        record = self.journal.open(
            operation=operation.name if operation else "",
            merchant=merchant.name if merchant else None,
            keys=keys,
            items=count,
            connection=request.connection,
            headers=request.headers,
            request=request.body,
        )
        return Exchange(self, request, record, action, operation, merchant, envelope, problem)

    def deny(self, operation: Operation | None) -> Reply:
        """Return the profile's answer to wrong credentials."""
        style = self.profile.auth_failure
        if style == "401-html":
            return html_reply(401, "You do not have permission to view this directory or page.")
        if style == "403-empty":
            return empty_reply(403)
        if style == "apiresult-failure" and operation is not None:
            return self.answer(operation, Outcome(ok=False, code=NO_ACCOUNT, message=_AUTH_TEXT))
        if style == "fault-200":  # recorded of ChannelAdvisor's service, the empty detail included
            text = f"Server was unable to process request. {_AUTH_TEXT}"
            return fault_reply(SoapFaultError("server-text", text, status=200, detail=""))
        if style == "internal-fault":
            return fault_reply(SoapFaultError("internal"))
        return fault_reply(SoapFaultError("client-text", _AUTH_TEXT))

    def answer(self, operation: Operation, outcome: Outcome) -> Reply:
        """Put an outcome into the operation's envelope."""
        if operation.result is None and self.profile.void == "one-way":
            return empty_reply(202)
        try:
            body = self.writer.reply(operation, outcome)
        except SoapFaultError as fault:
            return fault_reply(fault)
        limit = self.profile.max_items_in_graph
        if limit is not None and count_elements(body) > limit:
            return Reply(200, b"", dropped=True)  # WCF has sent the headers by then, and can only drop the connection
        return Reply(200, body)


@dataclass
class Exchange:
    """One request on its way through the service."""

    service: Service
    request: Request
    record: CallRecord
    action: str
    operation: Operation | None
    merchant: Merchant | None
    envelope: Element | None
    problem: str
    notes: list[LintNote] = field(default_factory=list[LintNote])

    def execute(self) -> Reply:
        """Carry the request out and return the reply without faults."""
        try:
            return self._execute()
        except SoapFaultError as fault:
            return fault_reply(fault)
        except Exception as error:  # the caller sees what WCF answers after any unhandled exception
            self.record.error = f"{type(error).__name__}: {error}"
            logger.exception("the emulator failed in %s (call %d)", self.record.operation, self.record.sequence)
            return fault_reply(SoapFaultError("internal"))
        finally:
            self.service.journal.note(self.record, self.notes)

    def _execute(self) -> Reply:
        refusal = self._http_refusal()
        if refusal is not None:
            return refusal
        if self.envelope is None:
            raise SoapFaultError("deserialization", f"Error in deserializing body of request message. {self.problem}")
        if self.envelope.tag != _ENVELOPE:
            raise SoapFaultError("version-mismatch", "The envelope is not a SOAP 1.1 envelope.")
        if self.operation is None:
            raise action_fault(self.action)
        if self.merchant is None:
            return self.service.deny(self.operation)
        self._check_headers()
        wrapper = find_wrapper(self.envelope.find(_BODY), self.operation)
        self._validate(wrapper)
        profile = self.service.profile
        reader = RequestReader(self.operation, profile.max_string, profile.max_items_in_graph, self.notes)
        parameters = reader.parameters(wrapper)
        call = Call(
            self.operation,
            parameters,
            self.merchant.name,
            self.service.state,
            self.service.contract,
            profile,
            self.notes,
        )
        return self._perform(call)

    def _http_refusal(self) -> Reply | None:
        limit = self.service.profile.max_received
        if limit is not None and len(self.request.body) > limit:
            return empty_reply(self.service.profile.max_received_status)
        media, charset = _charset(self.request)
        if media == "text/xml" and charset in CHARSETS:
            return None
        given = self.request.headers.get("content-type", "")
        return empty_reply(
            415,
            f"Cannot process the message because the content type '{given}' was not the expected type 'text/xml; "
            "charset=utf-8'.",
        )

    def _check_headers(self) -> None:
        """Refuse SOAP headers that must be understood and are not WCF's own two."""
        header = self.envelope.find(_HEADER) if self.envelope is not None else None
        for block in header if header is not None else ():
            must = block.get(_MUST_UNDERSTAND, "").strip() in {"1", "true"}
            is_for_us = block.get(_ACTOR, "") in {"", _NEXT_ACTOR}
            if must and is_for_us and (namespace(block), local(block)) not in _UNDERSTOOD:
                raise not_understood_fault(namespace(block), local(block))

    def _validate(self, wrapper: Element) -> None:
        """Put the XSD validator's errors into the lint log; WCF does not validate."""
        validator = self.service.validator
        if not validator.validate(wrapper):
            for entry in itertools.islice(cast("Iterable[Any]", validator.error_log), _SCHEMA_NOTES):
                self.notes.append(LintNote(self.record.operation, entry.path or "", "schema", entry.message))

    def _perform(self, call: Call) -> Reply:
        account = call.text("accountID")
        handler = HANDLERS.get(call.operation.name, answered_by_contract)
        if not account:
            refused = Outcome(ok=False, code=NO_ACCOUNT, message="No Account ID value was specified")
            return self.service.answer(call.operation, refused)
        if not self._is_own(account):
            return self.service.deny(call.operation)
        try:
            with call.state.transaction():
                outcome = handler(call)
            call.close_notes()
            self.service.journal.executed(self.record)
        except RefusedError as refusal:
            outcome = refusal.outcome
        return self.service.answer(call.operation, outcome)

    def _is_own(self, account: str) -> bool:
        """True if the account is the access id of the headers, as in the page's sample."""
        if self.merchant is None or not self.service.profile.account_must_equal_accessid:
            return True
        return hmac.compare_digest(account.encode(), self.merchant.accessid.encode())


def _charset(request: Request) -> tuple[str, str]:
    """Return the media type and the charset of a request, in small letters."""
    media, _, rest = request.headers.get("content-type", "").lower().partition(";")
    return media.strip(), rest.partition("charset=")[2].partition(";")[0].strip(" \"'")


def asked_keys(envelope: Element | None, operation: Operation | None) -> tuple[tuple[str, ...], int]:
    """Return a request's SKUs or order ids, and the length of its list."""
    if envelope is None or operation is None:
        return (), 0
    body = envelope.find(_BODY)
    wrapper = body[0] if body is not None and len(body) else None
    if wrapper is None:
        return (), 0
    keys: list[str] = []
    count = 1
    for parameter in wrapper:  # by local name: a member that is ignored because of its namespace counts too
        member = operation.request.member(local(parameter))
        if member is None:
            continue
        if isinstance(member.type, Scalar):
            if member.name in _KEY_NAMES and parameter.text:
                keys.append(parameter.text)
        elif isinstance(member.type, ListOf):
            count = count if keys else len(parameter)  # DeleteItemStore lists stores, but is about one item
            for row in parameter:
                keys.extend(_row_keys(row))
        else:
            keys.extend(_row_keys(parameter))
    return tuple(keys), count


def _row_keys(row: Element) -> list[str]:
    if not len(row):
        return [row.text] if row.text else []
    found = row.iterchildren(*_KEY_TAGS)
    return [text for child in found for text in ([item.text for item in child] if len(child) else [child.text]) if text]
