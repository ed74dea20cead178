"""The first screen: what a reader wants to know before anything else."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.exports import duration_text
from tasks.page.charts import Part
from tasks.page.media import PageMedia
from tasks.page.texts import count, joined
from tasks.record import AssetRecord, Outcome, RunRecord

STATUSES = ("done", "failed", "held")
_MOST_FINDS = 8


@dataclass(frozen=True)
class Made:
    pictures: int
    clips: int


@dataclass(frozen=True)
class Find:
    """The last thing that was made of a brief."""

    brief: str
    stage: str
    asset: AssetRecord


def sentence(record: RunRecord) -> str:
    """The run in one or two sentences."""
    found = made(record)
    things = [
        count(number, name) for number, name in ((found.pictures, "picture"), (found.clips, "clip")) if number
    ]
    statuses = status_counts(record)
    ended = [f"{statuses[status]:,} {status}" for status in STATUSES if statuses[status]]
    whole = len(record.briefs)
    if whole and statuses["done"] == whole:
        briefs = "The brief is done" if whole == 1 else f"All {whole:,} briefs are done"
    else:
        briefs = f"{count(whole, 'brief')}: {joined(ended)}" if ended else "No briefs"
    what = f"{joined(things)} in {duration_text(record.seconds)}" if things else "nothing was made"
    return (
        f"{briefs}: {what}."
        if briefs.endswith("done") and statuses["done"] == whole
        else f"{briefs}; {what}."
    )


def made(record: RunRecord) -> Made:
    """Everything in the run's assets, what came from the cache included."""
    return Made(
        sum(len(stage.assets) for stage in record.stages if stage.stage != "video"),
        sum(len(stage.assets) for stage in record.stages if stage.stage == "video"),
    )


def status_counts(record: RunRecord) -> dict[str, int]:
    statuses = [brief.status for brief in record.briefs]
    return {status: sum(found == status for found in statuses) for status in STATUSES}


def outcome_counts(record: RunRecord) -> dict[str, int]:
    counts = {str(outcome): 0 for outcome in Outcome}
    for stage in record.stages:
        counts[str(stage.outcome)] += 1
    return {outcome: number for outcome, number in counts.items() if number}


def parts(counts: dict[str, int]) -> list[Part]:
    return [Part(f"is-{name}", f"{number:,} {name}", number) for name, number in counts.items() if number]


def finds(record: RunRecord, media: PageMedia) -> Sequence[Find]:
    """Some results to look at, spread over the campaign; nothing that was flagged."""
    last = [
        Find(brief.brief, stage.stage, asset)
        for brief in record.briefs
        for stage in brief.stages[::-1]
        for asset in stage.assets[:1]
        if asset.sha256 in media and not asset.flagged_nsfw
    ]
    one_each = list({find.brief: find for find in reversed(last)}.values())[::-1]
    step = max(1, len(one_each) // _MOST_FINDS)
    return one_each[::step][:_MOST_FINDS]
