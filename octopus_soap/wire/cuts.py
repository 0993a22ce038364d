"""Cutting: the rows of a page are read from its text, and only what is left is parsed.

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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

from octopus_soap.wire.breaks import ROWS, take_break
from octopus_soap.wire.plans import NIL, local_name

if TYPE_CHECKING:
    from octopus_soap.wire.layouts import Layout
    from octopus_soap.wire.plans import Element, Plan, Row

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


def cut_rows(body: bytes, plan: Plan) -> Cut | None:
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


def _run(text: str, position: int, plan: Plan, cut: Cut) -> tuple[list[Row], int]:
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
            take_break()
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
