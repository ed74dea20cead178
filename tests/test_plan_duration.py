"""How long a plan takes: the game that is played agrees with the limits that a run keeps."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import virtual_time
from ledger_support import MODEL, SERVICE, Worker, sha256_of, work_named

from blocks.ledger import Ledger, StepSeconds
from blocks.limits import AccountLimits
from tasks.models import Stage
from tasks.planning.plan import Action, Plan, PlannedStage
from tasks.planning.plan_duration import Duration, Limits, expected_duration, percentile

MODELS = {
    Stage.EDIT: "kwaivgi/kling-image-v3/edit",
    Stage.COMPOSE: "kwaivgi/kling-image-o3/edit",
    Stage.VIDEO: "kwaivgi/kling-video-o3-pro/video-edit",
}
STEADY = StepSeconds(upload=1.0, submit=0.5, inference=30.0, detect=0.5, download=2.0)
WIDE = Limits(1000, 1000, 1000)


def stage(
    brief: str, name: Stage, action: Action = "generate", *, equal_to: str | None = None, seconds: int = 5
) -> PlannedStage:
    video = name is Stage.VIDEO
    return PlannedStage(
        brief=brief,
        stage=name,
        model=MODELS[name],
        action=action,
        reason="",
        quantity=Decimal(seconds if video else 1),
        unit="second" if video else "image",
        unit_price=1,
        list_cost=1,
        list_cost_upper=1,
        key=None,
        equal_to=equal_to,
    )


def plan(*stages: PlannedStage) -> Plan:
    return Plan("c", len({one.brief for one in stages}), stages, ())


def duration(
    planned: Plan, limits: Limits = WIDE, learnt: Sequence[StepSeconds] = (STEADY,), **more: float
) -> Duration:
    return expected_duration(planned, lambda _: learnt, limits, **more)


def edits(count: int) -> Plan:
    return plan(*(stage(f"b{number}", Stage.EDIT) for number in range(count)))


def test_nothing_to_do_takes_no_time() -> None:
    found = duration(plan(stage("a", Stage.EDIT, "cached")))
    assert (found.p50, found.p90, found.models, found.unknown) == (0, 0, (), ())


def test_briefs_run_side_by_side_and_their_stages_one_after_the_other() -> None:
    assert duration(edits(50)).p50 == 34
    chain = plan(*(stage(brief, name) for brief in "ab" for name in Stage))
    assert duration(chain).p50 == 3 * 34


def test_the_limit_of_places_makes_waves() -> None:
    # A place is free again when the prediction has ended; its download needs none.
    found = duration(edits(7), Limits(2, 1000, 1000))
    assert found.p50 == found.p90 == 4 * 32 + 2


def test_a_brief_waits_for_the_equal_work_of_another() -> None:
    equal = plan(
        stage("a", Stage.EDIT),
        stage("b", Stage.EDIT, "cached", equal_to="a"),
        stage("b", Stage.COMPOSE),
    )
    assert duration(equal).p50 == 2 * 34


def test_the_game_agrees_with_the_limits_that_a_run_keeps() -> None:
    """The same work at the run's own limits, in virtual time."""
    limits = Limits(max_concurrent=4, images_per_minute=3, videos_per_minute=2)
    briefs = [f"b{number}" for number in range(9)]
    stages = [stage(brief, name) for brief in briefs for name in (Stage.EDIT, Stage.VIDEO)]

    async def for_real() -> float:
        loop = asyncio.get_running_loop()
        kept = AccountLimits(4, 3, 2, clock=loop.time, sleep=asyncio.sleep)

        async def make(brief: str) -> None:
            for kind in ("image", "video"):
                async with kept.place():
                    await asyncio.sleep(STEADY.upload)
                    await kept.turn("video" if kind == "video" else "image")
                    await asyncio.sleep(STEADY.submit + STEADY.inference + STEADY.detect)
                await asyncio.sleep(STEADY.download)

        await asyncio.gather(*map(make, briefs))
        return loop.time()

    found = duration(plan(*stages), limits)
    assert abs(found.p50 - virtual_time.run(for_real())) < 0.001


def test_luck_gives_a_spread_and_is_the_same_each_time() -> None:
    learnt = [StepSeconds(0.0, 0.0, float(seconds), 0.0, 0.0) for seconds in range(10, 110)]
    found = duration(edits(3), learnt=learnt)
    assert 10 < found.p50 < found.p90 < 110
    assert duration(edits(3), learnt=learnt) == found
    document = found.document()
    assert document["learnt"] is True
    assert document["models"][0]["steps"]["inference"] == {"p50_s": 59.0, "p90_s": 99.0}
    assert document["models"][0]["learnt_from"] == 100


def test_what_is_not_known_yet_is_said_and_assumed() -> None:
    found = duration(plan(stage("a", Stage.EDIT), stage("b", Stage.VIDEO, seconds=10)), learnt=())
    assert found.p50 == 2 * 210  # most clips of 5 s take 210 s, and this one lasts 10 s
    assert found.unknown == (MODELS[Stage.EDIT], MODELS[Stage.VIDEO])
    assert found.assumption is not None
    assert "unknown yet" in found.assumption
    assert "210 s a clip of 5 s" in found.assumption
    quick = duration(plan(stage("b", Stage.VIDEO, seconds=10)), learnt=(), pace=0.02)
    assert abs(quick.p50 - 0.02 * 2 * 210) < 1e-9
    assert "times the simulator's clock of 0.02" in str(quick.assumption)
    assert quick.document()["learnt"] is False


def test_a_thousand_briefs_are_played_through() -> None:
    many = plan(
        *(stage(f"b{number}", name) for number in range(1000) for name in (Stage.EDIT, Stage.COMPOSE))
    )
    found = duration(many, Limits(300, 500, 500))
    # 2,000 pictures at 500 a minute: the last of four full minutes begins after three of them.
    assert 3 * 60 < found.p50 < 6 * 60


def test_percentiles() -> None:
    assert [percentile([1, 2, 3, 4], share) for share in (1, 50, 90, 100)] == [1, 2, 4, 4]


def test_the_ledger_teaches_the_steps_of_its_own_service(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        worker = Worker.of(ledger)
        for number in range(3):
            work = work_named(str(number))
            worker.claim(work)
            attempt = worker.intend(worker.reserve(work))
            ledger.submitted(attempt.id, sha256_of(str(number)), submit_s=0.25)
            ledger.completed(
                attempt.id, outputs=["https://cdn.example.org/1.png"], inference_s=40.0 + number, detect_s=1.5
            )
        assert [step.inference for step in ledger.step_seconds(SERVICE, MODEL)] == [42.0, 41.0, 40.0]
        assert ledger.step_seconds(SERVICE, MODEL)[0] == StepSeconds(0.0, 0.25, 42.0, 1.5, 0.0)
        assert ledger.step_seconds("simulator", MODEL) == []
