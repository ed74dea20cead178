"""A run in a few figures, worked out once; and `campaign runs`, which lists them."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from ledger_support import Worker, sha256_of, work_named
from record_samples import Assets, brief, every_outcome, record, stage
from rich.console import Console

from blocks.errors import StoreUnusable
from blocks.ledger import AttemptState, Ledger
from blocks.money import dollars_text
from blocks.settings import load_settings
from flows.commands import runs as command
from tasks.accounting.run_figures import figures_of, summaries
from tasks.index_page import NAME
from tasks.page.causes import cause_of
from tasks.reconciling.settled_since import attempt_record
from tasks.record import Outcome, RunRecord


def named(code: str | None, message: str | None) -> str:
    return cause_of(code, message).name


# The figures.


def test_a_runs_figures_are_its_tables(tmp_path: Path) -> None:
    run = every_outcome(tmp_path, Assets())
    found = figures_of(run, named)
    assert found.briefs == {"done": 2, "failed": 1, "held": 1}
    assert found.stages == {"generated": 3, "resumed": 1, "cached": 2, "failed": 1, "skipped": 1, "held": 1}
    assert found.charged == sum(stage.charged for stage in run.stages) > 0
    assert found.saved == sum(stage.saved for stage in run.stages) > 0
    assert found.cached_share == 2 / 6
    assert found.troubled == 2
    assert found.failures == {"moderation": 1, "budget": 1}
    assert found.median_s == {"edit": 49.7488, "compose": 49.7488, "video": 97.0621}


def test_a_run_that_has_nothing_has_no_share(tmp_path: Path) -> None:
    run = every_outcome(tmp_path, Assets())
    assert figures_of(run.model_copy(update={"briefs": run.briefs[2:3]}), named).cached_share is None
    assert figures_of(run.model_copy(update={"briefs": ()}), named).cached_share is None


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'home' / 'ledger.sqlite'}") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _home(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()


def enter(
    ledger: Ledger, run: RunRecord | None, *, campaign: str = "spring", provider: str = "wavespeed"
) -> str:
    entered = ledger.start_run(
        campaign=campaign,
        csv_path="spring.csv",
        csv_sha256=sha256_of("csv"),
        service="x",
        provider=provider,
        out="runs",
    )
    if run is not None:
        ledger.end_run(entered.id, exit_status=run.exit_status, record_json=run.model_dump_json())
    return entered.id


def test_figures_are_worked_out_once(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    run = every_outcome(tmp_path, Assets())
    killed, ended = enter(ledger, None), enter(ledger, run)
    kept = tmp_path / "summaries"
    first = summaries(ledger, kept, cause_of=named)
    assert {one.run: one.figures for one in first} == {killed: None, ended: figures_of(run, named)}
    assert [path.name for path in kept.iterdir()] == [f"{ended}.json"]

    def never(*_: object) -> str:
        raise AssertionError("the record is not read again")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "run_record", never)
        assert summaries(ledger, kept, cause_of=never) == first
    for content in (b"{", b"[]", b"null", b'{"version": 0}', b'{"version": 1}', b'{"version": 2}', b"\xff"):
        (kept / f"{ended}.json").write_bytes(content)
        assert summaries(ledger, kept, cause_of=named) == first


def test_figures_are_renewed_when_something_was_settled_since(tmp_path: Path, ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    attempt = worker.bring(work_named("mug"), AttemptState.STORED)
    ledger.settle(attempt.id, charged=28_000, run_id=worker.run_id)
    kept = attempt_record(ledger.attempt(attempt.id))
    one = stage("mug", "edit", Outcome.GENERATED, generation_key=attempt.generation_key, attempts=(kept,))
    run = record(tmp_path, (brief("mug", (one,)),))
    ledger.end_run(worker.run_id, exit_status=0, record_json=run.model_dump_json())

    def charged() -> int:
        (found,) = summaries(ledger, tmp_path / "summaries", cause_of=named)
        assert found.figures is not None
        assert found.figures.charged + found.figures.refunded == 28_000
        return found.figures.charged

    assert charged() == 28_000
    for refunded in (20_000, 28_000):
        ledger.settle(attempt.id, charged=28_000, refunded=refunded, run_id="another")
        assert charged() == 28_000 - refunded
        assert charged() == 28_000 - refunded
    # What another run settles is none of this one's business.
    other = Worker.of(ledger)
    other.bring(work_named("lamp"), AttemptState.STORED)
    before = (tmp_path / "summaries" / f"{worker.run_id}.json").stat().st_mtime_ns
    summaries(ledger, tmp_path / "summaries", cause_of=named)
    assert (tmp_path / "summaries" / f"{worker.run_id}.json").stat().st_mtime_ns == before


def test_a_record_of_another_version_has_no_figures(tmp_path: Path, ledger: Ledger) -> None:
    run = enter(ledger, None)
    ledger.end_run(run, exit_status=0, record_json='{"run": "old"}')
    (found,) = summaries(ledger, tmp_path / "summaries", cause_of=named)
    assert (found.exit_status, found.figures) == (0, None)


# The command.


async def test_the_list_of_runs(
    tmp_path: Path,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = load_settings({"home": tmp_path / "home"}, env_file=None)
    monkeypatch.setattr(command, "chosen_settings", AsyncMock(return_value=settings))
    run = every_outcome(tmp_path, Assets())
    first = enter(ledger, run, campaign="c" * 40)
    second = enter(ledger, None, provider="simulator")
    assert await command.list_runs(page=None, as_json=True, workspace=None) == 0
    newest, oldest = json.loads(capsys.readouterr().out)
    assert (newest["run"], newest["exit_status"], newest["briefs"]) == (second, None, None)
    assert oldest["run"] == first
    assert oldest["briefs"] == {"total": 4, "done": 2, "failed": 1, "held": 1}
    assert (oldest["cached_share"], oldest["seconds"]) == (0.3333, 261.5)
    charged = dollars_text(sum(stage.charged for stage in run.stages))
    assert oldest["charged_usd"] == charged == "2.02432"
    assert oldest["failures"] == {"moderation": 1, "budget": 1}

    assert await command.list_runs(page=None, as_json=False, workspace=None) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["run", "started"]
    assert [line.split()[0] for line in lines] == [second, first], "each on a line of its own"
    assert charged in lines[1]
    assert "33 %" in lines[1]
    assert "not ended" in lines[0]

    narrow = io.StringIO()
    with Ledger.open(settings.ledger_address) as opened:
        found = summaries(opened, settings.summaries, cause_of=named)
    command.print_runs(found, Console(file=narrow, width=80))
    assert narrow.getvalue().splitlines() == [
        second,
        f"  started (UTC) {found[0].started_at:%m-%d %H:%M}, exit not ended",
        first,
        f"  started (UTC) {found[1].started_at:%m-%d %H:%M}, exit 3, done 2/4, failed 1, held 1,",
        f"  charged {charged}, cached 33 %, time 4 min 22 s",
    ], "no id and no figure is broken in two"

    pages = tmp_path / "pages"
    assert await command.list_runs(page=pages, as_json=True, workspace=None) == 0
    out, said = capsys.readouterr()
    assert len(json.loads(out)) == 2
    assert f"page: {pages / NAME}" in said
    assert first in (pages / NAME).read_text("utf-8")
    (pages / NAME).write_text("mine")
    with pytest.raises(StoreUnusable, match="is another page"):
        await command.list_runs(page=pages, as_json=False, workspace=None)
