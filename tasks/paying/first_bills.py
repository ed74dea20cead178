"""Under a cap, the first bill comes before the many: a service that bills more than it quotes is found out by one."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from blocks.errors import CampaignError
from blocks.ledger import AttemptRow
from tasks.paying.settlement import Settlement
from tasks.stopping import StopSignal
from tasks.unit_prices import Place, ServicePrices

_GROWTH = 1.5
_LONGEST_PAUSE_SECONDS = 5.0


class Probe:
    """The one request of its model and resolution whose bill all others wait for."""

    def __init__(self, watch: Callable[["Probe", AttemptRow], None]) -> None:
        self._watch = watch
        self.attempt: AttemptRow | None = None
        self.ended = asyncio.Event()
        self.over = asyncio.Event()

    def sent(self, attempt: AttemptRow) -> None:
        """It has its prediction: most accounts are charged at that moment, long before the pictures are there."""
        self.attempt = attempt
        self._watch(self, attempt)


class FirstBills:
    """Lets one request of each model and resolution go first until its bill is read, and then all.

    Nobody waits where no cap counts (``capped``), or where a bill is known. Where the bill shows nothing until
    ``patience_seconds`` after the prediction has ended, all go as well, and a note says so.
    """

    def __init__(
        self,
        settlement: Settlement,
        prices: ServicePrices,
        stop: StopSignal,
        *,
        capped: bool,
        pause_seconds: float,
        patience_seconds: float,
        note: Callable[[str], None],
    ) -> None:
        self._settlement = settlement
        self._prices = prices
        self._stop = stop
        self._capped = capped
        self._pause_seconds = pause_seconds
        self._patience_seconds = patience_seconds
        self._note = note
        self._probes: dict[Place, Probe] = {}
        self._given_up: set[Place] = set()
        self._watches: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def turn(self, place: Place) -> AsyncIterator[Probe | None]:
        """Waits while another is the first; yields the probe where this one is it.

        To be held from before the request until its prediction has ended.
        """
        while self._waits_for_bill(place) and (other := self._probes.get(place)) is not None:
            await other.over.wait()
            self._stop.check()
        if not self._waits_for_bill(place):
            yield None
            return
        probe = self._probes[place] = Probe(lambda probe, attempt: self._begin(place, probe, attempt))
        try:
            yield probe
        except BaseException:
            # Refused, failed, or stopped: it may never be billed, and the next one is the first.
            self._end(place, probe)
            raise
        finally:
            probe.ended.set()
            if probe.attempt is None:
                self._end(place, probe)

    async def close(self) -> None:
        """Ends what still watches for a bill."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)

    def _waits_for_bill(self, place: Place) -> bool:
        return self._capped and place not in self._given_up and not self._prices.has_bill(place)

    def _begin(self, place: Place, probe: Probe, attempt: AttemptRow) -> None:
        watch = asyncio.create_task(self._watch(place, probe, attempt))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def _watch(self, place: Place, probe: Probe, attempt: AttemptRow) -> None:
        pause, ends = self._pause_seconds, None
        try:
            while not probe.over.is_set():
                await self._settlement.bill_of(attempt)
                if self._prices.has_bill(place):
                    return
                if ends is None and probe.ended.is_set():
                    ends = time.monotonic() + self._patience_seconds
                if ends is not None and time.monotonic() >= ends:
                    self._give_up(place)
                    return
                await _set_within(probe.over if ends is not None else probe.ended, pause)
                pause = min(pause * _GROWTH, _LONGEST_PAUSE_SECONDS)
        except CampaignError:
            self._give_up(place)  # the ledger cannot be written: whoever is next is told so at once
        finally:
            self._end(place, probe)

    def _give_up(self, place: Place) -> None:
        self._given_up.add(place)
        model, resolution = place
        what = f"{model} in {resolution}" if resolution else model
        self._note(
            f"{what}: the account's bill does not show yet what one costs; the budget goes by the price that the "
            "service named, and by the bill as soon as there is one"
        )

    def _end(self, place: Place, probe: Probe) -> None:
        probe.over.set()
        if self._probes.get(place) is probe:
            del self._probes[place]


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
