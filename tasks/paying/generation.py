"""One piece of work, paid for once: whatever calls this, and however often, the ledger is asked first.

Each step of an attempt is written down before the next one begins, so that any of them can be the last: the next run
finds where it ended and goes on from there, by the prediction's id where there is one.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from blocks.errors import NeedsPerson, PredictionFailed, RequestLost, RequestRefused
from blocks.ledger import (
    AlreadyStored,
    AttemptRow,
    AttemptState,
    Busy,
    GenerationWork,
    Granted,
    HeldForPerson,
    IllegalTransition,
    LeaseLost,
    StoredGeneration,
)
from blocks.ledger import WorkInput as LedgerInput
from tasks.paying.asking_prices import place_of, worst_case_of
from tasks.paying.collecting import as_record, ask_again_for_held, await_end, collect
from tasks.paying.elsewhere import kept_here_after_all, refuse_if_another_host_has_it
from tasks.paying.recovery import resolve
from tasks.paying.restoring import make_whole
from tasks.paying.stopwatch import Stopwatch
from tasks.paying.submitting import submit
from tasks.paying.workbench import Workbench
from tasks.record import Outcome
from tasks.work import StageResult, StageWork

BUSY_SECONDS = 0.5


async def generate(bench: Workbench, work: StageWork) -> StageResult:
    """The work's pictures or clip: found, adopted, resumed or made, and paid for at most once.

    Raises Transient where trying again may help and costs nothing; Terminal, BudgetRefused, NeedsPerson, MediaError or
    Stopped where it does not. Whatever is raised, the attempt's state is in the ledger.
    """
    # What has its turn only after the run was stopped was never begun: it has no times.
    bench.stop.check()
    watch = bench.stopwatch(work.brief, work.stage)
    lock = bench.lock(f"work {work.key}")
    with watch.step("queue_s"):
        await lock.acquire()
    try:
        while True:
            bench.stop.check()
            if work.key in bench.refused:
                raise bench.refused[work.key]
            match await bench.ask(
                bench.ledger.claim, _entry(bench, work), owner=bench.owner, run_id=bench.run_id
            ):
                case AlreadyStored(generation):
                    if await make_whole(bench, generation):
                        await bench.ask(bench.ledger.note_holding, work.key, bench.store_id)
                        return found(work, generation, watch)
                    await bench.ask(bench.ledger.note_lost, work.key, bench.store_id)
                    if await _has_expired(bench, work.key):
                        await refuse_if_another_host_has_it(bench, work.key)
                    # Paid for, but damaged or gone: collected again from the service, free of charge.
                    await bench.ask(bench.ledger.reopen, work.key)
                case Busy():
                    with watch.step("queue_s"):
                        await bench.stop.sleep(BUSY_SECONDS)
                case HeldForPerson(attempt):
                    raise NeedsPerson(attempt.held_reason or "an earlier attempt is held")
                case Granted(attempt):
                    try:
                        if attempt is not None and await kept_here_after_all(bench, attempt):
                            continue  # found, as if nobody had lost it
                        if attempt is not None and attempt.state is AttemptState.HELD:
                            attempt = await _no_longer_held(bench, work, attempt)
                        with bench.movement.at_work():
                            return await _carry_out(bench, work, attempt, watch)
                    except LeaseLost:
                        continue  # somebody else has it now: most likely their result is adopted
                    except (RequestRefused, PredictionFailed) as error:
                        bench.refused[work.key] = error
                        raise
                    finally:
                        await asyncio.shield(bench.ask(bench.ledger.release, work.key, bench.owner))
    finally:
        lock.release()


async def _has_expired(bench: Workbench, key: str) -> bool:
    """Whether the service, by its own rule, has what was paid for no more."""
    paid = (await bench.ask(bench.ledger.find_paid_results, [key])).get(key)
    until = None if paid is None or paid.attempt.prediction_id is None else paid.attempt.kept_until
    return until is None or datetime.now(UTC) > until


async def _no_longer_held(bench: Workbench, work: StageWork, attempt: AttemptRow) -> AttemptRow:
    try:
        return await ask_again_for_held(bench, work, attempt)
    except IllegalTransition as error:
        # `campaign reconcile` was faster: what it made of the attempt is looked up.
        raise LeaseLost(str(error)) from error


def found(work: StageWork, generation: StoredGeneration, watch: Stopwatch) -> StageResult:
    """What the ledger has already, as a result of this run: nothing sent, nothing charged."""
    return StageResult(
        key=work.key,
        outcome=Outcome.CACHED,
        attempt=None,
        prediction_id=generation.prediction_id,
        assets=tuple(as_record(asset) for asset in generation.assets),
        latency=watch.latency(),
        started_at=watch.started_at,
        ended_at=datetime.now(UTC),
    )


def _entry(bench: Workbench, work: StageWork) -> GenerationWork:
    return GenerationWork(
        key=work.key,
        service=bench.settings.service,
        provider=bench.provider,
        model=work.model,
        stage=work.stage,
        request=work.parameters,
        inputs=tuple(LedgerInput(role=item.role, sha256=item.sha256) for item in work.inputs),
        take=work.take,
        prompt=work.prompt,
    )


async def _carry_out(
    bench: Workbench, work: StageWork, attempt: AttemptRow | None, watch: Stopwatch
) -> StageResult:
    earlier = False
    if attempt is not None:
        earlier = attempt.run_id != bench.run_id
        attempt = await bench.ask(
            bench.ledger.resume,
            attempt.id,
            run_id=bench.run_id,
            owner=bench.owner,
            worst_case=worst_case_of(bench, work),
            day_cap=bench.settings.day_cap,
        )
        if attempt.state in {AttemptState.INTENT, AttemptState.UNKNOWN}:
            bench.progress.stage_reserved(work.brief, work.stage, attempt.reserved)
            bench.progress.stage_in_doubt(work.brief, work.stage)
            attempt = await resolve(bench, attempt)
        bench.progress.stage_reserved(work.brief, work.stage, attempt.reserved)
        if attempt.prediction_id is not None:
            bench.progress.stage_submitted(work.brief, work.stage, found=True)
    outputs = None
    while outputs is None:
        async with AsyncExitStack() as stack:
            probe = None
            with watch.step("queue_s"), bench.movement.standing_still(barred=True):
                if attempt is None or attempt.state is AttemptState.RESERVED:
                    probe = await stack.enter_async_context(bench.first_bills.turn(place_of(work)))
                await stack.enter_async_context(bench.limits.place())
            if attempt is None or attempt.state is AttemptState.RESERVED:
                earlier = False
                attempt = await submit(bench, work, attempt, watch)
            if attempt.state is not AttemptState.UNKNOWN:
                if probe is not None:
                    probe.sent(attempt)
                outputs = await await_end(bench, work, attempt, watch)
        if outputs is None:
            # Away from its place: what waits for one may be sent meanwhile, and show that the history can be believed.
            attempt = await _found(bench, work, attempt)
    assert attempt is not None  # it has outputs
    assets = await collect(bench, work, attempt, outputs, watch)
    return StageResult(
        key=work.key,
        outcome=Outcome.RESUMED if earlier else Outcome.GENERATED,
        attempt=attempt.id,
        prediction_id=attempt.prediction_id,
        assets=assets,
        latency=watch.latency(),
        started_at=watch.started_at,
        ended_at=datetime.now(UTC),
    )


async def _found(bench: Workbench, work: StageWork, attempt: AttemptRow) -> AttemptRow:
    """An attempt whose answer was lost, with its prediction's id. Raises RequestLost where it certainly has none."""
    bench.progress.stage_in_doubt(work.brief, work.stage)
    attempt = await resolve(bench, attempt)
    bench.progress.stage_reserved(work.brief, work.stage, attempt.reserved)
    if attempt.state is AttemptState.RESERVED:
        raise RequestLost("the service lost the request; it shows no prediction of it, so it is sent again")
    bench.progress.stage_submitted(work.brief, work.stage, found=True)
    return attempt
