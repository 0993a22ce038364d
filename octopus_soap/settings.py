"""`OctopusSettings`, from arguments > environment > `.env` > profile file.

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

import json
import os
import re
from datetime import UTC
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from octopus_soap import display
from octopus_soap._http import fits_header, is_loopback
from octopus_soap._version import __version__
from octopus_soap.contracts.bundled import operation_names
from octopus_soap.errors import ConfigError
from octopus_soap.models.declarations import OmittedValues, Safety
from octopus_soap.profile_file import profiles_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import tzinfo

    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
_PREFIX = "OCTOPUS_"
_UNFIT = re.compile(r"[\x00-\x20\x7f-\xa0\ud800-\udfff\u2028\u2029]")
_SECRETS = ("authtoken", "accessid", "account_id")
_TEXTS = frozenset({"endpoint", "merchantname", "user_agent", "profile", *_SECRETS})
_FLAGS = frozenset({"accept_unverified_contract", "strict_lengths", "utc_suffix", "allow_insecure", "trust_env_file"})
_REQUIRED = frozenset({"endpoint", "authtoken", "merchantname", "accessid"})
_TABLES = {"batch_sizes": '{"UploadItemList": 20}', "safety": '{"UploadItem": "unsafe"}', "omitted_values": ""}
"""Settings that are tables, with an example of the JSON that a variable has."""
_YES = frozenset({"1", "true", "yes", "on", "t", "y"})
HTTP_HEADER_FIELDS = ("authtoken", "merchantname", "accessid")
"""The credentials, named as the HTTP headers that carry them (vendor's page, Authorization)."""


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


def _check_endpoint(endpoint: str, *, insecure: bool) -> None:
    if found := _UNFIT.search(endpoint):
        raise ValueError(f"endpoint: has {found[0]!r} at position {found.start()}, which no URL can have")
    try:
        parts = urlsplit(endpoint)
    except ValueError as error:
        raise ValueError(f"endpoint: not a URL: {error}") from None
    if not _is_server(parts):
        raise ValueError("endpoint: not a host name, or not a port from 1 to 65535")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("endpoint: must be an http or https URL")
    if parts.username or parts.password:
        raise ValueError("endpoint: must not carry a user name or password")
    if parts.scheme == "http" and not insecure and not is_loopback(endpoint):
        raise ValueError(
            "endpoint: would send credentials over plain http to another machine; use https, or set allow_insecure"
        )


class OctopusSettings(display.Shown, BaseModel):
    """The settings of a client.

    Secrets are `SecretStr`: their values appear in no repr, log or error.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)

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
    strict_lengths: bool = False
    """Refuse a write with a text that is longer than the vendor's page allows. What the service does is unknown."""
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

    deadline: Seconds | None = None
    """Seconds for a whole call: all its batches, attempts, pauses and waits together. None for no such limit."""

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

    breaker_failures: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Failures in a row after which nothing is sent for a while (a circuit breaker). Default: none."""
    breaker_seconds: Seconds = 30.0
    """Seconds for which nothing is sent once `breaker_failures` is reached; after that, one request tries."""

    ping_timeout: Seconds = 5.0
    """Seconds for a whole `ping`."""

    max_connections: Annotated[int, Field(ge=1, le=256)] = 10
    """Most connections of one client, and so most requests and batches of a read at once."""
    max_requests_per_second: Annotated[float, Field(ge=0.001, le=10_000, allow_inf_nan=False)] | None = None
    """Most requests that one client starts per second, evenly spaced, with retries and pings. Default: no limit."""
    rate_limit_store: SecretStr | None = None
    """URL of a Redis that keeps `max_requests_per_second` for all processes of the account, such as `redis://host/0`."""
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
    client_label: Annotated[str, Field(max_length=60)] = ""
    """Names the client in events, log records and spans, such as a merchant's name; never sent to the service."""
    profile: str = "default"
    """Table of the profile file."""
    trust_env_file: bool = False
    """Let `.env` name the endpoint for credentials from another source. It has no effect in `.env` itself."""

    if not TYPE_CHECKING:  # type checkers build the signature from the fields

        def __init__(self, **given: Any) -> None:
            """Build settings from *given* and the other sources; raises `ConfigError`."""
            values = self._completed(given)
            if (plain := self._plain(values)) is not None:
                self.__setstate__(plain.__getstate__())
                return
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise ConfigError(_explain(error)) from None

    @classmethod
    def _completed(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Return *given*, completed from the other sources."""
        return _merged(values for _, values in settings_sources(given))

    @classmethod
    def _plain(cls, values: dict[str, Any]) -> Self | None:
        """Return settings without pydantic's validator; None if *values* need it.

        Valid texts and flags do not need it, and to build it takes a tenth of the time of a process's first call. The
        rules here are its own. Values that are not valid go to pydantic, whose error has the reason.
        """
        made: dict[str, Any] = {}
        for name, value in values.items():
            if not (name in _FLAGS and type(value) is bool) and not (
                name in _TEXTS and type(value) is str and value.isascii()
            ):
                return None
            made[name] = SecretStr(str(value)) if name in _SECRETS else value
        if not made.keys() >= _REQUIRED:
            return None
        settings = cls.model_construct(**made)
        try:
            for name in HTTP_HEADER_FIELDS:
                cls._fits_a_header(made[name])
            cls._fits_the_header(settings.user_agent)
            _check_endpoint(settings.endpoint, insecure=settings.allow_insecure)
        except ValueError:
            return None
        return settings

    @classmethod
    def descriptions(cls) -> dict[str, str]:
        """Return the meaning of each setting: the text below it in this module."""
        import ast  # noqa: PLC0415 - only documentation asks
        import inspect  # noqa: PLC0415 - see above

        (tree,) = ast.parse(inspect.getsource(OctopusSettings)).body
        found: dict[str, str] = {}
        for above, below in pairwise(tree.body if isinstance(tree, ast.ClassDef) else ()):
            match above, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = inspect.cleandoc(text)
                case _:
                    pass
        return found

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        made = handler.resolve_ref_schema(handler(schema))
        for name, text in cls.descriptions().items():
            made["properties"][name]["description"] = text
        return made

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

    @field_validator("rate_limit_store")
    @classmethod
    def _is_a_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value.get_secret_value())
            fits = parts.scheme in {"redis", "rediss"} and _is_server(parts) and bool(parts.hostname)
        except ValueError:
            fits = False
        if not fits and not value.get_secret_value().startswith("unix:///"):
            raise ValueError("must be redis://HOST:PORT/DATABASE, rediss://... or unix:///PATH")
        return value

    @field_validator("client_label")
    @classmethod
    def _is_printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("must be printable text on one line")
        return value

    @field_validator("server_timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - most services are in UTC

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
        _check_endpoint(self.endpoint, insecure=self.allow_insecure)
        if self.rate_limit_store is not None and self.max_requests_per_second is None:
            raise ValueError("rate_limit_store: keeps a rate; set max_requests_per_second too")
        return self

    def _view(self) -> display.View:
        return display.view_of_members("OctopusSettings", self)

    @property
    def server_zone(self) -> tzinfo:
        """`server_timezone` as a tzinfo."""
        if self.server_timezone == "UTC":
            return UTC
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - most services are in UTC

        return ZoneInfo(self.server_timezone)

    @property
    def sent_account_id(self) -> str:
        """The value sent as accountID."""
        return (self.account_id or self.accessid).get_secret_value()

    @property
    def sent_user_agent(self) -> str:
        """The value sent as User-Agent."""
        return f"octopus-soap/{__version__} {self.user_agent}".strip()

    def credentials(self) -> dict[str, str]:
        """Return the secret HTTP headers that authorize a request."""
        return {
            "authtoken": self.authtoken.get_secret_value(),
            "merchantname": self.merchantname,
            "accessid": self.accessid.get_secret_value(),
        }

    def secrets(self) -> list[str]:
        """Return the values to mask wherever they appear."""
        found = [self.authtoken.get_secret_value(), self.accessid.get_secret_value(), self.sent_account_id]
        if self.rate_limit_store is not None and (
            password := urlsplit(self.rate_limit_store.get_secret_value()).password
        ):
            found += [password, unquote(password)]
        return found


class IsolatedSettings(OctopusSettings):
    """Settings from arguments only, so that a demo or a test uses no real account."""

    @classmethod
    def _completed(cls, given: dict[str, Any]) -> dict[str, Any]:
        return given


def settings_sources(given: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the name and the values of each source of settings, the strongest first.

    Raises:
        ConfigError: a source cannot be read, or a `.env` would send credentials from another source to its own address.
    """
    environment = _variables(os.environ, "the environment")
    lines = _variables(_env_file(), ".env", keep_unknown=True)
    named = next((source["profile"] for source in (given, environment, lines) if "profile" in source), None)
    profile = _profile(named)
    _refuse_redirection({**environment, **given}, lines, profile)
    label = f"profile {named or 'default'}"
    return [("arguments", given), ("environment", environment), (".env", lines), (label, profile)]


def _merged(sources: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Merge *sources*, of which the first is the strongest; tables are merged too."""
    found: dict[str, Any] = {}
    for values in sources:
        for name, value in values.items():
            above = found.get(name, value)
            found[name] = {**value, **above} if isinstance(above, dict) and isinstance(value, dict) else above
    return found


def _variables(variables: Mapping[str, str | None], where: str, *, keep_unknown: bool = False) -> dict[str, Any]:
    """Return our settings among *variables*, whose names may be in any case.

    With *keep_unknown*, a variable that begins like ours and is none is kept: it is a typo, and refused later. In the
    environment it may belong to another program.
    """
    found: dict[str, Any] = {}
    for variable, text in variables.items():
        name = variable.lower()
        if text is None or not name.startswith(_PREFIX.lower()):
            continue
        field = name.removeprefix(_PREFIX.lower())
        if field not in OctopusSettings.model_fields:
            if keep_unknown and text:
                found[name] = text
        elif (value := _from_text(field, text, where)) is not None:
            found[field] = value
    return found


def _from_text(field: str, text: str, where: str) -> Any:
    if field not in _TABLES:
        return text
    try:
        return json.loads(text)
    except ValueError:  # the error is raised below, without the parser's as its context: that has the text in it
        pass
    if field == "omitted_values":
        return text  # one of its modes
    raise ConfigError(f"{field}: {_PREFIX}{field.upper()} in {where} must be JSON, such as {_TABLES[field]}")


def _env_file() -> dict[str, str | None]:
    path = Path(".env")
    if not (path.is_file() or path.is_fifo()):
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415 - most processes have no such file

    try:
        return dotenv_values(path, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path.resolve()}: {error}") from None


def _profile(named: str | None) -> dict[str, Any]:
    """Return the table *named* of the profile file, or its default one."""
    path = profiles_file()
    try:
        text = path.read_text(encoding="utf-8")
        import tomllib  # noqa: PLC0415 - most processes have no such file

        tables = tomllib.loads(text)
    except FileNotFoundError:
        tables = {}
    except (OSError, ValueError) as error:  # not UTF-8, or not TOML: both are ValueErrors
        raise ConfigError(f"cannot read the profile file {path}: {error}") from None
    table = tables.get(named or "default")
    if table is None:
        if named and named != "default":
            known = ", ".join(sorted(tables)) or "none"
            raise ConfigError(
                f"no profile {named!r} in {path}; profiles there: {known}. "
                f"octopus-soap login --profile {named} writes one"
            )
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
    """Return the profile *table*, with the keyring's secrets if it asks for them."""
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


def _refuse_redirection(above: dict[str, Any], lines: dict[str, Any], below: dict[str, Any]) -> None:
    """Refuse a `.env` (*lines*) that would redirect credentials from another source.

    Otherwise anyone who can put a file into a working folder could collect the credentials used there.
    """
    if "endpoint" not in lines or "endpoint" in above:
        return
    others = {**below, **above}
    held = [name for name in _SECRETS if name in others and (name in above or name not in lines)]
    if held and str(others.get("trust_env_file", "")).lower() not in _YES:
        raise ConfigError(
            f"{Path('.env').resolve()} names the endpoint, but {' and '.join(held)} come from another source: that "
            "file would decide who gets them. Set OCTOPUS_ENDPOINT in the environment or pass endpoint=..., put "
            "the credentials into the same file, or allow it with OCTOPUS_TRUST_ENV_FILE=1 in the environment"
        )


def _explain(error: ValidationError) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only after a mistake

    missing: list[str] = []
    wrong: dict[str, str] = {}
    for details in error.errors(include_url=False):
        name = ".".join(str(part) for part in details["loc"])
        setting = name.partition(".")[0]
        if details["type"] == "missing":
            missing.append(name)
        elif details["type"] == "extra_forbidden":  # its value may be a secret
            near = get_close_matches(name.lower().removeprefix(_PREFIX.lower()), OctopusSettings.model_fields, n=1)
            wrong[name] = f"{name}: no such setting{f'; did you mean {near[0]}?' if near else ''}"
        else:
            message = details["msg"].removeprefix("Value error, ")
            if setting == "omitted_values" and name != setting:  # each way to read it has an error of its own
                name, message = setting, "must be refuse, send or read_first, or a table of these by operation"
            value = details["input"]  # a text may be a secret that was set under the wrong name
            got = f" (got {value!r})" if isinstance(value, (int, float)) and setting not in _TEXTS else ""
            wrong.setdefault(name, f"{name + ': ' if name else ''}{message}{got}")
    parts: list[str] = []
    if missing:
        names = ", ".join(f"OCTOPUS_{name.upper()}" for name in missing)
        parts.append(
            f"missing: {', '.join(missing)}. Pass them, set {names}, or put them in {profiles_file()}. If you have no "
            "account, start a local fake server: octopus-soap serve"
        )
    return "; ".join([*parts, *wrong.values()])
