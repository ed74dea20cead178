"""When a request whose answer was lost may be sent again: the history's silence, and all that has to speak for it.

Pure functions of what was seen. Silence proves something only where the history was read whole, shows our own work of
that time, was watched for a while by this process's own clock, and where no money is missing. Else it is waited for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from blocks.ledger import AttemptRow, AttemptState, Hold, Reply, SendAgain
from blocks.wavespeed import ClockSkew, Prediction, UnreadableItem
from tasks.paying.spelling import ModelNames, Spelling

HISTORY_LASTS = timedelta(days=7)
# An attempt must be this much younger than the history for its silence to mean anything.
_MARGIN = timedelta(hours=1)
# Whatever hides our other work of the minutes around a lost request may hide its prediction as well.
AROUND = timedelta(minutes=10)
MOST_TIMES_WITH_INPUTS = 3
MOST_TIMES_WITHOUT = 1
_LOOKS = 2
# In quiet periods: what is only charged, or only shows, when it has ended is not there before.
_PICTURE_ENDS = 10
_CLIP_ENDS = 20
_TOO_OLD = (
    "its reply was lost, and it is older than the account's history, which could say what became of it; look for it "
    "in the account's bill, then see `campaign reconcile`"
)
_ACCEPTED = (
    "WaveSpeed took the request on, but its answer had no id that can be used, and the account's history does not "
    "show which prediction it became; look for it there, then run `campaign reconcile`"
)


@dataclass(frozen=True)
class Wait:
    """Nothing is certain yet about the attempt. ``reason`` completes “its reply was lost, and …”.

    ``needs_money``: all else is there, only the account's credit and bill have not been read. ``silent``: the history
    shows no prediction that may be the attempt's. ``passes``: time alone may bring the answer. ``lacks_witness``: later
    work of ours would bring it.
    """

    attempt_id: int
    reason: str
    needs_money: bool = False
    silent: bool = False
    passes: bool = True
    lacks_witness: bool = False


@dataclass(frozen=True)
class Watched:
    """How often, and for how many seconds of its own clock, this process has seen nothing of an attempt."""

    looks: int
    seconds: float


@dataclass(frozen=True)
class Money:
    """What the account's credit and bill say since right before a request.

    ``unchanged``: what the credit has lost since is what known predictions cost. ``unexplained`` ends a sentence where
    money went for what the history does not show. ``booked_at_acceptance`` is None where that is not known.
    """

    unchanged: bool = False
    billed: bool = False  # the bill was read
    unexplained: str | None = None
    booked_at_acceptance: bool | None = None


@dataclass(frozen=True)
class Evidence:
    """What one whole reading of the history shows beside the candidates.

    ``known`` are attempts of this account whose predictions are known, of any model: those that the reading shows
    (``shown``, by id) and those sent around the lost requests. ``resent`` counts by piece of work how often it was sent
    again after lost replies; ``watched`` and ``money`` stand by attempt. ``shows_unended``: the history was ever
    seen to show a prediction before it had ended.
    """

    known: Sequence[AttemptRow] = ()
    shown: Mapping[str, Prediction] = field(default_factory=dict)
    unreadable: Sequence[UnreadableItem] = ()
    names: ModelNames | None = None  # None: every model is shown under its own name
    spelling: Spelling = field(default_factory=Spelling)
    shows_inputs: bool = False
    shows_unended: bool = False
    watched: Mapping[int, Watched] = field(default_factory=dict)
    resent: Mapping[str, int] = field(default_factory=dict)
    money: Mapping[int, Money] = field(default_factory=dict)

    def may_be_of(self, model: str, name: str) -> bool:
        """Whether what the history shows under this name may be of the model."""
        return name in {"", model} if self.names is None else self.names.may_be(name)

    def dating(self) -> ClockSkew:
        """The clock by which the history dates its items, less the clock of the service's answers, in seconds.

        Learnt from our own predictions: each was made between its intent and its answer.
        """
        return self._dating

    @cached_property
    def _dating(self) -> ClockSkew:
        # Asked for with each known prediction, while the ledger is locked.
        bounds = [
            (
                (shown.created_at - (row.submitted_at or row.intent_at)).total_seconds() - row.skew_high,
                (shown.created_at - row.intent_at).total_seconds() - row.skew_low,
            )
            for row in self.known
            if row.prediction_id is not None
            and (shown := self.shown.get(row.prediction_id)) is not None
            and shown.created_at is not None
            and row.intent_at is not None
            and row.skew_low is not None
            and row.skew_high is not None
        ]
        if not bounds:
            return ClockSkew(0.0, 0.0)
        low, high = max(low for low, _ in bounds), min(high for _, high in bounds)
        if low > high:  # no single clock: as far apart as they are
            low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
        if low <= 0 <= high:
            low = high = 0.0
        return ClockSkew(low, high, known=True)


def given_up_at(attempt: AttemptRow) -> datetime:
    """The moment, by the ledger's clock, from which on nobody waited for the request's answer any more."""
    timed_out = _timed_out(attempt)
    return timed_out if attempt.unknown_at is None else min(timed_out, attempt.unknown_at)


def by_silence(
    attempt: AttemptRow, span: tuple[datetime, datetime], now: datetime, quiet: float, evidence: Evidence
) -> SendAgain | Hold | Wait:
    """Decide about an attempt of which the history shows no prediction that it may have made.

    ``span`` are the moments, by the history's clock, between which its prediction would have been made; ``quiet`` are
    the seconds of silence that it takes.
    """
    assert attempt.intent_at is not None  # a state without an id lies behind the intent
    if now > attempt.intent_at + HISTORY_LASTS - _MARGIN:
        return Hold(attempt.id, _TOO_OLD)
    unclear = unclear_entries(attempt, span, evidence)
    if unclear:
        return Wait(attempt.id, f"the account's history has {_items(len(unclear))} that cannot be read")
    if attempt.reply is Reply.REFUSED:
        return SendAgain(attempt.id, counts=False)
    over = given_up_at(attempt) if attempt.reply is Reply.ACCEPTED else _timed_out(attempt)
    watched = evidence.watched.get(attempt.id, Watched(0, 0.0))
    if now < over + timedelta(seconds=quiet) or watched.looks < _LOOKS or watched.seconds < quiet:
        return Wait(attempt.id, "the account's history has not been watched for long enough yet", silent=True)
    if attempt.reply is Reply.ACCEPTED:
        return Hold(attempt.id, _ACCEPTED)
    return _believed(attempt, watched, quiet, evidence)


def unclear_entries(
    attempt: AttemptRow, span: tuple[datetime, datetime], evidence: Evidence
) -> list[UnreadableItem]:
    """Entries that cannot be read, and of which neither model nor moment says that they are not the attempt's."""
    return [
        item
        for item in evidence.unreadable
        if evidence.may_be_of(attempt.model, item.model)
        and (item.created_at is None or span[0] <= item.created_at <= span[1])
    ]


def _believed(
    attempt: AttemptRow, watched: Watched, quiet: float, evidence: Evidence
) -> SendAgain | Hold | Wait:
    doubt = _doubt(attempt, evidence)
    money = evidence.money.get(attempt.id)
    if doubt is not None and doubt.lasting:
        return Wait(attempt.id, doubt.reason, silent=True)
    if money is None:
        reason = "the account's bill has not been read yet" if doubt is None else doubt.reason
        return Wait(attempt.id, reason, needs_money=True, silent=True, lacks_witness=doubt is not None)
    if money.unexplained is not None:
        return Wait(attempt.id, money.unexplained, silent=True)
    # By then, what was taken on has most likely ended, been charged, and shows even where only ended ones do.
    lasts = (_CLIP_ENDS if "video" in (attempt.body or {}) else _PICTURE_ENDS) * quiet
    ended = watched.seconds >= lasts
    if doubt is not None:
        # Where nothing else was sent, nothing can show; then an unchanged credit speaks for the silence.
        known_late = money.booked_at_acceptance is False
        at_once = money.booked_at_acceptance is True
        if not money.unchanged or known_late or not (at_once or ended):
            passes = money.unchanged and not known_late
            until = (
                f"; the account's credit is watched for {lasts:g} s, since it is not known when it is charged "
                "(CAMPAIGN_CHARGED_AT)"
            )
            return Wait(
                attempt.id,
                doubt.reason + (until if passes else ""),
                silent=True,
                passes=passes,
                lacks_witness=True,
            )
    elif not (evidence.shows_unended or (money.billed and money.booked_at_acceptance) or ended):
        return Wait(
            attempt.id, "the account's history may show predictions only when they have ended", silent=True
        )
    times = evidence.resent.get(attempt.generation_key, 0)
    most = MOST_TIMES_WITH_INPUTS if evidence.shows_inputs else MOST_TIMES_WITHOUT
    if times >= most:
        return Hold(attempt.id, _too_often(times))
    return SendAgain(attempt.id)


@dataclass(frozen=True)
class _Doubt:
    """``lasting``: the history is known to lack something, and no money can make up for that."""

    reason: str
    lasting: bool = False


def _doubt(attempt: AttemptRow, evidence: Evidence) -> _Doubt | None:
    """Why the history's silence says nothing about this attempt; None where it does."""
    assert attempt.intent_at is not None  # a state without an id lies behind the intent
    given_up = given_up_at(attempt)
    lacking = [
        row
        for row in evidence.known
        if row.prediction_id not in evidence.shown and row.state is not AttemptState.FAILED
    ]
    shown = [row for row in evidence.known if row.prediction_id in evidence.shown]
    if lacking and not shown:
        return _Doubt("the account's history shows none of your predictions", lasting=True)
    later = [
        row
        for row in shown
        if row.intent_at is not None and row.intent_at >= given_up and _is_later(row, attempt, evidence)
    ]
    newest = max((row.intent_at for row in later if row.intent_at is not None), default=given_up)
    missing = [
        row
        for row in lacking
        if row.intent_at is not None and attempt.intent_at - AROUND <= row.intent_at <= newest
    ]
    if missing:
        return _Doubt(
            f"the account's history lacks {len(missing)} of your predictions of that time", lasting=True
        )
    if not later:
        return _Doubt("the account's history shows no later prediction of yours, so that it may be late")
    return None


def _is_later(row: AttemptRow, attempt: AttemptRow, evidence: Evidence) -> bool:
    """By the history's clock as well, where it dates both: the ledger's may have been set between the two."""
    assert row.prediction_id is not None and attempt.intent_at is not None  # noqa: PT018 - callers have looked
    created = evidence.shown[row.prediction_id].created_at
    if created is None or attempt.skew_low is None:
        return True
    return created >= attempt.intent_at + timedelta(seconds=attempt.skew_low + evidence.dating().low)


def _timed_out(attempt: AttemptRow) -> datetime:
    assert attempt.intent_at is not None  # a state without an id lies behind the intent
    return attempt.intent_at + timedelta(seconds=attempt.request_timeout_s or 0.0)


def _items(count: int) -> str:
    return "an entry" if count == 1 else f"{count} entries"


def _too_often(times: int) -> str:
    often = "once" if times == 1 else f"{times} times"
    return (
        f"its reply was lost again, after it had been sent again {often}; look in the account's history and bill "
        "whether one of the requests was taken on, then run `campaign reconcile`"
    )
