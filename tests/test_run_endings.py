"""How runs end before their end: killed, interrupted, refused, over budget. Nothing is lost, nothing is paid twice."""

import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from campaign_support import Workplace, charged_millionths, rows_of, wait_until
from simulator_support import KEY, Simulator, others_work, simulator_thread

SLOW = 0.01


def six_briefs(workplace: Workplace) -> str:
    image = workplace.picture()
    return workplace.campaign(
        [
            {
                "brief": f"b{n}",
                "edit_prompt": f"look {n}",
                "edit_image": image,
                "compose_prompt": f"@Image1 again {n}",
            }
            for n in range(6)
        ]
    )


def assets_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("assets/**/*")
        if path.is_file()
    }


def charged_in_all_runs(workplace: Workplace) -> int:
    return sum(charged_millionths(path) for path in workplace.folder.glob("runs/*/cost.csv"))


@pytest.fixture
def slow_service(tmp_path: Path, workplace: Workplace) -> Iterator[Simulator]:
    with simulator_thread(tmp_path / "service", clock=SLOW) as simulator:
        workplace.use_service(simulator.url, KEY)
        yield simulator


@pytest.mark.parametrize("predictions", [1, 4, 8, 11])
def test_kill_9_in_the_middle_and_a_second_run_bill_everything_once(
    workplace: Workplace, slow_service: Simulator, predictions: int
) -> None:
    campaign = six_briefs(workplace)
    command = workplace.start("run", campaign)
    wait_until(lambda: len(slow_service.books.predictions()) >= predictions)
    command.kill()
    command.communicate()

    finished = workplace.run("run", campaign, "--json")

    assert finished.status == 0, finished
    assert len(slow_service.books.predictions()) == 12
    assert slow_service.books.charged_total() == 12 * 28_000
    # The killed run left no table, so the second one accounts for what both of them did.
    stages = finished.document["stages"]
    assert stages["generated"] + stages["resumed"] + stages["cached"] == 12
    assert charged_in_all_runs(workplace) == 12 * 28_000
    billed = {row["prediction_id"] for row in rows_of(workplace.out(finished.document["run"]) / "cost.csv")}
    assert billed == {prediction.id for prediction in slow_service.books.predictions()}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_cleanly_and_a_second_run_goes_on(
    workplace: Workplace, slow_service: Simulator, number: int
) -> None:
    campaign = six_briefs(workplace)
    # Ctrl-C reaches a process that a terminal started, whose own handlers are what is tested.
    start = workplace.start_cold if number == signal.SIGINT else workplace.start
    command = start("run", campaign, "--json")
    wait_until(lambda: len(slow_service.books.predictions()) >= 6)
    command.send_signal(number)
    stdout, stderr = command.communicate(timeout=60)

    assert command.returncode == 130, (stdout, stderr)
    assert "run the same command again" in stderr
    assert "Traceback" not in stderr
    assert '"run"' in stdout

    finished = workplace.run("run", campaign, "--json")
    assert finished.status == 0, finished
    assert slow_service.books.charged_total() == 12 * 28_000
    assert charged_in_all_runs(workplace) == 12 * 28_000
    assert finished.document["stages"]["resumed"] > 0


@pytest.mark.parametrize("fault", ["lose_reply", "lose_reply_as_html", "lose_reply_as_5xx", "no_id"])
@pytest.mark.parametrize("history", ["input", "none"])
def test_a_lost_reply_is_found_in_the_history(
    tmp_path: Path, workplace: Workplace, fault: str, history: str
) -> None:
    faults = {
        "switches": {"history_input": history},
        "rules": [{"on": "submit", "do": fault, "times": 1}],
    }
    with simulator_thread(tmp_path / "service", faults=faults) as service:
        workplace.use_service(service.url, KEY)
        campaign = workplace.campaign(
            [{"brief": "a", "edit_prompt": "warm", "edit_image": workplace.picture()}]
        )

        finished = workplace.run("run", campaign, "--json")

        assert finished.status == 0, finished
        assert len(service.books.predictions()) == 1
        assert charged_millionths(workplace.out(finished.document["run"]) / "cost.csv") == 28_000


def test_a_request_that_never_arrived_is_sent_again_after_the_quiet_period(
    tmp_path: Path, workplace: Workplace
) -> None:
    with simulator_thread(
        tmp_path / "service", faults={"rules": [{"on": "submit", "do": "reset", "times": 1}]}
    ) as service:
        workplace.use_service(service.url, KEY)
        campaign = workplace.campaign(
            [{"brief": "a", "edit_prompt": "warm", "edit_image": workplace.picture()}]
        )

        finished = workplace.run("run", campaign, "--json", CAMPAIGN_REQUEST_SECONDS="1")

        assert finished.status == 0, finished
        assert len(service.books.predictions()) == 1
        assert len(service.books.calls("/api/v3/kwaivgi")) == 2


def test_lost_replies_beside_others_use_of_a_silent_history_wait_for_a_person(
    tmp_path: Path, workplace: Workplace
) -> None:
    faults = {
        "switches": {"history_input": "none"},
        "rules": [
            {"on": "submit", "prompt_contains": name, "do": "lose_reply", "times": 1}
            for name in ("warm", "cold")
        ],
    }
    with simulator_thread(tmp_path / "service", faults=faults) as service:
        workplace.use_service(service.url, KEY)
        others_work(service)
        image = workplace.picture()
        campaign = workplace.campaign(
            [{"brief": name, "edit_prompt": name, "edit_image": image} for name in ("warm", "cold")]
        )

        finished = workplace.run("run", campaign, "--json")
        again = workplace.run("run", campaign, "--json")

        assert finished.status == 5, finished
        assert again.status == 5, again
        assert len(service.books.predictions()) == 3  # never a blind second POST
        plan = workplace.run("plan", campaign, "--json").document
        assert [stage["action"] for stage in plan["stages"]] == ["blocked", "blocked"]


def test_a_wrong_key_ends_with_4_and_nothing_is_sent(workplace: Workplace, slow_service: Simulator) -> None:
    campaign = six_briefs(workplace)

    finished = workplace.run("run", campaign, WAVESPEED_API_KEY="not-the-key-0123456789")

    assert finished.status == 4, finished
    assert "not-the-key" not in finished.stderr
    assert slow_service.books.predictions() == []


@pytest.mark.parametrize("form", ["http_400", "http_402", "envelope_1407"])
def test_credit_that_runs_out_stops_spending_and_a_top_up_goes_on(
    tmp_path: Path, workplace: Workplace, form: str
) -> None:
    faults = {"switches": {"insufficient_credit": form, "starting_credit_usd": "0.08"}}
    with simulator_thread(tmp_path / "service", faults=faults) as service:
        workplace.use_service(service.url, KEY)
        campaign = six_briefs(workplace)

        finished = workplace.run("run", campaign, "--json")

        assert finished.status == 4, finished
        # What was accepted is paid for, and therefore collected.
        assert len(service.books.predictions()) == 2
        assert finished.document["stages"]["generated"] == 2
        assert charged_in_all_runs(workplace) == service.books.charged_total() == 56_000
        # Once refused, nothing more was tried.
        assert len(service.books.calls("/api/v3/kwaivgi")) <= 6

        service.books.top_up(10_000_000)
        again = workplace.run("run", campaign, "--json")
        assert again.status == 0, again
        assert charged_in_all_runs(workplace) == service.books.charged_total() == 12 * 28_000


def test_a_plan_over_the_budget_is_refused_before_anything_is_spent(
    workplace: Workplace, slow_service: Simulator
) -> None:
    campaign = six_briefs(workplace)

    refused = workplace.run("run", campaign, "--budget", "0.335")
    frozen = workplace.run("run", campaign, "--frozen")

    assert (refused.status, frozen.status) == (3, 3)
    assert "$0.336" in refused.stderr
    assert slow_service.books.predictions() == []
    covered = workplace.run("run", campaign, "--budget", "0.336", "--json")
    assert covered.status == 0, covered
    assert workplace.run("run", campaign, "--frozen").status == 0


def test_partial_spends_up_to_the_budget_cheap_stages_first(
    workplace: Workplace, slow_service: Simulator
) -> None:
    image, clip = workplace.picture(), workplace.clip(seconds=3.5)
    campaign = workplace.campaign(
        [
            {
                "brief": f"b{n}",
                "edit_prompt": f"look {n}",
                "edit_image": image,
                "video_prompt": f"film {n}",
                "video": clip,
            }
            for n in range(3)
        ]
    )

    finished = workplace.run("run", campaign, "--budget", "2.9", "--partial", "--json")

    assert finished.status == 3, finished
    assert service_models(slow_service).count("kwaivgi/kling-image-v3/edit") == 3
    # A clip's worst case is 4 s: $1.44. Two of them, or one beside what the other really cost, fit beside the pictures.
    videos = service_models(slow_service).count("kwaivgi/kling-video-o3-pro/video-edit")
    assert 1 <= videos <= 2
    assert slow_service.books.charged_total() <= 2_900_000
    assert charged_in_all_runs(workplace) == slow_service.books.charged_total()
    held = [
        row
        for row in rows_of(workplace.out(finished.document["run"]) / "cost.csv")
        if row["outcome"] == "held"
    ]
    assert len(held) == 3 - videos
    assert all(row["estimated_usd"] == "1.26" for row in held)


def service_models(service: Simulator) -> list[Any]:
    return [prediction.model for prediction in service.books.predictions()]


def lose_the_asset(workplace: Workplace) -> None:
    """From the store, and its copies from the runs' folders."""
    copies = workplace.folder.glob("runs/*/assets/*/*")
    for path in [*workplace.home.glob("assets/objects/*/*"), *copies]:
        path.unlink()


def test_a_lost_asset_is_collected_again_free_of_charge(
    workplace: Workplace, slow_service: Simulator
) -> None:
    campaign = workplace.campaign([{"brief": "a", "edit_prompt": "warm", "edit_image": workplace.picture()}])
    first = workplace.run("run", campaign, "--json")
    made = assets_of(workplace.out(first.document["run"]))
    assert len(made) == 1
    lose_the_asset(workplace)

    again = workplace.run("run", campaign, "--json")

    assert again.status == 0, again
    assert len(slow_service.books.predictions()) == 1
    assert charged_in_all_runs(workplace) == 28_000
    assert assets_of(workplace.out(again.document["run"])) == made


@pytest.mark.parametrize(("days", "status", "predictions"), [(8, 0, 2), (1, 1, 1)])
def test_outputs_that_have_expired_are_paid_for_again_only_after_seven_days(
    tmp_path: Path, workplace: Workplace, days: int, status: int, predictions: int
) -> None:
    with simulator_thread(tmp_path / "service", faults={"switches": {"expiry_seconds": 4}}) as service:
        workplace.use_service(service.url, KEY)
        campaign = workplace.campaign(
            [{"brief": "a", "edit_prompt": "warm", "edit_image": workplace.picture()}]
        )
        assert workplace.run("run", campaign).status == 0
        make_old(workplace, days)
        output = service.result(service.books.predictions()[0].id)["outputs"][0]
        wait_until(lambda: service.http.get(output).status_code == 404)

        again = workplace.run("run", campaign, "--json")

        assert again.status == status, again
        assert len(service.books.predictions()) == predictions
        assert charged_in_all_runs(workplace) == service.books.charged_total()


def test_a_young_prediction_that_the_account_lacks_waits_for_a_person(
    workplace: Workplace, slow_service: Simulator
) -> None:
    campaign = workplace.campaign([{"brief": "a", "edit_prompt": "warm", "edit_image": workplace.picture()}])
    assert workplace.run("run", campaign).status == 0
    make_old(workplace, 1)
    prediction = slow_service.books.predictions()[0]
    slow_service.data("POST", "/api/v3/predictions/delete", json={"ids": [prediction.id]})

    again = workplace.run("run", campaign, "--json")

    assert again.status == 5, again
    assert prediction.id in again.stderr
    assert len(slow_service.books.predictions()) == 1


def make_old(workplace: Workplace, days: int) -> None:
    """The asset is gone, its upload forgotten, and the attempt so many days old."""
    lose_the_asset(workplace)
    ledger = sqlite3.connect(workplace.home / "ledger.sqlite")
    with ledger:
        for column in ("submitted_at", "service_created_at"):
            ledger.execute(f"UPDATE attempts SET {column} = datetime({column}, '-{days} days') || '.000000'")
        ledger.execute("DELETE FROM uploads")
    ledger.close()
