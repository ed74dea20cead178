"""The campaign CSV as a file: encodings, lines as an editor counts them, headers, cells, results files."""

import csv
import os
import threading
from pathlib import Path

import pytest

from blocks.errors import InvalidInput
from tasks.briefs.campaign_text import MOST_ROWS
from tasks.briefs.reading import read_campaign
from tasks.exports import csv_bytes

HEADER = "brief,edit_prompt,edit_image\n"


def _campaign(folder: Path, content: str | bytes) -> Path:
    path = folder / "spring.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _problems(folder: Path, content: str | bytes) -> list[str]:
    path = _campaign(folder, content)
    with pytest.raises(InvalidInput) as caught:
        read_campaign(path)
    for problem in caught.value.problems:
        assert problem.file == str(path)
        assert "\n" not in str(problem)
    return [f"{problem.line}: {problem.column}: {problem.message}" for problem in caught.value.problems]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_any_line_end_and_a_byte_order_mark_are_fine(tmp_path: Path, mark: bytes, end: bytes) -> None:
    rows = [
        b"brief,edit_prompt,edit_image",
        b"a,w\xc3\xa4rmer,a.png",
        b"",
        b",,",
        b'b,"two',
        b'lines",b.png',
        b"c,x,c.png",
    ]
    campaign = read_campaign(_campaign(tmp_path, mark + end.join(rows) + end))
    assert campaign.name == "spring"
    assert campaign.columns == ("brief", "edit_prompt", "edit_image")
    assert [(brief.brief, brief.line) for brief in campaign.briefs] == [("a", 2), ("b", 5), ("c", 7)]
    edits = [brief.edit for brief in campaign.briefs]
    assert [edit.request.prompt for edit in edits if edit] == ["wärmer", "two\nlines", "x"]


def test_a_problem_is_on_the_line_where_its_row_starts(tmp_path: Path) -> None:
    content = HEADER + 'a,"one\ntwo\nthree",a.png\n\nb,"x\ny",\n'
    assert _problems(tmp_path, content) == [
        "6: edit_image: blank; the edit needs the picture that it changes: a path or an https URL"
    ]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(range(256)) * 40, "JPEG"),
        (b"\x00\x9f\n,\x00" * 500, "a file of an unknown kind"),
    ],
)
def test_what_is_no_text_is_one_sentence(tmp_path: Path, content: bytes, kind: str) -> None:
    [said] = _problems(tmp_path, content)
    assert said.startswith("1: file: is not text, but ")
    assert kind in said
    assert said.endswith("; give the campaign's CSV file")


def test_another_encoding_is_one_problem_and_the_rest_is_still_checked(tmp_path: Path) -> None:
    found = _problems(tmp_path, HEADER.encode() + b"a,caf\xe9,a.png\nb,na\xefve,\n")
    assert len(found) == 2
    assert (
        found[0] == "2: encoding: byte 0xE9 (“é” in Windows-1252) is not UTF-8; save the file as “CSV UTF-8”"
    )
    assert found[1].startswith("3: edit_image: blank")
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        content = HEADER.encode(encoding) + "a,café,a.png\n".encode(encoding)
        assert _problems(tmp_path, content) == ["1: file: is UTF-16, not UTF-8; save it as “CSV UTF-8”"]


def test_a_line_for_excel_is_one_problem(tmp_path: Path) -> None:
    content = "sep=,\n" + HEADER + "a,x,a.png\n"
    assert _problems(tmp_path, content) == ["1: header: this line is for Excel only; delete it"]


@pytest.mark.parametrize(("delimiter", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")])
def test_a_file_with_other_delimiters_says_so_once(tmp_path: Path, delimiter: str, name: str) -> None:
    content = (HEADER + "a,x,a.png\nb,y,b.png\n").replace(",", delimiter)
    assert _problems(tmp_path, content) == [
        f"1: header: the columns are separated by {name}; save the file with commas between them"
    ]


def test_headers_are_checked_with_suggestions(tmp_path: Path) -> None:
    content = "brief,edit_promt,edit_prompt,edit_image,Take,brief,,mood\na,,x,a.png,1,a,,calm\n"
    assert _problems(tmp_path, content) == [
        "1: header: column 7 has no name; name it or delete it",
        "1: edit_promt: unknown column; did you mean edit_prompt?",
        "1: Take: unknown column; did you mean take?",
        "1: mood: unknown column; delete it, rename it, or name it in a prompt, in braces",
        "1: brief: this column appears twice (columns 1 and 6); delete one",
    ]


def test_a_file_without_the_brief_column_is_no_campaign(tmp_path: Path) -> None:
    assert _problems(tmp_path, "edit_prompt,edit_image\nx,a.png\n") == [
        "1: brief: the column is missing; every campaign needs it"
    ]
    assert _problems(tmp_path, "breif,edit_prompt,edit_image,mood\na,{mood},a.png,calm\n") == [
        "1: breif: unknown column; did you mean brief?",
        "1: brief: the column is missing; every campaign needs it",
    ]


def test_rows_of_another_width_and_unreadable_ones_are_told_together(tmp_path: Path) -> None:
    found = _problems(
        tmp_path, HEADER + 'a,x,a.png,extra\nb,x\nc,"say "hi"",c.png\nd,,\ne,"never closed,e.png\n'
    )
    assert [text.split(";")[0] for text in found] == [
        "2: row: 4 cells, more than the header's 3",
        "3: row: 2 cells, fewer than the header's 3",
        '4: row: text follows the closing " of a cell',
        "5: edit_prompt: no prompt in the row",
        '6: row: a cell opens with " and never closes',
    ]


def test_nul_bytes_are_a_problem_of_their_cell(tmp_path: Path) -> None:
    assert _problems(tmp_path, HEADER + "a,x\0y,a.png\n") == [
        "2: edit_prompt: contains a NUL byte; delete it"
    ]


@pytest.mark.parametrize("content", ["", "\n\n", " \n"])
def test_an_empty_file_is_a_problem(tmp_path: Path, content: str) -> None:
    assert _problems(tmp_path, content) == [
        "1: header: the file is empty; it needs a header row and one row a brief"
    ]


def test_a_header_alone_is_a_problem(tmp_path: Path) -> None:
    assert _problems(tmp_path, HEADER + "\n,,\n") == [
        "1: header: no brief follows the header; write one row a brief"
    ]


def test_too_many_rows_are_refused(tmp_path: Path) -> None:
    content = "brief,take\n" + "a,1\n" * (MOST_ROWS + 1)
    with pytest.raises(InvalidInput) as caught:
        read_campaign(_campaign(tmp_path, content))
    assert any(
        problem.line == MOST_ROWS + 2 and problem.message.startswith("more than 100,000 briefs")
        for problem in caught.value.problems
    )


def test_what_never_ends_is_read_up_to_a_limit() -> None:
    with pytest.raises(InvalidInput, match="is larger than 256 MB; split the campaign"):
        read_campaign(Path("/dev/zero"))


def test_a_pipe_is_a_file_as_well(tmp_path: Path) -> None:
    pipe = tmp_path / "campaign.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("brief,edit_prompt\na,brighter\n",))
    writer.start()
    with pytest.raises(InvalidInput) as caught:
        read_campaign(pipe)
    writer.join()
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [(2, "edit_image")]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "none.csv", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(InvalidInput, match=message) as caught:
            read_campaign(path)
        assert len(caught.value.problems) == 1


def test_a_results_file_is_the_same_campaign_again(tmp_path: Path) -> None:
    prompts = ["=1+1", "+x", "-x", "@x", "'=kept", "''@kept", "'plain", "plain", "-5", "a\nb"]
    columns = ("brief", "edit_prompt", "edit_image")
    rows = [(f"b{number}", prompt, "a.png") for number, prompt in enumerate(prompts)]
    path = tmp_path / "plain.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    plain = read_campaign(path)
    result_columns = ("status", "charged_usd", "error", "edit_assets", "compose_assets", "video_asset")
    written = csv_bytes(
        (*columns, *result_columns), [(*row, "done", "0.028", "", "x", "", "") for row in rows]
    )
    again = read_campaign(_campaign(tmp_path, written))
    assert again.columns == plain.columns == columns
    assert [brief.row for brief in again.briefs] == [brief.row for brief in plain.briefs]
    assert [brief.edit for brief in again.briefs] == [brief.edit for brief in plain.briefs]
    assert [brief.edit.request.prompt for brief in plain.briefs if brief.edit] == prompts


def test_in_a_campaign_of_ones_own_a_leading_quote_stays(tmp_path: Path) -> None:
    campaign = read_campaign(_campaign(tmp_path, HEADER + "a,'=x,a.png\n"))
    assert campaign.briefs[0].row["edit_prompt"] == "'=x"
