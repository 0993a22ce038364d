"""TLS contexts of the asynchronous driver, each made once: reading the certificates costs tens of milliseconds."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from octopus_soap.errors import ConfigError

if TYPE_CHECKING:
    from octopus_soap.settings import OctopusSettings

_NAMED = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def ssl_context(settings: OctopusSettings, *, trust_env: bool) -> ssl.SSLContext:
    """The context for *settings*: of `ca_bundle`, or what httpx trusts by default.

    One per process for the same certificates; a bundle that was changed on disk is read anew.

    Args:
        settings: endpoint, `ca_bundle`.
        trust_env: whether httpx's own environment variables count.

    Raises:
        ConfigError: the certificates cannot be read.
    """
    if settings.endpoint.startswith("http:"):
        return _trusting_nobody()
    named = tuple(os.environ.get(name, "") for name in _NAMED) if trust_env else ("", "")
    if settings.ca_bundle is not None:
        return _trusting(str(settings.ca_bundle), _changed(settings.ca_bundle), ("", ""))
    return _trusting("", _changed(Path(named[0])) if named[0] else 0, named)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0  # the context's own error names the file


@lru_cache(maxsize=1)
def _trusting_nobody() -> ssl.SSLContext:
    """For plain http, where no certificate is looked at; should one be, it is refused."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@lru_cache(maxsize=8)
def _trusting(bundle: str, changed: int, named: tuple[str, ...]) -> ssl.SSLContext:
    del changed  # it is part of the key only
    try:
        if bundle:
            return ssl.create_default_context(cafile=bundle)
        return httpx.create_ssl_context(trust_env=any(named))
    except OSError as error:  # SSLError is one
        files = bundle or " and ".join(filter(None, named))
        raise ConfigError(f"cannot read the certificates in {files}: {error.strerror or error}") from error
