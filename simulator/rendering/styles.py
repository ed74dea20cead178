"""From the words of a prompt to a look: what to do to a picture, in numbers.

Words that are known change the look in the way a retoucher would take them; a prompt without a known word
gets one of a few ready looks by its hash. A variation, also by hash, moves light, colour and crop, so that
no two prompts and no two pictures of one prompt come out alike.
"""

import colorsys
import hashlib
import re
from dataclasses import dataclass, fields

from simulator.rendering.vocabulary import (
    COLOURS,
    READY_LOOKS,
    RECOLOURING,
    SURROUNDINGS,
    WORDS,
    Colour,
    Look,
)

# "Keep the label as it is" asks for nothing.
_KEPT = re.compile(r"\b(?:keep|keeping|leave|preserve)\b[^.;]*")
_NEGATED = re.compile(r"\b(?:no|without|remove|removing|not)\s+(?:the\s+|any\s+|a\s+)?[\w-]+")
_COLOURS_BY_NAME = "|".join(sorted(COLOURS, key=len, reverse=True))
_COLOUR_NAME = re.compile(rf"\b({_COLOURS_BY_NAME})\b")
_COLOURED_GROUND = re.compile(rf"\b({_COLOURS_BY_NAME})\s+(?:\w+\s+)?(?:{SURROUNDINGS})\b")
_DYEING = re.compile(
    rf"\b(?:{RECOLOURING})\b[^.,;:]{{0,60}}?\b({_COLOURS_BY_NAME})\b(?=\s*(?:$|[.,;:]|and\b|instead))"
)
_BLACK_AND_WHITE = re.compile(r"\bblack(?: and |-and-| & )white\b")
# Successive pictures of one prompt go round a circle by the golden ratio: no two come close.
_GOLDEN = 0.381966


LARGEST_ZOOM_IN = 0.06


@dataclass(frozen=True)
class Variation:
    """What the hash decides. Shares are in 0…1; ``seed`` feeds random textures."""

    seed: int
    light: float  # where around the picture the light stands, in turns
    accent: Colour
    zoom: float  # 1 shows all of the picture
    pan: tuple[float, float]
    layout: int
    exposure: float  # stops


def variation_for(prompt: str, number: int) -> Variation:
    """The variation of picture ``number`` (from 1) of this prompt. Raises ValueError for a number below 1."""
    if number < 1:
        raise ValueError(f"pictures count from 1, so there is no picture {number}")
    digest = hashlib.sha256(prompt.encode()).digest()
    start = [int.from_bytes(digest[place : place + 4]) / 2**32 for place in range(0, 28, 4)]
    steps = number - 1

    def share(place: int, step: float = _GOLDEN) -> float:
        return (start[place] + steps * step) % 1.0

    accent = colorsys.hsv_to_rgb(share(1), 0.62, 0.95)
    return Variation(
        seed=int.from_bytes(digest[24:28]) + steps,
        light=share(0),
        accent=_colour(accent),
        zoom=1.0 + LARGEST_ZOOM_IN * share(2),
        pan=(share(3), share(4)),
        layout=int(start[5] * 1000) + steps,
        exposure=0.44 * (share(2) - 0.5),
    )


def look_for(prompt: str, variation: Variation) -> Look:
    """The look that the prompt's words add up to."""
    words = _NEGATED.sub(" ", _KEPT.sub(" ", prompt.casefold()))
    # "Sea-green" is no sea, "wood-fired" no wood.
    found = [look for pattern, look in WORDS if re.search(rf"(?<![\w-])(?:{pattern})(?![\w-])", words)]
    coloured = _coloured(words, alone=not found)
    if coloured is not None:
        found.append(coloured)
    if not found:
        found.append(READY_LOOKS[variation.layout % len(READY_LOOKS)])
    look = Look()
    for change in found:
        look = _combined(look, change)
    return _within_reason(look, variation)


def _coloured(words: str, *, alone: bool) -> Look | None:
    """Where the named colours go: into the surroundings, onto the subject, or over everything as light.

    Beside other wishes (not ``alone``) a colour that is merely mentioned gets no more than a glow.
    """
    words = _BLACK_AND_WHITE.sub(" ", words)
    names = _COLOUR_NAME.findall(words)
    if not names:
        return None
    behind = _COLOURED_GROUND.search(words)
    if behind is not None:
        return Look(backdrop=COLOURS[behind.group(1)], glow=COLOURS[names[-1]], glow_strength=0.25)
    dyed = _DYEING.search(words)
    if dyed is not None:
        return Look(recolour=COLOURS[dyed.group(1)])
    first, last = COLOURS[names[0]], COLOURS[names[-1]]
    if not alone:
        return Look(glow=last, glow_strength=0.3)
    return Look(
        wash=first, wash_strength=0.3, glow=last, glow_strength=0.4, light_tint=first, tint_strength=0.06
    )


def _combined(look: Look, change: Look) -> Look:
    """Tones add up, saturation multiplies, coverings do not pile up; choices go to the later word."""
    merged = {}
    for field in fields(Look):
        before, after = getattr(look, field.name), getattr(change, field.name)
        if field.name == "saturation":
            merged[field.name] = before * after
        elif field.name in {"wash_strength", "glow_strength", "tint_strength"}:
            merged[field.name] = max(before, after)
        elif isinstance(after, float):
            merged[field.name] = before + after
        else:
            merged[field.name] = after if after is not None else before
    return Look(**merged)


def _within_reason(look: Look, variation: Variation) -> Look:
    """Limits, so that ten moods in one prompt still leave a picture; and the light that is in every look."""

    def clamp(value: float, low: float, high: float) -> float:
        return max(low, min(high, value))

    adjusted = {field.name: getattr(look, field.name) for field in fields(Look)}
    adjusted["exposure"] = clamp(look.exposure + variation.exposure, -1.0, 0.7)
    adjusted["contrast"] = clamp(look.contrast, -0.5, 0.8)
    adjusted["fade"] = clamp(look.fade, 0.0, 0.16)
    adjusted["saturation"] = clamp(look.saturation, 0.0, 1.7)
    adjusted["vignette"] = clamp(look.vignette, 0.0, 0.75)
    adjusted["wash_strength"] = clamp(look.wash_strength, 0.0, 0.45)
    adjusted["tint_strength"] = clamp(look.tint_strength, 0.0, 0.16)
    adjusted["softness"] = clamp(look.softness, 0.0, 1.0)
    adjusted["bloom"] = clamp(look.bloom, 0.0, 0.6)
    if look.glow is None:
        adjusted["glow"] = variation.accent
    adjusted["glow_strength"] = clamp(max(look.glow_strength, 0.22), 0.0, 0.6)
    return Look(**adjusted)


def _colour(components: tuple[float, float, float]) -> Colour:
    red, green, blue = (round(255 * component) for component in components)
    return red, green, blue
