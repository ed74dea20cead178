"""A ledger that was lost, restored from an older copy, or copied: what it lacks is taken over, never paid for again."""

import asyncio
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from quiet_scene import QuietScene
from simulator_support import KEY

from blocks.ledger import Ledger
from blocks.settings import load_settings
from blocks.store_marker import MarkedStore
from flows.reconcile import ReconcileOptions, reconcile
from tasks.reconciling.person_decisions import PersonDecisions
from tasks.reconciling.reconciliation import Reconciliation

TWO_STAGES = {"compose_prompt": "@Image1 on oak"}
DYING = "test_restored_ledger:die_when_all_is_answered"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[QuietScene]:
    scene = QuietScene(tmp_path)
    try:
        yield scene
    finally:
        scene.close()


def die_when_all_is_answered() -> None:
    """In the forked process: the prediction's id is on the disk, and nothing after it."""
    submitted = Ledger.submitted

    def dying(*arguments: object, **more: object) -> None:
        submitted(*arguments, **more)  # type: ignore[arg-type] # passed on as they came
        os.kill(os.getpid(), signal.SIGKILL)

    Ledger.submitted = dying  # type: ignore[method-assign,assignment] # in the forked process only


def killed(scene: QuietScene) -> None:
    dying = scene.start(first=DYING)
    dying.join(60)
    assert dying.exitcode == -signal.SIGKILL, scene.said


def ledger_file(scene: QuietScene) -> Path:
    return scene.home / "ledger.sqlite"


def lose_ledger(scene: QuietScene) -> None:
    for path in scene.home.glob("ledger.sqlite*"):
        path.unlink()


def copied(scene: QuietScene) -> Path:
    """A consistent copy of the ledger as it is now."""
    copy = scene.folder / "copy.sqlite"
    source, target = sqlite3.connect(ledger_file(scene)), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()
    return copy


def restore(scene: QuietScene, copy: Path) -> None:
    lose_ledger(scene)
    shutil.copyfile(copy, ledger_file(scene))


def reconciled(
    scene: QuietScene, *, adopt: tuple[str, ...] = (), not_mine: tuple[str, ...] = (), out: str = "runs"
) -> Reconciliation:
    settings = load_settings(
        {"api_key": KEY, "base_url": scene.service.url, "home": scene.home, "quiet_seconds": 0},
        env_file=None,
    )
    decisions = PersonDecisions.parse(adopt, (), not_mine)
    return asyncio.run(reconcile(settings, ReconcileOptions(None, decisions, (scene.folder / out,))))


def refused(scene: QuietScene) -> None:
    billed = scene.billed
    assert scene.run() == 5, scene.said
    assert "Run `campaign reconcile`" in scene.said
    assert scene.billed == billed


def costs_nothing(scene: QuietScene) -> None:
    """Everything is there, and the service's books are as they were."""
    billed, assets = scene.billed, set(scene.folder.glob("runs/*/manifest.json"))
    assert scene.run() == 0, scene.said
    assert scene.billed == billed
    assert len(set(scene.folder.glob("runs/*/manifest.json")) - assets) == 1
    assert all(stage.assets for stage in scene.last().stages)


def test_a_lost_ledger_is_made_again_from_the_folders_of_past_runs(scene: QuietScene) -> None:
    scene.briefs("a", "b", **TWO_STAGES)
    assert scene.run() == 0, scene.said
    before = scene.assets()
    lose_ledger(scene)
    refused(scene)
    refused(scene)
    found = reconciled(scene)
    assert (int(found.status), found.taken_over, found.unplaced) == (0, 4, ())
    assert {line.verdict.value for line in found.attempts} == {"matched"}
    costs_nothing(scene)
    assert {stage.outcome for stage in scene.last().stages} == {"cached"}
    assert scene.assets() == before
    assert len(scene.billed) == 4


def test_a_home_that_is_gone_is_made_again_with_its_pictures(scene: QuietScene) -> None:
    scene.briefs("a", **TWO_STAGES)
    assert scene.run() == 0, scene.said
    before = scene.assets()
    shutil.rmtree(scene.home)
    refused(scene)
    scene.service.books.delete([one.id for one in scene.service.books.predictions()])
    assert reconciled(scene).taken_over == 2
    costs_nothing(scene)
    assert scene.assets() == before


def test_reconcile_may_come_first_and_be_told_where_the_runs_are(scene: QuietScene) -> None:
    scene.briefs("a")
    assert scene.run() == 0, scene.said
    shutil.rmtree(scene.home)
    (scene.folder / "runs").rename(scene.folder / "elsewhere")
    assert reconciled(scene, out="elsewhere").taken_over == 1
    costs_nothing(scene)


def test_a_restored_ledger_takes_over_what_was_paid_for_since(scene: QuietScene) -> None:
    scene.briefs("a")
    assert scene.run() == 0, scene.said
    copy = copied(scene)
    scene.briefs("a", "b", **TWO_STAGES)
    assert scene.run() == 0, scene.said
    assert len(scene.billed) == 4
    restore(scene, copy)
    refused(scene)
    assert reconciled(scene).taken_over == 3
    costs_nothing(scene)
    assert len(scene.billed) == 4


def test_what_no_folder_knows_is_asked_of_a_person_and_collected(scene: QuietScene) -> None:
    scene.briefs("a")
    assert scene.run() == 0, scene.said
    copy = copied(scene)
    scene.briefs("a", "b")
    killed(scene)
    assert scene.billed == ["a", "b"]
    restore(scene, copy)
    refused(scene)
    found = reconciled(scene)
    assert (int(found.status), found.taken_over) == (5, 0)
    [prediction] = [one.id for one in scene.service.books.predictions() if one.prompt == "b"]
    assert found.unplaced == (prediction,)
    refused(scene)
    assert int(reconciled(scene, adopt=(prediction,)).status) == 0
    costs_nothing(scene)
    outcomes = {stage.brief: stage.outcome.value for stage in scene.last().stages}
    assert outcomes == {"a": "cached", "b": "resumed"}
    assert scene.service.books.charged_total() == 2 * 28_000


def test_a_log_that_is_gone_is_noticed(scene: QuietScene) -> None:
    scene.briefs("a")
    assert scene.run() == 0, scene.said
    scene.briefs("a", "b")
    killed(scene)
    log = ledger_file(scene).with_name("ledger.sqlite-wal")
    assert log.stat().st_size > 0
    log.unlink()
    ledger_file(scene).with_name("ledger.sqlite-shm").unlink()
    refused(scene)
    [prediction] = reconciled(scene).unplaced
    assert int(reconciled(scene, adopt=(prediction,)).status) == 0
    costs_nothing(scene)
    assert scene.billed == ["a", "b"]


def test_a_person_may_say_that_it_was_somebody_elses(scene: QuietScene) -> None:
    scene.briefs("a")
    assert scene.run() == 0, scene.said
    copy = copied(scene)
    scene.briefs("a", "b")
    killed(scene)
    restore(scene, copy)
    [prediction] = reconciled(scene).unplaced
    assert int(reconciled(scene, not_mine=(prediction,)).status) == 0
    assert scene.run() == 0, scene.said
    assert scene.billed == ["a", "b", "b"]
    # It is asked once: what comes after is as with any ledger.
    assert reconciled(scene).unplaced == ()


def test_a_copied_home_does_not_pay_for_what_the_other_has_paid_for_since(
    scene: QuietScene, tmp_path: Path
) -> None:
    scene.briefs("a")
    assert scene.run() == 0, scene.said
    other = QuietScene(tmp_path / "other", service=scene.service)
    shutil.copytree(scene.home, other.home)
    scene.briefs("a", "b")
    assert scene.run() == 0, scene.said
    other.briefs("a", "b")
    # On another machine, the folder is not there.
    (scene.folder / "runs").rename(tmp_path / "out of reach")
    refused(other)
    [prediction] = reconciled(other).unplaced
    assert int(reconciled(other, adopt=(prediction,)).status) == 0
    costs_nothing(other)
    assert scene.billed == ["a", "b"]


def test_a_copy_that_lacks_nothing_is_noticed_by_nobody(scene: QuietScene) -> None:
    scene.briefs("a")
    assert scene.run() == 0, scene.said
    restore(scene, copied(scene))
    scene.briefs("a", "b")
    assert scene.run() == 0, scene.said
    assert scene.billed == ["a", "b"]


def test_a_moved_home_is_noticed_by_nobody_whatever_others_use_the_account(scene: QuietScene) -> None:
    scene.briefs("a")
    assert scene.run() == 0, scene.said
    # Another ledger's work of this program, on the same account.
    other = QuietScene(scene.folder.parent / "other", service=scene.service)
    other.briefs("theirs")
    assert other.run() == 0, other.said
    moved = scene.home.rename(scene.folder / "moved")
    scene.home = moved
    scene.briefs("a", "b")
    assert scene.run(CAMPAIGN_HOME=str(moved)) == 0, scene.said
    assert scene.billed == ["a", "b", "theirs"]


def test_a_ledger_of_before_is_noticed_by_nobody(scene: QuietScene) -> None:
    """As an earlier version left it: without a check, and a store without its marker."""
    scene.briefs("a")
    assert scene.run() == 0, scene.said
    other = QuietScene(scene.folder.parent / "other", service=scene.service)
    other.briefs("theirs")
    assert other.run() == 0, other.said
    # Another home's runs in the same folder.
    shutil.copytree(other.folder / "runs", scene.folder / "runs", dirs_exist_ok=True)
    (scene.home / "assets" / "ledgers.json").unlink()
    with scene.ledger() as ledger, ledger._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM facts WHERE name = 'place'")
    scene.briefs("a", "b")
    assert scene.run() == 0, scene.said
    assert scene.billed == ["a", "b", "theirs"]


def test_the_marker_is_its_owner_s_and_never_says_less(tmp_path: Path) -> None:
    marked = MarkedStore(tmp_path / "assets")
    assert marked.read() is None
    store = marked.note("one", 5).store
    marked.note("one", 3)
    marked.note("two", 1)
    found = marked.read()
    assert found is not None
    assert (found.store, found.intents) == (store, {"one": 5, "two": 1})
    [file] = (tmp_path / "assets").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("not JSON")
    assert marked.read() is None
    assert marked.note("one", 1).intents == {"one": 1}


def test_a_heartbeat_brings_the_main_file_up_to_date(scene: QuietScene) -> None:
    scene.home.mkdir()
    with scene.ledger() as ledger:
        owner = ledger.register_owner()
        ledger.account_of("service", KEY)
        ledger.heartbeat(owner)
        plain = scene.folder / "plain.sqlite"
        shutil.copyfile(ledger_file(scene), plain)
    connection = sqlite3.connect(plain)
    try:
        assert connection.execute("SELECT count(*) FROM accounts").fetchone() == (1,)
    finally:
        connection.close()
