"""Attempts, predictions and the moments between them, for the tests of what is decided about lost replies."""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from blocks.ledger import AttemptRow, AttemptState
from blocks.wavespeed import Prediction
from tasks.paying.silence import Evidence, Money, Watched
from tasks.paying.spelling import Whole

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MODEL = "kwaivgi/kling-image-v3/edit"
CDN = "https://media.example.org/uploads"
OTHER_CDN = "https://inputs.example.net/copies"
_NEVER = dict.fromkeys(
    (
        "settled_run_id",
        "prediction_id",
        "charged",
        "list_price",
        "discounted_price",
        "error_code",
        "error",
        "account",
        "balance_before",
        "balance_at",
        "skew_low",
        "skew_high",
        "reply",
        "held_reason",
        "submitted_at",
        "completed_at",
        "stored_at",
        "failed_at",
        "held_at",
        "unknown_at",
        "withdrawn_at",
        "settled_at",
        "service_created_at",
        "detected_at",
        "queue_s",
        "upload_s",
        "submit_s",
        "inference_s",
        "detect_s",
        "download_s",
    )
)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def upload(letter: str, host: str = CDN) -> str:
    """The address of an input; its file is named by a hash, as uploads are."""
    return f"{host}/{letter * 64}.png"


def edit_body(prompt: str = "warm", image: str | None = None, **settings: Any) -> dict[str, Any]:
    defaults = {"aspect_ratio": "16:9", "resolution": "1k", "num_images": 1, "output_format": "png"}
    return {"prompt": prompt, **defaults, **settings, "image": image or upload("a")}


def lost(
    number: int = 1,
    *,
    at: float = 0,
    body: Mapping[str, Any] | None = None,
    timeout: float = 60,
    posting: bool = False,
    held: bool = False,
) -> AttemptRow:
    """An attempt without an id, whose intent was written ``at`` seconds after noon."""
    state = AttemptState.INTENT if posting else AttemptState.HELD if held else AttemptState.UNKNOWN
    return AttemptRow(
        **_NEVER,
        id=number,
        generation_key=f"{number:064x}",
        number=1,
        state=state,
        run_id="run",
        service="https://api.example.org",
        model=MODEL,
        estimated=28_000,
        reserved=28_000,
        refunded=0,
        owner="owner",
        lease="lease",
        intent_lease="lease",
        body=dict(edit_body() if body is None else body),
        input_sha256s=(),
        outputs=(),
        nsfw=(),
        reserved_at=NOON + seconds(at),
        intent_at=NOON + seconds(at),
        request_timeout_s=timeout,
        polls=0,
        resent=0,
        posting=posting,
    )


def sent(name: str, *, at: float, model: str = MODEL, body: Mapping[str, Any] | None = None) -> AttemptRow:
    """One of our own attempts whose prediction is known; it was sent ``at`` seconds after noon."""
    return dataclasses.replace(
        lost(10_000, at=at, body=body),
        state=AttemptState.SUBMITTED,
        model=model,
        prediction_id=name,
        submitted_at=NOON + seconds(at),
        skew_low=-1.0,
        skew_high=1.0,
    )


def believed(attempts: Sequence[AttemptRow], **changes: Any) -> Evidence:
    """A history that was watched for long and shows later work of ours as it was sent; all money is explained."""
    later = max((attempt.intent_at for attempt in attempts if attempt.intent_at is not None), default=NOON)
    at = (later - NOON).total_seconds() + 1000
    own = seen("canary", at=at, echo=edit_body())
    evidence = Evidence(
        known=[sent("canary", at=at)],
        shown={own.id: own},
        spelling=Whole(known=True),
        shows_inputs=True,
        shows_unended=True,
        watched={attempt.id: Watched(2, 1e9) for attempt in attempts},
        money={attempt.id: Money() for attempt in attempts},
    )
    return dataclasses.replace(evidence, **changes)


def seen(
    name: str = "p1",
    *,
    at: float | None = 1,
    echo: Mapping[str, Any] | None = None,
    status: str = "completed",
    outputs: tuple[str, ...] = ("https://cdn.example.org/1.png",),
) -> Prediction:
    """A prediction in the history, created ``at`` seconds after noon by the service's clock."""
    return Prediction(
        id=name,
        model=MODEL,
        status=status,
        outputs=outputs if status == "completed" else (),
        created_at=None if at is None else NOON + seconds(at),
        input=None if echo is None else dict(echo),
    )
