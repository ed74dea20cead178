"""``report.html``: one page that opens from disk and loads nothing but the pictures and clips beside it.

Every figure on it is a text of the run's tables or a sum of its record. Everything that a campaign or a service
wrote is escaped, isolated from the text around it, and its hidden characters are spelled out. Without script it
shows the same; script adds filters, a closer look at pictures, and the graph of what was made from what.
"""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tasks.accounting.tables import MEASURES, STAGES, RunTables
from tasks.exports import cell_text, duration_text, utf8, visible
from tasks.page import costs, overview, texts, timeline
from tasks.page.assembly import shell
from tasks.page.causes import advice_beside
from tasks.page.changes import changes_of, stage_is_of_substance
from tasks.page.charts import Part, share_bar, stacked_bar
from tasks.page.latencies import STEP_NAMES, STEPS, latency_of_stages
from tasks.page.makespan import makespan, worked
from tasks.page.media import FOLDER, Beside, PageContext, PageMedia, beside, flagged_files, page_media
from tasks.page.next_steps import next_steps
from tasks.page.provenance import provenance_json
from tasks.page.troubles import troubles
from tasks.provenance.comparison import Comparison
from tasks.record import Outcome, RunRecord, StageRecord

__all__ = ["FOLDER", "Beside", "PageContext", "PageMedia", "beside", "page_media", "report_html"]

# Longer tables are folded away until someone asks.
OPEN_ROWS = 40
_TEMPLATES = Path(__file__).parent / "templates"


def report_html(
    record: RunRecord,
    tables: RunTables,
    media: PageMedia | None = None,
    context: PageContext | None = None,
    comparison: Comparison | None = None,
    files: Beside | None = None,
) -> bytes:
    """Draw the whole page; its links are relative to the run's folder."""
    media = {} if media is None else media
    limit = texts.text_limit(record)
    template = _environment(limit).get_template("page.html.j2")
    timed = worked(record)
    html = template.render(
        record=record,
        shell=shell(),
        media=media,
        total=costs.line("total", record.stages),
        sentence=overview.sentence(record),
        made=overview.made(record),
        places=texts.places(
            amount
            for stage in record.stages
            for amount in (stage.estimated, stage.charged, stage.saved, stage.refunded)
        ),
        statuses=overview.status_counts(record),
        status_parts=overview.parts(overview.status_counts(record)),
        outcomes=overview.outcome_counts(record),
        outcome_parts=overview.parts(overview.outcome_counts(record)),
        next_steps=next_steps(record, context.reconciliation if context else None),
        troubles=troubles(record),
        finds=overview.finds(record, media),
        cost_groups=(
            ("stage", "By stage", costs.by_stage(record)),
            ("model", "By model", costs.by_model(record)),
            ("outcome", "By outcome", costs.by_outcome(record)),
        ),
        cost_of_briefs=costs.by_brief(record),
        wasted=costs.wasted(record),
        latencies=latency_of_stages(record, tables.latency_summary),
        makespan=makespan(record),
        worked=timed,
        in_flight=timeline.in_flight_chart(timed, record.limits) if timed else None,
        bars=timeline.bars_chart(timed) if timed else None,
        uses=timeline.uses(timed, record.limits) if timed else (),
        provenance=provenance_json(record, media, limit),
        flagged=flagged_files(record, comparison.a if comparison else None),
        comparison=comparison,
        changes=changes_of(comparison) if comparison else None,
        reconciliation=context.reconciliation if context else None,
        open_rows=OPEN_ROWS,
        beside=files or Beside(),
    )
    return utf8(html)


@cache  # it keeps the templates, whose compilation takes longer than a small page
def _environment(limit: int | None) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "money": texts.money,
        "signed_money": texts.signed_money,
        "exact": texts.exact,
        "fixed": texts.fixed,
        "rounded_money": texts.rounded_money,
        "cell": cell_text,
        "duration": duration_text,
        "seconds": texts.brief_seconds,
        "visible": visible,
        "shown": lambda text: texts.shown(text, limit),
        "short": lambda text: texts.shortened(text, limit),
        "prompt": lambda text: texts.prompt(text, limit),
        "url": texts.url,
        "size": texts.size,
        "quantity": texts.quantity,
        "parameters": texts.parameters,
        "parameter": texts.parameter,
        "heading": texts.column_name,
        "named_inputs": _named_inputs,
    }
    environment.globals |= {
        "STAGE_NAMES": texts.STAGE_NAMES,
        "STAGES": STAGES,
        "STEPS": STEPS,
        "STEP_NAMES": STEP_NAMES,
        "MEASURES": MEASURES,
        "OUTCOMES": [str(outcome) for outcome in Outcome],
        "Part": Part,
        "share_bar": share_bar,
        "stacked_bar": stacked_bar,
        "advice_beside": advice_beside,
        "count": texts.count,
        "charged_of": lambda stage: stage.charged,
        "saved_of": lambda stage: stage.saved,
        "stage_is_of_substance": stage_is_of_substance,
    }
    return environment


def _named_inputs(stage: StageRecord) -> list[tuple[str, object]]:
    return [(texts.input_name(stage, item), item) for item in stage.inputs]
