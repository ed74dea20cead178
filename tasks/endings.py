"""How a stage that did not get its picture or clip ended, and what that makes of the brief and of the run."""

import asyncio
from dataclasses import dataclass
from enum import IntEnum

from blocks.errors import (
    AccountRefused,
    BudgetRefused,
    CampaignError,
    LedgerUnusable,
    NeedsPerson,
    Stopped,
    StoreUnusable,
)
from tasks.record import Outcome
from tasks.stopping import StopReason


class ExitStatus(IntEnum):
    """The command's exit statuses, as the contract names them."""

    DONE = 0
    FAILED = 1
    INVALID = 2
    BUDGET = 3
    ACCOUNT = 4
    PERSON = 5
    INTERRUPTED = 130


# Where several apply, the first of these wins.
PRECEDENCE = (
    ExitStatus.INTERRUPTED,
    ExitStatus.ACCOUNT,
    ExitStatus.PERSON,
    ExitStatus.BUDGET,
    ExitStatus.FAILED,
)


@dataclass(frozen=True)
class Ending:
    """``outcome`` of the stage, the ``status`` it asks the run to end with, and what to tell the reader."""

    outcome: Outcome
    status: ExitStatus
    message: str


def ending_of(error: BaseException, stop_reason: StopReason | None) -> Ending:
    match error:
        case asyncio.CancelledError() | Stopped():
            status = (
                ExitStatus.ACCOUNT if stop_reason is StopReason.ACCOUNT_REFUSED else ExitStatus.INTERRUPTED
            )
            return Ending(
                Outcome.HELD, status, str(error) or "interrupted; run the command again to continue"
            )
        case AccountRefused():
            return Ending(Outcome.HELD, ExitStatus.ACCOUNT, str(error))
        case BudgetRefused():
            return Ending(Outcome.HELD, ExitStatus.BUDGET, str(error))
        case NeedsPerson():
            return Ending(Outcome.HELD, ExitStatus.PERSON, str(error))
        case LedgerUnusable() | StoreUnusable() | CampaignError():
            return Ending(Outcome.FAILED, ExitStatus.FAILED, str(error))
        case _:
            return Ending(
                Outcome.FAILED,
                ExitStatus.FAILED,
                f"unexpected {type(error).__name__}: {error}; please report this. Running the command again is safe",
            )


def first_of(statuses: set[ExitStatus]) -> ExitStatus:
    return next((status for status in PRECEDENCE if status in statuses), ExitStatus.DONE)
