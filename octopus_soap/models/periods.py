"""Moments as people say them: `7d`, `12h`, `yesterday`, a date, a time with its zone. All days are in UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from pydantic_core import PydanticCustomError

from octopus_soap.models.scalars import from_iso, refused

_DAYS = {"today": 0, "yesterday": 1}
_AGO = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_LENGTHS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment_of(when: str | date | timedelta, now: datetime | None = None) -> datetime:
    """Return the moment that *when* names, aware and in UTC.

    Args:
        when: `7d`, `4w`, `12h` or `30m`, or a timedelta: that long ago; `today`, `yesterday` or a date: its beginning
            in UTC; a time with its zone, as a datetime or as text.
        now: the moment that it is; the system's by default.

    Raises:
        ValueError: it is none of these, has no zone, or lies before the first moment of the calendar.
    """
    now = now or datetime.now(UTC)
    try:
        if isinstance(when, timedelta):
            return now - when
        if isinstance(when, date):
            return _aware(when, str(when)) if isinstance(when, datetime) else datetime.combine(when, time(), UTC)
        text = when.strip()
        if text in _DAYS:
            return datetime.combine(now.astimezone(UTC), time(), UTC) - timedelta(days=_DAYS[text])
        if ago := _AGO.fullmatch(text):
            return now - timedelta(**{_LENGTHS[ago[2]]: int(ago[1])})
        if len(text) == len("2026-03-04"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        moment = from_iso(text)
    except OverflowError:
        raise refused(f"{when!r} is too long ago") from None
    except PydanticCustomError:  # from below, with its own words
        raise
    except (ValueError, AttributeError, TypeError):
        raise refused(f"{when!r} is not a time such as 7d, yesterday, 2026-03-04 or 2026-03-04T10:00:00Z") from None
    return _aware(moment, when)


def _aware(moment: datetime, shown: str) -> datetime:
    if moment.utcoffset() is None:
        raise refused(f"{shown!r} has no time zone; append Z for UTC, or an offset such as +01:00")
    return moment.astimezone(UTC)
