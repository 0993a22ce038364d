"""What all pages of a console share: templates, static files, answers, formats."""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from octopus_soap._version import __version__
from octopus_soap.console.security import SIGN_IN, csrf_of, form_of
from octopus_soap.errors import needed

with needed("the console", "console", "jinja2"):
    import jinja2
    from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime

    from starlette.requests import Request

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


class Site:
    """Makes the pages of a console.

    Args:
        title: The name of the console in the head of a page.
        navigation: Addresses and titles of its pages.
        head: Returns the variables that the head of every page shows.
    """

    def __init__(
        self, title: str, navigation: Sequence[tuple[str, str]], head: Callable[[], dict[str, Any]] | None = None
    ) -> None:
        self._files = _static_files()
        self._head = head or dict
        digest = hashlib.sha256(b"".join(body for body, _ in self._files.values())).hexdigest()[:12]
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("octopus_soap.console"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        filters: dict[str, Any] = self._environment.filters
        filters.update(clock=clock, moment=moment, duration=duration, size=size, count=count, money=money)
        filters["breakable"] = breakable
        shared: dict[str, Any] = self._environment.globals
        shared.update(title=title, navigation=navigation, version=__version__)
        shared["static"] = lambda name: f"/static/{digest}/{name}"

    def routes(self) -> list[Route]:
        """Return the routes of static files and of the sign-in page."""
        return [
            Route("/static/{digest}/{name}", self._static),
            Route(SIGN_IN, lambda request: self.page(request, "sign_in.html"), methods=["GET"]),
        ]

    def page(self, request: Request, template: str, /, *, status: int = 200, **context: Any) -> HTMLResponse:
        """Return a page."""
        shown = {"csrf": csrf_of(request.scope), "path": request.url.path, **self._head(), **context}
        return HTMLResponse(self._environment.get_template(template).render(shown), status)

    def part(self, template: str, /, **context: Any) -> str:
        """Return a part of a page."""
        return self._environment.get_template(template).render(context)

    def refusal(self, status: int, why: str) -> Response:
        """Return the page of a request that is refused."""
        return HTMLResponse(self._environment.get_template("refused.html").render(status=status, why=why), status)

    def _static(self, request: Request) -> Response:
        found = self._files.get(request.path_params["name"])
        if found is None:
            return PlainTextResponse("no such file", 404)
        body, kind = found
        return Response(body, media_type=kind, headers={"Cache-Control": "public, max-age=31536000, immutable"})


def _static_files() -> dict[str, tuple[bytes, str]]:
    folder = resources.files("octopus_soap.console") / "static"
    return {
        entry.name: (entry.read_bytes(), _TYPES[f".{entry.name.rpartition('.')[2]}"])
        for entry in folder.iterdir()
        if f".{entry.name.rpartition('.')[2]}" in _TYPES
    }


def back(request: Request, path: str) -> Response:
    """Return the answer to a change: a redirect to *path*, or to the form's `next`."""
    wanted = form_of(request.scope).get("next", "")
    own = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))  # a page of this console
    return RedirectResponse(wanted if own else path, 303)


def page_of(request: Request) -> int:
    """Return the number of the page in a long list, from 1."""
    text = request.query_params.get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 8 else 1  # noqa: PLR2004 - digits


def event(name: str, data: str, number: int | None = None) -> str:
    """Return a server-sent event; reconnecting browsers send their last *number*."""
    first = "" if number is None else f"id: {number}\n"
    return "".join([first, f"event: {name}\n", *(f"data: {line}\n" for line in data.splitlines() or [""]), "\n"])


def event_stream(events: AsyncIterator[str]) -> Response:
    """Return a response that sends events until the browser disconnects."""
    from starlette.responses import StreamingResponse  # noqa: PLC0415 - only if something is live

    return StreamingResponse(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


# -- how values are shown ------------------------------------------------------------------------------------------


def clock(at: datetime) -> str:
    """Return a time of day in this machine's zone, with milliseconds."""
    return f"{at.astimezone():%H:%M:%S}.{at.microsecond // 1000:03d}"


def moment(at: datetime | None) -> str:
    """Return a date and time in this machine's zone; a dash for None."""
    return "-" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def duration(seconds: float | None) -> str:
    """Return a duration in a suitable unit."""
    if seconds is None:
        return "…"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"  # noqa: PLR2004 - of a unit
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004 - of a unit


def size(number: int) -> str:
    """Return a number of bytes in a suitable unit."""
    for unit, length in (("MB", 1_000_000), ("kB", 1_000)):
        if number >= length:
            return f"{number / length:.1f} {unit}"
    return f"{number} B"


def breakable(name: str) -> Markup:
    """Return a name in CamelCase as HTML that may break before a capital letter."""
    return Markup("<wbr>").join(re.split(r"(?<=[a-z])(?=[A-Z])", name))


def money(value: object) -> str:
    """Return an amount with two decimal places, or more if it has more."""
    if not isinstance(value, Decimal) or not value.is_finite():
        return "-" if value is None else str(value)
    cents = value.quantize(Decimal("0.01"))
    return f"{cents:,}" if cents == value else f"{value.normalize():,f}"


def count(number: int, one: str, many: str = "") -> str:
    """Return a number and its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
