"""Prices kept for ten minutes: of one account and one question, and never a reason for a command to fail."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blocks.kept_quotes import KEPT, KeptQuotes
from blocks.wavespeed import Quote

KEY = "ws-canary-0123456789abcdef"
SERVICE = "https://api.example"
QUESTION = {"model": "m/edit", "parameters": {"num_images": 1}, "clips": []}
QUOTE = Quote("m/edit", 28_000, 25_200, currency="USD")


def quotes(folder: Path, *, service: str = SERVICE, key: str = KEY) -> KeptQuotes:
    return KeptQuotes(folder / "quotes.json", service=service, key=key)


def aged(folder: Path, age: timedelta) -> None:
    file = folder / "quotes.json"
    document = json.loads(file.read_text())
    for quote in document["quotes"].values():
        quote["asked_at"] = (datetime.now(UTC) - age).isoformat()
    file.write_text(json.dumps(document))


def test_another_process_finds_the_answer_to_the_same_question_of_the_same_account(tmp_path: Path) -> None:
    quotes(tmp_path).keep([(QUESTION, QUOTE)])
    found = quotes(tmp_path).find(QUESTION)
    assert found is not None
    assert found.quote == QUOTE
    assert 0 <= found.age_seconds < 60
    assert quotes(tmp_path).find(QUESTION | {"clips": ["other"]}) is None
    assert quotes(tmp_path, key="another").find(QUESTION) is None
    assert quotes(tmp_path, service="https://api.other").find(QUESTION) is None
    file = tmp_path / "quotes.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert KEY not in file.read_text()
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("age", "found"),
    [(KEPT - timedelta(minutes=1), True), (KEPT, False), (timedelta(minutes=-5), False)],
)
def test_it_holds_for_ten_minutes_and_not_from_the_future(
    tmp_path: Path, age: timedelta, found: bool
) -> None:
    quotes(tmp_path).keep([(QUESTION, QUOTE)])
    aged(tmp_path, age)
    assert (quotes(tmp_path).find(QUESTION) is not None) is found


def test_an_answer_from_before_a_reservation_does_not_serve_it(tmp_path: Path) -> None:
    quotes(tmp_path).keep([(QUESTION, QUOTE)])
    now = datetime.now(UTC)
    assert quotes(tmp_path).find(QUESTION, newer_than=now - timedelta(minutes=1)) is not None
    assert quotes(tmp_path).find(QUESTION, newer_than=now) is None


def test_what_is_old_is_dropped_as_new_ones_are_kept(tmp_path: Path) -> None:
    quotes(tmp_path).keep([(QUESTION, QUOTE)])
    aged(tmp_path, KEPT)
    quotes(tmp_path).keep([({"model": "other"}, QUOTE)])
    assert len(json.loads((tmp_path / "quotes.json").read_text())["quotes"]) == 1


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"quotes": 3}', '{"quotes": {"x": []}, "salt": 5}', "\0", "[" * 100_000]
)
def test_what_is_damaged_is_not_there_and_is_written_over(tmp_path: Path, damage: str) -> None:
    (tmp_path / "quotes.json").write_text(damage)
    assert quotes(tmp_path).find(QUESTION) is None
    quotes(tmp_path).keep([(QUESTION, QUOTE)])
    assert quotes(tmp_path).find(QUESTION) is not None


@pytest.mark.parametrize("field", ["asked_at", "model", "price", "discounted", "currency"])
@pytest.mark.parametrize("value", [None, [], "x"])
def test_an_answer_that_cannot_be_read_is_none(tmp_path: Path, field: str, value: object) -> None:
    quotes(tmp_path).keep([(QUESTION, QUOTE)])
    file = tmp_path / "quotes.json"
    document = json.loads(file.read_text())
    [quote] = document["quotes"].values()
    quote[field] = value
    file.write_text(json.dumps(document))
    found = quotes(tmp_path).find(QUESTION)
    assert found is None or (field in {"model", "currency"} and isinstance(value, str))


def test_without_a_place_nothing_is_kept_and_nothing_fails(tmp_path: Path) -> None:
    nowhere = quotes(tmp_path / "not made yet")
    nowhere.keep([(QUESTION, QUOTE)])
    assert not (tmp_path / "not made yet").exists()
    (tmp_path / "quotes.json").mkdir()
    quotes(tmp_path).keep([(QUESTION, QUOTE)])
    assert quotes(tmp_path).find(QUESTION) is None
