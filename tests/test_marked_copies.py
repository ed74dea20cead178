"""Marked copies: the mark is there for any reader, and nothing else has changed."""

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from campaign_support import write_clip
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from record_samples import HOSTILE_TEXTS, Assets, brief, every_outcome, record, stage

from blocks.errors import MediaError
from blocks.xmp import write_with_xmp
from tasks.provenance.marked_copies import export_path, mark, write_marked_copies
from tasks.record import AssetRecord, Outcome, RunRecord, StageRecord

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
TYPE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
SYSTEM = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}AISystemUsed"
DC = "{http://purl.org/dc/elements/1.1/}"
CODES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
RANDOM = np.random.default_rng(3)


def run_of(
    name: Any = "edit", *, provider: str = "wavespeed", **changes: Any
) -> tuple[RunRecord, StageRecord]:
    made = stage("mug", name, Outcome.GENERATED, **changes)
    return record(Path(), (brief("mug", (made,)),), provider=provider), made


def packet(name: Any = "edit", **changes: Any) -> bytes:
    run, made = run_of(name, **changes)
    return mark(run, made, Assets().picture("assets/mug/edit-1.png", 1))


def properties(xmp: bytes) -> dict[str, list[str]]:
    """Every property of a packet, with its texts."""
    root = ET.fromstring(re.sub(rb"<\?xpacket.*?\?>", b"", xmp))
    description = root.find(f"{RDF}RDF/{RDF}Description")
    assert description is not None
    return {one.tag: [text.strip() for text in one.itertext() if text.strip()] for one in description}


# Pictures, read back by Pillow.


def pixels(*size: int) -> Image.Image:
    return Image.fromarray(RANDOM.integers(0, 255, size, dtype=np.uint8))


def exif() -> Image.Exif:
    found = Image.Exif()
    found[0x010E] = "a description"
    return found


def _png_with_xmp(path: Path) -> None:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<old/>")
    info.add_text("Title", "kept")
    pixels(61, 83, 3).save(path, pnginfo=info)


PICTURES: dict[str, Callable[[Path], None]] = {
    "plain.png": lambda path: pixels(61, 83, 4).save(path),
    "with-exif.jpg": lambda path: pixels(61, 83, 3).save(path, exif=exif(), icc_profile=b"profile"),
    "grey.jpg": lambda path: pixels(61, 83).save(path, progressive=True),
    "simple.webp": lambda path: pixels(61, 83, 3).save(path),
    "lossless.webp": lambda path: pixels(60, 80, 3).save(path, lossless=True),
    "alpha.webp": lambda path: pixels(61, 83, 4).save(path, lossless=True),
    "extended.webp": lambda path: pixels(61, 83, 4).save(path, exif=exif(), xmp=b"<old/>"),
    "with-xmp.png": _png_with_xmp,
    "with-xmp.jpg": lambda path: pixels(61, 83, 3).save(path, xmp=b"<old/>"),
}
TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}


@pytest.mark.parametrize("name", PICTURES)
def test_a_marked_picture_is_the_same_picture(name: str, tmp_path: Path) -> None:
    source, copy = tmp_path / name, tmp_path / "copies" / name
    PICTURES[name](source)
    before = source.read_bytes()
    write_with_xmp(source, copy, TYPES[source.suffix], packet())
    assert source.read_bytes() == before
    with Image.open(source) as one, Image.open(copy) as other:
        assert (one.mode, one.size, one.format) == (other.mode, other.size, other.format)
        assert one.tobytes() == other.tobytes()
        assert one.info.get("exif") == other.info.get("exif")
        assert one.info.get("icc_profile") == other.info.get("icc_profile")
        found = other.info["xmp"] if "xmp" in other.info else other.info["XML:com.adobe.xmp"].encode()
    assert properties(found)[TYPE] == [f"{CODES}compositeWithTrainedAlgorithmicMedia"]
    assert copy.read_bytes().count(b"<x:xmpmeta") == 1
    assert b"<old/>" not in copy.read_bytes()
    # Written again, of the original or of the copy: the same bytes.
    for again in (source, copy):
        write_with_xmp(again, tmp_path / "again", TYPES[source.suffix], packet())
        assert (tmp_path / "again").read_bytes() == copy.read_bytes()
    assert sorted(path.name for path in copy.parent.iterdir()) == [name]


# Clips, taken apart here.


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same clip as MP4 and MOV, and as MP4 with its index first."""
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "clip.mp4", seconds=0.5, sound=True, side=128)
    for name, options in (("clip.mov", {}), ("index-first.mp4", {"movflags": "faststart"})):
        with (
            av.open(str(folder / "clip.mp4")) as given,
            av.open(str(folder / name), "w", options=options) as made,
        ):
            streams = {one.index: made.add_stream_from_template(one) for one in given.streams}
            made.metadata["title"] = "kept"
            for piece in given.demux():
                if piece.dts is not None:
                    piece.stream = streams[piece.stream.index]
                    made.mux(piece)
    return folder


def decoded(path: Path) -> list[bytes]:
    with av.open(str(path)) as clip:
        return [frame.to_ndarray().tobytes() for frame in clip.decode()]


def boxes(content: bytes) -> list[tuple[bytes, bytes]]:
    found, file = [], io.BytesIO(content)
    while head := file.read(8):
        size = int.from_bytes(head[:4])
        assert size >= 8, "no box of these clips is larger than 4 GB or open"
        found.append((head[4:], file.read(size - 8)))
    return found


@pytest.mark.parametrize("name", ["clip.mp4", "index-first.mp4", "clip.mov"])
def test_a_marked_clip_is_the_same_clip(name: str, clips: Path, tmp_path: Path) -> None:
    media_type = "video/mp4" if name.endswith("mp4") else "video/quicktime"
    copy, twice = tmp_path / name, tmp_path / f"twice-{name}"
    write_with_xmp(clips / name, copy, media_type, packet("video"))
    assert decoded(copy) == decoded(clips / name)
    assert len(decoded(copy)) > 12
    content = dict(boxes(copy.read_bytes()))
    if name.endswith("mp4"):
        uuid = content[b"uuid"]
        assert uuid[:16].hex() == "be7acfcb97a942e89c71999491e3afac"
        found = uuid[16:]
        assert copy.read_bytes().startswith((clips / name).read_bytes())
    else:
        user_data = dict(boxes(dict(boxes(content[b"moov"]))[b"udta"]))
        found = user_data[b"XMP_"]
        with av.open(str(copy)) as clip:
            assert clip.metadata["title"] == "kept"
    assert properties(found)[TYPE] == [f"{CODES}compositeWithTrainedAlgorithmicMedia"]
    # A mark that is there already gives way to the new one.
    write_with_xmp(copy, twice, media_type, packet("compose"))
    assert decoded(twice) == decoded(clips / name)
    marks = [body for kind, body in boxes(twice.read_bytes()) if kind in {b"uuid", b"moov"}]
    assert sum(body.count(b"<x:xmpmeta") for body in marks) == 1


def test_a_last_box_without_an_end_is_given_one(clips: Path, tmp_path: Path) -> None:
    content = bytearray((clips / "index-first.mp4").read_bytes())
    *_, (kind, body) = boxes(bytes(content))
    assert kind == b"mdat"
    start = len(content) - len(body) - 8
    content[start : start + 4] = bytes(4)
    (tmp_path / "open.mp4").write_bytes(content)
    write_with_xmp(tmp_path / "open.mp4", tmp_path / "copy.mp4", "video/mp4", packet("video"))
    assert decoded(tmp_path / "copy.mp4") == decoded(clips / "index-first.mp4")
    assert [kind for kind, _ in boxes((tmp_path / "copy.mp4").read_bytes())][-2:] == [b"mdat", b"uuid"]


# What is odd.


@pytest.mark.parametrize("media_type", [*TYPES.values(), "video/mp4", "video/quicktime", "image/gif"])
@given(content=st.binary(max_size=60))
def test_what_is_no_such_file_is_refused_and_leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory, media_type: str, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    for start in (
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8",
        b"RIFF\x20\0\0\0WEBP",
        b"\0\0\0\x10ftypisom\0\0\0\0",
    ):
        (folder / "odd").write_bytes(start + content)
        try:
            write_with_xmp(folder / "odd", folder / "copy", media_type, packet())
        except MediaError:
            assert [path.name for path in folder.iterdir()] == ["odd"]
        else:
            assert b"<x:xmpmeta" in (folder / "copy").read_bytes()
            (folder / "copy").unlink()


@pytest.mark.parametrize("name", ["plain.png", "with-exif.jpg", "alpha.webp"])
def test_a_file_cut_short_is_refused(name: str, tmp_path: Path) -> None:
    PICTURES[name](tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:90])
    with pytest.raises(MediaError):
        write_with_xmp(tmp_path / name, tmp_path / "copy", TYPES[(tmp_path / name).suffix], packet())
    assert not (tmp_path / "copy").exists()


# What the mark says.


def test_each_stage_has_its_source_type() -> None:
    found = {name: properties(packet(name))[TYPE] for name in ("edit", "compose", "video")}
    assert found == {
        "edit": [f"{CODES}compositeWithTrainedAlgorithmicMedia"],
        "compose": [f"{CODES}trainedAlgorithmicMedia"],
        "video": [f"{CODES}compositeWithTrainedAlgorithmicMedia"],
    }


def test_it_names_model_program_original_and_prediction() -> None:
    run, made = run_of()
    asset = Assets().picture("assets/mug/edit-1.png", 1)
    told = properties(mark(run, made, asset))
    assert told[SYSTEM] == [made.model]
    assert told["{http://ns.adobe.com/xap/1.0/}CreatorTool"] == ["kling-campaigns 0.1.0"]
    assert told[f"{DC}source"] == [f"sha256:{asset.sha256}"]
    assert told[f"{DC}identifier"] == [made.prediction_id]
    assert told[f"{DC}subject"] == ["AI-generated"]
    assert "simulated" not in str(told).lower()


def test_a_simulated_one_says_so() -> None:
    told = properties(packet(provider="simulator"))
    assert told[f"{DC}subject"] == ["simulated"]
    assert told[f"{DC}description"][0].startswith("SIMULATED")
    assert told[SYSTEM] == ["simulator in place of kwaivgi/kling-image-v3/edit"]
    assert told[TYPE] == [f"{CODES}compositeWithTrainedAlgorithmicMedia"]


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_whatever_a_service_called_it_is_text(text: str) -> None:
    told = properties(packet(prediction_id=text, prompt=text))
    assert set(told) == set(properties(packet()))
    # Line ends are as XML reads them; what XML cannot hold is replaced.
    expected = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", "\ufffd", text.replace("\r", "\n")).strip()
    assert told[f"{DC}identifier"] == [expected]


def test_nothing_of_the_campaign_or_the_day_is_in_it() -> None:
    run, made = run_of()
    asset = Assets().picture("assets/mug/edit-1.png", 1)
    found = mark(run, made, asset)
    for secret in (made.prompt, run.run, run.campaign, "mug", "2026"):
        assert secret.encode() not in found.replace(asset.sha256.encode(), b"")
    later = run.model_copy(update={"run": "later", "campaign": "other"})
    cached = made.model_copy(update={"outcome": Outcome.CACHED, "started_at": None, "charged": 0})
    assert mark(later, cached, asset) == found


def test_a_runs_copies_stand_beside_its_assets(tmp_path: Path) -> None:
    assets = Assets()
    run = every_outcome(tmp_path, assets)
    pictures: list[AssetRecord] = []
    for made in run.stages:
        for asset in made.assets:
            place = tmp_path / "r" / asset.path
            place.parent.mkdir(parents=True, exist_ok=True)
            assets.place(asset.sha256, place)
            pictures += [asset] if asset.media_type == "image/png" else []
    before = {path: path.read_bytes() for path in (tmp_path / "r" / "assets").rglob("*") if path.is_file()}
    # Bytes that can carry no mark, such as these clips', leave no copy, not even an old one.
    old = tmp_path / "r" / "export" / "mug" / "video-1.mp4"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"unmarked")
    write_marked_copies(run, tmp_path / "r")
    written = {path for path in (tmp_path / "r" / "export").rglob("*") if path.is_file()}
    assert written == {tmp_path / "r" / export_path(asset.path) for asset in pictures}
    assert len(written) == 5
    assert {path: path.read_bytes() for path in before} == before
