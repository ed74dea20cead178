"""Clips as inputs and outputs: facts, limits, damage, and traps."""

from decimal import Decimal
from pathlib import Path

import pytest
from media_samples import clip, encoded, make_clip, scene

from blocks import clips
from blocks.errors import NotDecodable, TooLargeToDecode
from blocks.media import (
    ClipFacts,
    clip_limit_problems,
    clip_notes,
    decode_clip_fully,
    inspect_clip,
)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of 720p with sound, its index in front."""
    path = tmp_path_factory.mktemp("clips") / "short.mp4"
    return make_clip(path, frames=25, sound_seconds=1.2, faststart=True)


def test_a_clip_with_sound_is_what_it_is(tmp_path: Path) -> None:
    path = clip(tmp_path)
    facts = inspect_clip(path)
    assert (facts.media_type, facts.container) == ("video/mp4", "mp4")
    assert (facts.width, facts.height, facts.frames_per_second) == (1280, 720, Decimal(25))
    assert facts.has_sound
    assert Decimal("5.31") <= facts.duration_seconds <= Decimal("5.34")
    assert facts.bytes == path.stat().st_size
    assert decode_clip_fully(path) == facts
    assert clip_limit_problems(facts) == []
    assert clip_notes(facts) == []


def test_the_duration_is_that_of_the_longest_stream(short: Path) -> None:
    assert inspect_clip(short).duration_seconds >= Decimal("1.2")


def test_a_short_clip_is_worth_a_note(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", frames=15, rate=30)
    facts = decode_clip_fully(path)
    assert (facts.duration_seconds, facts.frames_per_second, facts.has_sound) == (
        Decimal("0.5"),
        Decimal(30),
        False,
    )
    assert str(facts.frames_per_second) == "30"
    assert clip_notes(facts) == ["0.5 s long; billed as 3 s"]
    assert clip_limit_problems(facts) == []


def test_sides_are_those_after_rotation(tmp_path: Path) -> None:
    facts = decode_clip_fully(make_clip(tmp_path / "a.mp4", frames=5, turned=90))
    assert (facts.width, facts.height) == (720, 1280)


def test_quicktime_is_told_from_mp4_by_its_bytes(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mov", frames=5).rename(tmp_path / "a.mp4")
    facts = inspect_clip(path)
    assert (facts.media_type, facts.container) == ("video/quicktime", "mov")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.95, 0.999])
def test_a_clip_that_is_cut_short_is_damaged(tmp_path: Path, short: Path, share: float) -> None:
    content = short.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: int(len(content) * share)])
    for read in (inspect_clip, decode_clip_fully):
        with pytest.raises(NotDecodable, match=r"cut short|damaged|without"):
            read(path)


def test_a_clip_whose_index_never_came_is_damaged(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", frames=5)
    content = path.read_bytes()
    path.write_bytes(content[: content.find(b"moov") + 40])
    with pytest.raises(NotDecodable, match="cut short"):
        inspect_clip(path)


def test_damage_inside_is_found_by_decoding(tmp_path: Path, short: Path) -> None:
    content = bytearray(short.read_bytes())
    start = content.find(b"mdat") + len(content) // 3
    content[start : start + 30_000] = bytes(30_000)
    path = tmp_path / "holes.mp4"
    path.write_bytes(content)
    with pytest.raises(NotDecodable, match="damaged"):
        decode_clip_fully(path)


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"<html>502</html>", "a web page"),
        (PLAYLIST, "not an mp4 or mov clip"),
        (b"ffconcat version 1.0\nfile '/etc/hostname'\n", "a text file"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01webm", "not an mp4 or mov clip"),
        (encoded(scene(), "PNG"), "Portable Network Graphics"),
        (encoded(scene(), "AVIF"), "clip"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(100), "damaged or incomplete clip"),
    ],
)
def test_what_is_no_clip_is_named(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    for read in (inspect_clip, decode_clip_fully):
        with pytest.raises(NotDecodable) as caught:
            read(path)
        assert kind in str(caught.value)


@pytest.mark.parametrize("limit", ["MOST_CLIP_BYTES", "MOST_CLIP_FRAMES", "MOST_CLIP_FRAME_PIXELS"])
def test_what_would_take_too_much_to_unpack_is_refused(
    short: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(clips, limit, 20)
    with pytest.raises(TooLargeToDecode, match=r"too many|are the most"):
        decode_clip_fully(short)


def _facts(**changes: object) -> ClipFacts:
    usual: dict[str, object] = {
        "media_type": "video/mp4",
        "container": "mp4",
        "duration_seconds": Decimal(5),
        "width": 1280,
        "height": 720,
        "frames_per_second": Decimal(25),
        "has_sound": True,
        "bytes": 1000,
    }
    return ClipFacts(**(usual | changes))  # type: ignore[arg-type] # any mixture of fields is tried here


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"duration_seconds": Decimal("10.05")}, None),
        ({"duration_seconds": Decimal("10.050001")}, "a length of 10.050001 s; cut it to 10 s at most"),
        ({"width": 720, "height": 2160}, None),
        ({"height": 719}, "1280x719 pixels; each side must have 720 to 2160"),
        ({"width": 2161}, "2161x720 pixels; each side must have 720 to 2160"),
        ({"frames_per_second": Decimal("23.976024")}, None),
        ({"frames_per_second": Decimal(60)}, None),
        ({"frames_per_second": Decimal(15)}, "15 frames a second; convert it to 24 to 60"),
        ({"frames_per_second": Decimal(120)}, "120 frames a second; convert it to 24 to 60"),
        ({"bytes": 200_000_000}, None),
        ({"bytes": 200_000_001}, "200,000,001 bytes; compress it to 200,000,000 at most"),
    ],
)
def test_clips_are_held_against_the_models_limits(changes: dict[str, object], problem: str | None) -> None:
    assert clip_limit_problems(_facts(**changes)) == ([problem] if problem else [])


def test_every_limit_is_told_at_once() -> None:
    facts = _facts(duration_seconds=Decimal(11), width=640, frames_per_second=Decimal(12))
    assert len(clip_limit_problems(facts)) == 3


# A box, the place of a field after its name, and what a liar writes there.
LIES = {
    "a length of 136 years": (b"mvhd", 20, b"\xff\xff\xff\xfe"),
    "no time scale": (b"mvhd", 16, bytes(4)),
    "no time scale of a stream": (b"mdhd", 16, bytes(4)),
    "a stream of 136 years": (b"mdhd", 20, b"\xff\xff\xff\xfe"),
    "all frames at once": (b"stts", 16, bytes(4)),
    "a frame that lasts for hours": (b"stts", 16, b"\x7f\xff\xff\xff"),
    "two thousand million frames": (b"stts", 12, b"\x7f\xff\xff\xff"),
    "as many sizes": (b"stsz", 12, b"\x7f\xff\xff\xff"),
    "65535x65535": (b"avc1", 28, b"\xff" * 4),
    "a turn into nowhere": (b"tkhd", 44, b"\x7f" * 36),
    "frames beyond the end": (b"stco", 12, b"\xff" * 8),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_a_clip_says_of_itself_is_not_believed(tmp_path: Path, short: Path, lie: str) -> None:
    box, place, said = LIES[lie]
    content = bytearray(short.read_bytes())
    for start in [at for at in range(len(content)) if content.startswith(box, at)]:
        content[start + place : start + place + len(said)] = said
    path = tmp_path / "lie.mp4"
    path.write_bytes(content)
    for read in (inspect_clip, decode_clip_fully):
        try:
            facts = read(path)
        except NotDecodable:
            continue
        assert facts.duration_seconds < 2
        assert (facts.width, facts.height) == (1280, 720)
        assert facts.frames_per_second <= 60
