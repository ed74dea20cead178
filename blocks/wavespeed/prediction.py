"""A prediction as the service shows it, lenient about everything that is not needed."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator

from blocks.wavespeed.error_mapping import error_of_ending
from blocks.wavespeed.shown_input import shown_input
from blocks.wavespeed.statuses import ENDED_STATUSES, status_of
from blocks.wavespeed.values import moment_of, seconds_of, whole_number

LONGEST_ID = 512
_LONGEST_NAME = 200
_MOST_OUTPUTS = 100


def usable_id(text: str) -> bool:
    """Tell whether the service can be asked about a prediction of this id: the id is a place in an address.

    Any printable text will do, as it is quoted there; but no quoting keeps ``.`` and ``..`` from being walked along.
    """
    return (
        0 < len(text) <= LONGEST_ID and text.isprintable() and not text.isspace() and text not in {".", ".."}
    )


class Prediction(BaseModel):
    """One prediction as the submit answer, the result call and the history show it.

    ``id`` is whatever text the service names it by (``usable_id``); it is no name for a file.
    ``outputs`` are URLs that live seven days. ``created_at`` is the service's clock. ``execution_time`` is
    its own number, whose unit it does not document; ``inference_seconds`` comes from ``timings.inference``.
    ``input`` is what was sent, where the history echoes it. A status that is not known counts as waiting.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    id: str = Field(validation_alias=AliasChoices("id", "uuid"))
    model: str = ""
    status: str = "created"
    outputs: tuple[str, ...] = ()
    has_nsfw_contents: tuple[bool, ...] = ()
    created_at: datetime | None = None
    code: int = 0
    error: str = ""
    execution_time: float | None = Field(
        default=None, validation_alias=AliasChoices("execution_time", "executionTime")
    )
    inference_seconds: float | None = Field(
        default=None, validation_alias=AliasChoices("inference_seconds", "timings")
    )
    input: dict[str, Any] | None = Field(default=None, validation_alias=AliasChoices("input", "inputs"))

    @property
    def ended(self) -> bool:
        return self.completed or self.status in ENDED_STATUSES

    @property
    def completed(self) -> bool:
        # Newer pages of the service's say "succeeded", of which nothing else is known.
        return self.status == "completed" or (self.status == "succeeded" and bool(self.outputs))

    @property
    def without_outputs(self) -> bool:
        """Whether it has completed and shows no outputs: they may be there a little later."""
        return self.completed and not self.outputs

    @field_validator("id", mode="before")
    @classmethod
    def _id_text(cls, value: object) -> str:
        is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        text = str(value) if is_number or isinstance(value, str) else ""
        if not usable_id(text):
            raise ValueError("not an id that the service can be asked about")
        return text

    @field_validator("model", mode="before")
    @classmethod
    def _model_text(cls, value: object) -> str:
        return value if isinstance(value, str) and len(value) <= _LONGEST_NAME else ""

    @field_validator("status", mode="before")
    @classmethod
    def _status_text(cls, value: object) -> str:
        return status_of(value) or "created"

    @field_validator("outputs", mode="before")
    @classmethod
    def _urls(cls, value: object) -> tuple[str, ...]:
        several = value if isinstance(value, list | tuple) else [value]
        return tuple(url for url in several[:_MOST_OUTPUTS] if isinstance(url, str) and url)

    @field_validator("has_nsfw_contents", mode="before")
    @classmethod
    def _flags(cls, value: object) -> tuple[bool, ...]:
        several = value if isinstance(value, list | tuple) else [] if value is None else [value]
        # What is neither true nor false is no all-clear for a picture.
        return tuple(flag is not False for flag in several[:_MOST_OUTPUTS])

    @field_validator("created_at", mode="before")
    @classmethod
    def _created(cls, value: object) -> datetime | None:
        return moment_of(value)

    @field_validator("code", mode="before")
    @classmethod
    def _number(cls, value: object) -> int:
        return whole_number(value) or 0

    @field_validator("error", mode="before")
    @classmethod
    def _error_text(cls, value: object) -> str:
        if isinstance(value, Mapping):
            value = next(
                (value[key] for key in ("message", "error", "detail") if value.get(key)), dict(value)
            )
        if value is None or value is False:
            return ""
        return value if isinstance(value, str) else str(value)

    @field_validator("execution_time", mode="before")
    @classmethod
    def _execution(cls, value: object) -> float | None:
        return seconds_of(value)

    @field_validator("inference_seconds", mode="before")
    @classmethod
    def _inference(cls, value: object) -> float | None:
        if isinstance(value, Mapping):
            return seconds_of(value.get("inference"), divisor=1000)
        return seconds_of(value)

    @field_validator("input", mode="before")
    @classmethod
    def _echo(cls, value: object) -> dict[str, Any] | None:
        return shown_input(value)

    def raise_for_outcome(self) -> None:
        """Nothing where the prediction completed, or still runs; else the error that says why it failed.

        One that completed without outputs has not failed: it is paid for, and they may be there later.

        Raises Moderated, PredictionFailed, InputNotFetched, ServerSideFailure, RequestRefused or
        AccountRefused.
        """
        if self.ended and not self.completed:
            raise error_of_ending(self.status, code=self.code, reason=self.error, prediction_id=self.id)
