"""What the environment says: flag beats environment beats ``.env`` beats block beats default."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from blocks.errors import InvalidInput, StoreUnusable
from blocks.money import to_millionths
from blocks.setting_conflicts import conflicts
from blocks.setting_names import ENCODING, environment_problems, file_problems

# Nobody makes a folder of this name but this program.
DEFAULT_HOME = Path(".campaign")
REAL_SERVICE = "https://api.wavespeed.ai"
# The service keeps outputs and its history for seven days: a longer wait waits for nothing.
_LONGEST_SECONDS = 604_800
_DEFAULT_PORTS = {"http": 80, "https": 443}

# When people are told of a run: however it ended, where something failed, where something is held back.
NotifyOn = Literal["end", "failure", "hold"]
_NOTIFY_ON: tuple[NotifyOn, ...] = get_args(NotifyOn)
_BLOCK = re.compile(r"[a-z0-9-]+/[a-z0-9-]+")

# Not "inf" and not "nan", which are numbers to Python: a run could wait for ever for its history to fall quiet.
_Seconds = Annotated[float, Field(gt=0, le=_LONGEST_SECONDS, allow_inf_nan=False)]
_SecondsOrZero = Annotated[float, Field(ge=0, le=_LONGEST_SECONDS, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Everything that can be set from outside, validated.

    Durations are in seconds, amounts in US dollars as text, limits per minute.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding=ENCODING,
        env_ignore_empty=True,
        extra="ignore",
        # By alias only: a field's own name, such as `home`, would be read from the variable HOME.
        populate_by_name=False,
        frozen=True,
    )

    api_key: SecretStr | None = Field(None, validation_alias="WAVESPEED_API_KEY")
    base_url: str = Field(REAL_SERVICE, validation_alias="WAVESPEED_BASE_URL")
    home: Path = Field(DEFAULT_HOME, validation_alias="CAMPAIGN_HOME")
    ledger_url: SecretStr | None = Field(None, validation_alias="CAMPAIGN_LEDGER_URL")
    budget_per_day: str | None = Field(None, validation_alias="CAMPAIGN_BUDGET_PER_DAY")
    max_concurrent: Annotated[int, Field(ge=1)] = Field(300, validation_alias="CAMPAIGN_MAX_CONCURRENT")
    images_per_minute: Annotated[int, Field(ge=1)] = Field(500, validation_alias="CAMPAIGN_IMAGES_PER_MINUTE")
    videos_per_minute: Annotated[int, Field(ge=1)] = Field(500, validation_alias="CAMPAIGN_VIDEOS_PER_MINUTE")
    poll_seconds: _Seconds | None = Field(None, validation_alias="CAMPAIGN_POLL_SECONDS")
    request_seconds: _Seconds | None = Field(None, validation_alias="CAMPAIGN_REQUEST_SECONDS")
    quiet_seconds: _SecondsOrZero | None = Field(None, validation_alias="CAMPAIGN_QUIET_SECONDS")
    deadline_seconds: _Seconds = Field(3600, validation_alias="CAMPAIGN_DEADLINE_SECONDS")
    charged_at: Literal["acceptance", "end"] | None = Field(None, validation_alias="CAMPAIGN_CHARGED_AT")
    patience_seconds: _SecondsOrZero = Field(900, validation_alias="CAMPAIGN_PATIENCE_SECONDS")
    simulator_clock: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        0.02, validation_alias="CAMPAIGN_SIMULATOR_CLOCK"
    )
    allow_private_inputs: bool = Field(default=False, validation_alias="CAMPAIGN_ALLOW_PRIVATE_INPUTS")
    marked_copies: bool = Field(default=True, validation_alias="CAMPAIGN_MARKED_COPIES")
    project: Path | None = Field(None, validation_alias="CAMPAIGN_PROJECT")
    notify: str | None = Field(None, validation_alias="CAMPAIGN_NOTIFY")
    notify_on: str = Field("end", validation_alias="CAMPAIGN_NOTIFY_ON")

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        value = value.strip()
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or parts.scheme not in {"http", "https"}:
            raise ValueError("is not an address such as https://api.wavespeed.ai")
        if parts.username is not None or parts.password is not None:
            raise ValueError("holds a user name or password; give the key as WAVESPEED_API_KEY only")
        return value.rstrip("/")

    @field_validator("budget_per_day", mode="before")
    @classmethod
    def _is_an_amount(cls, value: Any) -> Any:
        if value is not None and to_millionths(str(value)) < 0:
            raise ValueError("a budget cannot be negative")
        return None if value is None else str(value)

    @field_validator("notify")
    @classmethod
    def _are_blocks(cls, value: str | None) -> str | None:
        for name in _listed(value):
            if not _BLOCK.fullmatch(name):
                raise ValueError(f"{name} is not a block such as slack-webhook/team; several take commas")
        return value

    @field_validator("notify_on")
    @classmethod
    def _are_endings(cls, value: str) -> str:
        wrong = [name for name in _listed(value) if name not in _NOTIFY_ON]
        if wrong or not _listed(value):
            raise ValueError(f"is not one or several of {', '.join(_NOTIFY_ON)}, with commas between them")
        return value

    @property
    def day_cap(self) -> int | None:
        """What all runs together may cost on one UTC day, in millionths of a dollar; None: no cap."""
        return None if self.budget_per_day is None else to_millionths(self.budget_per_day)

    @property
    def notification_blocks(self) -> tuple[str, ...]:
        """Prefect's blocks that tell of a run's end, as ``kind/name``."""
        return _listed(self.notify)

    @property
    def notified_endings(self) -> frozenset[NotifyOn]:
        return frozenset(name for name in _NOTIFY_ON if name in _listed(self.notify_on))

    @property
    def embedded(self) -> bool:
        """No key: the built-in simulator does the work."""
        return self.api_key is None

    def required_key(self) -> SecretStr:
        """Raises InvalidInput where there is none."""
        if self.api_key is None:
            raise InvalidInput("there is no API key; set WAVESPEED_API_KEY or the block's API key")
        return self.api_key

    @property
    def origin(self) -> str:
        """Scheme, host and port, written in one way only: another spelling must not pay for everything again."""
        parts = urlsplit(self.base_url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = "" if parts.port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{parts.port}"
        return f"{parts.scheme}://{host}{port}"

    @property
    def service(self) -> str:
        """The identity that keeps one service's results from serving as another's."""
        return "simulator" if self.embedded else self.origin

    @property
    def ledger_address(self) -> str:
        if self.ledger_url is not None:
            return self.ledger_url.get_secret_value()
        return f"sqlite:///{self.home.absolute() / 'ledger.sqlite'}"

    @property
    def deployment_root(self) -> Path:
        """Below it a run by deployment reads and writes; resolved, so that no link leads out of it."""
        return (self.project or Path()).resolve()

    @property
    def assets(self) -> Path:
        return self.home / "assets"

    @property
    def thumbnails(self) -> Path:
        return self.home / "thumbnails"

    @property
    def summaries(self) -> Path:
        """Of past runs, for the list of runs and the page over all of them."""
        return self.home / "summaries"

    @property
    def charges_at(self) -> Literal["acceptance", "end"] | None:
        """When the account is charged for a prediction; None: that is learnt from its bill."""
        return "acceptance" if self.charged_at is None and self.embedded else self.charged_at

    @property
    def poll(self) -> float:
        """Shortest time between two looks at one image prediction; the embedded simulator's clock shortens it."""
        if self.poll_seconds is not None:
            return self.poll_seconds
        return max(0.1, 2 * self.simulator_clock) if self.embedded else 2.0

    @property
    def request_timeout(self) -> float:
        """How long a submitting call may take before its outcome counts as unknown."""
        return self.request_seconds or (20.0 if self.embedded else 60.0)

    @property
    def quiet(self) -> float:
        """How long the history must show nothing, after the request timed out, before a POST may be sent again."""
        if self.quiet_seconds is not None:
            return self.quiet_seconds
        return 2.0 if self.embedded else 30.0


VARIABLES = frozenset(str(field.validation_alias) for field in Settings.model_fields.values())


def load_settings(
    flags: Mapping[str, Any] | None = None,
    block: Mapping[str, Any] | None = None,
    *,
    account: str | None = None,
    env_file: str | None = ".env",
) -> Settings:
    """Settings from the command line's flags, the environment, ``.env`` and a named block, in this order.

    ``account`` names the block for whom it must be told. Raises InvalidInput that names every variable with an
    unusable value, every name that is none of ours and looks like one, every line of ``.env`` that cannot be read,
    and a key or an address that is another than the block's: it is not guessed which account is to pay.
    """
    chosen, lowest = _by_variable(flags), _by_variable(block)
    problems = [
        *(file_problems(Path(env_file), VARIABLES) if env_file else ()),
        *environment_problems(os.environ, VARIABLES),
    ]
    above: list[tuple[str, PydanticBaseSettingsSource]] = []

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del file_secret_settings  # nothing of ours is read from secret folders
            above[:] = [("the environment", env_settings), (str(env_file), dotenv_settings)]
            return init_settings, env_settings, dotenv_settings, InitSettingsSource(settings_cls, lowest)

    settings: Settings | None = None
    try:
        settings = Layered(_env_file=env_file, **chosen)
    except ValidationError as error:
        problems += [
            f"{'.'.join(str(part) for part in problem['loc'])}: {_plain(problem['msg'])}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
    problems += conflicts({name: lowest[name] for name in lowest.keys() - chosen.keys()}, above, account)
    if problems or settings is None:
        # Not from pydantic's own error, which quotes every value.
        raise InvalidInput("the settings cannot be used:\n" + "\n".join(problems)) from None
    return settings


def _listed(value: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in (value or "").split(",") if part.strip()))


def _by_variable(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Flags and blocks use the fields' names; the settings know each by its variable's."""
    fields = Settings.model_fields
    return {
        str(fields[name].validation_alias): value
        for name, value in (values or {}).items()
        if value is not None
    }


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")


def point_prefect_home(settings: Settings) -> Path:
    """Where Prefect keeps its own files; must run before Prefect is first imported.

    Raises StoreUnusable where CAMPAIGN_HOME can be no folder.
    """
    home = os.environ.get("PREFECT_HOME")
    if home:
        return _usable_prefect_home(Path(home).expanduser())
    chosen = (settings.home / "prefect").absolute()
    # Prefect makes its own folder, but no folder above it.
    try:
        chosen.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnusable(
            f"{settings.home} cannot be used as CAMPAIGN_HOME ({error.strerror or error}): everything that is paid for "
            "is kept there. Name a folder that you may write to. Nothing was spent"
        ) from error
    os.environ["PREFECT_HOME"] = str(chosen)
    return chosen


def _usable_prefect_home(chosen: Path) -> Path:
    try:
        chosen.mkdir(parents=True, exist_ok=True)
        usable, wrong = os.access(chosen, os.W_OK | os.X_OK), "may not be written to"
    except OSError as error:
        usable, wrong = False, error.strerror or str(error)
    if not usable:
        raise InvalidInput(
            f"PREFECT_HOME {chosen} cannot be used ({wrong}); name a folder that you may write to, or unset it: then "
            "it is CAMPAIGN_HOME/prefect. Nothing was spent"
        )
    return chosen
