"""Make the media of the sample campaign: ``python data/make_media.py [--into FOLDER] [NAME …]``.

Everything is computed here, on one core and the same every time; see README.md beside this file.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.studio import scenes
from data.studio.clip import write_clip
from data.studio.finish import combine, film
from data.studio.label import printed_label
from data.studio.sound import slow_morning
from data.studio.steam import add_steam
from data.studio.tracer import render

_MEDIA = Path(__file__).parent / "media"
_CLIP_RATE = 25
_CLIP_FRAMES = 130
_CLIP_SIZE = (1280, 720)
# The clip is traced at five eighths of its size: grain and motion hide the rest.
_CLIP_TRACED = (800, 450)


def developed(
    shot: scenes.Shot, size: tuple[int, int], samples: int, *, seconds: float = 1.3, patience: float = 4.5
) -> NDArray[np.uint8]:
    """A shot as finished pixels, shape (height, width, 3), its steam ``seconds`` after it was poured."""
    light = combine(render(shot.scene, size[0], size[1], samples), patience=patience)
    if shot.steam is not None:
        source = shot.scene.camera.picture_of(shot.steam, size[0] / size[1])
        light = add_steam(light, source, shot.plume, seconds, 0.42)
    return film(light, exposure=shot.exposure)


def photograph(path: Path, shot: Callable[[], scenes.Shot], size: tuple[int, int], samples: int) -> None:
    Image.fromarray(developed(shot(), size, samples)).save(path, quality=91, subsampling=0, optimize=True)


def label(path: Path) -> None:
    printed_label(1400).save(path, optimize=True)


def clip(path: Path) -> None:
    def frames() -> Iterator[NDArray[np.uint8]]:
        for number in range(_CLIP_FRAMES):
            shot = scenes.turntable(number / (_CLIP_FRAMES - 1))
            pixels = developed(shot, _CLIP_TRACED, 2, seconds=1 + number / _CLIP_RATE, patience=9)
            large = Image.fromarray(pixels).resize(_CLIP_SIZE, Image.Resampling.LANCZOS)
            yield np.asarray(large)

    # A little shorter than the pictures, so that the last AAC frame does not lengthen the clip.
    write_clip(path, frames(), slow_morning(_CLIP_FRAMES / _CLIP_RATE - 0.03), _CLIP_RATE)


WORKS: dict[str, Callable[[Path], None]] = {
    "label.png": label,
    "mug.jpg": partial(photograph, shot=scenes.mug_on_board, size=(1600, 1200), samples=8),
    "cups.jpg": partial(photograph, shot=scenes.cups_on_stone, size=(1600, 1200), samples=8),
    "pour-over.jpg": partial(photograph, shot=scenes.pour_over, size=(1600, 1200), samples=8),
    "canister.jpg": partial(photograph, shot=scenes.canister_and_beans, size=(1600, 1200), samples=8),
    "portrait.jpg": partial(photograph, shot=scenes.portrait, size=(1200, 1500), samples=8),
    "turntable.mp4": clip,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the media of the sample campaign.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(WORKS)}")
    parser.add_argument("--into", type=Path, default=_MEDIA, help="the folder to write to")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.names if name not in WORKS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: not one of {', '.join(WORKS)}")
    chosen.into.mkdir(parents=True, exist_ok=True)
    for name in chosen.names or WORKS:
        begun = time.monotonic()
        WORKS[name](chosen.into / name)
        sys.stderr.write(f"{name}: {time.monotonic() - begun:.0f} s\n")


if __name__ == "__main__":
    main()
