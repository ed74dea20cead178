"""Whether the account's history shows what was sent, learnt from how it shows this program's own predictions.

It decides whether requests may leave side by side. Two lost replies can be told apart where the history shows prompt
and files of each; where it does not, the surest way is that no second request is under way while one is.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from blocks.errors import ServiceError
from blocks.wavespeed import Prediction
from tasks.paying.likeness import Likeness, likeness

# A history that shows none of our predictions by then does not keep them, or is very late: it counts as silent.
MOST_LOOKS = 5


@dataclass
class HistoryEcho:
    """By model, for one run. What is not known yet counts as silent, which is slower and always safe.

    ``newest`` gives a model's newest predictions in the account's history, ``bodies_sent`` the requests that became
    those of the given ids, as far as the ledger knows them.
    """

    newest: Callable[[str], Awaitable[Sequence[Prediction]]]
    bodies_sent: Callable[[Sequence[str]], Awaitable[Mapping[str, dict[str, Any]]]]
    _shows: dict[str, bool] = field(default_factory=dict)
    _looks: Counter[str] = field(default_factory=Counter)
    _looking: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def shows_inputs(self, model: str) -> bool:
        return self._shows.get(model, False)

    async def learn_from_earlier(self, model: str) -> None:
        """Before the first request of the model: what the history shows of earlier runs' predictions."""
        async with self._looking[model]:
            if not self._looks[model]:
                await self._look(model)

    async def learn_from_new(self, model: str) -> None:
        """After a request that was answered, unless it is known already."""
        async with self._looking[model]:
            if model not in self._shows and self._looks[model] < MOST_LOOKS:
                await self._look(model)

    async def _look(self, model: str) -> None:
        """Never fails: what is not learnt now counts as silent."""
        self._looks[model] += 1
        try:
            newest = await self.newest(model)
        except ServiceError:
            return  # whatever it is, the next call meets it as well and says it
        sent = await self.bodies_sent([item.id for item in newest])
        own = [likeness(sent[item.id], item.input) for item in newest if item.id in sent]
        if own:
            # All of them: one that is shown without its inputs would be anybody's.
            self._shows[model] = min(own) >= Likeness.FILES
