"""The only step that costs money: reserved in the ledger, written down as an intent, and then sent exactly once."""

import asyncio
import time
from collections.abc import Coroutine
from decimal import ROUND_UP, Decimal
from typing import Any

from blocks.errors import (
    AccountRefused,
    BudgetRefused,
    InputNotFetched,
    NotFound,
    OutcomeUnknown,
    PredictionFailed,
    RateLimited,
    RequestLost,
    RequestRefused,
    Transient,
    Unreachable,
)
from blocks.ledger import AnotherUnderWay, AttemptRow, AttemptState, CapReached
from blocks.money import dollars_text
from tasks.models import REQUESTS
from tasks.paying.departure import Departure
from tasks.paying.recovery import resolve
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
    """The attempt with its prediction's id. ``attempt`` is one that holds a reservation already, if any.

    Raises Transient where nothing was created, AccountRefused (and stops the run's spending), RequestRefused,
    BudgetRefused, NeedsPerson (the outcome stayed unknown) or Stopped.
    """
    bench.stop.check_spending()
    # Nothing is paid for that could not be kept.
    await asyncio.to_thread(bench.store.ensure_room, ROOM[work.kind] * work.expected_outputs)
    with watch.step("upload_s"):
        urls = await upload_inputs(bench, work)
    body = REQUESTS[work.stage].model_validate(work.parameters).body(urls)
    unit_price = await _quoted_unit_price(bench, work, body)
    await bench.echo.learn_from_earlier(work.model)
    patience_ends = time.monotonic() + bench.settings.patience_seconds
    while True:
        bench.stop.check_spending()
        if attempt is None:
            attempt = await _reserve(bench, work, unit_price, watch)
        bench.progress.stage_reserved(work.brief, work.stage, attempt.reserved)
        with watch.step("queue_s"):
            await bench.limits.turn(work.kind)
        # The turn may have been long in coming.
        bench.stop.check_spending()
        try:
            attempt = await _post_in_turn(bench, work, attempt, body, watch)
        except CapReached as error:
            await bench.ask(bench.ledger.withdrawn, attempt.id, str(error))
            raise
        except RateLimited as error:
            pause = error.retry_after or PAUSE_SECONDS
            if time.monotonic() + pause > patience_ends:
                raise
            bench.limits.pause(work.kind, pause)
            with watch.step("queue_s"):
                await bench.stop.sleep(pause)
            continue
        if attempt.state is AttemptState.UNKNOWN:
            attempt = await resolve(bench, attempt)
            if attempt.state is AttemptState.RESERVED:
                raise RequestLost(
                    "the service lost the request; it shows no prediction of it, so it is sent again"
                )
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
            with watch.step("queue_s"):
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

    def intend() -> AttemptRow:
        # In the ledger's thread, for which there may be a queue: the time counts from right before the intent.
        departure.begin()
        intended = bench.ledger.intend(
            attempt.id,
            body=body,
            input_sha256s=[item.sha256 for item in work.inputs],
            request_timeout_s=bench.settings.request_timeout,
            queue_s=watch.seconds("queue_s"),
            upload_s=watch.seconds("upload_s"),
            day_cap=bench.settings.day_cap,
            alone=alone,
            account=bench.account.account,
        )
        bench.mark_store()
        return intended

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


async def _reserve(bench: Workbench, work: StageWork, unit_price: int, watch: Stopwatch) -> AttemptRow:
    if bench.frozen:
        raise BudgetRefused("--frozen: this would have to be paid for, and nothing may be")
    # A service dearer than the price list must not slip under the cap.
    dearer = max(Decimal(1), Decimal(unit_price) / work.unit_price) if work.unit_price else Decimal(1)
    worst_case = int((work.worst_case * dearer).to_integral_value(ROUND_UP))
    while True:
        try:
            return await bench.ask(
                bench.ledger.reserve,
                work.key,
                run_id=bench.run_id,
                owner=bench.owner,
                estimated=work.estimated,
                worst_case=worst_case,
                day_cap=bench.settings.day_cap,
            )
        except CapReached as error:
            # Worst cases of work in flight may turn out cheaper; with nothing in flight, nothing will change.
            if not error.may_pass:
                raise
            with watch.step("queue_s"):
                await bench.stop.sleep(CAP_SECONDS)


async def _quoted_unit_price(bench: Workbench, work: StageWork, body: dict[str, object]) -> int:
    """What the service itself asks for a unit, asked once a run for each model and resolution, free of charge."""
    place = (work.model, work.resolution)
    async with bench.lock(f"price {place}"):
        if place not in bench.quoted:
            try:
                quote = await bench.client.price(work.model, body)
            except AccountRefused as error:
                bench.stop.set(StopReason.ACCOUNT_REFUSED, str(error))
                raise
            except (Transient, NotFound, RequestRefused, OutcomeUnknown):
                bench.note(f"{work.model}: the service gave no price; the price list's is used")
                bench.quoted[place] = work.unit_price
            else:
                unit = (Decimal(quote.discounted_price) / work.quantity).to_integral_value(ROUND_UP)
                bench.quoted[place] = int(unit)
                if abs(quote.discounted_price - work.estimated) > 1:
                    bench.note(
                        f"{work.model}: the service asks ${dollars_text(quote.discounted_price)} for what the price "
                        f"list has at ${dollars_text(work.estimated)}"
                    )
    return bench.quoted[place]
