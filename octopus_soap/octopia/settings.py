"""Settings of a connection: addresses, trust, limits.

Invariants, checked here because only a setting could break them:

* Credentials go to the two configured origins and nowhere else.
* Plain http is for loopback alone (the fake server).
* The server's certificate is always verified. A CA bundle can be named, but verification cannot be turned off.
* Retired addresses are refused, and the message names the right address.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import certifi
from pydantic import SecretStr

from octopus_soap._http import fits_header, is_loopback
from octopus_soap.octopia.effects import RetryPolicy
from octopus_soap.octopia.errors import OctopiaConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

# The token service [C] and the seller API [C2; the host is C]: docs/octopia.md.
TOKEN_URL = "https://auth.octopia-io.net/auth/realms/maas/protocol/openid-connect/token"  # noqa: S105 - an address, not a password
API_URL = "https://api.octopia-io.net/seller/v2"

# Hosts that are no longer in use, with the replacement (docs/octopia.md).
RETIRED_HOSTS: Mapping[str, str] = {
    "oauth2.cdiscount.com": f"it was decommissioned [C]; the token service is {TOKEN_URL}",
    "marketplaceapi.cdiscount.com": f"it served version 1 [C2]; the API is {API_URL}",
    "wsvc.cdiscount.com": f"the SOAP API is closed [C]; the API is {API_URL}",
    "sts.cdiscount.com": f"it issued tokens for the closed SOAP API [C]; the token service is {TOKEN_URL}",
}

_TLS_OFF = (
    "TLS verification cannot be turned off: the client secret and every token would go to any server that answers. The "
    "Octopia pages' tip to disable SSL is about a desktop tool and is the wrong answer here. If your network inspects "
    "TLS, set `verify` (or OCTOPIA_CA_BUNDLE) to the path of the CA bundle that holds your proxy's root certificate."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OctopiaSettings:
    """The settings of a connection, without the credentials.

    Raises:
        OctopiaConfigError: An address, a limit, a proxy or `verify` is refused; the message names what to use.
    """

    token_url: str = TOKEN_URL
    api_url: str = API_URL  # without a trailing slash
    subscription_key: SecretStr | None = None  # ``Ocp-Apim-Subscription-Key``; no longer mandatory ([C])
    language: str | None = None  # ``Accept-Language``, such as ``fr-FR`` ([C2]: categories, products, offer packages)
    # True for the usual public authorities (or those of ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``), or the path of a CA
    # bundle (a PEM file, or a directory prepared by OpenSSL's rehash) that is trusted *instead* of them.
    verify: str | os.PathLike[str] | Literal[True] = True
    # Off, because the bodies of the write calls are graded [C2] at best and were never checked against Octopia's own
    # OpenAPI file.
    allow_writes: bool = False
    connect_seconds: float = 10.0  # for opening a connection, all addresses of the host together
    read_seconds: float = 30.0  # for each wait for data
    attempt_seconds: float = 120.0  # for one request and its whole answer, from looking up the host to the last byte
    renew_seconds: float = 5.0  # for the only request of a new token while the old one is still valid
    max_reply_bytes: int = 32 * 1024 * 1024  # after decompression
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        object.__setattr__(self, "token_url", checked_url(self.token_url, "token_url"))
        object.__setattr__(self, "api_url", checked_url(self.api_url, "api_url").rstrip("/"))
        key: object = self.subscription_key
        if isinstance(key, str):  # a plain string would show in reprs
            object.__setattr__(self, "subscription_key", SecretStr(key))
        if self.subscription_key is not None:
            checked_header(self.subscription_key.get_secret_value(), "subscription_key")
        if self.language is not None:
            checked_header(self.language, "language")
        _check_verify(self.verify)
        limits = (self.connect_seconds, self.read_seconds, self.attempt_seconds, self.renew_seconds)
        if not all(limit > 0 for limit in (*limits, self.max_reply_bytes)):  # NaN fails too
            raise OctopiaConfigError("OctopiaSettings: every limit must be above 0; an endless wait is not offered")

    @property
    def waits_at_most(self) -> float:
        """Seconds after which another caller's token request counts as lost."""
        return self.attempt_seconds * self.retry.attempts + self.retry.total_seconds

    def ssl_context(self) -> ssl.SSLContext:
        """Return the trust that `verify` names, or raise `OctopiaConfigError`."""
        if self.verify is True:
            return _public_authorities(os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", ""))
        return _trusting(os.fspath(self.verify), "verify")

    def proxy_of(self, url: str, environ: Mapping[str, str] | None = None) -> str | None:
        """Return the environment's proxy for *url*, or None; an unusable one is an error.

        The variables are ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, also in lower case. Requests
        to this machine never go through a proxy.
        """
        if is_loopback(url):
            return None
        env = {name.lower(): value for name, value in sorted((os.environ if environ is None else environ).items())}
        parts = urlsplit(url)
        variable = next((name for name in (f"{parts.scheme}_proxy", "all_proxy") if env.get(name, "").strip()), None)
        if variable is None or _bypassed(parts.hostname or "", parts.port, env.get("no_proxy", "")):
            return None
        return _checked_proxy(env[variable].strip(), variable.upper())

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, allow_writes: bool = False) -> OctopiaSettings:
        """Return the settings of environment variables.

        The variables are ``OCTOPIA_TOKEN_URL``, ``_API_URL``, ``_SUBSCRIPTION_KEY``, ``_LANGUAGE`` and ``_CA_BUNDLE``;
        an empty one counts as unset. *allow_writes* has no variable: code decides about writing.
        """
        env = os.environ if environ is None else environ
        key = env.get("OCTOPIA_SUBSCRIPTION_KEY")
        return cls(
            token_url=env.get("OCTOPIA_TOKEN_URL") or TOKEN_URL,
            api_url=env.get("OCTOPIA_API_URL") or API_URL,
            subscription_key=SecretStr(key) if key else None,
            language=env.get("OCTOPIA_LANGUAGE") or None,
            verify=env.get("OCTOPIA_CA_BUNDLE") or True,
            allow_writes=allow_writes,
        )


def checked_url(url: str, name: str) -> str:
    """Return *url* if credentials may be sent there."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
        _ = parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if host in RETIRED_HOSTS:
        raise OctopiaConfigError(f"{name}: {host} must not be used any more: {RETIRED_HOSTS[host]}")
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        example = TOKEN_URL if name == "token_url" else API_URL
        raise OctopiaConfigError(f"{name} must be an https address such as {example}")
    if not url.isascii():
        raise OctopiaConfigError(f"{name}: write the host in its ASCII form (xn--...), and the path percent-encoded")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise OctopiaConfigError(f"{name} must not carry a user, a query or a fragment")
    if parts.scheme == "http" and not is_loopback(url):
        raise OctopiaConfigError(f"{name}: plain http is accepted for loopback only; {host} needs https")
    return url


def checked_header(value: str, name: str) -> str:
    """Return *value* if it fits an HTTP header."""
    if not fits_header(value):  # the error does not repeat it, since it may be a secret
        what = "must be printable ASCII without line breaks or spaces around it, and not empty"
        raise OctopiaConfigError(f"{name} {what}")
    return value


def _bypassed(host: str, port: int | None, no_proxy: str) -> bool:
    """True if ``NO_PROXY`` has ``*``, *host*, host:port, its domain or its network."""
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    for entry in filter(None, (entry.strip().lower() for entry in no_proxy.split(","))):
        if "/" in entry:
            try:
                network = ip_network(entry, strict=False)
            except ValueError:
                raise OctopiaConfigError(f"NO_PROXY: {entry[:60]!r} is not a network such as 10.0.0.0/8") from None
            if address is not None and address in network:
                return True
        elif entry.removeprefix("*").lstrip(".") in {"", host, f"{host}:{port}"} or (
            address is None and host.endswith("." + entry.removeprefix("*").lstrip("."))
        ):
            return True
    return False


def _checked_proxy(proxy: str, variable: str) -> str:
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        usable = bool(parts.hostname) and proxy.isprintable() and proxy.isascii()
        _ = parts.port
    except ValueError:
        usable, parts = False, urlsplit("")
    if not usable or parts.scheme not in {"http", "https", "socks5", "socks5h"}:
        raise OctopiaConfigError(f"{variable} must be an address such as http://proxy.example:3128 (or socks5://)")
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        what = "names a SOCKS proxy, which needs the package socksio: pip install socksio"
        raise OctopiaConfigError(f"{variable} {what}")
    return parts.geturl()


def _check_verify(verify: Any) -> None:
    if verify is True:
        return
    # Everything that is not a path may mean "off" (such as an SSLContext with CERT_NONE).
    off = {"", "0", "false", "no", "none", "off"}
    if not isinstance(verify, (str, os.PathLike)) or str(verify).strip().lower() in off:
        raise OctopiaConfigError(_TLS_OFF)
    if not Path(verify).exists():
        raise OctopiaConfigError(f"verify must be the path of a CA bundle; {str(verify)[-200:]} does not exist")


@cache
def _public_authorities(cert_file: str, cert_dir: str) -> ssl.SSLContext:
    # Cached, because reading them takes tens of milliseconds, more than a call.
    if cert_file or cert_dir:
        return _trusting(cert_file or cert_dir, "SSL_CERT_FILE" if cert_file else "SSL_CERT_DIR")
    return ssl.create_default_context(cafile=certifi.where())


def _trusting(path: str, name: str) -> ssl.SSLContext:
    try:
        folder = path if Path(path).is_dir() else None
        return ssl.create_default_context(cafile=None if folder else path, capath=folder)
    except OSError as error:  # of which ssl.SSLError is a subclass
        raise OctopiaConfigError(f"{name}: the CA bundle {path[-200:]} cannot be read: {error}") from None
