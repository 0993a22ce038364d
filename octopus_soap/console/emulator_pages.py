"""The emulator's pages: its calls, its data and its switches."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from octopus_soap.console.call_view import OUTCOMES, CallView, findings, is_recordable, outcome_of
from octopus_soap.console.security import Guard
from octopus_soap.console.shop_pages import ShopPages
from octopus_soap.console.site import Site, back, event, event_stream
from octopus_soap.console.switch_pages import SwitchPages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from octopus_soap.emulator import CallRecord, Emulator

NAVIGATION = (
    ("/", "Calls"),
    ("/items", "Items"),
    ("/orders", "Orders"),
    ("/merchants", "Merchants"),
    ("/faults", "Faults"),
    ("/profile", "Profile"),
    ("/connect", "Connect"),
)
MOST_ROWS = 200
_GATHER = 0.25  # seconds between two events, so that a thousand calls make a single event
_HEARTBEAT = 15.0  # seconds
_AGAIN = 20
_SHOWS: dict[str, Any] = {"outcome_of": outcome_of, "findings_of": lambda call: len(findings(call.notes))}


def emulator_console(emulator: Emulator, *, token: str | None = None) -> ASGIApp:
    """Return the console of an emulator, for `Emulator(pages=emulator_console)`.

    Args:
        emulator: A running emulator.
        token: The token that a browser signs in with. None: only this machine has access, without signing in.

    Raises:
        ConfigError: The token is shorter than 16 characters, or jinja2 is not installed.
    """
    return _EmulatorConsole(emulator).app(token)


class _EmulatorConsole:
    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._view = CallView(emulator)
        self._switches = SwitchPages(emulator)
        self._site = Site("emulator", NAVIGATION, self._head)

    def _head(self) -> dict[str, Any]:
        return {"address": self._emulator.url, "on": self._switches.words()}

    def app(self, token: str | None) -> ASGIApp:
        routes = [
            Route("/", self._calls),
            Route("/events", self._events),
            Route("/calls/{number:int}", self._call),
            Route("/calls/{number:int}/{part}.xml", self._message),
            Route("/recording.zip", self._recording),
            Route("/connect", self._connect),
            Route("/connect", self._connect, methods=["POST"]),
            Route("/clear", self._clear, methods=["POST"]),
            Route("/reset", self._reset, methods=["POST"]),
            *ShopPages(self._emulator, self._site).routes(),
            *self._switches.routes(self._site),
            *self._site.routes(),
        ]
        app = Starlette(routes=routes, exception_handlers={404: self._not_found})
        return Guard(app, token=token, hosts=self._emulator.allowed_hosts, refusal=self._site.refusal)

    def _not_found(self, request: Request, error: Exception) -> Response:
        del request, error
        return self._site.refusal(404, f"There is no such page. The SOAP service is at {self._emulator.url}.")

    # -- calls -------------------------------------------------------------------------------------------------

    def _chosen(self, request: Request, calls: list[CallRecord]) -> list[CallRecord]:
        """Return the calls that pass the page's filters, newest first."""
        text, only = request.query_params.get("q", "").strip().lower(), request.query_params.get("only", "")
        chosen = [call for call in reversed(calls) if _has(call, text)] if text else calls[::-1]
        if only == "trouble":
            chosen = [call for call in chosen if outcome_of(call) not in {"ok", "open"} or call.fault or call.notes]
        return chosen[:MOST_ROWS]

    def _listed(self, request: Request) -> dict[str, Any]:
        calls = self._emulator.calls
        return {
            "calls": self._chosen(request, calls),
            "total": calls[-1].sequence if calls else 0,
            "kept": len(calls),
            **_SHOWS,
            "one_merchant": len(self._emulator.merchants) == 1,
            "q": request.query_params.get("q", ""),
            "only": request.query_params.get("only", ""),
            "query": request.url.query,
        }

    def _calls(self, request: Request) -> Response:
        return self._site.page(request, "calls.html", call=None, **self._listed(request))

    def _call(self, request: Request) -> Response:
        call = self._emulator.call(request.path_params["number"])
        if call is None:
            return self._site.refusal(404, "This call is no longer stored, or was never made.")
        shown: dict[str, Any] = {
            "call": call,
            "outcome": outcome_of(call),
            "outcomes": OUTCOMES,
            "findings": findings(call.notes),
            "request": self._view.request(call),
            "reply": self._view.reply(call),
            "curl": self._view.curl(call, self._emulator.url),
        }
        if request.query_params.get("part") == "call":
            return Response(self._site.part("_call.html", **shown), media_type="text/html")
        return self._site.page(request, "calls.html", **self._listed(request), **shown)

    def _message(self, request: Request) -> Response:
        call = self._emulator.call(request.path_params["number"])
        part = request.path_params["part"]
        if call is None or part not in {"request", "reply"}:
            return self._site.refusal(404, "This call is no longer stored, or was never made.")
        body = self._view.masked(call.request if part == "request" else call.reply)
        name = f"{call.sequence:04d}-{call.operation or 'unknown'}.{part}.xml"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(body, media_type="application/xml", headers=headers)

    def _events(self, request: Request) -> Response:
        return event_stream(self._changes(request))

    async def _changes(self, request: Request) -> AsyncIterator[str]:
        """Yield the rows of calls that are new or have ended, in batches."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        last, unended = _seen(request), set[int]()
        last = max(0, last - _AGAIN)  # the page may show these as under way
        yield "retry: 1000\n\n"
        while True:
            woken.clear()
            unwatch = self._emulator.watch(partial(loop.call_soon_threadsafe, woken.set))
            try:
                calls = self._emulator.calls
                newest = calls[-1].sequence if calls else 0
                if newest < last:  # the log was cleared, or it is another emulator on the same port
                    last, unended = 0, set()
                    yield event("reset", "")
                changed = [call for call in calls if call.sequence > last or call.sequence in unended]
                last, unended = newest, {call.sequence for call in changed if call.seconds is None}
                chosen = self._chosen(request, changed)
                if changed:
                    rows = await asyncio.to_thread(self._site.part, "_rows.html", calls=chosen, **_SHOWS)
                    yield event("calls", rows, newest)
                    await asyncio.sleep(_GATHER)
                try:
                    await asyncio.wait_for(woken.wait(), _HEARTBEAT)
                except TimeoutError:
                    yield ": still here\n\n"
            finally:
                unwatch()

    def _recording(self, request: Request) -> Response:
        calls = [call for call in self._emulator.calls if is_recordable(call)]
        text = request.query_params.get("q", "").strip().lower()
        packed = self._view.recording([call for call in calls if _has(call, text)] if text else calls)
        headers = {"Content-Disposition": 'attachment; filename="octopus-recording.zip"'}
        return Response(packed, media_type="application/zip", headers=headers)

    def _clear(self, request: Request) -> Response:
        self._emulator.clear_calls()
        return back(request, "/")

    def _reset(self, request: Request) -> Response:
        self._emulator.reset()
        self._switches.off()
        return back(request, "/")

    # -- how to reach it ---------------------------------------------------------------------------------------

    def _connect(self, request: Request) -> Response:
        merchants = [self._emulator.settings(merchant.name) for merchant in self._emulator.merchants]
        return self._site.page(
            request, "connect.html", merchants=merchants[:20], revealed=request.method == "POST", url=self._emulator.url
        )


def _seen(request: Request) -> int:
    """Return the number of the last call that the browser has seen."""
    given = request.headers.get("last-event-id") or request.query_params.get("after", "")
    return int(given) if given.isascii() and given.isdigit() else 0


def _has(call: CallRecord, text: str) -> bool:
    """True if the operation, the merchant, a SKU or an order id has *text*."""
    return (
        text in call.operation.lower()
        or text in (call.merchant or "").lower()
        or any(text in key.lower() for key in call.keys)
    )
