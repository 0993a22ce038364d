"""Probe a service: its name, port and certificate, and the contract it publishes.

Each probe has a time limit of its own. A contract is the WSDL and everything it imports, fetched from one origin:

* The credentials go to the configured endpoint's origin only. Everything is fetched from the origin of the given
  address: an import that names another host is fetched from this one (see `contracts.pin`).
* Redirects are not followed. The number of documents, their size and the whole time are limited.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context

from octopus_soap._http import BodyCodingError, BodyTooLongError, http_date
from octopus_soap.contracts.pin import ContractDocument, parse_document
from octopus_soap.errors import (
    ConfigError,
    ConnectFailedError,
    ContractError,
    OctopusError,
    ProtocolError,
    TimedOutError,
    TransportError,
)
from octopus_soap.settings import server_of
from octopus_soap.transport import connections
from octopus_soap.transport.blocking import failure_of, read_body
from octopus_soap.transport.connections import Connections, OriginAuth, Until, deadline, merged_options
from octopus_soap.wire.decode import Reply, http_error, readable
from octopus_soap.wire.redact import Redactor

if TYPE_CHECKING:
    from octopus_soap.settings import OctopusSettings


@dataclass(frozen=True, slots=True)
class Certificate:
    """The facts of a TLS handshake; *protocol* is for example `TLSv1.3`."""

    expires: datetime
    issuer: str
    protocol: str


def resolve(host: str, port: int, seconds: float) -> list[str]:
    """Return the addresses of *host*, each once.

    Raises:
        ConnectFailedError: there is no such name.
        TimedOutError: no answer came in time.
    """
    try:
        found = connections.resolve(host, port, time.monotonic() + seconds)
    except TimeoutError:
        raise TimedOutError(f"no answer about {host} within {seconds:g} s") from None
    except OSError as error:
        raise ConnectFailedError(f"{host}: {error.strerror or error}") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def connect(addresses: list[str], port: int, seconds: float) -> tuple[str, float]:
    """Return the first address that accepts a TCP connection, and the seconds it took.

    Raises:
        ConnectFailedError: no address accepts one.
        TimedOutError: no address accepted one in time.
    """
    until = time.monotonic() + seconds
    refused = ""
    for address in addresses:
        started = time.monotonic()
        if started >= until:
            break
        try:
            socket.create_connection((address, port), until - started).close()
        except TimeoutError:
            break
        except OSError as error:
            refused = f"{address} port {port}: {error.strerror or error}"
        else:
            return address, time.monotonic() - started
    if refused:
        raise ConnectFailedError(refused)
    raise TimedOutError(f"port {port} of {', '.join(addresses[:3])} did not answer within {seconds:g} s")


def handshake(settings: OctopusSettings, address: str, seconds: float) -> Certificate:
    """Make a TLS handshake with *address*, and return its facts.

    Raises:
        ConfigError: the certificates to trust cannot be read.
        ConnectFailedError: the certificate is not trusted, or the port does not speak TLS.
        TimedOutError: it took longer than *seconds*.
    """
    host, port = server_of(settings.endpoint)
    try:
        with (
            socket.create_connection((address, port), seconds) as raw,
            _trusting(settings).wrap_socket(raw, server_hostname=host) as secured,
        ):
            return _certificate(secured)
    except ssl.SSLCertVerificationError as error:
        raise ConnectFailedError(f"the certificate of {host} is not trusted: {error.verify_message}") from None
    except TimeoutError:
        raise TimedOutError(f"no TLS handshake with {host} within {seconds:g} s") from None
    except OSError as error:
        raise ConnectFailedError(f"no TLS with {host}: {error.strerror or error}") from None


def _trusting(settings: OctopusSettings) -> ssl.SSLContext:
    """Return a context that trusts the certificates that calls trust, and no others.

    `ssl.create_default_context()` would also trust the system's certificates, which requests does not use.

    Raises:
        ConfigError: the certificates cannot be read.
    """
    options = merged_options(requests.Session(), settings, settings.endpoint)
    chosen = options["verify"]
    bundle = Path(chosen if isinstance(chosen, str) else DEFAULT_CA_BUNDLE_PATH)
    context = create_urllib3_context()
    try:
        if bundle.is_dir():
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except OSError as error:  # SSLError is one
        raise ConfigError(f"cannot read the certificates in {bundle}: {error.strerror or error}") from None
    return context


def _certificate(secured: ssl.SSLSocket) -> Certificate:
    shown: Any = secured.getpeercert() or {}
    issuer = {name: value for part in shown.get("issuer", ()) for name, value in part}
    return Certificate(
        expires=datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC),
        issuer=issuer.get("organizationName") or issuer.get("commonName") or "an unnamed issuer",
        protocol=secured.version() or "TLS",
    )


# -- the published contract --------------------------------------------------------------------------------------------

MOST_DOCUMENTS = 64
MOST_BYTES = 16 * 1024 * 1024
"""The limit of all documents together; the contract this library expects has 70 kB."""
_OK = 200


@dataclass(frozen=True, slots=True)
class FetchedContract:
    """A contract as it was published.

    Attributes:
        documents: by address, the main WSDL first.
        notes: what was unusual about it, for the user.
    """

    documents: dict[str, ContractDocument]
    notes: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The address of the main WSDL."""
        return next(iter(self.documents))


class ContractFetcher:
    """Fetches contracts.

    Args:
        settings: credentials, the endpoint whose origin gets them, connect and read limits, certificates.
        anonymous: send no credentials at all.
        seconds: the limit for the whole contract.

    Attributes:
        skew: seconds the service's clock is ahead of this machine's, by the Date header of the last answer, whatever
            its status; None if it had none.
    """

    def __init__(self, settings: OctopusSettings, *, anonymous: bool = False, seconds: float = 60.0) -> None:
        self.skew: float | None = None
        self._settings = settings
        # Always some auth: without one, requests would read ~/.netrc.
        self._auth = OriginAuth(settings.endpoint, {} if anonymous else settings.credentials())
        self._redactor = Redactor(settings.secrets())
        self._seconds = seconds
        self._until = 0.0
        self._left = MOST_BYTES

    def fetch(self, url: str = "") -> FetchedContract:
        """Fetch the contract published at *url*, or at the endpoint.

        `?singleWsdl` is added to an address without a query; if that is no contract, `?wsdl` is.

        Raises:
            ContractError: the answer is not a contract.
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
        """Return the WSDL at *url* with everything it refers to, breadth first."""
        pool = Connections(self._settings, None)
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
                reply = self._get(here, pool)
                document = documents[here] = parse_document(readable(reply, self._redactor).body, here)
                notes.update(dict.fromkeys(_hosts(document)))
                waiting += document.references()
        finally:
            pool.close()
        if documents[url].kind != "wsdl":
            raise ContractError(f"{url} is a schema, not a WSDL")
        return FetchedContract(documents, tuple(notes))

    def _get(self, url: str, pool: Connections) -> Reply:
        started = time.monotonic()
        left = self._until - started
        token = deadline.set(Until(self._until))
        answered = False
        try:
            response = self._open(url, pool.session(), max(0.001, left))
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
        theirs = http_date(named.get("date", ""))
        self.skew = None if theirs is None else (theirs - datetime.now(UTC)).total_seconds()
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
