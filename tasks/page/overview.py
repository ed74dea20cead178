"""The first screen: what a reader wants to know before anything else."""

from collections.abc import Sequence
from dataclasses import dataclass

from blocks.money import dollars_text
from tasks.exports import duration_text
from tasks.page.charts import Part
from tasks.page.media import PageMedia
from tasks.page.texts import count, joined, money
from tasks.record import AssetRecord, BriefRecord, Outcome, RunRecord

STATUSES = ("done", "failed", "held")
_MOST_FINDS = 8


@dataclass(frozen=True)
class Trouble:
    """Briefs that are not done for the same reason."""

    status: str
    message: str
    briefs: tuple[BriefRecord, ...]


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


def troubles(record: RunRecord) -> list[Trouble]:
    """The most frequent reason first, failed ones before those that wait."""
    groups: dict[tuple[str, str], list[BriefRecord]] = {}
    for brief in record.briefs:
        if brief.status != "done":
            groups.setdefault((brief.status, brief.error or ""), []).append(brief)
    found = [Trouble(status, message, tuple(briefs)) for (status, message), briefs in groups.items()]
    return sorted(found, key=lambda trouble: (trouble.status != "failed", -len(trouble.briefs)))


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


def next_steps(record: RunRecord) -> list[str]:
    """One sentence each, most urgent first."""
    failed, held = (status_counts(record)[status] for status in ("failed", "held"))
    steps = []
    if record.exit_status == 130:
        steps.append("The run was interrupted. Run the same command again: it goes on where it stopped.")
    if record.exit_status == 4:
        steps.append(
            "The account refused (key, credit or permission), so spending stopped. Put that right with the "
            "service, then run the same command again: it goes on where it stopped."
        )
    if record.exit_status == 5:
        steps.append(
            "Something needs a person: an attempt whose fate is unknown, or a flagged picture; the "
            f"briefs below say which. `campaign reconcile {record.run}` compares the ledger with the account."
        )
    if record.exit_status == 3:
        waiting = sum(stage.estimated for stage in record.stages if stage.outcome is Outcome.HELD)
        steps.append(
            f"The budget held work back that is estimated at ${dollars_text(waiting)}. "
            "Run the same command again with a higher --budget: it generates what is missing, nothing else."
        )
    if failed:
        steps.append(
            f"{count(failed, 'brief')} failed. Read the reasons below, correct the campaign where it is at fault, "
            "and run it again: what is done comes from the cache and costs nothing."
        )
    if held and record.exit_status not in {3, 5}:
        steps.append(f"{count(held, 'brief')} held back; the reasons below say what each waits for.")
    if not steps:
        worth = sum(stage.charged + stage.saved for stage in record.stages)
        steps.append(
            f"Nothing is left to do. Running the campaign again costs nothing: all of it, worth {money(worth)}, "
            "comes from the cache. To pay for a new variation of a brief, raise its take."
        )
    return steps
