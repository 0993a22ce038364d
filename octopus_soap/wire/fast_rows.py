"""Layouts: reading many rows of one shape at the speed of a regular expression.

Theory. The rows of a page are nearly always written alike: the same members in the same order with the same
prefixes. Asking lxml for each member's tag and text makes Python objects per member. So once two rows of one shape were
seen, the shape is compiled into a layout: an expression that matches the members' raw text and captures their values.
A row that matches is read in one step; every other row, whatever the reason, is read from the tree.

What a layout matches is well-formed by itself, so that a row may be read from text nobody has parsed (cuts.py):

1. It holds literal tags without attributes, each with its closing tag, and nothing may stand between them: an attribute
   (but `nil`), white space, a comment, CDATA, mixed content, a repeated, missing, extra or moved member does not match.
2. A text with references is read only if each is one XML has, to a character it allows.
3. It names the prefixes it needs, and those that must mean `xsi`, for whoever knows what is bound.

The records of one layout share one set of the names that came, `model_fields_set`: with a set for each record, a page
of items would take a third more memory, and the garbage collector would have half as many more objects to look at.

Characters XML forbids, `]]>` and carriage returns are the caller's matter: they are looked for once in the whole page.

Cutting: the rows of a page are read from its text, and only what is left is parsed.

Theory. Parsing a page of 100 items takes lxml 3 ms, to build a tree whose rows nobody looks at: a layout reads them
from the text. So runs of rows that layouts read are cut out, a mark (one empty element) is left for each run, and the
rest, a page without its rows, is parsed like every reply.

Why that reads what parsing the whole page would have read:

1. The rest is well-formed, and there are as many marks among the children of the result's list as runs were cut out. So
   where a mark stands, a parser is in the list's content: not in a comment, CDATA, another element, or past the end.
2. What was cut there are whole elements, well-formed by themselves (layouts.py); every prefix they have is bound at the
   list, and nil's prefix to nil's namespace. A parser reads them there, and is after them as it was before.
3. The page has no character that XML forbids, no carriage return (a parser would change it), no `]]>`, no encoding but
   UTF-8, and no text as long as libxml2's limit.

Where any of this does not hold, nothing was read, and the whole page is parsed. Property tests hold both ways against
each other, on pages that are right and on pages that are broken in every way we could think of.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from octopus_soap.models.base import SharedNames, share_names
from octopus_soap.models.scalars import FORBIDDEN
from octopus_soap.wire.readers import NIL, ROWS, is_nil, local_name, yield_point
from octopus_soap.wire.values import read_bool, read_decimal, read_float, read_int, read_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap.models.base import WireModel
    from octopus_soap.wire.readers import Element, FieldReader, RecordReader, Row


_TEXT = "[^<]*+"
_NUMBER = "[-+.0-9]++"
_FORMS: dict[Any, tuple[str, str]] = {
    read_decimal: (_NUMBER, "{0} and Decimal({0})"),
    read_float: (_NUMBER, "{0} and float({0})"),
    read_int: ("[-+0-9]++", "{0} and int({0})"),
    read_bool: ("[a-z]++", "{0} and booleans[{0}]"),
}
"""By a scalar's reader: the characters it may have, and the expression that reads it from a group, where None stands
for nil. Other text, and text the expression refuses, is read from the tree."""

_CAPTURES = re.compile(r"(?<!\\)\((?!\?)")
"""An opening parenthesis that captures."""
_REFERENCE = re.compile(r"&(?:#x([0-9A-Fa-f]{1,6})|#([0-9]{1,7})|(lt|gt|amp|quot|apos));")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_LAST_CODE_POINT = 0x10FFFF
_KEPT = 8
"""Layouts kept per model: the order of members rarely has more variants."""
_NOTED = 200
"""Shapes noted per model: a service that never repeats itself cannot grow the memory."""


class _Form(NamedTuple):
    """One expression for a whole row, and what makes a dict of its groups: without references in the text, and with.

    `share` gives a record made of such a dict, and the records in it, their shared sets of names.
    """

    pattern: re.Pattern[str]
    plain: Callable[[tuple[Any, ...]], dict[str, Any]]
    resolving: Callable[[tuple[Any, ...]], dict[str, Any]]
    share: Callable[[WireModel], None]


class Layout:
    """One shape of a model's rows.

    Attributes:
        opening: a row's opening tag.
        share: gives a record that a row became the names shared by all of this layout.
        drift: unknown members of a row, as they are counted.
        prefixes: those its tags have.
        nil_prefixes: those that must be bound to the namespace of `nil`.
    """

    def __init__(self, opening: str, form: _Form, compiler: _Compiler) -> None:
        self.opening = opening
        self._form = form
        self.share = form.share
        self.drift = tuple(compiler.drift)
        self.prefixes = frozenset(compiler.prefixes)
        self.nil_prefixes = compiler.nil_prefixes

    def read(self, text: str, position: int) -> tuple[dict[str, Any], int] | None:
        """Read the row at *position*: its values and where it ends, or None where it is not of this layout."""
        form = self._form
        match = form.pattern.match(text, position)
        if match is None:
            return None
        end = match.end()
        try:
            build = form.plain if text.find("&", position, end) < 0 else form.resolving
            return build(match.groups()), end
        except (ValueError, ArithmeticError, LookupError):  # not a value of its type: the tree's reader says why
            return None

    @property
    def uncaptured(self) -> str:
        """The expression without groups of its own, to stand in another one."""
        return _CAPTURES.sub("(?:", self._form.pattern.pattern)

    def all(self, text: str) -> list[dict[str, Any]]:
        """Read rows of this layout that fill *text*, which an expression has matched already."""
        form = self._form
        build = form.resolving if "&" in text else form.plain
        return [build(match.groups()) for match in form.pattern.finditer(text)]


def _resolve(text: str) -> str:
    """Text with its references resolved; raises `ValueError` for an `&` that begins none, or one XML forbids."""
    resolved, found = _REFERENCE.subn(_character, text)
    if found != text.count("&"):
        raise ValueError("an & that begins no reference")
    return resolved


def _character(reference: re.Match[str]) -> str:
    if reference[3]:
        return _ENTITIES[reference[3]]
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    if number > _LAST_CODE_POINT or FORBIDDEN.match(chr(number)):
        raise ValueError("a reference to a character XML forbids")
    return chr(number)


# -- learning --------------------------------------------------------------------------------------------------------


def learn(element: Element, plan: RecordReader) -> None:
    """Note the shape of *element*, a row of *plan*'s model; compile it when it is seen for the second time."""
    shape = _shape(element, plan)
    seen = plan.shapes.get(shape, 0)
    if len(plan.shapes) >= _NOTED and not seen:
        plan.shapes.clear()
    plan.shapes[shape] = seen + 1
    if seen != 1:
        return
    with suppress(_Unfit):
        plan.layouts = [_layout(element, plan), *plan.layouts][:_KEPT]


def _shape(element: Element, plan: RecordReader) -> tuple[Any, ...]:
    shape: list[Any] = [element.tag]
    for child in element:
        slot = plan.find(child.tag)
        inner = None if slot is None else slot.nested or slot.rows
        if inner is None or not len(child):
            shape.append(child.tag)
        else:
            shape.append((child.tag, _shape(child if slot is not None and slot.nested else child[0], inner)))
    return tuple(shape)


def _raw(element: Element) -> str:
    name = local_name(element.tag)
    return f"{element.prefix}:{name}" if element.prefix else name


class _Unfit(Exception):  # noqa: N818 - control flow inside this module
    """The element has something a layout cannot hold."""


def _layout(element: Element, plan: RecordReader) -> Layout:
    """The layout of *element*.

    Raises:
        _Unfit: it has something a layout cannot hold.
    """
    compiler = _Compiler(element)
    return Layout(f"<{_raw(element)}>", compiler.form(element, plan), compiler)


class _Compiler:
    """Builds a row's expression, and the functions that make a dict of its groups."""

    def __init__(self, element: Element) -> None:
        self.drift: list[str] = []
        self.prefixes: set[str] = set()
        self.nil_prefixes = frozenset(
            prefix for prefix, uri in element.nsmap.items() if f"{{{uri}}}nil" == NIL and prefix
        )
        nil = "|".join(rf' {re.escape(prefix)}:nil="true"/>' for prefix in sorted(self.nil_prefixes))
        self._nil = f"|{nil}" if nil else ""
        self._groups: list[str] = []
        self._texts: list[str] = []
        self._sharing: list[str] = []
        self._names: dict[str, Any] = {
            "Decimal": Decimal,
            "booleans": {"true": True, "false": False},
            "resolve": _resolve,
            "share": share_names,
        }

    def form(self, element: Element, plan: RecordReader) -> _Form:
        """The form of *element*.

        Raises:
            _Unfit: it has something a layout cannot hold.
        """
        expression, source = self.row(element, plan)
        # One dict display is what Python runs fastest. Only names of ours and quoted member names go into the source.
        take = f"(groups):\n ({', '.join(self._groups)},) = groups\n"
        resolve = "".join(f" if {text} and '&' in {text}: {text} = resolve({text})\n" for text in self._texts)
        sharing = "".join(f" {line}\n" for line in self._sharing)
        code = f"def plain{take} return {source}\ndef resolving{take}{resolve} return {source}\n"
        exec(compile(f"{code}def sharing(r):\n{sharing}", "<layout>", "exec"), self._names)  # noqa: S102 - see above
        return _Form(re.compile(expression), *(self._names[name] for name in ("plain", "resolving", "sharing")))

    def row(self, element: Element, plan: RecordReader) -> tuple[str, str]:
        """The expression of *element*, and the source of its dict.

        Raises:
            _Unfit: it has something a layout cannot hold.
        """
        expression, source = self._record(element, plan, "r")
        if not self._groups:
            raise _Unfit
        raw = self._tag(element)
        return f"<{raw}>{expression}</{raw}>", source

    def _tag(self, element: Element) -> str:
        if element.prefix:
            self.prefixes.add(element.prefix)
        return re.escape(_raw(element))

    def _group(self) -> str:
        self._groups.append(f"g{len(self._groups)}")
        return self._groups[-1]

    def _name(self, value: Any) -> str:
        name = f"n{len(self._names)}"
        self._names[name] = value
        return name

    def _record(self, element: Element, plan: RecordReader, record: str) -> tuple[str, str]:
        """The expression of *element*'s members, and the source of their dict; *record* names what becomes of it."""
        expression: list[str] = []
        sources: list[str] = []
        seen: set[str] = set()
        for child in element:
            slot = plan.find(child.tag)
            attribute = local_name(child.tag) if slot is None else slot.attribute
            if attribute in seen or (slot is None and len(child)) or (slot is not None and slot.values is not None):
                raise _Unfit
            seen.add(attribute)
            if slot is None:
                self.drift.append(f"{plan.name}.{attribute}")
            if slot is None or slot.reader:
                content, source = self._scalar(child, slot)
            else:
                content, source = self._part(child, slot, f"{record}.{attribute}")
            expression.append(content)
            sources.append(f"{attribute!r}: {source}")
        self._sharing.append(f"share({record}, {self._name(SharedNames(seen))})")
        return "".join(expression), f"{{{', '.join(sources)}}}"

    def _scalar(self, child: Element, slot: FieldReader | None) -> tuple[str, str]:
        raw, reader = self._tag(child), read_text if slot is None or slot.reader is None else slot.reader
        group = self._group()
        if reader in _FORMS:
            content, source = _FORMS[reader]
            # Nothing there means None, as nil does.
            return f"<{raw}(?:>({content})</{raw}>|/>|></{raw}>{self._nil})", source.format(group)
        self._texts.append(group)
        call = "{0}" if reader is read_text else f"{self._name(reader)}({{0}})"
        taken = group if reader is read_text else f"None if {group} is None else {call.format(group)}"
        empty = self._group()
        source = f"({call.format(repr(''))} if {empty} else {taken})"
        return f"<{raw}(?:>({_TEXT})</{raw}>|(/)>{self._nil})", source

    def _part(self, child: Element, slot: FieldReader, part: str) -> tuple[str, str]:
        raw, group = self._tag(child), self._group()
        if slot.nested is not None:
            outer, self._sharing = self._sharing, []
            expression, source = self._record(child, slot.nested, part)
            self._sharing = [*outer, f"if {part} is not None:", *(f" {line}" for line in self._sharing)]
            return f"<{raw}(?:>(){expression}</{raw}>{self._nil})", f"None if {group} is None else {source}"
        rows = list(child)
        if slot.rows is None or any(is_nil(row) for row in rows):
            raise _Unfit
        empty = self._group()
        if rows:
            layout = _layout(rows[0], slot.rows)
            slot.rows.layouts = [layout]  # for lists that are empty when their turn comes to be learned from
        elif slot.rows.layouts:
            layout = slot.rows.layouts[0]
        else:
            return f"<{raw}(?:>()</{raw}>|(/)>{self._nil})", f"([] if {empty} or {group} is not None else None)"
        if layout.drift:
            raise _Unfit  # rows of a list vary in number, and drift is counted per row
        self.prefixes |= layout.prefixes
        self.nil_prefixes |= layout.nil_prefixes
        self._sharing.append(f"for row in {part} or (): {self._name(layout.share)}(row)")
        return (
            f"<{raw}(?:>((?:{layout.uncaptured})*+)</{raw}>|(/)>{self._nil})",
            f"([] if {empty} else None if {group} is None else {self._name(layout.all)}({group}))",
        )


_MARK = "octopus-soap-cut"
_NIL_NAMESPACE = NIL[1:].partition("}")[0]
_DECLARED = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([\w.-]+)")
_LIMIT = 10_000_000
"""libxml2 refuses a longer text; whole pages above it are left to it."""
_CONTROLS = bytes(code for code in range(0x20) if chr(code) not in "\t\n")
_REFUSED = {b"]": (b"]]>",), b"\xef": ("\ufffe".encode(), "\uffff".encode())}
"""Beside control characters (the carriage return is one), what may not stand in a page that is cut; by its first byte,
which is looked for at ten times the speed and which most pages do not have."""


class NotCut(Exception):  # noqa: N818 - control flow between here, the decoder and the codec
    """The rest of the page does not bear the cut out."""


@dataclass(slots=True)
class Cut:
    """A page without the rows that layouts read.

    Attributes:
        rest: what is to be parsed.
        runs: the records of the rows cut out, for each mark.
        layouts: those that read them.
        drift: unknown members of those rows, as they are counted.
        proven: the rest bears the cut out; set by `runs_at`.
    """

    rest: bytes
    runs: list[list[Row]]
    layouts: set[Layout] = field(default_factory=set)
    drift: list[str] = field(default_factory=list)
    proven: bool = False

    def runs_at(self, container: Element, rows: list[Element]) -> dict[int, list[Row]]:
        """The rows cut out, by the position of their mark among *rows*, the children of the result's list.

        Raises:
            NotCut: a mark is not among them, or a prefix does not mean there what a layout takes it for.
        """
        marks = [position for position, row in enumerate(rows) if local_name(row.tag) == _MARK]
        bound = container.nsmap
        for layout in self.layouts:
            if not layout.prefixes <= bound.keys():
                raise NotCut
            if any(bound.get(prefix) != _NIL_NAMESPACE for prefix in layout.nil_prefixes):
                raise NotCut
        if len(marks) != len(self.runs):
            raise NotCut
        self.proven = True
        return dict(zip(marks, self.runs, strict=True))


def cut_rows(body: bytes, plan: RecordReader) -> Cut | None:
    """Cut the rows of *plan*'s model out of *body*; None where nothing can be cut."""
    text = _plain(body) if plan.layouts else None
    if text is None:
        return None
    opening = plan.layouts[0].opening
    cut, pieces, kept = Cut(b"", []), [], 0
    position = text.find(opening)
    while position >= 0:
        try:
            run, end = _run(text, position, plan, cut)
        except ValidationError:  # parsed as a whole, the row comes with its XML into the report
            return None
        if run:
            cut.runs.append(run)
            pieces += [text[kept:position], f"<{_MARK}/>"]
            kept = end
        position = text.find(opening, max(end, position + 1))
    if not cut.runs:
        return None
    cut.rest = "".join([*pieces, text[kept:]]).encode()
    return cut


def _run(text: str, position: int, plan: RecordReader, cut: Cut) -> tuple[list[Row], int]:
    """The rows that stand side by side from *position* on, and where they end; raises pydantic's `ValidationError`.

    Each becomes a record at once, although the rest of the page may not bear it out: so a page is never held as dicts
    and as models at the same time, and the garbage collector has less to look at.
    """
    run: list[Row] = []
    layouts, record = plan.layouts, plan.record
    while True:
        for layout in layouts:
            read = layout.read(text, position)
            if read is not None:
                break
        else:
            return run, position
        row = record(read[0])
        layout.share(row.value)
        run.append(row)
        position = read[1]
        if not len(run) % ROWS:
            yield_point()
        cut.layouts.add(layout)
        if layout.drift:
            cut.drift += layout.drift


def _plain(body: bytes) -> str | None:
    """*body* as text that a parser reads as it stands; None where there may be more to it."""
    declared = _DECLARED.match(body)
    if len(body) >= _LIMIT or (declared and declared[1].lower() != b"utf-8"):
        return None
    if len(body.translate(None, _CONTROLS)) != len(body):
        return None
    if any(refused in body for first, words in _REFUSED.items() if first in body for refused in words):
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None
