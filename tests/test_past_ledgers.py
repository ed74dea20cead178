"""Every version of the ledger that people may have on their disks goes on with today's code."""

import sqlite3
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from ledger_support import MODEL, ROOT, SERVICE, Worker, asset_named, sha256_of, work_named

from blocks.ledger import AlreadyStored, AttemptState, Granted, HeldForPerson, Ledger, SendAgain

PAST = Path(__file__).with_name("past_ledgers")
VERSIONS = sorted(path.stem for path in PAST.glob("*.sql"))


def test_each_migration_has_a_ledger_of_its_version() -> None:
    """Where this fails: python tests/past_ledgers/keep.py."""
    scripts = ScriptDirectory(str(ROOT / "blocks" / "ledger" / "migrations"))
    assert [script.revision for script in reversed(list(scripts.walk_revisions()))] == VERSIONS


@pytest.fixture(params=VERSIONS)
def past_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    file = tmp_path / "ledger.sqlite"
    connection = sqlite3.connect(file)
    connection.executescript((PAST / f"{request.param}.sql").read_text("utf-8"))
    connection.close()
    return f"sqlite:///{file}"


def test_a_ledger_of_the_past_is_whole_and_every_attempt_goes_on(past_url: str) -> None:
    with Ledger.open(past_url) as ledger:
        kept = {attempt.state: attempt for attempt in ledger.attempts()}
        assert set(kept) == set(AttemptState)
        assert sum(attempt.estimated for attempt in kept.values()) == len(AttemptState) * 28_000
        assert kept[AttemptState.STORED].charged == 28_000
        worker = Worker.of(ledger)

        claims = {
            state: ledger.claim(work_named(state.value), owner=worker.owner, run_id=worker.run_id)
            for state in AttemptState
        }

        stored = claims.pop(AttemptState.STORED)
        assert isinstance(stored, AlreadyStored)
        assert [asset.sha256 for asset in stored.generation.assets] == [asset_named("stored").sha256]
        held = claims.pop(AttemptState.HELD)
        assert isinstance(held, HeldForPerson)
        assert held.attempt == kept[AttemptState.HELD]
        for state, claim in claims.items():
            assert isinstance(claim, Granted), state
            _finish(worker, state, claim)
        assert ledger.find_stored(sha256_of(state.value) for state in claims).keys() == {
            sha256_of(state.value) for state in claims
        }
        # Nothing that had an id was sent again; what was unknown, only once the history had allowed it.
        again = {attempt.generation_key for attempt in ledger.attempts() if attempt.number > 1}
        assert again == {sha256_of(state.value) for state in (AttemptState.FAILED, AttemptState.WITHDRAWN)}


def _finish(worker: Worker, state: AttemptState, claim: Granted) -> None:
    """As a run would go on, from where the dead one stopped."""
    ledger, work = worker.ledger, work_named(state.value)
    ended = {AttemptState.FAILED, AttemptState.WITHDRAWN}
    assert (claim.attempt is None) == (state in ended)
    attempt = worker.reserve(work) if claim.attempt is None else worker.resume(claim.attempt)
    if attempt.state is AttemptState.UNKNOWN:
        assert state in {AttemptState.INTENT, AttemptState.UNKNOWN}
        number = attempt.id
        ledger.decide(SERVICE, MODEL, [], lambda _attempts, _known: [SendAgain(number)])
        attempt = ledger.attempt(number)
    if attempt.state is AttemptState.RESERVED:
        attempt = ledger.submitted(worker.intend(attempt).id, f"new-{work.key}")
    if attempt.state is AttemptState.SUBMITTED:
        attempt = ledger.completed(attempt.id, outputs=["https://cdn.example.org/1.png"], nsfw=[False])
    ledger.stored(attempt.id, [asset_named(work.prompt)], run_id=worker.run_id)


def test_what_was_uploaded_is_still_known(past_url: str) -> None:
    with Ledger.open(past_url) as ledger, ledger._database.read() as connection:
        addresses = connection.exec_driver_sql("SELECT origin, sha256, url FROM uploads").all()
    assert [tuple(address) for address in addresses] == [
        (SERVICE, sha256_of("input"), "https://media.example.org/uploads/input.png")
    ]
