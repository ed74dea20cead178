"""The ledger held against the account's own records, one prediction after another.

Whatever a living process is busy with is left alone. Amounts are integers of a millionth of a dollar.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

from blocks.ledger import AttemptRow, Settlement
from blocks.money import dollars_text
from blocks.wavespeed import Prediction
from tasks.endings import ExitStatus
from tasks.models import REQUESTS
from tasks.reconciling.account_total import AccountTotal

_STAGE_OF = {request.model_id: str(stage) for stage, request in REQUESTS.items()}


class Verdict(StrEnum):
    MATCHED = "matched"  # the account says what the ledger says
    DIFFERS = "differs"  # the account said another amount, which the ledger has taken over
    UNBILLED = "unbilled"  # in the history, but not in the bill: the ledger goes on with its price
    ADOPTED = "adopted"  # its prediction was found; the next run collects it free of charge
    RELEASED = "released"  # it made no prediction; the next run sends it again
    WAITING = "waiting"  # not certain yet; nobody needs to do anything but ask again
    AT_WORK = "at work"  # a living run is busy with it
    EXPIRED = "expired"  # older than the account's history, and not in the bill
    MISSING = "missing"  # young enough to be in the account's records, and not there
    OTHER_ACCOUNT = "other account"  # sent with another account's key, whose records are not read
    HELD = "held"  # a person must decide


NEEDS_PERSON = frozenset({Verdict.MISSING, Verdict.HELD})


@dataclass(frozen=True)
class AttemptLine:
    """One attempt, as the ledger has it by now. ``status`` is the account's, ``note`` what there is to say or to do."""

    attempt: AttemptRow
    verdict: Verdict
    note: str
    brief: str | None = None
    status: str | None = None
    created_at: datetime | None = None
    billed: Settlement | None = None
    possible: tuple[Prediction, ...] = ()

    @property
    def stage(self) -> str | None:
        return _STAGE_OF.get(self.attempt.model)

    @property
    def charged(self) -> int | None:
        """By the bill; by the ledger where the bill shows nothing."""
        return self.billed.charged if self.billed else self.attempt.charged

    @property
    def refunded(self) -> int:
        return self.billed.refunded if self.billed else self.attempt.refunded

    @property
    def discount(self) -> int | None:
        listed, paid = self.attempt.list_price, self.attempt.discounted_price
        return None if listed is None or paid is None else listed - paid

    def document(self) -> dict[str, Any]:
        attempt = self.attempt
        return {
            "attempt": attempt.id,
            "run": attempt.run_id,
            "brief": self.brief,
            "stage": self.stage,
            "model": attempt.model,
            "prompt": (attempt.body or {}).get("prompt"),
            "prediction_id": attempt.prediction_id,
            "created_at": moment_text(self.created_at),
            "state": attempt.state.value,
            "status": self.status,
            "verdict": self.verdict.value,
            "note": self.note,
            "estimated_usd": dollars_text(attempt.estimated),
            "list_price_usd": _dollars(attempt.list_price),
            "discount_usd": _dollars(self.discount),
            "charged_usd": _dollars(self.charged),
            "refunded_usd": dollars_text(self.refunded),
            "possible": [
                {
                    "prediction_id": item.id,
                    "created_at": moment_text(item.created_at),
                    "status": item.status,
                    "outputs": list(item.outputs),
                }
                for item in self.possible
            ],
        }


@dataclass(frozen=True)
class ForeignLine:
    """A prediction of the account that no attempt made; ``possibly_of`` are open attempts that may have."""

    prediction: Prediction
    billed: Settlement | None
    possibly_of: tuple[int, ...]

    def document(self) -> dict[str, Any]:
        return {
            "prediction_id": self.prediction.id,
            "model": self.prediction.model,
            "created_at": moment_text(self.prediction.created_at),
            "status": self.prediction.status,
            "charged_usd": _dollars(self.billed.charged if self.billed else None),
            "refunded_usd": _dollars(self.billed.refunded if self.billed else None),
            "possibly_of": list(self.possibly_of),
        }


@dataclass(frozen=True)
class Reconciliation:
    service: str
    provider: Literal["wavespeed", "simulator"]
    run: str | None
    attempts: tuple[AttemptLine, ...]
    foreign: tuple[ForeignLine, ...]
    bill_problem: str | None
    account_total: AccountTotal | None = None
    # Where the ledger was lost or restored: what it has taken over, and what a person has to say whose it is.
    taken_over: int = 0
    unplaced: tuple[str, ...] = ()

    @property
    def status(self) -> ExitStatus:
        if self.unplaced or any(line.verdict in NEEDS_PERSON for line in self.attempts):
            return ExitStatus.PERSON
        return ExitStatus.FAILED if self.bill_problem else ExitStatus.DONE

    @property
    def verdicts(self) -> Mapping[Verdict, int]:
        counted = Counter(line.verdict for line in self.attempts)
        return {verdict: counted[verdict] for verdict in Verdict if counted[verdict]}

    @property
    def charged(self) -> int:
        return sum(line.charged or 0 for line in self.attempts)

    @property
    def refunded(self) -> int:
        return sum(line.refunded for line in self.attempts)

    @property
    def foreign_charged(self) -> int:
        """Refunds taken off."""
        return sum(line.billed.charged - line.billed.refunded for line in self.foreign if line.billed)

    def document(self) -> dict[str, Any]:
        """What ``campaign reconcile --json`` prints: money as decimal strings."""
        return {
            "service": self.service,
            "provider": self.provider,
            "run": self.run,
            "attempts": [line.document() for line in self.attempts],
            "foreign": [line.document() for line in self.foreign],
            "totals": {
                "attempts": len(self.attempts),
                "verdicts": {str(verdict): count for verdict, count in self.verdicts.items()},
                "foreign": len(self.foreign),
                "estimated_usd": dollars_text(sum(line.attempt.estimated for line in self.attempts)),
                "charged_usd": dollars_text(self.charged),
                "refunded_usd": dollars_text(self.refunded),
                "net_usd": dollars_text(self.charged - self.refunded),
                "foreign_charged_usd": dollars_text(self.foreign_charged),
            },
            "bill_problem": self.bill_problem,
            "account_total": self.account_total.document() if self.account_total else None,
            "taken_over": self.taken_over,
            "unplaced": list(self.unplaced),
        }


def moment_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _dollars(millionths: int | None) -> str | None:
    return None if millionths is None else dollars_text(millionths)
