"""A refusal of the request that costs money is believed after one look at the account's history.

Between this program and the service stand gateways, which may send a request twice, or answer for it: what is told is a
429, and what exists, and is billed, is a prediction. So the history is asked once before the request counts as refused.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from blocks.errors import AccountRefused, CampaignError, ServiceError
from blocks.ledger import AttemptRow
from tasks.paying.evidence import gather_evidence
from tasks.paying.matching import Rules, may_have_made_one
from tasks.paying.recovery import MARGIN
from tasks.paying.silence import Evidence
from tasks.paying.workbench import Workbench

_KEY_REFUSED = frozenset({401, 403})


class RefusalInDoubt(CampaignError):
    """The service refused it, and it may exist all the same: ``attempt`` is ``unknown`` until that is found out.

    Meant for whoever sent it, and told to nobody: ``refusal`` is what came back.
    """

    def __init__(self, attempt: AttemptRow, refusal: ServiceError) -> None:
        super().__init__(str(refusal))
        self.attempt = attempt
        self.refusal = refusal


@dataclass(frozen=True)
class _Seen:
    evidence: Evidence
    rules: Rules


def refuses_the_key(refusal: ServiceError) -> bool:
    """Whether the history cannot be asked either, with the key that the request left with."""
    return isinstance(refusal, AccountRefused) and bool(_KEY_REFUSED & {refusal.status, refusal.code})


async def is_believed(bench: Workbench, attempt: AttemptRow, refusal: ServiceError) -> bool:
    """Whether nothing in the history can be what the refused request became.

    ``attempt`` is in its intent, which keeps others from deciding about it meanwhile. False, too, where the history
    cannot be asked: with a key that is refused, in a run that is interrupted, or because it does not answer.
    """
    if refuses_the_key(refusal):
        return False
    assert attempt.intent_at is not None  # it was sent
    look = bench.refusal_looks.look(
        attempt.model, attempt.intent_at, lambda since: _seen(bench, attempt.model, since)
    )
    interrupted = asyncio.ensure_future(bench.stop.interrupted.wait())
    try:
        await asyncio.wait({look, interrupted}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        interrupted.cancel()
    if not look.done():
        return False
    try:
        seen = look.result()
    except ServiceError:
        return False
    # After the history: what was answered to others meanwhile is known by now.
    shown = seen.evidence.shown
    unknown = await bench.ask(bench.ledger.unknown_ids, attempt.service, list(shown))
    candidates = [
        shown[key] for key in sorted(unknown) if seen.evidence.may_be_of(attempt.model, shown[key].model)
    ]
    return not may_have_made_one(attempt, candidates, seen.rules, seen.evidence)


async def _seen(bench: Workbench, model: str, since: datetime) -> _Seen:
    asked, now = datetime.now(UTC), await bench.ask(bench.ledger.now)
    told = datetime.now(UTC)
    skew = bench.client.clock.seen_from(now, asked=asked, told=told)
    start = since + timedelta(seconds=skew.low) - MARGIN
    reading = await bench.client.read_history(start)
    evidence = await bench.ask(
        gather_evidence, bench.ledger, bench.settings.service, model, reading, since=start, now=now
    )
    rules = Rules(
        quiet=bench.settings.quiet,
        deadline=bench.settings.deadline_seconds,
        skew=bench.client.clock.seen_from(now, asked=asked, told=told),
    )
    return _Seen(evidence, rules)
