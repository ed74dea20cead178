"""Prompts that are filled from their row, further columns, and comments."""

import csv
from pathlib import Path

import pytest

from blocks.errors import InvalidInput
from tasks.briefs.reading import Campaign, read_campaign
from tasks.exports import csv_bytes
from tasks.models import LONGEST_PROMPT

EDIT = {"edit_image": "shoe.png"}


def _write(folder: Path, *rows: dict[str, str]) -> Path:
    path = folder / "c.csv"
    rows = tuple({"brief": f"b{number}", **row} for number, row in enumerate(rows))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _prompt(folder: Path, text: str, **cells: str) -> str:
    brief = read_campaign(_write(folder, EDIT | {"edit_prompt": text} | cells)).briefs[0]
    assert brief.edit is not None
    return brief.edit.request.prompt


def _problems(folder: Path, *rows: dict[str, str]) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read_campaign(_write(folder, *rows))
    return [f"{problem.line}: {problem.column}: {problem.message}" for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("a {colour} shoe", "a red shoe"),
        ("{colour}{colour} {main material}", "redred suede {colour}"),
        ("{ colour }", "red"),
        ("{{colour}} {{{colour}}} }} {{", "{colour} {red} } {"),
        ('{{"light": "{colour}"}}', '{"light": "red"}'),
        ("{brief} {edit_resolution} {take}", "b0 2k 3"),
        ("no place", "no place"),
    ],
)
def test_a_place_is_filled_from_the_row(tmp_path: Path, text: str, filled: str) -> None:
    used = text + " {colour}{main material}{take}{edit_resolution}"
    cells = {"colour": " red ", "main material": "suede {colour}", "take": "3", "edit_resolution": "2k"}
    assert _prompt(tmp_path, used, **cells) == filled + " redsuede {colour}32k"


def test_a_prompt_may_name_another_one(tmp_path: Path) -> None:
    row = EDIT | {"edit_prompt": "{colour} light", "colour": "red"}
    row |= {"compose_prompt": "@Image1: {edit_prompt}", "video_prompt": "{compose_prompt}!", "video": "a.mp4"}
    brief = read_campaign(_write(tmp_path, row)).briefs[0]
    assert [part.request.prompt for part in brief.parts] == [
        "red light",
        "@Image1: red light",
        "@Image1: red light!",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{color}", "“{color}” names no column; did you mean colour?"),
        ("{zzz}", "“{zzz}” names no column of this file; a brace that is meant is written twice: {{ or }}"),
        ("{}", "“{}” names no column of this file; a brace"),
        ('{"a": "b"}', '“{"a": "b"}” names no column of this file; a brace'),
        ("{take}", "“{take}” names a column that this file does not have; add take, or take it out"),
        ("{status}", "“{status}” names a column that a run writes; call yours something else"),
        ("{edit_image}", "“{edit_image}” names a file; give what the prompt should say its own column"),
        ("{empty}", "“{empty}” is blank in this row; fill it, or write a prompt without it"),
        ("{edit_prompt}", "“{edit_prompt}” would fill the prompt with itself; name another column"),
        (
            "a { b",
            "the { at character 3 opens and is never closed; a brace that is meant is written twice: {{ or }}",
        ),
        ("a } b", "the } at character 3 closes and was never opened; a brace"),
        ("{{colour}", "the } at character 9 closes and was never opened"),
        ("{huge}", "“{huge}” is 2,501 characters; a prompt has 2,500 at most"),
        ("x{colour}" * 700, "2,800 characters; the model takes 2,500 at most, once it is filled"),
        ("@Image{two}", "@Image2 names a picture that is not there: the stage has one picture, @Image1"),
    ],
)
def test_what_cannot_be_filled_is_one_problem_of_its_cell(tmp_path: Path, text: str, problem: str) -> None:
    # A second row names every further column, so that only the first one is wrong.
    more = {"colour": "red", "empty": " ", "huge": "x" * 2501, "two": "2"}
    other = dict.fromkeys(more, "x")
    found = _problems(
        tmp_path,
        EDIT | {"edit_prompt": text} | more,
        EDIT | {"edit_prompt": "{colour}{empty}{huge}{two}"} | other,
    )
    assert len(found) == 1
    assert found[0].startswith(f"2: edit_prompt: {problem}")


def test_all_problems_of_a_prompt_come_at_once_and_each_once(tmp_path: Path) -> None:
    found = _problems(
        tmp_path,
        EDIT
        | {"edit_prompt": "{a} {b} {a} {c} @Image2", "c": "", "compose_prompt": "{edit_prompt} @Image{nine}"}
        | {"nine": "9"},
    )
    assert [text.split(" names")[0].split(" is blank")[0] for text in found] == [
        "2: edit_prompt: “{a}”",
        "2: edit_prompt: “{b}”",
        "2: edit_prompt: “{c}”",
        "2: edit_prompt: @Image2",
        "2: compose_prompt: @Image2",
        "2: compose_prompt: @Image9",
    ]


def test_prompts_that_name_each_other_are_told(tmp_path: Path) -> None:
    row = EDIT | {"edit_prompt": "{compose_prompt}", "compose_prompt": "{edit_prompt}"}
    assert [text.split(" would")[0] for text in _problems(tmp_path, row)] == [
        "2: edit_prompt: “{compose_prompt}”",
        "2: compose_prompt: “{edit_prompt}”",
    ]


def test_a_filled_prompt_may_be_shorter_than_it_is_written(tmp_path: Path) -> None:
    assert _prompt(tmp_path, "{{" * LONGEST_PROMPT) == "{" * LONGEST_PROMPT
    assert _problems(tmp_path, EDIT | {"edit_prompt": "{{" * (LONGEST_PROMPT + 1)}) == [
        "2: edit_prompt: 2,501 characters; the model takes 2,500 at most, once it is filled"
    ]


def test_a_further_column_is_right_only_where_a_prompt_names_it(tmp_path: Path) -> None:
    rows = (EDIT | {"edit_prompt": "{mood}", "mood": "calm", "tone": "x", "Takes": "2"}, EDIT)
    rows[1]["edit_prompt"] = "{{tone}}"
    assert _problems(tmp_path, *rows) == [
        "1: tone: unknown column; delete it, rename it, or name it in a prompt, in braces",
        "1: Takes: unknown column; did you mean take?",
    ]
    del rows[0]["tone"], rows[0]["Takes"]
    campaign = read_campaign(_write(tmp_path, *rows))
    assert campaign.columns == ("brief", "edit_image", "edit_prompt", "mood")


def test_a_prompt_that_is_not_sent_names_nothing(tmp_path: Path) -> None:
    """A row with a fault names its columns all the same: they are not told as a second fault."""
    row = EDIT | {"edit_prompt": "{mood} {zzz}", "mood": "calm"}
    assert [text.split(" names")[0] for text in _problems(tmp_path, row)] == ["2: edit_prompt: “{zzz}”"]


def test_results_of_a_filled_campaign_are_the_same_campaign(tmp_path: Path) -> None:
    columns = ("brief", "edit_prompt", "edit_image", "=mood", "@who")
    prompt = "{=mood} {@who} {{x}}"
    (tmp_path / "plain.csv").write_text(
        ",".join(columns) + f"\na,{prompt},a.png,=calm,+me\n", encoding="utf-8"
    )
    plain = read_campaign(tmp_path / "plain.csv")
    (tmp_path / "results.csv").write_bytes(
        csv_bytes((*columns, "status"), [("a", prompt, "a.png", "=calm", "+me", "done")])
    )
    again = read_campaign(tmp_path / "results.csv")
    assert _what_counts(again) == _what_counts(plain)
    assert again.briefs[0].parts[0].request.prompt == "=calm +me {x}"


def _what_counts(campaign: Campaign) -> tuple[object, ...]:
    return campaign.columns, *((brief.brief, brief.row, brief.parts, brief.take) for brief in campaign.briefs)


def test_rows_that_begin_with_a_number_sign_are_comments(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(
        '# above, "the" header\n#\nbrief,edit_prompt,edit_image\n# a "comment", with one " too many\n'
        '"# as a spreadsheet saves it, quoted",,\n  ## indented\na,"one\n# no comment\n",a.png\n#\nb,,\n',
        encoding="utf-8",
    )
    with pytest.raises(InvalidInput) as caught:
        read_campaign(path)
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [(11, "edit_prompt")]
    path.write_text(path.read_text("utf-8").replace("b,,\n", ""), encoding="utf-8")
    (brief,) = read_campaign(path).briefs
    assert brief.row["edit_prompt"] == "one\n# no comment\n"


def test_what_may_be_a_mistaken_id_or_a_prompt_is_no_comment(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("brief,edit_prompt,edit_image\n#1,x,a.png\n", encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        read_campaign(path)
    assert str(caught.value.problems[0]).endswith("; a comment begins with # and a blank")
    path.write_text("edit_prompt,brief,edit_image\n# 1 in sales,a,a.png\n", encoding="utf-8")
    assert [brief.brief for brief in read_campaign(path).briefs] == ["a"]
