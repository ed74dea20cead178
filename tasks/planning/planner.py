"""Makes the plan: it asks the ledger and the asset store, never the service, and changes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from blocks.assets import AssetStore
from blocks.ledger import AttemptRow, Ledger, StoredGeneration
from blocks.prices import PriceBook
from tasks.briefs.brief import Brief, Campaign, ComposePart, EditPart, VideoPart, references_of
from tasks.briefs.inputs import Inputs
from tasks.identity import placeholder
from tasks.models import Stage
from tasks.planning.chain import Part, inputs_of, key_of, seconds_of
from tasks.planning.past_runs import latest_stages
from tasks.planning.plan import Action, Plan, PlannedStage
from tasks.planning.plan_notes import notes_of
from tasks.planning.plan_reasons import Asked, Cause, Why, why_generated
from tasks.work import WorkInput


@dataclass
class _Made:
    """What the stages planned so far leave for the ones after them, by brief."""

    pictures: dict[str, tuple[WorkInput, ...]] = field(default_factory=dict)
    blocked: dict[str, Why] = field(default_factory=dict)
    # The stage whose pictures are not there yet.
    waiting: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Known:
    """What the ledger has, by key."""

    stored: Mapping[str, StoredGeneration]
    held: Mapping[str, AttemptRow]
    begun: Mapping[str, AttemptRow]
    forgotten: frozenset[str]


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
        self._found: dict[tuple[str, Stage], StoredGeneration] = {}
        # Stages whose reason is to be read from the past runs, once it is clear for which that is worth it.
        self._asked: dict[tuple[str, Stage], Asked] = {}

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
        planned.update(self._explained(campaign, planned.values()))
        in_order = tuple(
            planned[brief.brief, part.request.stage] for brief in campaign.briefs for part in brief.parts
        )
        notes = notes_of(campaign, self._inputs, in_order)
        return Plan(campaign.name, len(campaign.briefs), in_order, notes, self._found)

    def _plan_stage(self, parts: Sequence[tuple[Brief, Part]]) -> list[PlannedStage]:
        work = []
        for brief, part in parts:
            carried = self._carried(brief, part.request.stage)
            sent = inputs_of(part, self._inputs, carried)
            work.append((brief, part, sent, key_of(self._service, part.request, sent, brief.take)))
        known = self._look_up([key for *_, key in work])
        entries = []
        for brief, part, sent, key in work:
            waiting = self._waiting_for(brief, part.request.stage)
            action, why = self._decide(brief, part, key, known)
            if why.causes == (Cause.NEW,):
                self._asked[brief.brief, part.request.stage] = Asked(
                    brief.brief, part.request, sent, brief.take, waiting
                )
            stored = known.stored.get(key) if why.causes == (Cause.CACHED,) else None
            if stored is not None:
                self._found[brief.brief, part.request.stage] = stored
            entries.append(self._entry(brief, part, key if waiting is None else None, action, why))
            if not isinstance(part, VideoPart):
                self._leave(brief, part, key, stored)
        return entries

    def _look_up(self, keys: Sequence[str]) -> _Known:
        if self._ledger is None:
            return _Known({}, {}, {}, frozenset())
        ledger = self._ledger
        return _Known(
            ledger.find_stored(keys),
            ledger.find_held(keys),
            ledger.find_begun(keys),
            ledger.find_forgotten(keys),
        )

    def _carried(self, brief: Brief, stage: Stage) -> tuple[WorkInput, ...]:
        count = references_of(brief).stages[stage].carried
        return self._made.pictures.get(brief.brief, ())[:count]

    def _waiting_for(self, brief: Brief, stage: Stage) -> str | None:
        return self._made.waiting.get(brief.brief) if references_of(brief).stages[stage].carried else None

    def _decide(self, brief: Brief, part: Part, key: str, known: _Known) -> tuple[Action, Why]:
        name, stage = brief.brief, part.request.stage
        if name in self._made.blocked:
            return "blocked", self._made.blocked[name]
        if key in known.held:
            text = f"an earlier attempt of the {stage} stage is held for a person: see `campaign reconcile`"
            return "blocked", self._block(name, Why(text, (Cause.HELD,)))
        references = references_of(brief).stages[stage]
        if len(self._carried(brief, stage)) < references.carried:
            text = "the stage before made fewer pictures than this one needs"
            return "blocked", self._block(name, Why(text, (Cause.SHORT,)))
        stored = known.stored.get(key)
        if stored is not None and all(self._store.has(a.sha256, a.bytes) for a in stored.assets):
            if any(a.flagged_nsfw for a in stored.assets):
                self._block(
                    name, Why(f"the service flagged a picture of the {stage} stage", (Cause.FLAGGED,))
                )
            return "cached", Why(f"made in run {stored.stored_by_run}", (Cause.CACHED,), stored.stored_by_run)
        first = self._first_of.setdefault(key, name)
        if first != name:
            return "cached", Why(f"equal to brief {first}", (Cause.EQUAL,), equal_to=first)
        if stored is not None:
            text = (
                "asset missing: its picture or clip is not in the asset store any more; collected again free of "
                "charge while the service still has it"
            )
            return "generate", Why(text, (Cause.MISSING,), stored.stored_by_run)
        if key in known.begun:
            run = known.begun[key].run_id
            text = f"under way since run {run}: collected, not sent again"
            return "generate", Why(text, (Cause.UNDER_WAY,), run)
        if key in known.forgotten:
            text = "forgotten: paid for once, and dropped by `campaign forget`"
            return "generate", Why(text, (Cause.FORGOTTEN,))
        return "generate", Why("new", (Cause.NEW,))

    def _block(self, brief: str, why: Why) -> Why:
        self._made.blocked[brief] = why
        return why

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

    def _entry(self, brief: Brief, part: Part, key: str | None, action: Action, why: Why) -> PlannedStage:
        request = part.request
        seconds = seconds_of(part, self._inputs)
        quantity = request.quantity_for(seconds)
        model, resolution = request.model_id, request.price_resolution
        return PlannedStage(
            brief=brief.brief,
            stage=request.stage,
            model=model,
            action=action,
            reason=why.text,
            quantity=quantity,
            unit=request.unit,
            unit_price=self._prices.unit_price(model, resolution),
            list_cost=self._prices.cost(model, resolution, quantity),
            list_cost_upper=self._prices.cost(model, resolution, request.quantity_upper_bound_for(seconds)),
            key=key,
            resolution=resolution,
            causes=why.causes,
            since_run=why.since_run,
            equal_to=why.equal_to,
        )

    def _explained(
        self, campaign: Campaign, planned: Iterable[PlannedStage]
    ) -> dict[tuple[str, Stage], PlannedStage]:
        """The new stages, with what changed since the last run that had them."""
        asked = self._asked
        past = (
            latest_stages(
                self._ledger,
                campaign=campaign.name,
                csv_path=str(campaign.path.absolute()),
                service=self._service,
                wanted=[(brief, stage.value) for brief, stage in asked],
            )
            if self._ledger is not None
            else {}
        )
        explained = {}
        for entry in planned:
            place = entry.brief, entry.stage
            if place in asked:
                why = why_generated(asked[place], past.get((entry.brief, entry.stage.value)))
                explained[place] = replace(entry, reason=why.text, causes=why.causes, since_run=why.since_run)
        return explained
