"""Learn how rows are written, and read all rows of that form by one expression.

A part of `fast_rows`. Its docstring has the argument why rows may be read so.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from octopus_soap.wire.readers import read_float, read_text
from octopus_soap.wire.row_text import (
    EMPTY,
    FLAGS,
    LEAF,
    LIST,
    RECORD,
    SPACE,
    STRUCTURE,
    TAG_LENGTH,
    Unread,
    quick_decimal,
    quick_flag,
    resolve,
    structure,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from octopus_soap.wire.readers import Reader
    from octopus_soap.wire.row_text import Tag, Tags

# -- what rows have shown ----------------------------------------------------------------------------------------------

SLOW_ROWS = 100
"""Rows that had to be read without an expression before one is compiled."""
_LOOKED_AT = 7
"""Rows that are learned from at first; after them, one row of as many."""
_COMPILED = 12
"""Expressions compiled in a decoder's life."""
_RUN = 64
"""Small rows that are read at once."""
SMALL = 12
"""Groups of a form whose rows are small."""
_FORMS = 6
"""Raw forms of one member in an expression."""
_MEMBERS = 600
"""Members in an expression."""
_INSIDE = 200
"""Tags inside an unknown member in an expression, so that one that has no end is not looked for in the whole page."""


class _Unfit(Exception):  # noqa: N818 - control flow inside this module
    """The forms that were seen do not fit into an expression."""


class _Member:
    """One member as it was written.

    Attributes:
        forms: by raw tag, its meaning, and what was seen inside.
        before: members seen directly before it.
        known_before: the same, as if members that the model does not know were not there.
        optional: a record was seen without it.
    """

    def __init__(self, *, optional: bool) -> None:
        self.optional = optional
        self.forms: dict[str, tuple[Tag, _Shape]] = {}
        self.before: set[str] = set()
        self.known_before: set[str] = set()

    @property
    def known(self) -> bool:
        """True if it is a member of the model."""
        return not any(tag.drift for tag, _ in self.forms.values())

    @property
    def structured(self) -> bool:
        """True if it is unknown, and was seen with members of its own."""
        return any(tag.kind == STRUCTURE for tag, _ in self.forms.values())

    @property
    def always(self) -> bool:
        """True if every record had it and one expression can make its value."""
        tags = [tag for tag, _ in self.forms.values()]
        return not (self.optional or any(tag.drift or (tag.kind == RECORD and len(tags) > 1) for tag in tags))


class _Shape:
    """The members of a record as they were written.

    Attributes:
        noted: records seen.
        members: by attribute of the model.
        records: of a list: by raw opening tag of a record, what closes it, and the tags inside.
    """

    def __init__(self) -> None:
        self.noted = 0
        self.members: dict[str, _Member] = {}
        self.records: dict[str, tuple[str, Tags]] = {}

    def in_order(self, *, known: bool) -> list[tuple[str, _Member]]:
        """Return all members, or the known ones, as they are ordered, or raise `_Unfit`."""
        from graphlib import CycleError, TopologicalSorter  # noqa: PLC0415 - most processes compile no form

        if known:
            graph = {name: member.known_before for name, member in self.members.items() if member.known}
        else:
            graph = {name: member.before for name, member in self.members.items()}
        try:
            return [(name, self.members[name]) for name in TopologicalSorter(graph).static_order()]
        except CycleError:
            raise _Unfit from None


class Learned:
    """The members of one model in one context, as rows have shown them."""

    def __init__(self, tags: Tags) -> None:
        self.form: Form | None = None
        self.leaves_out = False
        """The form leaves out members that the model does not know, because they come in no order."""
        self.tags = tags
        self._patience, self._stride = SLOW_ROWS, _LOOKED_AT
        self._forget()

    def begin_again(self) -> None:
        """Learn as if this row was the first: what differs in each is left out now."""
        self._patience, self._stride = SLOW_ROWS, _LOOKED_AT
        self._forget()
        self._slow = 1

    def _forget(self) -> None:
        self._shape = _Shape()
        self._spaced = self._changed = False
        self._slow = self._size = 0

    def note(self, row: str) -> None:
        """Learn from a row that the general reader has read; compile after enough rows."""
        contexts = self.tags.context.contexts
        if contexts.compiled >= _COMPILED or not contexts.learning.acquire(blocking=False):
            return
        try:
            self._slow += 1
            if self._slow <= _LOOKED_AT or not self._slow % self._stride:
                members = iter(row.split("<"))
                next(members)
                self._note_space(next(members).partition(">")[2])
                self._note_members(self._shape, self.tags, members)
            if self._changed and self._slow >= self._patience:
                contexts.compiled += 1
                self._compile()
                self._changed, self._slow = False, 0
        except _Unfit:  # members in no order, or ever new ones: begin again, and look less often
            self._forget()
            self._patience, self._stride = self._patience * 2, min(self._stride * 2, self._patience)
        finally:
            contexts.learning.release()

    def _compile(self) -> None:
        self.leaves_out = False
        varying = self.tags.context.contexts.varying
        with suppress(_Unfit):
            self.form = _Compiler(spaced=self._spaced, known=False, varying=varying).form(self._shape)
            return
        self.form = _Compiler(spaced=self._spaced, known=True, varying=varying).form(self._shape)
        self.leaves_out = True

    def _note_space(self, text: str) -> None:
        if text and not self._spaced:
            self._spaced = self._changed = True

    def _note_members(self, shape: _Shape, tags: Tags, pieces: Iterator[str]) -> None:
        """Note the members of a record, which the general reader has found right."""
        before = known = ""
        absent = set(shape.members)
        for piece in pieces:
            raw, _, text = piece.partition(">")
            if raw[:1] == "/":
                self._note_space(text)
                self._note_absent(shape, absent)
                return
            tag = tags[raw]
            closed = next(pieces) if tag.kind == LEAF or (tag.nil and tag.closing) else ""
            if closed and not closed.startswith(tag.closing):  # the general reader has read it, so it is unknown
                tag = tag._replace(kind=STRUCTURE, inner=tags)
                closed = _end_of_structure(closed, pieces)
            absent.discard(tag.attribute)
            inner = self._note_form(shape, raw, tag, before, known)
            before = tag.attribute
            known = known if tag.drift else before
            if tag.kind not in {LEAF, STRUCTURE}:
                self._note_space(text)
            if closed:
                self._note_space(closed[len(tag.closing) :])
            elif tag.kind == RECORD:
                self._note_members(inner, tag.inner, pieces)
            elif tag.kind == LIST:
                self._note_records(inner, tag, pieces)

    def _note_absent(self, shape: _Shape, absent: set[str]) -> None:
        """Note the members that other records had and this record does not have."""
        shape.noted += 1
        for name in absent:
            member = shape.members[name]
            self._changed = self._changed or not (member.optional or (self.leaves_out and not member.known))
            member.optional = True

    def _note_form(self, shape: _Shape, raw: str, tag: Tag, before: str, known: str) -> _Shape:
        member = shape.members.get(tag.attribute)
        if member is None:
            member = shape.members[tag.attribute] = _Member(optional=shape.noted > 0)
        if raw not in member.forms:
            self._size += 1
            if len(member.forms) >= _FORMS or self._size > _MEMBERS:
                raise _Unfit
            member.forms[raw] = (tag, _Shape())
            self._changed = True
        elif tag.kind == STRUCTURE != member.forms[raw][0].kind:
            member.forms[raw] = (tag, _Shape())
            self._changed = True
        if before and before not in member.before:
            member.before.add(before)
            self._changed = self._changed or not self.leaves_out
        if known and known not in member.known_before:
            member.known_before.add(known)
            self._changed = True
        return member.forms[raw][1]

    def _note_records(self, shape: _Shape, tag: Tag, pieces: Iterator[str]) -> None:
        while not (piece := next(pieces)).startswith(tag.closing):
            raw, _, text = piece.partition(">")
            self._note_space(text)
            opened = tag.opening(raw)
            inner = tag.inner.at(opened.context)
            if not opened.closing:
                continue
            if raw not in shape.records:
                if len(shape.records) >= _FORMS or opened.nil:
                    raise _Unfit
                shape.records[raw] = (opened.closing, inner)
                self._changed = True
            self._note_members(shape, inner, pieces)
        self._note_space(piece[len(tag.closing) :])


def _end_of_structure(piece: str, pieces: Iterator[str]) -> str:
    """Return the piece that closes a structure of which *piece* is the first member."""
    depth = 1
    while depth := depth - 1 if piece[0] == "/" else depth + (piece.partition(">")[0][-1:] != "/"):
        piece = next(pieces)
    return piece


_MEMBER = re.compile("<([^<>]++)>(?:(?<!/>)([^<]*+)<(/[^<>]++>))?+")
"""A leaf or an empty tag."""
_LEFT_OUT = 8
"""Members of a row that a form may leave out; a row with more is left to the general reader."""


def _unknown(tag: Tag, text: str | None, closing: str | None) -> tuple[str, Any]:
    """Return the name and value of an unknown member, or raise `Unread`."""
    if not tag.drift or tag.nil or tag.kind not in {LEAF, EMPTY} or tag.closing != (closing or ""):
        raise Unread
    if tag.kind == EMPTY:
        return tag.attribute, tag.empty()
    text = resolve(text or "")
    return tag.attribute, text if tag.read is None else tag.read(text)


class Form(NamedTuple):
    """The expression of a record's members, and the function that reads its groups.

    Attributes:
        pattern: the expression; it begins after the record's opening tag and ends before its closing tag.
        texts: the groups that may have references.
        build: makes the dicts of several records' groups, and adds unknown members to a list.
        expression: the pattern's source, with `_GROUP` for the beginning of a group.
        runs: for small rows, by opening tag, closing tag and varying attribute: the expressions of several rows and of
            one of them.
    """

    pattern: re.Pattern[str]
    texts: tuple[int, ...]
    build: Callable[[Sequence[Sequence[Any]], list[str]], list[dict[str, Any]]]
    expression: str
    runs: dict[tuple[str, str, str], tuple[re.Pattern[str], re.Pattern[str]]]

    def resolved(self, groups: Sequence[Any]) -> Sequence[Any]:
        """Return *groups* with the references of their texts resolved."""
        resolved = list(groups)
        for place in self.texts:
            text = resolved[place]
            if text and "&" in text:
                resolved[place] = resolve(text)
        return resolved

    def run(
        self, text: str, position: int, opening: str, closing: str, varying: str
    ) -> tuple[list[Sequence[Any]], int]:
        """Return the groups of rows that follow one another, and their end.

        The value of the attribute *varying* in the opening tag does not count. A bad reference raises `ValueError`.
        """
        # Rows are matched twice, together and then one by one, which is quicker than to check in Python whether each
        # row begins at the end of the last one. Both find the same rows: everything in the expression is possessive or
        # atomic, so that a row matches in one way, and no time is spent on others.
        expressions = self.runs.get((opening, closing, varying))
        if expressions is None:
            if len(self.runs) >= _FORMS:
                self.runs.clear()
            row = f"{escaped(opening, varying)}{self.expression}{re.escape(closing)}[{SPACE}]*+"
            several = f"(?:{row.replace(_GROUP, '(?:')}){{0,{_RUN}}}+"
            expressions = self.runs[opening, closing, varying] = (
                re.compile(several),
                re.compile(row.replace(_GROUP, "(")),
            )
        together, one = expressions
        match = together.match(text, position)
        end = position if match is None else match.end()
        found: list[Sequence[Any]] = [match.groups() for match in one.finditer(text, position, end)]
        if text.find("&", position, end) >= 0:
            found = list(map(self.resolved, found))
        return found, end

    def read(self, row: str, start: int, closing: str, learned: Learned, drift: list[str]) -> dict[str, Any]:
        """Read the members of *row* from *start* to *closing*, or raise one of `CANNOT`."""
        # Members that the form leaves out are read by their tags, and the rest of the row as if they were not there.
        left_out: dict[str, Any] = {}
        while (match := self.pattern.match(row, start)) is not None:
            end = match.end()
            if end + len(closing) == len(row):
                break
            member = _MEMBER.match(row, end)
            if member is None or not learned.leaves_out or len(left_out) >= _LEFT_OUT:
                raise Unread
            attribute, value = _unknown(learned.tags[member[1]], *member.group(2, 3))
            if attribute in left_out:
                raise Unread
            left_out[attribute] = value
            drift.append(f"{learned.tags.reader.name}.{attribute}")
            row = row[:end] + row[member.end() :]
        if match is None or not row.startswith(closing, match.end()):
            raise Unread
        groups = match.groups()
        return self.build([self.resolved(groups) if "&" in row else groups], drift)[0] | left_out

    def read_all(self, text: str, drift: list[str]) -> list[dict[str, Any]]:
        """Read the records of a list in *text*, which an expression has matched already."""
        found: list[Sequence[Any]] = [match.groups() for match in self.pattern.finditer(text)]
        if "&" in text:
            found = list(map(self.resolved, found))
        return self.build(found, drift)


def _read_unknown(tags: Tags, raw: str, text: str) -> Any:
    """Read an unknown member from the *text* inside it."""
    before, *pieces = text.split("<")
    if not pieces:
        return resolve(before)
    if before.strip(SPACE):
        raise Unread
    varying = tags.context.contexts.varying
    if varying and varying in text and len(pieces) == text.count(">"):
        pieces = without_values(text, varying)[0].split("<")[1:]
    opened = tags.context.opening(raw)
    left = iter([*pieces, opened.closing])
    found = structure(opened.context, next(left), left, opened.closing)
    if next(left, None) is not None:
        raise Unread
    return found


# -- the compiler ------------------------------------------------------------------------------------------------------

_GROUP = "\0"
"""A capturing `(` in an expression; it becomes `(?:` in an expression that is repeated inside another one."""


def real(text: str) -> float:
    """Read a plain number as a float, or raise `ValueError` if it is too large."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("too large for a float")
    return value


SHORT: dict[Any, tuple[str, str]] = {
    read_text: ("[^<]*+", "{0}"),
    quick_decimal: ("[-+.0-9]*+", "(Decimal({0}) if {0} else {1})"),
    read_float: ("[-+.0-9]*+", "(real({0}) if {0} else {1})"),
    quick_flag: ("[A-Za-z01]*+", "flags[{0}]"),
}
"""By a scalar's reader: the characters that its text nearly always has, and the source of the value, of the name of a
group and the value of an empty text. A row with other text does not match, and goes to the next reader."""


class _Alternative(NamedTuple):
    """One way to write a member, or several that are read alike.

    Attributes:
        expression: the expression of its text.
        group: the group that takes part if the member was written so; empty if it need not be known.
        value: the source of its value.
        lines: the source lines that come before.
        drift: the source that counts an unknown member.
    """

    expression: str
    group: str
    value: str
    lines: list[str]
    drift: str = ""


class _Compiler:
    """Makes a form of a shape.

    It writes the source of the function that makes dicts of the groups. The value of a member that every record had is
    part of the display that makes the dict, and takes no group if it is always the same. That is twice as fast as to
    check for each member whether the record has it.

    Only names made here and quoted member names go into the source.
    """

    def __init__(self, *, spaced: bool, known: bool, varying: str) -> None:
        self._spaced, self._known, self._varying = spaced, known, varying
        self._space = "[ \\t\\n]*+" if spaced else ""
        self._groups = self._records = 0
        self._texts: list[int] = []
        self._names: dict[str, Any] = {"Decimal": Decimal, "flags": FLAGS, "real": real, "Unread": Unread}

    def form(self, shape: _Shape) -> Form:
        """Return the form of *shape*, or raise `_Unfit`."""
        if not shape.members:
            raise _Unfit
        lines: list[str] = []
        return self.finished(self.members(shape, "d", "  ", lines), lines)

    def finished(self, expression: str, lines: list[str]) -> Form:
        if not self._groups:  # the source below needs one
            self._group()
            expression = f"{_GROUP}){expression}"
        groups = ", ".join(f"g{place}" for place in range(self._groups))
        code = ["def build(rows, drift):", " records = []", " add = records.append", f" for {groups}, in rows:"]
        code += [*lines, "  add(d)", " return records"]
        exec(compile("\n".join(code), "<fast rows>", "exec"), self._names)  # noqa: S102 - see the class
        pattern = re.compile(expression.replace(_GROUP, "("))
        return Form(pattern, tuple(self._texts), self._names["build"], expression, {})

    def _group(self) -> str:
        self._groups += 1
        return f"g{self._groups - 1}"

    def _name(self, value: Any) -> str:
        name = f"n{len(self._names)}"
        self._names[name] = value
        return name

    def members(self, shape: _Shape, record: str, indent: str, lines: list[str]) -> str:
        """Return the expression of *shape*'s members.

        Source lines that make the dict *record* of the groups are added to *lines*.
        """
        expression: list[str] = []
        values: list[str] = []
        others: list[str] = []
        for name, member in shape.in_order(known=self._known):
            ways = self._alternatives(member, indent)
            either = "|".join(way.expression for way in ways)
            if self._always(member):
                expression.append(either if len(ways) == 1 else f"(?>{either})")
                lines += ways[0].lines
                *first, last = ways
                value = "".join(f"{way.value} if {way.group} is not None else " for way in first) + last.value
                values.append(f"{name!r}: {value}")
                continue
            expression.append(f"(?:{either})?+")
            word = "if"
            for way in ways:
                others += [f"{indent}{word} {way.group} is not None:", *way.lines]
                others.append(f"{indent} {record}[{name!r}] = {way.value}{way.drift}")
                word = "elif"
        lines += [f"{indent}{record} = {{{', '.join(values)}}}", *others]
        if not values and any(member.structured for member in shape.members.values()):  # a parser decides what it is
            unknown = self._name(frozenset(name for name, member in shape.members.items() if not member.known))
            lines.append(f"{indent}if {record} and {record}.keys() <= {unknown}: raise Unread")
        return "".join(self._space + member for member in expression) + self._space

    def _always(self, member: _Member) -> bool:
        """True if *member* is matched in every record."""
        return member.always and not self._known  # a form that leaves members out matches up to each of these

    def _alternatives(self, member: _Member, indent: str) -> list[_Alternative]:
        """Return the ways to write *member*."""
        found: list[_Alternative] = []
        leaves: dict[tuple[str, Any, str, str], list[str]] = {}
        constants: dict[tuple[str, str], list[str]] = {}
        for raw, (tag, shape) in member.forms.items():
            counted = f"; drift.append({tag.drift!r})" if tag.drift else ""
            if tag.kind == LEAF and not tag.nil:
                leaves.setdefault((tag.closing, tag.read, repr(tag.empty), counted), []).append(raw)
            elif tag.kind == EMPTY:
                made = "None" if tag.nil else f"{self._name(tag.empty)}()"
                constants.setdefault((made, counted), []).append(self._tag(raw))
            elif tag.nil:
                space = "" if tag.kind == LEAF else self._space
                form = f"{self._tag(raw)}{space}<{re.escape(tag.closing)}"
                constants.setdefault(("None", counted), []).append(form)
            elif tag.kind == STRUCTURE:
                found.append(self._unknown(raw, tag, counted))
            elif tag.kind == RECORD:
                found.append(self._record(raw, tag, shape, "" if self._always(member) else self._group(), indent))
            else:
                found.append(self._list(raw, tag, shape))
        for (closing, read, empty, counted), raws in leaves.items():
            group = self._group()
            characters, value = self._value(read, group, empty)
            expression = f"{self._tag(*raws)}{_GROUP}{characters})<{re.escape(closing)}"
            found.append(_Alternative(expression, group, value, [], counted))
        for place, ((made, counted), forms) in enumerate(constants.items(), 1):
            if self._always(member) and place == len(constants):
                found.append(_Alternative(f"(?>{'|'.join(forms)})", "", made, []))
            else:
                found.append(_Alternative(f"(?>{'|'.join(forms)}){_GROUP})", self._group(), made, [], counted))
        return found

    def _tag(self, *raws: str) -> str:
        """Return the expression of one of several raw tags."""
        either = [escaped(raw, self._varying) for raw in raws]
        return f"<{either[0]}>" if len(either) == 1 else f"<(?>{'|'.join(f'{raw}>' for raw in either)})"

    def _value(self, read: Reader | None, group: str, empty: str) -> tuple[str, str]:
        """Return the expression of a leaf's text, and the source of its value."""
        if read is None:
            self._texts.append(int(group[1:]))
            return "[^<]*+", group if empty == "''" else f"({group} or {empty})"
        if read in SHORT:
            characters, source = SHORT[read]
            if "{1}" in source or empty == "None":
                return characters, source.format(group, empty)
        self._texts.append(int(group[1:]))
        return "[^<]*+", f"({self._name(read)}({group}) if {group} else {empty})"

    def _record(self, raw: str, tag: Tag, shape: _Shape, group: str, indent: str) -> _Alternative:
        """Return the way to write a record inside the record."""
        self._records += 1
        inner, lines = f"d{self._records}", list[str]()
        members = self.members(shape, inner, indent + " " if group else indent, lines)
        expression = f"{self._tag(raw)}{f'{_GROUP})' if group else ''}{members}<{re.escape(tag.closing)}"
        return _Alternative(expression, group, f"{self._name(tag.inner.make)}({inner})", lines)

    def _unknown(self, raw: str, tag: Tag, counted: str) -> _Alternative:
        """Return the way to write an unknown member with members of its own."""
        group, closing = self._group(), re.escape(tag.closing)
        inside = f"[^<]*+(?:<(?!{closing})[^<]*+){{0,{_INSIDE}}}+"
        value = f"{self._name(partial(_read_unknown, tag.inner, raw))}({group})"
        return _Alternative(f"{self._tag(raw)}{_GROUP}{inside})<{closing}", group, value, [], counted)

    def _list(self, raw: str, tag: Tag, shape: _Shape) -> _Alternative:
        """Return the way to write a list inside the record."""
        start, end, group = self._tag(raw), f"<{re.escape(tag.closing)}", self._group()
        if not shape.records:
            return _Alternative(f"{start}{_GROUP}){self._space}{end}", group, "[]", [])
        if len({(closing, id(tags)) for closing, tags in shape.records.values()}) > 1:
            raise _Unfit
        closing, tags = next(iter(shape.records.values()))
        inside, lines = _Compiler(spaced=self._spaced, known=self._known, varying=self._varying), list[str]()
        members = inside.members(shape, "d", "  ", lines)
        record = f"{self._tag(*shape.records)}{members}<{re.escape(closing)}"
        read_all, make = self._name(inside.finished(record, lines).read_all), self._name(tags.make)
        expression = f"{start}{_GROUP}(?:{self._space}{record.replace(_GROUP, '(?:')})*+{self._space}){end}"
        return _Alternative(expression, group, f"[{make}(record) for record in {read_all}({group}, drift)]", [])


def escaped(text: str, varying: str) -> str:
    """Return the expression of a tag or a part of it, with any value of *varying*."""
    expression = re.escape(text)
    if ANY_NUMBER in text:
        expression = expression.replace(ANY_NUMBER, "q[0-9a-z_]++")
    return expression.replace(re.escape(f' {varying}=""'), varying_attribute(varying)) if varying else expression


_IN_TAG = f"(?=[^<>]{{0,{TAG_LENGTH}}}+>)"


def without_values(text: str, varying: str) -> tuple[str, int]:
    """Return *text* without the values of *varying*, and their number.

    No text between the tags may have a `>`.
    """
    return re.subn(f"{varying_attribute(varying)}{_IN_TAG}", f' {varying}=""', text)


ANY_NUMBER = "q_octopus"
"""The name that numbered prefixes get; others do not have it, and in an expression it stands for all of them."""


def without_numbers(text: str) -> str:
    """Return *text* with one name for the numbered prefixes that only types have.

    .NET's XmlSerializer declares a new prefix for each type: `xmlns:q12="urn:a" i:type="q12:T"`. No text between the
    tags may have a `>`.
    """
    if re.search(r"[<\s/]q[0-9]++:", text):  # the name of an element or attribute has such a prefix
        return text
    # Both begin with fixed characters, so the search is several times faster than that of one expression with choices.
    text = re.sub(rf" xmlns:q[0-9]++(?==){_IN_TAG}", f" xmlns:{ANY_NUMBER}", text)
    return re.sub(rf':type="q[0-9]++(?=:){_IN_TAG}', f':type="{ANY_NUMBER}', text)


def varying_attribute(name: str) -> str:
    """Return the expression of an attribute with any value that has no `&`."""
    return f'\\ {re.escape(name)}="[^"<>&]*+"'
