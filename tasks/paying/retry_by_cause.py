"""From cause to action: whether, and how, a stage goes on after an error. One table, which all that acts asks.

What moves money is decided by the cause, never by a count alone: a request is repeated only where it certainly created
nothing, and a new attempt follows only a prediction that ended without outputs, or whose outputs have expired.
"""

from dataclasses import dataclass
from enum import StrEnum

from blocks.errors import (
    AccountRefused,
    BudgetRefused,
    CampaignError,
    CollectingFailed,
    FetchRefused,
    InputNotFetched,
    InvalidInput,
    LedgerUnusable,
    MediaError,
    Moderated,
    NeedsPerson,
    NotFound,
    OutcomeUnknown,
    OutputsExpired,
    PredictionFailed,
    RateLimited,
    RequestLost,
    RequestRefused,
    ServerSideFailure,
    Stopped,
    StoreUnusable,
    Transient,
    Unavailable,
    Unreachable,
    WitnessAwaited,
)
from tasks.paying.waiting_state import DeadlinePassed


class Action(StrEnum):
    AGAIN_AFTER_THE_WAIT = "again after the wait asked for"
    AGAIN = "again, bounded: it created nothing"
    NEW_ATTEMPT = "new attempt, bounded, within the budget"
    UPLOAD_AGAIN = "upload again and once more"
    ASK_THE_HISTORY = "never blindly: ask the history, hold what stays open"
    LATER = "not in this run: a later one collects it free of charge"
    NEVER = "never"
    HOLD = "hold"
    STOP = "stop the campaign"


@dataclass(frozen=True)
class Row:
    """``tries``: how often, after the first one, the stage is tried again."""

    cause: type[Exception]
    action: Action
    tries: int = 0


MOST_TRIES = 3

RETRY_BY_CAUSE = (
    # Nothing was created, or nothing was asked that costs money.
    Row(RateLimited, Action.AGAIN_AFTER_THE_WAIT, MOST_TRIES),
    Row(Unreachable, Action.AGAIN, MOST_TRIES),
    Row(Unavailable, Action.AGAIN, MOST_TRIES),
    Row(RequestLost, Action.AGAIN, MOST_TRIES),
    Row(WitnessAwaited, Action.AGAIN, MOST_TRIES),
    Row(Transient, Action.AGAIN, MOST_TRIES),
    # The prediction ended without outputs, or has none any more.
    Row(ServerSideFailure, Action.NEW_ATTEMPT, MOST_TRIES),
    Row(OutputsExpired, Action.NEW_ATTEMPT, MOST_TRIES),
    Row(InputNotFetched, Action.UPLOAD_AGAIN, 1),
    # It may exist, and be billed.
    Row(OutcomeUnknown, Action.ASK_THE_HISTORY),
    Row(DeadlinePassed, Action.LATER),
    Row(CollectingFailed, Action.LATER),
    # The same would come of it again.
    Row(Moderated, Action.NEVER),
    Row(RequestRefused, Action.NEVER),
    Row(PredictionFailed, Action.NEVER),
    Row(NotFound, Action.NEVER),
    Row(InvalidInput, Action.NEVER),
    Row(MediaError, Action.NEVER),
    Row(FetchRefused, Action.NEVER),
    Row(LedgerUnusable, Action.NEVER),
    Row(StoreUnusable, Action.NEVER),
    Row(Stopped, Action.NEVER),
    # Somebody has to decide, or to pay.
    Row(NeedsPerson, Action.HOLD),
    Row(BudgetRefused, Action.HOLD),
    Row(AccountRefused, Action.STOP),
)
_ROWS = {row.cause: row for row in RETRY_BY_CAUSE}
# A defect, or an error that nobody has placed yet: nothing is tried again that might cost money.
_UNPLACED = Row(CampaignError, Action.NEVER)


def row_of(error: BaseException) -> Row:
    """The row of the error's own kind, or of the nearest kind that it is one of."""
    return next((_ROWS[kind] for kind in type(error).__mro__ if kind in _ROWS), _UNPLACED)


def action_of(error: BaseException) -> Action:
    return row_of(error).action


def tried_again(error: BaseException, tries: int, *, patience_seconds: float) -> bool:
    """Whether the stage is tried again after its ``tries``-th try, counted from 1, ended with this error.

    A wait that is longer than the patience is not begun.
    """
    return tries <= row_of(error).tries and wait_asked_for(error) <= patience_seconds


def wait_asked_for(error: BaseException) -> float:
    """The seconds that the service asked to be left alone for; 0 where it asked for nothing."""
    return (error.retry_after or 0.0) if isinstance(error, Transient) else 0.0
