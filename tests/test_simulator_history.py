"""What the history of a simulated service may do wrong: each switch over real HTTP, and how our client reads it."""

from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from simulator_support import KEY, Simulator, eventually, picture, simulator_thread

from blocks.wavespeed import Prediction, WaveSpeedClient
from simulator.catalogue import IMAGE_COMPOSITION, IMAGE_EDIT
from tasks.paying.echo import HistoryEcho


def switched(home: Path, **switches: Any) -> AbstractContextManager[Simulator]:
    return simulator_thread(home, faults={"switches": switches})


def edit(simulator: Simulator, **inputs: Any) -> dict[str, Any]:
    return {"prompt": "x", "image": simulator.upload(picture()), **inputs}


async def read(simulator: Simulator, calls: int = 1) -> list[Prediction]:
    """What our client reads of the history, with one client for all calls."""
    async with WaveSpeedClient(SecretStr(KEY), simulator.url) as client:
        for _ in range(calls):
            found = await client.history()
    return found


@pytest.mark.parametrize(("known", "asked"), [("accepted", [200, 200]), ("refused", [400, 200, 200])])
async def test_the_client_asks_for_what_was_sent_and_does_without_where_that_is_refused(
    tmp_path: Path, known: str, asked: list[int]
) -> None:
    with switched(tmp_path, include_inputs=known) as simulator:
        inputs = edit(simulator)
        simulator.submit(IMAGE_EDIT, inputs)
        (found,) = await read(simulator, calls=2)
        assert found.input == (inputs if known == "accepted" else None)
        assert [call.status for call in simulator.books.calls("/api/v3/predictions")] == asked


def submitted(simulator: Simulator, *prompts: str, **inputs: Any) -> list[str]:
    """Ids of predictions with these prompts, oldest first."""
    body = edit(simulator, **inputs)
    return [simulator.submit(IMAGE_EDIT, {**body, "prompt": prompt})["id"] for prompt in prompts]


def page(simulator: Simulator, **query: Any) -> list[Any]:
    items = simulator.data("POST", "/api/v3/predictions", json={"include_inputs": True, **query})["items"]
    assert isinstance(items, list)
    return items


def ids(simulator: Simulator, **query: Any) -> list[str]:
    return [item["id"] for item in page(simulator, **query)]


def shown(simulator: Simulator) -> dict[str, Any]:
    (item,) = page(simulator)
    inputs = item["input"]
    assert isinstance(inputs, dict)
    return inputs


CLOSING, APOSTROPHE = "\N{RIGHT DOUBLE QUOTATION MARK}", "\N{RIGHT SINGLE QUOTATION MARK}"
PROMPT = 'Say "hello" & <wave>; don\'t stop'


@pytest.mark.parametrize(
    ("reading", "prompt"),
    [
        ("as_sent", PROMPT),
        ("cut", 'Say "hell'),
        ("masked", "Say ****************************"),
        ("html_escaped", "Say &quot;hello&quot; &amp; &lt;wave&gt;; don&#x27;t stop"),
        ("requoted", f"Say {CLOSING}hello{CLOSING} & <wave>; don{APOSTROPHE}t stop"),
        (
            "enhanced",
            f"A professional photograph. {PROMPT} Highly detailed, balanced light, sharp focus.",
        ),
    ],
)
def test_prompts_may_be_shown_other_than_they_were_sent(tmp_path: Path, reading: str, prompt: str) -> None:
    with switched(tmp_path, history_prompts=reading, history_prompt_characters=9) as simulator:
        submitted(simulator, PROMPT)
        assert shown(simulator)["prompt"] == prompt
        (row,) = simulator.books.predictions()
        assert row.input["prompt"] == PROMPT


@pytest.mark.parametrize(("resolution", "pixels"), [("1k", "1360x768"), ("2k", "2720x1536")])
def test_aspect_ratios_may_be_shown_as_pixels(tmp_path: Path, resolution: str, pixels: str) -> None:
    with switched(tmp_path, history_aspect_ratio="pixels") as simulator:
        submitted(simulator, "x", aspect_ratio="16:9", resolution=resolution)
        assert shown(simulator)["aspect_ratio"] == pixels
    with switched(tmp_path / "auto", history_aspect_ratio="pixels") as simulator:
        body = {"prompt": "x", "images": [simulator.upload(picture())], "aspect_ratio": "auto"}
        simulator.submit(IMAGE_COMPOSITION, body)
        assert shown(simulator) == body


@pytest.mark.parametrize(
    ("reading", "keys", "pictures"),
    [
        ("all", {"prompt", "images", "num_images"}, 2),
        ("required", {"prompt", "images"}, 2),
        ("prompt", {"prompt"}, 0),
        ("first_picture", {"prompt", "images", "num_images"}, 1),
    ],
)
def test_fewer_inputs_may_be_shown_than_were_sent(
    tmp_path: Path, reading: str, keys: set[str], pictures: int
) -> None:
    with switched(tmp_path, history_inputs_shown=reading) as simulator:
        urls = [simulator.upload(picture(width=width)) for width in (300, 310)]
        simulator.submit(IMAGE_COMPOSITION, {"prompt": "x", "images": urls, "num_images": 1})
        inputs = shown(simulator)
        assert set(inputs) == keys
        assert inputs.get("images", []) == urls[:pictures]


def test_the_history_may_lag(tmp_path: Path) -> None:
    with switched(tmp_path, history_lag_seconds=3_600) as simulator:
        (prediction_id,) = submitted(simulator, "x")
        assert ids(simulator) == []
        assert simulator.result(prediction_id)["id"] == prediction_id
    with switched(tmp_path, history_lag_seconds=0.2) as simulator:
        assert eventually(lambda: ids(simulator)) == [prediction_id]


def test_a_share_of_the_predictions_may_be_hidden(tmp_path: Path) -> None:
    prompts = [str(number) for number in range(40)]
    with switched(tmp_path, history_hidden_share=0.5) as simulator:
        made = submitted(simulator, *prompts)
        visible = ids(simulator)
        assert 5 < len(visible) < 35
        assert ids(simulator) == visible == [each for each in reversed(made) if each in visible]
        # A page is as long as it was asked to be: what is hidden takes no place in it.
        assert ids(simulator, page_size=3) + ids(simulator, page=2, page_size=3) == visible[:6]
        assert all(simulator.result(each)["id"] == each for each in made)
    with switched(tmp_path, history_hidden_share=0.5, history_hidden_seed=1) as simulator:
        assert ids(simulator) != visible
    with switched(tmp_path, history_hidden_share=1) as simulator:
        assert ids(simulator) == []


def test_predictions_with_some_words_may_be_hidden(tmp_path: Path) -> None:
    with switched(tmp_path, history_hides_prompt="lost") as simulator:
        made = submitted(simulator, "one", "the lost one", "two")
        assert ids(simulator) == [made[2], made[0]]


def test_models_may_be_named_in_another_spelling(tmp_path: Path) -> None:
    other = "kwaivgi/kling-image-v3-edit"
    with switched(tmp_path, history_models="other_spelling") as simulator:
        made = submitted(simulator, "x")
        assert page(simulator, model=IMAGE_EDIT)[0]["model"] == other
        assert simulator.result(made[0])["model"] == IMAGE_EDIT
    with switched(tmp_path, history_model_filter="other_spelling") as simulator:
        assert ids(simulator, model=IMAGE_EDIT) == []
        assert ids(simulator, model=other) == made
    with switched(tmp_path, history_model_filter="ignored") as simulator:
        assert ids(simulator, model="no/such-model") == made


def hours_from_now(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="seconds")


def test_the_filter_of_time_may_be_ignored(tmp_path: Path) -> None:
    with switched(tmp_path) as simulator:
        made = submitted(simulator, "x")
        assert ids(simulator, created_after=hours_from_now(1)) == []
        assert ids(simulator, created_before=hours_from_now(-1)) == []
    with switched(tmp_path, history_time_filter="ignored") as simulator:
        assert ids(simulator, created_after=hours_from_now(1)) == made
        assert ids(simulator, created_before=hours_from_now(-1)) == made


@pytest.mark.parametrize(
    ("zone", "after_a_minute_ago", "after_in_an_hour"), [(8, 1, 1), (-8, 0, 0), (0, 1, 0)]
)
def test_the_filter_of_time_may_be_read_in_another_zone(
    tmp_path: Path, zone: float, after_a_minute_ago: int, after_in_an_hour: int
) -> None:
    with switched(tmp_path, history_zone_hours=zone) as simulator:
        submitted(simulator, "x")
        assert len(page(simulator, created_after=hours_from_now(-1 / 60))) == after_a_minute_ago
        assert len(page(simulator, created_after=hours_from_now(1))) == after_in_an_hour


def created(simulator: Simulator) -> tuple[Any, datetime]:
    """What the history says of the moment of its one prediction, and when that was."""
    (item,) = page(simulator)
    (row,) = simulator.books.predictions()
    return item.get("created_at"), datetime.fromtimestamp(row.created_at // 1_000_000 / 1_000, UTC)


@pytest.mark.parametrize(("reading", "hours_ahead"), [("as_is", 0), ("zoneless", 8), ("far_off", 24 * 3_652)])
def test_the_moments_of_the_history_may_be_other(tmp_path: Path, reading: str, hours_ahead: int) -> None:
    with switched(tmp_path, history_created_at=reading, history_zone_hours=8) as simulator:
        submitted(simulator, "x")
        text, true = created(simulator)
        moment = datetime.fromisoformat(text)
        assert (moment.tzinfo is None) is (reading == "zoneless")
        assert moment.replace(tzinfo=UTC) - true == timedelta(hours=hours_ahead)


def test_the_moments_of_the_history_may_be_none(tmp_path: Path) -> None:
    with switched(tmp_path, history_created_at="zero") as simulator:
        submitted(simulator, "x")
        assert created(simulator)[0] == "0001-01-01T00:00:00Z"
    with switched(tmp_path, history_created_at="missing") as simulator:
        assert created(simulator)[0] is None


def test_the_history_may_have_a_clock_of_its_own(tmp_path: Path) -> None:
    with switched(tmp_path, history_clock_skew_seconds=-1_800) as simulator:
        (prediction_id,) = submitted(simulator, "x")
        text, true = created(simulator)
        assert datetime.fromisoformat(text) - true == timedelta(minutes=-30)
        assert simulator.result(prediction_id)["created_at"] != text
        assert ids(simulator, created_after=hours_from_now(-0.25)) == []
        assert ids(simulator, created_after=hours_from_now(-0.75)) == [prediction_id]


def test_the_history_may_have_another_order(tmp_path: Path) -> None:
    with switched(tmp_path, history_order="oldest_first") as simulator:
        made = submitted(simulator, *"abcdefgh")
        assert ids(simulator) == made
        assert ids(simulator, sort="created_at DESC") == list(reversed(made))
    with switched(tmp_path, history_order="shuffled") as simulator:
        mixed = ids(simulator)
        assert mixed not in (made, list(reversed(made)))
        assert sorted(mixed) == sorted(made)
        assert ids(simulator, page_size=5) + ids(simulator, page_size=5, page=2) == mixed
        assert ids(simulator, sort="created_at ASC") == made


@pytest.mark.parametrize("shape", ["items", "list", "records", "unknown"])
@pytest.mark.parametrize("empty", ["list", "null", "no_data", "total"])
def test_a_page_has_its_items_under_one_of_several_keys(tmp_path: Path, shape: str, empty: str) -> None:
    key = {"unknown": "entries"}.get(shape, shape)
    with switched(tmp_path, history_page=shape, history_empty_page=empty) as simulator:
        at_first = simulator.data("POST", "/api/v3/predictions", json={})
        (made,) = submitted(simulator, "x")
        assert [each["id"] for each in simulator.data("POST", "/api/v3/predictions", json={})[key]] == [made]
        head = {"page": 1, "page_size": 100}
        assert (
            at_first
            == {
                "list": {**head, key: []},
                "null": {**head, key: None},
                "no_data": None,
                "total": {**head, "total": 0},
            }[empty]
        )


def test_a_page_may_be_nothing_but_its_items(tmp_path: Path) -> None:
    with switched(tmp_path, history_page="bare") as simulator:
        assert simulator.data("POST", "/api/v3/predictions", json={}) == []
        made = submitted(simulator, "x")
        assert [each["id"] for each in simulator.data("POST", "/api/v3/predictions", json={})] == made
    with switched(tmp_path / "null", history_page="bare", history_empty_page="null") as simulator:
        assert simulator.data("POST", "/api/v3/predictions", json={}) is None


def test_ids_may_stand_under_another_key(tmp_path: Path) -> None:
    with switched(tmp_path, history_id="uuid") as simulator:
        made = submitted(simulator, "x")
        (item,) = page(simulator)
        assert (item["uuid"], "id" in item) == (made[0], False)


@pytest.mark.parametrize("reading", ["string", "null", "without_id", "without_model"])
def test_items_may_be_unreadable(tmp_path: Path, reading: str) -> None:
    with switched(tmp_path, history_unreadable=reading) as simulator:
        (made,) = submitted(simulator, "x")
        (item,) = page(simulator)
        match reading:
            case "string":
                assert isinstance(item, str)
                assert made not in item
            case "null":
                assert item is None
            case "without_id":
                assert "model" in item
                assert not {"id", "uuid", "urls"} & set(item)
            case "without_model":
                assert item["id"] == made
                assert "model" not in item


def test_a_share_of_the_items_may_be_unreadable(tmp_path: Path) -> None:
    with switched(tmp_path, history_unreadable="null", history_unreadable_share=0.5) as simulator:
        submitted(simulator, *map(str, range(40)))
        items = page(simulator)
        assert 5 < items.count(None) < 35
        assert page(simulator) == items


def test_pages_may_be_smaller_than_asked_for(tmp_path: Path) -> None:
    with switched(tmp_path, history_largest_page=2) as simulator:
        made = submitted(simulator, "a", "b", "c")
        assert ids(simulator, page_size=100) == [made[2], made[1]]
        assert ids(simulator, page_size=100, page=2) == [made[0]]
        assert ids(simulator, page_size=1) == [made[2]]


def test_only_so_many_pages_may_be_shown(tmp_path: Path) -> None:
    with switched(tmp_path, history_most_pages=2) as simulator:
        made = submitted(simulator, "a", "b", "c")
        assert [ids(simulator, page_size=1, page=number) for number in (1, 2, 3)] == [
            [made[2]],
            [made[1]],
            [],
        ]


@pytest.mark.parametrize("empty", ["list", "null", "total"])
async def test_the_client_reads_items_under_their_own_key_and_an_empty_page_of_any_form(
    tmp_path: Path, empty: str
) -> None:
    with switched(tmp_path, history_empty_page=empty, history_most_pages=1) as simulator:
        assert await read(simulator) == []
        made = submitted(simulator, "x")
        assert [found.id for found in await read(simulator)] == made


@pytest.mark.parametrize("order", ["newest_first", "shuffled"])
async def test_the_client_reads_everything_whatever_the_order_the_pages_and_the_filter(
    tmp_path: Path, order: str
) -> None:
    switches = {"history_order": order, "history_largest_page": 2, "history_time_filter": "ignored"}
    with switched(tmp_path, **switches) as simulator:
        made = submitted(simulator, *"abcde")
        async with WaveSpeedClient(SecretStr(KEY), simulator.url) as client:
            found = await client.read_history(datetime.now(UTC) - timedelta(hours=1))
            assert {each.id for each in found.predictions} == set(made)


@pytest.mark.parametrize(
    ("switches", "shows"),
    [
        ({}, True),
        ({"history_prompts": "cut", "history_prompt_characters": 3}, False),
        ({"history_prompts": "masked"}, False),
        ({"history_prompts": "enhanced"}, False),
        ({"history_inputs_shown": "prompt"}, False),
    ],
)
async def test_a_history_that_changes_what_was_sent_is_not_taken_for_one_that_shows_it(
    tmp_path: Path, switches: dict[str, Any], shows: bool
) -> None:
    with switched(tmp_path, **switches) as simulator:
        body = edit(simulator, prompt="make it blue", num_images=1)
        sent = {simulator.submit(IMAGE_EDIT, body)["id"]: body}

        async def bodies_sent(_: Any) -> dict[str, dict[str, Any]]:
            return sent

        async with WaveSpeedClient(SecretStr(KEY), simulator.url) as client:
            echo = HistoryEcho(client.newest, bodies_sent)
            await echo.learn_from_new(IMAGE_EDIT)
        assert echo.shows_inputs(IMAGE_EDIT) is shows
