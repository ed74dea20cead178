"""One row to one brief: cells, stages, chains and references."""

import csv
from pathlib import Path

import pytest

from blocks.errors import InvalidInput
from tasks.briefs.reading import COLUMNS, Brief, read_campaign, references_of
from tasks.models import Stage

EDIT = {"edit_prompt": "warm light", "edit_image": "shoe.png"}
COMPOSE = {"compose_prompt": "on a table", "compose_images": "a.png|b.png"}
VIDEO = {"video_prompt": "at dusk", "video": "walk.mp4"}


def _write(folder: Path, *rows: dict[str, str]) -> Path:
    path = folder / "c.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows({"brief": f"b{number}", **row} for number, row in enumerate(rows))
    return path


def _brief(folder: Path, row: dict[str, str]) -> Brief:
    return read_campaign(_write(folder, row)).briefs[0]


def _problems(folder: Path, *rows: dict[str, str]) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read_campaign(_write(folder, *rows))
    return [f"{problem.line}: {problem.column}: {problem.message}" for problem in caught.value.problems]


def test_the_columns_are_the_contracts() -> None:
    assert COLUMNS == (
        "brief",
        "edit_prompt",
        "edit_image",
        "edit_aspect_ratio",
        "edit_resolution",
        "edit_num_images",
        "edit_output_format",
        "compose_prompt",
        "compose_images",
        "compose_aspect_ratio",
        "compose_resolution",
        "compose_num_images",
        "compose_output_format",
        "video_prompt",
        "video",
        "video_images",
        "video_keep_original_sound",
        "take",
    )


def test_blank_cells_mean_the_defaults(tmp_path: Path) -> None:
    brief = _brief(tmp_path, EDIT | COMPOSE | VIDEO)
    assert brief.take == 1
    assert brief.edit is not None
    assert brief.compose is not None
    assert brief.video is not None
    picture = {"resolution": "1k", "num_images": 1, "output_format": "png"}
    assert brief.edit.request.parameters() == {"prompt": "warm light", "aspect_ratio": "16:9", **picture}
    assert brief.compose.request.parameters() == {"prompt": "on a table", "aspect_ratio": "auto", **picture}
    assert brief.video.request.parameters() == {"prompt": "at dusk", "keep_original_sound": True}
    assert brief.edit.image == "shoe.png"
    assert brief.compose.images == ("a.png", "b.png")
    assert (brief.video.clip, brief.video.images) == ("walk.mp4", ())
    assert [part.request.stage for part in brief.parts] == [Stage.EDIT, Stage.COMPOSE, Stage.VIDEO]


def test_values_are_taken_however_they_are_capitalised(tmp_path: Path) -> None:
    row = (
        COMPOSE
        | VIDEO
        | {
            "compose_aspect_ratio": " AUTO ",
            "compose_resolution": "4K",
            "compose_num_images": "9",
            "compose_output_format": "JPEG",
            "video_keep_original_sound": "No",
            "take": "12",
        }
    )
    brief = _brief(tmp_path, row)
    assert brief.compose is not None
    assert brief.video is not None
    assert brief.compose.request.parameters() == {
        "prompt": "on a table",
        "aspect_ratio": "auto",
        "resolution": "4k",
        "num_images": 9,
        "output_format": "jpeg",
    }
    assert brief.video.request.keep_original_sound is False
    assert brief.take == 12


@pytest.mark.parametrize(
    ("text", "value"),
    [("TRUE", True), ("yes", True), ("1", True), ("false", False), ("No", False), ("0", False)],
)
def test_true_and_false_in_every_spelling(tmp_path: Path, text: str, value: bool) -> None:
    brief = _brief(tmp_path, VIDEO | {"video_keep_original_sound": text})
    assert brief.video is not None
    assert brief.video.request.keep_original_sound is value


def test_prompts_are_the_same_whoever_saved_the_file(tmp_path: Path) -> None:
    prompts = [
        brief.edit.request.prompt
        for text in ("one\ntwo", "one\r\ntwo ", " one\rtwo")
        if (brief := _brief(tmp_path, EDIT | {"edit_prompt": text})).edit
    ]
    assert prompts == ["one\ntwo"] * 3


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"brief": ""}, "brief: blank; every brief needs an id, such as launch-01"),
        ({"brief": "../x"}, "brief: “../x” is no id"),
        ({"brief": "-x"}, "brief: “-x” is no id"),
        ({"brief": "é"}, "brief: “é” is no id"),
        ({"brief": "a" * 65}, "is no id"),
        ({"brief": "a\x1b[31m"}, r"brief: “a\u001b[31m” is no id"),
        ({"brief": "x."}, "brief: “x.” ends in a dot"),
        ({"brief": "CON"}, "brief: “CON” is a device name on Windows"),
        ({"brief": "con.txt"}, "is a device name on Windows"),
        ({"brief": "Lpt1.a.b"}, "is a device name on Windows"),
        ({"take": "0"}, "take: “0” is not a whole number of 1 or more"),
        ({"take": "1.5"}, "take: “1.5” is not a whole number of 1 or more"),
        ({"take": "\u0661"}, "is not a whole number"),
        ({"edit_num_images": "10"}, "edit_num_images: “10” is not a whole number from 1 to 9"),
        (
            {"edit_aspect_ratio": "16:10"},
            "is not one of 16:9, 9:16, 1:1, 4:3, 3:4, 3:2, 2:3, 21:9",
        ),
        ({"edit_aspect_ratio": "auto"}, "edit_aspect_ratio: “auto” is not one of 16:9"),
        ({"edit_resolution": "4k"}, "edit_resolution: “4k” is not one of 1k, 2k"),
        ({"edit_output_format": "jpg"}, "is not one of png, jpeg, webp; did you mean jpeg?"),
        ({"edit_image": ""}, "edit_image: blank; the edit needs the picture"),
        ({"edit_image": "a.png|b.png"}, "edit_image: 2 named; the stage takes one file at most"),
        ({"edit_prompt": "x" * 2501}, "edit_prompt: 2,501 characters; the model takes 2,500 at most"),
        (
            {"edit_prompt": "like @Image2"},
            "edit_prompt: @Image2 names a picture that is not there: the stage has one",
        ),
        (
            {"edit_prompt": "", "edit_image": ""},
            "edit_prompt: no prompt in the row; fill at least one of edit_prompt",
        ),
        ({"video_prompt": "x"}, "video: blank; the video edit needs the clip"),
        (VIDEO | {"video_keep_original_sound": "perhaps"}, "“perhaps” is neither true nor false"),
        (VIDEO | {"video_images": "a||b"}, "video_images: entry 2 of the list is blank"),
        (
            VIDEO | {"video_images": "a|b|c|d|e"},
            "video_images: 5 named; the stage takes 4 references at most",
        ),
        (
            COMPOSE | {"compose_images": "|".join("abcdefghijk")},
            "11 named; the stage takes 10 references at most",
        ),
    ],
)
def test_each_mistake_is_one_problem(tmp_path: Path, row: dict[str, str], problem: str) -> None:
    found = _problems(tmp_path, EDIT | row)
    assert len(found) == 1
    assert found[0].startswith("2: ")
    assert problem in found[0]


@pytest.mark.parametrize("name", ["a", "A1", "0.b_c-d", "console", "com10", "a" * 64, "x.con"])
def test_good_ids_are_taken(tmp_path: Path, name: str) -> None:
    assert _brief(tmp_path, EDIT | {"brief": name}).brief == name


def test_a_prompt_may_have_2500_characters(tmp_path: Path) -> None:
    brief = _brief(tmp_path, EDIT | {"edit_prompt": "é" * 2500})
    assert brief.edit is not None
    assert len(brief.edit.request.prompt) == 2500


def test_ids_are_unique_regardless_of_case(tmp_path: Path) -> None:
    rows = (EDIT | {"brief": "Spring"}, EDIT | {"brief": "other"}, EDIT | {"brief": "sPRING"})
    assert _problems(tmp_path, *rows) == [
        "4: brief: “sPRING” is already on line 2; ids are unique, regardless of case"
    ]


def test_composing_alone_needs_pictures_and_after_an_edit_it_does_not(tmp_path: Path) -> None:
    alone = {"compose_prompt": "x"}
    assert _problems(tmp_path, alone) == [
        "2: compose_images: blank; composing without an edit stage needs pictures: a.png|b.png"
    ]
    assert _brief(tmp_path, EDIT | alone).compose is not None


def test_all_problems_come_in_the_files_order(tmp_path: Path) -> None:
    first = {"take": "x", "edit_resolution": "8k", "edit_image": "", "edit_prompt": "@Image0"}
    second = {"brief": "b0", "video_prompt": "x"}
    columns = [text.split(": ")[:2] for text in _problems(tmp_path, first, second)]
    assert columns == [
        ["2", "edit_prompt"],
        ["2", "edit_image"],
        ["2", "edit_resolution"],
        ["2", "take"],
        ["3", "brief"],
        ["3", "video"],
    ]


@pytest.mark.parametrize(
    ("row", "carried"),
    [
        (EDIT | VIDEO, {"video": (1, 1, 0)}),
        (EDIT | VIDEO | {"edit_num_images": "9"}, {"video": (4, 4, 0)}),
        (EDIT | VIDEO | {"edit_num_images": "9", "video_images": "a|b|c"}, {"video": (1, 4, 3)}),
        (COMPOSE | VIDEO | {"compose_num_images": "2"}, {"compose": (0, 2, 2), "video": (2, 2, 0)}),
        (EDIT | COMPOSE | VIDEO | {"edit_num_images": "9"}, {"compose": (8, 10, 2), "video": (1, 1, 0)}),
        (VIDEO | {"video_images": "a|b"}, {"video": (0, 2, 2)}),
    ],
)
def test_the_first_pictures_that_fit_go_on(
    tmp_path: Path, row: dict[str, str], carried: dict[str, tuple[int, int, int]]
) -> None:
    stages = references_of(_brief(tmp_path, row)).stages
    for stage, (number, total, named) in carried.items():
        references = stages[Stage(stage)]
        assert (references.carried, references.total, references.named) == (number, total, named)
        assert references.left_out == references.available - number


def test_what_is_left_out_is_a_note(tmp_path: Path) -> None:
    row = EDIT | VIDEO | {"edit_num_images": "6", "video_images": "a.png"}
    assert references_of(_brief(tmp_path, row)).notes == (
        "3 of 6 edited pictures go on to the video, the first that fit beside the 1 named; 3 left out",
    )
    assert references_of(_brief(tmp_path, EDIT | VIDEO)).notes == ()


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (
            EDIT | {"compose_prompt": "x", "compose_images": "|".join("abcdefghij")},
            "2: compose_images: 10 named references leave no place for the pictures of the edit stage",
        ),
        (
            EDIT | VIDEO | {"video_images": "a|b|c|d"},
            "2: video_images: 4 named references leave no place for the pictures of the edit stage",
        ),
        (
            EDIT | COMPOSE | {"edit_num_images": "3", "compose_prompt": "@Image1 @image5 @Image6"},
            "2: compose_prompt: @Image6 names a picture that is not there: the stage has 5 pictures",
        ),
        (
            VIDEO | {"video_prompt": "wear @Image1"},
            "2: video_prompt: @Image1 names a picture that is not there: the stage has no reference pictures",
        ),
        (
            COMPOSE | {"compose_prompt": "@Image0"},
            "2: compose_prompt: @Image0 names a picture that is not there: the stage has 2 pictures",
        ),
    ],
)
def test_a_chain_that_does_not_work_out_is_a_problem(
    tmp_path: Path, row: dict[str, str], problem: str
) -> None:
    found = _problems(tmp_path, row)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_a_faulty_number_of_pictures_does_not_make_later_tags_wrong(tmp_path: Path) -> None:
    row = EDIT | COMPOSE | {"edit_num_images": "many", "compose_prompt": "@Image9"}
    assert [text.split(": ")[1] for text in _problems(tmp_path, row)] == ["edit_num_images"]


def test_picture_numbers_in_prose_are_notes(tmp_path: Path) -> None:
    prompt = "picture 1, Image 2 and picture 3, not image 16:9 nor a 3D picture 3d, but @Image2"
    notes = references_of(_brief(tmp_path, COMPOSE | {"compose_prompt": prompt})).notes
    assert notes == ("the compose prompt says “picture 3”, but the stage has 2 pictures",)
