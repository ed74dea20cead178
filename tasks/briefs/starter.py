"""The campaign that a newcomer begins with: every kind of row once, and what each column is for, as comments."""

from tasks.briefs.brief_columns import CampaignRow
from tasks.exports import csv_bytes

MEDIA = ("mug.jpg", "cups.jpg", "turntable.mp4")  # of the sample campaign

_COLUMNS = (
    "brief",
    "product",
    "edit_prompt",
    "edit_image",
    "edit_aspect_ratio",
    "compose_prompt",
    "compose_images",
    "compose_aspect_ratio",
    "video_prompt",
    "video",
    "video_keep_original_sound",
)
_MUG = "mug with the tern mark"
_ROWS: tuple[dict[str, str], ...] = (
    {
        "brief": "forest-mug",
        "product": _MUG,
        "edit_prompt": "Set the {product} on a mossy log in an autumn forest, amber leaves falling",
        "edit_image": "mug.jpg",
    },
    {
        "brief": "marble-mug",
        "product": _MUG,
        "edit_prompt": "The {product} on pale marble, soft morning light from the left",
        "edit_image": "mug.jpg",
        "edit_aspect_ratio": "1:1|9:16|16:9",
    },
    {
        "brief": "spring-banner",
        "product": _MUG,
        "edit_prompt": "Set the {product} in a spring meadow at sunrise",
        "edit_image": "mug.jpg",
        "compose_prompt": "A spring banner: the mug of @Image1 in front, the stacked cups of @Image2 behind it",
        "compose_images": "cups.jpg",
        "compose_aspect_ratio": "16:9",
        "video_prompt": "Bring the turning mug into the scene of @Image1, petals drifting past",
        "video": "turntable.mp4",
    },
    {
        "brief": "noir-reel",
        "video_prompt": "Dramatic black and white like an old film, deep shadows",
        "video": "turntable.mp4",
        "video_keep_original_sound": "false",
    },
)

_INTRODUCTION = """\
A campaign: one row is one brief. Change the rows and add your own.
Lines that begin like this one are comments and are passed over.

  campaign plan {name}      says what each row would make and what it would cost; spends nothing
  campaign run {name}       makes it; run again it continues or repeats for free
Without an API key both work with a simulator and nothing is really paid.

A row has an edit or a composition or a video edit or any chain of them: a blank prompt skips its stage.
The pictures of one stage go on to the next. They are its first references: @Image1 of the composition is the
edited picture.

The rows below: one edit; one edit in three formats (three pictures named marble-mug@1x1 and so on); the whole chain;
and one clip alone. The column product is our own: {{product}} in a prompt is filled from it. A brace that is meant is
written twice.

Columns, with what they may hold and what a blank cell means. Those that no row needs can be left out:
"""


def starter_csv(name: str, media: str) -> bytes:
    """The file's content. ``name`` is what commands call it, ``media`` the folder of its media, relative to it."""
    # A line break in a name would end its comment.
    called = name if name.isprintable() else "FILE"
    lines = [*_INTRODUCTION.format(name=called).splitlines(), *_columns()]
    comments = "".join(f"# {line}".rstrip() + "\n" for line in lines)
    rows = [[_cell(row, column, media) for column in _COLUMNS] for row in _ROWS]
    return comments.encode() + csv_bytes(_COLUMNS, rows)


def _columns() -> list[str]:
    found = []
    for name, field in CampaignRow.model_fields.items():
        default = f"; blank: {field.default}" if not field.is_required() and field.default else ""
        values = f"({field.title}{default})".replace("`", "")
        found.append(f"  {name:<26} {(field.description or '').replace('`', '')} {values}")
    return found


def _cell(row: dict[str, str], column: str, media: str) -> str:
    cell = row.get(column, "")
    return f"{media}/{cell}" if cell in MEDIA else cell
