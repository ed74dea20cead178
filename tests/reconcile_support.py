"""A ledger beside a simulated account, with attempts at every step, for the tests of `campaign reconcile`."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from simulator_support import KEY, Simulator, picture, simulator_thread

from blocks.ledger import AttemptRow, GenerationWork, Granted, Ledger, Settlement, StoredAsset
from blocks.settings import Settings, load_settings
from flows.reconcile import ReconcileOptions, reconcile
from tasks.models import EditRequest
from tasks.reconciling.person_decisions import PersonDecisions
from tasks.reconciling.reconciliation import AttemptLine, Reconciliation

PRICE = 28_000
MODEL = EditRequest.model_id


class Desk:
    """What a campaign's run does to ledger and account, one step at a time. ``age`` is that of all that is written."""

    def __init__(self, service: Simulator, home: Path, age: timedelta) -> None:
        self.service = service
        self.settings: Settings = load_settings(
            {"api_key": KEY, "base_url": service.url, "home": home, "quiet_seconds": 0, "request_seconds": 5},
            env_file=None,
        )
        home.mkdir(exist_ok=True)
        self.ledger = Ledger.open(self.settings.ledger_address, clock=lambda: datetime.now(UTC) - age)
        self.image = service.upload(picture())
        self.run = self.new_run()
        self.owner = self.ledger.register_owner()

    def new_run(self) -> str:
        return self.ledger.start_run(
            campaign="spring",
            csv_path="spring.csv",
            csv_sha256="0" * 64,
            service=self.settings.service,
            provider="simulator",
            out="runs",
        ).id

    def body(self, prompt: str) -> dict[str, Any]:
        return EditRequest(prompt=prompt).body([self.image])

    def reserved(self, prompt: str, model: str = MODEL) -> AttemptRow:
        work = GenerationWork(
            key=hashlib.sha256(prompt.encode()).hexdigest(),
            service=self.settings.service,
            provider="simulator",
            model=model,
            stage="edit",
            request={"prompt": prompt},
            inputs=(),
            take=1,
            prompt=prompt,
        )
        claim = self.ledger.claim(work, owner=self.owner, run_id=self.run)
        assert isinstance(claim, Granted)
        return self.ledger.reserve(
            work.key, run_id=self.run, owner=self.owner, estimated=PRICE, worst_case=PRICE
        )

    def unknown(self, prompt: str, *, timeout: float = 0.0, model: str = MODEL) -> AttemptRow:
        """The POST's answer was lost. Whether it arrived is up to ``post``."""
        attempt = self.reserved(prompt, model)
        self.ledger.intend(attempt.id, body=self.body(prompt), input_sha256s=[], request_timeout_s=timeout)
        return self.ledger.unknown(attempt.id, "no answer")

    def held(self, prompt: str) -> AttemptRow:
        return self.ledger.held(self.unknown(prompt).id, "its reply was lost")

    def post(self, prompt: str) -> str:
        """The prediction's id; it has ended."""
        prediction_id = str(self.service.submit(MODEL, self.body(prompt))["id"])
        self.service.finished(prediction_id)
        return prediction_id

    def submitted(self, prompt: str, prediction_id: str | None = None) -> AttemptRow:
        attempt = self.reserved(prompt)
        self.ledger.intend(attempt.id, body=self.body(prompt), input_sha256s=[], request_timeout_s=5.0)
        return self.ledger.submitted(attempt.id, prediction_id or self.post(prompt))

    def stored(self, prompt: str, *, charged: int = PRICE) -> AttemptRow:
        attempt = self.submitted(prompt)
        self.ledger.completed(attempt.id, outputs=["https://example.org/1.png"])
        asset = StoredAsset(
            hashlib.sha256(prompt.encode()).hexdigest(), "image/png", bytes=1, width=1, height=1
        )
        return self.ledger.stored(
            attempt.id, [asset], run_id=self.run, settlement=Settlement(charged=charged)
        )

    def failed(self, prompt: str, *, charged: int = PRICE) -> AttemptRow:
        attempt = self.submitted(prompt)
        return self.ledger.failed(
            attempt.id, code="5000", message="failed", run_id=self.run, settlement=Settlement(charged=charged)
        )

    def leave(self) -> None:
        """The run's process is gone."""
        self.ledger.leave(self.owner)

    def now(self, attempt: AttemptRow) -> AttemptRow:
        return self.ledger.attempt(attempt.id)

    def reconcile(
        self, run: str | None = None, adopt: tuple[str, ...] = (), release: tuple[str, ...] = ()
    ) -> Reconciliation:
        options = ReconcileOptions(run, PersonDecisions.parse(adopt, release))
        return asyncio.run(reconcile(self.settings, options))


def line_of(found: Reconciliation, attempt: AttemptRow) -> AttemptLine:
    return next(line for line in found.attempts if line.attempt.id == attempt.id)


def verdicts(found: Reconciliation) -> dict[int, str]:
    return {line.attempt.id: line.verdict.value for line in found.attempts}


@contextmanager
def desk(
    tmp_path: Path, *, age: timedelta = timedelta(0), rules: tuple[dict[str, Any], ...] = (), **switches: Any
) -> Iterator[Desk]:
    faults = {"switches": switches, "rules": list(rules)}
    with simulator_thread(tmp_path / "service", faults=faults) as service:
        made = Desk(service, tmp_path / "home", age)
        try:
            yield made
        finally:
            made.ledger.close()
