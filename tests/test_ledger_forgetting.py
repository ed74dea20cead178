"""What the ledger does with results that are dropped, on both of its databases."""

from pathlib import Path

import pytest
from ledger_support import Worker, asset_named, sha256_of, work_named

from blocks.assets import AssetStore
from blocks.errors import InvalidInput
from blocks.ledger import AttemptState, GenerationWork, Ledger, WorkInput
from tasks.page.thumbnails import Thumbnails
from tasks.run_files.forgetting import Choice, candidates, forget

pytest_plugins = ("ledger_fixtures",)


def after(name: str, given: str) -> GenerationWork:
    """Work that is given the picture of this name."""
    work = work_named(name)
    return GenerationWork(
        **{**vars(work), "stage": "compose", "inputs": (WorkInput("images", sha256_of(given)),)}
    )


def test_bytes_that_another_result_has_too_stay(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    for name in ("one", "other"):
        work = work_named(name)
        attempt = worker.bring(work, AttemptState.COMPLETED)
        ledger.stored(attempt.id, [asset_named("same"), asset_named(f"of {name}")], run_id=worker.run_id)
    assert ledger.forget([work_named("one").key]) == {sha256_of("of one")}
    assert ledger.forget([work_named("one").key]) == frozenset(), "it is forgotten already"
    assert ledger.find_forgotten([work_named("one").key, work_named("other").key]) == {work_named("one").key}
    assert set(ledger.find_stored([work_named("one").key, work_named("other").key])) == {
        work_named("other").key
    }
    assert ledger.forget([work_named("other").key]) == {sha256_of("same"), sha256_of("of other")}


@pytest.mark.parametrize("state", ["reserved", "intent", "unknown", "submitted", "completed", "held"])
def test_what_work_under_way_was_given_is_kept(ledger: Ledger, tmp_path: Path, state: str) -> None:
    worker = Worker.of(ledger)
    worker.bring(work_named("picture"), AttemptState.STORED)
    worker.bring(after("composed", "picture"), AttemptState(state))
    (kept,) = ledger.kept_results()
    assert kept.needed_by == "compose"
    ledger.leave(worker.owner)
    chosen = candidates(ledger, Choice(stage="edit"), ledger.now())
    assert "compose stage" in (chosen[0].hindrance or "")
    assert forget(ledger, AssetStore(tmp_path / "store"), Thumbnails(tmp_path / "small"), chosen) == 0
    assert ledger.find_stored([kept.generation.key])


@pytest.mark.parametrize("state", ["stored", "failed", "withdrawn"])
def test_ended_work_hinders_nothing(ledger: Ledger, state: str) -> None:
    worker = Worker.of(ledger)
    worker.bring(work_named("picture"), AttemptState.STORED)
    worker.bring(after("composed", "picture"), AttemptState(state))
    assert {kept.needed_by for kept in ledger.kept_results()} == {None}


def test_nothing_is_dropped_while_a_run_is_under_way(ledger: Ledger, tmp_path: Path) -> None:
    worker = Worker.of(ledger)
    worker.bring(work_named("picture"), AttemptState.STORED)
    chosen = candidates(ledger, Choice(stage="edit"), ledger.now())
    store, thumbnails = AssetStore(tmp_path / "store"), Thumbnails(tmp_path / "small")
    with pytest.raises(InvalidInput, match="a run is under way"):
        forget(ledger, store, thumbnails, chosen)
    assert ledger.kept_results()
    ledger.leave(worker.owner)
    forget(ledger, store, thumbnails, chosen)
    assert ledger.kept_results() == []


def test_work_that_lost_its_bytes_is_not_taken_for_forgotten(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    key = work_named("picture").key
    worker.bring(work_named("picture"), AttemptState.STORED)
    ledger.reopen(key)
    assert ledger.find_forgotten([key]) == frozenset()


def test_forgotten_work_is_granted_anew_and_kept_again(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    work = work_named("picture")
    worker.bring(work, AttemptState.STORED)
    ledger.forget([work.key])
    granted = worker.claim(work)
    assert granted.attempt is None, "nothing is resumed or collected"
    attempt = worker.reserve(work)
    assert attempt.number == 2
    attempt = worker.intend(attempt)
    ledger.submitted(attempt.id, "another prediction")
    ledger.completed(attempt.id, outputs=["https://cdn.example.org/2.png"], nsfw=[False])
    ledger.stored(attempt.id, [asset_named("anew")], run_id=worker.run_id)
    stored = ledger.find_stored([work.key])[work.key]
    assert (stored.prediction_id, [asset.sha256 for asset in stored.assets]) == (
        "another prediction",
        [sha256_of("anew")],
    )
    assert ledger.find_forgotten([work.key]) == frozenset()
