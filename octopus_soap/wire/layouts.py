"""Layouts: reading many rows of one shape at the speed of a regular expression.

Theory. The rows of a page are nearly always written alike: the same members in the same order with the same
prefixes. Asking lxml for each member's tag and text makes Python objects per member. So once two rows of one shape were
seen, the shape is compiled into a layout: an expression that matches the members' raw text and captures their values.
A row that matches is read in one step; every other row, whatever the reason, is read from the tree.

Why that is safe:

1. It runs on a reply that lxml has parsed, strictly and without a DOCTYPE: a layout need not prove well-formedness.
2. It runs only on UTF-8 text without carriage returns, which a parser would have changed.
3. A layout holds literal tags without attributes, and nothing may stand between them: an attribute (but `nil`), white
   space, a comment, CDATA, mixed content, a repeated, missing, extra or moved member does not match.
4. The list's opening tag must stand in the text just once. Each row takes one closing tag of a row with it, as many
   as the tree has rows, and the walk must end at the list's closing tag. A closing tag that is none, in a comment or
   CDATA, upsets that count: all that was read is thrown away, and the tree is read.

A property test holds both ways of reading against each other.
"""

from __future__ import annotations

import re
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from octopus_soap.wire.plans import NIL, is_nil, local_name
from octopus_soap.wire.values import read_bool, read_decimal, read_float, read_int, read_text

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from octopus_soap.wire.plans import Element, Plan, Slot

_TEXT = "[^<]*"
_NUMBER = "[-+.0-9]++"
_FORMS: dict[Any, tuple[str, str]] = {
    read_decimal: (_NUMBER, "{0} and Decimal({0})"),
    read_float: (_NUMBER, "{0} and float({0})"),
    read_int: ("[-+0-9]++", "{0} and int({0})"),
    read_bool: ("[a-z]++", "{0} and booleans[{0}]"),
}
"""By a scalar's reader: the characters it may have, and the expression that reads it from a group, where None stands
for nil. Other text, and text the expression refuses, is read from the tree."""

_MAY_BE_ABSENT = frozenset(f"({form})" for form, _ in _FORMS.values())
_CAPTURES = re.compile(r"(?<!\\)\((?!\?)")
"""An opening parenthesis that captures."""
_ATTRIBUTES = re.compile(r'(?:\s+[\w:.-]+="[^"<]*")*\s*>')
"""What may follow the name in the list's opening tag."""
_REFERENCE = re.compile(r"&(?:#x([0-9A-Fa-f]+)|#([0-9]+)|(\w+));")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_DECLARED = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([\w.-]+)")
_KEPT = 8
"""Layouts kept per model: the order of members rarely has more variants."""
_NOTED = 200
"""Shapes noted per model: a service that never repeats itself cannot grow the memory."""


class _Build(NamedTuple):
    """Functions that make a dict of a row's groups: for text without references, and for text with some."""

    plain: Callable[[tuple[Any, ...]], dict[str, Any]]
    resolving: Callable[[tuple[Any, ...]], dict[str, Any]]


class Layout:
    """One shape of a model's rows: an expression for a whole row, and what makes a dict of its groups."""

    def __init__(self, expression: str, with_empty: str, build: _Build, drift: tuple[str, ...]) -> None:
        self._pattern = re.compile(expression)
        self._with_empty = re.compile(with_empty)
        self._build = build
        self.drift = drift

    def read(self, text: str, position: int) -> tuple[dict[str, Any], int] | None:
        """Read the row at *position*: its values and where it ends, or None where it is not of this layout."""
        match = self._pattern.match(text, position) or self._with_empty.match(text, position)
        if match is None:
            return None
        end = match.end()
        build = self._build.plain if text.find("&", position, end) < 0 else self._build.resolving
        try:
            return build(match.groups()), end
        except (ValueError, ArithmeticError, LookupError):  # not a value of its type: the tree's reader says why
            return None

    @property
    def uncaptured(self) -> str:
        """The expression without groups of its own, to stand in another one."""
        return _CAPTURES.sub("(?:", self._with_empty.pattern)

    def all(self, text: str) -> list[dict[str, Any]]:
        """Read rows of this layout that fill *text*, which an expression has matched already."""
        build = self._build.resolving if "&" in text else self._build.plain
        return [build(match.groups()) for match in self._with_empty.finditer(text)]


def _resolve(text: str) -> str:
    return _REFERENCE.sub(_character, text)


def _character(reference: re.Match[str]) -> str:
    if reference[1]:
        return chr(int(reference[1], 16))
    return chr(int(reference[2])) if reference[2] else _ENTITIES[reference[3]]


# -- learning --------------------------------------------------------------------------------------------------------


def learn(element: Element, plan: Plan) -> None:
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


def _shape(element: Element, plan: Plan) -> tuple[Any, ...]:
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


def _layout(element: Element, plan: Plan) -> Layout:
    """The layout of *element*, in two expressions: an empty text makes the second one slower.

    Raises:
        _Unfit: it has something a layout cannot hold.
    """
    without, with_empty = _Compiler(element, with_empty=False), _Compiler(element, with_empty=True)
    expression, source = without.row(element, plan)
    return Layout(expression, with_empty.row(element, plan)[0], without.build(source), without.drift)


class _Compiler:
    """Builds a row's expression, and the source of the functions that make a dict of its groups."""

    def __init__(self, element: Element, *, with_empty: bool) -> None:
        prefixes = {prefix for prefix, uri in element.nsmap.items() if f"{{{uri}}}nil" == NIL and prefix}
        nil = "|".join(rf' {re.escape(prefix)}:nil="true"/>' for prefix in sorted(prefixes))
        self._nil = f"|{nil}" if nil else ""
        self._groups: list[str] = []
        self._names: dict[str, Any] = {
            "Decimal": Decimal,
            "booleans": {"true": True, "false": False},
            "resolve": _resolve,
        }
        self._texts: list[str] = []
        self._with_empty = with_empty
        self._drift: list[str] = []

    def build(self, source: str) -> _Build:
        """Compile the functions."""
        # One dict display is what Python runs fastest. Only names of ours and quoted member names go into the source.
        take = f"(groups):\n ({', '.join(self._groups)},) = groups\n"
        resolve = "".join(f" if {text} and '&' in {text}: {text} = resolve({text})\n" for text in self._texts)
        code = f"def plain{take} return {source}\ndef resolving{take}{resolve} return {source}\n"
        exec(compile(code, "<layout>", "exec"), self._names)  # noqa: S102 - see above
        return _Build(self._names["plain"], self._names["resolving"])

    def row(self, element: Element, plan: Plan) -> tuple[str, str]:
        """The expression of *element*, and the source of its dict.

        Raises:
            _Unfit: it has something a layout cannot hold.
        """
        expression, source = self._record(element, plan)
        if not self._groups:
            raise _Unfit
        raw = re.escape(_raw(element))
        return f"<{raw}>{expression}</{raw}>", source

    @property
    def drift(self) -> tuple[str, ...]:
        """Unknown members of the row, as they are counted."""
        return tuple(self._drift)

    def _group(self) -> str:
        self._groups.append(f"g{len(self._groups)}")
        return self._groups[-1]

    def _name(self, value: Any) -> str:
        name = f"n{len(self._names)}"
        self._names[name] = value
        return name

    def _record(self, element: Element, plan: Plan) -> tuple[str, str]:
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
                self._drift.append(f"{plan.name}.{attribute}")
            content, source = self._scalar(slot) if slot is None or slot.reader else self._part(child, slot)
            expression.append(self._element(re.escape(_raw(child)), content))
            sources.append(f"{attribute!r}: {source}")
        return "".join(expression), f"{{{', '.join(sources)}}}"

    def _element(self, raw: str, content: str) -> str:
        """An element with *content*, or nil, or empty."""
        if content in _MAY_BE_ABSENT:  # nothing there means None, as nil does
            return f"<{raw}(?:>{content}</{raw}>|/>|></{raw}>{self._nil})"
        if content == f"({_TEXT})" and not self._with_empty:
            return f"<{raw}(?:>({_TEXT}+)</{raw}>{self._nil})"
        # An element whose text has `/>` in it is not cut short there: its closing tag would be left over.
        return f"<{raw}(?:(?:>|(?=/>)){content}(?:</{raw}>|/>){self._nil})"

    def _scalar(self, slot: Slot | None) -> tuple[str, str]:
        reader, group = read_text if slot is None or slot.reader is None else slot.reader, self._group()
        if reader in _FORMS:
            form, source = _FORMS[reader]
            return f"({form})", source.format(group)
        self._texts.append(group)
        if reader is read_text:
            return f"({_TEXT})", group
        return f"({_TEXT})", f"None if {group} is None else {self._name(reader)}({group})"

    def _part(self, child: Element, slot: Slot) -> tuple[str, str]:
        group = self._group()
        if slot.nested is not None:
            expression, source = self._record(child, slot.nested)
            return f"(){expression}", f"None if {group} is None else {source}"
        rows = list(child)
        if slot.rows is None or any(is_nil(row) for row in rows):
            raise _Unfit
        if rows:
            layout = _layout(rows[0], slot.rows)
            slot.rows.layouts = [layout]  # for lists that are empty when their turn comes to be learned from
        elif slot.rows.layouts:
            layout = slot.rows.layouts[0]
        else:
            return "()", f"{group} if {group} is None else []"
        if layout.drift:
            raise _Unfit  # rows of a list vary in number, and drift is counted per row
        return f"((?:{layout.uncaptured})*)", f"None if {group} is None else {self._name(layout.all)}({group})"


# -- reading a page --------------------------------------------------------------------------------------------------


# -- reading a page --------------------------------------------------------------------------------------------------


def raw_text(body: bytes) -> str | None:
    """*body* as text, where a parser reads it as it stands; None where it does not."""
    declared = _DECLARED.match(body)
    if b"\r" in body or (declared and declared[1].lower() != b"utf-8"):
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None


def read_page(
    text: str, container: Element, rows: list[Element], plan: Plan, drift: Counter[str]
) -> list[dict[str, Any] | None] | None:
    """Read the rows of *container* from the raw *text*.

    Returns:
        For each of *rows* its values, or None where it must be read from the tree; None where all must be.
    """
    noticed: list[str] = []
    found = _walk(text, container, rows, plan, noticed)
    drift.update(noticed)
    return found


def _matching(plan: Plan, text: str, position: int) -> tuple[Layout, tuple[dict[str, Any], int]] | tuple[None, None]:
    for layout in plan.layouts:
        found = layout.read(text, position)
        if found is not None:
            return layout, found
    return None, None


def _walk(
    text: str, container: Element, rows: list[Element], plan: Plan, noticed: list[str]
) -> list[dict[str, Any] | None] | None:
    opening = f"<{_raw(container)}"
    at = text.find(opening)
    start = _ATTRIBUTES.match(text, at + len(opening)) if at >= 0 else None
    if start is None or text.find(opening, at + 1) >= 0:
        return None
    position = start.end()
    found: list[dict[str, Any] | None] = []
    for row in rows:
        layout, read = _matching(plan, text, position)
        if layout is not None and read is not None:
            found.append(read[0])
            position = read[1]
            noticed += layout.drift
            continue
        close = f"</{_raw(row)}>"
        end = text.find(close, position)
        if end < 0:
            break
        learn(row, plan)
        found.append(None)
        position = end + len(close)
    if len(found) < len(rows) or not text.startswith(f"</{_raw(container)}>", position):
        noticed.clear()
        return None
    return found
