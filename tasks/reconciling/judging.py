"""What the account's records say about each attempt, and the ledger's amounts put right by them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from blocks.ledger import AttemptRow, AttemptState, IllegalTransition, Ledger, Reply, Settlement
from blocks.money import dollars_text
from blocks.wavespeed import Prediction
from tasks.paying.accounts import sent_by_another
from tasks.paying.silence import HISTORY_LASTS
from tasks.reconciling.account_records import AccountRecords
from tasks.reconciling.orphans import WITHOUT_ID, Orphans
from tasks.reconciling.reconciliation import AttemptLine, Verdict

_AGAIN = "ask again with `campaign reconcile`"
_COLLECT = "the next `campaign run` collects it free of charge"
_ENDED = frozenset({AttemptState.STORED, AttemptState.FAILED})


@dataclass(frozen=True)
class Judge:
    """``before`` are the attempts as they stood before the account was read; ``busy`` those of living processes."""

    ledger: Ledger
    orphans: Orphans
    before: Mapping[int, AttemptRow]
    busy: Collection[int]
    unclaimed: tuple[Prediction, ...]
    decided_by_person: Collection[int]

    @property
    def records(self) -> AccountRecords:
        return self.orphans.records

    def judge(self, attempt: AttemptRow) -> AttemptLine:
        """Books what differs. ``attempt`` is read after the attempts without an id were decided about."""
        before = self.before[attempt.id]
        if attempt.id in self.busy:
            return self._line(
                attempt, Verdict.AT_WORK, f"a run is at work on it; when it has ended, {_AGAIN}"
            )
        if attempt.id in self.decided_by_person:
            return self._decided(attempt)
        if attempt.account not in self.orphans.ours:
            return self._of_another_account(attempt)
        if before.prediction_id is None or attempt.state is AttemptState.HELD:
            return self._without_id(attempt)
        return self._with_id(attempt, before.prediction_id)

    def _of_another_account(self, attempt: AttemptRow) -> AttemptLine:
        if attempt.prediction_id is None and attempt.state in WITHOUT_ID:
            return self._line(attempt, Verdict.HELD, sent_by_another(attempt))
        note = "sent with another account's key; only with that key can its records be read"
        return self._line(attempt, Verdict.OTHER_ACCOUNT, note)

    def _decided(self, attempt: AttemptRow) -> AttemptLine:
        if attempt.prediction_id is None:
            return self._line(attempt, Verdict.RELEASED, "the next `campaign run` sends it again")
        return self._line(attempt, Verdict.ADOPTED, _COLLECT)

    def _without_id(self, attempt: AttemptRow) -> AttemptLine:
        match attempt.state:
            case AttemptState.HELD if self._is_there_after_all(attempt):
                return self._gone_on(attempt)
            case AttemptState.HELD:
                return self._held(attempt)
            case AttemptState.RESERVED:
                note = "the account has no prediction of it: the next `campaign run` sends it again"
                return self._line(attempt, Verdict.RELEASED, note)
            case AttemptState.INTENT | AttemptState.UNKNOWN:
                note = (
                    "its reply was lost, and what became of it is not certain: the next `campaign run` watches the "
                    "account's history and decides"
                )
                if attempt.state is AttemptState.UNKNOWN:
                    note += (
                        "; where you have looked there and in the bill, and it made no prediction, "
                        f"`campaign reconcile --release {attempt.id}` lets that run send it again"
                    )
                return self._line(attempt, Verdict.WAITING, note)
            case _:
                return self._line(attempt, Verdict.ADOPTED, _COLLECT)

    def _is_there_after_all(self, attempt: AttemptRow) -> bool:
        """Whether the account shows what a held attempt made; what had completed must show as completed again."""
        shown = self.records.history.get(attempt.prediction_id or "")
        if shown is None or shown.without_outputs:
            return False
        return shown.completed or attempt.completed_at is None

    def _gone_on(self, attempt: AttemptRow) -> AttemptLine:
        try:
            return self._line(self.ledger.go_on(attempt.id), Verdict.ADOPTED, _COLLECT)
        except IllegalTransition:
            # Somebody else has decided at the same moment, most likely a run that collects it.
            return self._line(
                self.ledger.attempt(attempt.id), Verdict.WAITING, f"it has just changed; {_AGAIN}"
            )

    def _held(self, attempt: AttemptRow) -> AttemptLine:
        if attempt.prediction_id is not None:
            # The reason says what to do: nothing that a person could decide about it would help.
            return self._line(attempt, Verdict.HELD, attempt.held_reason or "it is held")
        possible = self.orphans.possible(attempt, self.unclaimed)
        if possible:
            note = (
                f"{_what_came_back(attempt)}; compare the outputs of the possible predictions with its brief, then run "
                f"`campaign reconcile --adopt {attempt.id}=PREDICTION`, or, where it certainly made none of them, "
                f"`campaign reconcile --release {attempt.id}`"
            )
        else:
            note = (
                f"{_what_came_back(attempt)}, and no prediction is left in the account that it could have made; "
                f"`campaign reconcile --release {attempt.id}` lets the next run send it again"
            )
        return self._line(attempt, Verdict.HELD, note, possible)

    def _with_id(self, attempt: AttemptRow, prediction_id: str) -> AttemptLine:
        shown, billed = self.records.history.get(prediction_id), self.records.bill.get(prediction_id)
        if billed is not None:
            return self._billed(attempt, billed)
        if shown is None:
            return self._not_shown(attempt)
        failed = shown.ended and not shown.completed
        if failed and attempt.state is AttemptState.FAILED and not self.records.bill_problem:
            return self._billed(attempt, Settlement(charged=0))
        note = "the account's bill does not show it (yet); the ledger goes on with its price"
        return self._line(attempt, Verdict.UNBILLED, note)

    def _billed(self, attempt: AttemptRow, billed: Settlement) -> AttemptLine:
        if attempt.charged is None and attempt.state not in _ENDED:
            # It is charged in the run that ends it, and booked there.
            return self._line(attempt, Verdict.MATCHED, f"not collected yet: {_COLLECT}")
        if (attempt.charged, attempt.refunded) == (billed.charged, billed.refunded):
            if billed.billed and attempt.billed_at is None:
                attempt = self._booked(attempt, billed)  # what was booked at its price is known from now on
            waits = attempt.state is AttemptState.FAILED and billed.refunded < billed.charged
            return self._line(attempt, Verdict.MATCHED, "failed; no refund so far" if waits else "")
        booked = self._booked(attempt, billed)
        return self._line(booked, Verdict.DIFFERS, _correction(attempt, billed))

    def _booked(self, attempt: AttemptRow, billed: Settlement) -> AttemptRow:
        return self.ledger.settle(
            attempt.id,
            charged=billed.charged,
            refunded=billed.refunded,
            billed=billed.billed,
            run_id=attempt.settled_run_id or attempt.run_id,
        )

    def _not_shown(self, attempt: AttemptRow) -> AttemptLine:
        made_at = attempt.service_created_at or attempt.submitted_at or attempt.reserved_at
        if made_at < self.orphans.now - HISTORY_LASTS:
            note = "older than the account's history, and not in its bill"
            return self._line(attempt, Verdict.EXPIRED, note)
        note = (
            "neither the account's history nor its bill shows it; check whether WAVESPEED_API_KEY is the key of the "
            f"account that made it, then {_AGAIN}"
        )
        return self._line(attempt, Verdict.MISSING, note)

    def _line(
        self, attempt: AttemptRow, verdict: Verdict, note: str, possible: tuple[Prediction, ...] = ()
    ) -> AttemptLine:
        key = attempt.prediction_id
        shown = self.records.find(key) if key is not None else None
        created_at = shown.created_at if shown else None
        return AttemptLine(
            attempt=attempt,
            verdict=verdict,
            note=note,
            status=shown.status if shown else None,
            created_at=created_at or attempt.service_created_at or attempt.intent_at,
            billed=self.records.bill.get(key) if key is not None else None,
            possible=possible,
        )


def _what_came_back(attempt: AttemptRow) -> str:
    match attempt.reply:
        case Reply.ACCEPTED:
            return "the service accepted it without an id that can be used"
        case Reply.REFUSED:
            return "the service refused it"
        case _:
            return "its reply was lost"


def _correction(attempt: AttemptRow, billed: Settlement) -> str:
    parts = []
    if attempt.charged is None:
        parts.append(f"booked now: ${dollars_text(billed.charged)}")
    elif attempt.charged != billed.charged:
        parts.append(
            f"the bill says ${dollars_text(billed.charged)}, the ledger had ${dollars_text(attempt.charged)}"
        )
    if attempt.refunded != billed.refunded:
        parts.append(f"refund of ${dollars_text(billed.refunded)} booked")
    return "; ".join(parts)
