"""Hypothesis strategies for every data contract, from the models' fields."""

from __future__ import annotations

import types
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from hypothesis import strategies as st

from octopus_soap import models
from octopus_soap.models import OrderCriteria, WireModel
from octopus_soap.models.scalars import INT32_MAX, INT32_MIN

MODELS: list[type[WireModel]] = [
    found
    for name in models.__all__
    if isinstance(found := getattr(models, name), type) and issubclass(found, WireModel) and found is not WireModel
]
"""Every data contract."""

TEXT = st.text(
    st.one_of(
        st.sampled_from("\t\n\r &<>\"'\x7f\x85\xa0\u2028\ufffd\U0001f600\U0010ffff"),
        st.sampled_from("aB0 "),
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"),
    ),
    max_size=12,
) | st.sampled_from(["", " ", "00123", "1E5", "]]>", "<!-- -->", "&amp;", "\r\n", "true", "  x  "])
"""Text with every kind of character XML allows."""

AMOUNT = st.one_of(
    st.builds(
        lambda digits, scale, sign: Decimal((sign, tuple(map(int, str(digits))), -scale)),
        st.integers(0, 10**18),
        st.integers(0, 10),
        st.integers(0, 1),
    ),
    st.sampled_from([Decimal(text) for text in ("0", "-0.00", "44.9200", "1E+2", "1E-7", "0.0001", "-5", "1E+28")]),
)
"""Decimals of many scales, exponents and signs."""

MOMENT = st.builds(
    lambda moment, zone: moment.replace(tzinfo=zone),
    st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)),  # noqa: DTZ001 - the zone is drawn
    st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))]),
)
"""Aware datetimes with microseconds, in several zones."""

REAL = st.floats(-1e30, 1e30) | st.integers(-1000, 1000).map(lambda n: n / 4)
INT32 = st.integers(INT32_MIN, INT32_MAX) | st.sampled_from([0, 1, -1, INT32_MIN, INT32_MAX])

SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    Decimal: AMOUNT,
    datetime: MOMENT,
    float: REAL,
    int: INT32,
    bool: st.booleans(),
}


def bare(annotation: Any) -> Any:
    """Return the type inside Annotated and Optional."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in {types.UnionType, Union}:
            annotation = next(part for part in get_args(annotation) if part is not type(None))
        else:
            return annotation


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Return values of a field's annotation, without None."""
    inner = bare(annotation)
    if get_origin(inner) is list:
        return st.lists(values(get_args(inner)[0]), max_size=3)
    if issubclass(inner, Enum):
        return st.sampled_from(list(inner))
    if issubclass(inner, WireModel):
        return instances(inner)
    return SCALARS[inner]


@cache
def instances(model: type[WireModel]) -> st.SearchStrategy[Any]:
    """Return instances of *model*, with fields unset, None, empty or filled."""
    fields = {name: st.none() | values(field.annotation) for name, field in model.model_fields.items()}
    if model is OrderCriteria:  # its two times are a pair
        begin, end = "order_creation_filter_begin_time_gmt", "order_creation_filter_end_time_gmt"
        del fields[begin], fields[end]
        window = st.tuples(MOMENT, MOMENT).map(sorted)
        pairs = st.one_of(
            st.just({}),
            st.just({begin: None, end: None}),
            window.map(lambda pair: {begin: pair[0], end: pair[1]}),
        )
        rest = st.fixed_dictionaries({}, optional=fields)
        return st.builds(lambda given, times: model(**given, **times), rest, pairs)
    if len(fields) > 30:  # a few of many fields, so that an example stays small
        chosen = st.lists(st.sampled_from(sorted(fields)), max_size=24, unique=True)
        return chosen.flatmap(lambda names: st.fixed_dictionaries({n: fields[n] for n in names})).map(
            lambda given: model(**given)
        )
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: model(**given))
