"""Prompts that nobody wrote are never bought: spreadsheets' errors, words for missing values, damage, nothing."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import InvalidInput
from tasks.briefs.campaign_text import CommentedLines
from tasks.briefs.reading import read_campaign, references_of

HEADER = ("brief", "edit_prompt", "edit_image", "compose_prompt", "compose_images", "product")


def _file(folder: Path, *rows: dict[str, str]) -> Path:
    path = folder / "c.csv"
    columns = [name for name in HEADER if any(name in row for row in rows)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _edit(prompt: str, **more: str) -> dict[str, str]:
    return {"brief": "a", "edit_prompt": prompt, "edit_image": "mug.jpg", **more}


def _problems(path: Path) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read_campaign(path)
    return [f"{problem.line}: {problem.column}: {problem.message}" for problem in caught.value.problems]


ERRORS = [
    *(
        "#N/A",
        "#NAME?",
        "#REF!",
        "#VALUE!",
        "#DIV/0!",
        "#NUM!",
        "#NULL!",
        "#SPILL!",
        "#CALC!",
        "#FIELD!",
        "#ERROR!",
    ),
    *(
        "#NV",
        "#WERT!",
        "#BEZUG!",
        "#ÜBERLAUF!",
        "#ZAHL!",
        "#¡VALOR!",
        "#¿NOMBRE?",
        "#N/D",
        "#I/T",
        "#BRAK",
        "#YOK",
    ),
    *("#n/a", " #N/A ", '"#REF!"', "=#REF!", "#####", "Err:502", "#IKKE.TILGJENGELIG"),
]
MISSING = ["nan", "NaN", "None", "null", "NULL", "N/A", "<NA>", "NaT", "undefined", "“None”"]
UNSEEN = ["\u200b", "\u200b \ufeff", "\u2060", "\u3164", "\u2800", "\u00ad", "\u00a0\u200d"]
CONTROL = [
    *("Nan bread on a wooden board", "A sign that says N/A", "None of the cups is red", "#1 mug of the year"),
    *("#spring", "Write null on it", "🎄", "春の朝", "mug, #REF! on its side", "No. 1!", "{{"),
]


@pytest.mark.parametrize("prompt", ERRORS + MISSING + UNSEEN)
def test_a_prompt_that_says_nothing_is_a_problem(tmp_path: Path, prompt: str) -> None:
    (problem,) = _problems(_file(tmp_path, _edit(prompt)))
    assert problem.startswith("2: edit_prompt: holds ")
    assert problem.endswith("; write the prompt, or clear the cell to skip the stage")


@pytest.mark.parametrize("value", ERRORS + MISSING + UNSEEN)
def test_a_cell_that_says_nothing_fills_no_prompt(tmp_path: Path, value: str) -> None:
    (problem,) = _problems(_file(tmp_path, _edit("The {product} on a table", product=value)))
    assert problem.startswith("2: edit_prompt: “{product}” holds ")


def test_each_row_has_its_line(tmp_path: Path) -> None:
    rows = [_edit(prompt) | {"brief": f"b{number}"} for number, prompt in enumerate(ERRORS[:4])]
    assert [problem.split(" ")[0] for problem in _problems(_file(tmp_path, *rows))] == [
        "2:",
        "3:",
        "4:",
        "5:",
    ]


def test_what_is_wrong_with_a_prompt_is_told_where_it_stands(tmp_path: Path) -> None:
    row = _edit("#N/A", compose_prompt="Like {edit_prompt}", compose_images="mug.jpg")
    assert [problem.split(": ")[1] for problem in _problems(_file(tmp_path, row))] == ["edit_prompt"]


def test_no_break_blanks_are_no_blank_cell(tmp_path: Path) -> None:
    """They look like one. Were it one, its stage would be left out without a word."""
    row = _edit("on oak", compose_prompt="\u00a0\u3000", compose_images="mug.jpg")
    (problem,) = _problems(_file(tmp_path, row))
    assert problem.startswith("2: compose_prompt: holds nothing that can be seen")
    assert read_campaign(_file(tmp_path, row | {"compose_prompt": "  "})).briefs[0].compose is None


@pytest.mark.parametrize("prompt", CONTROL)
def test_words_with_such_signs_among_them_are_a_prompt(tmp_path: Path, prompt: str) -> None:
    assert read_campaign(_file(tmp_path, _edit(prompt))).briefs[0].edit is not None
    filled = _file(tmp_path, _edit("On a table: {product}", product=prompt))
    assert read_campaign(filled).briefs[0].edit is not None


# --- damaged letters -----------------------------------------------------------------------------------------------


def test_damaged_letters_are_a_problem(tmp_path: Path) -> None:
    (problem,) = _problems(_file(tmp_path, _edit("Ein gr\ufffd\ufffdner Becher")))
    assert "2: edit_prompt: holds damaged letters (“Ein gr\ufffd\ufffdner Becher”)" in problem
    (filled,) = _problems(_file(tmp_path, _edit("The {product}", product="gr\ufffdn")))
    assert "damaged letters" in filled


def test_a_file_in_another_encoding_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes("brief,edit_prompt,edit_image\na,Ein grüner Becher,mug.jpg\n".encode("cp1252"))
    (problem,) = _problems(path)
    assert problem.startswith("2: encoding: ")


@pytest.mark.parametrize(
    "meant", ["Ein grüner Becher", "„Fußball“ à la carte \u2013 5 €", "朝の光", "Ý Í Ð Á"]
)
def test_utf_8_read_as_windows_1252_is_a_note(tmp_path: Path, meant: str) -> None:
    letters = {byte: bytes([byte]).decode("latin-1") for byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
    misread = "".join(letters.get(byte) or bytes([byte]).decode("cp1252") for byte in meant.encode())
    (brief,) = read_campaign(_file(tmp_path, _edit(misread))).briefs
    (note,) = references_of(brief).notes
    assert note.startswith("the edit prompt may have been read in another encoding once: “")
    # Where only a part of it reads so, or nothing does, it is what was written.
    for good in (meant, misread + " für alle", "Ã la carte", "Café"):
        (brief,) = read_campaign(_file(tmp_path, _edit(good))).briefs
        assert references_of(brief).notes == ()


# --- tags ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tag",
    [
        *(
            "@Image 3",
            "<<<image_3>>>",
            "@image_3",
            "\uff20Image\uff13",
            "@Image\u00a03",
            "@image-3",
            "@IMAGE#3",
            "@Image\uff13",
        ),
        *(
            "<image_3>",
            "@Image\u200b3",
            "@Image(3)",
            "@picture 3",
            "@img3",
            "\uff1c\uff1c\uff1cimage_3\uff1e\uff1e\uff1e",
        ),
    ],
)
def test_a_tag_beyond_the_references_is_a_problem_however_it_is_spelt(tmp_path: Path, tag: str) -> None:
    row = {
        "brief": "t",
        "compose_prompt": f"@Image1 and @Image2 beside {tag}",
        "compose_images": "mug.jpg|cloth.png",
    }
    (problem,) = _problems(_file(tmp_path, row))
    assert problem.startswith("2: compose_prompt: ")
    assert "names a picture that is not there: the stage has 2 pictures, @Image1 to @Image2" in problem
    good = row | {"compose_prompt": row["compose_prompt"].replace("3", "2").replace("\uff13", "\uff12")}
    (brief,) = read_campaign(_file(tmp_path, good)).briefs
    assert references_of(brief).notes == ()


def test_prose_beyond_the_references_stays_a_note(tmp_path: Path) -> None:
    row = {"brief": "t", "compose_prompt": "picture 3, and image \uff14", "compose_images": "mug.jpg"}
    (brief,) = read_campaign(_file(tmp_path, row)).briefs
    assert [note.split("”")[0] for note in references_of(brief).notes] == [
        "the compose prompt says “picture 3",
        "the compose prompt says “image 4",
    ]


@pytest.mark.parametrize("prompt", ["an @image 16:9 crop", "an image 3d", "mail me@image.org", "<b>3</b>"])
def test_what_is_no_tag(tmp_path: Path, prompt: str) -> None:
    assert read_campaign(_file(tmp_path, _edit(prompt))).briefs[0].edit is not None


# --- a blank before the quotation mark -----------------------------------------------------------------------------


def _read(folder: Path, content: str) -> list[str]:
    path = folder / "c.csv"
    path.write_bytes(content.encode())
    return [brief.edit.request.prompt for brief in read_campaign(path).briefs if brief.edit]


@pytest.mark.parametrize("blank", [" ", "   ", "\t", "\u00a0", " \t "])
def test_a_blank_before_the_mark_is_read_as_quoted(tmp_path: Path, blank: str) -> None:
    content = (
        f'brief,{blank}edit_prompt,{blank}edit_image\na,{blank}"A red mug, please",{blank}mug.jpg\n'
        f'b,{blank}"two\n{blank}"" lines, ""x""",{blank}"mug.jpg"\n{blank}"c",{blank}plain,mug.jpg\n'
    )
    assert _read(tmp_path, content) == ["A red mug, please", f'two\n{blank}" lines, "x"', "plain"]


def test_comments_and_marks_within_text_stay_as_they_are(tmp_path: Path) -> None:
    content = (
        '# a note, "with a mark that never closes\nbrief,edit_prompt,edit_image\n# another, "one\n'
        'a, "said, ""so""", mug.jpg\nb,a 5" mug,mug.jpg\n'
    )
    assert _read(tmp_path, content) == ['said, "so"', 'a 5" mug']


def test_what_follows_the_closing_mark_is_still_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(b'brief,edit_prompt,edit_image\na, "one" two, mug.jpg\nb, "never closed, mug.jpg\n')
    assert [problem.split(":")[0] for problem in _problems(path)] == ["2", "3"]


CELLS = st.text(st.sampled_from('a ,"\n\t#\u00a0'), max_size=6)


@given(
    rows=st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=4),
    blank=st.sampled_from([" ", "\t", "\u00a0 "]),
)
def test_quoted_cells_read_the_same_with_blanks_before_them(rows: list[list[str]], blank: str) -> None:
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in rows]
    text = "".join(f"{f',{blank}'.join(row)}\n" for row in quoted)
    lines = CommentedLines(text)
    lines.may_be_comments = False
    read = []
    reader = csv.reader(lines, strict=True)
    while True:
        lines.at_row_start = True
        try:
            read.append(next(reader))
        except StopIteration:
            break
    assert read == rows


@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=4))
def test_what_a_program_writes_reads_as_it_was(rows: list[list[str]]) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    lines = CommentedLines(written.getvalue())
    lines.may_be_comments = False
    read = []
    reader = csv.reader(lines, strict=True)
    while True:
        lines.at_row_start = True
        try:
            read.append(next(reader))
        except StopIteration:
            break
    assert read == rows
