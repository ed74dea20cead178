"""What the environment says: which source wins, what must not leak in, and how wrong values are told."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from blocks.errors import InvalidInput, StoreUnusable
from blocks.settings import REAL_SERVICE, Settings, load_settings, point_prefect_home

FIELDS: dict[str, tuple[str, str, str, str, str, Any]] = {
    # field: variable, as a flag, in the environment, in .env, in a block, default
    "api_key": ("WAVESPEED_API_KEY", "flag", "environment", "file", "block", None),
    "budget_per_day": ("CAMPAIGN_BUDGET_PER_DAY", "1.5", "2.5", "3.5", "4.5", None),
    "base_url": (
        "WAVESPEED_BASE_URL",
        "https://flag.example",
        "https://environment.example",
        "https://file.example",
        "https://block.example",
        REAL_SERVICE,
    ),
    "home": ("CAMPAIGN_HOME", "flag", "environment", "file", "block", Path(".campaign")),
    "ledger_url": ("CAMPAIGN_LEDGER_URL", "sqlite:///1", "sqlite:///2", "sqlite:///3", "sqlite:///4", None),
    "max_concurrent": ("CAMPAIGN_MAX_CONCURRENT", "1", "2", "3", "4", 300),
    "images_per_minute": ("CAMPAIGN_IMAGES_PER_MINUTE", "1", "2", "3", "4", 500),
    "videos_per_minute": ("CAMPAIGN_VIDEOS_PER_MINUTE", "1", "2", "3", "4", 500),
    "poll_seconds": ("CAMPAIGN_POLL_SECONDS", "1", "2", "3", "4", None),
    "request_seconds": ("CAMPAIGN_REQUEST_SECONDS", "1", "2", "3", "4", None),
    "quiet_seconds": ("CAMPAIGN_QUIET_SECONDS", "1", "2", "3", "4", None),
    "deadline_seconds": ("CAMPAIGN_DEADLINE_SECONDS", "1", "2", "3", "4", 3600),
    "charged_at": ("CAMPAIGN_CHARGED_AT", "acceptance", "end", "acceptance", "end", None),
    "patience_seconds": ("CAMPAIGN_PATIENCE_SECONDS", "1", "2", "3", "4", 900),
    "simulator_clock": ("CAMPAIGN_SIMULATOR_CLOCK", "1", "2", "3", "4", 0.02),
    "allow_private_inputs": ("CAMPAIGN_ALLOW_PRIVATE_INPUTS", "true", "false", "true", "false", False),
    "marked_copies": ("CAMPAIGN_MARKED_COPIES", "false", "true", "false", "true", True),
    "project": ("CAMPAIGN_PROJECT", "flag", "environment", "file", "block", None),
    "notify": ("CAMPAIGN_NOTIFY", "slack/a", "slack/b", "slack/c,mail/d", "slack/e", None),
    "notify_on": ("CAMPAIGN_NOTIFY_ON", "failure", "hold", "failure,hold", "end,hold", "end"),
}
OF_AN_ACCOUNT = ("api_key", "base_url")


@dataclass
class Place:
    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def write(self, **variables: str) -> None:
        lines = [f"{name}={value}\n" for name, value in variables.items()]
        (self.folder / ".env").write_text("".join(lines), encoding="utf-8")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty folder, and an environment in which nothing of ours is set."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.upper().startswith(("WAVESPEED_", "CAMPAIGN_", "PREFECT_")):
            monkeypatch.delenv(name)
    return Place(tmp_path, monkeypatch)


def plain(value: Any) -> str:
    value = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_the_table_above_is_complete() -> None:
    assert {name: entry[0] for name, entry in FIELDS.items()} == {
        name: field.validation_alias for name, field in Settings.model_fields.items()
    }


@pytest.mark.parametrize("field", FIELDS)
def test_flag_beats_environment_beats_file_beats_block_beats_default(place: Place, field: str) -> None:
    variable, flag, environment, file, block, default = FIELDS[field]
    assert getattr(load_settings(), field) == default
    assert plain(getattr(load_settings(block={field: block}), field)) == block
    # Where a block differs in these, the run is refused: see below.
    lower = {} if field in OF_AN_ACCOUNT else {field: block}
    place.write(**{variable: file})
    assert plain(getattr(load_settings(block=lower), field)) == file
    place.set(**{variable: environment})
    assert plain(getattr(load_settings(block=lower), field)) == environment
    assert plain(getattr(load_settings({field: flag}, {field: block}), field)) == flag


@pytest.mark.parametrize("field", FIELDS)
def test_a_variable_of_the_field_s_own_name_is_somebody_else_s(place: Place, field: str) -> None:
    value = FIELDS[field][2]
    place.set(**{field.upper(): value, field: value})
    place.write(**{field.upper(): value, field: value})
    assert getattr(load_settings(), field) == FIELDS[field][5]


@pytest.mark.parametrize("field", FIELDS)
def test_what_is_empty_is_not_set(place: Place, field: str) -> None:
    variable, *_, block, default = FIELDS[field]
    place.set(**{variable: ""})
    assert getattr(load_settings(), field) == default
    place.write(**{variable: FIELDS[field][3]})
    assert plain(getattr(load_settings(), field)) == FIELDS[field][3]
    place.write(**{variable: ""})
    assert plain(getattr(load_settings({field: None}, {field: block}), field)) == block
    assert getattr(load_settings({field: None}, {field: None}), field) == default


def test_every_wrong_value_is_named_at_once(place: Place) -> None:
    place.set(
        WAVESPEED_BASE_URL="ftp://files.example",
        CAMPAIGN_MAX_CONCURRENT="0",
        CAMPAIGN_POLL_SECONDS="often",
        CAMPAIGN_ALLOW_PRIVATE_INPUTS="perhaps",
    )
    place.write(CAMPAIGN_IMAGES_PER_MINUTE="1.5")
    with pytest.raises(InvalidInput) as caught:
        load_settings({"quiet_seconds": -1}, {"videos_per_minute": "many"})
    named = [line.split(":")[0] for line in str(caught.value).splitlines()[1:]]
    assert sorted(named) == [
        "CAMPAIGN_ALLOW_PRIVATE_INPUTS",
        "CAMPAIGN_IMAGES_PER_MINUTE",
        "CAMPAIGN_MAX_CONCURRENT",
        "CAMPAIGN_POLL_SECONDS",
        "CAMPAIGN_QUIET_SECONDS",
        "CAMPAIGN_VIDEOS_PER_MINUTE",
        "WAVESPEED_BASE_URL",
    ]
    assert "WAVESPEED_BASE_URL: is not an address such as https://api.wavespeed.ai" in str(caught.value)


@pytest.mark.parametrize(
    "variable",
    [entry[0] for name, entry in FIELDS.items() if name.endswith("_seconds") or name == "simulator_clock"],
)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1"])
def test_a_duration_is_a_number_that_ends(place: Place, variable: str, value: str) -> None:
    place.set(**{variable: value})
    with pytest.raises(InvalidInput, match=variable):
        load_settings()


@pytest.mark.parametrize(
    "address",
    [
        "api.example",
        "https://",
        "http://[",
        "https://api.example:99999",
        "https://api.example:x",
        "file:///etc",
    ],
)
def test_an_address_is_one(place: Place, address: str) -> None:
    place.set(WAVESPEED_BASE_URL=address)
    with pytest.raises(InvalidInput, match="WAVESPEED_BASE_URL: is not an address such as"):
        load_settings()


def test_no_password_in_an_address(place: Place) -> None:
    place.set(WAVESPEED_BASE_URL="https://me:canary@api.example")
    with pytest.raises(InvalidInput, match="WAVESPEED_API_KEY only") as caught:
        load_settings()
    assert "canary" not in str(caught.value)


def test_secrets_are_not_shown(place: Place) -> None:
    place.set(
        WAVESPEED_API_KEY="canary-key",
        CAMPAIGN_LEDGER_URL="postgresql://me:canary-word@host/books",
        CAMPAIGN_MAX_CONCURRENT="4",
    )
    settings = load_settings()
    shown = f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    assert "canary" not in shown
    assert settings.required_key().get_secret_value() == "canary-key"
    assert settings.ledger_address == "postgresql://me:canary-word@host/books"
    place.set(CAMPAIGN_MAX_CONCURRENT="none")
    with pytest.raises(InvalidInput) as caught:
        load_settings({"ledger_url": 5})
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None  # pydantic's own error quotes every value that it was given


def test_a_file_that_is_no_text(place: Place) -> None:
    (place.folder / ".env").write_bytes("CAMPAIGN_HOME=café".encode("latin-1"))
    with pytest.raises(InvalidInput, match=r"\.env is not UTF-8 text"):
        load_settings()


def test_without_a_key_the_built_in_simulator_is_meant(place: Place) -> None:
    settings = load_settings()
    assert settings.embedded
    assert settings.service == "simulator"
    assert (settings.poll, settings.request_timeout, settings.quiet) == (0.1, 20.0, 2.0)
    assert load_settings({"simulator_clock": 1.0}).poll == 2.0
    with pytest.raises(InvalidInput, match="WAVESPEED_API_KEY"):
        settings.required_key()
    given = load_settings({"poll_seconds": 0.5, "request_seconds": 7.0, "quiet_seconds": 0.0})
    assert (given.poll, given.request_timeout, given.quiet) == (0.5, 7.0, 0.0)


def test_with_a_key_the_account_is_meant(place: Place) -> None:
    settings = load_settings({"api_key": "key"})
    assert not settings.embedded
    assert settings.service == "https://api.wavespeed.ai"
    assert (settings.poll, settings.request_timeout, settings.quiet) == (2.0, 60.0, 30.0)


@pytest.mark.parametrize(
    ("address", "service"),
    [
        ("https://API.Example/", "https://api.example"),
        ("https://api.example:443", "https://api.example"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://127.0.0.1:8080/base/", "http://127.0.0.1:8080"),
        ("https://api.example:80", "https://api.example:80"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        (" https://api.example ", "https://api.example"),
    ],
)
def test_a_service_has_one_name_however_its_address_is_spelt(
    place: Place, address: str, service: str
) -> None:
    assert load_settings({"api_key": "key", "base_url": address}).service == service


def test_what_lies_in_the_home(place: Place) -> None:
    settings = load_settings({"home": "elsewhere"})
    assert settings.ledger_address == f"sqlite:///{place.folder / 'elsewhere' / 'ledger.sqlite'}"
    assert settings.assets == Path("elsewhere/assets")
    assert not (place.folder / "elsewhere").exists()


def test_a_home_that_is_a_file_is_refused(place: Place) -> None:
    place.monkeypatch.setenv("PREFECT_HOME", "")
    (place.folder / "a file").touch()
    with pytest.raises(StoreUnusable, match="CAMPAIGN_HOME"):
        point_prefect_home(load_settings({"home": "a file"}))


def test_prefect_s_home_is_ours_unless_it_is_set(place: Place) -> None:
    place.monkeypatch.setenv("PREFECT_HOME", "")
    assert point_prefect_home(load_settings()) == place.folder / ".campaign" / "prefect"
    assert os.environ["PREFECT_HOME"] == str(place.folder / ".campaign" / "prefect")
    elsewhere = place.folder / "somewhere" / "else"
    place.set(PREFECT_HOME=str(elsewhere))
    assert point_prefect_home(load_settings()) == elsewhere
    assert os.environ["PREFECT_HOME"] == str(elsewhere)


@pytest.mark.parametrize("unusable", ["/dev/null", "/proc/nope", "a file/below"])
def test_a_home_of_prefect_s_that_cannot_be_used_is_refused(place: Place, unusable: str) -> None:
    (place.folder / "a file").touch()
    place.set(PREFECT_HOME=unusable)
    with pytest.raises(InvalidInput, match=r"PREFECT_HOME .* cannot be used .*Nothing was spent"):
        point_prefect_home(load_settings())


def problems(block: dict[str, Any] | None = None, account: str | None = None) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        load_settings(block=block, account=account)
    head, *lines = str(caught.value).splitlines()
    assert head == "the settings cannot be used:"
    return lines


@pytest.mark.parametrize("above", ["the environment", ".env"])
@pytest.mark.parametrize(
    ("field", "what", "block", "other"),
    [
        ("api_key", "key", "canary-of-client-b", "canary-of-client-a"),
        ("base_url", "address", "https://b.example", "https://a.example"),
    ],
)
def test_a_block_and_what_comes_before_it_never_name_two_accounts(
    place: Place, above: str, field: str, what: str, block: str, other: str
) -> None:
    variable = FIELDS[field][0]
    (place.set if above == "the environment" else place.write)(**{variable: other})
    given = {field: SecretStr(block) if field == "api_key" else block}
    (told,) = problems(given, "client-b")
    assert told.startswith(
        f"{variable}: {above} gives another {what} than the block client-b, so it is not clear"
    )
    assert f"take it out of {above}, or name no block" in told
    assert block not in told
    assert other not in told
    # Where they agree, or only one of them says it, there is nothing to refuse.
    assert plain(getattr(load_settings(), field)) == other
    (place.set if above == "the environment" else place.write)(**{variable: block})
    assert plain(getattr(load_settings(block=given, account="client-b"), field)) == block


def test_what_agrees_with_the_block_hides_what_does_not(place: Place) -> None:
    place.set(WAVESPEED_API_KEY="one", WAVESPEED_BASE_URL="https://API.example/")
    place.write(WAVESPEED_API_KEY="two")
    block = {"api_key": SecretStr("one"), "base_url": "https://api.example"}
    assert load_settings(block=block, account="b").required_key().get_secret_value() == "one"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CAMPAIGN_BUDGET_PER_DAYS", "CAMPAIGN_BUDGET_PER_DAY"),
        ("CAMPAIGN_BUDGET", "CAMPAIGN_BUDGET_PER_DAY"),
        ("CAMPAIGN_DAILY_BUDGET", "CAMPAIGN_BUDGET_PER_DAY"),
        ("campaign_budget_per_days", "CAMPAIGN_BUDGET_PER_DAY"),
        ("CAMPAIN_BUDGET_PER_DAY", "CAMPAIGN_BUDGET_PER_DAY"),
        ("CAMPAIGN_MAX_CONCURENT", "CAMPAIGN_MAX_CONCURRENT"),
        ("CAMPAIGN_PER_MINUTE_IMAGES", "CAMPAIGN_IMAGES_PER_MINUTE"),
        ("CAMPAIGN_LEDGER", "CAMPAIGN_LEDGER_URL"),
        ("CAMPAIGN_HOM", "CAMPAIGN_HOME"),
        ("WAVESPEED_APIKEY", "WAVESPEED_API_KEY"),
        ("WAVESPEED_API_KEYS", "WAVESPEED_API_KEY"),
    ],
)
def test_a_name_that_is_nearly_a_setting_s_is_refused(place: Place, name: str, meant: str) -> None:
    wrong = f"{name}: is no setting of this program; did you mean {meant}?"
    place.set(**{name: "0.01"})
    assert problems() == [wrong]
    place.set(**{name: ""})
    load_settings()
    place.write(A="1", **{name: "0.01"})
    assert problems() == [f".env:2: {wrong}"]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "PATH",
            "HOME",
            "PREFECT_API_URL",
            "PREFECT_HOME",
            "PREFECT_API_URI",
            "OPENAI_API_KEY",
            "BUDGET_PER_DAY",
        ),
        *(
            "CAMPAIGN_ID",
            "CAMPAIGN_NAME",
            "CAMPAIGN_URL",
            "CAMPAIGN_SOURCE",
            "CAMPAIGN_",
            "WAVESPEED_API_HOST",
        ),
        *("MAX_CONCURRENT", "API_KEY"),
    ],
)
def test_names_of_other_programs_are_theirs(place: Place, name: str) -> None:
    place.set(**{name: "x"})
    load_settings()
    place.monkeypatch.delenv(name)
    place.write(**{name: "x"})
    if name.startswith(("CAMPAIGN_", "WAVESPEED_")):
        # In the file, which is this program's too, every name that looks like its own has to be one.
        assert problems() == [
            f".env:1: {name}: is no setting of this program; docs/settings.md has all of them"
        ]
    else:
        load_settings()


def test_every_setting_is_told_by_its_own_name_from_the_others(place: Place) -> None:
    """A setting that is near another one must not be taken for its misspelling."""
    for variable, *_, file, _block, _default in FIELDS.values():
        place.write(**{variable: file, variable.lower(): file})
        load_settings()


@pytest.mark.parametrize(
    "line",
    [
        "CAMPAIGN_BUDGET_PER_DAY 5",
        "CAMPAIGN_BUDGET_PER_DAY: 5",
        "CAMPAIGN_BUDGET_PER_DAY:5",
        'CAMPAIGN_HOME="no end',
        "=5",
        "canary-key-0123456789abcdef",
    ],
)
def test_a_line_that_cannot_be_read_is_refused(
    place: Place, capfd: pytest.CaptureFixture[str], line: str
) -> None:
    (place.folder / ".env").write_text(f"# ours\n\nexport CAMPAIGN_HOME=here\n{line}\n", "utf-8")
    assert problems() == [".env:4: cannot be read; write NAME=VALUE, and quotation marks around blanks"]
    assert capfd.readouterr() == ("", "")


def test_a_file_s_byte_order_mark_is_no_part_of_its_first_name(place: Place) -> None:
    (place.folder / ".env").write_text("\ufeffCAMPAIGN_BUDGET_PER_DAY=0.01\n", "utf-8")
    assert load_settings().day_cap == 10_000


def test_names_and_values_are_told_together(place: Place) -> None:
    place.set(CAMPAIGN_BUDGET="1", CAMPAIGN_MAX_CONCURRENT="0")
    (place.folder / ".env").write_text(
        "CAMPAIGN_HOMES=a\nCAMPAIGN_POLL_SECONDS=often\nwhat is this\n", "utf-8"
    )
    told = problems({"api_key": "b"}, "b")
    assert [line.split(": ")[0] for line in told] == [
        ".env:1",
        ".env:3",
        "CAMPAIGN_BUDGET",
        "CAMPAIGN_MAX_CONCURRENT",
        "CAMPAIGN_POLL_SECONDS",
    ]


def test_a_file_that_may_not_be_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write(CAMPAIGN_HOME="here")

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(InvalidInput, match=r"\.env cannot be read \(Permission denied\)"):
        load_settings()
