"""What the service asks for itself, held against the price list; and how a plan is shown."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from caching_support import PICTURE, write_campaign
from rich.console import Console
from simulator_support import KEY, Simulator, clip, picture, simulator_thread

from blocks.errors import AccountRefused, InvalidInput
from blocks.ledger import Ledger
from blocks.money import dollars_text
from blocks.settings import Settings, load_settings
from flows.commands.plan_view import print_plan
from flows.preparation import Prepared, how_long, prepared
from flows.quoting import quoted, require_account
from tasks.planning import plan_quote
from tasks.planning.plan_quote import Quotes

ROWS = [
    {"brief": "a", "edit_prompt": "warm", "edit_image": "mug.png", "edit_num_images": "2"},
    {"brief": "b", "edit_prompt": "cold", "edit_image": "cup.png", "edit_num_images": "2"},
    {
        "brief": "c",
        "compose_prompt": "on oak",
        "compose_images": "cup.png",
        "compose_resolution": "4k",
        "video_prompt": "snow",
        "video": "clip.mp4",
    },
]


@contextmanager
def service_with(tmp_path: Path, **switches: Any) -> Iterator[tuple[Simulator, Settings]]:
    with simulator_thread(tmp_path / "service", faults={"switches": switches}) as service:
        flags = {"home": tmp_path / "home", "api_key": KEY, "base_url": service.url}
        yield service, load_settings(flags, env_file=None)


def campaign(tmp_path: Path) -> Path:
    path = write_campaign(tmp_path / "campaign" / "spring.csv", ROWS)
    (path.parent / "mug.png").write_bytes(picture())
    (path.parent / "cup.png").write_bytes(picture(width=310))
    (path.parent / "clip.mp4").write_bytes(clip(96))
    return path


async def ask(settings: Settings, path: Path) -> tuple[Prepared, Quotes]:
    async with prepared(settings, path) as ready:
        return ready, await quoted(ready)


async def test_each_distinct_price_is_asked_once_and_a_difference_is_told(tmp_path: Path) -> None:
    path = campaign(tmp_path)
    with service_with(tmp_path, video_usd_per_second="0.168", discount_rate="0.25") as (service, settings):
        ready, quotes = await ask(settings, path)
        assert len(service.books.journal.calls("/api/v3/model/price")) == 3
        assert service.books.predictions() == []
        assert not settings.home.exists(), "planning makes nothing"

        prices = {(price.model.split("/")[1], price.stages): price for price in quotes.prices}
        edit, video = prices["kling-image-v3", 2], prices["kling-video-o3-pro", 1]
        assert (edit.listed, edit.service, edit.service_list) == (2 * PICTURE, 42_000, 2 * PICTURE)
        assert (video.listed, video.service) == (4 * 360_000, 4 * 126_000)
        assert (
            "the price list says $1.44, the service says $0.504, $0.672 before its discount"
            in video.sentence()
        )
        assert len(quotes.differing) == 3
        document = quotes.document(ready.plan)
        total = 2 * 42_000 + 42_000 + 504_000
        assert Decimal(document["cost_usd"]) * 1_000_000 == total
        assert document["prices"][0]["difference_usd"] == dollars_text(42_000 - 2 * PICTURE)


async def test_a_run_uses_the_uploads_of_a_quote_again(tmp_path: Path) -> None:
    path = campaign(tmp_path)
    with service_with(tmp_path) as (service, settings):
        settings.home.mkdir()
        Ledger.open(settings.ledger_address).close()
        _, quotes = await ask(settings, path)
        assert quotes.differing == ()
        assert [price.sentence().rpartition(", ")[2] for price in quotes.prices] == ["the service agrees"] * 3
        uploads = len(service.books.journal.calls("/api/v3/media/uploads"))
        assert uploads == 3
        await ask(settings, path)
        assert len(service.books.journal.calls("/api/v3/media/uploads")) == uploads


async def test_what_is_not_asked_or_not_answered_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = campaign(tmp_path)
    monkeypatch.setattr(plan_quote, "MOST_QUESTIONS", 2)
    with simulator_thread(
        tmp_path / "service", faults={"rules": [{"on": "price", "do": "http_status", "status": 400}]}
    ) as service:
        flags = {"home": tmp_path / "home", "api_key": KEY, "base_url": service.url}
        ready, quotes = await ask(load_settings(flags, env_file=None), path)
        assert quotes.unasked == 1
        assert all("the service gave no price" in price.sentence() for price in quotes.prices)
        assert quotes.document(ready.plan)["cost_usd"] == dollars_text(ready.plan.cost)
        wrong = load_settings(flags | {"api_key": "another"}, env_file=None)
        with pytest.raises(AccountRefused):
            await ask(wrong, path)


def test_without_an_account_there_is_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAVESPEED_API_KEY", raising=False)
    with pytest.raises(InvalidInput, match="WAVESPEED_API_KEY"):
        require_account(load_settings(env_file=None))


async def shown(tmp_path: Path, **console: Any) -> list[str]:
    path = campaign(tmp_path)
    settings = load_settings({"home": tmp_path / "home", "api_key": KEY}, env_file=None)
    out = io.StringIO()
    async with prepared(settings, path) as ready:
        print_plan(
            ready.plan,
            how_long(settings, ready.plan),
            None,
            simulated=False,
            console=Console(file=out, **console),
        )
    return out.getvalue().splitlines()


async def test_a_wide_terminal_is_shown_a_table_and_a_narrow_one_lines(tmp_path: Path) -> None:
    wide = await shown(tmp_path, width=140)
    assert wide[0].split() == ["brief", "stage", "action", "why", "quantity", "cost", "at", "most"]
    assert wide[1].split() == ["a", "edit", "generate", "new", "2", "pictures", "$0.056"]
    narrow = await shown(tmp_path, width=50)
    assert narrow[:2] == ["a edit: generate, 2 pictures, $0.056", "  new"]
    table_end = narrow.index("")
    assert max(len(line) for line in narrow[:table_end]) <= 50
    too_narrow = 140
    while (await shown(tmp_path, width=too_narrow))[:2] != narrow[:2]:
        too_narrow -= 5
    assert 50 <= too_narrow < 90, "a table as long as it breaks no word"
    for lines in (wide, narrow):
        [totals] = [line for line in lines if line.startswith("3 briefs, 4 stages: ")]
        assert totals == "3 briefs, 4 stages: $1.608, $0 saved by the cache; on the WaveSpeed account"
        assert any(line.startswith("takes about ") for line in lines)
        assert any("unknown yet for" in line for line in lines)
