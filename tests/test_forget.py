"""`campaign forget`: what is dropped is paid for again, what others need stays, and the books stay whole."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from caching_model import CLIP, Desk
from caching_support import PICTURE, PlainService, plan_of, run, settings_at, without_network_and_prefect
from simulator_support import picture

from blocks.assets import AssetStore
from blocks.errors import InvalidInput
from blocks.ledger import Ledger
from blocks.settings import Settings
from flows.commands import forget as command
from flows.commands import past
from flows.commands.forget import ForgetRequest, forget_results
from tasks.page.thumbnails import Thumbnails
from tasks.planning.plan_reasons import Cause
from tasks.run_files.forgetting import Candidate, Choice, Place, candidates, forget

NOW = datetime.now(UTC)


@pytest.fixture
def service() -> Iterator[PlainService]:
    with without_network_and_prefect() as plain:
        yield plain


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_at(tmp_path / "home")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    rows = [
        {
            "brief": "chain",
            "edit_prompt": "warm",
            "edit_image": "mug.png",
            "compose_prompt": "@Image1 at sea",
        },
        {"brief": "plain", "edit_prompt": "cold", "edit_image": "mug.png"},
    ]
    return Desk(tmp_path / "folder", rows, {"mug.png": picture(), "clip.mp4": CLIP})


def drop(settings: Settings, choice: Choice) -> tuple[list[Candidate], int]:
    with Ledger.open(settings.ledger_address) as ledger:
        chosen = candidates(ledger, choice, datetime.now(UTC))
        return chosen, forget(ledger, AssetStore(settings.assets), Thumbnails(settings.thumbnails), chosen)


def kept_files(settings: Settings) -> set[str]:
    return {path.name for path in (settings.assets / "objects").rglob("*") if path.is_file()}


async def test_what_is_forgotten_is_paid_for_again_and_nothing_else(
    settings: Settings, desk: Desk, service: PlainService
) -> None:
    path = desk.write()
    first = await run(settings, path)
    before = service.charged
    [edit, compose] = first.record.briefs[0].stages
    thumbnail = settings.thumbnails / compose.assets[0].sha256[:2] / f"{compose.assets[0].sha256}-640-1.webp"
    thumbnail.parent.mkdir(parents=True)
    thumbnail.write_bytes(b"small")

    chosen, freed = drop(settings, Choice(brief="chain", stage="compose"))

    (candidate,) = chosen
    assert candidate.result.generation.key == compose.generation_key
    assert candidate.result.charged == PICTURE
    assert candidate.places == (Place(first.record.campaign, "chain"),)
    assert freed == compose.assets[0].bytes
    assert compose.assets[0].sha256 not in kept_files(settings)
    assert edit.assets[0].sha256 in kept_files(settings)
    assert not thumbnail.exists()

    plan = await plan_of(settings, path)
    assert [(stage.brief, stage.stage.value, stage.causes) for stage in plan.to_generate] == [
        ("chain", "compose", (Cause.FORGOTTEN,))
    ]
    assert plan.cost == PICTURE
    service.sent.clear()
    again = await run(settings, path)
    assert len(service.sent) == 1
    assert service.charged == before + PICTURE
    with Ledger.open(settings.ledger_address) as ledger:
        [kept] = candidates(ledger, Choice(brief="chain", stage="compose"), datetime.now(UTC))
    assert kept.result.charged == PICTURE, "what the forgotten one cost is no part of it"
    outcomes = [(stage.stage, stage.outcome.value) for stage in again.record.stages]
    assert outcomes == [("edit", "cached"), ("compose", "generated"), ("edit", "cached")]
    assert (await plan_of(settings, path)).wholly_cached


async def test_the_books_stay(settings: Settings, desk: Desk, service: PlainService) -> None:
    await run(settings, desk.write())
    with Ledger.open(settings.ledger_address) as ledger:
        before = ledger.attempts()
        records = [ledger.run_record(row.id) for row in ledger.runs()]
    drop(settings, Choice(older_than=timedelta(0)))
    with Ledger.open(settings.ledger_address) as ledger:
        assert ledger.attempts() == before
        assert [ledger.run_record(row.id) for row in ledger.runs()] == records
        assert ledger.kept_results() == []
    assert kept_files(settings) == set()
    await run(settings, desk.write())
    with Ledger.open(settings.ledger_address) as ledger:
        attempts = ledger.attempts()
        assert [attempt for attempt in attempts if attempt.number == 1] == before
        assert sorted(attempt.prediction_id or "" for attempt in attempts) == sorted(service.bill)
        assert sum(attempt.charged or 0 for attempt in attempts) == service.charged


async def test_each_choice_narrows(settings: Settings, desk: Desk, service: PlainService) -> None:
    del service
    first = await run(settings, desk.write())
    desk.rows[1]["edit_prompt"] = "colder"
    second = await run(settings, desk.write())
    run_ids = first.record.run, second.record.run
    key = first.record.stages[0].generation_key
    assert key is not None

    with Ledger.open(settings.ledger_address) as ledger:

        def count(**choice: Any) -> int:
            return len(candidates(ledger, Choice(**choice), datetime.now(UTC)))

        assert [count(run=run_id) for run_id in run_ids] == [3, 1]
        assert count(run="latest") == 1
        assert [count(brief=name) for name in ("chain", "plain", "none", "plai")] == [2, 2, 0, 0]
        assert [count(stage=name) for name in ("edit", "compose", "video")] == [3, 1, 0]
        assert [count(key=sign) for sign in (key, key[:8].upper(), "00000000")] == [1, 1, 0]
        assert [count(older_than=timedelta(days=days)) for days in (0, 1)] == [4, 0]
        assert count(run=run_ids[0], stage="edit", brief="plain") == 1
        for wrong in (Choice(), Choice(key=key[:7]), Choice(run="none")):
            with pytest.raises(InvalidInput):
                candidates(ledger, wrong, NOW)


async def test_reports_of_past_runs_go_on_as_far_as_there_are_bytes(
    settings: Settings,
    desk: Desk,
    service: PlainService,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del service
    monkeypatch.setattr(past, "chosen_settings", AsyncMock(return_value=settings))
    first = await run(settings, desk.write())
    folder = settings.home / "runs" / first.record.run
    assert await past.write_report("latest", None, workspace=None) == 0
    drop(settings, Choice(run="latest"))

    # The run's own folder still has them, and a report elsewhere takes them from there.
    capsys.readouterr()
    assert await past.verify_run("latest", workspace=None) == 0
    assert "note: 3 of 3 originals are not in the asset store any more" in capsys.readouterr().err
    assert await past.write_report("latest", folder.parent / "elsewhere", workspace=None) == 0
    copies = sorted((folder.parent / "elsewhere" / first.record.run / "assets").rglob("*.png"))
    assert len(copies) == 3
    assert "nobody has" not in capsys.readouterr().err

    # Where nobody has them, the tables and the page are written all the same.
    (folder / "assets" / "plain" / "edit-1.png").unlink()
    (folder / "report.html").unlink()
    assert await past.write_report("latest", None, workspace=None) == 0
    assert "1 of the run's pictures and clips nobody has any more" in capsys.readouterr().err
    assert (folder / "report.html").is_file()
    # A copy that somebody changed is nobody's either, and is left to them.
    changed = folder / "assets" / "chain" / "edit-1.png"
    changed.write_bytes(changed.read_bytes() + b"mine")
    assert await past.write_report("latest", None, workspace=None) == 0
    assert "2 of the run's pictures and clips nobody has any more" in capsys.readouterr().err
    assert changed.read_bytes().endswith(b"mine")
    assert await past.verify_run("latest", workspace=None) == 1
    assert "assets/plain/edit-1.png: missing" in capsys.readouterr().err


# The command.


def request(**changes: Any) -> ForgetRequest:
    fields: dict[str, Any] = dict.fromkeys(("run", "brief", "stage", "key", "older_than", "workspace"))
    return ForgetRequest(**{**fields, "yes": False, "as_json": True, **changes})


async def test_the_command_shows_first_and_drops_when_told(
    settings: Settings,
    desk: Desk,
    service: PlainService,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del service
    monkeypatch.setattr(command, "chosen_settings", AsyncMock(return_value=settings))
    assert await forget_results(request(stage="edit")) == 0
    assert json.loads(capsys.readouterr().out)["results"] == [], "no ledger yet"
    first = await run(settings, desk.write())
    kept = kept_files(settings)
    assert await forget_results(request(stage="edit")) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["forgotten"], shown["charged_usd"], shown["freed_bytes"]) == (False, "0.056", 0)
    assert [one["used_by"] for one in shown["results"]] == [
        [{"campaign": first.record.campaign, "brief": name}] for name in ("chain", "plain")
    ]
    assert kept_files(settings) == kept
    assert await forget_results(request(stage="edit", yes=True)) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["forgotten"], done["results"]) == (True, shown["results"])
    assert done["freed_bytes"] == done["bytes"] == shown["bytes"] > 0
    assert len(kept_files(settings)) == len(kept) - 2

    assert await forget_results(request(stage="compose", as_json=False)) == 0
    out, said = capsys.readouterr()
    assert "chain" in out
    assert "Nothing is dropped yet: add --yes" in said
    for wrong in ({"stage": "editing"}, {"older_than": -1.0}, {"older_than": float("nan")}, {}):
        with pytest.raises(InvalidInput):
            await forget_results(request(**wrong))
