"""The rows of the books as plain values.

Moments are nanoseconds of Unix time, amounts millionths of a dollar.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["image", "video"]
UNFINISHED = ("created", "processing")


@dataclass(frozen=True)
class Prediction:
    """``input`` is what was sent, ``parameters`` what the model understood of it.

    ``fate`` is what the fault file decided, ``price`` what it costs, ``charged`` whether that was deducted;
    ``latency_seconds`` has the clock applied.
    """

    id: str
    model: str
    kind: Kind
    status: str
    input: dict[str, Any]
    parameters: dict[str, Any]
    price: int
    latency_seconds: float
    created_at: int
    fate: dict[str, Any] = field(default_factory=dict)
    charged: bool = True
    started_at: int | None = None
    due_at: int | None = None
    ended_at: int | None = None
    code: int = 0
    error: str = ""
    nsfw: list[bool] = field(default_factory=list)
    looks: int = 0
    deleted: bool = False
    webhook: str | None = None
    webhook_ended: bool = False

    @property
    def prompt(self) -> str:
        return str(self.parameters["prompt"])

    @property
    def finished(self) -> bool:
        return self.status not in UNFINISHED


@dataclass(frozen=True)
class Charge:
    """A line of the account: ``kind`` is deduct, refund or top_up; ``amount`` is never negative."""

    id: int
    uuid: str
    kind: Literal["deduct", "refund", "top_up"]
    prediction_id: str | None
    model: str | None
    amount: int
    at: int


@dataclass(frozen=True)
class Upload:
    id: str
    filename: str
    content_type: str
    size: int
    created_at: int
    stored_at: int | None


@dataclass(frozen=True)
class Output:
    """One picture or clip made; ``number`` counts from 1."""

    prediction_id: str
    number: int
    filename: str
    content_type: str
    size: int
    sha256: str
    at: int


@dataclass(frozen=True)
class Call:
    """One HTTP call received.

    ``status`` is None where it was never answered; ``authorized`` says that it bore an Authorization header.
    """

    id: int
    at: int
    method: str
    path: str
    authorized: bool
    status: int | None
    prediction_id: str | None
    fault: str | None
