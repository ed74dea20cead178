"""Whether the account's history shows what was sent, learnt from how it shows this program's own predictions.

It decides whether requests may leave side by side. Two lost replies can be told apart where the history shows prompt
and files of each; where it does not, the surest way is that no second request is under way while one is.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blocks.errors import ServiceError
from tasks.likeness import Likeness, likeness

if TYPE_CHECKING:
    from tasks.workbench import Workbench  # which has one of these

# A history that shows none of our predictions by then does not keep them, or is very late: it counts as silent.
MOST_LOOKS = 5


@dataclass
class HistoryEcho:
    """By model, for one run. What is not known yet counts as silent, which is slower and always safe."""

    _shows: dict[str, bool] = field(default_factory=dict)
    _looks: Counter[str] = field(default_factory=Counter)

    def shows_inputs(self, model: str) -> bool:
        return self._shows.get(model, False)

    async def learn_from_earlier(self, bench: "Workbench", model: str) -> None:
        """Before the first request of the model: what the history shows of earlier runs' predictions."""
        async with bench.lock(f"echo {model}"):
            if not self._looks[model]:
                await self._look(bench, model)

    async def learn_from_new(self, bench: "Workbench", model: str) -> None:
        """After a request that was answered, unless it is known already."""
        async with bench.lock(f"echo {model}"):
            if model not in self._shows and self._looks[model] < MOST_LOOKS:
                await self._look(bench, model)

    async def _look(self, bench: "Workbench", model: str) -> None:
        """Never fails: what is not learnt now counts as silent."""
        self._looks[model] += 1
        try:
            newest = await bench.client.newest(model)
        except ServiceError:
            return  # whatever it is, the next call meets it as well and says it
        ids = [item.id for item in newest]
        sent = await bench.ask(bench.ledger.bodies_sent, bench.settings.service, ids)
        own = [likeness(sent[item.id], item.input) for item in newest if item.id in sent]
        if own:
            # All of them: one that is shown without its inputs would be anybody's.
            self._shows[model] = min(own) >= Likeness.FILES
