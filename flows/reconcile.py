"""Holds the ledger against the account's own records: adopts what was orphaned, books what the bill says."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from blocks.assets import AssetStore
from blocks.errors import InvalidInput
from blocks.ledger import AttemptRow, Ledger, RunRow
from blocks.settings import Settings
from blocks.wavespeed import Prediction, WaveSpeedClient
from flows.set_up import EMBEDDED_KEY, simulator_kind
from flows.shared_service import enter_shared_service
from tasks.lost_ledger.past_folders import past_runs_in, take_over_folders
from tasks.lost_ledger.placing import place
from tasks.lost_ledger.standing import Past, Standing
from tasks.paying.accounts import AccountInUse
from tasks.paying.matching import Rules
from tasks.paying.silence import HISTORY_LASTS
from tasks.reconciling.account_records import AccountRecords, read_account
from tasks.reconciling.judging import Judge
from tasks.reconciling.list_prices import with_list_prices
from tasks.reconciling.orphans import WITHOUT_ID, Orphans
from tasks.reconciling.person_decisions import PersonDecisions
from tasks.reconciling.reconciliation import ForeignLine, Reconciliation
from tasks.record import RunRecord

# Clocks differ, and a history may round.
_MARGIN = timedelta(hours=1)


@dataclass(frozen=True)
class ReconcileOptions:
    """``run``: a run's id or ``latest``; None: everything that the ledger has of the service."""

    run: str | None = None
    decisions: PersonDecisions = field(default_factory=PersonDecisions)
    # Folders of past runs, from which a ledger that was lost or restored takes over what it lacks.
    outs: tuple[Path, ...] = (Path("runs"),)


async def reconcile(settings: Settings, options: ReconcileOptions) -> Reconciliation:
    """Changes the ledger only, never the account.

    Raises InvalidInput where there is no ledger or no such run, or where a person's decision cannot be carried out;
    AccountRefused and Transient where the account does not answer.
    """
    ledger = _ledger(settings, options.outs)
    if ledger is None:
        raise InvalidInput(
            f"there is no ledger in {settings.home} yet; `campaign run CSV` makes one, and CAMPAIGN_HOME says where"
        )
    with ledger:
        run = _run_of(ledger, options.run, settings)
        async with AsyncExitStack() as stack:
            key, base_url = settings.api_key or EMBEDDED_KEY, settings.base_url
            if settings.embedded:
                home = settings.home / "simulator"
                base_url = (await enter_shared_service(stack, simulator_kind(settings), home)).url
            client = await stack.enter_async_context(
                WaveSpeedClient(
                    key,
                    base_url,
                    request_timeout=settings.request_timeout,
                    patience_seconds=settings.patience_seconds,
                    allow_private=settings.allow_private_inputs,
                )
            )
            account = AccountInUse(
                ledger,
                settings.service,
                ledger.account_of(settings.service, key.get_secret_value()),
                client.result,
                _at_once,
            )
            past = Past(ledger, AssetStore(settings.assets), settings.service, options.outs)
            return await _reconcile(settings, past, client, account, run, options.decisions)


async def _reconcile(
    settings: Settings,
    past: Past,
    client: WaveSpeedClient,
    account: AccountInUse,
    run: RunRow | None,
    decisions: PersonDecisions,
) -> Reconciliation:
    service, ledger = settings.service, past.ledger
    standing = Standing.CHECKED if settings.embedded else past.standing()
    taken = 0 if standing is Standing.CHECKED else _take_over(past, standing)
    ours = await account.ours(row for row in ledger.attempts() if row.service == service)
    await decisions.carry_out(ledger, client, service, ours)
    # Read before the account is, so that what a run adds meanwhile does not look as if the account lacked it.
    asked, now = datetime.now(UTC), ledger.now()
    told = datetime.now(UTC)
    before = {attempt.id: attempt for attempt in _sent(ledger, service, decisions)}
    in_scope = {
        key for key, row in before.items() if run is None or run.id in {row.run_id, row.settled_run_id}
    }
    in_scope |= decisions.attempts
    expected = {
        row.prediction_id: row.estimated
        for row in before.values()
        if row.prediction_id is not None and row.id in in_scope
    }
    since = _since(now, run if standing is Standing.CHECKED else None, before.values(), in_scope)
    records = await read_account(client, since, expected)
    skew = client.clock.seen_from(now, asked=asked, told=told)
    rules = Rules(quiet=settings.quiet, deadline=settings.deadline_seconds, skew=skew)
    orphans = Orphans(ledger, service, records, rules, now, ours)
    orphans.decide_all(tuple(before.values()))
    busy = ledger.at_work(service)
    provider: Literal["wavespeed", "simulator"] = (
        "simulator" if settings.embedded or client.simulated else "wavespeed"
    )
    unplaced = _unplaced(past, standing, records, account, decisions, provider)
    unclaimed = _unclaimed(ledger, service, orphans)
    judge = Judge(ledger, orphans, before, busy, unclaimed, decisions.attempts)
    lines = [judge.judge(ledger.attempt(number)) for number in sorted(in_scope)]
    lines = await with_list_prices(client, ledger, lines)
    briefs = _briefs(ledger, [line.attempt for line in lines])
    return Reconciliation(
        service=service,
        provider=provider,
        run=run.id if run else None,
        attempts=tuple(replace(line, brief=briefs.get(line.attempt.generation_key)) for line in lines),
        foreign=_foreign(ledger, service, orphans, unclaimed, run),
        bill_problem=records.bill_problem,
        account_total=records.total,
        taken_over=taken,
        unplaced=tuple(item.id for item in unplaced),
    )


def _take_over(past: Past, standing: Standing) -> int:
    """From the folders of past runs: how many predictions the ledger lacked something of."""
    lacking = past.lacking(standing)
    if past.ledger.at_work(past.service):
        if standing is Standing.UPGRADED and not lacking:
            return 0  # nothing speaks against it, and the run that is at work will look as well
        raise InvalidInput(
            "a run is at work with this ledger, which lacks something of its past; wait for the run's end, then run "
            "`campaign reconcile` again"
        )
    if standing is not Standing.UPGRADED:
        # What is taken over makes it look like any other: it is checked when everything has been said.
        past.ledger.note_unchecked()
    return take_over_folders(past.ledger, past.store, lacking)


def _unplaced(
    past: Past,
    standing: Standing,
    records: AccountRecords,
    account: AccountInUse,
    decisions: PersonDecisions,
    provider: str,
) -> list[Prediction]:
    """What the account shows of this program's, and nobody has said whose it is; without any, the past is settled."""
    past.ledger.dismiss(past.service, decisions.not_mine)
    shown = past.unplaced(records.history.values())
    wanted = [item for item in shown if item.id in decisions.place]
    lacking = set(decisions.place) - {item.id for item in wanted}
    if lacking:
        raise InvalidInput(
            f"--adopt {', '.join(sorted(lacking))}: the account's history shows no such prediction of this program's "
            "that the ledger lacks; `campaign reconcile` lists those there are"
        )
    place(past.ledger, past.service, provider, account.account, wanted)
    if standing is Standing.CHECKED:
        return []
    left = [item for item in shown if item not in wanted]
    # What was lost before anybody could tell a copy is asked for once, of ledgers that are copies or lost only.
    if standing is Standing.UPGRADED or not left:
        past.settle()
        return []
    return left


def _ledger(settings: Settings, outs: tuple[Path, ...]) -> Ledger | None:
    """None where there is none, and nothing from which a lost one could be made again."""
    ledger = Ledger.open_if_exists(settings.ledger_address)
    if ledger is not None or settings.embedded:
        return ledger
    if AssetStore(settings.assets).holds_anything() or past_runs_in(outs, settings.service):
        settings.home.mkdir(parents=True, exist_ok=True)
        return Ledger.open(settings.ledger_address)
    return None


async def _at_once(function: Callable[..., object], *arguments: object) -> object:
    """Nothing else waits in this command's event loop."""
    return function(*arguments)


def _run_of(ledger: Ledger, run_id: str | None, settings: Settings) -> RunRow | None:
    if run_id is None:
        return None
    run = ledger.run(run_id)
    if run.service != settings.service:
        raise InvalidInput(
            f"run {run.id} was made on {run.service}, and this is {settings.service}; set WAVESPEED_API_KEY and "
            "WAVESPEED_BASE_URL as for that run"
        )
    return run


def _sent(ledger: Ledger, service: str, decisions: PersonDecisions) -> list[AttemptRow]:
    """Attempts that the account may know of; what was never sent, or refused, is not in its records."""
    return [
        row
        for row in ledger.attempts()
        if row.service == service
        and (row.prediction_id is not None or row.state in WITHOUT_ID or row.id in decisions.attempts)
    ]


def _since(now: datetime, run: RunRow | None, attempts: Iterable[AttemptRow], in_scope: set[int]) -> datetime:
    """From where on to read: all that the history has, for a run from its first attempt; always every open attempt."""
    attempts = tuple(attempts)
    since = now - HISTORY_LASTS
    if run is not None:
        # A run may have ended what an earlier one began.
        began = (row.intent_at for row in attempts if row.id in in_scope and row.intent_at is not None)
        since = max(since, min(run.started_at, now, *began))
    still_open = (row.intent_at for row in attempts if row.state in WITHOUT_ID and row.intent_at is not None)
    return min(since, now, *still_open) - _MARGIN


def _unclaimed(ledger: Ledger, service: str, orphans: Orphans) -> tuple[Prediction, ...]:
    predictions = orphans.records.predictions
    unknown = ledger.unknown_ids(service, [item.id for item in predictions])
    return tuple(item for item in predictions if item.id in unknown)


def _foreign(
    ledger: Ledger, service: str, orphans: Orphans, unclaimed: Sequence[Prediction], run: RunRow | None
) -> tuple[ForeignLine, ...]:
    """Newest first. Of a run: what was made while it ran."""
    waiting = [row for row in ledger.attempts() if row.service == service and row.state in WITHOUT_ID]
    lines = [
        ForeignLine(
            item,
            orphans.records.bill.get(item.id),
            tuple(row.id for row in waiting if row.prediction_id is None and orphans.possible(row, [item])),
        )
        for item in unclaimed
        if run is None or _while(run, item, orphans)
    ]
    oldest = datetime.min.replace(tzinfo=UTC)
    return tuple(sorted(lines, key=lambda line: line.prediction.created_at or oldest, reverse=True))


def _while(run: RunRow, item: Prediction, orphans: Orphans) -> bool:
    skew = orphans.rules.skew
    started = run.started_at + timedelta(seconds=skew.low)
    ended = (run.ended_at or orphans.now) + timedelta(seconds=skew.high)
    return item.created_at is None or started <= item.created_at <= ended


def _briefs(ledger: Ledger, attempts: Iterable[AttemptRow]) -> Mapping[str, str]:
    """By generation key, where a run's record says it: a run that was killed left none."""
    run_ids = {
        run_id for row in attempts for run_id in (row.run_id, row.settled_run_id) if run_id is not None
    }
    found: dict[str, str] = {}
    for run_id in sorted(run_ids):
        text = ledger.run_record(run_id)
        if text is None:
            continue
        for stage in RunRecord.model_validate_json(text).stages:
            if stage.generation_key is not None:
                # Equal work of several briefs is one generation; the first of them stands for all.
                found.setdefault(stage.generation_key, stage.brief)
    return found
