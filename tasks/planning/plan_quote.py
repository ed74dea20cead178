"""What the service itself asks for a plan's work, held against the price list. Asking is free."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from blocks.errors import InputNotFetched, NotFound, RequestRefused, Transient
from blocks.money import dollars_text
from blocks.wavespeed import Quote
from tasks.briefs.brief import Campaign, ComposePart, EditPart, VideoPart
from tasks.briefs.inputs import Inputs, LoadedInput
from tasks.planning.chain import Part
from tasks.planning.plan import Plan, PlannedStage

# Clips are priced by their own seconds: a thousand of them would be a thousand questions, each with an upload.
MOST_QUESTIONS = 50


class Service(Protocol):
    """What answers; ``url_of`` gives an address at which the service can read an input."""

    async def url_of(self, item: LoadedInput) -> str: ...

    async def price(self, model_id: str, inputs: Mapping[str, Any]) -> Quote: ...


@dataclass(frozen=True)
class QuotedPrice:
    """One distinct priced request, for one stage of it. Amounts in millionths; ``service`` is None where none came.

    ``service`` is what one pays, ``service_list`` the same before the account's discount.
    """

    model: str
    resolution: str | None
    quantity: Decimal
    unit: str
    stages: int
    listed: int
    service: int | None
    service_list: int | None
    problem: str | None = None

    @property
    def difference(self) -> int:
        return 0 if self.service is None else self.service - self.listed

    @property
    def what(self) -> str:
        units = f"{self.quantity.normalize():f} {self.unit}{'' if self.quantity == 1 else 's'}"
        return f"{self.model}, {units}" + (f" in {self.resolution}" if self.resolution else "")

    def sentence(self) -> str:
        if self.service is None:
            return f"{self.what}: the service gave no price ({self.problem})"
        before = ""
        if self.service_list is not None and self.service_list != self.service:
            before = f", ${dollars_text(self.service_list)} before its discount"
        if self.difference:
            return (
                f"{self.what}: the price list says ${dollars_text(self.listed)}, the service says "
                f"${dollars_text(self.service)}{before}"
            )
        return f"{self.what}: ${dollars_text(self.listed)}, the service agrees"

    def document(self) -> dict[str, Any]:
        known = self.service is not None
        return {
            "model": self.model,
            "resolution": self.resolution,
            "quantity": format(self.quantity, "f"),
            "unit": self.unit,
            "stages": self.stages,
            "price_list_usd": dollars_text(self.listed),
            "service_usd": None if self.service is None else dollars_text(self.service),
            "service_before_discount_usd": (
                None if self.service_list is None else dollars_text(self.service_list)
            ),
            "difference_usd": dollars_text(self.difference) if known else None,
            "problem": self.problem,
        }


@dataclass(frozen=True)
class Quotes:
    """``unasked`` are stages whose price was not asked for, there being too many different ones."""

    prices: tuple[QuotedPrice, ...]
    unasked: int

    @property
    def cost(self) -> int:
        """The plan's cost with the service's prices where it gave any, in millionths."""
        return sum(price.stages * (price.listed + price.difference) for price in self.prices)

    @property
    def differing(self) -> tuple[QuotedPrice, ...]:
        return tuple(price for price in self.prices if price.difference)

    @property
    def unanswered(self) -> bool:
        """Prices were asked for, and the service named none."""
        return bool(self.prices) and all(price.service is None for price in self.prices)

    def document(self, plan: Plan) -> dict[str, Any]:
        asked = sum(price.stages * price.listed for price in self.prices)
        return {
            "prices": [price.document() for price in self.prices],
            "unasked_stages": self.unasked,
            "cost_usd": dollars_text(self.cost + plan.cost - asked),
        }


async def ask_prices(plan: Plan, campaign: Campaign, inputs: Inputs, service: Service) -> Quotes:
    """Asks once for each model, resolution and quantity that the plan would pay for.

    Raises AccountRefused; any other refusal to name a price is told in its place.
    """
    alike: dict[tuple[str, str | None, Decimal], list[PlannedStage]] = defaultdict(list)
    for stage in plan.to_pay:
        alike[stage.model, stage.resolution, stage.quantity].append(stage)
    parts = {(b.brief, part.request.stage): part for b in campaign.briefs for part in b.parts}
    groups = list(alike.values())
    prices = [
        await _ask(group, parts[group[0].brief, group[0].stage], inputs, service)
        for group in groups[:MOST_QUESTIONS]
    ]
    return Quotes(tuple(prices), sum(map(len, groups[MOST_QUESTIONS:])))


async def _ask(group: Sequence[PlannedStage], part: Part, inputs: Inputs, service: Service) -> QuotedPrice:
    stage = group[0]
    quote, problem = None, None
    try:
        urls = [await service.url_of(item) for item in _stand_ins(part, inputs)]
        quote = await service.price(stage.model, part.request.body(urls))
    except (Transient, NotFound, RequestRefused, InputNotFetched) as error:
        problem = " ".join(str(error).split())
    return QuotedPrice(
        model=stage.model,
        resolution=stage.resolution,
        quantity=stage.quantity,
        unit=stage.unit,
        stages=len(group),
        listed=stage.list_cost,
        service=None if quote is None else quote.discounted_price,
        service_list=None if quote is None else quote.price,
        problem=problem,
    )


def _stand_ins(part: Part, inputs: Inputs) -> list[LoadedInput]:
    """The fewest inputs with which the request is valid: the price goes by the clip, and by no picture."""
    if isinstance(part, VideoPart):
        return [inputs[part.clip]]
    if isinstance(part, EditPart):
        return [inputs[part.image]]
    assert isinstance(part, ComposePart)  # there are no other parts
    named = part.images or [s for s, item in inputs.items() if not item.media_type.startswith("video/")]
    return [inputs[named[0]]]
