"""Cells, texts and files as they leave the program."""

import csv
import io
import re
import unicodedata
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_samples import HOSTILE_TEXTS

from tasks.exports import (
    asset_place,
    cell_text,
    csv_bytes,
    duration_text,
    neutral_cell,
    original_cell,
    utf8,
    visible,
    write_atomically,
)


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1+1",
        "-1-1",
        "@SUM(A1)",
        "\rx",
        "\nx",
        "＝1",  # noqa: RUF001 - the full-width form is the point
        "＋1",  # noqa: RUF001 - see above
        "－1",  # noqa: RUF001 - see above
        "＠A1",  # noqa: RUF001 - see above
        "\ufe66 1",
        "  =1",
        "\ufeff=1",
        "\u200b=1",
        "- a list",
        "+49 30 1234",
        "-",
    ],
)
def test_a_formula_is_marked(text: str) -> None:
    assert neutral_cell(text) == "'" + text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("x;=1+1", "'x;'=1+1"),
        ("x\t=1+1", "'x\t'=1+1"),
        ("x; \u200b@SUM(A1);y;-2", "'x;' \u200b@SUM(A1);y;'-2"),
        ("\t=1", "'\t'=1"),
        ("a\n=b", "'a\n'=b"),
        ('x;"=1"', "'x;'\"=1\""),
        ("x;'=1", "'x;''=1"),
        ("=1;=2", "'=1;'=2"),
        ("'=1;2", "''=1;2"),
        ("one;two;three", "one;two;three"),
        ("x;'s", "x;'s"),
    ],
)
def test_a_part_that_a_spreadsheet_would_split_off_is_marked_as_well(text: str, safe: str) -> None:
    assert neutral_cell(text) == safe
    assert original_cell(safe) == text


def test_what_an_earlier_version_marked_is_read() -> None:
    assert original_cell("'=1;=2") == "=1;=2"
    assert original_cell("'a;=2") == "'a;=2"  # was not marked: the mark is the text's own


@pytest.mark.parametrize(
    "text", ["", "a=1", "-1.5", "+3", "0", "12.50", "'quoted'", "mug", "a;b", "#REF", "'s"]
)
def test_what_no_spreadsheet_calculates_stays(text: str) -> None:
    assert neutral_cell(text) == text


HOSTILE = st.text(alphabet="'\"=+-@ ;,\t\r\nx1.＝", max_size=10)  # noqa: RUF001 - a formula's sign


@given(st.one_of(st.text(max_size=8), HOSTILE))
def test_the_mark_comes_off_without_loss(text: str) -> None:
    assert original_cell(neutral_cell(text)) == text


@given(st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=2), max_size=4))
def test_a_written_csv_reads_back(rows: list[list[str]]) -> None:
    written = csv_bytes(["a", "b"], rows).decode()
    header, *read = csv.reader(io.StringIO(written, newline=""))
    assert header == ["a", "b"]
    assert [[original_cell(cell) for cell in row] for row in read] == rows


@settings(max_examples=500)
@given(
    st.lists(
        st.lists(st.one_of(HOSTILE, st.text(max_size=8)), min_size=3, max_size=3), min_size=1, max_size=4
    ),
    st.sampled_from([",", ";", "\t"]),
)
def test_no_reader_finds_a_formula_wherever_it_splits(rows: list[list[str]], separator: str) -> None:
    """As a spreadsheet reads the file that splits there; the text that was written comes back exactly."""
    written = csv_bytes(["brief", "prompt", "note"], rows).decode()
    for row in csv.reader(io.StringIO(written, newline=""), delimiter=separator):
        for cell in row:
            shown = cell.lstrip(" \xa0\u3000\u200b\u200c\u200d\u2060\ufeff\x00")
            sign = unicodedata.normalize("NFKC", shown[:1])
            # A number is none, whatever follows it from the cells beside it: that is no expression.
            number = re.match(r"[-+][0-9]+(\.[0-9]+)?(,|$)", shown)
            assert number or sign not in {"=", "+", "-", "@"} or not sign, (cell, written)
    _, *read = csv.reader(io.StringIO(written, newline=""))
    assert [[original_cell(cell) for cell in row] for row in read] == rows


def test_numbers_stay_numbers() -> None:
    row = [None, -1, Decimal("-0.028"), Decimal("1E+2"), -2.5, 0.0004, "-2.5"]
    assert csv_bytes(["x"] * 7, [row]).decode().splitlines()[1] == ",-1,-0.028,100,-2.500,0.000,-2.5"
    assert cell_text(1.91232) == "1.912"


def test_half_a_surrogate_pair_is_spelled_out() -> None:
    assert utf8("a\ud800é") == b"a\\ud800\xc3\xa9"


def test_hidden_characters_are_spelled_out() -> None:
    assert visible("a\u202eb\x1b[0m\u200b\ud800") == "a[U+202E]b[U+001B][0m[U+200B][U+D800]"
    assert visible("line\n\ttab שלום 👩\u200d👧") == "line\n\ttab שלום 👩\u200d👧"
    for text in HOSTILE_TEXTS:
        assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_as_people_say_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "cost.csv"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"three")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["cost.csv"]


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "assets/../x",
        "/etc/passwd",
        "assets",
        "assets/",
        "x/y",
        "assets\\x",
        "assets/a:b",
        "assets/\0",
        "",
    ],
)
def test_no_asset_lies_outside(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="no place below assets"):
        asset_place(tmp_path, path)


def test_an_asset_lies_in_its_briefs_folder(tmp_path: Path) -> None:
    assert asset_place(tmp_path, "assets/mug/edit-1.png") == tmp_path / "assets" / "mug" / "edit-1.png"
