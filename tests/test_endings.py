"""How a stage that did not get its picture or clip ended, and the exit status that it makes."""

import asyncio
import itertools

import pytest

from blocks import errors
from blocks.ledger import CapReached, LeaseLost
from tasks.endings import PRECEDENCE, ExitStatus, ending_of, first_of
from tasks.record import Outcome
from tasks.stopping import StopReason

HELD_ACCOUNT = (Outcome.HELD, ExitStatus.ACCOUNT)
HELD_BUDGET = (Outcome.HELD, ExitStatus.BUDGET)
HELD_INTERRUPTED = (Outcome.HELD, ExitStatus.INTERRUPTED)
FAILED = (Outcome.FAILED, ExitStatus.FAILED)
ENDINGS = [
    (errors.AccountRefused("no credit"), None, HELD_ACCOUNT),
    (errors.BudgetRefused("--frozen"), None, HELD_BUDGET),
    (CapReached(cap=1, charged=1, reserved=0, wanted=1), None, HELD_BUDGET),
    (errors.NeedsPerson("look"), None, (Outcome.HELD, ExitStatus.PERSON)),
    (errors.Stopped("stopped"), None, HELD_INTERRUPTED),
    (errors.Stopped("stopped"), StopReason.INTERRUPTED, HELD_INTERRUPTED),
    (errors.Stopped("stopped"), StopReason.ACCOUNT_REFUSED, HELD_ACCOUNT),
    (asyncio.CancelledError(), StopReason.INTERRUPTED, HELD_INTERRUPTED),
    (asyncio.CancelledError(), None, HELD_INTERRUPTED),
    (asyncio.CancelledError(), StopReason.ACCOUNT_REFUSED, HELD_ACCOUNT),
    # A budget or a person in the way of a stage stays so while the account refuses others.
    (errors.BudgetRefused("cap"), StopReason.ACCOUNT_REFUSED, HELD_BUDGET),
    (errors.NeedsPerson("look"), StopReason.INTERRUPTED, (Outcome.HELD, ExitStatus.PERSON)),
    (errors.InvalidInput("changed"), None, FAILED),
    (errors.LedgerUnusable("locked"), None, FAILED),
    (errors.StoreUnusable("full"), None, FAILED),
    (errors.NotDecodable("html"), None, FAILED),
    (errors.TooLargeToDecode("a bomb"), None, FAILED),
    (errors.FetchRefused("private"), None, FAILED),
    (errors.RequestRefused("bad"), None, FAILED),
    (errors.Moderated("flagged"), None, FAILED),
    (errors.RateLimited("429"), None, FAILED),
    (errors.Unreachable("no connection"), None, FAILED),
    (LeaseLost("another's"), None, FAILED),
    (RuntimeError("a mistake"), None, FAILED),
    (ZeroDivisionError(), StopReason.ACCOUNT_REFUSED, FAILED),
]


@pytest.mark.parametrize(("error", "reason", "expected"), ENDINGS, ids=lambda value: type(value).__name__)
def test_an_ending(
    error: BaseException, reason: StopReason | None, expected: tuple[Outcome, ExitStatus]
) -> None:
    ending = ending_of(error, reason)
    assert (ending.outcome, ending.status) == expected
    assert ending.message
    if isinstance(error, errors.CampaignError):
        assert ending.message == str(error)


def test_what_nobody_foresaw_is_told_with_its_kind_and_what_to_do() -> None:
    message = ending_of(KeyError("x"), None).message
    assert message == "unexpected KeyError: 'x'; please report this. Running the command again is safe"


def test_no_statuses_are_a_run_that_is_done() -> None:
    assert first_of(set()) is ExitStatus.DONE


def test_where_several_apply_the_first_of_the_contract_s_order_wins() -> None:
    order = [130, 4, 5, 3, 1]
    assert [int(status) for status in PRECEDENCE] == order
    for size in range(1, len(order) + 1):
        for some in itertools.combinations(PRECEDENCE, size):
            assert int(first_of({*some, ExitStatus.DONE})) == next(n for n in order if n in some)
