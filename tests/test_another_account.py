"""A ledger that is used with the keys of several accounts: what one of them was asked, only that one can say."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_service import FaultyService
from ledger_support import SERVICE
from quiet_scene import QuietScene
from simulator_support import KEY

from blocks.ledger import AttemptRow, AttemptState, Ledger
from blocks.settings import load_settings
from flows.reconcile import ReconcileOptions, reconcile
from tasks.paying.accounts import sent_by_another
from tasks.reconciling.person_decisions import PersonDecisions
from tasks.reconciling.reconciliation import Reconciliation, Verdict

OTHER_KEY = "key-of-another-account"
DYING = "test_another_account:die_with_the_first_answer"


class Accounts:
    """One address, behind which stands the account whose key is used; each has books of its own."""

    def __init__(self, folder: Path) -> None:
        self.scene = QuietScene(folder)
        self.first = self.scene.service
        self.second = FaultyService(folder / "second", clock=0.0005, key=OTHER_KEY, port=self.first._port)
        self.scene.briefs("a")
        assert self.scene.run() == 0, self.scene.said
        self.scene.briefs("a", "b")
        dying = self.scene.start(first=DYING)
        dying.join(60)
        assert dying.exitcode == -signal.SIGKILL
        assert self.scene.billed == ["a", "b"]

    def use_second(self) -> None:
        self.first.stop()
        self.second.start()
        self.scene.workplace.environment["WAVESPEED_API_KEY"] = OTHER_KEY

    def use_first(self) -> None:
        self.second.stop()
        self.first.start()
        self.scene.workplace.environment["WAVESPEED_API_KEY"] = KEY

    @property
    def lost(self) -> AttemptRow:
        with self.scene.ledger() as ledger:
            return ledger.attempts()[-1]

    def reconcile(self, *release: str) -> Reconciliation:
        settings = load_settings(
            {
                "api_key": self.scene.workplace.environment["WAVESPEED_API_KEY"],
                "base_url": self.scene.service.url,
                "home": self.scene.home,
                "quiet_seconds": 0,
            },
            env_file=None,
        )
        return asyncio.run(reconcile(settings, ReconcileOptions(None, PersonDecisions.parse((), release))))


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    made = Accounts(tmp_path)
    try:
        yield made
    finally:
        made.second.stop()
        made.second.books.close()
        made.scene.close()


def die_with_the_first_answer() -> None:
    """In the forked process: paid for, and its id on no disk."""
    Ledger.submitted = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign,assignment] # in the forked process only


def test_another_account_s_silence_proves_nothing(accounts: Accounts) -> None:
    accounts.use_second()
    for _ in range(2):
        assert accounts.scene.run() == 5, accounts.scene.said
        assert sent_by_another(accounts.lost) in accounts.scene.said
    assert accounts.second.books.charged_total() == 0
    assert accounts.lost.state in {AttemptState.INTENT, AttemptState.UNKNOWN}
    # With the right key, the run finds what that account has made, and pays for nothing.
    accounts.use_first()
    assert accounts.scene.run() == 0, accounts.scene.said
    assert accounts.scene.billed == ["a", "b"]
    assert len(accounts.scene.assets()) == 2


def test_what_was_paid_for_by_another_account_stays_found(accounts: Accounts) -> None:
    accounts.use_second()
    accounts.scene.briefs("a")
    assert accounts.scene.run() == 0, accounts.scene.said
    assert accounts.second.books.charged_total() == 0
    assert accounts.scene.last().stages[0].outcome == "cached"


def test_other_work_goes_on_beside_it(accounts: Accounts) -> None:
    accounts.use_second()
    accounts.scene.briefs("b", "c")
    assert accounts.scene.run() == 5, accounts.scene.said
    assert [one.prompt for one in accounts.second.books.predictions()] == ["c"]


def test_reconcile_leaves_it_alone_until_a_person_has_looked_there(accounts: Accounts) -> None:
    accounts.use_second()
    found = accounts.reconcile()
    assert [line.verdict for line in found.attempts] == [Verdict.OTHER_ACCOUNT, Verdict.HELD]
    assert found.attempts[1].note == sent_by_another(accounts.lost)
    assert int(found.status) == 5
    released = accounts.reconcile(str(accounts.lost.id))
    assert [line.verdict for line in released.attempts] == [Verdict.OTHER_ACCOUNT, Verdict.RELEASED]
    assert accounts.scene.run() == 0, accounts.scene.said
    assert [one.prompt for one in accounts.second.books.predictions()] == ["b"]


def test_a_new_key_of_the_same_account_is_known_by_what_it_can_read(tmp_path: Path) -> None:
    service = FaultyService(tmp_path / "service", clock=0.0005, key=None).start()
    scene = QuietScene(tmp_path, service=service)
    try:
        scene.briefs("a")
        assert scene.run() == 0, scene.said
        scene.briefs("a", "b")
        dying = scene.start(first=DYING)
        dying.join(60)
        assert dying.exitcode == -signal.SIGKILL
        assert scene.run(WAVESPEED_API_KEY="a-new-key-of-the-same-account") == 0, scene.said
        assert scene.billed == ["a", "b"]
        with scene.ledger() as ledger:
            service_name = ledger.attempts()[0].service
            old, new = (
                ledger.account_of(service_name, key) for key in (KEY, "a-new-key-of-the-same-account")
            )
        assert old == new
    finally:
        scene.close()


def test_a_fingerprint_is_salted_and_holds_nothing_of_the_key(tmp_path: Path) -> None:
    prints = set()
    for name in ("one", "two"):
        with Ledger.open(f"sqlite:///{tmp_path / name}") as ledger:
            fingerprint = ledger.account_of(SERVICE, KEY)
            assert ledger.account_of(SERVICE, KEY) == fingerprint
            assert ledger.account_of(SERVICE, OTHER_KEY) != fingerprint
        with Ledger.open(f"sqlite:///{tmp_path / name}") as ledger:
            assert ledger.account_of(SERVICE, KEY) == fingerprint
        prints.add(fingerprint)
    assert len(prints) == 2, "the salt is each ledger's own"
