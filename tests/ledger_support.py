"""Pieces of work, and attempts brought to any state, for the ledger's tests."""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from blocks.ledger import AttemptRow, AttemptState, GenerationWork, Granted, Ledger, StoredAsset, WorkInput

ROOT = Path(__file__).parents[1]
SERVICE = "https://api.example.org"
MODEL = "kwaivgi/kling-image-v3/edit"


class HandClock:
    """A clock that goes on when told to."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def work_named(name: str, *, service: str = SERVICE, model: str = MODEL) -> GenerationWork:
    return GenerationWork(
        key=sha256_of(name),
        service=service,
        provider="simulator",
        model=model,
        stage="edit",
        request={"prompt": name, "num_images": 1},
        inputs=(WorkInput("image", sha256_of("input")),),
        take=1,
        prompt=name,
    )


def asset_named(name: str) -> StoredAsset:
    return StoredAsset(sha256=sha256_of(name), media_type="image/png", bytes=10, width=1360, height=768)


def start_run(ledger: Ledger, *, budget: int | None = None) -> str:
    return ledger.start_run(
        campaign="spring",
        csv_path="spring.csv",
        csv_sha256=sha256_of("csv"),
        service=SERVICE,
        provider="wavespeed",
        out="runs",
        budget=budget,
    ).id


@dataclass
class Worker:
    """One owner working for one run."""

    ledger: Ledger
    owner: str
    run_id: str

    @classmethod
    def of(cls, ledger: Ledger, *, budget: int | None = None) -> "Worker":
        return cls(ledger, ledger.register_owner(), start_run(ledger, budget=budget))

    def claim(self, work: GenerationWork) -> Granted:
        claim = self.ledger.claim(work, owner=self.owner, run_id=self.run_id)
        assert isinstance(claim, Granted), claim
        return claim

    def reserve(self, work: GenerationWork, *, worst_case: int = 28_000) -> AttemptRow:
        return self.ledger.reserve(
            work.key, run_id=self.run_id, owner=self.owner, estimated=28_000, worst_case=worst_case
        )

    def resume(self, attempt: AttemptRow) -> AttemptRow:
        return self.ledger.resume(attempt.id, run_id=self.run_id, owner=self.owner)

    def intend(self, attempt: AttemptRow) -> AttemptRow:
        return self.ledger.intend(
            attempt.id, body={"prompt": "p"}, input_sha256s=[sha256_of("input")], request_timeout_s=30.0
        )

    def bring(self, work: GenerationWork, state: AttemptState) -> AttemptRow:
        """Claim the work and bring a first attempt at it to a state, on the straight road to there."""
        self.claim(work)
        attempt = self.reserve(work)
        ledger, number = self.ledger, attempt.id
        if state is AttemptState.RESERVED:
            return attempt
        if state is AttemptState.WITHDRAWN:
            return ledger.withdrawn(number, "not wanted")
        attempt = self.intend(attempt)
        if state is AttemptState.INTENT:
            return attempt
        if state is AttemptState.UNKNOWN:
            return ledger.unknown(number, "no reply")
        if state is AttemptState.HELD:
            return ledger.held(number, "look at it")
        attempt = ledger.submitted(number, f"prediction-of-{work.key}")
        if state is AttemptState.SUBMITTED:
            return attempt
        if state is AttemptState.FAILED:
            return ledger.failed(number, code="1403", message="failed", run_id=self.run_id)
        attempt = ledger.completed(number, outputs=["https://cdn.example.org/1.png"], nsfw=[False])
        if state is AttemptState.COMPLETED:
            return attempt
        return ledger.stored(number, [asset_named(work.prompt)], run_id=self.run_id)


def python(code: str, *arguments: str) -> "subprocess.Popen[str]":
    """Run code in a process of its own, with this folder and the project to import from."""
    preamble = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]\n"
    return subprocess.Popen(
        [sys.executable, "-c", preamble + code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
