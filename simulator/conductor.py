"""Carries every accepted prediction to its end: its place in work, rendering, due time, webhook, refund.

Each prediction is one asyncio task that writes its steps into the books, so that the conductor of the next
process goes on where this one stopped. Due times are absolute: a service that was away for a while does not
start the wait again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import replace

from simulator.books import Books
from simulator.catalogue import MODELS
from simulator.media import MediaStore, MediaUnreadable
from simulator.records import Output, Prediction
from simulator.service_time import NANOSECONDS, now
from simulator.studio import Renderer
from simulator.switches import Switches
from simulator.views import Views
from simulator.webhooks import WebhookSender
from simulator.worker import Made, MediaRejected, Order

_MESSAGES = {
    1200: "Content flagged as potentially sensitive. Please try different prompts or images.",
    1400: "Invalid parameter.",
    1401: "Invalid parameter: the input media are not accepted.",
    1402: "The input media could not be fetched.",
    1403: "Task failed.",
    1405: "Task failed.",
    1407: "Insufficient credits. Please top up your account to continue.",
    5000: "Internal server error.",
    5003: "Service temporarily unavailable.",
    5004: "Task timed out on the server side.",
}
MODERATION = 1200
_LOGGER = logging.getLogger(__name__)


class Conductor:
    def __init__(
        self,
        *,
        books: Books,
        media: MediaStore,
        renderer: Renderer,
        views: Views,
        webhooks: WebhookSender,
        switches: Switches,
        concurrent: int,
        clock_factor: float,
    ) -> None:
        self._books = books
        self._media = media
        self._renderer = renderer
        self._views = views
        self._webhooks = webhooks
        self._switches = switches
        self._places = asyncio.Semaphore(concurrent)
        self._refund_wait = round(switches.refund_after_seconds * clock_factor * NANOSECONDS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: dict[str, asyncio.Event] = {}

    def resume(self) -> None:
        """Takes up what an earlier process left; what was in work gets its place back first."""
        for prediction in sorted(self._books.to_carry_on(), key=lambda each: each.started_at is None):
            self.take(prediction)

    def take(self, prediction: Prediction) -> None:
        """Starts carrying a prediction that is in the books."""
        self._ends.setdefault(prediction.id, asyncio.Event())
        task = asyncio.create_task(self._carry(prediction), name=f"prediction {prediction.id}")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def ended(self, prediction_id: str, *, timeout_seconds: float) -> None:
        """Waits for the prediction's end, at most so long."""
        if event := self._ends.get(prediction_id):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), timeout_seconds)

    async def close(self) -> None:
        """Stops; every prediction stays in the books as far as it came."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, prediction: Prediction) -> None:
        if not prediction.finished:
            async with self._places:
                if prediction.started_at is None:
                    prediction = self._start(prediction)
                await self._finish(prediction)
            self._media.remove_inputs(prediction.id)
        if event := self._ends.pop(prediction.id, None):
            event.set()
        ended = self._books.prediction(prediction.id)
        assert ended is not None
        await asyncio.gather(self._tell(ended), self._refund(ended))

    def _start(self, prediction: Prediction) -> Prediction:
        started_at = now()
        due_at = started_at + round(prediction.latency_seconds * NANOSECONDS)
        self._books.change(prediction.id, status="processing", started_at=started_at, due_at=due_at)
        return replace(prediction, status="processing", started_at=started_at, due_at=due_at)

    async def _finish(self, prediction: Prediction) -> None:
        """Waits for rendering and due time, whichever is later, then makes the outcome visible."""
        assert prediction.due_at is not None
        if prediction.fate.get("stuck"):
            await asyncio.Event().wait()
        if fail := prediction.fate.get("fail"):
            await _sleep_until(prediction.due_at)
            self._fail(prediction, fail["code"], fail.get("message"), status=fail.get("status", "failed"))
            return
        try:
            made = await self._render(prediction)
        except MediaUnreadable as error:
            await _sleep_until(prediction.due_at)
            self._fail(prediction, 1402, f"{_MESSAGES[1402]} {error}")
        except MediaRejected as error:
            await _sleep_until(prediction.due_at)
            self._fail(prediction, 1401, f"Invalid parameter: {error}.")
        except Exception:
            _LOGGER.exception("prediction %s could not be rendered", prediction.id)
            await _sleep_until(prediction.due_at)
            self._fail(prediction, 5000, None)
        else:
            await _sleep_until(prediction.due_at)
            self._complete(prediction, made)

    async def _render(self, prediction: Prediction) -> list[Made]:
        model_input = MODELS[prediction.model].input_type.model_validate(prediction.parameters)
        pictures = [
            await self._media.collect(url, prediction.id, f"image-{number}")
            for number, url in enumerate(model_input.pictures, start=1)
        ]
        clip = model_input.clip and await self._media.collect(model_input.clip, prediction.id, "video")
        wanted = int(prediction.parameters.get("num_images", 1))
        order = Order(
            model=prediction.model,
            pictures=tuple(pictures),
            clip=clip or None,
            parameters=prediction.parameters,
            count=min(wanted, prediction.fate.get("outputs", wanted)),
            folder=self._media.outputs_folder(prediction.id),
            any_picture=self._switches.picture_inputs == "any",
        )
        return await self._renderer.render(order)

    def _complete(self, prediction: Prediction, made: Sequence[Made]) -> None:
        at = now()
        outputs = [
            Output(prediction.id, each.number, each.filename, each.content_type, each.size, each.sha256, at)
            for each in made
        ]
        flagged: list[int] = []
        if "nsfw" in prediction.fate:
            numbers = prediction.fate["nsfw"]
            flagged = [each.number for each in made] if numbers is None else numbers
        nsfw = [each.number in flagged for each in made]
        self._books.complete(prediction, outputs, ended_at=at, nsfw=nsfw)

    def _fail(
        self, prediction: Prediction, code: int, message: str | None, *, status: str = "failed"
    ) -> None:
        self._books.change(
            prediction.id, status=status, ended_at=now(), code=code, error=message or _MESSAGES[code]
        )

    async def _tell(self, prediction: Prediction) -> None:
        if prediction.webhook is None or prediction.webhook_ended:
            return
        if prediction.status in {"completed", "failed"}:
            body = self._views.webhook_body(prediction, self._books.outputs([prediction.id]))
            if not await self._webhooks.deliver(prediction.webhook, body):
                _LOGGER.warning("the webhook of prediction %s could not be delivered", prediction.id)
        self._books.change(prediction.id, webhook_ended=True)

    async def _refund(self, prediction: Prediction) -> None:
        if not prediction.charged or prediction.status not in {"failed", "cancelled", "timeout"}:
            return
        if prediction.code == MODERATION and not self._switches.moderation_refunded:
            return
        assert prediction.ended_at is not None
        await _sleep_until(prediction.ended_at + self._refund_wait)
        self._books.refund(prediction, at=now())

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _LOGGER.error("%s ended unexpectedly", task.get_name(), exc_info=error)


async def _sleep_until(moment: int) -> None:
    await asyncio.sleep(max(0, moment - now()) / NANOSECONDS)
