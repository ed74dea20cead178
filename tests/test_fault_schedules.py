"""Seeded schedules of trouble, judged by the service's books. ``make faults`` carries out a thousand of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from campaign_support import PrefectApi
from fault_schedules import carry_out, schedule_of, undisturbed_results
from paid_once import Result

SCHEDULES = 200
_IN_A_TEST = 10
# Much of a schedule is waiting: for a lost reply's time to run out, for a pause to end.
_AT_ONCE = 3
# Through the real command and Prefect, whose own retries take their time.
THROUGH_PREFECT = range(100_000, 100_006)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Result]:
    results = undisturbed_results(lambda shape: tmp_path_factory.mktemp(shape.replace(" ", "-")))
    for shape in ("pictures", "equal work", "clip"):
        results(shape)
    return results


@pytest.mark.parametrize("first", range(0, SCHEDULES, _IN_A_TEST))
def test_whatever_happens_everything_is_paid_once(
    tmp_path: Path, undisturbed: Callable[[str], Result], first: int
) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        seeds = range(first, first + _IN_A_TEST)
        done = [pool.submit(carry_out, seed, tmp_path / str(seed), undisturbed) for seed in seeds]
    errors = [str(error) for future in done if (error := future.exception()) is not None]
    assert not errors, "\n\n".join(errors)


@pytest.mark.parametrize("seed", THROUGH_PREFECT)
def test_the_real_command_pays_once_as_well(
    tmp_path: Path, prefect_api: PrefectApi, undisturbed: Callable[[str], Result], seed: int
) -> None:
    carry_out(seed, tmp_path, undisturbed, prefect_api)


def test_a_seed_gives_the_same_schedule_each_time() -> None:
    assert schedule_of(7) == schedule_of(7)
    assert len({str(schedule_of(seed)) for seed in range(50)}) == 50


def test_the_schedules_have_every_kind_of_trouble() -> None:
    schedules = [schedule_of(seed) for seed in range(SCHEDULES)]
    runs = [run for schedule in schedules for step in schedule.steps for run in step.runs]
    assert any(run.killed_after for run in runs)
    assert any(run.interrupted_after for run in runs)
    assert len({run.crash[0] for run in runs if run.crash}) > 60
    assert any(len(step.runs) == 2 for schedule in schedules for step in schedule.steps)
    assert any(step.service_restarted_after for schedule in schedules for step in schedule.steps)
    assert any(not schedule.history_tells for schedule in schedules)
    assert any(schedule.budget for schedule in schedules)
    struck = {(rule["on"], rule["do"]) for schedule in schedules for rule in schedule.rules}
    lost = {"lose_reply", "lose_reply_as_html", "lose_reply_as_5xx", "no_id", "reset"}
    assert {("submit", form) for form in lost} <= struck
    assert {("download", form) for form in ("truncated", "slow", "wrong_type", "wrong_bytes")} <= struck
    assert {"submit", "result", "history", "upload", "put", "download", "balance", "price", "billings"} <= {
        call for call, _ in struck
    }
