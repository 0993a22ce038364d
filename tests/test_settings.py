"""Settings: their sources, refusals, and no secret in any error or repr."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from octopus_soap import ConfigError, OctopusClient, OctopusSettings, OmittedValues, Safety
from octopus_soap._http import is_loopback
from octopus_soap.contracts.bundled import operation_names
from octopus_soap.profile_file import profiles_file
from tests.every import every
from tests.inside import context_of, secrets_are_in

TOKEN, ACCESS, ACCOUNT = "canary-token-77", "canary-access-88", "canary-account-99"
GIVEN: dict[str, Any] = {
    "endpoint": "https://shop.example/OctopusService.svc",
    "authtoken": TOKEN,
    "merchantname": "my shop",
    "accessid": ACCESS,
}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a .env, and no profile file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OCTOPUS_PROFILES_FILE", str(tmp_path / "profiles.toml"))
    return tmp_path


def assert_hides_secrets(*texts: object) -> None:
    for text in texts:
        assert not [secret for secret in (TOKEN, ACCESS, ACCOUNT) if secret in str(text)]


# -- sources -------------------------------------------------------------------------------------------------------


def _everywhere(folder: Path, monkeypatch: pytest.MonkeyPatch, *sources: str) -> OctopusSettings:
    """Load settings with `user_agent` from each of *sources*, the rest from arguments."""
    if "profile" in sources:
        (folder / "profiles.toml").write_text('[default]\nuser_agent = "profile"\n')
    if ".env" in sources:
        (folder / ".env").write_text("OCTOPUS_USER_AGENT=.env\n")
    if "environment" in sources:
        monkeypatch.setenv("OCTOPUS_USER_AGENT", "environment")
    given = {"user_agent": "arguments"} if "arguments" in sources else {}
    return OctopusSettings.load(**GIVEN, **given)


@pytest.mark.parametrize(
    "sources",
    [
        ("arguments", "environment", ".env", "profile"),
        ("environment", ".env", "profile"),
        (".env", "profile"),
        ("profile",),
        ("arguments", "profile"),
        ("environment", "profile"),
    ],
    ids=" > ".join,
)
def test_the_first_source_that_has_a_value_wins(
    sources: tuple[str, ...], own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _everywhere(own_folder, monkeypatch, *sources).user_agent == sources[0]


def test_sources_complete_each_other(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_folder / "profiles.toml").write_text(f'[default]\nendpoint = "{GIVEN["endpoint"]}"\nmax_attempts = 7\n')
    (own_folder / ".env").write_text(f"OCTOPUS_AUTHTOKEN={TOKEN}\n")
    monkeypatch.setenv("OCTOPUS_MERCHANTNAME", "my shop")
    settings = OctopusSettings.load(accessid=ACCESS)
    assert settings.credentials() == {"authtoken": TOKEN, "merchantname": "my shop", "accessid": ACCESS}
    assert settings.max_attempts == 7


def test_none_means_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOPUS_USER_AGENT", "environment")
    assert OctopusSettings.load(**GIVEN, user_agent=None).user_agent == "environment"


@pytest.mark.parametrize("choose", ["argument", "environment"])
def test_a_profile_is_chosen_by_name(choose: str, own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_folder / "profiles.toml").write_text('[default]\nuser_agent = "one"\n[second]\nuser_agent = "two"\n')
    assert OctopusSettings.load(**GIVEN).user_agent == "one"
    if choose == "environment":
        monkeypatch.setenv("OCTOPUS_PROFILE", "second")
    settings = OctopusSettings.load(**GIVEN, profile="second" if choose == "argument" else None)
    assert (settings.user_agent, settings.profile) == ("two", "second")


def test_a_profile_chosen_in_the_env_file_is_used(own_folder: Path) -> None:
    (own_folder / "profiles.toml").write_text('[default]\nuser_agent = "one"\n[second]\nuser_agent = "two"\n')
    (own_folder / ".env").write_text("OCTOPUS_PROFILE=second\n")
    settings = OctopusSettings.load(**GIVEN)
    assert (settings.profile, settings.user_agent) == ("second", "two")


@pytest.mark.parametrize("name", ["third", "DEFAULT", ""])
def test_an_unknown_profile_is_refused_with_those_there_are(name: str, own_folder: Path) -> None:
    (own_folder / "profiles.toml").write_text("[default]\n[second]\n")
    if not name:
        OctopusSettings.load(**GIVEN)
        return
    with pytest.raises(ConfigError, match="default, second"):
        OctopusSettings.load(**GIVEN, profile=name)


def test_a_profile_asked_for_without_a_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="profiles there: none"):
        OctopusSettings.load(**GIVEN, profile="shop")


@pytest.mark.parametrize("text", ["[default\n", 'default = "x"\n', "\xff", "[default]\nendpiont = 'x'\n"])
def test_a_broken_profile_file_is_a_config_error(text: str, own_folder: Path) -> None:
    (own_folder / "profiles.toml").write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError):
        OctopusSettings.load(**GIVEN)


def test_the_profile_file_is_where_the_variable_says(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert profiles_file() == own_folder / "profiles.toml"
    monkeypatch.delenv("OCTOPUS_PROFILES_FILE")
    assert profiles_file().name == "profiles.toml"
    assert "octopus-soap" in str(profiles_file())


@every("named", ["", "/elsewhere", "/elsewhere/", "relative", " /spaced ", "~/tilde"])
@every("home", ["/home/shop", "/home/shop/", "/", "relative"])
def test_the_profile_file_is_where_platformdirs_says(named: str, home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCTOPUS_PROFILES_FILE", raising=False)
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("XDG_CONFIG_HOME", named)
    assert profiles_file() == Path(platformdirs.user_config_dir("octopus-soap")) / "profiles.toml"


def test_other_programs_lines_in_a_shared_env_file_do_no_harm(own_folder: Path) -> None:
    """A project's .env holds its database's password too."""
    (own_folder / ".env").write_text(
        "DATABASE_URL=postgres://secret@db\nDEBUG=1\nENDPOINT=https://elsewhere.example\nOCTOPUS_MAX_ATTEMPTS=5\n"
    )
    settings = OctopusSettings.load(**GIVEN)
    assert (settings.max_attempts, settings.endpoint) == (5, GIVEN["endpoint"])


def test_a_misspelt_line_of_ours_in_an_env_file_is_refused_by_name(own_folder: Path) -> None:
    (own_folder / ".env").write_text("OCTOPUS_MAX_ATEMPTS=5\n")
    with pytest.raises(ConfigError, match="octopus_max_atempts"):
        OctopusSettings.load(**GIVEN)


def test_other_programs_variables_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDPOINT", "https://elsewhere.example")
    monkeypatch.setenv("OCTOPUS_SOMETHING_ELSE", "x")
    assert OctopusSettings.load(**GIVEN).endpoint == GIVEN["endpoint"]


def test_structured_settings_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOPUS_BATCH_SIZES", '{"UploadItemList": 20}')
    monkeypatch.setenv("OCTOPUS_SAFETY", '{"UploadItem": "unsafe"}')
    monkeypatch.setenv("OCTOPUS_OMITTED_VALUES", "read_first")
    settings = OctopusSettings.load(**GIVEN)
    assert settings.batch_sizes == {"UploadItemList": 20}
    assert settings.safety == {"UploadItem": Safety.UNSAFE}
    assert settings.omitted_values is OmittedValues.READ_FIRST


def test_variables_are_found_in_any_case_and_tables_of_two_sources_complete_each_other(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_folder / ".env").write_text(
        'export octopus_batch_sizes=\'{"UploadItemList": 20, "GetItemList": 5}\'  # a comment\nOCTOPUS_SAFETY\n'
    )
    monkeypatch.setenv("octopus_batch_sizes", '{"GetItemList": 7}')
    monkeypatch.setenv("Octopus_Omitted_Values", '{"*": ["price"]}')
    settings = OctopusSettings.load(**GIVEN)
    assert settings.batch_sizes == {"UploadItemList": 20, "GetItemList": 7}
    assert settings.omitted_values == {"*": ["price"]}
    assert settings.safety == {}


@pytest.mark.parametrize("text", [b"OCTOPUS_USER_AGENT=\xff\n", b"OCTOPUS_SAFETY=" + TOKEN.encode()])
def test_an_env_file_that_cannot_be_read_is_a_config_error_without_its_text(text: bytes, own_folder: Path) -> None:
    (own_folder / ".env").write_bytes(text)
    with pytest.raises(ConfigError, match=r"\.env") as caught:
        OctopusSettings.load(**GIVEN)
    assert_hides_secrets(caught.value, caught.value.__cause__, vars(caught.value.__context__ or caught.value))


# -- errors --------------------------------------------------------------------------------------------------------


def test_everything_missing_is_named_at_once_with_the_ways_to_give_it() -> None:
    with pytest.raises(ConfigError) as caught:
        OctopusSettings.load()
    text = str(caught.value)
    for name in ("endpoint", "authtoken", "merchantname", "accessid"):
        assert name in text
        assert f"OCTOPUS_{name.upper()}" in text
    assert "octopus-soap serve" in text


WRONG: list[dict[str, Any]] = [
    {"authtoken": TOKEN + "\n"},
    {"authtoken": f" {TOKEN}"},
    {"authtoken": ""},
    {"accessid": ACCESS + "\r\nX-Evil: 1"},
    {"accessid": ACCESS + "é"},
    {"accessid": ACCESS + "\x00"},
    {"merchantname": "my shop\n"},
    {"merchantname": "mÿ shop"},
    {"merchantname": ""},
    {"endpoint": "ftp://shop.example"},
    {"endpoint": "shop.example/OctopusService.svc"},
    {"endpoint": "https://"},
    {"endpoint": ""},
    {"endpoint": f"https://user:{TOKEN}@shop.example/"},
    {"endpoint": "http://shop.example/OctopusService.svc"},
    {"endpoint": "http://127.0.0.1.evil.example/"},
    {"endpoint": "http://10.0.0.1/"},
    {"connect_timeout": 0},
    {"read_timeout": -1},
    {"total_timeout": float("inf")},
    {"total_timeout": float("nan")},
    {"read_timeout": None, "total_timeout": "soon"},
    {"max_attempts": 0},
    {"max_attempts": 21},
    {"max_connections": 0},
    {"parallel_writes": 0},
    {"max_request_bytes": 100},
    {"max_reply_bytes": 0},
    {"backoff_base": -1},
    {"server_timezone": "Mars/Olympus"},
    {"server_timezone": "../../etc/passwd"},
    {"server_timezone": ""},
    {"batch_sizes": {"GetItems": 5}},
    {"batch_sizes": {"GetItemList": 0}},
    {"batch_sizes": {"get_item_list": 5}},
    {"safety": {"SubmitOrders": "read"}},
    {"safety": {"SubmitOrder": "sure"}},
    {"omitted_values": "guess"},
    {"ca_bundle": "/no/such/bundle.pem"},
    {"user_agent": "shop\nx: y"},
    {"user_agent": "Käse/1"},
    {"tiemout": 5},
    {"account_id": 5},
]


@every("changes", WRONG, ids=lambda changes: ascii(changes)[:60])
def test_a_wrong_value_is_refused_by_name_and_without_showing_secrets(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        OctopusSettings.load(**{**GIVEN, **changes})
    wrong = [name for name, value in changes.items() if value is not None]
    assert wrong[-1] in str(caught.value)
    assert_hides_secrets(caught.value, repr(caught.value), caught.value.__cause__, caught.value.__context__)


@every(
    ("changes", "message"),
    [
        ({"deadline": -1}, "deadline: Input should be greater than 0 (got -1)"),
        ({"max_conections": 3}, "max_conections: no such setting; did you mean max_connections?"),
        ({"OCTOPUS_AUTHTOKN": TOKEN}, "OCTOPUS_AUTHTOKN: no such setting; did you mean authtoken?"),
        *(
            (
                {"omitted_values": value},
                "omitted_values: must be refuse, send or read_first, or a table of these by operation",
            )
            for value in ("zero", 7, {"UploadItem": "zero"}, {"UploadItem": [7]})
        ),
    ],
)
def test_a_wrong_setting_has_one_message_with_its_number_or_the_right_name(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        OctopusSettings.load(**{**GIVEN, **changes})
    assert str(caught.value).split("\n")[0].removesuffix(" (got 7)") == message
    assert_hides_secrets(caught.value)


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        OctopusSettings.load(endpoint="x", authtoken=f"{TOKEN}\n", max_attempts=0)
    for name in ("authtoken", "max_attempts", "merchantname", "accessid"):
        assert name in str(caught.value)
    assert_hides_secrets(caught.value)


def test_a_wrong_value_in_the_environment_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOPUS_AUTHTOKEN", f"{TOKEN} ")
    monkeypatch.setenv("OCTOPUS_BATCH_SIZES", TOKEN)
    given = {name: value for name, value in GIVEN.items() if name != "authtoken"}
    with pytest.raises(ConfigError) as caught:
        OctopusSettings.load(**given)
    assert 'OCTOPUS_BATCH_SIZES in the environment must be JSON, such as {"UploadItemList": 20}' in str(caught.value)
    assert_hides_secrets(caught.value)
    monkeypatch.delenv("OCTOPUS_BATCH_SIZES")
    with pytest.raises(ConfigError, match="authtoken") as caught:
        OctopusSettings.load(**given)
    assert_hides_secrets(caught.value)


# -- endpoints -----------------------------------------------------------------------------------------------------


@every(
    "endpoint",
    ["http://127.0.0.1:8000/x", "http://localhost/x", "http://[::1]:80/", "http://127.8.9.1/", "http://a.localhost/"],
)
def test_plain_http_is_for_this_machine(endpoint: str) -> None:
    assert OctopusSettings.load(**{**GIVEN, "endpoint": endpoint}).endpoint == endpoint
    assert is_loopback(endpoint)


def test_plain_http_to_another_machine_must_be_asked_for() -> None:
    settings = OctopusSettings.load(**{**GIVEN, "endpoint": "http://10.0.0.1/"}, allow_insecure=True)
    assert settings.endpoint == "http://10.0.0.1/"
    assert not is_loopback(settings.endpoint)


@every("url", ["http://localhost.evil.example", "http://127.0.0.1@evil.example/", "http://0.0.0.0/", ""])
def test_what_only_looks_like_this_machine_is_not(url: str) -> None:
    assert not is_loopback(url)


# -- secrets -------------------------------------------------------------------------------------------------------


def test_no_form_of_the_settings_shows_a_secret() -> None:
    settings = OctopusSettings.load(**GIVEN, account_id=ACCOUNT)
    assert_hides_secrets(
        repr(settings), str(settings), f"{settings}", settings.model_dump(), settings.model_dump_json(), [settings]
    )
    assert settings.secrets() == [TOKEN, ACCESS, ACCOUNT]


def test_a_client_shows_no_secret() -> None:
    with OctopusClient(**GIVEN, account_id=ACCOUNT) as client:
        assert_hides_secrets(
            repr(client), str(client), vars(client), context_of(client), *map(repr, secrets_are_in(client))
        )
        with pytest.raises(ConfigError) as caught:
            pickle.dumps(client)
        assert_hides_secrets(caught.value)


def test_the_account_is_the_access_id_unless_another_is_given() -> None:
    assert OctopusSettings.load(**GIVEN).sent_account_id == ACCESS
    assert OctopusSettings.load(**GIVEN, account_id=ACCOUNT).sent_account_id == ACCOUNT


# -- the rest ------------------------------------------------------------------------------------------------------


def test_settings_are_frozen() -> None:
    settings = OctopusSettings.load(**GIVEN)
    with pytest.raises(ValueError, match="frozen"):
        settings.max_attempts = 5  # type: ignore[misc] # what is tested


def test_every_limit_is_finite_by_default() -> None:
    settings = OctopusSettings.load(**GIVEN)
    for name in (
        "connect_timeout",
        "read_timeout",
        "total_timeout",
        "max_attempts",
        "max_connections",
        "max_reply_bytes",
    ):
        assert 0 < getattr(settings, name) < 10**9
    assert settings.parallel_writes == 1
    assert settings.omitted_values is OmittedValues.REFUSE
    assert not settings.accept_unverified_contract
    assert not settings.allow_insecure


def test_changed_makes_a_validated_copy_and_asks_no_other_source(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = OctopusSettings.load(**GIVEN, max_attempts=2)
    monkeypatch.setenv("OCTOPUS_MAX_ATTEMPTS", "9")
    monkeypatch.setenv("OCTOPUS_USER_AGENT", "environment")
    (own_folder / "profiles.toml").write_text("[default]\nread_timeout = 1\n")
    changed = settings.changed(total_timeout=5)
    assert (changed.total_timeout, changed.max_attempts, changed.user_agent, changed.read_timeout) == (5.0, 2, "", 60.0)
    assert settings.total_timeout == 120.0
    assert changed.credentials() == settings.credentials()
    assert type(changed) is OctopusSettings
    assert copy.copy(changed) == changed


@every(
    "changes",
    [
        {"total_timeout": 0},
        {"max_attempts": "x"},
        {"nope": 1},
        {"endpoint": "http://shop.example"},
        {"authtoken": f"{TOKEN}\n"},
    ],
)
def test_changed_refuses_what_load_refuses(changes: dict[str, Any]) -> None:
    settings = OctopusSettings.load(**GIVEN)
    with pytest.raises(ConfigError) as caught:
        settings.changed(**changes)
    assert_hides_secrets(caught.value)


def test_the_servers_zone_is_a_real_zone() -> None:
    zone = OctopusSettings.load(**GIVEN, server_timezone="America/New_York").server_zone
    assert datetime(2026, 7, 1, tzinfo=zone).astimezone(UTC).hour == 4


@every("name", sorted(operation_names()))
def test_every_operation_may_have_its_own_batch_size_and_safety(name: str) -> None:
    settings = OctopusSettings.load(**GIVEN, batch_sizes={name: 3}, safety={name: "unsafe"})
    assert settings.batch_sizes[name] == 3
    assert settings.safety[name] is Safety.UNSAFE


def test_every_setting_is_documented() -> None:
    described = OctopusSettings.descriptions()
    assert [*described] == [*OctopusSettings.model_fields]
    shown = OctopusSettings.model_json_schema()["properties"]
    assert {name: field["description"] for name, field in shown.items()} == described


def test_settings_of_texts_alone_are_those_that_pydantic_makes() -> None:
    """A process's first settings take a shorter way; `changed` always uses pydantic."""
    cases: list[dict[str, Any]] = [
        {},
        {"account_id": ACCOUNT, "user_agent": "shop/1", "utc_suffix": False, "accept_unverified_contract": True},
        {"endpoint": "http://10.0.0.1/", "allow_insecure": True},
        {"merchantname": "x" * 300, "trust_env_file": True},
    ]
    for more in cases:
        made = OctopusSettings(**{**GIVEN, **more})
        checked = made.changed(**{**GIVEN, **more})
        assert made == checked
        assert made.model_fields_set == {*GIVEN, *more}
        assert (repr(made), made.model_dump(), made.credentials()) == (
            repr(checked),
            checked.model_dump(),
            checked.credentials(),
        )
        assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made
    given = {**GIVEN, "authtoken": type("Text", (str,), {})(TOKEN), "utc_suffix": "no", "max_attempts": "4"}
    loose = OctopusSettings.load(**given)
    assert (loose.utc_suffix, loose.max_attempts, loose.credentials()["authtoken"]) == (False, 4, TOKEN)


# -- sources that are trusted alike ----------------------------------------------------------------------------------


def _dotenv(folder: Path, **given: str) -> None:
    (folder / ".env").write_text("".join(f"OCTOPUS_{name.upper()}={value}\n" for name, value in given.items()))


SECRETS: dict[str, Any] = {"authtoken": TOKEN, "accessid": ACCESS}


@pytest.mark.parametrize("holder", ["arguments", "environment", "profile", "profile named in .env"])
def test_a_file_of_the_working_folder_does_not_redirect_credentials(
    holder: str, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = "shop" if holder == "profile named in .env" else "default"
    lines = [f'{name} = "{value}"' for name, value in {**GIVEN, **SECRETS}.items()]
    if holder.startswith("profile"):
        (own_folder / "profiles.toml").write_text("\n".join([f"[{profile}]", *lines]))
    for name, value in {**SECRETS, "merchantname": "my shop"}.items() if holder == "environment" else ():
        monkeypatch.setenv(f"OCTOPUS_{name.upper()}", value)
    _dotenv(own_folder, endpoint="https://elsewhere.example/x.svc", profile=profile, trust_env_file="1")
    given: dict[str, Any] = {**SECRETS, "merchantname": "my shop"} if holder == "arguments" else {}
    with pytest.raises(
        ConfigError, match=r"authtoken and accessid come from another source.*OCTOPUS_ENDPOINT"
    ) as raised:
        OctopusSettings(**given)
    assert_hides_secrets(raised.value)
    monkeypatch.setenv("OCTOPUS_TRUST_ENV_FILE", "1")
    assert OctopusSettings(**given).endpoint == "https://elsewhere.example/x.svc"
    monkeypatch.delenv("OCTOPUS_TRUST_ENV_FILE")
    monkeypatch.setenv("OCTOPUS_ENDPOINT", GIVEN["endpoint"])
    assert OctopusSettings(**given).endpoint == GIVEN["endpoint"]


def test_one_redirected_secret_is_enough_to_refuse(own_folder: Path) -> None:
    _dotenv(own_folder, **{**GIVEN, "endpoint": "https://elsewhere.example/x.svc"})
    with pytest.raises(ConfigError, match="but account_id come"):
        OctopusSettings.load(account_id=ACCOUNT)


def test_a_file_that_holds_everything_is_used(own_folder: Path) -> None:
    (own_folder / "profiles.toml").write_text('[default]\nauthtoken = "other"\nendpoint = "https://other.example"\n')
    _dotenv(own_folder, **GIVEN)
    assert OctopusSettings.load().credentials() == {"authtoken": TOKEN, "merchantname": "my shop", "accessid": ACCESS}


@every(
    "endpoint",
    ["https://x.example/a\nb", "https://x.example/a b", " https://x.example", "https://[::1/x", "https://x:99999/", "https://x:0/",
     "https://x:abc/", "https://a..example/", f"https://{'a' * 70}.example/", "https://x.example/\x1b[2J", "https://x/\udc80"],
)  # fmt: skip
def test_an_endpoint_no_request_can_be_sent_to_is_refused_where_it_is_given(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="endpoint: "):
        OctopusSettings.load(**{**GIVEN, "endpoint": endpoint})


def test_settings_made_directly_are_refused_as_those_that_are_loaded() -> None:
    with pytest.raises(ConfigError, match="missing: authtoken, merchantname, accessid"):
        OctopusSettings(endpoint=GIVEN["endpoint"])  # pyright: ignore[reportCallIssue] # incomplete on purpose
