"""Retry by cause: the table row by row, judged by the simulator's journal and its bill.

Each cause that a service can bring about is brought about by the simulator; each row, whatever brings it about, is held
against how often its stage is tried, by the loop of these tests and by the condition that Prefect asks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import direct_campaign
import pytest
from bench_support import ScriptedAccount, edit_work, workbench_at
from campaign_support import DEADLINE_SECONDS, Workplace
from fault_service import FaultyService
from simulator_support import KEY, picture

from blocks import errors
from blocks.errors import CampaignError
from blocks.ledger import Ledger
from blocks.wavespeed import Prediction, Upload
from tasks import stages
from tasks.paying.retry_by_cause import MOST_TRIES, RETRY_BY_CAUSE, Action, Row, row_of, tried_again
from tasks.paying.waiting_state import DeadlinePassed, Watched
from tasks.paying.workbench import use

PRICE = 28_000
CLOCK = 0.0005  # 45 s become 22 ms


class UnwillingAccount(ScriptedAccount):
    """Every upload ends with the same error, so that nothing is ever sent."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def upload(self, content: bytes | Path, *, filename: str, media_type: str) -> Upload:
        del content, media_type
        self.uploaded.append(filename)
        raise self.error


def an_error(cause: type[Exception]) -> Exception:
    if issubclass(cause, errors.MediaOutOfLimits):
        return cause(("too small",))
    return cause("p1", 1.0) if issubclass(cause, DeadlinePassed) else cause("no")


ROWS = pytest.mark.parametrize("row", RETRY_BY_CAUSE, ids=lambda row: row.cause.__name__)


@ROWS
async def test_a_stage_is_tried_as_often_as_its_row_says(
    tmp_path: Path, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_campaign, "_RETRY_SECONDS", 0.0)
    account = UnwillingAccount(an_error(row.cause))
    with workbench_at(tmp_path, account) as bench:
        with pytest.raises(row.cause):
            await direct_campaign._run_stage(bench, edit_work())
        assert bench.ledger.attempts(key=edit_work().key) == []
    assert len(account.uploaded) == 1 + row.tries
    assert account.sent == []


@ROWS
async def test_prefect_tries_as_often_as_the_row_says(tmp_path: Path, row: Row) -> None:
    class Failed:
        async def aresult(self, *, raise_on_failure: bool) -> Exception:
            assert not raise_on_failure
            return an_error(row.cause)

    with workbench_at(tmp_path) as bench:
        undo = use(bench)
        again = [
            await stages._by_cause(
                cast("Any", None), cast("Any", SimpleNamespace(run_count=tries)), cast("Any", Failed())
            )
            for tries in range(1, MOST_TRIES + 2)
        ]
        undo()
    assert again == [tries <= row.tries for tries in range(1, MOST_TRIES + 2)]
    assert stages.edit_image.retries == MOST_TRIES


def every_error() -> Iterator[type[CampaignError]]:
    waiting: list[type[CampaignError]] = [CampaignError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__ == errors.__name__:
            yield kind


def test_every_error_has_its_row_or_that_of_its_kind() -> None:
    placed = {row.cause for row in RETRY_BY_CAUSE}
    only_kinds = {CampaignError, errors.ServiceError, errors.Terminal}
    for kind in set(every_error()) - only_kinds:
        assert row_of(an_error(kind)).cause in placed, kind
    assert len(placed) == len(RETRY_BY_CAUSE)


def test_what_nobody_has_placed_is_never_tried_again() -> None:
    assert not tried_again(ZeroDivisionError(), 1, patience_seconds=1)
    assert not tried_again(CampaignError("no"), 1, patience_seconds=1)


def test_a_wait_longer_than_the_patience_is_not_begun() -> None:
    paused = errors.RateLimited("later", retry_after=60)
    assert tried_again(paused, 1, patience_seconds=60)
    assert not tried_again(paused, 1, patience_seconds=59)


def test_only_what_certainly_created_nothing_is_sent_again() -> None:
    again = {row.cause for row in RETRY_BY_CAUSE if row.tries}
    assert all(issubclass(cause, errors.Transient) for cause in again)
    assert {row.action for row in RETRY_BY_CAUSE} == set(Action)
    bounded = {Action.AGAIN_AFTER_THE_WAIT, Action.AGAIN, Action.NEW_ATTEMPT, Action.UPLOAD_AGAIN}
    assert all((row.tries > 0) == (row.action in bounded) for row in RETRY_BY_CAUSE)


class EndedBadly:
    """Stands in for the watch: every prediction failed with this code."""

    def __init__(self, code: int) -> None:
        self.code = code

    async def wait(self, prediction_id: str, model: str, **_: object) -> Watched:
        failed = Prediction(id=prediction_id, model=model, status="failed", code=self.code)
        return Watched(failed, polls=1, detected_at=datetime.now(UTC), detect_seconds=0.0)


async def test_credit_that_runs_out_as_a_failed_prediction_stops_the_spending(tmp_path: Path) -> None:
    account = ScriptedAccount()
    with workbench_at(tmp_path, account) as bench:
        bench.watch = cast("Any", EndedBadly(1407))
        with pytest.raises(errors.AccountRefused, match="Top up the account"):
            await direct_campaign._run_stage(bench, edit_work("a"))
        with pytest.raises(errors.Stopped, match="Top up the account"):
            await direct_campaign._run_stage(bench, edit_work("b"))
        assert bench.ledger.attempts(key=edit_work("b").key) == []
    assert [body["prompt"] for body in account.sent] == ["a"]


async def test_an_input_that_changed_is_not_sent(tmp_path: Path) -> None:
    account = ScriptedAccount()
    with workbench_at(tmp_path, account) as bench:
        (tmp_path / "source.png").write_bytes(picture("JPEG"))
        with pytest.raises(errors.InvalidInput, match="changed while the campaign was running"):
            await direct_campaign._run_stage(bench, edit_work())
        assert bench.ledger.attempts(key=edit_work().key) == []
    assert account.uploaded == []
    assert account.sent == []


@dataclass(frozen=True)
class Case:
    """What the service does, and what has to be in its books after one run of a single picture, and after a second."""

    cause: type[Exception]
    rule: Mapping[str, Any]
    status: int
    posts: int
    billed: int
    """Predictions that were billed; failed ones are refunded."""
    charged: int
    """Of them, those that were not refunded."""
    switches: Mapping[str, Any] = field(default_factory=dict)
    budget: int | None = None
    uploads: int = 1
    states: tuple[str, ...] = ("stored",)


def on_submit(do: str, **more: Any) -> dict[str, Any]:
    return {"on": "submit", "do": do} | more


CASES = {
    "429 once": Case(
        errors.RateLimited,
        on_submit("http_status", status=429, retry_after=0.1, times=1),
        status=0,
        posts=2,
        billed=1,
        charged=1,
    ),
    "429 for ever": Case(
        errors.RateLimited,
        on_submit("http_status", status=429, retry_after=60),
        status=1,
        # The wait that it is told of is longer than its patience, so it is not begun.
        posts=1,
        billed=0,
        charged=0,
        states=("reserved",),
    ),
    "uploads fail for a while": Case(
        errors.Unavailable,
        {"on": "upload", "do": "http_status", "status": 503, "times": 4},
        status=0,
        posts=1,
        billed=1,
        charged=1,
        uploads=5,
    ),
    "the request never arrived": Case(
        errors.RequestLost, on_submit("reset", times=1), status=0, posts=2, billed=1, charged=1
    ),
    "the answer was lost": Case(
        errors.OutcomeUnknown, on_submit("lose_reply", times=1), status=0, posts=1, billed=1, charged=1
    ),
    "the service failed once": Case(
        errors.ServerSideFailure,
        on_submit("fail_prediction", code=5000, times=1),
        status=0,
        posts=2,
        billed=2,
        charged=1,
        states=("failed", "stored"),
    ),
    "the service always fails": Case(
        errors.ServerSideFailure,
        on_submit("fail_prediction", code=5003),
        status=1,
        posts=1 + MOST_TRIES,
        billed=1 + MOST_TRIES,
        charged=0,
        states=("failed",) * (1 + MOST_TRIES),
    ),
    "the service always fails, and the budget ends first": Case(
        errors.BudgetRefused,
        on_submit("fail_prediction", code=5004),
        switches={"refund_after_seconds": 1e9},
        budget=2 * PRICE,
        status=3,
        posts=2,
        billed=2,
        charged=2,
        states=("failed", "failed"),
    ),
    "an input could not be read once": Case(
        errors.InputNotFetched,
        on_submit("fail_prediction", code=1402, times=1),
        status=0,
        posts=2,
        billed=2,
        charged=1,
        uploads=2,
        states=("failed", "stored"),
    ),
    "an input can never be read": Case(
        errors.InputNotFetched,
        on_submit("fail_prediction", code=1402),
        status=1,
        posts=2,
        billed=2,
        charged=0,
        uploads=2,
        states=("failed", "failed"),
    ),
    "moderation": Case(
        errors.Moderated,
        on_submit("fail_prediction", code=1200),
        status=1,
        posts=1,
        billed=1,
        charged=0,
        states=("failed",),
    ),
    "moderation without a refund": Case(
        errors.Moderated,
        on_submit("fail_prediction", code=1200),
        switches={"moderation_refunded": False},
        status=1,
        posts=1,
        billed=1,
        charged=1,
        states=("failed",),
    ),
    "a bad parameter": Case(
        errors.RequestRefused,
        on_submit("http_status", status=400, message="aspect_ratio is not valid"),
        status=1,
        posts=1,
        billed=0,
        charged=0,
        states=("withdrawn",),
    ),
    "the task failed": Case(
        errors.PredictionFailed,
        on_submit("fail_prediction", code=1403),
        status=1,
        posts=1,
        billed=1,
        charged=0,
        states=("failed",),
    ),
    "an output stays broken": Case(
        errors.CollectingFailed,
        {"on": "download", "do": "wrong_type"},
        status=1,
        posts=1,
        billed=1,
        charged=1,
        states=("completed",),
    ),
    "the prediction never ends": Case(
        DeadlinePassed, on_submit("stuck"), status=1, posts=1, billed=1, charged=1, states=("submitted",)
    ),
    "the key is refused": Case(
        errors.AccountRefused,
        on_submit("http_status", status=401),
        status=4,
        posts=1,
        billed=0,
        charged=0,
        states=("unknown",),
    ),
    "credit runs out as a failed prediction": Case(
        errors.AccountRefused,
        on_submit("fail_prediction", code=1407),
        status=4,
        posts=1,
        billed=1,
        charged=0,
        states=("failed",),
    ),
}


class Run:
    """One campaign of a single picture in a folder of its own, against a service with the case's faults."""

    def __init__(self, folder: Path, case: Case) -> None:
        self.workplace = Workplace(folder / "work")
        self.service = FaultyService(folder / "service", clock=CLOCK)
        self.case = case
        self.log = folder / "log.txt"
        image = self.workplace.picture(size=(320, 320))
        self.csv = self.workplace.campaign([{"brief": "a", "edit_prompt": "warm", "edit_image": image}])

    def run(self) -> int | None:
        switches = {"refund_after_seconds": 0} | dict(self.case.switches)
        self.service.start({"switches": switches, "rules": [dict(self.case.rule)]})
        self.workplace.use_service(self.service.url, KEY)
        environment = {
            name: value
            for name, value in self.workplace.environment.items()
            if name.startswith(("WAVESPEED_", "CAMPAIGN_"))
        }
        environment |= {
            "CAMPAIGN_POLL_SECONDS": "0.05",
            "CAMPAIGN_REQUEST_SECONDS": "2",
            "CAMPAIGN_QUIET_SECONDS": "0.3",
            "CAMPAIGN_DEADLINE_SECONDS": "2",
            "CAMPAIGN_PATIENCE_SECONDS": "3",
            "CAMPAIGN_CHARGED_AT": "acceptance",
        }
        process = direct_campaign.Command(
            self.workplace.folder, environment, self.csv, self.log, budget=self.case.budget
        ).start()
        process.join(DEADLINE_SECONDS)
        return process.exitcode

    def states(self) -> tuple[str, ...]:
        with Ledger.open(f"sqlite:///{self.workplace.home / 'ledger.sqlite'}") as ledger:
            return tuple(attempt.state.value for attempt in ledger.attempts())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_requests_and_bill_are_what_the_cause_allows(tmp_path: Path, case: Case) -> None:
    run = Run(tmp_path, case)
    with run.service:
        status = run.run()
        said = run.log.read_text("utf-8")
        books = run.service.books
        assert status == case.status, said
        assert len(books.calls("/api/v3/kwaivgi/")) == case.posts, said
        deducted = [charge for charge in books.charges() if charge.kind == "deduct"]
        assert len(deducted) == case.billed
        assert books.charged_total() == case.charged * PRICE
        assert len(books.calls("/api/v3/media/uploads")) == case.uploads
        assert run.states() == case.states


def test_each_row_that_a_service_can_bring_about_has_a_case() -> None:
    """The others are met before anything is sent, or end what the service has no part in."""
    elsewhere = {
        errors.Transient,  # only its kinds are raised
        errors.WitnessAwaited,  # it takes others to give way to: tests/test_silence_runs.py
        errors.Unreachable,  # nobody listens, so no books are kept
        errors.OutputsExpired,  # after seven days
        errors.NotFound,
        errors.InvalidInput,
        errors.MediaError,
        errors.FetchRefused,
        errors.LedgerUnusable,
        errors.StoreUnusable,
        errors.Stopped,
        errors.NeedsPerson,  # it takes two lost answers that cannot be told apart
    }
    cases = {case.cause for case in CASES.values()}
    assert cases | elsewhere == {row.cause for row in RETRY_BY_CAUSE}
    assert not cases & elsewhere
