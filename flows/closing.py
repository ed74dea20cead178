"""The end of a run: the bill is read, the tables and the page are written, and the ledger is told how it ended."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from blocks.assets import AssetGone
from blocks.errors import CampaignError
from blocks.ledger import AttemptRow, Ledger
from blocks.money import dollars_text
from flows.preparation import Prepared, RunOptions
from tasks.accounting.run_figures import summaries
from tasks.endings import ExitStatus, first_of
from tasks.index_page import write_index_page
from tasks.page import PageContext
from tasks.page.causes import cause_of
from tasks.page.texts import count
from tasks.page.thumbnails import Thumbnails
from tasks.paying.generation import generate
from tasks.paying.workbench import Workbench
from tasks.planning.plan_notes import paid_before_note
from tasks.production import MadeBrief
from tasks.provenance.earlier_run import earlier_run
from tasks.record import LimitsRecord, RunRecord
from tasks.run_files.leftovers import sweep_leftovers
from tasks.run_files.recording import price_list_record, record_briefs, versions
from tasks.run_files.run_folder import write_run_folder
from tasks.work import StageWork


@dataclass(frozen=True)
class ClosedRun:
    record: RunRecord
    folder: Path
    status: ExitStatus
    sentence: str


async def close_run(
    bench: Workbench, prepared: Prepared, options: RunOptions, made: Sequence[MadeBrief]
) -> ClosedRun:
    """Everything a run leaves. Raises StoreUnusable where its folder cannot be written; what is paid for is kept."""
    keys = {stage.work.key for brief in made for stage in brief.stages if stage.work is not None}
    inherited = await bench.ask(bench.ledger.inherit, keys, bench.run_id, bench.owner)
    bench.settlement.look_again_at(inherited)
    await bench.settlement.finish()
    settled = await bench.ask(bench.ledger.attempts, settled_run_id=bench.run_id)
    status = first_of(set().union(*(brief.statuses for brief in made)))
    paid_before = _net(settled, {attempt.id for attempt in inherited})
    # What the plan foresaw of that may have come otherwise: another run may have been first, or the bill say more.
    foreseen = paid_before_note(prepared.plan.paid_before)
    notes = [note for note in prepared.plan.notes if note != foreseen] + bench.notes
    if paid_before:
        notes.append(paid_before_note(paid_before))
    if bench.settlement.unavailable:
        notes.append(f"the billing record could not be read: {bench.settlement.unavailable}")
    ended = datetime.now(UTC)
    record = RunRecord(
        run=bench.run_id,
        campaign=prepared.campaign.name,
        csv_path=str(prepared.campaign.path.absolute()),
        csv_sha256=prepared.campaign.sha256,
        csv_columns=prepared.campaign.columns,
        provider=bench.provider,
        service=bench.settings.service,
        started_at=bench.started_at,
        ended_at=ended,
        seconds=time.monotonic() - bench.started_monotonic,
        exit_status=int(status),
        budget=options.budget,
        price_list=price_list_record(prepared.prices),
        versions=versions(),
        flow_run_id=bench.flow_run_id,
        briefs=record_briefs(
            prepared.campaign,
            {brief.brief.brief: brief for brief in made},
            prepared.inputs,
            prepared.plan,
            bench,
            settled,
        ),
        notes=tuple(notes),
        limits=LimitsRecord(
            max_concurrent=bench.settings.max_concurrent,
            images_per_minute=bench.settings.images_per_minute,
            videos_per_minute=bench.settings.videos_per_minute,
        ),
    )
    folder = options.out / bench.run_id
    await bench.ask(
        bench.ledger.end_run,
        bench.run_id,
        exit_status=int(status),
        record_json=record.model_dump_json(),
        ended_at=ended,
    )
    page = PageContext(
        thumbnails=Thumbnails(bench.settings.thumbnails),
        find_file=bench.path_of,
        earlier=await bench.ask(earlier_run, bench.ledger, record),
    )
    await asyncio.to_thread(sweep_leftovers, options.out)
    await asyncio.to_thread(
        write_run_folder,
        record,
        folder,
        place_asset=_placing(bench, made),
        page=page,
        marked_copies=bench.settings.marked_copies,
    )
    # Others may run beside this one: each renews the page with all that have ended by then.
    await bench.ask(renew_index, bench.ledger, bench.settings.summaries, options.out)
    return ClosedRun(record, folder, status, sentence_of(record, paid_before))


def _net(settled: Sequence[AttemptRow], ids: Collection[int]) -> int:
    """What these of the attempts came to by the account's bill, refunds taken off."""
    return sum((attempt.charged or 0) - attempt.refunded for attempt in settled if attempt.id in ids)


def _placing(bench: Workbench, made: Sequence[MadeBrief]) -> Callable[[str, Path], None]:
    """From the store; what turns out to be damaged there is collected again first, but never paid for again."""
    loop = asyncio.get_running_loop()
    works = {
        asset.sha256: stage.work
        for brief in made
        for stage in brief.stages
        if stage.work is not None and stage.result is not None
        for asset in stage.result.assets
    }

    async def collect_again(work: StageWork) -> None:
        bench.frozen = True
        await generate(bench, work)

    def place(sha256: str, destination: Path) -> None:
        try:
            bench.store.place(sha256, destination)
        except AssetGone:
            with contextlib.suppress(CampaignError):
                asyncio.run_coroutine_threadsafe(collect_again(works[sha256]), loop).result()
            bench.store.place(sha256, destination)

    return place


def renew_index(ledger: Ledger, kept: Path, out: Path) -> None:
    """The page over all runs. It is drawn again after every run, so what keeps it from being written is no failure."""
    found = summaries(ledger, kept, cause_of=lambda code, message: cause_of(code, message).name)
    with contextlib.suppress(OSError):
        write_index_page(found, out)


def sentence_of(record: RunRecord, paid_before: int = 0) -> str:
    """The run in one line, for people. ``paid_before`` is what of its charges a run that did not end had spent."""
    counts = {
        status: sum(brief.status == status for brief in record.briefs)
        for status in ("done", "failed", "held")
    }
    statuses = ", ".join(f"{number:,} {status}" for status, number in counts.items() if number)
    charged = dollars_text(sum(stage.charged for stage in record.stages))
    saved = dollars_text(sum(stage.saved for stage in record.stages))
    mark = "simulated, nothing was really paid: " if record.simulated else ""
    before = f", ${dollars_text(paid_before)} of it paid by a run that did not end" if paid_before else ""
    return (
        f"{mark}{count(len(record.briefs), 'brief')}: {statuses}; ${charged} charged{before}, ${saved} saved by the "
        "cache"
    )
