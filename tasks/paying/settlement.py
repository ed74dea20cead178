"""What each prediction really cost: read from the account's billing record when it has ended.

The service's own books decide. Where they show nothing yet, a prediction is booked at its price and looked up once more
when the run ends.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from blocks.errors import ServiceError
from blocks.ledger import AsyncLedger, AttemptRow, asked_for
from blocks.ledger import Settlement as Settled
from blocks.wavespeed import BillingEntry, WaveSpeedClient
from tasks.unit_prices import Place, ServicePrices


class Settlement:
    """Asks about many predictions at once. ``show_spent`` is told the run's total so far, in millionths.

    ``prices`` learn from every bill that is read; what the run holds for requests under way is raised by it.
    """

    def __init__(
        self,
        client: WaveSpeedClient,
        ledger: AsyncLedger,
        run_id: str,
        *,
        pause_seconds: float,
        show_spent: Callable[[int], None],
        prices: ServicePrices | None = None,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._run_id = run_id
        self._pause_seconds = pause_seconds
        self._show_spent = show_spent
        self._prices = prices if prices is not None else ServicePrices()
        # In millionths, by prediction: one that is asked about twice is not spent twice.
        self._booked: dict[str, int] = {}
        self._total = 0
        self._asked: dict[str, tuple[AttemptRow, asyncio.Future[Settled | None]]] = {}
        self._batch: asyncio.Task[None] | None = None
        self._guessed: dict[str, tuple[AttemptRow, Settled]] = {}
        self.unavailable: str | None = None

    async def cost_of(self, attempt: AttemptRow) -> Settled:
        """What the billing record says of the attempt's prediction, else its price."""
        settled = await self.bill_of(attempt)
        if settled is None:
            settled = _best_guess(attempt)
            self._guessed[str(attempt.prediction_id)] = attempt, settled
        self._book(attempt, settled)
        return settled

    async def bill_of(self, attempt: AttemptRow) -> Settled | None:
        """What the billing record says of the attempt's prediction so far; None where it shows nothing (yet)."""
        assert attempt.prediction_id is not None  # only what was submitted is billed
        prediction_id = attempt.prediction_id
        if prediction_id not in self._asked:
            self._asked[prediction_id] = attempt, asyncio.get_running_loop().create_future()
        _, answer = self._asked[prediction_id]
        if self._batch is None or self._batch.done():
            self._batch = asyncio.create_task(self._ask_soon())
        # Shielded: whoever gives up waiting must not take the answer from others who ask the same.
        return await asyncio.shield(answer)

    def look_again_at(self, attempts: Sequence[AttemptRow]) -> None:
        """What a run that died had booked: nobody knows whether from the bill or at its price."""
        for attempt in attempts:
            if attempt.prediction_id is not None and attempt.charged is not None:
                booked = _best_guess(attempt)
                self._book(attempt, booked)
                self._guessed[attempt.prediction_id] = attempt, booked

    def spent_on(self, prediction_id: str) -> int:
        """What this run has spent on one prediction so far, in millionths, refunds taken off."""
        return self._booked.get(prediction_id, 0)

    async def finish(self) -> None:
        """Looks once more for what was booked at its price, and corrects the amount where it was another."""
        await self._correct()
        self._guessed.clear()

    async def _correct(self) -> None:
        if not self._guessed:
            return
        entries = await self._entries([attempt for attempt, _ in self._guessed.values()])
        for prediction_id, (attempt, guess) in list(self._guessed.items()):
            settled = settled_by(prediction_id, entries)
            # An amount that was right all along is known to be the bill's from now on.
            if settled is not None and (settled != guess or not guess.billed):
                await self._ledger.call(
                    self._ledger.ledger.settle,
                    attempt.id,
                    charged=settled.charged,
                    refunded=settled.refunded,
                    billed=True,
                    run_id=self._run_id,
                )
                self._book(attempt, settled)

    async def _ask_soon(self) -> None:
        while self._asked:
            # Others end in the meantime: one call serves them all.
            await asyncio.sleep(self._pause_seconds)
            asked, self._asked = self._asked, {}
            try:
                attempts = [attempt for attempt, _ in asked.values()]
                entries = await self._entries(attempts)
                # Before anybody books them: until then the run holds what they are known to cost.
                await self._learn(attempts, entries)
            except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must not wait for ever
                for _, answer in asked.values():
                    answer.set_exception(error)
                    answer.exception()  # nobody may be waiting any more, and that is fine
                continue
            for prediction_id, (_, answer) in asked.items():
                answer.set_result(settled_by(prediction_id, entries))

    async def _learn(self, attempts: Sequence[AttemptRow], entries: Sequence[BillingEntry]) -> None:
        dearer: set[Place] = set()
        for attempt in attempts:
            settled = settled_by(str(attempt.prediction_id), entries)
            place, quantity = asked_for(attempt.model, attempt.body, attempt.quantity)
            if settled is None or quantity is None:
                continue
            self._prices.learn_bill(place, settled.charged, quantity)
            if settled.charged > attempt.reserved:
                dearer.add(place)
        for model, resolution in dearer:
            await self._ledger.call(
                self._ledger.ledger.hold_at_least,
                self._run_id,
                model,
                resolution,
                partial(self._prices.billed_at_least, (model, resolution)),
            )
        if dearer:
            # What was booked at its price was most likely billed more, too.
            await self._correct()

    async def _entries(self, attempts: Sequence[AttemptRow]) -> list[BillingEntry]:
        expected = {a.prediction_id: a.estimated for a in attempts if a.prediction_id is not None}
        try:
            return await self._client.billings(list(expected), expected=expected)
        except ServiceError as error:
            self.unavailable = str(error)
            return []

    def _book(self, attempt: AttemptRow, settled: Settled) -> None:
        # The first run to settle an attempt is the run it is charged in: what others had paid for is not spent here.
        if attempt.prediction_id is None or attempt.settled_run_id not in {None, self._run_id}:
            return
        cost = settled.charged - settled.refunded
        self._total += cost - self._booked.get(attempt.prediction_id, 0)
        self._booked[attempt.prediction_id] = cost
        self._show_spent(self._total)


def _best_guess(attempt: AttemptRow) -> Settled:
    """What was booked before, else the price."""
    if attempt.charged is None:
        return Settled(charged=attempt.estimated)
    return Settled(charged=attempt.charged, refunded=attempt.refunded, billed=attempt.billed_at is not None)


def settled_by(prediction_id: str, entries: Sequence[BillingEntry]) -> Settled | None:
    """What the billing record says about one prediction; None where it shows no charge yet."""
    mine = [entry for entry in entries if entry.prediction_id == prediction_id]
    charges = [entry.amount for entry in mine if entry.kind == "deduct"]
    refunded = sum(entry.amount for entry in mine if entry.kind == "refund")
    return Settled(charged=sum(charges), refunded=refunded, billed=True) if charges else None
