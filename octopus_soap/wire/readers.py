"""Read a reply's values: scalars from texts, and records from elements.

Scalars. A reader takes an element's text and returns the Python value, or raises `ValueError` with what is wrong. It
accepts more than the models do, and never makes a silent None of a bad value.

Records. A record reader is made once per model. It maps tags to field readers, which have a member's field and how its
value is read. A member is found by its exact local name, then ignoring case, then without .NET's
`<Name>k__BackingField` wrapping. What was found for a tag is remembered. The values of a record go to pydantic as a
dict, in strict mode: they have their types already, and pydantic-core checks only that.

Yield points. Between rows, a thread that decodes lets others have the interpreter. Python takes the interpreter's lock
from a busy thread only after 5 ms, and a thread that waits for sockets has to ask for it again after every read. Next
to a thread that never pauses, an event loop with a few sockets is late by some 30 ms, and so is the next request of a
connection.
"""

from __future__ import annotations

import math
import re
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from enum import Enum
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, get_args, get_origin

from octopus_soap.errors import Problem, ProtocolError
from octopus_soap.models.base import WireModel, inner_type
from octopus_soap.models.scalars import parse_datetime
from octopus_soap.wire.plain import BROKEN, NIL

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

# -- yield points ------------------------------------------------------------------------------------------------------

ROWS = 8
"""Rows between two yield points: about half a millisecond."""
yield_hook: ContextVar[Callable[[], object] | None] = ContextVar("octopus_soap_yield", default=None)
"""Called at a yield point. Drivers set it, to let other threads run and to end what takes too long."""


def yield_point() -> None:
    """Call the driver's hook, which lets other threads run, or raises."""
    hook = yield_hook.get()
    if hook is not None:
        hook()


# -- scalars -----------------------------------------------------------------------------------------------------------

Reader: TypeAlias = "Callable[[str], Any]"

_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+(?:\.0*)?", re.ASCII)
_JSON_DATE = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/", re.ASCII)
_PLAIN = re.compile(r"\d{4}-\d\d-\d\dT(?!24)\d\d:\d\d:\d\d(?:\.\d{3}|\.\d{6})?Z?", re.ASCII)
"""The form that .NET writes for most times, which Python can read. (It reads hour 24 from 3.14 on only.)"""
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "True": True, "False": False}
_NO_DATE = frozenset({(1, 1, 1), (1753, 1, 1), (1900, 1, 1), (9999, 12, 31)})
"""Dates that .NET and SQL Server write for "no date": DateTime.MinValue, the two SQL epochs, DateTime.MaxValue."""


def read_decimal(text: str) -> Decimal | None:
    """Read `44.9200` or `1E+2`, but not `1,99`; empty text is None."""
    if _DECIMAL.fullmatch(text):
        return Decimal(text)
    if not (stripped := text.strip()):
        return None
    if _DECIMAL.fullmatch(stripped):
        return Decimal(stripped)
    raise ValueError("not a decimal number")


def read_int(text: str) -> int | None:
    """Read `12` or `12.0000` as an integer; empty text is None."""
    if text.isascii() and text.isdecimal():  # int() alone would also take "1_000"
        return int(text)
    if not (stripped := text.strip()):
        return None
    if _INTEGER.fullmatch(stripped):
        return int(stripped.partition(".")[0])
    raise ValueError("not an integer")


def read_bool(text: str) -> bool | None:
    """Read `true`, `false`, `1`, `0`, `True` or `False`; empty text is None."""
    if not (stripped := text.strip()):
        return None
    if stripped not in _BOOLEANS:
        raise ValueError("not a boolean")
    return _BOOLEANS[stripped]


def read_float(text: str) -> float | None:
    """Read a finite number; empty text is None."""
    number = read_decimal(text)
    if number is None:
        return None
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("too large for a float")
    return value


def read_text(text: str) -> str:
    """Return text as it is; nothing is stripped."""
    return text


def moment_reader(server_zone: tzinfo = UTC) -> Callable[[str], datetime | None]:
    """Return a reader of dates and times, which reads "no date" values as None.

    A time without a zone is in *server_zone*.
    """

    def read_moment(text: str) -> datetime | None:
        if server_zone is UTC and _PLAIN.fullmatch(text):
            try:
                plain = datetime.fromisoformat(text)
            except ValueError:
                raise ValueError("not a date and time") from None
            return None if (plain.year, plain.month, plain.day) in _NO_DATE else plain.replace(tzinfo=UTC)
        stripped = text.strip()
        if not stripped:
            return None
        if found := _JSON_DATE.fullmatch(stripped):
            try:
                return datetime.fromtimestamp(int(found[1]) / 1000, UTC)
            except (OverflowError, OSError):
                raise ValueError("a moment that does not exist in UTC") from None
        moment = parse_datetime(stripped)
        if moment is None:
            raise ValueError("not a date and time")
        if (moment.year, moment.month, moment.day) in _NO_DATE:
            return None
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=server_zone)
        try:
            return aware.astimezone(UTC)
        except OverflowError:
            raise ValueError("a moment that does not exist in UTC") from None

    return lru_cache(maxsize=1024)(read_moment)  # a page has few different moments


def scalar_readers(server_zone: tzinfo = UTC) -> dict[Any, Callable[[str], Any]]:
    """Return the readers by the Python type of a model's field."""
    return {
        str: read_text,
        Decimal: read_decimal,
        int: read_int,
        bool: read_bool,
        float: read_float,
        datetime: moment_reader(server_zone),
    }


# -- records -----------------------------------------------------------------------------------------------------------

Element: TypeAlias = Any

_BACKING_FIELD = re.compile(r"(?:<|_x003C_)(\w+?)(?:>|_x003E_)k__BackingField")
_NOT_THERE = "refers to a value that is not in the reply"
_DEPTH = 64  # libxml2 itself stops at 256; a reply of this service is five deep
_REMEMBERED_TAGS = 1000  # a hostile reply cannot grow the memory


def local_name(tag: str) -> str:
    """Return a tag without its namespace."""
    return tag[tag.rfind("}") + 1 :]


def is_nil(element: Element) -> bool:
    """True for `xsi:nil="true"`."""
    return element.get(NIL) in ("true", "1")


def generic(element: Element, depth: int = 0) -> Any:
    """Return an unknown member as text, None for nil, or a dict by local name."""
    if (broken := element.get(BROKEN)) is not None:
        return f"({_NOT_THERE}: {broken})"
    if is_nil(element):
        return None
    if not len(element) or depth > _DEPTH:
        return element.text or ""
    found: dict[str, Any] = {}
    for child in element:
        add_unknown(found, local_name(child.tag), generic(child, depth + 1))
    return found


def add_unknown(found: dict[str, Any], name: str, value: Any) -> None:
    """Add an unknown member; a name that comes again gets a list."""
    if name not in found:
        found[name] = value
    elif isinstance(found[name], list):
        found[name].append(value)
    else:
        found[name] = [found[name], value]


class Findings(NamedTuple):
    """Problems and drift that were noticed while a record was read.

    Attributes:
        problems: members that could not be read.
        drift: members the models do not know, and repeated ones, with how often each came.
    """

    problems: list[Problem]
    drift: Counter[str]


class Row(NamedTuple):
    """One record of a reply: its value, or its problems and its XML."""

    key: str
    value: Any
    problems: tuple[Problem, ...] = ()
    raw: bytes | None = None


class FieldReader(NamedTuple):
    """A member's field, and how its value is read.

    Attributes:
        attribute: the field of the model.
        reader: reads a scalar's text.
        nested: reads a member that is one model.
        rows: reads each model of a member that is a list of models.
        values: reads each text of a member that is a list of scalars.
    """

    attribute: str
    reader: Reader | None = None
    nested: RecordReader | None = None
    rows: RecordReader | None = None
    values: Reader | None = None


class RecordReaders(dict["type[WireModel]", "RecordReader"]):
    """The record reader of each model, made when it is first asked for.

    Args:
        scalars: reader of a scalar's text, by Python type.
    """

    def __init__(self, scalars: Mapping[Any, Reader]) -> None:
        super().__init__()
        self.scalars = scalars

    def __missing__(self, model: type[WireModel]) -> RecordReader:
        made = self[model] = RecordReader(self, model)
        return made

    def slot(self, attribute: str, annotation: Any) -> FieldReader:
        """Return the reader of a field of type *annotation*."""
        bare = inner_type(annotation)
        if get_origin(bare) is list:
            inner = inner_type(get_args(bare)[0])
            if is_model(inner):
                return FieldReader(attribute, rows=self[inner])
            return FieldReader(attribute, values=self.reader(inner))
        if is_model(bare):
            return FieldReader(attribute, nested=self[bare])
        return FieldReader(attribute, reader=self.reader(bare))

    def reader(self, kind: Any) -> Reader:
        """Return the reader of scalars of type *kind*; an enumeration reads its texts."""
        if issubclass(kind, Enum):
            return lambda text: kind(text) if text.strip() else None
        found: Reader = self.scalars[kind]
        return found


class RecordReader:
    """Reads records of one model."""

    def __init__(self, readers: RecordReaders, model: type[WireModel]) -> None:
        self.model = model
        self.name = model.__name__
        if not model.__pydantic_fields_complete__:
            model.model_rebuild()
        self._key = model.key_field
        self._by_name: dict[str, FieldReader] = {}
        for wire_name, attribute in {**model.wire_names(), **model.read_aliases}.items():
            self._by_name[wire_name] = readers.slot(attribute, model.model_fields[attribute].annotation)
        # Of several names that differ in case only, the model's first name wins.
        self._by_folded = {name.casefold(): slot for name, slot in reversed(self._by_name.items())}
        self._by_tag: dict[str, FieldReader | None] = {}

    def key(self, data: Mapping[str, Any]) -> str:
        """Return the key of a record; empty if the model or the record has none."""
        return str(data.get(self._key) or "") if self._key else ""

    def record(self, data: dict[str, Any]) -> Row:
        """Let pydantic validate what was read, or raise its `ValidationError`."""
        key = data.get(self._key)
        return Row(key if type(key) is str else self.key(data), self._validate(data))

    @cached_property
    def _validate(self) -> Callable[[Any], Any]:
        """Pydantic's validator, which is built only if it is needed."""
        if not self.model.__pydantic_complete__:
            self.model.model_rebuild()
        validator = self.model.__pydantic_validator__
        return partial(validator.validate_python, strict=True, by_name=True, by_alias=False)

    def find(self, tag: str) -> FieldReader | None:
        """Return the field reader of *tag*; None for a member the model does not know."""
        try:
            return self._by_tag[tag]
        except KeyError:
            pass
        name = local_name(tag)
        if found := _BACKING_FIELD.fullmatch(name):
            name = found[1]
        slot = self._by_name.get(name) or self._by_folded.get(name.casefold())
        if len(self._by_tag) < _REMEMBERED_TAGS:
            self._by_tag[tag] = slot
        return slot

    def read(self, element: Element, findings: Findings, depth: int = 0) -> dict[str, Any]:
        """Read *element*'s members into a dict of fields, and add to the findings."""
        data: dict[str, Any] = {}
        find, strange = self.find, None
        if (broken := element.get(BROKEN)) is not None:
            self._problem(findings, "", _NOT_THERE, broken)
        if (element.text or "").strip():
            self._problem(findings, "", "text where members belong", element.text.strip())
        for child in element:
            tag = child.tag
            slot = find(tag)
            if slot is None:
                findings.drift[f"{self.name}.{local_name(tag)}"] += 1
                add_unknown(data, local_name(tag), generic(child))
                strange = child if len(child) else strange
                continue
            attribute, reader = slot.attribute, slot.reader
            if attribute in data:
                self._again(child, slot, data[attribute], findings, depth)
                continue
            text = child.text
            if text is None or reader is None or len(child) or (text.isspace() and is_nil(child)):
                nil = is_nil(child) and not len(child)  # with something in it, it is not nil
                data[attribute] = None if nil else self._other(child, slot, findings, depth)
                continue
            try:
                data[attribute] = reader(text)
            except ValueError as error:
                self._problem(findings, attribute, str(error), text)
        if strange is not None and data.keys().isdisjoint(self.model.model_fields):  # it may contain the record
            self._problem(findings, "", "has none of its members", f"<{local_name(strange.tag)}>")
        return data

    def read_nested(self, element: Element, findings: Findings, depth: int) -> dict[str, Any]:
        """Read a record of a list inside a record."""
        yield_point()  # there may be as many as fit into a reply
        return self.read(element, findings, depth)

    def _again(self, child: Element, slot: FieldReader, known: Any, findings: Findings, depth: int) -> None:
        """Note a member that comes again; the first counts if both are the same."""
        findings.drift[f"{self.name}.{local_name(child.tag)} repeated"] += 1
        text = (child.text or "").strip()
        if not text and not len(child) and child.get(BROKEN) is None:
            return
        if text and slot.reader is not None:
            try:
                contradicts = slot.reader(child.text) != known
            except ValueError:
                contradicts = True
        else:
            contradicts = self._other(child, slot, findings, depth) != known
        if contradicts:
            shown = text or "".join(f"<{local_name(part.tag)}>" for part in child[:1])
            self._problem(findings, slot.attribute, f"comes twice, with different values: {known!r:.60}, and", shown)

    def _other(self, child: Element, slot: FieldReader, findings: Findings, depth: int) -> Any:
        """Read a member that is empty, nested or a list."""
        if depth > _DEPTH:
            raise ProtocolError("the reply is nested too deeply")
        if slot.nested is not None:
            return slot.nested.read(child, findings, depth + 1)
        if (broken := child.get(BROKEN)) is not None:
            self._problem(findings, slot.attribute, _NOT_THERE, broken)
            return None
        if slot.reader is not None:
            if not len(child):
                return slot.reader("")
            self._problem(findings, slot.attribute, "a structure where a single value belongs", "")
            return None
        if text := (child.text or "").strip():
            self._problem(findings, slot.attribute, "text where a list belongs", text)
        rows = [row for row in child if len(row) or not is_nil(row)]
        if slot.rows is not None:
            return [slot.rows.read_nested(row, findings, depth + 1) for row in rows]
        return [self._value(row, slot, findings) for row in rows]

    def _value(self, row: Element, slot: FieldReader, findings: Findings) -> Any:
        assert slot.values is not None  # noqa: S101 - a member is read in one way
        text = row.text or ""
        if (broken := row.get(BROKEN)) is not None:
            self._problem(findings, slot.attribute, _NOT_THERE, broken)
            return None
        try:
            return slot.values(text)
        except ValueError as error:
            self._problem(findings, slot.attribute, str(error), text)
            return None

    def _problem(self, findings: Findings, attribute: str, message: str, text: str) -> None:
        field_name = f"{self.name}.{attribute}" if attribute else self.name
        findings.problems.append(Problem(message, field=field_name, value=repr(text[:60]) if text else ""))


def is_model(kind: Any) -> bool:
    """True for a class of models."""
    return isinstance(kind, type) and issubclass(kind, WireModel)
