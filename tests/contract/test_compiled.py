"""The compiled contract: equal to the WSDL, used only if it fits, else rebuilt."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from octopus_soap.contracts import compiled, wsdl
from octopus_soap.contracts.bundled import contract_path
from octopus_soap.contracts.compiled import compiled_path, from_bytes, read_compiled, to_bytes
from octopus_soap.contracts.wsdl import Contract, compile_contract
from octopus_soap.contracts.zeep_document import ZeepDocument
from octopus_soap.errors import ContractError
from tests.every import every

REFRESH = "run `make contract`"


def fresh(path: Path) -> bytes:
    """Compile the contract at *path* again; zeep reads each set of files only once."""
    return _fresh(path, *(file.read_bytes() for file in sorted(path.parent.iterdir()) if file.suffix != ".json"))


@cache
def _fresh(path: Path, *_: bytes) -> bytes:
    made = ZeepDocument(path).compiled()
    assert made is not None
    return to_bytes(made)


@pytest.fixture
def pinned(tmp_path: Path) -> Path:
    """A user's contract, with its compiled form."""
    shutil.copytree(contract_path().parent, tmp_path / "own")
    path = tmp_path / "own" / contract_path().name
    compiled_path(path).unlink(missing_ok=True)
    compile_contract(path)
    assert read_compiled(path) is not None
    return path


def test_the_shipped_form_equals_a_fresh_one() -> None:
    assert compiled_path(contract_path()).read_bytes() == fresh(contract_path()), REFRESH
    assert read_compiled(contract_path()) is not None, REFRESH


def test_a_stored_contract_reads_as_it_was_written() -> None:
    stored = fresh(contract_path())
    read = from_bytes(stored)
    assert read is not None
    assert to_bytes(read) == stored
    of_zeep = ZeepDocument(contract_path()).operations()
    assert list(read.operations) == list(of_zeep)
    for name, operation in of_zeep.items():
        assert read.operations[name].request == operation.request
        assert read.operations[name].response == operation.response


def test_types_that_refer_to_themselves_stay_circles() -> None:
    node = compiled.Shape("Node", "urn:n")
    node.members = (compiled.Member("next", "urn:n", nillable=True, many=False, shape=node),)
    request = compiled.Member("Walk", "urn:n", nillable=False, many=False, shape=node)
    made = compiled.CompiledContract({}, {"Walk": compiled.OperationContract("Walk", "urn:a", request, "R", None)})
    read = from_bytes(to_bytes(made))
    assert read is not None
    shape = read.operations["Walk"].request.shape
    assert shape.members[0].shape is shape
    assert read.operations["Walk"].response is None


def edited_but_not_signed(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"accountID"', b'"accountlD"', 1))


def of_another_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = from_bytes(path.read_bytes())
    assert read is not None
    with monkeypatch.context() as patch:
        patch.setattr(compiled, "__version__", "0.0.0")
        path.write_bytes(to_bytes(read))


def signed(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Write a changed form with a valid digest."""
    content = json.loads(path.read_bytes())["contract"]
    change(content)
    body = json.dumps(content).encode()
    sha = hashlib.sha256(body).hexdigest().encode()
    path.write_bytes(b'{"sha256": "' + sha + b'",\n"contract": ' + body + b"}\n")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b" "),
    "not JSON": lambda path: path.write_bytes(b"\x80\x04\x95"),
    "edited": edited_but_not_signed,
    "another schema": lambda path: (path.parent / "Arrays.xsd").write_bytes(
        (path.parent / "Arrays.xsd").read_bytes() + b"\n"
    ),
    "another WSDL": lambda path: (path.parent / contract_path().name).write_bytes(
        contract_path().read_bytes() + b"<!-- newer -->"
    ),
    "signed, without shapes": lambda path: signed(path, lambda content: content.pop("shapes")),
    "signed, names no WSDL": lambda path: signed(path, lambda content: content.update(files={})),
    "signed, no mapping": lambda path: signed(path, lambda content: content.update(files=[])),
    "signed, a file outside": lambda path: signed(
        path, lambda content: content.update(files={contract_path().name: "", "../../etc/hostname": ""})
    ),
}


@every("damage", DAMAGE)
def test_a_form_that_does_not_fit_is_rebuilt_and_never_trusted(damage: str, pinned: Path) -> None:
    DAMAGE[damage](compiled_path(pinned))
    assert read_compiled(pinned) is None
    wanted = fresh(pinned)
    made = from_bytes(wanted)
    assert made is not None
    assert Contract(pinned, bundled=False).operations.keys() == made.operations.keys()
    assert compiled_path(pinned).read_bytes() == wanted


def test_a_form_of_another_version_is_rebuilt(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_another_version(compiled_path(pinned), monkeypatch)
    assert read_compiled(pinned) is None
    _ = Contract(pinned, bundled=False)
    assert compiled_path(pinned).read_bytes() == fresh(pinned)


def test_a_schema_that_is_gone_fails_as_it_would_without_the_form(pinned: Path) -> None:
    (pinned.parent / "DataContracts.xsd").unlink()
    with pytest.raises(ContractError, match=r"cannot load the contract"):
        Contract(pinned, bundled=False)


def test_no_form_is_written_next_to_a_contract_that_has_none(pinned: Path) -> None:
    compiled_path(pinned).unlink()
    _ = Contract(pinned, bundled=False)
    assert not compiled_path(pinned).exists()


def test_a_folder_that_cannot_be_written_costs_only_time(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise PermissionError

    edited_but_not_signed(compiled_path(pinned))
    monkeypatch.setattr(wsdl, "replace_file", refuse)
    assert "IsSkuExistList" in Contract(pinned, bundled=False).operations


def test_a_client_is_made_without_zeep_and_without_httpx() -> None:
    code = (
        "import sys\n"
        "from octopus_soap import OctopusClient\n"
        "client = OctopusClient('http://127.0.0.1:9/', authtoken='t', merchantname='m', accessid='a')\n"
        "assert not {'zeep', 'httpx'} & sys.modules.keys(), 'loaded too early'\n"
        "assert client.zeep.wsdl is not None\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
