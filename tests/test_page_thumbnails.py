"""Small pictures of the page: made once for all runs, never of other bytes, and never a reason for a run to fail."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from campaign_support import write_clip
from PIL import ExifTags, Image
from record_samples import brief, image_input, record, stage

from tasks.page import PageContext, page_media
from tasks.page.thumbnails import Original, Size, Thumbnails
from tasks.record import Outcome


def file_of(path: Path) -> tuple[str, Callable[[], Path]]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), lambda: path


def picture(path: Path, size: tuple[int, int] = (2400, 1200), **options: Any) -> Path:
    Image.effect_noise(size, 60).convert("RGB").save(path, **options)
    return path


def gone() -> Path:
    raise AssertionError("it is kept already and must not be read again")


def test_it_is_made_once_and_is_small(tmp_path: Path) -> None:
    sha256, find = file_of(picture(tmp_path / "a.png"))
    thumbnails = Thumbnails(tmp_path / "home")
    wanted = [(Original(sha256, False, find), size) for size in Size]
    first = thumbnails.put(wanted, tmp_path / "one")
    assert first == {
        (sha256, Size.SMALL): (f"{sha256[:20]}.webp", 640, 320),
        (sha256, Size.LARGE): (f"{sha256[:20]}-large.webp", 1600, 800),
    }
    for name, *sides in first.values():
        with Image.open(tmp_path / "one" / name) as shown:
            assert (shown.format, [*shown.size]) == ("WEBP", sides)
    # Another run, another program: nothing is read again, and the bytes are the same.
    again = Thumbnails(tmp_path / "home").put(
        [(Original(sha256, False, gone), size) for size in Size], tmp_path / "two"
    )
    assert again == first
    for name, _, _ in first.values():
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_damaged_one_is_left_out_and_made_again_next_time(tmp_path: Path) -> None:
    sha256, find = file_of(picture(tmp_path / "a.png", (64, 64)))
    thumbnails = Thumbnails(tmp_path / "home")
    wanted = [(Original(sha256, False, find), Size.SMALL)]
    assert thumbnails.put(wanted, tmp_path / "one")
    (kept,) = (path for path in (tmp_path / "home").rglob("*") if path.is_file())
    kept.write_bytes(b"no picture")
    assert thumbnails.put(wanted, tmp_path / "two") == {}
    assert thumbnails.put(wanted, tmp_path / "two")[sha256, Size.SMALL][1:] == (64, 64)


def test_it_is_upright_and_tells_nothing_of_where_it_was_taken(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    exif[ExifTags.Base.Artist] = "somebody"
    sha256, find = file_of(picture(tmp_path / "a.jpg", (800, 400), exif=exif))
    put = Thumbnails(tmp_path / "home").put([(Original(sha256, False, find), Size.SMALL)], tmp_path / "one")
    name, width, height = put[sha256, Size.SMALL]
    assert (width, height) == (320, 640)
    with Image.open(tmp_path / "one" / name) as shown:
        assert not shown.getexif()
    assert b"somebody" not in (tmp_path / "one" / name).read_bytes()


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_picture_has_one(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    Image.new("L", (900, 300), 200).convert(mode).save(path)
    sha256, find = file_of(path)
    put = Thumbnails(tmp_path / "home").put([(Original(sha256, False, find), Size.SMALL)], tmp_path / "one")
    with Image.open(tmp_path / "one" / put[sha256, Size.SMALL][0]) as shown:
        assert shown.size == (640, 213)
        if mode != "I;16":  # 200 of 65,535 is black
            assert all(
                abs(int(value) - (255 if mode == "1" else 200)) < 60
                for value in np.asarray(shown.convert("RGB"))[100, 300]
            )


def test_a_clip_has_a_still_of_its_beginning(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", seconds=1.0, sound=False)
    sha256, find = file_of(tmp_path / "a.mp4")
    put = Thumbnails(tmp_path / "home").put([(Original(sha256, True, find), Size.SMALL)], tmp_path / "one")
    with Image.open(tmp_path / "one" / put[sha256, Size.SMALL][0]) as shown:
        assert shown.size == (640, 640)
        # The orange block moves by 6 of 720 pixels a frame, 24 frames a second: at 0.5 s it begins at 72.
        row = np.asarray(shown.convert("RGB"))[230]
    orange = [x for x, (red, _, blue) in enumerate(row) if red > 180 and blue < 110]
    assert abs(orange[0] - 72 * 640 / 720) < 8
    assert abs(orange[-1] - 192 * 640 / 720) < 8


def test_what_cannot_be_drawn_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG and then nothing")
    sha256, find = file_of(tmp_path / "broken.png")
    missing = Original("0" * 64, False, lambda: None)
    thumbnails = Thumbnails(tmp_path / "home")
    assert (
        thumbnails.put([(Original(sha256, clip, find), Size.SMALL) for clip in (False, True)], tmp_path / "r")
        == {}
    )
    assert thumbnails.put([(missing, Size.SMALL)], tmp_path / "r") == {}


def test_a_home_that_cannot_be_written_costs_the_thumbnails_only(tmp_path: Path) -> None:
    sha256, find = file_of(picture(tmp_path / "a.png", (64, 64)))
    (tmp_path / "home").write_bytes(b"a file where a folder should be")
    assert (
        Thumbnails(tmp_path / "home").put([(Original(sha256, False, find), Size.SMALL)], tmp_path / "r") == {}
    )


def test_an_input_that_was_changed_since_is_not_shown(tmp_path: Path) -> None:
    path = picture(tmp_path / "mug.png", (64, 64))
    given = image_input("mug.png", "image").model_copy(
        update={"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    )
    run = record(tmp_path, (brief("b", (stage("b", "edit", Outcome.CACHED, inputs=(given,)),)),))
    shown = page_media(run, tmp_path / "r", PageContext(Thumbnails(tmp_path / "home")), None)
    assert set(shown) == {given.sha256}
    assert shown[given.sha256].large == f"page/{given.sha256[:20]}-large.webp"
    picture(path, (65, 65))
    assert page_media(run, tmp_path / "r2", PageContext(Thumbnails(tmp_path / "other")), None) == {}
    # Kept by its hash, it is shown all the same: these are still its bytes.
    assert set(page_media(run, tmp_path / "r3", PageContext(Thumbnails(tmp_path / "home")), None)) == {
        given.sha256
    }


def test_no_page_folder_where_there_is_nothing_to_show(tmp_path: Path) -> None:
    run = record(tmp_path, (brief("b", (stage("b", "edit", Outcome.HELD, inputs=()),)),))
    assert page_media(run, tmp_path / "r", PageContext(Thumbnails(tmp_path / "home")), None) == {}
    assert not (tmp_path / "r").exists()
    assert page_media(run, tmp_path / "r", PageContext(), None) == {}
