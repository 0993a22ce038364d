"""Fetching a published contract: the WSDL and everything it imports, from one origin.

* The credentials go to the configured endpoint's origin, and everything is fetched from the origin of the address that
  was given: an import that names another host is asked of this one (see `wire.pinning.resolved`).
* Redirects are not followed. Number of documents, their size and the whole time are limited.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
import urllib3

from octopus_soap._http import BodyCodingError, BodyTooLongError, http_date
from octopus_soap.contracts.pin import ContractDocument, parse_document
from octopus_soap.errors import ContractError, OctopusError, ProtocolError, TransportError
from octopus_soap.transport.connections import (
    Connections,
    OriginAuth,
    deadline,
    failure_of,
    merged_options,
    read_body,
)
from octopus_soap.wire.faults import Reply, http_error, readable
from octopus_soap.wire.redact import Redactor

if TYPE_CHECKING:
    from octopus_soap.settings import OctopusSettings


MOST_DOCUMENTS = 64
MOST_BYTES = 16 * 1024 * 1024
"""Of all documents together; the contract this library expects has 70 kB."""
_OK = 200


@dataclass(frozen=True, slots=True)
class FetchedContract:
    """A contract as it was published.

    Attributes:
        documents: by address, the main WSDL first.
        notes: oddities that were dealt with.
    """

    documents: dict[str, ContractDocument]
    notes: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Address of the main WSDL."""
        return next(iter(self.documents))


class ContractFetcher:
    """Fetches contracts.

    Args:
        settings: credentials, the endpoint whose origin gets them, connect and read limits, certificates.
        anonymous: send no credentials at all.
        seconds: for the whole contract.

    Attributes:
        skew: seconds the service's clock is ahead of this machine's, by the Date header of the last answer, whatever it
            was; None where it had none.
    """

    def __init__(self, settings: OctopusSettings, *, anonymous: bool = False, seconds: float = 60.0) -> None:
        self.skew: float | None = None
        self._settings = settings
        # Never no auth at all: requests would then look into ~/.netrc.
        self._auth = OriginAuth(settings.endpoint, {} if anonymous else settings.credentials())
        self._redactor = Redactor(settings.secrets())
        self._seconds = seconds
        self._until = 0.0
        self._left = MOST_BYTES

    def fetch(self, url: str = "") -> FetchedContract:
        """Fetch the contract published at *url*, or at the endpoint.

        An address without a query is asked for `?singleWsdl` first, then for `?wsdl`.

        Raises:
            ContractError: what is there is no contract.
            OctopusError: it could not be fetched.
        """
        asked = urlsplit(url or self._settings.endpoint)._replace(fragment="")
        self._until, self._left = time.monotonic() + self._seconds, MOST_BYTES
        if asked.query:
            return self._whole(asked.geturl())
        base = asked.geturl()
        try:
            return self._whole(f"{base}?singleWsdl")
        except TransportError:
            raise
        except OctopusError as error:
            # Before .NET 4.5 there is no ?singleWsdl: the service answers with its help page, or with an error.
            first = error
        try:
            return self._whole(f"{base}?wsdl")
        except OctopusError as error:
            raise error from first

    def _whole(self, url: str) -> FetchedContract:
        """The document at *url*, which must be a WSDL, with everything it refers to, breadth first."""
        connections = Connections(self._settings, None)
        documents: dict[str, ContractDocument] = {}
        notes: dict[str, None] = {}
        waiting = [url]
        try:
            while waiting:
                here = waiting.pop(0)
                if here in documents:
                    continue
                if len(documents) == MOST_DOCUMENTS:
                    raise ContractError(f"the contract at {url} has more than {MOST_DOCUMENTS} documents")
                reply = self._get(here, connections)
                document = documents[here] = parse_document(readable(reply, self._redactor).body, here)
                notes.update(dict.fromkeys(_hosts(document)))
                waiting += document.references()
        finally:
            connections.close()
        if documents[url].kind != "wsdl":
            raise ContractError(f"{url} is a schema, not a WSDL")
        return FetchedContract(documents, tuple(notes))

    def _get(self, url: str, connections: Connections) -> Reply:
        started = time.monotonic()
        left = self._until - started
        token = deadline.set(self._until)
        answered = False
        try:
            response = self._open(url, connections.session(), max(0.001, left))
            answered = True
            try:
                body = self._read(response)
            finally:
                response.close()
        except (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
            elapsed, silence = time.monotonic() - started, self._settings.read_timeout
            failed = failure_of(error, elapsed, left, silence, connecting=not answered).error
            raise _named(failed, url) from None
        finally:
            deadline.reset(token)
        named = {name.lower(): value for name, value in response.headers.items()}
        reply = Reply(response.status_code, named, body, time.monotonic() - started)
        self.skew = _skew(named.get("date", ""), datetime.now(UTC))
        if reply.status != _OK:
            raise _named(http_error(reply, self._redactor), url)
        return reply

    def _open(self, url: str, session: requests.Session, left: float) -> requests.Response:
        settings = self._settings
        headers = {
            "User-Agent": settings.sent_user_agent,
            "Accept": "text/xml, application/xml",
            "Accept-Encoding": "gzip, deflate",
        }
        prepared = session.prepare_request(requests.Request("GET", url, headers=headers, auth=self._auth))
        options = merged_options(session, settings, url)
        timeout = (min(settings.connect_timeout, left), min(settings.read_timeout, left))
        return session.get_adapter(url).send(prepared, timeout=timeout, **options)  # the adapter follows no redirect

    def _read(self, response: requests.Response) -> bytes:
        try:
            body = read_body(response, self._left, self._until)
        except BodyTooLongError:
            raise ProtocolError(f"the contract is larger than {MOST_BYTES} bytes; it was not read") from None
        except BodyCodingError as error:
            raise ProtocolError(f"the contract cannot be decompressed: {error}") from None
        self._left -= len(body)
        return body


def _hosts(document: ContractDocument) -> list[str]:
    asked = urlsplit(document.url).netloc
    named = dict.fromkeys(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in document.foreign())
    return [f"Note: its imports name {other}; the same paths of {asked} were asked instead." for other in named]


def _named(error: OctopusError, url: str) -> OctopusError:
    error.message = f"{error.message} ({url})"
    return error


def _skew(date: str, now: datetime) -> float | None:
    theirs = http_date(date)
    return None if theirs is None else (theirs - now).total_seconds()
