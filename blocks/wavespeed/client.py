"""The WaveSpeed client: every call that a campaign needs, and what each failure of it means for money."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import anyio
import httpx
from pydantic import SecretStr, ValidationError

from blocks.errors import NotFound, RequestRefused, Unavailable
from blocks.money import to_millionths
from blocks.remote import RemoteFiles
from blocks.wavespeed.answers import BillingEntry, Quote, Upload
from blocks.wavespeed.billings import search_billings
from blocks.wavespeed.clock_skew import ClockSkew
from blocks.wavespeed.connection import Connection
from blocks.wavespeed.envelope import Answer, one_line
from blocks.wavespeed.error_mapping import (
    BAD_PARAMETER,
    error_of_submit,
    nothing_was_sent,
    outcome_unknown,
    said,
    shows_taken_on,
    unreachable,
)
from blocks.wavespeed.history import HistoryPage, HistoryReading, read_page, read_whole
from blocks.wavespeed.prediction import Prediction, usable_id
from blocks.wavespeed.uploads import Uploader
from blocks.wavespeed.usage import Usage, read_usage

LARGEST_PAGE = 100
# 20,000 predictions; an account has that many in seven days only where this is the wrong tool to search it
# with.
_MOST_PAGES = 200
_REFUSES_A_PARAMETER = frozenset({400, 422, *BAD_PARAMETER})


class WaveSpeedClient:
    """The account's client; use it as ``async with WaveSpeedClient(key, url) as client``.

    ``request_timeout`` bounds a whole exchange in seconds, uploads aside. Calls that are safe to repeat are
    tried ``max_tries`` times with back-off, or as late as the service asks, ``patience_seconds`` in all;
    ``submit`` is sent once. Every call raises ServiceErrors
    (blocks.errors). The key goes to the origin of ``base_url`` only; construction raises InvalidInput where
    it must not go there. ``allow_private`` lets upload tickets name hosts in private networks.
    ``transport`` replaces the network.
    """

    def __init__(
        self,
        api_key: SecretStr,
        base_url: str,
        *,
        request_timeout: float = 60,
        max_tries: int = 4,
        patience_seconds: float = 900,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        allow_private: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._connection = Connection(
            api_key,
            base_url,
            request_timeout=request_timeout,
            max_tries=max_tries,
            patience_seconds=patience_seconds,
            sleep=sleep,
            transport=transport,
        )
        self._remote = RemoteFiles(
            self._connection.base_url, allow_private=allow_private, transport=transport
        )
        self._uploader = Uploader(self._connection, self._remote)
        self._asks_for_inputs = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._remote.aclose()
        await self._connection.aclose()

    @property
    def simulated(self) -> bool:
        """Whether any answer so far carried the header X-Simulated."""
        return self._connection.simulated or self._remote.simulated

    @property
    def clock(self) -> ClockSkew:
        """How far the service's clock is from ours, as the answers so far allow."""
        return self._connection.clock

    @property
    def requests_sent(self) -> Counter[str]:
        """Requests by call: submit, result, history, upload_ticket, upload_put …, repeats counted."""
        return self._connection.requests_sent

    async def submit(
        self,
        model_id: str,
        body: Mapping[str, Any],
        *,
        seconds: float | None = None,
        before_sending: Callable[[], Awaitable[None]] | None = None,
    ) -> Prediction:
        """Ask for one prediction; the request is sent at most once.

        ``seconds`` shortens the request timeout. ``before_sending`` is called at the last moment at which the request
        can still be kept back, and does so by raising an error.

        Raises RateLimited, AccountRefused, RequestRefused, Moderated, InputNotFetched (the service says that
        it created nothing), Unreachable (certainly not sent), AcceptedWithoutId (it exists), and OutcomeUnknown
        for everything else: it may exist and be billed.
        """
        connection = self._connection
        try:
            answer = await connection.once(
                "submit",
                "POST",
                quote(model_id, safe="/"),
                seconds=seconds,
                before_sending=before_sending,
                json=dict(body),
            )
        except (httpx.RequestError, TimeoutError) as error:
            if nothing_was_sent(error):
                raise unreachable(connection.host, error) from error
            raise outcome_unknown(said(error)) from error
        prediction = self._prediction(answer.data)
        if prediction is None or (answer.status >= 300 and not shows_taken_on(answer)):
            refusal = error_of_submit(answer)
            refusal.prediction_id = None if prediction is None else prediction.id
            raise refusal
        # An id is worth more than any other number of the answer: the result call says what became of it.
        return prediction

    async def result(self, prediction_id: str) -> Prediction:
        """Return the prediction's state. Raises NotFound where the service does not know it (any more)."""
        if not usable_id(prediction_id):
            raise NotFound("No prediction can have this id.", prediction_id=prediction_id)
        path = f"predictions/{quote(prediction_id, safe='')}/result"

        def is_it(answer: Answer) -> bool:
            # A failed prediction's own code may mark the whole answer as failed.
            found = self._prediction(answer.data)
            return found is not None and found.id == prediction_id and (answer.status < 300 or found.ended)

        prediction = self._prediction(await self._connection.ask("result", "GET", path, accept=is_it))
        if prediction is None or prediction.id != prediction_id:
            raise Unavailable(
                f"The service answered the question for prediction {prediction_id} with something else. "
                "Try again later.",
                prediction_id=prediction_id,
            )
        return prediction

    async def history(
        self,
        *,
        page: int = 1,
        page_size: int = LARGEST_PAGE,
        model: str | None = None,
        status: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> list[Prediction]:
        """Return one page of the last seven days' predictions, newest first, as the service filters them.

        What was sent is asked for with each of them, until a service refuses that question and answers without.
        """
        search: dict[str, Any] = {"page": page, "page_size": page_size}
        if model is not None:
            search["model"] = model
        if status is not None:
            search["status"] = status
        if created_after is not None:
            search["created_after"] = _moment_text(created_after)
        if created_before is not None:
            search["created_before"] = _moment_text(created_before)
        return list((await self._history_page(search)).predictions)

    async def newest(self, model: str, count: int = 20) -> list[Prediction]:
        """Return the newest predictions of a model that the history shows, 100 at most."""
        return await self.history(page_size=min(count, LARGEST_PAGE), model=model)

    async def read_history(self, since: datetime) -> HistoryReading:
        """Return everything that the history shows from the moment on, of every model, newest first.

        The service is not asked to filter: what its filters hide, by another clock or another name of a model, would
        be missing without a word. Raises Unavailable where the history cannot be read, and understood, whole.
        """
        return await read_whole(
            lambda page: self._history_page({"page": page, "page_size": LARGEST_PAGE}),
            since,
            most_pages=_MOST_PAGES,
        )

    async def _history_page(self, search: Mapping[str, Any]) -> HistoryPage:
        return read_page(await self._history_answer(search), self._prediction)

    async def _history_answer(self, search: Mapping[str, Any]) -> Any:
        if not self._asks_for_inputs:
            return await self._connection.ask("history", "POST", "predictions", json=dict(search))
        try:
            wanted = {**search, "include_inputs": True}
            return await self._connection.ask("history", "POST", "predictions", json=wanted)
        except RequestRefused as refused:
            if not _REFUSES_A_PARAMETER & {refused.status, refused.code}:
                raise
            data = await self._connection.ask("history", "POST", "predictions", json=dict(search))
        # Only now is it known that the question was what the service refused.
        self._asks_for_inputs = False
        return data

    async def balance(self) -> int:
        """Return the account's credit in millionths of a dollar."""
        data = await self._connection.ask("balance", "GET", "balance")
        return _dollars(data.get("balance") if isinstance(data, dict) else data, "balance")

    async def price(self, model_id: str, inputs: Mapping[str, Any]) -> Quote:
        """Return what the service would take for this request; asking is free."""
        data = await self._connection.ask(
            "price", "POST", "model/price", json={"model_id": model_id, "inputs": dict(inputs)}
        )
        if not isinstance(data, dict):
            raise Unavailable("The service's price has an unknown shape. Try again later.")
        price = _dollars(data.get("price"), "price")
        discounted = data.get("discounted_price")
        rate = data.get("discount_rate")
        return Quote(
            model_id=model_id,
            price=price,
            discounted_price=price if discounted is None else _dollars(discounted, "price"),
            discount_rate=Decimal(rate) if isinstance(rate, int | Decimal) else None,
            currency=one_line(str(data.get("currency") or "USD")).strip().upper(),
        )

    async def billings(
        self,
        prediction_ids: Sequence[str] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        expected: Mapping[str, int] | None = None,
    ) -> list[BillingEntry]:
        """Return the account's bill, of these predictions or of a time.

        ``expected`` gives prices by prediction id in millionths, by which the unit of the amounts is told.
        """
        return await search_billings(
            self._connection,
            tuple(prediction_ids),
            start=None if start is None else _moment_text(start),
            end=None if end is None else _moment_text(end),
            expected=expected or {},
        )

    async def usage(self, start: datetime, end: datetime) -> Usage:
        """Return the account's own sum of what it used between two moments, 31 days apart at most."""
        return await read_usage(self._connection, start=_moment_text(start), end=_moment_text(end))

    async def delete(self, prediction_ids: Sequence[str]) -> int:
        """Remove predictions from the account's history; how many the service removed."""
        data = await self._connection.ask(
            "delete", "POST", "predictions/delete", json={"ids": list(prediction_ids)}
        )
        count = data.get("deleted_count") if isinstance(data, dict) else None
        return count if isinstance(count, int) else 0

    async def models(self) -> list[dict[str, Any]]:
        """Return the service's catalogue, with the JSON schema of each model's inputs."""
        data = await self._connection.ask("models", "GET", "models")
        items = data.get("items", data.get("models")) if isinstance(data, dict) else data
        if not isinstance(items, list):
            raise Unavailable("The service's catalogue has an unknown shape. Try again later.")
        return [item for item in items if isinstance(item, dict)]

    async def upload(self, content: bytes | Path, *, filename: str, media_type: str) -> Upload:
        """Hand an input to the service; safe to repeat. A path is read while it is sent.

        Raises FetchRefused where the upload ticket names a host that must not be followed.
        """
        return await self._uploader.upload(content, filename=filename, media_type=media_type)

    def _prediction(self, data: object) -> Prediction | None:
        if not isinstance(data, dict):
            return None
        try:
            prediction = Prediction.model_validate(data)
        except ValidationError:
            return None
        text = one_line(prediction.error, secret=self._connection.key)
        return prediction.model_copy(update={"error": text})


def _moment_text(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _dollars(value: object, what: str) -> int:
    unusable = Unavailable(f"The service's {what} is not an amount in dollars. Try again later.")
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise unusable
    try:
        return to_millionths(value)
    except ValueError as error:
        raise unusable from error
