"""The budget and the service's own prices: asked first, learnt from bills, and never passed by more than is stated.

What was paid is read from the service's books.
"""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from campaign_support import write_clip
from quiet_scene import QuietScene, ended

from blocks.ledger import AttemptState
from blocks.settings import load_settings
from flows.preparation import prepared
from tasks.planning.plan import Plan

PICTURE = 28_000
NAMES = tuple("abcdef")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[QuietScene]:
    scene = QuietScene(tmp_path)
    try:
        yield scene
    finally:
        scene.close()


def run(
    scene: QuietScene,
    *,
    budget: int | None = None,
    flags: str = "",
    crash: tuple[str, int] | None = None,
    day_cap: str = "",
    quiet: str = "1",
) -> int:
    """The exit status of a run with that budget (millionths), which dies at the crash point, if any."""
    scene.budget, scene.crash = budget, crash
    return scene.run(flags=flags, CAMPAIGN_BUDGET_PER_DAY=day_cap, CAMPAIGN_QUIET_SECONDS=quiet)


def service_becomes(scene: QuietScene, **switches: Any) -> None:
    scene.service.stop()
    scene.service.start({"switches": switches})


def prices_asked(scene: QuietScene) -> int:
    return len(scene.service.books.calls("/api/v3/model/price"))


def submits(scene: QuietScene) -> int:
    return len(scene.service.books.calls("/api/v3/kwaivgi/"))


# What the service asks is known before anything is sent.


def test_a_dearer_service_is_refused_with_both_sums_until_a_budget_covers_it(scene: QuietScene) -> None:
    service_becomes(scene, price_factor="1.5")
    scene.briefs("a", "b")
    assert run(scene) == 3
    assert (
        "the plan costs $0.056 by the price list, and the service asks $0.084, which is more than the plan's upper "
        "bound of $0.056. Nothing was spent; if you agree to the service's price, run it again with --budget 0.084"
    ) in scene.said
    assert run(scene, budget=83_999) == 3
    assert "and the service asks $0.084; the budget is $0.083999. Nothing was spent" in scene.said
    assert submits(scene) == 0
    assert run(scene, budget=84_000) == 0
    assert scene.service.books.charged_total() == 84_000


def test_with_partial_what_fits_at_the_service_s_prices_is_made(scene: QuietScene) -> None:
    service_becomes(scene, price_factor="1.5")
    scene.briefs(*NAMES)
    assert run(scene, flags="--partial", budget=3 * 42_000 + 41_999) == 3
    assert scene.service.books.charged_total() == 3 * 42_000


def test_the_cap_a_day_counts_the_service_s_prices(scene: QuietScene) -> None:
    service_becomes(scene, price_factor="1.5")
    scene.briefs("a", "b")
    assert run(scene, budget=1_000_000, day_cap="0.06") == 3
    assert "the service asks $0.084. the plan costs $0.084, and of the $0.06 a day" in scene.said
    assert submits(scene) == 0


@pytest.mark.parametrize("currency", ["EUR", "cny"])
def test_another_currency_spends_nothing(scene: QuietScene, currency: str) -> None:
    service_becomes(scene, currency=currency)
    scene.briefs("a")
    assert run(scene) == 3
    assert f"in {currency.upper()}, and budgets, plans and tables count US dollars" in scene.said
    assert submits(scene) == 0


def test_no_currency_is_dollars(scene: QuietScene) -> None:
    service_becomes(scene, currency="")
    scene.briefs("a")
    assert run(scene) == 0


def test_a_price_is_asked_once_for_each_model_and_resolution_and_kept(scene: QuietScene) -> None:
    scene.rows(
        [
            {"brief": name, "edit_prompt": name, "edit_image": scene.image, "edit_resolution": size}
            for name, size in (("a", "1k"), ("b", "1k"), ("c", "2k"))
        ]
    )
    assert run(scene) == 0
    assert prices_asked(scene) == 2
    calls = scene.service.books.calls()
    first_post = next(n for n, call in enumerate(calls) if call.path.startswith("/api/v3/kwaivgi/"))
    assert not [call for call in calls[first_post:] if call.path == "/api/v3/model/price"]
    assert run(scene) == 0, "all is cached: nothing is asked"
    scene.briefs("d")
    assert run(scene) == 0
    assert prices_asked(scene) == 2
    kept = scene.home / "quotes.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert scene.workplace.environment["WAVESPEED_API_KEY"] not in kept.read_text()
    document = json.loads(kept.read_text())
    for quote in document["quotes"].values():
        quote["asked_at"] = "2026-01-01T00:00:00+00:00"
    kept.write_text(json.dumps(document))
    scene.briefs("e")
    assert run(scene) == 0
    assert prices_asked(scene) == 3


# A reservation holds today's price, or nothing is sent.


@pytest.mark.parametrize(("budget", "status", "paid"), [(83_999, 3, 0), (84_000, 0, 84_000)])
def test_a_reservation_from_before_a_dearer_price_is_raised_or_refused(
    scene: QuietScene, budget: int, status: int, paid: int
) -> None:
    scene.briefs("a")
    assert run(scene, crash=("after Ledger.reserve", 1), budget=PICTURE) < 0
    service_becomes(scene, price_factor="3")
    assert run(scene, flags="--partial", budget=budget) == status, scene.said
    assert scene.service.books.charged_total() == paid
    with scene.ledger() as ledger:
        reserved = [one.reserved for one in ledger.attempts()]
    assert reserved == [84_000 if paid else PICTURE]


def test_what_was_sent_before_a_dearer_price_is_collected_all_the_same(scene: QuietScene) -> None:
    scene.briefs("a")
    assert run(scene, crash=("after Ledger.submitted", 1)) < 0
    service_becomes(scene, price_factor="3")
    asked = prices_asked(scene)
    assert run(scene) == 0, scene.said
    assert prices_asked(scene) == asked
    assert scene.service.books.charged_total() == PICTURE


# Bills above quotes.


@pytest.mark.parametrize("budget", [6 * PICTURE, 6 * PICTURE + 55_999])
def test_one_bill_is_read_before_many_leave(scene: QuietScene, budget: int) -> None:
    """Each is billed twice its quote: by the quote all six fit, by the first bill only as many as really do."""
    service_becomes(scene, bill_factor="2")
    scene.briefs(*NAMES)
    assert run(scene, budget=budget) == 3
    books = scene.service.books
    assert books.charged_total() == budget // 56_000 * 56_000
    assert {len(books.predictions())} <= {3, 4}


def test_the_excess_is_one_prediction_s(scene: QuietScene) -> None:
    service_becomes(scene, bill_factor="10")
    scene.briefs(*NAMES)
    assert run(scene, budget=6 * PICTURE) == 3
    assert scene.service.books.charged_total() == 10 * PICTURE
    assert len(scene.service.books.predictions()) == 1
    assert "is more than that already" in scene.said or "leaves too little" in scene.said


def test_later_runs_know_what_was_billed(scene: QuietScene) -> None:
    service_becomes(scene, bill_factor="2")
    scene.briefs("a")
    assert run(scene) == 0
    scene.briefs("a", "b", "c")
    assert run(scene, budget=111_999) == 3
    assert "the plan costs $0.056 by the price list, and the service asks $0.112" in scene.said
    assert run(scene) == 3, "without a budget, more than the plan's upper bound is refused"
    assert len(scene.service.books.predictions()) == 1
    assert run(scene, budget=112_000) == 0
    assert scene.service.books.charged_total() == 3 * 56_000


def test_a_bill_that_does_not_come_is_not_waited_for_for_ever(scene: QuietScene) -> None:
    service_becomes(scene, billing_lag_seconds=3600, bill_factor="2")
    scene.briefs("a", "b", "c")
    assert run(scene, budget=3 * PICTURE, quiet="0.2") == 0, scene.said
    # The stated bound: what left before the first bill could be read, at what it is billed above its reservation.
    assert scene.service.books.charged_total() == 3 * 2 * PICTURE
    with scene.ledger() as ledger:
        assert [one.charged for one in ledger.attempts()] == [PICTURE] * 3
        assert ledger.bills(ledger.attempts()[0].service, ledger.attempts()[0].model) == []
    assert any("does not show yet what one costs" in note for note in scene.last().notes)


def test_a_first_one_that_fails_lets_the_next_one_be_the_first(scene: QuietScene) -> None:
    scene.service.stop()
    scene.service.start(
        {
            "switches": {"bill_factor": "2"},
            "rules": [{"on": "submit", "nth": [1], "do": "http_status", "status": 400, "message": "no"}],
        }
    )
    scene.briefs("a", "b", "c")
    assert run(scene, budget=3 * PICTURE) in {1, 3}
    assert scene.service.books.charged_total() == 56_000


def test_a_killed_probe_is_one_prediction_as_well(scene: QuietScene) -> None:
    service_becomes(scene, bill_factor="2")
    scene.briefs("a", "b", "c", "d")
    assert run(scene, crash=("after Ledger.submitted", 1), budget=112_000) < 0
    assert len(scene.service.books.predictions()) == 1
    assert run(scene, budget=112_000) == 3
    assert scene.service.books.charged_total() == 112_000


# What a clip's seconds cost.


def a_clip(scene: QuietScene, seconds: float) -> str:
    name = f"clip-{seconds}.mp4"
    write_clip(scene.folder / name, seconds=seconds, sound=False)
    return name


async def plan_of(scene: QuietScene) -> Plan:
    flags = {
        "home": scene.home,
        "api_key": scene.workplace.environment["WAVESPEED_API_KEY"],
        "base_url": scene.service.url,
    }
    async with prepared(load_settings(flags, env_file=None), scene.folder / scene.csv) as ready:
        return ready.plan


@pytest.mark.parametrize(
    ("billed", "quantity", "cost"), [("exact", "4.25", 1_530_000), ("rounded_up", "5", 1_800_000)]
)
async def test_how_seconds_are_billed_is_learnt(
    scene: QuietScene, billed: str, quantity: str, cost: int
) -> None:
    service_becomes(scene, fractional_seconds=billed)
    clip = {"brief": "first", "video_prompt": "snow", "video": a_clip(scene, 3.25)}
    scene.rows([clip])
    plan = await plan_of(scene)
    assert (plan.cost, plan.cost_upper) == (1_170_000, 1_440_000)
    assert any("should the service round them up" in note for note in plan.notes)
    assert run(scene) == 0, scene.said

    scene.rows([{"brief": "next", "video_prompt": "rain", "video": a_clip(scene, 4.25)}])
    plan = await plan_of(scene)
    [stage] = plan.stages
    assert (f"{stage.quantity.normalize():f}", plan.cost, plan.cost_upper) == (quantity, cost, cost)
    assert not any("round them up" in note for note in plan.notes)
    assert run(scene, budget=cost) == 0, scene.said
    last = scene.service.books.charges()[-1]
    assert last.amount == cost
    with scene.ledger() as ledger:
        newest = ledger.attempts(state=AttemptState.STORED)[-1]
    assert (newest.reserved, newest.charged) == (cost, cost)


def test_a_clip_s_price_is_asked_with_the_longest(scene: QuietScene) -> None:
    service_becomes(scene, fractional_seconds="rounded_up")
    scene.rows(
        [
            {"brief": f"b{seconds}", "video_prompt": "snow", "video": a_clip(scene, seconds)}
            for seconds in (3.0, 4.25)
        ]
    )
    # Exact: $2.61; as the service counts: 3 s and 5 s.
    assert run(scene, budget=2_879_999) == 3
    assert "the plan costs $2.61 by the price list, and the service asks $2.88" in scene.said
    assert prices_asked(scene) == 1
    assert run(scene) == 0, scene.said
    assert scene.service.books.charged_total() == 2_880_000


# The billing record.


def test_a_deduction_and_its_refund_may_share_a_uuid(scene: QuietScene) -> None:
    scene.service.stop()
    scene.service.start(
        {
            "switches": {"billing_uuids": "shared", "refund_after_seconds": 0.0},
            "rules": [{"on": "submit", "nth": [1], "do": "fail_prediction", "code": 1403}],
        }
    )
    scene.briefs("a")
    assert ended(scene.start()) == 1
    assert scene.service.books.charged_total() == 0
    with scene.ledger() as ledger:
        [attempt] = ledger.attempts()
    assert (attempt.charged, attempt.refunded) == (PICTURE, PICTURE)
