"""The merchants of a fleet.

They can be added, changed, paused, resumed and removed while workers run. Each change is one transaction and takes
effect at the next tick, within seconds, because a run reads its merchant's row when it begins. A merchant is `active`,
`paused` (by an operator) or `refused` (the service rejected the credentials three times in a row; nothing is sent until
`resume`).
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from shlex import quote
from typing import TYPE_CHECKING, Any
from zlib import crc32

from sqlalchemy import and_, bindparam, delete, insert, inspect, select, update

from octopus_soap.errors import ConfigError, InvalidInputError, Problem
from octopus_soap.fleet.tables import MERCHANT, RUN, SCHEDULE, prepare
from octopus_soap.fleet.vault import Vault, describe
from octopus_soap.jobs.tables import CHANNEL, METADATA

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from os import PathLike

    from sqlalchemy import Connection, Row

    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.settings import OctopusSettings

JOBS = ("push", "orders", "changes")
ACTIVE, PAUSED, REFUSED = "active", "paused", "refused"
SECRETS = ("authtoken", "accessid")
_ALL_SECRETS = (*SECRETS, "account_id")
_LONGEST_NAME = 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE = select(MERCHANT).where(MERCHANT.c.name == bindparam("whose"))
"""Every run reads it, so the statement is built once."""
_OWN = frozenset({"endpoint", "merchantname", "authtoken", "accessid", "account_id", "profile"})


@dataclass(frozen=True, slots=True)
class Merchant:
    """One merchant, without its secrets.

    Attributes:
        name: unique in the fleet; its channel in the ledger.
        endpoint: URL of the service.
        merchantname: the header `merchantname`.
        settings: settings that differ from the defaults, such as `{"max_requests_per_second": 2}`.
        labels: an operator's own words, such as `{"region": "north"}`.
        state: `active`, `paused` or `refused`.
        reason: why it is not active.
        secrets: where each secret is; `encrypted` for one that is stored.
        changed_at: when it was last changed.
    """

    name: str
    endpoint: str
    merchantname: str
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    labels: dict[str, str] = field(default_factory=dict[str, str])
    state: str = ACTIVE
    reason: str = ""
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    changed_at: datetime | None = None


class Registry:
    """The merchants of one database.

    Args:
        ledger: any ledger on the database.
        vault: reads and encrypts secrets; by default with the keys of `OCTOPUS_FLEET_KEYS`.

    Raises:
        LedgerError: the database cannot be used.
    """

    def __init__(self, ledger: Ledger, vault: Vault | None = None) -> None:
        self._ledger, self._vault = ledger, vault or Vault()
        prepare(ledger)

    def add(
        self,
        name: str,
        *,
        endpoint: str,
        merchantname: str,
        authtoken: str,
        accessid: str,
        account_id: str | None = None,
        settings: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        every: Mapping[str, float] | None = None,
    ) -> Merchant:
        """Add a merchant.

        Args:
            name: 1 to 60 printable characters, unique in the fleet.
            endpoint: URL of the service.
            merchantname: the header `merchantname`.
            authtoken: the header `authtoken`: the secret, or a reference such as `env:BERLIN_TOKEN`.
            accessid: the header `accessid`: the secret or a reference.
            account_id: sent as accountID: the secret or a reference; the access id by default.
            settings: settings that differ from the defaults, such as `{"wsdl": "/etc/octopus/OctopusService.wsdl"}`.
            labels: an operator's own words.
            every: seconds between the runs of each job, such as `{"push": 300, "orders": 60}`.

        Raises:
            ConfigError: a value cannot be used, or the name is taken.
        """
        if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable() or name != name.strip():
            raise ConfigError(
                f"merchant {name[:80]!r}: give a name of 1 to 60 printable characters without outer blanks"
            )
        plain = {"authtoken": authtoken, "accessid": accessid, "account_id": account_id}
        made: dict[str, Any] = {
            "name": name,
            "endpoint": endpoint,
            "merchantname": merchantname,
            **{key: None if value is None else self._vault.store(name, key, value) for key, value in plain.items()},
            "settings": dict(settings or {}),
            "labels": dict(labels or {}),
            "every": every or {},
        }
        _check(name, endpoint, merchantname, made["settings"])
        with self._ledger.transaction() as connection:
            if self._row(connection, name) is not None:
                raise ConfigError(
                    f"there is a merchant {name!r} already; change it: octopus-soap fleet set {quote(name)}"
                )
            self._write(connection, made, self._ledger.now(connection))
        return self.get(name)

    def set(
        self,
        name: str,
        *,
        endpoint: str | None = None,
        merchantname: str | None = None,
        authtoken: str | None = None,
        accessid: str | None = None,
        account_id: str | None = None,
        settings: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Merchant:
        """Change a merchant; an argument that is None changes nothing.

        Settings and labels are replaced as a whole.

        Raises:
            ConfigError: there is no such merchant, or a value cannot be used.
        """
        with self._ledger.transaction() as connection:
            row = self._known(connection, name)
            secrets = json.loads(row.secrets)
            for key, value in (("authtoken", authtoken), ("accessid", accessid), ("account_id", account_id)):
                if value is not None:
                    secrets[key] = self._vault.store(name, key, value)
            values: dict[str, Any] = {
                "endpoint": endpoint or row.endpoint,
                "merchantname": merchantname or row.merchantname,
                "secrets": json.dumps(secrets),
                "settings": row.settings if settings is None else json.dumps(dict(settings)),
                "labels": row.labels if labels is None else json.dumps(dict(labels)),
                "changed_at": self._ledger.now(connection),
            }
            _check(name, values["endpoint"], values["merchantname"], json.loads(values["settings"]))
            connection.execute(update(MERCHANT).where(MERCHANT.c.name == name).values(values))
        return self.get(name)

    def schedule(self, name: str, job: str, *, every: float | None) -> None:
        """Set how often a job of a merchant runs.

        Args:
            name: the merchant.
            job: `push`, `orders` or `changes`.
            every: seconds between the starts of two runs, from 1 second to 7 days; None ends the schedule.

        Raises:
            ConfigError: there is no such merchant or job.
        """
        with self._ledger.transaction() as connection:
            self._known(connection, name)
            self._schedule(connection, name, job, every, self._ledger.now(connection))

    def _schedule(self, connection: Connection, name: str, job: str, every: float | None, now: datetime) -> None:
        if job not in JOBS:
            raise ConfigError(f"{name}: there is no job {job!r}; there are {', '.join(JOBS)}")
        mine = (SCHEDULE.c.name == name, SCHEDULE.c.job == job)
        if every is None:
            connection.execute(delete(SCHEDULE).where(*mine))
            return
        if not 1 <= every <= 7 * 86_400:
            raise ConfigError(f"{name}: every {every:g} s is not from 1 second to 7 days")
        first = next_time(name, job, every, now)
        if connection.execute(update(SCHEDULE).where(*mine).values(every=every, next_at=first)).rowcount == 0:
            connection.execute(insert(SCHEDULE).values(name=name, job=job, every=every, next_at=first))

    def pause(self, name: str, reason: str = "") -> None:
        """Run no job of a merchant until `resume`; a run under way continues to its end."""
        self._set_state(name, PAUSED, reason or "paused by an operator")

    def resume(self, name: str) -> None:
        """Run a merchant's jobs again; those that are due run at the next tick."""
        self._set_state(name, ACTIVE, "")
        with self._ledger.transaction() as connection:
            connection.execute(update(SCHEDULE).where(SCHEDULE.c.name == name).values(refusals=0, failures=0))

    def run_now(self, name: str, job: str | None = None) -> int:
        """Make a merchant's jobs due at once, and return how many.

        A job that waits for a worker or is running is left as it is.

        Args:
            name: the merchant.
            job: only this job.

        Raises:
            ConfigError: there is no such merchant, it is not active, or it has no such job.
        """
        with self._ledger.transaction() as connection:
            row = self._known(connection, name)
            if row.state != ACTIVE:
                raise ConfigError(not_active(name, row.state, row.reason))
            mine = SCHEDULE.c.name == name if job is None else and_(SCHEDULE.c.name == name, SCHEDULE.c.job == job)
            if connection.execute(select(SCHEDULE.c.job).where(mine)).first() is None:
                raise ConfigError(
                    f"{name} has no job {job or 'at all'}; add one: octopus-soap fleet schedule {quote(name)} push 5m"
                )
            due = update(SCHEDULE).where(mine, SCHEDULE.c.enqueued_at.is_(None))
            return connection.execute(due.values(next_at=self._ledger.now(connection))).rowcount

    def _set_state(self, name: str, state: str, reason: str) -> None:
        with self._ledger.transaction() as connection:
            self._known(connection, name)
            values = {"state": state, "reason": reason[:400], "changed_at": self._ledger.now(connection)}
            connection.execute(update(MERCHANT).where(MERCHANT.c.name == name).values(values))

    def remove(self, name: str, *, purge: bool = False) -> None:
        """Remove a merchant and its schedule.

        Args:
            name: the merchant.
            purge: also delete its rows in the ledger: orders, stock and changes. If the merchant is added again, orders
                that were not confirmed are listed and handed over again.

        Raises:
            ConfigError: there is no such merchant.
        """
        with self._ledger.transaction() as connection:
            self._known(connection, name)
            for table in (SCHEDULE, RUN, MERCHANT):
                connection.execute(delete(table).where(table.c.name == name))
            if purge:
                there = set(inspect(connection).get_table_names())
                for ledgers in METADATA.sorted_tables:
                    if "channel" in ledgers.c and ledgers.name in there:
                        connection.execute(delete(ledgers).where(ledgers.c.channel == name))
                connection.execute(delete(CHANNEL).where(CHANNEL.c.channel == name))

    def rotate_keys(self) -> int:
        """Encrypt all secrets with the first key, and return how many merchants changed.

        Running workers need both keys until it is done.
        """
        changed = 0
        for merchant in self.all():
            with self._ledger.transaction() as connection:
                row = self._row(connection, merchant.name)
                if row is None:
                    continue
                secrets = json.loads(row.secrets)
                renewed = {key: self._vault.renew(merchant.name, key, value) for key, value in secrets.items()}
                if renewed != secrets:
                    values = {"secrets": json.dumps(renewed)}
                    connection.execute(update(MERCHANT).where(MERCHANT.c.name == merchant.name).values(values))
                    changed += 1
        return changed

    def import_csv(self, path: str | PathLike[str]) -> int:
        """Add or change the merchants of a CSV file, and return how many there are.

        Columns: `name`, `endpoint`, `merchantname`, `authtoken`, `accessid`. Optional columns: `account_id`,
        `push_every`, `orders_every` and `changes_every` in seconds, `label:...` and `setting:...`.

        Raises:
            InvalidInputError: some rows are refused; the error lists all of them, and nothing was changed.
            OSError: the file cannot be read.
        """
        with open(path, newline="", encoding="utf-8-sig") as file:  # noqa: PTH123 - csv reads the open file
            reader = csv.DictReader(file)
            rows = list(reader)
        columns = set(reader.fieldnames or ())
        needed = {"name", "endpoint", "merchantname", *SECRETS}
        if missing := sorted(needed - columns):
            raise InvalidInputError([Problem(f"the file has no column {', '.join(missing)}", field="columns")])
        problems: list[Problem] = []
        ready: list[dict[str, Any]] = []
        seen: set[str] = set()
        for index, row in enumerate(rows):
            try:
                made = _from_row(row)
                if made["name"] in seen:
                    raise ConfigError("the name is in the file twice")  # noqa: TRY301 - listed like the others
                seen.add(made["name"])
                _check(made["name"], made["endpoint"], made["merchantname"], made["settings"])
                for key in [key for key in _ALL_SECRETS if made[key]]:
                    made[key] = self._vault.store(made["name"], key, made[key])
            except (ConfigError, ValueError) as error:
                problems.append(Problem(str(error), index=index, key=row.get("name")))
            else:
                ready.append(made)
        if problems:
            raise InvalidInputError(problems, sent="nothing was changed")
        with self._ledger.transaction() as connection:
            now = self._ledger.now(connection)
            for made in ready:
                self._write(connection, made, now)
        return len(ready)

    def _write(self, connection: Connection, made: dict[str, Any], now: datetime) -> None:
        values = {
            "endpoint": made["endpoint"],
            "merchantname": made["merchantname"],
            "secrets": json.dumps({key: made[key] for key in _ALL_SECRETS if made[key]}),
            "settings": json.dumps(made["settings"]),
            "labels": json.dumps(made["labels"]),
            "changed_at": now,
        }
        there = update(MERCHANT).where(MERCHANT.c.name == made["name"]).values(values)
        if connection.execute(there).rowcount == 0:
            connection.execute(insert(MERCHANT).values(name=made["name"], state=ACTIVE, **values))
        for job, seconds in made["every"].items():
            self._schedule(connection, made["name"], job, seconds, now)

    # -- reading -----------------------------------------------------------------------------------------------

    def get(self, name: str) -> Merchant:
        """Return a merchant.

        Raises:
            ConfigError: there is no such merchant.
        """
        with self._ledger.reading() as connection:
            return merchant_of(self._known(connection, name))

    def all(self) -> list[Merchant]:
        """Return all merchants, by name."""
        with self._ledger.reading() as connection:
            return [merchant_of(row) for row in connection.execute(select(MERCHANT).order_by(MERCHANT.c.name))]

    def settings_of(self, name: str) -> tuple[Merchant, OctopusSettings]:
        """Return a merchant, and the settings of its client including the secrets.

        Raises:
            ConfigError: there is no such merchant, or a secret cannot be read.
        """
        with self._ledger.reading() as connection:
            row = self._known(connection, name)
        merchant = merchant_of(row)
        secrets = {key: self._vault.read(name, key, value) for key, value in json.loads(row.secrets).items()}
        from octopus_soap.settings import IsolatedSettings  # noqa: PLC0415 - a worker's own variables are not a merchant's

        given = {"endpoint": merchant.endpoint, "merchantname": merchant.merchantname, "client_label": name}
        given |= secrets | merchant.settings
        return merchant, IsolatedSettings.load(**given)

    def _row(self, connection: Connection, name: str) -> Row[Any] | None:
        return connection.execute(_ONE, {"whose": name}).one_or_none()

    def _known(self, connection: Connection, name: str) -> Row[Any]:
        row = self._row(connection, name)
        if row is None:
            raise ConfigError(f"there is no merchant {name[:80]!r}; octopus-soap fleet list shows those there are")
        return row


def not_active(name: str, state: str, reason: str) -> str:
    """Return the message that a merchant is paused or refused, and what to do."""
    return f"{name} is {state}: {reason}; first: octopus-soap fleet resume {quote(name)}"


def next_time(name: str, job: str, every: float, after: datetime) -> datetime:
    """Return the next time after *after* at which a job is due.

    A hash of the merchant's name spreads these times over the period, so that thousands of merchants do not start
    together.
    """
    period = round(every * 1e6)  # whole microseconds, so that rounding cannot make a job due twice
    phase = crc32(f"{name}/{job}".encode()) * period >> 32
    now = (after - _EPOCH) // timedelta(microseconds=1)
    return _EPOCH + timedelta(microseconds=((now - phase) // period + 1) * period + phase)


def _check(name: str, endpoint: str, merchantname: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings that no client accepts, before they are stored."""
    from octopus_soap.settings import IsolatedSettings  # noqa: PLC0415 - see `settings_of`

    if "@" in str(settings.get("rate_limit_store", "")):
        raise ConfigError(f"{name}: rate_limit_store has a password, which would be stored in clear: use one without")
    if own := sorted(_OWN & set(settings)):
        raise ConfigError(f"{name}: {', '.join(own)} is not part of the settings; set it separately")
    placeholder = dict.fromkeys(SECRETS, "not-the-secret")
    try:
        IsolatedSettings.load(endpoint=endpoint, merchantname=merchantname, **placeholder, **settings)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error.message}") from None


def merchant_of(row: Row[Any]) -> Merchant:
    """Return the merchant of a row of `fleet_merchant`, without its secrets."""
    return Merchant(
        row.name,
        row.endpoint,
        row.merchantname,
        json.loads(row.settings),
        json.loads(row.labels),
        row.state,
        row.reason,
        {key: describe(value) for key, value in json.loads(row.secrets).items()},
        row.changed_at,
    )


def _from_row(row: Mapping[str, str | None]) -> dict[str, Any]:
    cells = {str(key): (value or "").strip() for key, value in row.items()}
    if not cells["name"]:
        raise ConfigError("the name is empty")
    return {
        "name": cells["name"],
        "endpoint": cells["endpoint"],
        "merchantname": cells["merchantname"],
        **{key: cells.get(key, "") for key in _ALL_SECRETS},
        "labels": dict(_prefixed(cells, "label:")),
        "settings": {key: setting_value(value) for key, value in _prefixed(cells, "setting:")},
        "every": {job: float(cells[f"{job}_every"]) for job in JOBS if cells.get(f"{job}_every")},
    }


def _prefixed(cells: Mapping[str, str], prefix: str) -> Iterable[tuple[str, str]]:
    return ((key.removeprefix(prefix), value) for key, value in cells.items() if key.startswith(prefix) and value)


def setting_value(text: str) -> Any:
    """Return a setting's value: the text as JSON if it is JSON, or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
