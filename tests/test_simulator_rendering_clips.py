"""Edited clips, decoded again: length, rate, sides, sound, motion, references, marks on every frame."""

import io
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from rendering_inputs import (
    REAL_MEDIA,
    clip,
    correlation,
    file_of,
    frames,
    loudness,
    photograph,
    pixels,
    turned_upright,
)
from test_simulator_rendering_pictures import inside, label_likeness

from simulator.rendering import render_video_edit
from simulator.rendering.framing import covered
from simulator.rendering.insets import insets_for
from simulator.rendering.marking import COMMENT
from simulator.rendering.styles import variation_for

FRAME = 1 / 24


def facts(data: bytes) -> dict[str, Any]:
    with av.open(io.BytesIO(data), "r") as source:
        picture = source.streams.video[0]
        sounds = source.streams.audio
        return {
            "seconds": Fraction(source.duration or 0, av.time_base),
            "rate": picture.average_rate,
            "size": (picture.width, picture.height),
            "codec": picture.codec_context.name,
            "format": picture.pix_fmt,
            "sound": [sound.codec_context.name for sound in sounds],
            "comment": source.metadata.get("comment"),
            "dated": "creation_time" in source.metadata,
        }


def motion(shown: list[Image.Image], moments: list[float], rate: float) -> np.ndarray:
    """What changes between these moments, on a small grey copy."""
    small = [
        pixels(shown[min(len(shown) - 1, round(moment * rate))], (60, 34)).mean(axis=-1) for moment in moments
    ]
    return np.stack([after - before for before, after in pairwise(small)])


@pytest.fixture(scope="module")
def source() -> bytes:
    return clip()


@pytest.fixture(scope="module")
def edited(source: bytes) -> bytes:
    return render_video_edit(source, [], "golden evening", keep_original_sound=True)


def test_a_clip_keeps_length_sides_and_sound_in_the_services_form(source: bytes, edited: bytes) -> None:
    before, after = facts(source), facts(edited)
    assert after["rate"] == 24
    assert after["codec"] == "h264"
    assert after["format"] == "yuv420p"
    assert after["size"] == before["size"]
    assert after["sound"] == ["aac"]
    assert abs(after["seconds"] - before["seconds"]) <= FRAME
    assert len(frames(edited)) == 72


def test_players_can_start_before_the_last_byte(edited: bytes) -> None:
    assert edited.index(b"moov") < edited.index(b"mdat")


def test_motion_stays_and_colours_change(source: bytes, edited: bytes) -> None:
    before, after = frames(source), frames(edited)
    moments = [0.2 * step for step in range(14)]
    assert correlation(motion(before, moments, 30), motion(after, moments, 24)) > 0.85
    assert np.abs(pixels(before[30], (60, 34)) - pixels(after[24], (60, 34))).mean() > 5
    assert correlation(pixels(before[30], (60, 34)).mean(-1), pixels(after[24], (60, 34)).mean(-1)) > 0.75


def test_sound_is_the_same_and_only_there_when_wanted(source: bytes, edited: bytes) -> None:
    before, after = loudness(source), loudness(edited)
    shared = min(len(before), len(after))
    assert abs(len(before) - len(after)) <= 2
    assert correlation(before[:shared], after[:shared]) > 0.97
    assert facts(render_video_edit(source, [], "x", keep_original_sound=False))["sound"] == []
    silent = clip(seconds=1.0, sound_seconds=None)
    assert facts(render_video_edit(silent, [], "x", keep_original_sound=True))["sound"] == []


def test_every_frame_and_the_file_say_that_they_are_simulated(edited: bytes) -> None:
    shown = frames(edited)
    assert min(label_likeness(pixels(shown[index])) for index in (0, 35, 71)) > 0.8
    assert facts(edited)["comment"] == COMMENT


def test_equal_requests_give_equal_bytes_and_other_prompts_other_clips(source: bytes, edited: bytes) -> None:
    assert render_video_edit(source, [], "golden evening", keep_original_sound=True) == edited
    assert not facts(edited)["dated"]
    other = render_video_edit(source, [], "rain at midnight", keep_original_sound=True)
    assert np.abs(pixels(frames(other)[40], (60, 34)) - pixels(frames(edited)[40], (60, 34))).mean() > 6


@pytest.mark.parametrize("prompt", ["first", "second", "third one"])
def test_each_reference_is_seen(source: bytes, prompt: str) -> None:
    references = [photograph(50 + index, (420, 300)) for index in range(4)]
    variation = variation_for(prompt, 1)
    made = frames(
        render_video_edit(source, [file_of(one) for one in references], prompt, keep_original_sound=False)
    )
    for index, inset in enumerate(insets_for(references, (480, 272), variation)):
        box = inset.picture.getchannel("A").point(lambda level: 255 * (level > 250)).getbbox()
        assert box is not None
        left, top = inset.place[0] + box[0], inset.place[1] + box[1]
        area = (left, top, left + box[2] - box[0], top + box[3] - box[1])
        assert area[0] >= 0
        assert area[1] >= 0
        assert area[2] <= 480
        assert area[3] <= 272
        side = (area[2] - area[0], area[3] - area[1])
        expected = [inside(covered(one, side)) for one in references]
        likeness = [correlation(inside(made[-1].crop(area)), one) for one in expected]
        assert likeness[index] > 0.85
        assert int(np.argmax(likeness)) == index
        assert correlation(inside(made[0].crop(area)), expected[index]) < 0.6


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"rate": 60, "seconds": 1.5, "sound_seconds": 1.5}, (480, 272)),
        ({"rate": 24, "seconds": 1.0, "sound_seconds": 1.7}, (480, 272)),
        (
            {"rate": 25, "kind": "mov", "sound_codec": "pcm_s16le", "seconds": 1.0, "sound_seconds": 1.0},
            (480, 272),
        ),
        ({"size": (321, 243), "pixel_format": "yuv444p", "seconds": 1.0, "sound_seconds": 0.5}, (320, 242)),
        ({"pixel_format": "yuv420p10le", "seconds": 1.0, "sound_seconds": None}, (480, 272)),
    ],
    ids=["60 fps", "sound outlasts the picture", "mov with PCM", "odd sides", "10 bit"],
)
def test_clips_of_every_make_are_taken(options: dict[str, Any], size: tuple[int, int]) -> None:
    original = clip(**options)
    made = render_video_edit(original, [], "soft light, blur", keep_original_sound=True)
    after = facts(made)
    assert after["size"] == size
    assert after["rate"] == 24
    assert abs(after["seconds"] - facts(original)["seconds"]) <= FRAME
    assert bool(after["sound"]) == bool(options["sound_seconds"])
    rate = int(options.get("rate", 30))
    moments = [0.1 * step for step in range(9)]
    assert correlation(motion(frames(original), moments, rate), motion(frames(made), moments, 24)) > 0.8


def test_a_turned_clip_comes_out_upright() -> None:
    lying = clip(seconds=1.0, sound_seconds=None)
    made = render_video_edit(turned_upright(lying), [], "plain", keep_original_sound=False)
    assert facts(made)["size"] == (272, 480)
    expected = frames(lying)[15].transpose(Image.Transpose.ROTATE_270)
    seen = frames(made)[12]
    upright = correlation(pixels(seen, (34, 60)).mean(-1), pixels(expected, (34, 60)).mean(-1))
    wrong_way = expected.transpose(Image.Transpose.ROTATE_180)
    assert upright > 0.75
    assert upright > correlation(pixels(seen, (34, 60)).mean(-1), pixels(wrong_way, (34, 60)).mean(-1)) + 0.3


@pytest.mark.parametrize("damage", ["text", "empty", "sound only", "cut short"])
def test_what_is_no_clip_is_refused(source: bytes, damage: str) -> None:
    sound_only = io.BytesIO()
    with av.open(sound_only, "w", format="mp4") as target:
        stream = target.add_stream("aac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono"
        )
        frame.rate = 44_100
        target.mux(stream.encode(frame))
        target.mux(stream.encode())
    data = {
        "text": b"<html>not found</html>",
        "empty": b"",
        "sound only": sound_only.getvalue(),
        "cut short": source[: len(source) // 2],
    }[damage]
    with pytest.raises(ValueError, match="the clip"):
        render_video_edit(data, [], "anything", keep_original_sound=True)


def test_the_real_clip() -> None:
    """Where it is at hand; elsewhere a clip of the same make."""
    real = REAL_MEDIA / "bigbuckbunny.mp4"
    original = (
        real.read_bytes() if real.exists() else clip(size=(1280, 720), rate=25, seconds=2, sound_seconds=2)
    )
    made = render_video_edit(original, [file_of(photograph(60))], "snow in winter", keep_original_sound=True)
    before, after = facts(original), facts(made)
    assert after["size"] == (1280, 720)
    assert abs(after["seconds"] - before["seconds"]) <= FRAME
    loud_before, loud_after = loudness(original), loudness(made)
    shared = min(len(loud_before), len(loud_after))
    assert correlation(loud_before[:shared], loud_after[:shared]) > 0.97
