"""Contracts that ask for forbidden fetches, and proxies that cannot be used."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
import requests

from octopus_soap import (
    AsyncOctopusClient,
    ConfigError,
    ConnectFailedError,
    ContractError,
    FaultError,
    OctopusClient,
    OctopusError,
    OctopusSettings,
)
from octopus_soap.contracts.bundled import contract_path
from octopus_soap.contracts.pin import parse_document, pinned_files
from octopus_soap.contracts.wsdl import load_contract
from tests.every import every

if TYPE_CHECKING:
    from pathlib import Path

ACTION = "http://tempuri.org/IOctopusService/IsSkuExist"
IMPORT = 'schemaLocation="Arrays.xsd"'


def changed(folder: Path, old: str, new: str, *, count: int = 1) -> Path:
    """Copy the bundled contract with *old* replaced in its main file."""
    shutil.copytree(contract_path().parent, folder / "wsdl")
    main = folder / "wsdl" / contract_path().name
    text = main.read_text(encoding="utf-8")
    assert old in text
    main.write_text(text.replace(old, new, count), encoding="utf-8")
    return main


@pytest.mark.parametrize(
    "location",
    ["HTTP://127.0.0.1:{port}/x.xsd", " http://127.0.0.1:{port}/x.xsd", "hTTps://127.0.0.1:{port}/x", "//127.0.0.1:{port}/x",
     "http&#10;://127.0.0.1:{port}/x", "ftp://127.0.0.1:{port}/x", "file:///etc/hostname", "FILE:/etc/hostname", "/etc/hostname",
     "../outside.xsd", "link.xsd"],
)  # fmt: skip
def test_a_local_wsdl_is_never_fetched_from(location: str, tmp_path: Path) -> None:
    (tmp_path / "outside.xsd").write_text("<x/>")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        main = changed(tmp_path, IMPORT, f'schemaLocation="{location.format(port=listener.getsockname()[1])}"')
        if location == "link.xsd":
            (main.parent / "link.xsd").symlink_to(tmp_path / "outside.xsd")
        with pytest.raises(ContractError, match=r"Nothing is fetched|cannot load the contract"):
            load_contract(main)
        with pytest.raises(BlockingIOError):  # no connection was made
            listener.accept()


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "http: a").mkdir()
    main = changed(tmp_path / "http: a", IMPORT, IMPORT)
    assert len(load_contract(main).operations) == 20


@pytest.mark.parametrize("action", ["urn:имя", "a&quot;b", "a&#10;b", "\u20ac"])
def test_a_soap_action_that_fits_no_header_is_refused_by_name(action: str, tmp_path: Path) -> None:
    main = changed(tmp_path, f'soapAction="{ACTION}"', f'soapAction="{action}"')
    client = OctopusClient("http://127.0.0.1:1/x.svc", authtoken="t", merchantname="m", accessid="a", wsdl=main)
    with client, pytest.raises(ContractError, match="gives IsSkuExist the soapAction"):
        client.is_sku_exist("A")


def test_a_soap_action_in_latin_1_is_sent_alike_by_both_clients(service: Any, tmp_path: Path) -> None:
    main = changed(tmp_path, f'soapAction="{ACTION}"', f'soapAction="{ACTION}-käse"')
    settings = OctopusSettings(**service.settings(), wsdl=main, max_attempts=1)

    async def ask() -> None:
        async with AsyncOctopusClient(settings=settings) as client:
            await client.is_sku_exist("A")

    with OctopusClient(settings=settings) as client, pytest.raises(FaultError) as blocking:
        client.is_sku_exist("A")
    with pytest.raises(FaultError) as asynchronous:
        asyncio.run(ask())
    assert blocking.value.message == asynchronous.value.message
    assert f"{ACTION}-käse" in blocking.value.message  # the header's bytes are unchanged


WITH_IMPORT = (
    '<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:r="relative/names">'
    '<import location="{}" namespace="urn:x"/></definitions>'
)


@every("location", ["http://[::1/x", "http://[v1.x/", "//[/x"])
def test_an_import_that_is_no_url_is_refused_with_the_document_that_has_it(location: str) -> None:
    document = parse_document(WITH_IMPORT.format(location).encode(), "http://h/x.svc?wsdl")
    for ask in (document.references, document.foreign):
        with pytest.raises(ContractError, match=r"http://h/x\.svc\?wsdl imports"):
            ask()


def test_relative_namespace_names_can_be_pinned() -> None:
    body = WITH_IMPORT.format("http://h/x.svc?xsd=xsd0").encode()
    main = parse_document(body, "http://h/x.svc?wsdl")
    part = parse_document(
        b'<schema xmlns="http://www.w3.org/2001/XMLSchema" xmlns:q="a/b"/>', "http://h/x.svc?xsd=xsd0"
    )
    assert len(pinned_files({main.url: main, part.url: part}, "")) == 2


def without_pysocks(*_: Any, **__: Any) -> None:
    """The replacement that requests uses if PySocks is not installed."""
    raise requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support.")


PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
ENVIRONMENTS = {
    "socks without its library": {"ALL_PROXY": "socks5h://127.0.0.1:1"},
    "another scheme": {"HTTPS_PROXY": "ftp://127.0.0.1:1"},
    "no host": {"HTTPS_PROXY": "http://user:pa55word@[::1"},
    "no port": {"HTTPS_PROXY": "http://user:pa55word@h:port"},
    "exceptions in CIDR": {"NO_PROXY": "fe80::/10", "HTTPS_PROXY": "http://127.0.0.1:1"},
    "exceptions that are none": {"NO_PROXY": "[::1", "HTTPS_PROXY": "http://127.0.0.1:1"},
}


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> OctopusSettings:
    for name in (*PROXIES, *map(str.lower, PROXIES)):
        monkeypatch.delenv(name, raising=False)
    return OctopusSettings(
        endpoint="https://shop.invalid/x.svc", authtoken="t", merchantname="m", accessid="a", max_attempts=1
    )


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
@pytest.mark.parametrize("method", ["is_sku_exist", "ping"])
def test_a_proxy_no_client_can_use_is_an_error_of_ours_that_names_it(
    environment: dict[str, str], method: str, unreachable: OctopusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if "ALL_PROXY" in environment:  # in these cases the libraries count as not installed
        monkeypatch.setitem(sys.modules, "socksio", None)
        monkeypatch.setattr(requests.adapters, "SOCKSProxyManager", without_pysocks)
    arguments = ("A",) if method == "is_sku_exist" else ()

    async def ask() -> Any:
        async with AsyncOctopusClient(settings=unreachable) as client:
            return await getattr(client, method)(*arguments)

    def ask_blocking() -> Any:
        with OctopusClient(settings=unreachable) as client:
            return getattr(client, method)(*arguments)

    for call in (ask_blocking, lambda: asyncio.run(ask())):
        try:
            said = str(call().message)  # ping returns errors
        except (ConfigError, ConnectFailedError) as error:
            said = str(error)
        assert "pa55word" not in said
        assert "NO_PROXY" in environment or next(iter(environment)) in said
        assert ("pip install 'octopus-soap[socks]'" in said) is ("ALL_PROXY" in environment)


def test_certificates_that_are_not_there_are_named_with_their_variable(
    unreachable: OctopusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with OctopusClient(settings=unreachable) as client, pytest.raises(OctopusError, match=r"/nowhere/ca\.pem"):
        client.is_sku_exist("A")
