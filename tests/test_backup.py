"""`campaign backup`: a copy that is whole, and a restore after which nothing is paid for twice."""

import hashlib
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaign_support import Workplace
from simulator_support import KEY, Simulator, simulator_thread


@pytest.fixture
def service(tmp_path: Path, workplace: Workplace) -> Iterator[Simulator]:
    with simulator_thread(tmp_path / "service") as running:
        workplace.use_service(running.url, KEY)
        yield running


def briefs(workplace: Workplace, *names: str) -> str:
    image = workplace.picture()
    return workplace.campaign([{"brief": name, "edit_prompt": name, "edit_image": image} for name in names])


def test_backup_more_work_restore_and_nothing_is_paid_for_twice(
    workplace: Workplace, service: Simulator
) -> None:
    assert workplace.run("run", briefs(workplace, "a")).status == 0
    backed_up = workplace.run("backup", "kept.sqlite")
    assert backed_up.status == 0, backed_up
    campaign = briefs(workplace, "a", "b")
    assert workplace.run("run", campaign).status == 0
    paid = service.books.charged_total()
    assert paid == 2 * 28_000

    for path in workplace.home.glob("ledger.sqlite*"):
        path.unlink()
    shutil.copyfile(workplace.folder / "kept.sqlite", workplace.home / "ledger.sqlite")
    refused = workplace.run("run", campaign)
    assert refused.status == 5, refused
    assert "Nothing was spent. Run `campaign reconcile`" in refused.stderr
    assert service.books.charged_total() == paid

    reconciled = workplace.run("reconcile", "--json")
    assert reconciled.status == 0, reconciled
    assert reconciled.document["taken_over"] == 1
    assert "has taken over 1 prediction" in reconciled.stderr
    again = workplace.run("run", campaign, "--json")
    assert again.status == 0, again
    assert again.document["stages"]["cached"] == 2
    assert again.document["charged_usd"] == "0"
    assert service.books.charged_total() == paid
    assert len(service.books.predictions()) == 2


def test_the_copy_is_one_file_with_the_list_of_its_assets(workplace: Workplace, service: Simulator) -> None:
    assert workplace.run("run", briefs(workplace, "a", "b")).status == 0
    assert workplace.run("backup", "kept.sqlite").status == 0
    names = {path.name for path in workplace.folder.iterdir() if "kept" in path.name}
    assert names == {"kept.sqlite", "kept.sqlite.sha256"}
    for name in names:
        assert stat.S_IMODE((workplace.folder / name).stat().st_mode) == 0o600
    connection = sqlite3.connect(workplace.folder / "kept.sqlite")
    assert connection.execute("SELECT count(*) FROM attempts WHERE state = 'stored'").fetchone() == (2,)
    connection.close()
    lines = (workplace.folder / "kept.sqlite.sha256").read_text("utf-8").splitlines()
    assert len(lines) == len(set(lines)) > 0
    for line in lines:
        sha256, place = line.split("  ")
        content = (workplace.home / "assets" / place).read_bytes()
        assert hashlib.sha256(content).hexdigest() == sha256


def test_what_cannot_be_backed_up_is_said(workplace: Workplace, service: Simulator) -> None:
    nothing = workplace.run("backup", "kept.sqlite")
    assert (nothing.status, "nothing to back up" in nothing.stderr) == (2, True)
    assert workplace.run("run", briefs(workplace, "a")).status == 0
    (workplace.folder / "there").write_text("mine")
    assert workplace.run("backup", "there").status == 2
    assert (workplace.folder / "there").read_text() == "mine"
    assert workplace.run("backup", "no/such/folder").status == 2
    assert service.books.charged_total() == 28_000


pytest_plugins = ("ledger_fixtures",)


def test_postgresql_s_own_tool_is_named(workplace: Workplace, postgresql_url: str) -> None:
    workplace.environment["CAMPAIGN_LEDGER_URL"] = postgresql_url
    assert workplace.run("run", briefs(workplace, "a")).status == 0
    refused = workplace.run("backup", "kept.sqlite")
    assert (refused.status, "pg_dump" in refused.stderr) == (2, True)
