"""The price book: exact amounts from a dated list, and clear words about a list that is none."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from blocks.errors import InvalidInput
from blocks.prices import PriceBook, newest_price_list

EDIT = "kwaivgi/kling-image-v3/edit"
COMPOSE = "kwaivgi/kling-image-o3/edit"
VIDEO = "kwaivgi/kling-video-o3-pro/video-edit"
HEADER = "model,resolution,unit,price_usd,source\n"


def test_the_project_brings_a_list_with_every_price() -> None:
    book = PriceBook.load()
    assert [book.unit_price(EDIT, size) for size in ("1k", "2k")] == [28_000, 28_000]
    assert [book.unit_price(COMPOSE, size) for size in ("1k", "2k", "4k")] == [28_000, 28_000, 56_000]
    assert book.unit_price(VIDEO, None) == 360_000
    assert book.name == f"wavespeed-{book.dated}.csv"
    assert len(book.sha256) == 64
    assert len(book.rows) == 6
    assert set(book.rows[0]) == {"model", "resolution", "unit", "price_usd", "source"}


@pytest.mark.parametrize(
    ("quantity", "millionths"),
    [("5.312", 1_912_320), ("3", 1_080_000), ("5.0000013", 1_800_000), ("5.0000014", 1_800_001)],
)
def test_costs_are_exact_and_rounded_half_up(quantity: str, millionths: int) -> None:
    assert PriceBook.load().cost(VIDEO, None, Decimal(quantity)) == millionths


def test_half_a_millionth_is_rounded_up(tmp_path: Path) -> None:
    book = PriceBook.load(_list(tmp_path, HEADER + f"{VIDEO},,second,0.000001,\n"))
    assert book.cost(VIDEO, None, Decimal("3.5")) == 4
    assert book.cost(VIDEO, None, Decimal("4.5")) == 5


def test_the_newest_list_that_is_not_of_the_future_counts(tmp_path: Path) -> None:
    for name in ("a-2026-01-01.csv", "a-2026-03-01.csv", "a-2027-01-01.csv", "notes.txt", "undated.csv"):
        (tmp_path / name).write_text(HEADER)
    assert newest_price_list(tmp_path, date(2026, 12, 31)).name == "a-2026-03-01.csv"
    assert newest_price_list(tmp_path, date(2027, 1, 1)).name == "a-2027-01-01.csv"
    with pytest.raises(InvalidInput, match="no price list dated 2025-01-01 or earlier"):
        newest_price_list(tmp_path, date(2025, 1, 1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: the columns must be"),
        ("model,price\n", "line 1: the columns must be"),
        (HEADER, "lists no price"),
        (HEADER + f"{EDIT},1k,image,0.028\n", "line 2: not 5 cells"),
        (HEADER + f"{EDIT},1k,image,0.028,a,b\n", "line 2: not 5 cells"),
        (HEADER + f"{EDIT},1k,picture,0.028,\n", "line 2: unit 'picture' is not one of"),
        (HEADER + f"{EDIT},1k,image,cheap,\n", "line 2: price_usd 'cheap' is not an amount"),
        (HEADER + f"{EDIT},1k,image,NaN,\n", "line 2: price_usd 'NaN' is not an amount"),
        (HEADER + f"{EDIT},1k,image,-0.028,\n", "line 2: price_usd '-0.028' is not a price"),
        (HEADER + f"{EDIT},1k,image,0.0000001,\n", "whole millionths"),
        (HEADER + ",1k,image,0.028,\n", "line 2: model is blank"),
        (HEADER + f"{EDIT},1k,image,1,\n{EDIT},1k,image,2,\n", "line 3: a second price"),
    ],
)
def test_a_bad_list_is_refused_with_the_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        PriceBook.load(_list(tmp_path, content))


def test_a_list_that_is_missing_undated_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        PriceBook.load(tmp_path / "p-2026-01-01.csv")
    undated = tmp_path / "prices.csv"
    undated.write_text(HEADER)
    with pytest.raises(InvalidInput, match="carries no date"):
        PriceBook.load(undated)
    with pytest.raises(InvalidInput, match="not UTF-8"):
        PriceBook.load(_list(tmp_path, HEADER + "Größe", encoding="latin-1"))


def test_a_price_that_is_not_listed_names_the_row_to_add() -> None:
    with pytest.raises(InvalidInput, match=f"no price for {EDIT} in 8k; add a row"):
        PriceBook.load().unit_price(EDIT, "8k")


def _list(folder: Path, content: str, encoding: str = "utf-8") -> Path:
    path = folder / "prices-2026-01-01.csv"
    path.write_text(content, encoding=encoding)
    return path
