"""What goes into each stage of a brief: the pictures of the stage before, then those that the CSV names."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from blocks.media import ClipFacts
from blocks.prices import PriceBook
from tasks.briefs.brief import Brief, ComposePart, EditPart, VideoPart
from tasks.briefs.inputs import Inputs
from tasks.identity import generation_key
from tasks.models import StageRequest
from tasks.unit_prices import Rounding
from tasks.work import StageWork, WorkInput

Part = EditPart | ComposePart | VideoPart


def inputs_of(part: Part, inputs: Inputs, carried: Sequence[WorkInput] = ()) -> tuple[WorkInput, ...]:
    """In the order in which the model is given them; ``carried`` are the pictures of the stage before that fit."""
    if isinstance(part, EditPart):
        return (_named(inputs, part.image, "image"),)
    named = tuple(_named(inputs, source, "images") for source in part.images)
    if isinstance(part, ComposePart):
        return (*carried, *named)
    return (_named(inputs, part.clip, "video"), *carried, *named)


def seconds_of(part: Part, inputs: Inputs) -> Decimal | None:
    """The duration of the clip that a video edit is billed for; None for pictures."""
    if not isinstance(part, VideoPart):
        return None
    facts = inputs[part.clip].facts
    assert isinstance(facts, ClipFacts)  # the inputs were checked against the columns that name them
    return facts.duration_seconds


@dataclass(frozen=True)
class BilledQuantities:
    """Pictures, or seconds: as the account is billed them, at most, and before any rounding up."""

    quantity: Decimal
    at_most: Decimal
    measured: Decimal


def billed_quantities(
    request: StageRequest, seconds: Decimal | None, rounding: Rounding | None
) -> BilledQuantities:
    """By what settled bills have shown; until one has, exact, and rounded up at most."""
    measured, most = request.quantity_for(seconds), request.quantity_upper_bound_for(seconds)
    match rounding:
        case None:
            return BilledQuantities(measured, most, measured)
        case Rounding.EXACT:
            return BilledQuantities(measured, measured, measured)
        case Rounding.UP:
            return BilledQuantities(most, most, measured)


def key_of(service: str, request: StageRequest, sent: Sequence[WorkInput], take: int) -> str:
    return generation_key(
        service, request.model_id, request.parameters(), [item.sha256 for item in sent], take
    )


def work_of(
    service: str,
    brief: Brief,
    part: Part,
    inputs: Inputs,
    carried: Sequence[WorkInput],
    prices: PriceBook,
    reason: str,
    rounding: Rounding | None = None,
) -> StageWork:
    """The stage as the tasks take it, once every input is known. ``rounding``: how seconds are known to be billed."""
    request = part.request
    sent = inputs_of(part, inputs, carried)
    seconds = seconds_of(part, inputs)
    billed = billed_quantities(request, seconds, rounding)
    return StageWork(
        brief=brief.brief,
        stage=request.stage.value,
        model=request.model_id,
        key=key_of(service, request, sent, brief.take),
        parameters=request.parameters(),
        inputs=sent,
        take=brief.take,
        quantity=billed.quantity,
        measured=billed.measured,
        unit=request.unit,
        resolution=request.price_resolution,
        output_format=None if isinstance(part, VideoPart) else part.request.output_format,
        expected_outputs=1 if isinstance(part, VideoPart) else part.request.num_images,
        unit_price=prices.unit_price(request.model_id, request.price_resolution),
        estimated=prices.cost(request.model_id, request.price_resolution, billed.quantity),
        worst_case=prices.cost(request.model_id, request.price_resolution, billed.at_most),
        reason=reason,
    )


def _named(inputs: Inputs, source: str, role: str) -> WorkInput:
    return WorkInput.model_validate({"role": role, "sha256": inputs[source].sha256, "source": source})
