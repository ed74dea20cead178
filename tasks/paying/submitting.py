"""The only step that costs money: reserved in the ledger, written down as an intent, and then sent exactly once."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any

from blocks.errors import (
    AcceptedWithoutId,
    AccountRefused,
    BudgetRefused,
    InputNotFetched,
    OutcomeUnknown,
    PredictionFailed,
    RateLimited,
    RequestRefused,
    ServiceError,
    Unreachable,
)
from blocks.ledger import AnotherUnderWay, AttemptRow, AttemptState, CapReached, Reply
from tasks.models import REQUESTS
from tasks.paying.asking_prices import ask_price, worst_case_of
from tasks.paying.departure import Departure
from tasks.paying.recovery import resolve
from tasks.paying.refusal_look import RefusalInDoubt, is_believed, refuses_the_key
from tasks.paying.stopwatch import Stopwatch
from tasks.paying.uploading import forget_uploads, upload_inputs
from tasks.paying.workbench import Workbench
from tasks.stopping import StopReason
from tasks.work import StageWork

CAP_SECONDS = 0.5
# Until it is asked again whether another process's request of the model has been answered.
TURN_SECONDS = 0.2
# Bytes that an output may take on the disk, twice over: in the store and in the run's folder.
ROOM = {"image": 100_000_000, "video": 200_000_000}
# A 429 that does not say how long.
PAUSE_SECONDS = 5.0


async def submit(
    bench: Workbench, work: StageWork, attempt: AttemptRow | None, watch: Stopwatch
) -> AttemptRow:
    """The attempt with its prediction's id, or ``unknown`` where the answer was lost.

    ``attempt`` is one that holds a reservation already, if any.

    Raises Transient where nothing was created, AccountRefused (and stops the run's spending), RequestRefused,
    BudgetRefused or Stopped.
    """
    bench.stop.check_spending()
    # Nothing is paid for that could not be kept.
    await asyncio.to_thread(bench.store.ensure_room, ROOM[work.kind] * work.expected_outputs)
    with watch.step("upload_s"):
        urls = await upload_inputs(bench, work)
    body = REQUESTS[work.stage].model_validate(work.parameters).body(urls)
    await ask_price(bench, work, body)
    await bench.echo.learn_from_earlier(work.model)
    patience_ends = time.monotonic() + bench.settings.patience_seconds
    while True:
        bench.stop.check_spending()
        if attempt is None:
            attempt = await _reserve(bench, work, watch)
        bench.progress.stage_reserved(work.brief, work.stage, attempt.reserved)
        with watch.step("queue_s"):
            await bench.limits.turn(work.kind)
        # The turn may have been long in coming.
        bench.stop.check_spending()
        try:
            attempt = await _sent(bench, work, attempt, body, watch)
        except CapReached as error:
            await bench.ask(bench.ledger.withdrawn, attempt.id, str(error))
            if not error.may_pass:
                raise
            # A dearer price than it was reserved at: it waits for room again, without holding any meanwhile.
            attempt = None
            continue
        except RateLimited as error:
            watch.attempts -= 1
            if time.monotonic() + (error.retry_after or PAUSE_SECONDS) > patience_ends:
                raise
            with watch.step("queue_s"):
                await bench.stop.sleep(bench.limits.pause_left(work.kind))
            continue
        if attempt.state is not AttemptState.UNKNOWN:
            bench.progress.stage_submitted(work.brief, work.stage)
        return attempt


async def _sent(
    bench: Workbench, work: StageWork, attempt: AttemptRow, body: dict[str, object], watch: Stopwatch
) -> AttemptRow:
    """The attempt with its prediction's id, or ``unknown`` where the answer was lost.

    Raises what the service refused it with only where nothing exists that could have come of it all the same, or where
    it refuses the key: then the next run finds that out.
    """
    try:
        return await _post_in_turn(bench, work, attempt, body, watch)
    except RefusalInDoubt as doubt:
        if refuses_the_key(doubt.refusal):
            raise doubt.refusal from None
        bench.stop.check()
        found = await resolve(bench, doubt.attempt)
        if found.state is not AttemptState.RESERVED:
            return found
        await _take_back(bench, work, found, doubt.refusal)
        raise doubt.refusal from None


async def _post_in_turn(
    bench: Workbench, work: StageWork, attempt: AttemptRow, body: dict[str, object], watch: Stopwatch
) -> AttemptRow:
    """Alone of its model, where the account's history could not tell two lost replies apart."""
    stands = False
    with ExitStack() as barred:
        while not bench.echo.shows_inputs(work.model):
            await bench.credit.refresh(partial(bench.ask, bench.ledger.now))
            try:
                async with bench.lock(f"post {work.model}"):
                    if bench.echo.shows_inputs(work.model):
                        break
                    bench.stop.check_spending()
                    post = _post(bench, work, attempt, body, watch, alone=True, goes=barred.close)
                    posted = await _shielded(bench, post)
                    await bench.echo.learn_from_new(work.model)
                    return posted
            except AnotherUnderWay:
                # From the first time on until it goes: who waits for that other one must see that nobody moves.
                if not stands:
                    barred.enter_context(bench.movement.standing_still(barred=True))
                    stands = True
                with watch.step("queue_s"):
                    await bench.stop.sleep(TURN_SECONDS)
        await bench.credit.refresh(partial(bench.ask, bench.ledger.now))
        bench.stop.check_spending()
        post = _post(bench, work, attempt, body, watch, alone=False, goes=barred.close)
        return await _shielded(bench, post)


async def _shielded(bench: Workbench, post: Coroutine[Any, Any, AttemptRow]) -> AttemptRow:
    """An interrupted command waits for this one answer rather than lose a paid prediction's id."""
    under_way = asyncio.ensure_future(post)
    bench.posting.add(under_way)
    under_way.add_done_callback(bench.posting.discard)
    return await asyncio.shield(under_way)


async def _post(
    bench: Workbench,
    work: StageWork,
    attempt: AttemptRow,
    body: dict[str, object],
    watch: Stopwatch,
    *,
    alone: bool,
    goes: Callable[[], None],
) -> AttemptRow:
    """``goes`` is called when nothing keeps the request back any more."""
    departure = Departure(bench, attempt)
    credit = bench.credit.latest

    def intend() -> AttemptRow:
        # In the ledger's thread, for which there may be a queue: the time counts from right before the intent.
        departure.begin()
        asked, now = datetime.now(UTC), bench.ledger.now()
        skew = bench.client.clock.seen_from(now, asked=asked, told=datetime.now(UTC))
        intended = bench.ledger.intend(
            attempt.id,
            body=body,
            input_sha256s=[item.sha256 for item in work.inputs],
            request_timeout_s=bench.settings.request_timeout,
            queue_s=watch.seconds("queue_s"),
            upload_s=watch.seconds("upload_s"),
            day_cap=bench.settings.day_cap,
            worst_case=worst_case_of(bench, work),
            alone=alone,
            account=bench.account.account,
            balance_before=credit and credit[0],
            balance_at=credit and credit[1],
            skew_low=skew.low,
            skew_high=skew.high,
        )
        bench.mark_store()
        return intended

    intended = await bench.ask(intend)
    goes()
    watch.attempts += 1
    try:
        with watch.step("submit_s"):
            await departure.check()
            prediction = await bench.client.submit(
                work.model, body, seconds=departure.seconds_left, before_sending=departure.check
            )
    except Unreachable:
        watch.attempts -= 1
        await bench.ask(bench.ledger.not_sent, attempt.id)
        raise
    except (RateLimited, AccountRefused, RequestRefused, PredictionFailed, InputNotFetched) as error:
        # Before the history is asked: nobody else is to run into the same refusal meanwhile.
        if isinstance(error, RateLimited):
            _pause(bench, work, error)
        if isinstance(error, AccountRefused):
            bench.stop.set(StopReason.ACCOUNT_REFUSED, str(error))
        if not await is_believed(bench, intended, error):
            doubtful = await bench.ask(bench.ledger.unknown, attempt.id, str(error), reply=Reply.REFUSED)
            raise RefusalInDoubt(doubtful, error) from error
        await _take_back(bench, work, intended, error)
        raise
    except OutcomeUnknown as error:
        reply = Reply.ACCEPTED if isinstance(error, AcceptedWithoutId) else Reply.LOST
        return await bench.ask(bench.ledger.unknown, attempt.id, str(error), reply=reply)
    return await bench.ask(
        bench.ledger.submitted,
        attempt.id,
        prediction_id=prediction.id,
        service_created_at=prediction.created_at,
        submit_s=watch.seconds("submit_s"),
    )


def _pause(bench: Workbench, work: StageWork, error: RateLimited) -> None:
    pause = error.retry_after or PAUSE_SECONDS
    # A longer one is not begun: whoever is told of it gives up, and those who wait are not held up for it.
    if pause <= bench.settings.patience_seconds:
        bench.limits.pause(work.kind, pause)


async def _take_back(bench: Workbench, work: StageWork, attempt: AttemptRow, refusal: ServiceError) -> None:
    """Nothing came of the request: what can still be sent keeps its reservation."""
    if isinstance(refusal, RateLimited | InputNotFetched):
        if attempt.state is not AttemptState.RESERVED:
            await bench.ask(bench.ledger.not_sent, attempt.id)
    else:
        await bench.ask(bench.ledger.withdrawn, attempt.id, str(refusal))
    if isinstance(refusal, InputNotFetched):
        await forget_uploads(bench, work)


async def _reserve(bench: Workbench, work: StageWork, watch: Stopwatch) -> AttemptRow:
    if bench.frozen:
        raise BudgetRefused("--frozen: this would have to be paid for, and nothing may be")
    with ExitStack() as waiting:
        stands = False
        while True:
            try:
                return await bench.ask(
                    bench.ledger.reserve,
                    work.key,
                    run_id=bench.run_id,
                    owner=bench.owner,
                    estimated=work.estimated,
                    worst_case=worst_case_of(bench, work),
                    quantity=work.measured_quantity,
                    day_cap=bench.settings.day_cap,
                )
            except CapReached as error:
                # Worst cases of work in flight may turn out cheaper; with nothing in flight, nothing will change.
                if not error.may_pass:
                    raise
                if not stands:
                    waiting.enter_context(bench.movement.standing_still())
                    stands = True
                with watch.step("queue_s"):
                    await bench.stop.sleep(CAP_SECONDS)
