"""What a run leaves behind, as one document: every table, the manifest and the page are drawn from it.

Amounts are integers of a millionth of a dollar, times are seconds or UTC. The document is kept in the ledger when a
run ends, so that ``campaign report`` writes a past run's tables again without asking anyone.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Outcome(StrEnum):
    GENERATED = "generated"
    CACHED = "cached"
    RESUMED = "resumed"
    FAILED = "failed"
    HELD = "held"
    SKIPPED = "skipped"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputRecord(_Record):
    """One picture or clip that went into a stage, in the order sent."""

    role: Literal["image", "images", "video"]
    source: str  # the path as the CSV has it, the https URL, or BRIEF/STAGE-N of the stage before
    sha256: str
    media_type: str
    converted_to: str | None = (
        None  # media type that was sent instead, where the model does not take the original
    )


class AssetRecord(_Record):
    """One picture or clip that the service made."""

    path: str  # below the run's folder: assets/BRIEF/STAGE-N.EXT
    sha256: str
    media_type: str
    bytes: int
    width: int
    height: int
    duration_seconds: Decimal | None = None
    frames_per_second: Decimal | None = None
    has_sound: bool | None = None
    flagged_nsfw: bool = False


class Latency(_Record):
    """Seconds of each step; None where the step did not happen in this run."""

    queue_s: float | None = None
    upload_s: float | None = None
    submit_s: float | None = None
    inference_s: float | None = None
    detect_s: float | None = None
    download_s: float | None = None
    total_s: float | None = None
    polls: int = 0
    attempts: int = 0


class AttemptRecord(_Record):
    """One submit that this run accounts for. ``charged`` is before what was refunded."""

    number: int  # from 1 within its piece of work
    state: str  # the ledger's
    prediction_id: str | None
    charged: int
    refunded: int
    error_code: str | None = None
    error: str | None = None
    submitted_at: datetime | None = None
    ended_at: datetime | None = None  # completed, or failed
    settled_at: datetime | None = None  # when its cost, and what was refunded of it, was read from the bill


class StageRecord(_Record):
    brief: str
    stage: Literal["edit", "compose", "video"]
    model: str
    outcome: Outcome
    quantity: Decimal  # images, or billed seconds
    unit: Literal["image", "second"]
    unit_price: int
    estimated: int
    charged: int
    refunded: int
    saved: int
    prediction_id: str | None
    error: str | None
    reason: str  # why it was generated, cached, held …; one short sentence
    prompt: str
    request: dict[str, object]  # every parameter as sent, inputs aside
    inputs: tuple[InputRecord, ...]
    assets: tuple[AssetRecord, ...]
    latency: Latency
    notes: tuple[str, ...] = ()
    generation_key: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: tuple[AttemptRecord, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether its work was done in this run: only then do its times say how long such work takes.

        Looking up what is there already takes a moment, and what failed or is held ended before its end.
        """
        return self.outcome in {Outcome.GENERATED, Outcome.RESUMED}

    @property
    def working_seconds(self) -> float | None:
        """``total_s`` of work that was finished."""
        return self.latency.total_s if self.finished else None


class BriefRecord(_Record):
    brief: str
    line: int
    row: dict[str, str]  # the CSV's row as read, by column
    status: Literal["done", "failed", "held"]
    error: str | None
    stages: tuple[StageRecord, ...]  # those the brief has, in the order edit, compose, video
    notes: tuple[str, ...] = ()

    @property
    def charged(self) -> int:
        return sum(stage.charged for stage in self.stages)


class PriceListRecord(_Record):
    name: str
    dated: str  # ISO date
    sha256: str
    prices: tuple[dict[str, str], ...]  # its rows, as in the file


class LimitsRecord(_Record):
    """The account's limits, as the run kept them."""

    max_concurrent: int
    images_per_minute: int
    videos_per_minute: int


class RunRecord(_Record):
    run: str
    campaign: str  # the CSV's name without its ending
    csv_path: str
    csv_sha256: str
    csv_columns: tuple[str, ...]
    provider: Literal["wavespeed", "simulator"]
    service: str  # "simulator" for the embedded one, else the API's origin
    started_at: datetime
    ended_at: datetime
    seconds: float
    exit_status: int
    budget: int | None
    price_list: PriceListRecord
    versions: dict[str, str]  # python, kling-campaigns, prefect, httpx, …
    flow_run_id: str | None
    briefs: tuple[BriefRecord, ...]
    notes: tuple[str, ...] = ()
    limits: LimitsRecord | None = None  # records of earlier versions do not have it

    @property
    def stages(self) -> tuple[StageRecord, ...]:
        return tuple(stage for brief in self.briefs for stage in brief.stages)

    @property
    def simulated(self) -> bool:
        return self.provider == "simulator"
