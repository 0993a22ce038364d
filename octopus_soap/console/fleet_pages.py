"""The fleet's pages: all merchants, a merchant with its runs, and for monitors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from octopus_soap.console.security import Guard, form_of
from octopus_soap.console.site import Site, back, page_of
from octopus_soap.errors import ConfigError
from octopus_soap.fleet import status
from octopus_soap.fleet.pages import health, metrics
from octopus_soap.jobs import inspection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from octopus_soap.fleet import Registry
    from octopus_soap.jobs import Ledger

ROWS = 100
RUNS = 60
HELD = 200
STATES = ("active", "paused", "refused")
ONLY = ("late", "failing", "held")
_CHART_HEIGHT, _BAR = 40.0, 8
_TONES = {"": "none", "ok": "good", "failed": "bad", "refused": "bad"}


def fleet_console(
    ledger: Ledger,
    registry: Registry | None = None,
    *,
    allow_actions: bool = False,
    token: str | None = None,
    hosts: Collection[str] = (),
) -> ASGIApp:
    """Return the console of a fleet as an ASGI application.

    Args:
        ledger: Any ledger on the fleet's database.
        registry: Pauses and resumes merchants; one on the ledger by default.
        allow_actions: Whether merchants can be paused and resumed, and held keys retried.
        token: The token that a browser signs in with. None: only this machine has access, without signing in.
        hosts: Further host names that a browser may use, next to this machine's own; `*` for any. Only with a token.

    Raises:
        ConfigError: The token is shorter than 16 characters, or jinja2 is not installed.
        LedgerError: The database cannot be used.
    """
    if registry is None:
        from octopus_soap.fleet import Registry as Known  # noqa: PLC0415 - only if none is given

        registry = Known(ledger)
    return _FleetConsole(ledger, registry, allow_actions=allow_actions).app(token, hosts)


@dataclass(frozen=True, slots=True)
class Bar:
    """One run in the chart of a job."""

    x: int
    y: float
    height: float
    tone: str
    words: str


def chart(runs: Sequence[dict[str, Any]]) -> list[Bar]:
    """Return the bars of runs, oldest first, with the duration as the height."""
    ordered = list(reversed(runs))
    seconds = [max(0.0, (run["ended_at"] - run["started_at"]).total_seconds()) for run in ordered]
    longest = max(seconds, default=0.0) or 1.0
    made: list[Bar] = []
    for number, (run, took) in enumerate(zip(ordered, seconds, strict=True)):
        height = max(3.0, round(_CHART_HEIGHT * took / longest, 1))
        words = f"{run['started_at']:%Y-%m-%d %H:%M:%S} UTC: {run['outcome']}, {took:.1f} s"
        made.append(Bar(number * _BAR, _CHART_HEIGHT - height, height, tone_of(run["outcome"]), words))
    return made


def tone_of(outcome: str) -> str:
    """Return `good`, `bad`, or `fair` for an outcome that a later run may improve."""
    return _TONES.get(outcome, "fair")


class _FleetConsole:
    def __init__(self, ledger: Ledger, registry: Registry, *, allow_actions: bool) -> None:
        self._ledger, self._registry, self._allowed = ledger, registry, allow_actions
        self._site = Site("fleet", (("/", "Merchants"),), lambda: {"on": (), "actions": allow_actions})

    def app(self, token: str | None, hosts: Collection[str]) -> ASGIApp:
        routes = [
            Route("/", self._merchants),
            Route("/merchant", self._merchant),
            Route("/merchant/pause", self._doing(self._pause), methods=["POST"]),
            Route("/merchant/resume", self._doing(self._resume), methods=["POST"]),
            Route("/merchant/retry", self._doing(self._retry), methods=["POST"]),
            Route("/metrics", lambda _: Response(metrics(self._ledger), media_type="text/plain; version=0.0.4")),
            Route("/healthz", self._health),
            *self._site.routes(),
        ]
        app = Starlette(routes=routes, exception_handlers={404: self._not_found, ConfigError: self._refused})
        return Guard(app, token=token, hosts=hosts, refusal=self._site.refusal)

    async def _not_found(self, request: Request, error: Exception) -> Response:
        del request, error
        return self._site.refusal(404, "There is no such page.")

    async def _refused(self, request: Request, error: Exception) -> Response:
        del request
        return self._site.refusal(404, str(getattr(error, "message", error)))

    def _health(self, request: Request) -> Response:
        del request
        now = health(self._ledger)
        return JSONResponse(now, 200 if now["healthy"] else 503)

    # -- looking -----------------------------------------------------------------------------------------------

    def _merchants(self, request: Request) -> Response:
        asked = request.query_params
        text, chosen, page = asked.get("q", "").strip(), asked.get("show", ""), page_of(request)
        rows, total = status.merchants(
            self._ledger,
            find=text,
            state=chosen if chosen in STATES else "",
            only=chosen if chosen in ONLY else "",
            most=ROWS,
            start=(page - 1) * ROWS,
        )
        counts = status.counts(self._ledger)
        return self._site.page(
            request,
            "fleet.html",
            rows=rows,
            total=total,
            counts=counts,
            merchants=sum(counts[state] for state in STATES),
            shows=(*ONLY, *STATES),
            chosen=chosen,
            q=text,
            page=page,
            pages=-(-total // ROWS) or 1,
            tick=status.tick_alarm(self._ledger),
        )

    def _merchant(self, request: Request) -> Response:
        name = request.query_params.get("name", "")
        found = status.merchant(self._ledger, name)
        runs = status.history(self._ledger, name, most=3 * RUNS)
        held = status.held(self._ledger, name, most=HELD)
        return self._site.page(
            request,
            "merchant.html",
            one=found,
            runs=runs[:20],
            charts={
                job.job: chart([run for run in runs if run["job"] == job.job][:RUNS])
                for job in sorted(found.jobs, key=lambda each: each.job)
            },
            bar=_BAR,
            height=_CHART_HEIGHT,
            held=held,
            most=HELD,
            tone_of=tone_of,
        )

    # -- doing -------------------------------------------------------------------------------------------------

    def _doing(self, work: Callable[[str, dict[str, str]], object]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            if not self._allowed:
                return self._site.refusal(
                    403, "This console is read-only. Start it with --allow-actions to allow changes."
                )
            form = form_of(request.scope)
            await run_in_threadpool(work, form.get("name", ""), form)
            return back(request, "/")

        return answer

    def _pause(self, name: str, form: dict[str, str]) -> None:
        self._registry.pause(name, form.get("reason", "").strip())

    def _resume(self, name: str, form: dict[str, str]) -> None:
        del form
        self._registry.resume(name)

    def _retry(self, name: str, form: dict[str, str]) -> None:
        status.merchant(self._ledger, name)  # raises ConfigError if there is no such merchant
        key, job = form.get("key"), form.get("job") or None
        inspection.retry(self._ledger.for_channel(name), None if key is None else [key], job=job)
