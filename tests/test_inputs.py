"""The files that a campaign names: each read once, every mistake told at once."""

import asyncio
import csv
import hashlib
import os
from pathlib import Path

import pytest
from media_samples import encoded, make_clip, scene
from PIL import Image

from blocks import pictures
from blocks.errors import FetchRefused, InvalidInput, StoreUnusable, Unavailable
from blocks.media import ClipFacts, decode_picture_fully
from tasks.briefs import input_files
from tasks.briefs.inputs import Inputs, load_inputs, read_and_check
from tasks.briefs.reading import COLUMNS, read_campaign

PICTURE = encoded(scene(), "PNG")
OTHER = encoded(scene(400, 400), "JPEG")
URL = "https://media.example/shoe.png"


@pytest.fixture(scope="module")
def clip_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_clip(tmp_path_factory.mktemp("clip") / "c.mp4", frames=10).read_bytes()


def _csv(folder: Path, *rows: dict[str, str]) -> Path:
    path = folder / "c.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows({"brief": f"b{number}", **row} for number, row in enumerate(rows))
    return path


def _edit(image: str, **more: str) -> dict[str, str]:
    return {"edit_prompt": "x", "edit_image": image, **more}


async def _problems(path: Path, **options: object) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        await read_and_check(path, **options)  # type: ignore[arg-type] # the options differ from test to test
    assert all(problem.file == str(path) for problem in caught.value.problems)
    return [f"{problem.line}: {problem.column}: {problem.message}" for problem in caught.value.problems]


class Remote:
    """Stands in for the network: what each URL answers, and how often it was asked."""

    def __init__(self, answers: dict[str, bytes | Exception]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def fetch(self, url: str, into: Path, *, max_bytes: int, max_seconds: float) -> None:
        assert max_bytes >= 200_000_000
        assert max_seconds > 0
        self.asked.append(url)
        await asyncio.sleep(0)
        answer = self.answers[url]
        if isinstance(answer, Exception):
            raise answer
        into.write_bytes(answer)  # noqa: ASYNC240 - a few bytes in a test


async def test_every_input_is_found_by_its_source(tmp_path: Path, clip_bytes: bytes) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(PICTURE)
    (tmp_path / "b.txt").write_bytes(OTHER)
    (tmp_path / "c.mp4").write_bytes(clip_bytes)
    row = _edit("in/a.png", compose_prompt="y", compose_images=f"b.txt|{tmp_path / 'b.txt'}")
    video = {"video_prompt": "z", "video": "c.mp4", "video_images": "in/a.png"}
    campaign, inputs = await read_and_check(_csv(tmp_path, row, video))
    assert list(inputs) == ["in/a.png", "b.txt", str(tmp_path / "b.txt"), "c.mp4"]
    assert len(campaign.briefs) == 2
    picture = inputs["in/a.png"]
    assert picture.sha256 == hashlib.sha256(PICTURE).hexdigest()
    assert (picture.media_type, picture.path) == ("image/png", (tmp_path / "in" / "a.png").resolve())
    assert inputs["b.txt"].media_type == "image/jpeg"
    assert isinstance(inputs["c.mp4"].facts, ClipFacts)
    assert inputs.notes == ("c.mp4: 0.4 s long; billed as 3 s",)
    again = await load_inputs(campaign)
    assert dict(again) == dict(inputs)


async def test_each_file_is_decoded_once_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(PICTURE)
    decoded: list[Path] = []
    decode = decode_picture_fully

    def counting(path: Path) -> object:
        decoded.append(path)
        return decode(path)

    monkeypatch.setattr(input_files, "decode_picture_fully", counting)
    _, inputs = await read_and_check(_csv(tmp_path, *[_edit(name) for name in ("a.png", "./a.png", "a.png")]))
    assert len(inputs) == 2
    assert decoded == [(tmp_path / "a.png").resolve()]


async def test_ten_mistakes_are_ten_lines_in_the_files_order(tmp_path: Path, clip_bytes: bytes) -> None:
    (tmp_path / "shoe.png").write_bytes(PICTURE)
    (tmp_path / "tiny.png").write_bytes(encoded(scene(200, 200), "PNG"))
    (tmp_path / "page.png").write_bytes(b"<html>not found</html>")
    (tmp_path / "c.mp4").write_bytes(clip_bytes)
    rows = [
        _edit("shoes.png"),
        _edit("tiny.png", edit_num_images="12"),
        _edit("page.png"),
        _edit("shoe.png", edit_prompt="like @Image2"),
        {"brief": "b0", **_edit("shoe.png")},
        {"video_prompt": "x", "video": "shoe.png"},
        _edit("http://media.example/a.png", edit_aspect_ratio="7:5"),
        {"video_prompt": "x", "video": "c.mp4", "video_keep_original_sound": "loud"},
    ]
    found = await _problems(_csv(tmp_path, *rows))
    assert [text.split(";")[0].removesuffix(" file") for text in found] == [
        "2: edit_image: “shoes.png” is not there (did you mean “shoe.png”?)",
        "3: edit_image: “tiny.png” has 200x200 pixels",
        "3: edit_num_images: “12” is not a whole number from 1 to 9",
        "4: edit_image: “page.png” is not a picture of a known kind, but a web page",
        "5: edit_prompt: @Image2 names a picture that is not there: the stage has one picture, @Image1",
        "6: brief: “b0” is already on line 2",
        "7: video: “shoe.png” is not an mp4 or mov clip, but a file of the kind Portable Network Graphics",
        "8: edit_image: “http://media.example/a.png” is not followed",
        "8: edit_aspect_ratio: “7:5” is not one of 16:9, 9:16, 1:1, 4:3, 3:4, 3:2, 2:3, 21:9",
        "9: video_keep_original_sound: “loud” is neither true nor false",
    ]


async def test_a_file_that_is_not_there_gets_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "Shoe.PNG").write_bytes(PICTURE)
    (tmp_path / "folder").mkdir()
    found = await _problems(_csv(tmp_path, _edit("shoe.png"), _edit("no/such.png"), _edit("folder")))
    assert found == [
        "2: edit_image: “shoe.png” is not there (did you mean “Shoe.PNG”?); paths are relative to the CSV",
        "3: edit_image: “no/such.png” is not there; paths are relative to the CSV",
        "4: edit_image: “folder” is a folder; name a file in it",
    ]


async def test_what_is_no_plain_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    long = "x" * 300
    found = await _problems(_csv(tmp_path, _edit("pipe.png"), _edit("loop.png"), _edit(long)))
    assert found[0] == "2: edit_image: “pipe.png” is a device or pipe; name a file"
    assert "“loop.png” cannot be read" in found[1]
    assert "cannot be read: File name too long" in found[2]


async def test_a_deployment_reads_below_its_folder_only(tmp_path: Path) -> None:
    folder = tmp_path / "campaign"
    folder.mkdir()
    (folder / "in.png").write_bytes(PICTURE)
    (tmp_path / "out.png").write_bytes(PICTURE)
    (folder / "link.png").symlink_to(tmp_path / "out.png")
    outside = ("../out.png", str(tmp_path / "out.png"), "link.png", "/etc/hostname", "../nothing.png")
    rows = [_edit(name) for name in ("in.png", "../campaign/in.png", *outside)]
    path = _csv(folder, *rows)
    found = await _problems(path, confine_to=folder)
    assert [text.split(" ")[0] for text in found] == ["4:", "5:", "6:", "7:", "8:"]
    assert all("lies outside the folder" in text for text in found)
    (tmp_path / "nothing.png").write_bytes(PICTURE)
    rows = [row for row in rows if row["edit_image"] != "/etc/hostname"]
    _, inputs = await read_and_check(_csv(folder, *rows))
    assert len(inputs) == 6


async def test_remote_inputs_are_fetched_once_each(tmp_path: Path) -> None:
    remote = Remote({URL: PICTURE, URL + "?2": OTHER})
    folder = tmp_path / "fetched"
    folder.mkdir()
    rows = [_edit(URL), _edit(URL), _edit(URL + "?2")]
    _, inputs = await read_and_check(_csv(tmp_path, *rows), remote=remote, fetched_folder=folder)
    assert sorted(remote.asked) == [URL, URL + "?2"]
    assert inputs[URL].sha256 == hashlib.sha256(PICTURE).hexdigest()
    assert inputs[URL].path.read_bytes() == PICTURE
    assert inputs[URL + "?2"].media_type == "image/jpeg"
    assert len(list(folder.iterdir())) == 2


async def test_what_cannot_be_fetched_is_a_problem_like_any_other(tmp_path: Path) -> None:
    remote = Remote(
        {
            "https://a/": FetchRefused("https://a/ is private.\nTake another."),
            "https://b/": Unavailable("https://b/ answered 503."),
            "https://c/": b"<html>",
        }
    )
    rows = [_edit(url) for url in ("https://a/", "https://b/", "https://c/", "ftp://d/", "data:image/png,AA")]
    found = await _problems(_csv(tmp_path, *rows), remote=remote, fetched_folder=tmp_path)
    assert [text.split(";")[0] for text in found] == [
        "2: edit_image: “https://a/” cannot be fetched: https://a/ is private. Take another.",
        "3: edit_image: “https://b/” cannot be fetched: https://b/ answered 503.",
        "4: edit_image: “https://c/” is not a picture of a known kind, but a web page",
        "5: edit_image: “ftp://d/” is not followed",
        "6: edit_image: “data:image/png,AA” is not followed",
    ]


async def test_plain_http_is_left_to_the_network_only_where_allowed(tmp_path: Path) -> None:
    remote = Remote({"http://media.example/": PICTURE})
    path = _csv(tmp_path, _edit("http://media.example/"))
    assert "is not followed" in (await _problems(path, remote=remote, fetched_folder=tmp_path))[0]
    assert remote.asked == []
    await read_and_check(path, remote=remote, fetched_folder=tmp_path, allow_plain_http=True)
    assert remote.asked == ["http://media.example/"]


async def test_without_a_network_urls_are_a_problem(tmp_path: Path) -> None:
    assert "cannot be fetched here" in (await _problems(_csv(tmp_path, _edit(URL))))[0]


async def test_a_full_disk_is_no_fault_of_the_campaign(tmp_path: Path) -> None:
    remote = Remote({URL: StoreUnusable("the disk is full")})
    with pytest.raises(StoreUnusable):
        await read_and_check(_csv(tmp_path, _edit(URL)), remote=remote, fetched_folder=tmp_path)


async def test_load_inputs_tells_the_problems_of_a_campaign_read_before(tmp_path: Path) -> None:
    row = {"video_prompt": "x", "video": "a.mp4", "video_images": "b.png|b.png"}
    campaign = read_campaign(_csv(tmp_path, row))
    with pytest.raises(InvalidInput) as caught:
        await load_inputs(campaign)
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [
        (2, "video"),
        (2, "video_images"),
    ]


async def test_a_thousand_inputs_are_quick(tmp_path: Path) -> None:
    for number in range(1000):
        picture = Image.new("L", (300, 300), number % 256)
        (tmp_path / f"{number}.bmp").write_bytes(encoded(picture, "BMP"))
    path = _csv(tmp_path, *[_edit(f"{number}.bmp") for number in range(1000)])
    loop = asyncio.get_running_loop()
    start = loop.time()
    _, inputs = await read_and_check(path)
    assert len(inputs) == 1000
    assert len({item.sha256 for item in inputs.values()}) == 256
    assert loop.time() - start < 15  # about a second on an idle machine


def test_inputs_are_a_mapping() -> None:
    assert dict(Inputs([])) == {}


def test_what_is_too_large_is_to_be_made_smaller_and_anything_else_to_be_saved_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shoe.png"
    path.write_bytes(PICTURE[:-200])
    (damaged,) = input_files.examine(path, "picture").faults
    assert "make it smaller" not in damaged
    path.write_bytes(PICTURE)
    monkeypatch.setattr(pictures, "MOST_PICTURE_BYTES", 100)
    (large,) = input_files.examine(path, "picture").faults
    assert large == f"is a picture of {len(PICTURE):,} bytes; 100 are the most; make it smaller"
