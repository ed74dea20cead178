"""Pictures and clips: what they are, and what the models take (the service's own limits)."""

from decimal import Decimal

from blocks.clips import ClipFacts, decode_clip_fully, inspect_clip
from blocks.pictures import PictureFacts, decode_picture_fully, inspect_picture

__all__ = [
    "ClipFacts",
    "PictureFacts",
    "clip_limit_problems",
    "clip_notes",
    "decode_clip_fully",
    "decode_picture_fully",
    "inspect_clip",
    "inspect_picture",
    "picture_limit_problems",
]

SHORTEST_PICTURE_SIDE = 300  # pixels
MOST_ASPECT = Decimal("2.5")  # of the longer side to the shorter

SHORTEST_CLIP_SIDE = 720
LONGEST_CLIP_SIDE = 2160
LONGEST_CLIP = Decimal("10.05")  # seconds: 10 s and a frame is still 10 s
SHORTEST_BILLED_CLIP = Decimal(3)
# The film rate 24000/1001 goes by the name of 24, 60000/1001 by that of 60.
LEAST_CLIP_RATE = Decimal("23.97")
MOST_CLIP_RATE = Decimal("60.01")
MOST_SENT_CLIP_BYTES = 200_000_000


def picture_limit_problems(facts: PictureFacts) -> list[str]:
    """What keeps the models from taking the picture, and what would be right.

    Weight and kind are no such thing: what the models do not take as it is gets converted before it is sent.
    """
    problems = []
    shorter, longer = sorted((facts.width, facts.height))
    size = f"{facts.width}x{facts.height} pixels"
    if shorter < SHORTEST_PICTURE_SIDE:
        problems.append(f"{size}; each side must have {SHORTEST_PICTURE_SIDE} at least")
    if longer > shorter * MOST_ASPECT:
        problems.append(f"{size}; the longer side may be {MOST_ASPECT} times the shorter at most: crop it")
    if facts.mode == "F":
        problems.append("floating-point pixels; save it with 8 or 16 bits a channel")
    return problems


def clip_limit_problems(facts: ClipFacts) -> list[str]:
    """What keeps the model from taking the clip, and what would be right."""
    problems = []
    if facts.duration_seconds > LONGEST_CLIP:
        problems.append(f"a length of {facts.duration_seconds} s; cut it to 10 s at most")
    if not all(SHORTEST_CLIP_SIDE <= side <= LONGEST_CLIP_SIDE for side in (facts.width, facts.height)):
        problems.append(
            f"{facts.width}x{facts.height} pixels; "
            f"each side must have {SHORTEST_CLIP_SIDE} to {LONGEST_CLIP_SIDE}"
        )
    if not LEAST_CLIP_RATE <= facts.frames_per_second <= MOST_CLIP_RATE:
        problems.append(f"{facts.frames_per_second} frames a second; convert it to 24 to 60")
    if facts.bytes > MOST_SENT_CLIP_BYTES:
        problems.append(f"{facts.bytes:,} bytes; compress it to {MOST_SENT_CLIP_BYTES:,} at most")
    return problems


def clip_notes(facts: ClipFacts) -> list[str]:
    """What is allowed and still worth knowing beforehand."""
    if facts.duration_seconds < SHORTEST_BILLED_CLIP:
        return [f"{facts.duration_seconds} s long; billed as {SHORTEST_BILLED_CLIP} s"]
    return []
