"""Charts: each returns its Axes, has its units, and does not change matplotlib."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import matplotlib as mpl
import pytest

mpl.use("Agg")

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from octopus_soap import (
    BatchResult,
    InvalidInputError,
    InventoryItem,
    ItemOutcome,
    OrderItem,
    OrderResponseItem,
    OutcomeStatus,
    StoreStockInfo,
    plots,
)
from octopus_soap.tables import to_frame
from tests.every import every

DAY = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
ITEMS = [
    InventoryItem(
        sku=f"{number:03d}",
        cost=2,
        price=1 if number == 1 else 3 + number,
        msrp=9,
        store_stock_info_list=[
            StoreStockInfo(store_id="S1", store_stock=number),
            StoreStockInfo(store_id="S2", store_stock=2),
        ],
    )
    for number in range(8)
]
ORDERS = [
    OrderResponseItem(
        order_id=str(number), order_date=DAY + timedelta(days=number // 2), total=10,
        order_items=[OrderItem(sku="A", quantity=1), OrderItem(sku="B", quantity=1)],
    )
    for number in range(6)
] + [OrderResponseItem(order_id="undated", total=5)]  # fmt: skip
RESULT = BatchResult(
    [ItemOutcome(index, item.sku, OutcomeStatus.OK, item) for index, item in enumerate(ITEMS)]
    + [ItemOutcome(8, "404", OutcomeStatus.MISSING)]
)
DRAWN = {
    "stock_by_store": lambda **o: plots.stock_by_store(ITEMS, **o),
    "price": lambda **o: plots.price_against_cost_and_msrp(ITEMS, currency="EUR", **o),
    "price_cloud": lambda **o: plots.price_against_cost_and_msrp(
        [item.replace(sku=f"{item.sku}-{n}") for item in ITEMS for n in range(6)], **o
    ),
    "orders": lambda **o: plots.orders_and_revenue_per_day(ORDERS, currency="EUR", **o),
    "changes": lambda **o: plots.change_feed_activity([DAY + timedelta(minutes=7 * n) for n in range(40)], **o),
    "outcomes": lambda **o: plots.outcome_breakdown(RESULT, **o),
}
UNITS = {
    "stock_by_store": ("stock (pieces)", "store"),
    "price": ("amount per piece (EUR)", "SKU"),
    "price_cloud": ("cost per piece (account's currency)", "price and MSRP per piece (account's currency)"),
    "orders": ("day (UTC)", "orders per day"),
    "changes": ("time (UTC)", "changes per hour"),
    "outcomes": ("inputs", "outcome"),
}


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def words(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


@every("name", DRAWN)
def test_a_chart_returns_its_axes_with_title_and_units(name: str) -> None:
    before = dict(mpl.rcParams)
    ax = DRAWN[name]()
    assert isinstance(ax, Axes)
    assert (ax.get_xlabel(), ax.get_ylabel()) == UNITS[name]
    assert ax.get_title()
    ax.figure.canvas.draw()
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", DRAWN)
def test_a_chart_draws_on_the_axes_it_is_given(name: str) -> None:
    _, given = plt.subplots()
    assert DRAWN[name](ax=given) is given
    assert len(plt.get_fignums()) == 1


@every("backend", ["pandas", "polars"])
def test_frames_are_drawn_as_the_models_they_came_from(backend: str) -> None:
    for draw, models in ((plots.stock_by_store, ITEMS), (plots.orders_and_revenue_per_day, ORDERS)):
        one, other = draw(models), draw(to_frame(models, backend=backend))
        assert [bar.get_width() for bar in one.patches] == [bar.get_width() for bar in other.patches]
        assert [bar.get_height() for bar in one.patches] == [bar.get_height() for bar in other.patches]
    assert plots.price_against_cost_and_msrp(to_frame(ITEMS, backend=backend))


def test_every_store_says_its_total() -> None:
    assert words(plots.stock_by_store(ITEMS)) == ["16", "28"]
    assert plots.stock_by_store(ITEMS, most=2).get_legend().texts[-1].get_text() == "other items"


def test_items_below_cost_are_named() -> None:
    assert words(plots.price_against_cost_and_msrp(ITEMS)) == ["below cost"]


def test_an_order_counts_once_however_many_lines_it_has() -> None:
    ax = plots.orders_and_revenue_per_day(ORDERS)
    assert [bar.get_height() for bar in ax.patches] == [2, 2, 2]
    money = next(other for other in ax.figure.axes if other is not ax)
    assert money.lines[0].get_ydata().tolist() == [20, 20, 20]
    assert "1 without a date left out" in ax.get_title()


def revenue(ax: Axes) -> Axes:
    return next(other for other in ax.figure.axes if other is not ax)


def test_every_order_of_a_result_counts_also_if_two_have_one_id() -> None:
    twice = [order.replace(order_id="7") for order in ORDERS[:2]]
    for orders in (twice, to_frame([twice[0], twice[1].replace(store_id="S2")])):
        assert [bar.get_height() for bar in plots.orders_and_revenue_per_day(orders).patches] == [2]


def test_a_day_of_refunds_is_in_the_chart_and_orders_without_a_total_are_counted() -> None:
    ax = plots.orders_and_revenue_per_day([ORDERS[0].replace(total=-30), ORDERS[2], ORDERS[3].replace(total=None)])
    assert ax.get_title().endswith("3 orders (1 without a total)")
    assert revenue(ax).get_ylim()[0] < -30
    assert revenue(plots.orders_and_revenue_per_day(ORDERS)).get_ylim()[0] == 0


def test_days_are_those_of_utc_also_in_a_frame_with_another_zone_or_with_texts() -> None:
    frame = to_frame(ORDERS[:2], stores="json")
    zoned = frame.assign(order_date=frame.order_date.dt.tz_convert("Asia/Tokyo"))
    texts = frame.assign(order_date=frame.order_date.astype(str), total="10.00")
    drawn = [plots.orders_and_revenue_per_day(orders) for orders in (frame, zoned, texts)]
    assert len({(ax.patches[0].get_x(), ax.patches[0].get_height()) for ax in drawn}) == 1
    assert [revenue(ax).lines[0].get_ydata().tolist() for ax in drawn] == [[20.0]] * 3


def test_stock_of_no_store_has_its_own_bar() -> None:
    stock = [StoreStockInfo(store_id="S1", store_stock=2), StoreStockInfo(store_stock=4)]
    ax = plots.stock_by_store([InventoryItem(sku="A", store_stock_info_list=stock)])
    assert words(ax) == ["2", "4"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["S1", "(no store)"]


def test_numbers_of_a_csv_file_are_drawn_as_numbers_and_other_texts_are_refused() -> None:
    frame = to_frame(ITEMS, decimals="text").astype({"store_stock": str})
    assert words(plots.stock_by_store(frame)) == ["16", "28"]
    assert words(plots.price_against_cost_and_msrp(frame)) == ["below cost"]
    for column, draw in (("price", plots.price_against_cost_and_msrp), ("store_stock", plots.stock_by_store)):
        with pytest.raises(InvalidInputError, match=rf"\[0\] '000' {column}: expected a number \(got 'x'\)"):
            draw(frame.assign(**{column: "x"}))
    with pytest.raises(InvalidInputError, match=r"order_date: expected a time such as .* \(got 'soon'"):
        plots.orders_and_revenue_per_day(to_frame(ORDERS[:1]).assign(order_date="soon"))


def test_dollars_are_no_formula() -> None:
    items = [InventoryItem(sku="$A_{$", price=1, store_stock_info_list=[StoreStockInfo(store_id="$^$", store_stock=1)])]
    for draw in (plots.stock_by_store, plots.price_against_cost_and_msrp):
        draw(items).figure.canvas.draw()


def test_changes_may_be_moments_or_counts() -> None:
    moments = [DAY, DAY, DAY + timedelta(hours=1)]
    counts = {DAY: 2, DAY + timedelta(hours=1): 1}
    series = [pd.Series(moments), pd.Series(counts), pd.Series([*moments, None])]
    naive = [moment.replace(tzinfo=None) for moment in moments]
    for changes in (moments, counts, *series, naive, [*naive[:2], moments[2]], [str(moment) for moment in moments]):
        assert plots.change_feed_activity(changes).get_title() == "Changes seen, 3 in all"
    with pytest.raises(InvalidInputError, match=r"changes: expected a time such as .* \(got 3\)"):
        plots.change_feed_activity([3])


def test_days_of_changes_are_those_of_utc() -> None:
    tokyo = [DAY.astimezone(ZoneInfo("Asia/Tokyo")), DAY - timedelta(hours=22)]
    ax = plots.change_feed_activity(tokyo, minutes=1440)
    assert words(ax) == ["most: 2"]


def test_every_status_says_its_count_and_share() -> None:
    assert words(plots.outcome_breakdown(RESULT)) == ["1 (11%)", "8 (89%)"]


@every(
    "draw",
    [
        plots.stock_by_store,
        plots.price_against_cost_and_msrp,
        plots.orders_and_revenue_per_day,
        plots.change_feed_activity,
        plots.outcome_breakdown,
    ],
)
def test_where_there_is_nothing_to_draw_it_is_said(draw) -> None:
    with pytest.raises(InvalidInputError, match="nothing to draw"):
        draw([])
