"""Charts of results, for notebooks and reports; extra `notebook` (matplotlib).

Each function takes what a call returned (a `BatchResult`, a list of models) or a DataFrame made of it, draws on *ax* or
on a new figure, and returns the Axes. Nothing is shown, saved or set globally. Series differ in marker, hatch and
label, so that a grey print is as readable as the screen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from octopus_soap import tables
from octopus_soap.errors import InvalidInputError, Problem, needed
from octopus_soap.results import OutcomeStatus
from octopus_soap.tables.cells import as_moment, as_number, missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes

    from octopus_soap.results import BatchResult

__all__ = [
    "change_feed_activity",
    "orders_and_revenue_per_day",
    "outcome_breakdown",
    "price_against_cost_and_msrp",
    "stock_by_store",
]


def __dir__() -> list[str]:
    return __all__


_DARK, _MIDDLE, _LIGHT = "#1f4e79", "#e08e2b", "#b9d4ea"
_FILLS = ((_DARK, ""), (_LIGHT, "///"), (_MIDDLE, "..."), ("#e8e8e8", "xxx"), ("white", ""))
_MARKERS = (("cost", "|", "black", 130), ("price", "o", _DARK, 44), ("msrp", "D", _LIGHT, 38))
_NO_STORE = "(no store)"
_UNNAMED = "account's currency"
_SEEN = 0.1  # below this share of all stock, named segments cannot be seen
_ROW = 0.32  # inches per bar
_MOST_LABELLED = 40  # above this number of items, a cloud is drawn


def stock_by_store(items: BatchResult[Any] | Iterable[Any], *, most: int = 5, ax: Axes | None = None) -> Axes:
    """Draw the stock of each store in pieces as a bar, with segments for top items.

    Args:
        items: items with store stock, or a frame of them with the stores as rows.
        most: how many items have a named segment, those with the most stock, up to 5; the others are drawn together.
        ax: the axes to draw on; a new figure by default.

    Raises:
        InvalidInputError: no item has store stock.
        ConfigError: matplotlib is not installed.
    """
    stock: dict[str, Counter[str]] = defaultdict(Counter)
    for row in _rows(items, "store_stock"):
        if row.get("store_stock") is not None:
            stock[_NO_STORE if row.get("store_id") is None else str(row["store_id"])][str(row["sku"])] += row[
                "store_stock"
            ]
    if not stock:
        raise _nothing("no item has store stock (`store_stock_info_list`)")
    per_item: Counter[str] = Counter()
    for counts in stock.values():
        per_item.update(counts)
    named = [sku for sku, _ in per_item.most_common(max(0, min(most, len(_FILLS) - 1)))]
    if sum(per_item[sku] for sku in named) < _SEEN * sum(per_item.values()):
        named = []  # among very many items no segment could be seen
    stores = sorted(stock, key=lambda store: (sum(stock[store].values()), store))
    ax = _axes(ax, height=1.4 + _ROW * len(stores))
    left = [0.0] * len(stores)
    others = "other items" if len(per_item) > len(named) else ""
    segments: list[str] = [*named, others] if others else named
    fills = _FILLS if named else ((_LIGHT, ""),)
    for (colour, hatch), sku in zip(fills, segments, strict=False):
        widths = [_segment(stock[store], sku, named, others) for store in stores]
        ax.barh(
            list(map(_plain, stores)),
            widths,
            left=left,
            color=colour,
            hatch=hatch,
            edgecolor="0.25",
            linewidth=0.6,
            label=_plain(sku),
            height=0.7,
        )
        left = [before + width for before, width in zip(left, widths, strict=True)]
    for position, total in enumerate(left):
        ax.annotate(f"{total:,.10g}", (total, position), (4, 0), textcoords="offset points", va="center")
    ax.set(title=f"Stock by store, {_many(len(per_item), 'item')}", xlabel="stock (pieces)", ylabel="store")
    ax.margins(x=0.12)
    ax.xaxis.set_major_formatter("{x:,.10g}")
    if named:
        _legend_outside(ax)
    return ax


def _segment(stock: Counter[str], sku: str, named: Sequence[str], others: str) -> float:
    if sku == others:
        return float(sum(count for name, count in stock.items() if name not in named))
    return float(stock[sku])


def price_against_cost_and_msrp(
    items: BatchResult[Any] | Iterable[Any], *, currency: str = "", ax: Axes | None = None
) -> Axes:
    """Draw cost, price and MSRP of each item on one line, dearest on top.

    Items sold below cost are marked. More than 40 items are drawn as a cloud of price and MSRP against cost instead,
    with a line for price = cost.

    Args:
        items: items with prices, or a frame of them.
        currency: the unit of the amounts, such as `EUR`; the service does not send it.
        ax: the axes to draw on; a new figure by default.

    Raises:
        InvalidInputError: no item has a price.
        ConfigError: matplotlib is not installed.
    """
    found = _rows(items, "price", "cost", "msrp")
    rows = [row for row in {str(row.get("sku")): row for row in found}.values() if row.get("price") is not None]
    if not rows:
        raise _nothing("no item has a price")
    rows.sort(key=lambda row: row["price"])
    unit = _plain(currency or _UNNAMED)
    if len(rows) > _MOST_LABELLED:
        return _price_cloud(rows, unit, ax)
    ax = _axes(ax, height=1.5 + _ROW * len(rows))
    for position, row in enumerate(rows):
        amounts = [row[name] for name in ("cost", "price", "msrp") if row.get(name) is not None]
        ax.hlines(position, min(amounts), max(amounts), color="0.6", linewidth=1.5, zorder=1)
        if row.get("cost") is not None and row["price"] < row["cost"]:
            ax.annotate("below cost", (max(amounts), position), (9, 0), textcoords="offset points", va="center")
    for name, marker, colour, size in _MARKERS:
        known = [(row[name], position) for position, row in enumerate(rows) if row.get(name) is not None]
        if known:
            edge: dict[str, Any] = {} if marker == "|" else {"edgecolors": "black", "linewidths": 0.7}
            x, y = zip(*known, strict=True)
            label = "MSRP" if name == "msrp" else name
            ax.scatter(x, y, s=size, marker=marker, color=colour, label=label, zorder=2, **edge)
    ax.set_yticks(range(len(rows)), [_plain(str(row["sku"])) for row in rows])
    ax.set(title="Price against cost and MSRP", xlabel=f"amount per piece ({unit})", ylabel="SKU")
    ax.margins(x=0.12)
    _legend_outside(ax)
    return ax


def _price_cloud(rows: list[dict[str, Any]], unit: str, ax: Axes | None) -> Axes:
    rows = [row for row in rows if row.get("cost") is not None]
    if not rows:
        raise _nothing("no item has both a price and a cost")
    ax = _axes(ax, height=4.5)
    cost = [row["cost"] for row in rows]
    lists = [(row["cost"], row["msrp"]) for row in rows if row.get("msrp") is not None]
    if lists:
        x, y = zip(*lists, strict=True)
        ax.scatter(x, y, s=22, marker="^", color="white", edgecolors="0.45", linewidths=0.8, label="MSRP")
    ax.scatter(cost, [row["price"] for row in rows], s=16, color=_DARK, label="price")
    most = max(cost)
    ax.plot([0, most], [0, most], color="black", linewidth=1, linestyle="--", label="price = cost")
    below = sum(1 for row in rows if row["price"] < row["cost"])
    ax.set(
        title=f"Price against cost, {_many(len(rows), 'item')}, {below} below cost",
        xlabel=f"cost per piece ({unit})",
        ylabel=f"price and MSRP per piece ({unit})",
    )
    ax.legend(frameon=False)
    return ax


def orders_and_revenue_per_day(
    orders: BatchResult[Any] | Iterable[Any], *, currency: str = "", ax: Axes | None = None
) -> Axes:
    """Draw orders per UTC day as bars, and their totals as a line.

    Args:
        orders: downloaded orders, or a frame of them (a time without a zone is in UTC). The title counts those without
            a date, and those without a total.
        currency: the unit of the totals, such as `EUR`; the service does not send it.
        ax: the axes to draw on; a new figure by default.

    Raises:
        InvalidInputError: no order has a date.
        ConfigError: matplotlib is not installed.
    """
    found = [
        (row.get("order_id"), row.get("store_id"), _moment(row, "order_date", "order_time_gmt"), row.get("total"))
        for row in _rows(orders, "total", stores="json")
    ]
    # A frame may have a row for each line of an order, with the order's total. Orders without an id are all counted.
    placed = [one for one in found if not one[0]] + list(dict.fromkeys(one for one in found if one[0]))
    if not hasattr(orders, "to_dict"):
        placed = found
    dated = [(moment.date(), total) for *_, moment, total in placed if moment is not None]
    if not dated:
        raise _nothing("no order has a date")
    counts = Counter(day for day, _ in dated)
    revenue: dict[date, float] = defaultdict(float)
    for day, total in dated:
        revenue[day] += total or 0.0
    first = min(counts)
    days = [first + timedelta(days=n) for n in range((max(counts) - first).days + 1)]
    ax = _axes(ax, height=3.6, width=8.0)
    ax.bar(_on_axis(days), [counts[day] for day in days], color=_LIGHT, edgecolor="0.4", hatch="///", label="orders")
    money = ax.twinx()
    money.plot(_on_axis(days), [revenue[day] for day in days], color=_DARK, marker="o", label="revenue")
    money.set(ylabel=f"revenue per day ({_plain(currency or _UNNAMED)})")
    if min(revenue.values()) >= 0:
        money.set_ylim(0, None)
    undated, unpriced = len(placed) - len(dated), sum(1 for _, total in dated if total is None)
    left_out = [f"{undated} without a date left out"] if undated else []
    left_out += [f"{unpriced} without a total"] if unpriced else []
    ax.set(
        title=f"Orders and revenue per day, {_many(len(dated), 'order')}"
        + (f" ({', '.join(left_out)})" if left_out else ""),
        xlabel="day (UTC)",
        ylabel="orders per day",
    )
    _whole_numbers(ax)
    _date_axis(ax)
    handles, labels = ax.get_legend_handles_labels()
    more_handles, more_labels = money.get_legend_handles_labels()
    money.legend(
        handles + more_handles, labels + more_labels, loc="upper left", bbox_to_anchor=(1.12, 1), frameon=False
    )
    return ax


def change_feed_activity(
    changes: Iterable[datetime] | Mapping[datetime, int], *, minutes: int = 60, ax: Axes | None = None
) -> Axes:
    """Draw how many changes were seen in each stretch of time (UTC), as steps.

    Args:
        changes: the moment each change was seen, or how many were seen at each moment. A moment without a zone is in
            UTC.
        minutes: length of a stretch, 1 to 1440.
        ax: the axes to draw on; a new figure by default.

    Raises:
        InvalidInputError: there is no change, one is no moment, or *minutes* is out of range.
        ConfigError: matplotlib is not installed.
    """
    if not 1 <= minutes <= 1440:  # noqa: PLR2004 - a day
        raise InvalidInputError([Problem("must be from 1 to 1440", field="minutes", value=repr(minutes)[:60])])
    step = timedelta(minutes=minutes)
    counts: Counter[datetime] = Counter()
    for moment, many in _moments(changes):
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        counts[midnight + (moment - midnight) // step * step] += many
    if not counts:
        raise _nothing("there is no change to draw")
    first, last = min(counts), max(counts)
    times = [first + n * step for n in range((last - first) // step + 1)]
    values = [counts[time] for time in times]
    ax = _axes(ax, height=3.2, width=8.0)
    edges = _on_axis([*times, times[-1] + step])
    ax.stairs(values, edges, fill=True, color=_LIGHT)
    ax.stairs(values, edges, color=_DARK, linewidth=1.4)
    top = max(range(len(values)), key=values.__getitem__)
    ax.annotate(f"most: {values[top]:,}", (edges[top], values[top]), (0, 3), textcoords="offset points", va="bottom")
    stretch = "hour" if minutes == 60 else "day" if minutes == 1440 else f"{minutes} min"  # noqa: PLR2004 - see the words
    ax.set(title=f"Changes seen, {sum(values):,} in all", xlabel="time (UTC)", ylabel=f"changes per {stretch}")
    ax.set_ylim(0, max(values) * 1.15)
    _whole_numbers(ax)
    _date_axis(ax)
    return ax


def outcome_breakdown(result: BatchResult[Any], *, ax: Axes | None = None) -> Axes:
    """Draw the outcomes of a list call: one bar per status, with count and share.

    Args:
        result: the result of a list call; a `BatchError` has one as `.result`.
        ax: the axes to draw on; a new figure by default.

    Raises:
        InvalidInputError: it has no outcomes.
        ConfigError: matplotlib is not installed.
    """
    counts = getattr(result, "counts", None)
    if not isinstance(counts, dict):
        raise _nothing(f"expected the result of a list call, not a {type(result).__name__}")
    if not counts:
        raise _nothing("the result has no inputs")
    statuses = [status.value for status in reversed(OutcomeStatus) if status.value in counts]
    total = sum(counts.values())
    ax = _axes(ax, height=1.3 + _ROW * len(statuses))
    looks = {"ok": (_LIGHT, ""), "rejected": (_MIDDLE, "///"), "missing": ("#e8e8e8", "..."), "failed": (_DARK, "")}
    for status in statuses:
        colour, hatch = looks.get(status, ("#6b6b6b", "xxx"))
        ax.barh(status, counts[status], color=colour, hatch=hatch, edgecolor="0.3", height=0.7)
        share = f"{counts[status]:,} ({_share(counts[status], total)})"
        ax.annotate(share, (counts[status], status), (4, 0), textcoords="offset points", va="center")
    ax.set(title=f"Outcomes of {_many(total, 'input')}", xlabel="inputs", ylabel="outcome")
    ax.margins(x=0.18)
    _whole_numbers(ax, axis="x")
    return ax


# -- what is drawn -----------------------------------------------------------------------------------------------------


def _rows(source: Any, *numbers: str, stores: tables.Stores = "rows") -> list[dict[str, Any]]:
    """Return the rows of a result, models or a DataFrame; None for empty cells.

    Raises:
        InvalidInputError: a cell of the columns *numbers* is no number.
    """
    to_dict = getattr(source, "to_dict", None)
    if to_dict is None:
        return tables.to_records(source, decimals="float", stores=stores)
    rows = source.to_dicts() if hasattr(source, "to_dicts") else to_dict("records")
    cells = [{name: None if missing(value) else value for name, value in row.items()} for row in rows]
    for position, row in enumerate(cells):
        for name in numbers:
            if row.get(name) is not None:
                row[name] = _number(row, name, position)
    return cells


def _number(row: Mapping[str, Any], name: str, position: int) -> float:
    number = as_number(row[name])
    if number is None:
        key = row.get("sku", row.get("order_id"))
        where = (position, None if key is None else str(key), name, repr(row[name])[:60])
        raise InvalidInputError([Problem("expected a number", *where)], sent="nothing was drawn")
    return number


def _moment(row: Mapping[str, Any], *names: str) -> datetime | None:
    """Return the first moment of the columns *names*, in UTC; None for none."""
    name = next((name for name in names if row.get(name) is not None), None)
    return None if name is None else _in_utc(row[name], name)


def _in_utc(value: Any, name: str) -> datetime:
    moment = as_moment(value)
    if moment is None:
        problem = Problem("expected a time such as 2026-03-04T10:00:00Z", field=name, value=repr(value)[:60])
        raise InvalidInputError([problem], sent="nothing was drawn")
    return moment


def _moments(changes: Any) -> Iterable[tuple[datetime, int]]:
    if hasattr(changes, "items") and not str(getattr(changes, "dtype", "")).startswith("datetime"):
        counted = changes.items()
    else:  # also a Series of pandas that holds moments
        counted = ((moment, 1) for moment in changes)
    for moment, many in counted:
        if not missing(moment):
            yield _in_utc(moment, "changes"), many


def _nothing(why: str) -> InvalidInputError:
    return InvalidInputError([Problem(why)], sent="nothing to draw")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _share(count: int, total: int) -> str:
    """Return a percentage: 0% only for none, 100% only for all."""
    shown = f"{count / total:.0%}"
    return {"0%": "<1%", "100%": ">99%"}.get(shown, shown) if 0 < count < total else shown


# -- how it is drawn ---------------------------------------------------------------------------------------------------


def _axes(ax: Axes | None, *, height: float, width: float = 7.0) -> Axes:
    if ax is None:
        with needed("octopus_soap.plots", "notebook", "matplotlib"):
            import matplotlib.pyplot as plt  # noqa: PLC0415 - an extra
        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax


def _plain(text: str) -> str:
    """Return *text* so that matplotlib sees no formula between two dollars."""
    return text.replace("$", r"\$")


def _legend_outside(ax: Axes) -> None:
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)


def _whole_numbers(ax: Axes, axis: str = "y") -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - an extra

    (ax.yaxis if axis == "y" else ax.xaxis).set_major_locator(MaxNLocator(integer=True))


def _on_axis(moments: Sequence[date]) -> Any:
    from matplotlib import dates  # noqa: PLC0415 - an extra

    library: Any = dates  # typed in part only
    return library.date2num(moments)


def _date_axis(ax: Axes) -> None:
    from matplotlib import dates  # noqa: PLC0415 - an extra

    library: Any = dates  # typed in part only
    locator = library.AutoDateLocator(minticks=3, maxticks=9)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(library.ConciseDateFormatter(locator))
