"""`OctopusSettings`: endpoint, credentials, limits; from arguments > environment > .env > profile file.

Environment variables are the field names in capitals after `OCTOPUS_` (`OCTOPUS_ENDPOINT`, `OCTOPUS_AUTHTOKEN`, …). The
profile file is TOML with one table per profile:

```toml
[default]
endpoint = "https://…/OctopusService.svc"
merchantname = "my shop"
```

It is `profiles.toml` in the user's configuration folder (`octopus-soap doctor` prints the path), or the file that
`OCTOPUS_PROFILES_FILE` names; `OCTOPUS_PROFILE` or the `profile` argument choose the table.
"""

from __future__ import annotations

import os
import re
import tomllib
from datetime import UTC
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from platformdirs import user_config_dir
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from octopus_soap._http import fits_header, is_loopback
from octopus_soap._version import __version__
from octopus_soap.contracts.bundled import operation_names
from octopus_soap.errors import ConfigError
from octopus_soap.safety import OmittedValues, Safety

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
_PREFIX = "OCTOPUS_"
_UNFIT = re.compile(r"[\x00-\x20\x7f-\xa0\ud800-\udfff\u2028\u2029]")
_SECRETS = ("authtoken", "accessid", "account_id")
_YES = frozenset({"1", "true", "yes", "on", "t", "y"})
HTTP_HEADER_FIELDS = ("authtoken", "merchantname", "accessid")
"""The credentials, named as the HTTP headers that carry them (vendor's page, Authorization)."""


def profiles_file() -> Path:
    """Return the path of the profile file."""
    named = os.environ.get("OCTOPUS_PROFILES_FILE")
    return Path(named).expanduser() if named else Path(user_config_dir("octopus-soap")) / "profiles.toml"


def server_of(url: str) -> tuple[str, int]:
    """Return host and port of *url*."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _is_server(parts: SplitResult) -> bool:
    try:
        (parts.hostname or "").encode("idna")
        port = parts.port
    except ValueError:  # UnicodeError is one
        return False
    return port != 0


class OctopusSettings(BaseSettings):
    """The settings of a client.

    Secrets are `SecretStr`: their values appear in no repr, log or error.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    endpoint: str
    """URL of the service, such as `https://host/OctopusService.svc`. No public one is known: ask your reseller."""
    authtoken: SecretStr
    """HTTP header `authtoken`."""
    merchantname: str
    """HTTP header `merchantname`."""
    accessid: SecretStr
    """HTTP header `accessid`."""
    account_id: SecretStr | None = None
    """Sent as accountID. Default: the access id, as in the sample of the vendor's page."""

    wsdl: Path | None = None
    """Path of a contract, such as one pinned from the live service. Default: the bundled reconstruction."""
    accept_unverified_contract: bool = False
    """Allow writes with the bundled contract against an endpoint that is not on this machine."""
    omitted_values: OmittedValues | dict[str, OmittedValues | list[str]] = OmittedValues.REFUSE
    """What to do about values that a write omits and the service would read as 0: refuse, send or read_first.

    Or a table by wire name of the operation, with `*` for the others, such as
    `{"*": "read_first", "SubmitOrder": ["shipping_total"]}`. A list names the members that may be omitted.
    """
    server_timezone: str = "UTC"
    """IANA time zone of the service's times that name no zone."""
    utc_suffix: bool = True
    """Write `Z` after UTC times; False writes nothing."""

    connect_timeout: Seconds = 5.0
    """Seconds to connect."""
    read_timeout: Seconds = 60.0
    """Longest silence of the service, in seconds."""
    idle_timeout: Seconds = 50.0
    """Longest time an idle connection is kept for the next request, in seconds. Load balancers close one after 60."""
    total_timeout: Seconds = 120.0
    """Seconds for one request with its retries and pauses (for each batch of a list call)."""

    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """Attempts per request, including the first."""
    backoff_base: Annotated[float, Field(ge=0, le=60)] = 0.5
    """Backoff between attempts, in seconds: the pause before attempt n+1 is random, from 0 to base * 2**(n-1)."""
    backoff_cap: Annotated[float, Field(ge=0, le=600)] = 20.0
    """Maximum backoff between attempts, in seconds."""
    retry_after_cap: Annotated[float, Field(ge=0, le=3600)] = 30.0
    """Longest Retry-After to wait for, in seconds; a longer one raises RateLimitedError at once."""
    safety: dict[str, Safety] = Field(default_factory=dict[str, Safety])
    """Overrides of safety classes (read, idempotent, unsafe) by wire name of the operation."""

    ping_timeout: Seconds = 5.0
    """Seconds for a whole `ping`."""

    max_connections: Annotated[int, Field(ge=1, le=256)] = 10
    """Most connections of one client, and so most requests and batches of a read at once."""
    max_requests_per_second: Annotated[float, Field(ge=0.001, le=10_000, allow_inf_nan=False)] | None = None
    """Most requests that one client starts per second, evenly spaced, with retries and pings. Default: no limit."""
    parallel_writes: Annotated[int, Field(ge=1, le=256)] = 1
    """Batches of a write sent at once."""
    batch_sizes: dict[str, int] = Field(default_factory=dict[str, int])
    """Items per request, by wire name of the operation; documented limits cannot be raised."""
    max_request_bytes: Annotated[int, Field(ge=2_048)] = 1_000_000
    """Largest request body. The default limit of WCF is 65536; the limit of this service is not documented."""
    max_reply_bytes: Annotated[int, Field(ge=2_048)] = 64 * 1024 * 1024
    """Largest reply body, decompressed."""

    ca_bundle: Path | None = None
    """File of CA certificates to trust instead of the default ones. Verification cannot be turned off."""
    allow_insecure: bool = False
    """Allow credentials over plain http to another machine."""
    user_agent: str = ""
    """Appended to the User-Agent header, such as `shop-sync/2.1`."""
    profile: str = "default"
    """Table of the profile file."""
    trust_env_file: bool = False
    """Let `.env` name the endpoint for credentials from another source. It has no effect in `.env` itself."""

    if not TYPE_CHECKING:  # type checkers build the signature from the fields

        def __init__(self, **given: Any) -> None:
            """Build settings from *given* and the other sources; raises `ConfigError` naming every wrong field."""
            try:
                super().__init__(**given)
            except ValidationError as error:
                raise ConfigError(_explain(error)) from None
            except SettingsError as error:  # a variable that should be JSON; the text names it without its value
                raise ConfigError(f"{error}: it must be JSON") from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class's interface
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then .env, then the profile file."""
        environment, dotenv = _Variables(settings_cls, env_settings), _Variables(settings_cls, dotenv_settings)
        given = (init_settings, environment, dotenv)
        profile = _ProfileSource(settings_cls, given)
        return (*given, profile, _NoRedirection(settings_cls, (init_settings, environment), dotenv, profile))

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Build settings from *given* (None means not given) and the other sources.

        Raises:
            ConfigError: a setting is missing or not accepted; names the fields, never their secret values.
        """
        return cls(**{name: value for name, value in given.items() if value is not None})

    def changed(self, **changes: Any) -> Self:
        """Return a validated copy with *changes*; no other source is read.

        Raises:
            ConfigError: a value is not accepted.
        """
        copy = object.__new__(type(self))
        try:
            type(self).__pydantic_validator__.validate_python({**self.__dict__, **changes}, self_instance=copy)
        except ValidationError as error:
            raise ConfigError(_explain(error)) from None
        return copy

    @field_validator(*HTTP_HEADER_FIELDS)
    @classmethod
    def _fits_a_header(cls, value: Any) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not fits_header(text):
            raise ValueError("must be printable ASCII text without spaces around it, to fit an HTTP header")
        return value

    @field_validator("server_timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("not an IANA time zone such as 'UTC' or 'America/New_York'") from None
        return value

    @field_validator("ca_bundle")
    @classmethod
    def _is_there(cls, value: Path | None) -> Path | None:
        if value is not None and not value.exists():
            raise ValueError("no such file")
        return value

    @field_validator("user_agent")
    @classmethod
    def _fits_the_header(cls, value: str) -> str:
        if value.strip() and not fits_header(value.strip()):
            raise ValueError("must be printable ASCII text, to fit an HTTP header")
        return value

    @field_validator("batch_sizes", "safety")
    @classmethod
    def _names_operations(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, size in value.items():
            if name not in operation_names():
                raise ValueError(f"{name!r} is not the wire name of an operation")
            if isinstance(size, int) and size < 1:
                raise ValueError(f"{name}: a batch has at least one item")
        return value

    @field_validator("omitted_values")
    @classmethod
    def _chooses_for_operations(cls, value: Any) -> Any:
        for name in value if isinstance(value, dict) else ():
            if name != "*" and name not in operation_names():
                raise ValueError(f"{name!r} is no operation's wire name, nor * for the others")
        return value

    @field_validator("wsdl", mode="before")
    @classmethod
    def _is_a_file(cls, value: Any) -> Any:
        if isinstance(value, (str, Path)) and re.match(r"https?:/", str(value)):  # a Path has lost the second slash
            raise ValueError(
                "takes a file, not a URL; fetch the contract and store it with: octopus-soap wsdl pin "
                f"{str(value).replace(':/', '://', 1) if '://' not in str(value) else value}"
            )
        return value

    @model_validator(mode="after")
    def _safe_endpoint(self) -> Self:
        if found := _UNFIT.search(self.endpoint):
            raise ValueError(f"endpoint: has {found[0]!r} at position {found.start()}, which no URL can have")
        try:
            parts = urlsplit(self.endpoint)
        except ValueError as error:
            raise ValueError(f"endpoint: not a URL: {error}") from None
        if not _is_server(parts):
            raise ValueError("endpoint: not a host name, or not a port from 1 to 65535")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("endpoint: must be an http or https URL")
        if parts.username or parts.password:
            raise ValueError("endpoint: must not carry a user name or password")
        if parts.scheme == "http" and not self.allow_insecure and not is_loopback(self.endpoint):
            raise ValueError(
                "endpoint: would send credentials over plain http to another machine; use https, or set allow_insecure"
            )
        return self

    @property
    def server_zone(self) -> tzinfo:
        """`server_timezone` as a tzinfo."""
        return UTC if self.server_timezone == "UTC" else ZoneInfo(self.server_timezone)

    @property
    def sent_account_id(self) -> str:
        """What is sent as accountID."""
        return (self.account_id or self.accessid).get_secret_value()

    @property
    def sent_user_agent(self) -> str:
        """What is sent as User-Agent."""
        return f"octopus-soap/{__version__} {self.user_agent}".strip()

    def credentials(self) -> dict[str, str]:
        """Return the HTTP headers that authorize a request. They are secret."""
        return {
            "authtoken": self.authtoken.get_secret_value(),
            "merchantname": self.merchantname,
            "accessid": self.accessid.get_secret_value(),
        }

    def secrets(self) -> list[str]:
        """Return the values to mask wherever they appear."""
        return [self.authtoken.get_secret_value(), self.accessid.get_secret_value(), self.sent_account_id]


class IsolatedSettings(OctopusSettings):
    """Settings from arguments only: a demo or a test must not send a real account id, nor use a real contract."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the arguments, and no other source."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


class _Variables(PydanticBaseSettingsSource):
    """The variables of the environment, or the lines of a .env file, that are ours; other programs have theirs there.

    They are looked at once, and only where there is one: looking for thirty fields is most of what a further client
    costs.
    """

    def __init__(self, settings_cls: type[BaseSettings], source: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._source = source
        self._found: dict[str, Any] | None = None

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        if self._found is None:
            ours = _PREFIX.lower()
            named = any(name.lower().startswith(ours) for name in getattr(self._source, "env_vars", [_PREFIX]))
            known = self.settings_cls.model_fields
            # What begins like ours and is not known stays, and is refused by name: a typo.
            self._found = {
                name: value
                for name, value in (self._source() if named else {}).items()
                if name in known or name.startswith(ours)
            }
        return self._found


class _ProfileSource(PydanticBaseSettingsSource):
    """The profile file's table."""

    def __init__(self, settings_cls: type[BaseSettings], before: tuple[Callable[[], dict[str, Any]], ...]) -> None:
        super().__init__(settings_cls)
        self._before = before

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the base class's interface; __call__ gives the whole table
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        named = next((name for source in self._before if (name := source().get("profile"))), None)
        path = profiles_file()
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            tables = {}
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"cannot read the profile file {path}: {error}") from None
        table = tables.get(named or "default")
        if table is None:
            if named and named != "default":
                known = ", ".join(sorted(tables)) or "none"
                raise ConfigError(f"no profile {named!r} in {path}; profiles there: {known}")
            return {}
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {named or 'default'!r} must be a table")
        return _with_keyring({str(name): value for name, value in table.items()}, named or "default")


def system_keyring() -> Any:
    """Return the package keyring, which stores passwords as the system does.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module("keyring")
    except ImportError:
        raise ConfigError("secrets in a keyring need the package keyring: pip install keyring") from None


def _with_keyring(table: dict[str, Any], profile: str) -> dict[str, Any]:
    """Return the profile *table*; with `secrets = "keyring"` completed by the secrets that `login` stored there."""
    where = table.pop("secrets", "file")
    if where == "file":
        return table
    if where != "keyring":
        raise ConfigError(f"profile {profile}: secrets must be 'file' or 'keyring', not {where!r}")
    store = system_keyring()
    try:
        found = {name: store.get_password("octopus-soap", f"{profile}:{name}") for name in _SECRETS}
    except Exception as error:  # noqa: BLE001 - whatever a backend raises: its errors share no base
        raise ConfigError(f"profile {profile}: cannot read the keyring: {type(error).__name__}: {error}") from None
    return {**table, **{name: value for name, value in found.items() if value is not None}}


class _NoRedirection(PydanticBaseSettingsSource):
    """Gives no value: refuses a `.env` that would send credentials from another source to an address of its own.

    Otherwise anyone who can put a file into a working folder could collect the credentials used there.
    """

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        above: tuple[Callable[[], dict[str, Any]], ...],
        dotenv: Callable[[], dict[str, Any]],
        below: Callable[[], dict[str, Any]],
    ) -> None:
        super().__init__(settings_cls)
        self._above, self._dotenv, self._below = above, dotenv, below

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the base class's interface
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        local = self._dotenv()
        above = {name: value for source in reversed(self._above) for name, value in source().items()}
        if "endpoint" not in local or "endpoint" in above:
            return {}
        others = {**self._below(), **above}
        held = [name for name in _SECRETS if name in others and (name in above or name not in local)]
        if held and str(others.get("trust_env_file", "")).lower() not in _YES:
            raise ConfigError(
                f"{Path('.env').resolve()} names the endpoint, but {' and '.join(held)} come from another source: that "
                "file would decide who gets them. Set OCTOPUS_ENDPOINT in the environment or pass endpoint=..., put "
                "the credentials into the same file, or allow it with OCTOPUS_TRUST_ENV_FILE=1 in the environment"
            )
        return {}


def _explain(error: ValidationError) -> str:
    missing: list[str] = []
    wrong: list[str] = []
    for details in error.errors(include_url=False, include_input=False):
        name = ".".join(str(part) for part in details["loc"])
        if details["type"] == "missing":
            missing.append(name)
        else:
            wrong.append(f"{name + ': ' if name else ''}{details['msg'].removeprefix('Value error, ')}")
    parts: list[str] = []
    if missing:
        names = ", ".join(f"OCTOPUS_{name.upper()}" for name in missing)
        parts.append(
            f"missing: {', '.join(missing)}. Pass them, set {names}, or put them in {profiles_file()}. If you have no "
            "account, start a local fake server: octopus-soap serve"
        )
    return "; ".join(parts + wrong)
