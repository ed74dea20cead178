"""Two machines with folders of their own share one ledger on PostgreSQL: each piece of work is paid for once."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaign_support import wait_until
from quiet_scene import QuietScene, ended

pytest_plugins = ("ledger_fixtures",)

TWO_STAGES = {"compose_prompt": "@Image1 on oak"}
PAID_ONCE = sorted(["a", "b", "c", *["@Image1 on oak"] * 3])


@pytest.fixture
def hosts(tmp_path: Path, postgresql_url: str) -> Iterator[tuple[QuietScene, QuietScene]]:
    """The same campaign on both; their stores, folders and outputs are their own."""
    here = QuietScene(tmp_path / "here")
    there = QuietScene(tmp_path / "there", service=here.service)
    for scene in (here, there):
        scene.workplace.environment["CAMPAIGN_LEDGER_URL"] = postgresql_url
        scene.briefs("a", "b", "c", **TWO_STAGES)
    try:
        yield here, there
    finally:
        here.close()


def test_both_at_once_pay_once_and_have_the_same_assets(hosts: tuple[QuietScene, QuietScene]) -> None:
    here, there = hosts
    both = here.start(), there.start(first="test_two_hosts:be_elsewhere")
    assert [ended(one) for one in both] == [0, 0], here.said + there.said
    assert here.billed == PAID_ONCE
    assert len(here.assets()) == len(PAID_ONCE)
    assert here.assets() == there.assets()


def test_the_second_host_has_the_pictures_without_paying(hosts: tuple[QuietScene, QuietScene]) -> None:
    here, there = hosts
    assert here.run() == 0, here.said
    assert there.run(first="test_two_hosts:be_elsewhere") == 0, there.said
    assert here.billed == PAID_ONCE
    assert sum(stage.charged for stage in there.last().stages) == 0
    assert here.assets() == there.assets()
    # Nor is it collected from the service once more, whichever of them asks.
    for scene, first in ((here, ""), (there, "test_two_hosts:be_elsewhere")):
        assert scene.run(first=first) == 0, scene.said
        assert {stage.outcome for stage in scene.last().stages} == {"cached"}


def test_a_host_that_dies_is_replaced_when_its_lease_has_run_out(
    hosts: tuple[QuietScene, QuietScene],
) -> None:
    here, there = hosts
    dying = there.start(first="test_two_hosts:die_elsewhere_with_the_first_answer")
    wait_until(lambda: not dying.is_alive())
    assert dying.exitcode == -signal.SIGKILL
    assert len(here.billed) >= 1, "it died too early to have paid for anything"
    assert here.run(first="test_two_hosts:short_leases") == 0, here.said
    assert here.billed == PAID_ONCE


def test_what_another_host_may_have_is_never_paid_for_again_by_itself(
    hosts: tuple[QuietScene, QuietScene],
) -> None:
    here, there = hosts
    assert here.run() == 0, here.said
    out_of_reach(here)
    expire(here)
    for _ in range(2):
        assert there.run(first="test_two_hosts:be_elsewhere") == 5, there.said
        assert "shares this ledger and may have them" in there.said
        assert "`campaign forget --key" in there.said
    assert here.billed == PAID_ONCE
    # The host that has the bytes goes on with them.
    assert here.run() == 0, here.said
    assert {stage.outcome for stage in here.last().stages} == {"cached"}
    assert here.billed == PAID_ONCE


def test_the_named_command_lets_it_be_paid_for_again(hosts: tuple[QuietScene, QuietScene]) -> None:
    here, there = hosts
    for scene in hosts:
        scene.briefs("a")
    assert here.run() == 0, here.said
    out_of_reach(here)
    expire(here)
    assert there.run(first="test_two_hosts:be_elsewhere") == 5, there.said
    named = re.search(r"`campaign (forget --key [0-9a-f]+ --yes)`", there.said)
    assert named is not None
    assert there.workplace.run(*named[1].split()).status == 0
    assert there.run(first="test_two_hosts:be_elsewhere") == 0, there.said
    assert here.billed == ["a", "a"]


def test_its_own_bytes_are_found_whoever_has_opened_the_work_again(
    hosts: tuple[QuietScene, QuietScene],
) -> None:
    here, there = hosts
    for scene in hosts:
        scene.briefs("a")
    assert here.run() == 0, here.said
    out_of_reach(here)
    dying = there.start(first="test_two_hosts:die_elsewhere_before_a_download")
    wait_until(lambda: not dying.is_alive())
    assert dying.exitcode == -signal.SIGKILL
    expire(here)
    # Opened again by a host that lacks it, and expired before it was collected.
    assert there.run(first="test_two_hosts:be_elsewhere_with_short_leases") == 5, there.said
    assert here.run(first="test_two_hosts:short_leases") == 0, here.said
    assert {stage.outcome for stage in here.last().stages} == {"cached"}
    assert here.billed == ["a"]


def out_of_reach(scene: QuietScene) -> None:
    """The folders of one machine are not on the other's disk."""
    (scene.folder / "runs").rename(scene.folder / "not there")


def expire(scene: QuietScene) -> None:
    """Eight days go by: the service has forgotten, and the ledger knows how long ago it was."""
    books = scene.service.books
    books.delete([prediction.id for prediction in books.predictions()])
    with scene.ledger() as ledger, ledger._database.write() as connection:
        for column in ("submitted_at", "service_created_at", "reserved_at", "intent_at"):
            connection.exec_driver_sql(f"UPDATE attempts SET {column} = {column} - interval '8 days'")


def be_elsewhere_with_short_leases() -> None:
    be_elsewhere()
    short_leases()


def die_elsewhere_before_a_download() -> None:
    """The work is opened again, and nothing of it has come."""
    from blocks.ledger import Ledger  # noqa: PLC0415 - in the forked process only

    be_elsewhere()
    reopen = Ledger.reopen

    def dying(ledger: Ledger, key: str) -> None:
        reopen(ledger, key)
        os.kill(os.getpid(), signal.SIGKILL)

    Ledger.reopen = dying  # type: ignore[method-assign,assignment] # in the forked process only


def short_leases() -> None:
    from test_held_up import short_leases as shorten  # noqa: PLC0415 - in the forked process only

    shorten()


def be_elsewhere() -> None:
    """In the forked process: the machine has another name."""
    from blocks.ledger import owners  # noqa: PLC0415 - in the forked process only

    owners._host = lambda: "elsewhere"  # type: ignore[assignment] # in the forked process only


def die_elsewhere_with_the_first_answer() -> None:
    """Paid for, and its id on no disk."""
    from blocks.ledger import Ledger  # noqa: PLC0415 - in the forked process only

    be_elsewhere()
    Ledger.submitted = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign,assignment] # likewise
