"""The Prefect blocks: ``prefect block register --module blocks.prefect_blocks``.

A block holds settings and secrets, nothing more. It counts only where a run names it, and then below the environment.
"""

from pathlib import Path
from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from blocks.settings import load_settings
from blocks.wavespeed import WaveSpeedClient

_ACCOUNT_SETTINGS = (
    "api_key",
    "base_url",
    "max_concurrent",
    "images_per_minute",
    "videos_per_minute",
    "poll_seconds",
)


class WaveSpeedAccount(Block):
    """A WaveSpeed account: its key, its address and its limits.

    Example:
        ``WaveSpeedAccount(api_key="…", max_concurrent=300).save("brand-team")``, then
        ``campaign run spring.csv --account brand-team``.

    """

    _block_type_name: ClassVar[str] = "WaveSpeed Account"
    _block_type_slug: ClassVar[str] = "wavespeed-account"
    _description: ClassVar[str] = (
        "The account that a campaign's pictures and clips are generated and paid with."
    )

    api_key: SecretStr | None = Field(
        default=None, title="API key", description="Without it the built-in simulator does the work."
    )
    base_url: str | None = Field(default=None, title="Base URL", description="Where the API is.")
    max_concurrent: int | None = Field(default=None, ge=1, description="Generations at a time.")
    images_per_minute: int | None = Field(
        default=None, ge=1, description="Picture generations started a minute."
    )
    videos_per_minute: int | None = Field(
        default=None, ge=1, description="Video generations started a minute."
    )
    poll_seconds: float | None = Field(
        default=None, gt=0, description="Shortest time between two looks at one image prediction."
    )

    def values(self) -> dict[str, Any]:
        """The settings that this block gives."""
        return {name: value for name in _ACCOUNT_SETTINGS if (value := getattr(self, name)) is not None}

    def get_client(self) -> WaveSpeedClient:
        """A client of this account; use it as ``async with block.get_client() as client``.

        Raises InvalidInput where neither the block nor the environment has a key, or the two differ.
        """
        settings = load_settings(block=self.values(), account=self._block_document_name)
        return WaveSpeedClient(settings.required_key(), settings.base_url)


class CampaignWorkspace(Block):
    """Where campaigns keep what is theirs: the ledger, the asset store and the simulator's books.

    Example:
        ``CampaignWorkspace(home="/srv/campaigns", ledger_url="postgresql+psycopg://…").save("studio")``

    """

    _block_type_name: ClassVar[str] = "Campaign Workspace"
    _block_type_slug: ClassVar[str] = "campaign-workspace"
    _description: ClassVar[str] = "The ledger and the asset store of campaigns."

    home: Path | None = Field(default=None, description="The folder of the ledger and the asset store.")
    ledger_url: SecretStr | None = Field(
        default=None,
        title="Ledger URL",
        description="SQLAlchemy URL of the ledger; SQLite in the home otherwise.",
    )
    budget_per_day: str | None = Field(
        default=None,
        title="Budget per day",
        description="What all runs together may cost on one UTC day, in US dollars.",
    )

    def values(self) -> dict[str, Any]:
        """The settings that this block gives."""
        return {
            name: value
            for name in ("home", "ledger_url", "budget_per_day")
            if (value := getattr(self, name)) is not None
        }
