"""Looking at the way to the service, one layer at a time: name, port, certificate. Each look has a limit of its own."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy

from octopus_soap._http import is_loopback, proxy_variables
from octopus_soap.engine.retry import FailureKind
from octopus_soap.errors import ConnectFailedError, TimedOutError
from octopus_soap.settings import server_of
from octopus_soap.transport.connections import merged_options

if TYPE_CHECKING:
    from octopus_soap.engine.effects import SendFailure
    from octopus_soap.settings import OctopusSettings


_UNREADABLE = "(its address cannot be read)"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a TLS handshake showed.

    Attributes:
        expires: end of the certificate's validity.
        issuer: who signed it.
        protocol: such as `TLSv1.3`.
    """

    expires: datetime
    issuer: str
    protocol: str


def proxy_for(endpoint: str) -> str:
    """Host of the proxy that the environment names for *endpoint*, as requests would choose it; empty where none.

    A name and password in it are left out.
    """
    if is_loopback(endpoint):
        return ""
    session = requests.Session()
    options: Any = session.merge_environment_settings(endpoint, {}, stream=None, verify=None, cert=None)
    chosen = select_proxy(endpoint, options["proxies"])
    if not chosen:
        return ""
    try:
        parts = urlsplit(chosen if "://" in chosen else f"//{chosen}")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:  # it repeats what it could not read, which may be a part of the password
        return _UNREADABLE
    return f"{parts.hostname}{port}" if parts.hostname else _UNREADABLE


def through_proxy(failure: SendFailure, endpoint: str) -> SendFailure:
    """Name the proxy in a *failure* to connect to *endpoint*, if the environment has one for it; return the failure."""
    if (
        failure.kind is FailureKind.NOT_SENT
        and "(from " not in failure.error.message
        and (proxy := proxy_for(endpoint))
    ):
        failure.error.message += f" (through the proxy {proxy}, from {proxy_variables()})"
    return failure


def resolve(host: str, port: int, seconds: float) -> list[str]:
    """Addresses of *host*, each once.

    Raises:
        ConnectFailed: there is no such name.
        TimedOut: no answer came in time.
    """
    answer: list[list[str] | OSError] = []

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            answer.append(error)
        else:
            answer.append(list(dict.fromkeys(str(entry[4][0]) for entry in found)))

    # getaddrinfo takes no limit; the thread that overruns ours is left behind and ends with the process.
    thread = threading.Thread(target=ask, name="octopus-soap-dns", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer:
        raise TimedOutError(f"no answer about {host} within {seconds:g} s")
    if isinstance(answer[0], OSError):
        raise ConnectFailedError(f"{host}: {answer[0].strerror or answer[0]}")
    return answer[0]


def connect(addresses: list[str], port: int, seconds: float) -> tuple[str, float]:
    """Open a TCP connection to the first address that takes one; return it, and the seconds that took.

    Raises:
        ConnectFailed: none does.
        TimedOut: none did in time.
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
    """Make a TLS handshake with *address* as requests would, and return what it showed.

    Raises:
        ConnectFailed: the certificate is not trusted, or there is no TLS.
        TimedOut: it was not done in time.
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
    """A context that trusts the certificates requests would trust."""
    options = merged_options(requests.Session(), settings, settings.endpoint)
    chosen = options["verify"]
    bundle = Path(chosen if isinstance(chosen, str) else DEFAULT_CA_BUNDLE_PATH)
    context = ssl.create_default_context()
    if bundle.is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(cafile=bundle)
    return context


def _certificate(secured: ssl.SSLSocket) -> Certificate:
    shown: Any = secured.getpeercert() or {}
    issuer = {name: value for part in shown.get("issuer", ()) for name, value in part}
    return Certificate(
        expires=datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC),
        issuer=issuer.get("organizationName") or issuer.get("commonName") or "an unnamed issuer",
        protocol=secured.version() or "TLS",
    )
