"""``report.html``: one page that opens from disk and loads nothing but the pictures and clips beside it.

Every figure on it is a text of the run's tables or of its record, never calculated a second way. Everything
that a campaign or a service wrote is escaped, isolated from the text around it, and its hidden characters are
spelled out.
"""

from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from blocks.money import dollars_text
from tasks.exports import cell_text, duration_text, utf8, visible
from tasks.page.advice import next_steps
from tasks.record import AssetRecord, Outcome, RunRecord, StageRecord
from tasks.tables import RunTables, plain_quantity

POLICY = (
    "default-src 'none'; img-src 'self' data: file:; media-src 'self' file:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
# Above this, prompts and messages are shortened on the page (never in the files), so that it opens quickly.
TEXT_BYTES = 1_000_000
# A browser reads the start of every clip at once where it may; beyond these it waits for a click.
EAGER_CLIPS = 60
# Longer tables are folded away until someone asks.
OPEN_ROWS = 60

_FOLDER = Path(__file__).parent


def report_html(record: RunRecord, tables: RunTables) -> bytes:
    """Draw the whole page; its links are relative to the run's folder."""
    page = _environment(record).get_template("report.html.j2")
    summary = dict(zip(tables.cost_summary.columns, tables.cost_summary.texts[-1], strict=True))
    statuses = [brief.status for brief in record.briefs]
    clips = sum(len(stage.assets) for stage in record.stages if stage.stage == "video")
    html = page.render(
        record=record,
        policy=POLICY,
        css=Markup((_FOLDER / "report.css").read_text("utf-8")),  # noqa: S704 - our own file
        summary=summary,
        refunded=dollars_text(sum(stage.refunded for stage in record.stages)),
        counts={status: statuses.count(status) for status in ("done", "failed", "held")},
        outcomes=[
            (outcome.value, sum(stage.outcome is outcome for stage in record.stages)) for outcome in Outcome
        ],
        next_steps=next_steps(record),
        troubled=[brief for brief in record.briefs if brief.status != "done"],
        tables=(
            ("cost", "Cost by brief and stage, US dollars", tables.cost),
            ("latency", "Latency by brief and stage, seconds", tables.latency),
        ),
        cost_summary=tables.cost_summary,
        latency_summary=tables.latency_summary,
        open_rows=OPEN_ROWS,
        preload="metadata" if clips <= EAGER_CLIPS else "none",
    )
    return utf8(html)


def _environment(record: RunRecord) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    limit = _text_limit(record)
    environment.filters |= {
        "dollars": dollars_text,
        "duration": duration_text,
        "visible": visible,
        "shown": lambda text: _shown(text, limit),
        "short": lambda text: _shortened(text, limit),
        "url": lambda path: quote(utf8(path)),
        "heading": _heading,
        "size": _size,
        "facts": _facts,
        "parameters": _parameters,
        "inputs": _inputs,
    }
    return environment


def _weight(text: str) -> int:
    return len(utf8(escape(visible(text))))


def _text_limit(record: RunRecord) -> int | None:
    """How many bytes each prompt and message may take on the page; None where all of them fit as they are."""
    texts = []
    for stage in record.stages:
        # A message stands in the table, in its brief and in the list of what needs attention.
        texts += [stage.prompt, *[stage.error or ""] * 3, stage.reason, *stage.notes, _parameters(stage)]
        texts += [source for _, source in _inputs(stage)]
    total = sum(map(_weight, texts))
    return None if total <= TEXT_BYTES else TEXT_BYTES // sum(map(bool, texts))


def _shortened(text: str, limit: int | None) -> str:
    """Plain text, hidden characters spelled out."""
    if limit is None or (weight := _weight(text)) <= limit:
        return visible(text)
    kept = text[: limit * len(text) // weight]
    return f"{visible(kept)}… ({len(text):,} characters, the whole text is in manifest.json)"


def _shown(text: str, limit: int | None) -> Markup:
    return Markup("<bdi>{}</bdi>").format(_shortened(text, limit))


def _heading(column: str) -> str:
    words = column.split("_")
    return " ".join(word.upper() if word == "usd" else word for word in words)


def _size(asset: AssetRecord) -> str:
    kind = asset.media_type.partition("/")[2] or asset.media_type
    length = "" if asset.duration_seconds is None else f", {asset.duration_seconds:.2f} s"
    weight = f"{asset.bytes / 1e6:.1f} MB" if asset.bytes >= 1e6 else f"{asset.bytes / 1e3:.1f} kB"
    return f"{asset.width} by {asset.height}, {kind}{length}, {weight}"


def _facts(stage: StageRecord) -> list[str]:
    """Say what a stage cost and took, in a few words each."""
    units = stage.unit if stage.quantity == 1 else f"{stage.unit}s"
    facts = [
        f"{cell_text(plain_quantity(stage.quantity))} {units} at ${dollars_text(stage.unit_price)}",
        f"estimated ${dollars_text(stage.estimated)}",
        f"charged ${dollars_text(stage.charged)}",
    ]
    if stage.saved:
        facts.append(f"saved ${dollars_text(stage.saved)}")
    if stage.refunded:
        facts.append(f"refunded ${dollars_text(stage.refunded)}")
    if stage.latency.total_s is not None:
        facts.append(f"{cell_text(stage.latency.total_s)} s")
    if stage.latency.attempts > 1:
        facts.append(f"{stage.latency.attempts} attempts")
    return facts


def _parameters(stage: StageRecord) -> str:
    """Every parameter as sent but the prompt, which stands above."""
    return ", ".join(f"{name} {value}" for name, value in stage.request.items() if name != "prompt")


def _inputs(stage: StageRecord) -> list[tuple[str, str]]:
    """Name each input as a prompt does, with the place it came from."""
    named: list[tuple[str, str]] = []
    references = 0
    for given in stage.inputs:
        if given.role == "images":
            references += 1
            name = f"@Image{references}"
        else:
            name = "picture" if given.role == "image" else "clip"
        sent_as = f" (sent as {given.converted_to})" if given.converted_to else ""
        named.append((name, given.source + sent_as))
    return named
