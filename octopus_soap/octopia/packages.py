"""The four calls of an offer package, and the flow that makes them in order.

The order (docs/sources.md, [C] for the workflow, [C2] for the bodies): open; upload 100 requests at a time, each
time waiting until the package is ``WaitingForCompletion`` again; close with ``Ready``; watch until ``Integrated`` or
``Rejected``; read one result per request.

Nothing here is repeated by itself. Once the package id is known, every failure carries it: what was uploaded stays in
the package, and a package that was never closed is not integrated ([I]).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from octopus_soap.octopia.effects import Emit, Flow, Stream, sleep
from octopus_soap.octopia.errors import InputError, OctopiaError, OfferPackageError, OutcomeUnknownError
from octopus_soap.octopia.models import OfferPackage, OfferRequestResult, PackageState
from octopus_soap.octopia.offers import UPLOAD_SIZE, OfferPackagePlan, OfferPackageReport, OfferUpdate
from octopus_soap.octopia.paging import as_model, by_cursor

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from octopus_soap.octopia.exchange import Exchange

PATH = "/offer-packages"
FIRST_LOOK_SECONDS = 1.0
LONGEST_LOOK_SECONDS = 30.0
_ENDED = frozenset({PackageState.INTEGRATED, PackageState.REJECTED})


def segment(value: Any, argument: str) -> str:
    """Return *value* as one path segment.

    Raises:
        InputError: It is empty, or would change the path.
    """
    if not isinstance(value, str) or not value.strip() or value in {".", ".."}:
        raise InputError(f"{argument} must be a non-empty text", argument=argument)
    return quote(value, safe="")


def opened(exchange: Exchange, sales_channel_id: str) -> Flow[str]:
    """Open an Update package and return its id, the last segment of ``Content-Location`` ([C])."""
    reply = yield from exchange.write("POST", PATH, {"packageType": "Update"}, {"SalesChannelId": sales_channel_id})
    package_id = urlsplit(reply.headers.get("content-location", "")).path.rstrip("/").rpartition("/")[2]
    if not package_id:
        call = f"POST {PATH}"
        raise OutcomeUnknownError(f"{call}: a package was opened, but the answer does not say which", call=call)
    return package_id


def uploaded(exchange: Exchange, package_id: str, updates: Sequence[OfferUpdate]) -> Flow[None]:
    """Upload 1 to 100 offer requests to an open package."""
    if not 1 <= len(updates) <= UPLOAD_SIZE:
        raise InputError(f"an upload holds 1 to {UPLOAD_SIZE} updates, not {len(updates)}", argument="updates")
    path = f"{PATH}/{segment(package_id, 'package_id')}/offer-requests"
    yield from exchange.write("POST", path, [update.body() for update in updates])


def closed(exchange: Exchange, package_id: str) -> Flow[None]:
    """Close a package, which lets Octopia integrate it."""
    yield from exchange.write(
        "PATCH", f"{PATH}/{segment(package_id, 'package_id')}", {"state": str(PackageState.READY)}
    )


def looked_up(exchange: Exchange, package_id: str) -> Flow[OfferPackage]:
    """Return a package and its state."""
    path = f"{PATH}/{segment(package_id, 'package_id')}"
    payload = yield from exchange.read_json(path)
    return as_model(OfferPackage, payload, f"GET {path}")


def results(exchange: Exchange, package_id: str) -> Stream[OfferRequestResult]:
    """Emit what became of each offer request."""
    path = f"{PATH}/{segment(package_id, 'package_id')}/offer-requests-results"
    return by_cursor(exchange, path, [("limit", str(UPLOAD_SIZE))], OfferRequestResult)


def collected(stream: Stream[OfferRequestResult]) -> Flow[tuple[OfferRequestResult, ...]]:
    """Run *stream* to its end inside a flow and return all it emits."""
    gathered: list[OfferRequestResult] = []
    try:
        effect = next(stream)
        while True:
            if isinstance(effect, Emit):
                gathered.extend(effect.values)
                effect = stream.send(None)
                continue
            try:
                answer = yield effect
            except BaseException as error:  # noqa: BLE001 - handed on: the stream's own retries must see it
                effect = stream.throw(error)
            else:
                effect = stream.send(answer)
    except StopIteration:
        return tuple(gathered)
    finally:
        stream.close()


@dataclass(slots=True)
class _Journey:
    """Where a package stands, for the error that may have to tell."""

    package_id: str
    stage: str = "uploading"
    uploaded: int = 0

    @contextmanager
    def told(self) -> Generator[None]:
        """Turn an error into one that carries the package id."""
        try:
            yield
        except OfferPackageError:
            raise  # it carries the id already
        except OctopiaError as error:
            raise self.stopped(str(error), error) from error

    def stopped(self, why: str, reason: OctopiaError | None = None) -> OfferPackageError:
        return OfferPackageError(
            f"offer package {self.package_id} stopped while {self.stage}, {self.uploaded} request(s) uploaded: {why}",
            package_id=self.package_id,
            stage=self.stage,
            uploaded=self.uploaded,
            reason=reason,
        )


def sent(
    exchange: Exchange, plan: OfferPackagePlan, wait_seconds: float, on_package: Callable[[str], None] | None
) -> Flow[OfferPackageReport]:
    """Make all calls of *plan* in order; see `Operations.send_offer_package`."""
    package_id = yield from opened(exchange, plan.sales_channel_id)
    if on_package is not None:
        on_package(package_id)  # before anything else can fail: the id is how the package is found again
    journey = _Journey(package_id)
    deadline = exchange.clock() + wait_seconds
    with journey.told():
        for upload in plan.uploads:
            journey.stage = "uploading"
            yield from uploaded(exchange, package_id, upload)
            journey.uploaded += len(upload)
            journey.stage = "settling"
            state = yield from _watched(
                exchange, package_id, deadline, frozenset({PackageState.WAITING_FOR_COMPLETION})
            )
            if state != PackageState.WAITING_FOR_COMPLETION:
                raise journey.stopped(f"the package is {state or 'in no state'} instead of open for more")
        journey.stage = "closing"
        yield from closed(exchange, package_id)
        journey.stage = "integrating"
        state = yield from _watched(exchange, package_id, deadline, _ENDED)
        journey.stage = "results"
        done = (yield from collected(results(exchange, package_id))) if state in _ENDED else ()
    references = tuple(update.seller_external_reference for update in plan.updates)
    return OfferPackageReport(package_id=package_id, state=state, sent=references, results=done)


def _watched(exchange: Exchange, package_id: str, deadline: float, wanted: frozenset[PackageState]) -> Flow[str]:
    """Look at a package until it is in a wanted state, has ended, or *deadline* has come; return its last state."""
    pause = FIRST_LOOK_SECONDS
    while True:
        package = yield from looked_up(exchange, package_id)
        state = package.state or ""
        remaining = deadline - exchange.clock()
        if state in wanted or state in _ENDED or remaining <= 0:
            return state
        yield from sleep(min(pause, remaining))
        pause = min(pause * 2, LONGEST_LOOK_SECONDS)
