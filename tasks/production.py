"""A brief's stages, one after the other: each is given the pictures of the one before."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from blocks.assets import AssetGone
from blocks.ledger import StoredGeneration
from blocks.prices import PriceBook
from tasks.briefs.brief import Brief, VideoPart, references_of
from tasks.briefs.inputs import Inputs
from tasks.endings import Ending, ExitStatus, ending_of
from tasks.models import Stage
from tasks.paying.generation import found
from tasks.paying.restoring import make_whole
from tasks.paying.workbench import Workbench
from tasks.planning.chain import Part, work_of
from tasks.planning.plan import Plan
from tasks.record import Outcome
from tasks.stages import record_cached, run_stage
from tasks.work import StageResult, StageWork, WorkInput

# What is cached starts no task. Up to so many stages, it is entered in Prefect's record all the same, for people who
# look there; a large campaign does not pay for that.
RECORD_CACHED_STAGES = 200


@dataclass
class MadeStage:
    """One stage as it ended: with a ``result``, or with an ``ending`` that says why there is none."""

    part: Part
    work: StageWork | None = None  # None where the stage before left it without its pictures
    result: StageResult | None = None
    ending: Ending | None = None
    skipped: bool = False

    @property
    def outcome(self) -> Outcome:
        if self.skipped:
            return Outcome.SKIPPED
        if self.ending is not None:
            return self.ending.outcome
        assert self.result is not None  # it has no ending, so it has a result
        return self.result.outcome


@dataclass
class MadeBrief:
    """``problem`` is the first thing that kept the brief from being done; later stages end for its sake."""

    brief: Brief
    stages: list[MadeStage] = field(default_factory=list)
    statuses: set[ExitStatus] = field(default_factory=set)
    problem: Ending | None = None


class Production:
    """Makes briefs side by side; what goes wrong with one never stops another."""

    def __init__(self, bench: Workbench, inputs: Inputs, plan: Plan, prices: PriceBook) -> None:
        self._bench = bench
        self._inputs = inputs
        self._plan = plan
        self._prices = prices
        self._records_cached = len(plan.stages) <= RECORD_CACHED_STAGES
        self._found = {place: stored for place, stored in plan.found.items() if self._is_kept(stored)}

    async def record_found(self) -> None:
        """Shows in Prefect's record what was found before any task starts."""
        if self._records_cached:
            await record_cached(self._bench, [(brief, stage.value) for brief, stage in self._found])

    async def make_pictures(self, made: MadeBrief) -> None:
        """The brief's edit and composition."""
        for part in made.brief.parts:
            if not isinstance(part, VideoPart):
                await self._make_stage(made, part)

    async def make_video(self, made: MadeBrief) -> None:
        """The brief's clip, guided by the pictures made before."""
        if made.brief.video is not None:
            await self._make_stage(made, made.brief.video)

    async def _make_stage(self, made: MadeBrief, part: Part) -> None:
        stage = MadeStage(part)
        made.stages.append(stage)
        place = made.brief.brief, part.request.stage.value
        if made.problem is not None:
            stage.ending = made.problem
            stage.skipped = made.problem.outcome is Outcome.FAILED
            self._bench.progress.stage_ended(*place, stage.outcome, 0)
            return
        self._bench.progress.stage_started(*place)
        try:
            stage.work = self._work(made, part)
            try:
                stage.result = await self._result(stage.work)
            except AssetGone:
                # A picture that it is made from was damaged after it had been kept.
                await self._collect_again(made)
                stage.work = self._work(made, part)
                stage.result = await self._result(stage.work)
        except BaseException as error:  # noqa: BLE001 - whatever happens to one brief, the others go on
            if (watch := self._bench.stopwatches.get(place)) is not None:
                watch.stop()
            made.problem = stage.ending = ending_of(error, self._bench.stop.reason)
            made.statuses.add(stage.ending.status)
        else:
            made.problem = self._keeps_from_going_on(made, stage)
            if made.problem is not None:
                made.statuses.add(made.problem.status)
        self._bench.progress.stage_ended(*place, stage.outcome, self._spent_on(stage))

    def _spent_on(self, stage: MadeStage) -> int:
        result = stage.result
        if result is None or result.prediction_id is None or result.outcome is Outcome.CACHED:
            return 0
        return self._bench.settlement.spent_on(result.prediction_id)

    async def _collect_again(self, made: MadeBrief) -> None:
        """The results of earlier stages whose bytes are damaged or gone: they are paid for already."""
        for before in made.stages:
            if before.work is None or before.result is None:
                continue
            if not all(self._bench.store.has(asset.sha256, asset.bytes) for asset in before.result.assets):
                before.result = await run_stage(self._bench, before.work)

    def _work(self, made: MadeBrief, part: Part) -> StageWork:
        planned = self._plan.find(made.brief.brief, part.request.stage)
        return work_of(
            self._bench.settings.service,
            made.brief,
            part,
            self._inputs,
            self._carried(made, part),
            self._prices,
            planned.reason,
            self._plan.rounding,
        )

    def _carried(self, made: MadeBrief, part: Part) -> Sequence[WorkInput]:
        if not made.stages[:-1]:
            return ()
        before = made.stages[-2]
        assert before.result is not None  # otherwise the brief has a problem, and this stage is not made
        count = references_of(made.brief).stages[part.request.stage].carried
        upstream = before.part.request.stage
        return [
            WorkInput(role="images", sha256=asset.sha256, source=f"{made.brief.brief}/{upstream}-{number}")
            for number, asset in enumerate(before.result.assets[:count], start=1)
        ]

    async def _result(self, work: StageWork) -> StageResult:
        bench = self._bench
        stored = self._found.get((work.brief, Stage(work.stage)))
        if stored is None or stored.key != work.key:
            # New pictures of the stage before may have the bytes of earlier ones: then this is there already.
            stored = (await bench.ask(bench.ledger.find_stored, [work.key])).get(work.key)
            if stored is None or not await make_whole(bench, stored):
                return await run_stage(bench, work)
            if self._records_cached:
                await record_cached(bench, [(work.brief, work.stage)])
        return found(work, stored, bench.stopwatch(work.brief, work.stage))

    def _is_kept(self, stored: StoredGeneration) -> bool:
        return all(self._bench.store.has(asset.sha256, asset.bytes) for asset in stored.assets)

    def _keeps_from_going_on(self, made: MadeBrief, stage: MadeStage) -> Ending | None:
        """A result that is paid for and kept, but with which the brief is not done."""
        assert stage.result is not None  # called where it ended well
        name = stage.part.request.stage
        if any(asset.flagged_nsfw for asset in stage.result.assets):
            return Ending(
                Outcome.HELD,
                ExitStatus.PERSON,
                f"the service flagged a picture of the {name} stage as not safe for work; look at it, then change the "
                "prompt or raise `take`",
            )
        stages = references_of(made.brief).stages.values()
        needed = max((s.carried for s in stages if s.upstream is name), default=0)
        if len(stage.result.assets) < needed:
            return Ending(
                Outcome.FAILED,
                ExitStatus.FAILED,
                f"the {name} stage made {len(stage.result.assets)} of the {needed} pictures that the next stage's "
                "prompt counts on; raise `take` to pay for another try",
            )
        return None
