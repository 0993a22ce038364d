"""The checks of `octopus-soap doctor`, each with one finding.

A check may depend on those before it. Every check has a time limit; together they take less than half a minute. Nothing
is written: they read the WSDL, and look up an unlikely SKU.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from octopus_soap._http import is_loopback
from octopus_soap.client import OctopusClient
from octopus_soap.contracts.diff import COST, Omission, compare, omissions, recommended, refused
from octopus_soap.contracts.pin import pinned_files, tried_contract
from octopus_soap.contracts.wsdl import load_contract
from octopus_soap.errors import ConfigError, OctopusError
from octopus_soap.models.declarations import OmittedValues
from octopus_soap.profile_file import profiles_file
from octopus_soap.settings import OctopusSettings, server_of, settings_sources
from octopus_soap.transport import connections, probes
from octopus_soap.transport.probes import ContractFetcher
from octopus_soap.wire.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octopus_soap.cli.calling import Connection
    from octopus_soap.contracts.wsdl import Contract

NAME_SECONDS = 3.0
PORT_SECONDS = 3.0
TLS_SECONDS = 4.0
CONTRACT_SECONDS = 7.0
READ_SECONDS = 5.0
"""22 seconds in all if everything hangs."""
_EXPIRES_SOON = 30  # days
_SKEW_NOTED, _SKEW_BAD = 30.0, 300.0  # seconds


class Status(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, with its reason, an advice, and further lines."""

    check: str
    status: Status
    text: str
    advice: str = ""
    details: tuple[str, ...] = ()


class Diagnostics:
    """One run of all checks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._contract: Contract | None = None
        self._skew: float | None = None
        self._reached = False

    @cached_property
    def settings(self) -> OctopusSettings:
        """The settings in force.

        Raises:
            ConfigError: a setting is missing or not accepted.
        """
        return self._connection.settings()

    def run(self) -> Iterator[Finding]:
        """Run the checks, and yield each finding as it is made, without secrets."""
        for finding in self._checks():
            yield self._masked(finding)

    def _masked(self, finding: Finding) -> Finding:
        """Return the finding without the client's secrets, which a service may echo."""
        try:
            mask = Redactor(self.settings.secrets()).text
        except ConfigError:
            return finding  # it has names of settings, and no values
        details = tuple(mask(line) for line in finding.details)
        return Finding(finding.check, finding.status, mask(finding.text), mask(finding.advice), details)

    def _checks(self) -> Iterator[Finding]:
        finding = self._settings()
        yield finding
        if finding.status is Status.FAIL:
            return
        yield from self._network()
        yield self._contract_in_force()
        if self._contract is not None and (found := omissions(self._contract)):
            yield self._omitted_values(found)
        for check in (self._published, self._credentials, self._clock):
            yield check()

    # -- settings ----------------------------------------------------------------------------------------------------

    def _settings(self) -> Finding:
        try:
            settings = self.settings
        except ConfigError as error:
            return Finding("settings", Status.FAIL, error.message, f"your profile file is {profiles_file()}")
        details = tuple(f"{name} = {value}  [{where}]" for name, value, where in origins(self._connection, settings))
        if settings.endpoint.startswith("http:") and not is_loopback(settings.endpoint):
            advice = "use https: with http, others on the network can read the credentials and change prices"
            return Finding("settings", Status.WARN, "plain http to another machine", advice, details)
        return Finding("settings", Status.OK, f"complete; profiles: {profiles_file()}", details=details)

    # -- the network -------------------------------------------------------------------------------------------------

    def _network(self) -> Iterator[Finding]:
        endpoint = self.settings.endpoint
        host, port = server_of(endpoint)
        if proxy := connections.proxy_for(endpoint):
            self._reached = True  # unknown; the later checks will show it
            yield Finding(
                "network", Status.SKIP, f"requests go through the proxy {proxy}, which resolves the name and connects"
            )
            return
        try:
            addresses = probes.resolve(host, port, NAME_SECONDS)
        except OctopusError as error:
            advice = "check the endpoint's host name, and this machine's network"
            yield Finding("dns", Status.FAIL, error.message, advice)
            yield self._unreached("tcp")
            return
        yield Finding("dns", Status.OK, f"{host} is {', '.join(addresses[:3])}")
        try:
            address, seconds = probes.connect(addresses, port, PORT_SECONDS)
        except OctopusError as error:
            advice = "is it running, the port right, a firewall in the way? octopus-soap serve runs a local fake one"
            yield Finding("tcp", Status.FAIL, error.message, advice)
            return
        yield Finding("tcp", Status.OK, f"{address} port {port} answers in {seconds * 1000:.0f} ms")
        tls = self._tls(address)
        self._reached = tls.status is not Status.FAIL
        yield tls

    def _tls(self, address: str) -> Finding:
        if self.settings.endpoint.startswith("http:"):
            return Finding("tls", Status.SKIP, "the endpoint is plain http")
        try:
            seen = probes.handshake(self.settings, address, TLS_SECONDS)
        except OctopusError as error:
            advice = (
                "is there a proxy or a company CA? set OCTOPUS_CA_BUNDLE to the CA file to trust; verification stays on"
            )
            return Finding("tls", Status.FAIL, error.message, advice)
        days = (seen.expires - datetime.now(UTC)).days
        text = f"{seen.protocol}, certificate by {seen.issuer}, valid to {seen.expires:%Y-%m-%d} ({days} days)"
        if days < _EXPIRES_SOON:
            return Finding("tls", Status.WARN, text, "it expires soon: inform the operator of the service")
        return Finding("tls", Status.OK, text)

    def _unreached(self, check: str) -> Finding:
        return Finding(check, Status.SKIP, "skipped: the service cannot be reached, see above")

    # -- the contract ------------------------------------------------------------------------------------------------

    def _contract_in_force(self) -> Finding:
        settings = self.settings
        try:
            self._contract = contract = load_contract(settings.wsdl)
        except OctopusError as error:
            return Finding("contract", Status.FAIL, error.message, "octopus-soap wsdl pin stores the live contract")
        if not contract.bundled:
            return Finding("contract", Status.OK, f"from your file {contract.path}")
        if is_loopback(settings.endpoint):
            return Finding("contract", Status.OK, "the bundled reconstruction, for a service on this machine")
        if settings.accept_unverified_contract:
            advice = "run octopus-soap wsdl pin: with a wrong order or namespace the service silently reads prices as 0"
            return Finding("contract", Status.WARN, "the bundled reconstruction, writes allowed unverified", advice)
        advice = "reads work, writes are refused: run octopus-soap wsdl pin, and set OCTOPUS_WSDL to the file it names"
        return Finding("contract", Status.WARN, "the bundled reconstruction", advice)

    def _omitted_values(self, found: list[Omission]) -> Finding:
        chosen = self.settings.omitted_values
        details = tuple(str(each) for each in found)
        if left := refused(found, chosen):
            text = f"a write that leaves out {left[0].members[0]} would set it to 0: such writes are refused"
            advice = f"choose, we recommend: {recommended(found)}"
            return Finding("omitted", Status.WARN, text, advice, (*details, COST))
        if chosen is OmittedValues.SEND:
            text = f"a write that leaves out {found[0].members[0]} sets it to 0, as omitted_values=send allows"
            advice = f"unless this service is known to leave such members alone: {recommended(found)}"
            return Finding("omitted", Status.WARN, text, advice, details)
        return Finding("omitted", Status.OK, "chosen for every write", details=details)

    def _published(self) -> Finding:
        if not self._reached:
            return self._unreached("published")
        fetcher = ContractFetcher(self.settings, seconds=CONTRACT_SECONDS)
        try:
            fetched = fetcher.fetch()
            live = tried_contract(pinned_files(fetched.documents, ""))
        except OctopusError as error:
            advice = "ask the vendor for the WSDL file, then run octopus-soap wsdl diff --file FILE"
            return Finding("published", Status.WARN, f"no contract to compare with: {error.message}", advice)
        finally:
            self._skew = fetcher.skew
        if self._contract is None:
            return Finding("published", Status.WARN, f"{fetched.url} is readable", "octopus-soap wsdl pin stores it")
        found = compare(self._contract, live, known={})
        if not found:
            return Finding("published", Status.OK, "the service publishes the same contract")
        places = "1 place" if len(found) == 1 else f"{len(found)} places"
        text = f"differs from the one in force in {places}, such as {found[0].where} ({found[0].kind.value})"
        against = "" if self._contract.bundled else f" --against {shlex.quote(str(self._contract.path))}"
        shown = f"octopus-soap wsdl diff{against} shows them"
        advice = f"{shown}, wsdl pin stores the live contract; until then writes are at risk"
        return Finding("published", Status.FAIL, text, advice)

    # -- the service -------------------------------------------------------------------------------------------------

    def _credentials(self) -> Finding:
        if not self._reached or self._contract is None:
            return self._unreached("credentials")
        with OctopusClient(settings=self.settings) as client:
            health = client.ping(timeout=READ_SECONDS)
        if health and health.certain:
            return Finding("credentials", Status.OK, f"accepted; a read took {health.elapsed * 1000:.0f} ms")
        seen = health.message.partition("; octopus-soap doctor")[0]  # this is doctor
        return Finding("credentials", Status.WARN if health else Status.FAIL, seen, health.advice)

    def _clock(self) -> Finding:
        skew = self._skew
        if not self._reached:
            return self._unreached("clock")
        if skew is None:
            return Finding("clock", Status.WARN, "the service sends no Date header", "compare the clocks yourself")
        way = "ahead of" if skew > 0 else "behind"
        if abs(skew) <= _SKEW_NOTED:
            return Finding("clock", Status.OK, f"the service's clock agrees ({skew:+.1f} s)")
        advice = "synchronise this machine's clock by NTP; otherwise time windows can miss orders"
        status = Status.FAIL if abs(skew) > _SKEW_BAD else Status.WARN
        return Finding("clock", status, f"the service's clock is {abs(skew):.0f} s {way} this machine's", advice)


def origins(connection: Connection, settings: OctopusSettings) -> list[tuple[str, str, str]]:
    """Return name, value and source of the settings that were given, without secrets."""
    names = ("endpoint", "authtoken", "merchantname", "accessid", "profile")
    given = {name: value for name in names if (value := getattr(connection, name)) is not None}
    found = settings_sources(given)
    found[0] = ("command line", given)
    rows: list[tuple[str, str, str]] = []
    for name in OctopusSettings.model_fields:
        where = next((label for label, values in found if name in values), None)
        if where is not None:
            chosen: Any = getattr(settings, name)
            rows.append((name, "(secret)" if isinstance(chosen, SecretStr) else str(chosen), where))
    return rows
