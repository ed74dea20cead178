"""What the page says of a run's course: the least time that it could have taken, and how the limits were used."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from record_samples import STARTED, brief, record, stage

from tasks.accounting.tables import run_tables
from tasks.page import report_html
from tasks.page.charts import Part, axis, histogram, stacked_bar
from tasks.page.makespan import makespan, worked
from tasks.page.texts import brief_seconds, count, joined
from tasks.page.timeline import bars_chart, in_flight_chart, most_at_once, uses
from tasks.record import Latency, LimitsRecord, Outcome, RunRecord, StageRecord

ROOMY = LimitsRecord(max_concurrent=300, images_per_minute=500, videos_per_minute=500)


def timed(
    name: str,
    kind: str,
    begin: float,
    inference: float,
    *,
    queue: float = 0.0,
    outcome: Outcome = Outcome.GENERATED,
) -> StageRecord:
    """A stage that begins so many seconds after the run, with 1 s each for upload, submit, detection and download."""
    total = queue + inference + 4.0
    steps = {"queue_s": queue, "upload_s": 1.0, "submit_s": 1.0, "detect_s": 1.0, "download_s": 1.0}
    return stage(
        name,
        kind,
        outcome,
        latency=Latency(inference_s=inference, total_s=total, **steps),
        started_at=STARTED + timedelta(seconds=begin),
        ended_at=STARTED + timedelta(seconds=begin + total),
    )


def run_of(
    folder: Path, *stages: StageRecord, limits: LimitsRecord | None = ROOMY, **changes: Any
) -> RunRecord:
    names = dict.fromkeys(one.brief for one in stages)
    briefs = tuple(brief(name, tuple(one for one in stages if one.brief == name)) for name in names)
    return record(folder, briefs, limits=limits, **changes)


def test_a_chain_bounds_the_run(tmp_path: Path) -> None:
    run = run_of(tmp_path, timed("a", "edit", 0, 10), timed("a", "video", 14, 30), timed("b", "edit", 0, 12))
    found = makespan(run)
    assert found
    assert (found.seconds, found.bound) == (48.0, 46.0)  # less the second of detection of each
    assert found.why.startswith("the stages of a follow each other")


def test_places_bound_the_run(tmp_path: Path) -> None:
    limits = LimitsRecord(max_concurrent=1, images_per_minute=500, videos_per_minute=500)
    stages = [timed(f"b{index}", "edit", 13.0 * index, 10) for index in range(5)]
    found = makespan(run_of(tmp_path, *stages, limits=limits))
    assert found
    assert (found.seconds, found.bound) == (66.0, 55.0)  # five times 10 s of work and 1 s of submitting
    assert "at most 1 at a time" in found.why


def test_starts_in_a_minute_bound_the_run(tmp_path: Path) -> None:
    limits = LimitsRecord(max_concurrent=300, images_per_minute=500, videos_per_minute=2)
    stages = [timed(f"b{index}", "video", 61.0 * (index // 2), 10) for index in range(5)]
    found = makespan(run_of(tmp_path, *stages, limits=limits))
    assert found
    # The fifth can begin two minutes after the first at the earliest, and takes 13 s.
    assert (found.seconds, found.bound) == (136.0, 133.0)
    assert found.why == "5 clip requests, at most 2 begun in any minute"


def test_only_what_draws_nothing_says_that_nothing_was_made(tmp_path: Path) -> None:
    made = timed("a", "edit", 0, 10)
    failed = timed("a", "edit", 0, 10, outcome=Outcome.FAILED)
    sent = failed.model_copy(update={"latency": failed.latency.model_copy(update={"attempts": 1})})
    timeless = made.model_copy(update={"started_at": None, "ended_at": None})  # as in old records
    cached = timed("a", "edit", 0, 10, outcome=Outcome.CACHED)
    for one, draws in ((made, True), (sent, True), (timeless, True), (failed, False), (cached, False)):
        run = run_of(tmp_path, one)
        latency = report_html(run, run_tables(run)).decode().partition('<section id="latency"')[2]
        latency = latency.partition("</section>")[0]
        assert ("<svg" in latency) is draws, one
        assert ("Nothing was made in this run" in latency) is not draws, one


def test_what_was_there_or_began_before_the_run_does_not_count(tmp_path: Path) -> None:
    cached = timed("a", "edit", 0, 500, outcome=Outcome.CACHED)
    resumed = timed("b", "edit", 0, 3, outcome=Outcome.RESUMED)
    # The service reports an inference that had begun before this run.
    resumed = resumed.model_copy(
        update={"latency": resumed.latency.model_copy(update={"inference_s": 900.0})}
    )
    found = makespan(run_of(tmp_path, cached, resumed))
    assert found
    assert (found.seconds, found.bound) == (7.0, 7.0)
    assert makespan(run_of(tmp_path, cached)) is None


def test_without_known_limits_only_chains_bound(tmp_path: Path) -> None:
    found = makespan(run_of(tmp_path, timed("a", "edit", 0, 10), limits=None))
    assert found
    assert found.bound == 13.0


def test_the_use_of_the_limits_is_counted(tmp_path: Path) -> None:
    stages = [
        timed("a", "edit", 0, 10),  # at the service from 1 to 13
        timed("b", "edit", 5, 10),  # from 6 to 18
        timed("c", "edit", 12, 10),  # from 13 to 25: it takes the first one's place
        timed("d", "edit", 70, 10),
        timed("e", "video", 12, 10, queue=60),  # from 73
    ]
    found = worked(run_of(tmp_path, *stages))
    assert most_at_once(found) == 2
    shown = {use.name: (use.used, use.limit) for use in uses(found, ROOMY)}
    assert shown == {"at a time": (2, 300), "pictures in a minute": (3, 500), "clips in a minute": (1, 500)}


def test_the_limit_is_drawn_where_it_is_near_and_named_where_it_is_far(tmp_path: Path) -> None:
    found = worked(run_of(tmp_path, timed("a", "edit", 0, 10), timed("b", "edit", 0, 10)))
    far, near = (
        in_flight_chart(found, ROOMY.model_copy(update={"max_concurrent": most})) for most in (300, 3)
    )
    assert 'class="limit"' in near
    assert "limit 3<" in near
    assert 'class="limit"' not in far
    assert "limit 300, far above the 2 used" in far


def test_bars_stand_in_the_lowest_free_lane_and_too_many_are_not_drawn(tmp_path: Path) -> None:
    two = bars_chart(
        worked(
            run_of(tmp_path, timed("a", "edit", 0, 10), timed("b", "edit", 0, 10), timed("a", "video", 14, 5))
        )
    )
    assert two
    assert two.count('data-brief="a"') == 2
    assert {piece.split('"')[0] for piece in two.split(' y="')[1:]} >= {"2", "15"}
    assert ' y="28"' not in two
    many = [timed(f"b{index}", "edit", 0, 10) for index in range(61)]
    assert bars_chart(worked(run_of(tmp_path, *many))) is None


@pytest.mark.parametrize(
    ("top", "values"),
    [
        (0.0, [0.0]),
        (1.0, [0, 0.5, 1]),
        (21.0, [0, 10, 20]),
        (7.9, [0, 2, 4, 6]),
        (4000, [0, 1000, 2000, 3000, 4000]),
    ],
)
def test_an_axis_has_a_few_round_values(top: float, values: list[float]) -> None:
    assert axis(top) == pytest.approx(values)


def test_charts_take_what_they_are_given() -> None:
    assert (
        stacked_bar([Part("is-done", "3 done", 3), Part("is-held", "1 held", 1)], label="x").count("<rect")
        == 2
    )
    assert 'width="75.00%"' in stacked_bar([Part("a", "", 3), Part("b", "", 1)], label="x")
    assert stacked_bar([], label='"<x>"').count("<rect") == 0
    drawn = histogram([1.0, 1.0, 9.0], [("p50", 1.0), ("p90", 9.0)], kind="is-edit", label="x", top=10.0)
    assert drawn.count('class="is-edit"') == 2
    assert ": 2</title>" in drawn


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.021, "0.02 s"), (3.44, "3.4 s"), (97.06, "97 s"), (720, "12 min"), (12_600, "3.5 h")],
)
def test_seconds_are_short(seconds: float, text: str) -> None:
    assert brief_seconds(seconds) == text


def test_words() -> None:
    assert (count(1, "brief"), count(1200, "brief")) == ("1 brief", "1,200 briefs")
    assert [joined(list(letters)) for letters in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
