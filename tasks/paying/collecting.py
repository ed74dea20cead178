"""From a prediction's id to verified bytes in the asset store. None of it costs money, so all may be repeated."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blocks.errors import (
    CampaignError,
    CollectingFailed,
    FetchRefused,
    NeedsPerson,
    NotDecodable,
    NotFound,
    OutputsExpired,
    PredictionFailed,
    ServiceError,
    Transient,
    Unavailable,
)
from blocks.ledger import AttemptRow, AttemptState, Settlement, StoredAsset
from blocks.media import decode_clip_fully, decode_picture_fully
from blocks.wavespeed import Prediction
from tasks.paying.elsewhere import elsewhere, may_be_elsewhere
from tasks.paying.retry_by_cause import Action, action_of
from tasks.paying.stopwatch import Stopwatch
from tasks.paying.uploading import forget_uploads
from tasks.paying.waiting_schedule import after_failure, shortest_interval
from tasks.paying.workbench import Workbench
from tasks.record import AssetRecord
from tasks.stopping import StopReason
from tasks.work import StageWork

# The largest outputs seen are 4k pictures of some 40 MB and clips of 10 s; a service gone wrong must not fill the disk.
LARGEST_BYTES = {"image": 200_000_000, "video": 1_000_000_000}
# What the models make, and how its files end. A gateway's pixel is a picture too, but never the one that was paid for.
ENDINGS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
}
DOWNLOAD_SECONDS = 600.0
TRIES = 4
TRY_AGAIN_SECONDS = 0.5
# How often the account has to say that it does not know what it has made, a little later each time. What is held
# already was told so, and stays as it is: a passing word more does no harm.
NOT_FOUND_TRIES = 5
HELD_TRIES = 2


async def await_end(bench: Workbench, work: StageWork, attempt: AttemptRow, watch: Stopwatch) -> Prediction:
    """The prediction, completed. Raises what ``Prediction.raise_for_outcome`` does, NeedsPerson where it shows no
    outputs for as long as they are waited for, DeadlinePassed or Stopped.
    """
    assert attempt.prediction_id is not None  # only attempts that have one come here
    if attempt.state is AttemptState.COMPLETED:
        # Addresses may have changed or expired since they were written down.
        try:
            return await _ask_once_more(bench, work, attempt.prediction_id)
        except NotFound as error:
            raise await _not_found(bench, work, attempt, error) from error
    age = (datetime.now(UTC) - attempt.submitted_at).total_seconds() if attempt.submitted_at else 0.0
    try:
        watched = await bench.watch.wait(
            attempt.prediction_id,
            work.model,
            kind=work.kind,
            submitted_at_monotonic=time.monotonic() - max(0.0, age),
            deadline_seconds=bench.settings.deadline_seconds,
            created_at=attempt.service_created_at,
            stop=bench.stop.interrupted,
        )
    except NotFound as error:
        raise await _not_found(bench, work, attempt, error) from error
    watch.polls += watched.polls
    prediction = watched.prediction
    if prediction.inference_seconds is not None:
        watch.add("inference_s", prediction.inference_seconds)
    watch.add("detect_s", watched.detect_seconds)
    if prediction.without_outputs:
        raise await _not_found(bench, work, attempt, ShownOtherwise(prediction))
    try:
        prediction.raise_for_outcome()
    except ServiceError as error:
        cost = await bench.settlement.cost_of(attempt)
        bench.progress.stage_settled(work.brief, work.stage)
        await bench.ask(
            bench.ledger.failed,
            attempt.id,
            code=str(error.code or prediction.status),
            message=str(error),
            run_id=bench.run_id,
            polls=watched.polls,
            settlement=cost,
        )
        match action_of(error):
            case Action.UPLOAD_AGAIN:
                await forget_uploads(bench, work)
            case Action.STOP:
                bench.stop.set(StopReason.ACCOUNT_REFUSED, str(error))
        raise
    await bench.ask(
        bench.ledger.completed,
        attempt.id,
        outputs=prediction.outputs,
        nsfw=prediction.has_nsfw_contents,
        inference_s=prediction.inference_seconds,
        detect_s=watched.detect_seconds,
        detected_at=watched.detected_at,
        polls=watched.polls,
    )
    return prediction


async def ask_again_for_held(bench: Workbench, work: StageWork, attempt: AttemptRow) -> AttemptRow:
    """Where the account shows a held attempt's prediction after all, the attempt, going on from where it was held.

    Until then it stays as it is, and nothing is sent for it: raises NeedsPerson. Raises IllegalTransition where
    somebody else decided meanwhile.
    """
    assert attempt.prediction_id is not None  # what is held without one is not granted
    try:
        if attempt.completed_at is None:
            await _asked(
                bench,
                work,
                attempt.prediction_id,
                tries=HELD_TRIES,
                good=lambda shown: not shown.without_outputs,
            )
        else:
            await _ask_once_more(bench, work, attempt.prediction_id, tries=HELD_TRIES)
    except NotFound as error:
        # What is so old that the service keeps nothing of it goes on, and ends, as everything of that age does.
        if not _has_expired(attempt):
            raise await _not_found(bench, work, attempt, error) from error
    return await bench.ask(bench.ledger.go_on, attempt.id)


async def _ask_once_more(
    bench: Workbench, work: StageWork, prediction_id: str, *, outputs: int = 1, tries: int = NOT_FOUND_TRIES
) -> Prediction:
    """A prediction that was seen completed, as the account shows it now, with at least so many outputs.

    Raises NotFound where the account goes on not to know it, or to show it without them.
    """
    return await _asked(
        bench,
        work,
        prediction_id,
        tries=tries,
        good=lambda shown: shown.completed and len(shown.outputs) >= outputs,
    )


async def _asked(
    bench: Workbench, work: StageWork, prediction_id: str, *, tries: int, good: Callable[[Prediction], bool]
) -> Prediction:
    """One odd answer may be a moment's: only what is said again and again, over a while, is believed."""
    shortest = shortest_interval(work.kind, bench.settings.poll)
    for number in range(1, tries + 1):
        bench.stop.check()
        try:
            prediction = await bench.client.result(prediction_id)
        except NotFound as error:
            odd = error
        else:
            if good(prediction):
                return prediction
            odd = ShownOtherwise(prediction)
        if number < tries:
            await bench.stop.sleep(after_failure(number, shortest, None))
    raise odd


class ShownOtherwise(NotFound):
    """The account knows the prediction, which has completed or had, but shows it without its outputs."""

    def __init__(self, prediction: Prediction) -> None:
        count = len(prediction.outputs)
        shows = f"as {prediction.status}, with {count} output{'' if count == 1 else 's'}"
        if prediction.error:
            shows += f" (“{prediction.error}”)"
        super().__init__(f"the account shows it {shows}", prediction_id=prediction.id)
        self.prediction = prediction


async def _not_found(
    bench: Workbench, work: StageWork, attempt: AttemptRow, error: NotFound
) -> CampaignError:
    """What to raise where the account does not know the prediction, or has its outputs no more."""
    if _has_expired(attempt):
        other = await may_be_elsewhere(bench, work.key)
        if other is not None:
            # Nobody pays again by itself for what another machine has: it counts as kept, and is missing here only.
            await bench.ask(bench.ledger.close_again, attempt.id)
            return NeedsPerson(elsewhere(work.key, other))
        await bench.ask(
            bench.ledger.failed, attempt.id, code="expired", message=str(error), run_id=bench.run_id
        )
        return OutputsExpired(
            "the service keeps outputs for 7 days, and these have expired; it is generated again",
            prediction_id=attempt.prediction_id,
        )
    # Another key, perhaps: paying again for what the right one could collect is never done by itself.
    reason = f"{_what_is_odd(attempt, error)}. {_what_to_do(attempt, error)}"
    if attempt.state is not AttemptState.HELD:
        await bench.ask(bench.ledger.held, attempt.id, reason)
    # Briefs with equal work are told the same, without another round of questions.
    refused = bench.refused[work.key] = NeedsPerson(reason)
    return refused


def _what_is_odd(attempt: AttemptRow, error: NotFound) -> str:
    if isinstance(error, ShownOtherwise) and attempt.completed_at is None:
        return f"prediction {attempt.prediction_id} has completed, but {error}, each time it was asked"
    if isinstance(error, ShownOtherwise):
        return f"prediction {attempt.prediction_id} had completed, and now {error}, each time it was asked"
    return (
        f"the account does not have prediction {attempt.prediction_id}, which is less than 7 days old, each time it "
        "was asked"
    )


def _what_to_do(attempt: AttemptRow, error: NotFound) -> str:
    never_shown = isinstance(error, ShownOtherwise) and attempt.completed_at is None
    check = (
        "It is not paid for again, and its outputs may still come: "
        if never_shown
        else "Check that WAVESPEED_API_KEY is the key of the account that made it, then "
    )
    until = "" if attempt.kept_until is None else f", until {attempt.kept_until:%Y-%m-%d %H:%M} UTC"
    return (
        f"Nothing is sent for it. {check}run the same command again, or `campaign reconcile`: both ask for it again, "
        f"and what is there is collected free of charge{until}"
    )


def _has_expired(attempt: AttemptRow) -> bool:
    return attempt.kept_until is not None and datetime.now(UTC) > attempt.kept_until


async def collect(
    bench: Workbench, work: StageWork, attempt: AttemptRow, prediction: Prediction, watch: Stopwatch
) -> tuple[AssetRecord, ...]:
    """Every output, decoded to the last frame and kept, in the service's order.

    Raises Transient or NotDecodable where an output could not be had now (the attempt stays ``completed``, and the
    next run collects it free of charge), PredictionFailed where it has expired for good.
    """
    # The bill is read while the outputs are downloaded.
    cost = asyncio.create_task(bench.settlement.cost_of(attempt))
    cost.add_done_callback(lambda asked: _tell_settled(bench, work, asked))
    try:
        with watch.step("download_s"):
            kept = await asyncio.gather(
                *(
                    _collect_one(bench, work, prediction, number, expired=_has_expired(attempt))
                    for number in range(len(prediction.outputs))
                )
            )
        settlement = await cost
    except NotFound as error:
        raise await _not_found(bench, work, attempt, error) from error
    finally:
        cost.cancel()
    flags = prediction.has_nsfw_contents
    assets = [
        replace(asset, flagged_nsfw=number < len(flags) and flags[number])
        for number, asset in enumerate(kept)
    ]
    await bench.ask(
        bench.ledger.stored,
        attempt.id,
        assets,
        download_s=watch.seconds("download_s"),
        run_id=bench.run_id,
        settlement=settlement,
    )
    await bench.ask(bench.ledger.note_holding, work.key, bench.store_id)
    return tuple(as_record(asset) for asset in assets)


def _tell_settled(bench: Workbench, work: StageWork, asked: asyncio.Task[Settlement]) -> None:
    """Whoever stopped asking does not know the cost: it may still come."""
    if not asked.cancelled() and asked.exception() is None:
        bench.progress.stage_settled(work.brief, work.stage)


def as_record(asset: StoredAsset) -> AssetRecord:
    """As it stands in a run's record; its place in the run's folder is decided there."""
    return AssetRecord(path="", **asdict(asset))


async def _collect_one(
    bench: Workbench, work: StageWork, prediction: Prediction, number: int, *, expired: bool
) -> StoredAsset:
    for attempt in range(1, TRIES + 1):
        bench.stop.check()
        path = bench.store.incoming_path()
        try:
            fetched = await bench.remote.fetch(
                prediction.outputs[number],
                path,
                max_bytes=LARGEST_BYTES[work.kind],
                max_seconds=DOWNLOAD_SECONDS,
            )
            async with bench.decodes_at_once:
                facts = await asyncio.to_thread(_decoded, work, path)
            sha256, size = await asyncio.to_thread(bench.store.keep, path, expected_sha256=fetched.sha256)
        except (NotFound, NotDecodable, Transient, FetchRefused) as error:
            if attempt == TRIES:
                raise _collectable(error, prediction, expired=expired) from error
            await bench.stop.sleep(TRY_AGAIN_SECONDS * 2**attempt)
            # The address may have expired, or the output may have been replaced: the service is asked again.
            try:
                prediction = await _ask_once_more(bench, work, prediction.id, outputs=number + 1)
            except ShownOtherwise as shown:
                if not shown.prediction.outputs:
                    raise
                raise PredictionFailed(
                    f"prediction {prediction.id} shows fewer outputs than before", prediction_id=prediction.id
                ) from error
        else:
            return StoredAsset(sha256=sha256, bytes=size, **facts)
        finally:
            path.unlink(missing_ok=True)
    raise AssertionError("the last try returns or raises")


def _collectable(error: Exception, prediction: Prediction, *, expired: bool) -> Exception:
    hint = (
        "it is paid for; run the command again to collect it free of charge (the service keeps it for 7 days)"
    )
    if isinstance(error, NotFound) and expired:
        return error
    if isinstance(error, Transient):
        return Unavailable(f"{error}; {hint}", prediction_id=prediction.id)
    return CollectingFailed(f"{error}; {hint}")


def _decoded(work: StageWork, path: Path) -> dict[str, Any]:
    facts: dict[str, Any]
    if work.kind == "image":
        picture = decode_picture_fully(path)
        facts = {"media_type": picture.media_type, "width": picture.width, "height": picture.height}
    else:
        clip = decode_clip_fully(path)
        facts = {
            "media_type": clip.media_type,
            "width": clip.width,
            "height": clip.height,
            "duration_seconds": clip.duration_seconds,
            "frames_per_second": clip.frames_per_second,
            "has_sound": clip.has_sound,
        }
    if facts["media_type"] not in ENDINGS:
        raise NotDecodable(f"{facts['media_type']}, which the models do not make")
    return facts
