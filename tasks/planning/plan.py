"""The plan as data: for every brief and stage, what would be generated, what is there already, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from blocks.ledger import StoredGeneration
from blocks.money import dollars_text
from tasks.models import Stage
from tasks.planning.plan_reasons import Cause
from tasks.unit_prices import Rounding

Action = Literal["generate", "cached", "blocked"]


@dataclass(frozen=True)
class PlannedStage:
    """Amounts in millionths of a dollar. ``key`` is None while a picture that goes in is not made yet.

    ``causes`` are what ``reason`` says in words, and ``since_run`` is the run that it speaks of. ``equal_to`` is the
    brief of this campaign that has the same work first.

    ``collected``: it is paid for, and what the service still has is fetched again free of charge. ``at_risk``: it is
    there, but would be made anew should a picture that is collected again for it turn out to be gone.
    """

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
    resolution: str | None = None
    # A clip's billed seconds before any rounding up, where ``quantity`` are those that the account is billed.
    measured: Decimal | None = None
    causes: tuple[Cause, ...] = ()
    since_run: str | None = None
    equal_to: str | None = None
    collected: bool = False
    at_risk: bool = False

    @property
    def measured_quantity(self) -> Decimal:
        return self.quantity if self.measured is None else self.measured

    @property
    def to_pay(self) -> bool:
        return self.action == "generate" and not self.collected

    @property
    def cost(self) -> int:
        return self.list_cost if self.to_pay else 0

    @property
    def cost_upper(self) -> int:
        return self.list_cost_upper if self.action == "generate" or self.at_risk else 0

    @property
    def saved(self) -> int:
        return self.list_cost if self.action == "cached" else 0

    def document(self) -> dict[str, Any]:
        return {
            "brief": self.brief,
            "stage": self.stage.value,
            "model": self.model,
            "action": self.action,
            "reason": self.reason,
            "causes": [cause.value for cause in self.causes],
            "since_run": self.since_run,
            "quantity": format(self.quantity, "f"),
            "unit": self.unit,
            "cost_usd": dollars_text(self.cost),
            "cost_upper_bound_usd": dollars_text(self.cost_upper),
            "saved_usd": dollars_text(self.saved),
        }


@dataclass(frozen=True)
class Plan:
    """``found`` is what the ledger and the store have, by brief and stage: a run takes it from here, in bulk.

    ``paid_before`` is what runs that did not end have paid for of this work, in millionths: the run that ends accounts
    for it, beside what it spends itself.
    """

    campaign: str
    briefs: int
    stages: tuple[PlannedStage, ...]
    notes: tuple[str, ...]
    found: Mapping[tuple[str, Stage], StoredGeneration] = field(default_factory=dict)
    paid_before: int = 0
    # How the account is billed for fractions of a second, where its bills have shown it.
    rounding: Rounding | None = None

    @property
    def cost(self) -> int:
        return sum(stage.cost for stage in self.stages)

    @property
    def cost_upper(self) -> int:
        return sum(stage.cost_upper for stage in self.stages)

    @property
    def saved(self) -> int:
        return sum(stage.saved for stage in self.stages)

    @property
    def to_generate(self) -> tuple[PlannedStage, ...]:
        return tuple(stage for stage in self.stages if stage.action == "generate")

    @property
    def to_pay(self) -> tuple[PlannedStage, ...]:
        """Those of ``to_generate`` that cost money, should everything go as planned."""
        return tuple(stage for stage in self.stages if stage.to_pay)

    @property
    def to_make(self) -> tuple[PlannedStage, ...]:
        """Those of ``to_pay`` that the service has not taken on yet: they need their inputs' bytes."""
        return tuple(stage for stage in self.to_pay if Cause.UNDER_WAY not in stage.causes)

    @property
    def wholly_cached(self) -> bool:
        """Every stage is there already: a run of this plan has nothing to ask of the service."""
        return all((stage.brief, stage.stage) in self.found for stage in self.stages)

    def find(self, brief: str, stage: Stage) -> PlannedStage:
        return self._by_place[brief, stage]

    @cached_property
    def _by_place(self) -> dict[tuple[str, Stage], PlannedStage]:
        return {(stage.brief, stage.stage): stage for stage in self.stages}

    def document(self) -> dict[str, Any]:
        """The contract's JSON, and more: money as decimal strings."""
        return {
            "campaign": self.campaign,
            "briefs": self.briefs,
            "stages": [stage.document() for stage in self.stages],
            "cost_usd": dollars_text(self.cost),
            "cost_upper_bound_usd": dollars_text(self.cost_upper),
            "saved_usd": dollars_text(self.saved),
            "notes": list(self.notes),
        }
