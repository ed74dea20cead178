"""The plan: for every brief and stage, what would be generated, what is there already, and what it costs.

It asks the ledger and the asset store, never the service, and changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from blocks.assets import AssetStore
from blocks.ledger import Ledger, StoredGeneration
from blocks.money import dollars_text
from blocks.prices import PriceBook
from tasks.brief import Brief, Campaign, ComposePart, EditPart, VideoPart, references_of
from tasks.chain import Part, inputs_of, key_of, seconds_of
from tasks.identity import placeholder
from tasks.inputs import Inputs
from tasks.models import Stage
from tasks.work import WorkInput

Action = Literal["generate", "cached", "blocked"]


@dataclass(frozen=True)
class PlannedStage:
    """Amounts in millionths of a dollar. ``key`` is None while a picture that goes in is not made yet."""

    brief: str
    stage: Stage
    model: str
    action: Action
    reason: str
    quantity: Decimal
    unit: str
    unit_price: int
    list_cost: int
    list_cost_upper: int
    key: str | None

    @property
    def cost(self) -> int:
        return self.list_cost if self.action == "generate" else 0

    @property
    def cost_upper(self) -> int:
        return self.list_cost_upper if self.action == "generate" else 0

    @property
    def saved(self) -> int:
        return self.list_cost if self.action == "cached" else 0


@dataclass(frozen=True)
class Plan:
    campaign: str
    briefs: int
    stages: tuple[PlannedStage, ...]
    notes: tuple[str, ...]

    @property
    def cost(self) -> int:
        return sum(stage.cost for stage in self.stages)

    @property
    def cost_upper(self) -> int:
        return sum(stage.cost_upper for stage in self.stages)

    @property
    def saved(self) -> int:
        return sum(stage.saved for stage in self.stages)

    def find(self, brief: str, stage: Stage) -> PlannedStage:
        return self._by_place[brief, stage]

    @cached_property
    def _by_place(self) -> dict[tuple[str, Stage], PlannedStage]:
        return {(stage.brief, stage.stage): stage for stage in self.stages}

    def document(self) -> dict[str, Any]:
        """The contract's JSON: money as decimal strings."""
        return {
            "campaign": self.campaign,
            "briefs": self.briefs,
            "stages": [
                {
                    "brief": stage.brief,
                    "stage": stage.stage.value,
                    "model": stage.model,
                    "action": stage.action,
                    "reason": stage.reason,
                    "quantity": format(stage.quantity, "f"),
                    "unit": stage.unit,
                    "cost_usd": dollars_text(stage.cost),
                }
                for stage in self.stages
            ],
            "cost_usd": dollars_text(self.cost),
            "cost_upper_bound_usd": dollars_text(self.cost_upper),
            "saved_usd": dollars_text(self.saved),
            "notes": list(self.notes),
        }


@dataclass
class _Made:
    """What the stages planned so far leave for the ones after them, by brief."""

    pictures: dict[str, tuple[WorkInput, ...]] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(
        default_factory=dict
    )  # brief → the stage whose pictures are not there yet


class Planner:
    """Plans stage by stage, so that the ledger is asked once a stage for all briefs."""

    def __init__(
        self, service: str, inputs: Inputs, prices: PriceBook, ledger: Ledger | None, store: AssetStore
    ) -> None:
        self._service = service
        self._inputs = inputs
        self._prices = prices
        self._ledger = ledger
        self._store = store
        self._made = _Made()
        self._first_of: dict[str, str] = {}

    def plan(self, campaign: Campaign) -> Plan:
        planned: dict[tuple[str, Stage], PlannedStage] = {}
        for stage in Stage:
            parts = [
                (brief, part)
                for brief in campaign.briefs
                for part in brief.parts
                if part.request.stage is stage
            ]
            for entry in self._plan_stage(parts):
                planned[entry.brief, entry.stage] = entry
        in_order = tuple(
            planned[brief.brief, part.request.stage] for brief in campaign.briefs for part in brief.parts
        )
        return Plan(campaign.name, len(campaign.briefs), in_order, self._notes(campaign, in_order))

    def _plan_stage(self, parts: Sequence[tuple[Brief, Part]]) -> list[PlannedStage]:
        work = []
        for brief, part in parts:
            carried = self._carried(brief, part.request.stage)
            sent = inputs_of(part, self._inputs, carried)
            work.append((brief, part, key_of(self._service, part.request, sent, brief.take)))
        keys = [key for *_, key in work]
        stored = self._ledger.find_stored(keys) if self._ledger else {}
        held = self._ledger.find_held(keys) if self._ledger else {}
        entries = []
        for brief, part, key in work:
            action, reason = self._decide(brief, part, key, stored.get(key), held.get(key) is not None)
            entries.append(self._entry(brief, part, key, action, reason))
            if not isinstance(part, VideoPart):
                self._leave(brief, part, key, stored.get(key) if action == "cached" else None)
        return entries

    def _carried(self, brief: Brief, stage: Stage) -> tuple[WorkInput, ...]:
        count = references_of(brief).stages[stage].carried
        return self._made.pictures.get(brief.brief, ())[:count]

    def _decide(
        self,
        brief: Brief,
        part: Part,
        key: str,
        stored: StoredGeneration | None,
        held: bool,
    ) -> tuple[Action, str]:
        name, stage = brief.brief, part.request.stage
        if name in self._made.blocked:
            return "blocked", self._made.blocked[name]
        if held:
            reason = f"an earlier attempt of the {stage} stage is held for a person: see `campaign reconcile`"
            self._made.blocked[name] = reason
            return "blocked", reason
        references = references_of(brief).stages[stage]
        if len(self._carried(brief, stage)) < references.carried:
            reason = "the stage before made fewer pictures than this one needs"
            self._made.blocked[name] = reason
            return "blocked", reason
        if stored is not None and all(self._store.has(a.sha256, a.bytes) for a in stored.assets):
            if any(a.flagged_nsfw for a in stored.assets):
                self._made.blocked[name] = f"the service flagged a picture of the {stage} stage"
            return "cached", f"made in run {stored.stored_by_run}"
        first = self._first_of.setdefault(key, name)
        if first != name:
            return "cached", f"equal to brief {first}"
        if stored is not None:
            return "generate", "its picture or clip is missing from the asset store"
        if name in self._made.waiting and references.carried:
            return "generate", f"new; waits for the pictures of the {self._made.waiting[name]} stage"
        return "generate", "new"

    def _leave(
        self, brief: Brief, part: EditPart | ComposePart, key: str, stored: StoredGeneration | None
    ) -> None:
        name, stage = brief.brief, part.request.stage
        if stored is not None:
            shas = [asset.sha256 for asset in stored.assets]
            self._made.waiting.pop(name, None)
        else:
            shas = [placeholder(key, number) for number in range(1, part.request.num_images + 1)]
            self._made.waiting[name] = stage.value
        self._made.pictures[name] = tuple(
            WorkInput(role="images", sha256=sha, source=f"{name}/{stage}-{number}")
            for number, sha in enumerate(shas, start=1)
        )

    def _entry(self, brief: Brief, part: Part, key: str, action: Action, reason: str) -> PlannedStage:
        request = part.request
        seconds = seconds_of(part, self._inputs)
        quantity = request.quantity_for(seconds)
        model, resolution = request.model_id, request.price_resolution
        known = brief.brief not in self._made.waiting
        return PlannedStage(
            brief=brief.brief,
            stage=request.stage,
            model=model,
            action=action,
            reason=reason,
            quantity=quantity,
            unit=request.unit,
            unit_price=self._prices.unit_price(model, resolution),
            list_cost=self._prices.cost(model, resolution, quantity),
            list_cost_upper=self._prices.cost(model, resolution, request.quantity_upper_bound_for(seconds)),
            key=key if known else None,
        )

    def _notes(self, campaign: Campaign, stages: Sequence[PlannedStage]) -> tuple[str, ...]:
        notes = [f"{brief.brief}: {note}" for brief in campaign.briefs for note in references_of(brief).notes]
        notes += [note for brief in campaign.briefs for note in _skipped(brief)]
        notes += [
            f"{stage.brief}: {format(stage.quantity.normalize(), 'f')} billed seconds; "
            f"${dollars_text(stage.list_cost_upper)} should the service round them up"
            for stage in stages
            if stage.action == "generate" and stage.list_cost_upper > stage.list_cost
        ]
        return (*notes, *self._inputs.notes)


# What a stage is given when it is meant to run.
_MEDIA = {
    Stage.EDIT: ("edit_image",),
    Stage.COMPOSE: ("compose_images",),
    Stage.VIDEO: ("video", "video_images"),
}


def _skipped(brief: Brief) -> list[str]:
    """A blank prompt skips its stage, also where its pictures are named: most likely on purpose, so only a note."""
    present = {part.request.stage for part in brief.parts}
    return [
        f"{brief.brief}: {column} is given, but {stage}_prompt is blank: the {stage} stage is skipped"
        for stage, columns in _MEDIA.items()
        if stage not in present
        for column in columns
        if brief.row.get(column, "").strip()
    ]
