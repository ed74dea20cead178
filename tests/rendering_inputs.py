"""Pictures and clips for the rendering tests: made here, and the real ones where this machine has them."""

import io
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

REAL_MEDIA = Path(__file__).parents[2] / "shared" / "media"


def photograph(seed: int, size: tuple[int, int] = (600, 400)) -> Image.Image:
    """A detailed picture unlike any of another seed: soft ground, a few shapes, fine texture."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(40, 215, (5, 7, 3), dtype=np.uint8))
    picture = coarse.resize(size, Image.Resampling.BICUBIC)
    drawing = ImageDraw.Draw(picture)
    for _ in range(9):
        x, y = random.uniform(0, size[0]), random.uniform(0, size[1])
        radius = random.uniform(0.06, 0.22) * min(size)
        colour = tuple(int(level) for level in random.integers(0, 255, 3))
        drawing.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    texture = Image.fromarray(random.integers(90, 165, (size[1] // 3, size[0] // 3), dtype=np.uint8))
    grain = texture.resize(size, Image.Resampling.BICUBIC)
    mixed = np.asarray(picture, dtype=np.float32) * (np.asarray(grain, dtype=np.float32)[..., None] / 128)
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def product_shot(size: tuple[int, int] = (900, 600)) -> Image.Image:
    """A green bottle before a plain grey wall."""
    wall = np.linspace(205, 235, size[1])[:, None, None].repeat(size[0], 1).repeat(3, 2)
    picture = Image.fromarray(wall.astype(np.uint8))
    drawing = ImageDraw.Draw(picture)
    width, height = size
    drawing.rounded_rectangle(
        (width * 0.4, height * 0.35, width * 0.6, height * 0.92), 24, fill=(26, 110, 78)
    )
    drawing.rectangle((width * 0.46, height * 0.12, width * 0.54, height * 0.36), fill=(26, 110, 78))
    drawing.rectangle((width * 0.42, height * 0.5, width * 0.58, height * 0.7), fill=(240, 232, 214))
    return picture.filter(ImageFilter.GaussianBlur(1))


def file_of(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def pixels(data: bytes | Image.Image, size: tuple[int, int] | None = None) -> np.ndarray:
    picture = Image.open(io.BytesIO(data)) if isinstance(data, bytes) else data
    picture = picture.convert("RGB")
    return np.asarray(picture.resize(size, Image.Resampling.BOX) if size else picture, dtype=np.float32)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.reshape(-1), other.reshape(-1))[0, 1])


def clip(
    *,
    size: tuple[int, int] = (480, 272),
    rate: int = 30,
    seconds: float = 3.0,
    sound_seconds: float | None = 3.0,
    kind: str = "mp4",
    sound_codec: str = "aac",
    pixel_format: str = "yuv420p",
) -> bytes:
    """A bright disc circling over a still picture, with a tone that swells."""
    ground = photograph(11, size).filter(ImageFilter.GaussianBlur(2))
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as target:
        picture = target.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "18"})
        picture.width, picture.height, picture.pix_fmt = *size, pixel_format
        sound: Any = target.add_stream(sound_codec, rate=44_100, layout="stereo") if sound_seconds else None
        for index in range(round(seconds * rate)):
            shown = ground.copy()
            angle = 2 * math.pi * index / rate / 2
            x = size[0] * (0.45 + 0.25 * math.cos(angle))
            y = size[1] * (0.5 + 0.3 * math.sin(angle))
            reach = min(size) * 0.14
            ImageDraw.Draw(shown).ellipse((x - reach, y - reach, x + reach, y + reach), fill=(250, 244, 210))
            target.mux(
                picture.encode(av.VideoFrame.from_ndarray(np.asarray(shown.convert("RGB")), format="rgb24"))
            )
        target.mux(picture.encode())
        if sound is not None and sound_seconds:
            moments = np.arange(round(sound_seconds * 44_100)) / 44_100
            wave = 0.5 * np.sin(2 * np.pi * 440 * moments) * (0.2 + 0.8 * (moments % 1))
            samples = np.repeat((wave * 32_000).astype(np.int16), 2)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            frame.rate, frame.pts, frame.time_base = 44_100, 0, Fraction(1, 44_100)
            resampler = av.AudioResampler(
                format=sound.codec_context.format, layout="stereo", rate=44_100, frame_size=1024
            )
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                target.mux(sound.encode(piece))
            target.mux(sound.encode())
    return file.getvalue()


def turned_upright(mp4: bytes) -> bytes:
    """The clip with a display matrix that asks players to turn it by 90 degrees, as telephones write it."""
    at = mp4.index(b"tkhd") + 44
    matrix = [0, 1 << 16, 0, (1 << 32) - (1 << 16), 0, 0, 0, 0, 1 << 30]
    return mp4[:at] + b"".join(value.to_bytes(4, "big") for value in matrix) + mp4[at + 36 :]


def frames(data: bytes) -> list[Image.Image]:
    """Every frame as shown, without regard to the display matrix."""
    with av.open(io.BytesIO(data), "r") as source:
        return [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in source.decode(video=0)]


def loudness(data: bytes) -> np.ndarray:
    """The sound's strength in each twentieth of a second."""
    with av.open(io.BytesIO(data), "r") as source:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=8_000)
        pieces = [
            piece.to_ndarray().reshape(-1)
            for frame in source.decode(audio=0)
            for piece in resampler.resample(frame)
        ]
    samples = np.concatenate(pieces)
    whole = samples[: len(samples) // 400 * 400].reshape(-1, 400)
    strength: np.ndarray = np.sqrt((whole**2).mean(axis=1))
    return strength
