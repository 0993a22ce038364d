"""Where to connect and how: addresses, trust, patience.

Rules kept here, because a setting is the only way to break them:

* Credentials go to the two configured origins and nowhere else.
* Plain http is for loopback alone (the fake server).
* The server's certificate is always verified. A CA bundle can be named; "off" cannot.
* Retired addresses are refused with the right one named.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from octopus_soap.octopia.errors import ConfigError
from octopus_soap.octopia.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN_URL = "https://auth.octopia-io.net/auth/realms/maas/protocol/openid-connect/token"  # noqa: S105 - an address, not a password
"""The token service (docs/sources.md, [C])."""

API_URL = "https://api.octopia-io.net/seller/v2"
"""The seller API (docs/sources.md, [C2]; the host is [C])."""

RETIRED_HOSTS: Mapping[str, str] = {
    "oauth2.cdiscount.com": f"it was decommissioned [C]; the token service is {TOKEN_URL}",
    "marketplaceapi.cdiscount.com": f"it served version 1 [C2]; the API is {API_URL}",
    "wsvc.cdiscount.com": f"the SOAP API is closed [C]; the API is {API_URL}",
    "sts.cdiscount.com": f"it issued tokens for the closed SOAP API [C]; the token service is {TOKEN_URL}",
}
"""Hosts that must not be asked any more, with what to use instead (docs/sources.md)."""

_TLS_OFF = (
    "TLS verification cannot be turned off: the client secret and every token would go to whoever answers. The Octopia "
    "pages' tip to disable SSL is about a desktop tool and is the wrong answer here. If your network inspects TLS, set "
    "`verify` (or OCTOPIA_CA_BUNDLE) to the path of the CA bundle that holds your proxy's root certificate."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OctopiaSettings:
    """Everything about a connection but the credentials.

    Attributes:
        token_url: The token service.
        api_url: The base of the seller API, without a trailing slash.
        subscription_key: Sent as ``Ocp-Apim-Subscription-Key``. No longer mandatory ([C]); off by default.
        language: Sent as ``Accept-Language``, such as ``fr-FR`` ([C2]: categories, products and offer packages read
            it).
        verify: True for the usual public authorities, or the path of a CA bundle (a PEM file, or a directory prepared
            by OpenSSL's rehash) that is trusted *instead* of them. Nothing else is accepted.
        allow_writes: Off by default. The bodies of the write calls are graded [C2] at best and were never checked
            against Octopia's own OpenAPI file, so writing is a decision.
        connect_seconds: Limit for opening a connection.
        read_seconds: Limit for each wait for data.
        attempt_seconds: Limit for one request and its whole answer.
        max_reply_bytes: The longest answer read, after decompression.
        retry: How patiently reads and token requests are repeated.

    Raises:
        ConfigError: An address, a limit or `verify` is refused; the message says what to use.
    """

    token_url: str = TOKEN_URL
    api_url: str = API_URL
    subscription_key: SecretStr | None = None
    language: str | None = None
    verify: str | os.PathLike[str] | Literal[True] = True
    allow_writes: bool = False
    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    attempt_seconds: float = 120.0
    max_reply_bytes: int = 32 * 1024 * 1024
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
        limits = (self.connect_seconds, self.read_seconds, self.attempt_seconds, self.max_reply_bytes)
        if not all(limit > 0 for limit in limits):  # NaN fails too
            raise ConfigError("OctopiaSettings: every limit must be above 0; an endless wait is not offered")

    @property
    def waits_at_most(self) -> float:
        """Seconds after which a token request made by someone else is taken for lost."""
        return self.attempt_seconds * self.retry.attempts + self.retry.total_seconds

    @property
    def all_tls(self) -> bool:
        """Whether both addresses are https."""
        return all(urlsplit(url).scheme == "https" for url in (self.token_url, self.api_url))

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return a verifying context that trusts the CA bundle alone, or None if there is none.

        Raises:
            ConfigError: The bundle holds no readable certificate.
        """
        if self.verify is True:
            return None
        path = Path(self.verify)
        try:
            if path.is_dir():
                return ssl.create_default_context(capath=str(path))
            return ssl.create_default_context(cafile=str(path))
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"the CA bundle {path} cannot be read: {error}") from error

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, allow_writes: bool = False) -> OctopiaSettings:
        """Read settings from the environment.

        Args:
            environ: The variables; the process's own by default. Read are ``OCTOPIA_TOKEN_URL``, ``OCTOPIA_API_URL``,
                ``OCTOPIA_SUBSCRIPTION_KEY``, ``OCTOPIA_LANGUAGE`` and ``OCTOPIA_CA_BUNDLE``; an empty one counts as
                unset.
            allow_writes: Not read from the environment: writing is decided in code.

        Raises:
            ConfigError: A value is refused.
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
    """Return *url* if credentials may be sent there.

    Raises:
        ConfigError: It is retired, not https (loopback excepted), or carries a user, query or fragment.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
        _ = parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if host in RETIRED_HOSTS:
        raise ConfigError(f"{name}: {host} must not be used any more: {RETIRED_HOSTS[host]}")
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        raise ConfigError(f"{name} must be an https address such as {TOKEN_URL if name == 'token_url' else API_URL}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"{name} must not carry a user, a query or a fragment")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigError(f"{name}: plain http is accepted for loopback only; {host} needs https")
    return url


def checked_header(value: str, name: str) -> str:
    """Return *value* if it may stand in an HTTP header: not empty, printable ASCII.

    Raises:
        ConfigError: It may not. The value itself is not repeated: it may be a secret.
    """
    if not value or value != value.strip() or not (value.isascii() and value.isprintable()):
        raise ConfigError(f"{name} must be printable ASCII without line breaks or spaces around it, and not empty")
    return value


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _check_verify(verify: Any) -> None:
    if verify is True:
        return
    # Everything that is not a path is some spelling of "off", or could be (an SSLContext with CERT_NONE).
    if not isinstance(verify, (str, os.PathLike)) or str(verify).strip().lower() in {
        "",
        "0",
        "false",
        "no",
        "none",
        "off",
    }:
        raise ConfigError(_TLS_OFF)
    if not Path(verify).exists():
        raise ConfigError(f"verify must be the path of a CA bundle; {clip_path(verify)} does not exist")


def clip_path(path: str | os.PathLike[str]) -> str:
    """Return *path* as shown in a message: its last 200 characters."""
    return str(path)[-200:]
