"""The only step that costs money: reserved in the ledger, written down as an intent, and then sent exactly once."""

import asyncio
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any

from blocks.errors import (
    AccountRefused,
    BudgetRefused,
    InputNotFetched,
    OutcomeUnknown,
    PredictionFailed,
    RateLimited,
    RequestRefused,
    Unreachable,
)
from blocks.ledger import AnotherUnderWay, AttemptRow, AttemptState, CapReached
from tasks.models import REQUESTS
from tasks.paying.asking_prices import ask_price, worst_case_of
from tasks.paying.departure import Departure
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
            attempt = await _post_in_turn(bench, work, attempt, body, watch)
        except CapReached as error:
            await bench.ask(bench.ledger.withdrawn, attempt.id, str(error))
            if not error.may_pass:
                raise
            # A dearer price than it was reserved at: it waits for room again, without holding any meanwhile.
            attempt = None
            continue
        except RateLimited as error:
            pause = error.retry_after or PAUSE_SECONDS
            if time.monotonic() + pause > patience_ends:
                raise
            bench.limits.pause(work.kind, pause)
            with watch.step("queue_s"):
                await bench.stop.sleep(pause)
            continue
        if attempt.state is not AttemptState.UNKNOWN:
            bench.progress.stage_submitted(work.brief, work.stage)
        return attempt


async def _post_in_turn(
    bench: Workbench, work: StageWork, attempt: AttemptRow, body: dict[str, object], watch: Stopwatch
) -> AttemptRow:
    """Alone of its model, where the account's history could not tell two lost replies apart."""
    while not bench.echo.shows_inputs(work.model):
        try:
            async with bench.lock(f"post {work.model}"):
                if bench.echo.shows_inputs(work.model):
                    break
                bench.stop.check_spending()
                posted = await _shielded(bench, _post(bench, work, attempt, body, watch, alone=True))
                await bench.echo.learn_from_new(work.model)
                return posted
        except AnotherUnderWay:
            with watch.step("queue_s"), bench.movement.standing_still(barred=True):
                await bench.stop.sleep(TURN_SECONDS)
    return await _shielded(bench, _post(bench, work, attempt, body, watch, alone=False))


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
) -> AttemptRow:
    departure = Departure(bench, attempt)
    credit = await bench.credit.before_request(partial(bench.ask, bench.ledger.now))

    def intend() -> AttemptRow:
        # In the ledger's thread, for which there may be a queue: the time counts from right before the intent.
        departure.begin()
        asked, now = datetime.now(UTC), bench.ledger.now()
        skew = bench.client.clock.seen_from(now, asked=asked, told=datetime.now(UTC))
        return bench.ledger.intend(
            attempt.id,
            body=body,
            input_sha256s=[item.sha256 for item in work.inputs],
            request_timeout_s=bench.settings.request_timeout,
            queue_s=watch.seconds("queue_s"),
            upload_s=watch.seconds("upload_s"),
            day_cap=bench.settings.day_cap,
            worst_case=worst_case_of(bench, work),
            alone=alone,
            balance_before=credit and credit[0],
            balance_at=credit and credit[1],
            skew_low=skew.low,
            skew_high=skew.high,
        )

    await bench.ask(intend)
    watch.attempts += 1
    try:
        with watch.step("submit_s"):
            await departure.check()
            prediction = await bench.client.submit(
                work.model, body, seconds=departure.seconds_left, before_sending=departure.check
            )
    except (RateLimited, Unreachable):
        watch.attempts -= 1
        await bench.ask(bench.ledger.not_sent, attempt.id)
        raise
    except AccountRefused as error:
        await bench.ask(bench.ledger.withdrawn, attempt.id, str(error))
        bench.stop.set(StopReason.ACCOUNT_REFUSED, str(error))
        raise
    except (RequestRefused, PredictionFailed) as error:
        await bench.ask(bench.ledger.withdrawn, attempt.id, str(error))
        raise
    except InputNotFetched:
        await bench.ask(bench.ledger.not_sent, attempt.id)
        await forget_uploads(bench, work)
        raise
    except OutcomeUnknown as error:
        return await bench.ask(bench.ledger.unknown, attempt.id, str(error))
    return await bench.ask(
        bench.ledger.submitted,
        attempt.id,
        prediction_id=prediction.id,
        service_created_at=prediction.created_at,
        submit_s=watch.seconds("submit_s"),
    )


async def _reserve(bench: Workbench, work: StageWork, watch: Stopwatch) -> AttemptRow:
    if bench.frozen:
        raise BudgetRefused("--frozen: this would have to be paid for, and nothing may be")
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
            with watch.step("queue_s"):
                await bench.stop.sleep(CAP_SECONDS)
