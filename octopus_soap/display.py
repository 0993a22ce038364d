"""Results, models and errors as HTML for notebooks and as rich renderables.

Both are drawn from one `View`. It is capped (rows, length of a cell, and for HTML the size in bytes), what went wrong
comes first, secret members are masked, and control characters are replaced, so that a service's text cannot colour a
terminal. The HTML inherits the page's colours, so it is readable in light and dark, and fetches nothing.

Objects are recognised by their attributes, not by their class, because models, results and errors import this module.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Group

    from octopus_soap.errors import OctopusError
    from octopus_soap.models import WireModel
    from octopus_soap.observe.health import Health
    from octopus_soap.results import BatchResult, ItemOutcome

MASK = "…"
MOST_ROWS, MOST_COLUMNS, MOST_CHARACTERS = 20, 8, 60
_LONG = 200
"""Longest text of a message, or of a member of a single record, in characters."""
MOST_BYTES = 48_000
"""A view's HTML stays below 50 kB, its frame included."""

# Texts, which re compiles when they are first used: most processes show nothing.
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
_ZEROS = r"(\.\d\d\d*?)0+$"
"""Zeros beyond two places: the service writes 19.9000, a person reads 19.90."""
_FIRST = (
    "sku", "order_id", "id_order", "store_id", "description", "order_date", "price", "cost", "msrp", "stock",
    "applicable_stock", "form_quantity", "store_stock", "store_price", "quantity", "unit_price", "total",
    "payment_status", "shipping_status", "result", "error_message", "store_stock_info_list", "order_items",
)  # fmt: skip
_HEADINGS = {
    "store_stock_info_list": "stores",
    "order_items": "lines",
    "kit_list": "kits",
    "attribute_list": "attributes",
}
_WRONG_FIRST = ("rejected", "missing", "failed", "unknown", "not_sent")
_STYLE = (
    ".octopus-soap{font-size:.92em;line-height:1.35}"
    ".octopus-soap table{border-collapse:collapse;margin:.3em 0 .6em}"
    # The class is repeated to outweigh a notebook's own rules for tables.
    ".octopus-soap.octopus-soap :is(th,td){padding:.15em .7em .15em 0;text-align:left;vertical-align:top;"
    "border-bottom:1px solid rgba(128,128,128,.35);max-width:34em;overflow-wrap:break-word}"
    ".octopus-soap.octopus-soap tr{background:none}"
    ".octopus-soap.octopus-soap th{font-weight:600;white-space:nowrap}"
    ".octopus-soap.octopus-soap .n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    ".octopus-soap p{margin:.2em 0}.octopus-soap .q{opacity:.75}"
)


class Grid(NamedTuple):
    """A table with a heading; *left_out* rows are counted, not shown."""

    heading: str
    columns: Sequence[str]
    rows: list[list[Any]]
    left_out: int = 0


class View:
    """What is shown: a title, short lines, tables, and quiet lines at the end."""

    def __init__(self, title: str, lines: Iterable[str] = (), grids: Iterable[Grid] = ()) -> None:
        self.title = title
        self.lines = list(lines)
        self.grids = list(grids)
        self.quiet: list[str] = []


class Shown:
    """Base of classes that notebooks and rich show by their view."""

    __slots__ = ()

    @abstractmethod
    def _view(self) -> View: ...

    def _repr_html_(self) -> str:
        return html(self._view())

    def __rich__(self) -> Group:
        return rich(self._view())


# -- what is shown -----------------------------------------------------------------------------------------------------


def view_of_model(model: WireModel) -> View:
    """Return one record: its members with a value, its nested lists as tables."""
    view = View(_titled(model))
    rows: list[list[Any]] = []
    for name in type(model).model_fields:
        value = getattr(model, name)
        if _is_model(value):
            rows += [[f"{name}.{inner}", text(_member(value, inner), _LONG)] for inner in _given(value)]
        elif isinstance(value, list) and value and _is_model(value[0]):
            view.grids.append(grid_of_models(_HEADINGS.get(name, name), value))
        elif value is not None:
            rows.append([name, text(_member(model, name), _LONG)])
    view.grids.insert(0, Grid("", ("member", "value"), rows))
    if extra := list(model.model_extra or {}):
        view.quiet.append(f"members that the model does not have: {', '.join(extra[:MOST_ROWS])}")
    return view


def view_of_result(result: BatchResult[Any]) -> View:
    """Return a list call's result: counts, what went wrong, then the good values."""
    counts = ", ".join(f"{count} {status}" for status, count in result.counts.items()) or "empty"
    view = View(f"BatchResult: {counts}")
    wrong = [o for status in _WRONG_FIRST for o in result.outcomes if o.status.value == status]
    if wrong:
        view.grids.append(_grid_of_outcomes("not ok", wrong))
    good: list[tuple[str, Any]] = [(o.key, o.value) for o in result.outcomes if o.ok and o.value is not None]
    if good and _is_model(good[0][1]):
        view.grids.append(grid_of_models("", [value for _, value in good]))
    elif good:
        rows = [list(pair) for pair in good[:MOST_ROWS]]
        view.grids.append(Grid("", ("key", "value"), rows, len(good) - len(rows)))
    if result.calls:
        seconds = sum(call.elapsed for call in result.calls)
        size = sum(call.received_bytes for call in result.calls)
        many = "request" if len(result.calls) == 1 else "requests"
        view.quiet.append(
            f"{result.calls[0].operation}: {len(result.calls)} {many}, {seconds:.2f} s, {size:,} bytes read"
        )
    return view


def view_of_outcomes(outcomes: Sequence[ItemOutcome[Any]]) -> View:
    """Return some outcomes of a result, each with its reason."""
    return View(f"{len(outcomes)} outcome{'' if len(outcomes) == 1 else 's'}", grids=[_grid_of_outcomes("", outcomes)])


def _grid_of_outcomes(heading: str, outcomes: Sequence[ItemOutcome[Any]]) -> Grid:
    rows = [[o.status.value, o.index, o.key, _why(o)] for o in outcomes[:MOST_ROWS]]
    return Grid(heading, ("outcome", "input", "key", "why"), rows, len(outcomes) - len(rows))


def view_of_health(health: Health) -> View:
    """Return the finding of a ping: the stage, the message, what to do."""
    view = View(f"ping: {health.stage.value}", [health.message])
    if health.advice:
        view.lines.append(f"Next: {health.advice}")
    if not health.certain:
        view.lines.append("not certain: something else may look the same")
    view.quiet.append(health.info.brief())
    return view


def view_of_members(title: str, thing: Any) -> View:
    """Return the members of a dataclass or of settings that are not empty."""
    names = getattr(type(thing), "model_fields", None) or getattr(thing, "__dataclass_fields__", {})
    rows: list[list[Any]] = []
    for name in names:
        value = getattr(thing, name)
        if isinstance(value, dict):
            value = ", ".join(f"{key}: {text(one)}" for key, one in value.items())
        if value is not None and value != "":
            whole = isinstance(value, int) and not isinstance(value, bool)
            rows.append([name, f"{value:,}" if whole else text(value, _LONG)])
    return View(title, grids=[Grid("", ("name", "value"), rows)])


def view_of_error(error: OctopusError) -> View:
    """Return an error: its message, problems or batch result, and the next step."""
    view = View(type(error).__name__, [error.message])
    problems = getattr(error, "problems", ())
    if problems:
        rows = [[p.index, p.key, p.field, p.message, p.value] for p in problems[:MOST_ROWS]]
        columns = ("input", "key", "field", "problem", "value")
        view.lines = [f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"]
        view.grids.append(Grid("", columns, rows, len(problems) - len(rows)))
    result: Any = getattr(error, "result", None)
    if hasattr(result, "outcomes"):
        inner = view_of_result(result)
        view.lines.append(inner.title)
        view.grids += inner.grids
    if error.hint:
        view.quiet.append(f"Next: {error.hint}")
    if error.info is not None:
        view.quiet.append(error.info.brief())
    return view


def grid_of_models(heading: str, models: Sequence[WireModel]) -> Grid:
    """Return models of one type as a table, their most useful members first."""
    shown = models[:MOST_ROWS]
    names = [n for n in type(models[0]).model_fields if any(_listed(m, n) is not None for m in shown)]
    ranks = {name: rank for rank, name in enumerate(_FIRST)}
    names.sort(key=lambda name: ranks.get(name, len(ranks)))  # stable: the rest stays in the order of the page
    chosen, dropped = names[:MOST_COLUMNS], names[MOST_COLUMNS:]
    rows = [[_number_or_short(name, _listed(model, name)) for name in chosen] for model in shown]
    headings = [_HEADINGS.get(name, name) for name in chosen]
    if dropped:
        headings.append(f"+{len(dropped)}")
        rows = [[*row, MASK] for row in rows]
    return Grid(heading, headings, rows, len(models) - len(shown))


def _listed(model: Any, name: str) -> Any:
    """Return a member as a cell: a list as its length, a nested record as None."""
    value = getattr(model, name, None)
    if isinstance(value, list):
        return len(value) or None
    return None if value is None or _is_model(value) else _member(model, name)


_COUNTS = frozenset({"stock", "applicable_stock", "form_quantity"})
"""Members that the vendor's page types as text although they are numbers of pieces."""
_COUNT_DIGITS = 7


def _number_or_short(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    whole = name in _COUNTS and value.isascii() and value.isdigit() and len(value) <= _COUNT_DIGITS
    return int(value) if whole else text(value)


def _member(model: Any, name: str) -> Any:
    return MASK if name in type(model).secret_fields else getattr(model, name)


def _given(model: Any) -> list[str]:
    return [name for name in type(model).model_fields if getattr(model, name) is not None]


def _is_model(value: Any) -> bool:
    return hasattr(type(value), "model_fields") and hasattr(type(value), "secret_fields")


def _titled(model: WireModel) -> str:
    key = getattr(model, model.key_field, None) if model.key_field else None
    return type(model).__name__ if key is None else f"{type(model).__name__} {key}"


def _why(outcome: ItemOutcome[Any]) -> str:
    if outcome.message:
        return outcome.message
    if outcome.error is not None:
        return outcome.error.message
    return {"missing": "unknown to the service", "not_sent": "it was not sent"}.get(outcome.status.value, "")


# -- how it is written -------------------------------------------------------------------------------------------------


def text(value: Any, limit: int = MOST_CHARACTERS) -> str:
    """Return a value as readable text on one line, at most *limit* characters."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds").replace("+00:00", "Z")
    if isinstance(value, float):
        value = format(value, ".15g")
    if isinstance(value, Decimal):
        value = re.sub(_ZEROS, r"\1", format(value, "f"))
    words = re.sub(_CONTROL, "\ufffd", str(value.value if isinstance(value, Enum) else value))
    words = re.sub(r"\s*[\r\n\t]\s*", " ", words)
    return words if len(words) <= limit else f"{words[: limit - 1]}…"


_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
    '<meta name="viewport" content="width=device-width"><title>{title}</title>'
    "<style>body{{font-family:system-ui,sans-serif;margin:2em}}</style></head><body>{body}</body></html>"
)


def page(view: View, *, most_bytes: int = MOST_BYTES) -> str:
    """Return the view as a whole HTML document, for light and dark screens."""
    return _PAGE.format(title=escape(text(view.title, _LONG)), body=html(view, most_bytes=most_bytes))


def escape(words: str) -> str:
    """Return text escaped for HTML."""
    from html import escape as escaped  # noqa: PLC0415 - it loads all HTML entities, and most processes show no HTML

    return escaped(words)


def html(view: View, *, most_bytes: int = MOST_BYTES) -> str:
    """Return the view as HTML, every text escaped, within *most_bytes*."""
    parts = [f'<div class="octopus-soap"><style>{_STYLE}</style>', _paragraph(view.title, strong=True)]
    parts += [_paragraph(line) for line in view.lines]
    room = most_bytes - sum(len(part.encode()) for part in parts) - 2_000
    for grid in view.grids:
        made = _html_grid(grid, room)
        room -= len(made.encode())
        parts.append(made)
    parts += [_paragraph(line, quiet=True) for line in view.quiet]
    return "".join([*parts, "</div>"])


def _paragraph(line: str, *, strong: bool = False, quiet: bool = False) -> str:
    words = escape(text(line, 800))
    return f"<p{' class=q' if quiet else ''}>{f'<b>{words}</b>' if strong else words}</p>"


def _html_grid(grid: Grid, room: int) -> str:
    if not grid.rows and not grid.left_out:
        return ""
    top = f"<p><b>{escape(grid.heading)}</b></p>" if grid.heading else ""
    marks = [_mark(next((row[n] for row in grid.rows if row[n] is not None), "")) for n in range(len(grid.columns))]
    heads = [f"<th{mark}>{escape(text(name))}</th>" for mark, name in zip(marks, grid.columns, strict=True)]
    parts = [f"{top}<table><thead><tr>", *heads, "</tr></thead>"]
    left_out, size = grid.left_out, sum(len(part.encode()) for part in parts)
    for position, row in enumerate(grid.rows):
        made = "".join(["<tr>", *(_html_cell(value) for value in row), "</tr>"])
        size += len(made.encode())
        if size > room:
            left_out += len(grid.rows) - position
            break
        parts.append(made)
    more = f"<p class=q>… and {left_out:,} more</p>" if left_out else ""
    return "".join([*parts, "</table>", more])


def _html_cell(value: Any) -> str:
    return f"<td{_mark(value)}>{escape(text(value, _LONG))}</td>"


def _mark(value: Any) -> str:
    """Return the class attribute of numbers and times: one line, at the right."""
    number = isinstance(value, (int, float, Decimal, datetime)) and not isinstance(value, bool)
    return " class=n" if number else ""


def rich(view: View) -> Group:
    """Return the view as a rich renderable."""
    from rich.console import Group  # noqa: PLC0415 - rich is an extra; only rich itself calls this
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    parts: list[Any] = [Text(text(view.title, _LONG), style="bold"), *(Text(text(line, 800)) for line in view.lines)]
    for grid in view.grids:
        if not grid.rows and not grid.left_out:
            continue
        table = Table(title=grid.heading or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
        for position, name in enumerate(grid.columns):
            numbers = all(isinstance(r[position], (int, float, Decimal, type(None))) for r in grid.rows)
            table.add_column(Text(text(name)), justify="right" if numbers else "left", overflow="fold")
        for row in grid.rows:
            table.add_row(*(Text(text(value, _LONG)) for value in row))
        parts.append(table)
        if grid.left_out:
            parts.append(Text(f"… and {grid.left_out:,} more", style="dim"))
    parts += [Text(text(line, 800), style="dim") for line in view.quiet]
    return Group(*parts)


def plain(view: View) -> str:
    """Return the view as plain text, for `print`."""
    parts = [text(view.title, _LONG), *(text(line, 800) for line in view.lines)]
    for grid in view.grids:
        if grid.heading:
            parts.append(f"{grid.heading}:")
        parts.append(
            columns_of_text([[text(name) for name in grid.columns], *([text(c) for c in row] for row in grid.rows)])
        )
        if grid.left_out:
            parts.append(f"… and {grid.left_out:,} more")
    return "\n".join([*parts, *(text(line, 800) for line in view.quiet)])


def columns_of_text(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as plain text in columns, for a repr."""
    lines = [list(row) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)
