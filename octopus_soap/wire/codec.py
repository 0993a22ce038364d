"""Encode and decode for one contract, with this client's secrets masked."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from octopus_soap.errors import ApiStatusError, AuthenticationError, ProtocolError
from octopus_soap.models.base import WireModel
from octopus_soap.models.declarations import Nothing, OneOf, Reads, RowsOf, ScalarOf
from octopus_soap.wire.decode import (
    PLAIN_TYPES,
    Decoded,
    Decoder,
    Reply,
    most_rows,
    readable,
    refuse_too_many_rows,
    refuse_too_many_tags,
    refuses_credentials,
    soap_body,
)
from octopus_soap.wire.encode import RequestEncoder
from octopus_soap.wire.fast_rows import FastRows
from octopus_soap.wire.plain import is_utf8
from octopus_soap.wire.readers import scalar_readers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import tzinfo

    from octopus_soap.contracts.compiled import Shape
    from octopus_soap.contracts.wsdl import Contract
    from octopus_soap.wire.arriving_rows import ArrivingRows
    from octopus_soap.wire.decode import ReadList
    from octopus_soap.wire.readers import Row
    from octopus_soap.wire.redact import Redactor

_OK = 200
_DECLARED = (b"?", b"\0", b"")
"""The byte after the first `<` of a reply whose charset has to be found."""


class Codec:
    """Requests to bytes, replies to values, for one contract.

    Args:
        contract: the contract in force.
        redactor: masks secrets in errors.
        server_zone: zone of a reply's times that have none.
        utc_suffix: the text after a UTC time in a request: `Z`, or nothing.
    """

    def __init__(self, contract: Contract, redactor: Redactor, server_zone: tzinfo, utc_suffix: str = "Z") -> None:
        self.contract = contract
        self._redactor = redactor
        self._utc_suffix = utc_suffix
        self._operation = cache(contract.operation)
        self.requests = cache(self._make_encoder)
        """Returns the encoder of an operation's requests."""
        self._decoder = Decoder(scalar_readers(server_zone))
        self._fast_rows = FastRows()

    @property
    def bundled(self) -> bool:
        """True if the contract in force is the shipped reconstruction."""
        return self.contract.bundled

    def shown(self, body: bytes) -> str:
        """Return a request's body as it may be shown, with secrets masked."""
        return self._redactor.body(body)

    def _make_encoder(self, operation: str) -> RequestEncoder:
        return RequestEncoder(self._operation(operation), self._utc_suffix)

    def decode(self, operation: str, reply: Reply, reads: Reads) -> Decoded:
        """Decode a reply.

        Raises:
            OctopusError: a fault, an HTTP error, an answer that is no reply, or an envelope that refuses the
                credentials. The error of another envelope that is not Success is returned as `refusal`; the operation
                decides if it is raised.
        """
        body = reply.body
        if body[:1] != b"<" or body[1:2] in _DECLARED or reply.headers.get("content-type", "") not in PLAIN_TYPES:
            reply = readable(reply, self._redactor)
            body = reply.body
        if isinstance(reads, RowsOf):
            refuse_too_many_tags(body, reads)
            if not reads.raw and reply.status == _OK:
                rest = partial(self._rest, operation, reply, reads)
                decoded = self._fast_rows.decode(body, self._decoder.readers[reads.model], rest, most_rows(reads))
                if decoded is not None:
                    return decoded
            refuse_too_many_rows(body, reads)
        return self._decoded(operation, reply, reads, body)

    def _rest(
        self,
        operation: str,
        reply: Reply,
        reads: RowsOf,
        body: bytes,
        read_list: ReadList,
        *,
        rows_came: bool = False,
    ) -> Decoded:
        """Decode *body*, whose rows *read_list* reads, or were taken if *rows_came*."""
        words = reply.body if "error_message" in reads.model.model_fields else body
        return self._decoded(operation, reply._replace(body=body), reads, words, read_list, rows_came=rows_came)

    def _decoded(
        self,
        operation: str,
        reply: Reply,
        reads: Reads,
        words: bytes,
        read_list: ReadList | None = None,
        *,
        rows_came: bool = False,
    ) -> Decoded:
        element, replaced = soap_body(reply, self._redactor)
        if element is None and not isinstance(reads, Nothing):
            raise ProtocolError(f"HTTP {reply.status} with no SOAP reply in it")
        name = self._operation(operation).response_name
        decoded = self._decoder.response(element, name, reads, read_list)
        decoded.replaced = decoded.replaced or replaced
        for rare, echo in self._redactor.encoded:
            if rare in words and echo in words:  # the service's own words may have it
                self._mask(decoded)
                break
        if decoded.replaced:
            decoded.warnings.append("characters that XML forbids were replaced by U+FFFD")
        self._check_status(decoded, reads, rows_came=rows_came or bool(decoded.rows))
        return decoded

    def arriving(self, operation: str, reply: Reply, reads: RowsOf, most: int) -> ArrivingReply:
        """Return the reader of *reply*, of which only the first part has come.

        Args:
            operation: wire name.
            reply: status and headers; its body is the first part.
            reads: the rows it lists.
            most: bytes that may be kept.
        """
        from octopus_soap.wire.arriving_rows import ArrivingRows  # noqa: PLC0415 - only a stream needs it

        rows = ArrivingRows(
            self._fast_rows.contexts,
            self._decoder.readers[reads.model],
            self._operation(operation).response_name,
            most=most,
            raw=reads.raw,
            whole=not is_utf8(reply.headers.get("content-type", "")),
            decode_whole=lambda body: self.decode(operation, reply._replace(body=body), reads),
            decode_rest=partial(self._rest, operation, reply, reads, rows_came=True),
        )
        rows.feed(reply.body)
        return ArrivingReply(rows, self._masked_rows)

    def _masked_rows(self, rows: list[Row]) -> list[Row]:
        """Return *rows* with this client's secrets masked in the service's words."""
        return [
            self._masked_row(row) if row.problems or getattr(row.value, "error_message", None) else row for row in rows
        ]

    def _masked_row(self, row: Row) -> Row:
        problems = tuple(replace(p, value=self._redactor.text(p.value)) for p in row.problems)
        return row._replace(value=self._masked(row.value), problems=problems)

    def _mask(self, decoded: Decoded) -> None:
        """Mask this client's secrets in the service's words, which errors show."""
        text = self._redactor.text
        decoded.message = text(decoded.message)
        decoded.status = None if decoded.status is None else text(decoded.status)
        decoded.data = None if decoded.data is None else text(decoded.data)
        if isinstance(decoded.value, str):
            decoded.value = text(decoded.value)
        elif isinstance(decoded.value, WireModel):
            decoded.value = self._masked(decoded.value)
        decoded.problems = tuple(replace(p, value=text(p.value)) for p in decoded.problems)
        decoded.rows = list(map(self._masked_row, decoded.rows))

    def _masked(self, value: Any) -> Any:
        message = getattr(value, "error_message", None)
        return value.model_copy(update={"error_message": self._redactor.text(message)}) if message else value

    @staticmethod
    def _check_status(decoded: Decoded, reads: Reads, *, rows_came: bool) -> None:
        """Raise for an envelope that is no answer, and note another refusal."""
        if not decoded.enveloped:
            return
        status = (decoded.status or "").strip().casefold()
        if not status:
            if not decoded.present:
                raise ProtocolError("the APIResult has neither Status nor ResultData")
            decoded.warnings.append("the APIResult has no Status; its ResultData was read")
        elif status not in {"success", "true"} and not rows_came and refuses_credentials(decoded.message):
            # Rows prove that the credentials were accepted, so words like "not permitted" are about the items.
            raise AuthenticationError(f"the service refused the credentials: {decoded.message[:300]}")
        elif status in {"success", "true"} and isinstance(reads, OneOf | ScalarOf) and not decoded.present:
            raise ProtocolError("the APIResult is Success and has no ResultData")
        if status not in {"success", "true", ""}:
            decoded.refusal = _refusal(decoded)

    def omitted_value_members(self, operation: str, parameter: str, value: WireModel) -> list[str]:
        """Return the unset members that a WCF server would read as 0, false or year 1.

        These are value types that are not nillable.
        """
        member = self.contract.operation(operation).parameter(parameter)
        shape = member.shape.items.shape if member.shape.items is not None else member.shape
        return list(_omitted(shape, value, ""))


class ArrivingReply:
    """A reply whose rows are read, and masked, while it arrives."""

    def __init__(self, rows: ArrivingRows, masked: Callable[[list[Row]], list[Row]]) -> None:
        self._rows, self._masked = rows, masked
        self.begun = Decoded()
        """Stands in for the reply until it has ended."""
        self.decoded: Decoded | None = None
        """The reply without its rows; None before its end."""

    @property
    def count(self) -> int:
        """Rows taken so far."""
        return self._rows.count

    def feed(self, part: bytes) -> None:
        """Read the next part of the body; an empty part is its end.

        Raises:
            OctopusError: the reply is cut short, is not well-formed, is a fault, or answers another operation.
        """
        if part:
            self._rows.feed(part)
        else:
            self.decoded = self._rows.end()

    def take(self) -> list[Row]:
        """Return the rows read since the last call."""
        return self._masked(self._rows.take())


def _refusal(decoded: Decoded) -> ApiStatusError:
    """Return the error of an envelope that is not Success."""
    status = (decoded.status or "").strip()
    code = "" if decoded.code is None else f" (code {decoded.code})"
    return ApiStatusError(
        f"the service answered {status[:40]}{code}: {decoded.message[:400] or 'no message'}",
        status=status,
        message_code=decoded.code,
        data=decoded.data,
    )


def _omitted(shape: Shape, value: WireModel, path: str) -> Iterator[str]:
    names = type(value).wire_names()
    folded = {name.casefold(): attribute for name, attribute in names.items()}  # as the encoder places members
    for member in shape.members:
        attribute = names.get(member.name) or folded.get(member.name.casefold())
        given = (attribute or member.name) in value.model_fields_set
        if member.is_value_type and not member.nillable and not given:
            yield path + member.name
        elif given and attribute is not None:
            inner = getattr(value, attribute)
            nested = member.shape.items.shape if member.shape.items is not None else member.shape
            for index, part in enumerate(inner if isinstance(inner, list) else [inner]):
                if isinstance(part, WireModel):
                    place = f"{member.name}[{index}]" if isinstance(inner, list) else member.name
                    yield from _omitted(nested, part, f"{path}{place}.")
