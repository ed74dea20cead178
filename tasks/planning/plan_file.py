"""A plan that is kept and applied later: what was approved, and what differs from it now."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blocks.errors import InvalidInput, StoreUnusable
from blocks.money import dollars_text, to_dollars, to_millionths
from blocks.prices import PriceBook
from tasks.briefs.brief import Campaign
from tasks.briefs.inputs import Inputs
from tasks.exports import visible, write_atomically
from tasks.models import Stage
from tasks.planning.plan import Action, Plan, PlannedStage

_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Dollars = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


_KIND: Literal["kling-campaigns plan"] = "kling-campaigns plan"
# Of a text that differs, so many characters are shown from shortly before its first difference.
_SHOWN_CHARACTERS = 60
_BEFORE_DIFFERENCE = 15


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ApprovedInput(_Document):
    source: str  # the path as the CSV has it, or the https URL
    sha256: _Sha256


class ApprovedPrices(_Document):
    """The price list that the plan was made with."""

    name: str
    dated: str
    sha256: _Sha256


class ApprovedStage(_Document):
    """``key`` names the work, where all of its inputs were there; amounts in US dollars."""

    brief: str
    stage: Literal["edit", "compose", "video"]
    model: str
    action: Action
    key: _Sha256 | None
    quantity: Decimal
    unit: Literal["image", "second"]
    unit_price_usd: _Dollars
    cost_usd: _Dollars
    cost_upper_bound_usd: _Dollars


class ApprovedPlan(_Document):
    """What ``campaign plan --save`` writes. Amounts are exact decimal strings in US dollars."""

    kind: Literal["kling-campaigns plan"] = _KIND
    version: Literal[1] = 1
    made_at: datetime
    campaign: str
    csv: str  # relative to the plan's own folder where it can be, so that both can be moved together
    csv_sha256: _Sha256
    rows: tuple[dict[str, str], ...]  # the cells that are not blank, by column, as they were read
    service: str  # `simulator`, or the API's origin
    inputs: tuple[ApprovedInput, ...]
    price_list: ApprovedPrices
    stages: tuple[ApprovedStage, ...]
    cost_usd: _Dollars
    cost_upper_bound_usd: _Dollars
    saved_usd: _Dollars

    @property
    def most(self) -> int:
        """The worst case that was approved, in millionths: no run of this plan spends more."""
        return to_millionths(self.cost_upper_bound_usd)

    def csv_path(self, plan_file: Path) -> Path:
        return plan_file.parent / self.csv


def approved_plan(
    plan: Plan, campaign: Campaign, inputs: Inputs, prices: PriceBook, service: str, file: Path
) -> ApprovedPlan:
    """The document for a plan that is to be kept at ``file``."""
    return ApprovedPlan(
        made_at=datetime.now(UTC),
        campaign=plan.campaign,
        csv=_from_there(campaign.path, file),
        csv_sha256=campaign.sha256,
        rows=tuple(_rows(campaign)),
        service=service,
        inputs=tuple(
            ApprovedInput(source=source, sha256=item.sha256) for source, item in sorted(inputs.items())
        ),
        price_list=ApprovedPrices(name=prices.name, dated=prices.dated, sha256=prices.sha256),
        stages=tuple(_approved_stage(stage) for stage in plan.stages),
        cost_usd=to_dollars(plan.cost),
        cost_upper_bound_usd=to_dollars(plan.cost_upper),
        saved_usd=to_dollars(plan.saved),
    )


def _approved_stage(stage: PlannedStage) -> ApprovedStage:
    return ApprovedStage.model_validate(
        {
            "brief": stage.brief,
            "stage": stage.stage.value,
            "model": stage.model,
            "action": stage.action,
            "key": stage.key,
            "quantity": stage.quantity,
            "unit": stage.unit,
            "unit_price_usd": to_dollars(stage.unit_price),
            "cost_usd": to_dollars(stage.cost),
            "cost_upper_bound_usd": to_dollars(stage.cost_upper),
        }
    )


def _from_there(csv: Path, file: Path) -> str:
    try:
        return Path(os.path.relpath(csv.absolute(), file.absolute().parent)).as_posix()
    except ValueError:  # another drive
        return csv.absolute().as_posix()


def refuse_another_file(file: Path) -> None:
    """Raise InvalidInput where ``file`` is there and no plan: a campaign or a picture must not be written over."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise InvalidInput(
            f"--save {file}: cannot be a plan ({error.strerror or error}); name a file of its own"
        ) from error
    if f'"{_KIND}"'.encode() not in content[:100]:
        raise InvalidInput(f"--save {file}: is there, and is no plan; name a file of its own")


def write_plan(approved: ApprovedPlan, file: Path) -> None:
    """Raises StoreUnusable where the file cannot be written."""
    try:
        write_atomically(file, approved.model_dump_json(indent=1).encode() + b"\n")
    except OSError as error:
        raise StoreUnusable(
            f"the plan cannot be written to {file} ({error.strerror or error}); name another file"
        ) from error


def read_plan(file: Path) -> ApprovedPlan:
    """Raises InvalidInput where the file is no plan that this version can apply."""
    again = "make it again with `campaign plan CSV --save FILE`"
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"--plan {file}: cannot be read ({error.strerror or error}); {again}") from error
    try:
        return ApprovedPlan.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        what = f"{place}: {first['msg']}" if place else first["msg"]
        raise InvalidInput(f"--plan {file}: is no plan of this version ({visible(what)}); {again}") from error


def differences(
    approved: ApprovedPlan, plan: Plan, campaign: Campaign, inputs: Inputs, service: str
) -> tuple[str, ...]:
    """Everything in which today's plan is not what was approved, one sentence each; none where it may be run.

    A plan that costs less than approved is no difference: what was made in the meantime is not paid for again.
    """
    return (
        *_other_service(approved, service),
        *_other_csv(approved, campaign),
        *_other_inputs(approved, inputs),
        *_other_prices(approved, plan),
        *_other_stages(approved, plan),
        *_more_money(approved, plan),
    )


def _other_service(approved: ApprovedPlan, service: str) -> Iterator[str]:
    if approved.service != service:
        names = [
            "the built-in simulator" if name == "simulator" else name for name in (approved.service, service)
        ]
        yield f"service: approved for {names[0]}, and this would run on {names[1]}"


def _rows(campaign: Campaign) -> Iterator[dict[str, str]]:
    """Each row once, whatever variants it makes."""
    seen: set[str] = set()
    for brief in campaign.briefs:
        if brief.written not in seen:
            seen.add(brief.written)
            yield {column: cell for column, cell in brief.row.items() if cell.strip()}


def _other_csv(approved: ApprovedPlan, campaign: Campaign) -> Iterator[str]:
    if approved.csv_sha256 == campaign.sha256:
        return
    changes = tuple(_other_rows(approved, campaign))
    form = (
        ""
        if changes
        else ", though every row says the same: their order, or the form of the file, is another"
    )
    yield (
        f"CSV: {campaign.path} is not the file that was approved "
        f"(sha256 {campaign.sha256[:12]}… instead of {approved.csv_sha256[:12]}…){form}"
    )
    yield from changes


def _other_rows(approved: ApprovedPlan, campaign: Campaign) -> Iterator[str]:
    """One sentence for each cell that differs, and for each row that came or went."""
    before = {row["brief"].strip(): row for row in approved.rows}
    for row in _rows(campaign):
        name = row["brief"].strip()
        was = before.pop(name, None)
        if was is None:
            yield f"row {name}: was not approved"
            continue
        for column in sorted(was.keys() | row.keys(), key=[*row, *was].index):
            old, new = was.get(column, ""), row.get(column, "")
            if old != new:
                yield f"row {name}: {visible(column)} was {_shown(old, new)}, and is {_shown(new, old)} now"
    for name in before:
        yield f"row {name}: was approved, and is gone"


def _shown(text: str, other: str) -> str:
    if not text:
        return "blank"
    same = next((at for at, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), len(other))
    start = max(0, same - _BEFORE_DIFFERENCE)
    part = text[start : start + _SHOWN_CHARACTERS]
    left_out = "…" if start else ""
    return f"“{left_out}{visible(part)}{'…' if start + len(part) < len(text) else ''}”"


def _other_inputs(approved: ApprovedPlan, inputs: Inputs) -> Iterator[str]:
    before = {item.source: item.sha256 for item in approved.inputs}
    now = {source: item.sha256 for source, item in inputs.items()}
    for source in sorted(before.keys() & now.keys()):
        if before[source] != now[source]:
            yield (
                f"input: {source} has other bytes than approved "
                f"(sha256 {now[source][:12]}… instead of {before[source][:12]}…)"
            )
    for source in sorted(now.keys() - before.keys()):
        yield f"input: {source} was not among the approved ones"
    for source in sorted(before.keys() - now.keys()):
        yield f"input: {source} was approved, and is not used any more"


_A = {"image": "an image", "second": "a second"}


def _other_prices(approved: ApprovedPlan, plan: Plan) -> Iterator[str]:
    """Each changed price once, with how many stages it concerns."""
    now = {(stage.brief, stage.stage.value): stage for stage in plan.stages}
    changed: dict[tuple[str, str | None, str, int, int], int] = {}
    for before in approved.stages:
        stage = now.get((before.brief, before.stage))
        price = to_millionths(before.unit_price_usd)
        if stage is not None and stage.unit_price != price:
            what = before.model, stage.resolution, before.unit, price, stage.unit_price
            changed[what] = changed.get(what, 0) + 1
    for (model, resolution, unit, before_price, price), count in changed.items():
        shown = f"{model} in {resolution}" if resolution else model
        yield (
            f"price: {shown} costs ${dollars_text(price)} {_A[unit]}, approved was ${dollars_text(before_price)} "
            f"({count} stage{'' if count == 1 else 's'})"
        )


def _other_stages(approved: ApprovedPlan, plan: Plan) -> Iterator[str]:
    before = {(stage.brief, Stage(stage.stage)): stage for stage in approved.stages}
    for stage in plan.stages:
        was = before.pop((stage.brief, stage.stage), None)
        if was is None:
            yield f"{stage.brief} {stage.stage}: is not in the approved plan"
        # A generated stage that costs more for its price alone is told with the prices.
        elif stage.cost and (not was.cost_usd or stage.quantity > was.quantity):
            approved_as = (
                f"${dollars_text(to_millionths(was.cost_usd))}" if was.cost_usd else f"{was.action}, at $0"
            )
            yield (
                f"{stage.brief} {stage.stage}: costs ${dollars_text(stage.cost)} now ({stage.reason}), approved was "
                f"{approved_as}"
            )
    for brief, name in before:
        yield f"{brief} {name}: was approved, and is not in the campaign any more"


def _more_money(approved: ApprovedPlan, plan: Plan) -> Iterator[str]:
    # What is collected again costs nothing more than was approved, and should the service not have it any more, the
    # run's budget, which is the approved worst case, still holds.
    worst_case = sum(stage.cost_upper for stage in plan.to_pay)
    for what, before, now in (
        ("cost", to_millionths(approved.cost_usd), plan.cost),
        ("worst case", approved.most, worst_case),
    ):
        if now > before:
            yield f"{what}: ${dollars_text(now)} now, approved was ${dollars_text(before)}"
