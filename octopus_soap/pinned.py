"""Where pinned contracts lie on disk, and how they get there: whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from platformdirs import user_config_dir

from octopus_soap.errors import ContractError
from octopus_soap.wire.compare import examined
from octopus_soap.wire.contract import load_contract

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octopus_soap.wire.contract import Contract


def pinned_folder(endpoint: str) -> Path:
    """The folder for the contract of *endpoint*'s host, in the user's configuration folder."""
    parts = urlsplit(endpoint)
    host = (parts.hostname or "unknown").replace(":", "_")  # an IPv6 address; no system forbids the underscore
    return Path(user_config_dir("octopus-soap")) / "contracts" / (f"{host}-{parts.port}" if parts.port else host)


def tried_contract(files: Mapping[str, bytes]) -> Contract:
    """The contract in *files*, loaded from a folder of its own just as it will be from where it is stored.

    Raises:
        ContractError: it cannot be used, or is the contract of something else.
    """
    with tempfile.TemporaryDirectory(prefix="octopus-soap-") as folder:
        contract = examined(write_contract(Path(folder), files))
    if contract.operations.keys().isdisjoint(load_contract().operations):
        some = ", ".join(list(contract.operations)[:3])
        raise ContractError(f"that contract has none of the Octopus operations, but {some}: is the address right?")
    return contract


def write_contract(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the *files* of a contract into *folder* and return the path of the main one, the last.

    Each file appears whole or not at all, and the main one last: whoever loads it finds all that it refers to, also
    where the writing is cut off. Files of an earlier set stay, for a process that is reading them just now.

    Raises:
        OSError: the folder or a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = folder
    for name, content in files.items():
        written = folder / name
        _replace(written, content)
    return written


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp's 0600 would hide the contract from the account the job runs under
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
