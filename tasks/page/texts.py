"""People's and services' texts on the page: escaped, isolated, with hidden characters spelled out, and not too long."""

import re
from collections.abc import Iterable
from decimal import Decimal
from urllib.parse import quote

from markupsafe import Markup, escape

from blocks.money import dollars_text, to_dollars
from tasks.accounting.tables import plain_quantity
from tasks.exports import cell_text, utf8, visible
from tasks.record import AssetRecord, InputRecord, RunRecord, StageRecord

# Above this, prompts and messages are shortened on the page (never in the files), so that it opens quickly.
TEXT_BYTES = 700_000

STAGE_NAMES = {"edit": "Edited", "compose": "Composed", "video": "Clip"}
MINUS, TIMES = "\u2212", "\u00d7"
_CODE = re.compile(r"`([^`]+)`")
_CODE_OR_NOT = (Markup("{}"), Markup("<code>{}</code>"))
_NAME_OR_NOT = (Markup("{}"), Markup("<b>{}</b>"))
_REFERENCE = re.compile(r"(@image[0-9]+)", re.IGNORECASE)


def text_limit(record: RunRecord) -> int | None:
    """How many bytes each prompt and message may take on the page; None where all of them fit as they are."""
    texts = []
    for stage in record.stages:
        # A message stands in its stage, in its brief and in the list of what needs attention.
        texts += [stage.prompt, *[stage.error or ""] * 3, stage.reason, *stage.notes, parameters(stage)]
        texts += [item.source for item in stage.inputs]
    total = sum(map(_weight, texts))
    return None if total <= TEXT_BYTES else TEXT_BYTES // sum(map(bool, texts))


def _weight(text: str) -> int:
    return len(utf8(escape(visible(text))))


def shortened(text: str, limit: int | None) -> str:
    """Plain text, hidden characters spelled out."""
    if limit is None or (weight := _weight(text)) <= limit:
        return visible(text)
    kept = text[: limit * len(text) // weight]
    return f"{visible(kept)}… ({len(text):,} characters, the whole text is in manifest.json)"


def shown(text: str, limit: int | None) -> Markup:
    """The same as HTML, kept from reordering what stands around it; what stands in back quotes is code."""
    pieces = _CODE.split(shortened(text, limit))
    parts = [_CODE_OR_NOT[place % 2].format(piece) for place, piece in enumerate(pieces)]
    return _isolated(text, parts)


def prompt(text: str, limit: int | None) -> Markup:
    """A prompt whose ``@ImageN`` stand out."""
    pieces = _REFERENCE.split(shortened(text, limit))
    parts = [_NAME_OR_NOT[place % 2].format(piece) for place, piece in enumerate(pieces)]
    return _isolated(text, parts)


def _isolated(text: str, parts: list[Markup]) -> Markup:
    html = Markup("").join(parts)
    # Nothing in ASCII reorders the text around it; a large page is a good deal lighter without.
    return html if text.isascii() else Markup('<bdi dir="auto">{}</bdi>').format(html)


def url(path: str) -> str:
    return quote(utf8(path))


def money(millionths: int) -> str:
    """Exact, with two decimals at least: ``$20.00``, ``$1,234.50``, ``$0.028``."""
    amount = to_dollars(abs(millionths))
    # "normalize" has dropped zeros; cents are what people are used to.
    text = f"{amount:,.2f}" if amount == round(amount, 2) else f"{amount:,f}"
    return f"{MINUS if millionths < 0 else ''}${text}"


def rounded_money(millionths: int) -> str:
    """To the nearest thousandth of a dollar, for a mean."""
    return f"${to_dollars(millionths):,.3f}"


def places(amounts: Iterable[int]) -> int:
    """How many decimals show all of these exactly; two at least."""
    return max([2, *(len(dollars_text(amount).partition(".")[2]) for amount in amounts)])


def fixed(millionths: int, decimals: int) -> str:
    """With so many decimals, so that a column's dots stand below each other."""
    return f"{to_dollars(millionths):,.{decimals}f}".replace("-", MINUS)


def signed_money(millionths: int) -> str:
    return money(millionths) if millionths <= 0 else f"+{money(millionths)}"


def exact(millionths: int) -> str:
    """As the tables spell it, for whoever reads the page by program."""
    return dollars_text(millionths)


def brief_seconds(seconds: float) -> str:
    """Say seconds in as few signs as tell them apart: ``0.02 s``, ``3.4 s``, ``97 s``, ``12 min``, ``3.5 h``."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 180:
        return f"{seconds:.0f} s"
    if seconds < 3 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def joined(parts: list[str]) -> str:
    """Join as prose does: ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def column_name(column: str) -> str:
    """Turn a column of the tables into words: ``total_s`` is ``total``, ``charged_usd`` is ``charged``."""
    return column.removesuffix("_usd").removesuffix("_s").replace("_", " ")


def size(asset: AssetRecord) -> str:
    kind = asset.media_type.partition("/")[2] or asset.media_type
    length = "" if asset.duration_seconds is None else f", {asset.duration_seconds:.2f} s"
    weight = f"{asset.bytes / 1e6:.1f} MB" if asset.bytes >= 1e6 else f"{asset.bytes / 1e3:.1f} kB"
    return f"{asset.width} {TIMES} {asset.height}, {kind}{length}, {weight}"


def quantity(stage: StageRecord) -> str:
    amount: Decimal = plain_quantity(stage.quantity)
    return f"{cell_text(amount)} {stage.unit if amount == 1 else stage.unit + 's'}"


def parameters(stage: StageRecord) -> str:
    """Every parameter as sent but the prompt, which stands above."""
    return ", ".join(
        f"{name.replace('_', ' ')} {parameter(value)}"
        for name, value in stage.request.items()
        if name != "prompt"
    )


def parameter(value: object) -> str:
    """One value as it was sent; None where none was."""
    if value is None:
        return "not set"
    return str(value).lower() if isinstance(value, bool) else str(value)


def input_name(stage: StageRecord, item: InputRecord) -> str:
    """Name an input as a prompt does."""
    if item.role == "images":
        return f"@Image{sum(other.role == 'images' for other in _until(stage, item))}"
    return "picture" if item.role == "image" else "clip"


def _until(stage: StageRecord, item: InputRecord) -> tuple[InputRecord, ...]:
    at = next(place for place, other in enumerate(stage.inputs) if other is item)
    return stage.inputs[: at + 1]
