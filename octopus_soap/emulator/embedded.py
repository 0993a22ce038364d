"""The emulator as its users see it: one object that is a running service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from octopus_soap.contracts.bundled import contract_path

from . import contract as contracts
from .faults import Script
from .profile import Merchant, Profile
from .records import CallRecord, Journal, LintNote
from .server import PATH, HttpServer
from .service import Service
from .state import State
from .store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from os import PathLike
    from types import TracebackType

    from starlette.types import ASGIApp


class Emulator:
    """A local fake Octopus server: SOAP over HTTP on loopback, its state in SQLite.

        with Emulator() as service:
            client = OctopusClient(**service.settings())

    It answers as WCF would, notes in :attr:`lint` what WCF would ignore, and fails on demand (:attr:`script`).

    Args:
        port: The port on 127.0.0.1; 0 takes a free one.
        state: ``:memory:``, or the path of an SQLite file, which keeps the state between runs.
        merchants: The accounts; by default one with made-up credentials.
        profile: The service's behaviour in questions that the vendor's page leaves open.
        wsdl: Another contract with the same operations: other namespaces, another member order, more members. None: the
            bundled one.
        keep_bodies: Whether :attr:`calls` keep request and reply bytes; turn off for long runs.
        keep_calls: How many of the newest calls, lint notes and metadata requests are kept; None: all. Give a number if
            the emulator runs for days.
        keep_bytes: How many bytes of bodies are kept; those of the oldest calls are dropped first. None: all.
        allowed_hosts: Names that a request's Host header may have, such as ``host.docker.internal``, in addition to
            ``localhost`` and loopback addresses. Others are refused: a page in a browser could otherwise reach the
            emulator under a name of its own that resolves to this machine.
        pages: Returns the ASGI application that answers all other paths, such as the console's. It is called at the
            first request for such a path, on a thread of its own. None: those paths are answered with 404.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        state: str | PathLike[str] = ":memory:",
        merchants: Sequence[Merchant] | None = None,
        profile: Profile | None = None,
        wsdl: str | PathLike[str] | None = None,
        keep_bodies: bool = True,
        keep_calls: int | None = None,
        keep_bytes: int | None = None,
        allowed_hosts: Collection[str] = (),
        pages: Callable[[Emulator], ASGIApp] | None = None,
    ) -> None:
        self.profile = profile if profile is not None else Profile()
        self.merchants = tuple(merchants) if merchants is not None else (Merchant(),)
        names = [merchant.name for merchant in self.merchants]
        if not names or len(set(names)) != len(names):
            raise ValueError("merchants need names of their own, and there must be at least one")
        self._wsdl = Path(wsdl) if wsdl is not None else contract_path()
        contract = self._load()
        self._port = port
        self._journal = Journal(keep_bodies=keep_bodies, keep_calls=keep_calls, keep_bytes=keep_bytes)
        self._state = State(str(state))
        self.script = Script()
        self.store = Store(self._state, contract, self.profile, names)
        self.allowed_hosts = frozenset(allowed_hosts)
        self._server = HttpServer(
            Service(contract, self.profile, self.merchants, self._state, self._journal),
            self.script,
            allowed_hosts,
            None if pages is None else lambda: pages(self),
        )

    def _load(self) -> contracts.Contract:
        self._contract = contracts.load(
            self._wsdl, bare_lists=self.profile.bare_lists, nillable_values=self.profile.nillable_values
        )
        return self._contract

    def use_profile(self, profile: Profile) -> None:
        """Use another profile from the next request on, also for the served WSDL.

        State, calls and faults stay.
        """
        self.profile = profile
        contract = self._load()
        self.store.use(contract, profile)
        self._server.use(Service(contract, profile, self.merchants, self._state, self._journal))

    def __repr__(self) -> str:
        """Show its address, never its credentials."""
        where = self.url if self._server.running else "stopped"
        return f"<Emulator {where} merchants={[merchant.name for merchant in self.merchants]}>"

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop, and close the state."""
        self.close()

    def start(self) -> Self:
        """Take requests; after a stop, on the same port and with the same state.

        Raises:
            OSError: The port is taken.
        """
        if not self._server.running:
            self._server.start(self._port)
            self._port = self._server.port
        return self

    def stop(self) -> None:
        """Close all connections at once, and refuse new ones."""
        self._server.stop()

    def close(self) -> None:
        """Stop for good; a state in memory is gone."""
        self.stop()
        self._state.close()

    def reset(self) -> None:
        """Delete state, calls, lint log and script; the service keeps running.

        Requests that arrived before, such as those of a call that was abandoned, are handled first.
        """
        self._server.settle()
        self.script.clear()
        self._state.clear()
        self._journal.clear()

    def clear_calls(self) -> None:
        """Delete calls and lint log; the state and the script stay."""
        self._journal.clear()

    @property
    def url(self) -> str:
        """The service's address.

        Raises:
            RuntimeError: It was never started.
        """
        if not self._port:
            raise RuntimeError("the emulator has no address before it is started")
        return f"http://127.0.0.1:{self._port}{PATH}"

    def wsdl_document(self) -> bytes:
        """Return the contract in force as one document, as ``?singleWsdl`` serves it.

        Raises:
            RuntimeError: It was never started, and has no address to put into the document.
        """
        return self._contract.documents.single_document(self.url)

    def settings(self, merchant: str | None = None) -> dict[str, str]:
        """Return a client's ``endpoint``, ``authtoken``, ``merchantname``, ``accessid``.

        Args:
            merchant: The merchant's name; None: the first merchant.

        Raises:
            KeyError: There is no such merchant.
        """
        known = {each.name: each for each in self.merchants}
        if merchant is not None and merchant not in known:
            raise KeyError(f"no merchant named {merchant!r}")
        chosen = self.merchants[0] if merchant is None else known[merchant]
        return {
            "endpoint": self.url,
            "authtoken": chosen.authtoken,
            "merchantname": chosen.name,
            "accessid": chosen.accessid,
        }

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of the contract's operations."""
        return tuple(self._contract.operations)

    @property
    def calls(self) -> list[CallRecord]:
        """The SOAP requests so far, oldest first, including those still under way."""
        return self._journal.snapshot()[0]

    def call(self, sequence: int) -> CallRecord | None:
        """Return a call by its number; None if it is not kept."""
        return self._journal.call(sequence)

    def watch(self, woken: Callable[[], object]) -> Callable[[], None]:
        """Call *woken* once, at the next change of the calls.

        Args:
            woken: Runs on the thread that makes the change, so it must not block.

        Returns:
            A function that removes it if it was not called yet.
        """
        key = self._journal.watch(woken)
        return lambda: self._journal.unwatch(key)

    def wait_for_calls(self, count: int = 1, *, executed: bool = False, seconds: float = 30.0) -> None:
        """Wait for *count* SOAP requests since the start or the last reset.

        For tests that do something while a request is under way, such as while a Hang fault holds it.

        Args:
            count: How many requests.
            executed: Count only those whose operation was carried out.
            seconds: How long to wait at most.

        Raises:
            TimeoutError: They did not come.
        """
        if not self._journal.wait(count, executed=executed, seconds=seconds):
            came = sum(call.executed or not executed for call in self.calls)
            raise TimeoutError(f"{came} of {count} requests came within {seconds:g} s")

    @property
    def lint(self) -> list[LintNote]:
        """Notes on everything that WCF would have ignored, oldest first."""
        return self._journal.snapshot()[1]

    @property
    def metadata_requests(self) -> list[str]:
        """The query strings of all GET requests, oldest first."""
        return self._journal.snapshot()[2]

    @property
    def stale_closes(self) -> int:
        """How many requests came on a connection that a CloseIdle fault closes."""
        return self._journal.stale_closes

    @property
    def bytes_received(self) -> int:
        """The sum of all request bodies, in bytes, also of calls that are no longer kept."""
        return self._journal.bytes_received

    @property
    def bytes_sent(self) -> int:
        """The sum of all reply bodies, in bytes, also of calls that are no longer kept."""
        return self._journal.bytes_sent
