"""One stage of one brief: what is asked for, and what came of it."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tasks.record import AssetRecord, Latency, Outcome


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WorkInput(_Document):
    """One picture or clip that goes in; ``sha256`` is that of the original's bytes."""

    role: Literal["image", "images", "video"]
    sha256: str
    source: str


class StageWork(_Document):
    """Everything that the three stage tasks need to know, and nothing that cannot be written down as JSON.

    ``estimated`` and ``worst_case`` are millionths of a dollar; ``key`` names equal work. ``measured`` are a clip's
    billed seconds before any rounding up, where ``quantity`` are those that the account is billed.
    """

    brief: str
    stage: Literal["edit", "compose", "video"]
    model: str
    key: str
    parameters: dict[str, Any]
    inputs: tuple[WorkInput, ...]
    take: int
    quantity: Decimal
    unit: Literal["image", "second"]
    resolution: str | None
    output_format: str | None
    expected_outputs: int
    unit_price: int
    estimated: int
    worst_case: int
    reason: str
    measured: Decimal | None = None

    @property
    def measured_quantity(self) -> Decimal:
        return self.quantity if self.measured is None else self.measured

    @property
    def kind(self) -> Literal["image", "video"]:
        return "video" if self.stage == "video" else "image"

    @property
    def prompt(self) -> str:
        return str(self.parameters["prompt"])


class StageResult(_Document):
    """What a stage ended with when it has its pictures or its clip; ``assets`` have no place in a run's folder yet."""

    key: str
    outcome: Outcome
    attempt: int | None
    prediction_id: str | None
    assets: tuple[AssetRecord, ...]
    latency: Latency
    started_at: datetime
    ended_at: datetime
    notes: tuple[str, ...] = ()
