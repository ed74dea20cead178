"""What a run that did not end has paid for: the next one accounts for it, and says so before and after."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import caching_support
import pytest
from caching_support import PICTURE, PlainService, plan_of, run, settings_at, without_network_and_prefect
from ledger_support import Worker, work_named
from rich.console import Console
from simulator_support import picture

from blocks.ledger import AttemptState, Ledger
from blocks.settings import Settings
from flows.commands.plan_view import print_plan
from flows.preparation import how_long
from tasks.planning.plan import Plan

pytest_plugins = ("ledger_fixtures",)

ROW = {"brief": "a", "edit_prompt": "warm", "edit_image": "mug.png", "compose_prompt": "on oak"}
NOTE = (
    "$0.056 that a run which did not end has paid for is accounted for in this run; it was spent before, and counts "
    "against no budget of this one"
)


@pytest.fixture
def service() -> Iterator[PlainService]:
    with without_network_and_prefect() as plain:
        yield plain


async def after_a_death(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, Path]:
    """Two pictures are paid for and kept, by a run that died before it had accounted for them."""
    product = settings_at(tmp_path / "home")
    path = caching_support.write_campaign(tmp_path / "campaign" / "spring.csv", [ROW])
    (path.parent / "mug.png").write_bytes(picture())

    async def die(*_: Any) -> NoReturn:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(caching_support, "close_run", die)
        with pytest.raises(ZeroDivisionError):
            await run(product, path)
    return product, path


async def test_a_plan_and_a_run_say_what_was_paid_before(
    tmp_path: Path, service: PlainService, monkeypatch: pytest.MonkeyPatch
) -> None:
    product, path = await after_a_death(tmp_path, monkeypatch)
    service.sent.clear()

    plan = await plan_of(product, path)
    assert plan.wholly_cached
    assert (plan.cost, plan.paid_before) == (0, 2 * PICTURE)
    assert plan.document()["notes"][-1] == NOTE
    said = shown(plan, product)
    assert NOTE in said
    assert "only reads the bill" in said, "that much is asked of the service"
    closed = await run(product, path, budget=0, frozen=True)

    assert service.sent == []
    assert sum(stage.charged for stage in closed.record.stages) == 2 * PICTURE
    assert closed.record.notes.count(NOTE) == 1
    assert "; $0.056 charged, $0.056 of it paid by a run that did not end, $0 saved" in closed.sentence
    again = await plan_of(product, path)
    assert (again.paid_before, NOTE in again.notes) == (0, False)
    closed = await run(product, path)
    assert (sum(stage.charged for stage in closed.record.stages), NOTE in closed.record.notes) == (0, False)
    assert "did not end" not in closed.sentence


async def test_a_run_does_not_claim_what_another_accounted_for_first(
    tmp_path: Path, service: PlainService, monkeypatch: pytest.MonkeyPatch
) -> None:
    product, path = await after_a_death(tmp_path, monkeypatch)
    assert (await plan_of(product, path)).paid_before
    monkeypatch.setattr(Ledger, "inherit", lambda *_: [])
    closed = await run(product, path)
    assert NOTE not in closed.record.notes
    assert "did not end" not in closed.sentence


def shown(plan: Plan, settings: Settings) -> str:
    out = io.StringIO()
    duration = how_long(settings, plan)
    print_plan(plan, duration, None, simulated=False, console=Console(file=out, width=400))
    return out.getvalue()


def paid(worker: Worker, name: str, *, charged: int = 28_000, refunded: int = 0) -> str:
    work = work_named(name)
    attempt = worker.bring(work, AttemptState.STORED)
    worker.ledger.settle(attempt.id, charged=charged, refunded=refunded, run_id=worker.run_id)
    return work.key


def test_what_a_plan_foresees_is_what_a_run_inherits(ledger: Ledger) -> None:
    dead, living, ended = (Worker.of(ledger) for _ in range(3))
    keys = [paid(dead, "a"), paid(dead, "b", charged=50, refunded=20), paid(living, "c"), paid(ended, "d")]
    ledger.leave(dead.owner)
    ledger.end_run(ended.run_id, exit_status=0, record_json=None)
    ledger.leave(ended.owner)

    assert ledger.unaccounted(keys) == 28_030
    assert ledger.unaccounted(keys[1:]) == 30
    heir = Worker.of(ledger)
    inherited = ledger.inherit(keys, heir.run_id, heir.owner)
    assert sum((one.charged or 0) - one.refunded for one in inherited) == 28_030
    assert ledger.unaccounted(keys) == 0, "the heir lives, and will account for it"
    assert ledger.inherit(keys, heir.run_id, heir.owner) == []
    ledger.leave(heir.owner)
    assert ledger.unaccounted(keys) == 28_030, "the heir died before it had"


def test_nothing_is_asked_about_work_where_every_run_has_ended(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    key = paid(worker, "a")
    ledger.leave(worker.owner)
    ledger.end_run(worker.run_id, exit_status=0, record_json=None)
    assert ledger.unaccounted([key]) == 0
