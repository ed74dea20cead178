"""Exact caching: what runs is what depends on changed bytes, and nothing else; the plan says so beforehand."""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from caching_model import CLIP, CLIP_SECONDS, EDITS, MODELS, ROWS, Desk, Model, cost_of, sha
from caching_support import (
    PICTURE,
    SECOND,
    PlainService,
    Sent,
    meaning,
    plan_of,
    run,
    run_now,
    settings_at,
    without_network_and_prefect,
)
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from large_campaign import large_campaign, put_there
from simulator_support import picture

from blocks.errors import BudgetRefused
from blocks.ledger import Ledger
from blocks.prices import PriceBook
from tasks.planning.plan_reasons import Cause


@pytest.fixture
def service() -> Iterator[PlainService]:
    with without_network_and_prefect() as plain:
        yield plain


# A failing example is short already, and each try of a shorter one would take seconds.
@settings(max_examples=6, phases=(Phase.explicit, Phase.generate))
@given(st.lists(st.lists(EDITS, min_size=1, max_size=3), min_size=2, max_size=3))
@example([[("lost asset", 0, place) for place in (0, 2, 3)], [("prompt", 2, 1), ("lost asset", 0, 1)]])
def test_what_runs_is_what_an_independent_model_says_and_what_the_plan_announced(
    batches: list[list[tuple[str, int, int]]],
) -> None:
    with tempfile.TemporaryDirectory() as name, without_network_and_prefect() as service:
        base = Path(name)
        product, model = settings_at(base / "home"), Model()
        files = {"mug.png": picture(), "cup.png": picture(width=310), "clip.mp4": CLIP}
        desk = Desk(base / "folder", [dict(row) for row in ROWS], files, product.assets)
        for batch in ([], *batches):
            for edit in batch:
                desk.edit(*edit)
            path = desk.write()
            announced = model.announce(desk.rows, desk.files)
            plan = asyncio.run(plan_of(product, path))
            assert (plan.cost, len(plan.to_pay)) == (cost_of(announced), len(announced))

            service.sent.clear()
            charged_before = service.charged
            expected = model.run(desk.rows, desk.files)
            closed = run_now(product, path)

            assert {brief.status for brief in closed.record.briefs} == {"done"}
            sent = Counter(Sent(work.model, work.parameters, work.inputs) for work in expected)
            assert Counter(service.sent) == sent
            spent = service.charged - charged_before
            assert spent == cost_of(expected) == sum(stage.charged for stage in closed.record.stages)
            # More than announced is never made; less only where new pictures turn out to have known bytes.
            assert spent <= plan.cost
            if not any("~" in prompt for row in desk.rows for prompt in row.values()):
                assert spent == plan.cost
            assert asyncio.run(plan_of(product, path)).wholly_cached


# Single rules, where the property would leave it open which one was broken.


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    files = {"mug.png": picture(), "cup.png": picture(width=310), "clip.mp4": CLIP}
    return Desk(tmp_path / "folder", [dict(row) for row in ROWS[:3]], files, tmp_path / "home" / "assets")


async def test_a_stage_whose_new_upstream_has_the_same_bytes_stays_cached(
    tmp_path: Path, desk: Desk, service: PlainService
) -> None:
    product = settings_at(tmp_path / "home")
    await run(product, desk.write())
    service.sent.clear()
    desk.rows[1]["edit_prompt"] = "warm~ in other words"
    assert meaning(desk.rows[1]["edit_prompt"]) == "warm"

    plan = await plan_of(product, desk.write())
    assert [stage.stage.value for stage in plan.to_generate] == ["edit", "compose"]
    assert plan.to_generate[1].causes == (Cause.UPSTREAM,)
    closed = await run(product, desk.write())

    assert [sent.model for sent in service.sent] == [MODELS["edit"]]
    assert sum(stage.charged for stage in closed.record.stages) == PICTURE
    [edit, compose] = closed.record.briefs[1].stages
    assert (edit.outcome, compose.outcome) == ("generated", "cached")


async def test_a_wholly_cached_campaign_starts_no_task_and_asks_the_service_nothing(
    tmp_path: Path, desk: Desk, service: PlainService
) -> None:
    product = settings_at(tmp_path / "home")
    first = await run(product, desk.write())
    assert service.calls.count("task") == 5
    service.calls.clear()

    plan = await plan_of(product, desk.write())
    assert plan.wholly_cached
    assert (plan.cost, plan.cost_upper) == (0, 0)
    again = await run(product, desk.write(), frozen=True)

    assert service.calls == []
    assert {stage.outcome for stage in again.record.stages} == {"cached"}
    assert [s.assets for s in again.record.stages] == [s.assets for s in first.record.stages]
    assert plan.saved == 5 * PICTURE + int(SECOND * CLIP_SECONDS)


async def test_the_same_assets_after_the_home_moved(
    tmp_path: Path, desk: Desk, service: PlainService
) -> None:
    path = desk.write()
    first = await run(settings_at(tmp_path / "home"), path)
    moved = tmp_path / "elsewhere" / "home of campaigns"
    moved.parent.mkdir()
    shutil.move(tmp_path / "home", moved)
    service.calls.clear()

    product = settings_at(moved)
    again = await run(product, path)

    assert service.calls == []
    assert [s.assets for s in again.record.stages] == [s.assets for s in first.record.stages]
    kept = {asset.sha256 for stage in again.record.stages for asset in stage.assets}
    assert all(sha((product.assets / "objects" / one[:2] / one).read_bytes()) == one for one in kept)


async def test_another_price_list_changes_no_work(
    tmp_path: Path, desk: Desk, service: PlainService, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = settings_at(tmp_path / "home")
    await run(product, desk.write())
    usual = PriceBook.load()
    dearer = {place: 2 * price for place, price in usual.unit_prices.items()}
    book = PriceBook("other-2026-11-02.csv", "2026-11-02", "0" * 64, usual.rows, dearer)
    monkeypatch.setattr(PriceBook, "load", lambda: book)
    plan = await plan_of(product, desk.write())
    assert plan.wholly_cached
    assert plan.saved == 2 * (5 * PICTURE + int(SECOND * CLIP_SECONDS))


async def test_frozen_refuses_before_anything_is_sent_and_names_what_would_be_paid_for(
    tmp_path: Path, desk: Desk, service: PlainService
) -> None:
    product = settings_at(tmp_path / "home")
    await run(product, desk.write())
    service.calls.clear()
    desk.rows[2]["video_prompt"] = "rain"
    path = desk.write()

    with pytest.raises(BudgetRefused) as refused:
        await run(product, path, frozen=True)

    head, *named = str(refused.value).splitlines()
    assert "1 stage is not there yet and would cost $1.08" in head
    assert [line.split(":")[0].strip() for line in named] == ["c video"]
    assert "prompt changed from run" in named[0]
    assert service.calls == []
    with Ledger.open(product.ledger_address) as ledger:
        assert len(ledger.runs()) == 1


def test_a_thousand_briefs_replay_without_a_request_and_the_plan_says_so(
    tmp_path: Path, service: PlainService
) -> None:
    product = settings_at(tmp_path / "home")
    path = large_campaign(tmp_path / "large", 1000, inputs=50)
    stages = put_there(product, path)

    plan = asyncio.run(plan_of(product, path))
    assert (plan.briefs, len(plan.found), plan.cost, plan.cost_upper) == (1000, stages, 0, 0)
    assert plan.wholly_cached
    assert plan.saved == 1000 * (2 * PICTURE + int(SECOND * 3))
    closed = run_now(product, path, frozen=True)

    assert service.calls == []
    assert {stage.outcome for stage in closed.record.stages} == {"cached"}
    assert sum(stage.saved for stage in closed.record.stages) == plan.saved
    assert not (product.home / "simulator").exists()
