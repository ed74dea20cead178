"""Makes the plan: it asks the ledger and the asset store, never the service, and changes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from blocks.assets import AssetStore
from blocks.ledger import AttemptRow, Ledger, OtherStore, PaidResult, StoredAsset, StoredGeneration
from blocks.prices import PriceBook
from blocks.store_marker import MarkedStore
from tasks.briefs.brief import Brief, Campaign, ComposePart, EditPart, VideoPart, references_of
from tasks.briefs.inputs import Inputs
from tasks.identity import placeholder
from tasks.models import Stage
from tasks.planning.chain import Part, billed_quantities, inputs_of, key_of, seconds_of
from tasks.planning.learnt_prices import learnt
from tasks.planning.past_runs import latest_stages
from tasks.planning.plan import Action, Plan, PlannedStage
from tasks.planning.plan_notes import notes_of, paid_before_note
from tasks.planning.plan_reasons import Asked, Cause, Why, why_generated
from tasks.work import WorkInput


@dataclass
class _Made:
    """What the stages planned so far leave for the ones after them, by brief."""

    pictures: dict[str, tuple[WorkInput, ...]] = field(default_factory=dict)
    blocked: dict[str, Why] = field(default_factory=dict)
    # The stage whose pictures are not there yet.
    waiting: dict[str, str] = field(default_factory=dict)
    # Pictures that are paid for and have to be collected again: what stands for new ones, should they be gone.
    if_gone: dict[str, tuple[WorkInput, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Lost:
    """A result whose bytes are gone. ``until``: the service has them so long; None where it is not known to."""

    assets: tuple[StoredAsset, ...]
    run: str
    until: datetime | None
    collectable: bool
    # Another machine of the ledger that may have them.
    other: OtherStore | None = None


@dataclass(frozen=True)
class _Known:
    """What the ledger has, by key. ``kept``: with every byte in the asset store."""

    kept: Mapping[str, StoredGeneration]
    lost: Mapping[str, _Lost]
    held: Mapping[str, AttemptRow]
    begun: Mapping[str, AttemptRow]
    unanswered: Mapping[str, AttemptRow]
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
        self._now = datetime.now(UTC)
        self._rounding = learnt(service, prices, ledger).rounding if ledger is not None else None
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
        paid_before = self._paid_before(in_order)
        if paid_before:
            notes = (*notes, paid_before_note(paid_before))
        return Plan(
            campaign.name, len(campaign.briefs), in_order, notes, self._found, paid_before, self._rounding
        )

    def _paid_before(self, stages: Iterable[PlannedStage]) -> int:
        if self._ledger is None:
            return 0
        return self._ledger.unaccounted([stage.key for stage in stages if stage.key is not None])

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
            stored = known.kept.get(key) if why.causes == (Cause.CACHED,) else None
            if stored is not None:
                self._found[brief.brief, part.request.stage] = stored
            if_gone = self._key_if_gone(brief, part)
            entry = self._entry(brief, part, key if waiting is None else None, action, why)
            # Of briefs that would make the same anew, one would pay.
            first = if_gone is not None and self._first_of.setdefault(if_gone, brief.brief) == brief.brief
            if stored is not None and first:
                text = (
                    f"{why.text}; made again only should the service not have its missing pictures any more"
                )
                entry = replace(entry, at_risk=True, reason=text)
            entries.append(replace(entry, collected=action == "generate" and _costs_nothing(key, known)))
            if not isinstance(part, VideoPart):
                self._leave(brief, part, key, known, if_gone)
        return entries

    def _key_if_gone(self, brief: Brief, part: Part) -> str | None:
        """Names the work that this would be, were pictures to be made anew that are to be collected for it."""
        stage = part.request.stage
        carried = self._made.if_gone.get(brief.brief, ())[: references_of(brief).stages[stage].carried]
        if not carried:
            return None
        return key_of(self._service, part.request, inputs_of(part, self._inputs, carried), brief.take)

    def _look_up(self, keys: Sequence[str]) -> _Known:
        if self._ledger is None:
            return _Known({}, {}, {}, {}, {}, frozenset())
        ledger = self._ledger
        stored, begun = ledger.find_stored(keys), ledger.find_begun(keys)
        kept = {key: one for key, one in stored.items() if self._has_all(one.assets)}
        gone = {key: one for key, one in stored.items() if key not in kept}
        paid = ledger.find_paid_results([*gone, *begun])
        lost = {key: self._lost(one) for key, one in paid.items()}
        # Stored, though no attempt at it is on record: nothing to collect it by.
        for key, one in gone.items():
            lost.setdefault(key, _Lost(one.assets, one.stored_by_run, None, collectable=False))
        if any(not one.collectable for one in lost.values()):
            others = ledger.others_that_may_have([*lost], self._store_id())
            lost = {key: replace(one, other=others.get(key)) for key, one in lost.items()}
        return _Known(
            kept,
            lost,
            ledger.find_held(keys),
            begun,
            ledger.find_unanswered(keys),
            ledger.find_forgotten(keys),
        )

    def _store_id(self) -> str:
        """Of a store without a marker, nobody has noted anything."""
        marker = MarkedStore(self._store.root).read()
        return "" if marker is None else marker.store

    def _has_all(self, assets: Iterable[StoredAsset]) -> bool:
        return all(self._store.has(asset.sha256, asset.bytes) for asset in assets)

    def _lost(self, paid: PaidResult) -> _Lost:
        attempt = paid.attempt
        until = None if attempt.prediction_id is None else attempt.kept_until
        return _Lost(paid.assets, attempt.run_id, until, collectable=until is not None and self._now < until)

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
        lost = known.lost.get(key)
        if lost is not None and lost.other is not None and not lost.collectable:
            return "blocked", self._block(name, Why(_elsewhere(lost.other, key), (Cause.ELSEWHERE,)))
        references = references_of(brief).stages[stage]
        if len(self._carried(brief, stage)) < references.carried:
            text = "the stage before made fewer pictures than this one needs"
            return "blocked", self._block(name, Why(text, (Cause.SHORT,)))
        stored = known.kept.get(key)
        paid = stored or (lost if lost is not None and lost.collectable else None)
        if paid is not None and any(asset.flagged_nsfw for asset in paid.assets):
            self._block(name, Why(f"the service flagged a picture of the {stage} stage", (Cause.FLAGGED,)))
        if stored is not None:
            return "cached", Why(f"made in run {stored.stored_by_run}", (Cause.CACHED,), stored.stored_by_run)
        first = self._first_of.setdefault(key, name)
        if first != name:
            return "cached", Why(f"equal to brief {first}", (Cause.EQUAL,), equal_to=first)
        if lost is not None:
            return "generate", Why(_missing(lost), (Cause.MISSING,), lost.run)
        if key in known.begun:
            run = known.begun[key].run_id
            text = f"under way since run {run}: collected, not sent again"
            return "generate", Why(text, (Cause.UNDER_WAY,), run)
        if key in known.unanswered:
            run = known.unanswered[key].run_id
            text = (
                f"its request in run {run} has had no answer: looked for in the account's history first, and sent "
                "again only where it never arrived"
            )
            return "generate", Why(text, (Cause.UNFINISHED,), run)
        if key in known.forgotten:
            text = "forgotten: paid for once, and dropped by `campaign forget`"
            return "generate", Why(text, (Cause.FORGOTTEN,))
        return "generate", Why("new", (Cause.NEW,))

    def _block(self, brief: str, why: Why) -> Why:
        self._made.blocked[brief] = why
        return why

    def _leave(
        self, brief: Brief, part: EditPart | ComposePart, key: str, known: _Known, if_gone: str | None
    ) -> None:
        name, count = brief.brief, part.request.num_images
        result: StoredGeneration | _Lost | None = known.kept.get(key)
        if result is None and (lost := known.lost.get(key)) is not None and lost.collectable:
            result, if_gone = lost, if_gone or key
        if result is None:
            self._made.waiting[name] = part.request.stage.value
            self._made.if_gone.pop(name, None)
            self._made.pictures[name] = _pictures(brief, part, _placeholders(key, count))
            return
        self._made.waiting.pop(name, None)
        self._made.pictures[name] = _pictures(brief, part, [asset.sha256 for asset in result.assets])
        if if_gone is None:
            self._made.if_gone.pop(name, None)
        else:
            self._made.if_gone[name] = _pictures(brief, part, _placeholders(if_gone, count))

    def _entry(self, brief: Brief, part: Part, key: str | None, action: Action, why: Why) -> PlannedStage:
        request = part.request
        seconds = seconds_of(part, self._inputs)
        billed = billed_quantities(request, seconds, self._rounding)
        model, resolution = request.model_id, request.price_resolution
        return PlannedStage(
            brief=brief.brief,
            stage=request.stage,
            model=model,
            action=action,
            reason=why.text,
            quantity=billed.quantity,
            measured=billed.measured,
            unit=request.unit,
            unit_price=self._prices.unit_price(model, resolution),
            list_cost=self._prices.cost(model, resolution, billed.quantity),
            list_cost_upper=self._prices.cost(model, resolution, billed.at_most),
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


def _pictures(brief: Brief, part: EditPart | ComposePart, shas: Iterable[str]) -> tuple[WorkInput, ...]:
    return tuple(
        WorkInput(role="images", sha256=sha, source=f"{brief.brief}/{part.request.stage}-{number}")
        for number, sha in enumerate(shas, start=1)
    )


def _placeholders(key: str, count: int) -> list[str]:
    return [placeholder(key, number) for number in range(1, count + 1)]


def _costs_nothing(key: str, known: _Known) -> bool:
    """Whether it is paid for and booked, and only has to be fetched."""
    if key in known.lost:
        return known.lost[key].collectable
    return key in known.begun and known.begun[key].charged is not None


def _elsewhere(other: OtherStore, key: str) -> str:
    return (
        f"asset missing: paid for, and the service kept it for 7 days only. {other.host} shares this ledger and may "
        "have it; a past run's folder may have a copy. To have it paid for again: "
        f"`campaign forget --key {key[:12]} --yes`"
    )


def _missing(lost: _Lost) -> str:
    gone = "asset missing: its picture or clip is not in the asset store any more"
    if lost.collectable and lost.until is not None:
        return (
            f"{gone}; collected again free of charge while the service still has it, until "
            f"{lost.until:%Y-%m-%d %H:%M} UTC"
        )
    why = (
        "the service kept it for 7 days only"
        if lost.until is not None
        else "no prediction of it is on record"
    )
    return f"{gone}, and {why}: paid for again, unless a past run's folder has a copy"
