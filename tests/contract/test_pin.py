"""`octopus-soap wsdl pin` stores a whole contract or nothing, and no credentials."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from contract_variants import MAIN, everything, members_reversed, renamed, values_not_nillable, variant

from octopus_soap import ContractError, OctopusClient, OctopusSettings, ProtocolError, TimedOutError
from octopus_soap.contracts.diff import compare
from octopus_soap.contracts.pin import parse_document, pinned_files, pinned_folder, resolved, write_contract
from octopus_soap.contracts.wsdl import load_contract
from octopus_soap.emulator import Emulator, Hang, Html, Profile, Status
from octopus_soap.transport import probes
from octopus_soap.transport.probes import ContractFetcher
from tests.every import every

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET_HEADERS = {"authtoken", "accessid", "merchantname"}
FOLDER = Path(load_contract().path).parent


def pinned_path(said: Any) -> Path:
    found = re.search(r"^to     (.+)$", said.out, re.MULTILINE)
    assert found, said.out
    return Path(found[1])


def settings_for(endpoint: str, **more: Any) -> OctopusSettings:
    return OctopusSettings.load(endpoint=endpoint, authtoken="t0ken", merchantname="shop", accessid="acc355", **more)


def published(site: Any, folder: Path = FOLDER, host: str = "") -> str:
    """Publish a contract on *site* as WCF does, with imports from *host*."""
    base = f"{host or site.url}/OctopusService.svc"
    names = {
        "OctopusService.xsd": "xsd0",
        "Serialization.xsd": "xsd1",
        "DataContracts.xsd": "xsd2",
        "Arrays.xsd": "xsd3",
    }

    def addressed(name: str) -> bytes:
        text = (folder / name).read_text(encoding="utf-8")
        for file, number in names.items():
            text = text.replace(f'schemaLocation="{file}"', f'schemaLocation="{base}?xsd={number}"')
        return text.encode()

    site.put("/OctopusService.svc?wsdl", addressed(MAIN))
    for file, number in names.items():
        site.put(f"/OctopusService.svc?xsd={number}", addressed(file))
    return f"{site.url}/OctopusService.svc"


# -- what it does ------------------------------------------------------------------------------------------------------


def test_pin_stores_what_a_client_can_use_with_the_service_gone(
    octopus_soap: Callable[..., Any], configured: Callable[..., None], running_service: Emulator, tmp_path: Path
) -> None:
    wsdl = everything(tmp_path / "theirs")
    with Emulator(wsdl=wsdl, merchants=running_service.merchants) as service:
        configured(service)
        said = octopus_soap("wsdl", "pin")
        assert said.code == 0, said.err
        path = pinned_path(said)
        with OctopusClient(settings=OctopusSettings.load(**service.settings(), wsdl=path)) as client:
            service.store.add_item("A")
            assert client.is_sku_exist("A") is True
            assert service.lint == []
        assert service.metadata_requests == ["singleWsdl"]
        host = service.url.removeprefix("http://").partition("/")[0].replace(":", "-")
    assert path == tmp_path / "config" / "octopus-soap" / "contracts" / host / "OctopusService.wsdl"
    assert compare(load_contract(wsdl), load_contract(path)) == []
    assert {found.name for found in path.parent.iterdir()} == {path.name, "OctopusService.compiled.json"}


def test_pin_says_where_it_is_how_to_use_it_and_what_differs(
    octopus_soap: Callable[..., Any], configured: Callable[..., None], running_service: Emulator, tmp_path: Path
) -> None:
    with Emulator(wsdl=variant(tmp_path / "theirs", members_reversed), merchants=running_service.merchants) as service:
        configured(service)
        said = octopus_soap("wsdl", "pin", "--to", str(tmp_path / "here"))
    path = tmp_path / "here" / "OctopusService.wsdl"
    assert path.is_file()
    assert f"export OCTOPUS_WSDL={path}" in said.out
    assert f'OctopusClient(wsdl="{path}")' in said.out
    assert f'  wsdl = "{path}"' in said.out
    assert "this machine" in said.out
    assert "in our order" in said.out
    assert re.search(r"^\d+ differences: \d+ are followed\.$", said.out, re.MULTILINE)
    assert said.err == ""


def test_a_profile_line_as_printed_is_toml_that_the_settings_read(
    octopus_soap: Callable[..., Any],
    configured: Callable[..., None],
    service: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configured(service)
    said = octopus_soap("wsdl", "pin", "--to", str(tmp_path / 'a "quoted" føldér'))
    (line,) = [line.strip() for line in said.out.splitlines() if line.startswith("  wsdl = ")]
    profiles = tmp_path / "profiles.toml"
    profiles.write_text(f"[default]\n{line}\n", encoding="utf-8")
    monkeypatch.setenv("OCTOPUS_PROFILES_FILE", str(profiles))
    assert OctopusSettings.load().wsdl == pinned_path(said)


@pytest.mark.parametrize(
    "answer", [Status(404), Status(400), Status(500), Html()], ids=["404", "400", "500", "help page"]
)
def test_a_service_without_single_wsdl_is_asked_for_wsdl_and_every_schema(
    octopus_soap: Callable[..., Any], configured: Callable[..., None], service: Emulator, tmp_path: Path, answer: Any
) -> None:
    configured(service)
    service.script.on("?singleWsdl").do(answer)
    said = octopus_soap("wsdl", "pin", "--to", str(tmp_path / "here"))
    assert said.code == 0, said.err
    assert service.metadata_requests == ["singleWsdl", "wsdl", "xsd=xsd0", "xsd=xsd1", "xsd=xsd2", "xsd=xsd3"]
    names = sorted(path.name for path in (tmp_path / "here").glob("*.[wx]sd*"))
    assert names[0] == "OctopusService.wsdl"
    assert [re.sub(r"\.[0-9a-f]{8}\.", ".#.", name) for name in names[1:]] == [f"xsd{n}.#.xsd" for n in range(4)]
    for path in (tmp_path / "here").glob("*.[wx]sd*"):
        locations = re.findall(r'schemaLocation="([^"]*)"', path.read_text(encoding="utf-8"))
        assert set(locations) <= set(names)
    assert compare(load_contract(), load_contract(tmp_path / "here" / "OctopusService.wsdl")) == []


def test_an_import_of_the_built_in_types_is_dropped(open_site: Callable[..., Any], tmp_path: Path) -> None:
    """Mono's WCF imports XMLSchema itself from `?xsd=`, where it serves its help page."""
    site = open_site()
    endpoint = published(site)
    text = site.pages["/OctopusService.svc?wsdl"][2].decode()
    first = text.index("<xsd:import")
    built_in = f'<xsd:import schemaLocation="{endpoint}?xsd=" namespace="http://www.w3.org/2001/XMLSchema"/>'
    site.put("/OctopusService.svc?wsdl", f"{text[:first]}{built_in}{text[first:]}".encode())
    site.put("/OctopusService.svc?xsd=", b"<HTML><BODY>Service</BODY></HTML>")
    fetched = ContractFetcher(settings_for(endpoint)).fetch()
    path = write_contract(tmp_path, pinned_files(fetched.documents, ""))
    assert compare(load_contract(), load_contract(path)) == []
    assert len(list(tmp_path.glob("*.[wx]sd*"))) == 5


def test_a_wsdl_in_two_parts_is_fetched_whole(open_site: Callable[..., Any], tmp_path: Path) -> None:
    # If binding and contract have different namespaces, WCF puts the port type into ?wsdl=wsdl0.
    site = open_site()
    endpoint = published(site)
    whole = site.pages["/OctopusService.svc?wsdl"][2].decode()
    start, end = whole.index("<wsdl:binding"), whole.index("</wsdl:definitions>")
    opening = whole[whole.index("<wsdl:definitions") : whole.index(">", whole.index("<wsdl:definitions")) + 1]
    site.put("/OctopusService.svc?wsdl=wsdl0", (whole[:start] + whole[end:]).encode())
    imported = f'<wsdl:import namespace="http://tempuri.org/" location="{endpoint}?wsdl=wsdl0"/>'
    site.put("/OctopusService.svc?wsdl", f"{opening}{imported}{whole[start:]}".encode())
    fetched = ContractFetcher(settings_for(endpoint)).fetch()
    path = write_contract(tmp_path, pinned_files(fetched.documents, ""))
    assert compare(load_contract(), load_contract(path)) == []
    assert re.fullmatch(r"wsdl0\.[0-9a-f]{8}\.wsdl", next(p.name for p in tmp_path.iterdir() if "wsdl0" in p.name))


def test_an_address_with_a_query_is_fetched_as_it_is(open_site: Callable[..., Any]) -> None:
    site = open_site()
    endpoint = published(site)
    ContractFetcher(settings_for(endpoint)).fetch(f"{endpoint}?wsdl")
    assert site.paths[0] == "/OctopusService.svc?wsdl"


# -- credentials -------------------------------------------------------------------------------------------------------


def test_a_service_that_shows_its_contract_to_its_merchants_only_is_shown_the_credentials(
    octopus_soap: Callable[..., Any], configured: Callable[..., None], running_service: Emulator, tmp_path: Path
) -> None:
    with Emulator(profile=Profile(metadata="authorized"), merchants=running_service.merchants) as service:
        configured(service)
        said = octopus_soap("wsdl", "pin", "--to", str(tmp_path / "here"))
        assert said.code == 0, said.err
        configured(authtoken="wrong-one")
        refused = octopus_soap("wsdl", "pin", "--to", str(tmp_path / "there"))
    assert refused.code == 2
    assert "401" in refused.err
    assert not (tmp_path / "there").exists()


def test_imports_that_name_another_host_are_asked_of_ours_and_the_other_never_hears_of_it(
    open_site: Callable[..., Any], tmp_path: Path
) -> None:
    site, other = open_site(), open_site()
    endpoint = published(site, host=other.url)
    published(other)
    fetched = ContractFetcher(settings_for(endpoint)).fetch()
    assert other.asked == []
    assert all(headers.keys() >= SECRET_HEADERS for _, headers in site.asked)
    assert [note.partition(";")[0] for note in fetched.notes] == [f"Note: its imports name {other.url}"]
    path = write_contract(tmp_path, pinned_files(fetched.documents, ""))
    assert compare(load_contract(), load_contract(path)) == []


def test_no_redirect_is_followed(
    open_site: Callable[..., Any], octopus_soap: Callable[..., Any], configured: Any
) -> None:
    site, other = open_site(), open_site()
    published(other)
    for query in ("singleWsdl", "wsdl"):
        site.put(f"/OctopusService.svc?{query}", b"", 302, Location=f"{other.url}/OctopusService.svc?wsdl")
    configured(endpoint=f"{site.url}/OctopusService.svc", authtoken="t0ken", merchantname="shop", accessid="acc355")
    said = octopus_soap("wsdl", "pin")
    assert (said.code, other.asked) == (2, [])
    assert "never followed" in said.err


def test_the_credentials_of_one_service_are_not_sent_to_another_that_url_names(
    open_site: Callable[..., Any], octopus_soap: Callable[..., Any], configured: Any, service: Emulator
) -> None:
    site = open_site()
    configured(service)
    said = octopus_soap("wsdl", "pin", "--url", published(site))
    assert said.code == 0, said.err
    assert site.asked
    assert not [headers.keys() & SECRET_HEADERS for _, headers in site.asked if headers.keys() & SECRET_HEADERS]
    assert "sent no credentials: they are for 127.0.0.1:" in said.out


def test_url_alone_is_asked_with_the_credentials_there_are_or_with_none(
    open_site: Callable[..., Any], octopus_soap: Callable[..., Any], configured: Any
) -> None:
    site = open_site()
    endpoint = published(site)
    said = octopus_soap("wsdl", "diff", "--url", endpoint)
    assert (said.code, "none are configured" in said.out) == (0, True), said.err
    assert not site.asked[0][1].keys() & SECRET_HEADERS
    configured(authtoken="t0ken", merchantname="shop", accessid="acc355")
    said = octopus_soap("wsdl", "diff", "--url", endpoint)
    assert (said.code, "Note" in said.out) == (0, False), said.err
    assert site.asked[-1][1].keys() >= SECRET_HEADERS


def test_a_netrc_file_is_not_asked(
    open_site: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password pa55word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    site = open_site()
    ContractFetcher(settings_for(published(site)), anonymous=True).fetch()
    assert not [headers for _, headers in site.asked if "authorization" in headers]


def test_neither_secret_is_printed_or_stored(
    octopus_soap: Callable[..., Any], configured: Callable[..., None], service: Emulator, tmp_path: Path
) -> None:
    configured(service)
    said = octopus_soap("wsdl", "pin", "--to", str(tmp_path / "here"))
    shown = said.out + said.err + "".join(p.read_text(encoding="utf-8") for p in (tmp_path / "here").iterdir())
    assert not [name for name in ("authtoken", "accessid") if service.settings()[name] in shown]


# -- what is refused, with nothing stored ----------------------------------------------------------------------------

BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><definitions xmlns="http://schemas.xmlsoap.org/wsdl/">&b;</definitions>'
BAD_PAGES = {
    "html": (b"<html><title>Welcome</title></html>", "HTML page"),
    "html with doctype": (b"<!DOCTYPE html><html></html>", "HTML page"),
    "doctype": (BOMB, "DOCTYPE"),
    "external doctype": (b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><x/>', "DOCTYPE"),
    "cut short": (b"<definitions xmlns='http://schemas.xmlsoap.org/wsdl/'><types>", "well-formed"),
    "empty": (b"", "well-formed"),
    "binary": (bytes(range(256)), "well-formed"),
    "wsdl 2.0": (b'<description xmlns="http://www.w3.org/ns/wsdl"/>', "<description> document"),
    "a schema": ((FOLDER / "Arrays.xsd").read_bytes(), "a schema, not a WSDL"),
    "another service": (
        (FOLDER / MAIN).read_text(encoding="utf-8").replace('operation name="', 'operation name="X').encode(),
        "none of the Octopus operations",
    ),
    "no operations": (b'<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" targetNamespace="x"/>', "SOAP 1.1"),
}


@pytest.mark.parametrize("kind", BAD_PAGES)
def test_what_is_no_usable_contract_is_refused_and_nothing_is_stored(
    kind: str, open_site: Callable[..., Any], octopus_soap: Callable[..., Any], configured: Any, tmp_path: Path
) -> None:
    body, words = BAD_PAGES[kind]
    site = open_site()
    endpoint = published(site)
    for file in ("OctopusService", "Serialization", "DataContracts", "Arrays"):
        site.put(f"/{file}.xsd", (FOLDER / f"{file}.xsd").read_bytes())
    site.put("/OctopusService.svc?wsdl", body)
    configured(endpoint=endpoint, authtoken="t0ken", merchantname="shop", accessid="acc355")
    for command in (["pin", "--to", str(tmp_path / "here")], ["diff"]):
        said = octopus_soap("wsdl", *command)
        assert said.code == 2
        assert words in said.err
        assert "Traceback" not in said.err
    assert not (tmp_path / "here").exists()


def test_a_schema_that_is_missing_leaves_nothing_stored(
    open_site: Callable[..., Any], octopus_soap: Callable[..., Any], configured: Any, tmp_path: Path
) -> None:
    site = open_site()
    endpoint = published(site)
    del site.pages["/OctopusService.svc?xsd=xsd3"]
    configured(endpoint=endpoint, authtoken="t0ken", merchantname="shop", accessid="acc355")
    said = octopus_soap("wsdl", "pin", "--to", str(tmp_path / "here"))
    assert said.code == 2
    assert "404" in said.err
    assert "xsd=xsd3" in said.err
    assert not (tmp_path / "here").exists()


def test_nobody_there_is_2_and_not_a_difference(octopus_soap: Callable[..., Any], configured: Any) -> None:
    configured(endpoint="http://127.0.0.1:9/x.svc", authtoken="t0ken", merchantname="shop", accessid="acc355")
    for command in ("pin", "diff"):
        said = octopus_soap("wsdl", command)
        assert said.code == 2
        assert "could not connect" in said.err


@pytest.mark.timeout(20)
def test_a_service_that_never_answers_or_drips_is_left_within_the_limit(service: Emulator) -> None:
    from octopus_soap.emulator import Drip

    fetcher = ContractFetcher(OctopusSettings.load(**service.settings()), seconds=0.3)
    for fault in (Hang(), Drip(1)):
        service.script.clear()
        service.script.on("?*").do(fault)
        with pytest.raises(TimedOutError):
            fetcher.fetch()


def test_a_contract_beyond_the_size_cap_is_refused(service: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "MOST_BYTES", 10_000)
    with pytest.raises(ProtocolError, match="larger than 10000 bytes"):
        ContractFetcher(OctopusSettings.load(**service.settings())).fetch()


def test_an_endless_chain_of_imports_is_refused(open_site: Callable[..., Any]) -> None:
    site = open_site()
    for number in range(probes.MOST_DOCUMENTS + 2):
        body = f'<schema xmlns="http://www.w3.org/2001/XMLSchema"><include schemaLocation="?n={number + 1}"/></schema>'
        site.put(f"/x.svc?n={number}", body.encode())
    with pytest.raises(ContractError, match="more than 64 documents"):
        ContractFetcher(settings_for(f"{site.url}/x.svc")).fetch(f"{site.url}/x.svc?n=0")


def test_schemas_that_import_each_other_are_fetched_once(open_site: Callable[..., Any]) -> None:
    site = open_site()
    published(site)
    ContractFetcher(settings_for(f"{site.url}/OctopusService.svc")).fetch()
    assert len(site.paths) == len(set(site.paths)) == 6


# -- on disk -----------------------------------------------------------------------------------------------------------


def documents_of(folder: Path, service: Emulator) -> dict[str, bytes]:
    service.script.on("?singleWsdl").do(Status(404))
    fetched = ContractFetcher(OctopusSettings.load(**service.settings())).fetch()
    return pinned_files(fetched.documents, "")


def test_a_write_that_is_cut_off_leaves_the_contract_that_was_there(
    tmp_path: Path, running_service: Emulator, service: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write_contract(tmp_path / "here", documents_of(tmp_path, service))
    with Emulator(wsdl=variant(tmp_path / "v", text=renamed), merchants=running_service.merchants) as other:
        new = documents_of(tmp_path, other)
    assert not set(new) & {path.name for path in old.parent.iterdir()} - {old.name}, "a new set has other names"
    replaced = Path.replace
    for survivors in range(len(new)):
        left = iter(range(survivors))

        def replace(self: Path, target: Any, left: Any = left) -> Path:
            if next(left, None) is None:
                raise OSError(28, "No space left on device")
            return replaced(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(OSError, match="No space"):
            write_contract(tmp_path / "here", new)
        monkeypatch.setattr(Path, "replace", replaced)
        assert compare(load_contract(), load_contract(old)) == [], "still the old one, whole"
        assert not list(old.parent.glob(".*")), "no temporary file left"
    path = write_contract(tmp_path / "here", new)
    assert path == old
    assert compare(load_contract(), load_contract(path)) != []


def test_a_folder_that_cannot_be_written_is_one_clear_line(
    octopus_soap: Callable[..., Any], configured: Any, service: Emulator, tmp_path: Path
) -> None:
    configured(service)
    (tmp_path / "file").write_text("")
    said = octopus_soap("wsdl", "pin", "--to", str(tmp_path / "file" / "here"))
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert "file" in said.err


def test_a_stored_contract_can_be_read_by_the_account_the_job_runs_under(service: Emulator, tmp_path: Path) -> None:
    path = write_contract(tmp_path / "here", documents_of(tmp_path, service))
    assert {found.stat().st_mode & 0o777 for found in path.parent.iterdir()} == {0o644}


@every(
    ("endpoint", "name"),
    [
        ("https://api.example.com/a/OctopusService.svc", "api.example.com"),
        ("https://API.example.com:8443/x", "api.example.com-8443"),
        ("http://[::1]:8000/x", "__1-8000"),
        ("http://127.0.0.1/x", "127.0.0.1"),
    ],
)
def test_the_folder_is_named_by_host(endpoint: str, name: str) -> None:
    assert pinned_folder(endpoint).name == name
    assert pinned_folder(endpoint).parent.name == "contracts"


@every(
    ("location", "address"),
    [
        ("?xsd=xsd0", "https://h/s/x.svc?xsd=xsd0"),
        ("http://inner-01/s/x.svc?xsd=xsd0", "https://h/s/x.svc?xsd=xsd0"),
        ("//evil.example/x", "https://h/x"),
        ("../other.xsd#a", "https://h/other.xsd"),
        ("file:///etc/passwd", "https://h/etc/passwd"),
    ],
)
def test_references_never_leave_the_origin(location: str, address: str) -> None:
    assert resolved("https://h/s/x.svc?wsdl", location) == address


@pytest.mark.parametrize(
    "query", ["?xsd=../../../etc/passwd", "?xsd=%2e%2e%2fetc", "?xsd=C:\\x", "?x=" + "a" * 500, "?xsd=æ", "?"]
)
def test_names_of_files_are_plain_whatever_the_service_calls_its_parts(query: str, tmp_path: Path) -> None:
    from xml.sax.saxutils import quoteattr

    main = f'<schema xmlns="http://www.w3.org/2001/XMLSchema"><include schemaLocation={quoteattr(query)}/></schema>'
    here = "https://h/x.svc?wsdl"
    documents = {here: parse_document(main.encode(), here)}
    (there,) = documents[here].references()
    documents[there] = parse_document(b'<schema xmlns="http://www.w3.org/2001/XMLSchema"/>', there)
    for name in pinned_files(documents, "a -- comment ---> here"):
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}(\.[0-9a-f]{8})?\.(xsd|wsdl)", name)


def test_a_comment_cannot_break_the_document() -> None:
    documents = {"https://h/x?wsdl": parse_document((FOLDER / "Arrays.xsd").read_bytes(), "https://h/x?wsdl")}
    for about in ("a --> <!ENTITY", "------", "ends with -", "https://h/a--b?x&y<z"):
        (body,) = pinned_files(documents, about).values()
        assert parse_document(body, "x").kind == "xsd"


def test_a_contract_with_plain_value_types_is_pinned_with_what_that_means(
    octopus_soap: Callable[..., Any], configured: Any, running_service: Emulator, tmp_path: Path
) -> None:
    wsdl = variant(tmp_path / "v", values_not_nillable)
    with Emulator(wsdl=wsdl, profile=Profile(nillable_values=False), merchants=running_service.merchants) as service:
        configured(service)
        said = octopus_soap("wsdl", "pin", "--to", str(tmp_path / "here"))
    assert "omitted_values" in said.out
    assert "Needs care" in said.out
