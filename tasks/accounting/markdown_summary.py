"""A run in a page of Markdown: what it was, what it cost, what is done, what is not, and where everything lies.

What people and services wrote is shown as they wrote it: no character of it is markup.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from blocks.money import dollars_text
from tasks.exports import duration_text, visible
from tasks.record import BriefRecord, RunRecord

# A page that one reads has an end; the run's own page has everything.
MOST_BRIEFS = 20
MOST_NOTES = 10
_LONGEST = 300
# Every one of these may be escaped with a backslash, and nothing else can begin markup.
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def plain(text: str) -> str:
    """Text as Markdown that shows it as it is, on one line, shortened where it is long."""
    text = " ".join(visible(text).split())
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return _PUNCTUATION.sub(r"\\\1", text)


def markdown_summary(record: RunRecord, folder: Path, sentence: str) -> str:
    """Describe the run; ``folder`` is where its files lie, ``sentence`` how its end is said in one line."""
    parts = [f"# {plain(record.campaign)}"]
    if record.simulated:
        parts.append("**SIMULATED: a simulator of the service did the work. Nothing was really paid.**")
    parts += [plain(sentence), _table(("", ""), _facts(record, folder))]
    undone = [brief for brief in record.briefs if brief.status != "done"]
    done = [brief for brief in record.briefs if brief.status == "done"]
    if undone:
        parts.append(f"## Not done ({len(undone)})")
        rows = [(brief.brief, str(brief.status), brief.error or "") for brief in undone[:MOST_BRIEFS]]
        parts += [_table(("brief", "status", "why"), rows), _more(undone)]
    if done:
        parts.append(f"## Done ({len(done)})")
        rows = [(b.brief, f"${dollars_text(b.charged)}", _files(b)) for b in done[:MOST_BRIEFS]]
        parts += [_table(("brief", "charged", "files, below the run's folder"), rows), _more(done)]
    if record.notes:
        parts.append("## Notes")
        parts.append("\n".join(f"- {plain(note)}" for note in record.notes[:MOST_NOTES]))
    return "\n\n".join(filter(None, parts)) + "\n"


def _facts(record: RunRecord, folder: Path) -> Iterable[tuple[str, str]]:
    stages = record.stages
    yield "run", record.run
    # The built-in simulator is its own service.
    yield "provider", ", ".join(dict.fromkeys((record.provider, record.service)))
    yield "started", f"{record.started_at:%Y-%m-%d %H:%M:%S} UTC"
    yield "took", duration_text(record.seconds)
    yield "exit status", str(record.exit_status)
    yield "estimated", f"${dollars_text(sum(stage.estimated for stage in stages))}"
    yield "charged", f"${dollars_text(sum(stage.charged for stage in stages))}"
    yield "refunded", f"${dollars_text(sum(stage.refunded for stage in stages))}"
    yield "saved by the cache", f"${dollars_text(sum(stage.saved for stage in stages))}"
    yield "budget", "none" if record.budget is None else f"${dollars_text(record.budget)}"
    # A path and not a link: no browser follows one from a server's page to a file of this machine.
    yield "page", str(folder.absolute() / "report.html")


def _files(brief: BriefRecord) -> str:
    return ", ".join(asset.path for stage in brief.stages for asset in stage.assets)


def _more(briefs: Sequence[BriefRecord]) -> str:
    return f"and {len(briefs) - MOST_BRIEFS} more" if len(briefs) > MOST_BRIEFS else ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
