"""What the service itself asks for a plan's work, held against the price list. Asking is free."""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from blocks.errors import AccountRefused, FetchRefused, InvalidInput, MediaError, ServiceError
from blocks.money import dollars_text
from blocks.wavespeed import Quote
from tasks.briefs.brief import Campaign, ComposePart, EditPart, VideoPart
from tasks.briefs.inputs import Inputs, LoadedInput
from tasks.models import StageRequest
from tasks.planning.chain import Part
from tasks.planning.plan import Plan, PlannedStage
from tasks.planning.plan_reasons import Cause
from tasks.unit_prices import Place, ServicePrices, in_dollars, other_price

_Answer = TypeVar("_Answer")

# Clips are priced by their own seconds: a thousand of them would be a thousand questions, each with an upload.
MOST_QUESTIONS = 50


@dataclass(frozen=True)
class Question:
    """What a price is asked for: a request, with the fewest inputs with which it is valid."""

    model: str
    request: StageRequest
    inputs: tuple[LoadedInput, ...]

    def named(self) -> dict[str, Any]:
        """What the price goes by: everything but the prompt and the pictures."""
        parameters = {name: value for name, value in self.request.parameters().items() if name != "prompt"}
        clips = [item.sha256 for item in self.inputs if item.media_type.startswith("video/")]
        return {"model": self.model, "parameters": parameters, "clips": clips}


class Service(Protocol):
    """What answers."""

    async def price(self, question: Question) -> Quote: ...


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

    Raises AccountRefused, BudgetRefused where a price is in another currency; any other refusal to name a price is
    told in its place.
    """
    alike: dict[tuple[str, str | None, Decimal], list[PlannedStage]] = defaultdict(list)
    for stage in plan.to_pay:
        alike[stage.model, stage.resolution, stage.quantity].append(stage)
    parts = {(b.brief, part.request.stage): part for b in campaign.briefs for part in b.parts}
    groups = list(alike.values())
    prices = await _side_by_side(
        _ask(group, parts[group[0].brief, group[0].stage], inputs, service)
        for group in groups[:MOST_QUESTIONS]
    )
    return Quotes(tuple(prices), sum(map(len, groups[MOST_QUESTIONS:])))


@dataclass(frozen=True)
class PlanPrices:
    """What the service asks for a plan's work. ``notes`` tell where that is not what the price list has.

    ``asked`` are the models and resolutions that were answered; the oldest answer is ``age_seconds`` old.
    """

    prices: ServicePrices
    notes: tuple[str, ...] = ()
    asked: frozenset[Place] = frozenset()
    age_seconds: float = 0.0

    def cost(self, stages: Sequence[PlannedStage]) -> int:
        """The stages at the service's prices; at the list's where it named none, or where they were sent already."""
        total = 0
        for stage in stages:
            cost = self.prices.cost((stage.model, stage.resolution), stage.measured_quantity)
            total += stage.list_cost if cost is None or _is_under_way(stage) else cost
        return total


async def ask_unit_prices(
    plan: Plan, campaign: Campaign, inputs: Inputs, prices: ServicePrices, service: Service
) -> PlanPrices:
    """Asks once for each model and resolution that the plan would pay for, by its largest request; ``prices`` learn it.

    Raises AccountRefused, BudgetRefused where a price is in another currency. Where no price is named, the price list's
    counts, and whoever sends the first request asks once more.
    """
    alike: dict[Place, list[PlannedStage]] = defaultdict(list)
    for stage in plan.to_pay:
        if not _is_under_way(stage):
            alike[stage.model, stage.resolution].append(stage)
    parts = {(b.brief, part.request.stage): part for b in campaign.briefs for part in b.parts}
    largest = [max(group, key=lambda stage: stage.measured_quantity) for group in alike.values()]
    answers = await _side_by_side(
        _quote(stage, parts[stage.brief, stage.stage], inputs, service) for stage in largest
    )
    notes: list[str] = []
    asked: set[Place] = set()
    for stage, (quote, _) in zip(largest, answers, strict=True):
        if quote is None:
            continue
        place = stage.model, stage.resolution
        asked.add(place)
        prices.learn_quote(place, quote, stage.measured_quantity, stage.unit_price)
        notes += other_price(stage.model, quote, stage.list_cost)
    return PlanPrices(prices, tuple(dict.fromkeys(notes)), frozenset(asked))


def _is_under_way(stage: PlannedStage) -> bool:
    """Its price is that of the day on which it was sent."""
    return Cause.UNDER_WAY in stage.causes


async def _side_by_side(questions: Iterable[Coroutine[Any, Any, _Answer]]) -> list[_Answer]:
    """The answers in order. The first error ends the others, too."""
    tasks = [asyncio.ensure_future(question) for question in questions]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _quote(
    stage: PlannedStage, part: Part, inputs: Inputs, service: Service
) -> tuple[Quote | None, str | None]:
    """What the service asks, or why it named no price."""
    try:
        question = Question(stage.model, part.request, tuple(_stand_ins(part, inputs)))
        return in_dollars(await service.price(question)), None
    except AccountRefused:
        raise
    except (ServiceError, FetchRefused, InvalidInput, MediaError) as error:
        # What is wrong with an input ends its own brief, when that comes to be sent, and no other.
        return None, " ".join(str(error).split())


async def _ask(group: Sequence[PlannedStage], part: Part, inputs: Inputs, service: Service) -> QuotedPrice:
    stage = group[0]
    quote, problem = await _quote(stage, part, inputs, service)
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
