"""The sides of what the models return, as the API page lists them."""

import math

from PIL import Image

AUTO = "auto"

_SIDES_AT_1K = {
    "1:1": (1024, 1024),
    "3:2": (1248, 832),
    "2:3": (832, 1248),
    "4:3": (1168, 880),
    "3:4": (880, 1168),
    "16:9": (1360, 768),
    "9:16": (768, 1360),
    "21:9": (1552, 656),
}
_LONGEST_WORKED = 3104
_FACTORS = {"1k": 1, "2k": 2, "4k": 4}


def picture_size(aspect_ratio: str, resolution: str) -> tuple[int, int]:
    """Width and height in pixels. Raises ValueError where the service has no such ratio or resolution."""
    if aspect_ratio not in _SIDES_AT_1K:
        raise ValueError(f"aspect_ratio {aspect_ratio!r} is not one of {', '.join(_SIDES_AT_1K)}")
    if resolution not in _FACTORS:
        raise ValueError(f"resolution {resolution!r} is not one of {', '.join(_FACTORS)}")
    width, height = _SIDES_AT_1K[aspect_ratio]
    return width * _FACTORS[resolution], height * _FACTORS[resolution]


def working_size(size: tuple[int, int]) -> tuple[int, int]:
    """The sides to work at: 4k is worked out at 2k and enlarged, which saves most of its time."""
    return size if max(size) <= _LONGEST_WORKED else (size[0] // 2, size[1] // 2)


def enlarged(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture at ``size``; itself where it has that already."""
    return picture if picture.size == size else picture.resize(size, Image.Resampling.BICUBIC)


def nearest_aspect_ratio(width: int, height: int) -> str:
    """The listed ratio closest to these sides, as a factor: 2:1 and 1:2 are equally far from 1:1."""

    def distance(name: str) -> float:
        listed_width, listed_height = _SIDES_AT_1K[name]
        return abs(math.log(width / height) - math.log(listed_width / listed_height))

    return min(_SIDES_AT_1K, key=distance)
