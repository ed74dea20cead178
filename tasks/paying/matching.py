"""Which attempt made which prediction: decided over all attempts without an id and all predictions nobody knows.

A pure function of what the ledger and the history show, so that every case can be written down in a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from blocks.ledger import Adopt, AttemptRow, AttemptState, Decision, Hold, Reply
from blocks.wavespeed import ClockSkew, Prediction
from tasks.paying.likeness import Likeness, likeness, outputs_fit
from tasks.paying.silence import Evidence, Wait, by_silence, unclear_entries

# An id is taken on the word of its time only where that agrees with the clocks to this many seconds …
CLOSE_SECONDS = 5.0
# … but a clock may have been set between the intent and now, and what may be the attempt's own forbids a second POST.
FAR_SECONDS = 60.0
# A moment so far ahead of now is no moment: the clock behind it shows anything.
_AHEAD = timedelta(days=2)
_UNDER_WAY = (
    "another request of this model, which may have made what the account's history shows, is under way"
)
_UNPROVEN = (
    "the account's history shows others' work of that time, and nothing of yours that proves its words"
)
_UNDATED = "the account's history shows a prediction of its very inputs, but of another time"
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
    attempts: Sequence[AttemptRow],
    candidates: Sequence[Prediction],
    now: datetime,
    rules: Rules,
    evidence: Evidence,
) -> list[Decision | Wait]:
    """What is certain by now, whatever the order of the arguments; the others wait, with the reason.

    ``attempts`` are all of one model that have no prediction id: those whose POST may be under way (``posting``) and
    those held for a person may be a prediction's makers, but nothing is decided about them. ``candidates`` are all
    predictions of that model in the history that no attempt has; ``now`` is a moment before that history was read, and
    ``evidence`` what else that reading shows.
    """
    return _Deciding(attempts, candidates, now, rules, evidence).decisions()


def may_have_made_one(
    attempt: AttemptRow, candidates: Sequence[Prediction], rules: Rules, evidence: Evidence
) -> bool:
    """Whether the history shows anything that the attempt's request may have become, although it was refused.

    ``candidates`` are those of its model that no attempt has.
    """
    refused = replace(attempt, reply=Reply.REFUSED)
    deciding = _Deciding([refused], candidates, _intent(attempt), rules, evidence)
    return bool(unclear_entries(attempt, deciding.span_of(attempt), evidence)) or any(
        deciding.is_possible(refused, candidate) for candidate in deciding.dated
    )


class _Deciding:
    def __init__(
        self,
        attempts: Sequence[AttemptRow],
        candidates: Sequence[Prediction],
        now: datetime,
        rules: Rules,
        evidence: Evidence,
    ) -> None:
        self._now, self._rules, self._evidence = now, rules, evidence
        self._dating = evidence.dating()
        self._attempts = sorted(attempts, key=lambda attempt: (_intent(attempt), attempt.id))
        self._far = {attempt.id: self._far_span(attempt) for attempt in attempts}
        self._open = [a for a in self._attempts if not a.posting and a.state is not AttemptState.HELD]
        self._like: dict[tuple[int, str], Likeness] = {}
        self.dated = [
            c if c.created_at is None or c.created_at < now + _AHEAD else _undated(c) for c in candidates
        ]
        self._candidates = sorted(
            (c for c in self.dated if any(self._likeness(a, c) is not Likeness.OTHER for a in self._open)),
            key=lambda c: (c.created_at or _LATEST, c.id),
        )
        self._waiting: set[int] = set()
        self._spoken_for: set[str] = set()
        self._decided: dict[int, Decision | Wait] = {}
        self._adopted: dict[int, Prediction] = {}

    def decisions(self) -> list[Decision | Wait]:
        self._adopt_by_inputs()
        left = [a for a in self._open if a.id not in self._decided and a.id not in self._waiting]
        # Decided about the set as it stands, so that one decision does not clear the way for the next.
        self._decided |= {a.id: self._decide_by_time(a) for a in left}
        return [self._decided.get(a.id) or Wait(a.id, _UNDER_WAY) for a in self._open]

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

    def _decide_by_time(self, attempt: AttemptRow) -> Decision | Wait:
        group = self._interchangeable_with(attempt)
        possible = [c for c in self._candidates if any(self.is_possible(a, c) for a in group)]
        if not possible:
            span = self._far[attempt.id]
            return by_silence(attempt, span, self._now, self._rules.quiet, self._evidence)
        rivals = [
            other
            for other in self._attempts
            if other is not attempt
            and other.id not in self._decided
            and any(self.is_possible(other, candidate) for candidate in possible)
        ]
        if any(rival.posting or rival.id in self._waiting for rival in rivals):
            return Wait(attempt.id, _UNDER_WAY)
        alone = possible[0]
        if len(possible) == 1 and not rivals and self._agrees(attempt, alone):
            if alone.ended or self._likeness(attempt, alone) is Likeness.WORDS:
                return Adopt(attempt.id, alone.id, alone.created_at)
            # Count and format are known once it has ended: an id taken too early could be somebody else's.
            if self._now < _intent(attempt) + timedelta(seconds=self._rules.deadline):
                return Wait(attempt.id, "the only prediction that it can have become has not ended yet")
        if not self._evidence.spelling.known and all(
            self._likeness(attempt, one) is Likeness.DOUBTFUL for one in possible
        ):
            # Most likely others' work: that its words can be believed, the next prediction of ours may show.
            return Wait(attempt.id, _UNPROVEN, passes=False, lacks_witness=True)
        if not self._dating.known and len(possible) == 1 and not rivals and self._is_its_own(attempt, alone):
            # All but its moment speaks for it: by which clock that is, the next prediction of ours may show.
            return Wait(attempt.id, _UNDATED, passes=False, lacks_witness=True)
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
        # A refusal speaks for itself: what most likely is another's does not outweigh it.
        least = Likeness.SILENT if attempt.reply is Reply.REFUSED else Likeness.DOUBTFUL
        return like >= Likeness.FILES or (like >= least and _within(candidate, self._far[attempt.id]))

    def span_of(self, attempt: AttemptRow) -> tuple[datetime, datetime]:
        """The moments, by the history's clock, between which its prediction would have been made."""
        return self._far[attempt.id]

    def _agrees(self, attempt: AttemptRow, candidate: Prediction) -> bool:
        """Everything that is known speaks for it."""
        return (
            self._likeness(attempt, candidate) in {Likeness.SILENT, Likeness.WORDS}
            and _within(candidate, self._close(attempt))
            and outputs_fit(attempt.body, candidate)
        )

    def _is_its_own(self, attempt: AttemptRow, candidate: Prediction) -> bool:
        return self._likeness(attempt, candidate) >= Likeness.FILES

    def _likeness(self, attempt: AttemptRow, candidate: Prediction) -> Likeness:
        place = attempt.id, candidate.id
        if place not in self._like:
            self._like[place] = likeness(attempt.body, candidate.input, self._evidence.spelling)
        return self._like[place]

    def _close(self, attempt: AttemptRow) -> tuple[datetime, datetime]:
        """By the service's clock: from the intent to the moment at which the request was given up."""
        intent, timeout = _intent(attempt), attempt.request_timeout_s or 0.0
        low, high = self._rules.skew.low, self._rules.skew.high
        if attempt.skew_low is not None and attempt.skew_high is not None:
            # As it was then: either clock may have been set since.
            low, high = attempt.skew_low, attempt.skew_high
        return (
            intent + timedelta(seconds=low + self._dating.low - CLOSE_SECONDS),
            intent + timedelta(seconds=high + self._dating.high + timeout + CLOSE_SECONDS),
        )

    def _far_span(self, attempt: AttemptRow) -> tuple[datetime, datetime]:
        """The same, should a clock have been set, or a gateway have kept the request for a while."""
        earliest, latest = self._close(attempt)
        return (
            earliest - timedelta(seconds=FAR_SECONDS),
            latest + timedelta(seconds=FAR_SECONDS + self._rules.quiet),
        )


def _intent(attempt: AttemptRow) -> datetime:
    assert attempt.intent_at is not None  # a state without an id lies behind the intent
    return attempt.intent_at


def _undated(candidate: Prediction) -> Prediction:
    return candidate.model_copy(update={"created_at": None})


def _within(candidate: Prediction, span: tuple[datetime, datetime]) -> bool:
    """One whose time the history does not show may be of any time."""
    return candidate.created_at is None or span[0] <= candidate.created_at <= span[1]


def _several(candidates: Sequence[Prediction]) -> str:
    ids = ", ".join(candidate.id for candidate in candidates[:5])
    return (
        "its reply was lost, and the account's history does not say which prediction it became "
        f"({len(candidates)} possible: {ids}); compare their outputs with the brief, then run `campaign reconcile`"
    )
