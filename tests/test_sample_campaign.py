"""The sample campaign in data/: its media are what the models take, its briefs use every shape."""

import csv
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

DATA = Path(__file__).parents[1] / "data"
MEDIA = DATA / "media"
PICTURES = ("mug.jpg", "cups.jpg", "pour-over.jpg", "canister.jpg", "portrait.jpg", "label.png")
HEADER = (
    "brief,edit_prompt,edit_image,edit_aspect_ratio,edit_resolution,edit_num_images,edit_output_format,"
    "compose_prompt,compose_images,compose_aspect_ratio,compose_resolution,compose_num_images,"
    "compose_output_format,video_prompt,video,video_images,video_keep_original_sound,take"
)


@pytest.fixture(scope="module")
def briefs() -> list[dict[str, str]]:
    with (DATA / "campaign.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def stages(brief: dict[str, str]) -> tuple[str, ...]:
    return tuple(stage for stage in ("edit", "compose", "video") if brief[f"{stage}_prompt"])


def references(cell: str) -> list[str]:
    return cell.split("|") if cell else []


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_within_the_limits_of_the_models(name: str) -> None:
    path = MEDIA / name
    assert path.stat().st_size < 10_000_000
    with Image.open(path) as picture:
        picture.load()
        assert picture.format == ("PNG" if path.suffix == ".png" else "JPEG")
        assert picture.mode == "RGB"
        width, height = picture.size
        pixels = np.asarray(picture.resize((64, 64)), dtype=np.float32)
    assert min(width, height) >= 300
    assert 1 / 2.5 <= width / height <= 2.5
    # A picture, not a blank: light and dark, and more than one hue.
    assert pixels.mean(axis=2).std() > 15
    assert np.abs(pixels[..., 0] - pixels[..., 2]).std() > 4


def test_the_clip_is_within_the_limits_of_the_video_model() -> None:
    path = MEDIA / "turntable.mp4"
    assert path.stat().st_size < 3_000_000
    with av.open(str(path)) as clip:
        assert clip.duration is not None
        assert 5 <= clip.duration / av.time_base <= 6
        video, sound = clip.streams.video[0], clip.streams.audio[0]
        assert (video.codec_context.name, video.width, video.height) == ("h264", 1280, 720)
        assert video.average_rate == Fraction(25)
        assert sound.codec_context.name == "aac"


def test_the_clip_moves_and_sounds() -> None:
    with av.open(str(MEDIA / "turntable.mp4")) as clip:
        grey = [frame.to_ndarray(format="gray").astype(np.float32) for frame in clip.decode(video=0)]
    assert len(grey) == 130
    steps = [float(np.abs(b - a).mean()) for a, b in zip(grey[::10], grey[10::10], strict=False)]
    assert min(steps) > 0.3
    assert float(np.abs(grey[-1] - grey[0]).mean()) > 8
    with av.open(str(MEDIA / "turntable.mp4")) as clip:
        sound = np.concatenate([frame.to_ndarray() for frame in clip.decode(audio=0)], axis=1)
    assert sound.shape[0] == 2
    assert 0.3 < float(np.abs(sound).max()) <= 1
    second = 48_000
    for start in range(0, sound.shape[1] - second, second):
        assert float(np.sqrt((sound[:, start : start + second] ** 2).mean())) > 0.01


def test_all_media_together_stay_small() -> None:
    files = [path for path in MEDIA.iterdir() if path.is_file()]
    assert {path.name for path in files} == {*PICTURES, "turntable.mp4"}
    assert sum(path.stat().st_size for path in files) < 6_000_000


def test_the_file_has_the_columns_of_the_contract_and_eight_briefs(briefs: list[dict[str, str]]) -> None:
    header = (DATA / "campaign.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == HEADER
    names = [brief["brief"] for brief in briefs]
    assert len(names) == len({name.lower() for name in names}) == 8
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) for name in names)
    assert all(None not in brief and None not in brief.values() for brief in briefs)


def test_every_medium_is_there_and_used(briefs: list[dict[str, str]]) -> None:
    used = set()
    for brief in briefs:
        for column in ("edit_image", "compose_images", "video", "video_images"):
            used.update(references(brief[column]))
    assert used == {f"media/{name}" for name in (*PICTURES, "turntable.mp4")}


def test_the_briefs_use_every_shape(briefs: list[dict[str, str]]) -> None:
    assert {stages(brief) for brief in briefs} == {
        ("edit",),
        ("compose",),
        ("video",),
        ("edit", "compose"),
        ("edit", "video"),
        ("edit", "compose", "video"),
    }
    assert sum("video" in stages(brief) for brief in briefs) == 3
    assert {b["video_keep_original_sound"] for b in briefs if b["video_prompt"]} == {"true", "false"}
    edits = [b for b in briefs if b["edit_prompt"]]
    composed = [b for b in briefs if b["compose_prompt"]]
    assert {b["edit_resolution"] for b in edits} == {"1k", "2k"}
    assert sorted(b["compose_resolution"] for b in composed) == ["1k", "1k", "2k", "4k"]
    assert {b["edit_output_format"] for b in edits} == {"png", "jpeg", "webp"}
    assert len({b["edit_aspect_ratio"] for b in edits} | {b["compose_aspect_ratio"] for b in composed}) >= 6
    assert max(int(b["edit_num_images"] or 1) for b in edits) == 3
    assert [b["take"] for b in briefs if b["take"]] == ["2"]
    alone = [b for b in composed if not b["edit_prompt"]]
    assert all(len(references(b["compose_images"])) >= 3 for b in alone)


def test_prompts_name_only_references_that_there_are(briefs: list[dict[str, str]]) -> None:
    for brief in briefs:
        edited = int(brief["edit_num_images"] or 1) if brief["edit_prompt"] else 0
        composed = int(brief["compose_num_images"] or 1) if brief["compose_prompt"] else 0
        for stage, there in (
            ("compose", edited + len(references(brief["compose_images"]))),
            ("video", (composed or edited) + len(references(brief["video_images"]))),
        ):
            named = {int(number) for number in re.findall(r"@Image(\d+)", brief[f"{stage}_prompt"])}
            assert named <= set(range(1, there + 1)), brief["brief"]
            if stage == "compose" and brief["compose_prompt"]:
                assert named == set(range(1, there + 1)), brief["brief"]
