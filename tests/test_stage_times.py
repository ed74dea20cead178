"""How long a stage is said to have taken: until it ended, not until the run did; and which of them are counted."""

import asyncio
import json
import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bench_support import edit_work, workbench_at
from campaign_support import Workplace, rows_of, wait_until
from record_samples import STARTED, brief, record, stage
from simulator_support import KEY, simulator_thread

from blocks.errors import Stopped
from tasks.accounting.tables import run_tables
from tasks.page.latencies import latency_of_stages
from tasks.page.makespan import worked
from tasks.page.timeline import bars_chart, most_at_once
from tasks.paying.generation import generate
from tasks.paying.stopwatch import Stopwatch
from tasks.record import Latency, Outcome, RunRecord, StageRecord
from tasks.stopping import StopReason


def timed(name: str, outcome: Outcome, seconds: float, **steps: Any) -> StageRecord:
    """An edit that begins with the run and ends so many seconds later."""
    return stage(
        name,
        "edit",
        outcome,
        latency=Latency(total_s=seconds, **steps),
        started_at=STARTED,
        ended_at=STARTED + timedelta(seconds=seconds),
    )


def run_of(folder: Path, *stages: StageRecord) -> RunRecord:
    return record(folder, tuple(brief(one.brief, (one,)) for one in stages))


# Two clocks are read one after the other, and a busy machine may do something else in between.
CLOCKS_APART = 1.0


async def test_a_watch_that_was_stopped_tells_the_same_for_ever() -> None:
    watch = Stopwatch()
    with watch.step("queue_s"):
        await asyncio.sleep(0.01)
    watch.stop()
    then, ended_at = watch.latency(), watch.ended_at
    await asyncio.sleep(0.05)
    assert (watch.latency(), watch.ended_at) == (then, ended_at)
    assert ended_at is not None
    assert then.total_s is not None
    assert (ended_at - watch.started_at).total_seconds() == pytest.approx(then.total_s, abs=CLOCKS_APART)


async def test_what_has_its_turn_after_the_run_was_stopped_was_never_begun(tmp_path: Path) -> None:
    with workbench_at(tmp_path) as bench:
        bench.stop.set(StopReason.INTERRUPTED)
        with pytest.raises(Stopped):
            await generate(bench, edit_work())
        assert bench.stopwatches == {}


def test_only_finished_work_is_summed_up(tmp_path: Path) -> None:
    run = run_of(
        tmp_path,
        timed("a", Outcome.GENERATED, 40.0, queue_s=1.0),
        timed("b", Outcome.RESUMED, 20.0),
        timed("c", Outcome.FAILED, 3600.0, queue_s=9.0, attempts=1),
        timed("d", Outcome.HELD, 0.1, queue_s=9.0),
        timed("e", Outcome.CACHED, 0.001),
    )
    tables = run_tables(run)
    summary = {(row[0], row[1]): row[2:5] for row in tables.latency_summary.rows}
    assert summary["edit", "total_s"] == summary["all", "total_s"] == (2, 30.0, 30.0)
    assert summary["edit", "queue_s"] == (1, 1.0, 1.0)
    total = tables.latency.columns.index("total_s")
    assert [row[total] for row in tables.latency.rows] == [40.0, 20.0, 3600.0, 0.1, 0.001], (
        "each keeps its row"
    )
    (edit, everything) = latency_of_stages(run, tables.latency_summary)
    assert edit.distribution is not None
    assert "of 2 edit stages" in edit.distribution
    assert [stage.working_seconds for stage in run.stages] == [40.0, 20.0, None, None, None]
    assert everything.stage == "all"


def test_a_stage_that_nobody_finished_has_no_percentile(tmp_path: Path) -> None:
    run = run_of(tmp_path, timed("a", Outcome.HELD, 0.2, queue_s=0.1), timed("b", Outcome.FAILED, 3.0))
    assert latency_of_stages(run, run_tables(run).latency_summary) == []


def test_what_failed_at_the_service_was_under_way_there(tmp_path: Path) -> None:
    run = run_of(
        tmp_path,
        timed("a", Outcome.GENERATED, 40.0),
        timed("b", Outcome.FAILED, 30.0, attempts=1, polls=2),
        timed("c", Outcome.HELD, 20.0, attempts=1),
        timed("d", Outcome.HELD, 20.0, queue_s=20.0),  # it waited for the budget
        timed("e", Outcome.FAILED, 0.5),  # its input could not be read
        timed("f", Outcome.CACHED, 0.001),
    )
    found = worked(run)
    assert [item.stage.brief for item in found] == ["c", "b", "a"]
    assert most_at_once(found) == 3
    bars = bars_chart(found)
    assert bars is not None
    assert "b, edit, failed: 30 s" in bars
    assert "a, edit: 40 s" in bars


# A run of the command.


def latency_rows(out: Path) -> dict[tuple[str, str], dict[str, str]]:
    return {(row["brief"], row["stage"]): row for row in rows_of(out / "latency.csv")}


def moments(out: Path) -> dict[tuple[str, str], tuple[datetime | None, datetime | None]]:
    manifest = json.loads((out / "manifest.json").read_bytes())
    return {
        (one["brief"], each["stage"]): (_moment(each["started_at"]), _moment(each["ended_at"]))
        for one in manifest["briefs"]
        for each in one["stages"]
    }


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def test_an_early_failure_does_not_last_as_long_as_the_run(tmp_path: Path, workplace: Workplace) -> None:
    rule = {
        "on": "submit",
        "prompt_contains": "nonsense",
        "do": "http_status",
        "status": 400,
        "message": "no",
    }
    with simulator_thread(tmp_path / "service", clock=0.1, faults={"rules": [rule]}) as service:
        workplace.use_service(service.url, KEY)
        image = workplace.picture()
        rows = [
            {"brief": name, "edit_prompt": name, "edit_image": image, "compose_prompt": "@Image1"}
            for name in ("nonsense", "fine")
        ]
        finished = workplace.run("run", workplace.campaign(rows), "--json")
    assert finished.status == 1, finished
    out = workplace.out(finished.document["run"])
    latency, times = latency_rows(out), moments(out)
    failed, (began, ended) = latency["nonsense", "edit"], times["nonsense", "edit"]
    assert failed["outcome"] == "failed"
    assert began is not None
    assert ended is not None
    assert float(failed["total_s"]) == pytest.approx((ended - began).total_seconds(), abs=CLOCKS_APART)
    first_picture = times["fine", "edit"][1]
    assert first_picture is not None
    assert ended < first_picture, "it was refused while the other was still being made"
    never = latency["nonsense", "compose"]
    assert (never["outcome"], never["total_s"]) == ("skipped", "")
    assert times["nonsense", "compose"] == (None, None)
    counts = {
        row["stage"]: row["count"]
        for row in rows_of(out / "latency_summary.csv")
        if row["measure"] == "total_s"
    }
    assert counts == {"edit": "1", "compose": "1", "all": "2"}
    assert workplace.run("verify", "latest").status == 0


def test_an_interrupted_run_says_what_goes_on_and_counts_none_of_it(
    tmp_path: Path, workplace: Workplace
) -> None:
    with simulator_thread(tmp_path / "service", clock=1.0) as service:
        workplace.use_service(service.url, KEY)
        image = workplace.picture()
        rows = [
            {"brief": name, "edit_prompt": name, "edit_image": image, "compose_prompt": "@Image1"}
            for name in ("warm", "cold")
        ]
        command = workplace.start("run", workplace.campaign(rows), "--json")
        wait_until(lambda: len(service.books.predictions()) == 2)
        command.send_signal(signal.SIGINT)
        stdout, stderr = command.communicate(timeout=60)
    assert command.returncode == 130, (stdout, stderr)
    last = next(line for line in reversed(stderr.splitlines()) if "elapsed" in line)
    assert "edit 0/2, 2 held" in last
    assert "spent $0 of $0.112 planned, $0.056 at risk" in last
    out = workplace.out(json.loads(stdout)["run"])
    latency, times = latency_rows(out), moments(out)
    for name in ("warm", "cold"):
        began, ended = times[name, "edit"]
        assert began is not None
        assert ended is not None
        assert float(latency[name, "edit"]["total_s"]) == pytest.approx(
            (ended - began).total_seconds(), abs=CLOCKS_APART
        )
        assert (latency[name, "compose"]["outcome"], latency[name, "compose"]["total_s"]) == ("held", "")
        assert times[name, "compose"] == (None, None)
    assert {row["count"] for row in rows_of(out / "latency_summary.csv")} == {"0"}
    assert ", p50</dt>" not in (out / "report.html").read_text("utf-8")
