"""Pictures and clips for the tests of media, drawn here; and the real ones, where they are at hand."""

import io
from pathlib import Path

import av
import numpy as np
from PIL import Image

REAL_MEDIA = Path(__file__).parents[2] / "shared" / "media"


def scene(width: int = 640, height: int = 480) -> Image.Image:
    """Red rises to the right, green downwards; blue marks the top left."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width, dtype=np.uint8)
    pixels[..., 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    pixels[: height // 4, : width // 4, 2] = 255
    return Image.fromarray(pixels)


def noise(width: int, height: int) -> Image.Image:
    """A picture that hardly compresses."""
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8))


def photograph(folder: Path) -> Path:
    """A jpeg of 640 by 427: the real flower where it is at hand."""
    real = REAL_MEDIA / "flower.jpg"
    if real.exists():
        return real
    path = folder / "flower.jpg"
    scene(640, 427).save(path, "JPEG")
    return path


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def make_clip(
    path: Path,
    *,
    frames: int = 80,
    rate: int = 25,
    size: tuple[int, int] = (1280, 720),
    sound_seconds: float = 0,
    turned: int = 0,
    faststart: bool = False,
) -> Path:
    """A clip of plain frames that change colour; ``turned`` is a rotation in the container, in degrees."""
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "30"})
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        if turned:
            video.set_display_rotation(turned)
        sound = container.add_stream("aac", rate=48000, layout="mono") if sound_seconds else None
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(
                np.full((size[1], size[0], 3), (number * 7 % 256, 90, 160), np.uint8), format="rgb24"
            )
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            tone = np.sin(np.arange(round(sound_seconds * 48000)) / 20).astype(np.float32)[None] / 4
            for start in range(0, tone.shape[1], 1024):
                chunk = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(tone[:, start : start + 1024]), format="fltp", layout="mono"
                )
                chunk.sample_rate = 48000
                chunk.pts = start
                container.mux(sound.encode(chunk))
            container.mux(sound.encode(None))
    return path


def clip(folder: Path) -> Path:
    """A clip of 720p with sound, a little over 5 s: the real one where it is at hand."""
    real = REAL_MEDIA / "bigbuckbunny.mp4"
    return real if real.exists() else make_clip(folder / "clip.mp4", frames=132, sound_seconds=5.312)
