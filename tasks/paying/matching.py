"""Which attempt made which prediction: decided over all attempts without an id and all predictions nobody knows.

A pure function of what the ledger and the history show, so that every case can be written down in a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from blocks.ledger import Adopt, AttemptRow, AttemptState, Decision, Hold, Reply, SendAgain
from blocks.wavespeed import ClockSkew, Prediction
from tasks.paying.likeness import Likeness, likeness, outputs_fit

# An id is taken on the word of its time only where that agrees with the clocks to this many seconds …
CLOSE_SECONDS = 5.0
# … but a clock may have been set between the intent and now, and what may be the attempt's own forbids a second POST.
FAR_SECONDS = 60.0
HISTORY_LASTS = timedelta(days=7)
# An attempt must be this much younger than the history for its silence to mean anything.
_MARGIN = timedelta(hours=1)
_TOO_OLD = (
    "its reply was lost, and it is older than the account's history, which could say what became of it; look for it "
    "in the account's bill, then see `campaign reconcile`"
)
_ACCEPTED = (
    "the service accepted it, but gave no id that can be used, and the account's history does not show it; it is never "
    "sent again by itself: look for it in the account's history and bill, then run `campaign reconcile`"
)
_LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Rules:
    """All in seconds.

    ``quiet`` without a candidate, after the request timed out, allow the POST to be sent again. ``deadline`` after the
    intent, a lone candidate that has not ended is no longer waited for. ``skew`` is the service's clock less the
    ledger's.
    """

    quiet: float
    deadline: float
    skew: ClockSkew


def decide(
    attempts: Sequence[AttemptRow], candidates: Sequence[Prediction], now: datetime, rules: Rules
) -> list[Decision]:
    """What is certain by now, whatever the order of the arguments. An attempt without a decision waits.

    ``attempts`` are all of one model that have no prediction id: those whose POST may be under way (``posting``) and
    those held for a person may be a prediction's makers, but nothing is decided about them. ``candidates`` are all
    predictions of that model in the history that no attempt has; ``now`` is a moment before that history was read.
    """
    return _Deciding(attempts, candidates, now, rules).decisions()


def possible_predictions(
    attempt: AttemptRow, candidates: Sequence[Prediction], rules: Rules
) -> list[Prediction]:
    """Those of the predictions that no attempt has which may be what this one's request became, whatever was answered.

    ``candidates`` are of its model. One whose moment, or whose inputs, the history does not show may be anybody's.
    """
    deciding = _Deciding([attempt], candidates, _intent(attempt), rules)
    return [candidate for candidate in candidates if deciding.is_possible(attempt, candidate)]


class _Deciding:
    def __init__(
        self, attempts: Sequence[AttemptRow], candidates: Sequence[Prediction], now: datetime, rules: Rules
    ) -> None:
        self._now, self._rules = now, rules
        self._attempts = sorted(attempts, key=lambda attempt: (_intent(attempt), attempt.id))
        self._far = {attempt.id: self._far_span(attempt) for attempt in attempts}
        self._open = [a for a in self._attempts if not a.posting and a.state is not AttemptState.HELD]
        self._like: dict[tuple[int, str], Likeness] = {}
        self._candidates = sorted(
            (c for c in candidates if any(self._likeness(a, c) is not Likeness.OTHER for a in self._open)),
            key=lambda c: (c.created_at or _LATEST, c.id),
        )
        self._waiting: set[int] = set()
        self._spoken_for: set[str] = set()
        self._decided: dict[int, Decision] = {}
        self._adopted: dict[int, Prediction] = {}

    def decisions(self) -> list[Decision]:
        self._adopt_by_inputs()
        left = [a for a in self._open if a.id not in self._decided and a.id not in self._waiting]
        # Decided about the set as it stands, so that one decision does not clear the way for the next.
        self._decided |= {a.id: decision for a in left if (decision := self._decide_by_time(a)) is not None}
        return [self._decided[a.id] for a in self._open if a.id in self._decided]

    def _adopt_by_inputs(self) -> None:
        """Attempts with equal inputs are interchangeable: the more of them find a prediction, the fewer are sent.

        So it does not matter either whether a prediction shows the addresses that were sent or others of the same
        files; to let the former choose first would leave some of the latter without one.
        """
        for candidate in self._candidates:
            makers = [a for a in self._attempts if self._may_have_made(a, candidate)]
            made_by = {maker.id for maker in makers}
            takers = [a for a in self._open if a.id in made_by and a.id not in self._decided]
            if any(maker.posting for maker in makers):
                # One whose POST is under way is about to be told its own.
                self._waiting |= {taker.id for taker in takers}
            elif takers:
                # Whose time ends first has the fewest others to choose from.
                taker = min(takers, key=lambda a: (self._far[a.id][1], a.id))
                self._decided[taker.id] = Adopt(taker.id, candidate.id, candidate.created_at)
                self._adopted[taker.id] = candidate
                self._waiting.discard(taker.id)
            if makers:
                self._spoken_for.add(candidate.id)

    def _decide_by_time(self, attempt: AttemptRow) -> Decision | None:
        group = self._interchangeable_with(attempt)
        possible = [c for c in self._candidates if any(self.is_possible(a, c) for a in group)]
        if not possible:
            return self._by_silence(attempt)
        rivals = [
            other
            for other in self._attempts
            if other is not attempt
            and other.id not in self._decided
            and any(self.is_possible(other, candidate) for candidate in possible)
        ]
        if any(rival.posting or rival.id in self._waiting for rival in rivals):
            return None
        alone = possible[0]
        if len(possible) == 1 and not rivals and self._agrees(attempt, alone):
            if alone.ended or self._likeness(attempt, alone) is Likeness.WORDS:
                return Adopt(attempt.id, alone.id, alone.created_at)
            # Count and format are known once it has ended: an id taken too early could be somebody else's.
            if self._now < _intent(attempt) + timedelta(seconds=self._rules.deadline):
                return None
        return Hold(attempt.id, _several(possible))

    def _interchangeable_with(self, attempt: AttemptRow) -> list[AttemptRow]:
        """Return it and whoever adopted what it could have adopted as well: theirs may be what is left over."""
        group, others = [attempt], [a for a in self._open if a.id in self._adopted]
        for member in group:
            joining = [a for a in others if self._may_have_made(member, self._adopted[a.id])]
            others = [a for a in others if a not in joining]
            group += joining
        return group

    def _may_have_made(self, attempt: AttemptRow, candidate: Prediction) -> bool:
        return (
            _within(candidate, self._far[attempt.id]) and self._likeness(attempt, candidate) >= Likeness.FILES
        )

    def is_possible(self, attempt: AttemptRow, candidate: Prediction) -> bool:
        """Nothing that is known speaks against it, whatever the clocks say of a prediction with its very inputs."""
        if candidate.id in self._spoken_for:
            return False
        like = self._likeness(attempt, candidate)
        return like >= Likeness.FILES or (
            like is not Likeness.OTHER and _within(candidate, self._far[attempt.id])
        )

    def _agrees(self, attempt: AttemptRow, candidate: Prediction) -> bool:
        """Everything that is known speaks for it."""
        return (
            self._likeness(attempt, candidate) in {Likeness.SILENT, Likeness.WORDS}
            and _within(candidate, self._close(attempt))
            and outputs_fit(attempt.body, candidate)
        )

    def _likeness(self, attempt: AttemptRow, candidate: Prediction) -> Likeness:
        place = attempt.id, candidate.id
        if place not in self._like:
            self._like[place] = likeness(attempt.body, candidate.input)
        return self._like[place]

    def _close(self, attempt: AttemptRow) -> tuple[datetime, datetime]:
        """By the service's clock: from the intent to the moment at which the request was given up."""
        intent, skew, timeout = _intent(attempt), self._rules.skew, attempt.request_timeout_s or 0.0
        return (
            intent + timedelta(seconds=skew.low - CLOSE_SECONDS),
            intent + timedelta(seconds=skew.high + timeout + CLOSE_SECONDS),
        )

    def _far_span(self, attempt: AttemptRow) -> tuple[datetime, datetime]:
        """The same, should a clock have been set, or a gateway have kept the request for a while."""
        earliest, latest = self._close(attempt)
        return (
            earliest - timedelta(seconds=FAR_SECONDS),
            latest + timedelta(seconds=FAR_SECONDS + self._rules.quiet),
        )

    def _by_silence(self, attempt: AttemptRow) -> Decision | None:
        """The history's silence allows a second POST only after a while, and while it reaches back to the first."""
        if self._now > _intent(attempt) + HISTORY_LASTS - _MARGIN:
            return Hold(attempt.id, _TOO_OLD)
        if attempt.reply is Reply.REFUSED:
            # The service's own word, with which the history agrees: neither has to be waited for, or counted.
            return SendAgain(attempt.id, counts=False)
        wait = timedelta(seconds=(attempt.request_timeout_s or 0.0) + self._rules.quiet)
        if self._now < _intent(attempt) + wait:
            return None
        return Hold(attempt.id, _ACCEPTED) if attempt.reply is Reply.ACCEPTED else SendAgain(attempt.id)


def _intent(attempt: AttemptRow) -> datetime:
    assert attempt.intent_at is not None  # a state without an id lies behind the intent
    return attempt.intent_at


def _within(candidate: Prediction, span: tuple[datetime, datetime]) -> bool:
    """One whose time the history does not show may be of any time."""
    return candidate.created_at is None or span[0] <= candidate.created_at <= span[1]


def _several(candidates: Sequence[Prediction]) -> str:
    ids = ", ".join(candidate.id for candidate in candidates[:5])
    return (
        "its reply was lost, and the account's history does not say which prediction it became "
        f"({len(candidates)} possible: {ids}); compare their outputs with the brief, then run `campaign reconcile`"
    )
