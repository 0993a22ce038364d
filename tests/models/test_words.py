"""The words of a model's refusals, however it was built."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from octopus_soap import models
from octopus_soap.errors import InvalidInputError
from octopus_soap.models.base import WireModel
from tests.every import every

MODELS = sorted(
    (kind for name in dir(models) if isinstance(kind := getattr(models, name), type) and issubclass(kind, WireModel)),
    key=lambda kind: kind.__name__,
)
WRONG = ["\x00", "soon", 2.00001, True, datetime(2026, 1, 1), [object()], {"nope": 1}]  # noqa: DTZ001 - a naive one


@every("value", WRONG, ids=lambda value: type(value).__name__)
@every("model", MODELS, ids=lambda model: model.__name__)
def test_pydantics_prefix_is_in_no_message(model: type[WireModel], value: Any) -> None:
    said: list[str] = []
    for name in model.model_fields:
        for build in (lambda data: model(**data), model.model_validate):
            try:
                build({name: value})
            except (InvalidInputError, ValidationError) as error:
                said.append(str(error))
    assert [text for text in said if "Value error" in text] == []


def test_a_window_that_ends_before_it_begins_is_refused_without_it() -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    with pytest.raises(ValidationError) as raised:
        models.OrderCriteria.model_validate(
            {"order_creation_filter_begin_time_gmt": late, "order_creation_filter_end_time_gmt": early}
        )
    assert "Value error" not in str(raised.value)
    assert "after its end" in str(raised.value)
