"""The contract in force: the operations of a WSDL, or of its compiled form.

A contract is loaded once per process and shared by every client that names the same file. zeep is imported only if
no compiled form fits the files, and for `Contract.zeep_document`.
"""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from octopus_soap.contracts.bundled import CONTRACT_NAME, PLACES, contract_path
from octopus_soap.contracts.compiled import compiled_path, read_compiled, replace_file, to_bytes
from octopus_soap.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octopus_soap.contracts.compiled import OperationContract
    from octopus_soap.contracts.zeep_document import ZeepDocument

_ACTION = re.compile(r"[ !#-~\xa0-\xff]+")  # printable Latin-1 without the double quotes around it in the header


class Contract:
    """The WSDL file *path*; `bundled` is True for the shipped reconstruction."""

    def __init__(self, path: Path, *, bundled: bool) -> None:
        self.path = path
        self.bundled = bundled
        compiled = read_compiled(path)
        if compiled is None:
            document = self.zeep_document  # raises now if the file is no contract
            if not bundled and compiled_path(path).exists():
                _store(path, document)
        else:
            self.operations = compiled.operations

    @cached_property
    def zeep_document(self) -> ZeepDocument:
        """The WSDL as zeep reads it; raises `ContractError` if it is not readable."""
        from octopus_soap.contracts.zeep_document import ZeepDocument  # noqa: PLC0415 - zeep costs most of a cold start

        return ZeepDocument(self.path)

    @cached_property
    def operations(self) -> Mapping[str, OperationContract]:
        """Operations by wire name."""
        return self.zeep_document.operations()

    def operation(self, name: str) -> OperationContract:
        """Return the operation *name*, or raise `ContractError`."""
        try:
            found = self.operations[name]
        except KeyError:
            raise ContractError(f"the contract in force ({self.path.name}) has no operation {name!r}") from None
        if not _fits_a_header(found.action):
            raise ContractError(
                f"the contract in force ({self.path.name}) gives {name} the soapAction {found.action[:200]!r}, which "
                "does not fit an HTTP header: only printable Latin-1 does, without double quotes"
            )
        return found


def _fits_a_header(text: str | None) -> bool:
    return not text or _ACTION.fullmatch(text) is not None


def compile_contract(path: Path) -> None:
    """Store the compiled form of the contract in *path* next to it."""
    from octopus_soap.contracts.zeep_document import ZeepDocument  # noqa: PLC0415 - zeep costs most of a cold start

    with suppress(Exception):  # of any class, if zeep cannot read the contract; loading the contract reports it
        _store(path, ZeepDocument(path))


def _store(path: Path, document: ZeepDocument) -> None:
    compiled = document.compiled()
    if compiled is not None:
        with suppress(OSError):  # the folder is another user's: the next process reads the WSDL again
            replace_file(compiled_path(path), to_bytes(compiled))


_contracts: dict[tuple[str, int, int], Contract] = {}
_loading = threading.Lock()


def _after_fork() -> None:
    """Replace the lock in a forked child."""
    # Another thread of the parent may have held it, and does not exist in the child to release it.
    global _loading  # noqa: PLW0603 - the lock of the module
    _loading = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@cache
def _bundled_files(places: tuple[Path, ...]) -> frozenset[Path]:
    """Return the possible paths of the bundled contract; cached, for each new client."""
    return frozenset((place / CONTRACT_NAME).resolve() for place in places)


def load_contract(path: str | Path | None = None) -> Contract:
    """Return the contract in *path*, or the bundled one, loaded once per file version.

    Raises:
        ContractError: The file cannot be read, is no WSDL, or refers to files that are not there.
    """
    try:
        wanted = contract_path().resolve() if path is None else Path(path).expanduser().resolve()
    except FileNotFoundError as error:
        raise ContractError(str(error)) from error
    bundled = wanted in _bundled_files(PLACES)
    try:
        stat = wanted.stat()
    except OSError as error:
        raise ContractError(f"cannot read the contract {wanted}: {error.strerror}") from error
    key = (str(wanted), stat.st_mtime_ns, stat.st_size)
    with _loading:
        contract = _contracts.get(key)
        if contract is None:
            contract = _contracts[key] = Contract(wanted, bundled=bundled)
        return contract
