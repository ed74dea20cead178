"""When silence allows a second request: a table of what lacks, and what is then waited for."""

import dataclasses
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from matching_support import MODEL, NOON, believed, edit_body, lost, seconds, seen, sent

from blocks.ledger import AttemptRow, AttemptState, Hold, Reply, SendAgain
from blocks.wavespeed import ClockSkew, Prediction, UnreadableItem
from tasks.paying.matching import Rules, decide
from tasks.paying.silence import Evidence, Money, Wait, Watched
from tasks.paying.spelling import Spelling

RULES = Rules(quiet=30, deadline=3600, skew=ClockSkew(low=-1, high=1, known=True))
LATER = 200.0  # seconds after noon, when the request was given up at 60
LOST = lost()


def shown(*predictions: Prediction) -> dict[str, Prediction]:
    return {prediction.id: prediction for prediction in predictions}


def own(name: str, at: float, **changes: Any) -> AttemptRow:
    return dataclasses.replace(sent(name, at=at), **changes)


@dataclass
class Case:
    """``changes`` are to evidence in which nothing lacks.

    ``expected``: "again", "hold", or words of what is waited for.
    """

    name: str
    expected: str
    attempt: AttemptRow = LOST
    at: float = 2000.0
    history: list[Prediction] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


NOBODY: dict[str, Any] = {"known": [], "shown": {}}
CASES = [
    Case("nothing lacks", "again"),
    # Everything was read.
    Case(
        "an entry that cannot be read at all",
        "an entry that cannot be read",
        changes={"unreadable": [UnreadableItem()]},
    ),
    Case(
        "an unreadable entry of its model and time",
        "cannot be read",
        changes={"unreadable": [UnreadableItem(MODEL, NOON + seconds(5))]},
    ),
    Case(
        "of another model",
        "again",
        changes={"unreadable": [UnreadableItem("kwaivgi/other", NOON + seconds(5))]},
    ),
    Case("of another time", "again", changes={"unreadable": [UnreadableItem(MODEL, NOON + seconds(1500))]}),
    Case(
        "several",
        "2 entries that cannot be read",
        changes={"unreadable": [UnreadableItem(), UnreadableItem()]},
    ),
    # The canary.
    Case("no work of ours but this", "no later prediction of yours", changes=NOBODY),
    Case(
        "a canary that was sent before the request was given up",
        "no later prediction of yours",
        changes={"known": [sent("p", at=59)], "shown": shown(seen("p", at=59))},
    ),
    Case(
        "a canary that was sent right after",
        "again",
        changes={"known": [sent("p", at=61)], "shown": shown(seen("p", at=61))},
    ),
    Case(
        "a canary of another model",
        "again",
        changes={"known": [sent("p", at=LATER, model="kwaivgi/other")], "shown": shown(seen("p", at=LATER))},
    ),
    Case("a canary that is not shown", "none of your predictions", changes={"shown": {}}),
    Case(
        "one is shown and another one of that time is not",
        "lacks 1 of your predictions",
        changes={"known": [sent("p", at=LATER), sent("q", at=5)], "shown": shown(seen("p", at=LATER))},
    ),
    Case(
        "one that failed need not be shown",
        "again",
        changes={
            "known": [sent("p", at=LATER), own("q", 5, state=AttemptState.FAILED)],
            "shown": shown(seen("p", at=LATER)),
        },
    ),
    Case(
        "one that is newer than the canary may be late",
        "again",
        changes={
            "known": [sent("p", at=LATER), sent("q", at=LATER + 9)],
            "shown": shown(seen("p", at=LATER)),
        },
    ),
    Case(
        "a canary that only the ledger's clock has later",
        "no later prediction of yours",
        attempt=dataclasses.replace(LOST, skew_low=-1.0, skew_high=1.0),
        changes={
            "known": [own("p", LATER, skew_low=-3601.0, skew_high=-3599.0)],
            "shown": shown(seen("p", at=LATER - 3600)),
        },
    ),
    # Money.
    Case("the bill was not read", "has not been read", changes={"money": {}}),
    Case(
        "a charge that nobody knows of",
        "a charge since then",
        changes={"money": {1: Money(unexplained="a charge since then")}},
    ),
    Case(
        "alone and the credit unchanged",
        "again",
        changes=NOBODY | {"money": {1: Money(unchanged=True, booked_at_acceptance=True)}},
    ),
    Case(
        "alone and charged at the end",
        "no later prediction of yours",
        changes=NOBODY | {"money": {1: Money(unchanged=True, booked_at_acceptance=False)}},
    ),
    Case(
        "alone and nobody knows when it is charged",
        "no later prediction of yours",
        changes=NOBODY | {"money": {1: Money(unchanged=True)}, "watched": {1: Watched(5, 299)}},
    ),
    Case(
        "the same after ten times as long",
        "again",
        changes=NOBODY | {"money": {1: Money(unchanged=True)}, "watched": {1: Watched(5, 300)}},
    ),
    Case(
        "a history that lacks something is not made up for by money",
        "none of your predictions",
        changes={"shown": {}, "money": {1: Money(unchanged=True, booked_at_acceptance=True)}},
    ),
    # The watch.
    Case("one look", "not been watched for long enough", changes={"watched": {1: Watched(1, 1e9)}}),
    Case("too short", "not been watched for long enough", changes={"watched": {1: Watched(9, 29.9)}}),
    Case("just long enough", "again", changes={"watched": {1: Watched(2, 30)}}),
    Case("never", "not been watched for long enough", changes={"watched": {}}),
    Case("the request may be under way still", "not been watched for long enough", at=89.9),
    # Not for ever.
    Case("sent again twice", "again", changes={"resent": {LOST.generation_key: 2}}),
    Case("sent again three times", "hold", changes={"resent": {LOST.generation_key: 3}}),
    Case(
        "once in a history without inputs",
        "hold",
        changes={"resent": {LOST.generation_key: 1}, "shows_inputs": False},
    ),
    Case("never in a history without inputs", "again", changes={"shows_inputs": False}),
    Case("older than the history", "hold", at=7 * 86_400),
    # What the answer itself said.
    Case(
        "refused",
        "once, uncounted",
        attempt=dataclasses.replace(LOST, reply=Reply.REFUSED),
        changes={"watched": {}, "money": {}} | NOBODY,
    ),
    Case(
        "refused and an unreadable entry",
        "cannot be read",
        attempt=dataclasses.replace(LOST, reply=Reply.REFUSED),
        changes={"unreadable": [UnreadableItem()]},
    ),
    Case("taken on", "hold", attempt=dataclasses.replace(LOST, reply=Reply.ACCEPTED)),
    Case(
        "taken on and just now",
        "not been watched for long enough",
        attempt=dataclasses.replace(LOST, reply=Reply.ACCEPTED),
        changes={"watched": {1: Watched(1, 0)}},
    ),
    # Words that are not proven rule nothing out.
    Case(
        "other words in a history that shows nothing of ours",
        "nothing of yours that proves its words",
        history=[seen("p1", echo=edit_body("cold"))],
        changes={"spelling": Spelling()},
    ),
    Case("other words in one that does", "again", history=[seen("p1", echo=edit_body("cold"))]),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_case(case: Case) -> None:
    evidence: Evidence = believed([case.attempt], **case.changes)
    [decision] = decide([case.attempt], case.history, NOON + seconds(case.at), RULES, evidence)
    match decision:
        case SendAgain(counts=counts):
            assert case.expected == ("again" if counts else "once, uncounted")
        case Hold():
            assert case.expected == "hold"
        case Wait():
            assert case.expected in decision.reason


def test_only_what_time_cannot_bring_gives_up_early() -> None:
    [wait] = decide([LOST], [], NOON + timedelta(hours=1), RULES, believed([LOST], **NOBODY))
    assert isinstance(wait, Wait)
    assert wait.silent
    assert not wait.passes
    pending = believed([LOST], **NOBODY, money={1: Money(unchanged=True)}, watched={1: Watched(5, 40)})
    [wait] = decide([LOST], [], NOON + timedelta(hours=1), RULES, pending)
    assert isinstance(wait, Wait)
    assert wait.passes


@pytest.mark.parametrize("hours", [-7.0, 0.5, 9.0])
def test_the_clock_that_dates_the_history_is_learnt_from_our_own_predictions(hours: float) -> None:
    """Its prediction is looked for where that clock puts it, not where the answers' own clock would."""
    off = hours * 3600
    attempt = dataclasses.replace(LOST, skew_low=-1.0, skew_high=1.0)
    known = own("canary", LATER, skew_low=-1.0, skew_high=1.0, submitted_at=NOON + seconds(LATER + 1))
    evidence = believed(
        [attempt], known=[known], shown=shown(seen("canary", at=LATER + off, echo=edit_body()))
    )
    dating = evidence.dating()
    assert dating.low <= off <= dating.high
    assert dating.high - dating.low < 5
    [decision] = decide([attempt], [seen("p1", at=3 + off)], NOON + seconds(2000), RULES, evidence)
    assert getattr(decision, "prediction_id", None) == "p1"
    [decision] = decide([attempt], [seen("p1", at=off + 1900)], NOON + seconds(2000), RULES, evidence)
    assert isinstance(decision, SendAgain)
